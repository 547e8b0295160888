"""`Explorer`: the picture as a notebook widget with its settings as traits."""

from __future__ import annotations

import math
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import anywidget
import traitlets as t

from sandbox.errors import InputError
from sandbox.explorer.fallback import picture, still
from sandbox.explorer.generated import value
from sandbox.explorer.module import module, style
from sandbox.explorer.saes import measured_saes, point, saes_of
from sandbox.explorer.state import CONTROLS, DEFAULTS, checked

if TYPE_CHECKING:  # torch takes seconds to import, and the picture does without
    from ipywidgets import VBox
    from matplotlib.figure import Figure

    from sandbox.explorer.penalty import Penalised
    from sandbox.maths.derivations.numbers import InNumbers
    from sandbox.moments.moments import Moments
    from sandbox.report import Report
    from sandbox.simulate.vectors import Pairs


class Setting(t.TraitType[Any, Any]):
    """A trait that accepts what the explorer's table of settings allows (`sandbox.explorer.state`)."""

    def __init__(self, name: str):
        label = CONTROLS[name].label if name in CONTROLS else name
        super().__init__(checked({})[name], help=label)
        self.tag(sync=True)

    def validate(self, obj: Any, value: Any) -> Any:
        """The value as its setting holds it; raises TraitError with the limits for one outside them."""
        try:
            return checked({str(self.name): value})[str(self.name)]
        except InputError as error:
            raise t.TraitError(str(error)) from None


