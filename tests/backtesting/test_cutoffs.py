"""Cut-offs and ends of horizons: dates by hand, and every refusal with its message."""

from __future__ import annotations

import datetime as dt
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from predclv.backtesting.cutoffs import settle_cutoffs, settle_horizons, window_length
from predclv.backtesting.logs import read_purchases
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError


def log_until(last="2024-12-31", first="2024-01-01", **options):
    """A log whose first and last rows alone matter."""
    rows = pd.DataFrame({"customer_id": [1, 1], "date": pd.to_datetime([first, last])})
    return read_purchases(rows, **options)


def day(text):
    return dt.date.fromisoformat(text)


def counted_back(n_cutoffs, horizons, step=None, log=None):
    return [str(cutoff) for cutoff in settle_cutoffs(log or log_until(), horizons, None, n_cutoffs, step)]


def ends(cutoff, horizons, **options):
    log = log_until("2026-12-31", **options)
    [cutoff] = settle_cutoffs(log, horizons, [cutoff], None, None)
    return {label: str(end) for label, end in settle_horizons(log, cutoff, horizons)}


@pytest.mark.parametrize(
    "given",
    [
        ["2024-06-30", "2024-03-31"],
        (dt.date(2024, 3, 31), pd.Timestamp("2024-06-30")),
        pd.DatetimeIndex(["2024-06-30", "2024-03-31"]),
        np.array(["2024-03-31", "2024-06-30"], dtype="datetime64[D]"),
    ],
    ids=["text", "dates", "index", "datetime64"],
)
def test_cutoffs_come_earliest_first(given):
    assert settle_cutoffs(log_until(), ["4 weeks"], given, None, None) == [day("2024-03-31"), day("2024-06-30")]


@pytest.mark.parametrize("one", ["2024-06-30", day("2024-06-30"), pd.Timestamp("2024-06-30")])
def test_one_cutoff_needs_no_list(one):
    assert settle_cutoffs(log_until(), ["4 weeks"], one, None, None) == [day("2024-06-30")]


def test_an_instant_and_its_day_are_two_cutoffs_in_order():
    found = settle_cutoffs(log_until(), ["4 weeks"], ["2024-06-30", "2024-06-30 12:00"], None, None)
    assert found == [dt.datetime(2024, 6, 30, 12), day("2024-06-30")]


@pytest.mark.parametrize(
    ("n_cutoffs", "horizons", "step", "expected"),
    [
        # 28 days end on 31 December when they begin on 4 December.
        (1, ["4 weeks"], None, ["2024-12-03"]),
        (3, ["4 weeks"], None, ["2024-10-08", "2024-11-05", "2024-12-03"]),
        (2, ["4 weeks", "13 weeks"], None, ["2024-07-02", "2024-10-01"]),
        (2, ["13 weeks"], "4 weeks", ["2024-09-03", "2024-10-01"]),
        (2, [28 / 7], 1, ["2024-11-26", "2024-12-03"]),
        (2, ["4 weeks"], pd.Timedelta(days=10), ["2024-11-23", "2024-12-03"]),
        (2, ["1 month"], None, ["2024-10-30", "2024-11-30"]),
        (2, ["6 months"], None, ["2023-12-30", "2024-06-30"]),
        (3, ["4 weeks"], "1 month", ["2024-10-03", "2024-11-03", "2024-12-03"]),
        # 365 of 365.25 days are whole.
        (1, ["1 year"], None, ["2024-01-01"]),
        (2, ["0.5 years"], None, ["2024-01-02", "2024-07-02"]),
    ],
)
def test_cutoffs_counted_back_from_the_end(n_cutoffs, horizons, step, expected):
    log = log_until(first="2023-01-01")
    assert counted_back(n_cutoffs, horizons, step, log) == expected
    last = max(end for _, end in settle_horizons(log, day(expected[-1]), horizons))
    assert dt.timedelta() <= day("2024-12-31") - last < dt.timedelta(days=4)


def test_by_default_no_outcome_counts_twice():
    log = log_until(first="2019-01-01")
    for horizon in ("13 weeks", "1 year", "6 months", "0.3 years"):
        cutoffs = settle_cutoffs(log, [horizon], None, 3, None)
        for earlier, later in pairwise(cutoffs):
            [(_, end)] = settle_horizons(log, earlier, [horizon])
            assert end <= later


