"""The quality table: what became of every row and customer."""

from __future__ import annotations

import pandas as pd

__all__ = ["QualityNotes", "empty_quality"]

COLUMNS = {
    "step": "str",
    "what": "str",
    "count": "int64",
    "total": "int64",
    "unit": "str",
    "share": "float64",
    "note": "str",
    "first_case": "str",
}


class QualityNotes:
    """Collects counts while a log is read, and gives them as one tidy table."""

    def __init__(self) -> None:
        self._rows: list[dict[str, object]] = []

    def add(
        self, step: str, what: str, count: int, total: int, unit: str, note: str = "", first_case: str = ""
    ) -> None:
        """Add one line.

        Parameters
        ----------
        step : str
            Stage of the reading: "read", "check", "window", "returns", "collapse", "customers", "carry".
        what : str
            What happened, as a short phrase that stays the same between runs.
        count, total : int
            How many, of how many.
        unit : str
            What is counted: "rows", "purchases" or "customers".
        note, first_case : str
            A remark, and the first example, where there is one.
        """
        share = count / total if total else 0.0
        self._rows.append(
            {
                "step": step,
                "what": what,
                "count": count,
                "total": total,
                "unit": unit,
                "share": share,
                "note": note,
                "first_case": first_case,
            }
        )

    def extend(self, others: QualityNotes) -> None:
        """Add the lines of others."""
        self._rows += others._rows

    def to_pandas(self) -> pd.DataFrame:
        """Return the lines in the order they were added."""
        return pd.DataFrame(self._rows, columns=list(COLUMNS)).astype(COLUMNS)


def empty_quality() -> pd.DataFrame:
    """Return a quality table without lines."""
    return QualityNotes().to_pandas()
