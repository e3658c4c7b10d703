"""The arithmetic of predictive checks, each piece against numbers worked out another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest, skew, spearmanr

from predclv.forecast import predictive_checks as predictive
from predclv.forecast.predictive_checks import Quantity
from predclv.models.bg_family import BGFamily

THETA = np.array([[0.6, 5.0, 0.9, 2.5], [0.3, 4.0, 0.8, 2.0]])


def test_share_above_counts_ties_half_and_the_data_as_one_more():
    replicated = np.array([1.0, 2.0, 2.0, 3.0])
    assert predictive.share_above(2.0, replicated) == pytest.approx((1 + 1 + 0.5) / 5)
    assert predictive.share_above(9.0, replicated) == pytest.approx(0.5 / 5)
    assert predictive.share_above(0.0, replicated) == pytest.approx(4.5 / 5)
    # Of each draw against its own: a realised discrepancy.
    assert predictive.share_above(np.array([2.0, 1.0, 2.0, 4.0]), replicated) == pytest.approx((1 + 0.5 + 0.5) / 5)


def test_undefined_replications_do_not_count():
    assert predictive.share_above(2.0, np.array([1.0, np.nan, 3.0])) == pytest.approx(1.5 / 3)
    assert np.isnan(predictive.share_above(2.0, np.full(3, np.nan)))
    assert np.isnan(predictive.share_above(np.nan, np.arange(3.0)))


@pytest.mark.parametrize("discrete", [False, True])
def test_the_share_is_uniform_where_data_and_replications_are_alike(discrete):
    rng = np.random.default_rng(1)
    values = rng.normal(size=(4000, 100))
    values = np.round(2 * values) if discrete else values
    shares = np.array([predictive.share_above(row[0], row[1:]) for row in values])
    # With ties the mean stays a half; the spread is smaller than a uniform's.
    assert abs(shares.mean() - 0.5) < 4 * shares.std() / np.sqrt(len(shares))
    if not discrete:
        assert kstest(shares, "uniform").pvalue > 0.001


def test_the_table_tells_two_sides_from_one():
    replicated = np.arange(99.0)
    table = predictive.compare(
        [
            Quantity("two", 97.5, replicated),
            Quantity("one", 97.5, replicated, sides=1),
            Quantity("low", -1.0, replicated),
        ],
        0.9,
    ).set_index("quantity")
    assert table.loc["two", "p_value"] == pytest.approx(2 * 1.5 / 100)
    assert table.loc["one", "p_value"] == pytest.approx(1.5 / 100)
    assert table.loc["low", "p_value"] == pytest.approx(2 * 0.5 / 100)
    assert table.loc["low", "share_above"] == pytest.approx(99.5 / 100)
    assert table.loc["two", ["expected", "low", "high"]].tolist() == [49.0, 4.0, 94.0]


def test_quantities_of_counts():
    x = np.array([0.0, 0.0, 1.0, 4.0, 9.0])
    found = predictive.count_quantities(x, 4)
    np.testing.assert_allclose(found, [0.4, 2.8, x.std(), 9.0, 0.4, 2, 1, 0, 0, 2])


def test_quantities_of_recency():
    x = np.array([0.0, 1.0, 2.0, 3.0, 5.0])
    t_x = np.array([0.0, 2.0, 10.0, 12.0, 20.0])
    T = np.array([30.0, 10.0, 20.0, 20.0, 20.0])
    found = predictive.recency_quantities(x, t_x, T, 4)
    share = np.array([0.8, 0.5, 0.4, 0.0])
    # Silences of 4, 2, 2 and 0 mean gaps: three of the four lie between 1.5 and 4, the ends not counted.
    expected = [6.5, 0.25, 0.5, spearmanr(x[1:], share).statistic, 0.25, 0.25, 0.25, 0.25]
    np.testing.assert_allclose(found, expected)
    assert np.isnan(predictive.recency_quantities(x[:1], t_x[:1], T[:1], 4)).all()


def test_quantities_of_spend():
    rng = np.random.default_rng(2)
    frequency, spend = rng.integers(1, 6, 200).astype(float), np.exp(rng.normal(3.0, 0.7, 200))
    edges, grid = np.array([0.0, 10.0, 25.0, np.inf]), np.array([5.0, 20.0])
    found = predictive.spend_quantities(frequency, spend, edges, grid)
    log = np.log(spend)
    assert found[0] == pytest.approx(spend.mean())
    np.testing.assert_allclose(found[1:4], np.quantile(spend, [0.1, 0.5, 0.9]))
    np.testing.assert_allclose(found[4:7], [log.std(), skew(log), spearmanr(frequency, spend).statistic])
    np.testing.assert_allclose(found[7:10], np.histogram(spend, [0.0, 10.0, 25.0, 1e9])[0] / 200)
    np.testing.assert_allclose(found[10:], [(spend <= 5).mean(), (spend <= 20).mean()])
    assert np.isnan(predictive.spend_quantities(frequency, np.full(200, 9.0), edges, grid)[5:7]).all()


def test_expected_counts_are_the_exact_probabilities():
    T = np.repeat([10.0, 25.5, 39.0], [100, 300, 50])
    found = predictive.expected_counts(BGFamily(), THETA, T, 4)
    zero = np.zeros(len(T))
    for row, theta in zip(found, THETA, strict=True):
        exact = BGFamily().purchase_pmf(zero, zero, zero, T, theta[np.newaxis], 3).sum(axis=0)
        np.testing.assert_allclose(row, [*exact, len(T) - exact.sum()], rtol=1e-10)


def test_chi_squared_survives_what_is_never_expected():
    actual, expected = np.array([[3.0, 1.0, 0.0]]), np.array([2.0, 2.0, 0.0])
    assert predictive.chi_squared(actual, expected) == pytest.approx([1.0])
    assert predictive.chi_squared(np.array([2.0, 2.0, 1.0]), expected) > 1e6


def test_many_customers_are_sampled_evenly(monkeypatch):
    monkeypatch.setattr(predictive, "MOST_REPLICATED", 4000)
    picked = predictive.pick_customers(1000, 40, 3)
    assert len(picked) == 100 == len(np.unique(picked))
    assert abs(picked.mean() - 499.5) < 4 * 1000 / np.sqrt(12 * 100)
    np.testing.assert_array_equal(picked, predictive.pick_customers(1000, 40, 3))
    assert predictive.pick_customers(100, 40, 3) == slice(None)
