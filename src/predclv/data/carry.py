"""Columns that say something constant about a customer."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.frames import column_to_numpy
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.errors import DataError

__all__ = ["carry_columns", "note_conflicts"]


def carry_columns(
    rows: nw.LazyFrame[Any], customers: NDArray[Any], options: LogOptions, notes: QualityNotes
) -> dict[str, NDArray[Any]]:
    """One value a customer of each carried column, in the order of `customers`.

    Nulls give way to a value known from another row. Where a customer has several values, `carry_conflict` decides:
    the value of the earliest or of the latest row; the smallest one where several rows share that moment.
    """
    carried = {}
    for i, name in enumerate(options.carry):
        column = f"carry_{i}"
        known = _distinct(rows, column, options.carry_conflict)
        conflicts = known["customer"].duplicated(keep=False)
        _note_conflicts(known[conflicts], column, name, len(customers), options, notes)
        if conflicts.any():
            known = _in_order(known, column, options.carry_conflict)
        carried[name] = _align(known.drop_duplicates("customer"), column, customers)
    return carried


def _distinct(rows: nw.LazyFrame[Any], column: str, conflict: str) -> pd.DataFrame:
    """Distinct pairs of customer and known value, with the first or last moment of each where the order matters."""
    known = rows.filter(~nw.col(column).is_null())
    if conflict == "error":
        pairs = known.select("customer", column).unique()
    else:
        moment = nw.col("moment")
        pairs = known.group_by("customer", column).agg(moment.min() if conflict == "first" else moment.max())
    found = pairs.collect()
    table = pd.DataFrame({key: column_to_numpy(found[key]) for key in found.columns})
    # NaN is null in pandas and a number elsewhere.
    return table[table[column].notna()]


def _in_order(known: pd.DataFrame, column: str, conflict: str) -> pd.DataFrame:
    """Sort so that each customer's value to keep comes first."""
    try:
        value = pd.factorize(known[column], sort=True)[0]
    except TypeError:  # values that cannot be compared
        value = pd.factorize(known[column].map(repr), sort=True)[0]
    order = np.lexsort((value, known["moment"] * (1 if conflict == "first" else -1)))
    return known.iloc[order]


def _align(chosen: pd.DataFrame, column: str, customers: NDArray[Any]) -> NDArray[Any]:
    """Values in the order of `customers`; None, NaN or NaT for those without one."""
    values = chosen[column].to_numpy()
    position = pd.Index(chosen["customer"]).get_indexer(pd.Index(customers))
    unknown = position < 0
    if not unknown.any():
        return np.asarray(values[position])
    if values.dtype.kind not in "fM":
        # Whole numbers and flags stay what they are: as floats, large numbers would lose digits.
        values = values.astype(object)
    aligned = values[position] if len(values) else np.full(len(customers), None, dtype=object)
    aligned[unknown] = {"f": np.nan, "M": np.datetime64("NaT")}.get(aligned.dtype.kind)
    return np.asarray(aligned)


def _note_conflicts(
    conflicts: pd.DataFrame, column: str, name: str, n_customers: int, options: LogOptions, notes: QualityNotes
) -> None:
    n = int(conflicts["customer"].nunique())
    customer = conflicts["customer"].min() if n else None
    values = conflicts.loc[conflicts["customer"] == customer, column].tolist() if n else []
    note_conflicts(n, customer, values, name, n_customers, options, notes)


def note_conflicts(
    n: int, customer: object, values: list[Any], name: str, n_customers: int, options: LogOptions, notes: QualityNotes
) -> None:
    """Note how many customers have several values of a carried column, or raise DataError where that is an error.

    Parameters
    ----------
    n, n_customers : int
        Customers with several values, of how many.
    customer : object
        The first of them.
    values : list
        Theirs.
    name : str
        The column.
    options : LogOptions
    notes : QualityNotes
    """
    first = f"customer {customer}: {', '.join(sorted(map(repr, values))[:3])}" if n else ""
    if n and options.carry_conflict == "error":
        raise DataError(
            f"carry column {name!r} changes for {count_of(n, n_customers, 'customers')} (first: {first}). It must be "
            "constant for a customer, or give carry_conflict='first' or 'last'.",
            column=name,
        )
    what = f"customers whose {name!r} changes"
    notes.add("carry", what, n, n_customers, "customers", f"carry_conflict={options.carry_conflict!r}", first)
