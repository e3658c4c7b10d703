"""Contracts' kernels against mpmath at 60 digits, and against each other."""

from __future__ import annotations

from itertools import product

import mpmath as mp
import numpy as np
import pytest
from scipy.optimize import approx_fprime

from predclv.kernels.contracts import forecast, log_likelihood, log_survival
from predclv.kernels.contracts.likelihood import (
    count_by_renewal,
    log_drop,
    log_likelihood_derivatives,
    log_likelihood_values,
    pointwise_log_likelihood,
)
from predclv.kernels.contracts.simulation import annuity, simulate_totals
from predclv.kernels.gamma_differences import log_gamma_cross, psi_difference, trigamma, trigamma_difference

THETA = [(1e-3, 1e-3), (1e-3, 1e4), (0.7, 1.2), (5.0, 0.01), (200.0, 30.0), (1e3, 1e6)]
SHAPES = [0.1, 0.7, 1.0, 1.000001, 2.5]


@pytest.fixture(autouse=True)
def sixty_digits():
    with mp.workdps(60):
        yield


def mp_log_share(k, alpha, beta, c):
    """Log of B(alpha, beta + k^c) in exact arithmetic, up to what does not depend on k."""
    z = mp.mpf(beta) + (mp.mpf(k) ** mp.mpf(c) if k else 0)
    return mp.loggamma(z) - mp.loggamma(z + mp.mpf(alpha))


def check(got, true, rtol=1e-12):
    assert np.isfinite(got)
    assert abs(mp.mpf(float(got)) - true) <= rtol * abs(true), (got, true)


def test_differences_of_gammas_keep_their_digits():
    sizes = [1e-3, 0.3, 15.9, 16.1, 200.0, 1e9]
    for z, a, d in product(sizes, [1e-6, 0.3, 17.0, 1e7], [1e-6, 1.0, 50.0, 1e12]):
        Z, A, D = map(mp.mpf, (z, a, d))
        cross = mp.loggamma(Z + A + D) + mp.loggamma(Z) - mp.loggamma(Z + A) - mp.loggamma(Z + D)
        check(log_gamma_cross(z, a, d), cross)
        check(psi_difference(z, d), mp.psi(0, Z + D) - mp.psi(0, Z))
        check(trigamma_difference(z, d), mp.psi(1, Z) - mp.psi(1, Z + D))
        check(trigamma(z), mp.psi(1, Z))


def test_the_drop_of_survival_is_exact():
    for (alpha, beta), c, k, steps in product(THETA, SHAPES, [0, 1, 12, 3000], [1, 3650]):
        true = mp_log_share(k, alpha, beta, c) - mp_log_share(k + steps, alpha, beta, c)
        check(log_drop(float(k), float(steps), alpha, beta, c), true)


def test_the_likelihood_of_one_contract_is_exact():
    tenure, lost = np.array([0.0, 0.0, 7.0, 7.0, 3000.0, 3000.0]), np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    for (alpha, beta), c in product(THETA, SHAPES):
        got = pointwise_log_likelihood(tenure, lost, np.array([[alpha, beta, c]]))[0]
        for value, k, left in zip(got, tenure, lost, strict=True):
            start, here, there = (mp_log_share(j, alpha, beta, c) for j in (0, int(k), int(k) + 1))
            true = here - start + (mp.log(1 - mp.exp(there - here)) if left else 0)
            if true:
                # Sums of 3,000 drops.
                check(value, true, 1e-11)
            else:
                assert value == 0


def random_rows(seed=3, n=60):
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 30, n).astype(float),
        rng.integers(0, 2, n).astype(float),
        rng.integers(1, 9, n).astype(float),
    )


def test_the_compiled_forms_agree_with_the_literal_one():
    tenure, lost, weight = random_rows()
    data = count_by_renewal(tenure, lost, weight)
    assert data[1].sum() == weight @ lost
    theta = np.array([[0.7, 1.2, 1.0], [0.3, 8.0, 0.6], [2.0, 0.5, 1.7]])
    literal = np.array([log_likelihood(tenure, lost, *one) for one in theta])
    np.testing.assert_allclose(pointwise_log_likelihood(tenure, lost, theta), literal, rtol=1e-11)
    np.testing.assert_allclose(log_likelihood_values(*data, theta), literal @ weight, rtol=1e-12)
    for one, value in zip(theta, literal @ weight, strict=True):
        assert log_likelihood_derivatives(*data, one)[0] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("theta", [(0.7, 1.2, 1.0), (0.05, 300.0, 0.4), (20.0, 6.0, 2.2)])
