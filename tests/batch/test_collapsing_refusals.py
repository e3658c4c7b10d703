"""What a table of customers must satisfy before it is collapsed, found in its engine, in the words of a summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predclv as pc
from predclv.batch import collapse_customers
from predclv.errors import DataError, UnitError


def rows(n: int = 60) -> pd.DataFrame:
    """Customers without fault."""
    x = np.arange(n) % 3
    return pd.DataFrame(
        {
            "customer_id": np.arange(100, 100 + n),
            "frequency": x.astype(float),
            "recency": np.where(x > 0, 4.0 + x, 0.0),
            "T": 20.0 + np.arange(n) % 5,
            "monetary_value": np.where(x > 0, 10.0 + np.arange(n) % 4, 0.0),
            "log_itt": np.where(x > 0, x * 0.25, 0.0),
            "weight": np.ones(n),
        }
    )


def write_parquet(table: pd.DataFrame, folder: Path) -> Any:
    table.to_parquet(folder / "a.parquet")
    return folder / "a.parquet"


def write_csv(table: pd.DataFrame, folder: Path) -> Any:
    table.to_csv(folder / "a.csv", index=False)
    return folder / "a.csv"


WAYS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "parquet": write_parquet,
    "csv": write_csv,
    "pandas": lambda table, folder: table,
    "polars": lambda table, folder: pl.from_pandas(table).lazy(),
}
# Column, value put there for three customers, and which: 1 and 2 are repeat buyers, 0 bought once.
FAULTS = {
    "frequency missing": ("frequency", np.nan, 1),
    "frequency infinite": ("frequency", np.inf, 1),
    "frequency negative": ("frequency", -1.0, 1),
    "frequency broken": ("frequency", 1.5, 1),
    "frequency beyond counting": ("frequency", 1e17, 1),
    "recency missing": ("recency", np.nan, 1),
    "recency negative": ("recency", -2.0, 2),
    "recency late": ("recency", 30.0, 2),
    "recency of a one-time buyer": ("recency", 1.0, 0),
    "T missing": ("T", np.nan, 0),
    "T infinite": ("T", -np.inf, 0),
    "T negative": ("T", -3.0, 0),
    "spend missing": ("monetary_value", np.nan, 1),
    "spend infinite": ("monetary_value", np.inf, 2),
    "spend infinite, of a one-time buyer": ("monetary_value", np.inf, 0),
    "spend negative": ("monetary_value", -0.01, 1),
    "gaps missing": ("log_itt", np.nan, 1),
    "gaps of a one-time buyer": ("log_itt", 0.5, 0),
    "gaps too long": ("log_itt", 9.0, 2),
    "weight missing": ("weight", np.nan, 0),
    "weight zero": ("weight", 0.0, 0),
    "weight broken": ("weight", 2.5, 0),
}


class TestRows:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("fault", FAULTS)
    def test_faults_are_those_of_a_summary(self, fault: str, way: str, tmp_path: Path) -> None:
        column, value, kind = FAULTS[fault]
        table = rows()
        wrong = np.flatnonzero(np.arange(len(table)) % 3 == kind)[[4, 9, 11]]
        table.loc[wrong, column] = value
        with pytest.raises(DataError, match=f"3 of 60 customers.*customer {100 + wrong[0]}[,)]") as wanted:
            pc.RFMSummary.from_frame(table, time_unit="week")
        with pytest.raises(DataError) as found:
            collapse_customers(WAYS[way](table, tmp_path), time_unit="week")
        assert str(found.value) == str(wanted.value)

    def test_counts_of_opportunities(self, tmp_path: Path) -> None:
        for column, value in (("T", 20.5), ("recency", 4.5), ("frequency", 9.0)):
            table = rows().drop(columns=["log_itt", "monetary_value"])
            table.loc[[4, 7], column] = value
            with pytest.raises(DataError) as wanted:
                pc.RFMSummary.from_frame(table, opportunities="week")
            with pytest.raises(DataError) as found:
                collapse_customers(write_parquet(table, tmp_path), opportunities="week")
            assert str(found.value) == str(wanted.value)

    def test_options_are_called_by_their_names(self) -> None:
        for by, said in (("channel", "by='channel' must be a list"), (["recency"], "by='recency': ")):
            with pytest.raises(DataError, match=said):
                collapse_customers(rows(), time_unit="week", by=by)
        with pytest.raises(DataError, match="2000000000 is no amount of memory"):
            collapse_customers(rows(), time_unit="week", memory_limit=2_000_000_000)

    @pytest.mark.parametrize("way", WAYS)
    def test_ids(self, way: str, tmp_path: Path) -> None:
        table = rows()
        table["customer_id"] = table["customer_id"].where(table.index != 8).astype("Int64")
        with pytest.raises(DataError, match="'customer_id' is null for 1 of 60 rows"):
            collapse_customers(WAYS[way](table, tmp_path), time_unit="week")
        table["customer_id"] = np.where(np.arange(60) % 20 == 3, 103, np.arange(100, 160))
        with pytest.raises(DataError, match=r"2 of 60 rows repeat a customer_id \(first: customer 103\)"):
            collapse_customers(WAYS[way](table, tmp_path), time_unit="week")
        without = table.drop(columns="customer_id")
        assert collapse_customers(WAYS[way](without, tmp_path), time_unit="week").n_customers == 60
        without.loc[3, "T"] = -1.0
        with pytest.raises(DataError, match=r"'T' is negative: 1 of 60 customers \(first: customer without id, -1\)"):
            collapse_customers(WAYS[way](without, tmp_path), time_unit="week")

    def test_rounding_is_mended(self, tmp_path: Path) -> None:
        table = rows()
        table.loc[1, "recency"] = table.loc[1, "T"] * (1 + 1e-12)
        rfm = collapse_customers(write_parquet(table, tmp_path), time_unit="week")
        assert (rfm.recency <= rfm.T).all()

    def test_text_where_numbers_belong(self, tmp_path: Path) -> None:
        table = rows()
        path = write_csv(table.astype({"frequency": object, "monetary_value": object}), tmp_path)
        text = path.read_text().replace("\n101,1.0", "\n101,many").replace("\n104,1.0", "\n104,")
        path.write_text(text)
        with pytest.raises(
            DataError, match=r"'frequency' is null or not finite: 2 of 60 customers \(first: customer 101"
        ):
            collapse_customers(path, time_unit="week")
        with pytest.raises(DataError, match="holds String values in 'frequency', where numbers belong"):
            collapse_customers(table.astype({"frequency": str}), time_unit="week")
        # What one-time buyers spent does not count, and must be readable all the same.
        unread = table.assign(monetary_value=np.where(table.index == 0, "n/a", table["monetary_value"].astype(str)))
        with pytest.raises(DataError, match=r"monetary_value.*1 of 60 customers \(first: customer 100, inf\)"):
            collapse_customers(write_csv(unread, tmp_path), time_unit="week")

    def test_nobody(self, tmp_path: Path) -> None:
        for way in WAYS.values():
            with pytest.raises(DataError, match="The summary has no customers"):
                collapse_customers(way(rows()[:0], tmp_path), time_unit="week")

    @pytest.mark.parametrize("name", ['say "hi"', "it's", "a; DROP TABLE customers; --", "by0", "weight ", "ä µ\n"])
    def test_names_of_columns_are_names(self, name: str, tmp_path: Path) -> None:
        table = rows().assign(**{name: np.where(np.arange(60) % 2, "x'; --", 'y"')})
        connection = duckdb.connect(str(tmp_path / "a.duckdb"))
        connection.register("given", pa.Table.from_pandas(table, preserve_index=False))
        connection.execute('CREATE TABLE "cust\'omers" AS SELECT * FROM given')
        connection.close()
        for source in (write_parquet(table, tmp_path), write_csv(table, tmp_path), f"{tmp_path}/a.duckdb::cust'omers"):
            rfm = collapse_customers(source, time_unit="week", by=[name])
            assert set(rfm.carried[name]) == {"x'; --", 'y"'}
            assert rfm.n_customers == 60


class TestTables:
    def test_places(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "a.txt").write_text("x")
        (tmp_path / "a.parquet").write_bytes(b"PAR1 no more PAR1")
        (tmp_path / "a.duckdb").write_bytes(b"no database" * 1000)
        duckdb.connect(str(tmp_path / "b.duckdb")).execute("CREATE TABLE customers AS SELECT 1 AS x").close()
        for source, said in {
            "nowhere.parquet": "no file or folder 'nowhere.parquet'",
            str(tmp_path / "empty"): "holds no .parquet files",
            str(tmp_path / "a.txt"): "is no .parquet or .csv file",
            str(tmp_path / "a.parquet"): "cannot be read",
            f"{tmp_path}/a.duckdb::customers": "cannot be read",
            f"{tmp_path}/b.duckdb::customer": "has no table 'customer'. Did you mean 'customers'?",
            f"{tmp_path}/b.duckdb::customers": "frequency='frequency': '.*' has no such column",
        }.items():
            with pytest.raises(DataError, match=said):
                collapse_customers(source, time_unit="week")
        with pytest.raises(DataError, match="The table is a int"):
            collapse_customers(3, time_unit="week")

    def test_parts_must_be_alike(self, tmp_path: Path) -> None:
        rows().to_parquet(tmp_path / "a.parquet")
        rows().astype({"T": str}).to_parquet(tmp_path / "b.parquet")
        with pytest.raises(DataError, match=r"b.parquet' has other columns than '.*a.parquet': 'T'"):
            collapse_customers(tmp_path, time_unit="week")
        rows().drop(columns="log_itt").to_parquet(tmp_path / "b.parquet")
        with pytest.raises(DataError, match="'log_itt'"):
            collapse_customers(tmp_path, time_unit="week")

    def test_a_part_that_is_cut_off(self, tmp_path: Path) -> None:
        rows(20_000).to_parquet(tmp_path / "a.parquet", row_group_size=1_000)
        whole = (tmp_path / "a.parquet").read_bytes()
        (tmp_path / "a.parquet").write_bytes(whole[:5_000] + bytes(3_000) + whole[8_000:])
        with pytest.raises(DataError, match="cannot be read"):
            collapse_customers(tmp_path, time_unit="week")

    def test_columns(self, tmp_path: Path) -> None:
        path = write_parquet(rows(), tmp_path)
        with pytest.raises(DataError, match=r"frequency='frequencies': .* Did you mean 'frequency'"):
            collapse_customers(path, time_unit="week", frequency="frequencies")
        with pytest.raises(DataError, match=r"by='chanel': .* has no such column"):
            collapse_customers(path, time_unit="week", by=["chanel"])
        with pytest.raises(DataError, match="must be a list of columns"):
            collapse_customers(path, time_unit="week", by="channel")
        with pytest.raises(DataError, match="names of the summary's own columns"):
            collapse_customers(path, time_unit="week", by=["T"])

    def test_options(self, tmp_path: Path) -> None:
        path = write_parquet(rows(), tmp_path)
        for options, said in (
            ({}, "does not say in which unit"),
            ({"time_unit": "month"}, "months differ in length"),
            ({"time_unit": "week", "max_rows": 0}, "'max_rows' must be a whole number"),
            ({"time_unit": "week", "time_step": "2 fortnights"}, "time_step='2 fortnights' is no width of cells"),
            ({"time_unit": "week", "time_step": np.inf}, "is no width of cells. Give '2 days', or a number in weeks"),
            ({"time_unit": "week", "time_step": 0.0}, "is no width"),
            ({"time_unit": "week", "spend_step": 1.0}, r"'spend_step' must be in \(0, 0.5\]"),
            ({"time_unit": "week", "memory_limit": "10MB"}, "too little"),
            ({"time_unit": "week", "memory_limit": "much"}, "no amount of memory"),
        ):
            with pytest.raises(DataError, match=said):
                collapse_customers(path, **options)

    def test_units_go_with_the_file(self, tmp_path: Path) -> None:
        table = pa.Table.from_pandas(rows(), preserve_index=False)
        units = b'{"time_unit": "week", "collapse": "day", "observation_end": "2025-12-31", "currency": "EUR"}'
        pq.write_table(table.replace_schema_metadata({b"predclv": units}), tmp_path / "a.parquet")
        rfm = collapse_customers(tmp_path / "a.parquet", currency="EUR", observation_end="2025-12-31")
        assert (rfm.time_unit, rfm.collapse, rfm.currency, str(rfm.observation_end)) == (
            "week",
            "day",
            "EUR",
            "2025-12-31",
        )
        with pytest.raises(UnitError, match="was made with time_unit 'week', not 'day'"):
            collapse_customers(tmp_path / "a.parquet", time_unit="day")


class TestLimits:
    def test_nothing_is_left_behind(self, tmp_path: Path) -> None:
        path, spill = write_parquet(rows(), tmp_path), tmp_path / "spill"
        collapse_customers(path, time_unit="week", spill=spill)
        with pytest.raises(DataError):
            collapse_customers(path, time_unit="week", max_rows=2, spill=spill)
        assert list(spill.iterdir()) == []

    def test_memory_and_spill_are_duckdbs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path, seen = write_parquet(rows(), tmp_path), []
        real = duckdb.connect

        def connect(*arguments: Any, **settings: Any) -> Any:
            seen.append(settings["config"])
            return real(*arguments, **settings)

        monkeypatch.setattr(duckdb, "connect", connect)
        collapse_customers(path, time_unit="week", memory_limit="1GiB", spill=tmp_path / "spill")
        assert [re.sub(r"\.predclv-spill-.*", "", one["temp_directory"]) for one in seen] == [f"{tmp_path / 'spill'}/"]
        assert [one["memory_limit"] for one in seen] == [f"{(1024 - 360) * 3 // 4}MiB"]

    def test_too_much_for_memory_and_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        n = 400_000
        generator = np.random.default_rng(1)
        table = pa.table(
            {
                "customer_id": pa.array([f"customer {i} of so many" for i in generator.permutation(n)]),
                "frequency": np.ones(n),
                "recency": generator.uniform(1.0, 20.0, n),
                "T": generator.uniform(20.0, 40.0, n),
            }
        )
        pq.write_table(table, tmp_path / "a.parquet")
        monkeypatch.setattr("predclv.batch.memory.Memory.for_grouping", property(lambda self: 6 << 20))
        with pytest.raises(DataError, match=r"within the memory limit .* Give a higher memory limit"):
            collapse_customers(tmp_path / "a.parquet", time_unit="week", spill=tmp_path / "spill")
        assert list((tmp_path / "spill").iterdir()) == []

    def test_what_a_killed_job_spilled_goes_with_the_next(self, tmp_path: Path) -> None:
        killed = tmp_path / "spill" / ".predclv-spill-killed"
        killed.mkdir(parents=True)
        (killed / ".lock").touch()
        collapse_customers(write_parquet(rows(), tmp_path), time_unit="week", spill=tmp_path / "spill")
        assert list((tmp_path / "spill").iterdir()) == []

    def test_a_spill_folder_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(DataError, match=r"'.*file' cannot hold what does not fit"):
            collapse_customers(write_parquet(rows(), tmp_path), time_unit="week", spill=tmp_path / "file")
