"""Plots of cohorts: what is drawn is what the tables say."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

import predclv as pc
from predclv import plots
from predclv.decisions import cohort_table, continue_cohorts


@pytest.fixture(scope="module")
def log():
    log = pc.datasets.load_cdnow()
    return log.assign(channel=np.where(log["customer_id"] % 3 == 0, "$paid$", "organic"))


def axes():
    return Figure(layout="constrained").subplots()


def test_what_was_not_observed_is_blank(log):
    table = cohort_table(log, amount="amount", observation_end="1997-09-30")
    ax = plots.plot_cohorts(table, ax=axes())
    image = ax.get_images()[0].get_array()
    assert np.array_equal(np.ma.getmaskarray(image), table.retention.isna().to_numpy())
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("100%") == 3
    assert "cohort   size" in texts
    assert next(label.get_text() for label in ax.get_yticklabels()) == "1997-01   781"
    assert ax.get_title(loc="left").startswith("15% of a cohort buy in the month after the first")
    money = plots.plot_cohorts(table, "cumulative_revenue", ax=axes())
    assert "Revenue per customer" in money.get_title(loc="left")


def test_small_cohorts_are_hatched_and_segments_named(log):
    table = cohort_table(log, by="channel", observation_end="1997-09-30", min_customers=250)
    ax = plots.plot_cohorts(table, segment="$paid$", ax=axes())
    assert len(ax.patches) == 7
    assert "hatched" in ax.get_xlabel()
    assert r"\$paid\$" in ax.get_title(loc="left")
    with pytest.raises(ValueError, match="'segment' must be one of"):
        plots.plot_cohorts(table, ax=axes())


def test_the_band_is_that_of_the_forecast(log):
    end = "1997-09-30"
    rfm = pc.RFMSummary.from_transactions(log, observation_end=end)
    table = cohort_table(log, observation_end=end)
    forecast = continue_cohorts(pc.BGNBD().fit(rfm), rfm, table, 4, shocks=0, n_draws=64)
    ax = plots.plot_continuation(forecast, table, "purchases", ax=axes())
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    np.testing.assert_allclose(drawn["predicted"], forecast.totals["purchases"])
    np.testing.assert_allclose(drawn["observed"].sum(), table.cells["purchases"].sum())
    with pytest.raises(ValueError, match="'measure' must be one"):
        plots.plot_continuation(forecast, table, "revenue", ax=axes())
