"""`make docs`: the API reference, made from the docstrings of the public modules. Needs no network."""

import sys
import warnings
from pathlib import Path

import pdoc

import sandbox

MODULES = [
    "sandbox",
    *(
        f"sandbox.{name}"
        for name in ("simulate", "activations", "checkpoints", "report", "plots", "explorer", "claims")
    ),
    "sandbox.maths.measures",
    "sandbox.maths.derivations",
]


def write(folder: Path) -> None:
    """The pages, `index.html` first. Raises: a warning of pdoc's, such as an annotation that it cannot resolve."""
    vars(sandbox).update({name: getattr(sandbox, name) for name in sandbox.__all__})  # pdoc reads no lazy names
    pdoc.render.configure(template_directory=Path(__file__).parent, show_source=False)
    with warnings.catch_warnings(action="error"):
        # a NamedTuple's own constructor knows none of its module's names
        warnings.filterwarnings("ignore", "Error parsing type annotation ForwardRef")
        pdoc.pdoc(*MODULES, output_directory=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
