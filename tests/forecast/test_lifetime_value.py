"""The distribution of value against literal sums, itself, and millions of simulated customers."""

import math

import numpy as np
import pytest
from numba import njit
from scipy.special import betainc

from kernels.bg_family_truth import stage_weights
from predclv.forecast.lifetime_value import REMAINING_SHARE, finite_horizon, value_cdf, value_quantiles
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.discounting import continuous_rate
from predclv.models.bg_family import BGFamily

BG, MBG = BGFamily(k=1, dropout_at_first=False), BGFamily(k=1, dropout_at_first=True)
CNBD, MCNBD = BGFamily(k=2, dropout_at_first=False), BGFamily(k=3, dropout_at_first=True)
YEAR = 365.25 / 7
WEEKLY = continuous_rate(0.10, "week")
LEVELS = np.array([0.05, 0.5, 0.95])

CDNOW = np.array([[0.2426, 4.4136, 0.7929, 2.4259]]), np.array([[6.25, 3.74, 15.44]])
# In days, with a spend whose variance hardly exists.
GROCERY = np.array([[0.3486, 18.07, 0.5038, 3.6444]]), np.array([[3.0, 2.05, 25.0]])


def rows(*histories):
    """Columns x, t_x, T, mean spend from one tuple a customer."""
    return tuple(np.array(column, dtype=float) for column in zip(*histories, strict=True))


