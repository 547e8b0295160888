"""`Finding`: one thing that the preflight saw, for a line on standard error and an entry in the JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Finding:
    """Something in a sample that would make the measured shrinkage mean another thing than it seems to.

    Attributes:
        key:     short and stable, for programs: "scale", "layer_norm", "missing_bias", "outliers", ...
        message: one line: what was seen (with numbers), the likely cause, what to do

    >>> Finding("loss", "worse than x̂ = 0").to_dict()
    {'key': 'loss', 'message': 'worse than x̂ = 0'}
    """

    key: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """As in JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"
