"""BG/BB kernels against 40 digits, against brute force and against lives told opportunity by opportunity."""

from __future__ import annotations

from functools import cache

import mpmath as mp
import numpy as np
import pytest

from predclv.datasets.populations import OpportunityPopulation
from predclv.kernels import bg_bb
from predclv.kernels.bg_bb import forecast, sums
from predclv.kernels.bg_bb.discounts import discount_moments
from predclv.kernels.bg_bb.likelihood import (
    log_likelihood_derivatives,
    log_likelihood_gradient,
    log_likelihood_values,
    pointwise_log_likelihood,
)
from predclv.kernels.bg_bb.lives import simulate_histories
from predclv.kernels.bg_bb.paths import replicate_histories, simulate_counts
from predclv.kernels.bg_bb.rows import arrange
from predclv.kernels.bg_bb.simulation import simulate_totals

# Both ends of every range, and gamma at 1, where closed forms of the expectation have a limit.
THETAS = (
    (1.203507, 0.7497667, 0.6567568, 2.783887),
    (1e-3, 5.0, 1e-3, 1e-3),
    (50.0, 1e-2, 30.0, 1e-2),
    (0.3, 200.0, 1.0, 900.0),
    (1e4, 1e4, 1e4, 1e6),
)
# x, t_x, T: new, silent for short and long, and ten years of days with 3,000 of them used.
HISTORIES = (
    (0, 0, 0),
    (0, 0, 6),
    (1, 4, 30),
    (3, 3, 9),
    (5, 365, 365),
    (300, 400, 800),
    (3000, 3600, 3650),
    (50, 60, 3650),
)
COLUMNS = tuple(np.array(column, dtype=float) for column in zip(*HISTORIES, strict=True))
every_theta = pytest.mark.parametrize("theta", THETAS, ids=str)
DONORS = THETAS[0]


def relative(found, exact):
    return max(abs(f - float(e)) / max(abs(float(e)), 1e-290) for f, e in zip(found, exact, strict=True))


@cache
def exact_shares(theta):
    """Log-likelihood, and P(alive) at T + 1, of each history: the paper's sum as it stands."""
    with mp.workdps(40):
        a, b, c, d = map(mp.mpf, theta)
        found = []
        for x, t, n in HISTORIES:
            there = mp.beta(a + x, b + n - x) * mp.beta(c, d + n)
            # Terms by their ratio: thousands of betas at 40 digits take long.
            term, left = mp.beta(a + x, b + t - x) * mp.beta(c + 1, d + t), mp.mpf(0)
            for u in range(t, n):
                left += term
                term *= (b + u - x) / (a + b + u) * (d + u) / (c + d + u + 1)
            total = there + left
            alive = there * (d + n) / (c + d + n) / total
            found.append((mp.log(total / mp.beta(a, b) / mp.beta(c, d)), alive))
        return tuple(zip(*found, strict=True))


def exact_expectation(x, n, m, theta, z):
    """Of those who are there at n + 1: the sum, without an end until its terms vanish."""
    with mp.workdps(25):
        a, b, c, d = map(mp.mpf, theta)
        term, total, j = mp.mpf(z), mp.mpf(0), 0
        while j < m and term > 1e-18 * total * (1 - z):
            total += term
            j += 1
            term *= z * (d + n + j) / (c + d + n + j)
        return total * (a + x) / (a + b + n)


def exact_pmf(x, n, m, theta, n_max):
    """Of those who are there at n + 1."""
    with mp.workdps(40):
        a, b, c, d = map(mp.mpf, theta)
        A, B, D = a + x, b + n - x, d + n + 1
        for_j = [mp.rf(D, j - 1) / mp.rf(c + D, j - 1) * (c / (c + D + j - 1) if j < m else 1) for j in range(1, m + 1)]
        return [
            mp.fsum(
                for_j[j - 1] * mp.binomial(j, k) * mp.rf(A, k) * mp.rf(B, j - k) / mp.rf(A + B, j)
                for j in range(max(k, 1), m + 1)
            )
            for k in range(n_max + 1)
        ]


