"""Columns that say something constant about a customer."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.frames import column_to_numpy
from predclv.data.quality import QualityNotes
from predclv.data.transactions import LogOptions
from predclv.errors import DataError

__all__ = ["carry_columns"]


def carry_columns(
    rows: nw.LazyFrame[Any], customers: NDArray[Any], options: LogOptions, notes: QualityNotes
) -> dict[str, NDArray[Any]]:
    """One value a customer of each carried column, in the order of `customers`.

    Nulls give way to a value known from another row. Where a customer has several values, `carry_conflict` decides.
    """
    carried = {}
    for i, name in enumerate(options.carry):
        column = f"carry_{i}"
        pairs = _distinct(rows, column, ordered=options.carry_conflict != "error")
        found = pairs.collect()
        table = pd.DataFrame({key: column_to_numpy(found[key]) for key in found.columns})
        known = table[table[column].notna()]
        conflicts = known["customer"].duplicated(keep=False)
        _note_conflicts(known[conflicts], column, name, len(customers), options, notes)
        if options.carry_conflict != "error":
            known = known.sort_values("period", kind="stable", ascending=options.carry_conflict == "first")
        chosen = known.drop_duplicates("customer").set_index("customer")[column]
        carried[name] = np.asarray(chosen.reindex(customers).to_numpy())
    return carried


def _distinct(rows: nw.LazyFrame[Any], column: str, ordered: bool) -> nw.LazyFrame[Any]:
    """Distinct (customer, value), with the first or last period of each where the order matters."""
    if not ordered:
        return rows.select("customer", column).unique()
    return rows.group_by("customer", column).agg(nw.col("period").max())


def _note_conflicts(
    conflicts: pd.DataFrame, column: str, name: str, n_customers: int, options: LogOptions, notes: QualityNotes
) -> None:
    n = int(conflicts["customer"].nunique())
    first = ""
    if n:
        customer = conflicts["customer"].iloc[0]
        values = conflicts.loc[conflicts["customer"] == customer, column].tolist()
        first = f"customer {customer}: {', '.join(map(repr, values[:3]))}"
    if n and options.carry_conflict == "error":
        raise DataError(
            f"carry column {name!r} changes for {count_of(n, n_customers, 'customers')} (first: {first}). It must be "
            "constant for a customer, or give carry_conflict='first' or 'last'."
        )
    what = f"customers whose {name!r} changes"
    notes.add("carry", what, n, n_customers, "customers", f"carry_conflict={options.carry_conflict!r}", first)
