"""Simulated totals against a literal simulation, and their reproducibility."""

import numpy as np
import pytest

from predclv.kernels.bg_family_simulation import simulate_totals
from predclv.kernels.discounting import continuous_rate

THETA = np.array([[0.2426, 4.4136, 0.7929, 2.4259]])
SPEND = np.array([[6.25, 3.74, 15.44]])
WEEKLY = continuous_rate(0.10, "week")

ROWS = [
    # x, t_x, T, mean spend, dropout at first
    (0, 0.0, 39.0, 0.0, False),
    (0, 0.0, 10.0, 0.0, True),
    (3, 12.0, 30.0, 30.0, False),
    (12, 35.0, 39.0, 18.0, True),
]


def literal(n, x, t_x, T, mean_spend, at_first, horizon, first_purchase, rng):
    """Alive or not, rate, dropout, times and spends, as the model is told."""
    (r, alpha, a, b), (p, q, gamma) = THETA[0], SPEND[0]
    chances = x + at_first
    odds = a / (b + chances - 1) * ((alpha + T) / (alpha + t_x)) ** (r + x) if chances else 0.0
    alive = rng.random(n) < 1 / (1 + odds)
    rate = rng.gamma(r + x, size=n) / (alpha + T)
    last = rng.geometric(rng.beta(a, b + chances, size=n))
    nu = rng.gamma(q + p * x, size=n) / (gamma + x * mean_spend)
    purchases = np.zeros(n)
    value = rng.gamma(p, size=n) / nu if first_purchase else np.zeros(n)
    clock = rng.exponential(size=n) / rate
    active = alive & (clock <= horizon)
    while active.any():
        purchases += active
        value += np.where(active, rng.gamma(p, size=n) / nu * np.exp(-WEEKLY * clock), 0.0)
        clock += rng.exponential(size=n) / rate
        active &= (purchases < last) & (clock <= horizon)
    return purchases, value


@pytest.mark.parametrize("first_purchase", [False, True])
@pytest.mark.parametrize("row", ROWS)
def test_one_customer_against_literal_simulation(row, first_purchase):
    n, horizon = 200_000, 80.0
    x, t_x, T, mean_spend, at_first = row
    columns = [np.full(n, float(value)) for value in (x, t_x, T, mean_spend, 1.0)]
    purchases, value = (
        totals[0]
        for totals in simulate_totals(
            *columns, np.arange(n), n, horizon, WEEKLY, THETA, SPEND, at_first, 5, first_purchase
        )
    )
    counts, values = literal(n, *row, horizon, first_purchase, np.random.default_rng(6))
    # Two samples: shares at a few cuts within five standard errors of their difference.
    for ours, theirs in ((purchases, counts), (value, values)):
        for cut in np.quantile(theirs, [0.2, 0.5, 0.8, 0.95, 0.99]):
            share = (theirs <= cut).mean()
            assert abs((ours <= cut).mean() - share) < 5 * np.sqrt(2 * share * (1 - share) / n) + 1e-12


def test_same_seed_same_totals_whatever_the_parts():
    rng = np.random.default_rng(2)
    n = 500
    x = rng.integers(0, 5, n).astype(float)
    T = rng.uniform(10, 40, n)
    t_x = np.where(x > 0, T * rng.random(n), 0.0)
    spend = np.where(x > 0, 20.0, 0.0)
    theta, theta_spend = np.repeat(THETA, 6, axis=0), np.repeat(SPEND, 6, axis=0)
    segment = rng.integers(0, 3, n)

    def run(draws, **options):
        return simulate_totals(
            x,
            t_x,
            T,
            spend,
            np.ones(n),
            segment,
            3,
            52.0,
            WEEKLY,
            theta[draws],
            theta_spend[draws],
            False,
            9,
            **options,
        )

    whole = run(slice(None))
    parts = run(slice(0, 2)), run(slice(2, 6), first_draw=2)
    for j in range(2):
        assert whole[j].shape == (6, 3)
        np.testing.assert_array_equal(whole[j], np.vstack([part[j] for part in parts]))
        assert np.unique(whole[j][:, 0]).size > 1


def test_margin_scales_value_and_no_spend_model_leaves_purchases():
    n = 2000
    zeros = np.zeros(n)
    columns = (zeros, zeros, np.full(n, 20.0), zeros)
    segment = np.zeros(n, dtype=np.int64)
    full = simulate_totals(*columns, np.ones(n), segment, 1, 52.0, WEEKLY, THETA, SPEND, False, 1)
    third = simulate_totals(*columns, np.full(n, 0.3), segment, 1, 52.0, WEEKLY, THETA, SPEND, False, 1)
    none = simulate_totals(*columns, np.ones(n), segment, 1, 52.0, WEEKLY, THETA, np.empty((1, 0)), False, 1)
    assert third[0] == full[0]
    assert third[1] == pytest.approx(0.3 * full[1], rel=1e-12)
    assert none[0] > 0
    assert none[1] == 0


def test_infinite_horizon_ends():
    n = 2000
    zeros = np.zeros(n)
    segment = np.zeros(n, dtype=np.int64)
    columns = (zeros, zeros, np.full(n, 20.0), zeros, np.ones(n), segment, 1)
    purchases, value = simulate_totals(*columns, np.inf, WEEKLY, THETA, SPEND, False, 1)
    assert np.isfinite(value).all()
    assert (purchases > 0).all()
