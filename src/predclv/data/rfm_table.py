"""Reading a ready table of one row a customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predclv.data.checks import pick_column
from predclv.data.frames import PANDAS, Backend, column_to_numpy, open_frame
from predclv.data.paths import is_path, open_path, reading
from predclv.errors import DataError

__all__ = ["read_rfm_table"]

_OPTIONAL = ("customer_id", "monetary_value", "first_purchase")


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
    if isinstance(carry, str):
        raise DataError(f"carry={carry!r} must be a list of columns: [{carry!r}].")
    with reading(table):
        return _read(table, names, carry)


def _read(table: Any, names: Mapping[str, str | None], carry: Sequence[str]) -> tuple[dict[str, Any], Backend]:
    from_path = is_path(table)
    frame, backend = open_frame(open_path(table) if from_path else table, "the table")
    available = frame.collect_schema().names()
    found: dict[str, str] = {}
    for argument, name in names.items():
        if name is not None:
            found[argument] = pick_column(argument, name, available, "the table")
        elif argument in available:
            found[argument] = argument
    kept = [pick_column("carry", name, available, "the table") for name in carry]
    collected = frame.select(*dict.fromkeys([*found.values(), *kept])).collect()
    columns: dict[str, Any] = {argument: column_to_numpy(collected[name]) for argument, name in found.items()}
    columns.setdefault("customer_id", np.arange(len(collected)))
    if "first_purchase" in columns:
        columns["first_purchase"] = columns["first_purchase"].astype("datetime64[us]")
    columns["carried"] = {name: column_to_numpy(collected[name]) for name in kept}
    return columns, PANDAS if from_path else backend
