"""What the commands on contracts do: `run`, `summarize`, `fit` and `predict`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

import predclv as pc
from predclv.cli.console import Session
from predclv.cli.contracts import screen, steps
from predclv.cli.single_steps import keep_the_input
from predclv.cli.steps import Forecast, check_output, given, number_or_text
from predclv.cli.tables import check_suffix, write_table
from predclv.data.checks import check_option
from predclv.errors import DataError
from predclv.files import check_replaceable
from predclv.inference.posterior import check_level
from predclv.models.contracts.model import ContractModel
from predclv.models.storage import MANIFEST

__all__ = ["Files", "Models", "fit", "predict", "run", "summarize"]


@dataclass(frozen=True)
class Models:
    """What to fit, as options have it."""

    renewals: str = "sbg"
    method: str = "mle"
    segment: str | None = None

    def unfitted(self) -> ContractModel:
        """Return the model to fit; the step around it shows that something goes on, so a sampler need not."""
        known = [key for key, model in pc.MODELS.items() if model.KIND == "contract"]
        check_option("renewals", self.renewals, known)
        model = pc.MODELS[self.renewals](method=self.method, segment=self.segment, progressbar=False)
        assert isinstance(model, ContractModel)
        return model


@dataclass(frozen=True)
class Files:
    """Tables that `predict` writes; None for those that are not asked for."""

    out: Path
    retention: Path | None = None
    tenure: Path | None = None
    revenue: Path | None = None

    @property
    def all(self) -> list[Path]:
        """Those that are asked for."""
        return [path for path in (self.out, self.retention, self.tenure, self.revenue) if path is not None]


def run(
    current: Session,
    table: str,
    data: dict[str, Any],
    what: Forecast,
    out: Path,
    *,
    models: Models,
    force: bool,
    report: bool,
    title: str | None,
) -> None:
    """Read, fit, forecast, write, and show what was found."""
    check_output(table, out, force, report)
    unfitted = models.unfitted()
    with current.step("Reading"):
        subs = steps.read_subscriptions(table, data, what.columns)
    if subs.price is None:
        raise DataError("There are no prices, without which there is no value. Give --price; `fit` needs none.")
    with current.step("Fitting the model"):
        clv = pc.CLV(unfitted).fit(subs)
    with current.step("Forecasting"):
        results = steps.forecast(subs, clv, what)
    with current.step("Writing the results"):
        names = steps.write_results(results, out, force=force, report=report, title=title, messages=current.messages)
    current.show(screen.contracts(subs), *screen.value(results), *screen.retention(results), *screen.revenue(results))
    current.finish(screen.summary(results, out, names), *screen.files(out, names))


def summarize(current: Session, table: str, data: dict[str, Any], out: Path, quality: Path | None) -> None:
    """Write one row a contract, and on request what was dropped on the way."""
    targets = [check_suffix(path) for path in (out, quality) if path is not None]
    keep_the_input(table, targets)
    with current.step("Reading"):
        subs = steps.read_subscriptions(table, data)
    steps.write_subscriptions(subs, out)
    if quality is not None:
        write_table(subs.quality, quality)
    current.show(screen.contracts(subs), f"Written: {', '.join(map(escape, map(str, targets)))}")
    current.finish({"command": "contracts summarize", **screen.facts(subs), "files": targets})


def fit(current: Session, table: str, data: dict[str, Any], out: Path, models: Models) -> None:
    """Fit the model, with prices where there are any, and save it."""
    check_replaceable(out, MANIFEST)
    unfitted = models.unfitted()
    keep = [] if models.segment is None else [models.segment]
    with current.step("Reading"):
        subs = steps.read_subscriptions(table, data, keep)
    with current.step("Fitting"):
        model = (unfitted if subs.price is None else pc.CLV(unfitted)).fit(subs)
        model.save(out)
    parameters = model.summary.to_string(index=False, justify="left")
    current.show(screen.contracts(subs), escape(parameters), f"Written: {escape(str(out))}")
    found = {"parameters": model.summary.drop(columns="meaning").to_dict("records")}
    current.finish({"command": "contracts fit", **screen.facts(subs), **found, "files": [out]})


def predict(
    current: Session,
    folder: str,
    table: str,
    data: dict[str, Any],
    horizon: str,
    level: float,
    value_options: dict[str, Any],
    files: Files,
) -> None:
    """Forecast the contracts of a table with a saved model."""
    check_level(level)
    keep_the_input(table, [check_suffix(path) for path in files.all])
    if len({path.resolve() for path in files.all}) < len(files.all):
        raise DataError("Two results would go to one file. Give each a name of its own.")
    options = {name: number_or_text(value) for name, value in given(**value_options).items()}
    model = pc.load(folder)
    renewals = model.transactions_ if isinstance(model, pc.CLV) else model
    if not isinstance(renewals, ContractModel):
        raise DataError(
            f"The model in '{folder}' is {type(renewals).__name__}, and not of contracts: `predclv predict`."
        )
    if options and not isinstance(model, pc.CLV):
        names = ", --".join(options).replace("_", "-")
        raise DataError(f"The model in '{folder}' forecasts renewals and no money: leave --{names} out.")
    margin = options.get("margin")
    keep = [column for column in (renewals.segment, margin) if isinstance(column, str)]
    with current.step("Reading"):
        subs = steps.read_subscriptions(table, data, keep)
    ahead = number_or_text(horizon)
    with current.step("Forecasting"):
        assert isinstance(model, pc.CLV | ContractModel)
        tables = [(files.out, steps.predict(model, subs, ahead, level=level, **options))]
        if files.retention is not None:
            tables.append((files.retention, steps.curve_beside_data(renewals, subs, ahead, level)))
        if files.tenure is not None:
            rate = options.get("discount_rate", 0.10)
            tables.append((files.tenure, renewals.by_tenure(subs, discount_rate=rate, level=level)))
        if files.revenue is not None:
            tables.append((files.revenue, renewals.recurring_revenue(subs, ahead, level=level)))
    for path, one in tables:
        write_table(one, path)
    current.show(screen.contracts(subs), f"Written: {', '.join(escape(str(path)) for path in files.all)}")
    current.finish({"command": "contracts predict", **screen.facts(subs), "horizon": horizon, "files": files.all})
