"""The picture that stands in for the widget where nothing can run it: an exported notebook without a network, say."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any

from sandbox.explorer.generated import value

UNIT = 200  # pixels for the length of x
COLOURS = {"relative_reconstruction_bias": "#00805e", "scale_x": "#a84d82", "norm_ratio": "#1f7fb5"}
"""As in explorer.css, by key."""
LABELS = {"relative_reconstruction_bias": ("γ = 1", -0.13, 0.32), "scale_x": ("c/a = 1", 1.02, 1.15),
          "norm_ratio": ("r = 1", -0.9, 0.72)}  # fmt: skip
WORDS = "A still picture of the explorer: to drag the vectors, run this notebook."


def still(state: Mapping[str, Any], name: str) -> str:
    """The picture and its line as HTML. `name` is its class: a widget that is drawn in the same page hides it by that.

    An image, because JupyterLab shows no inline SVG of a notebook that it does not trust.
    """
    image = base64.b64encode(picture(state, words=False).encode()).decode()
    return (
        f'<figure class="{name}" style="margin: 0; max-width: 560px">'
        f'<img src="data:image/svg+xml;base64,{image}" alt="x and x̂: {_settings(state)}" width="560" height="310" '
        f'style="max-width: 100%; height: auto"><figcaption>{WORDS}</figcaption></figure>'
    )


def picture(state: Mapping[str, Any], words: bool = True) -> str:
    """The plane of x and x̂ as SVG, for x of length 1; the tip of x̂ is the pair's, also of a population.

    `words`: whether its last line says what it is
    """
    turn = math.radians(state["angle"])
    u, v = (state["norm_ratio"] * part for part in (math.cos(turn), math.sin(turn)))
    reach = max(1.25, abs(u) + 0.2, v + 0.2)
    unit = UNIT * 1.25 / reach
    origin = (260, 270)

    def at(x: float, y: float) -> tuple[float, float]:
        return round(origin[0] + unit * x, 1), round(origin[1] - unit * y, 1)

    def arrow(x: float, y: float, colour: str, name: str) -> str:
        (x2, y2), (left, top) = at(x, y), at(x, y)
        return (
            f'<line x1="{origin[0]}" y1="{origin[1]}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="3"/>'
            f'<circle cx="{x2}" cy="{y2}" r="6" fill="#fff" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{left + 10}" y="{top + (20 if not y else -8)}" fill="{colour}" font-weight="600">{name}</text>'
        )

    curves = "".join(
        f'<path d="{path}" transform="translate{origin} scale({unit},{-unit})" fill="none" stroke="{COLOURS[key]}" '
        f'stroke-width="1.5" vector-effect="non-scaling-stroke"/>'
        for key, path in value("loci").items()
    )
    names = "".join(
        '<text x="{}" y="{}" fill="{}">{}</text>'.format(*at(x, y), COLOURS[key], words)
        for key, (words, x, y) in LABELS.items()
    )
    settings = _settings(state)
    height = 330 if words else 310
    line = f'<text x="10" y="323" fill="#5d6570" font-size="11">{WORDS}</text>' if words else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 560 {height}" width="560" height="{height}" role="img" '
        f'aria-label="x and x̂: {settings}" font-family="sans-serif" font-size="14">'
        f'<rect width="560" height="{height}" fill="#fff"/>{curves}{names}'
        f"{arrow(1, 0, '#0072b2', 'x')}{arrow(u, v, '#c44f00', 'x̂')}"
        f'<text x="10" y="306" fill="#26292e">{settings}</text>{line}</svg>'
    )


def _settings(state: Mapping[str, Any]) -> str:
    return f"angle {state['angle']:.1f}°, norm ratio {state['norm_ratio']:.3f}".replace("-", "−")
