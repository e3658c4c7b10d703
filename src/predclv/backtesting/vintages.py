"""Past dates to forecast from: what was known at each, and what followed. Everything is checked before any fit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.blocks import Cohort, Outcome
from predclv.backtesting.cutoffs import WHOLE_DAYS, settle_cutoffs, settle_horizons, window_length
from predclv.backtesting.logs import PurchaseLog, first_instant_after
from predclv.backtesting.opportunities import opportunity_ends, opportunity_of
from predclv.data.checks import check_option
from predclv.data.columns import segments as segment_codes
from predclv.data.rfm import RFMSummary
from predclv.data.split import split_transactions
from predclv.data.timeline import purchase_timeline
from predclv.errors import DataError

__all__ = ["History", "Known", "Vintage", "plan_vintages"]

#: Fewest customers at a cut-off: with less nothing can be told apart.
FEWEST_CUSTOMERS = 20

# What scores are grouped by beside segments.
_GROUPINGS = ("all", "frequency", "decile")

# Repeat purchases that make groups of their own; what is more joins the last.
_FREQUENCIES = ((0, 0, "0"), (1, 1, "1"), (2, 3, "2–3"), (4, 6, "4–6"), (7, None, "7+"))


@dataclass(frozen=True, eq=False)
class History:
    """Some customers as of a cut-off: their summary, and their rows until then."""

    rfm: RFMSummary
    log: pd.DataFrame


@dataclass(frozen=True, eq=False)
class Known:
    """All that a method is given at a cut-off; nothing in it is later.

    Attributes
    ----------
    learning : History
        Customers to learn from: all, or with a sliding window those who came within it.
    everyone : History
        Customers to forecast.
    lengths : tuple of float
        Horizons, in the time unit.
    times : (n_times,) array
        Times within the longest of them, for tracking.
    """

    learning: History
    everyone: History
    lengths: tuple[float, ...]
    times: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Vintage:
    """A cut-off: what was known, and what followed.

    Attributes
    ----------
    cutoff : date or datetime
    known : Known
    cohort : Cohort
    outcomes : tuple of Outcome
        One a horizon.
    actual_track : (n_times,) array
        Purchases of the known customers from the cut-off to each of `known.times`.
    dates : (n_times,) datetime64 array
        Last days of those times.
    """

    cutoff: dt.date
    known: Known
    cohort: Cohort
    outcomes: tuple[Outcome, ...]
    actual_track: NDArray[np.float64]
    dates: NDArray[np.datetime64]


def plan_vintages(
    log: PurchaseLog,
    horizons: Sequence[Any],
    *,
    cutoffs: Sequence[Any] | None = None,
    n_cutoffs: int | None = None,
    step: Any = None,
    history: str = "expanding",
    window: Any = None,
    segments: Sequence[str] = (),
) -> list[Vintage]:
    """Cut the log at past dates, earliest first.

    Parameters
    ----------
    log : PurchaseLog
    horizons : sequence
        As `parse_horizon` reads them; finite.
    cutoffs : sequence of dates, optional
        As-of dates.
    n_cutoffs, step : int and horizon, optional
        Instead: as many cut-offs, the last as late as the longest horizon allows, a step apart; the step is by default
        that horizon, so that no outcome counts twice.
    history, window : {"expanding", "sliding"} and horizon
        Learn from all customers, or from those who came within `window` before the cut-off. All are forecast.
    segments : sequence of str
        Carried columns to score by.

    Raises
    ------
    DataError
        A cut-off lies outside the log, a horizon reaches beyond its end, there are too few customers, or the options
        contradict each other.

    Warns
    -----
    DataQualityWarning
        As `RFMSummary.from_transactions`.
    """
    check_option("history", history, ("expanding", "sliding"))
    for name in segments:
        if name in _GROUPINGS:
            raise DataError(f"A segment may not be called {name!r}: scores have groups of that name. Rename it.")
    if (history == "sliding") != (window is not None):
        raise DataError("history='sliding' and window='52 weeks' (or another length) belong together.")
    if not len(horizons):
        raise DataError("'horizons' is empty: give at least one, such as '26 weeks'.")
    dates = settle_cutoffs(log, horizons, cutoffs, n_cutoffs, step)
    plans = [(cutoff, settle_horizons(log, cutoff, horizons)) for cutoff in dates]
    _check_order(plans)
    cut = [_cut(log, cutoff, lengths, window) for cutoff, lengths in plans]
    return _number_customers(cut, segments)


def _check_order(plans: Sequence[tuple[dt.date, Sequence[tuple[str, dt.date]]]]) -> None:
    orders = [[label for label, _ in lengths] for _, lengths in plans]
    for (cutoff, _), order in zip(plans, orders, strict=True):
        if order != orders[0]:
            raise DataError(
                f"The horizons are, shortest first, {', '.join(orders[0])} at the cut-off {plans[0][0]}, and "
                f"{', '.join(order)} at {cutoff}. Give lengths that keep their order, such as '13 weeks'."
            )


@dataclass(frozen=True, eq=False)
class _Cut:
    cutoff: dt.date
    known: Known
    outcomes: tuple[Outcome, ...]
    actual_track: NDArray[np.float64]
    dates: NDArray[np.datetime64]


def _cut(log: PurchaseLog, cutoff: dt.date, horizons: Sequence[tuple[str, dt.date]], window: Any) -> _Cut:
    outcomes, lengths = [], []
    rfm: RFMSummary | None = None
    for label, end in horizons:
        split = split_transactions(log.rows, at=cutoff, holdout_end=end, **log.options)
        rfm = split.calibration if rfm is None else rfm
        outcomes.append(_outcome(log, split, label, cutoff))
        lengths.append(split.duration)
    assert rfm is not None
    if len(rfm) < FEWEST_CUSTOMERS or rfm.n_repeat_buyers == 0:
        raise DataError(
            f"At the cut-off {cutoff} the log knows {len(rfm):,} customers, {rfm.n_repeat_buyers:,} of whom have "
            f"bought again; a backtest needs {FEWEST_CUSTOMERS} customers and a repeat buyer. Give later cut-offs."
        )
    rows = log.until(cutoff)
    everyone = History(rfm, rows[rows["customer_id"].isin(rfm.customer_id)])
    if log.opportunities is None:
        times, dates, track = _track_actual(log, rfm, cutoff, horizons[-1][1], lengths[-1])
    else:
        times, dates, track = _track_opportunities(log, rfm, cutoff, horizons[-1][1], log.opportunities)
    known = Known(_learning(everyone, cutoff, window), everyone, tuple(lengths), times)
    return _Cut(cutoff, known, tuple(outcomes), track, dates)


def _outcome(log: PurchaseLog, split: Any, label: str, cutoff: dt.date) -> Outcome:
    holdout, new = split.holdout, split.new_customers
    theirs = _daily_purchases(log, new, cutoff, split.holdout_end)
    return Outcome(
        label,
        split.duration,
        split.holdout_end,
        holdout["purchases"].to_numpy(dtype=np.float64),
        holdout["spend"].to_numpy(dtype=np.float64) if "spend" in holdout else None,
        len(new),
        int(theirs["purchases"].sum()),
    )


def _daily_purchases(log: PurchaseLog, customers: Any, cutoff: dt.date, end: dt.date) -> pd.DataFrame:
    """Purchases of some customers after a cut-off by day, or opportunity, counted as outcomes are: start, purchases."""
    rows = log.rows
    within = (rows["date"] >= _first_period(cutoff, log.options["collapse"])) & (
        rows["date"] < first_instant_after(end)
    )
    theirs = rows[within & rows["customer_id"].isin(customers)]
    if theirs.empty:
        return pd.DataFrame({"start": pd.to_datetime([]), "purchases": np.zeros(0)})
    options = {**log.options, "carry": (), "observation_start": None, "acquired": None}
    by = "day" if log.opportunities is None else None
    return purchase_timeline(theirs, by=by, observation_end=end, **options)


def _first_period(cutoff: dt.date, collapse: str) -> pd.Timestamp:
    """Start of the first period whose purchases are outcomes: the one that a cut-off falls in is the past's."""
    if collapse in ("none", "hour"):
        start = first_instant_after(cutoff)
        return start.ceil("h") if collapse == "hour" else start
    day = pd.Timestamp(cutoff).normalize()
    if collapse == "week":
        return day + pd.Timedelta(days=7 - day.weekday())
    if collapse == "month":
        return day.replace(day=1) + pd.DateOffset(months=1)
    # Where opportunities are counted, a cut-off is the last day of one.
    return day + pd.Timedelta(days=1)