def test_a_log_complete_until_an_instant_is_counted_from_the_day_before():
    log = log_until("2025-02-01", observation_end="2024-12-31 12:00")
    [cutoff] = settle_cutoffs(log, ["4 weeks"], None, 1, None)
    assert cutoff == day("2024-12-02")
    assert settle_horizons(log, cutoff, ["4 weeks"]) == [("4 weeks", day("2024-12-30"))]


def test_observation_end_beyond_the_last_row_counts():
    assert counted_back(1, ["4 weeks"], log=log_until("2024-12-20", observation_end="2024-12-31")) == ["2024-12-03"]


@pytest.mark.parametrize(
    ("horizon", "label", "end"),
    [
        ("4 weeks", "4 weeks", "2024-02-28"),
        ("1 month", "1 month", "2024-02-29"),
        ("13 months", "13 months", "2025-02-28"),
        ("1 year", "1 year", "2025-01-30"),  # 2024 is a leap year: 365 days, and a quarter that is no day
        ("2024-06-30", "until 2024-06-30", "2024-06-30"),
        (dt.date(2024, 6, 30), "until 2024-06-30", "2024-06-30"),
        (2, "2 weeks", "2024-02-14"),
        (np.float64(1.5), "1.5 weeks", "2024-02-10"),
        (pd.Timedelta(days=3, hours=12), "3.5 days", "2024-02-03"),
    ],
)
def test_end_of_a_horizon_from_the_last_of_january(horizon, label, end):
    assert ends("2024-01-31", [horizon]) == {label: end}


def test_seven_days_are_seven_days_by_a_ruler_of_years():
    assert ends("2024-01-31", ["7 days"], time_unit="year") == {"7 days": "2024-02-07"}


def test_horizons_come_shortest_first():
    assert list(ends("2024-01-31", ["26 weeks", "1 month", "4 weeks"])) == ["4 weeks", "1 month", "26 weeks"]


@pytest.mark.parametrize(
    ("cutoff", "horizon", "collapse", "end"),
    [
        # What follows noon of a day that is one purchase's period begins with the next day.
        ("2024-03-10 12:00", "14 days", "day", "2024-03-24"),
        ("2024-03-10 12:00", "14 days", "none", "2024-03-24 12:00:00"),
        ("2024-03-10 12:00", "36 hours", "none", "2024-03-11"),
        ("2024-03-10", "36 hours", "hour", "2024-03-12 12:00:00"),
        ("2024-03-10", "2 days", "none", "2024-03-12"),
    ],
)
def test_end_of_a_horizon_from_an_instant(cutoff, horizon, collapse, end):
    assert list(ends(cutoff, [horizon], collapse=collapse).values()) == [end]


def test_a_horizon_may_end_with_the_log_to_the_instant():
    log = log_until("2025-02-01", observation_end="2024-12-31 12:00", collapse="none")
    [(_, end)] = settle_horizons(log, dt.datetime(2024, 12, 17, 12), ["14 days"])
    assert end == log.end


def test_window_is_counted_backwards_in_months():
    def length(window, time_unit):
        table = pd.DataFrame({"frequency": [1], "recency": [1.0], "T": [2.0]})
        return window_length(window, RFMSummary.from_frame(table, time_unit=time_unit), day("2024-03-31"))

    assert length("1 month", "day") == 31
    assert length("2 months", "day") == 60  # since 31 January
    assert length("52 weeks", "week") == 52
    assert math.isinf(length("inf", "week"))


