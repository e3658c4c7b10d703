"""The Pareto/NBD likelihood: 40 digits, published fits, and its forms against each other."""

from itertools import product

import numpy as np
import pytest

import published
from kernels import pareto_nbd_truth as truth
from kernels.test_bg_family_likelihood import cdnow, grocery
from predclv.kernels import pareto_nbd
from predclv.kernels.collapse import collapse
from predclv.kernels.pareto_nbd.gradient import log_likelihood_gradient
from predclv.kernels.pareto_nbd.likelihood import arrange, log_likelihood_derivatives
from predclv.kernels.pareto_nbd.values import log_likelihood_values, pointwise_log_likelihood

# Corners: no time at all, silence for ten years, purchases to the last day, thousands of them.
HISTORIES = [
    (0, 0, 0),
    (0, 0, 39),
    (0, 0, 3650),
    (1, 30, 30),
    (1, 0.5, 3650),
    (2, 39, 39),
    (5, 10, 730),
    (30, 700, 730),
    (300, 3650, 3650),
    (3000, 1200, 3650),
    (3000, 3640, 3650),
]
# Both orders of alpha and beta and their being equal, s = 1, both ends of the ranges, and the ridge.
THETAS = [
    (0.553, 10.578, 0.606, 11.669),
    (0.01, 1e-3, 1e-3, 1e-3),
    (30.0, 500.0, 20.0, 20.0),
    (0.5, 1000.0, 1.0, 0.05),
    (0.5, 0.05, 1.0, 1000.0),
    (7.0, 7.0, 1.0, 7.0),
    (1e-6, 7.0, 2e4, 1e5),
    (1e-6, 1e3, 1e-6, 1e-3),
    (30.0, 1e-3, 50.0, 1e3),
]


def random_rows(n: int, seed: int = 4) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(n) < 0.3, 0, rng.negative_binomial(0.5, 0.02, n)).astype(float)
    x[0] = 3000
    T = np.round(rng.uniform(0.1, 500.0, n), 1)
    t_x = np.where(x > 0, np.minimum(np.round(T * rng.random(n), 1), T), 0.0)
    T[1], t_x[1], x[1] = 0.0, 0.0, 0.0
    return x, t_x, T, rng.integers(1, 5, n).astype(float)


# The truth of the ridge takes mpmath 20 seconds.
_SLOW = [pytest.param(theta, marks=pytest.mark.slow) if theta[2] > 1e3 else theta for theta in THETAS]


