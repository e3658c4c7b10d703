"""What is asked of a report and cannot be answered, said before the work rather than after it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predclv.data.checks import check_channels, count_of, quote_list
from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.decisions.report.asked import Asked
from predclv.errors import DataError

__all__ = ["first_purchase", "refuse_arms", "refuse_channels", "refuse_start", "values_of"]


def values_of(path: Path, column: str, *, gaps: bool = False) -> list[str]:
    """The distinct values of a column about the customers of a summary on disk, sorted, as text.

    Raises
    ------
    DataError
        Customers have none, where `gaps` is false; or one that is blank; or nobody has one.
    """
    found: set[str] = set()
    n, n_known, n_refused, first = 0, 0, 0, None
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["customer_id", column], use_threads=False):
            n += len(batch)
            values = batch.column(column)
            missing = pc.is_null(values, nan_is_null=pa.types.is_floating(values.type))
            n_known += missing.false_count
            refused = _blank(values) if gaps else pc.or_kleene(missing, _blank(values))
            if refused.true_count and first is None:
                first = batch.column("customer_id").filter(refused)[0].as_py()
            n_refused += refused.true_count
            found |= {str(value) for value in pc.unique(values.filter(pc.invert(missing))).to_pylist()}
    if n_refused:
        raise DataError(
            f"Column {column!r} is missing or blank for {count_of(n_refused, n, 'customers')} (first: customer "
            f"{first}). Give each a value in the log, 'unknown' for instance."
        )
    if not n_known:
        raise DataError(f"Column {column!r} is missing for all {n:,} customers. Is it the right column?")
    return sorted(found)


def _blank(values: pa.Array) -> pa.Array:
    """Where a text has no letters to be seen; null where there is none."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return pa.array(np.zeros(len(values), dtype=bool))
    return pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(values)), 0)


def first_purchase(path: Path, end: dt.date, time_unit: str) -> dt.date:
    """Day of the first purchase in a summary on disk: so far back as the oldest customer is old."""
    oldest = 0.0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["T"], use_threads=False):
            oldest = max(oldest, float(pc.max(batch.column("T")).as_py() or 0.0))
    return end - dt.timedelta(days=round(oldest * DAYS_PER_UNIT[time_unit]))


def refuse_channels(asked: Asked, channels: Sequence[str]) -> None:
    """Raise DataError where costs, curves or arrivals name other channels than there are; none are known as []."""
    for option, given in (("cac", asked.cac), ("curves", asked.curves), ("arrivals", asked.arrivals)):
        if isinstance(given, Mapping) and channels:
            check_channels(option, given, channels)


def refuse_arms(asked: Asked, arms: Sequence[str]) -> None:
    """Raise DataError where there is one arm, or the control is none of them."""
    if len(arms) < 2:
        raise DataError(
            f"Column {asked.arm!r} holds one arm, {arms[0]!r}, for all customers, so nothing can be compared. Give the "
            "column that says who was in which arm."
        )
    if asked.control is not None and str(asked.control) not in arms:
        raise DataError(f"'control' must be an arm, one of {quote_list(arms)}. Got {asked.control!r}.")


def refuse_start(asked: Asked, first: dt.date | None, end: dt.date | None) -> None:
    """Raise DataError where an experiment on existing customers began when nothing was, or is yet, known.

    Parameters
    ----------
    first : date, optional
        Of the first purchase.
    end : date, optional
        As-of date.
    """
    if asked.arm_start is None:
        return
    day: Any = parse_moment("arm_start", asked.arm_start)
    if end is not None and day.toordinal() > end.toordinal():
        raise DataError(f"The experiment starts on {day}, after the as-of date {end}: nothing can be read of it yet.")
    if first is not None and day.toordinal() <= first.toordinal():
        raise DataError(
            f"Nobody had bought before {day}, on which the experiment starts; the first purchase is of {first}. Leave "
            "the start out where arms were given at the first purchase."
        )
