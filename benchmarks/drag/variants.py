"""What is dragged, and where: the explorer in a page and in JupyterLab, and the peer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

POINTS = 10_000


@dataclass(frozen=True)
class Variant:
    """One thing to drag. `handle` and `picture` are names in probe.js: what is dragged, what tells the shown value."""

    key: str
    title: str
    place: str
    handle: str
    picture: str = "arrow"
    index: int = 0

    @property
    def plan(self) -> dict[str, str | int]:
        """What probe.js needs to know."""
        return {"handle": self.handle, "picture": self.picture, "index": self.index}


VARIANTS = (
    Variant("floor", "floor: a page with one line", "floor", "tip"),
    Variant("page-tip", "static page: tip of x̂", "page", "tip"),
    Variant("page-slider", "static page: own slider", "page", "range"),
    Variant("population", f"static page: tip of x̂, {POINTS:,} points", "population", "tip"),
    Variant("lab-tip", "JupyterLab: tip of x̂", "one", "tip"),
    Variant("lab-slider", "JupyterLab: own slider", "one", "range"),
    Variant("lab-three", "JupyterLab, three explorers: tip of x̂", "three", "tip", index=1),
    Variant("lab-linked", "JupyterLab: linked ipywidgets slider", "linked", "ipywidgets"),
    Variant("peer", "JupyterLab: interact + matplotlib", "peer", "ipywidgets", picture="strip"),
)

OWN = ("page-tip", "page-slider", "lab-tip", "lab-slider", "lab-three")
"""The explorer's own handles: what is claimed of one is claimed of all."""

PAGES = ("floor", "page", "population")
FLOOR = Path(__file__).with_name("floor.html")
EXPLORER = "from sandbox import Explorer\nexplorer = Explorer(angle=30)\n"
NOTEBOOKS = {
    "one": [EXPLORER + "explorer"],
    "linked": [EXPLORER + "explorer.sliders()", "explorer"],  # in this order both fit into the window
    "three": [EXPLORER + "explorer"] * 3,
    "peer": [Path(__file__).with_name("peer.py").read_text(encoding="utf-8")],
}

SHOWN = {
    "one": ".shrinkage-explorer line[data-arrow='x-hat']",
    "linked": ".shrinkage-explorer line[data-arrow='x-hat']",
    "three": ".shrinkage-explorer line[data-arrow='x-hat'] >> nth=2",
    "peer": ".jp-OutputArea img",
}
"""What each notebook shows once its cells have run."""

POPULATE = f"""() => {{
  const root = document.querySelector(".shrinkage-explorer");
  const set = (input, value) => {{
    input.value = value;
    for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, {{ bubbles: true }}));
  }};
  const population = root.querySelector('input[type=checkbox][name="population"]');
  if (!population.checked) population.click();
  set(root.querySelector('input[type=range][name="n"]'), {POINTS});
  return Number(root.querySelector('input[type=range][name="n"]').value);
}}"""
"""Switch the population on, at its largest; gives the number of points that the explorer took."""
