"""The explorer's settings, and the limits of each.

The browser gets the same table of limits (`sandbox.explorer.generated`), so a typed value, a link and a trait set from
Python all obey it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandbox.errors import InputError
from sandbox.maths.measures import REGISTRY

BLOCKS = 50
"""The batches of a population, which are also the clusters of its intervals."""

POINTS = 64
"""The points that can be merged into cells."""

NOTHING = 1e-12
"""Smaller values count as 0, because their squares would have no digits left."""


@dataclass(frozen=True)
class Control:
    """A numeric setting: its limits, and the steps of its slider (`step`) and of an arrow key (`key_step`).

    `group` names the part of the explorer that its slider stands in.
    """

    name: str
    label: str
    low: float
    high: float
    default: float
    step: float
    key_step: float
    unit: str = ""
    whole: bool = False
    group: str = "pair"

    def check(self, value: Any) -> float | int:
        """The value as this setting holds it; raises InputError with the limits for one outside them."""
        is_number = isinstance(value, int | float | np.integer | np.floating)
        is_number = is_number and not isinstance(value, bool | np.timedelta64)
        try:
            number = float(value) if is_number else math.nan
        except OverflowError:
            number = math.inf
        if not self.low <= number <= self.high or (self.whole and number % self.step):
            steps = f", in steps of {self.step:g}" if self.whole and self.step != 1 else ""
            kind = "a whole number" if self.whole else "a number"
            limits = f"{self.low:g} to {self.high:g}{self.unit}{steps}"
            raise InputError(f"{self.name} is {str(value)[:40]!r}: it must be {kind} from {limits}")
        number = 0.0 if abs(number) < NOTHING else number
        return int(number) if self.whole else number


CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("angle", "angle between x and x̂", 0, 180, 40, 0.1, 1, "°"),
        Control("norm_ratio", "norm ratio ‖x̂‖/‖x‖", 0, 2, 0.6, 0.01, 0.05),
        Control("norm_x", "norm of x", 0, 2, 1, 0.01, 0.05),
        Control("penalty", "L1 penalty λ", 0, 6, 0, 0.01, 0.1, group="penalty"),
        Control("spread", "spread of the angle", 0, 60, 15, 0.1, 1, "°", group="population"),
        Control("norm_spread", "spread of log ‖x‖", 0, 1, 0.5, 0.01, 0.05, group="population"),
        Control("offset", "shared offset ‖m‖", 0, 3, 0, 0.01, 0.05, group="population"),
        Control("n", "pairs", BLOCKS, 10_000, 1000, BLOCKS, 500, whole=True, group="population"),
        Control("seed", "sample", 0, 9999, 0, 1, 1, whole=True, group="population"),
        Control("cells", "cells", 1, POINTS, 12, 1, 1, whole=True, group="merged"),
        Control("factor", "factor applied to the means", 0, 1.5, 1, 0.01, 0.05, group="merged"),
    )
}

SWITCHES = ("population", "merged")
"""The settings that are on or off. With both on, the merged points are shown."""

DEFAULTS: dict[str, Any] = {name: control.check(control.default) for name, control in CONTROLS.items()}
DEFAULTS |= dict.fromkeys(SWITCHES, False) | {"measure": "relative_reconstruction_bias"}


def checked(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A full state: these settings, each checked, and the defaults for the rest.

    Raises: InputError that names the setting
    """
    state = dict(DEFAULTS)
    for name, value in settings.items():
        if name in CONTROLS:
            state[name] = CONTROLS[name].check(value)
        elif (name in SWITCHES and isinstance(value, bool)) or (
            name == "measure" and isinstance(value, str) and value in REGISTRY
        ):
            state[name] = value
        else:
            expected = dict.fromkeys(SWITCHES, "True or False") | {"measure": f"one of {', '.join(REGISTRY)}"}
            raise InputError(
                f"{name} is {str(value)[:40]!r}: it must be {expected[name]}"
                if name in expected
                else f"the explorer has no setting {name!r}; its settings are {', '.join(DEFAULTS)}"
            )
    return state
