"""Plots of contracts: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import predclv as pc
from predclv import plots


@pytest.fixture(scope="module")
def subs():
    table = pc.datasets.load_retention().loc["Regular", :7]
    return pc.Subscriptions.from_cohorts(
        table, values="percent", size=1000, price=24.0, currency="USD", observation_end="2024-12-31"
    )


@pytest.fixture(scope="module")
def model(subs):
    return pc.SBG().fit(subs)


def axes():
    return Figure(layout="constrained").subplots()


def lines(ax):
    return {line.get_label(): np.array(line.get_xydata()) for line in ax.get_lines()}


def test_observed_retention_is_that_of_the_cohort(subs):
    table = subs.observed_retention()
    percent = pc.datasets.load_retention().loc["Regular", :7].to_numpy()
    np.testing.assert_allclose(table["survival"], percent / 100, rtol=1e-12)
    np.testing.assert_allclose(table["at_risk"][1:], percent[:-1] * 10, rtol=1e-12)
    np.testing.assert_allclose(table["retention"][1:], percent[1:] / percent[:-1], rtol=1e-12)


@pytest.mark.parametrize("what", ["survival", "retention"])
def test_the_retention_curve(model, subs, what):
    curve = model.retention_curve(12)
    ax = axes()
    assert plots.plot_retention(curve, subs, what=what, ax=ax) is ax
    drawn = lines(ax)
    np.testing.assert_allclose(drawn["model"], curve[["period", what]].dropna())
    np.testing.assert_allclose(drawn["data"], subs.observed_retention()[["period", what]].dropna())
    assert "17%" in ax.get_title(loc="left") or what == "retention"
    assert ax.get_xlabel() == "Renewals, one a year"
    assert "data" not in lines(plots.plot_retention(curve, ax=axes()))
    with pytest.raises(ValueError, match="'what' must be"):
        plots.plot_retention(curve, what="churn", ax=axes())


@pytest.mark.parametrize("dated", [True, False])
def test_recurring_revenue(model, subs, dated):
    table = model.recurring_revenue(subs, "5 years", n_draws=256)
    ax = plots.plot_recurring_revenue(table if dated else table.drop(columns="date"), currency="USD", ax=axes())
    np.testing.assert_allclose(lines(ax)["expected"][:, 1], table["expected_mrr"])
    share = table["expected_mrr"].iloc[-1] / table["expected_mrr"].iloc[0]
    assert f"{share:.0%} of today's" in ax.get_title(loc="left")
    assert "USD" in ax.get_ylabel()
    assert ax.get_xlabel() == ("Date" if dated else "Periods from now")
    ax.get_figure().canvas.draw()