class Explorer(anywidget.AnyWidget):
    """The plane of x and x̂, to drag: both optimal scales, every measure, real SAEs, whole populations.

    The browser draws everything, and keeps working when the kernel stops. The settings are traits: set, read and
    observe them here; values outside their limits are refused.

    Args:
        saes:     named points on the map: `Report`s, or files that `sandbox measure --json` wrote; the embedded pair
                  by default
        settings: initial values of the traits below
    Traits:
        angle:       angle between x and x̂ in degrees, 0 to 180
        norm_ratio:  ‖x̂‖/‖x‖, 0 to 2
        norm_x:      ‖x‖, 0 to 2
        penalty:     L1 coefficient λ of a small lasso, 0 (off) to 6, shown beside a single pair; in the browser its
                     slider takes x̂ along, while a value set here leaves x̂ where it is
        measure:     key of the measure whose level curves the map shows
        population:  many pairs instead of one, centred on `angle` and the norms
        spread:      standard deviation of their angles in degrees, before those outside 0° to 180° are folded back
        norm_spread: standard deviation of their log ‖x‖
        offset:      norm of a vector added to every x and every x̂ (C14)
        n, seed:     number of pairs (a multiple of 50), and which sample of them (or of the points)
        merged:      points merged into cells instead, with x̂ the mean of its cell (C21)
        cells:       number of cells, 1 to 64
        factor:      what the means are multiplied by, 0 to 1.5
    Raises: InputError for a setting outside its limits here, traitlets.TraitError when it is set later

    >>> explorer = Explorer(angle=60, norm_ratio=1)
    >>> explorer.angle = 0
    >>> explorer.values["scale_x"]
    1.0
    """

    angle = Setting("angle")
    norm_ratio = Setting("norm_ratio")
    norm_x = Setting("norm_x")
    penalty = Setting("penalty")
    spread = Setting("spread")
    norm_spread = Setting("norm_spread")
    offset = Setting("offset")
    n = Setting("n")
    seed = Setting("seed")
    population = Setting("population")
    merged = Setting("merged")
    cells = Setting("cells")
    factor = Setting("factor")
    measure = Setting("measure")
    saes = t.List(help="named points on the map").tag(sync=True)
    _listens = t.Bool(True).tag(sync=True)
    _still = t.Unicode(help="class of the still picture, which the browser hides once it has drawn").tag(sync=True)
    _esm = t.Unicode().tag(sync=True)
    _css = t.Unicode().tag(sync=True)

    def __init__(self, saes: Iterable[Report | str | Path] | None = None, **settings: Any):
        points = measured_saes() if saes is None else [point for sae in _several(saes) for point in _points(sae)]
        initial = {name: value for name, value in checked(settings).items() if name in settings}
        name = f"explorer-still-{uuid.uuid4().hex}"
        super().__init__(saes=points, _still=name, _esm=module(), _css=style(), **initial)
        self.on_msg(lambda widget, content, buffers: self.send({"kind": "pong"}))

    @t.validate("saes")
    def _points_only(self, proposal: Any) -> list[dict[str, Any]]:
        points = [as_point for sae in proposal["value"] if (as_point := point(sae))]
        if len(points) < len(proposal["value"]):
            raise t.TraitError("each of saes needs a name, a cosine (−1 to 1) and a norm_ratio (≥ 0)")
        return points

    @property
    def state(self) -> dict[str, Any]:
        """Every setting, by name."""
        return {name: getattr(self, name) for name in DEFAULTS}

    @property
    def moments(self) -> Moments:
        """The `Moments` of what is shown: a single pair, the population, or the merged points."""
        from sandbox.explorer.shown import moments_of

        return moments_of(self.state)

    @property
    def pairs(self) -> Pairs:
        """The merged points and their x̂, or the simulated pairs of the population: Float64[Tensor, "n d"] each."""
        from sandbox.explorer.shown import merged, population

        return merged(self.state) if self.merged else population(self.state)

    @property
    def values(self) -> dict[str, float | None]:
        """Every measure by key; None where undefined."""
        return {key: estimate.value for key, estimate in self.report.raw.items()}

    @property
    def penalised(self) -> dict[str, Penalised]:
        """The lasso ("soft") and the hard threshold ("hard") at `penalty`: their moments, P, and γ by the law (C19)."""
        from sandbox.explorer.penalty import penalised

        return penalised(self.penalty)

    @property
    def report(self) -> Report:
        """The measures as a `Report`: with intervals (for a population), and why any is undefined."""
        from sandbox.report import Report

        return Report("x̂", self.moments)

    def sliders(self) -> VBox:
        """ipywidgets sliders, linked to this explorer both ways, in the browser."""
        from ipywidgets import FloatSlider, IntSlider, Layout, VBox, jslink

        sliders = []
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
            sliders.append(slider)
        return VBox(sliders)

    def figure(self) -> Figure:
        """The picture drawn by matplotlib: the plane, the parabolas and the map."""
        from sandbox import plots

        with plots.figure(16, 5.4, 3) as (figure, (left, middle, right)):
            plots.plane([self.report], left)
            plots.parabolas(self.moments, middle)
            plots.rho_r_map([self.report], self.measure, right)
        return figure

    def preset(self, key: str) -> None:
        """Go to a preset, such as "thales"; raises InputError that lists all of them for an unknown key."""
        states = {preset["key"]: preset["state"] for preset in value("presets")}
        if key not in states:
            raise InputError(f"there is no preset {key!r}; the presets are {', '.join(states)}")
        self._go_to(checked(states[key]) | {"measure": self.measure})

    def claim(self, which: str, stay: bool = False) -> InNumbers:
        """Go to the preset that shows a claim best, and give its derivation with that state's numbers filled in.

        Claims whose symbols the state has no numbers for, such as the penalty of C17 to C20, come without numbers.

        Args:
            which: its number or name, such as "C5"
            stay:  keep the present state, and fill in its numbers
        """
        from sandbox.explorer.of_claims import STATES_OF_CLAIMS
        from sandbox.maths import symbols
        from sandbox.maths.derivations import named, prove
        from sandbox.maths.derivations.numbers import InNumbers

        number = named(which).number
        if not stay:
            self.preset(STATES_OF_CLAIMS[number])
        known: dict[Any, float] = {}
        if not self.merged and not self.population:
            known[symbols.theta] = math.radians(self.angle)
        elif not self.merged and not self.spread and not self.angle:  # x = m + z and x̂ = m + s·z, as in C14
            known = {symbols.offset: self.offset**2, symbols.s: self.norm_ratio}
            known[symbols.spread] = self.moments.a.item() - self.offset**2
        return InNumbers.at(prove(number), tuple(self.moments.means.tolist()), known)

    def _go_to(self, state: dict[str, Any]) -> None:
        with self.hold_sync(), self.hold_trait_notifications():  # no observer sees it half done
            for name, value in state.items():
                setattr(self, name, value)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        """The widget, and a still picture for where no widget can run."""
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data is not None:
            data["image/svg+xml"] = picture(self.state)
        return bundle

    def _ipython_display_(self) -> None:
        """What a notebook stores: the widget, and its still picture as an output of its own, hidden beside the widget.

        Of one output with both, an export with widget state would keep the widget alone: nothing without a network.
        """
        from IPython.display import display

        bundle = super()._repr_mimebundle_() if self.comm else None
        if bundle is None:
            raise NotImplementedError  # it was closed, and IPython shows its name
        display(bundle[0], raw=True)
        display({"text/html": still(self.state, self._still)}, raw=True)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.state.items() if value != DEFAULTS[name])
        return f"Explorer({shown})"


def _several(saes: Any) -> Iterable[Any]:
    return [saes] if isinstance(saes, str | Path) or _is_report(saes) else saes


def _points(sae: Report | str | Path) -> list[dict[str, Any]]:
    """Named points on the map."""
    if _is_report(sae):
        rho, r = (sae.raw[key].value for key in ("cosine", "norm_ratio"))
        if rho is None or r is None:
            raise InputError(f"{sae.name}: its cosine or norm ratio is undefined, so there is nothing to show")
        return [{"name": sae.name, "cosine": rho, "norm_ratio": r}]
    return saes_of(sae)


def _is_report(sae: Any) -> TypeGuard[Report]:
    reports = sys.modules.get("sandbox.report")  # without it there is no report
    return reports is not None and isinstance(sae, reports.Report)
