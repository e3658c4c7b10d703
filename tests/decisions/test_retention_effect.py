"""The effect of a change of retention: what was asked for is reached, and what it is worth follows from the model."""

from __future__ import annotations

from html import escape

import numpy as np
import pytest

import predclv as pc
from predclv.decisions import list_at_risk, retention_effect
from predclv.errors import DataError, DependenceWarning

WEEKS = "39 weeks"


@pytest.fixture(scope="module")
def rfm():
    log = pc.datasets.load_cdnow()
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1997-09-30")


@pytest.fixture(scope="module")
def clv(rfm):
    with pytest.warns(DependenceWarning):
        return pc.CLV().fit(rfm)


@pytest.fixture(scope="module")
def effect(clv, rfm):
    return retention_effect(clv, rfm, WEEKS, points=[0.01, 0.05], within="26 weeks")


def test_retention_rises_by_what_was_asked_for(clv, rfm, effect):
    base = effect.table[effect.table["customers"] == "existing customers"]
    np.testing.assert_allclose(base["retention_after"] - base["retention"], [0.01, 0.05], atol=1e-8)
    model = clv.transactions_
    now, ahead = model.p_alive(rfm)["p_alive"].sum(), model.p_alive(rfm, ahead="26 weeks")["p_alive"].sum()
    np.testing.assert_allclose(base["retention"], ahead / now, rtol=1e-9)
    np.testing.assert_allclose(base["value"], clv.portfolio(rfm, WEEKS)["expected_clv"].iloc[-1], rtol=1e-9)
    assert base["gain"].is_monotonic_increasing
    for name in ("gain", "gain_share", "retention"):
        assert (base[f"{name}_low"] < base[name]).all()
        assert (base[name] < base[f"{name}_high"]).all()
    again = retention_effect(clv, rfm, WEEKS, saved=base["saved"].tolist(), within="26 weeks").table
    np.testing.assert_allclose(again["gain"], effect.table["gain"], rtol=1e-6)
    np.testing.assert_allclose(again["points"], effect.table["points"], rtol=1e-6)


def test_a_new_customer_is_worth_more_too(clv, effect):
    new = effect.table[effect.table["customers"] == "a new customer"]
    first = clv.new_customer(WEEKS, include_first=False)["expected_clv"].iloc[0]
    np.testing.assert_allclose(new["value"], first, rtol=1e-9)
    assert (new["gain"] > 0).all()
    assert new["saved"].tolist() == effect.table["saved"].tolist()[:2]


def test_if_all_are_kept_the_stakes_are_gained(clv, rfm):
    """Preventing nearly every departure is worth what `list_at_risk` calls the stake."""
    found = retention_effect(clv, rfm, WEEKS, saved=1 - 1e-6).table.iloc[0]
    assert found["gain"] == pytest.approx(list_at_risk(clv, rfm, WEEKS)["stake"].sum(), rel=1e-4)
    half = retention_effect(clv, rfm, WEEKS, saved=1 - 1e-6, margin=0.5).table.iloc[0]
    assert half["gain"] == pytest.approx(0.5 * found["gain"], rel=1e-9)


def test_it_is_put_in_a_sentence(effect):
    row = effect.table.iloc[0]
    for part in ("Retention over 26 weeks from", f"{row['gain']:,.0f}", "over 39 weeks"):
        assert part in str(effect)
    assert repr(effect) == f"<RetentionEffect: {effect}>"
    assert escape(str(effect)) in effect._repr_html_()


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize(
    "model",
    [pc.MBGNBD(method="map"), pc.ParetoNBD(), pc.BGCNBD(k=2), pc.BGNBD(method="map", segment="half")],
    ids=lambda model: type(model).__name__,
)
def test_every_model_says_what_retention_is_worth(model):
    table = pc.datasets.simulate_rfm(
        n_customers=300, spend={"p": 6.0, "q": 4.0, "gamma": 15.0}, T=(10.0, 60.0), lattice=7, seed=5
    )
    frame = table.rfm.to_pandas()
    bought = np.maximum(frame["frequency"], 1)
    frame["log_itt"] = frame["frequency"] * (np.log(np.where(frame["frequency"], frame["recency"], 1.0) / bought) - 0.1)
    frame["half"] = np.where(frame["customer_id"] % 2, "a", "b")
    rfm = pc.RFMSummary.from_frame(frame, time_unit="week", carry=["half"])
    clv = pc.CLV(model).fit(rfm)
    found = retention_effect(clv, rfm, "26 weeks", points=0.01, within="26 weeks").table
    assert (found["gain"] > 0).all()
    # The mean over few draws is not that over all of a posterior's.
    draws = 0.05 if model.method == "map" else 1e-6
    assert found["value"].iloc[0] == pytest.approx(clv.portfolio(rfm, "26 weeks")["expected_clv"].iloc[-1], rel=draws)
    # One new customer of several populations there is not.
    assert len(found) == (1 if model.segment else 2)


def test_rows_that_stand_for_several_customers_count_as_many(clv, rfm):
    frame = rfm.to_pandas().head(300)
    once = pc.RFMSummary.from_frame(frame, time_unit="week", observation_end="1997-09-30")
    twice = pc.RFMSummary.from_frame(
        frame.assign(customers=2), time_unit="week", weight="customers", observation_end="1997-09-30"
    )
    one, two = (retention_effect(clv, some, WEEKS).table.iloc[0] for some in (once, twice))
    assert two["gain"] == pytest.approx(2 * one["gain"], rel=1e-9)
    assert two["saved"] == pytest.approx(one["saved"], rel=1e-6)


def test_what_means_nothing_is_refused(clv, rfm):
    with pytest.raises(ValueError, match="cannot be reached: retention is"):
        retention_effect(clv, rfm, WEEKS, points=0.6)
    with pytest.raises(ValueError, match="not both"):
        retention_effect(clv, rfm, WEEKS, points=0.05, saved=0.1)
    with pytest.raises(ValueError, match=r"'points' must be from 0 to 1.*did you mean 0\.05"):
        retention_effect(clv, rfm, WEEKS, points=5)
    with pytest.raises(ValueError, match="'saved' must be above 0 and below 1"):
        retention_effect(clv, rfm, WEEKS, saved=[0.1, 1.0])
    with pytest.raises(ValueError, match="'points' must be above 0"):
        retention_effect(clv, rfm, WEEKS, points=[])
    with pytest.raises(ValueError, match="'within'"):
        retention_effect(clv, rfm, WEEKS, within="inf")
    with pytest.raises(DataError, match="No customer has a margin"):
        retention_effect(clv, rfm, WEEKS, margin=0.0)
    with pytest.raises(TypeError, match="fitted CLV"):
        retention_effect(clv.transactions_, rfm)
    with pytest.warns(DependenceWarning):
        never = pc.CLV(pc.NBD()).fit(rfm)
    with pytest.raises(DataError, match="no customer leaves"):
        retention_effect(never, rfm, WEEKS)
    contracts = pc.CLV(pc.SBG()).fit(pc.Subscriptions.from_cohorts([100, 80, 70], period="month", price=1.0))
    with pytest.raises(TypeError, match="forecasts renewals of contracts"):
        retention_effect(contracts, rfm)
