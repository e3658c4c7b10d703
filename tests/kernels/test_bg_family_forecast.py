"""The BG family's forecasts: 40 digits at the extremes, published numbers, each other, and simulated customers."""

from itertools import product

import mpmath as mp
import numpy as np
import pytest

import published
from kernels import bg_family_truth as truth
from predclv.kernels import bg_family
from predclv.kernels.bg_family import compiled as kernel

MEMBERS = {"BG/NBD": (1, False), "MBG/NBD": (1, True), "BG/CNBD-3": (3, False), "MBG/CNBD-2": (2, True)}
members = pytest.mark.parametrize(("k", "first"), MEMBERS.values(), ids=MEMBERS)

THETA = (0.2426, 4.4137, 0.7929, 2.4259)
# Below it, P(alive) counts as zero.
NOTHING = 1e-280


def corners(n: int, seed: int, *, k: int = 1, most_events: float = np.inf) -> list[tuple]:
    """Histories, parameters and horizons drawn from the corners of what may come: (x, t_x, T), theta, horizon."""
    rng = np.random.default_rng(seed)
    cases = []
    while len(cases) < n:
        x = float(rng.choice([0, 1, 2, 5, 30, 300, 3000]))
        T = float(rng.choice([0, 1, 39, 730, 3650]))
        t_x = T * rng.choice([0, 0.3, 0.9, 1, rng.random()]) if x else 0.0
        a = rng.choice([1.0, 1e-3, 20.0, 10 ** rng.uniform(-3, 1.3)])
        theta = 10 ** rng.uniform([-2, -3, -3, -3], [1.5, 3.5, 1.3, 1.3])
        theta[2] = a
        horizon = float(rng.choice([1e-3, 1, 39, 520, 3650]))
        if (60 + theta[0] + k * x) * horizon / (theta[1] + T) <= most_events:
            cases.append(((x, t_x, T), theta, horizon))
    return cases


