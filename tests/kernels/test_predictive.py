"""Distributions of counts and of value against scipy, brute force and arithmetic."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from predclv.kernels.predictive_counts import (
    count_bounds,
    count_crps,
    count_error_products,
    count_means,
    count_quantiles,
    mix_counts,
)
from predclv.kernels.predictive_values import (
    mix_values,
    value_at_levels,
    value_bounds,
    value_crps,
    value_error_products,
    value_means,
)

MEANS = np.array([0.02, 0.9, 6.0, 80.0])
ENDS = stats.poisson.isf(1e-14, MEANS).astype(np.int64)


def ragged(laws, ends):
    cdf = [law.cdf(np.arange(end + 1)) for law, end in zip(laws, ends, strict=True)]
    for row in cdf:
        row[-1] = 1.0
    return np.concatenate(cdf), np.concatenate([[0], np.cumsum(ends + 1)]).astype(np.int64)


POISSON = ragged([stats.poisson(mean) for mean in MEANS], ENDS)
NEGATIVE_BINOMIAL = ragged([stats.nbinom(0.7, 0.7 / (0.7 + mean)) for mean in MEANS], 40 * ENDS)
ROWS = np.array([0, 0, 1, 2, 3, 3, 1], dtype=np.int64)
ACTUAL = np.array([0.0, 3.0, 1.0, 4.0, 75.0, 140.0, 0.0])


def test_count_bounds_are_the_distribution_function():
    below, at = count_bounds(*POISSON, ROWS, ACTUAL)
    law = stats.poisson(MEANS[ROWS])
    np.testing.assert_allclose(below, law.cdf(ACTUAL - 1), atol=1e-13)
    np.testing.assert_allclose(at, law.cdf(ACTUAL), atol=1e-13)


def test_count_bounds_beyond_a_rows_end():
    cdf, start = np.array([0.5, 1.0, 0.25, 0.75, 1.0]), np.array([0, 2, 5])
    rows = np.zeros(4, dtype=np.int64)
    below, at = count_bounds(cdf, start, rows, np.array([0.0, 1.0, 2.0, 9.0]))
    np.testing.assert_array_equal(below, [0.0, 0.5, 1.0, 1.0])
    np.testing.assert_array_equal(at, [0.5, 1.0, 1.0, 1.0])


def test_count_crps_is_the_poissons():
    scoringrules = pytest.importorskip("scoringrules")
    np.testing.assert_allclose(
        count_crps(*POISSON, ROWS, ACTUAL), scoringrules.crps_poisson(ACTUAL, MEANS[ROWS]), rtol=1e-9
    )


def test_count_crps_of_one_certain_count_is_the_absolute_error():
    cdf, start = np.array([0.0, 0.0, 0.0, 1.0]), np.array([0, 4])
    actual = np.array([0.0, 3.0, 4.0, 90.0])
    np.testing.assert_array_equal(count_crps(cdf, start, np.zeros(4, dtype=np.int64), actual), [3, 0, 1, 87])


def test_count_means_and_quantiles_are_scipys():
    np.testing.assert_allclose(count_means(*POISSON), MEANS, rtol=1e-11)
    levels = np.array([1e-9, 0.025, 0.5, 0.9, 0.999])
    expected = stats.poisson.ppf(levels, MEANS[:, np.newaxis])
    np.testing.assert_array_equal(count_quantiles(*POISSON, levels), expected)


def test_count_quantile_at_level_one_is_the_end():
    cdf, start = np.array([0.5, 1.0 - 1e-16, 1.0, 0.2, 1.0]), np.array([0, 3, 5])
    np.testing.assert_array_equal(count_quantiles(cdf, start, np.array([1.0])), [[1.0], [1.0]])


def test_error_products_of_counts_are_sums_over_counts():
    n = np.arange(5_000)
    first = stats.poisson(MEANS[ROWS][:, np.newaxis]).cdf(n)
    second = stats.nbinom(0.7, (0.7 / (0.7 + MEANS[ROWS]))[:, np.newaxis]).cdf(n)
    reached = n >= ACTUAL[:, np.newaxis]
    found = count_error_products(*POISSON, ROWS, *NEGATIVE_BINOMIAL, ROWS, ACTUAL)
    np.testing.assert_allclose(found, np.sum((first - reached) * (second - reached), axis=1), rtol=1e-9)
    turned = count_error_products(*NEGATIVE_BINOMIAL, ROWS, *POISSON, ROWS, ACTUAL)
    np.testing.assert_allclose(found, turned, rtol=1e-13)


def test_a_mixture_of_counts_is_the_weighted_sum():
    rows = np.arange(4)
    out = np.zeros(NEGATIVE_BINOMIAL[1][-1])
    mix_counts(*POISSON, rows, 0.3, out, NEGATIVE_BINOMIAL[1])
    mix_counts(*NEGATIVE_BINOMIAL, rows, 0.7, out, NEGATIVE_BINOMIAL[1])
    n = np.concatenate([np.arange(40 * end + 1) for end in ENDS])
    mean = np.repeat(MEANS, 40 * ENDS + 1)
    exact = 0.3 * stats.poisson(mean).cdf(n) + 0.7 * stats.nbinom(0.7, 0.7 / (0.7 + mean)).cdf(n)
    np.testing.assert_allclose(out, exact, atol=1e-11)


class Line:
    """A broken line in exact arithmetic: the reference for the kernels of value."""

    def __init__(self, nothing, levels, quantiles):
        self.points = [(Fraction(0), Fraction(nothing))]
        for level, value in zip(levels, quantiles, strict=True):
            if level > nothing:
                self.points.append((Fraction(value), Fraction(level)))
        self.end = Fraction(quantiles[-1])

    def cdf(self, value, *, left=False):
        """P(V <= value), or P(V < value)."""
        if value < 0 or (left and value == 0):
            return Fraction(0)
        if value > self.end or (value == self.end and not left):
            return Fraction(1)
        if left:
            before = [p for p in self.points if p[0] < value]
            after = [p for p in self.points if p[0] >= value]
        else:
            before = [p for p in self.points if p[0] <= value]
            after = [p for p in self.points if p[0] > value]
        if not after:
            return before[-1][1]
        (v0, f0), (v1, f1) = before[-1], after[0]
        return f0 + (f1 - f0) * (value - v0) / (v1 - v0)


def products(a, b, actual):
    """Integral of the two errors, exact: Simpson's rule between all corners."""
    corners = sorted(
        {Fraction(0), Fraction(actual), *(p[0] for p in a.points), *(p[0] for p in b.points), a.end, b.end}
    )
    total = Fraction(0)
    for low, high in itertools.pairwise(corners):
        reached = Fraction(1 if low >= actual else 0)

        def error(line, value, left, reached=reached):
            return line.cdf(value, left=left) - reached

        middle = (low + high) / 2
        ends = error(a, low, False) * error(b, low, False) + error(a, high, True) * error(b, high, True)
        total += (high - low) * (ends + 4 * error(a, middle, False) * error(b, middle, False)) / 6
    return float(total)


