"""Columns that say something constant of a customer, such as the channel, as one value each in the engine."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw

from predclv.data.checks import count_of
from predclv.data.frames import column_to_numpy, count_rows
from predclv.data.quality import QualityNotes
from predclv.data.summarize import Observed
from predclv.errors import DataError

__all__ = ["constant_columns"]

Frame = nw.LazyFrame[Any]


def constant_columns(
    seen: Observed, by: str | None, margin: str | None, customers: Frame, notes: QualityNotes
) -> Frame | None:
    """Customer and, as asked for, segment and margin: a row a customer; None where nothing is asked for.

    Parameters
    ----------
    seen : Observed
        Its rows hold carry_i for `by` and `margin`.
    by, margin : str or None
        Columns; they may be the same.
    customers : LazyFrame
        customer: each needs a value.
    notes : QualityNotes

    Raises
    ------
    DataError
        A column changes for a customer where `carry_conflict` is "error", or has no value for one; a margin is no
        number from 0 to 1.
    """
    found: Frame | None = None
    for name, role in ((by, "segment"), (margin, "margin")):
        if name is None:
            continue
        column = _one_value(seen, f"carry_{list(seen.options.carry).index(name)}", name, role, notes)
        _require_all(customers, column, name, role)
        if role == "margin":
            column = _check_margin(column, name)
        found = column if found is None else found.join(column, on="customer", how="inner")
    return found


def _one_value(seen: Observed, column: str, name: str, role: str, notes: QualityNotes) -> Frame:
    rows, conflict = seen.window.rows, seen.options.carry_conflict
    if rows.collect_schema()[column].is_float():
        rows = rows.with_columns(nw.col(column).fill_nan(None))
    known = rows.filter(~nw.col(column).is_null())
    pairs = known.select("customer", **{role: nw.col(column)}).unique()
    several = pairs.group_by("customer").agg(n=nw.len()).filter(nw.col("n") > 1)
    if n := count_rows(several):
        first = column_to_numpy(several.select(nw.col("customer").min()).collect()["customer"])[0]
        if conflict == "error":
            values = pairs.filter(nw.col("customer") == nw.lit(first)).collect()[role].to_list()
            total = count_rows(known.select("customer").unique())
            raise DataError(
                f"column {name!r} changes for {count_of(n, total, 'customers')} (first: customer {first}: "
                f"{', '.join(sorted(map(repr, values))[:3])}). It must be constant for a customer, or give "
                "carry_conflict='first' or 'last'."
            )
        notes.add("carry", f"customers whose {name!r} changes", n, n, "customers", f"carry_conflict={conflict!r}")
        return _chosen(known, column, role, conflict)
    return pairs


def _chosen(known: Frame, column: str, role: str, conflict: str) -> Frame:
    """Value of the first or last moment; the smallest, where several share it."""
    moment = nw.col("moment").min() if conflict == "first" else nw.col("moment").max()
    times = known.group_by("customer").agg(moment)
    then = known.select("customer", "moment", **{role: nw.col(column)}).join(
        times, on=["customer", "moment"], how="inner"
    )
    return then.group_by("customer").agg(nw.col(role).min())


def _require_all(customers: Frame, column: Frame, name: str, role: str) -> None:
    lacking = customers.select("customer").join(column.select("customer"), on="customer", how="anti")
    if n := count_rows(lacking):
        first = column_to_numpy(lacking.select(nw.col("customer").min()).collect()["customer"])[0]
        remedy = "Name their segment, 'unknown' for instance." if role == "segment" else "Fill it."
        total = count_rows(customers)
        raise DataError(
            f"Column {name!r} is missing for {count_of(n, total, 'customers')} (first: customer {first}). {remedy}"
        )


def _check_margin(column: Frame, name: str) -> Frame:
    if not column.collect_schema()["margin"].is_numeric():
        raise DataError(f"Column {name!r} holds no numbers, so it cannot be a margin.")
    column = column.with_columns(nw.col("margin").cast(nw.Float64))
    margin = nw.col("margin")
    wrong = column.filter((margin < 0) | (margin > 1))
    if n := count_rows(wrong):
        head = wrong.head(1).collect()
        raise DataError(
            f"Margin {name!r} is negative or above 1 for {count_of(n, count_rows(column), 'customers')} (first: "
            f"customer {head['customer'][0]}, {head['margin'][0]:g}). A margin is the share of spend that is kept."
        )
    return column
