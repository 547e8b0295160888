"""What lies there is exactly what is known: every other tensor and setting is refused, with what was seen."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from sandbox.errors import InputError

INSTEAD = "measure the SAE as a Python object, or x and x̂ as files, instead"


def exactly(path: Path, found: Collection[str], needed: Collection[str], optional: Collection[str] = ()) -> None:
    """Refuse tensors beyond `needed` and `optional`, and any of `needed` that is missing."""
    if missing := sorted(set(needed) - set(found)):
        raise InputError(f"{path}: holds {sorted(map(str, found))}, but no {', '.join(missing)}; nothing is guessed")
    if unknown := sorted(map(str, set(found) - set(needed) - set(optional))):
        raise InputError(f"{path}: {', '.join(unknown)} may change x̂ and is not known in this layout; {INSTEAD}")


def known(
    path: Path, config: Mapping[str, Any], understood: Mapping[str, tuple[Any, ...]], neutral: Collection[str]
) -> None:
    """Refuse settings that are not known, and values of known ones that are not read.

    Args:   understood: settings that change x̂, and the values of them that are read
            neutral:    settings that do not change x̂, or that the caller reads by itself
    """
    for option, values in understood.items():
        if option in config and config[option] not in values:
            raise InputError(
                f"{path}: {option} is {config[option]!r}, which changes x̂ and is not read here "
                f"(only {', '.join(map(repr, values))} is); {INSTEAD}"
            )
    if unknown := sorted(set(config) - set(understood) - set(neutral)):
        raise InputError(f"{path}: {', '.join(unknown)} may change x̂ and is not known here; nothing is guessed")


def same_sizes(path: Path, config: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
    """Refuse settings that contradict the sizes of the weights. Those that are not set say nothing."""
    for name, size in sizes.items():
        if config.get(name) is not None and config[name] != size:
            raise InputError(f"{path}: {name} is {config[name]!r}, but {size} in the weights")


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is one, and finite: neither true nor false, which Python takes for 1 and 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def flag(path: Path, config: Mapping[str, Any], name: str) -> bool:
    """A setting that has to be true or false."""
    if not isinstance(config.get(name), bool):
        raise InputError(f"{path}: {name} is {config.get(name)!r}; true or false is needed")
    return config[name]


def kept(path: Path, k: object, d_sae: int, name: str = "k") -> int:
    """How many latents of a token are kept: a whole number from 1 to d_sae."""
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= d_sae:
        raise InputError(f"{path}: {name} is {k!r}; a whole number from 1 to d_sae = {d_sae} is needed")
    return k
