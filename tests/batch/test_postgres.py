"""Logs in PostgreSQL: by a server where there is one and DuckDB's extension; elsewhere up to the connection."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from conftest import ABSENT_EXTENSION
from predclv import RFMSummary
from predclv.batch import logs, summarize
from predclv.batch.logs import locate_log
from predclv.cli import main
from predclv.errors import DataError

LOG = pd.DataFrame(
    {
        "customer_id": [11, 2, 2, 3, 2, 11],
        "date": pd.to_datetime(["2024-01-02", "2024-01-05", "2024-02-03", "2024-03-01", "2024-03-02", "2024-02-02"]),
        "amount": [10.0, 5.0, 20.0, 7.5, -1.0, 0.5],
        "unused": "x",
    }
)
ASKED = {"amount": "amount", "minor_unit": 0.01, "observation_end": "2024-03-31"}
URI = "postgresql://reader:s3cret'pw@127.0.0.1:1/shop"
TABLE = 'sales "2024"; DROP TABLE x'


def check_summary(log: str, out: Path) -> None:
    summarize(log, out, **ASKED)
    expected = RFMSummary.from_transactions(LOG, **ASKED).to_pandas()
    pd.testing.assert_frame_equal(pq.read_table(out).to_pandas(), expected, check_dtype=False)


def has_extension() -> bool:
    try:
        duckdb.connect(config={"autoinstall_known_extensions": "false"}).execute("LOAD postgres")
    except duckdb.Error:
        return False
    return True


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Connection string of a server of its own, with the log in two schemas."""
    if not has_extension():
        pytest.skip(f"{ABSENT_EXTENSION}DuckDB {duckdb.__version__} has no extension 'postgres' installed")
    if shutil.which("initdb") is None or shutil.which("pg_ctl") is None:
        pytest.skip(f"{ABSENT_EXTENSION}no PostgreSQL server is installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # A server does not run as root, and pytest's own folders are closed to others.
    user = {"user": "nobody"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="predclv-server-"))
    folder.chmod(0o777)
    data = folder / "data"
    subprocess.run(["initdb", "-D", data, "-U", "owner", "-A", "trust"], check=True, capture_output=True, **user)
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    start = ["pg_ctl", "-D", data, "-w", "-l", folder / "log.txt", "-o", options, "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    uri = f"postgresql://owner@127.0.0.1:{port}/postgres"
    with duckdb.connect() as connection:
        connection.execute("LOAD postgres")
        connection.execute(f"ATTACH '{uri}' AS server (TYPE postgres)")
        connection.register("frame", LOG)
        connection.execute("CREATE TABLE server.purchases AS FROM frame")
        connection.execute("CREATE SCHEMA server.shop")
        connection.execute("CREATE TABLE server.shop.purchases AS FROM frame")
    yield uri
    subprocess.run(["pg_ctl", "-D", data, "-m", "fast", "stop"], check=True, capture_output=True, **user)
    shutil.rmtree(folder)


@pytest.mark.parametrize("table", ["purchases", "shop.purchases"])
def test_a_table_of_a_server(server: str, table: str, tmp_path: Path) -> None:
    check_summary(f"{server}::{table}", tmp_path / "rfm.parquet")
    with pytest.raises(DataError, match=r"no such table. Did you mean 'purchases'\?"):
        summarize(f"{server}::purchase", tmp_path / "rfm.parquet", **ASKED)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A DuckDB file attached where the server would be; what was asked to be attached."""
    file = tmp_path / "stand-in.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.register("frame", LOG)
        for name in ("main.purchases", "shop.purchases", 'shop."sales ""2024""; DROP TABLE x"'):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
            connection.execute(f"CREATE TABLE {name} AS FROM frame")
    asked: list[str] = []

    def attach(connection: Any, uri: str) -> None:
        asked.append(uri)
        connection.execute(f"ATTACH '{file}' AS source (READ_ONLY)")

    monkeypatch.setattr(logs, "_attach_postgres", attach)
    return asked


@pytest.mark.parametrize("table", ["purchases", "shop.purchases", f"shop.{TABLE}"])
def test_all_but_the_connection(stand_in: list[str], table: str, tmp_path: Path) -> None:
    check_summary(f"{URI}::{table}", tmp_path / "rfm.parquet")
    assert stand_in == [URI]


def test_what_is_not_there(stand_in: list[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'purchase' in PostgreSQL is not there: no such table. Did you mean"):
        summarize(f"{URI}::purchase", tmp_path / "rfm.parquet", **ASKED)
    with pytest.raises(DataError, match="date='day': the log has no such column"):
        summarize(f"{URI}::purchases", tmp_path / "rfm.parquet", date="day")
    with pytest.raises(DataError, match="The table is missing"):
        summarize(URI, tmp_path / "rfm.parquet", **ASKED)
    assert not list(tmp_path.glob("rfm*"))


class Told:
    """A connection of DuckDB that has the extension, keeps what it is told, and cannot reach the server."""

    def __init__(self) -> None:
        self.queries: list[str] = []

    def execute(self, query: str) -> None:
        self.queries.append(query)
        if query.startswith("ATTACH"):
            raise duckdb.IOException(f"IO Error: Unable to connect to Postgres at {URI}: timeout")


def test_the_password_is_quoted_and_never_told() -> None:
    connection = Told()
    with pytest.raises(DataError, match="PostgreSQL cannot be reached") as caught:
        logs._attach_postgres(connection, URI)
    quoted = URI.replace("'", "''")
    assert connection.queries == ["LOAD postgres", f"ATTACH '{quoted}' AS source (TYPE postgres, READ_ONLY)"]
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    place = locate_log(f"{URI}::{TABLE}")
    assert (place.kind, place.place, place.table) == ("postgres", URI, TABLE)
    assert "s3cret" not in f"{place} {place!r}"


@pytest.mark.skipif(has_extension(), reason=f"{ABSENT_EXTENSION}it is there, and this is about its absence")
def test_without_the_extension(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError, match=r"extension 'postgres' of DuckDB .* Run INSTALL postgres once"):
        summarize(f"{URI}::purchases", tmp_path / "rfm.parquet", **ASKED)
    asked = ["--customer-id", "customer_id", "--date", "date", "--out", str(tmp_path / "rfm.parquet"), "--debug"]
    assert main(["summarize", f"{URI}::purchases", *asked, "--engine", "duckdb"]) != 0
    said = capsys.readouterr()
    assert "INSTALL postgres" in said.err
    assert main(["summarize", f"{URI}::purchases", *asked]) == 2
    with pytest.raises(DataError, match="A log in PostgreSQL is read by") as caught:
        RFMSummary.from_transactions(f"{URI}::purchases")
    assert "s3cret" not in said.err + said.out + "".join(capsys.readouterr()) + str(caught.value)
