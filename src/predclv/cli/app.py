"""The commands and their options. What they do stands in `steps`, what they show in `screen`."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import typer

from predclv.cli import option_groups as g
from predclv.cli import options as o
from predclv.cli.completion import complete_options
from predclv.cli.console import session
from predclv.cli.contracts.app import contracts_app
from predclv.cli.decide_app import decide_command
from predclv.cli.doctor import doctor_command
from predclv.cli.failures import describe
from predclv.cli.groups import spread_groups
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
@spread_groups
def demo_command(
    out: o.Out = Path("demo-results"),
    report: o.Report = True,
    force: o.Force = False,
    *,
    common: g.Screen,
) -> None:
    """Show what comes out, on the CDNOW log: learn until 1997-09-30, forecast, check with what happened next."""
    from predclv.cli import demo

    with session(common.quiet, common.json) as current:
        demo.show(current, out, force=force, report=report)


@app.command("run")
@spread_groups
def run_command(
    log: o.Log, data: g.RunLog, models: g.Fit, forecast: g.Forecast, folder: g.Folder, common: g.Common
) -> None:
    """From a purchase log to customer values, a portfolio total, a saved model and a report."""
    from predclv.cli import run, steps

    with session(common.quiet, common.json) as current:
        what, unfitted = steps.Forecast(**asdict(forecast)), steps.Models(**asdict(models))
        run.show(current, log, asdict(data), what, models=unfitted, **asdict(folder))


@app.command("summarize")
@spread_groups
def summarize_command(
    log: o.LogOfAnySize,
    data: g.SummarizeLog,
    *,
    engine: o.LogEngine = None,
    memory_limit: o.LogMemoryLimit = None,
    spill: o.LogSpill = None,
    out: o.SummaryOut,
    quality: o.Quality = None,
    common: g.Common,
) -> None:
    """From a purchase log to one row a customer: frequency, recency, age, mean spend."""
    from predclv.cli import single_steps

    with session(common.quiet, common.json) as current:
        work = single_steps.Work(engine, memory_limit, spill)
        single_steps.summarize(current, log, asdict(data), out, quality, work)


@app.command("fit")
@spread_groups
def fit_command(
    table: o.Table,
    data: g.FitTable,
    models: g.SegmentedFit,
    *,
    engine: o.GroupingEngine = None,
    memory_limit: o.GroupingLimit = None,
    spill: o.Spill = None,
    max_rows: o.MaxRows = None,
    time_step: o.TimeStep = None,
    out: o.OutModel,
    common: g.Common,
) -> None:
    """Fit a transaction model and, where there is spend, Gamma-Gamma; save the model."""
    from predclv.cli import single_steps, steps
    from predclv.cli.grouping import Grouping

    with session(common.quiet, common.json) as current:
        grouping = Grouping(engine, memory_limit, spill, max_rows, time_step)
        single_steps.fit(current, table, asdict(data), out, steps.Models(**asdict(models)), grouping)


@app.command("predict")
@spread_groups
def predict_command(
    table: o.Table,
    *,
    model: o.ModelFolder,
    data: g.PredictTable,
    horizon: o.Horizon = "1 year",
    valuing: g.Valuing,
    level: o.Level = 0.9,
    out: o.OutFile,
    common: g.Common,
) -> None:
    """Forecast customers with a saved model."""
    from predclv.cli import single_steps

    with session(common.quiet, common.json) as current:
        single_steps.predict(current, model, table, asdict(data), horizon, level, asdict(valuing), out)


@app.command("score")
@spread_groups
def score_command(
    table: o.Rows,
    *,
    model: o.ModelFolder,
    horizon: o.Horizon = "1 year",
    valuing: g.Valuing,
    level: o.Level = 0.9,
    observation_end: o.RowsAsOf = None,
    engine: o.Engine = "duckdb",
    memory_limit: o.MemoryLimit = "1GB",
    partitions: o.Partitions = None,
    columns: o.Columns = None,
    out: o.OutScores,
    quarantine: o.Quarantine = None,
    resume: o.Resume = False,
    common: g.Common,
) -> int:
    """Score a table of customers of any size, unattended; exit code 3 where rows had to be set aside."""
    from predclv.cli import score

    options = {"horizon": horizon, **asdict(valuing), "level": level, "observation_end": observation_end}
    with session(common.quiet, common.json) as current:
        what = score.Work(table, model, out, engine, memory_limit, partitions, columns, quarantine, resume)
        return score.show(current, what, options)


@app.command("backtest")
@spread_groups
def backtest_command(
    log: o.Log,
    data: g.Log,
    *,
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
    common: g.Common,
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
    with session(common.quiet, common.json) as current:
        outputs = backtest.Outputs(report, scores, forecasts, out)
        backtest.show(current, log, asdict(data), what, outputs, title=title)


# Listed after what comes before them in the work.
app.command("decide")(decide_command)
app.command("monitor")(monitor_command)
app.command("doctor")(doctor_command)
