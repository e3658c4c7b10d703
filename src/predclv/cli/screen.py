"""What was found, as parts of a screen and as a dict for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

import predclv as pc
from predclv.cli.steps import Forecast, Results

if TYPE_CHECKING:
    from predclv.batch.summaries import SummaryFile
    from predclv.data.rfm import RFMSummary

__all__ = ["customers", "facts", "files", "number", "percent", "span", "summary", "terms", "top_customers", "value"]

_SHOWN = 5
_WHAT = {
    "report.html": "the report; open it in a browser",
    "customers.csv": "a row a customer, for spreadsheets",
    "customers.parquet": "the same, for programs",
    "portfolio.csv": "totals with intervals",
    "quality.csv": "what was dropped from the log",
    "summary.parquet": "the customers as summarised; for predclv monitor",
    "model": "for predclv predict --model",
}


def customers(rfm: RFMSummary | SummaryFile) -> str:
    """Say in a line who was summarised."""
    end = f", seen until {rfm.observation_end}" if rfm.observation_end is not None else ""
    return f"{rfm.n_customers:,} customers, {rfm.n_repeat_buyers:,} of them bought more than once{end}"


def value(results: Results) -> list[RenderableType]:
    """Show the value of the base, and of its segments."""
    what, rfm = results.forecast, results.rfm
    parse = results.clv.transactions_.parse_horizon
    horizon = parse(what.horizon, rfm.time_unit, rfm.observation_end).label
    table = Table(box=None, pad_edge=False, header_style="dim")
    headings = (what.by or "", "customers", "will buy", "purchases", "value", f"{percent(what.level)} interval")
    for position, heading in enumerate(headings):
        table.add_column(escape(heading), justify="right" if position else "left")
    for row in results.portfolio.to_dict("records"):
        table.add_row(
            escape(str(row["segment"])),
            f"{row['customers']:,}",
            f"{row['expected_buyers']:,.0f}",
            f"{row['expected_purchases']:,.0f}",
            number(row["expected_clv"]),
            span(row["clv_low"], row["clv_high"]),
            style="bold" if row["segment"] == results.portfolio["segment"].iloc[-1] else "",
        )
    return [f"\n[bold]What they are worth: {escape(horizon)}[/bold] ({escape(terms(what, rfm.currency))})", table]


def top_customers(results: Results) -> list[RenderableType]:
    """Show the customers of the highest expected value."""
    top = results.customers.assign(bought=results.rfm.frequency).nlargest(_SHOWN, "expected_clv")
    table = Table(box=None, pad_edge=False, header_style="dim")
    headings = (
        "customer",
        "bought again",
        "will buy",
        "purchases",
        "value",
        f"{percent(results.forecast.level)} interval",
    )
    for position, heading in enumerate(headings):
        table.add_column(heading, justify="right" if position else "left")
    for row in top.to_dict("records"):
        table.add_row(
            escape(str(row["customer_id"])),
            f"{row['bought']:,} times",
            f"{100 * row['p_purchase']:.0f} %",
            f"{row['expected_purchases']:.1f}",
            number(row["expected_clv"]),
            span(row["clv_low"], row["clv_high"]),
        )
    return ["\n[bold]The most valuable customers[/bold]", table]


def files(out: Path, names: list[str]) -> list[RenderableType]:
    """Show where the results are."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, meaning in _WHAT.items():
        if name in names:
            table.add_row(escape(str(out / name)), meaning)
    return ["\n[bold]Written[/bold]", table]


def facts(rfm: RFMSummary | SummaryFile) -> dict[str, Any]:
    """What a program wants to know of a summary."""
    return {
        "version": pc.__version__,
        "customers": rfm.n_customers,
        "repeat_buyers": rfm.n_repeat_buyers,
        "time_unit": rfm.time_unit,
        "collapse": rfm.collapse,
        "observation_end": rfm.observation_end,
        "currency": rfm.currency,
        "quality": rfm.quality.to_dict("records"),
    }


def summary(command: str, results: Results, out: Path, names: list[str]) -> dict[str, Any]:
    """What a program wants to know of a run."""
    what = results.forecast
    return {
        "command": command,
        **facts(results.rfm),
        "horizon": str(what.horizon),
        "discount_rate": what.discount_rate,
        "margin": what.margin,
        "level": what.level,
        "parameters": results.clv.summary.drop(columns="meaning").to_dict("records"),
        "portfolio": results.portfolio.to_dict("records"),
        "out": out,
        "files": names,
    }


def number(amount: float) -> str:
    """A number as a reader wants it: thousands marked, decimals where they count."""
    return f"{amount:,.0f}" if abs(amount) >= 10 or amount == int(amount) else f"{amount:,.2f}"


def span(low: float, high: float) -> str:
    """An interval: '1,200 to 3,400'."""
    return f"{number(low)} to {number(high)}"


def percent(share: float) -> str:
    """A share: '90 %'."""
    return f"{100 * share:.4g} %"


def terms(what: Forecast, currency: str | None) -> str:
    """How value is counted: 'margin 30 %, discounted at 10 % a year, EUR'."""
    margin = f"margin from column {what.margin}" if isinstance(what.margin, str) else f"margin {percent(what.margin)}"
    said = ["revenue" if what.margin == 1 else margin]
    said.append(f"discounted at {percent(what.discount_rate)} a year" if what.discount_rate else "not discounted")
    return ", ".join([*said, currency] if currency else said)
