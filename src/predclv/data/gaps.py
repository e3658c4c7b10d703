"""Times between a customer's purchases: their logarithms, summed in the engine that holds the purchases."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.frames import collect_counts, column_to_numpy
from predclv.errors import DataError

__all__ = ["refuse_ties", "sum_in_duckdb", "sum_log_gaps"]

FloatArray = NDArray[np.float64]


def sum_log_gaps(purchases: nw.LazyFrame[Any], counts: NDArray[np.int64]) -> FloatArray:
    """Sum of the logarithms of the gaps, in ticks, of each customer, sorted by customer; 0 without a gap.

    Parameters
    ----------
    purchases : LazyFrame
        customer, period, purchases: a row for each customer and period.
    counts : (n_customers,) array
        Purchases of each customer, sorted by customer.

    Raises
    ------
    DataError
        Purchases of a customer share an instant: the logarithm of no time is no number.
    """
    refuse_ties(purchases)
    if purchases.implementation is nw.Implementation.DUCKDB:
        return _collect(sum_in_duckdb(purchases))
    if purchases.implementation is nw.Implementation.POLARS:
        return _collect(_sum_in_polars(purchases))
    if purchases.implementation is nw.Implementation.PYSPARK:
        return _collect(_sum_in_spark(purchases))
    # Sorted, customers follow each other with as many rows as they have purchases.
    period = column_to_numpy(purchases.select("customer", "period").sort("customer", "period").collect()["period"])
    first = np.cumsum(counts) - counts
    gaps = np.diff(period.astype(np.int64), prepend=0)
    gaps[first] = 1
    return np.asarray(np.add.reduceat(np.log(gaps), first))


def refuse_ties(purchases: nw.LazyFrame[Any]) -> None:
    """Raise DataError where purchases of a customer share an instant; columns as in `sum_log_gaps`."""
    number = nw.col("purchases")
    tied = purchases.filter(number > 1)
    n = collect_counts(tied.select(n=number.sum()))["n"]
    if n:
        total = collect_counts(purchases.select(n=number.sum()))["n"]
        first = column_to_numpy(tied.select("customer").head(1).collect()["customer"])[0]
        raise DataError(
            f"regularity=True asks for times between purchases, and {count_of(n, total, 'purchases')} share an "
            f"instant with another of the same customer (first: customer {first}). Merge them: collapse='day'."
        )


def sum_in_duckdb(purchases: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """customer, log_gaps: the sums, unsorted, of a DuckDB relation; columns as in `sum_log_gaps`."""
    relation: Any = purchases.to_native()
    gaps = relation.project("customer, period - lag(period) OVER (PARTITION BY customer ORDER BY period) AS gap")
    sums: nw.LazyFrame[Any] = nw.from_native(
        gaps.aggregate("customer, coalesce(fsum(ln(gap)), 0) AS log_gaps", "customer")
    )
    return sums


def _sum_in_polars(purchases: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    import polars as pl

    frame: Any = purchases.to_native()
    gaps = pl.col("period").cast(pl.Int64).sort().diff().cast(pl.Float64)
    sums: nw.LazyFrame[Any] = nw.from_native(frame.group_by("customer").agg(log_gaps=gaps.log().sum()))
    return sums


def _sum_in_spark(purchases: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    from pyspark.sql import functions

    frame: Any = purchases.to_native()
    times = functions.sort_array(functions.collect_list(functions.col("period").cast("long")))
    sorted_times = frame.groupBy("customer").agg(times.alias("t"))
    # The list without its first beside the list without its last; a gap is their difference.
    logs = "zip_with(slice(t, 2, size(t)), slice(t, 1, size(t) - 1), (later, earlier) -> ln(later - earlier))"
    gaps = functions.expr(f"aggregate({logs}, 0D, (total, gap) -> total + gap)")
    sums: nw.LazyFrame[Any] = nw.from_native(sorted_times.select("customer", gaps.alias("log_gaps")))
    return sums


def _collect(sums: nw.LazyFrame[Any]) -> FloatArray:
    return column_to_numpy(sums.sort("customer").collect()["log_gaps"]).astype(np.float64)
