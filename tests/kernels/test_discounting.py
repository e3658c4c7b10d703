"""Discount of k purchases against 30-digit truth, and rates."""

import math

import mpmath
import numpy as np
import pytest

from predclv.kernels.discounting import continuous_rate, discount_moments

CDNOW = np.array([0.2426, 4.4136, 0.7929, 2.4259])
WEEKLY = continuous_rate(0.10, "week")

CASES = [
    # x, T, horizon, delta, theta, counts
    (0, 39.0, 52.0, WEEKLY, CDNOW, (1, 2, 9)),
    (2, 30.0, 3652.5 / 7, WEEKLY, CDNOW, (1, 3, 40)),
    (30, 39.0, 3780.0, WEEKLY, CDNOW, (1, 25, 900)),
    (3000, 39.0, 39.0, WEEKLY, CDNOW, (1, 40, 3000)),
    (0, 0.0, 3780.0, WEEKLY, CDNOW, (1, 30, 1000)),
    (7, 700.0, 3652.5, math.log1p(0.3) / 365.25, np.array([1.1, 12.0, 1e-3, 0.5]), (1, 6, 60)),
    (1, 3.0, 1.0, 0.05, np.array([3.0, 50.0, 20.0, 1.0]), (1, 2)),
]


def mean_discounts(x, T, horizon, delta, theta, n_max):
    """Mean discount of 0, ..., n_max purchases, over both ways to come about."""
    moments = discount_moments(np.array([float(x)]), np.array([T]), horizon, delta, theta, np.arange(n_max + 1.0))
    return (moments.share * moments.mean).sum(axis=1)[0]


def truth(x, T, horizon, delta, theta, k):
    """Mean discount from the two ways to X = k, by adaptive quadrature over the dropout time."""
    r, alpha, a, b = (mpmath.mpf(float(value)) for value in theta)
    shape, rate, b = r + x, alpha + mpmath.mpf(T), b + x
    t, delta = mpmath.mpf(horizon), mpmath.mpf(delta)
    end = mpmath.log1p(t / rate)

    def factor(y):
        return -mpmath.expm1(-y) / y

    def density(y):
        return mpmath.exp((k - 1) * mpmath.log(-mpmath.expm1(-y)) - shape * y)

    def left(y):
        tau = rate * mpmath.expm1(y)
        return density(y) * (mpmath.exp(-delta * tau) + (k - 1) * factor(delta * tau)) / k

    # Panels around the bulk, beta(k, shape) in 1 - exp(-y), so that no peak is stepped over.
    middle = mpmath.log1p(mpmath.mpf(k) / shape)
    width = mpmath.sqrt(1 / mpmath.mpf(k) + 1 / shape) * (1 - mpmath.exp(-middle))
    points = [p for p in (middle + width * j for j in range(-12, 30)) if 0 < p < end]
    points = sorted({mpmath.mpf(0), *points, *(end * j / 40 for j in range(41))})
    mass = mpmath.quad(density, points)
    constant = mpmath.beta(k, shape)
    p_stayed = mpmath.beta(a, b + k) / mpmath.beta(a, b)
    p_stayed *= mpmath.exp(k * mpmath.log(t / (rate + t)) + shape * mpmath.log(rate / (rate + t))) / (k * constant)
    p_left = mpmath.beta(a + 1, b + k - 1) / mpmath.beta(a, b) / constant
    total = p_stayed + p_left * mass
    return (p_stayed * factor(delta * t) + p_left * mpmath.quad(left, points)) / total


@pytest.mark.parametrize("case", CASES, ids=[f"x={case[0]}, t={case[2]:.0f}" for case in CASES])
def test_mean_discounts_against_truth(case):
    mpmath.mp.dps = 30
    x, T, horizon, delta, theta, counts = case
    computed = mean_discounts(x, T, horizon, delta, theta, max(counts))
    expected = [float(truth(x, T, horizon, delta, theta, k)) for k in counts]
    np.testing.assert_allclose(computed[list(counts)], expected, rtol=1e-9)


def test_more_purchases_of_a_short_life_are_discounted_less_than_spread_ones():
    d = mean_discounts(0, 39.0, 520.0, WEEKLY, CDNOW, 30)
    assert d[0] == 1.0
    assert np.all((d > 0) & (d <= 1))
    # The uniform mean is reached by those who stayed; who left bought earlier.
    assert np.all(d[1:] > -np.expm1(-WEEKLY * 520) / (WEEKLY * 520))


@pytest.mark.parametrize("dropout_at_first", [False, True])
@pytest.mark.parametrize("horizon", [52.0, 522.0, 3780.0])
def test_moments_against_simulation(horizon, dropout_at_first):
    """Count, then times: every moment and share within five standard errors."""
    rng = np.random.default_rng(3)
    n = 400_000
    x, T = 2.0, 30.0
    r, alpha, a, b = CDNOW
    rate = rng.gamma(r + x, size=n) / (alpha + T)
    dropout = rng.geometric(rng.beta(a, b + x + dropout_at_first, size=n))
    k = 3
    times = np.cumsum(rng.exponential(size=(n, k + 1)) / rate[:, None], axis=1)
    stayed = (times[:, k - 1] < horizon) & (times[:, k] > horizon) & (dropout > k)
    left = (times[:, k - 1] < horizon) & (dropout == k)
    computed = discount_moments(
        np.array([x]), np.array([T]), horizon, WEEKLY, CDNOW, np.array([float(k)]), dropout_at_first
    )
    computed = [values[0, :, 0] for values in computed]
    factors = np.exp(-WEEKLY * times[:, :k])
    part = np.where(stayed, 0, 1 + np.digitize(WEEKLY * times[:, k - 1], [0.7, 1.75]))
    used = stayed | left
    for j in range(computed[0].size):
        here = used & (part == j)
        share = here.sum() / used.sum()
        assert abs(share - computed[0][j]) < 5 * np.sqrt(share * (1 - share) / used.sum()) + 1e-12
        sample = factors[here]
        for statistic, expected in (
            (sample.mean(axis=1), computed[1][j]),
            ((sample**2).mean(axis=1), computed[2][j]),
            (sample.mean(axis=1) ** 2, computed[3][j]),
        ):
            assert abs(statistic.mean() - expected) < 5 * statistic.std() / np.sqrt(here.sum())


def test_rates():
    assert continuous_rate(0.10, "year") == pytest.approx(math.log(1.1))
    assert continuous_rate(0.10, "week") == pytest.approx(math.log(1.1) * 7 / 365.25)
    assert continuous_rate(0.0, "day") == 0.0
    assert math.exp(-365.25 * continuous_rate(0.15, "day")) == pytest.approx(1 / 1.15)