# With mass at 0, without; equal quantiles; all mass at 0; a last level far from 1, as a map may leave it.
LEVELS_A = np.array([0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
LEVELS_B = np.array([0.25, 0.5, 0.75])
A = (
    np.array([0.4, 0.0, 0.2, 1.0, 0.95]),
    LEVELS_A[np.newaxis],
    np.array(
        [
            [0.0, 0.0, 2.0, 4.0, 9.0, 40.0],
            [1.0, 2.0, 3.0, 5.0, 8.0, 9.0],
            [0.0, 1.5, 1.5, 1.5, 6.0, 6.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 7.0],
        ]
    ),
)
B = (
    np.array([0.0, 0.6]),
    np.array([[0.25, 0.5, 0.75], [0.1, 0.65, 0.7]]),
    np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 11.0]]),
)
OUTCOMES = (0.0, 0.5, 1.5, 2.0, 3.7, 6.0, 9.0, 55.0)


def lines(parts):
    nothing, levels, quantiles = parts
    levels = np.broadcast_to(levels, quantiles.shape)
    return [Line(*row) for row in zip(nothing, levels, quantiles, strict=True)]


@pytest.mark.parametrize("actual", OUTCOMES)
def test_bounds_of_values_are_those_of_the_broken_line(actual):
    for parts in (A, B):
        rows = np.arange(len(parts[0]))
        below, at = value_bounds(*parts, rows, np.full(len(rows), actual))
        for i, line in enumerate(lines(parts)):
            assert at[i] == pytest.approx(float(line.cdf(Fraction(actual))), abs=1e-15)
            # What the last level leaves over lies somewhere beyond it.
            beyond = actual >= parts[2][i, -1] and actual > 0
            last = max(np.broadcast_to(parts[1], parts[2].shape)[i, -1], parts[0][i])
            expected = last if beyond else float(line.cdf(Fraction(actual), left=True))
            assert below[i] == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("actual", OUTCOMES)
