"""One lasting picture of x and x̂, their plane and their two parabolas, that is brought up to date and not made anew."""

from __future__ import annotations

import io
from math import cos, nan, radians, sin
from typing import Any

import numpy as np
import torch

from sandbox.maths.compile import evaluate, why_undefined
from sandbox.maths.measures import REGISTRY
from sandbox.plots.parabolas import CURVES, _loss
from sandbox.plots.plane import _tips, at_tip
from sandbox.plots.style import FAINT, INK, LOCI, OF_X, OF_X_HAT, STYLE
from sandbox.simulate.theory import at_an_angle

SCALES = torch.linspace(-2.2, 2.2, 221, dtype=torch.float64)
NEAR = 2.0  # the longest vector that the plane shows large; with a longer one everything is drawn at half the size
TOLD = ("relative_reconstruction_bias", "scale_x", "scale_x_hat", "norm_ratio", "cosine")
LOSSES = ("relative_loss", "angle_loss", "length_loss")


class Picture:
    """The figure of `interactive`: `show` moves what changes, `png` gives it as a file.

    What never changes (axes, legends) is drawn once and kept as a copy of the canvas. A new state restores that copy
    and draws only the artists that move onto it (blitting), which is exact: they lie above everything that stays.

    Attributes:
        figure:  matplotlib's, with a canvas in memory; the same one for ever
        artists: all that move, from below to above; the same ones for ever
    """

    def __init__(self) -> None:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.artists: list[Any] = []
        with rc_context(STYLE):
            self.figure = Figure((10.4, 6.0), dpi=96)
            self._canvas = FigureCanvasAgg(self.figure)
            self._make_plane()
            self._make_parabolas()
            self._values = {}
            for height, keys in ((0.112, TOLD), (0.075, LOSSES)):
                for i, key in enumerate(keys):  # each in a place of its own: what is undefined pushes nothing aside
                    self._values[key] = self._moving(self.figure.text(0.07 + 0.17 * i, height, "", color=INK))
            self._reasons = self._moving(self.figure.text(0.07, 0.056, "", color="#777777", fontsize=8, va="top"))
            self._zoom(1.0)

    def show(self, angle: float, norm_ratio: float, norm_x: float) -> None:
        """Bring the picture to a state: the angle in degrees, the norm of x̂ in norms of x, and the norm of x."""
        moments = [norm_x**2 * moment for moment in at_an_angle(radians(angle), norm_ratio)]
        reasons = {key: why_undefined(REGISTRY[key], *moments) for key in (*TOLD, *LOSSES)}
        values = {key: None if reason else evaluate(REGISTRY[key], *moments).item() for key, reason in reasons.items()}
        self._update_plane(values, angle, norm_ratio, norm_x)
        self._update_parabolas(values, moments)
        for key, text in self._values.items():
            text.set_text(f"{REGISTRY[key].plain} = {_number(values[key])}")
        why: dict[str, list[str]] = {}
        for key, reason in reasons.items():
            if reason:
                why.setdefault(reason, []).append(REGISTRY[key].plain)
        self._reasons.set_text("\n".join(f"{', '.join(keys)}: {reason}" for reason, keys in why.items()))
        zoom = 1.0 if max(norm_x, norm_x * norm_ratio) <= NEAR else 2.0
        if zoom != self._zoomed:  # the ticks change: the copy of what stays is made anew
            self._zoom(zoom)
        self._blit()

    def pixels(self) -> np.ndarray:
        """The picture as it is: UInt8[ndarray, "height width 4"], red, green, blue and opacity."""
        return np.array(self._canvas.buffer_rgba())

    def pixels_without_blitting(self) -> np.ndarray:
        """The same state with everything drawn anew, as `pixels`: what blitting has to agree with."""
        for artist in self.artists:
            artist.set_animated(False)
        self._draw()
        whole = self.pixels()
        for artist in self.artists:
            artist.set_animated(True)
        self._blit()
        return whole

    def png(self) -> bytes:
        """The picture as the bytes of a PNG, compressed lightly: it is to be quick."""
        from matplotlib.image import imsave

        held = io.BytesIO()
        imsave(held, self.pixels(), format="png", pil_kwargs={"compress_level": 1})
        return held.getvalue()

    def _blit(self) -> None:
        self._canvas.restore_region(self._still)
        for artist in self.artists:
            (artist.axes or self.figure).draw_artist(artist)

    def _draw(self) -> None:
        """Draw all but what is marked as moving; in the house style, as matplotlib makes ticks when they are drawn."""
        from matplotlib import rc_context

        with rc_context(STYLE):
            self._canvas.draw()

    def _zoom(self, zoom: float) -> None:
        """Draw all that does not move, with the plane at this scale, and keep a copy."""
        self._zoomed = zoom
        self._plane.set(xlim=(-2.15 * zoom, 2.15 * zoom), ylim=(-1.1 * zoom, 2.15 * zoom))
        self._draw()
        self._still: Any = self._canvas.copy_from_bbox(self.figure.bbox)

    def _moving(self, artist: Any) -> Any:
        """An artist that moves: left out of ordinary drawing, and above all that stays (a legend is at 5)."""
        artist.set(animated=True, zorder=6 + len(self.artists))
        self.artists.append(artist)
        return artist

    def _make_plane(self) -> None:
        from matplotlib.patches import FancyArrowPatch

        ax = self._plane = self.figure.add_axes((0.07, 0.34, 0.465, 0.61))
        near = torch.linspace(-1.2, 1.2, 481, dtype=torch.float64)
        far = torch.logspace(0.1, 7, 15, dtype=torch.float64)  # the line c/a = 1 has no end
        u, v = torch.meshgrid(near, torch.cat((-far.flip(0), near, far)), indexing="xy")
        self._loci = []
        for key, colour in LOCI.items():
            drawn = ax.contour(u, v, at_tip(key, u, v), levels=[1.0])
            gap = np.full((1, 2), nan)  # between two pieces of one curve
            points = np.concatenate([part for piece in drawn.allsegs[0] for part in (piece, gap)])
            drawn.remove()
            (line,) = ax.plot([], [], color=colour, linewidth=1.5, label=f"{REGISTRY[key].plain} = 1")
            self._loci.append((self._moving(line), points))
        nearest = {"scale_x": ("x", OF_X), "scale_x_hat": ("x̂", OF_X_HAT)}
        self._drops = {key: self._moving(ax.plot([], [], ":", color=nearest[key][1])[0]) for key in nearest}
        self._arrows, self._names = {}, {}
        for name, colour in nearest.values():
            arrow = FancyArrowPatch((0, 0), (1, 0), arrowstyle="-|>", mutation_scale=13, shrinkA=0, shrinkB=0)
            arrow.set(color=colour, linewidth=2)
            self._arrows[name] = self._moving(ax.add_patch(arrow))
            text = ax.annotate(name, (0, 0), (0, -11), textcoords="offset points", color=colour, ha="center")
            text.set(va="center", fontsize=11, fontweight="bold")
            self._names[name] = self._moving(text)
        self._nearest = {}
        for key, (name, colour) in nearest.items():
            label = f"{REGISTRY[key].plain} · {name}, the nearest multiple of {name}"
            (point,) = ax.plot([], [], "o", color=colour, markeredgecolor="white", markersize=8, label=label)
            self._nearest[key] = self._moving(point)
        ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
        ax.set(aspect="equal", xlabel="along x", ylabel="across x")
        ax.set_title("The plane of x and x̂")
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.13), borderaxespad=0, ncols=2)

    def _make_parabolas(self) -> None:
        ax = self._graph = self.figure.add_axes((0.605, 0.34, 0.38, 0.61))
        self._curves = {}
        for key, (label, colour) in CURVES.items():
            wide = key == "scale_x"  # where both curves are one, both are seen
            style = {"color": colour, "linewidth": 3.5 if wide else 1.6, "alpha": 0.55 if wide else 1}
            text = f"E{label} / a,  least at s = {REGISTRY[key].plain}"
            curve = self._moving(ax.plot([], [], **style, label=text)[0])
            drop = self._moving(ax.plot([], [], ":", color=colour, linewidth=1)[0])
            least = self._moving(ax.plot([], [], "o", color=colour, markersize=7)[0])
            self._curves[key] = (_loss(key), curve, drop, least)
        ax.set(xlim=(-2.2, 2.2), ylim=(-0.12, 4.4), xlabel="scale s", ylabel="loss, relative to E‖x‖²")
        ax.set_title("The two losses over the scale")
        ax.legend(loc="upper left", bbox_to_anchor=(0, -0.13), borderaxespad=0)

    def _update_plane(self, values: dict[str, Any], angle: float, norm_ratio: float, norm_x: float) -> None:
        tips = _tips(values)
        x, x_hat = (norm_x, 0.0), tuple(norm_x * part for part in tips[0]) if tips else (0.0, 0.0)
        for line, points in self._loci:
            line.set_data(*(norm_x * points.T if norm_x else ([], [])))
        turn = radians(angle)
        back, aside = (-7 * cos(turn), -7 * sin(turn)), (-11 * sin(turn), 11 * cos(turn))  # clear of its multiples
        beside = {"x": (-7, -11), "x̂": (back[0] + aside[0], back[1] + aside[1])}
        for name, tip in (("x", x), ("x̂", x_hat)):
            self._arrows[name].set_positions((0, 0), tip)
            self._names[name].xy = tip
            self._names[name].set_position(beside[name])
            for artist in (self._arrows[name], self._names[name]):
                artist.set_visible(any(tip))
        for key, along, other in (("scale_x", x, x_hat), ("scale_x_hat", x_hat, x)):
            scale = values[key]
            at = (nan, nan) if scale is None else tuple(scale * part for part in along)
            self._nearest[key].set_data([at[0]], [at[1]])
            self._drops[key].set_data(*zip(at, other, strict=True))

    def _update_parabolas(self, values: dict[str, Any], moments: list[float]) -> None:
        for key, (loss, curve, drop, least) in self._curves.items():
            height = loss(*moments, SCALES) / moments[0]  # nan, and so not drawn, where a = 0
            curve.set_data(SCALES.numpy(), height.numpy())
            best = nan if values[key] is None else values[key]
            lowest = (loss(*moments, best) / moments[0]).item()
            drop.set_data([best, best], [0, lowest])
            least.set_data([best], [lowest])


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{round(value, 3) + 0.0:.3f}".replace("-", "−")  # no negative zero
