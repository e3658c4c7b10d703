"""The plot of a comparison."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt

import predclv as pc
from predclv.comparison import Comparison


def made(n: int, criterion: str = "aic", holdout: str = "") -> Comparison:
    """A comparison of n models, the last of which could not be fitted."""
    difference = np.append(np.append(0.0, 3.0 * 2.0 ** np.arange(n - 2)), np.nan)
    reach = np.where(difference > 0, 20.0, 0.0)
    table = pd.DataFrame(
        {
            "model": [f"model_{i}" for i in range(n)],
            criterion: 19_000.0 + difference,
            "difference": difference,
            "difference_low": difference - reach,
            "difference_high": difference + reach,
            "verdict": ["best", *("worse" if d > 20 else "within noise" for d in difference[1:-1]), "failed"],
        }
    )
    if holdout:
        table["crps"] = 0.5
    return Comparison(table, pd.DataFrame(), None, criterion, 0.9, holdout)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_ten_models_are_named_from_the_best_down():
    ax = made(10, holdout="39 weeks").plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"model_{i}" for i in range(10)]
    assert ax.yaxis_inverted()
    points = [line for line in ax.lines if line.get_marker() == "o"]
    # The one that failed has none; those within noise are open.
    np.testing.assert_array_equal([line.get_ydata()[0] for line in points], np.arange(9))
    assert [line.get_markerfacecolor() == "white" for line in points] == [False] + [True] * 3 + [False] * 5
    words = [text.get_text() for text in ax.texts]
    assert words[0] == "19,000.0  best;  holdout CRPS 0.5000"
    assert words[-1].startswith("failed")
    assert "3 within noise, 5 worse" in ax.get_title(loc="left").replace("\n", " ")
    assert "AIC (90% interval)" in ax.get_xlabel()
    ax.figure.canvas.draw()
    labels = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert all(left.x1 < right.x0 for left, right in pairwise(labels))


def test_models_close_together_share_one_axis():
    ax = made(5).plot()
    assert len([line for line in ax.lines if line.get_marker() == "o"]) == 4
    assert "holdout" not in ax.get_xlabel()


def far_behind(*ends: tuple[float, float, float]) -> Comparison:
    """Models with these differences and intervals."""
    comparison = made(len(ends) + 1)
    places = comparison.table.columns.get_indexer(["difference", "difference_low", "difference_high"])
    comparison.table.iloc[: len(ends), places] = ends
    comparison.table.loc[1 : len(ends) - 1, "verdict"] = "worse"
    return comparison


def test_models_far_behind_stand_at_the_edge_with_their_difference_in_words():
    comparison = far_behind((0, 0, 0), (0.6, -3.4, 4.6), (11.5, 2.5, 20.5), (441.8, 301.5, 582.1), (600, 450, 750))
    ax = comparison.plot()
    assert ax.get_xscale() == "linear"
    # The axis holds what is close, whole.
    low, high = ax.get_xlim()
    assert -8 < low < -3.4
    assert 20.5 < high < 30
    points = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in points] == [0, 0.6, 11.5]
    words = {text.get_text(): text for text in ax.texts}
    for place, said in ((3, "+441.8 (301.5 to 582.1)"), (4, "+600.0 (450.0 to 750.0)")):
        assert words[said].xy == (0.93, place)
    assert len([text for text in ax.texts if text.arrow_patch is not None]) == 2


def test_two_models_are_both_on_the_axis():
    ax = far_behind((0, 0, 0), (441.8, 301.5, 582.1)).plot()
    assert ax.get_xlim()[1] > 582.1


def test_it_draws_on_axes_given():
    figure, ax = plt.subplots()
    assert pc.plots.plot_comparison(made(3), ax=ax) is ax
    assert len(figure.axes) == 1
