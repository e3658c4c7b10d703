"""Horizons, as-of dates and time units."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from predclv.data.durations import Horizon, check_time_unit, parse_horizon, parse_moment
from predclv.errors import DataError

AS_OF = dt.date(1997, 9, 30)


@pytest.mark.parametrize(
    ("horizon", "time_unit", "length", "label"),
    [
        (39, "week", 39.0, "39 weeks"),
        (np.float64(1.5), "day", 1.5, "1.5 days"),
        ("39 weeks", "week", 39.0, "39 weeks"),
        ("1 week", "day", 7.0, "1 week"),
        (" 26W ", "week", 26.0, "26 weeks"),
        ("1 year", "week", 365.25 / 7, "1 year"),
        ("2 years", "year", 2.0, "2 years"),
        ("0.5 year", "day", 182.625, "0.5 years"),
        ("36 hours", "day", 1.5, "36 hours"),
        ("90 d", "day", 90.0, "90 days"),
        (pd.Timedelta(days=14), "week", 2.0, "14 days"),
        (dt.timedelta(hours=12), "hour", 12.0, "0.5 days"),
        (np.timedelta64(7, "D"), "week", 1.0, "7 days"),
        (math.inf, "week", math.inf, "infinite"),
        ("inf", "week", math.inf, "infinite"),
        ("1998-06-30", "week", 39.0, "until 1998-06-30"),
        (dt.date(1998, 6, 30), "day", 273.0, "until 1998-06-30"),
        (pd.Timestamp("1998-06-30"), "day", 273.0, "until 1998-06-30"),
        ("5 months", "day", 151.0, "5 months"),  # 30 September to 28 February
        ("1 month", "week", 30 / 7, "1 month"),
    ],
)
def test_horizons(horizon: Any, time_unit: str, length: float, label: str) -> None:
    found = parse_horizon(horizon, time_unit, AS_OF)
    assert found.length == pytest.approx(length, rel=1e-14)
    assert found.label == label
    assert parse_horizon(found, time_unit) == found


@pytest.mark.parametrize(
    ("horizon", "end"),
    [
        ("39 weeks", dt.date(1998, 6, 30)),
        ("3 months", dt.date(1997, 12, 30)),
        (math.inf, None),
        ("1998-06-30", dt.date(1998, 6, 30)),
        ("8000 years", dt.date(9997, 11, 29)),
    ],
)
def test_ends(horizon: Any, end: dt.date | None) -> None:
    assert parse_horizon(horizon, "week", AS_OF).end == end


def test_no_end_without_an_as_of_date() -> None:
    assert parse_horizon("39 weeks", "week") == Horizon(39.0, "39 weeks", None)


@pytest.mark.parametrize(
    ("horizon", "as_of", "said"),
    [
        (0, AS_OF, "longer than zero"),
        (-3, AS_OF, "longer than zero"),
        (math.nan, AS_OF, "longer than zero"),
        ("-3 weeks", AS_OF, "cannot be read"),
        ("3 fortnights", AS_OF, "'fortnights' is not a unit"),
        ("3 wekks", AS_OF, "Did you mean 'week'"),
        ("soon", AS_OF, "cannot be read. Give '26 weeks'"),
        (True, AS_OF, "cannot be read"),
        (None, AS_OF, "cannot be read"),
        ("6 months", None, "calendar months and need an as-of date"),
        ("1.5 months", AS_OF, "come whole"),
        ("1998-06-30", None, "needs an as-of date"),
        ("1997-09-30", AS_OF, "at or before the as-of date"),
        ("1997-09-30 12:00", AS_OF, "at or before the as-of date"),
        ("6 months", None, "'26 weeks'"),
        ("10000 years", AS_OF, "beyond the calendar"),
        ("9000 years", AS_OF, "beyond the calendar"),
        ("9999 years", AS_OF, "beyond the calendar"),
        (dt.timedelta(days=3_000_000), AS_OF, "beyond the calendar"),
        ("96040 months", AS_OF, "beyond the calendar"),
        ("100000 months", AS_OF, "beyond the calendar"),
        ("1e400 weeks", AS_OF, "beyond the calendar"),
        (1e12, AS_OF, "beyond the calendar"),
        (np.timedelta64(1, "Y"), AS_OF, "cannot be read"),
        (pd.NaT, AS_OF, "cannot be read"),
        ("1997-12-31 12:00+01:00", AS_OF, "knows its time zone"),
    ],
)
def test_bad_horizons(horizon: Any, as_of: dt.date | None, said: str) -> None:
    with pytest.raises(DataError, match=said):
        parse_horizon(horizon, "week", as_of)


@pytest.mark.parametrize(
    ("as_of", "horizon", "hours"),
    [
        ("2024-09-29", "2024-09-30 12:00", 12),
        ("2024-09-29", "2024-09-30", 24),
        ("2024-09-29 12:00", "2024-09-30", 36),
        ("2024-09-29 12:00", "2024-09-29", 12),
        ("2024-09-29 12:00", "2024-09-30 12:30", 24.5),
        ("2024-09-29 12:00+02:00", "2024-09-29 12:00Z", 2),
        ("2024-09-29 12:00+02:00", "2024-09-29", 12),
    ],
)
def test_end_dates_are_whole_days_and_instants_instants(as_of: str, horizon: str, hours: float) -> None:
    found = parse_horizon(horizon, "hour", parse_moment("observation_end", as_of))
    assert found.length == pytest.approx(hours, rel=1e-14)
    assert found.end == dt.date.fromisoformat(horizon[:10])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("1997-09-30", AS_OF),
        (AS_OF, AS_OF),
        (dt.datetime(1997, 9, 30), AS_OF),
        (pd.Timestamp("1997-09-30"), AS_OF),
        (np.datetime64("1997-09-30"), AS_OF),
        ("1997-09-30 12:00", dt.datetime(1997, 9, 30, 12)),
        ("1997-09-30T12:00Z", dt.datetime(1997, 9, 30, 12, tzinfo=dt.UTC)),
    ],
)
def test_moments(value: Any, expected: dt.date | None) -> None:
    found = parse_moment("observation_end", value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", ["30.9.1997", "", 19970930, pd.NaT, np.datetime64("NaT"), "1997-02-30"])
def test_bad_moments(value: Any) -> None:
    with pytest.raises(DataError, match="observation_end"):
        parse_moment("observation_end", value)


def test_time_units() -> None:
    assert check_time_unit("week") == "week"
    with pytest.raises(DataError, match="Did you mean 'day'"):
        check_time_unit("dayly")
    with pytest.raises(DataError, match="no ruler"):
        check_time_unit("months")
