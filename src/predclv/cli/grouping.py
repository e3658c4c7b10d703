"""How a table of customers comes to a fit: read whole, or grouped by an engine within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import predclv as pc
from predclv.batch.table_units import table_units
from predclv.cli import steps
from predclv.data.checks import check_option
from predclv.errors import DataError

if TYPE_CHECKING:
    from predclv.data.rfm import RFMSummary

__all__ = ["Grouping"]


@dataclass(frozen=True)
class Grouping:
    """What is asked of the engine; as on the command line."""

    engine: str | None = None
    memory_limit: str | None = None
    spill: Path | None = None
    max_rows: int | None = None
    time_step: str | None = None

    def read(self, table: str, keep: Sequence[str] = (), **options: Any) -> RFMSummary:
        """Read as `read_summary` does, or take the distinct rows that an engine makes of the table."""
        asked = steps.given(**{name: value for name, value in asdict(self).items() if name != "engine"})
        if self.engine is None:
            if asked:
                raise DataError(f"{steps.flag_of(next(iter(asked)))} is about a table that --engine duckdb groups.")
            if "::" in table and not Path(table).exists():
                raise DataError(f"'{table}' names a table in a DuckDB file, which takes --engine duckdb.")
            return steps.read_summary(table, keep, **options)
        check_option("engine", self.engine, ("duckdb",))
        if options.get("date") is not None:
            raise DataError("--engine duckdb groups a table of customers. Summarise the log first: predclv summarize.")
        about = steps.given(**options)
        for name in sorted(set(about) - {"customer_id", *steps.UNITS}):
            raise DataError(f"{steps.flag_of(name)} is about a purchase log, which needs --date too.")
        if "time_step" in asked:
            asked["time_step"] = steps.number_or_text(asked["time_step"])
        is_there = Path(table.partition("::")[0]).expanduser().exists()
        if is_there and not {"time_unit", "opportunities"} & {*about, *table_units(table)}:
            raise DataError(f"'{table}' does not say in which unit its recency and T are. Give --time-unit.")
        return pc.batch.collapse_customers(table, by=keep, **asked, **about)
