"""The options, each declared once: name, type and help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from predclv.cli.config import use_config

DATA, MODEL, FORECAST, OUTPUT = "What is in the data", "How it is fitted", "What is forecast", "Output"
PAST, COMPARISON = "From which dates", "What is compared"

_LOG = "Purchase log, one row a purchase: a CSV or Parquet file."
_TABLE = (
    "What `summarize` wrote, or any table of frequency, recency, T; with --date, a purchase log. With --engine duckdb, "
    "a table of any size: a Parquet file or folder, a CSV file, or file.duckdb::table."
)
Log = Annotated[str, typer.Argument(help=_LOG, metavar="LOG", show_default=False)]
Table = Annotated[str, typer.Argument(help=_TABLE, metavar="TABLE", show_default=False)]

_CUSTOMER_ID = typer.Option(help="Column that names the customer.", rich_help_panel=DATA, show_default=False)
_DATE = typer.Option(help="Column with the date of the purchase.", rich_help_panel=DATA, show_default=False)
_AMOUNT = typer.Option(help="Column with the money spent.", rich_help_panel=DATA, show_default=False)
_AMOUNT_IF_ANY = typer.Option(help="Column with the money spent; without it, no value.", rich_help_panel=DATA)
CustomerId = Annotated[str, _CUSTOMER_ID]
CustomerIdIfAny = Annotated[str | None, _CUSTOMER_ID]
Date = Annotated[str, _DATE]
DateIfAny = Annotated[str | None, _DATE]
Amount = Annotated[str, _AMOUNT]
AmountIfAny = Annotated[str | None, _AMOUNT_IF_ANY]

ObservationEnd = Annotated[
    str | None,
    typer.Option(help="As-of date; later purchases are set aside. Default: the last in the log.", rich_help_panel=DATA),
]
RowsAsOf = Annotated[
    str | None,
    typer.Option(
        help="As-of date of the rows, from which an end date or months count. Default: what the table says, as those "
        "of `summarize` in Parquet do; or else that of the fit.",
        rich_help_panel=DATA,
    ),
]
ObservationStart = Annotated[
    str | None, typer.Option(help="Date that the log starts at, if customers are older.", rich_help_panel=DATA)
]
TimeUnit = Annotated[
    str | None, typer.Option(help="Ruler for time: hour, day, week or year. Default: week.", rich_help_panel=DATA)
]
Acquired = Annotated[
    str | None, typer.Option(help="Column with the true date of acquisition, if known.", rich_help_panel=DATA)
]
DateFormat = Annotated[
    str | None, typer.Option(help="Format of dates that are not like 2025-12-31: %d/%m/%Y.", rich_help_panel=DATA)
]
OnNull = Annotated[
    str | None, typer.Option(help="Rows without customer, date or amount: error or drop.", rich_help_panel=DATA)
]
Collapse = Annotated[
    str | None,
    typer.Option(
        help="Span within which purchases count as one: none, hour, day, ... Default: day.", rich_help_panel=DATA
    ),
]
Opportunities = Annotated[
    str | None,
    typer.Option(
        help="Count periods of the calendar, each used or not, instead of time, for bg_bb: year, quarter, month, week "
        "or day. Horizons are then whole numbers of them.",
        rich_help_panel=DATA,
    ),
]
Returns = Annotated[str | None, typer.Option(help="What negative amounts mean. Default: net.", rich_help_panel=DATA)]
Currency = Annotated[str | None, typer.Option(help="Code of the currency, or its column.", rich_help_panel=DATA)]
TimeZone = Annotated[str | None, typer.Option(help="Zone that dates are read in.", rich_help_panel=DATA)]
Carry = Annotated[
    list[str] | None,
    typer.Option(help="Column about the customer to keep beside the results; may be repeated.", rich_help_panel=DATA),
]
CarryConflict = Annotated[
    str | None,
    typer.Option(
        help="Where such a column changes within a customer: first (the earliest value), last or error (default).",
        rich_help_panel=DATA,
    ),
]

MinorUnit = Annotated[
    str | None,
    typer.Option(
        help="Smallest amount of the currency, such as 0.01: money is added up in whole numbers of it, exactly.",
        rich_help_panel=DATA,
    ),
]
Regularity = Annotated[
    bool,
    typer.Option(
        "--regularity", help="Sum up the times between purchases too, for bg_cnbd and mbg_cnbd.", rich_help_panel=DATA
    ),
]

Method = Annotated[
    str,
    typer.Option(
        help="mle; or under default priors: map, mcmc (NUTS), auto (map, and mcmc where it will not do).",
        rich_help_panel=MODEL,
    ),
]
Transactions = Annotated[
    str,
    typer.Option(
        help="When customers leave: bg_nbd (after a repeat purchase), mbg_nbd (any purchase), pareto_nbd (any time), "
        "nbd (never); regular buyers like the first two: bg_cnbd, mbg_cnbd; bg_bb counts --opportunities.",
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

_COVARIATES = "Columns about the customer that move {}, between commas: channel,age. Carried by themselves."
PurchaseCovariates = Annotated[
    str | None, typer.Option(help=_COVARIATES.format("the purchase rate"), rich_help_panel=MODEL)
]
DropoutCovariates = Annotated[str | None, typer.Option(help=_COVARIATES.format("leaving"), rich_help_panel=MODEL)]
Penalty = Annotated[
    str | None,
    typer.Option(
        help="How strongly coefficients of covariates are held back: a number, or cv (by cross-validation); with "
        "--method mle. Default: 0.",
        rich_help_panel=MODEL,
    ),
]

_HORIZON = typer.Option(help='How far ahead: "26 weeks", "1 year", an end date, inf.', rich_help_panel=FORECAST)
_DISCOUNT_RATE = typer.Option(help="Effective, a year: 0.10 is 10 %.", rich_help_panel=FORECAST)
_MARGIN = typer.Option(help="Share of spend that is kept, or the column with it.", rich_help_panel=FORECAST)
_LEVEL = typer.Option(help="Probability of the intervals.", rich_help_panel=FORECAST)
Horizon = Annotated[str, _HORIZON]
DiscountRate = Annotated[float, _DISCOUNT_RATE]
DiscountRateIfAny = Annotated[float | None, _DISCOUNT_RATE]
Margin = Annotated[str, _MARGIN]
MarginIfAny = Annotated[str | None, _MARGIN]
Level = Annotated[float, _LEVEL]
By = Annotated[
    str | None, typer.Option(help="Column about the customer to break the total down by.", rich_help_panel=FORECAST)
]
ModelFolder = Annotated[
    str, typer.Option("--model", help="Folder that `fit` wrote.", rich_help_panel=FORECAST, show_default=False)
]

Out = Annotated[Path, typer.Option(help="Folder for the results.", rich_help_panel=OUTPUT)]
OutModel = Annotated[
    Path, typer.Option("--out", help="Folder for the model.", rich_help_panel=OUTPUT, show_default=False)
]
OutFile = Annotated[
    Path, typer.Option("--out", help="Table to write, .parquet or .csv.", rich_help_panel=OUTPUT, show_default=False)
]
Quality = Annotated[
    Path | None, typer.Option(help="CSV file for what was dropped, merged, set aside.", rich_help_panel=OUTPUT)
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Write into a folder with other things in it; they stay.", rich_help_panel=OUTPUT),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.", rich_help_panel=OUTPUT)]
Json = Annotated[
    bool, typer.Option("--json", help="Print a summary in JSON instead of a screen.", rich_help_panel=OUTPUT)
]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=OUTPUT)]
Config = Annotated[
    Path | None,
    typer.Option(
        help="TOML file with any of these options; the command line has the last word.",
        callback=use_config,
        is_eager=True,
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html.", rich_help_panel=OUTPUT)]
Title = Annotated[str | None, typer.Option(help="Title of the report.", rich_help_panel=OUTPUT)]

_METHODS_HELP = "Methods by name, between commas: bg_nbd,naive,zero,gradient_boosting,lifetimes_bg_nbd, ..."
Methods = Annotated[str, typer.Option(help=_METHODS_HELP, rich_help_panel=COMPARISON)]
Reference = Annotated[
    str | None,
    typer.Option(help="Method that the others are compared with. Default: the first.", rich_help_panel=COMPARISON),
]
ScoreBy = Annotated[
    list[str] | None,
    typer.Option("--by", help="Column about the customer to score by; may be repeated.", rich_help_panel=COMPARISON),
]
Recalibrate = Annotated[
    str | None,
    typer.Option(help="Add each method adjusted by earlier cut-offs: pit or conformal.", rich_help_panel=COMPARISON),
]
Combine = Annotated[
    bool,
    typer.Option("--combine", help="Add a mixture of the methods, learnt at earlier ones.", rich_help_panel=COMPARISON),
]
Bootstrap = Annotated[int, typer.Option(help="Resamples behind the scores' intervals.", rich_help_panel=COMPARISON)]
Cutoff = Annotated[list[str] | None, typer.Option(help="Date to forecast from; may be repeated.", rich_help_panel=PAST)]
NCutoffs = Annotated[
    int | None, typer.Option(help="Instead: so many, the last as late as the log allows.", rich_help_panel=PAST)
]
Step = Annotated[
    str | None, typer.Option(help="How far apart these are. Default: the longest horizon.", rich_help_panel=PAST)
]
Horizons = Annotated[
    list[str] | None,
    typer.Option("--horizon", help='How far ahead: "26 weeks", "1 year"; may be repeated.', rich_help_panel=PAST),
]
History = Annotated[str, typer.Option(help="Learn from all customers: expanding; or sliding.", rich_help_panel=PAST)]
Window = Annotated[
    str | None, typer.Option(help="With sliding: from those who came so long before.", rich_help_panel=PAST)
]
Refit = Annotated[
    bool, typer.Option("--refit/--no-refit", help="Fit at each date, or at the first alone.", rich_help_panel=PAST)
]
Jobs = Annotated[int, typer.Option(help="Processes; -1 takes all cores.", rich_help_panel=OUTPUT)]
Seed = Annotated[int, typer.Option(help="Seed of all that is drawn.", rich_help_panel=OUTPUT)]
ReportFile = Annotated[Path | None, typer.Option("--report", help="HTML file to write.", rich_help_panel=OUTPUT)]
ScoresFile = Annotated[Path | None, typer.Option("--scores", help="Scores, .csv or .parquet.", rich_help_panel=OUTPUT)]
ForecastsFile = Annotated[
    Path | None,
    typer.Option("--forecasts", help="Forecasts beside outcomes, .parquet or .csv.", rich_help_panel=OUTPUT),
]
OutTables = Annotated[
    Path | None, typer.Option("--out", help="Folder for all tables, as Parquet.", rich_help_panel=OUTPUT)
]

Rows = Annotated[
    str,
    typer.Argument(
        help="Rows of customer_id, frequency, recency, T and monetary_value, or of contracts as `contracts summarize` "
        "gives them: a Parquet file or folder, a CSV file, or a DuckDB table as file.duckdb::table.",
        metavar="TABLE",
        show_default=False,
    ),
]
OutScores = Annotated[Path, typer.Option("--out", help="Folder for the scores.", rich_help_panel=OUTPUT)]
Engine = Annotated[
    str,
    typer.Option(
        help="Who reads the rows: duckdb, pyarrow, or spark, which scores on many machines.", rich_help_panel=DATA
    ),
]
LogEngine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="duckdb: on disk and within --memory-limit, for logs of any size. Default: customers are kept in memory.",
        rich_help_panel=DATA,
    ),
]
LogMemoryLimit = Annotated[
    str | None,
    typer.Option("--memory-limit", help="With --engine duckdb: 2GB, 800MiB. Default: 2GB.", rich_help_panel=DATA),
]
LogSpill = Annotated[
    Path | None,
    typer.Option(
        "--spill",
        help="With --engine duckdb: folder for what does not fit in memory. Default: beside --out.",
        rich_help_panel=DATA,
    ),
]
LogOfAnySize = Annotated[
    str,
    typer.Argument(
        help="Purchase log, one row a purchase: a CSV or Parquet file, or a folder of Parquet files; with --engine "
        "duckdb also file.duckdb::table and postgresql://user@host/database::table.",
        metavar="LOG",
        show_default=False,
    ),
]
SummaryOut = Annotated[
    Path,
    typer.Option(
        "--out",
        help="Table to write, .parquet or .csv; with --engine duckdb a .parquet file, or a folder for several.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
MemoryLimit = Annotated[
    str,
    typer.Option(
        help="Memory that the program may take: 1GB, 800MiB; 600MiB at least. With spark, each of its workers.",
        rich_help_panel=OUTPUT,
    ),
]
GroupingEngine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="Who groups the table: duckdb takes one beyond memory. Left out, it is read whole.",
        rich_help_panel=DATA,
    ),
]
GroupingLimit = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        help="With --engine duckdb: memory that the job may take, about: 1GB, 800MiB. Default: 1GB.",
        rich_help_panel=DATA,
    ),
]
Spill = Annotated[
    Path | None,
    typer.Option(
        help="With --engine duckdb: folder for what does not fit in memory. Default: that for temporary files.",
        rich_help_panel=DATA,
    ),
]
MaxRows = Annotated[
    int | None,
    typer.Option(
        help="With --engine duckdb: distinct rows to fit on; more are put into cells, with a warning. Default: as many "
        "as the memory holds, 2,000,000 of 1GB.",
        rich_help_panel=DATA,
    ),
]
TimeStep = Annotated[
    str | None,
    typer.Option(
        help='With --engine duckdb: put times into cells so wide, "2 days", and wider with time.', rich_help_panel=DATA
    ),
]
Partitions = Annotated[
    int | None, typer.Option(help="Parts to write, at most. Default: one a million rows.", rich_help_panel=OUTPUT)
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the job in --out, if there is one.", rich_help_panel=OUTPUT)
]
Columns = Annotated[
    str | None,
    typer.Option(help="Columns to work out, between commas. Default: all.", rich_help_panel=OUTPUT),
]
Quarantine = Annotated[
    Path | None,
    typer.Option(help="Folder for rows that cannot be scored. Default: _quarantine in --out.", rich_help_panel=OUTPUT),
]
