"""Subscriptions: renewals counted by the calendar, cohorts, and what is refused."""

from __future__ import annotations

import copy
import datetime as dt
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

import predclv as pc
from engines import ENGINES
from predclv.data.periods import count_renewals, parse_periods, renewal_date
from predclv.errors import DataError, DataQualityWarning

LOG = pd.DataFrame(
    {
        "customer_id": [1, 2, 3, 3, 4, 5],
        "start": ["2024-01-31", "2024-01-31", "2024-02-15", "2024-06-15", "2024-03-01", "2024-06-30"],
        "end": [None, "2024-03-31", "2024-06-15", None, "2024-06-20", None],
        "price": [9.0, 9.0, 9.0, 12.0, 5.0, 5.0],
        "plan": ["a", "b", "a", "c", "b", "a"],
    }
)


def read(log=LOG, **options):
    return pc.Subscriptions.from_log(log, **{"price": "price", "observation_end": "2024-06-30", **options})


def days(*dates):
    return np.array(dates, dtype="datetime64[D]")


# The calendar


def test_months_are_counted_from_the_start():
    start = np.repeat(days("2024-01-31"), 5)
    due = renewal_date(start, np.arange(5), "month")
    assert list(due.astype(str)) == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-31"]
    assert list(renewal_date(days("2024-02-29"), np.array([1]), "year").astype(str)) == ["2025-02-28"]
    assert list(renewal_date(days("2023-11-30"), np.array([1]), "quarter").astype(str)) == ["2024-02-29"]


@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
def test_renewals_until_a_day_are_those_whose_date_has_come(period):
    rng = np.random.default_rng(1)
    start = days("2015-01-01") + rng.integers(0, 3_000, 400).astype("timedelta64[D]")
    day = start + rng.integers(0, 3_000, 400).astype("timedelta64[D]")
    n = count_renewals(start, day, period)
    assert (renewal_date(start, n, period) <= day).all()
    assert (renewal_date(start, n + 1, period) > day).all()
    assert (count_renewals(start, start - np.timedelta64(1, "D"), period) == 0).all()


@pytest.mark.parametrize(
    ("horizon", "period", "length"),
    [
        ("12 months", "month", 12),
        ("1 year", "month", 12),
        ("6 months", "quarter", 2),
        ("2 weeks", "day", 14),
        ("52 weeks", "month", 364 / 30.4375),
        (7, "week", 7),
        (np.inf, "month", np.inf),
        ("2025-06-30", "month", 12),
        ("2024-07-15", "month", 15 / 31),
        (dt.timedelta(days=14), "week", 2),
    ],
)
def test_horizons_in_periods(horizon, period, length):
    assert parse_periods(horizon, period, dt.date(2024, 6, 30)).length == pytest.approx(length, rel=1e-14)


@pytest.mark.parametrize("horizon", ["soon", "0 months", -1, "2 moons", "2024-06-30", None, True])
def test_horizons_that_are_none(horizon):
    with pytest.raises(DataError, match="horizon="):
        parse_periods(horizon, "month", dt.date(2024, 6, 30))


# A log


def test_renewals_of_a_log():
    subs = read(carry=["plan"])
    # 5: started on the as-of date. 3 came back, as a contract of its own.
    assert list(subs.customer_id) == [1, 2, 3, 3, 4, 5]
    # 2 ended on the day of the second renewal, 3 on that of the fourth: neither was made.
    assert list(subs.tenure) == [5, 1, 3, 0, 3, 0]
    assert list(subs.ended) == [False, True, True, False, True, False]
    # 4 has left before its renewal of 1 July came up.
    assert list(subs.lost) == [False, True, True, False, False, False]
    np.testing.assert_allclose(subs.next_renewal[~subs.ended], [1.0, 0.5, 1.0])
    assert list(subs.carried["plan"]) == ["a", "b", "a", "c", "b", "a"]
    quality = subs.quality.set_index("what")["count"]
    assert quality["contracts that ended before their renewal came up"] == 1
    assert quality["contracts of customers who came back"] == 1
    assert quality["contracts that run"] == 3
    assert "6 contracts, 3 of them running, renewed by the month, as of 2024-06-30" in repr(subs)
    assert "<table" in subs._repr_html_()


def test_the_last_day_and_the_first_without_are_one_end():
    log = LOG.assign(end=[None, "2024-03-30", "2024-06-14", None, "2024-06-19", None])
    pd.testing.assert_frame_equal(read(log).to_pandas(), read().to_pandas())


