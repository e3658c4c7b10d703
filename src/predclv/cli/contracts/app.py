"""The commands on contracts and their options. What they do stands in `commands`, what they show in `screen`."""

from __future__ import annotations

from dataclasses import asdict

import typer

from predclv.cli import option_groups as shared
from predclv.cli import options as o
from predclv.cli.console import session
from predclv.cli.contracts import option_groups as g
from predclv.cli.contracts import options as c
from predclv.cli.groups import spread_groups

__all__ = ["contracts_app"]

contracts_app = typer.Typer(
    help="Subscriptions and other contracts, whose end is seen.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@contracts_app.command("run")
@spread_groups
def run_command(
    table: c.Source,
    data: g.CarryingTable,
    models: g.Fit,
    forecast: g.Forecast,
    folder: shared.Folder,
    common: shared.Common,
) -> None:
    """From subscriptions to their value, retention, recurring revenue, a saved model and a report."""
    from predclv.cli.contracts import commands
    from predclv.cli.steps import Forecast

    with session(common.quiet, common.json) as current:
        what, unfitted = Forecast(**asdict(forecast)), commands.Models(**asdict(models))
        commands.run(current, table, asdict(data), what, models=unfitted, **asdict(folder))


@contracts_app.command("summarize")
@spread_groups
def summarize_command(
    table: c.Source, data: g.CarryingTable, *, out: o.OutFile, quality: o.Quality = None, common: shared.Common
) -> None:
    """From subscriptions to one row a contract: renewals made, whether it runs, its next renewal, its price."""
    from predclv.cli.contracts import commands

    with session(common.quiet, common.json) as current:
        commands.summarize(current, table, asdict(data), out, quality)


@contracts_app.command("fit")
@spread_groups
def fit_command(
    table: c.Source, data: g.Table, models: g.SegmentedFit, *, out: o.OutModel, common: shared.Common
) -> None:
    """Fit a model of renewals, with prices where there are any; save the model."""
    from predclv.cli.contracts import commands

    with session(common.quiet, common.json) as current:
        commands.fit(current, table, asdict(data), out, commands.Models(**asdict(models)))


@contracts_app.command("predict")
@spread_groups
def predict_command(
    table: c.Source,
    *,
    model: o.ModelFolder,
    data: g.CarryingTable,
    horizon: c.Horizon = "1 year",
    valuing: shared.Valuing,
    level: o.Level = 0.9,
    out: o.OutFile,
    retention: c.Retention = None,
    tenure: c.Tenure = None,
    revenue: c.Revenue = None,
    common: shared.Common,
) -> None:
    """Forecast contracts with a saved model."""
    from predclv.cli.contracts import commands

    with session(common.quiet, common.json) as current:
        files = commands.Files(out, retention, tenure, revenue)
        commands.predict(current, model, table, asdict(data), horizon, level, asdict(valuing), files)


@contracts_app.command("backtest")
@spread_groups
def backtest_command(
    log: c.Log,
    data: g.Log,
    *,
    methods: c.Methods = "sbg,bdw,observed_rate,last_rate,average_rate",
    cutoff: c.Cutoff,
    horizon: o.Horizons = None,
    level: o.Level = 0.9,
    scores: o.ScoresFile = None,
    forecasts: o.ForecastsFile = None,
    seed: o.Seed = 0,
    common: shared.Common,
) -> None:
    """Forecast renewals from past dates by several methods, and score them against what then happened."""
    from predclv.cli.contracts import backtest

    what = {"methods": methods, "cutoffs": cutoff, "horizons": horizon or ["12 months"], "level": level}
    with session(common.quiet, common.json) as current:
        backtest.show(current, log, asdict(data), {**what, "random_state": seed}, scores, forecasts)
