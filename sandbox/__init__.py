"""Prove, see and measure feature shrinkage in sparse autoencoders.

The public names are loaded when first used, so `import sandbox` is quick and pulls in neither torch nor SymPy.

>>> import sandbox
>>> sandbox.prove("C2").results["scale_x_hat"]
c/b
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.claims.check import check
    from sandbox.claims.exercises import exercise
    from sandbox.downstream import loss
    from sandbox.errors import InputError
    from sandbox.explorer.widget import Explorer
    from sandbox.maths.derivations import prove
    from sandbox.maths.measures import REGISTRY
    from sandbox.measuring.ceilings import ceilings
    from sandbox.measuring.measure import look, measure, measure_pairs
    from sandbox.measuring.rescale import rescale
    from sandbox.moments.moments import Moments
    from sandbox.report import Report
    from sandbox.training import figure6

_HOMES = {
    "Explorer": "explorer.widget",
    "InputError": "errors",
    "Moments": "moments",
    "REGISTRY": "maths.measures",
    "Report": "report",
    "ceilings": "measuring.ceilings",
    "check": "claims.check",
    "exercise": "claims.exercises",
    "figure6": "training",
    "look": "measuring.measure",
    "loss": "downstream",
    "measure": "measuring.measure",
    "measure_pairs": "measuring.measure",
    "prove": "maths.derivations",
    "rescale": "measuring.rescale",
}
_MODULES = {
    "activations": "activations",
    "checking": "claims",
    "checkpoints": "checkpoints",
    "claims": "claims",
    "compile": "maths.compile",
    "derivations": "maths.derivations",
    "downstream": "downstream",
    "explorer": "explorer",
    "features": "simulate.features",
    "maths": "maths",
    "measures": "maths.measures",
    "measuring": "measuring",
    "moments": "moments",
    "plots": "plots",
    "report": "report",
    "simulate": "simulate",
    "strengths": "simulate.distributions",
    "theory": "simulate.theory",
    "training": "training",
}

__all__ = [
    "REGISTRY",
    "Explorer",
    "InputError",
    "Moments",
    "Report",
    "ceilings",
    "check",
    "exercise",
    "figure6",
    "look",
    "loss",
    "measure",
    "measure_pairs",
    "prove",
    "rescale",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(f"sandbox.{_HOMES[name]}"), name)
    if name in _MODULES:
        return import_module(f"sandbox.{_MODULES[name]}")
    raise AttributeError(f"module 'sandbox' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_MODULES})