def test_a_change_of_plan_can_go_on():
    subs = read(returning="join", carry=["plan"])
    assert list(subs.customer_id) == [1, 2, 3, 4, 5]
    assert list(subs.tenure) == [5, 1, 4, 3, 0]
    assert subs.price[2] == 12
    assert subs.carried["plan"][2] == "c"
    later = LOG.assign(start=LOG["start"].replace("2024-06-15", "2024-06-17"))
    assert len(read(later, returning="join")) == 6
    with pytest.raises(DataError, match="1 of 6 subscriptions are not the first of their customer"):
        read(returning="error")


@pytest.mark.parametrize("end", [None, "2024-04-30"])
def test_of_two_that_start_on_one_day_the_one_that_is_over_comes_first(end):
    log = pd.DataFrame({"customer_id": [1, 1], "start": ["2024-01-01"] * 2, "end": [end, "2024-01-01"]})
    assert list(read(log, price=None).tenure) == [0, 5 if end is None else 3]
    assert list(read(log, price=None, returning="join").tenure) == [5 if end is None else 3]


def test_the_past_can_be_looked_from():
    subs = read(observation_end="2024-03-31", after_end="cut")
    assert list(subs.customer_id) == [1, 2, 3, 4]
    assert list(subs.tenure) == [2, 1, 1, 0]
    assert list(subs.lost) == [False, True, False, False]
    quality = subs.quality.set_index("what")["count"]
    assert quality["subscriptions after observation_end, set aside"] == 2
    assert quality["subscriptions that end after observation_end, running"] == 2


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dates", ["text", "datetimes", "days"])
def test_every_engine_gives_the_same(engine, dates):
    log = LOG
    if dates != "text":
        log = log.assign(**{name: pd.to_datetime(log[name]) for name in ("start", "end")})
    if dates == "days":
        known = {name: [None if pd.isna(day) else day.date() for day in log[name]] for name in ("start", "end")}
        log = log.assign(**{name: pd.Series(column, dtype=object) for name, column in known.items()})
    subs = read(ENGINES[engine](log), carry=["plan"])
    native = subs.to_native()
    assert type(native) is type(
        pc.RFMSummary.from_frame(
            ENGINES[engine](pd.DataFrame({"frequency": [1], "recency": [1.0], "T": [1.0]})), time_unit="week"
        ).to_native()
    )
    pd.testing.assert_frame_equal(subs.to_pandas(), read(carry=["plan"]).to_pandas())


def test_zones_and_formats_are_settled_as_in_a_purchase_log():
    aware = LOG.assign(**{name: pd.to_datetime(LOG[name]).dt.tz_localize("UTC") for name in ("start", "end")})
    with pytest.raises(DataError, match="start column 'start' knows time zones"):
        read(aware)
    # Midnight in London is the evening before in New York.
    assert list(read(aware, time_zone="America/New_York").tenure) == [5, 1, 3, 0, 3, 0]
    assert read(aware, time_zone="America/New_York").start[0] == np.datetime64("2024-01-30")
    german = LOG.assign(**{name: pd.to_datetime(LOG[name]).dt.strftime("%d.%m.%Y") for name in ("start", "end")})
    pd.testing.assert_frame_equal(read(german, date_format="%d.%m.%Y").to_pandas(), read().to_pandas())


def test_a_file_and_a_log_of_which_nobody_has_left(tmp_path):
    LOG.to_csv(tmp_path / "log.csv", index=False)
    pd.testing.assert_frame_equal(read(tmp_path / "log.csv").to_pandas(), read().to_pandas())
    for nobody in (LOG.assign(end=None)[:4:2], pl.from_pandas(LOG.assign(end=None)[:4:2])):
        assert not read(nobody).ended.any()


BAD = {
    "ends before it starts": (LOG.assign(end="2024-01-01")[:2], {}, "2 of 2 subscriptions end before they start"),
    "end after the end": (LOG, {"observation_end": "2024-06-19"}, "start after observation_end='2024-06-19'"),
    "ends after the end": (LOG[1:2], {"observation_end": "2024-03-01"}, "1 of 1 subscriptions end after"),
    "null id": (LOG.assign(customer_id=["a", None, "b", "b", " ", "c"]), {}, "is null or blank for 2 of 6 rows"),
    "null start": (LOG.assign(start=[None, *LOG["start"][1:]]), {}, r"start column 'start' is null for 1 of 6 rows"),
    "overlap": (
        LOG.assign(customer_id=[1, 1, 3, 3, 4, 5]),
        {},
        "1 of 6 subscriptions start before the same customer's",
    ),
    "twice": (pd.concat([LOG, LOG[:1]]), {}, "1 of 7 subscriptions start before"),
    "price": (LOG.assign(price=-1.0), {}, r"6 of 6 subscriptions have a price that is null, negative or not finite"),
    "no price": (LOG.assign(price=[np.nan, *LOG["price"][1:]]), {}, r"1 of 6 subscriptions have a price .*customer 1"),
    "price in words": (LOG.assign(price="9 USD"), {}, "holds String values where numbers belong"),
    "no column": (LOG, {"end": "until"}, "end='until': the log has no such column"),
    "period": (LOG, {"period": "months"}, "'period' must be one of .*Did you mean 'month'"),
    "no as-of date": (LOG, {"observation_end": None}, "observation_end is missing"),
    "an hour": (LOG, {"observation_end": "2024-06-30 12:00"}, "has a time of day"),
    "policy": (LOG, {"returning": "merge"}, "'returning' must be one of"),
    "no rows": (LOG[:0], {}, "The log is empty"),
    "own name": (LOG, {"carry": ["price"]}, "names of the subscriptions' own columns"),
    "text": (LOG, {"carry": "plan"}, r"must be a list of columns: \['plan'\]"),
    "currency": (LOG, {"currency": " "}, "is no currency"),
    "unreadable": (LOG.assign(end="soon"), {}, "end column 'end' cannot be read as a date"),
}


