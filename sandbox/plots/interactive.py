"""Sliders in plain Python: the plane and the two parabolas of one pair of vectors, for who wants no JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.errors import InputError
from sandbox.plots.picture import Picture

if TYPE_CHECKING:
    from ipywidgets import HBox

RANGES = {"angle": (0.0, 180.0, 1.0), "norm_ratio": (0.0, 2.0, 0.01), "norm_x": (0.0, 2.0, 0.01)}
WORDS = {"angle": "angle, degrees", "norm_ratio": "‖x̂‖ / ‖x‖", "norm_x": "‖x‖"}


def interactive(angle: float = 60.0, norm_ratio: float = 1.0, norm_x: float = 1.0) -> HBox:
    """Three sliders beside a picture: where x̂ ends, what each measure says of it, and where both losses are least.

    Each change is a round trip: from the browser to Python, where the picture is drawn and written as a PNG, and
    back. So it is many times slower than `sandbox.Explorer`, which draws in the browser, and it does nothing where no
    kernel runs. It is for those who want to read, or change, a picture in Python alone.

    Args:
        angle:      between x and x̂, in degrees, 0 to 180
        norm_ratio: the norm of x̂ in norms of x, 0 to 2
        norm_x:     the norm of x, 0 to 2; no measure depends on it, unless it is 0
    Returns: an ipywidgets box; its `sliders` (by the names above), `image` and `picture` can be used from Python, too:
             `box.sliders["angle"].value = 90` draws anew, and `box.image.value` is the PNG
    Raises:  InputError for a value outside these ranges, and where ipywidgets is not installed
    """
    try:
        import ipywidgets
    except ImportError:
        raise InputError("plots.interactive needs ipywidgets, which is not here: pip install ipywidgets") from None

    start = {"angle": angle, "norm_ratio": norm_ratio, "norm_x": norm_x}
    for name, value in start.items():
        low, high, _ = RANGES[name]
        if not isinstance(value, int | float) or not low <= value <= high:
            raise InputError(f"{name} is {value}: it must be between {low:g} and {high:g}")

    class Interactive(ipywidgets.HBox):
        """The sliders on the left, the picture on the right."""

        def __init__(self) -> None:
            self.picture = Picture()
            self.sliders = {
                name: ipywidgets.FloatSlider(
                    value=start[name],
                    min=low,
                    max=high,
                    step=step,
                    description=WORDS[name],
                    readout_format=".0f" if step == 1 else ".2f",
                    style={"description_width": "7em"},
                )
                for name, (low, high, step) in RANGES.items()
            }
            self.image = ipywidgets.Image(format="png", layout={"max_width": "100%"})
            super().__init__([ipywidgets.VBox(list(self.sliders.values())), self.image])
            for slider in self.sliders.values():
                slider.observe(self._draw, names="value")
            self._draw()

        def _draw(self, _: object = None) -> None:
            self.picture.show(**{name: slider.value for name, slider in self.sliders.items()})
            self.image.value = self.picture.png()

    return Interactive()
