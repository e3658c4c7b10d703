"""Few purchases and little money of customers who stay: against sums at 40 digits, and against simulation."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from predclv.kernels import silence

mp.mp.dps = 40

# n, x, t_x, T, window, (r, alpha): daily units over ten years, heavy buyers, both ends of the parameters.
GRID = [
    (0, 0, 0.0, 0.0, 10.0, (1e-3, 0.1)),
    (0, 0, 0.0, 3650.0, 90.0, (0.3, 400.0)),
    (2, 12, 30.0, 39.0, 13.0, (0.24, 4.4)),
    (0, 3000, 3640.0, 3650.0, 30.0, (0.5, 2.0)),
    (5, 3000, 3649.0, 3650.0, 30.0, (5.0, 50.0)),
    (31, 60, 38.9, 39.0, 39.0, (0.5, 1e-3)),
    (400, 3000, 3650.0, 3650.0, 365.0, (20.0, 1.0)),
]


def poisson_mixture(n, shape, rate, window):
    """Negative binomial probabilities, added up."""
    z = mp.mpf(window) / (rate + window)
    return mp.fsum(
        mp.exp(mp.loggamma(shape + i) - mp.loggamma(shape) - mp.loggamma(i + 1)) * (1 - z) ** shape * z**i
        for i in range(n + 1)
    )


def rows(*values):
    return (np.array([float(value)]) for value in values)


@pytest.mark.parametrize(("n", "x", "t_x", "T", "window", "theta"), GRID)
@pytest.mark.parametrize("k", [1, 3])
def test_purchases_are_sums_over_counts(n, x, t_x, T, window, theta, k):
    r, alpha = map(mp.mpf, theta)
    shapes = [r + k * x + j for j in range(k)]
    weights = [
        (mp.mpf(T) - mp.mpf(t_x)) ** j / mp.factorial(j) * mp.gamma(shapes[j]) / mp.gamma(shapes[0]) / (alpha + T) ** j
        for j in range(k)
    ]
    # At most n purchases are at most k (n + 1) - 1 - j further events.
    sums = [poisson_mixture(k * (n + 1) - 1 - j, shapes[j], alpha + T, window) for j in range(k)]
    truth = mp.fsum(w * s for w, s in zip(weights, sums, strict=True)) / mp.fsum(weights)
    found = silence.regular_purchases_at_most(*rows(n, x, t_x, T), window, np.array([theta]), k)
    assert found.shape == (1, 1)
    assert found[0, 0] == pytest.approx(float(truth), rel=1e-9)


@pytest.mark.parametrize(
    ("n", "x", "T", "window", "theta"),
    [
        (0, 0, 0, 6, (1.2, 0.75)),
        (2, 5, 6, 5, (1.2, 0.75)),
        (30, 3000, 3650, 90, (0.2, 10.0)),
        (90, 10, 20, 90, (5.0, 0.2)),
        (3, 40, 365, 30, (1e-3, 1e-3)),
    ],
)
def test_opportunities_are_sums_over_counts(n, x, T, window, theta):
    a, b = theta[0] + mp.mpf(x), theta[1] + mp.mpf(T) - x
    truth = mp.fsum(
        mp.binomial(window, i) * mp.beta(a + i, b + window - i) / mp.beta(a, b) for i in range(min(n, window) + 1)
    )
    found = silence.opportunities_at_most(*rows(n, x, x, T), float(window), np.array([theta]))
    assert found[0, 0] == pytest.approx(float(truth), rel=1e-9)


@pytest.mark.parametrize(
    ("spend", "n", "x", "mean", "theta"),
    [
        (1.0, 1, 1, 35.0, (6.25, 3.74, 15.44)),
        (1e-4, 1, 30, 80.0, (0.5, 1.1, 5.0)),
        (8e4, 900, 3000, 100.0, (6.0, 3.74, 15.44)),
        (4e6, 3, 2, 20.0, (1.0, 2.0, 1e-2)),
    ],
)
def test_spend_is_an_incomplete_beta(spend, n, x, mean, theta):
    p, q, gamma = map(mp.mpf, theta)
    rest = gamma + mp.mpf(x) * mean
    if p == int(p):
        # The sum exceeds what fewer than p n events of a Poisson process reach, whose rate is the customer's nu.
        truth = 1 - poisson_mixture(int(p * n) - 1, q + p * x, rest, spend)
    else:
        share = mp.mpf(spend) / (mp.mpf(spend) + rest)
        truth = mp.betainc(p * n, q + p * x, 0, share, regularized=True)
    found = silence.spend_at_most(*rows(spend, n, x, mean), np.array([theta]))
    assert found[0, 0] == pytest.approx(float(truth), rel=1e-9)


def test_spend_is_what_gamma_baskets_come_to():
    """Of one customer's gamma purchases, whose own rate is drawn given the mean so far."""
    rng = np.random.default_rng(1)
    p, q, gamma, n, x, mean = 3.0, 4.0, 15.0, 4, 5, 30.0
    nu = rng.gamma(q + p * x, 1 / (gamma + x * mean), 200_000)
    sums = rng.gamma(p * n, 1 / nu)
    found = silence.spend_at_most(*(np.full(len(sums), v) for v in (0.0,)), n, x, mean, np.array([[p, q, gamma]]))
    assert (found == 0).all()
    places = silence.spend_at_most(sums, np.float64(n), np.float64(x), mean, np.array([[p, q, gamma]]))[0]
    assert stats.kstest(places, "uniform").pvalue > 0.01


