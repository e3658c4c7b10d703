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
    # From 3 to 384: both can be seen.
    assert ax.get_xscale() == "symlog"
    assert "3 within noise, 5 worse" in ax.get_title(loc="left").replace("\n", " ")
    assert "AIC (90% interval)" in ax.get_xlabel()
    ax.figure.canvas.draw()
    labels = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
    assert all(left.x1 < right.x0 for left, right in pairwise(labels))


def test_models_close_together_need_no_logarithm():
    ax = made(5).plot()
    assert ax.get_xscale() == "linear"
    assert "holdout" not in ax.get_xlabel()


def test_it_draws_on_axes_given():
    figure, ax = plt.subplots()
    assert pc.plots.plot_comparison(made(3), ax=ax) is ax
    assert len(figure.axes) == 1
