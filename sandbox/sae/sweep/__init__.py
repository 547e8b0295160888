"""Figure 6 on real activations: gather and split them, train SAEs over a range of sparsities, measure them all."""

from sandbox.sae.architectures import ARCHITECTURES, Architecture
from sandbox.sae.sweep.figure6 import figure6
from sandbox.sae.sweep.gathered import Gathered, gather
from sandbox.sae.sweep.plan import plan
from sandbox.sae.sweep.sweep import sweep
from sandbox.sae.sweep.training import Job, Training, train

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Gathered",
    "Job",
    "Training",
    "figure6",
    "gather",
    "plan",
    "sweep",
    "train",
]
