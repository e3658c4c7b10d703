"""Purchases of customers who stay: against sums over counts, quadrature, and models whose customers hardly leave."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

import predclv as pc
from predclv.kernels.staying import discounted_regular_purchases
from predclv.models.bg_family import BGFamily

X = np.array([0.0, 0.0, 3.0, 40.0])
T = np.array([0.0, 30.0, 30.0, 39.0])
DELTA = 0.0018


def literal(x, t_x, T, s, r, alpha, k):
    """E[floor((j + M) / k)], summed over the counts themselves."""
    total, weights = 0.0, []
    for j in range(k):
        shape = r + k * x + j
        # (T - t_x)^j / j! Gamma(r + k x + j) / (alpha + T)^(r + k x + j), but for what all j share.
        rising = np.prod((r + k * x + np.arange(j)) / np.arange(1, j + 1))
        weights.append(((T - t_x) / (alpha + T)) ** j * rising)
        m = np.arange(20_000)
        pmf = stats.nbinom.pmf(m, shape, (alpha + T) / (alpha + T + s))
        total += weights[-1] * np.sum(pmf * ((j + m) // k))
    return total / sum(weights)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize(("x", "t_x", "T"), [(0.0, 0.0, 0.0), (0.0, 0.0, 20.0), (4.0, 25.0, 30.0), (60.0, 38.9, 39.0)])
def test_regular_purchases_are_sums_over_counts(k, x, t_x, T):
    r, alpha = 1.3, 2.8
    theta = np.array([[r, alpha, 0.4, 0.8]])
    row = (np.array([value]) for value in (x, t_x, T))
    found = discounted_regular_purchases(*row, 52.0, 0.05, theta, k)[0, 0]
    inner, _ = integrate.quad(lambda s: np.exp(-0.05 * s) * literal(x, t_x, T, s, r, alpha, k), 0, 52.0, epsrel=1e-10)
    expected = np.exp(-0.05 * 52.0) * literal(x, t_x, T, 52.0, r, alpha, k) + 0.05 * inner
    assert found == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("horizon", [4.0, 52.0, 3650.0, np.inf])
@pytest.mark.parametrize("key", ["bg_nbd", "mbg_nbd", "pareto_nbd", "nbd", "bg_cnbd", "bg_bb"])
def test_whoever_hardly_leaves_buys_as_whoever_stays(key, horizon):
    """Bought on the last day, so alive; and a dropout that is next to none."""
    bindings = BGFamily(k=3) if key == "bg_cnbd" else pc.MODELS[key]().bindings
    theta = {"nbd": [0.5, 4.0], "pareto_nbd": [0.5, 4.0, 1e-9, 5.0], "bg_bb": [1.2, 0.7, 1e-9, 5.0]}.get(
        key, [0.5, 4.0, 1e-9, 5.0]
    )
    found = bindings.discounted_if_staying(X, T, T, horizon, DELTA, np.array([theta]))
    if key == "bg_bb":
        x = np.minimum(X, T)
        found = bindings.discounted_if_staying(x, T, T, horizon, DELTA, np.array([theta]))
        expected = bindings.discounted_expected_purchases(x, T, T, horizon, DELTA, np.array([theta]))
    else:
        expected = bindings.discounted_expected_purchases(X, T, T, horizon, DELTA, np.array([theta]))
    # MBG's customer of the first day may have left; and a 1e-9 dropout adds up over a thousand purchases.
    np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_undiscounted_and_no_time_ahead():
    theta = np.array([[0.5, 4.0, 0.8, 2.5], [0.6, 5.0, 0.8, 2.5]])
    for k in (1, 3):
        none = BGFamily(k=k).discounted_if_staying(X, T, T, 0.0, DELTA, theta)
        np.testing.assert_array_equal(none, np.zeros((2, 4)))
        whole = BGFamily(k=k).discounted_if_staying(X, T, T, 10.0, 0.0, theta)
        if k == 1:
            np.testing.assert_allclose(whole, (theta[:, :1] + X) / (theta[:, 1:2] + T) * 10.0)
        else:
            slow = BGFamily(k=k).discounted_if_staying(X, T, T, 10.0, 1e-12, theta)
            np.testing.assert_allclose(whole, slow, rtol=1e-9)
