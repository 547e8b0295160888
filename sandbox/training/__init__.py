"""Figure 6 on real activations: gather and split them, train SAEs over a range of sparsities, measure them all."""

from sandbox.training.architectures import ARCHITECTURES, Architecture
from sandbox.training.figure6 import figure6
from sandbox.training.gathered import Gathered, gather
from sandbox.training.plan import plan
from sandbox.training.sweep import sweep
from sandbox.training.train import Job, Training, train

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
