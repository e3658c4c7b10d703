"""The units of a summary, kept in the metadata of its Parquet file or of the files of its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predclv.data.durations import parse_moment
from predclv.data.paths import is_path
from predclv.errors import DataError, UnitError

__all__ = ["UNITS", "read_units", "settle_units", "units_metadata"]

#: What a summary's file says of how it was made.
UNITS = ("time_unit", "collapse", "opportunities", "observation_end", "observation_start", "currency")
_KEY = b"predclv"


def units_metadata(units: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Metadata for a Parquet file; units that are None are left out."""
    return {_KEY: json.dumps({name: str(unit) for name, unit in units.items() if unit is not None}).encode()}


def read_units(path: Path) -> dict[str, Any]:
    """Read what `units_metadata` put into a Parquet file, or into the first one of a folder: empty for any other."""
    if path.is_dir():
        path = min(path.glob("*.parquet"), default=path)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return {}
    try:
        stored = json.loads((pq.read_schema(path).metadata or {}).get(_KEY, b"{}"))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read as Parquet: {error}") from error
    except ValueError as error:
        raise DataError(f"'{path}' does not say its units in a way that can be read: {error}") from error
    return stored if isinstance(stored, dict) else {}


def settle_units(table: Any, **given: Any) -> dict[str, Any]:
    """Units that were given, and for the others those that a summary's file says of itself.

    Raises
    ------
    UnitError
        A unit that was given is not the file's.
    """
    known = read_units(Path(table).expanduser()) if is_path(table) else {}
    known = {name: unit for name, unit in known.items() if name in given}
    for name, unit in known.items():
        if given[name] is not None and _plain(name, given[name]) != _plain(name, unit):
            raise UnitError(f"{str(table)!r} was made with {name}={unit!r}, not {given[name]!r}. Leave {name!r} out.")
    return {**given, **known}


def _plain(name: str, unit: Any) -> Any:
    return parse_moment(name, unit) if name.startswith("observation_") else unit