def test_nothing_is_less_than_nothing():
    theta = np.array([[0.5, 4.0], [0.6, 5.0]])
    for at_most in (silence.purchases_at_most, silence.opportunities_at_most):
        assert (at_most(*rows(-1, 3, 2, 8), 10.0, theta) == 0).all()
        # No time ahead: no purchases, for sure.
        assert (at_most(*rows(0, 3, 2, 8), 0.0, theta) == 1).all()
    assert (silence.regular_purchases_at_most(*rows(-1, 3, 2, 8), 10.0, theta, 3) == 0).all()


@pytest.mark.parametrize("k", [1, 3])
def test_simulated_windows_have_these_chances(k):
    x, t_x, T, window, theta = 4.0, 20.0, 26.0, 13.0, np.array([0.8, 3.0])
    n = 200_000
    columns = (np.full(n, value) for value in (x, t_x, T))
    rng = np.random.default_rng(2)
    bought, last = silence.simulate_regular_purchases(rng, *columns, window, np.tile(theta, (n, 1)), k)
    for count in (0, 1, 3):
        truth = silence.regular_purchases_at_most(*rows(count, x, t_x, T), window, theta[np.newaxis], k)[0, 0]
        # Four standard errors.
        assert np.mean(bought <= count) == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / n))
    assert (last[bought == 0] == t_x).all()
    some = last[bought > 0]
    assert ((some > T) & (some <= T + window)).all()
    if k == 1:
        # The last of n uniform times.
        three = (last[bought == 3] - T) / window
        assert stats.kstest(three, stats.beta(3, 1).cdf).pvalue > 0.01


def test_simulated_regular_events_are_a_gamma_process():
    """Given the stage, the wait for the first purchase is a gamma of what is left: by events one by one."""
    rng = np.random.default_rng(3)
    x, t_x, T, window, r, alpha, k, n = 2.0, 10.0, 12.0, 6.0, 1.5, 2.0, 3, 100_000
    rate = rng.gamma(r + k * x, 1 / (alpha + t_x), 40 * n)
    # Since the last purchase fewer than k events until T: that is all that is known of the time since.
    since = rng.poisson(rate * (T - t_x))
    rate, since = rate[since < k][:n], since[since < k][:n]
    waits = np.cumsum(rng.exponential(1 / rate, (40, len(rate))), axis=0)
    inside = waits <= window
    events = inside.sum(axis=0)
    bought = (since + events) // k
    last_event = k * bought - since
    at = np.where(bought > 0, np.take_along_axis(waits, np.maximum(last_event - 1, 0)[np.newaxis], 0)[0], np.nan)
    columns = (np.full(n, value) for value in (x, t_x, T))
    found, last = silence.simulate_regular_purchases(rng, *columns, window, np.tile([r, alpha], (n, 1)), k)
    assert np.mean(found == 0) == pytest.approx(np.mean(bought == 0), abs=5 * np.sqrt(0.5 / n))
    assert stats.ks_2samp(last[found > 0] - T, at[bought > 0]).pvalue > 0.01


def test_simulated_opportunities():
    n, theta = 200_000, np.array([1.2, 0.75])
    columns = (np.full(n, value) for value in (3.0, 4.0, 6.0))
    rng = np.random.default_rng(4)
    bought, last = silence.simulate_opportunities(rng, *columns, 5.0, np.tile(theta, (n, 1)))
    truth = silence.opportunities_at_most(*rows(1, 3, 4, 6), 5.0, theta[np.newaxis])[0, 0]
    assert np.mean(bought <= 1) == pytest.approx(truth, abs=4 * np.sqrt(truth * (1 - truth) / n))
    assert (last[bought == 0] == 4).all()
    assert set(np.unique(last[bought > 0])) == {7, 8, 9, 10, 11}
