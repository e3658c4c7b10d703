"""Gamma-Gamma's log-likelihood customer by customer is the literal equation."""

import numpy as np
import pytest

from predclv.kernels import gamma_gamma
from predclv.kernels.gamma_gamma.compiled import log_likelihood_derivatives
from predclv.kernels.gamma_gamma.pointwise import pointwise_log_likelihood


def test_it_is_the_literal_equation():
    rng = np.random.default_rng(2)
    x, m = rng.integers(1, 40, 300).astype(float), np.exp(rng.normal(3.0, 3.0, 300))
    x[0], m[1], m[2] = 3000.0, 1e-3, 1e6
    theta = np.exp(rng.uniform(-1, 1, (40, 3)) * [4.0, 4.0, 12.0] + [1.0, 1.0, 3.0])
    found = pointwise_log_likelihood(x, m, theta)
    assert found.shape == (40, 300)
    literal = gamma_gamma.log_likelihood(x, m, *theta.T[:, :, np.newaxis])
    np.testing.assert_allclose(found, literal, rtol=1e-10, atol=1e-10)
    value, *_ = log_likelihood_derivatives(x, m, np.ones(300), theta[0])
    assert found[0].sum() == pytest.approx(value, rel=1e-11)