class TestTruth:
    @every_theta
    def test_likelihood_and_p_alive(self, theta):
        log_likelihood, alive = exact_shares(theta)
        found = pointwise_log_likelihood(*COLUMNS, [theta])[0]
        assert np.isfinite(found).all()
        # The logarithm of a likelihood near 1 has lost the digits that a float of it never had.
        assert all(
            abs(f - e) < 1e-9 * max(abs(e), 1e-4) for f, e in zip(found, map(float, log_likelihood), strict=True)
        )
        assert relative(forecast.p_alive(*COLUMNS, theta)[0], alive) < 1e-9
        literal = bg_bb.log_likelihood(*COLUMNS, *theta)
        # The literal form takes differences of log-gammas as large as 1e6 times their logarithm.
        np.testing.assert_allclose(literal, found, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(bg_bb.p_alive(*COLUMNS, *theta), forecast.p_alive(*COLUMNS, theta)[0], rtol=1e-7)

    @every_theta
    def test_expectations(self, theta):
        alive = exact_shares(theta)[1]
        for m, delta in ((1, 0.0), (40, 0.0), (40, 0.01), (mp.inf, 0.0953), (mp.inf, 0.01)):
            z = mp.exp(-mp.mpf(delta))
            exact = [p * exact_expectation(x, n, m, theta, z) for p, (x, _, n) in zip(alive, HISTORIES, strict=True)]
            horizon = float(m)
            found = forecast.discounted_expected_purchases(*COLUMNS, horizon, delta, theta)[0]
            assert relative(found, exact) < 1e-9
            if delta == 0.0:
                np.testing.assert_array_equal(found, forecast.expected_purchases(*COLUMNS, horizon, theta)[0])

    def test_a_slow_discount(self):
        exact = exact_expectation(0, 6, mp.inf, DONORS, mp.exp(mp.mpf(-1e-3)))
        new = tuple(np.array([value]) for value in (0.0, 0.0, 6.0))
        found = forecast.discounted_expected_purchases(*new, np.inf, 1e-3, DONORS)[0, 0]
        assert found / float(exact_shares(DONORS)[1][1]) == pytest.approx(float(exact), rel=1e-9)

    def test_long_horizons(self):
        x, t_x, T = (column[[1, 2, 6]] for column in COLUMNS)
        for theta in THETAS:
            exact = [exact_expectation(int(a), int(n), 3650, theta, 1) for a, n in zip(x, T, strict=True)]
            alive = forecast.p_alive(x, t_x, T, theta)[0]
            found = forecast.expected_purchases(x, t_x, T, 3650.0, theta)[0]
            assert relative(found[alive > 0], [p * e for p, e in zip(alive, exact, strict=True) if p > 0]) < 1e-9

    @every_theta
    @pytest.mark.parametrize("m", [1, 5, 30])
    def test_counts(self, theta, m):
        few = [1, 2, 3, 5]
        x, t_x, T = (column[few] for column in COLUMNS)
        found = forecast.alive_purchase_pmf(x, T, float(m), np.array(theta), 6)
        for row, i in zip(found, few, strict=True):
            assert relative(row, exact_pmf(HISTORIES[i][0], HISTORIES[i][2], m, theta, 6)) < 1e-9
        alive = forecast.p_alive(x, t_x, T, theta)[0]
        whole = forecast.purchase_pmf(x, t_x, T, float(m), theta, m)
        np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-11)
        np.testing.assert_allclose(whole[:, 1:7], (alive[:, np.newaxis] * found)[:, 1 : m + 1], rtol=1e-12)
        mean = forecast.expected_purchases(x, t_x, T, float(m), theta)[0]
        np.testing.assert_allclose(whole @ np.arange(m + 1), mean, rtol=1e-10)

    def test_ten_years_of_days_ahead(self):
        whole = forecast.purchase_pmf(*COLUMNS, 3650.0, DONORS, 3650)
        np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=1e-10)
        mean = forecast.expected_purchases(*COLUMNS, 3650.0, DONORS)[0]
        np.testing.assert_allclose(whole @ np.arange(3651), mean, rtol=1e-9)

    @every_theta
    def test_who_will_still_be_there(self, theta):
        now = forecast.p_alive(*COLUMNS, theta)[0]
        np.testing.assert_array_equal(forecast.p_alive(*COLUMNS, theta, 0.0)[0], now)
        np.testing.assert_array_equal(forecast.p_alive(*COLUMNS, theta, np.inf)[0], 0.0)
        c, d = theta[2:]
        for ahead in (1, 7):
            exact = [mp.rf(d + n + 1, ahead) / mp.rf(c + d + n + 1, ahead) for _, _, n in HISTORIES]
            there = forecast.p_alive(*COLUMNS, theta, float(ahead))[0]
            assert relative(there[now > 0], [p * e for p, e in zip(now, exact, strict=True) if p > 0]) < 1e-9

    @every_theta
    def test_another_purchase_some_day(self, theta):
        ever = forecast.p_ever(*COLUMNS, theta)
        alive = forecast.p_alive(*COLUMNS, theta)[0]
        soon = 1.0 - forecast.purchase_pmf(*COLUMNS, 200.0, theta, 0)[:, 0]
        assert (ever <= alive * (1 + 1e-12)).all()
        assert (ever >= soon - 1e-12).all()
        if theta[2] < 0.1:
            return  # nearly all leave at once or never, which no sample tells apart from floats of 0 and 1
        # Given p and theta, never is (1-p) theta / (1 - (1-p) (1-theta)).
        generator = np.random.default_rng(1)
        for i in (1, 3):
            x, _, n = HISTORIES[i]
            p = generator.beta(theta[0] + x, theta[1] + n - x, 400_000)
            gone = generator.beta(theta[2], theta[3] + n + 1, 400_000)
            never = (1 - p) * gone / np.maximum(1 - (1 - p) * (1 - gone), 1e-300)
            error = never.std() / np.sqrt(len(never))
            assert ever[i] == pytest.approx(alive[i] * (1 - never.mean()), abs=5 * alive[i] * error + 1e-12)

    def test_never_again_to_all_digits(self):
        # Sums whose terms fall like 1 / j^1.5 and 1 / j^2.8. Given theta, the mean over p of
        # (1-p) theta / (1 - (1-p) (1-theta)) is a hypergeometric function.
        for A, B, c, D in ((0.3, 2.0, 0.2, 1.5), (1.2, 30.0, 0.6, 40.0)):
            with mp.workdps(60):

                def given(u, A=A, B=B, c=c, D=D):
                    # theta = u^(1/c) takes away the singularity at 0.
                    gone = u ** (1 / mp.mpf(c))
                    if gone < 1e-50:
                        return mp.mpf(0)
                    never = gone * B / (A + B) * mp.hyp2f1(1, B + 1, A + B + 1, 1 - gone)
                    return never * (1 - gone) ** (D - 1) / c / mp.beta(c, D)

                exact = float(mp.quad(given, [0, 0.1, 0.5, 0.9, 1], maxdegree=6))
            assert sums.never_again(A, B, c, D) == pytest.approx(exact, rel=1e-9)


