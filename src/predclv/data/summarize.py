"""From a purchase log to the columns of an RFMSummary."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from predclv.data.aggregate import CustomerTotals, total_by_customer
from predclv.data.births import acquired_days, warn_of_spike
from predclv.data.carry import carry_columns
from predclv.data.checks import count_of
from predclv.data.dates import TICKS_PER_DAY, to_datetime64
from predclv.data.opportunities import number_periods
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.transactions import Log, first_case, read_log
from predclv.data.window import Window, end_with_opportunity, local_moment, observe
from predclv.errors import DataError, DataQualityWarning, warn

__all__ = ["Summarized", "settle_returns", "summarize", "time_between"]

_HOURS_PER_UNIT = {"hour": 1, "day": 24, "week": 168, "year": 8766}


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


def summarize(source: Any, options: LogOptions) -> Summarized:
    """Read, cut, collapse and total a log: see `RFMSummary.from_transactions`."""
    notes = QualityNotes()
    log = read_log(source, options, notes)
    if options.opportunities is not None:
        options = end_with_opportunity(log, options, options.opportunities, notes)
    window = observe(log, options, notes)
    rows, has_returns = settle_returns(window, options, notes)
    totals = total_by_customer(
        rows, options.collapse, has_amount=log.has_amount, has_returns=has_returns, has_gaps=options.regularity
    )
    if len(totals.customer) == 0:
        raise DataError("No purchase is left: every row is a return. Is the sign of the amounts reversed?")
    _note_purchases(window, totals, options, notes)
    kept, start = _known_from_start(log, window, totals, options, notes)
    left_out = totals.customer[~kept]
    if not kept.any():
        raise DataError(
            f"No customer is left: all {len(kept):,} had bought or were acquired before observation starts."
        )
    carried = carry_columns(window.rows, totals.customer, options, notes) if options.carry else {}
    fields = _columns(totals, kept, window.end_period, options, notes)
    _warn_of_oddities(fields, totals.first_day[kept], window, options)
    fields |= {
        "carried": {name: column[kept] for name, column in carried.items()},
        "time_unit": options.time_unit,
        "collapse": options.collapse,
        "observation_end": window.end,
        "observation_start": start,
        "currency": log.currency,
        "returns": options.returns if log.has_amount else None,
        "quality": notes.to_pandas(),
        "opportunities": options.opportunities,
        "backend": log.backend,
    }
    return Summarized(fields, left_out, log, window)


def settle_returns(window: Window, options: LogOptions, notes: QualityNotes) -> tuple[nw.LazyFrame[Any], bool]:
    """Apply the policy for negative amounts: the rows to total, and whether returns are among them."""
    if window.n_returns == 0:
        return window.rows, False
    if options.returns == "error":
        cases = window.rows.filter(nw.col("amount") < 0)
        raise DataError(
            f"amount column {options.amount!r} is negative for {count_of(window.n_returns, window.n_rows, 'rows')} "
            f"(first: {first_case(cases)}). Give returns='net' to set returns against earlier purchases, or 'ignore'."
        )
    what = "rows with a negative amount, " + ("netted" if options.returns == "net" else "ignored")
    notes.add("returns", what, window.n_returns, window.n_rows, "rows", f"returns={options.returns!r}")
    if options.returns == "net":
        return window.rows, True
    return window.rows.filter(nw.col("amount") >= 0), False


def _note_purchases(window: Window, totals: CustomerTotals, options: LogOptions, notes: QualityNotes) -> None:
    returns = totals.returns
    for what, n, note in (
        ("returns set against first purchases", returns.n_first, "repeat spend is not touched"),
        ("returns set against repeat purchases", returns.n_repeat, ""),
        ("returns before any purchase, set aside", returns.n_before, f"{returns.money_before:.12g} in money"),
    ):
        if options.returns == "net" and window.n_returns:
            notes.add("returns", what, n, window.n_returns, "rows", note if n else "")
    n_rows = window.n_rows - window.n_returns
    n_purchases = int(totals.purchases.sum())
    notes.add(
        "collapse",
        "rows merged into a purchase",
        n_rows - n_purchases,
        n_rows,
        "rows",
        f"collapse={options.collapse!r}",
    )
    notes.add("collapse", "purchases", n_purchases, n_rows, "rows")


def _known_from_start(
    log: Log, window: Window, totals: CustomerTotals, options: LogOptions, notes: QualityNotes
) -> tuple[NDArray[np.bool_], Any]:
    """Which customers the log knows from their first purchase on, and where observation starts."""
    start = local_moment("observation_start", options.observation_start, log)
    n = len(totals.customer)
    kept = np.ones(n, dtype=bool)
    start_day = window.start_day if start is None else start.toordinal()
    if start is not None:
        if start_day > window.end.toordinal():
            raise DataError(f"observation_start={str(start)!r} is later than the as-of date {window.end}.")
        old = totals.first_day < start_day
        notes.add("window", "customers who bought before observation_start, left out", int(old.sum()), n, "customers")
        kept &= ~old
    if options.acquired is not None:
        acquired = acquired_days(window.rows, totals.customer)
        old = acquired < start_day
        notes.add("window", "customers acquired before the log starts, left out", int(old.sum()), n, "customers")
        kept &= ~old
        unknown = acquired == np.iinfo(np.int64).max
        first = f"customer {totals.customer[int(np.argmax(unknown))]}" if unknown.any() else ""
        what = "customers without an acquisition date, kept"
        notes.add("window", what, int(unknown.sum()), n, "customers", "the first purchase counts", first)
        late = (acquired > totals.first_day) & ~unknown
        if late.any():
            notes.add(
                "window",
                "customers acquired after their first purchase",
                int(late.sum()),
                n,
                "customers",
                "the first purchase counts",
                f"customer {totals.customer[int(np.argmax(late))]}",
            )
    if not kept.all():
        purchases = int(totals.purchases[~kept].sum())
        notes.add("window", "purchases of customers left out", purchases, int(totals.purchases.sum()), "purchases")
    return kept, start


def _columns(
    totals: CustomerTotals, kept: NDArray[np.bool_], end_period: int, options: LogOptions, notes: QualityNotes
) -> dict[str, Any]:
    first, last = totals.first_period[kept], totals.last_period[kept]
    frequency = totals.purchases[kept] - 1
    n = len(frequency)
    fields: dict[str, Any] = {
        "customer_id": totals.customer[kept],
        "frequency": frequency,
        "recency": time_between(first, last, options),
        "T": time_between(first, np.int64(end_period), options),
        "first_purchase": to_datetime64(totals.first_day[kept], 1)
        if TICKS_PER_DAY[options.collapse] == 1
        else to_datetime64(first, TICKS_PER_DAY[options.collapse]),
    }
    notes.add("customers", "customers", n, len(kept), "customers")
    notes.add("customers", "one-time buyers", int((frequency == 0).sum()), n, "customers")
    if totals.log_gaps is not None:
        fields["log_itt"] = totals.log_gaps[kept] + frequency * math.log(float(in_units(1, options)))
    if totals.repeat_spend is not None:
        spend = totals.repeat_spend[kept]
        below = spend < 0
        if below.any():
            notes.add(
                "returns",
                "customers whose returns exceed their repeat spend, set to 0",
                int(below.sum()),
                n,
                "customers",
                f"{float(spend[below].sum()):.12g} in money",
                f"customer {fields['customer_id'][int(np.argmax(below))]}",
            )
            spend[below] = 0.0
        fields["monetary_value"] = np.divide(spend, frequency, out=np.zeros(n), where=frequency > 0)
        unspent = (frequency > 0) & (spend == 0)
        notes.add(
            "customers",
            "repeat buyers without spend, left out of a spend fit",
            int(unspent.sum()),
            n,
            "customers",
            "",
            f"customer {fields['customer_id'][int(np.argmax(unspent))]}" if unspent.any() else "",
        )
    return fields


def time_between(start: NDArray[np.int64], end: NDArray[np.int64] | np.int64, options: LogOptions) -> Any:
    """Time between ticks of `collapse`: in the time unit, or in opportunities."""
    if options.opportunities is None:
        return in_units(end - start, options)
    ends, starts = (number_periods(np.asarray(ticks), options.opportunities) for ticks in (end, start))
    return (ends - starts).astype(np.float64)


def in_units(ticks: NDArray[np.int64] | int, options: LogOptions) -> NDArray[np.float64]:
    """Ticks of `collapse` in the time unit."""
    # One division of whole numbers, so that equal times are equal floats whatever the collapse.
    numerator, denominator = 24, TICKS_PER_DAY[options.collapse] * _HOURS_PER_UNIT[options.time_unit]
    common = math.gcd(numerator, denominator)
    return np.asarray(ticks) * (numerator // common) / (denominator // common)


def _warn_of_oddities(
    fields: dict[str, Any], first_day: NDArray[np.int64], window: Window, options: LogOptions
) -> None:
    if not (fields["frequency"] > 0).any():
        warn(
            f"All {len(first_day):,} customers bought once. No model can be fitted to such data: does "
            f"{options.customer_id!r} name a customer and not an order?",
            DataQualityWarning,
        )
    if options.observation_start is None and options.acquired is None:
        warn_of_spike(first_day, window.start_day, window.end.toordinal())
