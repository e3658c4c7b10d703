"""From totals of customers to the columns of a summary, all at once or batch by batch, counting as it goes."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.aggregate import CustomerTotals, ReturnTotals
from predclv.data.births import NEVER, Births
from predclv.data.dates import TICKS_PER_DAY, to_datetime64
from predclv.data.money import MinorUnit
from predclv.data.opportunities import number_periods
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.transactions import Log
from predclv.data.window import Window, local_moment
from predclv.errors import DataError, DataQualityWarning, warn

__all__ = ["Tally", "begin_tally", "time_between"]

_HOURS_PER_UNIT = {"hour": 1, "day": 24, "week": 168, "year": 8766}


@dataclass
class Tally:
    """Makes the columns of customers, and counts what the quality table says of them.

    Attributes
    ----------
    options : LogOptions
    window : Window
    start : date or None
        Where observation starts, if that was said, in the zone of the log.
    counts : Counter
        Of customers and purchases by what became of them.
    first : dict
        The first customer of each such kind.
    lost : float
        Money (negative) of returns beyond what customers spent on repeat purchases.
    births : Births
    """

    options: LogOptions
    window: Window
    start: dt.date | None
    births: Births
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, Any] = field(default_factory=dict)
    lost: float = 0.0

    def take(
        self, totals: CustomerTotals, acquired: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.bool_], dict[str, Any]]:
        """Count a batch of customers and make the columns of those who are kept.

        Parameters
        ----------
        totals : CustomerTotals
        acquired : (n_customers,) array, optional
            Ordinal of the day of acquisition, `NEVER` where it is unknown.

        Returns
        -------
        kept : (n_customers,) mask
            Customers whose history the log knows from the start.
        columns : dict of str to (n_kept,) array
            Arguments of RFMSummary.
        """
        self.counts["all"] += len(totals.customer)
        self.counts["purchases"] += int(totals.purchases.sum())
        kept = self._known_from_start(totals, acquired)
        self.counts["purchases left out"] += int(totals.purchases[~kept].sum())
        self.births.count(totals.first_day[kept])
        return kept, self._columns(totals, kept)

    def check(self) -> None:
        """Raise DataError where nobody is left."""
        if self.counts["all"] == 0:
            raise DataError("No purchase is left: every row is a return. Is the sign of the amounts reversed?")
        if self.counts["kept"] == 0:
            raise DataError(
                f"No customer is left: all {self.counts['all']:,} had bought or were acquired before observation "
                "starts."
            )

    def note_purchases(self, returns: ReturnTotals, notes: QualityNotes) -> None:
        """Say what became of returns, and how rows were merged."""
        for what, n, note in (
            ("returns set against first purchases", returns.n_first, "repeat spend is not touched"),
            ("returns set against repeat purchases", returns.n_repeat, ""),
            ("returns before any purchase, set aside", returns.n_before, self._in_money(returns.money_before)),
        ):
            if self.options.returns == "net" and self.window.n_returns:
                notes.add("returns", what, n, self.window.n_returns, "rows", note if n else "")
        n_rows = self.window.n_rows - self.window.n_returns
        merged = n_rows - self.counts["purchases"]
        note = f"collapse={self.options.collapse!r}"
        notes.add("collapse", "rows merged into a purchase", merged, n_rows, "rows", note)
        notes.add("collapse", "purchases", self.counts["purchases"], n_rows, "rows")

    def note_window(self, notes: QualityNotes) -> None:
        """Say who is left out because the log does not know them from the start."""
        n = self.counts["all"]
        if self.start is not None:
            what = "customers who bought before observation_start, left out"
            notes.add("window", what, self.counts["bought before"], n, "customers")
        if self.options.acquired is not None:
            what = "customers acquired before the log starts, left out"
            notes.add("window", what, self.counts["acquired before"], n, "customers")
            what, note = "customers without an acquisition date, kept", "the first purchase counts"
            notes.add("window", what, self.counts["unknown"], n, "customers", note, self._first("unknown"))
            if self.counts["late"]:
                what = "customers acquired after their first purchase"
                notes.add("window", what, self.counts["late"], n, "customers", note, self._first("late"))
        if self.counts["kept"] < n:
            left_out, purchases = self.counts["purchases left out"], self.counts["purchases"]
            notes.add("window", "purchases of customers left out", left_out, purchases, "purchases")

    def note_customers(self, notes: QualityNotes, *, has_spend: bool) -> None:
        """Say how many there are, and what their spend is good for."""
        n = self.counts["kept"]
        notes.add("customers", "customers", n, self.counts["all"], "customers")
        notes.add("customers", "one-time buyers", self.counts["one-time"], n, "customers")
        if self.counts["below"]:
            what, note = "customers whose returns exceed their repeat spend, set to 0", self._in_money(self.lost)
            notes.add("returns", what, self.counts["below"], n, "customers", note, self._first("below"))
        if has_spend:
            what = "repeat buyers without spend, left out of a spend fit"
            notes.add("customers", what, self.counts["unspent"], n, "customers", "", self._first("unspent"))

    def warn(self) -> None:
        """Warn of a log without repeat buyers, and of one that starts late."""
        if self.counts["one-time"] == self.counts["kept"]:
            warn(
                f"All {self.counts['kept']:,} customers bought once. No model can be fitted to such data: does "
                f"{self.options.customer_id!r} name a customer and not an order?",
                DataQualityWarning,
            )
        if self.options.observation_start is None and self.options.acquired is None:
            self.births.warn_of_spike()

    def _known_from_start(self, totals: CustomerTotals, acquired: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        kept = np.ones(len(totals.customer), dtype=bool)
        start_day = self.window.start_day if self.start is None else self.start.toordinal()
        if self.start is not None:
            kept &= ~self._mark("bought before", totals.first_day < start_day, totals.customer)
        if acquired is not None:
            kept &= ~self._mark("acquired before", acquired < start_day, totals.customer)
            unknown = self._mark("unknown", acquired == NEVER, totals.customer)
            self._mark("late", (acquired > totals.first_day) & ~unknown, totals.customer)
        return kept

    def _columns(self, totals: CustomerTotals, kept: NDArray[np.bool_]) -> dict[str, Any]:
        options = self.options
        first, last = totals.first_period[kept], totals.last_period[kept]
        frequency, customer = totals.purchases[kept] - 1, totals.customer[kept]
        per_day = TICKS_PER_DAY[options.collapse]
        self.counts["kept"] += len(frequency)
        self._mark("one-time", frequency == 0, customer)
        columns: dict[str, Any] = {
            "customer_id": customer,
            "frequency": frequency,
            "recency": time_between(first, last, options),
            "T": time_between(first, np.int64(self.window.end_period), options),
            "first_purchase": to_datetime64(totals.first_day[kept], 1)
            if per_day == 1
            else to_datetime64(first, per_day),
        }
        if totals.log_gaps is not None:
            columns["log_itt"] = totals.log_gaps[kept] + frequency * math.log(float(_in_units(1, options)))
        if totals.repeat_spend is not None:
            columns["monetary_value"] = self._mean_spend(totals.repeat_spend[kept], frequency, customer)
        return columns

    def _mean_spend(
        self, spend: NDArray[np.float64], frequency: NDArray[np.int64], customer: NDArray[Any]
    ) -> NDArray[np.float64]:
        below = self._mark("below", spend < 0, customer)
        self.lost += float(spend[below].sum())
        spend[below] = 0.0
        self._mark("unspent", (frequency > 0) & (spend == 0), customer)
        if self.options.minor_unit is not None:
            unit: MinorUnit = self.options.minor_unit
            return unit.mean(spend, frequency)
        return np.asarray(np.divide(spend, frequency, out=np.zeros(len(spend)), where=frequency > 0))

    def _mark(self, kind: str, mask: NDArray[np.bool_], customer: NDArray[Any]) -> NDArray[np.bool_]:
        """Count those in the mask, and remember the first."""
        if n := int(mask.sum()):
            self.counts[kind] += n
            self.first.setdefault(kind, customer[int(np.argmax(mask))])
        return mask

    def _first(self, kind: str) -> str:
        return f"customer {self.first[kind]}" if kind in self.first else ""

    def _in_money(self, amount: float) -> str:
        unit = self.options.minor_unit
        return f"{amount if unit is None else unit.to_money(amount):.12g} in money"


def begin_tally(log: Log, window: Window, options: LogOptions) -> Tally:
    """Begin to count; DataError where observation starts after its end."""
    start = local_moment("observation_start", options.observation_start, log)
    if start is not None and start.toordinal() > window.end.toordinal():
        raise DataError(f"observation_start={str(start)!r} is later than the as-of date {window.end}.")
    return Tally(options, window, start, Births(window.start_day, window.end.toordinal()))


def time_between(start: NDArray[np.int64], end: NDArray[np.int64] | np.int64, options: LogOptions) -> Any:
    """Time between ticks of `collapse`: in the time unit, or in opportunities."""
    if options.opportunities is None:
        return _in_units(end - start, options)
    ends, starts = (number_periods(np.asarray(ticks), options.opportunities) for ticks in (end, start))
    return (ends - starts).astype(np.float64)


def _in_units(ticks: NDArray[np.int64] | int, options: LogOptions) -> NDArray[np.float64]:
    """Ticks of `collapse` in the time unit."""
    # One division of whole numbers, so that equal times are equal floats whatever the collapse.
    numerator, denominator = 24, TICKS_PER_DAY[options.collapse] * _HOURS_PER_UNIT[options.time_unit]
    common = math.gcd(numerator, denominator)
    return np.asarray(ticks) * (numerator // common) / (denominator // common)
