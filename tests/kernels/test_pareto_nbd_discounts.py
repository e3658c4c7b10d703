"""Discounts of k purchases of a Pareto/NBD customer: 25-digit truth, simulation, and the discounted expectation."""

import math

import mpmath as mp
import numpy as np
import pytest

from predclv.kernels.discounting import continuous_rate
from predclv.kernels.pareto_nbd.discounts import discount_moments
from predclv.kernels.pareto_nbd.forecast import alive_purchase_pmf, discounted_expected_purchases

CDNOW = np.array([0.5533, 10.5777, 0.6062, 11.6687])
WEEKLY = continuous_rate(0.10, "week")

CASES = [
    # x, T, horizon, delta, theta, counts
    (0, 39.0, 52.0, WEEKLY, CDNOW, (1, 2, 9)),
    (2, 30.0, 3652.5 / 7, WEEKLY, CDNOW, (1, 3, 40)),
    (30, 39.0, 3780.0, WEEKLY, CDNOW, (1, 25, 900)),
    (3000, 39.0, 39.0, WEEKLY, CDNOW, (1, 40, 3000)),
    (0, 0.0, 3780.0, WEEKLY, np.array([0.5, 300.0, 0.4, 0.5]), (1, 30)),
    (7, 700.0, 3652.5, math.log1p(0.3) / 365.25, np.array([1.1, 12.0, 3.0, 500.0]), (1, 6, 60)),
    (1, 3.0, 1.0, 0.05, np.array([3.0, 50.0, 20.0, 1.0]), (1, 2)),
]


def truth(x, T, horizon, delta, theta, k):
    """Mean discount, and mean square of the mean, from the density of the lifetime given k purchases."""
    r, alpha, s, beta = (mp.mpf(float(value)) for value in theta)
    m, A, B, t, delta = r + x, alpha + mp.mpf(T), beta + mp.mpf(T), mp.mpf(horizon), mp.mpf(delta)

    def purchases(tau):
        return mp.exp(k * mp.log(tau / (A + tau)) - m * mp.log1p(tau / A))

    def factor(y):
        return -mp.expm1(-y) / y

    def mean(tau):
        return factor(delta * tau)

    def square(tau):
        return (factor(2 * delta * tau) + (k - 1) * factor(delta * tau) ** 2) / k

    def density(y):
        tau = mp.exp(y)
        return tau * s / B * (1 + tau / B) ** (-s - 1) * purchases(tau)

    with mp.workdps(25):
        low = min(mp.log(t), mp.log(B), mp.log(A / m)) - 70 / mp.mpf(k + 1)
        n = int(40 + 8 * mp.sqrt(k + m))
        points = [low + (mp.log(t) - low) * i / n for i in range(n + 1)]

        def integral(of):
            inner = mp.fsum(
                mp.quad(lambda y: density(y) * of(mp.exp(y)), [points[i], points[i + 1]], maxdegree=4) for i in range(n)
            )
            return inner + (1 + t / B) ** -s * purchases(t) * of(t)

        total = integral(lambda tau: mp.mpf(1))
        return integral(mean) / total, integral(square) / total


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=[f"x={case[0]}, t={case[2]:.0f}" for case in CASES])
def test_moments_against_truth(case):
    x, T, horizon, delta, theta, counts = case
    moments = discount_moments(
        np.array([float(x)]), np.array([T]), horizon, delta, theta, np.array(counts, dtype=float)
    )
    np.testing.assert_allclose(moments.share.sum(axis=1), 1.0, rtol=1e-12)
    for c, k in enumerate(counts):
        if k > 1000 or (x > 1000 and k < 100):
            continue  # mpmath takes minutes
        mean, square = truth(x, T, horizon, delta, theta, k)
        share = moments.share[0, :, c]
        assert share @ moments.mean[0, :, c] == pytest.approx(float(mean), rel=1e-10)
        assert share @ moments.square_mean[0, :, c] == pytest.approx(float(square), rel=1e-10)


def test_they_add_up_to_the_discounted_expectation():
    x, T, counts = np.array([0.0, 3.0, 20.0]), np.array([39.0, 10.0, 30.0]), np.arange(1500.0)
    for horizon in (30.0, 400.0):
        moments = discount_moments(x, T, horizon, WEEKLY, CDNOW, counts)
        pmf = alive_purchase_pmf(x, T, horizon, CDNOW, 1499)
        assert (1 - pmf.sum(axis=1) < 1e-13).all()
        total = (pmf * counts * (moments.share * moments.mean).sum(axis=1)).sum(axis=1)
        # Who bought at T is alive.
        expected = discounted_expected_purchases(x, T, T, horizon, WEEKLY, CDNOW)[0]
        np.testing.assert_allclose(total, expected, rtol=1e-10)


@pytest.mark.parametrize("horizon", [52.0, 522.0, 3780.0])
def test_moments_against_simulation(horizon):
    """Lifetimes, then times: every moment and share within five standard errors."""
    rng = np.random.default_rng(3)
    n, x, T, k = 400_000, 2.0, 30.0, 3
    r, alpha, s, beta = CDNOW
    rate = rng.gamma(r + x, size=n) / (alpha + T)
    life = rng.exponential(size=n) / (rng.gamma(s, size=n) / (beta + T))
    times = np.cumsum(rng.exponential(size=(n, k + 1)) / rate[:, None], axis=1)
    end = np.minimum(life, horizon)
    used = (times[:, k - 1] < end) & (times[:, k] > end)
    computed = discount_moments(np.array([x]), np.array([T]), horizon, WEEKLY, CDNOW, np.array([float(k)]))
    computed = [values[0, :, 0] for values in computed]
    factors = np.exp(-WEEKLY * times[:, :k])
    part = np.where(life > horizon, 0, 1 + np.digitize(WEEKLY * life, [0.7, 1.75]))
    for j in range(computed[0].size):
        here = used & (part == j)
        share = here.sum() / used.sum()
        # An expected share's own error, which a share of none would hide.
        expected = computed[0][j]
        assert abs(share - expected) < 5 * np.sqrt(expected * (1 - expected) / used.sum()) + 5 / used.sum()
        sample = factors[here]
        if len(sample) < 100:
            continue  # too few for their spread to be known
        for statistic, expected in (
            (sample.mean(axis=1), computed[1][j]),
            ((sample**2).mean(axis=1), computed[2][j]),
            (sample.mean(axis=1) ** 2, computed[3][j]),
        ):
            assert abs(statistic.mean() - expected) < 5 * statistic.std() / np.sqrt(here.sum())


def test_no_purchases_are_not_discounted():
    moments = discount_moments(np.zeros(1), np.array([5.0]), 52.0, WEEKLY, CDNOW, np.array([0.0, 1.0]))
    assert moments.share[0, 0, 0] == 1.0
    assert (moments.mean[0, :, 0] == 1.0).all()
