"""The options that only `monitor` has, each declared once: name, type and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predclv.cli.options import FORECAST, MODEL, OUTPUT

ALARMS = "When alarms ring"

_SNAPSHOT = "{} snapshot: a folder that `run` wrote, or a summary in Parquet that `summarize` wrote{}."
Old = Annotated[
    Path,
    typer.Argument(help=_SNAPSHOT.format("The earlier", ", with --model"), metavar="OLD", show_default=False),
]
New = Annotated[Path, typer.Argument(help=_SNAPSHOT.format("The later", ""), metavar="NEW", show_default=False)]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", help="Folder of the model in use, fitted on OLD. Default: the one in OLD.", rich_help_panel=MODEL
    ),
]
NewModel = Annotated[
    str | None,
    typer.Option(
        "--new-model",
        help="Folder of the model fitted on NEW, of the same kind. Default: the one in NEW, if it is a folder.",
        rich_help_panel=MODEL,
    ),
]
Refit = Annotated[
    bool,
    typer.Option(
        "--compare-models/--no-compare-models",
        help="Compare the new model with the old one; without, the old one judges both dates.",
        rich_help_panel=MODEL,
    ),
]
AlarmLevel = Annotated[
    float, typer.Option(help="Chance that an alarm rings for a customer who has not changed.", rich_help_panel=ALARMS)
]
Top = Annotated[
    float,
    typer.Option(help="Share of the customers, by value at the old date, who are watched.", rich_help_panel=ALARMS),
]
MinValue = Annotated[
    float | None, typer.Option(help="Value from which on they are watched, instead of --top.", rich_help_panel=ALARMS)
]
Fall = Annotated[
    float,
    typer.Option(help="Share of the expected value that is gone when an alarm of value rings.", rich_help_panel=ALARMS),
]
Margin = Annotated[
    str, typer.Option(help="Share of spend that is kept, or the column with it.", rich_help_panel=FORECAST)
]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn.", rich_help_panel=OUTPUT)]
FailOn = Annotated[
    str,
    typer.Option(
        help="When to exit with 4 rather than 0: never; refit, where the verdict is yes; alarms, where more valuable "
        "customers fell silent than the forecast expected and chance explains; any of both.",
        rich_help_panel=OUTPUT,
    ),
]
