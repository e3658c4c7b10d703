"""The BG family's value and gradient without a Hessian: 40 digits, the kernel with one, and hard numbers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from kernels import bg_family_truth as truth
from predclv.kernels.bg_family.gradient import bind_gradient, log_likelihood_gradient
from predclv.kernels.bg_family.likelihood import log_likelihood_derivatives
from predclv.kernels.bg_family.values import tabulate

# Corners: no time at all, silence for ten years, purchases to the last day, thousands of them.
HISTORIES = [(0, 0, 0), (0, 0, 3650), (1, 30, 30), (1, 0.5, 3650), (30, 700, 730), (3000, 1200, 3650)]
THETAS = [
    (0.2426, 4.4137, 0.7929, 2.4259),
    (0.01, 1e-3, 1e-3, 1e-3),
    (30.0, 500.0, 20.0, 20.0),
    (0.5, 1000.0, 1.0, 0.05),
    (1e-6, 7.0, 2e4, 1e5),
    (30.0, 1e5, 20.0, 1e-3),
]
first_or_not = pytest.mark.parametrize("first", [False, True])


def random_rows(n: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(4)
    x = np.where(rng.random(n) < 0.3, 0, rng.negative_binomial(0.5, 0.02, n)).astype(float)
    T = np.round(rng.uniform(0.1, 500.0, n), 1)
    t_x = np.where(x > 0, np.minimum(np.round(T * rng.random(n), 1), T), 0.0)
    return x, t_x, T, rng.integers(1, 5, n).astype(float)


@first_or_not
@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_value_and_gradient_hold_to_40_digits(theta, first):
    for x, t_x, T in HISTORIES:
        value, gradient = log_likelihood_gradient(tabulate([x], [t_x], [T], [1.0], first), np.array(theta))
        assert value == pytest.approx(float(truth.log_likelihood(x, t_x, T, *theta, 1, first)), rel=1e-9, abs=1e-9)
        # In log theta, so that one tolerance suits them all.
        expected = np.multiply(truth.derivatives(x, t_x, T, theta, 1, first)[0], theta)
        np.testing.assert_allclose(gradient * theta, expected, rtol=1e-9, atol=1e-9)


@first_or_not
def test_it_is_the_kernel_with_a_hessian(first):
    rows = random_rows(3001)  # more than a chunk, and no multiple of one
    evaluate = bind_gradient(*rows, dropout_at_first=first)
    for theta in np.exp(np.random.default_rng(1).uniform(-7, 7, (40, 4))):
        value, gradient = evaluate(theta)
        expected, slope, _ = log_likelihood_derivatives(*rows, theta, 1, first)
        assert value == pytest.approx(expected, rel=1e-11)
        # The terms are as large as the value, and cancel in part.
        np.testing.assert_allclose(gradient * theta, slope * theta, rtol=1e-9, atol=1e-12 * abs(expected))


def test_more_events_to_a_purchase_go_through_the_kernel_with_a_hessian():
    rows, theta = random_rows(300), np.array([0.6, 5.0, 0.9, 2.0])
    value, gradient = bind_gradient(*rows, k=3, dropout_at_first=True)(theta)
    expected, slope, _ = log_likelihood_derivatives(*rows, theta, 3, True)
    assert value == expected
    np.testing.assert_array_equal(gradient, slope)


def test_rows_without_repeat_purchases_alone():
    T, zero = np.array([3.0, 8.0]), np.zeros(2)
    value, gradient = log_likelihood_gradient(tabulate(zero, zero, T, np.ones(2)), np.array([0.5, 4.0, 1.0, 2.0]))
    assert value == pytest.approx(0.5 * np.sum(np.log(4.0 / (4.0 + T))), rel=1e-14)
    np.testing.assert_allclose(gradient, [np.sum(np.log(4.0 / (4.0 + T))), 0.125 * np.sum(T / (4.0 + T)), 0, 0])


def test_rows_in_any_order():
    rows, theta = random_rows(1000), np.array(THETAS[0])
    shuffled = np.random.default_rng(0).permutation(1000)
    value, gradient = bind_gradient(*rows)(theta)
    other, slope = bind_gradient(*(column[shuffled] for column in rows))(theta)
    assert value == pytest.approx(other, rel=1e-13)
    np.testing.assert_allclose(gradient, slope, rtol=1e-11)


@pytest.mark.slow
@first_or_not
def test_value_and_gradient_on_a_large_grid(first):
    for a, b, r, alpha in product((1e-3, 1.0, 20.0), (1e-3, 3.0), (1e-3, 30.0), (1e-3, 7.0, 1e5)):
        test_value_and_gradient_hold_to_40_digits((r, alpha, a, b), first)
