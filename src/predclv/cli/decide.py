"""The command `decide`: a log of any size, read by DuckDB; models; a page on decisions with its tables."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

import predclv as pc
from predclv.batch.lock import spill_room
from predclv.cli import screen, steps
from predclv.cli.console import Session, jsonable
from predclv.cli.tables import write_table
from predclv.data.checks import check_channels
from predclv.data.columns import check_margin
from predclv.data.durations import DAYS_PER_UNIT
from predclv.decisions.formulas.plain import ALL
from predclv.decisions.report.asked import Asked
from predclv.decisions.report.customers import CHUNK, Base, FileBase, MemoryBase
from predclv.decisions.report.inputs import DecisionInputs, settle_inputs
from predclv.decisions.report.refusals import first_purchase, refuse_arms, refuse_channels, refuse_start, values_of
from predclv.decisions.report.writer import Decisions, compose_decisions
from predclv.errors import DataError
from predclv.files import replace_folder, write_text
from predclv.inference.posterior import check_level
from predclv.models.horizons import check_discount_rate
from predclv.report.page import render
from predclv.value import CLV

if TYPE_CHECKING:
    from predclv.batch.summaries import SummaryFile

__all__ = ["Models", "Place", "show"]

FACTS = "decisions.json"
# Rows of a fit, at most: draws of the parameters cost time in proportion. A quarter as many cells, of two years in
# days and six channels, moved parameters by at most 0.2 %.
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Place:
    """Where results go, and within which limits the log is read; as on the command line."""

    out: Path
    force: bool
    memory_limit: str
    spill: Path | None


@dataclass(frozen=True)
class Models:
    """What is fitted, or the folder of a model that was; as on the command line."""

    transactions: str | None
    method: str | None
    folder: str | None

    def open(self, by: str | None) -> CLV:
        """Return the models to fit, or the fitted one; DataError where both are asked for."""
        if self.folder is None:
            return steps.Models(self.transactions or "bg_nbd", self.method or "map", by).unfitted()
        for name in ("transactions", "method"):
            if getattr(self, name) is not None:
                raise DataError(f"--{name} is about a fit, and --model gives a fitted one. Leave one of them out.")
        model = pc.load(self.folder)
        steps.refuse_contracts(model, f"The model in '{self.folder}'")
        if not isinstance(model, CLV):
            raise DataError(
                f"The model in '{self.folder}' forecasts purchases and no money. Fit with --amount, so that it says "
                "what they are worth."
            )
        return model


def show(
    current: Session,
    log: str,
    data: dict[str, Any],
    what: dict[str, Any],
    asked: dict[str, Any],
    models: Models,
    place: Place,
    *,
    title: str | None,
) -> None:
    """Read, fit, decide, write, and say what was found."""
    # Now rather than after the work.
    check_level(what["level"])
    check_margin(what["margin"])
    check_discount_rate(what["discount_rate"])
    steps.check_output(log, place.out, place.force, True)
    horizon = steps.number_or_text(what["horizon"])
    clv, options = models.open(what["by"]), Asked(**asked)
    fitted = models.folder is not None
    if what["by"] is None and not fitted:
        for name, amounts in (("--cac", options.cac), ("--arrivals", options.arrivals)):
            if isinstance(amounts, Mapping):
                raise DataError(
                    f"{name} names channels, and there are no channels without --by, the column that holds them."
                )
    transactions = clv.get_params()["transactions"] if not fitted else clv.transactions_
    if transactions.segment is not None and isinstance(options.arrivals, float):
        raise DataError("--arrivals is a number for each channel where --by tells them apart: search=40,mail=25.")
    steps.require_opportunities(transactions.KEY, data)
    columns = [
        *([what["by"]] if what["by"] else []),
        *(steps.model_columns(clv) if fitted else []),
        *options.carry,
        *([options.arm] if options.arm else []),
    ]
    room = place.out.resolve().parent if place.spill is None else place.spill
    with spill_room(room) as work:
        with current.step("Reading the log"):
            regularity: dict[str, Any] = {"regularity": True} if transactions.needs_log_itt else {}
            limits: dict[str, Any] = {"memory_limit": place.memory_limit, "spill": work}
            summary, options, carry = _summarize(
                log, work, {**data, **limits, **regularity}, columns, options, what["by"]
            )
            data = steps.given(**{**data, "carry": carry})
            _refuse(clv if fitted else None, options, summary, what["by"], data)
        if not fitted:
            with current.step("Fitting the models"):
                clv = _fit(clv, summary, what["by"], limits)
        given = settle_inputs(
            clv,
            _base(summary, data.get("carry", [])),
            horizon,
            observation_end=summary.observation_end,
            **{name: what[name] for name in ("discount_rate", "margin", "level", "by")},
            log=log,
            log_options=data,
            title=title or "",
            messages=tuple(current.messages),
            made_on=dt.date.today(),
            asked=options,
        )
        with current.step("Deciding"):
            found = compose_decisions(given)
        with current.step("Writing the results"):
            about = _about(given, summary)
            names = _write(given, found, summary, about, place, current)
    current.show(screen.customers(summary), *map(escape, _headings(found)))
    current.finish(
        {**about, "decisions": found.facts, "left_out": found.left_out, "out": place.out, "files": names},
        f"\nWritten to {escape(str(place.out))}: report.html, {FACTS}, {len(found.tables)} tables, the model",
    )


def _summarize(
    log: str, work: Path, options: dict[str, Any], columns: list[str], asked: Asked, by: str | None
) -> tuple[SummaryFile, Asked, list[str]]:
    """Summarise the log with its carried columns; an attribute that changes within a customer is left out and noted."""
    while True:
        carry = list(dict.fromkeys([*columns, *asked.drivers]))
        try:
            told = steps.given(**{**options, "carry": carry})
            return pc.batch.summarize(log, work / "customers.parquet", **told), asked, carry
        except DataError as error:
            name = error.column
            if name in columns or name not in asked.drivers:
                raise _as_asked(error, by, asked) from error
            asked = replace(
                asked,
                drivers=tuple(kept for kept in asked.drivers if kept != name),
                unusable={**asked.unusable, str(name): _for_page(error)},
            )


def _as_asked(error: DataError, by: str | None, asked: Asked) -> DataError:
    """The error of a column that is not there, under the option that named it."""
    options: dict[str | None, str] = {**dict.fromkeys(asked.drivers, "--drivers"), asked.arm: "--arm", by: "--by"}
    for name, option in options.items():
        start = f"carry={name!r}: "
        if name is not None and str(error).startswith(start):
            return DataError(f"{option} {name}: {str(error).removeprefix(start)}")
    return error


def _for_page(error: DataError) -> str:
    """Why a column cannot be used, without the options of the API."""
    return str(error).removeprefix("carry ").partition(", or give carry_conflict")[0]


def _refuse(clv: CLV | None, asked: Asked, summary: SummaryFile, by: str | None, data: Mapping[str, Any]) -> None:
    """Refuse, before the fit, what does not go with the customers; `clv` where the fit is there already."""
    channels = values_of(summary.path, by) if by is not None and clv is None else []
    refuse_channels(asked, channels)
    if by is None and clv is None and asked.curves is not None:
        check_channels("curves", asked.curves, [ALL])
    if asked.arm is None:
        return
    # Ages count from other days where customers are acquired before they buy, or opportunities are counted.
    is_by_first = summary.time_unit in DAYS_PER_UNIT and not {"acquired", "opportunities"} & set(data)
    first = first_purchase(summary.path, summary.observation_end, summary.time_unit) if is_by_first else None
    refuse_start(asked, first, summary.observation_end)
    refuse_arms(asked, values_of(summary.path, asked.arm, gaps=asked.arm_start is not None))


def _fit(clv: CLV, summary: SummaryFile, by: str | None, limits: Mapping[str, Any]) -> CLV:
    rows = pc.batch.collapse_customers(summary.path, by=[by] if by else [], max_rows=_MOST_ROWS, **limits)
    fitted: CLV = clv.fit(rows)
    return fitted


def _base(summary: SummaryFile, carry: list[str]) -> Base:
    """The customers: in memory where they are few, else on disk."""
    on_disk = FileBase(summary.path, carry)
    return MemoryBase(on_disk.summary) if summary.n_customers <= CHUNK else on_disk


def _about(given: DecisionInputs, summary: SummaryFile) -> dict[str, Any]:
    return {
        "command": "decide",
        **screen.facts(summary),
        "horizon": given.horizon.label,
        "discount_rate": given.discount_rate,
        "margin": given.margin,
        "level": given.level,
        "by": given.by,
    }


def _write(
    given: DecisionInputs,
    found: Decisions,
    summary: SummaryFile,
    about: dict[str, Any],
    place: Place,
    current: Session,
) -> list[str]:
    """Write all results into one folder, whole or not at all; return the names in it."""
    with replace_folder(place.out, manifest=steps.MANIFEST, keep_others=place.force) as folder:
        write_text(folder / "report.html", render(found.document))
        for name, table in found.tables.items():
            write_table(table, folder / f"{name}.parquet")
            write_table(table, folder / f"{name}.csv")
        write_table(summary.quality, folder / "quality.csv")
        given.clv.save(folder / "model")
        told = {**about, "decisions": found.facts, "left_out": found.left_out, "warnings": current.warnings}
        write_text(folder / FACTS, json.dumps(jsonable(told), indent=2, allow_nan=False) + "\n")
        names = sorted([entry.name for entry in folder.iterdir()] + [steps.MANIFEST])
        content = {"made_by": f"predclv {pc.__version__}", "command": "decide", "files": names}
        write_text(folder / steps.MANIFEST, json.dumps(content, indent=2) + "\n")
    return names


def _headings(found: Decisions) -> list[str]:
    """The findings, which are the headings of the page; and what is not there."""
    lines = ["", *(f"• {section.title}" for section in found.document.sections[:-1])]
    return lines + [f"  (no {name}: {reason})" for name, reason in found.left_out.items()]
