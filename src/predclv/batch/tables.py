"""Tables of customers opened in the engine that holds them: files by DuckDB within its limits, frames by their own."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import pyarrow as pa
import pyarrow.parquet as pq

from predclv.batch.duckdb_reader import connect, quote, quote_text, table_schema
from predclv.batch.lock import spill_room
from predclv.batch.memory import Memory
from predclv.batch.sources import csv_header, parquet_files
from predclv.data.checks import quote_list
from predclv.data.paths import is_path, reason_of, text_to_numbers
from predclv.data.units import read_common_units
from predclv.errors import DataError

__all__ = ["EngineTable", "open_table"]

Frame = nw.LazyFrame[Any]


@dataclass(frozen=True)
class EngineTable:
    """A table that has not been read.

    Attributes
    ----------
    frame : LazyFrame
        Numbers of a CSV file are text.
    name : str
        What messages call it.
    is_text : bool
        Whether it is a CSV file.
    units : dict
        What the table says of its own units, as those do that `predclv summarize` wrote.
    hold : callable
        Keeps a result in the engine, so that it can be read several times at the cost of one.
    """

    frame: Frame
    name: str
    is_text: bool
    units: dict[str, Any]
    hold: Callable[[Frame], Frame]

    def numbers(self, frame: Frame, columns: Sequence[str]) -> Frame:
        """Make columns floats; DataError where they hold something else."""
        schema = frame.collect_schema()
        for column in columns:
            kind = schema[column]
            if not (kind.is_numeric() or kind == nw.Unknown):
                raise DataError(f"{self.name} holds {kind} values in {column!r}, where numbers belong.")
        return frame.with_columns(nw.col(*columns).cast(nw.Float64))

    def labels(self, frame: Frame, columns: Sequence[str]) -> Frame:
        """Make text of a CSV file numbers where nothing is lost by it; leave other columns as they are."""
        return text_to_numbers(frame, columns) if self.is_text else frame


@contextmanager
def open_table(
    source: Any, numbers: Sequence[str], memory: Memory, spill: str | os.PathLike[str] | None
) -> Iterator[EngineTable]:
    """Yield a table, open until the block ends.

    Parameters
    ----------
    source : path or frame
        A .parquet or .csv file, a folder of .parquet files, "file.duckdb::table"; a DuckDB relation, or a frame of
        Spark, polars, pandas or pyarrow.
    numbers : sequence of str
        Columns of a CSV file that hold numbers, where it has them.
    memory : Memory
        Of the whole job, for paths; the engine of a frame has limits of its own.
    spill : path, optional
        Folder for what does not fit, for paths; by default one of the system's for temporary files. What is written
        there goes when the block ends.

    Raises
    ------
    DataError
        It is no such table, damaged, or takes more than there is.
    ImportError
        A path is given and DuckDB is not installed.
    """
    if not is_path(source):
        with _open_frame(source) as table:
            yield table
        return
    if importlib.util.find_spec("duckdb") is None:
        raise ImportError("Grouping a file takes duckdb: pip install 'predclv[duckdb]'.")
    with ExitStack() as stack:
        folder = stack.enter_context(spill_room(Path(tempfile.gettempdir() if spill is None else spill)))
        yield stack.enter_context(_open_path(os.fspath(source), numbers, memory.for_grouping, folder))


@contextmanager
def _open_frame(source: Any) -> Iterator[EngineTable]:
    try:
        frame = nw.from_native(source).lazy()
    except TypeError:
        raise DataError(
            f"The table is a {type(source).__name__}. Give the path of a Parquet or CSV file, 'file.duckdb::table', a "
            "DuckDB relation, or a frame of Spark, polars, pandas or pyarrow."
        ) from None
    kept: list[Any] = []

    def hold(result: Frame) -> Frame:
        if not result.implementation.is_pyspark():
            return result
        native: Any = result.to_native()
        kept.append(native.persist())
        again: Frame = nw.from_native(kept[-1])
        return again

    try:
        yield EngineTable(frame, "the table", False, {}, hold)
    finally:
        for result in kept:
            result.unpersist()


@contextmanager
def _open_path(path: str, numbers: Sequence[str], limit: int, folder: Path) -> Iterator[EngineTable]:
    name, _, table = path.partition("::")
    root = Path(name).expanduser()
    if not root.exists():
        raise DataError(f"There is no file or folder {name!r}.")
    is_text = not table and root.is_file() and root.suffix.lower() == ".csv"
    with _explaining(path, folder), connect(limit, folder, root if table else None) as connection:
        units: dict[str, Any] = {}
        if table:
            table_schema(root, table)
            query = f"SELECT * FROM source.{quote(table)}"
        elif is_text:
            query = _csv_query(root, numbers)
        else:
            files = parquet_files(root)
            places = ", ".join(quote_text(str(file)) for file in files)
            query = f"SELECT * FROM read_parquet([{places}], hive_partitioning = false)"
            _require_one_schema(files)
            units = read_common_units(files)
        held = 0

        def hold(result: Frame) -> Frame:
            nonlocal held
            if not held:
                # In a file of its own, which takes no memory once it is written.
                connection.execute(f"ATTACH {quote_text(str(folder / 'held.duckdb'))} AS held")
            held += 1
            native: Any = result.to_native()
            connection.execute(f"CREATE TABLE held.result{held} AS {native.sql_query()}")
            again: Frame = nw.from_native(connection.sql(f"SELECT * FROM held.result{held}"))
            return again

        yield EngineTable(nw.from_native(connection.sql(query)), f"'{path}'", is_text, units, hold)


def _csv_query(path: Path, numbers: Sequence[str]) -> str:
    """All columns, an empty field a null; those of numbers as such, and what is none of them infinite."""
    header = csv_header(path)
    kinds = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in header)
    dialect = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"'"
    columns = ", ".join(
        # Infinite, and so refused: of money and of gaps one-time buyers may have none, but not what cannot be read.
        f"CASE WHEN trim({quote(name)}) <> '' THEN coalesce(TRY_CAST({quote(name)} AS DOUBLE), 'inf'::DOUBLE) "
        f"END AS {quote(name)}"
        if name in numbers
        else f"nullif({quote(name)}, '') AS {quote(name)}"
        for name in header
    )
    return f"SELECT {columns} FROM read_csv({quote_text(str(path))}, {dialect}, columns={{{kinds}}})"


def _require_one_schema(files: Sequence[Path]) -> None:
    """Raise DataError where the parts of a table differ in their columns."""
    first = pq.read_schema(files[0])
    for file in files[1:]:
        own = pq.read_schema(file)
        differing = [
            name for name in first.names if name not in own.names or own.field(name).type != first.field(name).type
        ]
        if differing or set(own.names) != set(first.names):
            named = quote_list(differing or sorted(set(own.names) - set(first.names)))
            raise DataError(
                f"'{file}' has other columns than '{files[0]}': {named}. All parts of a table must be alike."
            )


@contextmanager
def _explaining(path: str, folder: Path) -> Iterator[None]:
    """Name the table where what reads it does not, and what may be done where memory or disk do not reach."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"'{path}' cannot be read: {reason_of(error)}") from error
    except Exception as error:
        kind = type(error)
        if kind.__module__.split(".")[0] not in ("duckdb", "_duckdb"):
            raise
        if kind.__name__ == "OutOfMemoryException":
            raise DataError(
                f"'{path}' cannot be grouped within the memory limit and what '{folder.parent}' holds: "
                f"{_first_line(error)} Give a higher memory limit, or a spill folder with more room."
            ) from error
        raise DataError(f"'{path}' cannot be read: {reason_of(error)}") from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
