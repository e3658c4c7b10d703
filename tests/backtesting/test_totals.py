"""Totals with their intervals, tracks, and the line that says how far a run is."""

from __future__ import annotations

import datetime as dt
import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from predclv.backtesting import Forecast
from predclv.backtesting import progress as progress_module
from predclv.backtesting.blocks import Outcome
from predclv.backtesting.progress import ProgressLine, time_left
from predclv.backtesting.totals import TOTAL_LEVELS, total_rows, track_table

OUTCOME = Outcome("4 weeks", 4.0, dt.date(2024, 4, 28), np.array([3.0, 0.0, 1.0]), np.array([30.0, 0.0, 12.0]), 0, 0)


def rows(forecast, outcome=OUTCOME):
    return pd.DataFrame(total_rows(forecast, outcome, "2024-03-31", "m"))


def test_intervals_come_from_joint_draws():
    draws = np.arange(1, 101, dtype=float)
    table = rows(Forecast(np.array([2.0, 1.0, 3.0]), expected_value=np.full(3, 5.0), totals={"purchases": draws}))
    purchases = table[table["quantity"] == "purchases"].set_index("level")
    assert tuple(purchases.index) == TOTAL_LEVELS
    assert (purchases["expected"] == 6.0).all()
    assert (purchases["actual"] == 4.0).all()
    # Smallest draw whose share of draws at or below it reaches the level.
    assert purchases.loc[0.5, ["low", "high"]].tolist() == [25.0, 75.0]
    assert purchases.loc[0.9, ["low", "high"]].tolist() == [5.0, 95.0]
    assert purchases["inside"].tolist() == [False, False, False, True]
    value = table[table["quantity"] == "value"]
    assert value["expected"].tolist() == [15.0] * 4
    assert value["actual"].tolist() == [42.0] * 4
    assert value[["low", "high"]].isna().all(axis=None)
    assert value["inside"].tolist() == [None] * 4


def test_an_outcome_at_the_end_of_an_interval_lies_inside():
    assert rows(Forecast(np.ones(3), totals={"purchases": np.full(9, 4.0)}))["inside"].all()


def test_quantities_that_nobody_speaks_of_have_no_rows():
    assert set(rows(Forecast(np.ones(3)))["quantity"]) == {"purchases"}
    no_money = Outcome("4 weeks", 4.0, OUTCOME.end, OUTCOME.purchases, None, 0, 0)
    assert set(rows(Forecast(np.ones(3), expected_value=np.ones(3)), no_money)["quantity"]) == {"purchases"}


VINTAGE = SimpleNamespace(
    cutoff=dt.date(2024, 3, 31),
    known=SimpleNamespace(
        times=np.array([1.0, 2.0, 4.0]),
        lengths=(2.0, 4.0),
        everyone=SimpleNamespace(rfm=SimpleNamespace(days_per_unit=7.0, opportunities=None)),
    ),
    actual_track=np.array([1.0, 2.0, 4.0]),
)


def test_a_track_stands_beside_what_happened_until_then():
    forecast = Forecast(np.ones(3), track=(np.array([0.5, 2.0, 4.0]), np.array([1.0, 3.0, 6.0])))
    table = track_table([VINTAGE], [(0, "m", [Forecast(np.ones(3)), forecast])])
    assert list(table.columns) == ["cutoff", "method", "time", "date", "expected", "actual"]
    assert table["expected"].tolist() == [1.0, 3.0, 6.0]
    assert table["actual"].tolist() == [0.5, 2.0, 4.0]
    assert table["date"].tolist() == [
        pd.Timestamp("2024-04-03 12:00"),
        pd.Timestamp("2024-04-14"),
        pd.Timestamp("2024-04-28"),
    ]


def test_a_method_without_a_track_stands_with_its_horizons():
    table = track_table([VINTAGE], [(0, "m", [Forecast(np.ones(3)), Forecast(np.full(3, 2.5))])])
    assert table["time"].tolist() == [2.0, 4.0]
    assert table["expected"].tolist() == [3.0, 7.5]
    assert table["actual"].tolist() == [2.0, 4.0]


def test_no_tracks_are_an_empty_table():
    assert list(track_table([], []).columns) == ["cutoff", "method", "time", "date", "expected", "actual"]


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "said"),
    [
        (10, 1, 4, "about 30 s left"),
        (120, 1, 3, "about 4 min left"),
        (44, 1, 3, "about 88 s left"),
        (12.4, 4, 4, "12 s in all"),
        (600, 4, 4, "10 min in all"),
    ],
)
def test_time_left(elapsed, done, total, said):
    assert time_left(elapsed, done, total) == said


class Terminal(io.StringIO):
    def __init__(self, watched):
        super().__init__()
        self.watched = watched

    def isatty(self):
        return self.watched


@pytest.mark.parametrize("watched", [True, False])
def test_a_line_is_shown_where_someone_watches(watched, monkeypatch):
    stream = Terminal(watched)
    monkeypatch.setattr(progress_module.sys, "stderr", stream)
    monkeypatch.delitem(progress_module.sys.modules, "ipykernel", raising=False)
    line = ProgressLine()
    line(1, 2, "zero at 2024-03-31")
    line(2, 2, "naive at 2024-03-31")
    said = stream.getvalue()
    if not watched:
        assert said == ""
        return
    first, second = said.split("\r")[1:]
    assert "1 of 2 · zero at 2024-03-31 · about 0 s left" in first
    assert second.endswith("2 of 2 · naive at 2024-03-31 · 0 s in all\n")
    assert "\n" not in first
