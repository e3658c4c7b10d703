"""From a purchase log of any size to a summary in Parquet: DuckDB adds up, and Python sees a batch at a time."""

from __future__ import annotations

import datetime as dt
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa

from predclv.batch.duckdb_reader import arrow_reader, connect
from predclv.batch.lock import spill_room
from predclv.batch.logs import LogPlace, locate_log
from predclv.batch.memory import Memory, parse_memory
from predclv.batch.sources import plain_type
from predclv.batch.summary_writer import check_target, write_summary
from predclv.data.aggregate import beyond_numbers, refuse_beyond
from predclv.data.births import NEVER
from predclv.data.customer_frame import customer_frame, read_totals
from predclv.data.options import LogOptions
from predclv.data.paths import reason_of
from predclv.data.quality import QualityNotes
from predclv.data.summarize import Observed, labels, observe_log
from predclv.data.tally import Tally, begin_tally
from predclv.errors import DataError

__all__ = ["PER_THREAD", "SummaryFile", "explained", "summarize"]

_BATCH = 65_536
# What a thread of DuckDB needs to group and to sort.
PER_THREAD = 256 << 20


@dataclass(frozen=True, eq=False)
class SummaryFile:
    """A summary on disk.

    Attributes
    ----------
    path : path
        The file or folder.
    n_customers, n_repeat_buyers : int
    time_unit, collapse : str
    observation_end : date or datetime
    currency : str or None
    quality : pandas.DataFrame
        What was dropped, merged, netted and set aside, as in `RFMSummary.quality`.
    """

    path: Path
    n_customers: int
    n_repeat_buyers: int
    time_unit: str
    collapse: str
    observation_end: dt.date
    currency: str | None
    quality: pd.DataFrame


def summarize(
    log: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    memory_limit: str = "2GB",
    spill: str | os.PathLike[str] | None = None,
    **options: Any,
) -> SummaryFile:
    """Summarise a purchase log of any size into Parquet, by DuckDB and within a memory limit.

    Parameters
    ----------
    log : str or path
        A .parquet or .csv file, a folder of .parquet files, "file.duckdb::table", or a table in PostgreSQL:
        "postgresql://user@host/database::table", which needs DuckDB's extension "postgres".
    out : path
        A .parquet file, or a folder for parts of a million customers; written whole or not at all. What `predclv
        score`, `predclv fit` and `RFMSummary.from_frame` read.
    memory_limit : str
        Memory that the process may take, about: "2GB", "800MiB".
    spill : path, optional
        Folder for what does not fit, emptied at the end; by default one beside `out`. What a job that was killed left
        there goes as well.
    **options
        Those of `RFMSummary.from_transactions`.

    Returns
    -------
    SummaryFile

    Raises
    ------
    DataError
        As `RFMSummary.from_transactions`; or memory or disk run out, or `out` cannot be written.
    ImportError
        DuckDB, or its extension for PostgreSQL, is not installed.

    Warns
    -----
    ObservationEndWarning, DataQualityWarning
        As `RFMSummary.from_transactions`.

    Notes
    -----
    The rows are those of `RFMSummary.from_transactions`, in the order of customer_id. Money agrees to the last digit
    with `minor_unit`, and to 1e-12 without.
    """
    if importlib.util.find_spec("duckdb") is None:
        raise ImportError("Summaries by DuckDB need duckdb: pip install 'predclv[duckdb]'.")
    try:
        asked = LogOptions(**options)
    except TypeError as error:
        raise TypeError(f"summarize: {str(error).partition(') ')[2]}") from None
    memory, place, target = parse_memory(memory_limit), locate_log(os.fspath(log)), Path(out)
    check_target(target, None if place.kind == "postgres" else Path(place.place))
    notes = QualityNotes()
    with (
        spill_room(target.resolve().parent if spill is None else Path(spill)) as room,
        explained(place, memory, room),
        connect(memory.for_grouping, room) as connection,
    ):
        # Rows are grouped and sorted, whatever their order was.
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"SET threads = {min(os.cpu_count() or 1, memory.for_grouping // PER_THREAD + 1)}")
        seen = observe_log(place.open(connection, asked), asked, notes)
        tally = begin_tally(seen.log, seen.window, seen.options)
        units = labels(seen, tally.start)
        write_summary(target, _tables(connection, seen, tally, notes), units)
    tally.warn()
    return SummaryFile(
        target,
        tally.counts["kept"],
        tally.counts["kept"] - tally.counts["one-time"],
        **{name: units[name] for name in ("time_unit", "collapse", "observation_end", "currency")},
        quality=notes.to_pandas(),
    )


