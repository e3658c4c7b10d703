"""Pareto/NBD forecasts: 40 digits at the extremes, each other, and simulated customers."""

import mpmath as mp
import numpy as np
import pytest

from kernels import pareto_nbd_truth as truth
from predclv.kernels import pareto_nbd
from predclv.kernels.pareto_nbd import forecast as kernel
from predclv.kernels.pareto_nbd.integrals import discounted_time, expected_time, left_before, left_ever

THETA = (0.5532770870, 10.5776836914, 0.6062393676, 11.6687155634)
# Below it, P(alive) and the like count as zero.
NOTHING = 1e-280


def corners(n: int, seed: int) -> list[tuple]:
    """Histories, parameters and horizons drawn from the corners of what may come: (x, t_x, T), theta, horizon."""
    rng = np.random.default_rng(seed)
    cases = []
    for i in range(n):
        x = float(rng.choice([0, 1, 2, 5, 30, 300, 3000]))
        T = float(rng.choice([0, 1, 39, 730, 3650]))
        t_x = T * rng.choice([0, 0.3, 0.9, 1, rng.random(), 1 - 1e-6]) if x else 0.0
        theta = 10 ** rng.uniform([-2, -3, -3, -3], [1.5, 3.5, 1.5, 3.5])
        if i % 5 == 0:
            theta[2] = 1.0
        if i % 7 == 0:
            theta[3] = theta[1]
        cases.append(((x, t_x, T), theta, float(rng.choice([1e-3, 1, 39, 520, 3650]))))
    return cases


