"""A summary as Parquet: one file, or a folder of parts, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from predclv.data.units import UNITS, units_metadata
from predclv.errors import DataError
from predclv.files import check_replaceable, replace_file, replace_folder, write_text

__all__ = ["SUMMARY", "check_target", "write_summary"]

#: What lists the parts of a summary that is a folder, and says how they were made.
SUMMARY = "_summary.json"
_ROWS_PER_PART = 1_000_000


def check_target(out: Path, source: Path | None) -> None:
    """Refuse, before any work, a target that is the input or somebody else's.

    Raises
    ------
    DataError
        It is the input or lies in it, or is neither a .parquet file nor a folder.
    FileExistsError, NotADirectoryError, PermissionError
        It may not be written there without losing something.
    """
    if source is not None:
        place, read = out.resolve(), source.expanduser().resolve()
        if place.is_relative_to(read) or read.is_relative_to(place):
            raise DataError(f"'{out}' and what is read lie within one another. Give another name for the output.")
    if out.suffix.lower() == ".parquet":
        if out.is_dir():
            raise DataError(f"'{out}' is a folder. Give the name of a file.")
    elif out.suffix:
        raise DataError(f"'{out}' must be a .parquet file, or a folder, which has no suffix, for several.")
    else:
        check_replaceable(out, SUMMARY)


def write_summary(out: Path, tables: Iterable[pa.Table], units: Mapping[str, Any]) -> None:
    """Write tables one after the other, with their units in the metadata.

    Parameters
    ----------
    out : path
        A .parquet file, or a folder for parts of a million rows.
    tables : iterable of pyarrow.Table
        All of one schema; what it raises leaves `out` as it was.
    units : mapping
        Those of `UNITS`.

    Raises
    ------
    DataError
        It cannot be written.
    """
    metadata = units_metadata({name: units[name] for name in UNITS})
    try:
        if out.suffix.lower() == ".parquet":
            with replace_file(out) as temporary:
                _write(lambda number: temporary, tables, metadata, None)
            return
        with replace_folder(out, manifest=SUMMARY) as folder:
            rows = _write(lambda number: folder / f"part-{number:05}.parquet", tables, metadata, _ROWS_PER_PART)
            files = sorted([entry.name for entry in folder.iterdir()] + [SUMMARY])
            about = {"rows": rows, "units": json.loads(next(iter(metadata.values()))), "files": files}
            write_text(folder / SUMMARY, json.dumps(about, indent=2) + "\n")
    except OSError as error:
        raise DataError(f"'{out}' cannot be written: {error}. Nothing of it is left.") from error


def _write(
    name: Callable[[int], Path], tables: Iterable[pa.Table], metadata: dict[bytes, bytes], most: int | None
) -> int:
    """Write parts of at least `most` rows, or one; return how many rows there were."""
    writer: Any = None
    total = in_part = parts = 0
    try:
        for table in tables:
            if writer is None:
                writer = pq.ParquetWriter(name(parts), table.schema.with_metadata(metadata))
                parts, in_part = parts + 1, 0
            writer.write_table(table.replace_schema_metadata(metadata))
            total, in_part = total + table.num_rows, in_part + table.num_rows
            if most is not None and in_part >= most:
                _finish(writer, name(parts - 1))
                writer = None
        if writer is not None:
            _finish(writer, name(parts - 1))
            writer = None
    finally:
        if writer is not None:
            with suppress(OSError):  # of a file that is thrown away
                writer.close()
    return total


def _finish(writer: Any, path: Path) -> None:
    writer.close()
    with path.open("rb") as file:
        os.fsync(file.fileno())