def _learning(everyone: History, cutoff: dt.date, window: Any) -> History:
    if window is None:
        return everyone
    rfm = everyone.rfm
    length = window_length(window, rfm, cutoff)
    recent = length >= rfm.T
    if recent.sum() < FEWEST_CUSTOMERS or not rfm.frequency[recent].any():
        raise DataError(
            f"Within window={window!r} before the cut-off {cutoff} came {recent.sum():,} customers, of whom "
            f"{np.count_nonzero(rfm.frequency[recent]):,} bought again: too few to learn from. Give a longer window."
        )
    some = rfm[recent]
    return History(some, everyone.log[everyone.log["customer_id"].isin(some.customer_id)])


def _track_actual(
    log: PurchaseLog, rfm: RFMSummary, cutoff: dt.date, end: dt.date, length: float
) -> tuple[NDArray[np.float64], NDArray[np.datetime64], NDArray[np.float64]]:
    """Times within a horizon, their last days, and what known customers had bought by then."""
    is_instant = isinstance(cutoff, dt.datetime) and log.options["collapse"] not in WHOLE_DAYS
    start = pd.Timestamp(cutoff).normalize() + pd.Timedelta(days=0 if is_instant else 1)
    origin, last = pd.Timestamp(cutoff) if is_instant else start, first_instant_after(end)
    n_days = max(int(np.ceil((last - start) / pd.Timedelta(days=1))), 1)
    every = np.unique(np.linspace(0, n_days, min(n_days, 26) + 1).round().astype(np.int64))[1:]
    daily = _daily_purchases(log, rfm.customer_id, cutoff, end)
    day = ((daily["start"] - start) / pd.Timedelta(days=1)).to_numpy()
    purchases = daily["purchases"].to_numpy()
    track = np.array([purchases[day < until].sum() for until in every], dtype=np.float64)
    dates = (start + pd.to_timedelta(every - 1, unit="D")).to_numpy().astype("datetime64[D]")
    passed = np.minimum((start - origin) / pd.Timedelta(days=1) + every, (last - origin) / pd.Timedelta(days=1))
    times: NDArray[np.float64] = passed * np.float64(length / passed[-1])
    return times, dates, track


