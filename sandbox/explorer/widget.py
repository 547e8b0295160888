"""`Explorer`: the picture as a notebook's widget, its settings as traits."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t

from sandbox.errors import InputError
from sandbox.explorer.module import module, style
from sandbox.explorer.presets import STATES_OF_CLAIMS, measured_saes, point, presets, saes_of
from sandbox.explorer.state import CONTROLS, DEFAULTS, checked, moments_of, population
from sandbox.maths import symbols
from sandbox.maths.derivations import named, prove
from sandbox.maths.derivations.numbers import InNumbers
from sandbox.moments.moments import Moments
from sandbox.report import Report
from sandbox.simulate.vectors import Pairs

if TYPE_CHECKING:
    from ipywidgets import VBox
    from matplotlib.figure import Figure


class Setting(t.TraitType[Any, Any]):
    """A trait that holds what the explorer's table of settings allows for its name (sandbox.explorer.state)."""

    def __init__(self, name: str):
        words = CONTROLS[name].label if name in CONTROLS else name
        super().__init__(checked({})[name], help=words)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as its setting has it; raises TraitError with the limits for any other."""
        try:
            return checked({str(self.name): value})[str(self.name)]
        except InputError as error:
            raise t.TraitError(str(error)) from None


class Explorer(anywidget.AnyWidget):
    """The plane of x and x̂, to be dragged: both optimal scales, every measure, real SAEs, whole populations.

    Everything is drawn in the browser, and goes on working when the kernel stops. The settings are traits: they can
    be set, read and observed here, and are refused outside their limits.

    Args:
        saes:     what the map shows as named points: `Report`s, or files that `sandbox measure --json` wrote; the
                  embedded pair by default
        settings: initial values of the traits below
    Traits:
        angle:       between x and x̂, degrees, 0 to 180
        norm_ratio:  ‖x̂‖/‖x‖, 0 to 2
        norm_x:      ‖x‖, 0 to 2
        measure:     key of the registry: its level curves are in the map
        population:  many pairs in place of one; `angle` and the norms are then their middle
        spread:      standard deviation of their angles, degrees, before those below 0° or above 180° are turned back
        norm_spread: standard deviation of their log ‖x‖
        offset:      norm of a vector that is added to every x and every x̂ (C14)
        n, seed:     how many pairs (a multiple of 50), and which sample of them
    Raises: InputError for a setting that cannot be, at the start; traitlets.TraitError later

    >>> explorer = Explorer(angle=60, norm_ratio=1)
    >>> explorer.angle = 0
    >>> explorer.values["scale_x"]
    1.0
    """

    angle = Setting("angle")
    norm_ratio = Setting("norm_ratio")
    norm_x = Setting("norm_x")
    spread = Setting("spread")
    norm_spread = Setting("norm_spread")
    offset = Setting("offset")
    n = Setting("n")
    seed = Setting("seed")
    population = Setting("population")
    measure = Setting("measure")
    saes = t.List(help="named points of the map").tag(sync=True)
    _listens = t.Bool(True).tag(sync=True)
    _esm = t.Unicode().tag(sync=True)
    _css = t.Unicode().tag(sync=True)

    def __init__(self, saes: Iterable[Report | str | Path] | None = None, **settings: Any):
        points = measured_saes() if saes is None else [point for one in _several(saes) for point in _points(one)]
        given = {name: value for name, value in checked(settings).items() if name in settings}
        super().__init__(saes=points, _esm=module(), _css=style(), **given)
        self.on_msg(lambda widget, content, buffers: self.send({"kind": "pong"}))

    @t.validate("saes")
    def _points_only(self, proposal: Any) -> list[dict[str, Any]]:
        points = [found for one in proposal["value"] if (found := point(one))]
        if len(points) < len(proposal["value"]):
            raise t.TraitError("saes is a list of points, each with a name, a cosine (−1 to 1) and a norm_ratio (≥ 0)")
        return points

    @property
    def state(self) -> dict[str, Any]:
        """Every setting, by name."""
        return {name: getattr(self, name) for name in DEFAULTS}

    @property
    def moments(self) -> Moments:
        """The `Moments` of what is shown: of one pair, or of the population."""
        return moments_of(self.state)

    @property
    def pairs(self) -> Pairs:
        """The simulated pairs of the population, Float64[Tensor, "n d"] each."""
        return population(self.state)

    @property
    def values(self) -> dict[str, float | None]:
        """Every measure by key; None where it is undefined."""
        return {key: one.value for key, one in self.report.raw.items()}

    @property
    def report(self) -> Report:
        """The same as a `Report`: with intervals (in a population) and the reasons why something is undefined."""
        return Report("x̂", self.moments)

    def sliders(self) -> VBox:
        """Sliders of ipywidgets, linked to this explorer in the browser, both ways."""
        from ipywidgets import FloatSlider, IntSlider, Layout, VBox, jslink

        made = []
        for control in CONTROLS.values():
            kind = IntSlider if control.whole else FloatSlider
            cast = int if control.whole else float
            slider = kind(
                value=getattr(self, control.name),
                min=cast(control.low),
                max=cast(control.high),
                step=cast(control.step),
                description=f"{control.label} {control.unit}".strip(),
                style={"description_width": "12em"},
                layout=Layout(width="32em", max_width="100%"),
            )
            jslink((slider, "value"), (self, control.name))
            made.append(slider)
        return VBox(made)

    def figure(self) -> Figure:
        """The same picture with matplotlib: the plane, the parabolas and the map."""
        from sandbox import plots

        with plots.figure(16, 5.4, 3) as (made, (left, middle, right)):
            plots.plane([self.report], left)
            plots.parabolas(self.moments, middle)
            plots.rho_r_map([self.report], self.measure, right)
        return made

    def preset(self, key: str) -> None:
        """Go to one of the states worth seeing, such as "thales"; raises InputError, with all of them, for another."""
        found = {preset.key: preset for preset in presets()}
        if key not in found:
            raise InputError(f"there is no preset {key!r}: there are {', '.join(found)}")
        self._go_to(checked(found[key].settings) | {"measure": self.measure})

    def claim(self, which: str, stay: bool = False) -> InNumbers:
        """Go to a state in which a claim is best seen, and show its derivation with the numbers of that state in it.

        The claims about features behind a threshold (C17, C18) speak of no single state, and show no numbers.

        Args:
            which: a number or a name, such as "C5"
            stay:  show it with the numbers of the present state instead
        """
        number = named(which).number
        if not stay:
            self.preset(STATES_OF_CLAIMS[number])
        known: dict[Any, float] = {}
        if not self.population:
            known[symbols.theta] = math.radians(self.angle)
        elif not self.spread and not self.angle:  # x = m + z and x̂ = m + s·z, as in C14
            known = {symbols.offset: self.offset**2, symbols.s: self.norm_ratio}
            known[symbols.spread] = self.moments.a.item() - self.offset**2
        return InNumbers.at(prove(number), tuple(self.moments.means.tolist()), known)

    def _go_to(self, state: dict[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():  # no observer sees half of it
            for name, value in state.items():
                setattr(self, name, value)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.state.items() if value != DEFAULTS[name])
        return f"Explorer({shown})"


def _several(saes: Any) -> Iterable[Any]:
    return [saes] if isinstance(saes, Report | str | Path) else saes


def _points(sae: Report | str | Path) -> list[dict[str, Any]]:
    """Named points of the map."""
    if not isinstance(sae, Report):
        return saes_of(sae)
    rho, r = (sae.raw[key].value for key in ("cosine", "norm_ratio"))
    if rho is None or r is None:
        raise InputError(f"{sae.name} has no defined cosine and norm ratio, so there is no point to show")
    return [{"name": sae.name, "cosine": rho, "norm_ratio": r}]
