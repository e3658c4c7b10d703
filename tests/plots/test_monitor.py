"""Plots of monitoring: what is drawn, from tables as `compare_snapshots` gives them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from predclv import plots


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def counts():
    return pd.DataFrame(
        {
            "kind": ["silence", "basket", "value"],
            "tested": [400, 200, 0],
            "rang": [30, 12, 0],
            "expected_if_unchanged": [20.0, 10.0, 0.0],
            "expected_by_forecast": [28.0, np.nan, np.nan],
            "deviation_by_forecast": [5.0, np.nan, np.nan],
        }
    )


@pytest.fixture
def totals():
    return pd.DataFrame(
        {
            "what": ["purchases"] * 3,
            "group": ["1", "2", "all"],
            "expected": [10.0, 30.0, 40.0],
            "low": [6.0, 22.0, 31.0],
            "high": [15.0, 39.0, 50.0],
            "actual": [12.0, 45.0, 57.0],
            "inside": [True, False, False],
        }
    )


@pytest.fixture
def parameters():
    return pd.DataFrame(
        {
            "model": ["BGNBD"] * 3,
            "segment": [None, "<$b$>", "c"],
            "parameter": ["r", "alpha", "a"],
            "ratio": [1.1, 0.6, np.nan],
            "ratio_low": [0.9, 0.5, np.nan],
            "ratio_high": [1.3, 0.8, np.nan],
            "moved": [False, True, False],
        }
    )


def test_alarms_stand_beside_those_expected(counts, ax):
    assert plots.plot_alarm_counts(counts, ax=ax) is ax
    assert [bar.get_width() for bar in ax.patches] == [30, 12]
    assert ax.get_yticklabels()[0].get_text() == "bought unusually little"
    assert "400 customers" in ax.get_title(loc="left")
    marks = next(line for line in ax.lines if line.get_marker() == "|")
    assert list(marks.get_xdata()) == [20, 10]


def test_groups_stand_on_their_forecast(totals, ax):
    plots.plot_last_forecast(totals, ax=ax)
    assert "1 of 2 groups" in ax.get_title(loc="left")
    came = next(line for line in ax.lines if line.get_marker() == "o")
    assert list(came.get_ydata()) == [12, 45]
    with pytest.raises(ValueError, match="'purchases'"):
        plots.plot_last_forecast(totals, "revenue", ax=ax)


def test_parameters_that_moved_are_marked(parameters, ax):
    plots.plot_parameter_drift(parameters, ax=ax)
    assert "1 of 2 parameters" in ax.get_title(loc="left")
    assert ax.get_xlim()[0] < 0.5
    assert r"\$b\$" in ax.get_yticklabels()[1].get_text()
    with pytest.raises(ValueError, match="new model"):
        plots.plot_parameter_drift(parameters.head(0))
