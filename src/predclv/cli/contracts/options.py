"""The options that only contracts have, each declared once: name, type and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predclv.cli.options import COMPARISON, DATA, FORECAST, MODEL, OUTPUT, PAST

_SOURCE = (
    "With --start, a log of subscriptions, one row each; with --cohorts, a table of who is left of each cohort; else "
    "what `summarize` wrote, or any table of tenure and ended. A CSV or Parquet file."
)
Source = Annotated[str, typer.Argument(help=_SOURCE, metavar="TABLE", show_default=False)]

_LOG = "Log of subscriptions, one row each: a CSV or Parquet file."
Log = Annotated[str, typer.Argument(help=_LOG, metavar="LOG", show_default=False)]

CustomerId = Annotated[
    str | None,
    typer.Option(help="Column that names the customer. Default: customer_id.", rich_help_panel=DATA),
]
Start = Annotated[str | None, typer.Option(help="Column with a subscription's first day.", rich_help_panel=DATA)]
End = Annotated[
    str | None, typer.Option(help="Column with its end; empty where it runs. Default: end.", rich_help_panel=DATA)
]
Price = Annotated[
    str | None,
    typer.Option(help="Column with the price of a period; of cohorts, the price itself.", rich_help_panel=DATA),
]
Period = Annotated[
    str | None,
    typer.Option(
        help="What is renewed: day, week, month, quarter or year. Default: month; of cohorts year.",
        rich_help_panel=DATA,
    ),
]
ObservationEnd = Annotated[
    str | None, typer.Option(help="As-of date, which a log needs: that day is observed.", rich_help_panel=DATA)
]
Returning = Annotated[
    str | None,
    typer.Option(
        help="A customer's next subscription: separate (a contract of its own), join (one that follows on), error.",
        rich_help_panel=DATA,
    ),
]
AfterEnd = Annotated[
    str | None, typer.Option(help="What lies after the as-of date: error, or cut.", rich_help_panel=DATA)
]
OnNull = Annotated[
    str | None, typer.Option(help="Rows without customer or start: error or drop.", rich_help_panel=DATA)
]
Cohorts = Annotated[
    bool,
    typer.Option("--cohorts", help="A row for each cohort: its size, then who is left.", rich_help_panel=DATA),
]
Cohort = Annotated[str | None, typer.Option(help="Column that names the cohorts.", rich_help_panel=DATA)]
Values = Annotated[str | None, typer.Option(help="What cohorts' cells hold: counts or percent.", rich_help_panel=DATA)]
Size = Annotated[
    int | None, typer.Option(help="With percent: customers of each cohort at the start.", rich_help_panel=DATA)
]
Renewals = Annotated[
    str,
    typer.Option(
        help="sbg: customers differ, none changes; bdw: the chance to leave changes with tenure too.",
        rich_help_panel=MODEL,
    ),
]
Segment = Annotated[
    str | None,
    typer.Option(
        help="Column whose values get parameters of their own that share strength; with --method map, mcmc or auto.",
        rich_help_panel=MODEL,
    ),
]
Horizon = Annotated[
    str, typer.Option(help='How far ahead: "12 months", "1 year", an end date, inf.', rich_help_panel=FORECAST)
]
Methods = Annotated[
    str,
    typer.Option(
        help="Methods by name, between commas: sbg, bdw, observed_rate, last_rate, average_rate.",
        rich_help_panel=COMPARISON,
    ),
]
Cutoff = Annotated[
    list[str], typer.Option(help="Date to forecast from; may be repeated.", rich_help_panel=PAST, show_default=False)
]
_RETENTION = "Retention beside what was observed, .csv or .parquet."
Retention = Annotated[Path | None, typer.Option(help=_RETENTION, rich_help_panel=OUTPUT)]
Tenure = Annotated[
    Path | None, typer.Option(help="Next renewal and DERL by tenure, .csv or .parquet.", rich_help_panel=OUTPUT)
]
Revenue = Annotated[
    Path | None, typer.Option(help="Monthly recurring revenue, .csv or .parquet.", rich_help_panel=OUTPUT)
]
