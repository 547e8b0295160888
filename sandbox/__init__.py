"""Prove, see and measure feature shrinkage in sparse autoencoders.

The public names are loaded when first used, so `import sandbox` is quick and pulls in neither torch nor SymPy.

>>> import sandbox
>>> sandbox.prove("C2").results["scale_x_hat"]
c/b
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.checking.exercises import exercise
    from sandbox.checking.verdict import check
    from sandbox.derivations import prove
    from sandbox.errors import InputError
    from sandbox.explorer.widget import Explorer
    from sandbox.measures import REGISTRY
    from sandbox.moments import Moments
    from sandbox.report import Report
    from sandbox.sae.measure import look, measure, measure_pairs
    from sandbox.sae.rescale import rescale
    from sandbox.sae.sweep import figure6

_HOMES = {
    "Explorer": "explorer.widget",
    "InputError": "errors",
    "Moments": "moments",
    "REGISTRY": "measures",
    "Report": "report",
    "check": "checking.verdict",
    "exercise": "checking.exercises",
    "figure6": "sae.sweep",
    "look": "sae.measure",
    "measure": "sae.measure",
    "measure_pairs": "sae.measure",
    "prove": "derivations",
    "rescale": "sae.rescale",
}
_MODULES = (
    "checking",
    "compile",
    "derivations",
    "explorer",
    "features",
    "measures",
    "moments",
    "plots",
    "report",
    "sae",
    "simulate",
    "strengths",
    "theory",
)

__all__ = [
    "REGISTRY",
    "Explorer",
    "InputError",
    "Moments",
    "Report",
    "check",
    "exercise",
    "figure6",
    "look",
    "measure",
    "measure_pairs",
    "prove",
    "rescale",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"sandbox.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"sandbox.{name}")
    raise AttributeError(f"module 'sandbox' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, *_MODULES])
