"""Gamma-Gamma's value and gradient from panels: 50 digits, the direct sum, and the panels' edges."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from predclv.kernels.gamma_gamma.compiled import log_likelihood_derivatives
from predclv.kernels.gamma_gamma.gradient import bind_gradient

THETAS = [(6.25, 3.74, 15.44), (0.05, 1.001, 1e-3), (0.7, 0.3, 40.0), (150.0, 2.0, 1e4), (2.0, 60.0, 900.0)]


def random_rows(n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(2)
    x = rng.integers(1, 40, n).astype(float)
    return x, np.exp(rng.normal(3.0, 1.5, n)), rng.integers(1, 5, n).astype(float)


def truth(x, m, p, q, gamma):
    """Fader & Hardie (2013), eq. (1a), as printed, with its gradient, in mpmath."""
    p, q, gamma = map(mpmath.mpf, (p, q, gamma))
    total, m = mpmath.mpf(x) * mpmath.mpf(m), mpmath.mpf(m)
    log_all, psi_all = mpmath.log(gamma + total), mpmath.digamma(p * x + q)
    value = mpmath.loggamma(p * x + q) - mpmath.loggamma(p * x) - mpmath.loggamma(q) + q * mpmath.log(gamma)
    value += p * x * mpmath.log(total) - mpmath.log(m) - (p * x + q) * log_all
    return value, [
        x * (psi_all - mpmath.digamma(p * x) + mpmath.log(total) - log_all),
        psi_all - mpmath.digamma(q) + mpmath.log(gamma) - log_all,
        q / gamma - (p * x + q) / (gamma + total),
    ]


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("history", [(1, 0.01), (1, 34.7), (7, 5e4), (150, 1.0), (3000, 34.7)])
def test_value_and_gradient_hold_to_50_digits(theta, history):
    x, m = history
    value, gradient = bind_gradient(np.array([float(x)]), np.array([m]), np.ones(1))(np.array(theta))
    with mpmath.workdps(50):
        expected, slopes = truth(x, m, *theta)
    assert value == pytest.approx(float(expected), rel=1e-9, abs=1e-9)
    # Per unit of relative change, so that one tolerance suits them all.
    np.testing.assert_allclose(gradient * theta, np.multiply(slopes, theta).astype(float), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spread", [0.3, 4.0, 30.0])
def test_it_is_the_direct_sum(spread):
    rows = random_rows(1500)  # more than a chunk, and no multiple of one
    evaluate = bind_gradient(*rows)
    for theta in np.exp(np.random.default_rng(3).uniform(-1, 1, (60, 3)) * [1.5, 1.5, spread] + [1.0, 1.0, 6.0]):
        value, gradient = evaluate(theta)
        expected, slope, _ = log_likelihood_derivatives(*rows, theta)
        assert value == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(gradient, slope, rtol=1e-9)


def test_panels_meet():
    rows = random_rows(200)
    evaluate, center = bind_gradient(*rows), np.log(rows[0] * rows[1]).mean()
    # Half a panel from a panel's middle, within rounding: whichever side is taken, and beyond the last as well.
    for edge in (-16.0, -15.5, -0.5, 0.5, 1.5, 15.5, 16.0):
        for side in (-1e-15, 0.0, 1e-15):
            theta = np.array([6.0, 4.0, np.exp(center + edge + side)])
            value, gradient = evaluate(theta)
            expected, slope, _ = log_likelihood_derivatives(*rows, theta)
            assert value == pytest.approx(expected, rel=1e-12)
            np.testing.assert_allclose(gradient, slope, rtol=1e-9)


def test_far_away_it_is_finite_or_not_a_number_but_never_an_error():
    evaluate = bind_gradient(*random_rows(50))
    assert np.isfinite(evaluate(np.array([6.0, 4.0, 1e-40]))[0])
    assert np.isnan(evaluate(np.array([6.0, 4.0, np.nan]))[0])


def test_nobody_says_nothing():
    nobody = np.zeros(0)
    value, gradient = bind_gradient(nobody, nobody, nobody)(np.array([6.0, 4.0, 15.0]))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0.0)
