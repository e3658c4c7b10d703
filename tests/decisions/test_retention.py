"""Retention: stakes that are parts of what they should be, in every model, and intervals that hold the truth."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import list_at_risk, list_to_win_back, retention_effect, weigh_offer
from predclv.errors import DataError, DependenceWarning, HorizonWarning, UnitError

YEAR = 365.25 / 7


@pytest.fixture(scope="module")
def rfm():
    log = pc.datasets.load_cdnow()
    log["margin"] = np.where(log["customer_id"] % 2, 0.5, 0.0)
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end="1997-09-30", carry=["margin"])


@pytest.fixture(scope="module")
def clv(rfm):
    with pytest.warns(DependenceWarning):
        return pc.CLV().fit(rfm)


@pytest.fixture(scope="module")
def table(clv, rfm):
    return list_at_risk(clv, rfm, "39 weeks", discount_rate=0.15)


def test_whoever_stays_buys_at_his_own_rate(clv, rfm, table):
    """Given alive, lambda ~ Gamma(r + x, alpha + T), which is not asked for leaving any more."""
    r, alpha, _, _ = clv.transactions_.posterior_.point_array
    delta = np.log(1.15) / YEAR
    found = table.set_index("customer_id").loc[rfm.customer_id]
    forecast = clv.predict(rfm, "39 weeks", discount_rate=0.15).set_index("customer_id")
    purchases = (r + rfm.frequency) / (alpha + rfm.T) * -np.expm1(-delta * 39) / delta
    np.testing.assert_allclose(found["value_if_kept"], purchases * forecast["expected_spend"], rtol=1e-12)
    for name in ("p_alive", "expected_clv"):
        np.testing.assert_allclose(found[name], forecast[name], rtol=1e-12)
    gone = 1 - forecast["p_alive"]
    np.testing.assert_allclose(found["lost_already"], gone * found["value_if_kept"], rtol=1e-9)
    np.testing.assert_allclose(found["value_at_risk"], found["value_if_kept"] - found["expected_clv"], rtol=1e-9)
    np.testing.assert_allclose(found["stake"], found["value_at_risk"] - found["lost_already"], rtol=1e-6, atol=1e-9)
    assert table["stake"].is_monotonic_decreasing
    assert (table["stake"] >= 0).all()
    assert ((table["stake_low"] <= table["stake_high"]) & (table["most_to_spend"] == table["stake"])).all()


def test_who_is_to_be_kept_is_there_and_who_is_to_be_won_back_is_not(clv, rfm, table):
    back = list_to_win_back(clv, rfm, "39 weeks", discount_rate=0.15, success=0.2, top=50)
    assert (back["p_alive"] < 0.5).all()
    assert table.head(50)["p_alive"].mean() > 0.8
    np.testing.assert_allclose(back["most_to_spend"], 0.2 * back["lost_already"])
    assert back["stake"].is_monotonic_decreasing
    assert list(back) == list(table)
    nobody = list_to_win_back(clv, rfm, "39 weeks", p_alive_below=0.0)
    assert nobody.empty


def test_offers_pay_from_their_break_even_lift_on(table):
    some = table.head(20)
    for lift in (0.02, 0.1):
        found = weigh_offer(some, cost=4.0, lift=lift)
        np.testing.assert_allclose(found["expected_return"], lift * some["stake"] - 4)
        np.testing.assert_array_equal(found["pays"], lift > found["break_even_lift"])
        assert (found["return_low"] <= found["expected_return"]).all()
        assert (found["expected_return"] <= found["return_high"]).all()
    by_customer = weigh_offer(some, cost=pd.Series(np.arange(1.0, 21.0)), lift=0.1)
    assert by_customer["cost"].tolist() == list(range(1, 21))


def test_costs_of_offers_are_matched_by_the_rows_of_the_table(table):
    some = table.head(5)
    cost = pd.Series(np.arange(1.0, 6.0), index=some.index)
    found = weigh_offer(some, cost=cost[::-1], lift=0.2)
    np.testing.assert_array_equal(found["cost"], cost)
    for wrong, message in ((cost[:2], "has 2 rows, and the table 5"), (cost.set_axis(range(5, 10)), "or other ones")):
        with pytest.raises(DataError, match=message):
            weigh_offer(some, cost=wrong, lift=0.2)
    for wrong in ("much", [1.0, 2.0]):
        with pytest.raises(DataError, match="'cost' must be a number, or one for each of 5 customers"):
            weigh_offer(some, cost=wrong, lift=0.2)


def test_a_customer_is_worth_the_same_in_every_table(rfm):
    """Under a posterior expectations are over all its draws, whoever asks."""
    some = rfm[:200]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clv = pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map")).fit(some)
    found = list_at_risk(clv, some, "39 weeks", margin="margin").set_index("customer_id").loc[some.customer_id]
    forecast = clv.predict(some, "39 weeks", margin="margin").set_index("customer_id")
    for name in ("p_alive", "expected_clv"):
        np.testing.assert_allclose(found[name], forecast[name], rtol=1e-12)
    np.testing.assert_allclose(found["value_at_risk"], found["lost_already"] + found["stake"], rtol=1e-12)
    effect = retention_effect(clv, some, "39 weeks", saved=0.1, margin="margin").table.iloc[0]
    assert effect["value"] == pytest.approx(forecast["expected_clv"].sum(), rel=1e-12)
    assert effect["value_after"] - effect["value"] == pytest.approx(effect["gain"], rel=1e-9)


def test_a_margin_counts_and_nothing_is_at_stake_without_one(clv, rfm, table):
    own = list_at_risk(clv, rfm, "39 weeks", discount_rate=0.15, margin="margin").set_index("customer_id")
    odd = own.index.to_numpy() % 2 == 1
    np.testing.assert_allclose(own.loc[odd, "stake"], 0.5 * table.set_index("customer_id").loc[own.index[odd], "stake"])
    assert (own.loc[~odd, ["stake", "stake_low", "stake_high", "expected_clv"]] == 0).all().all()


@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize(
    "model",
    [pc.NBD(), pc.MBGNBD(method="map"), pc.ParetoNBD(), pc.BGCNBD(k=2), pc.BGNBD(method="map", segment="half")],
    ids=lambda model: type(model).__name__,
)
def test_every_model_has_stakes(model):
    table = pc.datasets.simulate_rfm(
        n_customers=400, spend={"p": 6.0, "q": 4.0, "gamma": 15.0}, T=(10.0, 60.0), lattice=7, seed=5
    )
    frame = table.rfm.to_pandas()
    bought = np.maximum(frame["frequency"], 1)
    # Gaps that are nearly alike, which k > 1 takes for granted.
    frame["log_itt"] = frame["frequency"] * (np.log(np.where(frame["frequency"], frame["recency"], 1.0) / bought) - 0.1)
    frame["half"] = np.where(frame["customer_id"] % 2, "a", "b")
    rfm = pc.RFMSummary.from_frame(frame, time_unit="week", carry=["half"])
    found = list_at_risk(pc.CLV(model).fit(rfm), rfm, "26 weeks")
    parts = found["expected_clv"] + found["lost_already"] + found["stake"]
    np.testing.assert_allclose(found["value_if_kept"], parts, rtol=1e-9)
    if isinstance(model, pc.NBD):
        # Nobody leaves, so nothing can be lost.
        assert found["value_at_risk"].abs().max() < 1e-9
    else:
        assert (found["stake"] > 0).mean() > 0.99
        assert found["stake"].between(found["stake_low"], found["stake_high"]).mean() > 0.9


def test_it_warns_and_refuses_as_a_forecast_does(clv, rfm, tmp_path):
    with pytest.warns(HorizonWarning):
        list_at_risk(clv, rfm, "5 years", top=3)
    rfm.to_pandas().to_parquet(tmp_path / "rfm.parquet")
    apart = pc.batch.collapse_customers(tmp_path / "rfm.parquet", time_unit="week")
    with pytest.raises(DataError, match="forecast of value"):
        list_at_risk(clv, apart, "39 weeks")


def test_what_means_nothing_is_refused(clv, rfm, table):
    with pytest.raises(TypeError, match="fitted CLV"):
        list_at_risk(clv.transactions_, rfm)
    contracts = pc.CLV(pc.SBG()).fit(pc.Subscriptions.from_cohorts([100, 80, 70], period="month", price=1.0))
    with pytest.raises(TypeError, match="forecasts renewals of contracts"):
        list_at_risk(contracts, rfm)
    with pytest.raises(ValueError, match=r"'success' must be from 0 to 1.*did you mean 0\.2"):
        list_at_risk(clv, rfm, success=20)
    with pytest.raises(ValueError, match="'top' must be a whole number"):
        list_at_risk(clv, rfm, top=0)
    with pytest.raises(ValueError, match="'p_alive_below'"):
        list_to_win_back(clv, rfm, p_alive_below=-1)
    with pytest.raises(ValueError, match="margin"):
        list_at_risk(clv, rfm, margin=3)
    other = pc.RFMSummary.from_frame(rfm.to_pandas(), time_unit="day")
    with pytest.raises(UnitError):
        list_at_risk(clv, other)
    with pytest.raises(DataError, match="lacks 'stake'"):
        weigh_offer(pd.DataFrame({"customer_id": [1]}), cost=1, lift=0.1)
    with pytest.raises(DataError, match="not above 0 for 20 of 20 customers"):
        weigh_offer(table.head(20), cost=0, lift=0.1)
    with pytest.raises(ValueError, match="'lift'"):
        weigh_offer(table.head(20), cost=1, lift=10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_intervals_of_stakes_and_effects_hold_the_truth_in_60_firms():
    """With fitted parameters: the stake of the customer ranked fifth, and what preventing a fifth of departures gains.

    The truth is at the parameters that made the data.
    """
    counts, spend = {"r": 0.5, "alpha": 5.0, "a": 0.8, "b": 2.5}, {"p": 6.0, "q": 4.0, "gamma": 15.0}
    theta, delta, inside = np.array([list(counts.values())]), np.log(1.1) / YEAR, 0
    gained = []
    bindings = pc.BGNBD().bindings
    for firm in range(60):
        rfm = pc.datasets.simulate_rfm(
            n_customers=1_200, parameters=counts, spend=spend, T=(20.0, 78.0), lattice=7, seed=firm
        ).rfm
        clv = pc.CLV().fit(rfm)
        row = list_at_risk(clv, rfm, "26 weeks", top=5).iloc[4]
        at = np.flatnonzero(rfm.customer_id == row["customer_id"])
        x, t_x, T = rfm.frequency[at].astype(float), rfm.recency[at], rfm.T[at]
        kept = bindings.p_alive(x, t_x, T, theta) * bindings.discounted_if_staying(x, t_x, T, 26.0, delta, theta)
        lost = kept - bindings.discounted_expected_purchases(x, t_x, T, 26.0, delta, theta)
        money = spend["p"] * (spend["gamma"] + x * rfm.monetary_value[at]) / (spend["p"] * x + spend["q"] - 1)
        inside += int(row["stake_low"] <= (lost[0] * money)[0] <= row["stake_high"])
        if firm % 3:
            continue
        effect = retention_effect(clv, rfm, "26 weeks", saved=0.2).table.iloc[0]
        rows = rfm.frequency.astype(float), rfm.recency, rfm.T
        money = (spend["p"] * (spend["gamma"] + rows[0] * rfm.monetary_value)) / (spend["p"] * rows[0] + spend["q"] - 1)
        more = np.subtract(*(bindings.discounted_if_leaving_less(*rows, 26.0, delta, theta, c)[0] for c in (0.8, 1.0)))
        gained.append(effect["gain_low"] <= more @ money <= effect["gain_high"])
    assert abs(inside - 54) < 3.3 * np.sqrt(60 * 0.9 * 0.1)
    assert abs(sum(gained) - 18) < 3.3 * np.sqrt(20 * 0.9 * 0.1)
