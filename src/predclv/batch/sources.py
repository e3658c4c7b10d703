"""Tables of RFM rows on disk, read in bounded memory: Parquet, CSV and DuckDB tables, by pyarrow or by DuckDB.

Whoever reads gives the same rows in the same order and types, so that what is made of them is the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from predclv.batch.duckdb_reader import connect, quote, quote_text, read, table_schema
from predclv.batch.rows import Needs
from predclv.batch.spark_session import require_java, require_spark
from predclv.data.checks import check_option
from predclv.errors import DataError
from predclv.files import file_sha256

__all__ = ["ENGINES", "Reading", "Source", "csv_header", "open_source", "parquet_files", "plain_type"]

ENGINES = ("duckdb", "pyarrow", "spark")
_BATCH = 65_536


@dataclass(frozen=True)
class Reading:
    """How rows are read.

    Attributes
    ----------
    engine : {"duckdb", "pyarrow", "spark"}
        Spark's workers read by pyarrow.
    memory : int
        Bytes that DuckDB may use.
    spill : path
        Folder for what does not fit.
    """

    engine: str
    memory: int
    spill: Path


@dataclass(frozen=True)
class Source:
    """A table on disk.

    Attributes
    ----------
    kind : {"parquet", "csv", "duckdb"}
    root : path
        The file or folder.
    files : tuple of path
        In the order of their rows.
    table : str
        Of a DuckDB file; empty otherwise.
    schema : pyarrow.Schema
        The columns that are read, as `batches` gives them: of CSV files all are text.
    """

    kind: str
    root: Path
    files: tuple[Path, ...]
    table: str
    schema: pa.Schema

    def fingerprint(self) -> dict[str, Any]:
        """What the table is: names below `root`, sizes and SHA-256 of the content."""
        return {
            "kind": self.kind,
            **({"table": self.table} if self.table else {}),
            "files": [
                {"name": self._name(path), "bytes": path.stat().st_size, "sha256": file_sha256(path)}
                for path in self._all_files()
            ],
        }

    def stamp(self) -> list[tuple[str, int, int, int]]:
        """What changes when a file does, at the cost of a look: name, size, time and place on disk."""
        found = []
        for path in self._all_files():
            try:
                state = path.stat()
            except FileNotFoundError:
                raise DataError(f"'{path}' was there when the job began and is not any more.") from None
            found.append((self._name(path), state.st_size, state.st_mtime_ns, state.st_ino))
        return found

    def count(self, reading: Reading) -> int:
        """Number of rows."""
        if self.kind == "parquet":
            return sum(pq.read_metadata(path).num_rows for path in self.files)
        return sum(batch.num_rows for batch in self.batches(reading, ["customer_id"]))

    def batches(
        self, reading: Reading, columns: Sequence[str] | None = None, skip: int = 0
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows after the first `skip`, in their order, with these columns (all of `schema` by default)."""
        names = self.schema.names if columns is None else list(columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        with _reading(self.root):
            rows = self._by_duckdb(reading, names) if reading.engine == "duckdb" else self._by_pyarrow(names, skip)
            left = skip
            for before, batch in rows:
                left -= before
                if left >= batch.num_rows:
                    left -= batch.num_rows
                    continue
                yield _settle(batch.slice(max(left, 0)), schema, self.kind == "csv")
                left = 0

    def _by_pyarrow(self, names: list[str], skip: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Batches, each with how many rows were passed over before it without being read."""
        if self.kind == "duckdb":
            raise DataError("A DuckDB table is read by --engine duckdb.")
        if self.kind == "csv":
            for path in self.files:
                with _open_csv(path, names) as reader:
                    yield from ((0, batch) for batch in reader)
            return
        passed = 0
        for path in self.files:
            with _reading(path), pq.ParquetFile(path) as file:
                for group in range(file.num_row_groups):
                    n = file.metadata.row_group(group).num_rows
                    if n <= skip:
                        skip, passed = skip - n, passed + n
                        continue
                    skip = 0
                    for batch in file.iter_batches(_BATCH, row_groups=[group], columns=names, use_threads=False):
                        yield passed, batch.select(names)
                        passed = 0

    def _by_duckdb(self, reading: Reading, names: list[str]) -> Iterator[tuple[int, pa.RecordBatch]]:
        with connect(reading.memory, reading.spill, self.root if self.kind == "duckdb" else None) as connection:
            columns = ", ".join(quote(name) for name in names)
            if self.kind == "duckdb":
                reader = read(connection, f"SELECT {columns} FROM source.{quote(self.table)}", _BATCH)
                yield from ((0, batch) for batch in reader)
                return
            for path in self.files:
                with _reading(path):
                    reader = read(connection, f"SELECT {columns} FROM {self._duckdb_function(path)}", _BATCH)
                    yield from ((0, batch) for batch in reader)

    def _duckdb_function(self, path: Path) -> str:
        place = quote_text(str(path))
        if self.kind == "parquet":
            return f"read_parquet({place})"
        kinds = ", ".join(f"{quote_text(name)}: 'VARCHAR'" for name in csv_header(path))
        dialect = "auto_detect=false, header=true, delim=',', quote='\"', escape='\"'"
        return f"read_csv({place}, {dialect}, columns={{{kinds}}})"

    def _name(self, path: Path) -> str:
        return path.name if path == self.root else path.relative_to(self.root.parent).as_posix()

    def _all_files(self) -> tuple[Path, ...]:
        # What DuckDB has not written into the file yet stands beside it.
        log = self.root.with_name(self.root.name + ".wal")
        return (*self.files, log) if self.kind == "duckdb" and log.exists() else self.files


def open_source(path: str, needs: Needs, engine: str) -> Source:
    """Look at a table on disk, and refuse one that cannot be scored; no row is read.

    Parameters
    ----------
    path : str
        A .parquet or .csv file, a folder of .parquet files, or "file.duckdb::table".
    needs : Needs
        Columns that are wanted.
    engine : {"duckdb", "pyarrow", "spark"}

    Raises
    ------
    DataError
        It is missing, damaged, of another kind, lacks columns; or files of a folder differ in their columns.
    ImportError
        DuckDB is wanted and not installed.
    """
    check_option("engine", engine, ENGINES)
    if engine == "duckdb" and importlib.util.find_spec("duckdb") is None:
        raise ImportError("--engine duckdb needs duckdb: pip install 'predclv[duckdb]', or take --engine pyarrow.")
    name, _, table = path.partition("::")
    root = Path(name).expanduser()
    if engine == "spark":
        if table or root.suffix.lower() == ".csv":
            raise DataError(f"--engine spark reads Parquet files, and {path!r} is none: take --engine duckdb.")
        require_spark("--engine spark")
        require_java()
    if not root.exists():
        raise DataError(f"There is no file or folder {name!r}.")
    if table:
        if engine != "duckdb":
            raise DataError(f"{path!r} is a DuckDB table, which is read by --engine duckdb.")
        with _reading(root):
            schema = table_schema(root, table)
        needs.check(schema, f"The table {table!r}")
        return Source("duckdb", root, (root,), table, _plain(schema, needs))
    if root.is_file() and root.suffix.lower() == ".csv":
        header = pa.schema([(column, pa.string()) for column in csv_header(root)])
        as_numbers = [pa.field(f.name, pa.float64() if f.name in needs.numbers else f.type) for f in header]
        needs.check(pa.schema(as_numbers), f"'{root}'")
        return Source("csv", root, (root,), "", _plain(header, needs))
    files = parquet_files(root)
    schemas = [_parquet_schema(file, needs) for file in files]
    for file, schema in zip(files, schemas, strict=True):
        if schema != schemas[0]:
            raise DataError(
                f"'{file}' has other columns than '{files[0]}': {_difference(schema, schemas[0])}. All parts of a "
                "table must be alike."
            )
    return Source("parquet", root, files, "", schemas[0])


def parquet_files(root: Path) -> tuple[Path, ...]:
    """Files of a table, in the order of their rows: `root`, or those in it that are neither hidden nor set aside."""
    if root.is_file():
        if root.suffix.lower() != ".parquet":
            raise DataError(f"'{root}' is no .parquet or .csv file, nor a folder of .parquet files.")
        return (root,)
    files = [
        file
        for file in root.rglob("*.parquet")
        if file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(root).parts)
    ]
    if not files:
        raise DataError(f"The folder '{root}' holds no .parquet files.")
    return tuple(sorted(files, key=lambda file: file.relative_to(root).as_posix()))


def _parquet_schema(path: Path, needs: Needs) -> pa.Schema:
    with _reading(path):
        schema = pq.read_schema(path)
    needs.check(schema, f"'{path}'")
    return _plain(schema, needs)


def _plain(schema: pa.Schema, needs: Needs) -> pa.Schema:
    """The columns that are wanted, in one way to hold each kind of value."""
    return pa.schema([pa.field(name, plain_type(schema.field(name).type)) for name in needs.columns])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The one way in which a kind of value is held."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) else kind


def _difference(schema: pa.Schema, other: pa.Schema) -> str:
    return ", ".join(
        f"{field.name} is {field.type} and not {other.field(field.name).type}"
        for field in schema
        if field.type != other.field(field.name).type
    )


def _settle(batch: pa.RecordBatch, schema: pa.Schema, empty_is_null: bool) -> pa.RecordBatch:
    columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
    if empty_is_null:
        columns = [pc.if_else(pc.equal(column, ""), None, column) for column in columns]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def csv_header(path: Path) -> list[str]:
    """Names of a CSV file's columns."""
    with _reading(path), pacsv.open_csv(path, parse_options=_CSV) as reader:
        return list(reader.schema.names)


def _open_csv(path: Path, names: list[str]) -> Any:
    return pacsv.open_csv(
        path,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=4 << 20),
        parse_options=_CSV,
        convert_options=pacsv.ConvertOptions(
            column_types={name: pa.string() for name in names}, include_columns=names, strings_can_be_null=False
        ),
    )


_CSV = pacsv.ParseOptions(newlines_in_values=True)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file where what reads it does not."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"'{path}' cannot be read: {error}") from error
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("duckdb", "_duckdb"):
            raise
        raise DataError(f"'{path}' cannot be read: {error}") from error
