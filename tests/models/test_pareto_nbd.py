"""Pareto/NBD on the data of the literature, on data that cannot determine it, and through the forecasts."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
import published
from predclv.errors import ConvergenceWarning, DependenceWarning, HorizonWarning
from predclv.forecast.lifetime_value import value_cdf, value_quantiles
from predclv.kernels.discounting import continuous_rate
from predclv.kernels.pareto_nbd.simulation import simulate_totals
from predclv.models.pareto_nbd import ParetoNBD, ParetoNBDBindings

PUBLISHED = published.FITS["cdnow", "pareto_nbd"]
SPEND = np.array([[6.25, 3.74, 15.44]])


@pytest.fixture(scope="module")
def pareto(cdnow) -> ParetoNBD:
    return ParetoNBD().fit(cdnow)


def test_published_standard_errors(cdnow, pareto):
    assert pareto.score(cdnow) == pytest.approx(PUBLISHED.log_likelihood / 2357, rel=1e-12)
    errors = np.sqrt(np.diag(pareto.posterior_.covariance_unconstrained)) * pareto.posterior_.point_array
    np.testing.assert_allclose(errors, published.PARETO_NBD_STANDARD_ERRORS, rtol=1e-4)


def test_published_holdout(cdnow_split, pareto):
    expected = pareto.predict(cdnow_split.calibration, cdnow_split.duration)["expected_purchases"].to_numpy()
    actual = cdnow_split.holdout["purchases"].to_numpy()
    assert np.sqrt(np.mean((expected - actual) ** 2)) == pytest.approx(1.603, abs=5e-4)
    assert expected.sum() == pytest.approx(published.CDNOW_PARETO_NBD_TOTALS[1], rel=2e-4)


def test_published_discounted_purchases(cdnow, pareto):
    # Published with a year of 52 weeks, at estimates that stop early.
    rate = 1.15 ** (365.25 / 7 / 52) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)  # endless: meant
        table = pareto.discounted_expected_purchases(cdnow, np.inf, discount_rate=rate).set_index("customer_id")
    found = table["discounted_expected_purchases"]
    for customer, numbers in published.CDNOW_PARETO_NBD_CUSTOMERS.items():
        assert found[customer] == pytest.approx(numbers[2], rel=5e-4)
    assert found.sum() == pytest.approx(published.CDNOW_PARETO_NBD_TOTALS[2], rel=4e-4)


def test_the_start_does_not_matter(cdnow, pareto, monkeypatch):
    for start in ([0.05, 50.0, 5.0, 0.5], [5.0, 1.0, 0.05, 200.0]):
        other = ParetoNBD()
        monkeypatch.setattr(other, "_start", lambda rfm, start=start: np.array(start))
        other.fit(cdnow)
        np.testing.assert_allclose(other.posterior_.point_array, pareto.posterior_.point_array, rtol=1e-8)


def test_another_time_unit_is_the_same_model(cdnow, pareto):
    days = pc.RFMSummary.from_frame(
        cdnow.to_pandas().assign(recency=cdnow.recency * 7, T=cdnow.T * 7)[
            ["customer_id", "frequency", "recency", "T"]
        ],
        time_unit="day",
    )
    other = ParetoNBD().fit(days)
    np.testing.assert_allclose(other.posterior_.point_array, pareto.posterior_.point_array * [1, 7, 1, 7], rtol=1e-6)
    np.testing.assert_allclose(
        other.predict(days, "39 weeks")["expected_purchases"],
        pareto.predict(cdnow, "39 weeks")["expected_purchases"],
        rtol=1e-6,
    )


def test_draws_surround_the_maximum_likelihood_estimate(cdnow, pareto):
    # On CDNOW s and beta lie on a bent ridge, which one t distribution does not cover.
    model = ParetoNBD(method="map").fit(cdnow)
    draws = model.posterior_.draws
    assert model.posterior_.diagnostics["gate"] == "passed"
    assert model.posterior_.diagnostics["k_hat"] < 0.4
    assert model.posterior_.diagnostics["effective_sample_size"] > 2500
    for name, estimate in pareto.posterior_.point.items():
        low, high = np.quantile(draws[name], [0.05, 0.95])
        assert low < estimate < high


@pytest.mark.slow
def test_value_of_customers(cdnow):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        warnings.simplefilter("ignore", HorizonWarning)  # endless: meant
        clv = pc.CLV(transactions=ParetoNBD(), spend=pc.GammaGamma()).fit(cdnow)
        endless = clv.predict(cdnow, horizon=np.inf, discount_rate=0.15)
    # A year of 365.25 days; published with one of 52 weeks, which discounts more.
    assert endless["expected_clv"].sum() == pytest.approx(published.CDNOW_CLV_TOTAL * 1.002, rel=2e-3)
    table = clv.predict(cdnow[:300], horizon="39 weeks", discount_rate=0.15)
    assert (table["clv_low"] <= table["clv_high"]).all()
    assert (table["expected_clv_low"] <= table["expected_clv_high"]).all()
    totals = clv.portfolio(cdnow, horizon="39 weeks").iloc[-1]
    assert totals["expected_purchases"] == pytest.approx(published.CDNOW_PARETO_NBD_TOTALS[1], rel=2e-4)
    assert totals["purchases_low"] < 1665 < totals["purchases_high"]


@pytest.mark.parametrize("horizon", [52.0, 520.0])
def test_quantiles_of_value_against_simulation_and_the_direct_form(horizon):
    theta, delta, n = np.array([PUBLISHED.estimates]), continuous_rate(0.1, "week"), 200_000
    for x, t_x, T, basket in ((0.0, 0.0, 20.0, 0.0), (4.0, 30.0, 36.0, 25.0)):
        row = [np.array([v]) for v in (x, t_x, T, basket)]
        levels = np.array([0.5, 0.8, 0.95])
        found = value_quantiles(ParetoNBDBindings(), theta, SPEND, *row, horizon, delta, levels)
        columns = [np.full(n, v) for v in (x, t_x, T, basket, 1.0)]
        value = simulate_totals(*columns, np.arange(n), n, horizon, delta, theta, SPEND, 3)[1][0]
        direct = value_cdf(ParetoNBDBindings(), theta, SPEND, *row, horizon, delta, found)[0]
        for level, quantile, probability in zip(levels, found[0], direct, strict=True):
            if quantile > 0:
                assert probability == pytest.approx(level, abs=2e-4)
            # Five standard errors, and what the gamma that stands for a discounted sum may be off.
            share = (value <= quantile).mean()
            assert share >= level - 5 * np.sqrt(level * (1 - level) / n) - 1e-3
            if quantile > 0:
                assert share <= level + 5 * np.sqrt(level * (1 - level) / n) + 1e-3


def test_ages_are_told_apart_where_beta_is_small():
    theta, basket = np.array([[0.5, 50.0, 0.4, 0.5]]), np.array([0.0])
    for T in (0.0, 0.3, 2.0, 40.0):
        row = np.zeros(1), np.zeros(1), np.array([T]), basket
        found = value_quantiles(ParetoNBDBindings(), theta, SPEND, *row, 520.0, 0.002, [0.97])
        direct = value_cdf(ParetoNBDBindings(), theta, SPEND, *row, 520.0, 0.002, found)
        assert direct[0, 0] == pytest.approx(0.97, abs=2e-4)


def summary_of(frequency, recency, age) -> pc.RFMSummary:
    return pc.RFMSummary.from_frame(
        pd.DataFrame({"frequency": frequency, "recency": recency, "T": age}), time_unit="week"
    )


def test_nobody_leaves_is_said_in_plain_words():
    rng = np.random.default_rng(5)
    age = np.full(400, 52.0)
    frequency = rng.poisson(rng.gamma(2.0, 0.1, 400) * age)
    # The last purchase of n uniform ones: nobody is gone.
    recency = np.where(frequency > 0, age * rng.random(400) ** (1 / np.maximum(frequency, 1)), 0.0)
    rfm = summary_of(frequency, recency, age)
    with pytest.warns(ConvergenceWarning, match=r"no customer leaving"):
        model = ParetoNBD().fit(rfm)
    estimate = model.summary.set_index("parameter")
    assert estimate.loc["r", "low"] < 2.0 < estimate.loc["r", "high"]
    assert model.predict(rfm, 13)["p_alive"].min() > 0.99


def test_everyone_alike_is_said_in_plain_words():
    # One rate of leaving for all.
    rng = np.random.default_rng(1)
    n, age = 3000, 104.0
    rate, lifetime = rng.gamma(1.0, 0.25, n), rng.exponential(40.0, n)
    frequency, recency = np.zeros(n, dtype=int), np.zeros(n)
    for i in range(n):
        time = rng.exponential(1 / rate[i])
        while time < min(age, lifetime[i]):
            frequency[i] += 1
            recency[i] = time
            time += rng.exponential(1 / rate[i])
    with pytest.warns(ConvergenceWarning):
        model = ParetoNBD().fit(summary_of(frequency, recency, np.full(n, age)))
    point = model.posterior_.point
    assert point["s"] / point["beta"] == pytest.approx(1 / 40, rel=0.15)


def test_a_handful_of_customers_is_called_vague():
    with pytest.warns(ConvergenceWarning):
        ParetoNBD().fit(summary_of([0, 1, 3, 0, 2], [0, 4.0, 20.0, 0, 9.0], [30.0, 28.0, 30.0, 25.0, 21.0]))