@pytest.mark.parametrize(("log", "options", "said"), BAD.values(), ids=BAD)
def test_bad_logs_are_refused(log, options, said):
    with pytest.raises(DataError, match=said):
        read(log, **options)


def test_rows_without_customer_or_start_can_be_dropped():
    log = LOG.assign(start=[None, *LOG["start"][1:]])
    subs = read(log, on_null="drop")
    assert list(subs.customer_id) == [2, 3, 3, 4, 5]
    assert subs.quality.set_index("what")["count"]["rows without customer or start, dropped"] == 1
    with pytest.raises(DataError, match="None of the 1 rows"):
        read(log[:1], on_null="drop")


# Cohorts


def test_a_cohort_of_counts():
    subs = pc.Subscriptions.from_cohorts([1000, 869, 743], price=5)
    assert list(subs.tenure) == [0, 1, 2]
    assert list(subs.lost) == [True, True, False]
    assert list(subs.weight) == [131, 126, 743]
    assert list(subs.price) == [5, 5, 5]
    assert subs.n_customers == 1000


def test_cohorts_of_different_ages():
    table = pd.DataFrame({0: [100, 80, 60], 1: [63, 60, None], 2: [47, None, None]}, index=["2021", "2022", "2023"])
    subs = pc.Subscriptions.from_cohorts(table)
    assert list(subs.carried["cohort"]) == ["2021"] * 3 + ["2022"] * 2 + ["2023"]
    assert list(subs.weight) == [37, 16, 47, 20, 60, 60]
    assert list(subs.tenure) == [0, 1, 2, 0, 1, 0]
    other = pl.from_pandas(table.rename(columns=str).rename_axis("year").reset_index())
    again = pc.Subscriptions.from_cohorts(other, cohort="year")
    pd.testing.assert_frame_equal(again.to_pandas(), subs.to_pandas())
    assert isinstance(again.to_native(), pl.DataFrame)


def test_percentages():
    with pytest.warns(DataQualityWarning, match="count as 100 customers a cohort"):
        subs = pc.Subscriptions.from_cohorts([100, 86.9, 74.3], values="percent")
    np.testing.assert_allclose(subs.weight, [13.1, 12.6, 74.3])
    sized = pc.Subscriptions.from_cohorts([100, 86.9, 74.3], values="percent", size=731)
    assert list(sized.weight) == [96, 92, 543]
    retention = pc.datasets.load_retention()
    both = pc.Subscriptions.from_cohorts(retention, values="percent", size={"Regular": 1000, "High End": 500})
    assert both.n_customers == 1500


BAD_COHORTS = {
    "risen": ([10, 8, 9], {}, "Survivors rise in 1 of 1 cohorts .*period 2: 9"),
    "parts": ([100, 63.1], {}, "no whole numbers .*values='percent'"),
    "gap": (pd.DataFrame([[10.0, np.nan, 8.0]]), {}, "A cell follows an empty one"),
    "no size": (pd.DataFrame([[np.nan, 9.0]]), {}, "the size of the cohort, is empty"),
    "negative": ([10, -1], {}, "negative or infinite"),
    "nobody": ([0, 0], {}, "The cohort is empty"),
    "no renewal": ([10], {}, "No cohort has come to a renewal"),
    "text": ([10, "many"], {}, "no numbers"),
    "above all": ([120, 80], {"values": "percent"}, "More than 100 %"),
    "several as an array": (np.array([[20, 10], [5, 3]]), {}, "holds a single cohort.*as a frame"),
    "several as lists": ([[20, 10], [5, 3, 1]], {}, "holds a single cohort.*as a frame"),
    "size of counts": ([10, 8], {"size": 10}, "size= belongs to percentages"),
    "no whole size": ([100, 80], {"values": "percent", "size": 7.5}, "a whole number of customers"),
    "size lacks": (pd.DataFrame([[100, 80]], index=["a"]), {"values": "percent", "size": {"b": 1}}, "lacks 1 of 1"),
    "twice": (pd.DataFrame([[10, 8], [10, 8]], index=["a", "a"]), {}, "stands twice"),
    "price": ([10, 8], {"price": -1}, "price=-1"),
    "period": ([10, 8], {"period": "month's"}, "'period' must be"),
}


