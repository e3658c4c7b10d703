"""The options that only `decide` has, each declared once: name, type and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predclv.cli.options import DATA, FORECAST, MODEL, OUTPUT

ACQUISITION, RETENTION, FORMULAS = "Winning customers", "Keeping customers", "The formulas in use"
LEARNING = "What works"
SEGMENTS = "Who holds the value"

Transactions = Annotated[
    str | None,
    typer.Option(
        help="When customers leave: bg_nbd (after a repeat purchase), mbg_nbd (any purchase), pareto_nbd (any time), "
        "nbd (never); regular buyers like the first two: bg_cnbd, mbg_cnbd; bg_bb counts --opportunities. Default: "
        "bg_nbd.",
        rich_help_panel=MODEL,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        help="Under default priors: map, mcmc (NUTS), auto (map, and mcmc where it will not do); without: mle, which "
        "takes no --by. Default: map.",
        rich_help_panel=MODEL,
    ),
]
ModelFolder = Annotated[
    str | None,
    typer.Option("--model", help="Folder that `fit` wrote, instead of fitting here.", rich_help_panel=MODEL),
]
Amount = Annotated[
    str | None,
    typer.Option(help="Column with the money spent. Required: decisions are about money.", rich_help_panel=DATA),
]
By = Annotated[
    str | None,
    typer.Option(
        help="Column about the customer with the channel, campaign or segment: each gets parameters of its own that "
        "share strength.",
        rich_help_panel=DATA,
    ),
]
Margin = Annotated[
    float, typer.Option(help="Share of spend that is kept: 0.3. 1 is revenue.", rich_help_panel=FORECAST)
]
Cac = Annotated[
    str | None,
    typer.Option(
        help="What winning a customer costs: one number, paid=30,friends=5 by channel, or a CSV file with the columns "
        "channel and cac.",
        rich_help_panel=ACQUISITION,
    ),
]
Arrivals = Annotated[
    str | None,
    typer.Option(
        help="New customers a month, for the value of those to come: one number, paid=300,friends=50 by channel, or a "
        "CSV file with the columns channel and arrivals.",
        rich_help_panel=ACQUISITION,
    ),
]
Target = Annotated[float, typer.Option(help="Value for each 1 of cost that is aimed at.", rich_help_panel=ACQUISITION)]
Confidence = Annotated[
    float,
    typer.Option(help="Probability with which the most that may be paid holds.", rich_help_panel=ACQUISITION),
]
Budget = Annotated[
    float | None, typer.Option(help="Money to split over the channels, with --curves.", rich_help_panel=ACQUISITION)
]
Curves = Annotated[
    Path | None,
    typer.Option(
        help="CSV file with the columns channel, most, half: spending s wins most × s / (half + s) customers.",
        rich_help_panel=ACQUISITION,
    ),
]
OfferCost = Annotated[
    float | None, typer.Option(help="What an offer to keep a customer costs.", rich_help_panel=RETENTION)
]
OfferLift = Annotated[
    float | None,
    typer.Option(help="Share of what is at stake that it saves, as an experiment showed.", rich_help_panel=RETENTION),
]
Top = Annotated[int, typer.Option(help="Customers on each list of the report.", rich_help_panel=RETENTION)]
Tiers = Annotated[
    str,
    typer.Option(
        help="Tiers of customers: how many, each to bring as much as another; or gold=0.05,silver=0.15,rest=0.8 by "
        "share of the customers.",
        rich_help_panel=SEGMENTS,
    ),
]
BacktestHorizon = Annotated[
    str, typer.Option(help="How far ahead the formulas are tested at a past date.", rich_help_panel=FORMULAS)
]
Drivers = Annotated[
    str | None,
    typer.Option(
        help="Columns about the customer, known at the first purchase, between commas: channel,plan. What goes with "
        "value and retention?",
        rich_help_panel=LEARNING,
    ),
]
Arm = Annotated[
    str | None,
    typer.Option(help="Column with the arm of an experiment that each customer was in.", rich_help_panel=LEARNING),
]
ArmStart = Annotated[
    str | None,
    typer.Option(
        help="First day of an experiment on existing customers. Default: arms were given at the first purchase.",
        rich_help_panel=LEARNING,
    ),
]
Control = Annotated[
    str | None,
    typer.Option(
        help="The arm that others are compared with. Default: control, or A, or the first.", rich_help_panel=LEARNING
    ),
]
Detect = Annotated[
    float | None,
    typer.Option(
        help="A difference that would matter, a customer: how much longer must the experiment run?",
        rich_help_panel=LEARNING,
    ),
]
MemoryLimit = Annotated[
    str, typer.Option(help="Memory that the log may take while it is read: 1GB, 800MiB.", rich_help_panel=OUTPUT)
]
Spill = Annotated[
    Path | None,
    typer.Option(help="Folder for what does not fit in memory. Default: beside --out.", rich_help_panel=OUTPUT),
]
