"""Replicated histories and spends against the exact distributions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest

from predclv.kernels.bg_family.compiled import purchase_pmf
from predclv.kernels.bg_family.replicates import replicate_histories
from predclv.kernels.gamma_gamma import log_likelihood
from predclv.kernels.gamma_gamma.replicates import cumulative_probability, replicate_mean_spend

THETA = np.array([0.6, 5.0, 0.9, 2.5])
SPEND = np.array([6.25, 3.74, 15.44])
N = 200_000


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("dropout_at_first", [False, True])
def test_counts_have_the_exact_probabilities(k, dropout_at_first):
    T = np.repeat([4.0, 30.0], N // 2)
    x, t_x = replicate_histories(np.random.default_rng(1), T, THETA, k, dropout_at_first)
    assert np.all((t_x == 0) == (x == 0))
    assert np.all(t_x <= T)
    zero = np.zeros(1)
    for age in (4.0, 30.0):
        exact = purchase_pmf(zero, zero, zero, np.array([age]), THETA[np.newaxis], 6, k, dropout_at_first)[0]
        share = np.bincount(x[age == T].astype(int), minlength=7)[:7] / (N // 2)
        # 28 shares: 4.5 standard errors are passed by chance once in 5,000 runs.
        assert np.all(np.abs(share - exact) < 4.5 * np.sqrt(exact * (1 - exact) / (N // 2)))


def test_the_only_purchase_lies_where_the_likelihood_says():
    T = np.full(N, 30.0)
    x, t_x = replicate_histories(np.random.default_rng(2), T, THETA, 1, False)
    one = x == 1
    # One purchase, at t: lambda e^(-lambda t) (1-p) e^(-lambda (T-t)) + lambda e^(-lambda t) p, integrated over the
    # gamma and beta; its density in t is r alpha^r times the following.
    r, alpha, a, b = THETA

    def density(t):
        return b / (a + b) * (alpha + 30.0) ** -(r + 1) + a / (a + b) * (alpha + t) ** -(r + 1)

    mass = quad(density, 0.0, 30.0)[0]
    cdf = np.vectorize(lambda t: quad(density, 0.0, t)[0] / mass)
    some = t_x[one][:3000]
    assert kstest(some, cdf).pvalue > 0.001


def test_mean_spends_follow_the_papers_density():
    x = np.repeat([1.0, 4.0], N // 2)
    m = replicate_mean_spend(np.random.default_rng(3), x, SPEND)
    probability = cumulative_probability(m, x, SPEND)
    assert kstest(probability, "uniform").pvalue > 0.001
    p, q, gamma = SPEND
    for count in (1.0, 4.0):
        area = quad(lambda u, n=count: np.exp(log_likelihood(n, u, p, q, gamma)), 1e-12, 40.0)[0]
        assert cumulative_probability(np.array(40.0), count, SPEND) == pytest.approx(area, rel=1e-7)
    np.testing.assert_array_equal(cumulative_probability(np.array([0.0, np.inf]), 2.0, SPEND), [0.0, 1.0])


def test_shapes_too_small_for_a_float_stay_positive_and_finite():
    m = replicate_mean_spend(np.random.default_rng(0), np.ones(1000), np.array([1e-4, 2.0, 1.0]))
    assert np.all(m > 0)
    assert np.isfinite(np.log(m)).all()


def test_same_seed_same_replication_and_inputs_stay():
    T, theta = np.array([5.0, 50.0, 0.0]), THETA.copy()
    one, two = (replicate_histories(np.random.default_rng(4), T, theta, 1, False) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(T, [5.0, 50.0, 0.0])
    np.testing.assert_array_equal(theta, THETA)
    assert one[0][2] == 0.0


def test_nobody_buys_at_a_rate_of_zero():
    theta = np.array([1e-6, 1.0, 1.0, 1.0])
    assert replicate_histories(np.random.default_rng(0), np.full(50, 30.0), theta, 1, False)[0].sum() == 0.0
