"""Earlier vintages: outcomes counted anew from the log, windows that never pass the cut-off, planted leaks."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting.methods.vintage_outcomes import earlier_vintage, earlier_vintages
from predclv.errors import FitError, ObservationEndWarning


def purchases_between(log, customers, after, until):
    """Days with a purchase of each customer in (after, until]."""
    days = log[(log["date"] > after) & (log["date"] <= until)].drop_duplicates(["customer_id", "date"])
    return days.groupby("customer_id").size().reindex(customers, fill_value=0).to_numpy()


def spend_between(log, customers, after, until):
    rows = log[(log["date"] > after) & (log["date"] <= until)]
    return rows.groupby("customer_id")["amount"].sum().reindex(customers, fill_value=0.0).to_numpy()


def simulated(n=60, days=100, seed=3, end="2020-04-10"):
    """`n` customers who come in the first days and buy on tenths of the others, until `end`."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp(end) - pd.Timedelta(days=days - 1)
    customer, day = np.nonzero(rng.random((n, days)) < 0.1)
    first = pd.DataFrame({"customer_id": np.arange(n), "day": rng.integers(0, 10, n)})
    rows = pd.concat([pd.DataFrame({"customer_id": customer, "day": day}), first], ignore_index=True)
    # One customer on the first day, so that the span of the log is known.
    rows.loc[len(rows)] = [0, 0]
    log = pd.DataFrame({"customer_id": rows["customer_id"], "date": start + pd.to_timedelta(rows["day"], unit="D")})
    log["amount"] = rng.gamma(2, 10, len(log)).round(2)
    return log.sort_values("date", ignore_index=True)


@pytest.fixture(scope="module")
def summary_of():
    def make(log, end="2020-04-10", **options):
        options = {"amount": "amount", "observation_end": end} | options
        with pytest.warns(UserWarning, match="first purchase in the first week"):
            return pc.RFMSummary.from_transactions(log, **options)

    return make


def test_outcomes_are_those_of_the_window_and_the_summary_that_before_it(cdnow_case):
    rfm, log, _, _ = cdnow_case
    found = earlier_vintage(rfm, log, 13)
    assert found.rfm.observation_end == dt.date(1997, 7, 1)
    assert (found.window, found.scale, found.note) == (13.0, 1.0, "")
    before, until = pd.Timestamp("1997-07-01"), pd.Timestamp("1997-09-30")
    np.testing.assert_array_equal(found.purchases, purchases_between(log, found.rfm.customer_id, before, until))
    # Sums of the same cents in another order.
    expected = spend_between(log, found.rfm.customer_id, before, until)
    np.testing.assert_allclose(found.spend, expected, rtol=1e-12)
    assert found.log["date"].max() <= before
    pd.testing.assert_frame_equal(found.log, log[log["date"] <= before])
    again = pc.RFMSummary.from_transactions(found.log, amount="amount", observation_end="1997-07-01")
    pd.testing.assert_frame_equal(found.rfm.to_pandas(), again.to_pandas())


def test_a_log_shorter_than_two_horizons_gives_half_of_itself_and_says_so(cdnow_case):
    rfm, log, _, _ = cdnow_case
    found = earlier_vintage(rfm, log, 39)
    # 273 days from 1 January on: 136 whole days of outcomes.
    assert found.window == 136 / 7
    assert found.rfm.observation_end == dt.date(1997, 5, 17)
    assert found.scale == 39 / (136 / 7)
    assert found.note == "learnt from 19.4 weeks of outcomes, scaled to 39 weeks"
    until = pd.Timestamp("1997-09-30")
    expected = purchases_between(log, found.rfm.customer_id, pd.Timestamp("1997-05-17"), until)
    np.testing.assert_array_equal(found.purchases, expected)


def test_a_log_of_just_two_horizons_gives_a_whole_one(summary_of):
    log = simulated(days=56)
    assert earlier_vintage(summary_of(log), log, 4).scale == 1
    assert earlier_vintage(summary_of(log), log, 4.01).window == 4


@pytest.mark.parametrize("planted", ["2020-04-11", "2021-01-01"])
def test_a_planted_leak_is_caught(summary_of, planted):
    log = simulated()
    rfm = summary_of(log)
    leak = pd.DataFrame({"customer_id": [7], "date": [pd.Timestamp(planted)], "amount": [1e6]})
    with pytest.raises(FitError, match=r"^1 of .* rows lie after the cut-off 2020-04-10 \(first: customer 7, .*leak"):
        earlier_vintage(rfm, pd.concat([log, leak]), 4)


def test_the_last_instant_of_the_cut_off_day_is_no_leak(summary_of):
    log = simulated()
    late = pd.DataFrame({"customer_id": [7], "date": [pd.Timestamp("2020-04-10 23:59:59")], "amount": [5.0]})
    log = pd.concat([log, late])
    found = earlier_vintage(summary_of(log), log, 4)
    days = log.assign(date=log["date"].dt.normalize())
    end = pd.Timestamp("2020-04-10")
    expected = purchases_between(days, found.rfm.customer_id, end - pd.Timedelta(days=28), end)
    np.testing.assert_array_equal(found.purchases, expected)


