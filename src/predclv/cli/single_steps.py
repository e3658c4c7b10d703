"""The commands `summarize`, `fit` and `predict`: one step each, with a file between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

import predclv as pc
from predclv.cli import screen, steps
from predclv.cli.console import Session
from predclv.cli.grouping import Grouping
from predclv.cli.tables import check_suffix, write_table
from predclv.data.checks import check_option
from predclv.errors import DataError
from predclv.files import check_replaceable
from predclv.inference.posterior import check_level
from predclv.models.storage import MANIFEST
from predclv.value import CLV

if TYPE_CHECKING:
    from predclv.batch.summaries import SummaryFile
    from predclv.data.rfm import RFMSummary

__all__ = ["Work", "fit", "keep_the_input", "predict", "summarize"]


@dataclass(frozen=True)
class Work:
    """How a log is summarised: in memory, or by an engine within limits."""

    engine: str | None = None
    memory_limit: str | None = None
    spill: Path | None = None

    def check(self) -> None:
        """Raise DataError for an engine there is not, or limits that nothing keeps."""
        if self.engine is not None:
            check_option("engine", self.engine, ("duckdb",))
            return
        for name in ("memory_limit", "spill"):
            if getattr(self, name) is not None:
                raise DataError(f"--{name.replace('_', '-')} is about --engine duckdb. Give that too.")


def summarize(current: Session, log: str, data: dict[str, Any], out: Path, quality: Path | None, work: Work) -> None:
    """Write the summary of a log, and on request what was dropped on the way."""
    work.check()
    targets = [out] if work.engine else [check_suffix(out)]
    targets += [] if quality is None else [check_suffix(quality)]
    keep_the_input(log, targets)
    with current.step("Reading the log"):
        rfm: RFMSummary | SummaryFile
        if work.engine:
            limits = steps.given(memory_limit=work.memory_limit, spill=work.spill)
            rfm = pc.batch.summarize(log, out, **limits, **steps.given(**data))
        else:
            rfm = steps.summarize(log, **data)
            steps.write_summary(rfm, out)
    if quality is not None:
        write_table(rfm.quality, quality)
    current.show(screen.customers(rfm), f"Written: {', '.join(map(str, targets))}")
    current.finish({"command": "summarize", **screen.facts(rfm), "files": targets})


def fit(
    current: Session, table: str, data: dict[str, Any], out: Path, models: steps.Models, grouping: Grouping
) -> None:
    """Fit the models that the data allow and save them."""
    check_replaceable(out, MANIFEST)
    clv = models.unfitted()
    transactions = clv.get_params()["transactions"]
    steps.require_opportunities(transactions.KEY, data)
    with current.step("Reading"):
        if transactions.needs_log_itt and data["date"] is not None:
            data = {**data, "regularity": True}
        rfm = grouping.read(table, models.columns, **data)
    if transactions.needs_log_itt and rfm.log_itt is None:
        raise DataError(
            f"--transactions {transactions.KEY} goes by the times between purchases, which '{table}' does not hold. "
            "Summarise the log with --regularity."
        )
    with current.step("Fitting"):
        model = (clv if rfm.monetary_value is not None else transactions).fit(rfm)
        model.save(out)
    told = steps.effects(model)
    table_of_all = model.summary.to_string(index=False, justify="left")
    # Names of coefficients have brackets.
    rows = [] if rfm.weight is None else [f"{len(rfm):,} distinct rows stand for them"]
    current.show(screen.customers(rfm), *map(escape, (*rows, table_of_all, *told)), f"Written: {out}")
    found = {"parameters": model.summary.drop(columns="meaning").to_dict("records"), "effects": told}
    current.finish({"command": "fit", **screen.facts(rfm), "rows": len(rfm), **found, "files": [out]})


def predict(
    current: Session,
    folder: str,
    table: str,
    data: dict[str, Any],
    horizon: str,
    level: float,
    value_options: dict[str, Any],
    out: Path,
) -> None:
    """Forecast the customers of a table with a saved model."""
    check_level(level)
    keep_the_input(table, [check_suffix(out)])
    options = {name: steps.number_or_text(value) for name, value in steps.given(**value_options).items()}
    model = pc.load(folder)
    steps.refuse_contracts(model, f"The model in '{folder}'")
    if options and not isinstance(model, CLV):
        names = ", --".join(options).replace("_", "-")
        raise DataError(f"The model in '{folder}' forecasts purchases and no money: leave --{names} out.")
    margin = options.get("margin")
    columns = [*steps.model_columns(model), *([margin] if isinstance(margin, str) else [])]
    with current.step("Reading"):
        rfm = steps.read_summary(table, columns, **data)
    with current.step("Forecasting"):
        frame = steps.predict(model, rfm, steps.number_or_text(horizon), level=level, **options)
    write_table(frame, out)
    current.show(screen.customers(rfm), f"Written: {out}")
    current.finish({"command": "predict", **screen.facts(rfm), "horizon": horizon, "files": [out]})


def keep_the_input(source: str, targets: list[Path]) -> None:
    """Raise DataError where a result would take the place of what is read."""
    for target in targets:
        if target.exists() and Path(source).exists() and target.samefile(source):
            raise DataError(f"'{target}' is the input. Give another name for the output.")
