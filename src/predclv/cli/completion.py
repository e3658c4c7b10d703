"""What a shell completes after an option: its values, and columns of the table that the command names.

The values are written out, for a shell that waits imports no models; a test holds them to what the program takes.
"""

from __future__ import annotations

import csv
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import typer

__all__ = ["COLUMN_LISTS", "COLUMN_OPTIONS", "VALUES", "VALUE_LISTS", "complete_options"]

#: One of these.
VALUES: dict[str, tuple[str, ...]] = {
    "transactions": ("bg_nbd", "mbg_nbd", "bg_cnbd", "mbg_cnbd", "pareto_nbd", "nbd", "bg_bb"),
    "renewals": ("sbg", "bdw"),
    "method": ("mle", "map", "mcmc", "auto"),
    "time_unit": ("hour", "day", "week", "year"),
    "collapse": ("none", "hour", "day", "week", "month"),
    "opportunities": ("year", "quarter", "month", "week", "day"),
    "period": ("day", "week", "month", "quarter", "year"),
    "returns": ("net", "ignore", "error"),
    "on_null": ("error", "drop"),
    "carry_conflict": ("error", "first", "last"),
    "returning": ("separate", "join", "error"),
    "after_end": ("error", "cut"),
    "values": ("counts", "percent"),
    "recalibrate": ("pit", "conformal"),
    "history": ("expanding", "sliding"),
    "penalty": ("cv",),
    "engine": ("duckdb", "pyarrow", "spark"),
}
#: Some of these, between commas.
VALUE_LISTS: dict[str, tuple[str, ...]] = {
    "methods": (
        *(key + suffix for key in VALUES["transactions"] for suffix in ("", "_map", "_mcmc", "_auto")),
        *("zero", "naive", "historical_average", "formula", "marginal"),
        *("lifetimes_bg_nbd", "lifetimes_mbg_nbd", "lifetimes_pareto_nbd", "pymc_marketing_bg_nbd", "clvkit_bg_nbd"),
        *("gradient_boosting", "random_forest", "linear"),
    ),
    "columns": (
        *("p_alive", "p_purchase", "expected_purchases", "purchases_low", "purchases_high"),
        *("expected_spend", "expected_clv", "clv_low", "clv_high", "expected_clv_low", "expected_clv_high"),
    ),
}
#: A column of the command's table.
COLUMN_OPTIONS = (
    *("customer_id", "date", "amount", "acquired", "carry", "by", "segment", "margin"),
    *("start", "end", "price", "cohort"),
)
#: Some of its columns, between commas.
COLUMN_LISTS = ("purchase_covariates", "dropout_covariates")
_SUFFIXES = (".csv", ".parquet")
# Of some commands: `fit` and `summarize` take one engine alone; methods of contracts are others.
_OWN: dict[tuple[str, str], tuple[str, ...]] = {
    ("fit", "engine"): ("duckdb",),
    ("summarize", "engine"): ("duckdb",),
    ("contracts backtest", "methods"): ("sbg", "bdw", "observed_rate", "last_rate", "average_rate"),
}


def complete_options(app: typer.Typer) -> None:
    """Say of every option of an app, by its name, what completes it; options that say so themselves are left alone."""
    for command, callback in _callbacks(app):
        for name, hint in get_type_hints(callback, include_extras=True).items():
            completer = _completer(command, name)
            for declared in getattr(hint, "__metadata__", ()):
                if completer is not None and getattr(declared, "autocompletion", completer) is None:
                    declared.autocompletion = completer


def _callbacks(app: typer.Typer, group: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in app.registered_commands:
        if command.callback is not None:
            yield f"{group}{command.name}", command.callback
    for inner in app.registered_groups:
        if inner.typer_instance is not None:
            yield from _callbacks(inner.typer_instance, f"{group}{inner.name} ")


def _completer(command: str, name: str) -> Callable[..., list[str]] | None:
    """The function that typer calls, by the names of its arguments."""
    choices = _OWN.get((command, name), VALUES.get(name) or VALUE_LISTS.get(name))
    listed = name in VALUE_LISTS or name in COLUMN_LISTS
    if choices is not None:
        found: Callable[[], Sequence[str]] = partial(tuple[str, ...], choices)
    elif name in (*COLUMN_OPTIONS, *COLUMN_LISTS):
        found = _columns_of_table
    else:
        return None

    def complete(incomplete: str) -> list[str]:
        before, _, last = incomplete.rpartition(",") if listed else ("", "", incomplete)
        taken = before.split(",") if before else []
        start = f"{before}," if before else ""
        return [start + value for value in found() if value.startswith(last) and value not in taken]

    return complete


def _columns_of_table() -> Sequence[str]:
    """Columns of the first table on the command line that is a file; none where it cannot be read."""
    # What has been typed, which typer does not hand on: of bash, and of the other shells.
    typed = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    try:
        words = shlex.split(typed)
    except ValueError:  # a quotation mark that is still open
        words = typed.split()
    for path in map(Path, words[1:]):
        if path.suffix.lower() in _SUFFIXES and path.exists():
            try:
                return _read_columns(path)
            except (OSError, ValueError, StopIteration):
                return ()
    return ()


def _read_columns(path: Path) -> Sequence[str]:
    if path.suffix.lower() == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file))
    from pyarrow import parquet

    first = min(path.rglob("*.parquet")) if path.is_dir() else path
    return list(parquet.read_schema(first).names)
