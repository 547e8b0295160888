"""Estimates as matplotlib draws them: their values, the ends of their intervals, and error bars."""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.report.estimates import Estimate


def value_of(estimate: Estimate) -> float:
    """The value of a defined estimate."""
    assert estimate.value is not None
    return estimate.value


def ends_of(estimate: Estimate) -> tuple[float, float]:
    """The ends of a defined estimate's interval, or its value twice if there is none."""
    value = value_of(estimate)
    return value if estimate.low is None else estimate.low, value if estimate.high is None else estimate.high


def error_bars(estimates: Sequence[Estimate]) -> list[list[float]]:
    """How far the intervals extend below and above the values, as `xerr` or `yerr`; 0 where there is none."""
    ends = [(value_of(estimate), *ends_of(estimate)) for estimate in estimates]
    return [[max(value - low, 0) for value, low, _ in ends], [max(high - value, 0) for value, _, high in ends]]
