"""The units of a summary, kept in the metadata of its Parquet file or of the files of its folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predclv.data.durations import parse_moment
from predclv.data.paths import is_path
from predclv.errors import DataError, UnitError

__all__ = ["UNITS", "read_common_units", "read_units", "same_unit", "settle_units", "units_metadata"]

#: What a summary's file says of how it was made.
UNITS = ("time_unit", "collapse", "opportunities", "observation_end", "observation_start", "currency")
_KEY = b"predclv"


def units_metadata(units: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Metadata for a Parquet file; units that are None are left out."""
    return {_KEY: json.dumps({name: str(unit) for name, unit in units.items() if unit is not None}).encode()}


def read_units(path: Path) -> dict[str, Any]:
    """Read what `units_metadata` put into a Parquet file, or into those of a folder: empty for any other."""
    if path.is_dir():
        return read_common_units(sorted(file for file in path.glob("*.parquet") if file.name[0] not in "._"))
    return _read(path)


def read_common_units(files: Iterable[Path]) -> dict[str, Any]:
    """Read the units of a table in several files; those that say none are taken to have the others'.

    Raises
    ------
    UnitError
        Two files were made otherwise.
    """
    known: dict[str, Any] = {}
    first: Path | None = None
    for file in files:
        own = _read(file)
        if known and own and own != known:
            name = next(name for name in {**known, **own} if known.get(name) != own.get(name))
            raise UnitError(
                f"'{file}' was made with {name}={own.get(name)!r}, and '{first}' with {known.get(name)!r}. All parts "
                "of a table must be alike: summarise the log anew, in one piece."
            )
        if own and not known:
            known, first = own, file
    return known


def same_unit(name: str, one: Any, other: Any) -> bool:
    """Whether two values of a unit are the same, dates in whatever form."""
    return bool(_plain(name, one) == _plain(name, other))


def _read(path: Path) -> dict[str, Any]:
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
        if given[name] is not None and not same_unit(name, given[name], unit):
            raise UnitError(f"{str(table)!r} was made with {name}={unit!r}, not {given[name]!r}. Leave {name!r} out.")
    return {**given, **known}


def _plain(name: str, unit: Any) -> Any:
    return parse_moment(name, unit) if name.startswith("observation_") else unit
