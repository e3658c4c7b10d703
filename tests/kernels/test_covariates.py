"""Likelihoods in which patterns of covariates have parameters of their own: the equations, and derivatives."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy.special import gammaln

from predclv.kernels import bg_family, pareto_nbd
from predclv.kernels.covariates import BETA_LINK, GAMMA_LINK
from predclv.models.covariates.patterns import BGPatterns, ParetoPatterns, PatternRows, shift
from predclv.models.mbg_nbd import MBGNBD
from predclv.models.pareto_nbd import ParetoNBD

KERNELS = {
    "bg_nbd": BGPatterns(),
    "mbg_nbd": BGPatterns(dropout_at_first=True),
    "bg_cnbd-3": BGPatterns(k=3),
    "pareto_nbd": ParetoPatterns(),
}
every_kernel = pytest.mark.parametrize("kernels", KERNELS.values(), ids=KERNELS)
COEFFICIENTS = np.array([0.3, -0.4, 0.5, 0.2, -0.1])
THETA = np.append([0.6, 5.0, 0.8, 2.5], COEFFICIENTS)


def some_rows(kernels, n=200, n_patterns=40, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.poisson(1.5, n).astype(float)
    T = rng.uniform(5.0, 80.0, n)
    t_x = np.where(x > 0, T * rng.random(n), 0.0)
    each = rng.integers(0, n_patterns, n)
    purchase, dropout = rng.normal(size=(n_patterns, 2)), rng.normal(size=(n_patterns, 3))
    return PatternRows.of(kernels, x, t_x, T, purchase[each], dropout[each], rng.integers(1, 4, n))


def literal(rows, theta):
    """Weighted sum by the equations' own form; constants in k are not part of the kernels."""
    parameters = shift(rows.kernels.link, theta, rows.purchase, rows.dropout)[rows.pattern].T
    values = rows.kernels.literal(rows.x, rows.t_x, rows.T, *parameters)
    return values + rows.x * gammaln(getattr(rows.kernels, "k", 1))


@every_kernel
def test_fast_is_literal(kernels):
    rows = some_rows(kernels)
    value, _, _ = rows.make_evaluate()(THETA)
    assert value == pytest.approx(rows.weight @ literal(rows, THETA), rel=1e-12)
    np.testing.assert_allclose(rows.row_values(THETA), literal(rows, THETA), rtol=1e-11, atol=1e-12)


@every_kernel
def test_gradient_and_hessian_against_finite_differences(kernels):
    rows = some_rows(kernels)
    evaluate = rows.make_evaluate()
    _, gradient, hessian = evaluate(THETA)
    steps = 1e-5 * np.eye(len(THETA))
    by_value = np.array([rows.weight @ (literal(rows, THETA + h) - literal(rows, THETA - h)) / 2e-5 for h in steps])
    by_gradient = np.array([(evaluate(THETA + h)[1] - evaluate(THETA - h)[1]) / 2e-5 for h in steps])
    np.testing.assert_allclose(gradient, by_value, atol=1e-7 * np.abs(gradient).max())
    np.testing.assert_allclose(hessian, by_gradient, atol=1e-7 * np.abs(hessian).max())
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)


@every_kernel
def test_covariates_of_zero_are_the_model_without(kernels):
    rows = some_rows(kernels)
    plain = PatternRows.of(kernels, rows.x, rows.t_x, rows.T, *np.zeros((2, len(rows.x), 1)))
    literal_values = kernels.literal(rows.x, rows.t_x, rows.T, *THETA[:4]) + rows.x * gammaln(getattr(kernels, "k", 1))
    assert len(plain.starts) == 2
    assert plain.make_evaluate()(np.append(THETA[:4], [9.0, 9.0]))[0] == pytest.approx(literal_values.sum(), rel=1e-12)


def extreme_rows():
    x = np.array([0.0, 0.0, 1.0, 3.0, 40.0, 3000.0, 3000.0, 12.0])
    T = np.array([0.0, 3650.0, 1.0, 3650.0, 200.0, 3650.0, 3650.0, 12.0])
    t_x = np.array([0.0, 0.0, 1.0, 10.0, 30.0, 3649.0, 1500.0, 11.0])
    return x, t_x, T


EXTREMES = [(0.05, 0.5, 1e-3, 0.05), (0.6, 5.0, 0.8, 2.5), (20.0, 300.0, 30.0, 80.0)]


def mp_bg(x, t_x, T, r, alpha, a, b, first):
    n, m = x + first, r + x
    stay = mp.beta(a, b + n) / mp.beta(a, b) * (alpha + T) ** -m
    left = mp.beta(a + 1, b + n - 1) / mp.beta(a, b) * (alpha + t_x) ** -m if n > 0 else 0
    return mp.loggamma(m) - mp.loggamma(r) + r * mp.log(alpha) + mp.log(stay + left)