def draws(n, spread, center=CDNOW, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(part * np.exp(spread * rng.standard_normal((n, part.shape[1]))) for part in center)


HISTORIES = rows(
    (0, 0.0, 39.0, 0.0),
    (0, 0.0, 0.0, 0.0),
    (1, 20.0, 38.3, 22.0),
    (3, 28.0, 29.7, 35.0),
    (3, 4.0, 29.7, 35.0),
    (30, 38.0, 38.9, 41.0),
    (2, 1.0, 300.0, 5.0),
)


def test_undiscounted_cdf_is_the_sum_over_counts():
    """DESIGN's formula as it stands: sum over k of P(X = k) BetaPrimeCDF(v / (gamma + x m); p k, q + p x)."""
    theta, spend = draws(3, 0.1)
    x, t_x, T, m = HISTORIES
    values = np.tile([-1.0, 0.0, 10.0, 80.0, 900.0], (x.size, 1))
    computed = value_cdf(BG, theta, spend, x, t_x, T, m, 52.0, 0.0, values)
    expected = np.zeros_like(values)
    for one, (p, q, gamma) in zip(theta, spend, strict=True):
        pmf = BG.purchase_pmf(x, t_x, T, 52.0, one[np.newaxis], 600)
        for i in range(x.size):
            u = np.maximum(values[i], 0) / (gamma + x[i] * m[i])
            below = sum(pmf[i, k] * betainc(p * k, q + p * x[i], u / (1 + u)) for k in range(1, 601))
            expected[i] += np.where(values[i] >= 0, pmf[i, 0] + below, 0.0) / 3
    # The last 1e-5 of the counts stand together.
    np.testing.assert_allclose(computed, expected, atol=1e-5)


@pytest.mark.parametrize("first_purchase", [False, True])
@pytest.mark.parametrize(("horizon", "delta"), [(52.0, 0.0), (52.0, WEEKLY), (3 * YEAR, WEEKLY), (math.inf, WEEKLY)])
@pytest.mark.parametrize("bindings", [BG, MBG, CNBD, MCNBD], ids=["BG", "MBG", "CNBD-2", "MCNBD-3"])
def test_quantiles_invert_the_direct_cdf(bindings, horizon, delta, first_purchase):
    theta, spend = draws(4, 0.1)
    x, t_x, T, m = HISTORIES
    if first_purchase:
        x, t_x, T, m = (column[1:2] for column in HISTORIES)
    levels = np.array([0.05, 0.4, 0.6, 0.95, 0.999])
    quantiles = value_quantiles(
        bindings, theta, spend, x, t_x, T, m, horizon, delta, levels, first_purchase=first_purchase
    )
    reached = value_cdf(bindings, theta, spend, x, t_x, T, m, horizon, delta, quantiles, first_purchase=first_purchase)
    positive = quantiles > 0
    assert np.all(np.diff(quantiles, axis=1) >= 0)
    # Within 1e-4 of probability, or 1e-3 at the foot of the atom, below 2 % of a spend, where the density is infinite.
    error = np.abs(reached - levels)[positive]
    assert np.all(error < np.where(quantiles[positive] > 0.5, 1e-4, 1e-3))
    # At the atom the level is reached already.
    assert np.all((reached >= levels)[~positive])
    if not first_purchase:
        at_zero = value_cdf(bindings, theta, spend, x, t_x, T, m, horizon, delta, np.zeros((x.size, 1)))
        np.testing.assert_array_equal(positive, at_zero < levels)
    assert first_purchase == bool(positive.all())


@pytest.mark.parametrize("bindings", [BG, CNBD], ids=["BG", "CNBD-2"])
def test_ages_between_the_nodes_of_the_lattice(bindings):
    theta, spend = draws(2, 0.05)
    for x, m in ((0.0, 0.0), (2.0, 20.0), (12.0, 20.0), (60.0, 20.0)):
        T = np.linspace(0.1, 150.0, 40) if x < 50 else np.linspace(60.0, 80.0, 10)
        # With one event to a purchase t_x does not matter; with more the stages are taken together.
        t_x = T * (1.0 if bindings is BG else 0.97) if x else np.zeros_like(T)
        columns = np.full(T.size, x), t_x, T, np.full(T.size, m)
        quantiles = value_quantiles(bindings, theta, spend, *columns, 52.0, WEEKLY, [0.5, 0.95])
        reached = value_cdf(bindings, theta, spend, *columns, 52.0, WEEKLY, quantiles)
        error = np.where(quantiles > 0, reached - [0.5, 0.95], 0.0)
        assert np.abs(error).max() < 1e-4


@pytest.mark.parametrize("bindings", [BG, CNBD], ids=["BG", "CNBD-2"])
def test_a_row_does_not_depend_on_its_neighbours(bindings):
    theta, spend = draws(8, 0.1)
    together = value_quantiles(bindings, theta, spend, *HISTORIES, 52.0, WEEKLY, LEVELS)
    for i in range(len(HISTORIES[0])):
        alone = value_quantiles(bindings, theta, spend, *(c[i : i + 1] for c in HISTORIES), 52.0, WEEKLY, LEVELS)
        np.testing.assert_array_equal(alone[0], together[i])
    order = np.random.default_rng(0).permutation(len(HISTORIES[0]))
    shuffled = value_quantiles(bindings, theta, spend, *(c[order] for c in HISTORIES), 52.0, WEEKLY, LEVELS)
    np.testing.assert_array_equal(shuffled, together[order])


def test_value_scales_with_money():
    theta, spend = draws(3, 0.1)
    x, t_x, T, m = HISTORIES
    cents = spend * [1.0, 1.0, 100.0]
    euros = value_quantiles(BG, theta, spend, x, t_x, T, m, 52.0, WEEKLY, LEVELS)
    np.testing.assert_allclose(
        value_quantiles(BG, theta, cents, x, t_x, T, 100 * m, 52.0, WEEKLY, LEVELS), 100 * euros, rtol=1e-7
    )


def test_no_rows():
    empty = np.empty(0)
    assert value_quantiles(BG, *CDNOW, empty, empty, empty, empty, 52.0, WEEKLY, LEVELS).shape == (0, 3)


def test_infinite_horizon_is_cut_where_a_thousandth_is_left():
    assert finite_horizon(52.0, 0.0) == 52.0
    cut = finite_horizon(math.inf, WEEKLY)
    assert math.exp(-WEEKLY * cut) == pytest.approx(REMAINING_SHARE)
    x, t_x, T, _ = HISTORIES
    whole = BG.discounted_expected_purchases(x, t_x, T, math.inf, WEEKLY, CDNOW[0])
    kept = BG.discounted_expected_purchases(x, t_x, T, cut, WEEKLY, CDNOW[0])
    assert np.all(kept >= (1 - REMAINING_SHARE) * whole)


def test_mean_expected_spend_averages_draws():
    spend = np.array([[6.0, 3.5, 15.0], [6.5, 4.0, 16.0]])
    x, m = np.array([0.0, 4.0]), np.array([0.0, 30.0])
    expected = np.mean([p * (g + x * m) / (p * x + q - 1) for p, q, g in spend], axis=0)
    np.testing.assert_allclose(mean_expected_spend(x, m, spend), expected, rtol=1e-13)


@njit(cache=True, error_model="numpy")
def simulate_alive(rng, shape, rate, a, b, p, q, scale, stages, horizons, delta, first_purchase, discounted, revenue):
    """One future of each of the customers alive at T, event by event: value by horizon, discounted and not."""
    n, k = discounted.shape[1], stages.shape[0]
    for i in range(n):
        stage = np.searchsorted(stages, rng.random(), side="right") if k > 1 else 0
        intensity, dropout = rng.gamma(shape + stage) / rate, rng.beta(a, b)
        unit = scale / rng.gamma(q)
        first = unit * rng.gamma(p) if first_purchase else 0.0
        for h in range(horizons.shape[0]):
            discounted[h, i] = first
            revenue[h, i] = first
        clock = (rng.exponential() if k == 1 else rng.gamma(k - stage)) / intensity
        while clock <= horizons[-1]:
            spent = unit * rng.gamma(p)
            worth = spent * np.exp(-delta * clock)
            for h in range(horizons.shape[0] - 1, -1, -1):
                if clock > horizons[h]:
                    break
                discounted[h, i] += worth
                revenue[h, i] += spent
            if rng.random() < dropout:
                break
            clock += (rng.exponential() if k == 1 else rng.gamma(k)) / intensity


def check_against_simulation(center, history, year, n, first_purchase=False, *, horizons, k=1, seed=11):
    """Assert that quantiles lie within 0.5 % of the interval's width up to 3 years, and 1 % beyond.

    Infinity is simulated to where 1e-5 of the value is left. Histories are those of customers certainly alive
    (t_x = T): the chance of being gone enters as a factor, which other tests hold.
    """
    bindings = BGFamily(k=k)
    theta, spend = center
    (r, alpha, a, b), (p, q, gamma) = theta[0], spend[0]
    x, T, m = history
    delta = math.log(1.1) / year
    lengths = np.array([years * year if math.isfinite(years) else math.log(1e5) / delta for years in horizons])
    discounted, revenue = np.empty((2, len(horizons), n), dtype=np.float32)
    rng = np.random.default_rng(seed)
    # Events since the last purchase, which is at T, or at 0.
    stages = np.cumsum([float(weight) for weight in stage_weights(x, T if x else 0.0, T, r, alpha, k)])
    simulate_alive(
        rng, r + k * x, alpha + T, a, b + x, p, q + p * x, gamma + x * m, stages, lengths, delta, first_purchase,
        discounted, revenue,
    )  # fmt: skip
    columns = rows((x, T if x else 0.0, T, m))
    alive = bindings.p_alive(*columns[:3], theta)[0, 0]
    # Dead with probability 1 - alive: the quantiles of the living stand at other levels.
    levels = 1 - alive * (1 - LEVELS)
    for h, years in enumerate(horizons):
        for sample, rate in ((discounted, delta), (revenue, 0.0)):
            if rate == 0 and years > 3:
                continue
            expected = np.quantile(sample[h], LEVELS, method="inverted_cdf")
            computed = value_quantiles(
                bindings, theta, spend, *columns, years * year, rate, levels, first_purchase=first_purchase
            )[0]
            tolerance = 0.005 if years <= 3 else 0.01
            # The draws' own noise comes on top: four standard errors of the quantile as counted.
            noise = 4 * standard_error(sample[h])
            width = expected[2] - expected[0]
            assert np.all(np.abs(computed - expected) <= tolerance * width + noise), (years, rate, computed, expected)


def standard_error(sample):
    half = np.sqrt(LEVELS * (1 - LEVELS) / sample.size)
    return np.quantile(sample, LEVELS + half) - np.quantile(sample, LEVELS)


SIMULATED = [
    (CDNOW, (0.0, 39.0, 0.0), YEAR, False),
    (CDNOW, (0.0, 1.0, 0.0), YEAR, False),
    (CDNOW, (1.0, 38.0, 22.0), YEAR, False),
    (CDNOW, (3.0, 30.0, 35.0), YEAR, False),
    (CDNOW, (30.0, 39.0, 41.0), YEAR, False),
    (CDNOW, (5.0, 6.0, 20.0), YEAR, False),
    (CDNOW, (0.0, 0.0, 0.0), YEAR, True),
    (GROCERY, (0.0, 365.0, 0.0), 365.25, False),
    (GROCERY, (2.0, 365.0, 20.0), 365.25, False),
    (GROCERY, (0.0, 0.0, 0.0), 365.25, True),
]
REGULAR = [
    (2, CDNOW, (0.0, 39.0, 0.0)),
    (3, CDNOW, (3.0, 30.0, 35.0)),
    (2, CDNOW, (30.0, 39.0, 41.0)),
    (2, GROCERY, (0.0, 365.0, 0.0)),
]
# Millions of paths of one-time and repeat buyers, in weeks and in days; of the others fewer, whose noise is allowed
# for, and of those who buy so often that a path takes ten times as long, fewest.
MOST, FEWER, FEWEST = 4 * 10**6, 10**6, 4 * 10**5
NAMES = [f"x={case[1][0]:.0f}, T={case[1][1]:.0f}{', new' if case[3] else ''}" for case in SIMULATED]


@pytest.mark.parametrize("case", [SIMULATED[i] for i in (0, 3, 6)], ids=[NAMES[i] for i in (0, 3, 6)])
def test_quantiles_against_a_simulation(case):
    center, history, year, first_purchase = case
    check_against_simulation(center, history, year, 300_000, first_purchase, horizons=(1.0, 3.0, 10.0))


@pytest.mark.parametrize("case", REGULAR[:2], ids=["x=0, k=2", "x=3, k=3"])
def test_quantiles_of_regular_buyers_against_a_simulation(case):
    k, center, history = case
    check_against_simulation(center, history, YEAR, 300_000, horizons=(1.0, 3.0, 10.0), k=k)


@pytest.mark.slow
@pytest.mark.parametrize("case", REGULAR, ids=[f"x={case[2][0]:.0f}, k={case[0]}" for case in REGULAR])
def test_quantiles_of_regular_buyers_against_millions_of_paths(case):
    k, center, history = case
    year = 365.25 if center is GROCERY else YEAR
    n = FEWEST if history[0] == 30 else FEWER
    check_against_simulation(center, history, year, n, horizons=(1.0, 3.0, 10.0, math.inf), k=k)


@pytest.mark.slow
@pytest.mark.parametrize("case", SIMULATED, ids=NAMES)
def test_quantiles_against_millions_of_paths(case):
    center, history, year, first_purchase = case
    n = MOST if any(case is SIMULATED[i] for i in (0, 3, 8)) else FEWEST if history[0] == 30 else FEWER
    check_against_simulation(center, history, year, n, first_purchase, horizons=(1.0, 3.0, 10.0, math.inf))


def test_heavy_buyers_and_extreme_parameters():
    x, t_x, T, m = rows((0, 0.0, 700.0, 0.0), (50, 364.0, 365.0, 30.0), (3000, 729.5, 730.0, 30.0))
    for theta, spend in (
        ((0.5, 30.0, 1e-3, 0.5), (6.0, 3.0, 15.0)),
        ((3.0, 500.0, 20.0, 30.0), (150.0, 1.1, 0.02)),
        ((0.1, 2.0, 0.8, 0.05), (0.3, 8.0, 1e4)),
    ):
        parameters = np.array([theta]), np.array([spend])
        for horizon, delta in ((0.0, 0.0), (365.25, 0.0), (365.25, WEEKLY / 7), (math.inf, WEEKLY / 7)):
            quantiles = value_quantiles(BG, *parameters, x, t_x, T, m, horizon, delta, LEVELS)
            assert np.all(np.isfinite(quantiles))
            reached = value_cdf(BG, *parameters, x, t_x, T, m, horizon, delta, quantiles)
            assert np.all(np.abs(reached - LEVELS)[quantiles > 0] < 5e-4)
