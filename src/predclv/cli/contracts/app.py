"""The commands on contracts and their options. What they do stands in `commands`, what they show in `screen`."""

from __future__ import annotations

from typing import Any

import typer

from predclv.cli import options as o
from predclv.cli.console import session
from predclv.cli.contracts import options as c

__all__ = ["contracts_app"]

contracts_app = typer.Typer(
    help="Subscriptions and other contracts, whose end is seen.",
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_ABOUT_THE_DATA = (
    "customer_id",
    "start",
    "end",
    "price",
    "period",
    "observation_end",
    "returning",
    "after_end",
    "on_null",
    "currency",
    "time_zone",
    "date_format",
    "carry",
    "cohorts",
    "cohort",
    "values",
    "size",
)
_ABOUT_LOGS = tuple(name for name in _ABOUT_THE_DATA[:12] if name not in ("price", "after_end"))


def _data_options(context: typer.Context) -> dict[str, Any]:
    return {name: context.params[name] for name in _ABOUT_THE_DATA if name in context.params}


@contracts_app.command("run")
def run_command(
    context: typer.Context,
    table: c.Source,
    *,
    customer_id: c.CustomerId = None,
    start: c.Start = None,
    end: c.End = None,
    price: c.Price = None,
    period: c.Period = None,
    observation_end: c.ObservationEnd = None,
    returning: c.Returning = None,
    after_end: c.AfterEnd = None,
    on_null: c.OnNull = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    carry: o.Carry = None,
    cohorts: c.Cohorts = False,
    cohort: c.Cohort = None,
    values: c.Values = None,
    size: c.Size = None,
    renewals: c.Renewals = "sbg",
    method: o.Method = "mle",
    horizon: c.Horizon = "1 year",
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
    """From subscriptions to their value, retention, recurring revenue, a saved model and a report."""
    from predclv.cli.contracts import commands
    from predclv.cli.steps import Forecast

    with session(quiet, json) as current:
        what = Forecast(horizon, discount_rate, margin, level, by)
        models = commands.Models(renewals, method)
        data = _data_options(context)
        commands.run(current, table, data, what, out, models=models, force=force, report=report, title=title)


@contracts_app.command("summarize")
def summarize_command(
    context: typer.Context,
    table: c.Source,
    *,
    customer_id: c.CustomerId = None,
    start: c.Start = None,
    end: c.End = None,
    price: c.Price = None,
    period: c.Period = None,
    observation_end: c.ObservationEnd = None,
    returning: c.Returning = None,
    after_end: c.AfterEnd = None,
    on_null: c.OnNull = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    carry: o.Carry = None,
    cohorts: c.Cohorts = False,
    cohort: c.Cohort = None,
    values: c.Values = None,
    size: c.Size = None,
    out: o.OutFile,
    quality: o.Quality = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """From subscriptions to one row a contract: renewals made, whether it runs, its next renewal, its price."""
    from predclv.cli.contracts import commands

    with session(quiet, json) as current:
        commands.summarize(current, table, _data_options(context), out, quality)


@contracts_app.command("fit")
def fit_command(
    context: typer.Context,
    table: c.Source,
    *,
    customer_id: c.CustomerId = None,
    start: c.Start = None,
    end: c.End = None,
    price: c.Price = None,
    period: c.Period = None,
    observation_end: c.ObservationEnd = None,
    returning: c.Returning = None,
    after_end: c.AfterEnd = None,
    on_null: c.OnNull = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    cohorts: c.Cohorts = False,
    cohort: c.Cohort = None,
    values: c.Values = None,
    size: c.Size = None,
    renewals: c.Renewals = "sbg",
    method: o.Method = "mle",
    segment: c.Segment = None,
    out: o.OutModel,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Fit a model of renewals, with prices where there are any; save the model."""
    from predclv.cli.contracts import commands

    with session(quiet, json) as current:
        models = commands.Models(renewals, method, segment)
        commands.fit(current, table, _data_options(context), out, models)


@contracts_app.command("predict")
def predict_command(
    context: typer.Context,
    table: c.Source,
    *,
    model: o.ModelFolder,
    customer_id: c.CustomerId = None,
    start: c.Start = None,
    end: c.End = None,
    price: c.Price = None,
    period: c.Period = None,
    observation_end: c.ObservationEnd = None,
    returning: c.Returning = None,
    after_end: c.AfterEnd = None,
    on_null: c.OnNull = None,
    currency: o.Currency = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    carry: o.Carry = None,
    cohorts: c.Cohorts = False,
    cohort: c.Cohort = None,
    values: c.Values = None,
    size: c.Size = None,
    horizon: c.Horizon = "1 year",
    discount_rate: o.DiscountRateIfAny = None,
    margin: o.MarginIfAny = None,
    level: o.Level = 0.9,
    out: o.OutFile,
    retention: c.Retention = None,
    tenure: c.Tenure = None,
    revenue: c.Revenue = None,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Forecast contracts with a saved model."""
    from predclv.cli.contracts import commands

    with session(quiet, json) as current:
        files = commands.Files(out, retention, tenure, revenue)
        value_options = {"discount_rate": discount_rate, "margin": margin}
        commands.predict(current, model, table, _data_options(context), horizon, level, value_options, files)


@contracts_app.command("backtest")
def backtest_command(
    context: typer.Context,
    log: c.Log,
    *,
    customer_id: c.CustomerId = None,
    start: c.Start = None,
    end: c.End = None,
    period: c.Period = None,
    observation_end: c.ObservationEnd = None,
    returning: c.Returning = None,
    on_null: c.OnNull = None,
    time_zone: o.TimeZone = None,
    date_format: o.DateFormat = None,
    methods: c.Methods = "sbg,bdw,observed_rate,last_rate,average_rate",
    cutoff: c.Cutoff,
    horizon: o.Horizons = None,
    level: o.Level = 0.9,
    scores: o.ScoresFile = None,
    forecasts: o.ForecastsFile = None,
    seed: o.Seed = 0,
    config: o.Config = None,
    quiet: o.Quiet = False,
    json: o.Json = False,
    debug: o.Debug = False,
) -> None:
    """Forecast renewals from past dates by several methods, and score them against what then happened."""
    from predclv.cli.contracts import backtest

    data = {name: context.params[name] for name in _ABOUT_LOGS if name in context.params}
    what = {"methods": methods, "cutoffs": cutoff, "horizons": horizon or ["12 months"], "level": level}
    with session(quiet, json) as current:
        backtest.show(current, log, data, {**what, "random_state": seed}, scores, forecasts)