class TestLikelihood:
    @every_theta
    def test_gradient_and_hessian(self, theta):
        rows, point = arrange(*COLUMNS, np.arange(1.0, 9.0)), np.array(theta)
        value, gradient, hessian = log_likelihood_derivatives(rows, point)
        np.testing.assert_allclose(log_likelihood_values(rows, point[np.newaxis]), value, rtol=1e-11)
        np.testing.assert_array_equal(log_likelihood_gradient(rows, point)[1], gradient)
        np.testing.assert_array_equal(hessian, hessian.T)
        for i in range(4):
            step = 1e-5 * point * (np.arange(4) == i)
            ends = [log_likelihood_derivatives(rows, point + sign * step) for sign in (1, -1)]
            slope = (ends[0][0] - ends[1][0]) / (2 * step[i])
            # Rounding of the value over the step, and the third derivative.
            slack = 1e-14 * abs(value) / step[i] + 1e-8 * np.abs(gradient * point).max() / point[i]
            assert abs(slope - gradient[i]) < 10 * slack
            curve = (ends[0][1] - ends[1][1]) / (2 * step[i])
            scale = np.abs(hessian * np.outer(point, point)).max() / (point * point[i])
            assert (np.abs(curve - hessian[i]) < 1e-6 * scale).all()

    def test_weights_and_order(self):
        generator = np.random.default_rng(5)
        T = generator.integers(0, 20, 300).astype(float)
        x, t_x = replicate_histories(generator, T, np.array(DONORS))
        weight = generator.integers(1, 5, 300)
        rows = arrange(x, t_x, T, weight)
        repeated = arrange(*(np.repeat(column, weight) for column in (x, t_x, T)))
        for one, other in zip(
            log_likelihood_derivatives(rows, DONORS), log_likelihood_derivatives(repeated, DONORS), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-11)
        by_row = pointwise_log_likelihood(x, t_x, T, [DONORS, THETAS[3]])
        np.testing.assert_allclose(by_row @ weight, log_likelihood_values(rows, [DONORS, THETAS[3]]), rtol=1e-12)
        np.testing.assert_allclose(by_row[0], bg_bb.log_likelihood(x, t_x, T, *DONORS), rtol=1e-11)


