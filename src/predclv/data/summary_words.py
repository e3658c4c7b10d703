"""What matters of a summary, in a few lines: what `print` says and a notebook shows above the table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from predclv.data.rfm import RFMSummary
    from predclv.data.subscriptions import Subscriptions

__all__ = [
    "customers_in_words",
    "lines_to_html",
    "once_in_words",
    "quality_in_words",
    "subscriptions_in_words",
    "table_to_html",
]

#: Lines of the quality table that count what there is, and not what became of it.
_COUNTS = (
    *("rows in the log", "purchases", "customers", "one-time buyers"),
    *("cohorts", "groups of customers", "subscriptions in the log", "contracts", "contracts that run"),
)
_SHOWN = 3


def lines_to_html(lines: Sequence[str], table: pd.DataFrame | None = None) -> str:
    """The first line as a heading, the others as a list, and a table below."""
    first, *rest = lines
    listed = f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in rest)}</ul>" if rest else ""
    return f"<p><b>{escape(first)}</b></p>{listed}{'' if table is None else table_to_html(table)}"


def table_to_html(table: pd.DataFrame) -> str:
    """A table as a notebook shows it, with long texts whole."""
    with pd.option_context("display.max_colwidth", None):
        # The private pandas method is what a notebook calls.
        return str(table._repr_html_())  # type: ignore[operator]


def once_in_words(n_repeat_buyers: int, n_customers: int) -> str:
    """What share bought once, and what that means."""
    share = 1 - n_repeat_buyers / n_customers if n_customers else 0.0
    if share == 0:
        return "Everyone has bought again."
    said = "Under 1 %" if share < 0.005 else "Over 99 %" if 0.995 <= share < 1 else f"{share:.0%}".replace("%", " %")
    return f"{said} bought once; the models know them through the population only."


def quality_in_words(quality: pd.DataFrame) -> list[str]:
    """What was dropped, merged or set aside most, and where all of it stands."""
    found = quality[~quality["what"].isin(_COUNTS) & (quality["count"] > 0)]
    if not len(found):
        return []
    first = found.sort_values("share", ascending=False, kind="stable").head(_SHOWN)
    said = [f"{what} ({count:,} of {total:,})" for what, count, total in first[["what", "count", "total"]].to_numpy()]
    more = f"; {len(found) - len(first)} more" if len(found) > len(first) else ""
    return [f"From the log: {'; '.join(said)}{more}. All of it is in .quality."]


def customers_in_words(rfm: RFMSummary) -> list[str]:
    """Of an RFMSummary."""
    unit, n = rfm.time_unit, rfm.n_customers
    rows = "" if rfm.weight is None else f" in {len(rfm):,} rows"
    first = f"{n:,} customers{rows}{_as_of(rfm.observation_end)}"
    if not n:
        return [f"{first}."]
    if rfm.opportunities is None:
        merged = {None: "", "none": ""}.get(rfm.collapse, f"; purchases within a {rfm.collapse} count as one")
        ruler = f"Time is in {unit}s{merged}. Customers have been observed for {_range(rfm.T)} {unit}s."
    else:
        ruler = f"A {unit} is an opportunity, used or not. Customers have had {_range(rfm.T)} of them."
    lines = [first + ".", once_in_words(rfm.n_repeat_buyers, n)]
    if rfm.n_repeat_buyers:
        again = int(np.dot(rfm.frequency, np.ones(len(rfm), dtype=np.int64) if rfm.weight is None else rfm.weight))
        made = f"repeat purchase{'' if again == 1 else 's'}"
        if rfm.opportunities is not None:
            made = f"use{'' if again == 1 else 's'} of an opportunity"
        most = f"the most by one customer {int(rfm.frequency.max()):,}"
        lines.append(f"The other {rfm.n_repeat_buyers:,} made {again:,} {made}, {most}.")
    lines.append(ruler)
    if rfm.first_purchase is not None and not np.isnat(rfm.first_purchase).all():
        known = rfm.first_purchase[~np.isnat(rfm.first_purchase)].astype("datetime64[D]")
        lines.append(f"First purchases from {known.min()} to {known.max()}.")
    lines.append(_spend(rfm))
    if rfm.carried:
        lines.append(f"Carried: {', '.join(map(str, rfm.carried))}.")
    return [*lines, *quality_in_words(rfm.quality)]


def _spend(rfm: RFMSummary) -> str:
    if rfm.monetary_value is None:
        return "No amounts, so there is no value to forecast."
    currency = f" {rfm.currency}" if rfm.currency else " (currency not given)"
    spent = rfm.frequency > 0
    if not spent.any():
        return f"Spend{currency}: no repeat purchases."
    weight = rfm.frequency[spent] if rfm.weight is None else rfm.frequency[spent] * rfm.weight[spent]
    mean = float(np.average(rfm.monetary_value[spent], weights=weight))
    without = int(np.count_nonzero(rfm.monetary_value[spent] == 0))
    zero = f" {_buyers(without)} spent nothing on balance." if without else ""
    return f"A repeat purchase is worth {mean:,.2f}{currency} on average.{zero}"


def _buyers(n: int) -> str:
    return "1 repeat buyer has" if n == 1 else f"{n:,} repeat buyers have"


def subscriptions_in_words(subs: Subscriptions) -> list[str]:
    """Of Subscriptions."""
    n, running = subs.n_customers, float(subs.weight[~subs.ended].sum())
    lines = [f"{n:,.0f} contracts, renewed by the {subs.period}{_as_of(subs.observation_end)}."]
    if not n:
        return lines
    lines.append(f"{running:,.0f} run ({running / n:.0%}), {n - running:,.0f} have ended.".replace("%", " %"))
    fresh = float(subs.weight[(subs.tenure == 0) & ~subs.lost].sum())
    if fresh:
        share = f"{fresh / n:.0%}".replace("%", " %")
        lines.append(f"{share} have not come to a renewal; the models know them through the population only.")
    lines.append(f"Renewed {_range(subs.tenure)} times.")
    if subs.price is None:
        lines.append("No prices, so there is no value to forecast.")
    else:
        currency = f" {subs.currency}" if subs.currency else " (currency not given)"
        lines.append(f"A {subs.period} costs {np.average(subs.price, weights=subs.weight):,.2f}{currency} on average.")
    if subs.carried:
        lines.append(f"Carried: {', '.join(map(str, subs.carried))}.")
    return [*lines, *quality_in_words(subs.quality)]


def _as_of(end: dt.date | None) -> str:
    return "" if end is None else f" as of {end}"


def _range(values: Any) -> str:
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