@pytest.mark.parametrize(("table", "options", "said"), BAD_COHORTS.values(), ids=BAD_COHORTS)
def test_bad_cohorts_are_refused(table, options, said):
    with pytest.raises(DataError, match=said):
        pc.Subscriptions.from_cohorts(table, **options)


# The object


def test_it_is_frozen_and_can_be_sliced():
    subs = read(carry=["plan"])
    with pytest.raises(ValueError, match="read-only"):
        subs.tenure[0] = 3
    assert len(subs[subs.ended]) == 3
    assert list(subs[[4, 0]].customer_id) == [4, 1]
    assert subs[1].carried["plan"].tolist() == ["b"]
    assert subs.shape == (6, 9)
    with pytest.raises(DataError, match="No customer is picked"):
        subs[[]]
    for other in (copy.deepcopy(subs), pickle.loads(pickle.dumps(subs))):
        pd.testing.assert_frame_equal(other.to_pandas(), subs.to_pandas())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tenure": [1.5]}, "no whole number of renewals"),
        ({"lost": [True]}, "'lost' says that a contract ended"),
        ({"weight": [0.0]}, "no positive number"),
        ({"next_renewal": [0.0]}, "not above 0 and at most 1"),
        ({"price": [np.nan]}, "'price' is null"),
        ({"ended": [0]}, "must hold True or False"),
        ({"customer_id": [None]}, "'customer_id' is null"),
        ({"tenure": []}, "There are no subscriptions"),
        ({"tenure": ["a"]}, "where numbers belong"),
    ],
)
def test_columns_that_contradict_each_other(change, said):
    columns = {
        "customer_id": [1],
        "tenure": [1],
        "ended": [False],
        "lost": [False],
        "weight": [1.0],
        "next_renewal": [1.0],
    }
    with pytest.raises(DataError, match=said):
        pc.Subscriptions(**{name: np.array(value) for name, value in {**columns, **change}.items()})


# Ready tables


@pytest.mark.parametrize("kind", ["csv", "parquet", "polars"])
def test_a_table_comes_back_as_it_was_written(kind, tmp_path):
    subs = read(carry=["plan"])
    table = subs.to_pandas()
    source = pl.from_pandas(table)
    if kind != "polars":
        source = tmp_path / f"subs.{kind}"
        table.to_csv(source, index=False) if kind == "csv" else table.to_parquet(source)
    found = pc.Subscriptions.from_frame(source, carry=["plan"], observation_end="2024-06-30")
    pd.testing.assert_frame_equal(found.to_pandas(), table, check_dtype=False)
    assert found.period == "month"
    assert isinstance(found.to_native(), pl.DataFrame if kind == "polars" else pd.DataFrame)


def test_what_a_table_leaves_out():
    found = pc.Subscriptions.from_frame(
        pd.DataFrame({"renewals": [3, 0], "over": [0, 1]}), tenure="renewals", ended="over"
    )
    assert found.customer_id.tolist() == [0, 1]
    assert found.ended.tolist() == found.lost.tolist() == [False, True]
    assert found.weight.tolist() == found.next_renewal.tolist() == [1.0, 1.0]
    assert found.price is None


BAD_TABLE = {
    "no such column": ({"tenur": [1], "ended": [True]}, "tenure='tenure': the table has no such column. Did you mean"),
    "no flag": ({"tenure": [1, 1], "ended": ["no", "false"]}, r"true and false for 1 of 2 rows \(first: row 0, 'no'\)"),
    "null flag": ({"tenure": [1, 2], "ended": [True, None]}, "true and false for 1 of 2 rows"),
    "no number": ({"tenure": ["many"], "ended": [True]}, "'tenure' holds values that are no numbers"),
    "null number": ({"tenure": [1, None], "ended": [True, True]}, "no whole number of renewals: 1 of 2 rows"),
    "lost but not ended": ({"tenure": [1], "ended": [False], "lost": [True]}, "'lost' says that a contract ended"),
}


@pytest.mark.parametrize(("table", "said"), BAD_TABLE.values(), ids=BAD_TABLE.keys())
def test_bad_tables_are_refused(table, said):
    with pytest.raises(DataError, match=said):
        pc.Subscriptions.from_frame(pd.DataFrame(table))
    with pytest.raises(DataError, match="names of the subscriptions' own columns"):
        pc.Subscriptions.from_frame(pd.DataFrame(table), carry=["price"])
