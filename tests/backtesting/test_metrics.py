"""Metrics against scikit-learn, scipy and scoringrules, and by hand where they have no such thing."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from backtesting.simulated import CUTOFFS, cohort, count_block, outcome, point, poisson, rates
from predclv.backtesting.blocks import QUANTILES, make_blocks
from predclv.backtesting.distributions import Counts
from predclv.backtesting.metrics import METRICS, loss_of
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.scores import score_blocks

scoringrules = pytest.importorskip("scoringrules")


def values_of(*blocks, **options):
    """Metrics of one method's blocks, all cut-offs together."""
    n = max(len(block.actual) for block in blocks)
    cohorts = {block.cutoff: cohort(np.arange(n)) for block in blocks}
    scores = score_blocks(blocks, cohorts, reference="ours", n_bootstrap=0, **options)
    scores = scores[(scores["cutoff"] == "all") & (scores["by"] == "all")]
    return dict(zip(scores["metric"], scores["value"], strict=True))


@pytest.fixture(scope="module")
def case():
    """Forecasts that are wrong by a third here and there, and what 500 customers did."""
    rate = rates(500, 1)
    mean = rate * np.exp(np.random.default_rng(2).normal(0.0, 0.3, 500))
    return mean, outcome(rate, 1).purchases


def test_point_metrics_are_scikit_learns_and_scipys(case):
    mean, actual = case
    found = values_of(count_block(actual, point(mean)))
    expected = {
        "bias": mean.sum() / actual.sum() - 1,
        "mae": sk.mean_absolute_error(actual, mean),
        "rmse": sk.root_mean_squared_error(actual, mean),
        "msle": sk.mean_squared_log_error(actual, mean),
        "pearson": stats.pearsonr(actual, mean).statistic,
        "spearman": stats.spearmanr(actual, mean).statistic,
        "crps": sk.mean_absolute_error(actual, mean),
        "capture_10": actual[np.argsort(-mean)[:50]].sum() / actual.sum(),
        "capture_20": actual[np.argsort(-mean)[:100]].sum() / actual.sum(),
        "lift_10": actual[np.argsort(-mean)[:50]].mean() / actual.mean(),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert set(found) == {*expected, "gini"}


def test_the_published_errors_of_cdnow(cdnow_split, bg):
    actual = cdnow_split.holdout["purchases"].to_numpy(dtype=float)
    rfm = cdnow_split.calibration
    forecasts = {
        "zero": (np.zeros(len(rfm)), ".799 2.206 .463 -1.000"),
        "naive": (39.0 * rfm.frequency / rfm.T, "1.024 2.212 .401 .56 .584"),
        "BG/NBD": (bg.predict(rfm, horizon="39 weeks")["expected_purchases"].to_numpy(), ".786 1.608 .234 -.121 .626"),
    }
    for mean, printed in forecasts.values():
        found = values_of(count_block(actual, point(mean)))
        # Published means of absolute errors are over one customer fewer.
        found["mae"] *= len(rfm) / (len(rfm) - 1)
        for name, digits in zip(("mae", "rmse", "msle", "bias", "pearson"), printed.split(), strict=False):
            assert found[name] == pytest.approx(float(digits), abs=0.5 * 10.0 ** -len(digits.split(".")[1]))


def test_crps_is_that_of_scoringrules(case):
    mean, actual = case
    assert values_of(count_block(actual, poisson(mean)))["crps"] == pytest.approx(
        scoringrules.crps_poisson(actual, mean).mean(), rel=1e-5
    )
    negative_binomial = Forecast(mean, Counts.negative_binomial(mean, np.full(500, 0.7)))
    exact = scoringrules.crps_negbinom(actual, 0.7, 0.7 / (0.7 + mean)).mean()
    assert values_of(count_block(actual, negative_binomial))["crps"] == pytest.approx(exact, rel=1e-5)


def test_scores_of_p_purchase_are_those_of_scoringrules_and_scikit_learn(case):
    mean, actual = case
    p, bought = 1 - np.exp(-mean), 1.0 * (actual > 0)
    found = values_of(count_block(actual, poisson(mean)))
    assert found["brier"] == pytest.approx(scoringrules.brier_score(bought, p).mean(), rel=1e-9)
    assert found["log_score"] == pytest.approx(sk.log_loss(bought, p), rel=1e-9)
    bins = np.argsort(p).reshape(10, 50)
    by_hand = np.mean((p[bins].mean(axis=1) - bought[bins].mean(axis=1)) ** 2)
    assert found["reliability"] == pytest.approx(by_hand, rel=1e-9)


def test_the_log_score_of_what_had_no_chance_is_infinite(case):
    actual = case[1]
    p = np.where(np.arange(500) == np.argmax(actual > 0), 0.0, 0.5)
    found = values_of(count_block(actual, Forecast(np.ones(500), p_purchase=p)))
    assert found["log_score"] == np.inf
    assert found["brier"] == pytest.approx((499 * 0.25 + 1) / 500)


def test_raw_coverage_is_the_share_between_the_quantiles(case):
    mean, actual = case
    found = values_of(count_block(actual, poisson(mean)))
    for level in (0.5, 0.8, 0.9, 0.95):
        low, high = stats.poisson.ppf([[(1 - level) / 2], [(1 + level) / 2]], mean)
        assert found[f"raw_coverage_{100 * level:.0f}"] == np.mean((low <= actual) & (actual <= high))
    assert len(QUANTILES) == 9


def test_pit_scores_are_means_over_randomisations(case):
    mean, actual = case
    found = values_of(count_block(actual, poisson(mean)))
    below, at = stats.poisson.cdf(actual - 1, mean), stats.poisson.cdf(actual, mean)
    pit = below + np.random.default_rng(3).random((400, 500)) * (at - below)
    for level in (0.5, 0.9):
        inside = (np.abs(pit - 0.5) <= level / 2).mean(axis=1)
        # 4 standard errors of the mean over 400 randomisations.
        allowed = 4 * inside.std() / 20
        assert found[f"pit_coverage_{100 * level:.0f}"] == pytest.approx(inside.mean(), abs=allowed)
    distances = np.array([stats.kstest(row, "uniform").statistic for row in pit])
    # Here the mean over 20 is the coarser one.
    assert found["pit_ks"] == pytest.approx(distances.mean(), abs=4 * distances.std() * np.sqrt(1 / 20 + 1 / 400))


def test_spend_is_scored_for_buyers_and_captures_nothing():
    rate = rates(300, 4)
    happened = outcome(rate, 4)
    spend = np.random.default_rng(5).gamma(5.0, 6.0, 300)
    forecast = Forecast(rate, expected_spend=spend, expected_value=rate * spend)
    *_, block = make_blocks(forecast, happened, CUTOFFS[0], "ours")
    assert block.quantity == "spend"
    scores = score_blocks([block], {CUTOFFS[0]: cohort(np.arange(300))}, reference="ours", n_bootstrap=0)
    scores = scores[(scores["cutoff"] == "all") & (scores["by"] == "all")]
    found = dict(zip(scores["metric"], scores["value"], strict=True))
    bought = happened.purchases > 0
    assert set(found) == {"bias", "mae", "rmse", "msle", "pearson", "spearman", "gini", "lift_10", "crps"}
    assert set(scores["customers"]) == {bought.sum()}
    mean_spend = happened.spend[bought] / happened.purchases[bought]
    assert found["mae"] == found["crps"] == pytest.approx(sk.mean_absolute_error(mean_spend, spend[bought]))


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_correlation_with_a_constant_is_nan(case, metric):
    assert np.isnan(values_of(count_block(case[1], point(np.full(500, 0.3))))[metric])


def test_the_zero_forecast_is_described_by_what_it_is(case):
    found = values_of(count_block(case[1], point(np.zeros(500))))
    assert found["bias"] == -1
    assert found["gini"] == pytest.approx(0, abs=1e-12)
    assert found["capture_10"] == pytest.approx(0.1)
    assert found["lift_10"] == pytest.approx(1)


def test_nothing_that_needs_a_purchase_exists_where_nobody_bought(case):
    found = values_of(count_block(np.zeros(500), poisson(case[0])))
    undefined = {name for name, value in found.items() if np.isnan(value)}
    assert undefined == {"bias", "pearson", "spearman", "gini", "capture_10", "capture_20", "lift_10"}
    assert np.isfinite([found["mae"], found["crps"], found["log_score"], found["pit_ks"]]).all()


def test_cutoffs_together_are_rows_together_or_their_mean(case):
    mean, actual = case
    other = np.random.default_rng(6).poisson(2 * mean).astype(float)[:400]
    blocks = [count_block(actual, poisson(mean)), count_block(other, poisson(mean[:400]), cutoff=CUTOFFS[1])]
    first, second = (values_of(block) for block in blocks)
    both = values_of(*blocks)
    error = np.concatenate([mean - actual, mean[:400] - other])
    assert both["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)))
    assert both["bias"] == pytest.approx(error.sum() / (actual.sum() + other.sum()))
    for name in ("mae", "crps", "pit_coverage_90", "raw_coverage_90", "brier", "log_score"):
        assert both[name] == pytest.approx((500 * first[name] + 400 * second[name]) / 900)
    for name in ("pearson", "spearman", "gini", "capture_10", "lift_10", "pit_ks", "reliability"):
        assert both[name] == pytest.approx((first[name] + second[name]) / 2)


def test_losses_fall_where_metrics_improve():
    better = {"bias": (-0.1, 0.2), "mae": (1, 2), "gini": (0.8, 0.7), "pit_coverage_90": (0.91, 0.88)}
    for metric, (good, bad) in better.items():
        assert loss_of(metric, np.array(good)) < loss_of(metric, np.array(bad))
    assert all((loss_of(name, np.ones(1)) is None) == name.startswith("raw_coverage") for name in METRICS)
