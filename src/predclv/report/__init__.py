"""The report: one HTML file that a manager can read, with everything in it and nothing fetched."""

from __future__ import annotations

from predclv.report.writer import write_report

__all__ = ["write_report"]
