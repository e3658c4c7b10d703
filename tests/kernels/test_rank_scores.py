"""Rank scores against scipy, scikit-learn and all orders of ties; weights against repeated customers."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from predclv.kernels.rank_scores import group_distances, rank_scores, uniform_distances

SHARES = np.array([0.1, 0.2])


def ties(values):
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def score(forecast, actual, weights=None, shares=SHARES):
    """Scores of customers, each its own cluster; `weights` is (n_resamples, n)."""
    n = len(actual)
    weights = np.ones((1, n), dtype=np.uint16) if weights is None else weights
    actual = np.asarray(actual, dtype=float)
    return rank_scores(weights, np.arange(n), ties(forecast), ties(actual), actual, shares)


@pytest.fixture
def tied():
    """Forecasts and outcomes with many ties."""
    rng = np.random.default_rng(1)
    rate = np.round(rng.gamma(0.5, 3.0, 200), 1)
    return rate, rng.poisson(rate).astype(float)


def test_spearman_is_scipys(tied):
    assert score(*tied)[0, 0] == pytest.approx(stats.spearmanr(*tied).statistic, rel=1e-12)


def test_the_gini_of_yes_and_no_is_that_of_the_roc_curve(tied):
    forecast, bought = tied[0], tied[1] > 0
    assert score(forecast, bought)[0, 1] == pytest.approx(2 * roc_auc_score(bought, forecast) - 1, rel=1e-12)


def test_the_gini_of_amounts_by_hand():
    # Midranks about their mean are -1.5, -.5, .5, 1.5; the forecast puts 4 and 2 in the wrong order.
    forecast, actual = [1.0, 2.0, 3.0, 4.0], [0.0, 1.0, 4.0, 2.0]
    assert score(forecast, actual)[0, 1] == pytest.approx((-0.5 + 2 + 3) / (-0.5 + 1 + 6))


def test_what_the_highest_forecasts_brought_is_the_expectation_over_the_order_of_ties():
    forecast = np.array([3.0, 2.0, 2.0, 2.0, 1.0])
    actual = np.array([1.0, 0.0, 5.0, 2.0, 4.0])
    shares = np.array([0.2, 0.4, 0.6, 0.8])
    brought = []
    for order in permutations([1, 2, 3]):
        ordered = actual[[0, *order, 4]]
        brought.append(np.cumsum(ordered)[:4] / actual.sum())
    np.testing.assert_allclose(score(forecast, actual, shares=shares)[0, 2:], np.mean(brought, axis=0), rtol=1e-12)


def test_a_share_that_cuts_a_customer_takes_part_of_what_it_brought():
    assert score([3.0, 2.0, 1.0], [6.0, 3.0, 1.0], shares=np.array([0.5]))[0, 2] == pytest.approx((6 + 1.5) / 10)


def test_whole_weights_are_repeated_customers(tied):
    forecast, actual = tied
    weights = np.random.default_rng(2).integers(0, 4, (3, len(actual))).astype(np.uint16)
    for weighted, weight in zip(score(forecast, actual, weights), weights, strict=True):
        repeated = score(np.repeat(forecast, weight), np.repeat(actual, weight))[0]
        np.testing.assert_allclose(weighted, repeated, rtol=1e-12)


def test_a_constant_forecast_orders_nobody(tied):
    spearman, gini, capture_10, capture_20 = score(np.full(200, 0.3), tied[1])[0]
    assert np.isnan(spearman)
    assert gini == pytest.approx(0, abs=1e-12)
    assert (capture_10, capture_20) == pytest.approx((0.1, 0.2))


def test_nothing_is_said_where_nobody_bought(tied):
    assert np.isnan(score(tied[0], np.zeros(200))).all()


def test_rows_of_one_cluster_are_drawn_together(tied):
    forecast, actual = tied
    cluster = np.arange(200) // 2
    weights = np.random.default_rng(3).integers(0, 3, (1, 100)).astype(np.uint16)
    together = rank_scores(weights, cluster, ties(forecast), ties(actual), actual, SHARES)
    np.testing.assert_array_equal(together, score(forecast, actual, weights[:, cluster]))


def test_distances_from_uniform_are_kolmogorovs_and_smirnovs():
    rng = np.random.default_rng(4)
    pit = np.sort(rng.random(300) ** 1.1)
    weights = np.stack([np.ones(300), rng.integers(0, 4, 300), np.zeros(300)]).astype(np.uint16)
    found = uniform_distances(weights, np.arange(300), pit)
    expected = [stats.kstest(pit, "uniform").statistic, stats.kstest(np.repeat(pit, weights[1]), "uniform").statistic]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert np.isnan(found[2])


def test_distances_of_groups_are_those_of_each():
    rng = np.random.default_rng(5)
    pit, group = np.sort(rng.random(200)), rng.integers(-1, 2, 200)
    expected = [stats.kstest(pit[group == g], "uniform").statistic for g in (0, 1)]
    found = group_distances(pit, group, 3)
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert np.isnan(found[2])
