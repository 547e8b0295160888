"""Plots with matplotlib, one a file: each draws on an Axes (by default the current one) and returns it.

Curves evaluate the results of derivations; no formula is written here.
"""

from sandbox.plots import figure6
from sandbox.plots.against_l0 import against_l0
from sandbox.plots.closed_form import closed_form
from sandbox.plots.differences import differences
from sandbox.plots.directions import directions
from sandbox.plots.feature_distributions import feature_distributions
from sandbox.plots.intervals import intervals
from sandbox.plots.latents import latents
from sandbox.plots.losses import gains, loss_curves, losses, won_back
from sandbox.plots.measured import measured
from sandbox.plots.parabolas import parabolas
from sandbox.plots.plane import at_tip, plane
from sandbox.plots.predicted_latents import predicted_latents
from sandbox.plots.rho_r_map import levels, rho_r_map
from sandbox.plots.style import COLUMN, FAINT, INK, LOCI, OF_X, OF_X_HAT, SAES, STYLE, check_format, figure, save

__all__ = [
    "COLUMN",
    "FAINT",
    "INK",
    "LOCI",
    "OF_X",
    "OF_X_HAT",
    "SAES",
    "STYLE",
    "against_l0",
    "at_tip",
    "check_format",
    "closed_form",
    "differences",
    "directions",
    "feature_distributions",
    "figure",
    "figure6",
    "gains",
    "intervals",
    "latents",
    "levels",
    "loss_curves",
    "losses",
    "measured",
    "parabolas",
    "plane",
    "predicted_latents",
    "rho_r_map",
    "save",
    "won_back",
]
