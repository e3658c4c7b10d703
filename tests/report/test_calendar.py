"""Season, trend and births: found where they are, and not where they are not."""

from __future__ import annotations

import datetime as dt
import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predclv.data.durations import Horizon
from predclv.plots import Tracking
from predclv.report import calendar_findings as findings

START = pd.Timestamp("2021-01-01")
N_DAYS = 3 * 365


def track(days, rate, period, seed=0):
    """Tracking of a log against a model that expects `rate` purchases every day."""
    starts = pd.date_range(START, periods=len(days) // 7, freq="7D")
    if period == "month":
        starts = pd.date_range(START, START + pd.Timedelta(days=len(days) - 1), freq="MS")
    ends = starts[1:].append(pd.DatetimeIndex([START + pd.Timedelta(days=len(days))]))
    expected = rate * (ends - starts).days.to_numpy()
    simulated = np.random.default_rng(seed).poisson(expected, (400, len(starts))).astype(float)
    low, high = np.quantile(simulated, [0.05, 0.95], axis=0)
    actual = [days[(a - START).days : (b - START).days].sum() for a, b in zip(starts, ends, strict=True)]
    table = pd.DataFrame({"start": starts, "end": ends, "holdout": False, "actual": actual})
    table = table.assign(expected=expected.astype(float), low=low, high=high)
    end = START + pd.Timedelta(days=len(days) - 1)
    nothing = pd.DataFrame()
    as_of = dt.date(end.year, end.month, end.day)
    return Tracking(table, nothing, nothing, 0.9, 100, 100, simulated=simulated, as_of=as_of, period=period)


def calendar_of(shape, n_days=N_DAYS, rate=30.0, seed=1, **columns):
    """A log whose purchases follow `shape` (of the day's number) times what the model expects."""
    day = np.arange(n_days)
    made = np.random.default_rng(seed).poisson(rate * shape(day)).astype(float)
    weeks, months = track(made, rate, "week"), track(made, rate, "month")
    days = pd.DataFrame({"start": START + pd.to_timedelta(day, unit="D"), "purchases": made, "births": 1, **columns})
    return findings.Calendar(weeks, months, days, findings._season(months))


def given(horizon=0.5):
    """As much of the inputs as these findings look at; a horizon in years."""
    return SimpleNamespace(
        finite=math.isfinite(horizon),
        horizon=Horizon(horizon * 365.25, "some time"),
        rfm=SimpleNamespace(days_per_unit=1.0, __len__=lambda: 100),
        money=lambda amount: f"{amount:.2f}",
    )


def flat(day):
    return np.ones(len(day))


def seasonal(day):
    return 1 + 0.3 * np.cos(2 * np.pi * (day - 350) / 365.25)


def test_a_log_without_season_and_trend_is_fine():
    calendar = calendar_of(flat)
    assert findings.seasons(given(), calendar).grade == "fine"
    assert findings.trend(calendar).grade == "fine"
    assert findings.recent(calendar).grade == "fine"


def test_a_season_is_named_with_its_months():
    finding = findings.seasons(given(), calendar_of(seasonal))
    assert finding.grade == "caution"
    assert re.search(r"(November|December|January) by \+[23]\d%", finding.text)
    assert "June by −" in finding.text
    assert "not whole years" in finding.text


@pytest.mark.parametrize(("horizon", "words"), [(2.0, "evens it out"), (math.inf, "infinite horizon evens it out")])
def test_whole_years_even_a_season_out(horizon, words):
    finding = findings.seasons(given(horizon), calendar_of(seasonal))
    assert finding.grade == "note"
    assert words in finding.text


def test_a_season_is_no_trend_and_excuses_the_last_weeks():
    calendar = calendar_of(seasonal)
    assert findings.trend(calendar).grade == "fine"
    assert "season taken out" in findings.trend(calendar).text
    assert findings.recent(calendar).title == "The last weeks are as their season is"


@pytest.mark.parametrize(("slope", "word", "side"), [(-0.3, "fell", "too high"), (0.3, "rose", "too low")])
def test_a_trend_is_found_with_its_direction(slope, word, side):
    calendar = calendar_of(lambda day: 1 + slope * (day / N_DAYS - 0.5))
    finding = findings.trend(calendar)
    assert finding.grade == "caution"
    assert word in finding.title
    assert side in finding.text
    assert findings.recent(calendar).grade == "caution"


def test_a_campaign_is_not_taken_for_a_season():
    calendar = calendar_of(lambda day: 1 + 1.0 * ((day >= 500) & (day < 530)))
    assert findings.seasons(given(), calendar).grade == "fine"


@pytest.mark.parametrize(
    ("shape", "grade", "words"), [(flat, "note", "no more than"), (seasonal, "caution", "more than")]
)
def test_less_than_two_years_cannot_tell_a_season(shape, grade, words):
    finding = findings.seasons(given(), calendar_of(shape, n_days=400))
    assert finding.title == "Too short a history to tell a season"
    assert finding.grade == grade
    assert f"{words} chance explains" in finding.text


def test_a_log_of_weeks_says_that_nothing_can_be_looked_for():
    calendar = calendar_of(flat, n_days=45)
    assert findings.seasons(given(), calendar).title == "Too little history to look for seasons"
    assert findings.trend(calendar).title == "Too little history to look for a trend"


def test_births_are_counted_to_the_end():
    calendar = calendar_of(flat)
    assert "91 customers joined in the last 91 days, 91 in the 91 days before" in _births(calendar)
    stopped = calendar_of(flat, births=np.where(np.arange(N_DAYS) < 1000, 2, 0))
    assert "All 2,000 customers joined until 2023-09-27; none in the last 95 days" in _births(stopped)


def test_a_change_of_the_average_purchase_is_found():
    made = calendar_of(flat).days["purchases"].to_numpy()
    steady, dearer = made * 20.0, made * np.where(np.arange(N_DAYS) >= N_DAYS - 91, 25.0, 20.0)
    assert findings.spend_over_time(given(), calendar_of(flat, spend=steady)).grade == "fine"
    finding = findings.spend_over_time(given(), calendar_of(flat, spend=dearer))
    assert finding.grade == "caution"
    assert "25.00 on average, 20.00 before (+25%)" in finding.text
    assert findings.spend_over_time(given(), calendar_of(flat)) is None


def test_false_alarms_are_about_as_rare_as_promised():
    """Of 60 logs without a season or a trend, at 1 % and 10 %: no more than three standard errors above."""
    calendars = [calendar_of(flat, seed=seed) for seed in range(60)]
    season = sum(calendar.season is not None for calendar in calendars)
    trend = sum(findings.trend(calendar).grade != "fine" for calendar in calendars)
    assert season <= 3
    assert trend <= 13


def _births(calendar):
    class Base:
        def __len__(self):
            return 2000

    return findings.births(SimpleNamespace(rfm=Base()), calendar).text
