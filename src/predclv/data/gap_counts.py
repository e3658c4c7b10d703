"""Times between purchases, counted by whole days in the engine that holds the purchases."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from predclv.data.frames import column_to_numpy

__all__ = ["count_gaps"]

Frame = nw.LazyFrame[Any]


def count_gaps(purchases: Frame, firsts: Frame, end: int, ticks: int) -> pd.DataFrame:
    """Count gaps by their length: between a customer's purchases, and from the last one to the as-of date.

    Parameters
    ----------
    purchases : LazyFrame
        customer, period (tick): a row for each customer and period.
    firsts : LazyFrame
        customer, segment, last (tick of the last purchase).
    end : int
        Tick of the as-of date.
    ticks : int
        A day's.

    Returns
    -------
    DataFrame
        segment, days, closed (gaps between purchases), still_open (customers who have not bought for so long).
    """
    segments = firsts.select("customer", "segment")
    days = (nw.col("gap") // ticks).cast(nw.Int64)
    gaps = _gaps(purchases.select("customer", nw.col("period").cast(nw.Int64)))
    closed = gaps.with_columns(days=days).group_by("customer", "days").agg(n=nw.len())
    closed = closed.join(segments, on="customer", how="inner").group_by("segment", "days").agg(nw.col("n").sum())
    left = firsts.with_columns(gap=end - nw.col("last")).with_columns(days=days)
    left = left.group_by("segment", "days").agg(n=nw.len())
    keys = ["segment", "days"]
    table = _table(closed, "closed").merge(_table(left, "still_open"), on=keys, how="outer")
    table[["closed", "still_open"]] = table[["closed", "still_open"]].fillna(0).astype(np.int64)
    return table.sort_values(keys, ignore_index=True)


def _table(frame: Frame, name: str) -> pd.DataFrame:
    found = frame.collect()
    columns = {key: column_to_numpy(found[key]) for key in ("segment", "days", "n")}
    table = pd.DataFrame(columns).rename(columns={"n": name})
    return table.astype({"days": np.int64, name: np.int64})


def _gaps(purchases: Frame) -> Frame:
    """customer, gap: a row for each purchase but the first of a customer."""
    engine: Any = purchases.implementation
    gaps: Frame
    if engine is nw.Implementation.DUCKDB:
        relation: Any = purchases.to_native()
        window = "customer, period - lag(period) OVER (PARTITION BY customer ORDER BY period) AS gap"
        gaps = nw.from_native(relation.project(window).filter("gap IS NOT NULL"))
        return gaps
    if engine is nw.Implementation.POLARS:
        import polars as pl

        frame: Any = purchases.to_native()
        gap = (pl.col("period") - pl.col("period").shift(1).over("customer")).alias("gap")
        gaps = nw.from_native(frame.sort("customer", "period").select("customer", gap).drop_nulls("gap"))
        return gaps
    if engine is nw.Implementation.PYSPARK:
        from pyspark.sql import Window, functions

        native: Any = purchases.to_native()
        before = functions.lag("period").over(Window.partitionBy("customer").orderBy("period"))
        gaps = nw.from_native(native.withColumn("gap", native["period"] - before).where("gap IS NOT NULL"))
        return gaps
    # Of pandas and pyarrow, sorted rows of one customer follow each other.
    rows = purchases.sort("customer", "period").collect()
    customer, period = column_to_numpy(rows["customer"]), column_to_numpy(rows["period"]).astype(np.int64)
    later = np.flatnonzero(customer[1:] == customer[:-1]) + 1
    table = pd.DataFrame({"customer": customer[later], "gap": period[later] - period[later - 1]})
    if engine is nw.Implementation.PYARROW:
        import pyarrow as pa

        customers = rows["customer"].to_native().take(later)
        gaps = nw.from_native(pa.table({"customer": customers, "gap": table["gap"]})).lazy()
        return gaps
    gaps = nw.from_native(table, eager_only=True).lazy()
    return gaps
