"""The commands and their options. What they do stands in `steps`, what they show in `screen`."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from predclv.cli import options as o
from predclv.cli.completion import complete_options
from predclv.cli.console import session
from predclv.cli.contracts.app import contracts_app
from predclv.cli.data_options import data_options
from predclv.cli.decide_app import decide_command
from predclv.cli.doctor import doctor_command
from predclv.cli.failures import describe
from predclv.cli.monitor_app import monitor_command
from predclv.cli.stopping import Stopped, stopping_cleanly

__all__ = ["execute"]

app = typer.Typer(
    help="Predicted customer lifetime value, with intervals that hold.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(contracts_app, name="contracts")


def execute(arguments: list[str]) -> int:
    """Run the command that `arguments` name; return the exit code."""
    if "_PREDCLV_COMPLETE" in os.environ:
        # A shell asks how to go on, or for the script by which it asks.
        complete_options(app)
    command = typer.main.get_command(app)
    try:
        with stopping_cleanly():
            result = command.main(arguments or ["--help"], prog_name="predclv", standalone_mode=False)
    except (Exception, KeyboardInterrupt, Stopped) as error:
        return describe(error, debug="--debug" in arguments)
    return result if isinstance(result, int) else 0


def _show_version(asked: bool) -> None:
    if asked:
        import predclv

        typer.echo(f"predclv {predclv.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Predicted customer lifetime value, with intervals that hold."""


