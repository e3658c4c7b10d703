"""Figures of retention: what counting by hand gives, with their definitions beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import activity, retention_metrics
from predclv.decisions.cohorts.gaps import gap_table
from predclv.errors import DataError

END = "1998-06-30"


@pytest.fixture(scope="module")
def log():
    return pc.datasets.load_cdnow()


@pytest.fixture(scope="module")
def metrics(log):
    return retention_metrics(log, amount="amount", observation_end=END)


def by_hand(log):
    days = log.groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    days["period"] = days["date"].dt.to_period("Q")
    spent = days.pivot_table(index="customer_id", columns="period", values="amount", aggfunc="sum", fill_value=0.0)
    bought = days.pivot_table(index="customer_id", columns="period", values="amount", aggfunc="size", fill_value=0)
    return days, spent, bought


def test_they_are_what_counting_gives(log, metrics):
    days, spent, bought = by_hand(log)
    table = metrics.table.set_index("period")
    for before, now in zip(spent.columns, spent.columns[1:], strict=False):
        base = bought[before] > 0
        row = table.loc[now]
        assert row["active_customers"] == (bought[now] > 0).sum()
        assert row["churn_rate"] == pytest.approx(1 - (base & (bought[now] > 0)).sum() / base.sum())
        of_base = spent.loc[base, [before, now]].sum()
        assert row["net_revenue_retention"] == pytest.approx(of_base[now] / of_base[before])
        kept = np.minimum(spent[now], spent[before])[base].sum()
        assert row["gross_revenue_retention"] == pytest.approx(kept / of_base[before])
        assert row["average_order_value"] == pytest.approx(spent[now].sum() / bought[now].sum())
        again = days[days["period"] <= now].groupby("customer_id").size()
        assert row["repeat_rate"] == pytest.approx((again > 1).mean())
    first = table.iloc[0]
    assert first["new_customers"] == first["active_customers"] == 2357
    assert np.isnan(first["churn_rate"])
    assert (table["revenue"] == table["new_revenue"] + table["returning_revenue"]).all()
    for name in ("churn_rate", "net_revenue_retention", "gross_revenue_retention", "repeat_rate"):
        known = table[name].dropna()
        assert (table.loc[known.index, f"{name}_low"] <= known).all()
        assert (table.loc[known.index, f"{name}_high"] >= known).all()
    assert "churn 56%" in repr(metrics)


def test_every_column_has_a_definition(metrics):
    defined = set(metrics.definitions["metric"])
    plain = {name for name in metrics.table if not name.endswith(("_low", "_high"))} - {"period", "note"}
    assert plain <= defined
    churn = metrics.definitions.set_index("metric").loc["churn_rate", "definition"]
    assert "not the model's" in churn


def test_open_gaps_make_gaps_longer(metrics):
    gaps = metrics.gaps.set_index("quantile")
    assert (gaps["days"] > gaps["observed_days"]).all()
    assert gaps.loc[0.5, "observed_days"] == 34
    assert np.isinf(gaps.loc[0.9, "days"])


def test_gaps_of_a_known_rhythm():
    """Exponential gaps watched for as long as their mean: half of them end within 69 days, and the naive half, 41."""
    rng = np.random.default_rng(3)
    gap, watched = rng.exponential(100, 40_000), rng.uniform(0, 200, 40_000)
    over = gap <= watched
    closed, still = (
        np.bincount(np.where(part, np.minimum(gap, watched), -1)[part].astype(int)) for part in (over, ~over)
    )
    days = np.arange(200)
    table = pd.DataFrame({"segment": "all", "days": days})
    table["closed"], table["still_open"] = np.pad(closed, (0, 200 - len(closed))), np.pad(still, (0, 200 - len(still)))
    found = gap_table(table).set_index("quantile")
    assert found.loc[0.5, "days"] == pytest.approx(100 * np.log(2), abs=3)
    assert found.loc[0.5, "observed_days"] < 55


def test_intervals_of_revenue_retention_hold_the_truth():
    """Customers whose spend is kept by chance: the interval of the ratio holds its truth as often as it says."""
    rng, n = np.random.default_rng(11), 300
    ids = np.arange(n * 200)
    before = rng.gamma(2.0, 20.0, len(ids))
    stays = rng.random(len(ids)) < 0.6
    later = before * rng.gamma(5.0, 0.2, len(ids))
    log = pd.DataFrame(
        {
            "customer_id": np.r_[ids, ids[stays]],
            "date": pd.to_datetime(["2024-01-15"] * len(ids) + ["2024-02-15"] * int(stays.sum())),
            "amount": np.r_[before, later[stays]],
        }
    )
    log["firm"] = log["customer_id"] % n
    options = {"amount": "amount", "observation_start": "2024-01-01", "observation_end": "2024-02-29"}
    table = retention_metrics(log, by="firm", period="month", **options).table
    rows = table[table["period"] == "2024-02"]
    inside = (rows["net_revenue_retention_low"] <= 0.6) & (rows["net_revenue_retention_high"] >= 0.6)
    # Three standard errors of a share of 300.
    assert inside.mean() == pytest.approx(0.9, abs=0.052)


def test_contracts_by_hand():
    log = pd.DataFrame(
        {
            "customer_id": range(4),
            "start": ["2024-01-10", "2024-01-20", "2024-01-25", "2024-03-05"],
            "end": ["2024-03-10", None, "2024-02-25", None],
            "price": [10.0, 20.0, 30.0, 40.0],
        }
    )
    subs = pc.Subscriptions.from_log(log, price="price", observation_end="2024-04-30")
    metrics = retention_metrics(subs, period="month", min_customers=1)
    table = metrics.table
    assert table["new_customers"].tolist() == [3, 0, 1, 0]
    assert table["active_customers"].tolist() == [3, 2, 2, 2]
    np.testing.assert_allclose(table["churn_rate"], [np.nan, 1 / 3, 1 / 2, 0.0])
    np.testing.assert_allclose(table["net_revenue_retention"], [np.nan, 30 / 60, 20 / 30, 1.0])
    assert metrics.gaps is None
    assert "logo" in metrics.definitions.set_index("metric").loc["churn_rate", "definition"]
    with pytest.raises(DataError, match="belongs to their making"):
        retention_metrics(subs, amount="price")


def test_few_customers_are_not_enough_to_say():
    log = pd.DataFrame({"customer_id": [1, 1, 2], "date": ["2024-01-05", "2024-02-10", "2024-02-11"]})
    table = retention_metrics(log, period="month", observation_end="2024-02-29").table
    assert table["note"].str.startswith("not enough to say").all()
    assert table["churn_rate"].isna().all()
    assert table["active_customers"].tolist() == [1, 2]
    said = retention_metrics(log, period="month", observation_end="2024-02-29").say()
    assert said.endswith("not enough to say: fewer than 20 customers; the period before starts on 2024-01-05")


def test_a_period_that_observation_starts_within_says_so(log):
    table = retention_metrics(log, period="month", observation_start="1997-02-15", observation_end=END).table
    assert str(table["period"].iloc[0]) == "1997-02"
    assert table["note"].tolist()[:3] == ["starts on 1997-02-15", "the period before starts on 1997-02-15", ""]
    assert (retention_metrics(log, period="month", observation_end=END).table["note"] == "").all()


def test_what_cannot_be_meant_is_refused(log):
    found = activity(log, amount="amount", observation_end=END)
    with pytest.raises(DataError, match="by month"):
        retention_metrics(found, period="year")
    with pytest.raises(DataError, match="belongs to its making"):
        retention_metrics(found, period="month", amount="amount")
    with pytest.raises(DataError, match="No year is over"):
        retention_metrics(log, period="year", observation_end="1997-09-30")
    for least in (0, -1, 2.5):
        with pytest.raises(ValueError, match="whole number from 1 on"):
            retention_metrics(log, min_customers=least, observation_end=END)
