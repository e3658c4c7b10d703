"""From a table of customers of any size to weighted rows that a fit can hold: grouped in the engine that has them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.batch.coarsening import MOST_SPEND_STEP
from predclv.batch.distinct_rows import DistinctRows, Steps, group_rows
from predclv.batch.memory import parse_memory, release_unused
from predclv.batch.table_checks import Facts, check_table
from predclv.batch.tables import EngineTable, open_table
from predclv.data.checks import check_carry, pick_column
from predclv.data.durations import parse_horizon
from predclv.data.frames import column_to_numpy
from predclv.data.quality import QualityNotes
from predclv.data.rfm import RFMSummary
from predclv.data.units import same_unit
from predclv.errors import CoarseningWarning, DataError, UnitError, warn

__all__ = ["collapse_customers"]

_UNITS = ("time_unit", "opportunities", "collapse", "observation_end", "observation_start", "currency")
_NUMBERS = ("frequency", "recency", "T", "monetary_value", "log_itt", "weight")

Frame = nw.LazyFrame[Any]


def collapse_customers(
    source: Any,
    *,
    by: Sequence[str] = (),
    spend: bool = True,
    max_rows: int | None = None,
    time_step: Any = None,
    spend_step: float | None = None,
    memory_limit: str = "1GB",
    spill: str | os.PathLike[str] | None = None,
    customer_id: str | None = None,
    frequency: str = "frequency",
    recency: str = "recency",
    T: str = "T",
    monetary_value: str | None = None,
    log_itt: str | None = None,
    weight: str | None = None,
    time_unit: str | None = None,
    opportunities: str | None = None,
    collapse: str | None = None,
    observation_end: Any = None,
    observation_start: Any = None,
    currency: str | None = None,
) -> RFMSummary:
    """Take a ready table of customers of any size as a summary of weighted rows, for fits beyond memory.

    The engine that holds the table checks and groups it; what comes to memory is the distinct histories (frequency,
    recency, T) and the distinct mean spends of each frequency. A fit on them is that on all customers.

    Parameters
    ----------
    source : path or frame
        A .parquet or .csv file, a folder of .parquet files or a DuckDB table, "file.duckdb::table", grouped by DuckDB
        (the extra "duckdb") within `memory_limit`; or a DuckDB relation, or a frame of Spark, polars (eager or lazy),
        pandas or pyarrow, grouped by its own library within the limits that it has.
    by : sequence of str
        Columns about the customer to keep apart, as segments and covariates; they are carried. Each of their
        combinations has rows of its own.
    spend : bool
        Take the mean spend too, where the table has it.
    max_rows : int, optional
        Most rows to make; by default as many as a fit within `memory_limit` can hold, 2 million of 1 GB. Where the
        distinct ones are more, mean spends, and then times, are put into the narrowest cells that fit, with a warning.
    time_step : str, Timedelta or number, optional
        Width of the cells of recency, and of the time since, at 0: "2 days", or in the time unit. They widen in
        proportion to 1 + t / g, g the mean time between purchases. Not for opportunities, which are whole.
    spend_step : float, optional
        Width of the cells of mean spend, as a share: 0.01 is 1 %; at most 0.5.
    memory_limit : str
        What the job may take: "1GB", "800MiB". DuckDB groups paths within it.
    spill : path, optional
        Folder for what DuckDB cannot hold; by default that for temporary files.
    customer_id, frequency, recency, T, monetary_value, log_itt, weight : str, optional
        Columns, as in `RFMSummary.from_frame`.
    time_unit, opportunities, collapse, observation_end, observation_start, currency
        As in `RFMSummary.from_frame`; what a Parquet file says of itself need not be said again.

    Returns
    -------
    RFMSummary
        With `weight`; rows are numbered, by what is kept apart, frequency, T and recency. `quality` says how many rows
        there are and what stands in cells. With spend, histories and mean spends are side by side (`spend_apart`).

    Raises
    ------
    DataError
        The table contradicts itself, as in `from_frame`: with count, first case and remedy, and no row left out. Or the
        rows are too many however coarse.
    UnitError
        The file says that it was counted otherwise.
    ImportError
        A path is given, and DuckDB is not installed.

    Warns
    -----
    CoarseningWarning
        Cells had to be made; the message says how wide.

    Notes
    -----
    Nothing is lost to a likelihood by distinct rows; `log_itt`, of which it takes the sum, is the mean of a row. In a
    cell each history stands at the mean of its customers and each mean spend at their geometric mean, so that what is
    left out goes by the square of the width. To see what it does to an estimate, fit once more with twice the step: the
    shift that the narrower cells bring about is a third of the difference.
    """
    memory = parse_memory(memory_limit)
    most = memory.collapsed_rows if max_rows is None else max_rows
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise DataError(f"'max_rows' must be a whole number from 1 on. Got {max_rows!r}.")
    check_carry(by, "by")
    names = dict(zip(_NUMBERS, (frequency, recency, T, monetary_value, log_itt, weight), strict=True))
    asked = (time_unit, opportunities, collapse, observation_end, observation_start, currency)
    with open_table(source, [name or number for number, name in names.items()], memory, spill) as table:
        units = _units(table, dict(zip(_UNITS, asked, strict=True)))
        steps = Steps(_time_step(time_step, units), _spend_step(spend_step), most)
        frame = _settle(table, {"customer_id": customer_id, **names}, list(dict.fromkeys(by)), spend)
        facts = check_table(frame, str(units["time_unit"]), units["opportunities"])
        histories, spends = group_rows(table, frame, facts.mean_gap, steps, units["opportunities"])
        fetched = [_fetch(rows.frame) for rows in (histories, spends) if rows is not None]
    # The engine is gone now, and what it held in memory with it.
    release_unused()
    columns = _side_by_side(list(dict.fromkeys(by)), *fetched)
    notes = _notes(histories, spends, facts, len(columns["weight"]), int(columns["weight"].sum()), units)
    rfm = RFMSummary(**columns, **units, spend_apart=spends is not None, quality=notes)
    _warn(histories, spends, units)
    return rfm


def _units(table: EngineTable, asked: dict[str, Any]) -> dict[str, Any]:
    """What the table says of its units and what the caller does, which must agree."""
    for name, own in table.units.items():
        if asked.get(name) is not None and not same_unit(name, asked[name], own):
            raise UnitError(
                f"{table.name} was made with {name} {own!r}, not {asked[name]!r}. Leave it out, or summarise the log "
                "anew."
            )
    units = {name: table.units.get(name) if given is None else given for name, given in asked.items()}
    units["time_unit"] = units["time_unit"] or units["opportunities"]
    if units["time_unit"] is None:
        raise DataError(
            f"{table.name} does not say in which unit recency and T are. Give time_unit='week', for instance."
        )
    return units


def _time_step(step: Any, units: dict[str, Any]) -> float | None:
    if step is None:
        return None
    if units["opportunities"] is not None:
        raise DataError(f"time_step={step!r}: opportunities are counted, and cells would make them broken numbers.")
    try:
        length = parse_horizon(step, str(units["time_unit"])).length
    except DataError:
        length = np.inf
    if not np.isfinite(length):
        raise DataError(
            f"time_step={step!r} is no width of cells. Give '2 days', or a number in {units['time_unit']}s."
        )
    return length


def _spend_step(step: Any) -> float | None:
    if step is None:
        return None
    if isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step <= MOST_SPEND_STEP:
        raise DataError(f"'spend_step' must be in (0, {MOST_SPEND_STEP:g}], a share of the mean spend. Got {step!r}.")
    return float(step)


def _settle(table: EngineTable, names: dict[str, str | None], by: list[str], spend: bool) -> Frame:
    """The columns that count, under their names in a summary; those of `by` are called by0, by1, ..."""
    available = table.frame.collect_schema().names()
    found = {}
    for argument, name in names.items():
        if argument == "monetary_value" and not spend:
            continue
        if name is not None:
            found[argument] = pick_column(argument, name, available, table.name)
        elif argument in available:
            found[argument] = argument
    for position, name in enumerate(by):
        found[f"by{position}"] = pick_column("by", name, available, table.name)
    frame = table.frame.select(*(nw.col(name).alias(argument) for argument, name in found.items()))
    frame = table.labels(frame, [argument for argument in found if argument.startswith("by")])
    return table.numbers(frame, [argument for argument in _NUMBERS if argument in found])


def _fetch(frame: Frame) -> pd.DataFrame:
    collected = frame.collect()
    return pd.DataFrame({name: column_to_numpy(collected[name]) for name in collected.columns})


def _side_by_side(by: list[str], history: pd.DataFrame, spend: pd.DataFrame | None = None) -> dict[str, Any]:
    """Columns of a summary: histories in order, and beside them mean spends of as many customers of the same keys."""
    keys = [f"by{i}" for i in range(len(by))]
    codes = _key_codes([history] if spend is None else [history, spend], keys)
    order = np.lexsort((history["recency"], history["T"], codes[0]))
    weight, code = history["weight"].to_numpy()[order], codes[0][order]
    columns: dict[str, Any] = {}
    if spend is not None:
        own = np.lexsort((spend["monetary_value"], codes[1]))
        picked, beside, weight = _cut_alike(weight, spend["weight"].to_numpy()[own])
        assert np.array_equal(code[picked], codes[1][own[beside]])
        columns["monetary_value"] = spend["monetary_value"].to_numpy()[own[beside]]
        order = order[picked]
    if "log_itt" in history:
        columns["log_itt"] = (history["log_itt"] / history["weight"]).to_numpy()[order]
    columns |= {name: history[name].to_numpy()[order] for name in ("frequency", "recency", "T")}
    columns["carried"] = {name: history[key].to_numpy()[order] for name, key in zip(by, keys, strict=True)}
    return {**columns, "customer_id": np.arange(len(order)), "weight": weight.astype(np.int64)}


def _key_codes(frames: list[pd.DataFrame], keys: list[str]) -> list[NDArray[np.int64]]:
    """A number for each of what is kept apart, frequency last, which sorts alike in all frames."""
    ends = np.cumsum([len(frame) for frame in frames])
    code = np.zeros(ends[-1], dtype=np.int64)
    for name in (*keys, "frequency"):
        column = pd.concat([frame[name] for frame in frames], ignore_index=True)
        own, _ = pd.factorize(column, sort=True, use_na_sentinel=False)
        _, code = np.unique(code * (int(own.max()) + 1) + own, return_inverse=True)
    return np.split(code, ends[:-1])


def _cut_alike(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Cut two tables of one total so that their rows go together: rows of each, and the customers that they share.

    Both are sorted by the same key, whose totals agree, so that nobody is put beside another key.
    """
    one, other = np.cumsum(first), np.cumsum(second)
    ends = np.union1d(one, other)
    return np.searchsorted(one, ends), np.searchsorted(other, ends), np.diff(ends, prepend=0.0)


