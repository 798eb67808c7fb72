"""A study's or task's report: one HTML file that needs nothing else. See README.md."""

from hpsearch.report.html.page import Written, write

__all__ = ["Written", "write"]