@pytest.mark.parametrize("theta", _SLOW, ids=str)
def test_value_and_derivatives_hold_to_40_digits(theta: tuple[float, ...]) -> None:
    for x, t_x, T in HISTORIES:
        rows = arrange([x], [t_x], [T], [1.0])
        value, gradient, hessian = log_likelihood_derivatives(rows, theta)
        true = float(truth.log_likelihood(x, t_x, T, *theta))
        assert value == pytest.approx(true, rel=1e-11, abs=1e-11)
        assert log_likelihood_values(rows, [theta])[0] == pytest.approx(true, rel=1e-11, abs=1e-11)
        # Derivatives in log theta, so that one tolerance suits them all.
        true_gradient, true_hessian = truth.derivatives(x, t_x, T, theta)
        np.testing.assert_allclose(gradient * theta, np.multiply(true_gradient, theta), rtol=1e-10, atol=1e-10)
        alone, slope = log_likelihood_gradient(rows, theta)
        assert alone == pytest.approx(true, rel=1e-11, abs=1e-11)
        np.testing.assert_allclose(slope * theta, np.multiply(true_gradient, theta), rtol=1e-10, atol=1e-10)
        scale = np.outer(theta, theta)
        np.testing.assert_allclose(hessian * scale, true_hessian * scale, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_literal_form_holds_to_40_digits(theta: tuple[float, ...]) -> None:
    x, t_x, T = np.array(HISTORIES, dtype=float).T
    true = [float(truth.log_likelihood(*history, *theta)) for history in HISTORIES]
    np.testing.assert_allclose(pareto_nbd.log_likelihood(x, t_x, T, *theta), true, rtol=1e-11, atol=1e-11)
    alive = [float(truth.p_alive(*history, *theta)) for history in HISTORIES]
    # Below 1e-280 probabilities leave the range of floats.
    np.testing.assert_allclose(pareto_nbd.p_alive(x, t_x, T, *theta), alive, rtol=1e-9, atol=1e-280)


@pytest.mark.parametrize("data", ["cdnow", "grocery"])
def test_published_fits(data: str, shared_data) -> None:
    fit = published.FITS[data, "pareto_nbd"]
    rows = arrange(*collapse(*(cdnow() if data == "cdnow" else grocery(shared_data)[:3]))[:4])
    value, gradient, hessian = log_likelihood_derivatives(rows, fit.estimates)
    assert value == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert np.abs(gradient).max() < 2e-5
    assert np.linalg.eigvalsh(hessian).max() < 0


def test_printed_fit_and_standard_errors() -> None:
    rows = arrange(*collapse(*cdnow())[:4])
    printed = published.PARETO_NBD_PRINTED
    assert log_likelihood_values(rows, [printed.estimates])[0] == pytest.approx(printed.log_likelihood, abs=0.05)
    _, _, hessian = log_likelihood_derivatives(rows, published.FITS["cdnow", "pareto_nbd"].estimates)
    errors = np.sqrt(np.diag(np.linalg.inv(-hessian)))
    np.testing.assert_allclose(errors, published.PARETO_NBD_STANDARD_ERRORS, rtol=1e-5)


def test_all_forms_agree() -> None:
    x, t_x, T, weight = random_rows(1500)
    rows = arrange(x, t_x, T, weight)
    draws = np.exp(np.random.default_rng(1).uniform(-6, 6, (25, 4)))
    values, by_row = log_likelihood_values(rows, draws), pointwise_log_likelihood(x, t_x, T, draws)
    assert by_row.shape == (25, 1500)
    for d, theta in enumerate(draws):
        np.testing.assert_allclose(by_row[d], pareto_nbd.log_likelihood(x, t_x, T, *theta), rtol=1e-10, atol=1e-10)
        assert values[d] == pytest.approx(by_row[d] @ weight, rel=1e-12)
        value, gradient, _ = log_likelihood_derivatives(rows, theta)
        assert value == pytest.approx(values[d], rel=1e-12)
        alone, slope = log_likelihood_gradient(rows, theta)
        assert alone == pytest.approx(values[d], rel=1e-12)
        np.testing.assert_allclose(slope, gradient, rtol=1e-11)


def test_collapsed_customers_are_all_customers_and_order_does_not_matter() -> None:
    x, t_x, T = cdnow()
    shuffled = np.random.default_rng(0).permutation(len(x))
    one = np.ones_like(x)
    answers = [
        log_likelihood_derivatives(arrange(*columns), THETAS[0])
        for columns in (collapse(x, t_x, T)[:4], (x, t_x, T, one), (x[shuffled], t_x[shuffled], T[shuffled], one))
    ]
    for other in answers[1:]:
        for left, right in zip(answers[0], other, strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-11, atol=1e-8)


def test_literal_form_takes_draws() -> None:
    x, t_x, T, _ = random_rows(50)
    r, alpha, s, beta = np.array(THETAS[:3]).T[:, :, None]
    for form in (pareto_nbd.log_likelihood, pareto_nbd.p_alive):
        table = form(x, t_x, T, r, alpha, s, beta)
        assert table.shape == (3, 50)
        for row, theta in zip(table, THETAS, strict=False):
            np.testing.assert_allclose(row, form(x, t_x, T, *theta), rtol=1e-12)


@pytest.mark.slow
def test_literal_form_is_the_same_in_pytensor() -> None:
    pt = pytest.importorskip("pytensor.tensor")
    from pytensor import function

    from predclv.inference.pytensor_ops import PYTENSOR

    x, t_x, T, _ = random_rows(30)
    columns, theta = [pt.vector(name) for name in ("x", "t_x", "T")], [pt.scalar(name) for name in "rasb"]
    value = pareto_nbd.log_likelihood(*columns, *theta, xp=PYTENSOR)
    evaluate = function([*columns, *theta], [value, *pt.grad(value.sum(), theta)], mode="FAST_COMPILE")
    for point in THETAS[:4]:
        by_row, *gradient = evaluate(x, t_x, T, *point)
        np.testing.assert_allclose(by_row, pareto_nbd.log_likelihood(x, t_x, T, *point), rtol=1e-11)
        expected = log_likelihood_derivatives(arrange(x, t_x, T, np.ones(30)), point)[1]
        np.testing.assert_allclose(gradient, expected, rtol=1e-8)


@pytest.mark.slow
def test_derivatives_on_a_large_grid() -> None:
    levels = (1e-3, 20.0), (1e-3, 1e5), (1e-3, 30.0), (1e-3, 1e5)
    for corner in product((0, 1), repeat=4):
        # Half of the corners, in which any three parameters take all their combinations.
        if sum(corner) % 2 == 0:
            s, beta, r, alpha = (values[i] for values, i in zip(levels, corner, strict=True))
            test_value_and_derivatives_hold_to_40_digits((r, alpha, s, beta))
