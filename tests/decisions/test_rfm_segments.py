"""RFM segments: each customer in one, ties together, borders that carry over, and the forecast beside the name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import assign_rfm_segments
from predclv.decisions.segments.rfm import DEFINITION
from predclv.errors import DataError


@pytest.fixture(scope="module")
def rfm():
    return pc.datasets.simulate_rfm("bg_nbd", n_customers=1_000, T=(20.0, 39.0), lattice=1, seed=5).rfm


@pytest.fixture(scope="module")
def clv(rfm):
    return pc.CLV().fit(rfm)


@pytest.fixture(scope="module")
def found(clv, rfm):
    return assign_rfm_segments(clv, rfm, 39, n_draws=256)


def test_scores_follow_their_measures_and_the_name_follows_the_scores(rfm, found):
    table = found.customers
    measures = {"r": rfm.recency - rfm.T, "f": rfm.frequency, "m": rfm.frequency * rfm.monetary_value}
    for name, value in measures.items():
        score = table[f"{name}_score"].to_numpy()
        assert set(score) <= set(range(1, 6))
        order = np.argsort(value, kind="stable")
        assert (np.diff(score[order]) >= 0).all()
        # The same value, the same score.
        assert pd.Series(score).groupby(np.asarray(value)).nunique().max() == 1
    for row in table.itertuples():
        middle = int(np.floor((row.f_score + row.m_score) / 2 + 0.5))
        assert row.segment == DEFINITION[5 - row.r_score][5 - middle]
        assert row.segment == found.definition.loc[row.r_score, middle]


def test_who_is_alike_in_days_is_so_in_weeks(clv, rfm, found):
    """Times in sevenths differ in their last digit, and nobody may fall from a fifth for that."""
    sevenths = replace(rfm, T=rfm.T / 7, recency=rfm.recency / 7)
    again = assign_rfm_segments(clv, sevenths, 39, n_draws=16).customers
    np.testing.assert_array_equal(again["r_score"], found.customers["r_score"])


def test_the_table_holds_every_customer_once_and_the_forecast_beside(clv, rfm, found):
    rows = found.table.iloc[:-1].set_index("segment")
    forecast = clv.predict(rfm, 39)
    assert rows["customers"].sum() == len(rfm)
    assert rows["share_of_value"].sum() == pytest.approx(1)
    by_name = forecast.groupby(found.customers["segment"].to_numpy())
    for name in ("p_alive", "p_purchase"):
        np.testing.assert_allclose(rows[name], by_name[name].mean()[rows.index])
        np.testing.assert_allclose(found.customers[name], forecast[name])
    np.testing.assert_allclose(rows["mean_clv"], by_name["expected_clv"].mean()[rows.index])
    assert rows.loc["Champions", "rank_by_clv"] == 1
    assert "'Champions'" in found.say()


def test_borders_make_the_same_names_of_another_snapshot(clv, rfm, found):
    half = rfm[:500]
    again = assign_rfm_segments(clv, half, 39, boundaries=found.boundaries, n_draws=16)
    assert (again.customers["segment"] == found.customers["segment"].head(500)).all()
    assert again.boundaries == found.boundaries


def test_a_name_that_misleads_is_found():
    """Who bought much long ago is called better than who has just come, and is worth less to any model."""
    n = 400
    frame = pd.DataFrame(
        {
            "frequency": np.repeat([20, 1, 0, 0], n),
            "recency": np.repeat([20.0, 1.0, 0.0, 0.0], n),
            "T": np.repeat([75.0, 3.0, 2.0, 60.0], n),
            "monetary_value": np.repeat([90.0, 30.0, 0.0, 0.0], n),
        }
    )
    rfm = pc.RFMSummary.from_frame(frame, time_unit="week")
    clv = pc.CLV().fit(pc.datasets.simulate_rfm("bg_nbd", n_customers=2_000, T=(20.0, 39.0), seed=1).rfm)
    borders = {"recency": [5.0, 10.0, 20.0, 30.0], "frequency": [0.0, 0, 0, 1], "money": [0.0, 0, 0, 50.0]}
    found = assign_rfm_segments(clv, rfm, 26, boundaries=borders, n_draws=256)
    rows = found.table.set_index("segment")
    assert list(rows.index) == ["Champions", "New", "Cannot lose", "Lost", "existing customers"]
    assert rows.loc["Cannot lose", "mean_clv"] < rows.loc["Lost", "mean_clv"]
    misled = found.misleading().set_index("segment")
    assert misled.loc["Lost", "better_named"] == "Cannot lose"
    assert "'Lost' than 'Cannot lose'" in found.say()


def test_bad_input_is_refused_in_clear_words(clv, rfm):
    with pytest.raises(DataError, match="nothing to score"):
        assign_rfm_segments(clv, rfm[:1], 39)
    with pytest.raises(ValueError, match="'boundaries' must hold 4 values"):
        assign_rfm_segments(clv, rfm, 39, boundaries={"recency": [1, 2, 3, 4]})
    with pytest.raises(ValueError, match="for 'money'"):
        borders = {"recency": [1, 2, 3, 4], "frequency": [0, 0, 1, 2], "money": [4, 3, 2, 1]}
        assign_rfm_segments(clv, rfm, 39, boundaries=borders)
    subs = pc.Subscriptions.from_cohorts([200, 160, 140], price=10.0)
    with pytest.raises(TypeError, match="contracts have no recency"):
        assign_rfm_segments(pc.CLV(pc.SBG()).fit(subs), subs, 2)
    no_spend = pc.RFMSummary.from_frame(rfm.to_pandas().drop(columns="monetary_value"), time_unit="week")
    with pytest.raises(DataError, match="no amounts"):
        assign_rfm_segments(clv, no_spend, 39)
    nothing = assign_rfm_segments(clv, rfm, 39, margin=0.0, n_draws=16)
    assert "none of the 1,000 customers" in nothing.say()