def test_an_instant_as_cut_off_is_kept_to_the_second():
    log = simulated()
    log["date"] += pd.to_timedelta(np.random.default_rng(1).integers(0, 24, len(log)), unit="h")
    at_noon = pd.DataFrame({"customer_id": [7], "date": [pd.Timestamp("2020-04-10 12:00")], "amount": [1.0]})
    log = pd.concat([log[log["date"] < "2020-04-10 12:00"], at_noon])
    options = {"amount": "amount", "collapse": "hour", "time_unit": "hour", "observation_end": "2020-04-10 12:00"}
    with pytest.warns(UserWarning, match="first purchase in the first week"):
        rfm = pc.RFMSummary.from_transactions(log, **options)
    found = earlier_vintage(rfm, log, 30)
    assert found.rfm.observation_end == dt.datetime(2020, 4, 9, 6)
    assert found.window == 30
    after, until = pd.Timestamp("2020-04-09 06:00"), pd.Timestamp("2020-04-10 12:00")
    np.testing.assert_array_equal(found.purchases, purchases_between(log, found.rfm.customer_id, after, until))
    leak = pd.DataFrame({"customer_id": [7], "date": [pd.Timestamp("2020-04-10 12:01")], "amount": [1.0]})
    with pytest.raises(FitError, match="1 of"):
        earlier_vintage(rfm, pd.concat([log, leak]), 30)


def test_months_are_counted_as_the_summary_counts_them(summary_of):
    log = simulated(days=200)
    log = log[log["date"] <= "2020-03-31"]
    found = earlier_vintage(summary_of(log, "2020-03-31", collapse="month", time_unit="day"), log, 31)
    # The month of March, whose period starts 29 days after that of February.
    assert found.rfm.observation_end == dt.date(2020, 2, 29)
    assert found.window == 29
    march = log[log["date"] > "2020-02-29"].drop_duplicates("customer_id")["customer_id"]
    np.testing.assert_array_equal(found.purchases, np.isin(found.rfm.customer_id, march))


def test_several_vintages_follow_one_another_without_overlap(summary_of):
    log = simulated(days=100)
    found = earlier_vintages(summary_of(log), log, 3, 9)
    # 100 days hold four windows of 21 days, with one of history before them; a fifth would leave none.
    ends = [vintage.rfm.observation_end for vintage in found]
    assert ends == [dt.date(2020, 4, 10) - dt.timedelta(days=21 * k) for k in (1, 2, 3)]
    for vintage, until in zip(found, [dt.date(2020, 4, 10), *ends], strict=False):
        after = pd.Timestamp(vintage.rfm.observation_end)
        expected = purchases_between(log, vintage.rfm.customer_id, after, pd.Timestamp(until))
        np.testing.assert_array_equal(vintage.purchases, expected)
        assert vintage.window == 3
    assert len(earlier_vintages(summary_of(log), log, 3, 2)) == 2


def test_customers_whom_the_summary_leaves_out_are_left_out_here(summary_of):
    log = simulated()
    rfm = summary_of(log)[5:]
    found = earlier_vintage(rfm, log, 4)
    np.testing.assert_array_equal(found.rfm.customer_id, rfm.customer_id)
    assert found.log["customer_id"].min() == 5


def test_what_is_known_of_a_customer_later_is_not_known_earlier(summary_of):
    log = simulated()
    log["tier"] = np.select([log["date"] > "2020-03-13", log["date"] > "2020-02-13"], ["gold", "silver"], "none")
    rfm = summary_of(log, carry=["tier"], carry_conflict="last")
    assert set(rfm.carried["tier"]) == {"gold", "silver"}
    found = earlier_vintage(rfm, log, 4).rfm
    earlier = log[log["date"] <= "2020-03-13"]
    latest = earlier.sort_values("date").groupby("customer_id")["tier"].last()
    np.testing.assert_array_equal(found.carried["tier"], latest.reindex(found.customer_id))
    assert "silver" in found.carried["tier"]


def test_a_log_without_amounts_has_no_spend(summary_of):
    log = simulated().drop(columns="amount")
    found = earlier_vintage(summary_of(log, amount=None), log, 4)
    assert found.spend is None
    assert found.rfm.monetary_value is None


@pytest.mark.parametrize("policy", ["net", "ignore"])
def test_returns_count_as_in_the_summary(summary_of, policy):
    log = simulated()
    day = pd.Timestamp("2020-04-09")
    rows = pd.DataFrame({"customer_id": [7, 7], "date": [day, day], "amount": [100.0, -30.0]})
    plain = earlier_vintage(summary_of(log), log, 4)
    with_return = pd.concat([log, rows])
    found = earlier_vintage(summary_of(with_return, returns=policy), with_return, 4)
    gained = (found.spend - plain.spend)[found.rfm.customer_id == 7]
    np.testing.assert_allclose(gained, {"net": 70.0, "ignore": 100.0}[policy])


def test_too_few_customers_to_learn_from(summary_of):
    log = simulated(n=49)
    with pytest.raises(FitError, match=r"Only 49 customers had come by the earlier cut-off 2020-03-13, and 50"):
        earlier_vintage(summary_of(log), log, 4)


def test_nobody_buys_in_the_window(summary_of):
    log = simulated(end="2020-03-01", days=60)
    with pytest.warns(ObservationEndWarning, match="in the last 40 days"):
        rfm = summary_of(log)
    with pytest.raises(FitError, match=r"None of 60 customers bought between the earlier cut-off 2020-03-13 and"):
        earlier_vintage(rfm, log, 4)


def test_a_log_of_a_single_day():
    log = simulated()
    log = log[log["date"] == log["date"].min()]
    end = log["date"].iloc[0].date()
    with pytest.warns(UserWarning, match="bought once"):
        rfm = pc.RFMSummary.from_transactions(log, observation_end=end)
    with pytest.raises(FitError, match=r"The log reaches 1 days back from the cut-off .*, too short"):
        earlier_vintage(rfm, log, 4)


def test_a_summary_without_an_end_cannot_be_cut_before_it(summary_of):
    log = simulated()
    rfm = pc.RFMSummary.from_frame(summary_of(log).to_pandas(), time_unit="week")
    with pytest.raises(FitError, match="does not know its observation_end"):
        earlier_vintage(rfm, log, 4)
