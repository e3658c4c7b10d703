"""Random logs on every engine against a plain loop over customers, and what must hold of any log."""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines import ENGINES
from predclv import RFMSummary, split_transactions
from predclv.errors import PredCLVError, PredCLVWarning

START = dt.datetime(2023, 12, 20)
DAYS_PER_UNIT = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "year": 365.25}

purchase = st.tuples(
    st.integers(1, 4),
    st.integers(0, 100 * 24),
    st.sampled_from([10.0, 20.0, 2.5, 0.0, -5.0, -20.0, 7.25]),
)
logs = st.lists(purchase, min_size=1, max_size=30)
collapses = st.sampled_from(["none", "hour", "day", "week", "month"])
units = st.sampled_from(list(DAYS_PER_UNIT))
policies = st.sampled_from(["net", "ignore"])


def to_frame(rows: list[tuple[int, int, float]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": [customer for customer, _, _ in rows],
            "date": pd.to_datetime([START + dt.timedelta(hours=hour) for _, hour, _ in rows]).astype("datetime64[us]"),
            "amount": [amount for _, _, amount in rows],
        }
    )


def start_of_period(moment: dt.datetime, collapse: str) -> dt.datetime:
    midnight = dt.datetime.combine(moment.date(), dt.time())
    return {
        "none": moment,
        "hour": moment.replace(minute=0, second=0, microsecond=0),
        "day": midnight,
        "week": midnight - dt.timedelta(days=moment.weekday()),
        "month": midnight.replace(day=1),
    }[collapse]


def expected_customer(
    rows: list[tuple[dt.datetime, float]], collapse: str, returns: str, end: dt.date, unit: str
) -> tuple[int, float, float, float] | None:
    """frequency, recency, T and monetary_value of one customer, by walking through the rows in order."""
    purchases: list[tuple[dt.datetime, float]] = []
    periods: dict[dt.datetime, list[float]] = {}
    for moment, amount in rows:
        periods.setdefault(start_of_period(moment, collapse), []).append(amount)
    for period in sorted(periods):
        bought = [amount for amount in periods[period] if amount >= 0]
        returned = sum(amount for amount in periods[period] if amount < 0) if returns == "net" else 0.0
        if not bought:
            if purchases:
                # Several purchases at the very first instant, which "none" keeps apart: the first one takes it.
                latest = 0 if purchases[-1][0] == purchases[0][0] else -1
                purchases[latest] = (purchases[latest][0], purchases[latest][1] + returned)
        elif collapse == "none":
            share = (sum(bought) + returned) / len(bought)
            purchases += [(period, share)] * len(bought)
        else:
            purchases.append((period, sum(bought) + returned))
    if not purchases:
        return None
    last_moment = dt.datetime.combine(end, dt.time()) + dt.timedelta(days=1)
    end_period = last_moment if collapse == "none" else start_of_period(last_moment - dt.timedelta(seconds=1), collapse)
    length = dt.timedelta(days=DAYS_PER_UNIT[unit])
    first, last = purchases[0][0], purchases[-1][0]
    repeats = [spend for _, spend in purchases[1:]]
    mean = max(sum(repeats), 0.0) / len(repeats) if repeats else 0.0
    return len(repeats), (last - first) / length, (end_period - first) / length, mean


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=15, deadline=None, derandomize=True)
@given(rows=logs, collapse=collapses, unit=units, returns=policies, end=st.integers(0, 110))
def test_summary_agrees_with_a_plain_loop(
    engine: str, rows: list[tuple[int, int, float]], collapse: str, unit: str, returns: str, end: int
) -> None:
    log = to_frame(rows)
    as_of = (START + dt.timedelta(days=end)).date()
    expected = {}
    for customer, theirs in log[log["date"].dt.date <= as_of].groupby("customer_id"):
        moments = list(zip(theirs["date"].dt.to_pydatetime(), theirs["amount"], strict=True))
        found = expected_customer(moments, collapse, returns, as_of, unit)
        if found is not None:
            expected[customer] = found
    options: dict[str, Any] = {"collapse": collapse, "time_unit": unit, "returns": returns, "observation_end": as_of}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        try:
            rfm = RFMSummary.from_transactions(ENGINES[engine](log), amount="amount", **options)
        except PredCLVError:
            assert not expected
            return
    assert rfm.customer_id.tolist() == sorted(expected)
    frequency, recency, age, spend = map(np.array, zip(*(expected[c] for c in sorted(expected)), strict=True))
    np.testing.assert_array_equal(rfm.frequency, frequency)
    np.testing.assert_allclose(rfm.recency, recency, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rfm.T, age, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rfm.monetary_value, spend, rtol=1e-12, atol=1e-12)
    check_invariants(rfm)


