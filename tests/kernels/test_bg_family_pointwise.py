"""The BG family's log-likelihood row by row: the literal equation, and the rows' sum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import gammaln

from predclv.kernels import bg_family
from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives
from predclv.kernels.bg_family.pointwise import pointwise_log_likelihood

MEMBERS = {"BG/NBD": (1, False), "MBG/NBD": (1, True), "BG/CNBD-3": (3, False), "MBG/CNBD-2": (2, True)}
members = pytest.mark.parametrize(("k", "first"), MEMBERS.values(), ids=MEMBERS)


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(6)
    x = np.where(rng.random(500) < 0.3, 0, rng.negative_binomial(0.5, 0.02, 500)).astype(float)
    x[0] = 3000
    T = rng.uniform(0.1, 500.0, 500)
    t_x = np.where(x > 0, T * rng.random(500), 0.0)
    t_x[1], T[2], t_x[2], x[2] = T[1] if x[1] else 0.0, 0.0, 0.0, 0.0
    return x, t_x, T


@members
def test_it_is_the_literal_equation(rows, k, first):
    x, t_x, T = rows
    theta = np.exp(np.random.default_rng(7).uniform(-6, 6, (30, 4)))
    found = pointwise_log_likelihood(x, t_x, T, theta, k, first)
    assert found.shape == (30, 500)
    r, alpha, a, b = theta.T[:, :, np.newaxis]
    literal = bg_family.log_likelihood(x, t_x, T, r, alpha, a, b, k=k, dropout_at_first=first) + x * gammaln(k)
    np.testing.assert_allclose(found, literal, rtol=1e-10, atol=1e-10)


@members
def test_the_rows_sum_to_the_value(rows, k, first):
    weight, theta = np.arange(500.0), np.array([0.24, 4.4, 0.8, 2.4])
    value, *_ = log_likelihood_derivatives(*rows, weight, theta, k, first)
    by_row = pointwise_log_likelihood(*rows, theta[np.newaxis], k, first)
    assert by_row[0] @ weight == pytest.approx(value, rel=1e-11)
