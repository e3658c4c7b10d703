"""Reading a ready table of one row a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import check_carry, pick_column
from predclv.data.frames import PANDAS, Backend, column_to_numpy, open_frame
from predclv.data.paths import is_path, open_path, reading, text_to_numbers
from predclv.data.rfm_checks import refuse_zone
from predclv.errors import DataError

__all__ = ["read_rfm_table"]


def read_rfm_table(table: Any, names: Mapping[str, str | None], carry: Sequence[str]) -> tuple[dict[str, Any], Backend]:
    """Read the named columns of a frame or file as the array arguments of RFMSummary.

    Parameters
    ----------
    table : frame or path
    names : mapping of argument to column
        None stands for the column of the same name, where there is one.
    carry : sequence of str
        Further columns.
    """
    check_carry(carry)
    with reading(table):
        return _read(table, names, carry)


def _read(table: Any, names: Mapping[str, str | None], carry: Sequence[str]) -> tuple[dict[str, Any], Backend]:
    from_path = is_path(table)
    labels = [names["customer_id"] or "customer_id", names["first_purchase"] or "first_purchase", *carry]
    if from_path:
        table = open_path(table, tuple(labels))
    elif isinstance(table, pd.DataFrame):
        table = _with_index(table, names["customer_id"])
    frame, backend = open_frame(table, "the table")
    available = frame.collect_schema().names()
    found: dict[str, str] = {}
    for argument, name in names.items():
        if name is not None:
            found[argument] = pick_column(argument, name, available, "the table")
        elif argument in available:
            found[argument] = argument
    kept = [pick_column("carry", name, available, "the table") for name in carry]
    frame = frame.select(*dict.fromkeys([*found.values(), *kept]))
    if from_path:
        frame = text_to_numbers(frame, [found["customer_id"]] if "customer_id" in found else [], fractions=False)
        frame = text_to_numbers(frame, kept)
    if "first_purchase" in found:
        refuse_zone("first_purchase", frame.collect_schema()[found["first_purchase"]])
    collected = frame.collect()
    columns: dict[str, Any] = {argument: column_to_numpy(collected[name]) for argument, name in found.items()}
    columns.setdefault("customer_id", np.arange(len(collected)))
    columns["carried"] = {name: column_to_numpy(collected[name]) for name in kept}
    return columns, PANDAS if from_path else backend


def _with_index(table: pd.DataFrame, customer_id: str | None) -> pd.DataFrame:
    """Make the index a column where it holds the ids, as in what lifetimes returns."""
    name, wanted = table.index.name, customer_id or "customer_id"
    if name is None or wanted in table.columns:
        return table
    if name == wanted:
        return table.reset_index()
    if customer_id is None:
        raise DataError(
            f"The table has no column 'customer_id' and an index called {name!r}. Give customer_id={name!r}, or drop "
            "the index with .reset_index(drop=True)."
        )
    return table
