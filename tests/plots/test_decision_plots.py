"""Plots of decisions: what is drawn is what was found, and the title says it."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from predclv import plots


@pytest.fixture
def ax():
    return Figure().subplots()


def test_stakes_are_ranked_and_shared(ax):
    plots.plot_stakes([0.0, 6.0, 1.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], ax=ax)
    assert "The first 10% of customers hold 60%" in ax.get_title(loc="left").replace("\n", " ")
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata()[:5], [0.0, 0.6, 0.9, 1.0, 1.0])


def test_an_offer_goes_as_far_as_it_pays(ax):
    plots.plot_offer_return([10.0, 8.0, 1.0, 0.0], cost=2.0, lift=0.5, interval=(1.0, 9.0), ax=ax)
    assert "most with 2 of 4" in ax.get_title(loc="left").replace("\n", " ")
    curve = ax.get_lines()[1]
    assert curve.get_ydata().max() == pytest.approx(5.0)
    plots.plot_offer_return([1.0, 1.0], cost=2.0, lift=0.5, ax=(other := Figure().subplots()))
    assert other.get_title(loc="left") == "The offer never pays"


TABLE = pd.DataFrame(
    {
        "method": ["predicted", "five steps", "$x$"],
        "clv": [20.0, 30.0, 10.0],
        "low": [18.0, np.nan, np.nan],
        "high": [23.0, np.nan, np.nan],
        "bias": [0.02, -0.1, np.nan],
        "bias_low": [-0.1, -0.2, np.nan],
        "bias_high": [0.1, 0.0, np.nan],
    }
)


def test_formulas_are_told_as_multiples_of_the_forecast(ax):
    plots.plot_formula_values(TABLE, currency="EUR", ax=ax)
    assert "0.5 to 1.5 times" in ax.get_title(loc="left").replace("\n", " ")
    assert sorted(bar.get_width() for bar in ax.patches) == [10.0, 20.0, 30.0]


def test_untested_methods_have_no_error(ax):
    plots.plot_formula_errors(TABLE, ax=ax)
    assert "predicted, +2%" in ax.get_title(loc="left").replace("\n", " ")
    assert len(ax.get_yticks()) == 2
    plots.plot_formula_errors(TABLE.tail(1), ax=(other := Figure().subplots()))
    assert other.get_title(loc="left") == "Nothing was tested"


def test_a_budget_leaves_out_the_total(ax):
    table = pd.DataFrame(
        {
            "channel": ["a", "b", "all channels"],
            "spend": [0.0, 50.0, 50.0],
            "expected_profit": [0.0, 70.0, 70.0],
            "profit_low": [0.0, 60.0, 60.0],
            "profit_high": [0.0, 90.0, 90.0],
        }
    )
    plots.plot_budget(table, ax=ax)
    assert [bar.get_width() for bar in ax.patches] == [0.0, 50.0]
    assert "1 of 2 channels" in ax.get_title(loc="left").replace("\n", " ")


@pytest.mark.parametrize("n", [1, 12])
def test_attributes_have_room_however_few_they_are(n):
    row = {"attribute": "plan", "value": "it's", "reference": "basic", "difference": 1.0, "low": -2.0, "high": 4.0}
    figure = Figure(figsize=(5.0, 1.8 + 0.42 * n), layout="constrained")
    ax = plots.plot_drivers(pd.DataFrame([{**row, "at_reference": 20.0, "unadjusted": 2.0}] * n), ax=figure.subplots())
    figure.savefig(io.BytesIO())
    # Warnings are errors: axes that leave no room for their words would have made one.
    assert ax.get_window_extent().height > 0.3 * figure.bbox.height
    legend = ax.get_legend().get_window_extent()
    assert legend.y0 >= 0
    assert legend.y1 < ax.xaxis.label.get_window_extent().y0
