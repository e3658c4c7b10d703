import numpy as np
import pandas as pd
import pytest

from predclv.backtesting.methods.forest import grow_leaves
from predclv.backtesting.methods.training import Terms, TrainingSet

TERMS = Terms((), 1.0, 0.0, ())


@pytest.fixture(scope="module")
def training():
    """Two kinds of customers, told apart by one feature."""
    rng = np.random.default_rng(2)
    n = 4_000
    kind = np.arange(n) % 2
    purchases = np.where(kind == 1, rng.poisson(3.0, n), rng.binomial(1, 0.1, n)).astype(float)
    spend = purchases * np.where(kind == 1, 20.0, 5.0) * rng.gamma(4.0, 0.25, n)
    features = pd.DataFrame({"kind": kind.astype(float)})
    return TrainingSet(features, purchases, spend, np.arange(n) % 3, TERMS)


def test_leaves_hold_what_came_of_those_alike(training):
    features = pd.DataFrame({"kind": [0.0, 1.0]})
    forecast = grow_leaves(training, 0).forecast(features, TERMS)
    for row in (0, 1):
        alike = training.features["kind"] == row
        purchases, spend = training.purchases[alike], training.spend[alike]
        assert forecast.expected_purchases[row] == pytest.approx(purchases.mean(), rel=1e-9)
        assert forecast.p_purchase[row] == pytest.approx((purchases > 0).mean(), rel=1e-9)
        assert forecast.expected_value[row] == pytest.approx(spend.mean(), rel=1e-9)
        assert forecast.value.p_positive()[row] == pytest.approx((spend > 0).mean(), rel=1e-9)
        counts = np.arange(9.0)
        _, at = forecast.purchases.take(np.full(9, row)).bounds(counts)
        np.testing.assert_allclose(at, [(purchases <= n).mean() for n in counts], atol=1e-9)
        # Classes of a third of a percent of the payers, levels a hundredth apart.
        level = 0.95
        assert (spend <= forecast.value.at_levels([level])[row, 0]).mean() == pytest.approx(level, abs=0.015)


def test_a_scaled_forecast_keeps_the_mean_and_moves_the_rest(training):
    features = pd.DataFrame({"kind": [0.0, 1.0]})
    leaves = grow_leaves(training, 0)
    window = leaves.forecast(features, TERMS)
    scaled = leaves.forecast(features, Terms((), 2.0, 0.0, ()))
    np.testing.assert_allclose(scaled.expected_purchases, 2 * window.expected_purchases, rtol=1e-4)
    np.testing.assert_allclose(scaled.expected_value, 2 * window.expected_value, rtol=1e-12)
    np.testing.assert_allclose(scaled.value.mean(), scaled.expected_value, rtol=0.02)
    # One in ten with one purchase each is as independent windows: 1 - .9^2.
    assert scaled.p_purchase[0] == pytest.approx(1 - (1 - window.p_purchase[0]) ** 2, rel=1e-9)
    # Poisson counts stay Poisson, but for the sampling error of the mean and the zeros of 2,000 customers.
    assert scaled.p_purchase[1] == pytest.approx(1 - np.exp(-6), abs=0.005)


def test_what_a_leaf_lacks_is_not_made_up(training):
    without = TrainingSet(training.features, training.purchases, None, training.fold, TERMS)
    forecast = grow_leaves(without, 0).forecast(training.features.iloc[:50], TERMS)
    assert forecast.value is forecast.expected_value is None
    assert forecast.purchases.at_levels([1.0]).max() <= training.purchases.max()
