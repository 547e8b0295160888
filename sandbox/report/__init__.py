"""Moments ► every measure with its interval, as tables, sentences, JSON and CSV."""

from sandbox.report.differences import SHRINKAGE, Difference, differences
from sandbox.report.estimates import ORIGINS, Estimate, estimate, standard_error
from sandbox.report.files import to_csv, to_json
from sandbox.report.jackknife import LEVEL, interval, left_out
from sandbox.report.points import Point, points_to_csv, read_points
from sandbox.report.report import Report
from sandbox.report.verdict import Verdict, verdict

__all__ = [
    "LEVEL",
    "ORIGINS",
    "SHRINKAGE",
    "Difference",
    "Estimate",
    "Point",
    "Report",
    "Verdict",
    "differences",
    "estimate",
    "interval",
    "left_out",
    "points_to_csv",
    "read_points",
    "standard_error",
    "to_csv",
    "to_json",
    "verdict",
]
