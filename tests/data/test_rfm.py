"""RFMSummary: the published table from the raw log, and the object's own behaviour."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import pickle
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.model_selection import KFold
from sklearn.utils import _safe_indexing

import predclv as pc
from engines import ENGINES
from predclv import RFMSummary
from predclv.errors import DataError

TABLE = pd.DataFrame(
    {
        "customer_id": ["x", "y", "z"],
        "frequency": [2, 0, 1],
        "recency": [5.0, 0.0, 1.5],
        "T": [10.0, 4.0, 2.0],
        "monetary_value": [10.0, np.nan, 0.0],
        "channel": ["web", "shop", "web"],
    }
)


@pytest.fixture(scope="module")
def cdnow_log() -> pd.DataFrame:
    return pc.datasets.load_cdnow()


def summarise_cdnow(log: Any) -> RFMSummary:
    return RFMSummary.from_transactions(
        log, amount="amount", time_unit="week", collapse="day", observation_end="1997-09-30"
    )


class TestPublished:
    """The table that comes with lifetimes, and the counts in Fader, Hardie & Lee (2005) and Fader & Hardie (2013)."""

    def test_cdnow_table_comes_out_of_the_raw_log(self, cdnow_log: pd.DataFrame) -> None:
        package = find_spec("lifetimes")
        assert package is not None
        assert package.origin is not None
        table = pd.read_csv(Path(package.origin).parent / "datasets" / "cdnow_customers_summary_with_transactions.csv")
        found = summarise_cdnow(cdnow_log).to_pandas()
        assert found["customer_id"].tolist() == table["ID"].tolist()
        assert found["frequency"].tolist() == table["x"].tolist()
        # The table is printed with two decimals.
        for name, column in (("recency", "t_x"), ("T", "T"), ("monetary_value", "zbar")):
            np.testing.assert_allclose(found[name], table[column], rtol=0, atol=0.005 + 1e-9)

    @pytest.mark.parametrize("engine", ENGINES)
    def test_counts(self, cdnow_log: pd.DataFrame, engine: str) -> None:
        rfm = summarise_cdnow(ENGINES[engine](cdnow_log))
        assert len(rfm) == 2_357
        frequency, mean_spend, n_left_out = rfm.repeat_spend()
        assert len(frequency) == len(mean_spend) == rfm.n_repeat_buyers == 946
        assert n_left_out == 0
        assert rfm.frequency.sum() == 2_457

    def test_full_cohort_has_one_repeat_buyer_without_spend(self) -> None:
        rfm = summarise_cdnow(pc.datasets.load_cdnow_master())
        assert len(rfm) == 23_570
        spend = rfm.repeat_spend()
        assert spend.n_left_out == 1
        assert (spend.mean_spend > 0).all()
        line = rfm.quality[rfm.quality["what"].str.startswith("repeat buyers without spend")].iloc[0]
        assert line["count"] == 1
        assert line["first_case"] == "customer 10244"


class TestFromFrame:
    @pytest.mark.parametrize("engine", ENGINES)
    def test_reads_any_frame_and_gives_it_back(self, engine: str) -> None:
        rfm = RFMSummary.from_frame(ENGINES[engine](TABLE), time_unit="week", carry=["channel"], currency="USD")
        assert rfm.customer_id.tolist() == ["x", "y", "z"]
        assert rfm.frequency.dtype == np.int64
        assert rfm.monetary_value is not None
        assert rfm.monetary_value.tolist() == [10.0, 0.0, 0.0]
        assert rfm.carried["channel"].tolist() == ["web", "shop", "web"]
        kind = {"pandas": pd.DataFrame, "pyarrow": pa.Table, "duckdb": pa.Table}.get(engine, pl.DataFrame)
        native = rfm.to_native()
        assert isinstance(native, kind)
        again = RFMSummary.from_frame(native, time_unit="week", carry=["channel"])
        pd.testing.assert_frame_equal(again.to_pandas(), rfm.to_pandas())

    def test_tables_of_duckdb_can_be_queried_by_name(self) -> None:
        customers = RFMSummary.from_frame(ENGINES["duckdb"](TABLE), time_unit="week").to_native()
        assert customers is not None
        assert duckdb.sql("SELECT sum(frequency) FROM customers").fetchall() == [(3,)]

    def test_customers_without_ids_are_numbered_and_columns_may_have_other_names(self) -> None:
        table = TABLE.drop(columns="customer_id").rename(columns={"frequency": "x", "recency": "t_x"})
        rfm = RFMSummary.from_frame(table, frequency="x", recency="t_x", time_unit="day")
        assert rfm.customer_id.tolist() == [0, 1, 2]
        assert rfm.days_per_unit == 1.0

    def test_the_index_may_hold_the_ids(self) -> None:
        for name, options in (
            ("customer_id", {}),
            ("customer_id", {"customer_id": "customer_id"}),
            ("id", {"customer_id": "id"}),
        ):
            table = TABLE.rename(columns={"customer_id": name}).set_index(name)
            assert RFMSummary.from_frame(table, time_unit="week", **options).customer_id.tolist() == ["x", "y", "z"]
        kept = TABLE.set_index(pd.Index([7, 8, 9], name="row"))
        assert RFMSummary.from_frame(kept, time_unit="week").customer_id.tolist() == ["x", "y", "z"]
        with pytest.raises(DataError, match=r"an index called 'id'.*customer_id='id'"):
            RFMSummary.from_frame(TABLE.rename(columns={"customer_id": "id"}).set_index("id"), time_unit="week")

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("name", ["frequency", "recency", "T", "monetary_value"])
    def test_what_is_no_number_is_refused(self, engine: str, name: str) -> None:
        for values in (
            pd.to_timedelta([1, 0, 1], unit="D"),
            pd.to_datetime(["2024-01-01"] * 3),
            [True, False, True],
            ["2", "0", "1"],
        ):
            with pytest.raises(DataError, match=f"'{name}' holds .* where numbers belong"):
                RFMSummary.from_frame(ENGINES[engine](TABLE.assign(**{name: values})), time_unit="week")

    def test_purchases_beyond_counting_are_refused(self) -> None:
        with pytest.raises(
            DataError, match=r"'frequency' is beyond counting: 1 of 3 customers \(first: customer x, 1e\+20"
        ):
            RFMSummary.from_frame(TABLE.assign(frequency=[1e20, 0, 1]), time_unit="week")

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("dates", [[20240101] * 3, ["01/02/2024"] * 3, ["soon", None, None], [1.5, 2.5, 3.5]])
    def test_first_purchases_that_are_no_dates_are_refused(self, engine: str, dates: list[Any]) -> None:
        with pytest.raises(DataError, match=r"'first_purchase' (cannot be read as a date|holds .* where dates belong)"):
            RFMSummary.from_frame(ENGINES[engine](TABLE.assign(first_purchase=dates)), time_unit="week")

    @pytest.mark.parametrize("engine", ENGINES)
    def test_first_purchases_are_read_as_dates(self, engine: str) -> None:
        for dates in (["2024-01-01", None, "2024-01-03"], [dt.date(2024, 1, 1), None, dt.date(2024, 1, 3)]):
            table = ENGINES[engine](TABLE.assign(first_purchase=dates))
            found = RFMSummary.from_frame(table, time_unit="week").first_purchase
            assert found is not None
            assert found.astype("datetime64[D]").astype(str).tolist() == ["2024-01-01", "NaT", "2024-01-03"]

    @pytest.mark.parametrize("engine", ENGINES)
    def test_first_purchases_with_a_zone_are_refused(self, engine: str) -> None:
        table = TABLE.assign(first_purchase=pd.to_datetime(["2024-01-01"] * 3).tz_localize("UTC"))
        with pytest.raises(DataError, match="'first_purchase' knows time zones"):
            RFMSummary.from_frame(ENGINES[engine](table), time_unit="week")

    @pytest.mark.parametrize("dates", [[1, 2, 3], ["2024-01-01T00:00Z"] * 3, ["01/02/2024"] * 3, [True] * 3])
    def test_first_purchases_of_arrays_are_checked_too(self, dates: list[Any]) -> None:
        columns: dict[str, Any] = {
            name: TABLE[name].to_numpy() for name in ("customer_id", "frequency", "recency", "T")
        }
        with pytest.raises(DataError, match="'first_purchase'"):
            RFMSummary(**columns, first_purchase=np.array(dates))
        rfm = RFMSummary(**columns, first_purchase=[dt.date(2024, 1, 1)] * 3)  # type: ignore[arg-type]
        assert rfm.first_purchase is not None
        assert rfm.first_purchase.dtype.kind == "M"

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"collapse": "fortnight"}, "'collapse' must be one of"),
            ({"currency": 5}, "currency=5 is no currency"),
            ({"currency": ""}, "currency='' is no currency"),
        ],
    )
    def test_labels_are_checked(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(DataError, match=said):
            RFMSummary.from_frame(TABLE, time_unit="week", **options)

    def test_rounding_of_recency_is_mended(self) -> None:
        rfm = RFMSummary.from_frame(TABLE.assign(recency=[10 + 1e-10, 0, 1.5]), time_unit="week")
        assert rfm.recency[0] == 10.0

    def test_age_zero_is_valid(self) -> None:
        rfm = RFMSummary.from_frame(TABLE.assign(T=[10.0, 0.0, 2.0]), time_unit="week")
        assert rfm.T[1] == 0.0

    def test_spend_of_one_time_buyers_says_nothing(self) -> None:
        rfm = RFMSummary.from_frame(TABLE.assign(monetary_value=[10.0, 99.0, 0.0]), time_unit="week")
        assert rfm.monetary_value is not None
        assert rfm.monetary_value[1] == 0.0
        assert rfm.repeat_spend().n_left_out == 1

    def test_nullable_columns(self) -> None:
        table = TABLE.astype({"frequency": "Int64", "recency": "Float64", "monetary_value": "Float64"})
        rfm = RFMSummary.from_frame(table, time_unit="week")
        assert rfm.frequency.tolist() == [2, 0, 1]

    def test_duplicates_are_found_in_any_order(self) -> None:
        for ids in ([3, 1, 3], [10**12, 5, 10**12], ["b", "a", "b"], [-1, 5, -1]):
            with pytest.raises(DataError, match="repeat a customer_id"):
                RFMSummary.from_frame(TABLE.assign(customer_id=ids), time_unit="week")
        for ids in ([3, 1, 2], [10**12, 5, 7], ["b", "a", "c"], [-1, 5, 0]):
            RFMSummary.from_frame(TABLE.assign(customer_id=ids), time_unit="week")


class TestObject:
    @pytest.fixture
    def rfm(self) -> RFMSummary:
        return RFMSummary.from_frame(TABLE, time_unit="week", carry=["channel"], observation_end="2024-03-31")

    def test_it_is_frozen(self, rfm: RFMSummary) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            rfm.time_unit = "day"  # type: ignore[misc]
        with pytest.raises(ValueError, match="read-only"):
            rfm.T[0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            rfm.carried["channel"][0] = "tv"

    @pytest.mark.parametrize(
        "again", [lambda r: r, lambda r: r[:2], copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
    )
    def test_nothing_in_it_can_be_unlocked(self, rfm: RFMSummary, again: Any) -> None:
        rfm = again(rfm)
        with pytest.raises(TypeError, match="does not support item assignment"):
            rfm.carried["x"] = np.zeros(3)  # type: ignore[index]
        columns = [rfm.customer_id, rfm.frequency, rfm.recency, rfm.T, rfm.monetary_value, rfm.carried["channel"]]
        for column in [*columns, *rfm.collapsed]:
            assert column is not None
            assert not column.flags.writeable
            with pytest.raises(ValueError, match="cannot set WRITEABLE"):
                column.flags.writeable = True

    def test_quality_is_a_copy(self, cdnow_log: pd.DataFrame) -> None:
        rfm = summarise_cdnow(cdnow_log)
        part, count = rfm[:5], rfm.quality.loc[0, "count"]
        for summary in (rfm, part):
            quality = summary.quality
            quality.loc[0, "count"] = -1
        assert rfm.quality.loc[0, "count"] == part.quality.loc[0, "count"] == count
        again = pickle.loads(pickle.dumps(rfm))
        pd.testing.assert_frame_equal(again.quality, rfm.quality)
        with pytest.raises(dataclasses.FrozenInstanceError):
            rfm.quality = part.quality  # type: ignore[misc]

    def test_locking_a_million_customers_is_cheap(self) -> None:
        n = 1_000_000
        columns: dict[str, Any] = {"customer_id": np.arange(n), "frequency": np.zeros(n, dtype=np.int64)}
        columns |= {"recency": np.zeros(n), "T": np.ones(n), "carried": {"x": np.zeros(n)}}
        started = time.process_time()
        RFMSummary(**columns)
        assert time.process_time() - started < 0.5  # measured: 0.03 s

    @pytest.mark.parametrize(
        ("rows", "said"),
        [
            ([], "No customer is picked"),
            (np.zeros(3, dtype=bool), "No customer is picked"),
            (slice(3, None), "No customer is picked"),
            ([0, 0], "picked twice"),
            ([0, -3], "picked twice"),
            ([True, False], "mask has 2 items and the summary 3 customers"),
            ("frequency", "indexed by positions, a mask or a slice, not by 'frequency'"),
            (1.5, "indexed by positions"),
            ([[0, 1]], "indexed by positions"),
        ],
    )
    def test_rows_that_make_no_summary_are_refused(self, rfm: RFMSummary, rows: Any, said: str) -> None:
        with pytest.raises(DataError, match=said):
            rfm[rows]

    def test_rows_outside_are_refused(self, rfm: RFMSummary) -> None:
        with pytest.raises(IndexError, match="out of bounds"):
            rfm[[7]]

    def test_it_does_not_follow_its_source(self) -> None:
        table = TABLE.copy()
        rfm = RFMSummary.from_frame(table, time_unit="week", carry=["channel"])
        table.loc[0, ["T", "channel"]] = [99.0, "tv"]
        assert rfm.T[0] == 10.0
        assert rfm.carried["channel"][0] == "web"

    @pytest.mark.parametrize("rows", [slice(0, 2), np.array([0, 1]), np.array([True, True, False]), [0, 1]])
    def test_rows_can_be_picked(self, rfm: RFMSummary, rows: Any) -> None:
        part = rfm[rows]
        assert part.shape == (2, 6)
        assert len(part) == 2
        pd.testing.assert_frame_equal(part.to_pandas(), rfm.to_pandas().iloc[:2])
        assert part.observation_end == rfm.observation_end

    def test_scikit_learn_can_split_it(self, cdnow: RFMSummary) -> None:
        parts = [cdnow[test, ...] for _, test in KFold(3).split(cdnow)]
        assert sum(map(len, parts)) == len(cdnow)
        assert len(_safe_indexing(cdnow, np.arange(10))) == 10

    def test_one_row_is_a_summary_too(self, rfm: RFMSummary) -> None:
        assert rfm[2].customer_id.tolist() == ["z"]

    def test_it_says_what_it_is(self, rfm: RFMSummary) -> None:
        assert repr(rfm) == "<RFMSummary: 3 customers, 2 of them repeat buyers, in weeks, as of 2024-03-31, spend>"
        assert "<table" in rfm._repr_html_()

    def test_shape_counts_the_columns_of_its_table(self, rfm: RFMSummary) -> None:
        assert rfm.shape == rfm.to_pandas().shape

    def test_collapsed_rows_give_the_customers_back(self, rfm: RFMSummary) -> None:
        rows = rfm.collapsed
        assert rfm.collapsed is rows
        assert rows.inverse is not None
        np.testing.assert_array_equal(rows.x[rows.inverse], rfm.frequency)
        np.testing.assert_array_equal(rows.T[rows.inverse], rfm.T)

    def test_it_survives_pickling(self, rfm: RFMSummary) -> None:
        again = pickle.loads(pickle.dumps(rfm))
        pd.testing.assert_frame_equal(again.to_pandas(), rfm.to_pandas())


def test_quality_is_a_tidy_table(cdnow_log: pd.DataFrame) -> None:
    quality = summarise_cdnow(cdnow_log).quality
    assert quality.columns.tolist() == ["step", "what", "count", "total", "unit", "share", "note", "first_case"]
    assert quality.set_index("what").loc["rows after observation_end, set aside", "count"] == 1_959
    assert quality["share"].between(0, 1).all()
    assert not quality["what"].duplicated().any()
    # As other libraries and SQL read it.
    assert pl.from_pandas(quality).height == len(quality)
    assert duckdb.sql("SELECT max(count) FROM quality WHERE unit = 'rows'").fetchall() == [(6_919,)]