def mp_pareto(x, t_x, T, r, alpha, s, beta):
    m = r + x
    alive = (alpha + T) ** -m * (beta + T) ** -s

    def density(u):
        return s * (alpha + u) ** -m * (beta + u) ** (-s - 1)

    edges = [t_x] + [t_x + (T - t_x) * mp.mpf(2) ** -i for i in range(24, -1, -1)]
    left = mp.quad(density, edges) if t_x < T else 0
    return mp.loggamma(m) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta) + mp.log(alive + left)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("theta", EXTREMES)
@pytest.mark.parametrize("predictor", [-6.0, 0.0, 6.0])
def test_bg_rows_against_forty_digits(theta, predictor, first):
    x, t_x, T = extreme_rows()
    rows = PatternRows.of(BGPatterns(dropout_at_first=first), x, t_x, T, *np.ones((2, len(x), 1)))
    full = np.append(theta, [predictor, -predictor])
    with mp.workdps(40):
        r, alpha, a, b = map(mp.mpf, theta)
        mean = 1 / (1 + b / a * mp.exp(predictor))
        own = r, alpha * mp.exp(-mp.mpf(predictor)), (a + b) * mean, (a + b) * (1 - mean)
        truth = [
            float(mp_bg(*map(mp.mpf, row), *own, int(first))) for row in zip(rows.x, rows.t_x, rows.T, strict=True)
        ]
    np.testing.assert_allclose(rows.row_values(full), truth, rtol=1e-9, atol=1e-9)
    value, gradient, hessian = rows.make_evaluate()(full)
    assert value == pytest.approx(sum(truth), rel=1e-9)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()


@pytest.mark.parametrize("theta", EXTREMES)
@pytest.mark.parametrize("predictor", [-4.0, 4.0])
def test_pareto_rows_against_forty_digits(theta, predictor):
    x, t_x, T = extreme_rows()
    rows = PatternRows.of(ParetoPatterns(), x, t_x, T, *np.ones((2, len(x), 1)))
    full = np.append(theta, [predictor, -predictor])
    with mp.workdps(40):
        r, alpha, s, beta = map(mp.mpf, theta)
        own = r, alpha * mp.exp(-mp.mpf(predictor)), s, beta * mp.exp(mp.mpf(predictor))
        truth = [float(mp_pareto(*map(mp.mpf, row), *own)) for row in zip(rows.x, rows.t_x, rows.T, strict=True)]
    np.testing.assert_allclose(rows.row_values(full), truth, rtol=1e-9, atol=1e-9)
    value, gradient, hessian = rows.make_evaluate()(full)
    assert value == pytest.approx(sum(truth), rel=1e-9)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hessian).all()


def test_links_multiply_rates_and_odds():
    r, alpha, a, b = BETA_LINK.shift((0.5, 4.0, 0.8, 2.4), 0.7, -0.3)
    assert r == 0.5
    assert alpha == pytest.approx(4.0 * np.exp(-0.7), rel=1e-15)
    assert a / b == pytest.approx(0.8 / 2.4 * np.exp(-0.3), rel=1e-14)
    assert a + b == pytest.approx(3.2, rel=1e-14)
    r, alpha, s, beta = GAMMA_LINK.shift((0.5, 4.0, 0.8, 2.4), 0.7, -0.3)
    assert (r, s) == (0.5, 0.8)
    assert (r / alpha) / (0.5 / 4.0) == pytest.approx(np.exp(0.7), rel=1e-14)
    assert (s / beta) / (0.8 / 2.4) == pytest.approx(np.exp(-0.3), rel=1e-14)


def test_a_purchase_covariate_rescales_time():
    rows = some_rows(BGPatterns())
    factor = np.exp(0.7)
    faster = bg_family.log_likelihood(rows.x, rows.t_x, rows.T, 0.6, 5.0 / factor, 0.8, 2.5)
    scaled = bg_family.log_likelihood(rows.x, rows.t_x * factor, rows.T * factor, 0.6, 5.0, 0.8, 2.5)
    np.testing.assert_allclose(faster, scaled + 0.7 * rows.x, rtol=1e-12)


def test_replicated_counts_are_those_of_the_model():
    rng, n = np.random.default_rng(5), 200_000
    theta = np.broadcast_to([0.6, 5.0, 0.8, 2.5], (n, 4))
    zero = np.zeros(1)
    ages = np.array([20.0])
    for model in (MBGNBD(), ParetoNBD()):
        counts = model.pattern_kernels.simulate_counts(rng, np.full(n, 20.0), theta)
        pmf = model.bindings.purchase_pmf(zero, zero, zero, ages, theta[:1].copy(), 5)[0]
        share = np.bincount(np.minimum(counts, 6), minlength=7)[:6] / n
        assert (np.abs(share - pmf) < 4.5 * np.sqrt(pmf / n)).all()


def test_the_literal_pareto_is_that_of_the_model():
    rows = some_rows(ParetoPatterns())
    np.testing.assert_array_equal(
        rows.kernels.literal(rows.x, rows.t_x, rows.T, *THETA[:4]),
        pareto_nbd.log_likelihood(rows.x, rows.t_x, rows.T, *THETA[:4]),
    )
