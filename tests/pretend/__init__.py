"""A CUDA device that is not there, for machines without one: the CUDA path with its true numbers, and every wait."""

from tests.pretend.device import OnDevice, Pretended, Wait, pretend_cuda

__all__ = ["OnDevice", "Pretended", "Wait", "pretend_cuda"]
