"""Intervals against normal theory, clusters against independence, verdicts, and what the table holds."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from backtesting.simulated import CUTOFFS, cohort, count_block, outcome, point, poisson, rates
from predclv.backtesting import bootstrap
from predclv.backtesting.blocks import make_blocks
from predclv.backtesting.bootstrap import find_interval
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.scores import SCORE_COLUMNS, name_cutoff, score_blocks

N = 400
# Standard error of the 5 % point of 2,000 resamples, in standard errors of the mean.
END_ERROR = np.sqrt(0.05 * 0.95 / 2000) / 0.1031


def only(scores: pd.DataFrame, **wanted) -> pd.Series:
    """The one row with these entries; by all customers of all cut-offs unless said."""
    wanted = {"by": "all", "cutoff": "all", "quantity": "purchases", **wanted}
    rows = scores[np.logical_and.reduce([scores[name] == value for name, value in wanted.items()])]
    assert len(rows) == 1, wanted
    return rows.iloc[0]


def in_order(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.sort_values(list(SCORE_COLUMNS[:7])).reset_index(drop=True)


@pytest.fixture(scope="module")
def blocks():
    """Three methods at two cut-offs and two horizons; "rough" gives no distribution and fails at the first cut-off."""
    found = []
    for number, cutoff in enumerate(CUTOFFS[:2]):
        rate = rates(N, number)
        spend = np.full(N, 30.0)
        rough = Forecast(0.5 * rate + 0.2, expected_value=np.full(N, 20.0))
        good, high = (Forecast(poisson(mean).expected_purchases, poisson(mean).purchases, None, spend, 30 * mean)
                      for mean in (rate, 1.5 * rate))  # fmt: skip
        for horizon in ("13 weeks", "26 weeks"):
            happened = outcome(rate, 10 * number + len(found), horizon, cutoff)
            for name, forecast in {"good": good, "high": high, "rough": rough}.items():
                if (name, number) != ("rough", 0):
                    found += make_blocks(forecast, happened, cutoff, name)
    return found


@pytest.fixture(scope="module")
def cohorts():
    codes = np.arange(N) % 3
    codes[:10] = 3
    return {cutoff: cohort(np.arange(N), codes, ["0", "1", "2", "3+"]) for cutoff in CUTOFFS[:2]}


@pytest.fixture(scope="module")
def scores(blocks, cohorts):
    return score_blocks(blocks, cohorts, reference="good", n_bootstrap=100)


def test_the_table_is_tidy(scores):
    assert tuple(scores.columns) == SCORE_COLUMNS
    assert not scores.duplicated(list(SCORE_COLUMNS[:7])).any()
    assert set(scores["cutoff"]) == {"1997-06-30", "1997-09-30", "all"}
    assert set(scores["by"]) == {"all", "frequency", "decile"}
    assert scores[list(SCORE_COLUMNS[:7])].notna().all(axis=None)
    assert set(scores["verdict"]) <= {"better", "worse", "within noise", "reference", ""}


def test_what_a_method_does_not_give_has_no_row(scores):
    rough = set(scores.loc[scores["method"] == "rough", "metric"])
    assert "crps" in rough
    assert not {name for name in rough if "coverage" in name or name in ("pit_ks", "brier", "log_score")}
    assert "spend" not in set(scores.loc[scores["method"] == "rough", "quantity"])
    assert {"pit_coverage_90", "raw_coverage_50", "pit_ks", "brier", "log_score", "reliability"} <= set(
        scores.loc[(scores["method"] == "good") & (scores["quantity"] == "purchases"), "metric"]
    )


def test_intervals_hold_the_values_of_smooth_metrics(scores):
    rows = scores[(scores["by"] == "all") & (scores["metric"].isin(["bias", "mae", "crps", "rmse", "reliability"]))]
    assert len(rows) > 30
    assert (rows["low"] <= rows["value"]).all()
    assert (rows["value"] <= rows["high"]).all()


def test_the_reference_is_compared_with_nobody(scores):
    rows = scores[(scores["method"] == "good") & (scores["by"] != "decile")]
    assert set(rows["verdict"]) == {"reference"}
    assert rows[["difference", "difference_low", "difference_high"]].isna().all(axis=None)
    assert set(scores.loc[scores["by"] != "decile", "reference"]) == {"good"}


def test_deciles_are_not_compared(scores):
    rows = scores[scores["by"] == "decile"]
    assert set(rows["group"]) == {str(number) for number in range(1, 11)}
    assert set(rows["verdict"]) == {""}
    assert rows["difference"].isna().all()
    whole = rows[(rows["cutoff"] == "all") & (rows["method"] == "good") & (rows["quantity"] == "purchases")]
    assert set(whole["customers"]) == {N // 10}
    crps = rows[(rows["metric"] == "crps") & (rows["quantity"] == "purchases") & (rows["method"] == "good")]
    assert (crps.loc[crps["group"] == "1", "value"].to_numpy() > crps.loc[crps["group"] == "10", "value"].min()).all()


def test_a_group_is_scored_as_its_customers_alone(blocks, cohorts, scores):
    block = next(b for b in blocks if b.method == "high" and b.cutoff == CUTOFFS[1])
    rows = cohorts[CUTOFFS[1]].groups["frequency"][1] == 1
    row = {"by": "frequency", "group": "1", "cutoff": "1997-09-30", "method": "high", "horizon": "13 weeks"}
    assert only(scores, **row, metric="crps")["value"] == pytest.approx(block.crps[rows].mean())
    bias = only(scores, **row, metric="bias")
    assert bias["value"] == pytest.approx(block.mean[rows].sum() / block.actual[rows].sum() - 1)
    assert bias["customers"] == rows.sum()
    assert bias["verdict"] == "worse"


def test_few_customers_have_no_interval(scores):
    few = scores[(scores["by"] == "frequency") & (scores["group"] == "3+") & (scores["quantity"] == "purchases")]
    assert set(few["customers"]) == {10}
    assert few["value"].notna().all()
    assert few[["low", "high", "difference_low", "difference_high"]].isna().all(axis=None)
    assert set(few["verdict"]) <= {"", "reference"}


def test_all_cutoffs_are_those_that_every_method_has(blocks, cohorts, scores):
    row = only(scores, method="rough", metric="mae", horizon="26 weeks")
    later = only(scores, method="rough", metric="mae", horizon="26 weeks", cutoff="1997-09-30")
    assert row["customers"] == N
    columns = ["value", "low", "high", "difference", "difference_low", "difference_high", "verdict"]
    pd.testing.assert_series_equal(row[columns], later[columns], check_names=False)
    assert only(scores, method="good", metric="mae", horizon="26 weeks")["customers"] == N
    without = score_blocks([b for b in blocks if b.method != "rough"], cohorts, reference="good", n_bootstrap=20)
    assert only(without, method="good", metric="mae", horizon="26 weeks")["customers"] == 2 * N


def test_without_a_common_cutoff_each_method_has_its_own(blocks, cohorts):
    apart = [b for b in blocks if (b.method == "rough") == (b.cutoff == CUTOFFS[1])]
    scores = score_blocks(apart, cohorts, reference="good", n_bootstrap=20)
    for name in ("good", "rough"):
        assert only(scores, method=name, metric="mae", horizon="26 weeks")["customers"] == N
    assert only(scores, method="rough", metric="mae", horizon="26 weeks")["verdict"] == ""


def test_without_a_reference_nothing_is_compared(blocks, cohorts):
    scores = score_blocks(blocks, cohorts, reference="absent", n_bootstrap=20)
    assert set(scores["verdict"]) == {""}
    assert scores["difference"].isna().all()


def test_nothing_depends_on_the_order_of_blocks(blocks, cohorts, scores):
    shuffled = [blocks[i] for i in np.random.default_rng(3).permutation(len(blocks))]
    again = score_blocks(shuffled, dict(reversed(cohorts.items())), reference="good", n_bootstrap=100)
    pd.testing.assert_frame_equal(in_order(again), in_order(scores), check_exact=True)


def test_nothing_depends_on_how_many_resamples_are_held_at_once(blocks, cohorts, scores, monkeypatch):
    monkeypatch.setattr(bootstrap, "_MOST_BYTES", 4 * N * 7)
    again = score_blocks(blocks, cohorts, reference="good", n_bootstrap=100)
    pd.testing.assert_frame_equal(again, scores, check_exact=True)


def test_resamples_are_the_seeds(blocks, cohorts, scores):
    other = score_blocks(blocks, cohorts, reference="good", n_bootstrap=100, seed=1)
    rows = (scores["metric"] == "mae") & (scores["by"] == "all")
    assert (other.loc[rows, "low"] != scores.loc[rows, "low"]).all()
    np.testing.assert_array_equal(other.loc[rows, "value"], scores.loc[rows, "value"])


def test_without_resamples_there_are_values(blocks, cohorts, scores):
    bare = score_blocks(blocks, cohorts, reference="good", n_bootstrap=0)
    for name in ("value", "difference"):
        # Sums over bins are added in another order.
        np.testing.assert_allclose(bare[name], scores[name], rtol=1e-12, atol=1e-12)
    assert bare[["low", "high", "difference_low", "difference_high"]].isna().all(axis=None)


def test_intervals_of_means_are_those_of_normal_theory():
    n = 2_000
    rate = rates(n, 5)
    actual = outcome(rate, 5).purchases
    ours, other = count_block(actual, point(rate)), count_block(actual, point(0.8 * rate + 0.3), "other")
    scores = score_blocks([ours, other], {CUTOFFS[0]: cohort(np.arange(n))}, reference="ours", n_bootstrap=2000)
    row = only(scores, method="other", metric="mae")
    gap = np.abs(other.mean - actual) - np.abs(rate - actual)
    for sample, low, high in (
        (np.abs(other.mean - actual), row["low"], row["high"]),
        (gap, row["difference_low"], row["difference_high"]),
    ):
        error = sample.std() / np.sqrt(n)
        # The mean of 2,000 skewed losses is not quite normal: a tenth of a standard error at either end.
        allowed = (4 * END_ERROR + 0.1) * error
        assert low == pytest.approx(sample.mean() - 1.645 * error, abs=allowed)
        assert high == pytest.approx(sample.mean() + 1.645 * error, abs=allowed)


def width(clusters: list[np.ndarray]) -> float:
    """Width of the interval of MAE over two cut-offs at which each customer does the same."""
    rate = rates(N, 6)
    actual = outcome(rate, 6).purchases
    blocks = [count_block(actual, point(rate), cutoff=cutoff) for cutoff in CUTOFFS[:2]]
    cohorts = {cutoff: cohort(cluster) for cutoff, cluster in zip(CUTOFFS, clusters, strict=False)}
    row = only(score_blocks(blocks, cohorts, reference="ours", n_bootstrap=2000), metric="mae")
    return row["high"] - row["low"]


def test_a_customer_who_does_the_same_twice_is_no_more_evidence_than_once():
    same, apart = np.arange(N), np.arange(N) + N
    # Two rows of each customer have the variance of N rows; 2 N independent rows have half of it. A width errs by the
    # errors of its two ends, 2 x 1.645 standard errors apart.
    relative_error = np.sqrt(2) * END_ERROR / (2 * 1.645)
    assert width([same, same]) / width([same, apart]) == pytest.approx(np.sqrt(2), rel=4 * np.sqrt(2) * relative_error)


@pytest.mark.parametrize(
    ("factor", "metric", "verdict"),
    [
        (1.0, "mae", "within noise"),
        (1.0, "bias", "within noise"),
        (2.5, "mae", "worse"),
        (2.5, "crps", "worse"),
        (2.5, "bias", "worse"),
        (0.3, "bias", "worse"),
        (2.5, "spearman", "within noise"),
        (2.5, "pit_coverage_90", "worse"),
        (2.5, "pit_ks", "worse"),
        (2.5, "reliability", "worse"),
        (2.5, "brier", "worse"),
        (2.5, "log_score", "worse"),
        (0.3, "raw_coverage_90", ""),
    ],
)
def test_a_verdict_is_of_the_loss(factor, metric, verdict):
    rate = rates(N, 7)
    actual = outcome(rate, 7).purchases
    right, wrong = count_block(actual, poisson(rate), "right"), count_block(actual, poisson(factor * rate), "wrong")
    cohorts = {CUTOFFS[0]: cohort(np.arange(N))}
    judged = score_blocks([right, wrong], cohorts, reference="right", n_bootstrap=200)
    assert only(judged, method="wrong", metric=metric)["verdict"] == verdict
    if verdict in ("better", "worse"):
        turned = score_blocks([right, wrong], cohorts, reference="wrong", n_bootstrap=200)
        assert only(turned, method="right", metric=metric)["verdict"] == "better"


def test_order_is_judged_by_what_is_higher():
    rate = rates(N, 8)
    actual = outcome(rate, 8).purchases
    blocks = [count_block(actual, point(rate), "right"), count_block(actual, point(rate[::-1]), "wrong")]
    scores = score_blocks(blocks, {CUTOFFS[0]: cohort(np.arange(N))}, reference="wrong", n_bootstrap=200)
    for metric in ("pearson", "spearman", "gini", "capture_10", "capture_20", "lift_10"):
        row = only(scores, method="right", metric=metric)
        assert row["verdict"] == "better"
        assert row["difference_low"] > 0


def test_rounding_is_no_difference():
    rate = rates(N, 11)
    actual = outcome(rate, 11).purchases
    blocks = [count_block(actual, point(rate), "ours"), count_block(actual, point(1.3 * rate), "scaled")]
    scores = score_blocks(blocks, {CUTOFFS[0]: cohort(np.arange(N))}, reference="ours", n_bootstrap=100)
    row = only(scores, method="scaled", metric="pearson")
    assert row["verdict"] == "within noise"
    assert abs(row["difference"]) < 1e-12


def test_no_blocks_have_no_scores():
    assert list(score_blocks([], {}, reference="ours").columns) == list(SCORE_COLUMNS)


def test_a_calibrated_forecast_is_covered_as_often_as_it_says():
    n = 5_000
    rate = rates(n, 9)
    block = count_block(outcome(rate, 9).purchases, poisson(rate))
    scores = score_blocks([block], {CUTOFFS[0]: cohort(np.arange(n))}, reference="ours", n_bootstrap=100)
    for level in (0.5, 0.8, 0.9, 0.95):
        pit, raw = (only(scores, metric=f"{kind}_coverage_{100 * level:.0f}")["value"] for kind in ("pit", "raw"))
        # The chance of being covered varies less than being covered does.
        allowed = 4 * np.sqrt(level * (1 - level) / n)
        assert pit == pytest.approx(level, abs=allowed)
        assert raw > level + allowed
    assert only(scores, metric="pit_ks")["value"] < 1.63 / np.sqrt(n)  # the 1 % point


def test_infinite_log_scores_are_compared():
    rate = rates(N, 10)
    actual = outcome(rate, 10).purchases
    never = Forecast(np.zeros(N), p_purchase=np.zeros(N))
    blocks = [count_block(actual, f, name) for name, f in {"ours": poisson(rate), "a": never, "b": never}.items()]
    cohorts = {CUTOFFS[0]: cohort(np.arange(N))}
    against_ours = only(score_blocks(blocks, cohorts, reference="ours", n_bootstrap=50), method="a", metric="log_score")
    assert against_ours["value"] == against_ours["difference"] == against_ours["high"] == np.inf
    assert against_ours["verdict"] == "worse"
    against_b = only(score_blocks(blocks, cohorts, reference="b", n_bootstrap=50), method="a", metric="log_score")
    assert np.isnan(against_b["difference"])
    assert against_b["verdict"] == ""


def test_intervals_are_of_the_resamples_that_have_a_score():
    resamples = np.arange(1.0, 101.0)[::-1].copy()
    assert find_interval(resamples, 0.9) == (5.0, 96.0)
    resamples[:10] = np.nan
    assert find_interval(resamples, 0.9) == (5.0, 86.0)
    resamples[:11] = np.nan
    assert np.isnan(find_interval(resamples, 0.9)).all()
    assert find_interval(np.r_[np.arange(99.0), np.inf], 0.99) == (0.0, np.inf)


def test_cutoffs_are_named_by_day_or_to_the_second():
    assert name_cutoff(dt.date(1997, 9, 30)) == "1997-09-30"
    assert name_cutoff(pd.Timestamp("1997-09-30")) == "1997-09-30"
    assert name_cutoff(dt.datetime(1997, 9, 30, 12)) == "1997-09-30 12:00:00"
