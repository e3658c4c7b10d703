"""DuckDB as a reader: within a memory limit, with nothing fetched, installed or run that a file might ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from predclv.data.checks import quote_list, suggest
from predclv.errors import DataError

__all__ = ["arrow_reader", "connect", "quote", "quote_text", "read", "table_schema"]

# Little enough for a look at a table's columns.
_LOOK = 256 << 20


@contextmanager
def connect(memory: int, spill: Path | None, database: Path | None = None) -> Iterator[Any]:
    """Yield a connection of its own; `database` is there as `source`, read only."""
    import duckdb

    settings: dict[str, Any] = {
        "memory_limit": f"{memory >> 20}MiB",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        # Rows come in the order of the file, whatever the number of threads.
        "preserve_insertion_order": "true",
    }
    if spill is not None:
        settings["temp_directory"] = str(spill)
    connection = duckdb.connect(config=settings)
    try:
        if database is not None:
            connection.execute(f"ATTACH {quote_text(str(database))} AS source (READ_ONLY)")
        yield connection
    finally:
        connection.close()


def table_schema(database: Path, table: str) -> pa.Schema:
    """Columns of a table; DataError where there is none of that name. Views are none: they may read anything."""
    with connect(_LOOK, None, database) as connection:
        query = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'source' AND schema_name = 'main'"
        names = [row[0] for row in connection.execute(query).fetchall()]
        if table not in names:
            raise DataError(
                f"'{database}' has no table {table!r}.{suggest(table, names)} Its tables are {quote_list(names)}."
            )
        return read(connection, f"SELECT * FROM source.{quote(table)} LIMIT 0").schema


def read(connection: Any, query: str, batch_rows: int = 65_536) -> pa.RecordBatchReader:
    """Rows of a query as they come."""
    return arrow_reader(connection.sql(query), batch_rows)


def arrow_reader(relation: Any, batch_rows: int) -> pa.RecordBatchReader:
    """Rows of a relation as they come, by the name that this version of DuckDB has for it."""
    reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_record_batch
    return reader(batch_rows)


def quote(name: str) -> str:
    """A name as an identifier of SQL, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: str) -> str:
    """A text constant of SQL."""
    return "'" + value.replace("'", "''") + "'"
