"""Drawings of posterior predictive checks: what is drawn is what the tables say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from predclv import checks, plots


@pytest.fixture
def ax():
    return Figure(figsize=(9, 6)).subplots()


@pytest.fixture(scope="module")
def spend(clv, cdnow):
    return checks.check_spend(clv.spend_, cdnow)


@pytest.fixture(scope="module")
def frequencies(bg, cdnow):
    return checks.check_frequencies(bg, cdnow)


def outlines(ax):
    return {patch.get_label(): patch.get_data() for patch in ax.patches if hasattr(patch, "get_data")}


def test_spend_is_drawn_but_for_its_last_percent(spend, ax):
    plots.plot_spend_density(spend, ax=ax)
    drawn = outlines(ax)
    table = spend.table.iloc[:-1]
    np.testing.assert_array_equal(drawn["actual"].values, table["actual"])
    np.testing.assert_array_equal(drawn["expected by the model"].values, table["expected"])
    np.testing.assert_array_equal(drawn["90% band"].values, table["high"])
    np.testing.assert_array_equal(drawn["90% band"].baseline, table["low"])
    assert drawn["actual"].values.sum() == pytest.approx(0.99, abs=0.002)
    title = ax.get_title(loc="left").replace("\n", " ")
    outside = int(((table["actual"] < table["low"]) | (table["actual"] > table["high"])).sum())
    assert title == f"{outside} of 19 bars lie outside the 90% band; chance alone puts 2 there"


def test_recency_is_drawn_over_shares_of_the_age(bg, cdnow, ax):
    check = checks.check_recency(bg, cdnow)
    plots.plot_recency(check, ax=ax)
    drawn = outlines(ax)
    np.testing.assert_allclose(drawn["actual"].edges, np.linspace(0, 1, 11))
    np.testing.assert_array_equal(drawn["actual"].values, check.table["actual"])
    assert ax.get_title(loc="left").replace("\n", " ").startswith("The model reproduces how long")


def test_every_quantity_has_a_row_and_misses_are_named(spend, frequencies, ax):
    plots.plot_p_values(frequencies, spend, ax=ax)
    rows = [label.get_text() for label in ax.get_yticklabels()]
    assert rows == [*frequencies.p_values["quantity"], *spend.p_values["quantity"]]
    said = [text.get_text() for text in ax.texts]
    assert len(said) == len(rows)
    assert said[0] == "0.599, expected 0.598; p = 0.93"
    missed = int((spend.p_values["p_value"] < 0.05).sum() + (frequencies.p_values["p_value"] < 0.05).sum())
    assert missed >= 1
    assert ax.get_title(loc="left") == f"The model misses {missed} of {len(rows)} quantities (p < 0.05)"


def test_where_nothing_is_missed_the_title_says_so(frequencies, ax):
    plots.plot_p_values(frequencies, ax=ax)
    assert ax.get_title(loc="left").replace("\n", " ") == "The data are like the model's own in all 6 quantities"


def test_far_undefined_and_constant_quantities_are_drawn_too(frequencies, ax):
    names = ["far", "undefined", "constant"]
    odd = dataclasses.replace(
        frequencies,
        p_values=pd.DataFrame(
            {
                "quantity": names,
                "observed": [900.0, np.nan, 3.0],
                "expected": [0.0, 1.0, 3.0],
                "low": [-1.6, 0.5, 3.0],
                "high": [1.6, 1.5, 3.0],
                "p_value": [0.002, np.nan, 1.0],
            }
        ),
        replicated=pd.DataFrame(
            np.column_stack([np.linspace(-2, 2, 99), np.linspace(0, 2, 99), np.full(99, 3.0)]), columns=names
        ),
    )
    plots.plot_p_values(odd, ax=ax)
    ax.figure.canvas.draw()
    assert [text.get_text() for text in ax.texts] == [
        "900, expected 0; p < 0.01",
        "not defined",
        "3, expected 3; p = 1.00",
    ]
    assert {">", "D"} <= {line.get_marker() for line in ax.lines}


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="at least one check"):
        plots.plot_p_values()
