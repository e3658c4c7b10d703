"""Scores against scoringrules' closed forms, and calibration of forecasts known to be right or wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from predclv.kernels.scoring_rules import (
    count_pit,
    coverage,
    crps_of_cdf,
    crps_of_counts,
    crps_of_quantiles,
    pit_below,
    randomized_pit,
)

scoringrules = pytest.importorskip("scoringrules")

MEANS = np.array([0.05, 0.7, 3.0, 40.0])
ACTUAL = np.array([0, 2, 3, 55])


def poisson_pmf(n_max: int = 200) -> np.ndarray:
    return stats.poisson.pmf(np.arange(n_max + 1), MEANS[:, np.newaxis])


def test_crps_of_counts_is_the_poissons():
    np.testing.assert_allclose(
        crps_of_counts(poisson_pmf(), ACTUAL), scoringrules.crps_poisson(ACTUAL, MEANS), rtol=1e-9
    )


def test_crps_of_a_certain_count_is_the_absolute_error():
    np.testing.assert_array_equal(crps_of_counts(np.eye(8)[[5, 5, 5]], np.array([2, 5, 7])), [3, 0, 2])


@pytest.mark.parametrize("actual", [0.01, 1.3, 6.0, 60.0])
def test_crps_of_a_grid_and_of_quantiles_is_the_gammas(actual):
    forecast = stats.gamma(2.5, scale=1.2)
    exact = scoringrules.crps_gamma(actual, 2.5, scale=1.2)
    values = np.linspace(0.0, 50.0, 5001)
    assert crps_of_cdf(values, forecast.cdf(values)[np.newaxis], np.array([actual]))[0] == pytest.approx(
        exact, rel=1e-5
    )
    levels = (np.arange(2000) + 0.5) / 2000
    quantiles = forecast.ppf(levels)[np.newaxis]
    assert crps_of_quantiles(quantiles, levels, np.array([actual]))[0] == pytest.approx(exact, rel=1e-3)


def test_crps_of_a_grid_outside_and_with_mass_at_its_start():
    # Half at 0, half uniform on (0, 1): integral of ((1 + v) / 2 - 1{actual <= v})^2.
    values = np.array([0.0, 0.5, 1.0])
    cdf = np.tile((1 + values) / 2, (3, 1))
    after_zero, before_one = 1 / 12, 7 / 12
    np.testing.assert_allclose(
        crps_of_cdf(values, cdf, np.array([-1.0, 0.0, 3.0])), [1 + after_zero, after_zero, 2 + before_one]
    )


@pytest.mark.parametrize(("dispersion", "is_calibrated"), [(1.0, True), (0.7, False)])
def test_the_pit_of_counts_is_uniform_where_the_forecast_holds(dispersion, is_calibrated):
    rng = np.random.default_rng(7)
    mean = rng.gamma(0.3, 4.0, 20_000)
    actual = rng.poisson(mean)
    counts = np.arange(actual.max() + 1)
    pit = count_pit(stats.poisson.pmf(counts, dispersion * mean[:, np.newaxis]), actual, rng.random(len(mean)))
    assert (stats.kstest(pit, "uniform").pvalue > 0.001) == is_calibrated


def test_raw_coverage_of_many_zeros_exceeds_its_level_where_the_pit_does_not():
    rng = np.random.default_rng(8)
    mean = np.full(20_000, 0.3)
    actual = rng.poisson(mean)
    low, high = stats.poisson.ppf([[0.05], [0.95]], mean)
    pit = count_pit(stats.poisson.pmf(np.arange(20), mean[:, np.newaxis]), actual, rng.random(len(mean)))
    assert coverage(low, high, actual) > 0.95
    assert coverage(np.full_like(pit, 0.05), np.full_like(pit, 0.95), pit) == pytest.approx(0.9, abs=0.0085)  # 4 se


def test_the_pit_of_a_continuous_outcome_is_its_distribution_function():
    cdf = np.array([0.2, 0.7])
    np.testing.assert_array_equal(randomized_pit(cdf, cdf, np.array([0.1, 0.9])), cdf)


def test_the_chance_of_a_randomized_pit_is_the_mean_over_randomisations():
    rng = np.random.default_rng(9)
    below, at = np.array([0.0, 0.3, 0.6, 0.95]), np.array([0.3, 0.6, 0.6, 1.0])
    pit = randomized_pit(below, at, rng.random((40_000, 4)))
    for level in (0.0, 0.25, 0.5, 0.6, 0.97, 1.0):
        # 4 standard errors of a share.
        np.testing.assert_allclose(pit_below(below, at, level), (pit <= level).mean(axis=0), atol=0.01)


def test_the_chance_of_a_pit_is_all_at_1_and_nothing_at_0():
    below, at = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0])
    np.testing.assert_array_equal(pit_below(below, at, 0.0), 0)
    np.testing.assert_array_equal(pit_below(below, at, 1.0), 1)
