"""Checks of the fit, each against numbers worked out another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import betaln, gammaln

from predclv.forecast.concentration import lorenz_curve, share_of_top
from predclv.forecast.customers import Thetas
from predclv.forecast.fit_checks import drift, frequency_table, group_table, group_totals, spend_shares, unevenness
from predclv.kernels.gamma_gamma import log_likelihood
from predclv.models.bg_family import BGFamily

R, ALPHA, A, B = 0.2425945221, 4.4136019995, 0.7929220004, 2.4259066847
THETA = np.array([[R, ALPHA, A, B]])


def count_probability(x, t):
    """P(X(t) = x), Fader, Hardie & Lee (2005), eq. (8)."""
    j = np.arange(x)
    log_nb = (
        gammaln(R + j) - gammaln(R) - gammaln(j + 1) + R * np.log(ALPHA / (ALPHA + t)) + j * np.log(t / (ALPHA + t))
    )
    last = gammaln(R + x) - gammaln(R) - gammaln(x + 1) + R * np.log(ALPHA / (ALPHA + t)) + x * np.log(t / (ALPHA + t))
    stay = np.exp(betaln(A, B + x) - betaln(A, B) + last)
    leave = np.exp(betaln(A + 1, B + x - 1) - betaln(A, B)) * (1 - np.exp(log_nb).sum()) if x else 0.0
    return stay + leave


def test_expected_frequencies_follow_the_paper():
    T = np.repeat([10.0, 25.5, 39.0], [100, 300, 50])
    table = frequency_table(BGFamily(), Thetas(THETA, THETA), np.zeros(450, dtype=np.int64), T, n_max=4)
    expected = [sum(count_probability(x, t) for t in T) for x in range(4)]
    np.testing.assert_allclose(table["expected"][:4], expected, rtol=1e-10)
    assert table["expected"].sum() == pytest.approx(450)
    assert table["actual"].tolist() == [450, 0, 0, 0, 0]
    assert table["repeat_purchases"].tolist() == ["0", "1", "2", "3", "4+"]


def test_the_band_of_frequencies_is_the_spread_of_customers():
    """At one parameter vector a count is a sum of independent customers: about normal, with known variance."""
    T = np.full(2000, 30.0)
    thetas = Thetas(THETA, np.repeat(THETA, 800, axis=0))
    table = frequency_table(BGFamily(), thetas, np.zeros(2000, dtype=np.int64), T, n_max=3, level=0.9)
    share = table["expected"] / 2000
    width = 2 * 1.645 * np.sqrt(2000 * share * (1 - share))
    np.testing.assert_allclose(table["high"] - table["low"], width, rtol=0.15)
    assert np.all((table["low"] < table["expected"]) & (table["expected"] < table["high"]))


def test_many_ages_are_brought_together():
    T = np.linspace(5.0, 60.0, 3000)
    thetas = Thetas(THETA, THETA)
    fine = frequency_table(BGFamily(), thetas, np.zeros(3000, dtype=np.int64), T)["expected"]
    exact = sum(BGFamily().purchase_pmf(*np.zeros((3, 3000)), T, THETA, 6)[:, 2])
    assert fine[2] == pytest.approx(exact, rel=1e-5)


def test_groups_hold_their_means_and_a_band_that_covers():
    """Holdouts simulated under the model fall into a group's 90 % band about nine times in ten."""
    rng = np.random.default_rng(5)
    n, horizon = 400, 20.0
    x, t_x, T = np.repeat([0.0, 3.0], n // 2), np.repeat([0.0, 25.0], n // 2), np.full(n, 30.0)
    groups = np.repeat([0, 1], n // 2)
    pmf = BGFamily().purchase_pmf(x, t_x, T, horizon, THETA, 60)
    expected = BGFamily().mean_expected_purchases(x, t_x, T, horizon, THETA)
    draws = np.repeat(THETA, 1000, axis=0)
    totals = group_totals(BGFamily(), draws, (x, t_x, T), horizon, groups, 2)
    inside = np.zeros(2)
    for _ in range(60):
        uniform = rng.random(n)[:, np.newaxis]
        actual = (uniform > np.cumsum(pmf, axis=1)).sum(axis=1).astype(float)
        table = group_table(expected, actual, groups, ["0", "3"], totals)
        assert table["actual"].tolist() == [actual[:200].mean(), actual[200:].mean()]
        inside += (table["actual"] >= table["low"]) & (table["actual"] <= table["high"])
    assert table["customers"].tolist() == [200, 200]
    np.testing.assert_allclose(table["expected"], [expected[0], expected[-1]])
    # 120 groups: three standard errors of a share of 0.9 are 0.08.
    assert 0.82 <= inside.sum() / 120 <= 0.98


def test_spend_shares_are_the_integral_of_the_papers_density():
    theta, frequency = np.array([[6.25, 3.74, 15.44], [4.0, 3.0, 20.0]]), np.array([1.0, 1.0, 2.0, 7.0])
    edges = np.array([0.0, 10.0, 35.0, 80.0, np.inf])

    def density(m):
        by_draw = [np.exp(log_likelihood(frequency, m, p, q, gamma)).mean() for p, q, gamma in theta]
        return np.mean(by_draw)

    shares = spend_shares(edges, frequency, theta)
    assert shares.sum() == pytest.approx(1.0, rel=1e-12)
    for share, low, high in zip(shares, edges, edges[1:], strict=False):
        assert share == pytest.approx(quad(density, low if low else 1e-12, high, limit=200)[0], rel=1e-6)


def test_drift_is_the_slope_and_chance_has_none():
    rng = np.random.default_rng(4)
    time, expected = np.linspace(0.0, 1.0, 50), np.full(50, 200.0)
    simulated = rng.poisson(expected, (500, 50)).astype(float)
    steady = drift(time, rng.poisson(expected).astype(float), simulated)
    rising = drift(time, expected * (1 + 0.4 * (time - 0.5)), simulated)
    assert not steady.is_notable
    assert rising.is_notable
    assert rising.slope == pytest.approx(0.4, abs=0.02)
    assert rising.low < 0.0 < rising.high


def test_unevenness_tells_a_season_from_chance_level_and_trend():
    rng = np.random.default_rng(6)
    month = np.arange(36) % 12
    expected = np.full(36, 300.0)
    simulated = rng.poisson(expected, (500, 36)).astype(float)
    season = expected * (1 + 0.2 * np.cos(2 * np.pi * month / 12))
    level_and_trend = expected * 1.3 * (1 + 0.02 * np.arange(36))
    once = expected + 150.0 * (np.arange(36) == 20)
    chance = rng.poisson(expected).astype(float)
    assert unevenness(chance, simulated) > 0.05
    assert unevenness(level_and_trend, simulated) > 0.95
    assert unevenness(season, simulated) == unevenness(season, simulated, month) == 1 / 501
    # A campaign is uneven, and is no season.
    assert unevenness(once, simulated) == 1 / 501
    assert unevenness(once, simulated, month) > 0.05
    assert unevenness(chance, simulated, month) > 0.05


def test_lorenz_curve_and_share_of_the_top():
    customers, value = lorenz_curve(np.array([0.0, 1.0, 9.0, 0.0, 0.0]))
    np.testing.assert_allclose(customers, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(value, [0, 0.9, 1, 1, 1, 1])
    assert share_of_top(np.array([0.0, 1.0, 9.0, 0.0, 0.0])) == pytest.approx(0.9)
    assert share_of_top(np.ones(7)) == pytest.approx(0.2)
    assert share_of_top(np.zeros(3)) == pytest.approx(0.2)
