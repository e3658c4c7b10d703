"""The command `decide`: a log of any size, read by DuckDB; models; a page on decisions with its tables."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

import predclv as pc
from predclv.batch.lock import spill_room
from predclv.cli import screen, steps
from predclv.cli.console import Session, jsonable
from predclv.cli.tables import write_table
from predclv.data.columns import check_margin
from predclv.decisions.acquisition.budget import Saturating
from predclv.decisions.report.customers import CHUNK, Base, FileBase, MemoryBase
from predclv.decisions.report.inputs import Asked, DecisionInputs, settle_inputs
from predclv.decisions.report.writer import Decisions, compose_decisions
from predclv.errors import DataError
from predclv.files import replace_folder, write_text
from predclv.inference.posterior import check_level
from predclv.models.horizons import check_discount_rate
from predclv.report.page import render
from predclv.value import CLV

if TYPE_CHECKING:
    from predclv.batch.summaries import SummaryFile

__all__ = ["Models", "Place", "read_amounts", "read_curves", "read_names", "read_tiers", "show"]

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
        *options.drivers,
    ]
    columns += [options.arm] if options.arm else []
    data = steps.given(**{**data, "carry": list(dict.fromkeys(columns))})
    room = place.out.resolve().parent if place.spill is None else place.spill
    with spill_room(room) as work:
        with current.step("Reading the log"):
            regularity: dict[str, Any] = {"regularity": True} if transactions.needs_log_itt else {}
            limits: dict[str, Any] = {"memory_limit": place.memory_limit, "spill": work}
            summary = pc.batch.summarize(log, work / "customers.parquet", **limits, **data, **regularity)
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


def read_names(option: str, text: str | None) -> tuple[str, ...]:
    """Read names between commas."""
    names = tuple(part.strip() for part in (text or "").split(","))
    if text is not None and not all(names):
        raise DataError(f"--{option} is columns between commas: channel,plan. Got {text!r}.")
    return names if text is not None else ()


def read_amounts(text: str | None, option: str = "--cac") -> float | dict[str, float] | None:
    """Read one number, channel=amount between commas, or a CSV file of channel and cac."""
    if text is None:
        return None
    if isinstance(number := steps.number_or_text(text), float):
        return number
    if text.lower().endswith(".csv"):
        return {name: _amount(name, row["cac"]) for name, row in _read_rows(Path(text), ("cac",)).items()}
    amounts: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, mark, amount = (part.strip() for part in pair.rpartition("="))
        if not mark or not name:
            raise DataError(
                f"{option} is one number, channel=amount between commas, or a CSV file with the columns channel and "
                f"cac. Got {pair!r}."
            )
        if name in amounts:
            raise DataError(f"{option} names {name!r} twice.")
        amounts[name] = _amount(name, amount)
    if not amounts:
        raise DataError(f"{option} names no channel: {text!r}.")
    return amounts


def read_tiers(text: str) -> int | dict[str, float]:
    """Read a number of tiers, or name=share between commas."""
    number = steps.number_or_text(text)
    if isinstance(number, float):
        if not number.is_integer():
            raise DataError(f"--tiers is a whole number, or name=share between commas. Got {text!r}.")
        return int(number)
    shares: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, mark, share = (part.strip() for part in pair.rpartition("="))
        if not mark or not name or name in shares:
            raise DataError(f"--tiers is a whole number, or name=share between commas, each name once. Got {pair!r}.")
        shares[name] = _amount(name, share)
    return shares


def read_curves(path: Path | None) -> dict[str, Saturating] | None:
    """Read a CSV file of channel, most and half."""
    if path is None:
        return None
    rows = _read_rows(path, ("most", "half"))
    curves = {}
    for name, row in rows.items():
        try:
            curves[name] = Saturating(_amount(name, row["most"]), _amount(name, row["half"]))
        except ValueError as error:
            raise DataError(f"'{path}', channel {name!r}: {error}") from None
    return curves


def _amount(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"The amount of {name!r} is {text!r}, which is no number.") from None


def _read_rows(path: Path, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by channel; DataError where it lacks a column or names a channel twice."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in ("channel", *columns) if name not in (reader.fieldnames or ())]
        if lacking:
            raise DataError(f"'{path}' has no column {lacking[0]!r}. It needs channel, {', '.join(columns)}.")
        rows: dict[str, dict[str, str]] = {}
        for row in reader:
            name = row["channel"].strip()
            if name in rows:
                raise DataError(f"'{path}' names the channel {name!r} twice.")
            rows[name] = {column: row[column] or "" for column in columns}
    if not rows:
        raise DataError(f"'{path}' has no rows.")
    return rows


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