def histories(n: int = 300, seed: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    T = rng.integers(1, 80, n).astype(float)
    x = np.sort(np.minimum(rng.negative_binomial(0.4, 0.1, n), T))
    return x, np.where(x > 0, rng.integers(1, T + 1), 0).astype(float), T


def relative_error(value: float, true: mp.mpf) -> float:
    assert np.isfinite(value)
    return float(abs(mp.mpf(float(value)) - true) / (true + NOTHING))


def check_alive_and_expected(cases: list[tuple], k: int, first: bool) -> None:
    for number, (rows, theta, horizon) in enumerate(cases):
        x, t_x, T = ([value] for value in rows)
        alive = kernel.p_alive(x, t_x, T, theta, k, first)[0, 0]
        assert relative_error(alive, truth.p_alive(*rows, *theta, k, first)) < 1e-9, (rows, theta)
        # The sum over events takes mpmath long.
        if k == 1 or number % 4 == 0:
            later = kernel.p_alive(x, t_x, T, theta, k, first, horizon)[0, 0]
            assert relative_error(later, truth.p_alive_ahead(*rows, horizon, *theta, k, first)) < 1e-9, (rows, theta)
        expected = kernel.expected_purchases(x, t_x, T, horizon, theta, k, first)[0, 0]
        true = truth.expected_purchases(*rows, horizon, *theta, k, first)
        assert relative_error(expected, true) < 1e-9, (rows, theta, horizon)


@members
def test_alive_and_expected_hold_to_40_digits(k: int, first: bool) -> None:
    # The truth of k > 1 sums over the events, so there cannot be many of them.
    cases = corners(40, seed=k) if k == 1 else corners(30, seed=k, k=k, most_events=2000)
    check_alive_and_expected(cases, k, first)


@pytest.mark.slow
@members
def test_alive_and_expected_on_a_large_grid(k: int, first: bool) -> None:
    cases = corners(600, seed=9) if k == 1 else corners(120, seed=9, k=k, most_events=2e4)
    check_alive_and_expected(cases, k, first)


@pytest.mark.slow
def test_expected_on_every_combination_of_extremes() -> None:
    for x, a, b in product((0, 1, 2, 5, 30, 300, 3000), (1e-3, 1.0, 20.0), (1e-3, 2.5)):
        for r, alpha, T, horizon in product((1e-2, 30.0), (1e-2, 1e3), (1.0, 3650.0), (1.0, 3650.0)):
            theta = (r, alpha, a, b)
            expected = kernel.expected_purchases([x], [T], [T], horizon, theta)[0, 0]
            true = truth.expected_purchases(x, T, T, horizon, *theta)
            assert relative_error(expected, true) < 1e-9, (x, T, theta, horizon)


def test_nothing_is_lost_where_a_and_b_are_large() -> None:
    # The ridge: p is known to be 1 / 4.
    theta = (0.5, 7.0, 1e6, 3e6)
    for x, horizon in product((0, 3, 40), (1.0, 52.0, 1e5)):
        expected = kernel.expected_purchases([x], [30.0], [39.0], horizon, theta)[0, 0]
        assert relative_error(expected, truth.expected_purchases(x, 30.0, 39.0, horizon, *theta)) < 1e-9


@members
def test_literal_p_alive_agrees(k: int, first: bool) -> None:
    x, t_x, T = histories()
    literal = bg_family.p_alive(x, t_x, T, *THETA, k=k, dropout_at_first=first)
    np.testing.assert_allclose(kernel.p_alive(x, t_x, T, THETA, k, first)[0], literal, rtol=1e-11)
    assert (literal[x == 0] == 1.0).all() == (not first)


@members
def test_pmf_holds_to_40_digits(k: int, first: bool) -> None:
    for rows, theta, horizon in corners(15, seed=20 + k):
        x, t_x, T = ([value] for value in rows)
        pmf = kernel.purchase_pmf(x, t_x, T, horizon, theta, 12, k, first)[0]
        true = truth.purchase_pmf(*rows, horizon, 12, *theta, k, first)
        # What is beyond the range of a float is 0.
        errors = [relative_error(p, t) for p, t in zip(pmf, true, strict=True) if t > NOTHING]
        assert max(errors) < 1e-9, (rows, theta, horizon)


@members
def test_pmf_sums_to_one_and_has_the_expected_mean(k: int, first: bool) -> None:
    x, t_x, T = histories(40)
    theta = np.array([THETA, (1.5, 20.0, 0.1, 0.4)])
    pmf = kernel.purchase_pmf(x, t_x, T, 39.0, theta, 1500, k, first)
    np.testing.assert_allclose(pmf.sum(axis=1), 1.0, rtol=1e-12)
    mean = kernel.mean_expected_purchases(x, t_x, T, 39.0, theta, k, first)
    np.testing.assert_allclose(pmf @ np.arange(1501), mean, rtol=1e-11)


@members
def test_pmf_given_the_stage(k: int, first: bool) -> None:
    x, t_x, T = histories(60)
    stages = kernel.p_alive_by_stage(x, t_x, T, THETA, k, first)
    assert stages.shape == (k, 1, len(x))
    alive = kernel.p_alive(x, t_x, T, THETA, k, first)[0]
    np.testing.assert_allclose(stages.sum(axis=0)[0], alive, rtol=1e-12)
    pmf = sum(kernel.stage_purchase_pmf(x, T, 20.0, THETA, 30, k, first, j) * stages[j, 0][:, None] for j in range(k))
    pmf[:, 0] += 1 - alive
    np.testing.assert_allclose(pmf, kernel.purchase_pmf(x, t_x, T, 20.0, THETA, 30, k, first), rtol=1e-11)


@members
def test_stages_against_truth(k: int, first: bool) -> None:
    for x, t_x, T in ((0.0, 0.0, 3.0), (4.0, 3.0, 30.0), (2.0, 9.0, 9.0)):
        stages = kernel.p_alive_by_stage([x], [t_x], [T], [THETA, THETA], k, first)[:, 1, 0]
        weights = truth.stage_weights(*map(mp.mpf, (x, t_x, T, THETA[0], THETA[1])), k)
        alive = truth.p_alive(x, t_x, T, *THETA, k, first)
        np.testing.assert_allclose(stages, [float(alive * weight) for weight in weights], rtol=1e-12)


def test_counts_far_beyond_what_a_first_probability_can_hold() -> None:
    # P(no event) is exp(-7000); the mean is 30,000 events, of which the customer survives some.
    pmf = kernel.purchase_pmf([3000.0], [39.0], [39.0], 390.0, (0.24, 4.4, 0.1, 2.4), 60_000)[0]
    assert pmf.sum() == pytest.approx(1.0, rel=1e-9)
    mean = kernel.expected_purchases([3000.0], [39.0], [39.0], 390.0, (0.24, 4.4, 0.1, 2.4))[0, 0]
    assert pmf @ np.arange(60_001) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("horizon", [1.0, 52.0, 3650.0, np.inf])
@pytest.mark.parametrize("delta", [0.0018, 1.0])
def test_discounted_holds_to_15_digits(horizon: float, delta: float) -> None:
    cases = [
        (0, 0.0, THETA),
        (0, 39.0, (30.0, 1e-2, 1e-2, 1e-2)),
        (2, 39.0, (0.01, 300.0, 1.0, 0.05)),
        (300, 730.0, THETA),
    ]
    for x, T, theta in cases:
        r, alpha, a, b = theta
        value = kernel.discounted_expected_purchases([x], [T], [T], horizon, delta, theta)[0, 0]
        alive = truth.p_alive(x, T, T, *theta)
        true = alive * truth.discounted_if_alive(horizon / (alpha + T), delta * (alpha + T), r + x, a, b + x)
        assert relative_error(value, true) < 1e-9, (x, T, theta)


@members
def test_discounted_and_undiscounted_meet(k: int, first: bool) -> None:
    x, t_x, T = histories()
    horizon = np.where(x % 2, 39.0, 1e4)
    expected = kernel.expected_purchases(x, t_x, T, horizon, THETA, k, first)
    undiscounted = kernel.discounted_expected_purchases(x, t_x, T, horizon, 0.0, THETA, k, first)
    np.testing.assert_array_equal(undiscounted, expected)
    nearly = kernel.discounted_expected_purchases(x, t_x, T, horizon, 1e-15, THETA, k, first)
    np.testing.assert_allclose(nearly, expected, rtol=1e-10)


@members
def test_discounted_is_the_integral_of_the_expected_curve(k: int, first: bool) -> None:
    # By parts: exp(-delta t) M(t) + delta times the integral of exp(-delta s) M(s).
    x, t_x, T, delta, horizon = [4.0], [30.0], [39.0], 0.05, 60.0
    nodes, weights = np.polynomial.legendre.leggauss(40)
    times = horizon * (nodes + 1) / 2
    curve = np.array([kernel.expected_purchases(x, t_x, T, s, THETA, k, first)[0, 0] for s in [*times, horizon]])
    inner = horizon / 2 * weights @ (np.exp(-delta * times) * curve[:-1])
    value = kernel.discounted_expected_purchases(x, t_x, T, horizon, delta, THETA, k, first)[0, 0]
    assert value == pytest.approx(np.exp(-delta * horizon) * curve[-1] + delta * inner, rel=1e-11)


@members
def test_infinite_horizon(k: int, first: bool) -> None:
    x, t_x, T = histories(50)
    assert np.isinf(kernel.expected_purchases(x, t_x, T, np.inf, THETA, k, first)).all()
    theta = (0.5, 7.0, 2.5, 4.0)
    forever = kernel.expected_purchases(x, t_x, T, np.inf, theta, k, first)
    geometric = (2.5 + 4.0 + x + first - 1) / 1.5
    np.testing.assert_allclose(forever[0], kernel.p_alive(x, t_x, T, theta, k, first)[0] * geometric, rtol=1e-12)
    discounted = kernel.discounted_expected_purchases(x, t_x, T, np.inf, 0.002, THETA, k, first)
    long = kernel.discounted_expected_purchases(x, t_x, T, 2e4, 0.002, THETA, k, first)
    np.testing.assert_allclose(discounted, long, rtol=1e-9)


@members
def test_no_horizon_no_purchases(k: int, first: bool) -> None:
    x, t_x, T = histories(30)
    assert not kernel.expected_purchases(x, t_x, T, 0.0, THETA, k, first).any()
    assert not kernel.discounted_expected_purchases(x, t_x, T, 0.0, 0.1, THETA, k, first).any()
    np.testing.assert_array_equal(kernel.purchase_pmf(x, t_x, T, 0.0, THETA, 2, k, first), [[1, 0, 0]] * 30)


FORECASTS = {
    "p_alive": lambda x, t_x, T, h, theta, *member: kernel.p_alive(x, t_x, T, theta, *member),
    "expected": kernel.expected_purchases,
    "discounted": lambda x, t_x, T, h, theta, *member: kernel.discounted_expected_purchases(
        x, t_x, T, h, 0.002, theta, *member
    ),
    "pmf": lambda x, t_x, T, h, theta, *member: kernel.purchase_pmf(x, t_x, T, h, theta, 5, *member).T,
}


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
@members
def test_a_row_is_the_same_whatever_stands_beside_it(forecast, k: int, first: bool) -> None:
    x, t_x, T = histories(80)
    x[-2:], t_x[-2:], T[-2:] = 3000.0, 39.0, 3650.0
    horizon = np.random.default_rng(0).choice([1.0, 39.0, 5000.0], len(x))
    theta = np.array(THETA) * np.exp(0.2 * np.random.default_rng(1).standard_normal((4, 4)))
    together = forecast(x, t_x, T, horizon, theta, k, first)
    shuffled = np.random.default_rng(2).permutation(len(x))
    again = forecast(x[shuffled], t_x[shuffled], T[shuffled], horizon[shuffled], theta, k, first)
    np.testing.assert_array_equal(again, together[:, shuffled])
    for i in range(0, len(x), 20):
        one = slice(i, i + 1)
        alone = forecast(x[one], t_x[one], T[one], horizon[one], theta, k, first)
        np.testing.assert_array_equal(alone, together[:, one])


@members
def test_means_over_draws(k: int, first: bool) -> None:
    x, t_x, T = histories()
    theta = np.array(THETA) * np.exp(0.2 * np.random.default_rng(1).standard_normal((7, 4)))
    pairs = [
        (kernel.mean_p_alive(x, t_x, T, theta, k, first), kernel.p_alive(x, t_x, T, theta, k, first)),
        (
            kernel.mean_expected_purchases(x, t_x, T, 39.0, theta, k, first),
            kernel.expected_purchases(x, t_x, T, 39.0, theta, k, first),
        ),
        (
            kernel.mean_discounted_expected_purchases(x, t_x, T, 39.0, 0.01, theta, k, first),
            kernel.discounted_expected_purchases(x, t_x, T, 39.0, 0.01, theta, k, first),
        ),
    ]
    for mean, by_draw in pairs:
        assert by_draw.shape == (7, len(x))
        np.testing.assert_allclose(mean, by_draw.mean(axis=0), rtol=1e-13)


def test_published_customers() -> None:
    theta = published.BG_FAMILY_FITS["CDNOW BG/NBD"].estimates
    rows, horizon, purchases, alive = published.BTYD_CUSTOMER
    x, t_x, T = ([value] for value in rows)
    assert kernel.expected_purchases(x, t_x, T, horizon, theta)[0, 0] == pytest.approx(purchases, rel=1e-4)
    assert kernel.p_alive(x, t_x, T, theta)[0, 0] == pytest.approx(alive, rel=1e-4)
    horizon, purchases = published.BTYD_NEW_CUSTOMER
    assert kernel.expected_purchases([0], [0], [0], horizon, theta)[0, 0] == pytest.approx(purchases, rel=1e-4)
    theta, rows, horizon, purchases = published.HEAVY_BUYER
    x, t_x, T = ([value] for value in rows)
    assert kernel.expected_purchases(x, t_x, T, horizon, theta)[0, 0] == pytest.approx(purchases, abs=0.005)
    (k, *theta), bg, mbg = published.CNBD_UNIT
    for first, probability in ((False, bg), (True, mbg)):
        assert kernel.purchase_pmf([0], [0], [0], 10.0, theta, 2, k, first)[0, 2] == pytest.approx(
            probability, abs=5e-6
        )


@pytest.mark.parametrize(("k", "first"), [(1, False), (1, True), (2, False), (3, True)])
def test_simulated_customers_behave_as_forecast(k: int, first: bool) -> None:
    """Histories and futures by the model's own story; in every group of x the forecasts hold within sampling error."""
    rng, n, r, alpha, a, b = np.random.default_rng(11), 400_000, 0.8, 4.0 / k, 0.6, 1.8
    T, horizon, delta = 30.0, 25.0, 0.05
    rate, p = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    x, t_x, time, future, discounted = np.zeros((5, n))
    here = np.flatnonzero(rng.random(n) >= p) if first else np.arange(n)
    stays = np.zeros(n, bool)
    while len(here):
        time[here] += rng.gamma(k, 1, len(here)) / rate[here]
        stays[here[time[here] > T]] = True
        here = here[time[here] <= T + horizon]
        past, ahead = here[time[here] <= T], here[time[here] > T]
        x[past] += 1
        t_x[past] = time[past]
        future[ahead] += 1
        discounted[ahead] += np.exp(-delta * (time[ahead] - T))
        here = here[rng.random(len(here)) >= p[here]]
    theta = (r, alpha, a, b)
    alive = kernel.p_alive(x, t_x, T * np.ones(n), theta, k, first)[0]
    expected = kernel.expected_purchases(x, t_x, T * np.ones(n), horizon, theta, k, first)[0]
    worth = kernel.discounted_expected_purchases(x, t_x, T * np.ones(n), horizon, delta, theta, k, first)[0]
    pmf = kernel.purchase_pmf(x, t_x, T * np.ones(n), horizon, theta, 3, k, first)
    for group in (x == 0, x == 1, (x > 1) & (x <= 4), x > 4, (x > 0) & (t_x < 10), alive < 0.2):
        forecasts = [(stays, alive), (future, expected), (discounted, worth)]
        forecasts += [(future == i, pmf[:, i]) for i in range(4)]
        for outcome, forecast in forecasts:
            error = (outcome - forecast)[group]
            assert abs(error.mean()) < 4.5 * error.std() / np.sqrt(group.sum()) + 1e-15
