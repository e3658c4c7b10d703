"""Predictive distributions: made, mapped, mixed and joined, against scipy and arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from predclv.backtesting.distributions import LEVELS, Counts, Values

MEANS = np.array([0.0, 1e-8, 0.3, 2.5, 60.0])
SPENDS = stats.gamma(2.0, scale=np.array([[10.0], [35.0], [80.0]]))
NOTHING = np.array([0.0, 0.6, 0.97])


def gammas():
    """Nothing with some probability, else a gamma."""
    level = (LEVELS - NOTHING[:, np.newaxis]) / (1 - NOTHING[:, np.newaxis])
    return Values.from_quantiles(NOTHING, np.where(level > 0, SPENDS.ppf(np.maximum(level, 0.0)), 0.0))


def test_poisson_counts_are_scipys():
    counts = Counts.poisson(MEANS)
    assert len(counts) == 5
    # No more than 1e-6 lies beyond a row's end, a count or so from it.
    np.testing.assert_allclose(counts.mean(), MEANS, atol=3e-6)
    assert counts.mean()[1] == pytest.approx(1e-8, rel=1e-7)
    np.testing.assert_allclose(counts.p_positive(), -np.expm1(-MEANS), rtol=1e-8, atol=1e-16)
    levels = [0.025, 0.5, 0.95]
    np.testing.assert_array_equal(counts.at_levels(levels)[1:], stats.poisson.ppf(levels, MEANS[1:, np.newaxis]))
    np.testing.assert_array_equal(counts.at_levels(levels)[0], 0)


def test_negative_binomial_counts_are_scipys_and_poissons_for_a_large_shape():
    shape = np.array([0.2, 0.2, 3.0, 0.5, 8.0])
    counts = Counts.negative_binomial(MEANS, shape)
    np.testing.assert_allclose(counts.mean(), MEANS, rtol=3e-5, atol=1e-15)
    np.testing.assert_allclose(counts.p_positive(), -np.expm1(-shape * np.log1p(MEANS / shape)), rtol=1e-8, atol=1e-16)
    outcome = np.array([0.0, 0.0, 1.0, 2.0, 70.0])
    below, at = counts.bounds(outcome)
    law = stats.nbinom(shape[1:], shape[1:] / (shape[1:] + MEANS[1:]))
    np.testing.assert_allclose(below[1:], law.cdf(outcome[1:] - 1), atol=1e-12)
    np.testing.assert_allclose(at[1:], law.cdf(outcome[1:]), atol=1e-12)
    near = Counts.negative_binomial(MEANS, 1e9)
    np.testing.assert_allclose(near.crps(outcome), Counts.poisson(MEANS).crps(outcome), rtol=1e-5, atol=1e-15)


@pytest.mark.parametrize(("mean", "shape"), [(np.nan, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, np.inf)])
def test_counts_refuse_means_and_shapes_that_are_none(mean, shape):
    with pytest.raises(
        ValueError, match=r"^1 of 2 customers have a (mean|shape) that is .* \(first: the one at position 1\)"
    ):
        Counts.negative_binomial(np.array([1.0, mean]), np.array([1.0, shape]))


def test_probabilities_in_ragged_rows():
    counts = Counts.from_probabilities(
        np.array([0.5, 0.2, 0.1, 1.0, 0.25, 0.75]), np.array([3, 1, 2]), np.array([2, 0, 0, 1])
    )
    # What the first row lacks to 1 lies at its end.
    np.testing.assert_allclose(counts.mean(), [0.75, 0.8, 0.8, 0.0], rtol=1e-15)
    np.testing.assert_allclose(counts.p_positive(), [0.75, 0.5, 0.5, 0.0], rtol=1e-15)


def test_counts_of_samples_have_the_samples_crps():
    samples = np.random.default_rng(1).negative_binomial(1, 0.3, (40, 6))
    actual = np.array([0.0, 1.0, 2.0, 5.0, 30.0, 0.0])
    counts = Counts.from_samples(samples)
    # E|N - y| - E|N - N'| / 2; Gneiting & Raftery (2007), eq. (21).
    distance = np.abs(samples[:, np.newaxis] - samples).mean(axis=(0, 1))
    np.testing.assert_allclose(
        counts.crps(actual), np.abs(samples - actual).mean(axis=0) - distance / 2, rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(counts.mean(), samples.mean(axis=0), rtol=1e-14)


def test_all_mass_at_nothing():
    actual = np.array([0.0, 3.0])
    for nobody in (Counts.poisson([0.0, 0.0]), Values.from_samples(np.zeros((10, 2)))):
        np.testing.assert_array_equal(nobody.mean(), 0)
        np.testing.assert_array_equal(nobody.p_positive(), 0)
        np.testing.assert_array_equal(nobody.crps(actual), actual)
        below, at = nobody.bounds(actual)
        np.testing.assert_array_equal(below, [0, 1])
        np.testing.assert_array_equal(at, [1, 1])


def test_values_are_the_gammas():
    values = gammas()
    np.testing.assert_array_equal(values.p_positive(), 1 - NOTHING)
    # Lines between quantiles lie above a falling density, and the tail beyond the last level is left out.
    np.testing.assert_allclose(values.mean(), (1 - NOTHING) * SPENDS.mean()[:, 0], rtol=0.01)
    levels = np.array([0.5, 0.9, 0.98])
    share = (levels - NOTHING[:, np.newaxis]) / (1 - NOTHING[:, np.newaxis])
    np.testing.assert_allclose(
        values.at_levels(levels), np.where(share > 0, SPENDS.ppf(np.maximum(share, 0)), 0), rtol=1e-9
    )


def test_crps_of_values_is_the_integral_of_the_squared_error():
    values, grid = gammas(), np.linspace(0, 2_000, 400_001)
    for actual in (0.0, 12.0, 150.0):
        cdf = NOTHING[:, np.newaxis] + (1 - NOTHING[:, np.newaxis]) * SPENDS.cdf(grid)
        exact = np.trapezoid((cdf - (grid >= actual)) ** 2, grid, axis=1)
        # No more than 11 of the levels are left for the 3 % of the last one.
        assert np.all(np.abs(values.crps(np.full(3, actual)) / exact - 1) < [0.002, 0.002, 0.03])


def test_an_outcome_beyond_the_last_quantile_may_lie_anywhere_in_what_is_left():
    below, at = gammas().bounds(np.full(3, 1e6))
    np.testing.assert_array_equal(below, LEVELS[-1])
    np.testing.assert_array_equal(at, 1)


def test_values_of_heavy_tails_stay_finite():
    tail = np.tile(stats.pareto(0.6).ppf(LEVELS), (2, 1))
    values = Values.from_quantiles(np.zeros(2), tail)
    assert np.isfinite(values.mean()).all()
    assert np.isfinite(values.crps(np.array([0.0, 1e12]))).all()
    np.testing.assert_allclose(values.at_levels([0.999])[:, 0], tail[:, LEVELS == 0.999][:, 0])


def test_quantiles_not_above_the_mass_at_nothing_are_nothing():
    values = Values.from_quantiles(np.array([0.8]), np.full((1, len(LEVELS)), 7.0))
    np.testing.assert_array_equal(values.quantiles[0], np.where(LEVELS > 0.8, 7.0, 0.0))


def test_of_one_price_samples_are_steps():
    # Nothing, or one purchase at 20, or two.
    samples = np.repeat([0.0, 20.0, 40.0], [500, 300, 200])[:, np.newaxis]
    values = Values.from_samples(samples)
    below, at = values.bounds(np.array([20.0]))
    # Levels stand 0.01 apart here, and a step begins at the first of them that it holds.
    assert below[0] == pytest.approx(0.51, abs=1e-12)
    assert at[0] == pytest.approx(0.79, abs=1e-12)
    assert values.crps(np.array([20.0]))[0] == pytest.approx(20 * 0.5**2 + 20 * 0.2**2, abs=0.4)
    assert values.mean()[0] == pytest.approx(14.0, abs=0.2)


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_maps_change_levels(kind):
    before = Counts.poisson(MEANS) if kind == "counts" else gammas()
    actual = np.arange(len(before)) * (1.0 if kind == "counts" else 25.0)
    same = before.mapped(lambda level: level)
    np.testing.assert_array_equal(same.crps(actual), before.crps(actual))
    after = before.mapped(np.sqrt)
    np.testing.assert_allclose(after.p_positive(), 1 - np.sqrt(1 - before.p_positive()), atol=1e-15)
    for found, was in zip(after.bounds(actual), before.bounds(actual), strict=True):
        # Values stay linear between quantiles, so the map is exact at these alone.
        np.testing.assert_allclose(found, np.sqrt(was), atol=1e-15 if kind == "counts" else 2e-4)
    # A map that ends below 1 leaves the rest to the last count or quantile.
    assert np.isfinite(before.mapped(lambda level: 0.9 * level).mean()).all()
    np.testing.assert_array_equal(before.mapped(lambda level: 0.9 * level).bounds(np.full(len(before), 1e9))[1], 1)


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_mixtures_have_the_weighted_distribution_function(kind):
    if kind == "counts":
        first, second = Counts.poisson(MEANS), Counts.negative_binomial(MEANS + 1, 0.4)
    else:
        first = gammas()
        second = Values.from_quantiles(np.array([0.2]), 50 * stats.lomax(3).ppf(LEVELS)[np.newaxis], np.zeros(3, int))
    weights = np.array([0.3, 0.7])
    mixture = type(first).mixed([first, second], weights)
    actual = np.arange(len(first)) * (1.0 if kind == "counts" else 30.0)
    exact = kind == "counts"
    for found, a, b in zip(mixture.bounds(actual), first.bounds(actual), second.bounds(actual), strict=True):
        np.testing.assert_allclose(found, weights @ [a, b], atol=1e-12 if exact else 2e-4)
    np.testing.assert_allclose(mixture.mean(), weights @ [first.mean(), second.mean()], rtol=1e-12 if exact else 0.01)
    # The CRPS of a mixture is a quadratic form of the products of errors.
    gram = np.array([[a.error_products(b, actual) for b in (first, second)] for a in (first, second)])
    form = np.einsum("i,ijn,j->n", weights, gram, weights)
    np.testing.assert_allclose(mixture.crps(actual), form, rtol=1e-11 if exact else 0.005)


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_parts_join_where_their_customers_stand(kind):
    whole = Counts.poisson(MEANS) if kind == "counts" else gammas()
    n = len(whole)
    actual = np.arange(n) * (1.0 if kind == "counts" else 25.0)
    places = [np.array([n - 1, 0]), np.arange(1, n - 1)]
    joined = type(whole).joined([whole.take(place) for place in places], places)
    np.testing.assert_array_equal(joined.crps(actual), whole.crps(actual))
    mapped = type(whole).joined([whole.take(places[0]).mapped(np.sqrt), whole.take(places[1])], places)
    np.testing.assert_array_equal(mapped.mean()[1:-1], whole.mean()[1:-1])
    np.testing.assert_array_equal(mapped.mean()[[0, -1]], whole.mapped(np.sqrt).mean()[[0, -1]])
    twice = whole.of_rows(np.array([n - 1, 0, n - 1]), np.array([2, 1, 0, 0]))
    np.testing.assert_array_equal(twice.mean(), whole.mean()[[n - 1, 0, n - 1, n - 1]])


def test_randomized_pit_of_its_own_draws_is_uniform():
    generator = np.random.default_rng(3)
    means = generator.gamma(0.5, 2.0, 20_000)
    below, at = Counts.poisson(means).bounds(generator.poisson(means).astype(float))
    pit = below + generator.uniform(size=20_000) * (at - below)
    assert stats.kstest(pit, "uniform").pvalue > 0.001