def check_invariants(rfm: RFMSummary) -> None:
    assert (rfm.recency <= rfm.T).all()
    assert (rfm.frequency >= 0).all()
    assert rfm.monetary_value is not None
    assert (rfm.monetary_value >= 0).all()
    counts = rfm.quality.groupby("what")["count"].sum()

    def count(start: str) -> int:
        return int(counts[counts.index.str.startswith(start)].sum())

    # Every row of the log is accounted for.
    assert count("rows in the log") == count("rows after") + count("rows with a negative") + count("rows merged") + int(
        counts["purchases"]
    )
    assert int(counts["purchases"]) == int((rfm.frequency + 1).sum()) + count("purchases of customers left out")


messy_date = st.one_of(
    st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2200, 1, 1)),
    st.none(),
    st.sampled_from(["2024-01-01", "yesterday", "", "2024-02-30", "2024-01-01T00:00:00Z"]),
    st.integers(-5, 20240101),
)
messy_row = st.tuples(
    st.one_of(st.integers(-2, 2), st.none(), st.text(max_size=2)),
    messy_date,
    st.one_of(st.floats(), st.none(), st.sampled_from(["1", ""])),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    rows=st.lists(messy_row, max_size=8),
    options=st.fixed_dictionaries(
        {},
        optional={
            "collapse": st.one_of(collapses, st.none()),
            "time_unit": st.one_of(units, st.text(max_size=4)),
            "observation_end": messy_date,
            "observation_start": messy_date,
            "returns": st.sampled_from(["net", "ignore", "error", "no"]),
            "currency": st.sampled_from([None, "USD", "usd", "amount"]),
            "on_null": st.sampled_from(["drop", "error"]),
            "carry": st.sampled_from([[], ["amount"], ["x"]]),
            "amount": st.sampled_from([None, "amount", "customer_id"]),
            "time_zone": st.sampled_from([None, "UTC"]),
            "date_format": st.sampled_from([None, "%Y-%m-%d"]),
        },
    ),
)
def test_any_log_gives_a_summary_or_a_named_error(rows: list[tuple[Any, Any, Any]], options: dict[str, Any]) -> None:
    log = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        try:
            rfm = RFMSummary.from_transactions(log, **{"amount": "amount"} | options)
        except PredCLVError:
            return
    assert (rfm.recency <= rfm.T).all()
    assert (rfm.frequency >= 0).all()


@settings(max_examples=20, deadline=None, derandomize=True)
@given(rows=logs, cut=st.integers(0, 99), collapse=st.sampled_from(["none", "hour", "day"]))
def test_split_conserves_purchases_and_spend(rows: list[tuple[int, int, float]], cut: int, collapse: str) -> None:
    log = to_frame([(customer, hour, abs(amount)) for customer, hour, amount in rows])
    options: dict[str, Any] = {"amount": "amount", "collapse": collapse}
    at, end = (START + dt.timedelta(days=cut)).date(), (START + dt.timedelta(days=101)).date()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        try:
            split = split_transactions(log, at=at, holdout_end=end, **options)
        except PredCLVError:
            assert (log["date"].dt.date > at).all()
            return
        whole = RFMSummary.from_transactions(log, observation_end=end, **options)
    kept = ~np.isin(whole.customer_id, split.new_customers)
    np.testing.assert_array_equal(split.calibration.customer_id, whole.customer_id[kept])
    np.testing.assert_array_equal(
        split.calibration.frequency + split.holdout["purchases"].to_numpy(), whole.frequency[kept]
    )
    later = log[(log["date"].dt.date > at) & ~log["customer_id"].isin(split.new_customers)]
    assert split.holdout["spend"].sum() == pytest.approx(later["amount"].sum(), rel=1e-12)
