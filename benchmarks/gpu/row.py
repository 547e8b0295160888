"""`Row`: one figure of a part, beside its goal where it has one."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

MARK = "row "  # begins a line of a part's output that holds a row


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        part, case: what was measured
        value:      the figure; None where it could not be had, and `words` says why
        unit:       of the figure; "" for a ratio
        goal:       what the figure should not exceed, or, with `at_least`, not fall below; None for what is no claim
        words:      what the figure is a ratio of, or why there is none
        more:       other numbers that belong to it: seconds, bytes, tokens a second
    """

    part: str
    case: str
    value: float | None
    unit: str = ""
    goal: float | None = None
    at_least: bool = False
    words: str = ""
    more: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether the claim holds; None for what is no claim."""
        if self.goal is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def verdict(self) -> str:
        """In one word."""
        return {None: "", True: "holds", False: "FAILS"}[self.holds]

    @property
    def figure(self) -> str:
        """The figure with its unit."""
        return "—" if self.value is None else f"{self.value:.3g} {self.unit}".strip()

    @property
    def limit(self) -> str:
        """The goal with its sign."""
        return "" if self.goal is None else f"{'≥' if self.at_least else '≤'} {self.goal:g}"

    def line(self) -> str:
        """As a part prints it for the program that started it."""
        return MARK + json.dumps(asdict(self))

    @classmethod
    def of_line(cls, line: str) -> Row | None:
        """The row that a line holds, if it holds a whole one."""
        with suppress(ValueError):  # a part was stopped in the middle of it
            return cls(**json.loads(line.removeprefix(MARK))) if line.startswith(MARK) else None
        return None

    def to_dict(self) -> dict[str, Any]:
        """As in JSON, which has no infinity and no NaN."""
        value = self.value if self.value is None or math.isfinite(self.value) else None
        more = {key: number for key, number in self.more.items() if math.isfinite(number)}
        return asdict(self) | {"value": value, "more": more, "holds": self.holds}