def _notes(
    histories: DistinctRows,
    spends: DistinctRows | None,
    facts: Facts,
    n_rows: int,
    n_customers: int,
    units: dict[str, Any],
) -> pd.DataFrame:
    notes = QualityNotes()
    notes.add("collapse", "rows for customers", n_rows, n_customers, "customers", "weights add up to all of them")
    unit = units["time_unit"]
    for what, rows, width in (
        ("histories", histories, f"{histories.step} {unit}s at 0, in proportion to 1 + t / {facts.mean_gap:g}"),
        ("mean spends", spends, "" if spends is None else f"{spends.step} of the mean spend"),
    ):
        if rows is None:
            continue
        notes.add("collapse", f"distinct {what}", rows.n_exact, n_customers, "customers")
        if rows.step is not None:
            notes.add("collapse", f"cells of {what}", rows.n, rows.n_exact, "rows", f"width: {width}")
    return notes.to_pandas()


def _warn(histories: DistinctRows, spends: DistinctRows | None, units: dict[str, Any]) -> None:
    told = []
    if histories.is_chosen:
        told.append(
            f"{histories.n_exact:,} histories stand in {histories.n:,} cells (time_step={histories.step} "
            f"{units['time_unit']}s)"
        )
    if spends is not None and spends.is_chosen:
        told.append(f"{spends.n_exact:,} mean spends in {spends.n:,} (spend_step={spends.step})")
    if told:
        warn(
            f"{' and '.join(told)}, to be few enough. Estimates move a little: fit once more with twice the step; the "
            "shift is a third of the difference. Or give more memory or max_rows.",
            CoarseningWarning,
        )
