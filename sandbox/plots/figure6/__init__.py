"""The figures of `sandbox figure6`: a sweep of SAEs, point by point, by every definition of shrinkage.

Each function draws the finished SAEs, measured on held-out tokens, from points (`sandbox.report.Point`) onto an Axes
(by default the current one), and returns the Axes. The legend counts the points that cannot be shown, with the reason.
"""

from sandbox.plots.figure6.angle import angle
from sandbox.plots.figure6.bias import bias
from sandbox.plots.figure6.convergence import convergence
from sandbox.plots.figure6.equation_10 import equation_10, equation_10_error
from sandbox.plots.figure6.law import law, law_convergence
from sandbox.plots.figure6.loss_split import loss_split
from sandbox.plots.figure6.pages import figures, one_legend, same_height, save_figures
from sandbox.plots.figure6.rho_r import rho_r

__all__ = [
    "angle",
    "bias",
    "convergence",
    "equation_10",
    "equation_10_error",
    "figures",
    "law",
    "law_convergence",
    "loss_split",
    "one_legend",
    "rho_r",
    "same_height",
    "save_figures",
]
