"""For sections that cannot do with sums: all customers or purchases where these are few, else a random sample."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from predclv.data.paths import is_path
from predclv.data.rfm import RFMSummary
from predclv.data.units import UNITS
from predclv.decisions.report.inputs import DecisionInputs

__all__ = ["AT_ONCE", "DRAWN", "SAMPLE", "customers_at_once", "open_log", "sample_customers"]

#: Customers of a sample: what is said of their mean is sure to some tenths of a percent of the spread between them.
SAMPLE = 50_000
#: Customers up to whom a section that needs each of them at once takes all: memory is bounded by it.
AT_ONCE = 250_000
#: Customers drawn where there are more: a share of them is sure to some tenths of a point.
DRAWN = 100_000
# Of DuckDB, while it looks for the purchases of a sample.
_MEMORY = 512 << 20


@contextmanager
def open_log(given: DecisionInputs, most: int | None = None) -> Iterator[tuple[Any, int]]:
    """Yield what `RFMSummary.from_transactions` takes, and of how many customers it is.

    A log on disk of more than `most` customers, by default `SAMPLE`, is that of as many at random, the same each time.
    """
    most = most or SAMPLE
    if not is_path(given.log) or given.n_customers <= most:
        yield _as_frame(given), given.n_customers
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        # As text, in which a CSV file's ids and those of the summary, perhaps numbers, are the same.
        ids = np.concatenate([part.customer_id for part in draw_sample(given, most)]).astype(str)
        _write_sample(given, pa.array(ids.tolist(), pa.string()), path)
        yield path, most


def draw_sample(given: DecisionInputs, size: int | None = None) -> list[RFMSummary]:
    """A random sample of the customers, by default of `SAMPLE`, in parts."""
    chosen = np.sort(np.random.default_rng(0).choice(given.n_customers, size or SAMPLE, replace=False))
    parts, start = [], 0
    for chunk in given.chunks():
        here = chosen[(chosen >= start) & (chosen < start + len(chunk))] - start
        start += len(chunk)
        if len(here):
            parts.append(chunk[here])
    return parts


def sample_customers(given: DecisionInputs, size: int | None = None) -> RFMSummary:
    """A random sample of the customers as one summary."""
    parts = draw_sample(given, size)
    first = parts[0]
    table = pd.concat([part.to_pandas() for part in parts], ignore_index=True)
    units = {name: getattr(first, name) for name in UNITS}
    return RFMSummary.from_frame(table, carry=list(first.carried), **units)


def customers_at_once(
    given: DecisionInputs, most: int | None = None, drawn: int | None = None
) -> tuple[RFMSummary, str]:
    """All customers as one summary where there are at most `most`, else so many at random; and what to say of it.

    By default `AT_ONCE` and `DRAWN`.
    """
    if given.n_customers <= (most or AT_ONCE):
        return given.summary, ""
    size = drawn or DRAWN
    said = (
        f"Worked out on {size:,} of your {given.n_customers:,} customers, drawn at random: shares and means are "
        "those of all, counts and totals those of the ones drawn."
    )
    return sample_customers(given, size), said


def _as_frame(given: DecisionInputs) -> Any:
    """The log itself; of one that is a table of a database, its rows."""
    if not is_path(given.log) or "::" not in os.fspath(given.log) or Path(given.log).exists():
        return given.log
    from predclv.batch.duckdb_reader import arrow_reader

    with _opened(given) as (_, rows):
        return arrow_reader(rows, 65_536).read_all()


def _write_sample(given: DecisionInputs, ids: pa.Array, path: Path) -> None:
    from predclv.batch.duckdb_reader import quote, quote_text

    with _opened(given) as (connection, rows):
        connection.register("chosen", pa.table({"id": ids}))
        rows.create_view("log_of_all")
        customer = quote(str(given.log_options["customer_id"]))
        connection.execute(
            f"COPY (SELECT * FROM log_of_all WHERE CAST({customer} AS VARCHAR) IN (SELECT id FROM chosen)) "
            f"TO {quote_text(str(path))} (FORMAT parquet)"
        )


@contextmanager
def _opened(given: DecisionInputs) -> Iterator[tuple[Any, Any]]:
    """The log as a relation of DuckDB, and its connection."""
    from predclv.batch.duckdb_reader import connect
    from predclv.batch.logs import locate_log
    from predclv.data.options import LogOptions
    from predclv.data.paths import OnDisk, open_path

    options = LogOptions(**given.log_options)
    with tempfile.TemporaryDirectory() as spill, connect(_MEMORY, Path(spill)) as connection:
        rows = locate_log(os.fspath(given.log)).open(connection, options)
        if isinstance(rows, OnDisk):
            text = [options.customer_id, options.date, *options.carry]
            rows = open_path(rows, tuple(text))
        yield connection, rows