@app.command("demo")
def demo_command(
    out: o.Out = Path("demo-results"),
    report: o.Report = True,
    force: o.Force = False,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Show what comes out, on the CDNOW log: learn until 1997-09-30, forecast, check with what happened next."""
    from predclv.cli import demo

    with session(quiet, json) as current:
        demo.show(current, out, force=force, report=report)


@app.command("run")
def run_command(
    context: typer.Context,
    log: o.Log,
    *,
    customer_id: o.CustomerId,
    date: o.Date,
    amount: o.Amount,
    observation_end: o.ObservationEnd = None,
    observation_start: o.ObservationStart = None,
    acquired: o.Acquired = None,
    time_unit: o.TimeUnit = None,
    opportunities: o.Opportunities = None,
    collapse: o.Collapse = None,
    returns: o.Returns = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    on_null: o.OnNull = None,
    minor_unit: o.MinorUnit = None,
    carry: o.Carry = None,
    carry_conflict: o.CarryConflict = None,
    transactions: o.Transactions = "bg_nbd",
    method: o.Method = "mle",
    purchase_covariates: o.PurchaseCovariates = None,
    dropout_covariates: o.DropoutCovariates = None,
    penalty: o.Penalty = None,
    horizon: o.Horizon = "1 year",
    discount_rate: o.DiscountRate = 0.10,
    margin: o.Margin = "1.0",
    by: o.By = None,
    level: o.Level = 0.9,
    out: o.Out,
    title: o.Title = None,
    report: o.Report = True,
    force: o.Force = False,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """From a purchase log to customer values, a portfolio total, a saved model and a report."""
    from predclv.cli import run, steps

    with session(quiet, json) as current:
        what = run.Forecast(horizon, discount_rate, margin, level, by)
        run.show(
            current,
            log,
            data_options(context),
            what,
            out,
            models=steps.Models(transactions, method, None, purchase_covariates, dropout_covariates, penalty),
            force=force,
            report=report,
            title=title,
        )


@app.command("summarize")
def summarize_command(
    context: typer.Context,
    log: o.LogOfAnySize,
    *,
    customer_id: o.CustomerId,
    date: o.Date,
    amount: o.AmountIfAny = None,
    observation_end: o.ObservationEnd = None,
    observation_start: o.ObservationStart = None,
    acquired: o.Acquired = None,
    time_unit: o.TimeUnit = None,
    opportunities: o.Opportunities = None,
    collapse: o.Collapse = None,
    returns: o.Returns = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    on_null: o.OnNull = None,
    carry: o.Carry = None,
    carry_conflict: o.CarryConflict = None,
    regularity: o.Regularity = False,
    minor_unit: o.MinorUnit = None,
    engine: o.LogEngine = None,
    memory_limit: o.LogMemoryLimit = None,
    spill: o.LogSpill = None,
    out: o.SummaryOut,
    quality: o.Quality = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """From a purchase log to one row a customer: frequency, recency, age, mean spend."""
    from predclv.cli import single_steps

    with session(quiet, json) as current:
        work = single_steps.Work(engine, memory_limit, spill)
        single_steps.summarize(current, log, data_options(context), out, quality, work)


@app.command("fit")
def fit_command(
    context: typer.Context,
    table: o.Table,
    *,
    customer_id: o.CustomerIdIfAny = None,
    date: o.DateIfAny = None,
    amount: o.AmountIfAny = None,
    observation_end: o.ObservationEnd = None,
    observation_start: o.ObservationStart = None,
    acquired: o.Acquired = None,
    time_unit: o.TimeUnit = None,
    opportunities: o.Opportunities = None,
    collapse: o.Collapse = None,
    returns: o.Returns = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    on_null: o.OnNull = None,
    minor_unit: o.MinorUnit = None,
    transactions: o.Transactions = "bg_nbd",
    method: o.Method = "mle",
    segment: o.Segment = None,
    purchase_covariates: o.PurchaseCovariates = None,
    dropout_covariates: o.DropoutCovariates = None,
    penalty: o.Penalty = None,
    engine: o.GroupingEngine = None,
    memory_limit: o.GroupingLimit = None,
    spill: o.Spill = None,
    max_rows: o.MaxRows = None,
    time_step: o.TimeStep = None,
    out: o.OutModel,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Fit a transaction model and, where there is spend, Gamma-Gamma; save the model."""
    from predclv.cli import single_steps, steps
    from predclv.cli.grouping import Grouping

    with session(quiet, json) as current:
        models = steps.Models(transactions, method, segment, purchase_covariates, dropout_covariates, penalty)
        grouping = Grouping(engine, memory_limit, spill, max_rows, time_step)
        single_steps.fit(current, table, data_options(context), out, models, grouping)


@app.command("predict")
def predict_command(
    context: typer.Context,
    table: o.Table,
    *,
    model: o.ModelFolder,
    customer_id: o.CustomerIdIfAny = None,
    date: o.DateIfAny = None,
    amount: o.AmountIfAny = None,
    observation_end: o.ObservationEnd = None,
    observation_start: o.ObservationStart = None,
    acquired: o.Acquired = None,
    time_unit: o.TimeUnit = None,
    opportunities: o.Opportunities = None,
    collapse: o.Collapse = None,
    returns: o.Returns = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    on_null: o.OnNull = None,
    minor_unit: o.MinorUnit = None,
    carry: o.Carry = None,
    carry_conflict: o.CarryConflict = None,
    horizon: o.Horizon = "1 year",
    discount_rate: o.DiscountRateIfAny = None,
    margin: o.MarginIfAny = None,
    level: o.Level = 0.9,
    out: o.OutFile,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Forecast customers with a saved model."""
    from predclv.cli import single_steps

    with session(quiet, json) as current:
        value_options = {"discount_rate": discount_rate, "margin": margin}
        single_steps.predict(current, model, table, data_options(context), horizon, level, value_options, out)


@app.command("score")
def score_command(
    table: o.Rows,
    *,
    model: o.ModelFolder,
    horizon: o.Horizon = "1 year",
    discount_rate: o.DiscountRateIfAny = None,
    margin: o.MarginIfAny = None,
    level: o.Level = 0.9,
    observation_end: o.RowsAsOf = None,
    engine: o.Engine = "duckdb",
    memory_limit: o.MemoryLimit = "1GB",
    partitions: o.Partitions = None,
    columns: o.Columns = None,
    out: o.OutScores,
    quarantine: o.Quarantine = None,
    resume: o.Resume = False,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> int:
    """Score a table of customers of any size, unattended; exit code 3 where rows had to be set aside."""
    from predclv.cli import score

    options = {
        "horizon": horizon,
        "discount_rate": discount_rate,
        "margin": margin,
        "level": level,
        "observation_end": observation_end,
    }
    with session(quiet, json) as current:
        what = score.Work(table, model, out, engine, memory_limit, partitions, columns, quarantine, resume)
        return score.show(current, what, options)


@app.command("backtest")
def backtest_command(
    context: typer.Context,
    log: o.Log,
    *,
    customer_id: o.CustomerId,
    date: o.Date,
    amount: o.AmountIfAny = None,
    observation_end: o.ObservationEnd = None,
    observation_start: o.ObservationStart = None,
    acquired: o.Acquired = None,
    time_unit: o.TimeUnit = None,
    collapse: o.Collapse = None,
    opportunities: o.Opportunities = None,
    returns: o.Returns = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    on_null: o.OnNull = None,
    carry: o.Carry = None,
    carry_conflict: o.CarryConflict = None,
    methods: o.Methods = "bg_nbd,naive,zero",
    reference: o.Reference = None,
    by: o.ScoreBy = None,
    recalibrate: o.Recalibrate = None,
    combine: o.Combine = False,
    cutoff: o.Cutoff = None,
    n_cutoffs: o.NCutoffs = None,
    step: o.Step = None,
    horizon: o.Horizons = None,
    history: o.History = "expanding",
    window: o.Window = None,
    refit: o.Refit = True,
    bootstrap: o.Bootstrap = 400,
    level: o.Level = 0.9,
    report: o.ReportFile = None,
    scores: o.ScoresFile = None,
    forecasts: o.ForecastsFile = None,
    out: o.OutTables = None,
    title: o.Title = None,
    jobs: o.Jobs = 1,
    seed: o.Seed = 0,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Forecast from past dates by several methods, and score them against what customers then did."""
    from predclv.cli import backtest

    what = {
        "methods": backtest.read_methods(methods),
        "reference": reference,
        "segments": by,
        "recalibrate": recalibrate,
        "combine": combine,
        "cutoffs": cutoff,
        "n_cutoffs": n_cutoffs,
        "step": step,
        "horizons": backtest.read_horizons(horizon),
        "history": history,
        "window": window,
        "refit": refit,
        "n_bootstrap": bootstrap,
        "level": level,
        "n_jobs": jobs,
        "random_state": seed,
    }
    with session(quiet, json) as current:
        outputs = backtest.Outputs(report, scores, forecasts, out)
        backtest.show(current, log, data_options(context), what, outputs, title=title)


# Listed after what comes before them in the work.
app.command("decide")(decide_command)
app.command("monitor")(monitor_command)
app.command("doctor")(doctor_command)
