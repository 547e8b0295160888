"""Enforces annotations while the tests run: shapes with jaxtyping, everything else with beartype.

`pytest --typed` and `make test-all` switch it on. An import hook decorates every function of the modules in `CORE`.
Not among them are modules that refuse wrong shapes with their own messages, because the checker would raise first, and
modules whose tests pass them stand-ins of other types.
"""

from typing import Any, Self

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

CORE = [
    "sandbox.moments.totalling",
    "sandbox.moments.sums",
    "sandbox.moments.clusters",
    "sandbox.moments.dense",
    "sandbox.measuring.forward",
    "sandbox.measuring.reconstruct",
    "sandbox.measuring.one_pass",
    "sandbox.measuring.totals",
    "sandbox.measuring.ranks",
    "sandbox.maths.compile",
    "sandbox.activations.split",
    "sandbox.checkpoints.autoencoder",
    "sandbox.checkpoints.activation_functions",
    "sandbox.checkpoints.normalisation",
    "sandbox.explorer.shown",
    "sandbox.simulate.theory",
    "sandbox.plots.rho_r_map",
]

_beartyped = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int counts as a float, as for pyright


def checked(decorated: Any) -> Any:
    """The function or class with checked arguments. `Self` becomes Any, because a method does not know its class."""
    if isinstance(hints := getattr(decorated, "__annotations__", None), dict) and not isinstance(decorated, type):
        hints.update({name: Any for name, hint in hints.items() if hint in (Self, "Self")})
    return _beartyped(decorated)


def install() -> None:
    """From now on, check the annotations of `CORE`. None of its modules may be imported yet."""
    install_import_hook(CORE, f"{__name__}.checked")
