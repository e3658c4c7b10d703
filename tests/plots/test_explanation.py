"""The four panels of an explanation show its tables."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import predclv as pc
from predclv import plots


def panels(explanation):
    ax = Figure(figsize=(9.6, 7)).subplots()
    assert plots.plot_explanation(explanation, ax=ax) is ax
    ax.get_figure().canvas.draw()
    return ax, ax.child_axes


def test_a_buyer(clv, cdnow):
    told = clv.explain(cdnow, 157, "39 weeks")
    ax, (alive, counts, weights, changes) = panels(told)
    assert ax.get_title(loc="left").startswith("Customer 157 has bought again 29 times")
    drawn = np.concatenate([line.get_ydata() for line in alive.get_lines()])
    assert set(np.round(told.alive["p_alive"], 12)) == set(np.round(drawn, 12))
    heights = [bar.get_height() for bar in counts.patches]
    np.testing.assert_allclose(heights, told.distribution["probability"][: len(heights)])
    own = [bar.get_width() for bar in weights.patches[:2]]
    np.testing.assert_allclose(own, told.weights["weight"])
    np.testing.assert_allclose([bar.get_width() for bar in changes.patches], told.changes["change"][1:])


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize("horizon", [3, np.inf])
def test_a_contract(horizon):
    survivors = pc.datasets.load_retention().loc["High End", :7]
    subs = pc.Subscriptions.from_cohorts(survivors, values="percent", size=1000, price=240.0, period="year")
    clv = pc.CLV(pc.SBG()).fit(subs)
    _, (alive, counts, *_) = panels(clv.explain(subs, 7, horizon))
    assert alive.get_xlabel() == "Renewals"
    assert len(counts.patches) == (4 if horizon == 3 else 0)
    panels(clv.explain(subs, 0, horizon))
