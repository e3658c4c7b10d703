"""Distinct histories and mean spends of a table, grouped by its engine; in cells where they are too many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw

from predclv.batch import coarsening
from predclv.batch.tables import EngineTable
from predclv.data.frames import count_rows
from predclv.errors import DataError

__all__ = ["DistinctRows", "Steps", "group_rows"]

# Of the rows that there may be, as many as spend may take when it has to give way.
_SHARE_OF_SPEND = 4

Frame = nw.LazyFrame[Any]
Make = Callable[[float], Frame]


@dataclass(frozen=True)
class Steps:
    """What is asked of the cells: None means exact, or as fine as `most` rows allow."""

    time: float | None
    spend: float | None
    most: int


@dataclass(frozen=True)
class DistinctRows:
    """Distinct histories or mean spends in the engine: how many, how many there would be without cells, and their step.

    `is_chosen` says that the step was not asked for.
    """

    frame: Frame
    n: int
    n_exact: int
    step: float | None = None
    is_chosen: bool = False


def group_rows(
    table: EngineTable, frame: Frame, scale: float, steps: Steps, opportunities: str | None
) -> tuple[DistinctRows, DistinctRows | None]:
    """Distinct histories and mean spends, in cells where there are too many of them or where it was asked for.

    Parameters
    ----------
    table : EngineTable
    frame : LazyFrame
        frequency, recency, T and, where there are such, monetary_value, log_itt, weight, all checked; and what is to be
        kept apart, by0, by1, ...
    scale : float
        See `coarsen_times`.
    steps : Steps
    opportunities : str or None
        Whose histories cannot be put into cells.

    Returns
    -------
    histories, spends : DistinctRows
        Of the same customers; there are no spends where the frame has no monetary_value.

    Raises
    ------
    DataError
        They are too many, however coarse.
    """
    columns = frame.collect_schema().names()
    keys = [name for name in columns if name.startswith("by")]

    def times(step: float) -> Frame:
        return coarsening.coarsen_times(exact, keys, step, scale)

    def spend(step: float) -> Frame:
        return coarsening.coarsen_spend(exact_spend, keys, step)

    exact = table.hold(_histories(frame, keys))
    histories, spends = _count(exact, steps.time, times), None
    if "monetary_value" in columns:
        exact_spend = table.hold(_spends(frame, keys))
        spends = _count(exact_spend, steps.spend, spend)
        if histories.n + spends.n > steps.most and steps.spend is None:
            left = max(steps.most - histories.n, steps.most // _SHARE_OF_SPEND)
            spends = _narrowest(spends, spend, coarsening.spend_steps(), left)
    room = steps.most - (0 if spends is None else spends.n)
    if histories.n > room and steps.time is None:
        if opportunities is not None:
            raise DataError(
                f"There are {histories.n:,} distinct histories of opportunities, which no cells can merge"
                f"{'' if spends is None else f', {spends.n:,} mean spends'}, and max_rows={steps.most:,}. Give more, "
                "or count longer opportunities."
            )
        histories = _narrowest(histories, times, coarsening.time_steps(scale), room)
    if histories.n + (0 if spends is None else spends.n) > steps.most:
        raise DataError(
            f"{histories.n:,} histories{'' if spends is None else f' and {spends.n:,} mean spends'} are more than "
            f"max_rows={steps.most:,}, even in cells. Keep fewer customers apart (by=), or give more "
            "rows or wider steps."
        )
    return histories, spends


def _histories(frame: Frame, keys: list[str]) -> Frame:
    columns = frame.collect_schema().names()
    late = nw.col("recency") > nw.col("T")  # by rounding: more was refused
    settled = _weighted(frame, columns).with_columns(
        recency=nw.when(late).then(nw.col("T")).otherwise(nw.col("recency"))
    )
    sums = ["weight"]
    if "log_itt" in columns:
        one_time = nw.col("frequency") == 0
        settled = settled.with_columns(
            log_itt=nw.when(one_time).then(0.0).otherwise(nw.col("log_itt") * nw.col("weight"))
        )
        sums.append("log_itt")
    grouped = settled.group_by(*keys, "frequency", "recency", "T")
    return grouped.agg(*(nw.col(name).sum() for name in sums))


def _spends(frame: Frame, keys: list[str]) -> Frame:
    one_time = nw.col("frequency") == 0
    settled = _weighted(frame, frame.collect_schema().names()).with_columns(
        monetary_value=nw.when(one_time).then(0.0).otherwise(nw.col("monetary_value"))
    )
    return settled.group_by(*keys, "frequency", "monetary_value").agg(nw.col("weight").sum())


def _weighted(frame: Frame, columns: list[str]) -> Frame:
    # Whole numbers, whose sums are exact as floats.
    return frame if "weight" in columns else frame.with_columns(weight=nw.lit(1.0))


def _count(exact: Frame, step: float | None, make: Make) -> DistinctRows:
    n = count_rows(exact)
    if step is None:
        return DistinctRows(exact, n, n)
    frame = make(step)
    return DistinctRows(frame, count_rows(frame), n, step)


def _narrowest(rows: DistinctRows, make: Make, steps: list[float], most: int) -> DistinctRows:
    """In the narrowest cells that leave so few rows; as they are, where they are so few."""
    if rows.n <= most:
        return rows
    step, frame = coarsening.finest(make, steps, most)
    return DistinctRows(frame, count_rows(frame), rows.n_exact, step, is_chosen=True)
