"""An earlier cut-off within what is known at a cut-off: what a learner trains on, with outcomes that have happened."""

from __future__ import annotations

import datetime as dt
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.opportunities import opportunity_ends, opportunity_of
from predclv.data.dates import TICKS_PER_DAY, instant
from predclv.data.rfm import RFMSummary
from predclv.data.split import split_transactions
from predclv.errors import DataQualityWarning, FitError

__all__ = ["EarlierVintage", "earlier_vintage", "earlier_vintages"]

_DAY = 86_400_000_000
_FEWEST_CUSTOMERS = 50
# A window is whole periods of the collapse, and a calendar month at its longest.
# Where opportunities are counted, lengths are numbers of them, and no microseconds.
_LONGEST_PERIOD = {"none": 1_000_000, "hour": 3_600_000_000, "day": _DAY, "week": 7 * _DAY, "month": 31 * _DAY}


@dataclass(frozen=True, eq=False)
class EarlierVintage:
    """Customers as of an earlier cut-off, and what they did in the window after it.

    Attributes
    ----------
    rfm : RFMSummary
        As of the earlier cut-off, its `observation_end`.
    log : pandas.DataFrame
        Rows of these customers until then.
    purchases : (n_customers,) array
        Within the window, zeros included, in the order of `rfm`.
    spend : (n_customers,) array or None
        Money spent within the window, net of returns, at least 0; None for a log without amounts.
    window : float
        Length of the window, in the time unit of `rfm`. It ends where the given summary does.
    scale : float
        Horizon over window: 1 where the window is as long as the horizon.
    note : str
        What a reader should know of a window that is shorter than the horizon; else empty.
    """

    rfm: RFMSummary
    log: pd.DataFrame
    purchases: NDArray[np.float64]
    spend: NDArray[np.float64] | None
    window: float
    scale: float
    note: str = ""


