"""What a table to be scored says of its own units, and that the job agrees with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from predclv.batch.sources import parquet_files
from predclv.data.units import read_common_units, same_unit
from predclv.errors import UnitError

__all__ = ["require_time_unit", "settle_as_of", "table_units"]


def table_units(table: str) -> dict[str, Any]:
    """Units of Parquet files that `predclv summarize` wrote; empty for other tables."""
    root = Path(table).expanduser()
    if not root.exists() or (root.is_file() and root.suffix.lower() != ".parquet"):
        return {}
    return read_common_units(parquet_files(root))


def settle_as_of(table: str, units: Mapping[str, Any], given: Any) -> Any:
    """The as-of date of the rows: what the table says, or else what was given; UnitError where they differ."""
    own = units.get("observation_end")
    if own is None:
        return given
    if given is not None and not same_unit("observation_end", given, own):
        raise UnitError(
            f"'{table}' is as of {own}, not {given}. Leave --observation-end out, or summarise the log anew."
        )
    return own


def require_time_unit(table: str, units: Mapping[str, Any], unit: str, option: str) -> None:
    """Raise UnitError where the table counts time in another unit than the model."""
    own = units.get("time_unit", units.get("period"))
    if own not in (None, unit):
        raise UnitError(
            f"'{table}' counts time in {own}s and the model in {unit}s. Summarise with --{option} {unit}, or fit again."
        )
