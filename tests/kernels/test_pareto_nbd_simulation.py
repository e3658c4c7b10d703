"""Simulated Pareto/NBD customers against literal simulation and exact expectations, and their reproducibility."""

import numpy as np
import pytest

from predclv.kernels.discounting import continuous_rate
from predclv.kernels.pareto_nbd.forecast import discounted_expected_purchases, expected_purchases, purchase_pmf
from predclv.kernels.pareto_nbd.paths import replicate_histories, simulate_counts
from predclv.kernels.pareto_nbd.simulation import simulate_totals

THETA = np.array([[0.5533, 10.5777, 0.6062, 11.6687]])
SPEND = np.array([[6.25, 3.74, 15.44]])
WEEKLY = continuous_rate(0.10, "week")
ROWS = [
    # x, t_x, T, mean spend
    (0, 0.0, 39.0, 0.0),
    (0, 0.0, 0.0, 0.0),
    (3, 12.0, 30.0, 30.0),
    (12, 35.0, 39.0, 18.0),
]


def literal(n, x, t_x, T, mean_spend, horizon, first_purchase, rng):
    """By rejection from the story itself: rates given x and T or t_x, lifetimes that agree with the history."""
    (r, alpha, s, beta), (p, q, gamma) = THETA[0], SPEND[0]
    # lambda and the lifetime given the history: x purchases by t_x, none since, and a life of t_x at least.
    rate, lifetime = np.empty(0), np.empty(0)
    while len(rate) < n:
        # Gamma(r + x, alpha + t_x) holds the purchases up to t_x; silence from then on decides by exp(-rate * ...).
        new = rng.gamma(r + x, 1 / (alpha + t_x), n)
        mu = rng.gamma(s, 1 / (beta + t_x), n)
        life = t_x + rng.exponential(size=n) / mu
        kept = rng.random(n) < np.exp(-new * (np.minimum(life, T) - t_x))
        rate, lifetime = np.append(rate, new[kept]), np.append(lifetime, life[kept])
    rate, ahead = rate[:n], lifetime[:n] - T
    nu = rng.gamma(q + p * x, size=n) / (gamma + x * mean_spend)
    purchases = np.zeros(n)
    value = rng.gamma(p, size=n) / nu if first_purchase else np.zeros(n)
    clock = rng.exponential(size=n) / rate
    while (active := clock <= np.minimum(ahead, horizon)).any():
        purchases += active
        value += np.where(active, rng.gamma(p, size=n) / nu * np.exp(-WEEKLY * clock), 0.0)
        clock += rng.exponential(size=n) / rate
    return purchases, value


@pytest.mark.parametrize("first_purchase", [False, True])
@pytest.mark.parametrize("row", ROWS)
def test_one_customer_against_literal_simulation(row, first_purchase):
    n, horizon = 200_000, 80.0
    columns = [np.full(n, float(value)) for value in (*row, 1.0)]
    purchases, value = (
        totals[0]
        for totals in simulate_totals(*columns, np.arange(n), n, horizon, WEEKLY, THETA, SPEND, 5, first_purchase)
    )
    counts, values = literal(n, *row, horizon, first_purchase, np.random.default_rng(6))
    # Two samples: shares at a few cuts within five standard errors of their difference.
    for ours, theirs in ((purchases, counts), (value, values)):
        for cut in np.quantile(theirs, [0.2, 0.5, 0.8, 0.95, 0.99]):
            share = (theirs <= cut).mean()
            assert abs((ours <= cut).mean() - share) < 5 * np.sqrt(2 * share * (1 - share) / n) + 1e-12
    # And the exact forecasts.
    history = [[float(v)] for v in row[:3]]
    pmf = purchase_pmf(*history, horizon, THETA, 4)[0]
    for k, probability in enumerate(pmf):
        assert abs((purchases == k).mean() - probability) < 5 * np.sqrt(probability / n) + 1e-12
    mean = expected_purchases(*history, horizon, THETA)[0, 0]
    assert abs(purchases.mean() - mean) < 5 * purchases.std() / np.sqrt(n)
    worth = discounted_expected_purchases(*history, horizon, WEEKLY, THETA)[0, 0] + first_purchase
    p, q, gamma = SPEND[0]
    spend = p * (gamma + row[0] * row[3]) / (p * row[0] + q - 1)
    assert abs(value.mean() - worth * spend) < 5 * value.std() / np.sqrt(n)