def test_derivatives_are_those_of_the_value(theta):
    data = count_by_renewal(*random_rows())
    _, gradient, hessian = log_likelihood_derivatives(*data, np.array(theta))

    def by_three(point, step):
        """Central differences of order four."""
        out = np.empty((len(theta), *np.shape(step(point))))
        for i, h in enumerate(1e-3 * np.asarray(theta)):
            up = np.zeros(3)
            up[i] = h
            out[i] = (8 * (step(point + up) - step(point - up)) - (step(point + 2 * up) - step(point - 2 * up))) / (
                12 * h
            )
        return out

    # c = 1 has a form of its own; at c off by a step the general one is taken.
    numeric = by_three(np.array(theta), lambda t: log_likelihood_values(*data, t[np.newaxis])[0])
    scale = np.abs(gradient * theta).max()
    np.testing.assert_allclose(gradient * theta, numeric * theta, rtol=1e-8, atol=1e-9 * scale)
    numeric = by_three(np.array(theta), lambda t: log_likelihood_derivatives(*data, t)[1])
    outer = np.outer(theta, theta)
    np.testing.assert_allclose(hessian * outer, numeric * outer, rtol=1e-7, atol=1e-8 * np.abs(hessian * outer).max())
    np.testing.assert_array_equal(hessian, hessian.T)


def test_literal_survival_and_its_slope_are_finite_at_the_start():
    assert log_survival(np.zeros(1), 0.7, 1.2, 0.6)[0] == 0
    slope = approx_fprime(np.array([0.6]), lambda c: float(log_survival(np.array([4.0]), 0.7, 1.2, c[0])[0]))
    assert np.isfinite(slope).all()


# Sums


def one_sum(k, n, rate, theta):
    return forecast.discounted_renewals(np.array([float(k)]), np.array([float(n)]), rate, np.array([theta]))[0, 0]


def test_finite_sums_are_exact():
    for (alpha, beta), c, k, n, rate in product(THETA, [0.7, 1.0, 2.5], [0, 40, 3000], [0, 1, 60], [0.0, 0.008]):
        start = mp_log_share(k, alpha, beta, c)
        terms = (mp.exp(mp_log_share(k + j, alpha, beta, c) - start - mp.mpf(rate) * (j - 1)) for j in range(1, n + 1))
        check(one_sum(k, n, rate, (alpha, beta, c)), mp.fsum(terms), 1e-11)


def test_endless_sums_of_sbg_are_its_closed_form():
    """DERL of Fader & Hardie (2010): (b+k) / (a+b+k) 2F1(1, b+k+1; a+b+k+1; exp(-rate))."""
    for (alpha, beta), k, rate in product(THETA[:5], [0, 63, 3000], [2.6e-4, 0.008, 0.0953, 0.7]):
        A, B = mp.mpf(alpha), mp.mpf(beta) + k
        with mp.workdps(30):
            true = B / (A + B) * mp.hyp2f1(1, B + 1, A + B + 1, mp.exp(-mp.mpf(rate)))
        check(one_sum(k, np.inf, rate, (alpha, beta, 1.0)), true, 1e-11)
    for alpha, beta, k in product([1.001, 3.0, 50.0], [0.01, 30.0], [0, 500]):
        check(one_sum(k, np.inf, 0.0, (alpha, beta, 1.0)), (mp.mpf(beta) + k) / (mp.mpf(alpha) - 1), 1e-11)
    assert one_sum(3, np.inf, 0.0, (1.0, 2.0, 1.0)) == np.inf


@pytest.mark.parametrize(
    ("k", "theta"), [(0, (0.05, 0.01, 0.3)), (700, (4.0, 2.0, 2.5)), (12, (0.9, 5e4, 1.3)), (0, (30.0, 1e6, 3.0))]
)
def test_endless_sums_with_duration_dependence_are_the_sums_of_their_terms(k, theta):
    rate = 0.05
    start = mp_log_share(k, *theta)
    true = mp.fsum(mp.exp(mp_log_share(k + j, *theta) - start - mp.mpf(rate) * (j - 1)) for j in range(1, 800))
    check(one_sum(k, np.inf, rate, theta), true, 1e-11)


