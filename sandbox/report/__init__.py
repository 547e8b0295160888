"""Moments ► every measure with its interval, as a table, JSON, CSV, and in words."""

from sandbox.report.estimates import LEVEL, Estimate, estimate, interval, standard_error
from sandbox.report.files import to_csv, to_json
from sandbox.report.points import Point, points_to_csv, read_points
from sandbox.report.report import ORIGINS, Report

__all__ = [
    "LEVEL",
    "ORIGINS",
    "Estimate",
    "Point",
    "Report",
    "estimate",
    "interval",
    "points_to_csv",
    "read_points",
    "standard_error",
    "to_csv",
    "to_json",
]
