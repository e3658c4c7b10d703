"""What a learner is told of each customer: columns made of the log until a cut-off."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.dates import TICKS_PER_DAY, end_tick, instant, to_datetime64
from predclv.data.opportunities import number_periods
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError

__all__ = ["WINDOWS", "log_span", "make_features"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Weeks before the cut-off in which purchases and spend are counted.
WINDOWS = (4, 8, 13, 26, 52)
_DAY = 86_400_000_000
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class _Purchases:
    """Purchases by customer and time, and the money of all rows, returns included.

    Attributes
    ----------
    customer, since : (n_purchases,) arrays
        Position in the summary, sorted; time from the purchase to the cut-off, in the time unit, falling.
    first : (n_customers,) int64 array
        Where each customer's purchases begin.
    n : (n_customers,) int64 array
    money, payer, paid_since : (n_rows,) arrays or None
    """

    customer: IntArray
    since: FloatArray
    first: IntArray
    n: IntArray
    money: FloatArray | None
    payer: IntArray
    paid_since: FloatArray


def make_features(rfm: RFMSummary, log: pd.DataFrame, *, windows: Sequence[int] = WINDOWS) -> pd.DataFrame:
    """Describe each customer by what the log says until the cut-off.

    Parameters
    ----------
    rfm : RFMSummary
        As of the cut-off, with `observation_end`.
    log : pandas.DataFrame
        customer_id, date and, where the summary has money, amount; nothing after the cut-off. Rows of customers who
        are not in `rfm` are not looked at.
    windows : sequence of int
        In weeks. A window longer than the log counts all of it: choose those that are shorter wherever the features
        will be made, and the same ones for learning and forecasting.

    Returns
    -------
    (n_customers, n_features) pandas.DataFrame of floats
        In the order of `rfm`; the columns follow from `windows` and from whether there is money, not from the data.
        Times are in the time unit, or numbers of opportunities. frequency, recency, T, idle (T - recency), rate
        (frequency / T; 0 at T = 0), recency_share (recency / T; 0 at T = 0); purchases_4w and so on, the first purchase
        included; gap_mean and gap_sd of the times between purchases, for one-time buyers T and 0; last_gap_ratio, the
        last gap over the mean gap, and idle_ratio, the time since the last purchase over it (with at least a day below
        the line; 1 and idle / T for one-time buyers); first_month (1 to 12) and first_weekday (0 is Monday) of the
        first purchase; season_sin and season_cos of the cut-off's day of the year, where the time to forecast begins.
        With money: monetary_value and log_monetary_value (of 1 + it); first_spend; mean_spend of a purchase, the
        first included, and spend_4w and so on, net of returns (a mean at least 0); returns, how many.

    Raises
    ------
    FitError
        Rows lie after the cut-off, the log lacks purchases of a customer, or the cut-off is not known.
    """
    end = rfm.observation_end
    if end is None:
        raise FitError("The summary does not know its observation_end, so nothing can be counted back from it.")
    known = _purchases(rfm, log, end)
    columns = _of_summary(rfm)
    columns |= _of_gaps(rfm, known)
    for weeks in windows:
        reach = weeks * 7 / rfm.days_per_unit
        recent = known.since < reach
        columns[f"purchases_{weeks}w"] = np.bincount(known.customer[recent], minlength=len(rfm))
        if known.money is not None:
            late = known.paid_since < reach
            columns[f"spend_{weeks}w"] = np.bincount(known.payer[late], known.money[late], minlength=len(rfm))
    columns |= _of_calendar(rfm, log, end)
    if rfm.monetary_value is not None and known.money is not None:
        columns |= _of_money(rfm, known, rfm.monetary_value, known.money)
    return pd.DataFrame(columns, dtype=np.float64)


def log_span(rfm: RFMSummary, log: pd.DataFrame) -> float:
    """Weeks from the first row of a log to the cut-off."""
    assert rfm.observation_end is not None
    first = pd.Timestamp(log["date"].min()).toordinal() * _DAY
    return (instant(rfm.observation_end) - first) / (7 * _DAY)


def _purchases(rfm: RFMSummary, log: pd.DataFrame, end: dt.date) -> _Purchases:
    collapse = rfm.collapse or "day"
    position = pd.Index(rfm.customer_id).get_indexer(pd.Index(log["customer_id"]))
    ours = position >= 0
    position = position[ours].astype(np.int64)
    since = _time_since(rfm, log["date"].to_numpy()[ours], end, collapse)
    _refuse_later_rows(log[ours], since, end)
    money = log["amount"].to_numpy(dtype=np.float64)[ours] if rfm.monetary_value is not None else None
    bought = np.ones(len(position), dtype=bool) if money is None else money >= 0
    order = np.lexsort((-since[bought], position[bought]))
    customer, times = position[bought][order], since[bought][order]
    if collapse != "none":
        new = np.ones(len(customer), dtype=bool)
        new[1:] = (np.diff(customer) > 0) | (np.diff(times) < 0)
        customer, times = customer[new], times[new]
    n = np.bincount(customer, minlength=len(rfm))
    if (n == 0).any():
        raise FitError(
            f"The log has no purchase of {(n == 0).sum():,} of {len(rfm):,} customers (first: customer "
            f"{rfm.customer_id[int(np.argmax(n == 0))]}). Give the log that the summary was made from."
        )
    first = np.concatenate([[0], np.cumsum(n)[:-1]]).astype(np.int64)
    if money is not None and rfm.returns == "ignore":
        money = np.maximum(money, 0.0)
    return _Purchases(customer, times, first, n, money, position, since)


def _time_since(rfm: RFMSummary, date: NDArray[np.datetime64], end: dt.date, collapse: str) -> FloatArray:
    """Time from each row's period to the cut-off, in the unit of the summary; negative for later rows."""
    if rfm.opportunities is not None:
        days = np.append(date.astype("datetime64[D]").astype(np.int64) + _EPOCH, end.toordinal())
        number = number_periods(days, rfm.opportunities)
        return np.asarray(number[-1] - number[:-1], dtype=np.float64)
    last = to_datetime64(np.array([end_tick(end, collapse)]), TICKS_PER_DAY[collapse])[0]
    return np.asarray((last - _periods(date, collapse)).astype(np.int64) / (_DAY * rfm.days_per_unit))


