"""Reading a ready table of one row a contract: what `Subscriptions.to_pandas` gives, or the like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, pick_column
from predclv.data.frames import PANDAS, Backend, column_to_numpy, open_frame
from predclv.data.paths import is_path, open_path, reading, text_to_numbers
from predclv.data.rfm_checks import refuse_zone
from predclv.data.subscription_checks import check_labels
from predclv.errors import DataError

__all__ = ["read_subscription_table"]

_FLAGS = ("ended", "lost")
_NUMBERS = ("tenure", "weight", "next_renewal", "price")
_WORDS = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}


def read_subscription_table(
    table: Any, names: Mapping[str, str | None], carry: Sequence[str]
) -> tuple[dict[str, Any], Backend]:
    """Read the named columns of a frame or file as the array arguments of Subscriptions.

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
    check_labels(None, dict.fromkeys(carry))
    with reading(table):
        return _read(table, names, carry)


def _read(table: Any, names: Mapping[str, str | None], carry: Sequence[str]) -> tuple[dict[str, Any], Backend]:
    from_path = is_path(table)
    labels = [names["customer_id"] or "customer_id", names["start"] or "start", *carry]
    if from_path:
        table = open_path(table, tuple(labels))
    frame, backend = open_frame(table, "the table")
    available = frame.collect_schema().names()
    found = {
        argument: pick_column(argument, name, available, "the table")
        for argument, name in names.items()
        if name is not None
    }
    found |= {argument: argument for argument, name in names.items() if name is None and argument in available}
    kept = [pick_column("carry", name, available, "the table") for name in carry]
    frame = frame.select(*dict.fromkeys([*found.values(), *kept]))
    if from_path:
        frame = text_to_numbers(frame, [found["customer_id"]] if "customer_id" in found else [], fractions=False)
        frame = text_to_numbers(frame, kept)
    if "start" in found:
        refuse_zone("start", frame.collect_schema()[found["start"]])
    collected = frame.collect()
    columns: dict[str, Any] = {argument: column_to_numpy(collected[name]) for argument, name in found.items()}
    n = len(collected)
    for name in _FLAGS:
        if name in columns:
            columns[name] = _flags(found[name], columns[name])
    for name in _NUMBERS:
        if name in columns:
            columns[name] = _numbers(found[name], columns[name])
    columns.setdefault("customer_id", np.arange(n))
    columns.setdefault("lost", columns["ended"])
    columns.setdefault("weight", np.ones(n))
    columns.setdefault("next_renewal", np.ones(n))
    columns["carried"] = {name: column_to_numpy(collected[name]) for name in kept}
    return columns, PANDAS if from_path else backend


def _flags(name: str, column: NDArray[Any]) -> NDArray[np.bool_]:
    """True and False, however they are written."""
    if column.dtype == bool:
        return column
    flags = [_WORDS.get(_word(value)) for value in column]
    bad = [flag is None for flag in flags]
    if any(bad):
        i = bad.index(True)
        raise DataError(
            f"Column {name!r} holds something else than true and false for {count_of(sum(bad), len(bad), 'rows')} "
            f"(first: row {i}, {column[i]!r})."
        )
    return np.array(flags, dtype=bool)


def _word(value: object) -> str:
    # 1.0 is what some libraries make of True beside a null.
    return f"{value:g}" if isinstance(value, float | np.floating) else str(value).lower()


def _numbers(name: str, column: NDArray[Any]) -> NDArray[Any]:
    """Numbers, NaN for null; what is none is for the checks to refuse."""
    if column.dtype != object:
        return column
    try:
        return np.array([np.nan if pd.isna(value) else float(value) for value in column])
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {name!r} holds values that are no numbers: {error}.") from error
