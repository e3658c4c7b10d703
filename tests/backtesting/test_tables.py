"""Descriptive tables by hand, and against the scores they illustrate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from backtesting.simulated import CUTOFFS, cohort, count_block, outcome, point, poisson, rates
from predclv.backtesting.blocks import make_blocks
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.scores import score_blocks
from predclv.backtesting.tables import IDEAL, decile_table, gains_table, pit_table, reliability_table

N = 205


@pytest.fixture(scope="module")
def blocks():
    """Two cut-offs: calibrated counts with value, and a constant."""
    found = []
    for number, cutoff in enumerate(CUTOFFS[:2]):
        rate = rates(N, number)
        happened = outcome(rate, number, cutoff=cutoff)
        ours = Forecast(rate, poisson(rate).purchases, None, np.full(N, 30.0), 30 * rate)
        found += [
            *make_blocks(ours, happened, cutoff, "ours"),
            *make_blocks(point(np.ones(N)), happened, cutoff, "one"),
        ]
    return found


def of(table: pd.DataFrame, method: str = "ours", cutoff: str = "1997-06-30", quantity: str = "purchases"):
    rows = table[(table["method"] == method) & (table["cutoff"] == cutoff)]
    return rows[rows["quantity"] == quantity] if "quantity" in rows else rows


def test_deciles_are_means_of_the_highest_forecasts_first(blocks):
    table = decile_table(blocks)
    expected = ["horizon", "cutoff", "method", "quantity", "decile", "customers", "expected", "actual", "lift"]
    assert list(table.columns) == expected
    rows, block = of(table), blocks[0]
    assert list(rows["decile"]) == list(range(1, 11))
    assert set(rows["customers"]) == {20, 21}
    top = np.argsort(-block.mean)[: rows["customers"].iloc[0]]
    assert rows["expected"].iloc[0] == pytest.approx(block.mean[top].mean())
    assert rows["actual"].iloc[0] == pytest.approx(block.actual[top].mean())
    assert rows["lift"].iloc[0] == pytest.approx(block.actual[top].mean() / block.actual.mean())
    assert (rows["customers"] * rows["actual"]).sum() == pytest.approx(block.actual.sum())


def test_deciles_of_all_cutoffs_are_the_same_tenths_together(blocks):
    table = decile_table(blocks)
    first, second, both = (of(table, cutoff=cutoff) for cutoff in ("1997-06-30", "1997-09-30", "all"))
    np.testing.assert_array_equal(both["customers"], first["customers"].to_numpy() + second["customers"].to_numpy())
    expected = (first["expected"].to_numpy() + second["expected"].to_numpy()) / 2
    np.testing.assert_allclose(both["expected"], expected, rtol=1e-12)


def test_a_constant_has_ten_deciles_of_customers_at_random(blocks):
    rows = of(decile_table(blocks), "one")
    assert set(rows["expected"]) == {1.0}
    # 4 standard errors of the mean of 20 customers.
    allowed = 4 * blocks[0].actual.std() / np.sqrt(20) / blocks[0].actual.mean()
    np.testing.assert_allclose(rows["lift"], 1, atol=allowed)
    assert rows["lift"].std() > 0


def test_fewer_than_ten_customers_have_fewer_deciles():
    rows = of(decile_table([count_block([0.0, 2.0, 1.0], point([1.0, 3.0, 2.0]))]))
    assert list(rows["actual"]) == [2, 1, 0]
    assert rows["decile"].is_monotonic_increasing


def test_pit_histograms_are_means_over_randomisations(blocks):
    table = pit_table(blocks)
    assert list(table.columns) == ["horizon", "cutoff", "method", "quantity", "bin_low", "bin_high", "share"]
    assert set(table["method"]) == {"ours"}
    assert set(table["quantity"]) == {"purchases"}
    rows, block = of(table), blocks[0]
    below, at = stats.poisson.cdf(block.actual - 1, block.mean), stats.poisson.cdf(block.actual, block.mean)
    draws = below + np.random.default_rng(1).random((2000, N)) * (at - below)
    shares = np.histogram(draws, np.linspace(0, 1, 21))[0] / draws.size
    # 4 standard errors over 2,000 randomisations of 205 customers, each in the bin or not.
    np.testing.assert_allclose(rows["share"], shares, atol=4 * np.sqrt(0.05 * 0.95 / draws.size) * 1.5)
    assert rows["share"].sum() == pytest.approx(1)
    np.testing.assert_allclose(rows["bin_high"] - rows["bin_low"], 0.05)


def test_the_histogram_of_a_calibrated_forecast_is_flat():
    n = 10_000
    rate = rates(n, 3)
    share = pit_table([count_block(outcome(rate, 3).purchases, poisson(rate))])["share"]
    np.testing.assert_allclose(share, 0.05, atol=4 * np.sqrt(0.05 * 0.95 / n))


def test_gains_pass_through_the_captures(blocks):
    table = gains_table(blocks)
    assert list(table.columns) == ["horizon", "cutoff", "method", "quantity", "share_customers", "share_actual"]
    scores = score_blocks(blocks, {c: cohort(np.arange(N)) for c in CUTOFFS[:2]}, reference="ours", n_bootstrap=0)
    captures = scores[scores["metric"].isin(["capture_10", "capture_20"])]
    assert len(captures) == 2 * 3 * 3
    for row in captures.itertuples():
        curve = of(table, row.method, row.cutoff, row.quantity)
        share = curve.loc[np.isclose(curve["share_customers"], int(row.metric[-2:]) / 100), "share_actual"]
        assert share.item() == pytest.approx(row.value)


def test_gains_start_at_nothing_and_end_at_all_and_the_ideal_is_above(blocks):
    table = gains_table(blocks)
    assert "spend" not in set(table["quantity"])
    assert table.groupby(["cutoff", "method", "quantity"]).size().eq(101).all()
    ideal, ours = of(table, IDEAL, "all")["share_actual"], of(table, cutoff="all")["share_actual"]
    assert (ideal.to_numpy() >= ours.to_numpy()).all()
    assert (ours.iloc[0], ours.iloc[-1]) == (0, 1)
    constant = of(table, "one")
    np.testing.assert_allclose(constant["share_actual"], constant["share_customers"], atol=1e-12)


def test_reliability_is_forecast_beside_share_who_bought(blocks):
    table = reliability_table(blocks)
    assert list(table.columns) == ["horizon", "cutoff", "method", "bin", "customers", "predicted", "observed"]
    rows, block = of(table), blocks[0]
    assert rows["predicted"].is_monotonic_increasing
    lowest = np.argsort(block.mean)[: rows["customers"].iloc[0]]
    assert rows["predicted"].iloc[0] == pytest.approx(1 - np.exp(-block.mean[lowest]).mean())
    assert rows["observed"].iloc[0] == pytest.approx((block.actual[lowest] > 0).mean())
    scores = score_blocks(blocks, {c: cohort(np.arange(N)) for c in CUTOFFS[:2]}, reference="ours", n_bootstrap=0)
    score = scores[(scores["metric"] == "reliability") & (scores["cutoff"] == "1997-06-30")]["value"].item()
    weighted = (rows["customers"] * (rows["predicted"] - rows["observed"]) ** 2).sum() / N
    assert score == pytest.approx(weighted)


@pytest.mark.parametrize("table", [decile_table, pit_table, gains_table, reliability_table])
def test_tables_do_not_depend_on_the_order_of_blocks_and_may_be_empty(blocks, table):
    found, again = table(blocks), table(blocks[::-1])
    keys = list(found.columns[: list(found.columns).index("method") + 1]) + [
        name for name in ("quantity", "decile", "bin", "bin_low", "share_customers") if name in found
    ]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), again.sort_values(keys, ignore_index=True), check_exact=True
    )
    empty = table([])
    assert list(empty.columns) == list(found.columns)
    assert empty.empty


def test_nothing_brought_has_no_shares():
    block = count_block(np.zeros(30), point(np.arange(30.0)))
    assert gains_table([block])["share_actual"].isna().all()
    assert decile_table([block])["lift"].isna().all()
