"""A purchase log in one form, in memory, to be cut at past dates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.transactions import read_log
from predclv.data.window import local_moment
from predclv.errors import DataError

__all__ = ["PurchaseLog", "first_instant_after", "read_purchases"]

_OWN_COLUMNS = ("customer_id", "date", "amount", "acquired")


@dataclass(frozen=True)
class PurchaseLog:
    """A log in one form, in memory.

    Attributes
    ----------
    rows : pandas.DataFrame
        customer_id, date (local, datetime64), amount where there are amounts, and carried columns.
    options : mapping
        Further arguments of `RFMSummary.from_transactions` for these rows.
    end : date or datetime
        The log is complete until then.
    quality : pandas.DataFrame
        What reading dropped.
    """

    rows: pd.DataFrame
    options: Mapping[str, Any]
    end: dt.date
    quality: pd.DataFrame

    @property
    def opportunities(self) -> str | None:
        """What is counted, where no times are measured."""
        counted: str | None = self.options["opportunities"]
        return counted

    @property
    def has_amounts(self) -> bool:
        """Whether money is known."""
        return "amount" in self.rows

    def until(self, moment: dt.date) -> pd.DataFrame:
        """Rows until a date (that whole day) or an instant."""
        return self.rows[(self.rows["date"] < first_instant_after(moment)).to_numpy()]


def read_purchases(
    log: Any, *, segments: Sequence[str] = (), observation_end: Any = None, **options: Any
) -> PurchaseLog:
    """Read a log once, in the form that all vintages are cut from; options as in `RFMSummary.from_transactions`."""
    if "after_end" in options:
        raise DataError("A backtest takes rows after observation_end for unknown. Leave 'after_end' out.")
    if options.get("minor_unit") is not None:
        raise DataError("A backtest adds money up as floats, whatever the unit. Leave 'minor_unit' out.")
    carry = list(dict.fromkeys([*(options.pop("carry", None) or ()), *segments]))
    try:
        asked = LogOptions(**options, carry=carry, observation_end=observation_end)
    except TypeError as error:
        raise TypeError(f"backtest: {str(error).partition(') ')[2]}") from None
    taken = [name for name in carry if name in _OWN_COLUMNS]
    if taken:
        raise DataError(f"A carried column may not be called {taken[0]!r} in a backtest. Rename it.")
    notes = QualityNotes()
    read = read_log(log, asked, notes)
    rows: pd.DataFrame = read.rows.collect().to_pandas()
    names = {"customer": "customer_id", **{f"carry_{i}": name for i, name in enumerate(carry)}}
    rows = rows.rename(columns=names)
    for name in ("date", "acquired"):
        if name in rows:
            rows[name] = pd.to_datetime(rows[name])
    kept = {name: getattr(asked, name) for name in ("time_unit", "collapse", "returns", "regularity", "opportunities")}
    kept["observation_start"] = local_moment("observation_start", asked.observation_start, read)
    kept |= {"carry": carry, "carry_conflict": asked.carry_conflict, "currency": read.currency}
    kept |= {name: name for name in ("amount", "acquired") if name in rows}
    if kept["returns"] == "error" and "amount" not in rows:
        kept["returns"] = "net"
    end = local_moment("observation_end", asked.observation_end, read) or _last_day(rows)
    return PurchaseLog(rows, kept, end, notes.to_pandas())


def first_instant_after(moment: dt.date) -> pd.Timestamp:
    """First instant after a date, which is that whole day; an instant is its own."""
    stamp = pd.Timestamp(moment)
    return stamp + pd.Timedelta(microseconds=1) if isinstance(moment, dt.datetime) else stamp + pd.Timedelta(days=1)


def _last_day(rows: pd.DataFrame) -> dt.date:
    last: dt.date = rows["date"].max().date()
    return last