@pytest.mark.parametrize(
    ("cutoffs", "n_cutoffs", "step", "message"),
    [
        (None, None, None, "Give either cutoffs="),
        (["2024-06-30"], 2, None, "Give either cutoffs="),
        (["2024-06-30"], None, "4 weeks", "'step' goes with n_cutoffs"),
        ([], None, None, "'cutoffs' is empty"),
        ([None], None, None, "'cutoffs' is empty"),
        ([pd.NaT], None, None, "missing date"),
        (["30/06/2024"], None, None, "cutoffs='30/06/2024' is not a date that can be read"),
        ([20240630], None, None, "cutoffs=20240630 is not a date"),
        (["2024-06-30", "2024-06-30"], None, None, "The cut-off 2024-06-30 is given twice"),
        ([pd.Timestamp("2024-06-30", tz="UTC")], None, None, "knows its time zone"),
        (None, 0, None, "'n_cutoffs' must be a whole number from 1 on. Got 0"),
        (None, 1.5, None, "'n_cutoffs' must be a whole number from 1 on. Got 1.5"),
        (None, True, None, "'n_cutoffs' must be a whole number"),
        (None, "3", None, "'n_cutoffs' must be a whole number"),
        (None, 10**9, None, "n_cutoffs=1000000000 is more than the log has days, from 2024-01-01 to 2024-12-31"),
        (None, 2, "-4 weeks", "step='-4 weeks' cannot be read"),
        (None, 2, 0, "step=0 must be longer than zero"),
        (None, 2, "2024-01-31", "step='2024-01-31'"),
        (None, 2, "2025-01-31", "step='2025-01-31' is a date"),
        (None, 2, "inf", "infinite"),
        (None, 30, "1 hour", "step='1 hour' is shorter than a day"),
        (None, 300, "9000 years", "step='9000 years' reaches beyond the calendar"),
        (None, 300, "90 years", "lies outside the calendar"),
        (None, 300, "9000 months", "lies outside the calendar"),
    ],
)
def test_bad_cutoffs(cutoffs, n_cutoffs, step, message):
    with pytest.raises(DataError, match=message):
        settle_cutoffs(log_until(), ["4 weeks"], cutoffs, n_cutoffs, step)


def test_an_end_date_is_no_horizon_to_count_back_by():
    with pytest.raises(DataError, match=r"horizon='2025-03-31' is a date, from which n_cutoffs cannot be counted"):
        settle_cutoffs(log_until(), ["2025-03-31"], None, 2, None)


@pytest.mark.parametrize(
    ("cutoff", "horizon", "options", "message"),
    [
        ("2023-12-31", "4 weeks", {}, "The cut-off 2023-12-31 precedes the first purchase in the log, on 2024-01-01"),
        ("2024-12-31", "4 weeks", {}, "The cut-off 2024-12-31 leaves no outcome: the log ends on 2024-12-31"),
        ("2025-12-31", "4 weeks", {}, "leaves no outcome"),
        (
            "2024-12-01",
            "5 weeks",
            {},
            "5 weeks from the cut-off 2024-12-01 end on 2025-01-05, and the log on 2024-12-3",
        ),
        ("2024-12-01", "4 weeks", {"observation_end": "2024-12-24"}, "and the log on 2024-12-24"),
        ("2024-06-30", "inf", {}, "horizon='inf' is infinite: nothing can be compared with it"),
        ("2024-06-30", math.inf, {}, "horizon=inf is infinite"),
        ("2024-06-30", -2, {}, "horizon=-2 must be longer than zero"),
        ("2024-06-30", math.nan, {}, "horizon=nan must be longer than zero"),
        ("2024-06-30", "2024-05-31", {}, "ends at or before the as-of date 2024-06-30"),
        ("2024-06-30", "a month", {}, "horizon='a month' cannot be read"),
        ("2024-06-30", "3 hours", {}, "over before the next period of collapse='day' begins"),
        ("2024-06-05", "3 days", {"collapse": "week"}, "over before the next period of collapse='week' begins"),
        ("2024-06-05", "3 weeks", {"collapse": "month"}, "over before the next period of collapse='month' begins"),
    ],
)
def test_bad_horizons(cutoff, horizon, options, message):
    log = log_until(**options)
    [cutoff] = settle_cutoffs(log, [horizon], [cutoff], None, None)
    with pytest.raises(DataError, match=message):
        settle_horizons(log, cutoff, [horizon])


def test_two_horizons_of_one_end():
    with pytest.raises(DataError, match=r"The horizons '4 weeks' and '28 days' end on the same day"):
        settle_horizons(log_until(), day("2024-06-30"), ["4 weeks", "28 days"])
