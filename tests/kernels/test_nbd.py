"""NBD against 40 digits, and as the limit of the models with dropout."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from predclv.kernels import bg_family, nbd
from predclv.kernels.pareto_nbd import forecast as pareto_nbd_forecast
from predclv.kernels.pareto_nbd.paths import replicate_histories, simulate_counts
from predclv.kernels.pareto_nbd.simulation import simulate_totals

# No time at all, silence for ten years, thousands of purchases.
HISTORIES = [(0, 0), (0, 39), (0, 3650), (1, 0.5), (5, 730), (300, 3650), (3000, 3650), (3000, 39)]
X, T = np.array(HISTORIES, dtype=float).T
THETAS = [(0.385, 12.07), (1e-3, 1e-3), (30.0, 1e-3), (1e-3, 1e5), (30.0, 1e5), (1e-6, 7.0), (1e4, 7.0)]


def exact_log_likelihood(x, T, r, alpha):
    r, alpha, T = mp.mpf(r), mp.mpf(alpha), mp.mpf(T)
    return mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) - (r + x) * mp.log(alpha + T)


def exact_pmf(k, m, rate, horizon):
    m, z = mp.mpf(m), mp.mpf(horizon) / (mp.mpf(rate) + mp.mpf(horizon))
    return mp.exp(mp.loggamma(m + k) - mp.loggamma(m) - mp.loggamma(k + 1) + m * mp.log1p(-z) + k * mp.log(z))


@pytest.mark.parametrize("theta", THETAS, ids=str)
def test_likelihood_and_derivatives_hold_to_40_digits(theta):
    literal = nbd.log_likelihood(X, T, T, *theta)
    with mp.workdps(40):
        for i, (x, age) in enumerate(HISTORIES):
            true = float(exact_log_likelihood(x, age, *theta))
            value, gradient, hessian = nbd.log_likelihood_derivatives(nbd.tabulate([x], [age], [1.0]), theta)
            assert value == pytest.approx(true, rel=1e-11, abs=1e-11)
            # Gamma(r+x) / Gamma(r) of a large r is a difference of large logarithms.
            assert literal[i] == pytest.approx(true, rel=1e-11, abs=1e-10)

            def of(*point, x=x, age=age):
                return exact_log_likelihood(x, age, *point)

            for order, found in (((1, 0), gradient[0]), ((0, 1), gradient[1]), ((2, 0), hessian[0, 0])):
                assert found == pytest.approx(float(mp.diff(of, theta, order)), rel=1e-9, abs=1e-12)
            for order, found in (((1, 1), hessian[0, 1]), ((1, 1), hessian[1, 0]), ((0, 2), hessian[1, 1])):
                assert found == pytest.approx(float(mp.diff(of, theta, order)), rel=1e-9, abs=1e-12)


@pytest.mark.slow
def test_literal_form_is_the_same_in_pytensor():
    pt = pytest.importorskip("pytensor.tensor")
    from pytensor import function

    from predclv.inference.pytensor_ops import PYTENSOR

    columns, theta = [pt.vector(name) for name in ("x", "t_x", "T")], [pt.scalar(name) for name in ("r", "alpha")]
    value = nbd.log_likelihood(*columns, *theta, xp=PYTENSOR)
    # It takes t_x as the others do, and makes nothing of it.
    options = {"mode": "FAST_COMPILE", "on_unused_input": "ignore"}
    evaluate = function([*columns, *theta], [value, *pt.grad(value.sum(), theta)], **options)
    for point in THETAS[:4]:
        by_row, *gradient = evaluate(X, T, T, *point)
        np.testing.assert_allclose(by_row, nbd.log_likelihood(X, T, T, *point), rtol=1e-11)
        expected = nbd.log_likelihood_derivatives(nbd.tabulate(X, T, np.ones(len(X))), point)[1]
        np.testing.assert_allclose(gradient, expected, rtol=1e-8)


def test_rows_add_up_whatever_their_order():
    rng = np.random.default_rng(0)
    x, age, weight = rng.integers(0, 9, 300).astype(float), rng.integers(0, 40, 300) / 7, rng.integers(1, 4, 300)
    value, gradient, _ = nbd.log_likelihood_derivatives(nbd.tabulate(x, age, weight), (0.4, 3.0))
    assert value == pytest.approx(nbd.log_likelihood(x, None, age, 0.4, 3.0) @ weight, rel=1e-12)
    order = rng.permutation(300)
    again = nbd.log_likelihood_derivatives(nbd.tabulate(x[order], age[order], weight[order]), (0.4, 3.0))
    assert again[0] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(again[1], gradient, rtol=1e-9)


@pytest.mark.parametrize("theta", THETAS, ids=str)
@pytest.mark.parametrize("horizon", [1e-3, 39.0, 3650.0])
def test_counts_hold_to_40_digits(theta, horizon):
    n_max = 40
    pmf = nbd.purchase_pmf(X, T, horizon, theta, n_max)
    assert np.isfinite(pmf).all()
    with mp.workdps(40):
        true = [
            [float(exact_pmf(k, theta[0] + x, theta[1] + age, horizon)) for k in range(n_max + 1)]
            for x, age in HISTORIES
        ]
    # Below 1e-280 probabilities leave the range of floats.
    np.testing.assert_allclose(pmf, true, rtol=1e-9, atol=1e-280)


def test_a_heavy_buyers_counts():
    pmf = nbd.purchase_pmf([3000.0], [39.0], 39.0, (0.385, 12.07), 6000)[0]
    k = np.arange(6001)
    np.testing.assert_allclose(pmf, stats.nbinom.pmf(k, 3000.385, 51.07 / 90.07), rtol=1e-9, atol=1e-290)
    assert pmf @ k == pytest.approx(nbd.mean_expected_purchases([3000.0], [39.0], 39.0, (0.385, 12.07))[0], rel=1e-9)


@pytest.mark.parametrize(("horizon", "delta"), [(39.0, 0.0), (39.0, 0.002), (3650.0, 1e-9), (np.inf, 0.002)])
def test_discounted_purchases_hold_to_40_digits(horizon, delta):
    found = nbd.discounted_expected_purchases(X, T, horizon, delta, THETAS)
    time = mp.mpf(horizon) if delta == 0 else -mp.expm1(-mp.mpf(delta) * mp.mpf(horizon)) / mp.mpf(delta)
    true = [[float((r + mp.mpf(x)) / (alpha + mp.mpf(age)) * time) for x, age in HISTORIES] for r, alpha in THETAS]
    np.testing.assert_allclose(found, true, rtol=1e-12)


def test_it_is_the_limit_of_the_models_with_dropout():
    x, age = np.array([0.0, 1.0, 12.0]), np.array([30.0, 30.0, 39.0])
    t_x, theta, pareto = age * 0.9, (0.4, 10.0), nbd.as_pareto_nbd((0.4, 10.0))
    value = nbd.log_likelihood(x, t_x, age, *theta)
    np.testing.assert_allclose(bg_family.log_likelihood(x, t_x, age, *theta, 1e-12, 1.0), value, rtol=1e-10)
    np.testing.assert_array_equal(pareto_nbd_forecast.p_alive(x, t_x, age, pareto)[0], 1.0)
    for horizon, delta in ((39.0, 0.0), (39.0, 0.01), (np.inf, 0.01)):
        np.testing.assert_allclose(
            pareto_nbd_forecast.discounted_expected_purchases(x, t_x, age, horizon, delta, pareto),
            nbd.discounted_expected_purchases(x, age, horizon, delta, theta),
            rtol=1e-12,
        )
    np.testing.assert_allclose(
        pareto_nbd_forecast.purchase_pmf(x, t_x, age, 39.0, pareto, 30),
        nbd.purchase_pmf(x, age, 39.0, theta, 30),
        rtol=1e-10,
    )


def test_discounts_given_the_count():
    delta, horizon, counts = 0.03, 52.0, np.array([0.0, 1.0, 4.0])
    found = nbd.discount_moments(horizon, delta, 2, counts)
    assert all(moment.shape == (2, 1, 3) for moment in found)
    e = np.exp(-delta * np.random.default_rng(2).uniform(0, horizon, (400_000, 4)))
    for i, k in ((1, 1), (2, 4)):
        own = e[:, :k]
        for moment, sample in (
            (found.mean, own.mean(axis=1)),
            (found.mean_square, (own**2).mean(axis=1)),
            (found.square_mean, own.mean(axis=1) ** 2),
        ):
            assert moment[0, 0, i] == pytest.approx(sample.mean(), abs=5 * sample.std() / np.sqrt(len(e)))
    assert all((moment[:, :, 0] == 1).all() for moment in found)


def test_simulated_customers_never_leave():
    r, alpha = 0.9, 5.0
    pareto, n = nbd.as_pareto_nbd((r, alpha)), 100_000
    x, t_x = replicate_histories(np.random.default_rng(1), np.full(n, 20.0), pareto[0])
    assert x.mean() == pytest.approx(r * 20 / alpha, abs=5 * x.std() / np.sqrt(n))
    # The last of x uniform times.
    some = x > 0
    place = (t_x[some] / 20.0) ** x[some]
    assert place.mean() == pytest.approx(0.5, abs=5 * np.sqrt(1 / 12 / some.sum()))
    periods = simulate_counts(np.random.default_rng(2), np.zeros(n), np.array([0.0, 10.0, 20.0]), pareto)[0] / n
    np.testing.assert_allclose(periods, r * 10 / alpha, atol=5 * 2.5 / np.sqrt(n))

    columns = [np.full(n, value) for value in (2.0, 8.0, 12.0, 0.0, 1.0)]
    counts, _ = simulate_totals(*columns, np.arange(n), n, 30.0, 0.0, pareto, np.zeros((1, 0)), 3)
    frequency = np.bincount(counts[0].astype(int), minlength=12)[:12]
    expected = n * nbd.purchase_pmf([2.0], [12.0], 30.0, (r, alpha), 11)[0]
    assert stats.chi2.sf(((frequency - expected) ** 2 / expected).sum(), 11) > 1e-4
