"""The peer, as one notebook cell: what one would write without the explorer, `interact` and a plain matplotlib figure.

It is read as text, never imported. The strip is the benchmark's: it tells which angle a picture shows (see probe.js).
"""

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import interact
from matplotlib.image import BboxImage
from matplotlib.transforms import Bbox, TransformedBbox

BITS, MARK = 12, (255, 0, 255)


def strip(figure, angle):
    """Paint the angle, in tenths of a degree, as a row of cells: white is 1, black 0, magenta marks both ends."""
    bits = [(255, 255, 255) if bit == "1" else (0, 0, 0) for bit in f"{round(10 * angle):0{BITS}b}"]
    place = TransformedBbox(Bbox([[0, 0], [0.01 * (BITS + 2), 0.02]]), figure.transFigure)
    cells = BboxImage(place, interpolation="nearest", origin="lower")  # one artist: the cheapest for the peer
    cells.set_data(np.array([[MARK, *bits, MARK]], dtype=np.uint8))
    figure.add_artist(cells)


def picture(angle=30.0, norm_ratio=0.9):
    """The plane of x and x̂, and the two parabolas whose lowest points are the two scales."""
    c, b = norm_ratio * np.cos(np.radians(angle)), norm_ratio**2
    figure, (plane, loss) = plt.subplots(1, 2, figsize=(9, 4))
    plane.quiver([0, 0], [0, 0], [1, c], [0, norm_ratio * np.sin(np.radians(angle))],
                 color=["C0", "C1"], angles="xy", scale_units="xy", scale=1)  # fmt: skip
    plane.set(xlim=(-1.1, 1.1), ylim=(-0.2, 1.1), aspect="equal", title=f"angle {angle:.1f}°")
    scale = np.linspace(-2, 2, 201)
    loss.plot(scale, scale**2 - 2 * c * scale + b, label="|sx − x̂|²")
    loss.plot(scale, 1 - 2 * c * scale + b * scale**2, label="|x − sx̂|²")
    loss.set(xlabel="s", ylim=(0, 4))
    loss.legend()
    strip(figure, angle)
    plt.show()


interact(picture, angle=(0.0, 180.0, 0.5), norm_ratio=(0.0, 2.0, 0.01))
