"""Chances to reach an amount, simulated outcomes and totals of groups: exact, and of one mind, in every model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import predclv as pc
from predclv.errors import ConvergenceWarning, HorizonWarning
from predclv.forecast.customers import Customers
from predclv.forecast.lifetime_value import value_cdf

LIMITS = np.array([150.0, 20.0, 1.0, 1e-3, 0.0])


def outlook_of(clv, data, horizon, *, margin=1.0, estimate=None, discount_rate=0.10):
    return clv._valuation.outlook(data, horizon, discount_rate=discount_rate, margin=margin, estimate=estimate)


def simulated(key, n, seed=0, **options):
    times = {"T": (10, 20), "horizons": [10], "time_unit": "month"} if key == "bg_bb" else {"T": 39.0, "horizons": [26]}
    return pc.datasets.simulate_rfm(key, n_customers=n, seed=seed, **(times | options))


def fitted(key, rfm, **options):
    with warnings.catch_warnings():
        # So few customers say little, which is no matter here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return pc.CLV(pc.MODELS[key](method="map", **options), pc.GammaGamma(method="map")).fit(rfm)


@pytest.mark.parametrize(
    ("key", "rate"),
    [("bg_nbd", 0.0), ("bg_nbd", 0.5), ("mbg_cnbd", 0.5), ("pareto_nbd", 0.5), ("nbd", 0.0), ("bg_bb", 0.5)],
)
def test_chances_of_the_outcome_are_those_of_the_direct_distribution(key, rate):
    sim = simulated(key, 400)
    clv = fitted(key, sim.rfm, **({"k": 2} if key == "mbg_cnbd" else {}))
    outlook = outlook_of(clv, sim.rfm, float(sim.horizons[0]), margin=0.5, discount_rate=rate)
    rows = np.unique(np.r_[0:3, np.argsort(sim.rfm.frequency)[-2:]])
    found = outlook.odds(LIMITS, rows)
    some: Customers = outlook.task.customers.take(rows)
    counts, spend = clv._valuation.pair.thetas(None)
    history = some.x, some.t_x, some.T, some.mean_spend
    values = np.tile(LIMITS / 0.5, (len(rows), 1))
    asked = outlook.length, outlook.task.delta, values
    exact = 1 - value_cdf(clv.transactions_.bindings, counts.draws, spend.draws, *history, *asked)
    exact[:, -1] = 1  # whatever happens is worth 0 at least
    # The tables' own error; the quantiles of `CLV.predict` come from the same.
    np.testing.assert_allclose(found.outcome, exact, atol=3e-5)
    assert (np.diff(found.outcome, axis=1) >= -3e-5).all()
    assert (found.outcome[:, -1] == 1).all()
    # A row's chances depend on that row alone.
    np.testing.assert_array_equal(outlook.odds(LIMITS, rows[1:3]).outcome, found.outcome[1:3])


def test_chances_of_the_mean_count_the_draws_of_which_predict_takes_quantiles(cdnow, bg):
    clv = pc.CLV()
    with pytest.warns(pc.errors.DependenceWarning):
        clv.fit(cdnow)
    table = clv.predict(cdnow, 39, level=0.5)
    found = outlook_of(clv, cdnow, 39)
    for i in (0, 100, 2000):
        ends = table.loc[i, ["expected_clv_low", "expected_clv_high"]].to_numpy(dtype=float)
        low, high = found.odds(ends, rows=np.array([i])).mean[0]
        # The end is the smallest draw whose share of draws not above it reaches the level.
        assert low == pytest.approx(1 - 0.25 + 1 / 256)
        assert high == pytest.approx(1 - 0.75 + 1 / 256)


@pytest.mark.parametrize("key", ["bg_nbd", "pareto_nbd", "bg_bb"])
def test_simulated_outcomes_reach_amounts_as_often_as_the_chances_say(key):
    sim = simulated(key, 150, seed=1)
    outlook = outlook_of(fitted(key, sim.rfm), sim.rfm, float(sim.horizons[0]))
    odds, draws = outlook.odds(LIMITS).outcome, np.array(list(outlook.outcomes(512)))
    assert draws.shape == (512, 150)
    came = (draws[:, :, np.newaxis] >= LIMITS).mean(axis=1)
    # 64 draws of the parameters here, 512 there: they share the truth but not the sample.
    error = came.std(axis=0) * np.sqrt(1 / 512 + 1 / 64) + 1e-12
    assert (np.abs(came.mean(axis=0) - odds.mean(axis=0)) < 4 * error).all()


def test_customers_without_a_margin_are_worth_nothing(cdnow, bg):
    frame = cdnow.to_pandas().assign(margin=np.where(np.arange(len(cdnow)) % 2, 0.4, 0.0))
    rfm = pc.RFMSummary.from_frame(frame.head(100), time_unit="week", collapse="day", carry=["margin"])
    with pytest.warns(pc.errors.DependenceWarning):
        clv = pc.CLV().fit(cdnow)
    found = outlook_of(clv, rfm, 39, margin="margin")
    odds = found.odds(np.array([5.0, 0.0]))
    assert (odds.outcome[::2] == [0, 1]).all()
    assert (odds.mean[::2] == [0, 1]).all()
    assert (odds.outcome[1::2, 0] > 0).all()
    assert (np.array(list(found.outcomes(3)))[:, ::2] == 0).all()


def test_customers_with_parameters_of_their_own_and_those_who_share_them_are_asked_alike():
    """Continuous covariates go row by row, a flag by patterns; where the covariate says nothing, both are one model."""
    n = 60
    rng = np.random.default_rng(2)
    flag, age = rng.integers(0, 2, n), rng.normal(size=n)
    sim = simulated("bg_nbd", n, covariates={"flag": flag, "age": age}, purchase_effects={"age": 0.5})
    by_age = fitted("bg_nbd", sim.rfm, purchase_covariates=["age"])
    by_flag = fitted("bg_nbd", sim.rfm, purchase_covariates=["flag"])
    for clv in (by_age, by_flag):
        outlook = outlook_of(clv, sim.rfm, 26.0)
        odds, draws = outlook.odds(LIMITS).outcome, np.array(list(outlook.outcomes(256)))
        came = (draws[:, :, np.newaxis] >= LIMITS).mean(axis=1)
        error = came.std(axis=0) * np.sqrt(1 / 256 + 1 / 64) + 1e-12
        assert (np.abs(came.mean(axis=0) - odds.mean(axis=0)) < 4 * error).all()
        assert outlook.columns(["expected_clv"])["expected_clv"] == pytest.approx(
            clv.predict(sim.rfm, 26.0)["expected_clv"]
        )


def test_chances_over_an_infinite_horizon_agree_with_the_interval_of_predict():
    sim = simulated("bg_nbd", 100)
    clv = fitted("bg_nbd", sim.rfm)
    rfm = sim.rfm[[int(clv.predict(sim.rfm, 26)["expected_clv"].argmax())]]
    with pytest.warns(HorizonWarning):
        ends = clv.predict(rfm, np.inf, level=0.8).loc[0, ["clv_low", "clv_high"]].to_numpy(dtype=float)
    with pytest.warns(HorizonWarning):
        outlook = outlook_of(clv, rfm, np.inf)
    np.testing.assert_allclose(outlook.odds(ends).outcome, [[0.9, 0.1]], atol=1e-6)


@pytest.mark.parametrize(("rate", "horizon"), [(0.0, 7), (0.3, 7), (0.3, np.inf)])
def test_contracts_reach_an_amount_when_renewed_often_enough(rate, horizon):
    sim = pc.datasets.simulate_contracts(n_customers=300, observed=(0, 12), price=10.0)
    clv = pc.CLV(pc.SBG()).fit(sim.subs)
    if np.isinf(horizon):
        with pytest.warns(HorizonWarning):
            outlook = outlook_of(clv, sim.subs, horizon, discount_rate=rate)
    else:
        outlook = outlook_of(clv, sim.subs, horizon, discount_rate=rate)
    delta = np.log1p(rate) / 12
    paid = 10 * np.exp(-delta * np.arange(7))
    sums = np.cumsum(paid)
    runs = np.flatnonzero(~sim.subs.ended)
    first = np.exp(-delta * sim.subs.next_renewal[runs[0]])
    same = runs[np.isclose(sim.subs.next_renewal[runs], sim.subs.next_renewal[runs[0]])]
    found = outlook.odds(np.append(sums[[4, 2, 0]] * first, 0.0)).outcome
    theta = clv.transactions_.full_theta(clv.transactions_.posterior_.draws_array(64))
    alpha, beta = theta[:, 0, np.newaxis], theta[:, 1, np.newaxis]
    tenure = sim.subs.tenure[same]

    def survives(j):
        """P(at least j more renewals), Fader & Hardie (2007), by its product."""
        out = np.ones((len(theta), len(tenure)))
        for i in range(j):
            out *= (beta + tenure + i) / (alpha + beta + tenure + i)
        return out.mean(axis=0)

    for column, j in enumerate((5, 3, 1)):
        np.testing.assert_allclose(found[same, column], survives(j), rtol=1e-9)
    assert (found[sim.subs.ended] == [0, 0, 0, 1]).all()


def test_rows_of_a_cohort_are_simulated_customer_by_customer():
    subs = pc.Subscriptions.from_cohorts([200, 160, 140, 130], price=10.0)
    clv = pc.CLV(pc.SBG()).fit(subs)
    outlook = outlook_of(clv, subs, 3)
    assert outlook.weight.sum() == 200
    draws = np.array(list(outlook.outcomes(200)))
    assert draws.shape == (200, 200)
    each = np.repeat(outlook.columns(["expected_clv"])["expected_clv"], outlook.weight)
    error = draws.sum(axis=1).std() / np.sqrt(200)
    assert abs(draws.sum(axis=1).mean() - each.sum()) < 4 * error
