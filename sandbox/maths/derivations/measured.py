"""The measures of shrinkage: the claim that derives each, and what must be positive for it to be defined.

C16 covers every measure in this table, and the registry (`sandbox.maths.measures`) adds the words.
"""

from __future__ import annotations

from sympy import Expr

from sandbox.maths.symbols import a, b, c

MEASURES: dict[str, tuple[str, tuple[Expr, ...]]] = {
    "scale_x": ("C1", (a,)),
    "scale_x_hat": ("C2", (b,)),
    "relative_reconstruction_bias": ("C6", (b, c)),
    "equation_10_v1": ("C7", (b, c, 2 * c - b)),
    "norm_ratio": ("C12", (a,)),
    "cosine": ("C3", (a, b)),
    "relative_loss": ("C12", (a,)),
    "angle_loss": ("C12", (a, b)),
    "length_loss": ("C12", (a, b)),
}
