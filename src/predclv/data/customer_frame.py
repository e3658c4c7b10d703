"""One row a customer, worked out by the engine that holds the log: nothing is collected but counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from predclv.data.aggregate import (
    CustomerTotals,
    ReturnTotals,
    place_returns,
    subtract,
    total_by_period,
    total_purchases,
)
from predclv.data.carry import note_conflicts
from predclv.data.dates import TICKS_PER_DAY, day_of
from predclv.data.frames import collect_counts, column_to_numpy, count_rows
from predclv.data.gaps import refuse_ties, sum_in_duckdb
from predclv.data.quality import QualityNotes
from predclv.data.summarize import Observed

__all__ = ["customer_frame", "read_totals"]

Frame = nw.LazyFrame[Any]
#: Keeps a frame that is needed more than once, out of Python's memory, and gives it back.
Keep = Callable[[Frame], Frame]


def customer_frame(seen: Observed, keep: Keep, notes: QualityNotes) -> tuple[Frame, ReturnTotals]:
    """Total a log by customer in DuckDB.

    Parameters
    ----------
    seen : Observed
        Its rows are a DuckDB relation.
    keep : callable
        Makes a table of a frame.
    notes : QualityNotes
        Gets lines on carried columns.

    Returns
    -------
    frame : LazyFrame
        customer, first_period, last_period, purchases and, where they are asked for: day, amount, first_amount,
        returned_first, returned_repeat, log_gaps, born, carry_i. A row a customer, in no order.
    returns : ReturnTotals
    """
    log, options, rows = seen.log, seen.options, seen.rows
    bought = rows.filter(nw.col("amount") >= 0) if seen.has_returns else rows
    purchases = total_by_period(bought, options.collapse, log.has_amount)
    if options.regularity:
        purchases = keep(purchases)
        refuse_ties(purchases)
    frame = total_purchases(purchases, log.has_amount)
    returns = ReturnTotals()
    if seen.has_returns:
        placed = keep(place_returns(rows.filter(nw.col("amount") < 0), bought).select("customer", "place", "amount"))
        frame = frame.join(_returned(placed), on="customer", how="left")
        returns = _count_returns(placed)
    if options.regularity:
        frame = frame.join(sum_in_duckdb(purchases), on="customer", how="left")
    if options.acquired is not None:
        known = seen.window.rows.filter(~nw.col("acquired").is_null()).select("customer", born=day_of("acquired"))
        frame = frame.join(known.group_by("customer").agg(nw.col("born").min()), on="customer", how="left")
    if options.carry:
        frame = keep(frame)
        frame = frame.join(_carried(seen, keep, notes, count_rows(frame)), on="customer", how="left")
    return frame, returns


def read_totals(batch: pa.RecordBatch, collapse: str, *, exact: bool) -> tuple[CustomerTotals, NDArray[Any] | None]:
    """Totals of a batch of `customer_frame`'s rows, and the day of acquisition, where there is one.

    Spend beyond what a number holds is left as it is.
    """
    table = {
        name: column_to_numpy(nw.from_native(column, series_only=True))
        for name, column in zip(batch.schema.names, map(_chunked, batch.columns), strict=True)
        if not name.startswith("carry_")
    }
    first_period = table["first_period"].astype(np.int64)
    first_spend = repeat_spend = None
    if "amount" in table:
        first_spend, spend = (table[name].astype(np.float64) for name in ("first_amount", "amount"))
        with np.errstate(invalid="ignore"):
            repeat_spend = subtract(spend, first_spend, exact)
        for spent, name in ((first_spend, "returned_first"), (repeat_spend, "returned_repeat")):
            if name in table:
                returned = table[name].astype(np.float64)
                at = np.flatnonzero(np.nan_to_num(returned))
                spent[at] = subtract(spent[at], -returned[at], exact)
    totals = CustomerTotals(
        table["customer"],
        first_period,
        table["last_period"].astype(np.int64),
        table["day"].astype(np.int64) if "day" in table else first_period // TICKS_PER_DAY[collapse],
        table["purchases"].astype(np.int64),
        first_spend,
        repeat_spend,
        ReturnTotals(),
        table["log_gaps"].astype(np.float64) if "log_gaps" in table else None,
    )
    return totals, table.get("born")


def _carried(seen: Observed, keep: Keep, notes: QualityNotes, n_customers: int) -> Frame:
    """Customer and carry_i: one value of each carried column, by the policy for those that change.

    Null gives way to a value known from another row, and where several rows share the first or last moment, the
    smallest value is taken.
    """
    options, rows = seen.options, seen.window.rows
    conflict = options.carry_conflict
    parts = []
    for i in range(len(options.carry)):
        name = f"carry_{i}"
        value = f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END" if rows.collect_schema()[name].is_float() else name
        parts += [f"min({value}) AS least_{i}", f"max({value}) AS most_{i}"]
        if conflict != "error":
            moment = "moment" if conflict == "first" else "-moment"
            chosen = f"min({{'moment': {moment}, 'value': {value}}}) FILTER ({value} IS NOT NULL)"
            parts.append(f"struct_extract({chosen}, 'value') AS chosen_{i}")
    relation: Any = rows.to_native()
    known = keep(nw.from_native(relation.aggregate(f"customer, {', '.join(parts)}", "customer")))
    for i, name in enumerate(options.carry):
        changing = known.filter(nw.col(f"least_{i}") != nw.col(f"most_{i}"))
        found = collect_counts(changing.select(n=nw.len()))["n"]
        first = changing.select(nw.col("customer").min()).collect().item() if found else None
        values = []
        if found:
            theirs = rows.filter(nw.col("customer") == nw.lit(first)).filter(~nw.col(f"carry_{i}").is_null())
            several = theirs.select(f"carry_{i}").unique().collect()[f"carry_{i}"]
            values = pd.Series(column_to_numpy(several)).tolist()
        note_conflicts(found, first, values, name, n_customers, options, notes)
    chosen = "least" if conflict == "error" else "chosen"
    return known.select("customer", **{f"carry_{i}": nw.col(f"{chosen}_{i}") for i in range(len(options.carry))})


def _chunked(column: pa.Array) -> pa.ChunkedArray:
    return pa.chunked_array([column])


def _returned(placed: Frame) -> Frame:
    """Money of returns by customer: what lowers the first purchase, and what lowers later ones."""
    amount, place = nw.col("amount").cast(nw.Float64), nw.col("place")
    by_place = placed.select(
        "customer",
        returned_first=nw.when(place == 1).then(amount).otherwise(0.0),
        returned_repeat=nw.when(place == 2).then(amount).otherwise(0.0),
    )
    return by_place.group_by("customer").agg(nw.col("returned_first", "returned_repeat").sum())


def _count_returns(placed: Frame) -> ReturnTotals:
    amounts = placed.with_columns(nw.col("amount").cast(nw.Float64))
    found = amounts.group_by("place").agg(n=nw.len(), money=nw.col("amount").sum()).collect()
    n = dict(zip(found["place"].to_list(), found["n"].to_list(), strict=True))
    money = dict(zip(found["place"].to_list(), found["money"].to_list(), strict=True))
    return ReturnTotals(n.get(1, 0), n.get(2, 0), n.get(0, 0), money.get(0, 0.0))
