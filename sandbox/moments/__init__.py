"""The waist of the hourglass: everything that is measured narrows to `Moments`, and every report begins there."""

from sandbox.moments.moments import GROUPS, Moments

__all__ = ["GROUPS", "Moments"]
