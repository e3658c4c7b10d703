"""Migration between tiers: every customer counted once, other terms refused, and forecasts judged by what came."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import assign_tiers, tier_migration
from predclv.decisions.segments.migration import GONE, NEW
from predclv.errors import DataError, UnitError

CUTS = {"top": 60.0, "middle": 10.0, "low": 0.0}


@pytest.fixture(scope="module")
def log():
    sim = pc.datasets.simulate("bg_nbd", n_customers=1_500, births="12 weeks", observed="39 weeks", holdout="26 weeks")
    return sim


def snapshot(log, end):
    seen = log.log[log.log["date"] < pd.Timestamp(end) + pd.Timedelta(days=1)]
    return pc.RFMSummary.from_transactions(seen, amount="amount", observation_end=str(end), collapse="none")


@pytest.fixture(scope="module")
def summaries(log):
    return snapshot(log, log.observation_end), snapshot(log, log.end)


@pytest.fixture(scope="module")
def clv(summaries):
    return pc.CLV().fit(summaries[0])


@pytest.fixture(scope="module")
def pair(clv, summaries):
    return [assign_tiers(clv, rfm, "26 weeks", cuts=CUTS, n_draws=64) for rfm in summaries]


def test_every_customer_is_counted_once(clv, summaries, pair):
    found = tier_migration(*pair)
    assert found.counts.to_numpy().sum() == len(summaries[1])
    assert found.counts.loc[NEW].sum() == 0
    assert found.counts[GONE].sum() == 0
    assert found.counts.loc[list(CUTS)].sum(axis=1).tolist() == pair[0].table["customers"].iloc[:-1].tolist()
    merged = pair[0].customers.merge(pair[1].customers, on="customer_id", suffixes=("_old", "_new"))
    by_hand = pd.crosstab(merged["tier_old"], merged["tier_new"])
    for old in by_hand.index:
        for new in by_hand.columns:
            assert found.counts.loc[old, new] == by_hand.loc[old, new]
    np.testing.assert_allclose(found.shares.loc[list(CUTS)].sum(axis=1), 1)
    assert found.shares.loc[NEW].isna().all()
    assert "kept their tier" in found.say()
    assert "TierMigration" in repr(found)


def test_new_customers_and_those_who_are_gone_have_their_own_row_and_column(clv, summaries):
    old, new = summaries
    few = assign_tiers(clv, old[:1000], "26 weeks", cuts=CUTS, n_draws=16)
    later = assign_tiers(
        clv, new[np.flatnonzero(np.isin(new.customer_id, old.customer_id[400:]))], "26 weeks", cuts=CUTS
    )
    found = tier_migration(few, later)
    assert found.counts.loc[NEW].sum() == 500
    assert found.counts[GONE].sum() == 400
    assert found.counts.loc[NEW, GONE] == 0


def test_what_was_forecast_of_a_simulated_firm_came(log, summaries, pair):
    found = tier_migration(*pair)
    rows = found.outcomes
    assert len(rows) == 9
    sizes = rows.groupby("tier", sort=False)[["expected", "came"]].sum()
    np.testing.assert_allclose(sizes["expected"], sizes["came"])
    assert (rows["low"] <= rows["expected"]).all()
    assert (rows["expected"] <= rows["high"]).all()
    # Of nine numbers that hang together, at 90 %; the parameters were fitted to the same firm.
    assert rows["came"].between(rows["low"], rows["high"]).sum() >= 6
    # By hand, from the log.
    later = log.log[(log.log["date"] >= pd.Timestamp(log.observation_end) + pd.Timedelta(days=1))]
    brought = later.groupby("customer_id")["amount"].sum().reindex(pair[0].customers["customer_id"]).fillna(0.0)
    delta = np.log(1.1) * 7 / 365.25 * 26
    worth = brought.to_numpy() * -np.expm1(-delta) / delta
    tier = np.select([worth >= 60, worth >= 10], ["top", "middle"], "low")
    by_hand = pd.crosstab(pair[0].customers["tier"].to_numpy(), tier)
    for row in rows.itertuples():
        assert row.came == by_hand.loc[row.tier, row.outcome]


def test_where_the_dates_are_not_the_horizon_apart_it_says_why(clv, summaries):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old, new = (assign_tiers(clv, rfm, "52 weeks", cuts=CUTS, n_draws=16) for rfm in summaries)
    found = tier_migration(old, new)
    assert found.outcomes is None
    assert found.why_not == "26 weeks have passed, and the chances are about 52"


def changed(tiers, **settings):
    return replace(tiers, settings={**tiers.settings, **settings})


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"currency": "EUR"}, "differ in currency"),
        ({"time_unit": "day"}, "differ in time unit"),
        ({"discount_rate": 0.2}, "differ in discount rate"),
        ({"margin": 0.5}, "differ in margin"),
        ({"models": ["ParetoNBD", "GammaGamma"]}, "differ in models"),
        ({"length": 52.0, "horizon": "1 year"}, "over different horizons: 26 weeks and 1 year"),
    ],
)
def test_snapshots_of_other_terms_are_refused(pair, settings, match):
    with pytest.raises(UnitError, match=match):
        tier_migration(pair[0], changed(pair[1], **settings))


def test_other_cuts_dates_customers_and_types_are_refused(clv, summaries, pair):
    other = assign_tiers(clv, summaries[1], "26 weeks", tiers=2, n_draws=16)
    with pytest.raises(DataError, match=r"Assign the new tiers with cuts=old\.cuts"):
        tier_migration(pair[0], other)
    with pytest.raises(DataError, match="must be later"):
        tier_migration(pair[1], pair[0])
    renamed = replace(pair[1].snapshot, customer_id=pair[1].snapshot.customer_id.astype(str))
    with pytest.raises(DataError, match="No customer of the old snapshot is in the new one"):
        tier_migration(pair[0], replace(pair[1], snapshot=renamed))
    with pytest.raises(TypeError, match="'new' must be what assign_tiers returns"):
        tier_migration(pair[0], pair[1].customers)


def test_contracts_migrate_and_say_why_they_are_not_judged():
    found = []
    for counts in ([200, 160, 140, 130], [200, 160, 140, 130, 124]):
        subs = pc.Subscriptions.from_cohorts(counts, price=10.0, observation_end=f"{2020 + len(counts)}-12-31")
        clv = pc.CLV(pc.SBG()).fit(subs)
        found.append(assign_tiers(clv, subs, 1, cuts={"some": 5.0, "none": 0.0}))
    migration = tier_migration(*found)
    assert migration.counts.to_numpy().sum() >= 200
    assert migration.outcomes is None
    assert "price of today" in migration.why_not
