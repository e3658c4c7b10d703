"""Simulated lives of new customers against the exact expectations, for every member of the family."""

from __future__ import annotations

import numpy as np
import pytest

from predclv.kernels.bg_family.compiled import expected_purchases
from predclv.kernels.bg_family.paths import simulate_counts

THETA = np.array([[0.6, 5.0, 0.9, 2.5]])
EDGES = np.array([0.0, 3.0, 10.0, 40.0])
BIRTHS = np.repeat([0.0, 1.5, 12.0], 20)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("dropout_at_first", [False, True])
def test_mean_is_the_expectation_of_new_customers(k, dropout_at_first):
    n_draws = 4000
    theta = np.repeat(THETA, n_draws, axis=0)
    counts = simulate_counts(np.random.default_rng(1), BIRTHS, EDGES, theta, k, dropout_at_first)
    ages = np.maximum(EDGES[:, np.newaxis] - BIRTHS, 0.0)
    zero = np.zeros(ages.size)
    expected = expected_purchases(zero, zero, zero, ages.ravel(), THETA, k, dropout_at_first)
    expected = np.diff(expected.reshape(ages.shape).sum(axis=1))
    error = counts.std(axis=0) / np.sqrt(n_draws)
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 4 * error)


def test_same_seed_same_lives_and_inputs_stay():
    births, edges, theta = BIRTHS.copy(), EDGES.copy(), THETA.copy()
    first, second = (simulate_counts(np.random.default_rng(3), births, edges, theta, 1, False) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(births, BIRTHS)
    np.testing.assert_array_equal(edges, EDGES)
    np.testing.assert_array_equal(theta, THETA)


def test_nobody_buys_at_a_rate_of_zero():
    # A shape this small draws rates that underflow to zero.
    theta = np.array([[1e-6, 1.0, 1.0, 1.0]])
    assert simulate_counts(np.random.default_rng(0), BIRTHS, EDGES, theta, 1, False).sum() == 0.0