def _track_opportunities(
    log: PurchaseLog, rfm: RFMSummary, cutoff: dt.date, end: dt.date, opportunities: str
) -> tuple[NDArray[np.float64], NDArray[np.datetime64], NDArray[np.float64]]:
    """What `_track_actual` gives, at the ends of opportunities."""
    last = opportunity_of(cutoff, opportunities)
    n = opportunity_of(end, opportunities) - last
    every = np.unique(np.linspace(0, n, min(n, 26) + 1).round().astype(np.int64))[1:]
    counted = _daily_purchases(log, rfm.customer_id, cutoff, end)
    number = np.array([opportunity_of(start, opportunities) for start in counted["start"]]) - last
    purchases = counted["purchases"].to_numpy()
    track = np.array([purchases[number <= until].sum() for until in every], dtype=np.float64)
    dates = np.array(opportunity_ends(last + every, opportunities), dtype="datetime64[D]")
    return every.astype(np.float64), dates, track


def _number_customers(cut: Sequence[_Cut], segments: Sequence[str]) -> list[Vintage]:
    everyone = pd.Index(np.concatenate([part.known.everyone.rfm.customer_id for part in cut])).unique()
    return [
        Vintage(
            part.cutoff,
            part.known,
            _cohort(part.known.everyone.rfm, everyone, segments),
            part.outcomes,
            part.actual_track,
            part.dates,
        )
        for part in cut
    ]


def _cohort(rfm: RFMSummary, everyone: pd.Index[Any], segments: Sequence[str]) -> Cohort:
    codes = np.zeros(len(rfm), dtype=np.int64)
    for i, (low, _, _) in enumerate(_FREQUENCIES):
        codes[rfm.frequency >= low] = i
    groups = {"frequency": _present([label for _, _, label in _FREQUENCIES], codes)}
    for column in segments:
        names, own = segment_codes(rfm, column, option="segments")
        groups[column] = [str(name) for name in names], own
    return Cohort(rfm.customer_id, everyone.get_indexer(pd.Index(rfm.customer_id)).astype(np.int64), groups)


def _present(labels: list[str], codes: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    present, own = np.unique(codes, return_inverse=True)
    return [labels[code] for code in present], own.astype(np.int64)