def test_crps_and_error_products_of_values_are_exact(actual):
    for first in (A, B):
        for second in (A, B):
            row_a, row_b = (part.ravel() for part in np.meshgrid(np.arange(len(first[0])), np.arange(len(second[0]))))
            found = value_error_products(*first, row_a, *second, row_b, np.full(len(row_a), actual))
            expected = [products(lines(first)[i], lines(second)[j], actual) for i, j in zip(row_a, row_b, strict=True)]
            np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    rows = np.arange(len(A[0]))
    np.testing.assert_allclose(
        value_crps(*A, rows, np.full(len(rows), actual)),
        [products(line, line, actual) for line in lines(A)],
        rtol=1e-13,
    )


def test_means_of_values_are_integrals_of_the_survival():
    # The CRPS's integral against 0 with F in the place of F - 1 twice: E V is the integral of 1 - F.
    expected = []
    for line in lines(A):
        corners = sorted({p[0] for p in line.points} | {line.end})
        steps = itertools.pairwise(corners)
        expected.append(float(sum((b - a) * (2 - line.cdf(a) - line.cdf(b, left=True)) / 2 for a, b in steps)))
    np.testing.assert_allclose(value_means(*A), expected, rtol=1e-14)


def test_values_at_levels_invert_the_distribution_function():
    wanted = np.array([0.05, 0.2, 0.41, 0.6, 0.9, 0.985, 0.999])
    for parts in (A, B):
        found = value_at_levels(*parts, wanted)
        for i, line in enumerate(lines(parts)):
            for level, value in zip(wanted, found[i], strict=True):
                assert float(line.cdf(Fraction(value))) >= level - 1e-12
                assert value == 0 or float(line.cdf(Fraction(value), left=True)) <= level + 1e-12


def test_crps_of_values_is_the_gammas_as_levels_become_many():
    scoringrules = pytest.importorskip("scoringrules")
    levels = (np.arange(4_000) + 0.5) / 4_000
    quantiles = stats.gamma(0.8, scale=30).ppf(levels)[np.newaxis]
    actual = np.array([0.1, 20.0, 300.0])
    found = value_crps(np.zeros(1), levels[np.newaxis], quantiles, np.zeros(3, dtype=np.int64), actual)
    np.testing.assert_allclose(found, scoringrules.crps_gamma(actual, 0.8, scale=30), rtol=2e-3)


def mixed(sources, weights, wanted):
    """Two sources of one row each with as many levels."""
    nothing = np.array([[source[0]] for source in sources])
    levels = np.stack([source[1][np.newaxis] for source in sources])
    quantiles = np.stack([source[2][np.newaxis] for source in sources])
    rows = np.zeros((len(sources), 1), dtype=np.int64)
    room = np.empty(len(sources) * levels.shape[2])
    return mix_values(nothing, levels, quantiles, rows, np.asarray(weights), room, wanted)


def test_a_mixture_of_values_has_the_weighted_distribution_function():
    sources = [
        (0.4, LEVELS_A, np.array([0.0, 0.0, 2.0, 4.0, 9.0, 40.0])),
        (0.0, LEVELS_A, np.array([1.0, 2.0, 3.0, 5.0, 8.0, 9.0])),
    ]
    wanted = np.array([0.1, 0.29, 0.31, 0.5, 0.77, 0.9, 0.95, 0.99])
    nothing, found = mixed(sources, [0.7, 0.3], wanted)
    assert nothing[0] == pytest.approx(0.28, abs=1e-15)
    exact = [Line(*source) for source in sources]
    for level, value in zip(wanted, found[0], strict=True):
        shares = list(zip((0.7, 0.3), exact, strict=True))
        assert sum(w * float(line.cdf(Fraction(value))) for w, line in shares) >= level - 1e-12
        assert value == 0 or sum(w * float(line.cdf(Fraction(value), left=True)) for w, line in shares) <= level + 1e-12


def test_a_mixture_with_itself_is_itself():
    source = (0.4, LEVELS_A, np.array([0.0, 0.0, 2.0, 4.0, 9.0, 40.0]))
    nothing, found = mixed([source, source], [0.2, 0.8], LEVELS_A)
    assert nothing[0] == pytest.approx(0.4, abs=1e-15)
    np.testing.assert_allclose(found[0], source[2], atol=1e-12)
