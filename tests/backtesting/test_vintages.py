"""Vintages by hand: who is known, who is forecast, what followed, and that nothing later is known."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting.logs import read_purchases
from predclv.backtesting.vintages import plan_vintages
from predclv.errors import DataError, DataQualityWarning

# 20 customers, one a day from 1 January on, who come again after three weeks: enough at any cut-off from 21 January on.
CROWD = [
    (f"c{i:02}", str(dt.date(2024, 1, 1) + dt.timedelta(days=i + later)), 10.0) for i in range(20) for later in (0, 21)
]


def make_log(*rows):
    return pd.DataFrame([*CROWD, *rows], columns=["customer_id", "date", "amount"])


def vintages(log, horizons=("4 weeks",), *, options=None, end="2024-12-31", amount="amount", **asked):
    options = {"observation_end": end, **(options or {})}
    purchases = read_purchases(log, amount=amount, segments=asked.get("segments", ()), **options)
    return plan_vintages(purchases, list(horizons), **asked)


def of(vintage, customer, column="purchases", outcome=0):
    position = list(vintage.cohort.customer_id).index(customer)
    return getattr(vintage.outcomes[outcome], column)[position]


def test_outcomes_of_a_log_counted_by_hand():
    log = make_log(
        ("c00", "2024-03-31", 1.0),  # the last day that is known
        ("c00", "2024-04-01", 2.0),
        ("c00", "2024-04-01", 4.0),  # the same day: one purchase
        ("c00", "2024-04-28", 8.0),  # the last day of four weeks
        ("c01", "2024-04-29", 16.0),  # the first day after them
        ("new", "2024-04-10", 32.0),
        ("new", "2024-04-20", 64.0),
        ("late", "2024-05-10", 128.0),
    )
    [vintage] = vintages(log, ["4 weeks", "8 weeks"], cutoffs=["2024-03-31"])
    near, far = vintage.outcomes
    assert (near.horizon, near.length, near.end) == ("4 weeks", 4.0, dt.date(2024, 4, 28))
    assert (far.horizon, far.length, far.end) == ("8 weeks", 8.0, dt.date(2024, 5, 26))
    assert len(near.purchases) == len(vintage.cohort.customer_id) == 20  # an empty holdout keeps its customers
    assert (of(vintage, "c00"), of(vintage, "c00", "spend")) == (2, 14.0)
    assert (of(vintage, "c01"), of(vintage, "c01", outcome=1), of(vintage, "c01", "spend", 1)) == (0, 1, 16.0)
    assert (near.purchases.sum(), far.purchases.sum()) == (2, 3)
    assert [(o.new_customers, o.new_purchases) for o in vintage.outcomes] == [(1, 2), (2, 3)]
    assert "new" not in vintage.cohort.customer_id
    rfm = vintage.known.everyone.rfm
    assert rfm.frequency[list(rfm.customer_id).index("c00")] == 2
    assert vintage.known.lengths == (4.0, 8.0)
    assert vintage.actual_track[-1] == 3


def test_nothing_after_a_cutoff_is_known():
    log = make_log(("c00", "2024-03-31 23:59:59", 1.0), ("c00", "2024-04-01 00:00:00", 2.0), ("x", "2024-05-01", 3.0))
    for vintage in vintages(log, cutoffs=["2024-03-31", "2024-04-30"], options={"date_format": None}):
        for history in (vintage.known.learning, vintage.known.everyone):
            assert history.log["date"].max() < pd.Timestamp(vintage.cutoff) + pd.Timedelta(days=1)
            assert history.rfm.observation_end == vintage.cutoff
            assert set(history.log["customer_id"]) == set(history.rfm.customer_id)


def test_known_and_future_rows_part_the_log():
    sim = pc.datasets.simulate(n_customers=300, births="39 weeks", holdout="13 weeks", seed=3)
    [vintage] = vintages(sim.log, ["13 weeks"], cutoffs=[sim.observation_end], end=sim.end)
    [outcome] = vintage.outcomes
    assert len(vintage.known.everyone.log) + (sim.log["date"] >= "2024-09-30").sum() == len(sim.log)
    per_day = sim.log.assign(day=sim.log["date"].dt.normalize()).drop_duplicates(["customer_id", "day"])
    assert outcome.purchases.sum() + outcome.new_purchases == (per_day["day"] >= "2024-09-30").sum()
    assert outcome.spend.sum() == pytest.approx(sim.log.loc[sim.log["date"] >= "2024-09-30", "amount"].sum())


def test_rows_after_observation_end_are_unknown():
    log = make_log(("c00", "2024-04-10", 1.0), ("c00", "2024-04-20", 1.0))
    [vintage] = vintages(log, ["2 weeks"], end="2024-04-14", cutoffs=["2024-03-31"])
    assert vintage.outcomes[0].purchases.sum() == 1
    with pytest.raises(DataError, match=r"4 weeks from the cut-off 2024-03-31 end on 2024-04-28"):
        vintages(log, ["4 weeks"], end="2024-04-14", cutoffs=["2024-03-31"])


def test_a_log_may_be_complete_beyond_its_last_row():
    log = make_log()
    with pytest.raises(DataError, match="observation_end, if the log is complete beyond its last row"):
        vintages(log, ["52 weeks"], end=None, cutoffs=["2024-01-31"])
    [vintage] = vintages(log, ["52 weeks"], end="2025-02-28", cutoffs=["2024-02-29"])
    assert vintage.outcomes[0].purchases.tolist() == [0.0] * 20
    assert vintage.outcomes[0].spend.tolist() == [0.0] * 20


def test_returns_are_netted_within_the_holdout():
    log = make_log(
        ("c00", "2024-04-02", 50.0),
        ("c00", "2024-04-03", -20.0),
        ("c01", "2024-04-03", -10.0),  # of an earlier purchase
        ("c02", "2024-04-03", 5.0),
        ("c02", "2024-04-04", -30.0),
    )
    [net] = vintages(log, cutoffs=["2024-03-31"])
    assert [of(net, name) for name in ("c00", "c01", "c02")] == [1, 0, 1]
    assert [of(net, name, "spend") for name in ("c00", "c01", "c02")] == [30.0, 0.0, 0.0]
    assert net.actual_track[-1] == 2
    [ignored] = vintages(log, cutoffs=["2024-03-31"], options={"returns": "ignore"})
    assert [of(ignored, name, "spend") for name in ("c00", "c01", "c02")] == [50.0, 0.0, 5.0]
    with pytest.raises(DataError, match="is negative for"):
        vintages(log, cutoffs=["2024-03-31"], options={"returns": "error"})


def test_a_new_customer_with_a_return_alone_has_bought_nothing():
    [vintage] = vintages(make_log(("new", "2024-04-03", -10.0)), cutoffs=["2024-03-31"])
    assert vintage.outcomes[0].new_purchases == 0


def test_without_amounts_there_is_no_spend():
    [vintage] = vintages(make_log().drop(columns="amount"), amount=None, cutoffs=["2024-03-31"])
    assert vintage.outcomes[0].spend is None
    assert vintage.known.everyone.rfm.monetary_value is None
    assert list(vintage.known.everyone.log.columns) == ["customer_id", "date"]


@pytest.mark.parametrize(
    ("collapse", "cutoff", "horizon", "length", "purchases"),
    [
        # c00 buys on Monday 1 April 09:00 and 15:00, Tuesday 2 April, Wednesday 10 April and Thursday 2 May.
        ("day", "2024-03-31", "5 weeks", 5.0, 4),
        ("none", "2024-03-31", "5 weeks", 5.0, 5),
        ("hour", "2024-03-31", "5 weeks", 5.0, 5),
        ("week", "2024-03-31", "5 weeks", 5.0, 3),
        ("month", "2024-03-31", "2 months", 61 / 7, 2),
        ("day", "2024-04-01 12:00", "1 week", 1.0, 1),  # the afternoon belongs to a day that has begun
        ("none", "2024-04-01 12:00", "1 week", 1.0, 2),
        ("hour", "2024-04-01 15:00", "1 week", 1.0, 1),  # the hour of the cut-off has begun
        ("week", "2024-04-01", "5 weeks", 5.0, 2),  # and so has this week
    ],
)
def test_purchases_collapse_in_the_holdout_as_before(collapse, cutoff, horizon, length, purchases):
    days = ["2024-04-01 09:00", "2024-04-01 15:00", "2024-04-02", "2024-04-10", "2024-05-02"]
    log = make_log(*[("c00", day, 1.0) for day in days])
    log["date"] = pd.to_datetime(log["date"], format="ISO8601")
    [vintage] = vintages(log, [horizon], cutoffs=[cutoff], options={"collapse": collapse})
    assert vintage.known.lengths == (pytest.approx(length, rel=1e-12),)
    assert vintage.outcomes[0].purchases.sum() == purchases
    assert vintage.actual_track[-1] == purchases
    assert vintage.known.times[-1] == pytest.approx(length, rel=1e-12)
    assert (np.diff(vintage.known.times) > 0).all()
    assert (np.diff(vintage.actual_track) >= 0).all()


def test_track_of_a_log_counted_by_hand():
    log = make_log(("c00", "2024-04-01", 1.0), ("c01", "2024-04-03", 1.0), ("new", "2024-04-02", 1.0))
    [vintage] = vintages(log, ["5 days"], cutoffs=["2024-03-31"])
    assert vintage.actual_track.tolist() == [1, 1, 2, 2, 2]
    np.testing.assert_allclose(vintage.known.times * 7, [1, 2, 3, 4, 5])
    assert vintage.dates.astype(str).tolist() == [f"2024-04-0{day}" for day in range(1, 6)]


def test_a_cutoff_at_noon_does_not_count_the_morning():
    log = make_log(("c00", "2024-04-01 09:00", 1.0), ("c01", "2024-04-01 18:00", 1.0), ("c02", "2024-04-02 11:00", 1.0))
    log["date"] = pd.to_datetime(log["date"], format="ISO8601")
    [vintage] = vintages(log, ["36 hours"], cutoffs=["2024-04-01 12:00"], options={"collapse": "none"})
    assert vintage.outcomes[0].purchases.sum() == 2
    assert vintage.actual_track.tolist() == [1, 2]
    np.testing.assert_allclose(vintage.known.times * 7 * 24, [12, 36])
    assert vintage.known.everyone.log["date"].max() == pd.Timestamp("2024-04-01 09:00")


def test_horizons_of_all_kinds_at_once():
    asked = ["1 year", "3 months", 2, "2024-04-30", pd.Timedelta(days=10)]
    [vintage] = vintages(make_log(), asked, end="2025-12-31", cutoffs=["2024-03-31"])
    found = {outcome.horizon: (str(outcome.end), outcome.length * 7) for outcome in vintage.outcomes}
    assert found == {
        "10 days": ("2024-04-10", 10),
        "2 weeks": ("2024-04-14", 14),
        "until 2024-04-30": ("2024-04-30", 30),
        "3 months": ("2024-06-30", 91),
        "1 year": ("2025-03-31", pytest.approx(365)),
    }
    assert [outcome.length for outcome in vintage.outcomes] == list(vintage.known.lengths)


def test_horizons_keep_their_places_at_every_cutoff():
    with pytest.raises(
        DataError, match=r"4 weeks, until 2024-06-30 at the cut-off 2024-03-31, and until 2024-06-30, 4"
    ):
        vintages(make_log(), ["4 weeks", "2024-06-30"], cutoffs=["2024-03-31", "2024-06-10"])


def test_expanding_history_learns_from_all_and_sliding_from_those_who_came_within_the_window():
    recent = [(f"r{i:02}", day, 1.0) for i in range(20) for day in ("2024-06-02", "2024-06-20")]
    log = make_log(*recent)
    [expanding] = vintages(log, cutoffs=["2024-06-30"])
    assert expanding.known.learning is expanding.known.everyone
    [sliding] = vintages(log, cutoffs=["2024-06-30"], history="sliding", window="4 weeks")
    assert len(sliding.known.everyone.rfm) == 40
    assert sorted(sliding.known.learning.rfm.customer_id) == [f"r{i:02}" for i in range(20)]
    assert set(sliding.known.learning.log["customer_id"]) == {f"r{i:02}" for i in range(20)}
    assert len(sliding.outcomes[0].purchases) == 40
    [month] = vintages(log, cutoffs=["2024-06-30"], history="sliding", window="1 month")
    assert len(month.known.learning.rfm) == 20
    with pytest.raises(DataError, match=r"Within window='3 weeks' before the cut-off 2024-06-30 came 0 customers"):
        vintages(log, cutoffs=["2024-06-30"], history="sliding", window="3 weeks")


def test_segments_and_frequencies_are_groups():
    log = make_log(("c00", "2024-03-01", 1.0), *[("c01", f"2024-03-{day}", 1.0) for day in range(10, 18)])
    log["shop"] = np.where(log["customer_id"] < "c10", 1, 2)
    [vintage] = vintages(log, cutoffs=["2024-03-31"], segments=["shop"])
    labels, codes = vintage.cohort.groups["shop"]
    assert labels == ["1", "2"]
    assert codes.tolist() == [0] * 10 + [1] * 10
    labels, codes = vintage.cohort.groups["frequency"]
    assert labels == ["1", "2–3", "7+"]
    assert codes.tolist() == [1, 2, *[0] * 18]
    assert "shop" in vintage.known.everyone.log
    assert "shop" in vintage.known.everyone.rfm.carried


@pytest.mark.parametrize("name", ["all", "decile"])
def test_a_segment_may_not_hide_a_grouping(name):
    with pytest.raises(DataError, match=f"A segment may not be called '{name}'"):
        vintages(make_log().assign(**{name: 1}), cutoffs=["2024-03-31"], segments=[name])


def test_customers_are_numbered_across_cutoffs():
    log = make_log(("a new one", "2024-04-10", 1.0))
    first, second = vintages(log, cutoffs=["2024-03-31", "2024-04-30"])
    assert len(first.cohort.customer_id) == 20
    assert len(second.cohort.customer_id) == 21
    number = dict(zip(second.cohort.customer_id, second.cohort.cluster, strict=True))
    assert [number[name] for name in first.cohort.customer_id] == first.cohort.cluster.tolist()
    assert len(set(number.values())) == 21


def test_acquired_earlier_and_seen_before_observation_are_left_out():
    log = make_log(("old", "2024-02-01", 1.0), ("old", "2024-04-10", 1.0))
    acquired = log.assign(acquired=np.where(log["customer_id"] == "old", "2020-01-01", "2024-01-01"))
    [vintage] = vintages(acquired, cutoffs=["2024-03-31"], options={"acquired": "acquired"})
    assert "old" not in vintage.cohort.customer_id
    assert "old" not in set(vintage.known.everyone.log["customer_id"])
    assert vintage.outcomes[0].new_customers == 0
    before = make_log(("old", "2023-12-01", 1.0), ("old", "2024-04-10", 1.0))
    [vintage] = vintages(before, cutoffs=["2024-03-31"], options={"observation_start": "2024-01-01"})
    assert len(vintage.cohort.customer_id) == 20
    assert (vintage.outcomes[0].new_customers, vintage.actual_track[-1]) == (0, 0)


def test_zones_move_days():
    log = make_log(("c00", "2024-03-31 20:00", 1.0))
    log["date"] = pd.to_datetime(log["date"], format="ISO8601").dt.tz_localize("UTC")
    for zone, purchases in (("Asia/Tokyo", 1), ("Europe/London", 0)):
        [vintage] = vintages(log, cutoffs=["2024-03-31"], options={"time_zone": zone})
        assert vintage.outcomes[0].purchases.sum() == purchases


@pytest.mark.parametrize(
    ("log", "asked", "message"),
    [
        (make_log()[4:], {}, "the log knows 18 customers, 18 of whom have bought again; a backtest needs 20"),
        (make_log().query("date < '2024-01-21'"), {}, "knows 20 customers, 0 of whom have bought again"),
        (make_log(), {"history": "sliding"}, "history='sliding' and window="),
        (make_log(), {"window": "4 weeks"}, "history='sliding' and window="),
        (make_log(), {"history": "rolling", "window": 4}, "'history' must be one of"),
        (make_log(), {"history": "sliding", "window": "-4 weeks"}, "window='-4 weeks' cannot be read"),
        (make_log(), {"history": "sliding", "window": 0}, "window=0 must be longer than zero"),
        (make_log(), {"horizons": []}, "'horizons' is empty"),
    ],
)
@pytest.mark.filterwarnings("ignore:All 20 customers bought once")
def test_bad_options(log, asked, message):
    with pytest.raises(DataError, match=message):
        vintages(log, **{"cutoffs": ["2024-03-31"], **asked})


def test_what_is_odd_of_a_log_can_be_filtered():
    rows = make_log()
    rows.loc[rows["date"] < "2024-01-21", "date"] = "2024-01-01"
    with pytest.warns(DataQualityWarning, match="20 of 20 customers have their first purchase in the first week"):
        vintages(rows, cutoffs=["2024-03-31"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore", DataQualityWarning)
        vintages(rows, cutoffs=["2024-03-31"])
    assert not caught
