"""Simulated totals against literal simulations and exact means, and their reproducibility."""

import numpy as np
import pytest
from scipy.special import betainc, betaincinv

from predclv.kernels.bg_family.compiled import discounted_expected_purchases, expected_purchases
from predclv.kernels.bg_family.next import next_purchase
from predclv.kernels.bg_family.simulation import simulate_totals
from predclv.kernels.discounting import continuous_rate
from predclv.kernels.lives import simulate_histories

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


# (k, x, t_x, T, mean spend, horizon, dropout at first); the grocery data's estimates for k = 2, and others around them.
REGULAR = [
    (2, 0.0, 0.0, 39.0, 0.0, 13.0, True),
    (2, 3.0, 28.0, 30.0, 30.0, 80.0, False),
    (3, 0.0, 0.0, 0.0, 0.0, 2.0, False),
    (3, 2.0, 10.0, 30.0, 20.0, 4.0, True),
    (5, 12.0, 35.0, 39.0, 18.0, 80.0, False),
    (10, 4.0, 20.0, 21.0, 18.0, 3.0, True),
]
GROCERY = np.array([[0.3591, 1.1294, 0.5228, 2.7855]])


@pytest.mark.parametrize("case", REGULAR, ids=[f"k={case[0]}, x={case[1]:.0f}" for case in REGULAR])
def test_regular_buyers_have_the_exact_means(case):
    n = 200_000
    k, x, t_x, T, mean_spend, horizon, at_first = case
    columns = [np.full(n, value) for value in (x, t_x, T, mean_spend, 1.0)]
    purchases, value = (
        totals[0]
        for totals in simulate_totals(*columns, np.arange(n), n, horizon, 0.02, GROCERY, SPEND, at_first, 5, k=k)
    )
    row = np.array([x]), np.array([t_x]), np.array([T]), horizon
    p, q, gamma = SPEND[0]
    spend = p * (gamma + x * mean_spend) / (q + p * x - 1)
    discounted = discounted_expected_purchases(*row, 0.02, GROCERY, k, at_first)[0, 0]
    for sample, mean in (
        (purchases, expected_purchases(*row, GROCERY, k, at_first)[0, 0]),
        (value, spend * discounted),
    ):
        assert sample.max() > 0
        assert abs(sample.mean() - mean) < 4.5 * sample.std() / np.sqrt(n)


@pytest.mark.parametrize(("k", "at_first"), [(1, False), (2, True), (2, False), (4, True)])
def test_futures_of_whole_lives(k, at_first):
    """Simulate lives from birth on, and again from what their summary at T tells: one distribution."""
    n, horizon, rng = 300_000, 26.0, np.random.default_rng(8)
    theta = np.array([[1.2, 2.5, 0.6, 1.4]])
    r, alpha, a, b = theta[0]
    p, q, gamma = SPEND[0]
    T = rng.choice([8.0, 30.0, 52.0], n)
    x, t_x, spend, _, counts, _, values, _ = simulate_histories(
        rng, T, rng.gamma(r, size=n) / alpha, rng.beta(a, b, n), np.full(n, np.inf),
        rng.gamma(q, size=n) / gamma, p, k, at_first, np.array([horizon]), 0.02,
    )  # fmt: skip
    mean_spend = np.divide(spend, x, out=np.zeros(n), where=x > 0)
    purchases, value = (
        totals[0]
        for totals in simulate_totals(
            x.astype(float), t_x, T, mean_spend, np.ones(n), np.arange(n), n, horizon, 0.02, theta, SPEND, at_first, 3,
            k=k,
        )
    )  # fmt: skip
    for group in (x == 0, x == 1, x == 2, x > 2, T - t_x < 2, T - t_x > 20):
        size = group.sum()
        assert size > 10_000
        for ours, theirs in ((purchases[group], counts[0, group]), (value[group], values[0, group])):
            for cut in (0.0, *np.quantile(theirs, [0.5, 0.8, 0.95, 0.99])):
                share = (theirs <= cut).mean()
                assert abs((ours <= cut).mean() - share) < 5 * np.sqrt(2 * share * (1 - share) / size) + 1e-12


@pytest.mark.parametrize("x", [0.0, 40.0])
@pytest.mark.parametrize("horizon", [0.05, 0.6, 3.0, 12.0, 4000.0])
@pytest.mark.parametrize("r", [0.02, 1.3])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_time_of_the_next_purchase(k, r, x, horizon):
    """s / (alpha+T) is BetaPrime(k, r + kx) cut at the horizon, whichever way it is drawn."""
    theta, n = np.array([r, 1.1, 0.5, 2.0]), 20_000
    buyers, state = np.zeros(k), np.random.SeedSequence(3).generate_state(4, np.uint64)
    buyers[0] = 1.0
    times = np.array([next_purchase(state, 0.5, buyers, x, 2.0, horizon, theta, k) for _ in range(n)])
    assert times.min() >= 0
    assert times.max() <= horizon * (1 + 1e-12)
    shape = k, r + k * x
    end = horizon / (theta[1] + 2.0 + horizon)
    for share in (0.1, 0.5, 0.9):
        cut = betaincinv(*shape, share * betainc(*shape, end))
        below = (times <= (theta[1] + 2.0) * cut / (1 - cut)).mean()
        assert abs(below - share) < 5 * np.sqrt(share * (1 - share) / n)


def test_infinite_horizon_ends():
    n = 2000
    zeros = np.zeros(n)
    segment = np.zeros(n, dtype=np.int64)
    columns = (zeros, zeros, np.full(n, 20.0), zeros, np.ones(n), segment, 1)
    purchases, value = simulate_totals(*columns, np.inf, WEEKLY, THETA, SPEND, False, 1)
    assert np.isfinite(value).all()
    assert (purchases > 0).all()