def _tables(connection: Any, seen: Observed, tally: Tally, notes: QualityNotes) -> Iterator[pa.Table]:
    """Yield the summary batch by batch; when all have been, check and note what was counted."""
    own, exact = QualityNotes(), seen.options.minor_unit is not None
    kept: list[str] = []

    def keep(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        kept.append(f"kept_{len(kept)}")
        native: Any = frame.to_native()
        native.create(kept[-1])
        table: nw.LazyFrame[Any] = nw.from_native(connection.table(kept[-1]))
        return table

    frame, returns = customer_frame(seen, keep, own)
    native: Any = frame.sort("customer").to_native()
    n_beyond, first = 0, None
    for batch in arrow_reader(native, _BATCH):
        totals, born = read_totals(batch, seen.options.collapse, exact=exact)
        if totals.repeat_spend is not None and totals.first_spend is not None:
            beyond = beyond_numbers(batch.column("amount").to_numpy(zero_copy_only=False), exact)
            if beyond.any():
                first = totals.customer[int(np.argmax(beyond))] if n_beyond == 0 else first
                n_beyond += int(beyond.sum())
                totals.first_spend[beyond] = totals.repeat_spend[beyond] = 0.0
        acquired = None if born is None else np.where(pd.isna(born), NEVER, born).astype(np.int64)
        yield _table(batch, *tally.take(totals, acquired), seen)
    if n_beyond:
        refuse_beyond(n_beyond, tally.counts["all"], first)
    tally.check()
    tally.note_purchases(returns, notes)
    tally.note_window(notes)
    notes.extend(own)
    tally.note_customers(notes, has_spend=seen.log.has_amount)


def _table(batch: pa.RecordBatch, kept: Any, columns: dict[str, Any], seen: Observed) -> pa.Table:
    """A batch's rows of the summary; ids and carried columns are the engine's own, untouched."""
    mask = pa.array(kept)

    def plain(name: str) -> pa.Array:
        column = batch.column(name).filter(mask)
        return column.cast(plain_type(column.type))

    own = {name: pa.array(columns[name]) for name in _ORDER if name in columns}
    carried = {name: plain(f"carry_{i}") for i, name in enumerate(seen.options.carry)}
    return pa.table({"customer_id": plain("customer"), **own, **carried})


_ORDER = ("frequency", "recency", "T", "monetary_value", "first_purchase", "log_itt")


@contextmanager
def explained(place: LogPlace, memory: Memory, room: Path) -> Iterator[None]:
    """Turn what DuckDB says into a DataError: of memory, of disk, or of the log."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        said = reason_of(error)
        if isinstance(error, duckdb.OutOfMemoryException):
            raise DataError(
                f"{memory.total >> 20:,} MiB are too little memory, or '{room.parent}' has too little room, to "
                f"summarise {place}: {said} Give more memory, or another folder to spill into."
            ) from error
        if str(room) in str(error):
            raise DataError(
                f"'{room.parent}' cannot hold what does not fit into memory: {said} Give another folder to spill into."
            ) from error
        if place.kind == "postgres":
            # The connection string, which DuckDB may repeat, may hold a password.
            raise DataError(f"{place} cannot be read: {said.replace(place.place, '...')}") from None
        raise DataError(f"'{place}' cannot be read: {said}") from error
