"""Purchases by cohort and period: the same in every engine, and with the totals of a summary."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import predclv as pc
from predclv.data.activity import read_activity
from predclv.data.calendar import last_whole_number, period_index, with_number
from predclv.data.frames import open_frame
from predclv.data.opportunities import number_periods
from predclv.data.options import LogOptions
from predclv.decisions import activity
from predclv.errors import DataError, DataQualityWarning

TABLES = ("cells", "cohorts", "pairs", "repeats", "gaps")


@pytest.fixture(scope="module")
def log():
    log = pc.datasets.load_cdnow()
    log["channel"] = np.where(log["customer_id"] % 3 == 0, "paid", "organic")
    log["margin"] = np.where(log["customer_id"] % 2 == 0, 0.5, 0.25)
    log["percent"] = 100 * log["margin"]
    return log


@pytest.fixture(scope="module")
def returns(log):
    """Every seventeenth row goes back."""
    table = log.copy()
    table.loc[::17, "amount"] *= -1
    return table


def read(table, *, by="channel", margin="margin", period="month", **options):
    options = {"amount": "amount", "observation_end": "1998-06-15", "minor_unit": 0.01, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        return read_activity(table, LogOptions(**options), by=by, margin=margin, period=period)


def test_totals_are_those_of_a_summary_to_the_cent(log):
    found = read(log)
    rfm = pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1998-06-15", minor_unit=0.01)
    cents = np.round(found.cells["repeat_revenue"].to_numpy() * 100).sum()
    assert cents == np.round(rfm.monetary_value * rfm.frequency * 100).sum()
    assert found.cells["purchases"].sum() == rfm.frequency.sum() + len(rfm)
    assert found.cohorts["customers"].sum() == len(rfm)
    # A margin by customer is that of the customer's amounts.
    some = log[log["date"] <= "1998-06-15"]
    assert found.cells["margin"].sum() == pytest.approx((some["amount"] * some["margin"]).sum(), rel=1e-12)


def test_returns_lower_what_a_summary_lets_them_lower(returns):
    found = read(returns)
    options = {"amount": "amount", "observation_end": "1998-06-15", "minor_unit": 0.01}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        rfm = pc.RFMSummary.from_transactions(returns, **options)
    lost = rfm.quality.set_index("what").loc["customers whose returns exceed their repeat spend, set to 0", "note"]
    spent = (rfm.monetary_value * rfm.frequency).sum() + float(lost.split()[0])
    assert found.cells["repeat_revenue"].sum() == pytest.approx(spent, abs=0.005)
    assert found.cells["purchases"].sum() == rfm.frequency.sum() + len(rfm)


@pytest.mark.parametrize("options", [{"collapse": "none"}, {"collapse": "week", "observation_start": "1997-02-01"}])
def test_every_engine_gives_the_same(returns, options):
    import duckdb

    returns = returns[returns["customer_id"] <= 500]
    base = read(returns, period="quarter", **options)
    connection = duckdb.connect()
    connection.register("returns", returns)
    frames = [pl.from_pandas(returns).lazy(), pa.Table.from_pandas(returns), connection.sql("FROM returns")]
    for frame in frames:
        other = read(frame, period="quarter", **options)
        for name in TABLES:
            pd.testing.assert_frame_equal(getattr(base, name), getattr(other, name), rtol=1e-12, check_dtype=False)


def test_cells_are_what_pandas_finds(log):
    found = read(log, by=None, margin=None)
    days = log[log["date"] <= "1998-06-15"].groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    days["at"] = days["date"].dt.to_period("M")
    days["cohort"] = days.groupby("customer_id")["at"].transform("min")
    by = days.groupby(["cohort", "at", "customer_id"])["amount"].agg(["size", "sum"]).reset_index()
    by["squared"] = by["sum"] ** 2
    cells = by.groupby(["cohort", "at"]).agg(
        active=("customer_id", "size"), purchases=("size", "sum"), revenue=("sum", "sum"), squares=("squared", "sum")
    )
    table = found.cells.set_index([period_index(found.cells[name], "month") for name in ("cohort", "at")])
    for name, own in (("active",) * 2, ("purchases",) * 2, ("revenue",) * 2, ("squares", "revenue_squared")):
        np.testing.assert_allclose(table[own], cells[name], rtol=1e-11)
    gaps = days.sort_values(["customer_id", "date"]).groupby("customer_id")["date"].diff().dt.days.dropna()
    counts = found.gaps[found.gaps["closed"] > 0].set_index("days")["closed"]
    pd.testing.assert_series_equal(counts, gaps.astype(int).value_counts().sort_index(), check_names=False)
    second = days.sort_values("date").groupby("customer_id").nth(1)["at"].value_counts().sort_index()
    assert found.repeats["customers"].tolist() == second.tolist()


@pytest.mark.parametrize("period", ["week", "month", "quarter", "year"])
def test_a_period_has_one_number_in_the_engine_and_here(period):
    days = np.arange(365_000, 1_095_000, 7, dtype=np.int64)
    days = np.r_[days, [pd.Timestamp(text).toordinal() for text in ("2000-02-29", "2000-03-01", "1999-12-31")]]
    for frame in (pd.DataFrame({"day": days}), pa.table({"day": days}), pl.DataFrame({"day": days})):
        import narwhals.stable.v2 as nw

        lazy, _ = open_frame(frame, "the days")
        at = with_number(lazy, nw.col("day"), period).collect()["at"].to_numpy()
        np.testing.assert_array_equal(at, number_periods(days, period))


def test_periods_have_names():
    number = last_whole_number(pd.Timestamp("1997-10-30").date(), "month")
    assert str(period_index(np.array([number]), "month")[0]) == "1997-09"
    assert str(period_index(np.array([27]), "year")[0]) == "1997"
    monday = pd.Timestamp("1997-09-29").toordinal()
    assert str(period_index(np.array([(monday - 1) // 7]), "week")[0]).startswith("1997-09-29")


def test_a_path_is_read_within_memory_and_like_a_frame(log, tmp_path):
    path = tmp_path / "log.parquet"
    log.to_parquet(path)
    options = {"amount": "amount", "observation_end": "1998-06-15", "minor_unit": 0.01, "by": "channel"}
    frame, disk = (activity(source, **options) for source in (log, path))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(frame, name), getattr(disk, name), rtol=1e-12, check_dtype=False)
    assert "2,357 customers" in repr(disk)


def test_who_is_not_known_from_the_start_is_left_out(log):
    late = log.assign(acquired=np.where(log["customer_id"] % 5 == 0, "1996-05-01", "1997-01-01"))
    found = read(late, acquired="acquired")
    options = {"amount": "amount", "observation_end": "1998-06-15", "acquired": "acquired"}
    rfm = pc.RFMSummary.from_transactions(late, **options)
    assert found.cohorts["customers"].sum() == len(rfm)
    assert "customers not known from their start, left out" in set(found.quality["what"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"by": "nowhere"}, "no such column"),
        ({"period": "fortnight"}, "'period' must be one of"),
        ({"period": "week", "collapse": "month"}, "merges purchases over more than a week"),
        ({"by": "amount"}, "changes for"),
        ({"margin": "channel"}, "holds no numbers"),
        ({"margin": "percent"}, "negative or above 1"),
        ({"amount": None, "minor_unit": None}, "A margin is a share of money"),
    ],
)
def test_what_cannot_be_meant_is_refused(log, change, message):
    with pytest.raises(DataError, match=message):
        read(log, **change)


def test_a_segment_that_is_missing_or_changes_is_named(log):
    gaps = log.assign(channel=log["channel"].where(log["customer_id"] != 4))
    with pytest.raises(DataError, match=r"missing for 1 of 2,357 customers \(first: customer 4\)"):
        read(gaps)
    moved = log.assign(channel=np.where(log["date"] > "1997-06-30", "late", "early"))
    first = read(moved, carry_conflict="first")
    assert set(first.cohorts["segment"]) == {"early"}
    last = read(moved, carry_conflict="last")
    assert set(last.cohorts["segment"]) == {"early", "late"}
    assert last.cohorts["customers"].sum() == 2357