class TestDiscounts:
    def test_moments_are_those_of_all_sets_of_opportunities(self):
        # Twelve opportunities: all ways to be there for j of them and to use k.
        m, delta, theta = 12, 0.25, np.array([0.8, 1.4, 0.6, 3.0])
        counts = np.arange(0.0, 13.0)
        moments = discount_moments(np.array([2.0]), np.array([5.0]), float(m), delta, theta, counts)
        A, B, D = 2.8, 4.4, 9.0
        z = np.exp(-delta * np.arange(1, m + 1))
        for k in range(1, m + 1):
            weight, first, second, square = 0.0, 0.0, 0.0, 0.0
            for j in range(k, m + 1):
                there = float(mp.rf(D, j - 1) / mp.rf(theta[2] + D, j - 1)) * (
                    theta[2] / (theta[2] + D + j - 1) if j < m else 1.0
                )
                share = there * float(mp.binomial(j, k) * mp.rf(A, k) * mp.rf(B, j - k) / mp.rf(A + B, j))
                mean, mean_square = z[:j].mean(), (z[:j] ** 2).mean()
                pair = (z[:j].sum() ** 2 - (z[:j] ** 2).sum()) / (j * (j - 1)) if j > 1 else 0.0
                weight += share
                first += share * mean
                second += share * mean_square
                square += share * (mean_square + (k - 1) * pair) / k
            found = [np.sum(moments[0][0, :, k] * moments[i][0, :, k]) for i in (1, 2, 3)]
            np.testing.assert_allclose(found, np.array([first, second, square]) / weight, rtol=1e-11)
            assert moments.share[0, :, k].sum() == pytest.approx(1.0, rel=1e-12)

    def test_long_horizons_and_counts_between_whole_ones(self):
        theta = np.array([0.8, 1.4, 0.6, 3.0])
        counts = np.array([0.0, 1.0, 70.5, 1000.0, 3650.0, 4000.0])
        moments = discount_moments(np.zeros(2), np.array([0.0, 900.0]), 3650.0, 2.6e-4, theta, counts)
        for moment in moments:
            assert np.isfinite(moment).all()
            assert ((moment >= 0) & (moment <= 1)).all()
        np.testing.assert_allclose(moments.share.sum(axis=1), 1.0, rtol=1e-12)