def earlier_vintage(rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> EarlierVintage:
    """Cut a log once more, before its cut-off, so that the time between has outcomes to learn from.

    Parameters
    ----------
    rfm : RFMSummary
        As of the cut-off, with `observation_end`.
    log : pandas.DataFrame
        customer_id, date, amount where there are amounts, and carried columns, until the cut-off.
    horizon : float
        In the time unit of `rfm`.

    Returns
    -------
    EarlierVintage
        With a window as long as the horizon (to whole periods of the collapse) where the log is twice as long; else
        half as long as the log, and a note that says so.

    Raises
    ------
    FitError
        Rows lie after the cut-off (a leak), the log is too short, fewer than 50 customers had come by the earlier
        cut-off, or nobody bought in the window.

    Notes
    -----
    Customers who are not in `rfm` are left out here as there. A carried column that changes within a customer has
    its latest value as of the earlier cut-off.
    """
    return earlier_vintages(rfm, log, horizon, 1)[0]


def earlier_vintages(rfm: RFMSummary, log: pd.DataFrame, horizon: float, n: int) -> list[EarlierVintage]:
    """Cut a log at several earlier dates whose outcome windows follow one another without overlap.

    Parameters
    ----------
    rfm, log, horizon
        As in `earlier_vintage`.
    n : int
        How many at most.

    Returns
    -------
    list of EarlierVintage
        The latest first, all with windows of one length. As many as leave at least a window's length of history, 50
        customers and a purchase in the window; never none.

    Raises
    ------
    FitError
        As `earlier_vintage`, for the latest.
    """
    end = _end_of(rfm)
    _refuse_later_rows(log, end)
    # Whom the summary left out (bought before observation started, say) is no one to learn from either.
    known = log[log["customer_id"].isin(rfm.customer_id)]
    length, is_short = _window_length(rfm, known, end, horizon)
    vintages = [_cut(rfm, known, length, horizon, is_short)]
    while len(vintages) < n:
        latest = vintages[-1]
        if _history(latest.rfm, latest.log) < 2 * length:
            break
        try:
            vintages.append(_cut(latest.rfm, latest.log, length, horizon, is_short))
        except FitError:
            break
    return vintages


def _end_of(rfm: RFMSummary) -> dt.date:
    if rfm.observation_end is None:
        raise FitError("The summary does not know its observation_end, so no earlier cut-off can be counted from it.")
    return rfm.observation_end


def _refuse_later_rows(log: pd.DataFrame, end: dt.date) -> None:
    late = _after(log, instant(end))
    if late.any():
        first = log[late].iloc[0]
        raise FitError(
            f"{late.sum():,} of {len(log):,} rows lie after the cut-off {end} (first: customer {first['customer_id']}, "
            f"{first['date']}): learning from them would leak what is to be forecast. Cut the log at {end}."
        )


def _after(log: pd.DataFrame, microseconds: int) -> NDArray[np.bool_]:
    moment = pd.Timestamp(0) + pd.Timedelta(microseconds=microseconds - instant(dt.date(1969, 12, 31)))
    # A whole day ends where the next begins, which is no longer part of it; an instant is.
    late = log["date"] >= moment if microseconds % _DAY == 0 else log["date"] > moment
    return np.asarray(late)


def _history(rfm: RFMSummary, log: pd.DataFrame) -> int:
    """Microseconds from the start of the log's first day to the end of observation; or opportunities."""
    if rfm.opportunities is not None:
        first = opportunity_of(pd.Timestamp(log["date"].min()).date(), rfm.opportunities)
        return opportunity_of(_end_of(rfm), rfm.opportunities) - first + 1
    return instant(_end_of(rfm)) - pd.Timestamp(log["date"].min()).toordinal() * _DAY


def _window_length(rfm: RFMSummary, log: pd.DataFrame, end: dt.date, horizon: float) -> tuple[int, bool]:
    """Length of the horizon, or of half the log's span where the log is shorter than two horizons (True)."""
    if log.empty:
        raise FitError(f"The log has no row of the {len(rfm):,} customers until the cut-off {end}.")
    span = _history(rfm, log)
    if rfm.opportunities is not None:
        wanted, step, longest, reach = horizon, 1, 1, f"{span} {rfm.opportunities}s"
    else:
        collapse = rfm.collapse or "day"
        longest, reach = _LONGEST_PERIOD[collapse], f"{span / _DAY:.3g} days"
        wanted, step = horizon * rfm.days_per_unit * _DAY, longest if TICKS_PER_DAY[collapse] > 1 else _DAY
    is_short = wanted > span / 2
    length = span // 2 // step * step if is_short else round(wanted / step) * step
    length = max(length, longest)
    if length >= span:
        raise FitError(
            f"The log reaches {reach} back from the cut-off {end}, too short for an earlier cut-off "
            "with outcomes after it. Choose a later cut-off, or a method that needs no outcomes."
        )
    return length, is_short


def _cut(rfm: RFMSummary, log: pd.DataFrame, length: int, horizon: float, is_short: bool) -> EarlierVintage:
    end = _end_of(rfm)
    if rfm.opportunities is not None:
        at = opportunity_ends([opportunity_of(end, rfm.opportunities) - length], rfm.opportunities)[0]
    else:
        at = _moment(instant(end) - length)
    has_amount = rfm.monetary_value is not None and "amount" in log.columns
    with warnings.catch_warnings():
        # What they say of the log (a spike of births, say) was said of the whole log before.
        warnings.simplefilter("ignore", DataQualityWarning)
        split = split_transactions(
            log,
            at=at,
            holdout_end=end,
            amount="amount" if has_amount else None,
            time_unit=rfm.time_unit,
            collapse=rfm.collapse or "day",
            opportunities=rfm.opportunities,
            returns=(rfm.returns or "net") if has_amount else "net",
            currency=rfm.currency if has_amount else None,
            carry=[name for name in rfm.carried if name in log.columns],
            carry_conflict="last",
            # A row with nulls has been refused, or dropped and counted, where the whole log was read.
            on_null="drop",
        )
    if instant(split.holdout_end) > instant(end):
        raise FitError(
            f"The outcome window ends on {split.holdout_end}, after the cut-off {end}: that would be a leak."
        )
    purchases = split.holdout["purchases"].to_numpy(dtype=np.float64)
    _check_enough(split.calibration, purchases, end)
    window = split.duration
    unit = rfm.time_unit
    return EarlierVintage(
        split.calibration,
        log[~_after(log, instant(at))],
        purchases,
        split.holdout["spend"].to_numpy(dtype=np.float64) if has_amount else None,
        window,
        horizon / window,
        f"learnt from {window:.3g} {unit}s of outcomes, scaled to {horizon:.3g} {unit}s" if is_short else "",
    )


def _moment(microseconds: int) -> dt.date:
    """Whole day that ends at this microsecond since the start of day 0, else the instant."""
    day, rest = divmod(microseconds, _DAY)
    if rest == 0:
        return dt.date.fromordinal(day - 1)
    return dt.datetime.combine(dt.date.fromordinal(day), dt.time()) + dt.timedelta(microseconds=rest)


def _check_enough(rfm: RFMSummary, purchases: NDArray[np.float64], end: dt.date) -> None:
    since = f"earlier cut-off {rfm.observation_end}"
    remedy = "Choose a later cut-off, a shorter horizon, or a method that needs no outcomes."
    if len(rfm) < _FEWEST_CUSTOMERS:
        raise FitError(
            f"Only {len(rfm):,} customers had come by the {since}, and {_FEWEST_CUSTOMERS} are needed. {remedy}"
        )
    if not purchases.any():
        raise FitError(f"None of {len(rfm):,} customers bought between the {since} and {end}. {remedy}")
