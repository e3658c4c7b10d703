"""What each customer bought and paid in all of a log or in a part of it, the first purchase included."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from predclv.data.aggregate import total_by_period
from predclv.data.carry import carry_columns
from predclv.data.dates import TICKS_PER_DAY, to_datetime64
from predclv.data.frames import column_to_numpy
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.summarize import settle_returns
from predclv.data.transactions import read_log
from predclv.data.window import observe
from predclv.errors import DataError

__all__ = ["Spending", "read_spending"]


@dataclass(frozen=True, eq=False)
class Spending:
    """What each customer bought.

    Attributes
    ----------
    customers : pandas.DataFrame
        Indexed by customer: group ("all" where there are none), purchases, amount (net of returns, which count on their
        own day; there with amounts) and first_day, last_day of the purchases. Who only returned has 0 purchases and
        no days.
    first_day, last_day : date
        Of the window: the first day with rows, and the day of the as-of date.
    end : date or datetime
        As-of date.
    """

    customers: pd.DataFrame
    first_day: dt.date
    last_day: dt.date
    end: dt.date

    @property
    def days(self) -> int:
        """Length of the window."""
        return (self.last_day - self.first_day).days + 1


def read_spending(log: Any, *, by: str | None = None, after: dt.date | None = None, **options: Any) -> Spending:
    """Count purchases and sum money by customer.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`.
    by : str, optional
        Column of groups: one that is constant for each customer, or that of the customer ids.
    after : date, optional
        Leave out what lies on this day (or in its period, where purchases are merged by longer ones) or before.
    **options
        Those of `RFMSummary.from_transactions`.

    Raises
    ------
    DataError
        As `RFMSummary.from_transactions`; the window is empty; or customers have no value of `by`.
    """
    settings, notes = LogOptions(**options), QualityNotes()
    of_customer = by is not None and by != settings.customer_id
    if of_customer:
        settings = replace(settings, carry=[str(by)])
    source = read_log(log, settings, notes)
    window = observe(source, settings, notes, after=after, end_matters=after is None)
    if after is not None and not window.n_rows:
        since = after + dt.timedelta(days=1)
        raise DataError(f"Nobody bought from {since} to {window.end}. Is the log complete, and the as-of date right?")
    rows, has_returns = settle_returns(window, settings, notes)
    bought = rows.filter(nw.col("amount") >= 0) if has_returns else rows
    period = nw.col("period")
    purchases = total_by_period(bought, settings.collapse, has_amount=False).group_by("customer")
    table = _indexed(purchases.agg(nw.col("purchases").sum(), first=period.min(), last=period.max()))
    if source.has_amount:
        money = _indexed(rows.group_by("customer").agg(nw.col("amount").sum()))
        table = money.join(table, how="left")
    ticks = TICKS_PER_DAY[settings.collapse]
    customers = pd.DataFrame({"purchases": table["purchases"].fillna(0).astype(np.int64)}, index=table.index)
    if source.has_amount:
        amount = table["amount"].astype(np.float64)
        customers["amount"] = amount if settings.minor_unit is None else settings.minor_unit.to_money(amount)
    for name in ("first", "last"):
        known = table[name].notna().to_numpy()
        days = np.full(len(table), np.datetime64("NaT"), dtype="datetime64[s]")
        days[known] = to_datetime64(table[name].to_numpy()[known].astype(np.int64), ticks).astype("datetime64[D]")
        customers[f"{name}_day"] = days
    customers.insert(0, "group", _groups(window.rows, customers.index, by, of_customer, settings, notes))
    last = window.end.date() if isinstance(window.end, dt.datetime) else window.end
    first = dt.date.fromordinal(window.start_day)
    return Spending(customers, first if after is None else max(first, after + dt.timedelta(days=1)), last, window.end)


def _indexed(lazy: nw.LazyFrame[Any]) -> pd.DataFrame:
    found = lazy.sort("customer").collect()
    columns = {name: column_to_numpy(found[name]) for name in found.columns}
    return pd.DataFrame(columns).set_index("customer")


def _groups(
    rows: nw.LazyFrame[Any],
    customers: pd.Index,
    by: str | None,
    of_customer: bool,
    settings: LogOptions,
    notes: QualityNotes,
) -> Any:
    if not of_customer:
        return "all" if by is None else customers
    values = pd.Series(carry_columns(rows, customers.to_numpy(), settings, notes)[str(by)], index=customers)
    if values.isna().any():
        raise DataError(
            f"Column {by!r} is missing for {values.isna().sum():,} of {len(values):,} customers (first: customer "
            f"{values.index[int(np.argmax(values.isna()))]}). Name their segment, 'unknown' for instance."
        )
    return values
