"""Log-likelihoods at many thetas equal those that come with derivatives, and the literal equations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

from predclv.kernels import bg_family, gamma_gamma
from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives
from predclv.kernels.bg_family.stage_values import log_likelihood_stage_values, tabulate_stages
from predclv.kernels.bg_family.values import log_likelihood_values, tabulate
from predclv.kernels.gamma_gamma.compiled import log_likelihood_derivatives as spend_derivatives
from predclv.kernels.gamma_gamma.compiled import log_likelihood_values as spend_values


@pytest.mark.parametrize("first", [False, True])
def test_bg_family(first):
    rng = np.random.default_rng(1)
    n = 3000  # more than a chunk, and no multiple of one
    x = np.where(rng.random(n) < 0.3, 0, rng.negative_binomial(0.5, 0.02, n)).astype(float)
    x[0] = 3000
    T = rng.uniform(0.1, 500.0, n)
    t_x = np.where(x > 0, T * rng.random(n), 0.0)
    weight = rng.integers(1, 5, n).astype(float)
    theta = np.exp(rng.uniform(-7, 7, (60, 4)))
    values = log_likelihood_values(tabulate(x, t_x, T, weight, first), theta)
    expected = [log_likelihood_derivatives(x, t_x, T, weight, row, 1, first)[0] for row in theta]
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    literal = [weight @ bg_family.log_likelihood(x, t_x, T, *row, dropout_at_first=first) for row in theta]
    np.testing.assert_allclose(values, literal, rtol=1e-9)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("k", [2, 3, 12])
def test_regular_buyers(k, first):
    rng = np.random.default_rng(1)
    n = 3000  # more than a chunk, and no multiple of one
    x = np.where(rng.random(n) < 0.3, 0, rng.negative_binomial(0.5, 0.02, n)).astype(float)
    x[0] = 3000
    T = rng.uniform(0.1, 500.0, n)
    T[:20] = 0.1
    t_x = np.where(x > 0, T * rng.random(n), 0.0)
    t_x[:10] = (x > 0)[:10] * T[:10]
    weight = rng.integers(1, 5, n).astype(float)
    theta = np.exp(rng.uniform(-7, 7, (20, 4)))
    values = log_likelihood_stage_values(tabulate_stages(x, t_x, T, weight, k, first), theta)
    expected = [log_likelihood_derivatives(x, t_x, T, weight, row, k, first)[0] for row in theta]
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    literal = [weight @ bg_family.log_likelihood(x, t_x, T, *row, k=k, dropout_at_first=first) for row in theta]
    np.testing.assert_allclose(values, literal + weight @ x * gammaln(k), rtol=1e-9)


def test_rows_without_repeat_purchases_alone():
    T, zero = np.array([3.0, 8.0]), np.zeros(2)
    theta = np.array([[0.5, 4.0, 1.0, 2.0]])
    values = log_likelihood_values(tabulate(zero, zero, T, np.ones(2)), theta)
    np.testing.assert_allclose(values, [0.5 * np.sum(np.log(4.0 / (4.0 + T)))], rtol=1e-14)


@pytest.mark.parametrize("spread", [0.0, 0.3, 4.0, 12.0])
def test_gamma_gamma(spread):
    rng = np.random.default_rng(2)
    n = 800
    x = rng.integers(1, 40, n).astype(float)
    m = np.exp(rng.normal(3.0, 1.5, n))
    weight = np.ones(n)
    theta = np.exp(rng.uniform(-1, 1, (200, 3)) * [1.5, 1.5, spread] + [1.0, 1.0, 3.0])
    values = spend_values(x, m, weight, theta)
    expected = [spend_derivatives(x, m, weight, row)[0] for row in theta]
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    literal = [gamma_gamma.log_likelihood(x, m, *row).sum() for row in theta]
    np.testing.assert_allclose(values, literal, rtol=1e-10)
