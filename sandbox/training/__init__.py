"""Figure 6 on real activations: gather and split them, train SAEs over a range of sparsities, measure each."""

from sandbox.training.architectures import ARCHITECTURES, Architecture
from sandbox.training.figure6 import figure6
from sandbox.training.plan import plan
from sandbox.training.sweep_data import SweepData, gather
from sandbox.training.train_all import train_all
from sandbox.training.trainer import Job, Training, train

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "Job",
    "SweepData",
    "Training",
    "figure6",
    "gather",
    "plan",
    "train",
    "train_all",
]