def test_an_endless_undiscounted_sum_with_duration_dependence():
    theta = (4.0, 3.0, 0.8)
    got = one_sum(2, np.inf, 0.0, theta)
    n = 20_000
    finite = one_sum(2, n, 0.0, theta)
    # What is left behaves as t^(-alpha c): an integral from n + 1/2 on.
    last = forecast.survival(np.array([2.0]), np.array([n + 0.5]), np.array([theta]))[0, 0]
    assert got == pytest.approx(finite + last * (n + 2.5) / (4.0 * 0.8 - 1.0), rel=1e-7)
    assert one_sum(0, np.inf, 0.0, (1.2, 3.0, 0.8)) == np.inf


def test_a_sum_does_not_depend_on_the_other_rows():
    tenure, theta = np.array([0.0, 5.0, 63.0, 64.0, 65.0, 900.0]), np.array([[0.7, 1.2, 0.9]])
    n = np.full(6, np.inf)
    together = forecast.discounted_renewals(tenure, n, 0.01, theta)[0]
    alone = [forecast.discounted_renewals(tenure[i : i + 1], n[:1], 0.01, theta)[0, 0] for i in range(6)]
    np.testing.assert_array_equal(together, alone)


# Distributions and simulation

DRAWS = np.array([[0.7, 1.2, 1.0], [0.9, 1.5, 0.8], [0.5, 2.0, 1.3]])


def test_quantiles_are_those_of_the_table():
    tenure = np.array([0.0, 0.0, 3.0, 40.0])
    n = np.array([0.0, 12.0, 60.0, 60.0])
    levels = np.array([0.05, 0.5, 0.95])
    got = forecast.renewal_quantiles(tenure, n, DRAWS, levels)
    for i in range(4):
        shares = forecast.mean_survival_table(tenure[i : i + 1], int(n[i]), DRAWS)[0]
        cdf = np.r_[1.0 - shares[1:], 1.0]
        np.testing.assert_array_equal(got[i], [np.argmax(cdf >= level - 1e-12) for level in levels])
    endless = forecast.renewal_quantiles(tenure[1:2], np.array([np.inf]), DRAWS, levels)
    assert (endless >= got[1]).all()


def test_simulated_totals_are_the_expected_ones():
    theta = np.repeat(DRAWS[1:2], 400, axis=0)
    rng = np.random.default_rng(1)
    n_customers, rate = 300, 0.008
    tenure, n = rng.integers(0, 9, n_customers).astype(float), rng.integers(0, 13, n_customers).astype(float)
    part, worth, segment = (
        rng.uniform(0.1, 1, n_customers),
        rng.gamma(2.0, 5.0, n_customers),
        rng.integers(0, 3, n_customers),
    )
    renewals, value = simulate_totals(tenure, n, part, worth, segment, 3, rate, theta, 5)
    expected = forecast.expected_renewals(tenure, n, 0.0, DRAWS[1:2])
    discounted = forecast.expected_renewals(tenure, n, rate, DRAWS[1:2]) * worth * np.exp(-rate * part)
    for draws, mean in ((renewals, expected), (value, discounted)):
        error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
        assert (np.abs(draws.mean(axis=0) - np.bincount(segment, mean)) < 4 * error).all()
    order = rng.permutation(n_customers)
    shuffled = simulate_totals(tenure[order], n[order], part[order], worth[order], segment[order], 3, rate, theta, 5)
    np.testing.assert_array_equal(shuffled[0], renewals)
    np.testing.assert_allclose(shuffled[1], value, rtol=1e-13)


def test_annuity():
    n = np.array([0.0, 1.0, 30.0])
    np.testing.assert_array_equal(annuity(n, 0.0), n)
    np.testing.assert_allclose(annuity(n, 0.01), [0.0, 1.0, np.exp(-0.01 * np.arange(30)).sum()], rtol=1e-13)


@pytest.mark.parametrize(
    "theta", [(1.2e5, 1.3e5, 0.6), (1e5, 1.5e5, 2.4), (1e5, 1e5, 1.0), (1e-5, 1e7, 1.0), (2e5, 1e-6, 3.0)]
)
def test_endless_sums_at_the_edges_of_the_domain_end(theta):
    for k, rate in product([0, 63, 64, 1000], [0.0, 0.008, 0.0953]):
        got = one_sum(k, np.inf, rate, theta)
        if rate == 0.0 and theta[0] * theta[2] <= 1:
            assert got == np.inf
            continue
        assert got == pytest.approx(one_sum(k, 5_000 if theta[0] > 1 else 50_000, rate, theta), rel=1e-9)
