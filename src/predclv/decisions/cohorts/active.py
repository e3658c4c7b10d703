"""Purchases by customer and period, from a log of any size: what tables of cohorts and of retention are made of."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw

from predclv.batch.duckdb_reader import connect
from predclv.batch.lock import spill_room
from predclv.batch.logs import locate_log
from predclv.batch.memory import parse_memory
from predclv.batch.summaries import PER_THREAD, explained
from predclv.data.activity import Activity, Keep, read_activity
from predclv.data.options import LogOptions
from predclv.data.paths import is_path
from predclv.errors import DataError

__all__ = ["Activity", "activity", "as_activity"]


def activity(
    log: Any,
    *,
    by: str | None = None,
    period: str = "month",
    margin: str | None = None,
    memory_limit: str = "1500MB",
    spill: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Activity:
    """Group purchases by customer and period, in the engine that holds them, and add up by cohort and period.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`; a frame of DuckDB, polars or Spark stays where it is, and a path may be
        all that `predclv.batch.summarize` reads.
    by : str, optional
        Column of segments, such as the channel, constant for a customer.
    period : {"week", "month", "quarter", "year"}
        Of the calendar, in the time zone of the log; weeks start on Monday.
    margin : str, optional
        Column with the share of spend that is kept, constant for a customer.
    memory_limit : str
        Of a path: memory that the process may take, about, where DuckDB is installed.
    spill : path, optional
        Of a path: folder for what does not fit, emptied at the end; by default the system's for temporary files.
    **options
        Those of `RFMSummary.from_transactions`, with the same meaning: what is a purchase and who is left out is as in
        a summary, so that the totals agree. `carry` is not needed.

    Returns
    -------
    Activity

    Raises
    ------
    DataError
        As `RFMSummary.from_transactions`; a customer has no segment; purchases are merged over more than a period.
    """
    for name, column in (("by", by), ("margin", margin)):
        if column is not None and not isinstance(column, str):
            raise DataError(f"{name}={column!r} must be the name of a column.")
    try:
        asked = LogOptions(**options)
    except TypeError as error:
        raise TypeError(f"activity: {str(error).partition(') ')[2]}") from None
    about: dict[str, Any] = {"by": by, "period": period, "margin": margin}
    if not is_path(log) or importlib.util.find_spec("duckdb") is None:
        return read_activity(log, asked, **about)
    with _opened(log, memory_limit, spill) as (place, connection):
        return read_activity(_source(place, connection, asked, by, margin), asked, **about, keep=_keep(connection))


@contextmanager
def _opened(log: Any, memory_limit: str, spill: str | os.PathLike[str] | None) -> Iterator[tuple[Any, Any]]:
    memory, place = parse_memory(memory_limit), locate_log(os.fspath(log))
    folder = Path(tempfile.gettempdir() if spill is None else spill)
    with (
        spill_room(folder) as room,
        explained(place, memory, room),
        connect(memory.for_grouping, room) as connection,
    ):
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"SET threads = {min(os.cpu_count() or 1, memory.for_grouping // PER_THREAD + 1)}")
        yield place, connection


def _source(place: Any, connection: Any, options: LogOptions, by: str | None, margin: str | None) -> Any:
    columns = [name for name in (by, margin) if name is not None]
    return place.open(connection, replace(options, carry=list(dict.fromkeys(columns))))


def _keep(connection: Any) -> Keep:
    kept: list[str] = []

    def keep(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        kept.append(f"activity_{len(kept)}")
        native: Any = frame.to_native()
        native.create(kept[-1])
        table: nw.LazyFrame[Any] = nw.from_native(connection.table(kept[-1]))
        return table

    return keep


def as_activity(log: Any, by: str | None, period: str, margin: Any, options: dict[str, Any]) -> Activity:
    """Return an activity as it is, where it has what is asked for, or read one from a log."""
    column = margin if isinstance(margin, str) else None
    if not isinstance(log, Activity):
        return activity(log, by=by, period=period, margin=column, **options)
    if options:
        raise DataError(f"An activity has been read already: {sorted(options)[0]}= belongs to its making.")
    for name, wanted, has in (("by", by, log.by), ("margin", column, log.margin_column)):
        if wanted is not None and wanted != has:
            raise DataError(f"{name}={wanted!r}, and the activity was made with {name}={has!r}. Make it with that.")
    if period != log.period:
        raise DataError(f"period={period!r}, and the activity is by {log.period}. Make it with that period.")
    return log
