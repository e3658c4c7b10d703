"""Plots of what priors say."""

from __future__ import annotations

import pytest
from matplotlib import pyplot as plt

from predclv.plots import plot_prior_predictive
from predclv.priors import elicit_purchases, elicit_retention, elicit_spend, predict_prior

PURCHASES = elicit_purchases(4, (1, 12))
PREDICTIVE = predict_prior({**PURCHASES, **elicit_retention(0.7, purchases=PURCHASES), **elicit_spend((30, 80))})


@pytest.mark.parametrize(
    ("what", "title"),
    [("purchases", "times a year"), ("survival", "After a year 4[0-9]% to 8[0-9]%"), ("spend", "EUR")],
)
def test_each_panel_says_what_it_shows(what, title):
    ax = plot_prior_predictive(PREDICTIVE, what, currency="EUR")
    import re

    assert re.search(title, ax.get_title(loc="left").replace("\n", " "))
    assert ax.get_xlabel()
    plt.close(ax.figure)


def test_what_is_not_there_is_refused():
    with pytest.raises(ValueError, match="say nothing of spend"):
        plot_prior_predictive(predict_prior(PURCHASES), "spend")
    with pytest.raises(ValueError, match="'what' must be"):
        plot_prior_predictive(PREDICTIVE, "churn")
