"""The figures of `sandbox figure6`: a sweep of SAEs, point by point, through every definition of shrinkage.

Each function takes points (`sandbox.report.Point`) and an Axes (or makes one), shows the finished SAEs as they did on
held-out tokens, and returns the Axes. What cannot be shown is counted in the legend, with the reason.
"""

from sandbox.plots.figure6.angle import angle
from sandbox.plots.figure6.bias import bias
from sandbox.plots.figure6.convergence import convergence
from sandbox.plots.figure6.equation_10 import equation_10, equation_10_error
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
    "loss_split",
    "one_legend",
    "rho_r",
    "same_height",
    "save_figures",
]
