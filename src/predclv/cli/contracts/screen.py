"""What was found on contracts, as parts of a screen and as a dict for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

import predclv as pc
from predclv.cli.contracts.steps import Results
from predclv.cli.screen import number, percent, span, terms
from predclv.data.periods import parse_periods

if TYPE_CHECKING:
    import pandas as pd

    from predclv.data.subscriptions import Subscriptions

__all__ = ["contracts", "facts", "files", "retention", "revenue", "summary", "value"]

_WHAT = {
    "report.html": "the report; open it in a browser",
    "customers.csv": "a row a contract, for spreadsheets",
    "customers.parquet": "the same, for programs",
    "portfolio.csv": "totals with intervals",
    "retention.csv": "who is left, and who renews, beside the data",
    "tenure.csv": "next renewal and residual lifetime (DERL) by tenure",
    "revenue.csv": "recurring revenue a month",
    "quality.csv": "what was dropped from the data",
    "model": "for predclv contracts predict --model",
}


def contracts(subs: Subscriptions) -> str:
    """Say in a line what was read."""
    running = float(subs.weight[~subs.ended].sum())
    end = f", seen until {subs.observation_end}" if subs.observation_end is not None else ""
    return f"{subs.n_customers:,.0f} contracts, {running:,.0f} of them running, renewed by the {subs.period}{end}"


def value(results: Results) -> list[RenderableType]:
    """Show the value of the running contracts, and of segments."""
    what, subs = results.forecast, results.subs
    horizon = parse_periods(what.horizon, subs.period, subs.observation_end).label
    table = _table(what.by or "", "contracts", "will renew", "renewals", "value", f"{percent(what.level)} interval")
    for row in results.portfolio.to_dict("records"):
        table.add_row(
            escape(str(row["segment"])),
            f"{row['customers']:,.0f}",
            f"{row['expected_buyers']:,.0f}",
            f"{row['expected_purchases']:,.0f}",
            number(row["expected_clv"]),
            span(row["clv_low"], row["clv_high"]),
            style="bold" if row["segment"] == results.portfolio["segment"].iloc[-1] else "",
        )
    return [f"\n[bold]What they are worth: {escape(horizon)}[/bold] ({escape(terms(what, subs.currency))})", table]


def retention(results: Results) -> list[RenderableType]:
    """Say who of new customers renews and stays, and show the next renewal by tenure."""
    curve, period = results.retention, results.subs.period
    seen = curve[curve["at_risk"].notna()].iloc[-1]
    first, left, were = (
        percent(round(share, 3)) for share in (curve["retention"].iloc[1], seen["survival"], seen["observed_survival"])
    )
    line = (
        f"{first} make the first renewal; after {int(seen['period'])} {period}s {left} of new customers are left by "
        f"the model, {were} by the data"
    )
    parts: list[RenderableType] = ["\n[bold]Who stays[/bold]", line]
    tenures = results.tenures
    if tenures is not None:
        table = _table("renewals made", "run", "make the next one", "worth in payments")
        places = sorted({0, len(tenures) // 2, len(tenures) - 1})
        for row in tenures.iloc[places].to_dict("records"):
            table.add_row(
                f"{row['tenure']:,.0f}",
                f"{row['customers']:,.0f}",
                f"{100 * row['p_renew']:.0f} %",
                f"{row['discounted_residual_lifetime']:,.1f}",
            )
        parts.append(table)
    return parts


def revenue(results: Results) -> list[RenderableType]:
    """Show recurring revenue now and at the end of the horizon."""
    if results.revenue is None:
        return []
    table = _table("", "contracts", "a month", f"{percent(results.forecast.level)} interval")
    for row in results.revenue.iloc[[0, -1]].to_dict("records"):
        n = int(row["period"])
        table.add_row(
            "now" if n == 0 else f"in {n} {results.subs.period}{'' if n == 1 else 's'}",
            f"{row['expected_customers']:,.0f}",
            number(row["expected_mrr"]),
            span(row["mrr_low"], row["mrr_high"]),
        )
    return ["\n[bold]Recurring revenue[/bold] (of those who are here now)", table]


def files(out: Path, names: list[str]) -> list[RenderableType]:
    """Show where the results are."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, meaning in _WHAT.items():
        if name in names:
            table.add_row(escape(str(out / name)), meaning)
    return ["\n[bold]Written[/bold]", table]


def facts(subs: Subscriptions) -> dict[str, Any]:
    """What a program wants to know of subscriptions."""
    return {
        "version": pc.__version__,
        "contracts": _whole(subs.n_customers),
        "running": _whole(float(subs.weight[~subs.ended].sum())),
        "period": subs.period,
        "observation_end": subs.observation_end,
        "currency": subs.currency,
        "quality": subs.quality.to_dict("records"),
    }


def summary(results: Results, out: Path, names: list[str]) -> dict[str, Any]:
    """What a program wants to know of a run."""
    what = results.forecast
    tables: dict[str, pd.DataFrame | None] = {
        "portfolio": results.portfolio,
        "retention": results.retention,
        "tenures": results.tenures,
        "revenue": results.revenue,
    }
    return {
        "command": "contracts run",
        **facts(results.subs),
        "horizon": str(what.horizon),
        "discount_rate": what.discount_rate,
        "margin": what.margin,
        "level": what.level,
        "parameters": results.clv.summary.drop(columns="meaning").to_dict("records"),
        **{name: None if table is None else table.to_dict("records") for name, table in tables.items()},
        "out": out,
        "files": names,
    }


def _whole(customers: float) -> float:
    """A whole number as one; percentages of an unknown size stand for parts of customers."""
    return int(customers) if customers == int(customers) else customers


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for position, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if position else "left")
    return table
