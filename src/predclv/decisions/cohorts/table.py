"""Cohorts: who was acquired when, and what came of them at each age, as triangles."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predclv.data.calendar import last_whole_number, number_of_day, period_index
from predclv.data.checks import check_option
from predclv.data.columns import check_margin
from predclv.data.opportunities import last_days
from predclv.decisions.cohorts.active import Activity, as_activity
from predclv.decisions.cohorts.shares import share_interval
from predclv.errors import DataError
from predclv.inference.posterior import check_level, check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NOT_ENOUGH", "CohortTable", "cohort_table", "whole_number"]

NOT_ENOUGH = "not enough to say"
#: What a triangle may show, and how it is called.
MEASURES: Mapping[str, str] = MappingProxyType(
    {
        "active": "Customers with a purchase",
        "retention": "Share of the cohort with a purchase",
        "retention_low": "Lower end of that share",
        "retention_high": "Upper end of that share",
        "purchases": "Purchases",
        "revenue": "Revenue",
        "margin": "Margin",
        "revenue_per_customer": "Revenue per customer of the cohort",
        "cumulative_revenue": "Revenue per customer of the cohort until then",
        "cumulative_margin": "Margin per customer of the cohort until then",
    }
)
_OF_MONEY = ("revenue", "margin", "revenue_per_customer", "cumulative_revenue", "cumulative_margin")
#: What a small cohort says nothing of.
_SHARES = ("retention", "retention_low", "retention_high", "revenue_per_customer")


@dataclass(frozen=True, eq=False, repr=False)
class CohortTable:
    """What came of customers by cohort, the period of the calendar in which they first bought, and age.

    Age 0 is that period itself, however late in it the customer came: its share is 1, and it is shorter for who came
    on its last day. Age 1 is the next one.

    Attributes
    ----------
    cells : pandas.DataFrame
        A row for each observed cell: segment (where there are several), cohort (its period), age, period, customers
        (of the cohort), active (with a purchase), retention (their share) with retention_low, retention_high,
        purchases and, with amounts, revenue (net of returns, which count on their own day), margin,
        revenue_per_customer, cumulative_revenue and cumulative_margin (per customer of the cohort, until then), and
        is_whole: False in the last period where observation ends within it. What lies later has no row.
    cohorts : pandas.DataFrame
        segment (where there are several), cohort, customers, note ("not enough to say" for a cohort of fewer than
        `min_customers`, whose shares are left empty; its counts are there).
    activity : Activity
        What it was made from, with `quality`.
    settings : mapping
        period, by, level, margin, min_customers, first_day, end, last_whole (period), currency.
    """

    cells: pd.DataFrame
    cohorts: pd.DataFrame
    activity: Activity
    settings: Mapping[str, Any]

    @property
    def keys(self) -> list[str]:
        """Columns that name a cohort."""
        return ["cohort"] if self.settings["by"] is None else ["segment", "cohort"]

    def triangle(self, measure: str = "retention", *, partial: bool = False) -> pd.DataFrame:
        """One measure by cohort and age; what has not been observed is NaN, never zero.

        Parameters
        ----------
        measure : str
            "active", "retention", "retention_low", "retention_high", "purchases", "revenue", "margin",
            "revenue_per_customer", "cumulative_revenue" or "cumulative_margin".
        partial : bool
            Whether the last period counts though observation ends within it. By default it is not observed.

        Returns
        -------
        DataFrame
            Indexed by cohort (and before it segment, where there are several), a column for each age.
        """
        check_option("measure", measure, tuple(MEASURES))
        if measure not in self.cells:
            raise DataError(f"There is no {measure}: the log was read without amounts. Give amount='...'.")
        cells = self.cells if partial else self.cells[self.cells["is_whole"]]
        table = cells.pivot_table(index=self.keys, columns="age", values=measure, dropna=False)
        index = pd.MultiIndex.from_frame(self.cohorts[self.keys])
        if len(self.keys) == 1:
            index = pd.Index(self.cohorts["cohort"], name="cohort")
        table = table.reindex(index)
        table.columns = pd.Index(table.columns.astype(int), name="age")
        return table.astype(np.float64)

    @property
    def retention(self) -> pd.DataFrame:
        """`triangle("retention")`."""
        return self.triangle("retention")

    @property
    def revenue(self) -> pd.DataFrame:
        """`triangle("revenue")`."""
        return self.triangle("revenue")

    @property
    def margin(self) -> pd.DataFrame:
        """`triangle("margin")`."""
        return self.triangle("margin")

    def say(self) -> str:
        """How many came back, and how far the table goes, in words."""
        whole = self.cells[self.cells["is_whole"]]
        unit, known = self.settings["period"], self.cohorts["note"] == ""
        named = "1 cohort" if len(self.cohorts) == 1 else f"{len(self.cohorts):,} cohorts"
        text = f"{self.cohorts['customers'].sum():,} customers in {named} by {unit}"
        later = whole[(whole["age"] == 1) & whole["retention"].notna()]
        if len(later):
            share = later["active"].sum() / later["customers"].sum()
            text += f"; {share:.0%} of them buy again in the {unit} after the first"
        if not known.all():
            least = self.settings["min_customers"]
            n, verb = (~known).sum(), "cohort has" if (~known).sum() == 1 else "cohorts have"
            text += f"; {n:,} {verb} fewer than {least} customers: {NOT_ENOUGH}"
        if not self.cells["is_whole"].all():
            text += f"; {self.cells.loc[~self.cells['is_whole'], 'period'].iloc[0]} is cut by {self.settings['end']}"
        return text

    def __repr__(self) -> str:
        return f"<CohortTable: {self.say()}>"

    def _repr_html_(self) -> str:
        shown = self.retention.map(lambda share: "" if np.isnan(share) else f"{share:.0%}")
        shown.insert(0, "customers", self.cohorts["customers"].to_numpy())
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{shown._repr_html_()}"  # type: ignore[operator]

    def plot(self, measure: str = "retention", *, segment: Any = None, ax: Axes | None = None) -> Axes:
        """Heat map of a triangle; see `predclv.plots.plot_cohorts`."""
        from predclv.plots.cohorts import plot_cohorts

        return plot_cohorts(self, measure, segment=segment, ax=ax)


def cohort_table(
    log: Any,
    *,
    by: str | None = None,
    period: str = "month",
    margin: float | str = 1.0,
    level: float = 0.9,
    min_customers: int = 20,
    **options: Any,
) -> CohortTable:
    """Follow customers by the period of their first purchase: who came back, and what they brought, at each age.

    Parameters
    ----------
    log : frame, path or Activity
        A purchase log of any size; see `activity`.
    by : str, optional
        Column of segments, such as the channel, constant for a customer: cohorts of each of its values.
    period : {"week", "month", "quarter", "year"}
        Of the calendar.
    margin : float or str
        Share of spend that is kept, from 0 to 1, or the column that holds it, constant for a customer.
    level : float
        Probability of the intervals of shares.
    min_customers : int
        A cohort with fewer says nothing of shares.
    **options
        Those of `activity`: customer_id, date, amount, observation_end, collapse, returns, minor_unit, ...

    Returns
    -------
    CohortTable

    Raises
    ------
    DataError
        As `RFMSummary.from_transactions`; a customer has no segment, or a margin that is no share.

    Examples
    --------
    >>> cohort_table(log, amount="amount", observation_end="1998-06-30").retention  # doctest: +SKIP
    """
    check_level(level)
    least = whole_number("min_customers", min_customers)
    share = None if isinstance(margin, str) else check_margin(margin)
    found = as_activity(log, by, period, margin, options)
    cells = _fill(found, share)
    small = cells["customers"] < least
    low, high = share_interval(cells["active"], cells["customers"], level)
    # That everyone buys in the period of the first purchase is no finding.
    low[cells["age"] == 0] = 1.0
    cells["retention"], cells["retention_low"], cells["retention_high"] = (
        cells["active"] / cells["customers"],
        low,
        high,
    )
    if found.has_amount:
        cells["revenue_per_customer"] = cells["revenue"] / cells["customers"]
        for name in ("revenue", "margin"):
            sums = cells.groupby(["segment", "cohort"], sort=False)[name].cumsum()
            cells[f"cumulative_{name}"] = sums / cells["customers"]
    shares = [name for name in (*_SHARES, "cumulative_revenue", "cumulative_margin") if name in cells]
    cells.loc[small, shares] = np.nan
    cohorts = found.cohorts[["segment", "cohort", "customers"]].copy()
    note = f"{NOT_ENOUGH}: fewer than {least} customers"
    cohorts["note"] = np.where(cohorts["customers"] < least, note, "")
    for table in (cells, cohorts):
        table["cohort"] = period_index(table["cohort"].to_numpy(), period)
    cells["period"] = period_index(cells["period"].to_numpy(), period)
    if found.by is None:
        cells, cohorts = (table.drop(columns="segment") for table in (cells, cohorts))
    last = last_whole_number(found.end, period)
    settings = {
        "period": period,
        "by": found.by,
        "level": level,
        "margin": margin,
        "min_customers": least,
        "first_day": found.first_day,
        "end": found.end,
        "last_whole": period_index(np.array([last]), period)[0],
        "currency": found.currency,
    }
    order = [name for name in _COLUMNS if name in cells]
    return CohortTable(cells[order], cohorts, found, MappingProxyType(settings))


_COLUMNS = (
    "segment",
    "cohort",
    "age",
    "period",
    "customers",
    "active",
    "retention",
    "retention_low",
    "retention_high",
    "purchases",
    "revenue",
    "margin",
    "revenue_per_customer",
    "cumulative_revenue",
    "cumulative_margin",
    "is_whole",
)


def _fill(found: Activity, margin: float | None) -> pd.DataFrame:
    """All observed cells, also those in which nobody did anything: these are zero."""
    last = _last_number(found)
    cohorts = found.cohorts
    n = (last - cohorts["cohort"] + 1).to_numpy()
    rows = cohorts.loc[cohorts.index.repeat(n), ["segment", "cohort", "customers"]].reset_index(drop=True)
    rows["age"] = np.arange(len(rows)) - np.repeat(np.cumsum(n) - n, n)
    rows["at"] = rows["cohort"] + rows["age"]
    cells = rows.merge(found.cells, on=["segment", "cohort", "at"], how="left")
    counts = ["active", "purchases"]
    cells[counts] = cells[counts].fillna(0).astype(np.int64)
    if found.has_amount:
        cells["revenue"] = cells["revenue"].fillna(0.0)
        cells["margin"] = cells["margin"].fillna(0.0) if margin is None else margin * cells["revenue"]
    cells["is_whole"] = cells["at"] <= last_whole_number(found.end, found.period)
    return cells.rename(columns={"at": "period"})


def _last_number(found: Activity) -> int:
    end = found.end
    last = number_of_day(end, found.period)
    # An instant at the very start of a day is the end of the day before.
    if isinstance(end, dt.datetime) and end.time() == dt.time() and last_whole_number(end, found.period) == last - 1:
        days: Any = last_days(np.array([last - 1]), found.period)
        return last - 1 if int(days[0]) == end.toordinal() - 1 else last
    return last


def whole_number(option: str, value: Any) -> int:
    """Check a number of customers or the like, or raise ValueError."""
    if check_number(option, value) < 1 or value != int(value):
        raise ValueError(f"{option!r} must be a whole number from 1 on. Got {value!r}.")
    return int(value)