class TestLives:
    N = 200_000

    def people(self, seed):
        generator = np.random.default_rng(seed)
        a, b, c, d = DONORS
        members = OpportunityPopulation(
            generator.beta(a, b, self.N), generator.beta(c, d, self.N), generator.gamma(3.74, 1 / 15.44, self.N), 6.25
        )
        return generator, members

    def test_lives_have_the_likelihood(self):
        generator, members = self.people(1)
        T = np.full(self.N, 4.0)
        x, t_x, *_ = simulate_histories(
            generator, T, members.buying, members.leaving, members.spend_rate, 6.25, np.zeros(0), 0.0
        )
        again = replicate_histories(generator, T, np.array(DONORS))
        for found in ((x, t_x), again):
            for history in ((0, 0), (1, 1), (1, 4), (2, 2), (2, 4), (3, 4), (4, 4)):
                count = np.sum((found[0] == history[0]) & (found[1] == history[1]))
                ways = {(2, 4): 3, (3, 4): 3}.get(history, 1)
                log_p = pointwise_log_likelihood([history[0]], [history[1]], [4], [DONORS])[0, 0]
                p = ways * np.exp(log_p)
                assert abs(count - self.N * p) < 5 * np.sqrt(self.N * p * (1 - p))

    def test_totals_and_periods_have_their_expectations(self):
        generator, members = self.people(2)
        T, delta = np.full(self.N, 4.0), 0.1
        x, t_x, _, _, purchases, _, value = simulate_histories(
            generator, T, members.buying, members.leaving, members.spend_rate, 6.25, np.array([3.0]), delta
        )
        columns = x.astype(float), t_x, T
        expected = forecast.expected_purchases(*columns, 3.0, DONORS)[0]
        assert expected.sum() == pytest.approx(purchases.sum(), abs=5 * np.sqrt(np.sum((purchases - expected) ** 2)))
        discounted = forecast.discounted_expected_purchases(*columns, 3.0, delta, DONORS)[0]
        few = slice(0, 20_000)
        draws = np.tile(DONORS, (40, 1))
        segment = np.zeros(20_000, dtype=np.int64)
        one = np.ones(20_000)
        totals, values = simulate_totals(
            *(column[few] for column in columns), one, one, segment, 1, 3.0, delta, draws,
            np.tile((6.25, 3.74, 15.44), (40, 1)), 3,
        )  # fmt: skip
        assert totals.mean() == pytest.approx(expected[few].sum(), abs=5 * totals.std() / np.sqrt(40))
        spend = 6.25 * (15.44 + columns[0][few]) / (6.25 * columns[0][few] + 3.74 - 1)
        assert values.mean() == pytest.approx(np.sum(discounted[few] * spend), abs=5 * values.std() / np.sqrt(40))
        spread = np.sqrt(np.sum((purchases - expected) ** 2) / 10)
        assert totals.std(ddof=1) == pytest.approx(spread, rel=0.5)
        endless, _ = simulate_totals(
            *(column[few] for column in columns), one, one, segment, 1, np.inf, 0.5, draws, np.zeros((40, 0)), 3
        )
        assert (endless > totals).all()
        assert value.shape == (1, self.N)

    def test_counts_by_period(self):
        counts = simulate_counts(
            np.random.default_rng(3),
            np.repeat([0.0, 2.0], 20_000),
            np.array([0.0, 1.0, 3.0, 6.0]),
            np.tile(DONORS, (4, 1)),
        )
        curve = forecast.expected_purchases(np.zeros(7), np.zeros(7), np.zeros(7), np.arange(7.0), DONORS)[0]
        expected = 20_000 * (np.diff(curve[[0, 1, 3, 6]]) + np.diff(curve[[0, 0, 1, 4]]))
        np.testing.assert_allclose(counts.mean(axis=0), expected, rtol=0.02)
