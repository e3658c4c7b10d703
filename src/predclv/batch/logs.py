"""Where a purchase log lies: a file, a folder, a table in a DuckDB file or in PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from predclv.batch.duckdb_reader import quote, quote_text
from predclv.data.checks import quote_list, suggest
from predclv.data.options import LogOptions
from predclv.data.paths import OnDisk
from predclv.errors import DataError

__all__ = ["LogPlace", "locate_log"]

_SERVERS = ("postgres://", "postgresql://")


@dataclass(frozen=True)
class LogPlace:
    """Where a log lies.

    Attributes
    ----------
    kind : {"file", "duckdb", "postgres"}
    place : str
        Path, or connection string; the latter may hold a password, and is never shown.
    table : str
        Of a database.
    """

    kind: str
    place: str = field(repr=False)
    table: str = ""

    def __str__(self) -> str:
        if self.kind == "postgres":
            return f"the table {self.table!r} in PostgreSQL"
        return f"{self.place}::{self.table}" if self.table else self.place

    def open(self, connection: Any, options: LogOptions) -> Any:
        """Return what `read_log` takes, read by `connection`.

        Raises
        ------
        DataError
            There is no such file or table.
        ImportError
            DuckDB's extension for PostgreSQL is wanted and not there.
        """
        columns = [options.customer_id, options.date, *options.carry]
        columns += [name for name in (options.amount, options.acquired) if name is not None]
        optional = [] if options.currency is None else [options.currency]
        if self.kind == "file":
            return OnDisk(self.place, connection, columns, optional)
        if self.kind == "duckdb":
            connection.execute(f"ATTACH {quote_text(self.place)} AS source (READ_ONLY)")
        else:
            _attach_postgres(connection, self.place)
        name = find_table(connection, self.table, str(self))
        rows = connection.sql(f"SELECT * FROM source.{name}")
        if self.kind == "duckdb" or not set(columns) <= set(rows.columns):
            return rows
        # A table elsewhere is fetched once: what is then done with it takes several passes.
        needed = dict.fromkeys([*columns, *(column for column in optional if column in rows.columns)])
        fetched = f"SELECT {', '.join(quote(column) for column in needed)} FROM source.{name}"
        connection.execute(f"CREATE TABLE log AS {fetched}")
        connection.execute("DETACH source")
        return connection.table("log")


def locate_log(log: str) -> LogPlace:
    """Read where a log lies: a path, "file.duckdb::table" or "postgresql://...::table"; DataError where it is none."""
    place, mark, table = log.rpartition("::")
    if log.startswith(_SERVERS):
        if not mark or not table:
            raise DataError(
                "A PostgreSQL log is given as postgresql://user@host:port/database::table. The table is missing."
            )
        return LogPlace("postgres", place, table)
    # A path may hold what parts file and table elsewhere.
    if not mark or Path(log).expanduser().exists():
        return LogPlace("file", log)
    path = Path(place).expanduser()
    if not path.is_file():
        raise DataError(f"There is no file {str(path)!r}.")
    with path.open("rb") as file:
        # DuckDB would open files of other kinds, too, by extensions that they ask for.
        if file.read(12)[8:] != b"DUCK":
            raise DataError(f"'{path}' cannot be read: it is no file of DuckDB, so it holds no table {table!r}.")
    return LogPlace("duckdb", str(path), table)


def find_table(connection: Any, table: str, what: str) -> str:
    """A table of the database attached as `source`, by its name or schema.name, as an identifier of SQL.

    Views of a DuckDB file are none: they may read anything.
    """
    query = "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'source'"
    known = {}
    for schema, name in sorted(connection.execute(query).fetchall()):
        known[f"{schema}.{name}"] = f"{quote(schema)}.{quote(name)}"
        if schema in ("main", "public"):
            known[name] = known[f"{schema}.{name}"]
    if table not in known:
        raise DataError(f"{what} is not there: no such table.{suggest(table, known)} Tables are {quote_list(known)}.")
    return known[table]


def _attach_postgres(connection: Any, uri: str) -> None:
    import duckdb

    try:
        connection.execute("LOAD postgres")
    except duckdb.Error:
        raise ImportError(
            f"A log in PostgreSQL needs the extension 'postgres' of DuckDB {duckdb.__version__}, which is not "
            "installed. Run INSTALL postgres once in DuckDB, where its server of extensions can be reached; or export "
            "the table to Parquet or CSV, and give that."
        ) from None
    try:
        connection.execute(f"ATTACH {quote_text(uri)} AS source (TYPE postgres, READ_ONLY)")
    except duckdb.Error:
        # What DuckDB says holds the connection string, and the string may hold the password.
        raise DataError(
            "PostgreSQL cannot be reached with the connection string that was given. Try it with psql; a password is "
            "best kept in ~/.pgpass or PGPASSWORD."
        ) from None
