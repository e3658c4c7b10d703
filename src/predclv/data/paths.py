"""CSV and Parquet files, opened lazily by DuckDB where it is installed and by pyarrow elsewhere."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw

from predclv.data.frames import collect_counts
from predclv.errors import DataError, see

__all__ = ["OnDisk", "is_path", "open_path", "reading", "reason_of", "text_to_numbers"]

_WHOLE = r"^(?:0|-?[1-9]\d{0,17})$"
_FRACTION = r"^-?(?:0|[1-9]\d{0,9})\.(?:0|\d{0,4}[1-9])$"


@dataclass(frozen=True)
class OnDisk:
    """A file or folder for DuckDB to read, by a connection that was set up for it.

    Attributes
    ----------
    path : str
    connection : duckdb.DuckDBPyConnection
    columns : sequence of str
        What is needed of a CSV file, which is read once and kept as a table.
    optional : sequence of str
        What is needed of it where it is there.
    """

    path: str
    connection: Any
    columns: Sequence[str]
    optional: Sequence[str] = ()

    def __fspath__(self) -> str:
        return self.path

    def __str__(self) -> str:
        return self.path


def is_path(table: object) -> bool:
    """Whether `table` names a file or folder."""
    return isinstance(table, str | os.PathLike)


def open_path(path: str | os.PathLike[str], text_columns: tuple[str, ...] = ()) -> Any:
    """Open a .csv or .parquet file, or a folder of .parquet files.

    Parameters
    ----------
    path : path
    text_columns : tuple of str
        Columns of a CSV file that are read as text and not guessed: dates, whose format must not be guessed, and
        ids and labels, which may have leading zeros (see `text_to_numbers`). An empty field is null in any column.

    Returns
    -------
    duckdb relation, or pyarrow.Table where DuckDB is absent

    Raises
    ------
    DataError
        There is no such file, or it is of another kind, or damaged.
    """
    if str(path).startswith(("postgres://", "postgresql://")):
        # Which may hold a password, so it is not repeated.
        raise DataError("A log in PostgreSQL is read by predclv.batch.summarize, and in a shell with --engine duckdb.")
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"There is no file or folder {str(place)!r}.")
    if place.is_dir() and not any(place.rglob("*.parquet")):
        raise DataError(f"The folder {str(place)!r} holds no .parquet files.")
    kind = "parquet" if place.is_dir() else place.suffix.lower().lstrip(".")
    if kind not in ("csv", "parquet"):
        raise DataError(
            f"{str(place)!r}: a purchase log is a .csv or .parquet file, or a folder of .parquet files.{see('files')}"
        )
    if place.is_file() and not place.stat().st_size:
        raise DataError(f"{str(place)!r} is an empty file. Was the export cut off?")
    with reading(path):
        if isinstance(path, OnDisk):
            return _open_on_disk(path, place, kind, text_columns)
        if importlib.util.find_spec("duckdb") is not None:
            import duckdb

            return _open_with_duckdb(duckdb.connect(), place, kind, text_columns)
        return _open_with_pyarrow(place, kind, text_columns)


@contextmanager
def reading(source: object) -> Iterator[None]:
    """Turn what a reader of files says of a damaged one into a DataError; other errors pass.

    A file is opened lazily, so it may show its damage as late as in the first pass over its rows.
    """
    try:
        yield
    except Exception as error:
        library = type(error).__module__.lstrip("_").partition(".")[0]
        if isinstance(source, OnDisk):
            raise  # whoever set up the connection knows whether memory, disk or the file is at fault
        if not is_path(source) or (library not in ("duckdb", "pyarrow") and not isinstance(error, OSError)):
            raise
        raise DataError(f"{str(source)!r} cannot be read: {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """What a reader of files complains of, on one line."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if re.search(r"utf-?8", str(error), flags=re.IGNORECASE):
        return f"it is not UTF-8 ({lines[0].strip()}).{see('files')}"
    # DuckDB names the line of a CSV file, then quotes it, then says what is wrong with it.
    if len(lines) > 2 and "CSV Error on Line" in lines[0]:
        return f"{lines[0]}: {lines[2]}"
    return lines[0]


def _open_with_duckdb(connection: Any, place: Path, kind: str, text_columns: tuple[str, ...]) -> Any:
    literal = _literal(place)
    if kind == "parquet":
        return connection.read_parquet(f"{literal}/**/*.parquet" if place.is_dir() else literal)
    # Told that there is a header, which it would take for a row where nothing follows it.
    columns = connection.read_csv(literal, header=True).columns
    text = {name: "VARCHAR" for name in text_columns if name in columns}
    return connection.read_csv(literal, header=True, dtype=text)


def _literal(place: Path) -> str:
    """A path in which DuckDB sees no pattern."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(place))


def _open_on_disk(source: OnDisk, place: Path, kind: str, text_columns: tuple[str, ...]) -> Any:
    import duckdb

    rows = _open_with_duckdb(source.connection, place, kind, text_columns)
    if kind == "parquet" or not set(source.columns) <= set(rows.columns):
        return rows  # what is missing is said by whoever looks for it
    needed = dict.fromkeys([*source.columns, *(name for name in source.optional if name in rows.columns)])
    rows.select(*(duckdb.ColumnExpression(name) for name in needed)).create("log")
    return source.connection.table("log")


def _open_with_pyarrow(place: Path, kind: str, text_columns: tuple[str, ...]) -> Any:
    import pyarrow as pa

    if kind == "parquet":
        import pyarrow.parquet as pq

        return pq.read_table(place)
    from pyarrow import csv

    # Empty fields are null and nothing else is, as DuckDB has it.
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in text_columns}, null_values=[""], strings_can_be_null=True
    )
    return csv.read_csv(place, convert_options=convert)


def text_to_numbers(frame: nw.LazyFrame[Any], columns: Sequence[str], *, fractions: bool = True) -> nw.LazyFrame[Any]:
    """Make text columns of a CSV file numbers where nothing is lost by it.

    Either every value is a whole number without leading zeros or, with `fractions`, every one is a decimal number
    that prints as it was written ("0.4", "1.0" but not "0.40"). Other columns stay text: '01' is no 1.
    """
    schema = frame.collect_schema()
    for column in columns:
        if schema[column] != nw.String:
            continue
        known = frame.select(column).filter(~nw.col(column).is_null())
        counts = collect_counts(
            known.select(
                known=nw.len(),
                whole=nw.col(column).str.contains(_WHOLE).cast(nw.Int64).sum(),
                fraction=nw.col(column).str.contains(_FRACTION).cast(nw.Int64).sum(),
            )
        )
        if counts["known"] and counts["whole"] == counts["known"]:
            frame = frame.with_columns(nw.col(column).cast(nw.Int64))
        elif fractions and counts["known"] and counts["fraction"] == counts["known"]:
            frame = frame.with_columns(nw.col(column).cast(nw.Float64))
    return frame
