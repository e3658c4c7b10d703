"""The figures of retention that everyone reports, as tables, with what each of them means."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.calendar import check_calendar, last_whole_number, number_of_day, period_index
from predclv.data.subscriptions import Subscriptions
from predclv.decisions.cohorts.active import Activity, as_activity
from predclv.decisions.cohorts.contract_metrics import CONTRACT_DEFINITIONS, contract_table
from predclv.decisions.cohorts.gaps import gap_table
from predclv.decisions.cohorts.shares import ratio_interval, share_interval
from predclv.decisions.cohorts.table import NOT_ENOUGH, whole_number
from predclv.errors import DataError
from predclv.inference.posterior import check_level

__all__ = ["RetentionMetrics", "retention_metrics"]

DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "active_customers": "customers with at least one purchase in the period",
        "new_customers": "those of them whose first purchase lies in it",
        "returning_customers": "active customers whose first purchase lies in an earlier period",
        "purchases": "purchases in the period, merged as collapse= says; returns are none",
        "churn_rate": "of the customers active in the period before, the share without a purchase in this one. It is a "
        "matter of the window alone: without a contract nobody says that they leave, a slow buyer counts as lost, and "
        "may come back. It is not the model's probability of having left, 1 - p_alive, nor of no purchase, "
        "1 - p_purchase",
        "repeat_rate": "of all customers who came until the period's end, the share with a second purchase by then; "
        "who came lately has had little time",
        "revenue": "amounts of the period, net of returns, which count on their own day",
        "new_revenue": "revenue of the period's new customers",
        "returning_revenue": "revenue of all others",
        "average_order_value": "revenue over purchases",
        "net_revenue_retention": "revenue in this period of the customers active in the period before, over their "
        "revenue in that one: new customers are not in it, and it may exceed 1",
        "gross_revenue_retention": "the same, but no customer counts for more than before, nor for less than nothing: "
        "never above 1",
        "..._low, ..._high": "interval: of shares Wilson's, of ratios by their residuals over customers (normal)",
        "purchase gap": "days between a customer's purchases, in `gaps`: observed_days of the gaps that are over, "
        "which are too short, for long ones are not over yet; days with the open ones counted (Kaplan and Meier), "
        "infinite where fewer than that share ever end. Frequent buyers have more gaps than others",
    }
)


@dataclass(frozen=True, eq=False, repr=False)
class RetentionMetrics:
    """Retention, churn, orders and gaps by period.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a period (and segment, where there are several); `definitions` says what the columns are. Empty (NaN)
        where there is no period before; the shares of fewer than `min_customers` customers are empty, and `note` says
        "not enough to say". It also names the first period and the one after it where observation, or the log, starts
        within the first.
    gaps : pandas.DataFrame or None
        Time between purchases: segment, gaps, still_open, quantile, observed_days, days. None for contracts.
    definitions : pandas.DataFrame
        metric, definition.
    settings : mapping
        period, by, level, min_customers, end, currency, kind ("purchases" or "contracts").
    """

    table: pd.DataFrame
    gaps: pd.DataFrame | None
    definitions: pd.DataFrame
    settings: Mapping[str, Any]

    def say(self) -> str:
        """The last period in words."""
        row = self.table.iloc[-1]
        if self.settings["by"] is not None:
            return f"{len(self.table):,} rows by {self.settings['by']} and {self.settings['period']}"
        text = f"{row['period']}: {row['active_customers']:,.0f} active customers"
        for name, words in (
            ("churn_rate", "churn"),
            ("net_revenue_retention", "net revenue retention"),
            ("gross_revenue_retention", "gross"),
        ):
            if name in row and np.isfinite(row[name]):
                text += f", {words} {row[name]:.0%} ({row[f'{name}_low']:.0%} to {row[f'{name}_high']:.0%})"
        if NOT_ENOUGH in row["note"]:
            text += f"; {row['note']}"
        return text

    def __repr__(self) -> str:
        return f"<RetentionMetrics: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]


def retention_metrics(
    log: Any,
    *,
    by: str | None = None,
    period: str = "quarter",
    level: float = 0.9,
    min_customers: int = 20,
    **options: Any,
) -> RetentionMetrics:
    """Retention and churn, revenue retention, order values and gaps, period by period.

    Parameters
    ----------
    log : frame, path, Activity or Subscriptions
        A purchase log of any size (see `activity`), or contracts.
    by : str, optional
        Column of segments, constant for a customer.
    period : {"quarter", "month", "year", "week"}
        Of the calendar; only those that are over have a row. A period that is short for the customers' rhythm makes
        everyone churn: see `gaps`.
    level : float
        Probability of the intervals.
    min_customers : int
        Shares of fewer are left empty.
    **options
        Those of `activity`; none for contracts.

    Returns
    -------
    RetentionMetrics

    Raises
    ------
    DataError
        As `RFMSummary.from_transactions`; no period is whole.
    """
    check_level(level)
    check_calendar(period)
    least = whole_number("min_customers", min_customers)
    settings: dict[str, Any] = {"period": period, "by": by, "level": level, "min_customers": least}
    if isinstance(log, Subscriptions):
        if options:
            raise DataError(f"Contracts have been read already: {sorted(options)[0]}= belongs to their making.")
        table = contract_table(log, by, period, level, least)
        settings |= {"end": log.observation_end, "currency": log.currency, "kind": "contracts"}
        return RetentionMetrics(table, None, _definitions(CONTRACT_DEFINITIONS, table), MappingProxyType(settings))
    found = as_activity(log, by, period, None, options)
    settings |= {"by": found.by, "end": found.end, "currency": found.currency, "kind": "purchases"}
    table = pd.concat(
        [_of_segment(found, segment, level, least) for segment in sorted(set(found.cohorts["segment"]))],
        ignore_index=True,
    )
    gaps = gap_table(found.gaps)
    if found.by is None:
        table, gaps = table.drop(columns="segment"), gaps.drop(columns="segment")
    return RetentionMetrics(table, gaps, _definitions(DEFINITIONS, table), MappingProxyType(settings))


def _definitions(words: Mapping[str, str], table: pd.DataFrame) -> pd.DataFrame:
    kept = {name: text for name, text in words.items() if name in table or " " in name or "..." in name}
    return pd.DataFrame({"metric": list(kept), "definition": list(kept.values())})


def _of_segment(found: Activity, segment: Any, level: float, least: int) -> pd.DataFrame:
    first, last = number_of_day(found.first_day, found.period), last_whole_number(found.end, found.period)
    if last < first:
        raise DataError(f"No {found.period} is over by {found.end}. Give a shorter period, or a later observation_end.")
    numbers = np.arange(first, last + 1)
    cells = found.cells[found.cells["segment"] == segment]
    new = cells["cohort"] == cells["at"]
    sums = cells.drop(columns=["segment", "cohort"]).groupby("at").sum().reindex(numbers, fill_value=0)
    of_new = cells[new].drop(columns="segment").set_index("at").reindex(numbers, fill_value=0)
    pairs = found.pairs[found.pairs["segment"] == segment].set_index("at").drop(columns="segment")
    pairs = pairs.reindex(numbers, fill_value=0)
    repeats = found.repeats[found.repeats["segment"] == segment].set_index("at")["customers"]
    table = pd.DataFrame({"period": period_index(numbers, found.period), "segment": segment}, index=numbers)
    table["active_customers"] = sums["active"].astype(np.int64)
    table["new_customers"] = of_new["active"].astype(np.int64)
    table["returning_customers"] = table["active_customers"] - table["new_customers"]
    table["purchases"] = sums["purchases"].astype(np.int64)
    before = sums["active"].shift(1)
    _share(table, "churn_rate", before - pairs["retained"], before, level, least)
    came = table["new_customers"].cumsum().astype(np.float64)
    _share(table, "repeat_rate", repeats.reindex(numbers, fill_value=0).cumsum(), came, level, least)
    if found.has_amount:
        _money(table, sums, of_new, pairs, level, least)
    small = (before < least).to_numpy() | (came < least).to_numpy()
    table["note"] = np.where(small, f"{NOT_ENOUGH}: fewer than {least} customers", "")
    if number_of_day(found.first_day - dt.timedelta(days=1), found.period) == first:
        # What came earlier in that period is not in it, nor in what the next is compared with.
        said = f"starts on {found.first_day}", f"the period before starts on {found.first_day}"
        for number, words in zip(table.index, said, strict=False):
            table.loc[number, "note"] = "; ".join(filter(None, (table.loc[number, "note"], words)))
    return table


def _share(table: pd.DataFrame, name: str, hits: Any, of: Any, level: float, least: int) -> None:
    low, high = share_interval(hits, of, level)
    known = (of >= least).to_numpy()
    for column, values in ((name, (hits / of).to_numpy()), (f"{name}_low", low), (f"{name}_high", high)):
        table[column] = np.where(known, values, np.nan)


def _money(
    table: pd.DataFrame, sums: pd.DataFrame, of_new: pd.DataFrame, pairs: pd.DataFrame, level: float, least: int
) -> None:
    table["revenue"] = sums["revenue"].to_numpy()
    table["new_revenue"] = of_new["revenue"].to_numpy()
    table["returning_revenue"] = table["revenue"] - table["new_revenue"]
    n = table["purchases"].to_numpy(dtype=np.float64)
    aov = (
        table["revenue"].to_numpy(),
        n,
        *(sums[f"{name}"] for name in ("revenue_squared", "revenue_purchases", "purchases_squared")),
    )
    _ratio(table, "average_order_value", aov, level, (table["active_customers"] >= least).to_numpy())
    known = (sums["active"].shift(1) >= least).to_numpy()
    base, positive = sums["bought_revenue"].shift(1), sums["positive_revenue"].shift(1)
    squares, above = sums["bought_squared"].shift(1), sums["positive_squared"].shift(1)
    net = pairs["later_revenue"], base, pairs["later_squared"], pairs["later_before"], squares
    _ratio(table, "net_revenue_retention", net, level, known)
    gross = pairs["kept_revenue"], positive, pairs["kept_squared"], pairs["kept_before"], above
    _ratio(table, "gross_revenue_retention", gross, level, known)
    for end in ("low", "high"):
        table[f"gross_revenue_retention_{end}"] = table[f"gross_revenue_retention_{end}"].clip(0.0, 1.0)


def _ratio(table: pd.DataFrame, name: str, parts: tuple[Any, ...], level: float, known: Any) -> None:
    y, x, yy, xy, xx = (np.asarray(part, dtype=np.float64) for part in parts)
    low, high = ratio_interval(y, x, yy, xy, xx, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(x > 0, y / x, np.nan)
    for column, values in ((name, ratio), (f"{name}_low", low), (f"{name}_high", high)):
        table[column] = np.where(known, values, np.nan)