def test_same_seed_same_totals_whatever_the_parts():
    rng = np.random.default_rng(2)
    n = 500
    x = rng.integers(0, 5, n).astype(float)
    T = rng.uniform(10, 40, n)
    t_x = np.where(x > 0, T * rng.random(n), 0.0)
    spend = np.where(x > 0, 20.0, 0.0)
    theta, theta_spend = np.repeat(THETA, 6, axis=0), np.repeat(SPEND, 6, axis=0)
    columns = x, t_x, T, spend, np.ones(n), rng.integers(0, 3, n)

    def run(draws, rows=slice(None), **options):
        return simulate_totals(
            *(column[rows] for column in columns), 3, 52.0, WEEKLY, theta[draws], theta_spend[draws], 9, **options
        )

    whole, shuffled = run(slice(None)), run(slice(None), np.random.default_rng(3).permutation(n))
    parts = run(slice(0, 2)), run(slice(2, 6), first_draw=2)
    for j in range(2):
        assert whole[j].shape == (6, 3)
        np.testing.assert_array_equal(whole[j], np.vstack([part[j] for part in parts]))
        np.testing.assert_array_equal(whole[j], shuffled[j])
        assert np.unique(whole[j][:, 0]).size > 1


def test_margin_scales_value_and_no_spend_model_leaves_purchases():
    n = 2000
    zeros = np.zeros(n)
    columns, segment = (zeros, zeros, np.full(n, 20.0), zeros), np.zeros(n, dtype=np.int64)
    full = simulate_totals(*columns, np.ones(n), segment, 1, 52.0, WEEKLY, THETA, SPEND, 1)
    third = simulate_totals(*columns, np.full(n, 0.3), segment, 1, 52.0, WEEKLY, THETA, SPEND, 1)
    none = simulate_totals(*columns, np.ones(n), segment, 1, 52.0, WEEKLY, THETA, np.empty((1, 0)), 1)
    endless = simulate_totals(*columns, np.ones(n), segment, 1, np.inf, WEEKLY, THETA, SPEND, 1)
    assert third[0] == full[0]
    assert third[1] == pytest.approx(0.3 * full[1], rel=1e-12)
    assert none[0] > 0
    assert none[1] == 0
    assert np.isfinite(endless[1]).all()
    assert endless[0] > full[0]


EDGES = np.array([0.0, 3.0, 10.0, 40.0])
BIRTHS = np.repeat([0.0, 1.5, 12.0], 20)


def test_mean_of_counts_is_the_expectation_of_new_customers():
    n_draws, theta = 4000, np.array([[0.6, 5.0, 0.9, 12.0]])
    counts = simulate_counts(np.random.default_rng(1), BIRTHS, EDGES, np.repeat(theta, n_draws, axis=0))
    ages = np.maximum(EDGES[:, np.newaxis] - BIRTHS, 0.0)
    zero = np.zeros(ages.size)
    expected = expected_purchases(zero, zero, zero, ages.ravel(), theta)
    expected = np.diff(expected.reshape(ages.shape).sum(axis=1))
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 4 * counts.std(axis=0) / np.sqrt(n_draws))


def test_replicated_histories_have_the_models_distribution():
    n, theta = 200_000, np.array([0.6, 5.0, 0.9, 12.0])
    x, t_x = replicate_histories(np.random.default_rng(4), np.full(n, 30.0), theta)
    pmf = purchase_pmf([0.0], [0.0], [0.0], 30.0, theta, 5)[0]
    for k, probability in enumerate(pmf):
        assert abs((x == k).mean() - probability) < 4.5 * np.sqrt(probability * (1 - probability) / n)
    assert (t_x[x == 0] == 0).all()
    # Given one purchase, the share that came by 10 against the likelihood's integral over t_x.
    early, late = (np.mean((x == 1) & (t_x > low) & (t_x <= high)) for low, high in ((0.0, 10.0), (10.0, 30.0)))
    nodes, weights = np.polynomial.legendre.leggauss(30)
    from predclv.kernels.pareto_nbd import log_likelihood

    for share, low, high in ((early, 0.0, 10.0), (late, 10.0, 30.0)):
        at = low + (high - low) * (nodes + 1) / 2
        density = np.exp(log_likelihood(np.ones(30), at, np.full(30, 30.0), *theta))
        probability = (high - low) / 2 * weights @ density
        assert abs(share - probability) < 4.5 * np.sqrt(probability / n)


def test_same_seed_same_lives_and_a_rate_of_zero():
    first, second = (simulate_counts(np.random.default_rng(3), BIRTHS, EDGES, THETA) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    # Shapes this small draw rates that underflow to zero: no purchase, and an endless life.
    assert simulate_counts(np.random.default_rng(0), BIRTHS, EDGES, np.array([[1e-6, 1.0, 1.0, 1.0]])).sum() == 0.0
    endless = simulate_counts(np.random.default_rng(0), BIRTHS, EDGES, np.array([[50.0, 50.0, 1e-6, 1.0]]))
    assert endless.sum() > 1000