def histories(n: int = 300, seed: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    T = rng.integers(1, 80, n).astype(float)
    x = np.sort(np.minimum(rng.negative_binomial(0.4, 0.1, n), T))
    return x, np.where(x > 0, rng.integers(1, T + 1), 0).astype(float), T


def relative_error(value: float, true: mp.mpf) -> float:
    assert np.isfinite(value)
    return float(abs(mp.mpf(float(value)) - true) / (true + NOTHING))


def check_alive_and_expected(cases: list[tuple]) -> None:
    for rows, theta, horizon in cases:
        (x, t_x, T), (r, alpha, s, beta) = rows, theta
        columns = [x], [t_x], [T]
        alive = truth.p_alive(*rows, *theta)
        assert relative_error(kernel.p_alive(*columns, theta)[0, 0], alive) < 1e-9, (rows, theta)
        later = alive * (1 + mp.mpf(horizon) / (mp.mpf(beta) + T)) ** -mp.mpf(s)
        assert relative_error(kernel.p_alive(*columns, theta, horizon)[0, 0], later) < 1e-9, (rows, theta)
        m = mp.mpf(r) + x
        expected = alive * truth.expected_if_alive(T, horizon, m, alpha, s, beta)
        value = kernel.expected_purchases(*columns, horizon, theta)[0, 0]
        assert relative_error(value, expected) < 1e-9, (rows, theta, horizon)
        for end in (horizon, np.inf):
            for delta in (1e-4, 0.0027, 1.0):
                expected = alive * truth.discounted_if_alive(T, mp.mpf(end), delta, m, alpha, s, beta)
                value = kernel.discounted_expected_purchases(*columns, end, delta, theta)[0, 0]
                assert relative_error(value, expected) < 1e-9, (rows, theta, end, delta)


def test_alive_expected_and_discounted_hold_to_40_digits() -> None:
    check_alive_and_expected(corners(30, seed=1))


@pytest.mark.slow
def test_alive_expected_and_discounted_on_a_large_grid() -> None:
    check_alive_and_expected(corners(400, seed=2))


def test_integrals_hold_to_40_digits() -> None:
    for (x, _, T), (r, alpha, s, beta), horizon in corners(60, seed=3):
        m, a, b = mp.mpf(r) + x, mp.mpf(alpha) + T, mp.mpf(beta) + T
        scale = a**m * b ** mp.mpf(s)
        whole = truth.tail(mp.mpf(T), m, mp.mpf(alpha), mp.mpf(s), mp.mpf(beta)) * scale
        assert relative_error(left_ever(r + x, s, alpha + T, beta + T), whole) < 1e-12
        rest = truth.tail(mp.mpf(T) + horizon, m, mp.mpf(alpha), mp.mpf(s), mp.mpf(beta)) * scale
        assert relative_error(left_before(r + x, s, alpha + T, beta + T, horizon), whole - rest) < 1e-12
        z = mp.mpf(0.01) * b
        true = b * mp.exp(z) * mp.expint(mp.mpf(s), z)
        assert relative_error(discounted_time(s, beta + T, np.inf, 0.01), true) < 1e-12


def test_limits() -> None:
    # s = 1 lies between its neighbours, and so does alpha = beta.
    for around in (expected_time, lambda s, b, end: discounted_time(s, b, end, 0.01)):
        below, at, above = (around(s, 20.0, 50.0) for s in (1 + 1e-6, 1.0, 1 - 1e-6))
        assert below < at < above
        assert above - below < 1e-3
    assert expected_time(1.0, 20.0, 50.0) == pytest.approx(20 * np.log(70 / 20), rel=1e-14)
    assert expected_time(2.5, 20.0, np.inf) == pytest.approx(20 / 1.5, rel=1e-14)
    assert np.isinf(expected_time(1.0, 20.0, np.inf))
    assert left_ever(3.0, 0.6, 20.0, 20.0) == pytest.approx(0.6 / 3.6, rel=1e-15)
    # Nobody ever leaves: NBD.
    theta = (0.5, 7.0, 1e-12, 10.0)
    assert kernel.p_alive([2.0], [10.0], [39.0], theta)[0, 0] == pytest.approx(1.0, abs=1e-10)
    assert kernel.expected_purchases([2.0], [10.0], [39.0], 20.0, theta)[0, 0] == pytest.approx(2.5 / 46 * 20)


def test_pmf_holds_to_25_digits() -> None:
    for rows, theta, horizon in corners(8, seed=21):
        check_pmf(rows, theta, horizon, (0, 1, 12))


@pytest.mark.slow
def test_pmf_on_a_large_grid() -> None:
    for rows, theta, horizon in corners(12, seed=22):
        check_pmf(rows, theta, horizon, (0, 1, 7, 40, 300))


def check_pmf(rows, theta, horizon, counts) -> None:
    (x, t_x, T), (r, *rest) = rows, theta
    pmf = kernel.purchase_pmf([x], [t_x], [T], horizon, theta, counts[-1])[0]
    if_alive = kernel.alive_purchase_pmf([x], [T], horizon, theta, counts[-1])[0]
    alive = truth.p_alive(*rows, *theta)
    for k in counts:
        true = truth.pmf_if_alive(T, horizon, k, mp.mpf(r) + x, *rest)
        # What is beyond the range of a float is 0.
        if true > NOTHING:
            assert relative_error(if_alive[k], true) < 1e-9, (rows, theta, horizon, k)
            both = alive * true + (1 - alive) * (k == 0)
            assert relative_error(pmf[k], both) < 1e-9 or both < NOTHING, (rows, theta, horizon, k)


def test_pmf_sums_to_one_and_has_the_expected_mean() -> None:
    x, t_x, T = histories(40)
    theta = np.array([THETA, (1.5, 20.0, 2.5, 4.0)])
    pmf = kernel.purchase_pmf(x, t_x, T, 39.0, theta, 1500)
    np.testing.assert_allclose(pmf.sum(axis=1), 1.0, rtol=1e-12)
    mean = kernel.mean_expected_purchases(x, t_x, T, 39.0, theta)
    np.testing.assert_allclose(pmf @ np.arange(1501), mean, rtol=1e-11)


def test_pmf_given_alive() -> None:
    x, t_x, T = histories(60)
    alive = kernel.p_alive(x, t_x, T, THETA)[0]
    pmf = kernel.alive_purchase_pmf(x, T, 20.0, THETA, 30) * alive[:, None]
    pmf[:, 0] += 1 - alive
    np.testing.assert_allclose(pmf, kernel.purchase_pmf(x, t_x, T, 20.0, THETA, 30), rtol=1e-11)


def test_counts_far_beyond_what_a_first_probability_can_hold() -> None:
    # P(no purchase) of those who stay is exp(-7000); the mean is some 30,000 purchases.
    pmf = kernel.purchase_pmf([3000.0], [39.0], [39.0], 390.0, (0.24, 4.4, 0.1, 2.4), 60_000)[0]
    assert pmf.sum() == pytest.approx(1.0, rel=1e-9)
    mean = kernel.expected_purchases([3000.0], [39.0], [39.0], 390.0, (0.24, 4.4, 0.1, 2.4))[0, 0]
    assert pmf @ np.arange(60_001) == pytest.approx(mean, rel=1e-9)


def test_literal_p_alive_agrees() -> None:
    x, t_x, T = histories()
    alive = kernel.p_alive(x, t_x, T, THETA)[0]
    np.testing.assert_allclose(alive, pareto_nbd.p_alive(x, t_x, T, *THETA), rtol=1e-12)
    assert (alive[t_x == T] == 1.0).all()


def test_discounted_and_undiscounted_meet() -> None:
    x, t_x, T = histories()
    horizon = np.where(x % 2, 39.0, 1e4)
    expected = kernel.expected_purchases(x, t_x, T, horizon, THETA)
    np.testing.assert_array_equal(kernel.discounted_expected_purchases(x, t_x, T, horizon, 0.0, THETA), expected)
    nearly = kernel.discounted_expected_purchases(x, t_x, T, horizon, 1e-15, THETA)
    np.testing.assert_allclose(nearly, expected, rtol=1e-10)
    endless = kernel.discounted_expected_purchases(x, t_x, T, np.inf, 0.002, THETA)
    long = kernel.discounted_expected_purchases(x, t_x, T, 2.5e4, 0.002, THETA)
    np.testing.assert_allclose(endless, long, rtol=1e-12)


def test_infinite_and_empty_horizons() -> None:
    x, t_x, T = histories(50)
    assert np.isinf(kernel.expected_purchases(x, t_x, T, np.inf, THETA)).all()
    assert np.isinf(kernel.expected_purchases([3000.0], [1.0], [3650.0], np.inf, THETA)).all()
    r, alpha, s, beta = theta = (0.5, 7.0, 2.5, 4.0)
    forever = kernel.expected_purchases(x, t_x, T, np.inf, theta)[0]
    lifetime = (beta + T) / (s - 1)
    np.testing.assert_allclose(forever, kernel.p_alive(x, t_x, T, theta)[0] * (r + x) / (alpha + T) * lifetime)
    assert not kernel.expected_purchases(x, t_x, T, 0.0, THETA).any()
    assert not kernel.discounted_expected_purchases(x, t_x, T, 0.0, 0.1, THETA).any()
    np.testing.assert_allclose(kernel.purchase_pmf(x, t_x, T, 0.0, THETA, 2), [[1, 0, 0]] * 50, rtol=1e-15)


FORECASTS = {
    "p_alive": lambda x, t_x, T, h, theta: kernel.p_alive(x, t_x, T, theta, h),
    "expected": kernel.expected_purchases,
    "discounted": lambda x, t_x, T, h, theta: kernel.discounted_expected_purchases(x, t_x, T, h, 0.002, theta),
    "pmf": lambda x, t_x, T, h, theta: kernel.purchase_pmf(x, t_x, T, h, theta, 5).T,
}


@pytest.mark.parametrize("forecast", FORECASTS.values(), ids=FORECASTS)
def test_a_row_is_the_same_whatever_stands_beside_it(forecast) -> None:
    x, t_x, T = histories(80)
    x[-2:], t_x[-2:], T[-2:] = 3000.0, 39.0, 3650.0
    horizon = np.random.default_rng(0).choice([1.0, 39.0, 5000.0], len(x))
    theta = np.array(THETA) * np.exp(0.2 * np.random.default_rng(1).standard_normal((4, 4)))
    together = forecast(x, t_x, T, horizon, theta)
    shuffled = np.random.default_rng(2).permutation(len(x))
    again = forecast(x[shuffled], t_x[shuffled], T[shuffled], horizon[shuffled], theta)
    np.testing.assert_array_equal(again, together[:, shuffled])
    for i in range(0, len(x), 20):
        one = slice(i, i + 1)
        np.testing.assert_array_equal(forecast(x[one], t_x[one], T[one], horizon[one], theta), together[:, one])


def test_means_over_draws() -> None:
    x, t_x, T = histories()
    theta = np.array(THETA) * np.exp(0.2 * np.random.default_rng(1).standard_normal((7, 4)))
    columns = x, t_x, T
    pairs = [
        (kernel.mean_p_alive(*columns, theta, 5.0), kernel.p_alive(*columns, theta, 5.0)),
        (kernel.mean_expected_purchases(*columns, 39.0, theta), kernel.expected_purchases(*columns, 39.0, theta)),
        (
            kernel.mean_discounted_expected_purchases(*columns, 39.0, 0.01, theta),
            kernel.discounted_expected_purchases(*columns, 39.0, 0.01, theta),
        ),
    ]
    for mean, by_draw in pairs:
        assert by_draw.shape == (7, len(x))
        np.testing.assert_allclose(mean, by_draw.mean(axis=0), rtol=1e-13)


def test_simulated_customers_behave_as_forecast() -> None:
    """Histories and futures by the model's own story; in every group the forecasts hold within sampling error."""
    rng, n, (r, alpha, s, beta) = np.random.default_rng(11), 400_000, (0.8, 4.0, 1.3, 30.0)
    T, horizon, delta = 30.0, 25.0, 0.05
    rate, lifetime = rng.gamma(r, 1 / alpha, n), rng.exponential(size=n) / rng.gamma(s, 1 / beta, n)
    x, t_x, time, future, discounted = np.zeros((5, n))
    here = np.arange(n)
    while len(here):
        time[here] += rng.exponential(size=len(here)) / rate[here]
        here = here[time[here] <= np.minimum(T + horizon, lifetime[here])]
        past, ahead = here[time[here] <= T], here[time[here] > T]
        x[past] += 1
        t_x[past] = time[past]
        future[ahead] += 1
        discounted[ahead] += np.exp(-delta * (time[ahead] - T))
    theta, age = (r, alpha, s, beta), np.full(n, T)
    alive = kernel.p_alive(x, t_x, age, theta)[0]
    forecasts = [
        (lifetime > T, alive),
        (lifetime > T + 10, kernel.p_alive(x, t_x, age, theta, 10.0)[0]),
        (future, kernel.expected_purchases(x, t_x, age, horizon, theta)[0]),
        (discounted, kernel.discounted_expected_purchases(x, t_x, age, horizon, delta, theta)[0]),
    ]
    pmf = kernel.purchase_pmf(x, t_x, age, horizon, theta, 3)
    forecasts += [(future == i, pmf[:, i]) for i in range(4)]
    for group in (x == 0, x == 1, (x > 1) & (x <= 4), x > 4, (x > 0) & (t_x < 10), alive < 0.2):
        for outcome, forecast in forecasts:
            error = (outcome - forecast)[group]
            assert abs(error.mean()) < 4.5 * error.std() / np.sqrt(group.sum()) + 1e-15
