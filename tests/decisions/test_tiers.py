"""Tiers: chances that are true of simulated customers, ties kept together, and words where there is not enough."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import assign_tiers, pareto_curve, value_by_segment
from predclv.decisions.segments.tier_cuts import cut_by_shares, tier_codes
from predclv.errors import ConvergenceWarning, DataError, DataQualityWarning, UnitError


@pytest.fixture(scope="module")
def sim():
    return pc.datasets.simulate_rfm("bg_nbd", n_customers=1_000, T=(20.0, 39.0), horizons=[39], lattice=1, seed=5)


@pytest.fixture(scope="module")
def rfm(sim):
    channel = np.where(np.arange(len(sim.rfm)) % 3, "search", "mail")
    return pc.RFMSummary.from_frame(sim.rfm.to_pandas().assign(channel=channel), time_unit="week", carry=["channel"])


@pytest.fixture(scope="module")
def clv(rfm):
    return pc.CLV().fit(rfm)


@pytest.fixture(scope="module")
def tiers(clv, rfm):
    return assign_tiers(clv, rfm, 39)


def test_tiers_are_ranges_of_the_expected_value_and_their_tables_agree(clv, rfm, tiers):
    found, starts = tiers.customers, np.array(list(tiers.cuts.values()))
    np.testing.assert_allclose(found["expected_clv"], clv.predict(rfm, 39)["expected_clv"], rtol=1e-12)
    begins = found["tier"].map(tiers.cuts)
    assert (found["expected_clv"] >= begins).all()
    assert list(found["tier"].unique()) != ["top"]
    for tier, start in zip(list(tiers.cuts)[1:], starts, strict=False):
        assert (found.loc[found["tier"] == tier, "expected_clv"] < start).all()
    chances = found[[f"p_in_{tier}" for tier in tiers.cuts]].to_numpy()
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-12)
    own = np.take_along_axis(chances, tiers.snapshot.codes[:, np.newaxis], axis=1)[:, 0]
    assert (own == found["p_right"]).all()
    assert found["p_mean_right"].between(0, 1).all()
    table = tiers.table.set_index("tier")
    assert list(table.index) == [*tiers.cuts, "existing customers"]
    by_tier = found.groupby("tier")["expected_clv"]
    for tier in tiers.cuts:
        assert table.loc[tier, "customers"] == by_tier.size()[tier]
        assert table.loc[tier, "expected_clv"] == pytest.approx(by_tier.sum()[tier])
        assert table.loc[tier, "mean_clv"] == pytest.approx(by_tier.mean()[tier])
        assert table.loc[tier, "p_right"] == pytest.approx(found.loc[found["tier"] == tier, "p_right"].mean())
    assert table["share_of_value"].iloc[:-1].sum() == pytest.approx(1)
    assert (table["share_low"] <= table["share_of_value"]).all()
    assert (table["share_of_value"] <= table["share_high"]).all()
    np.testing.assert_allclose(tiers.outcomes.sum(axis=1), table["customers"].iloc[:-1], rtol=1e-9)
    assert "hold" in tiers.say()
    assert "CustomerTiers" in repr(tiers)


def test_a_total_is_that_of_the_portfolio(clv, rfm, tiers):
    whole = clv.portfolio(rfm, 39).iloc[-1]
    for name in ("customers", "expected_clv", "expected_clv_low", "expected_clv_high"):
        assert tiers.table.iloc[-1][name] == pytest.approx(whole[name])
    # One history may be of two segments, in another order of the same random numbers: equal but for chance.
    width = whole["clv_high"] - whole["clv_low"]
    assert abs(tiers.table.iloc[-1]["clv_low"] - whole["clv_low"]) < 0.15 * width


def test_customers_of_one_history_are_never_parted(tiers, rfm):
    history = pd.DataFrame({"x": rfm.frequency, "t": rfm.recency, "T": rfm.T, "m": rfm.monetary_value})
    parts = history.assign(tier=tiers.customers["tier"]).groupby(["x", "t", "T", "m"])["tier"].nunique()
    assert parts.max() == 1
    rows = tiers.table.iloc[:-1]
    most = history.groupby(["x", "t", "T", "m"]).size().max() / len(history)
    # As near to its share as the greatest tie lets it be: half of one on either side.
    assert (rows["share_of_customers"] - rows["aimed_at"]).abs().max() <= most
    assert (rows["aimed_at"] == 0.25).all()


def test_cuts_lie_where_the_shares_come_nearest():
    expected = np.array([9.0, 5, 5, 5, 2, 2, 1, 1, 1, 1])
    ones = np.ones(10)

    def sizes(shares):
        starts = cut_by_shares(expected, ones, np.array(shares))
        assert starts[-1] == 0
        return np.bincount(tier_codes(expected, starts), minlength=len(shares)).tolist()

    assert sizes([0.3, 0.7]) == [4, 6]
    assert sizes([0.2, 0.8]) == [1, 9]
    assert sizes([0.45, 0.55]) == [4, 6]
    # Three quarters of the ties are aimed at, and every tier has somebody.
    assert sizes([0.25, 0.25, 0.25, 0.25]) == [1, 3, 2, 4]
    by_value = cut_by_shares(expected, expected, np.array([0.25, 0.25, 0.5]))
    assert np.bincount(tier_codes(expected, by_value)).tolist() == [1, 3, 6]
    with pytest.raises(DataError, match="5 tiers need customers of at least 5 different expectations, and there are 4"):
        sizes([0.2] * 5)
    neighbours = np.array([np.nextafter(1.0, 2), 1.0])
    assert tier_codes(neighbours, cut_by_shares(neighbours, ones[:2], np.array([0.5, 0.5]))).tolist() == [0, 1]


@pytest.mark.slow
def test_stated_chances_shares_and_curves_are_true_of_simulated_firms():
    """Reliability in tenths, over 20 firms with fitted parameters, and intervals that hold as often as they say."""
    gaps, mean_gaps, held = np.zeros((20, 10)), np.zeros(20), np.zeros((20, 3))
    for seed in range(20):
        sim = pc.datasets.simulate_rfm("bg_nbd", n_customers=1_200, T=39.0, horizons=[39], seed=seed)
        with warnings.catch_warnings():
            # Some firms have the ridge of a and b, or spend that goes with frequency by chance.
            warnings.simplefilter("ignore")
            clv = pc.CLV().fit(sim.rfm)
        cuts = {"top": 70.0, "middle": 20.0, "low": 0.0}
        found = assign_tiers(clv, sim.rfm, 39, cuts=cuts, n_draws=256)
        starts = np.array(list(cuts.values()))
        came = np.eye(3)[tier_codes(sim.value[0], starts)]
        chances = found.snapshot.chances
        tenth = np.minimum((chances * 10).astype(int), 9)
        gaps[seed] = np.bincount(tenth.ravel(), (came - chances).ravel(), 10)
        # The truth's own expectation.
        truth = np.array([list(sim.parameters.values())])
        p, q, gamma = sim.spend_parameters.values()
        x, m = sim.rfm.frequency.astype(float), sim.rfm.monetary_value
        buys = clv.transactions_.bindings.discounted_expected_purchases(
            x, sim.rfm.recency, sim.rfm.T, 39.0, sim.delta, truth
        )[0]
        expected = buys * p * (gamma + x * m) / (p * x + q - 1)
        mean_gaps[seed] = (tier_codes(expected, starts) == found.snapshot.codes).mean() - found.customers[
            "p_mean_right"
        ].mean()
        share = sim.value[0][found.snapshot.codes == 0].sum() / sim.value[0].sum()
        held[seed, 0] = found.table["share_low"].iloc[0] <= share <= found.table["share_high"].iloc[0]
        curve = pareto_curve(clv, sim.rfm, 39, n_draws=200).at(0.2)
        best = np.sort(sim.value[0])[::-1][: len(x) // 5].sum() / sim.value[0].sum()
        held[seed, 1] = curve["outcome_low"] <= best <= curve["outcome_high"]
        order = np.argsort(-found.customers["expected_clv"].to_numpy(), kind="stable")
        chosen = sim.value[0][order[: len(x) // 5]].sum() / sim.value[0].sum()
        held[seed, 2] = curve["chosen_low"] <= chosen <= curve["chosen_high"]
    # Customers of one firm share its parameters' error, so firms are what counts: t with 19 degrees, 10 of them.
    t = gaps.mean(axis=0) / (gaps.std(axis=0, ddof=1) / np.sqrt(20))
    assert np.abs(t).max() < 4
    assert abs(mean_gaps.mean()) < 4 * mean_gaps.std(ddof=1) / np.sqrt(20) + 0.002
    # 90 % of 20 are 18; fewer than 14 have a probability of 0.2 % each.
    assert (held.sum(axis=0) >= 14).all()


def test_a_middle_tier_is_seldom_right_and_says_so(tiers):
    """Half of all customers bring nothing, whatever tier their expectation is in."""
    rows = tiers.table.set_index("tier")
    assert rows.loc["middle", "p_right"] < 0.2 < rows.loc["low", "p_right"]
    assert rows.loc["middle", "p_mean_right"] > rows.loc["middle", "p_right"]
    assert tiers.outcomes.loc["middle", "low"] > 0.5 * tiers.outcomes.loc["middle"].sum()


def test_cuts_make_the_same_tiers_again_and_shares_may_be_named(clv, rfm, tiers):
    again = assign_tiers(clv, rfm, 39, cuts=tiers.cuts, n_draws=16)
    assert (again.customers["tier"] == tiers.customers["tier"]).all()
    assert again.table["aimed_at"].isna().all()
    gold = assign_tiers(clv, rfm, 39, tiers={"gold": 0.05, "rest": 0.95}, n_draws=16)
    assert gold.table["customers"].tolist() == pytest.approx([50, 950, 1000], abs=3)
    empty = assign_tiers(clv, rfm, 39, cuts={"rich": 1e9, "rest": 0.0}, n_draws=16)
    assert empty.table["customers"].tolist() == [0, 1000, 1000]
    assert np.isnan(empty.table["mean_clv"][0])
    assert np.isnan(empty.table["p_right"][0])
    assert (empty.customers["p_in_rich"] < 1e-3).all()


def test_tiers_of_equal_value_hold_equal_value(clv, rfm):
    found = assign_tiers(clv, rfm, 39, tiers=3, method="value", n_draws=64)
    assert list(found.cuts) == ["tier 1", "tier 2", "tier 3"]
    np.testing.assert_allclose(found.table["share_of_value"].iloc[:-1], 1 / 3, atol=0.03)
    assert found.table["customers"].iloc[:-1].is_monotonic_increasing


def test_k_means_orders_its_clusters_and_tells_whom_it_has_elsewhere(clv, rfm):
    one, two = (assign_tiers(clv, rfm, 39, tiers=3, method="kmeans", n_draws=16, seed=7) for _ in range(2))
    assert one.cuts == two.cuts
    assert 0 <= one.settings["moved"] < 0.2
    assert one.table["mean_clv"].iloc[:-1].is_monotonic_decreasing
    assert one.table["aimed_at"].isna().all()
    with pytest.raises(ValueError, match="k-means finds the sizes"):
        assign_tiers(clv, rfm, 39, tiers={"a": 0.5, "b": 0.5}, method="kmeans")


def test_any_segment_has_its_share_with_an_interval_of_draws(clv, rfm):
    table = value_by_segment(clv, rfm, 39, by="channel").set_index("segment")
    whole = clv.portfolio(rfm, 39, by="channel").set_index("segment")
    for name in ("customers", "expected_clv", "clv_low", "clv_high", "share_of_value", "share_low", "share_high"):
        np.testing.assert_allclose(table[name], whole[name])
    # What moves both channels alike moves no share: the interval is narrower than the ratio of ends.
    width = table["share_high"] - table["share_low"]
    ratio = (table["clv_high"] - table["clv_low"]) / table.loc["existing customers", "expected_clv"]
    assert (width.iloc[:-1] < ratio.iloc[:-1]).all()
    assert table.loc["mail", "share_low"] + table.loc["search", "share_high"] == pytest.approx(1)
    with pytest.raises(DataError, match="by='chanel' is no carried column"):
        value_by_segment(clv, rfm, 39, by="chanel")


def test_forty_accounts_are_warned_of_and_words_say_that_it_is_not_enough(clv, rfm):
    with pytest.warns(DataQualityWarning, match="4 of 4 tiers have fewer than 30 customers"):
        small = assign_tiers(clv, rfm[:40], 39)
    assert "not enough to say" in small.say()
    large = assign_tiers(clv, rfm, 39)
    width = [(one.table["share_high"] - one.table["share_low"])[0] for one in (small, large)]
    assert width[0] > 2 * width[1]


def test_one_customer_all_alike_and_nothing_to_be_worth(clv, rfm):
    with pytest.raises(DataError, match="at least 4 different expectations, and there are 1"):
        assign_tiers(clv, rfm[:1], 39)
    alike = pc.RFMSummary.from_frame(
        pd.DataFrame({"frequency": [2] * 50, "recency": 10.0, "T": 39.0, "monetary_value": 30.0}), time_unit="week"
    )
    with pytest.raises(DataError, match="Ask for fewer tiers"):
        assign_tiers(clv, alike, 39)
    cut = assign_tiers(clv, alike, 39, cuts={"rich": 20.0, "poor": 0.0}, n_draws=32)
    assert sorted(cut.table["customers"]) == [0, 50, 50]
    with pytest.raises(DataError, match="there are 1"):
        assign_tiers(clv, rfm, 39, margin=0.0)
    nothing = assign_tiers(clv, rfm, 39, margin=0.0, cuts={"some": 1.0, "none": 0.0}, n_draws=16)
    assert nothing.table["share_of_value"].isna().all()
    assert "none of the 1,000 customers" in nothing.say()
    assert (nothing.customers["p_right"] == 1).all()
    with pytest.warns(DataQualityWarning):
        one = assign_tiers(clv, rfm[:1], 39, cuts={"some": 1.0, "none": 0.0})
    assert len(one.customers) == 1


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"tiers": 1}, ValueError, "from 2 to 100"),
        ({"tiers": 2.5}, ValueError, "whole number"),
        ({"tiers": "gold"}, ValueError, "single name"),
        ({"tiers": ["a", "a"]}, ValueError, "same name"),
        ({"tiers": ["a", " "]}, ValueError, "no name"),
        ({"tiers": {"a": 0.5, "b": 0.6}}, ValueError, "add up to 1"),
        ({"tiers": {"a": 1.0}}, ValueError, "at least two"),
        ({"method": "quantiles"}, ValueError, "quantile"),
        ({"cuts": {"a": 1.0, "b": 2.0}}, ValueError, "must fall"),
        ({"cuts": {"a": 2.0, "b": 1.0}}, ValueError, "must begin at 0"),
        ({"cuts": {"a": np.nan, "b": 0.0}}, ValueError, "finite"),
        ({"cuts": [2.0, 0.0]}, ValueError, "best first"),
        ({"cuts": {"a": 2.0, "b": 0.0}, "tiers": 2}, ValueError, "neither"),
        ({"margin": 1.5}, ValueError, "at most 1"),
        ({"level": 90}, ValueError, "level"),
    ],
)
def test_bad_options_are_refused(clv, rfm, options, error, match):
    with pytest.raises(error, match=match):
        assign_tiers(clv, rfm, 39, **options)


def test_other_units_collapsed_rows_and_no_models_are_refused(clv, rfm):
    days = pc.RFMSummary.from_frame(rfm.to_pandas(), time_unit="day")
    with pytest.raises(UnitError, match="day"):
        assign_tiers(clv, days, 39)
    with pytest.raises(TypeError, match="must be a fitted CLV"):
        assign_tiers(clv.transactions_, rfm, 39)
    frame = rfm.to_pandas().assign(weight=2)
    rows = pc.RFMSummary.from_frame(frame, time_unit="week", weight="weight")
    with pytest.raises(DataError, match=r"rfm\.expand\(\)"):
        assign_tiers(clv, rows, 39)


def test_contracts_have_tiers_and_rows_of_a_cohort_count_by_their_customers():
    sim = pc.datasets.simulate_contracts(n_customers=400, observed=(0, 12), seed=3)
    clv = pc.CLV(pc.SBG()).fit(sim.subs)
    found = assign_tiers(clv, sim.subs, 12, tiers=["best", "rest"], method="value")
    expected = clv.predict(sim.subs, 12)["expected_clv"]
    np.testing.assert_allclose(found.customers["expected_clv"], expected)
    assert found.table["share_of_value"][0] == pytest.approx(0.5, abs=0.02)
    assert found.customers.loc[sim.subs.ended, "p_in_best"].eq(0).all()
    subs = pc.Subscriptions.from_cohorts([200, 160, 140, 130], price=10.0)
    grouped = assign_tiers(pc.CLV(pc.SBG()).fit(subs), subs, 3, tiers=2)
    assert grouped.table["customers"].tolist() == [130, 70, 200]
    assert grouped.outcomes.to_numpy().sum() == pytest.approx(200)


@pytest.mark.parametrize("key", ["pareto_nbd", "bg_bb"])
def test_other_models_have_tiers_too(key):
    times = {"T": (6, 8), "horizons": [6], "time_unit": "month"} if key == "bg_bb" else {"T": 39.0, "horizons": [26]}
    sim = pc.datasets.simulate_rfm(key, n_customers=150, seed=2, **times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clv = pc.CLV(pc.MODELS[key](method="map"), pc.GammaGamma(method="map")).fit(sim.rfm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataQualityWarning)
        found = assign_tiers(clv, sim.rfm, float(sim.horizons[0]), tiers=2, method="value", n_draws=64)
    assert found.table["share_of_value"][0] == pytest.approx(0.5, abs=0.1)
    np.testing.assert_allclose(found.outcomes.to_numpy().sum(), 150)


def test_models_by_segment_answer_for_their_own_customers(rfm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clv = pc.CLV(pc.BGNBD(method="map", segment="channel"), pc.GammaGamma(method="map", segment="channel")).fit(rfm)
    found = assign_tiers(clv, rfm, 39, n_draws=64)
    np.testing.assert_allclose(found.customers["expected_clv"], clv.predict(rfm, 39)["expected_clv"], rtol=1e-9)
    np.testing.assert_allclose(found.outcomes.to_numpy().sum(), len(rfm))


def test_the_frame_that_came_is_the_frame_that_goes(clv, rfm):
    pl = pytest.importorskip("polars")
    summary = pc.RFMSummary.from_frame(pl.from_pandas(rfm.to_pandas()), time_unit="week")
    found = assign_tiers(clv, summary, 39, tiers=2, n_draws=16)
    assert isinstance(found.customers, pl.DataFrame)
    assert found.customers.columns[:3] == ["customer_id", "expected_clv", "tier"]