def _periods(date: NDArray[np.datetime64], collapse: str) -> NDArray[np.datetime64]:
    """Starts of the periods that purchases are merged within."""
    if collapse == "none":
        return date.astype("datetime64[us]")
    unit = {"hour": "h", "month": "M"}.get(collapse, "D")
    start = date.astype(f"datetime64[{unit}]")
    if collapse == "week":
        # 1970-01-01 was a Thursday.
        start = start - (start.astype(np.int64) + 3) % 7
    return start.astype("datetime64[us]")


def _refuse_later_rows(log: pd.DataFrame, since: FloatArray, end: dt.date) -> None:
    late = since < 0
    if late.any():
        first = log[late].iloc[0]
        raise FitError(
            f"{late.sum():,} of {len(log):,} rows lie after the cut-off {end} (first: customer {first['customer_id']}, "
            f"{first['date']}): features would tell what is to be forecast. Cut the log at {end}."
        )


def _of_summary(rfm: RFMSummary) -> dict[str, NDArray[np.generic]]:
    idle = rfm.T - rfm.recency
    zeros = np.zeros(len(rfm))
    return {
        "frequency": rfm.frequency,
        "recency": rfm.recency,
        "T": rfm.T,
        "idle": idle,
        "rate": np.divide(rfm.frequency, rfm.T, out=zeros.copy(), where=rfm.T > 0),
        "recency_share": np.divide(rfm.recency, rfm.T, out=zeros, where=rfm.T > 0),
    }


def _of_gaps(rfm: RFMSummary, known: _Purchases) -> dict[str, NDArray[np.generic]]:
    gap = -np.diff(known.since)
    within = np.diff(known.customer) == 0
    owner, gap = known.customer[1:][within], gap[within]
    n = np.bincount(owner, minlength=len(rfm))
    has, count = n > 0, np.maximum(n, 1)
    # Who has bought once has shown no gap yet; it is longer than T.
    mean = np.where(has, np.bincount(owner, gap, minlength=len(rfm)) / count, rfm.T)
    variance = np.bincount(owner, (gap - mean[owner]) ** 2, minlength=len(rfm)) / count
    ends = known.first + known.n - 1
    last_gap = np.where(has, known.since[np.maximum(ends - 1, 0)] - known.since[ends], mean)
    typical = np.maximum(mean, 1.0 / rfm.days_per_unit)
    return {
        "gap_mean": mean,
        "gap_sd": np.sqrt(variance),
        "last_gap_ratio": np.where(has, last_gap / typical, 1.0),
        "idle_ratio": (rfm.T - rfm.recency) / typical,
    }


def _of_calendar(rfm: RFMSummary, log: pd.DataFrame, end: dt.date) -> dict[str, NDArray[np.generic]]:
    first = rfm.first_purchase
    if first is None:
        dates = log.groupby("customer_id")["date"].min()
        first = dates.reindex(rfm.customer_id).to_numpy().astype("datetime64[us]")
    day = first.astype("datetime64[D]").astype(np.int64)
    angle = 2 * np.pi * end.timetuple().tm_yday / 365.25
    return {
        "first_month": first.astype("datetime64[M]").astype(np.int64) % 12 + 1,
        "first_weekday": (day + 3) % 7,
        "season_sin": np.full(len(rfm), np.sin(angle)),
        "season_cos": np.full(len(rfm), np.cos(angle)),
    }


def _of_money(
    rfm: RFMSummary, known: _Purchases, monetary_value: FloatArray, money: FloatArray
) -> dict[str, NDArray[np.generic]]:
    total = np.bincount(known.payer, money, minlength=len(rfm))
    at_first = (known.paid_since == known.since[known.first][known.payer]) & (money >= 0)
    # Purchases at one instant, which only collapse="none" keeps apart, share what was paid then.
    n_first = np.bincount(known.customer[known.since == known.since[known.first][known.customer]], minlength=len(rfm))
    return {
        "monetary_value": monetary_value,
        "log_monetary_value": np.log1p(monetary_value),
        "first_spend": np.bincount(known.payer[at_first], money[at_first], minlength=len(rfm)) / n_first,
        "mean_spend": np.maximum(total, 0.0) / known.n,
        "returns": np.bincount(known.payer[money < 0], minlength=len(rfm)),
    }
