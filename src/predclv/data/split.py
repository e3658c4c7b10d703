"""Calibration and holdout: a log cut in two at a past date."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.aggregate import CustomerTotals, total_by_customer
from predclv.data.dates import end_tick, instant
from predclv.data.durations import parse_moment
from predclv.data.money import MinorUnit
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.rfm import RFMSummary
from predclv.data.summarize import Summarized, settle_returns, summarize
from predclv.data.summary_words import customers_in_words, lines_to_html
from predclv.data.tally import time_between
from predclv.data.window import end_with_opportunity, local_moment, observe
from predclv.errors import DataError

__all__ = ["Split", "split_transactions"]


@dataclass(frozen=True, eq=False)
class Split:
    """What was known at a past date, and what the same customers did next.

    Attributes
    ----------
    calibration : RFMSummary
        As of `at`.
    holdout : pandas.DataFrame
        customer_id, purchases and, with amounts, spend: a row for each customer of `calibration`, in its order, zeros
        included. Purchases are counted and collapsed as in the calibration; spend is net of returns, at least 0.
    duration : float
        Length of the holdout, in the time unit.
    holdout_end : date or datetime
    new_customers : array
        Who bought for the first time in the holdout.
    quality : pandas.DataFrame
        What was done to the holdout's rows; the calibration has its own.
    """

    calibration: RFMSummary
    holdout: pd.DataFrame
    duration: float
    holdout_end: dt.date
    new_customers: NDArray[Any]
    quality: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"<Split at {self.calibration.observation_end}: {len(self.holdout):,} customers, "
            f"{int(self.holdout['purchases'].sum()):,} holdout purchases in {self.duration:g} "
            f"{self.calibration.time_unit}s to {self.holdout_end}, {len(self.new_customers):,} new customers>"
        )

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_html_(self) -> str:
        return lines_to_html(self._lines(), self.holdout.head(5))

    def _lines(self) -> list[str]:
        bought = float((self.holdout["purchases"] > 0).mean()) if len(self.holdout) else 0.0
        return [
            f"A log split at {self.calibration.observation_end}: {len(self.holdout):,} customers known by then, and "
            f"what they did in the {self.duration:.4g} {self.calibration.time_unit}s to {self.holdout_end}.",
            f"{bought:.0%} of them bought again then, {int(self.holdout['purchases'].sum()):,} times.".replace(
                "%", " %"
            ),
            f"{len(self.new_customers):,} more customers came, whom no forecast of these customers holds.",
            *customers_in_words(self.calibration)[1:],
        ]


def split_transactions(log: Any, *, at: Any, holdout_end: Any = None, **options: Any) -> Split:
    """Summarise a log as of a past date and count what each customer did afterwards.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`.
    at : date, datetime or ISO text
        As-of date of the calibration; the holdout begins after it.
    holdout_end : date, datetime or ISO text, optional
        Last moment of the holdout; left out, the last date in the log.
    **options
        Those of `RFMSummary.from_transactions`, without `observation_end` and `after_end`.

    Returns
    -------
    Split

    Raises
    ------
    DataError
        The log is unfit (see `from_transactions`), or the dates leave no holdout.

    Notes
    -----
    A purchase in the same period of `collapse` as `at` belongs to the calibration's last period and is not counted
    again. A return in the holdout counts there only where a purchase of the holdout precedes it.
    """
    for name in ("observation_end", "after_end"):
        if name in options:
            raise DataError(f"split_transactions takes 'at' and 'holdout_end' in the place of {name!r}.")
    if at is None:
        raise DataError("'at' must be a date: the as-of date of the calibration.")
    try:
        known = LogOptions(**options, observation_end=at)
    except TypeError as error:
        raise TypeError(f"split_transactions: {str(error).partition(') ')[2]}") from None
    before = summarize(log, known)
    calibration = RFMSummary(**before.fields)
    end = local_moment("holdout_end", parse_moment("holdout_end", holdout_end), before.log)
    start = before.window.end
    if before.window.n_after == 0 and end is None:
        raise DataError(f"The log ends before a holdout begins: no row lies after at={str(start)!r}.")
    if end is not None and instant(end) <= instant(start):
        raise DataError(f"holdout_end={str(end)!r} is not after at={str(start)!r}.")
    notes = QualityNotes()
    totals, last = _total_holdout(before, replace(known, observation_end=end), notes)
    begun, over = (np.array([end_tick(moment, known.collapse)]) for moment in (start, last))
    duration = float(time_between(begun, over, known)[0])
    if duration == 0 and known.opportunities is not None:
        raise DataError(f"No {known.opportunities} after {start} is over by {last}, so there is no holdout.")
    holdout, new_customers = _align(totals, calibration, before.left_out, known.minor_unit)
    return Split(calibration, holdout, duration, last, new_customers, notes.to_pandas())


def _total_holdout(before: Summarized, options: LogOptions, notes: QualityNotes) -> tuple[CustomerTotals, dt.date]:
    if options.opportunities is not None:
        options = end_with_opportunity(before.log, options, options.opportunities, notes, end_matters=False)
    window = observe(before.log, options, notes, after=before.window.end, end_matters=False)
    rows, has_returns = settle_returns(window, options, notes)
    totals = total_by_customer(
        rows,
        options.collapse,
        has_amount=before.log.has_amount,
        has_returns=has_returns,
        exact=options.minor_unit is not None,
    )
    if has_returns:
        n_before = totals.returns.n_before
        notes.add("returns", "returns of earlier purchases, set aside", n_before, window.n_returns, "rows")
    return totals, window.end


def _align(
    totals: CustomerTotals, calibration: RFMSummary, left_out: NDArray[Any], unit: MinorUnit | None
) -> tuple[pd.DataFrame, NDArray[Any]]:
    position = pd.Index(calibration.customer_id).get_indexer(totals.customer)
    known = position >= 0
    holdout = pd.DataFrame({"customer_id": calibration.customer_id})
    purchases = np.zeros(len(holdout), dtype=np.int64)
    purchases[position[known]] = totals.purchases[known]
    holdout["purchases"] = purchases
    if totals.first_spend is not None and totals.repeat_spend is not None:
        spend = np.zeros(len(holdout))
        spend[position[known]] = np.maximum((totals.first_spend + totals.repeat_spend)[known], 0.0)
        holdout["spend"] = spend if unit is None else unit.to_money(spend)
    return holdout, totals.customer[~known & ~pd.Index(totals.customer).isin(left_out)]
