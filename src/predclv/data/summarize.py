"""From a purchase log to the columns of an RFMSummary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
from numpy.typing import NDArray

from predclv.data.aggregate import total_by_customer
from predclv.data.births import acquired_days
from predclv.data.carry import carry_columns
from predclv.data.checks import count_of
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.tally import begin_tally
from predclv.data.transactions import Log, first_case, read_log
from predclv.data.window import Window, end_with_opportunity, observe
from predclv.errors import DataError, see

__all__ = ["Observed", "Summarized", "labels", "observe_log", "settle_returns", "summarize"]


@dataclass(frozen=True)
class Observed:
    """A log as it is to be totalled.

    Attributes
    ----------
    log : Log
    window : Window
    rows : LazyFrame
        The window's, without what the policy for returns ignores.
    has_returns : bool
        Whether returns are among them.
    options : LogOptions
        With the end that the log or its opportunities gave.
    """

    log: Log
    window: Window
    rows: nw.LazyFrame[Any]
    has_returns: bool
    options: LogOptions


@dataclass(frozen=True)
class Summarized:
    """What `RFMSummary` is made of, and what a split needs besides.

    Attributes
    ----------
    fields : dict
        Arguments of RFMSummary.
    left_out : array
        Customers whose history the log does not know from the start.
    log : Log
    window : Window
    """

    fields: dict[str, Any]
    left_out: NDArray[Any]
    log: Log
    window: Window


def observe_log(source: Any, options: LogOptions, notes: QualityNotes) -> Observed:
    """Read a log, cut it at its as-of date, and settle what negative amounts are."""
    log = read_log(source, options, notes)
    if options.opportunities is not None:
        options = end_with_opportunity(log, options, options.opportunities, notes)
    window = observe(log, options, notes)
    rows, has_returns = settle_returns(window, options, notes)
    return Observed(log, window, rows, has_returns, options)


def summarize(source: Any, options: LogOptions) -> Summarized:
    """Read, cut, collapse and total a log: see `RFMSummary.from_transactions`."""
    notes = QualityNotes()
    seen = observe_log(source, options, notes)
    log, window, options = seen.log, seen.window, seen.options
    totals = total_by_customer(
        seen.rows,
        options.collapse,
        has_amount=log.has_amount,
        has_returns=seen.has_returns,
        has_gaps=options.regularity,
        exact=options.minor_unit is not None,
    )
    tally = begin_tally(log, window, options)
    acquired = None if options.acquired is None else acquired_days(window.rows, totals.customer)
    kept, fields = tally.take(totals, acquired)
    tally.check()
    tally.note_purchases(totals.returns, notes)
    tally.note_window(notes)
    carried = carry_columns(window.rows, totals.customer, options, notes) if options.carry else {}
    tally.note_customers(notes, has_spend=log.has_amount)
    tally.warn()
    fields |= {
        "carried": {name: column[kept] for name, column in carried.items()},
        "quality": notes.to_pandas(),
        "backend": log.backend,
        **labels(seen, tally.start),
    }
    return Summarized(fields, totals.customer[~kept], log, window)


def labels(seen: Observed, start: Any) -> dict[str, Any]:
    """Units and policies, as RFMSummary has them."""
    return {
        "time_unit": seen.options.time_unit,
        "collapse": seen.options.collapse,
        "observation_end": seen.window.end,
        "observation_start": start,
        "currency": seen.log.currency,
        "returns": seen.options.returns if seen.log.has_amount else None,
        "opportunities": seen.options.opportunities,
    }


def settle_returns(window: Window, options: LogOptions, notes: QualityNotes) -> tuple[nw.LazyFrame[Any], bool]:
    """Apply the policy for negative amounts: the rows to total, and whether returns are among them."""
    if window.n_free:
        what, note = "rows with an amount of 0, purchases like others", "leave them out of the log where they are none"
        notes.add("check", what, window.n_free, window.n_rows, "rows", note)
    if window.n_returns == 0:
        return window.rows, False
    if options.returns == "error":
        cases = window.rows.filter(nw.col("amount") < 0)
        raise DataError(
            f"amount column {options.amount!r} is negative for {count_of(window.n_returns, window.n_rows, 'rows')} "
            f"(first: {first_case(cases, options.minor_unit)}). Give returns='net' to set returns against earlier "
            "purchases, or 'ignore'." + see("returns")
        )
    what = "rows with a negative amount, " + ("netted" if options.returns == "net" else "ignored")
    notes.add("returns", what, window.n_returns, window.n_rows, "rows", f"returns={options.returns!r}")
    if options.returns == "net":
        return window.rows, True
    return window.rows.filter(nw.col("amount") >= 0), False
