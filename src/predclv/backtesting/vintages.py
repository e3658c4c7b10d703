"""Past dates to forecast from: what was known at each, and what followed. Everything is checked before any fit."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.blocks import Cohort, Outcome
from predclv.backtesting.cutoffs import settle_cutoffs, settle_horizons
from predclv.backtesting.logs import PurchaseLog, first_instant_after
from predclv.data.checks import check_option
from predclv.data.columns import segments as segment_codes
from predclv.data.durations import parse_horizon
from predclv.data.rfm import RFMSummary
from predclv.data.split import split_transactions
from predclv.data.timeline import purchase_timeline
from predclv.errors import DataError

__all__ = ["History", "Known", "Vintage", "plan_vintages"]

#: Fewest customers at a cut-off: with less nothing can be told apart.
FEWEST_CUSTOMERS = 20

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
    if (history == "sliding") != (window is not None):
        raise DataError("history='sliding' and window='52 weeks' (or another length) belong together.")
    if not len(horizons):
        raise DataError("'horizons' is empty: give at least one, such as '26 weeks'.")
    dates = settle_cutoffs(log, horizons, cutoffs, n_cutoffs, step)
    plans = [(cutoff, settle_horizons(log, cutoff, horizons)) for cutoff in dates]
    with warnings.catch_warnings():
        # Each vintage is a part of one log: what is odd of it is said once.
        warnings.simplefilter("once")
        cut = [_cut(log, cutoff, lengths, window) for cutoff, lengths in plans]
    return _number_customers(cut, segments)


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
    times, dates, track = _track_actual(log, rfm, cutoff, horizons[-1][1], lengths[-1])
    known = Known(_learning(everyone, cutoff, window), everyone, tuple(lengths), times)
    return _Cut(cutoff, known, tuple(outcomes), track, dates)


def _outcome(log: PurchaseLog, split: Any, label: str, cutoff: dt.date) -> Outcome:
    holdout, new = split.holdout, split.new_customers
    rows = log.rows
    after = rows[
        (rows["date"] >= first_instant_after(cutoff)) & (rows["date"] < first_instant_after(split.holdout_end))
    ]
    theirs = after[after["customer_id"].isin(new)]
    purchases = 0
    if len(theirs):
        options = {**log.options, "carry": (), "observation_start": None, "acquired": None}
        purchases = int(
            purchase_timeline(theirs, by="day", observation_end=split.holdout_end, **options)["purchases"].sum()
        )
    return Outcome(
        label,
        split.duration,
        split.holdout_end,
        holdout["purchases"].to_numpy(dtype=np.float64),
        holdout["spend"].to_numpy(dtype=np.float64) if "spend" in holdout else None,
        len(new),
        purchases,
    )


def _learning(everyone: History, cutoff: dt.date, window: Any) -> History:
    if window is None:
        return everyone
    rfm = everyone.rfm
    length = parse_horizon(window, rfm.time_unit).length
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
    start, last = first_instant_after(cutoff).normalize(), first_instant_after(end)
    days = max(int(np.ceil((last - start) / pd.Timedelta(days=1))), 1)
    every = np.unique(np.linspace(0, days, min(days, 26) + 1).round().astype(np.int64))[1:]
    rows = log.rows
    theirs = rows[(rows["date"] < last) & rows["customer_id"].isin(rfm.customer_id)]
    options = {**log.options, "carry": (), "observation_start": None, "acquired": None}
    daily = purchase_timeline(theirs, by="day", observation_end=end, **options)
    day = ((daily["start"] - start) / pd.Timedelta(days=1)).to_numpy()
    purchases = daily["purchases"].to_numpy()
    track = np.array([purchases[(day >= 0) & (day < until)].sum() for until in every], dtype=np.float64)
    dates = (start + pd.to_timedelta(every - 1, unit="D")).to_numpy().astype("datetime64[D]")
    times: NDArray[np.float64] = every * np.float64(length / days)
    return times, dates, track


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
