"""Columns of a summary as forecasts take them: histories, spend, margins and segments, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import quote_list
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.kernels.collapse import Collapsed

__all__ = ["check_margin", "histories", "margins", "mean_spend", "segments"]

FloatArray = NDArray[np.float64]


def histories(rfm: RFMSummary) -> tuple[Collapsed, NDArray[np.int64]]:
    """Distinct histories, and which of them each customer has, (n_customers,)."""
    rows = rfm.collapsed
    assert rows.inverse is not None  # a summary collapses with the inverse
    return rows, rows.inverse


def mean_spend(rfm: RFMSummary) -> FloatArray:
    """Mean spend of the repeat purchases, (n_customers,); DataError where the summary has no amounts."""
    if rfm.monetary_value is None:
        raise DataError("The summary has no amounts. Give 'amount' to from_transactions, or 'monetary_value'.")
    return rfm.monetary_value


def segments(rfm: RFMSummary, by: str | None, *, option: str = "by") -> tuple[list[Any], NDArray[np.int64]]:
    """Names of the segments in column `by`, sorted, and each customer's code; no names where `by` is None.

    Names are the column's own values: 1 stays a number. `option` is what errors call the column's option.

    Raises
    ------
    DataError
        No such carried column, customers without a value, or two values that print alike, such as 1 and '1'.
    """
    if by is None:
        return [], np.zeros(len(rfm), dtype=np.int64)
    values = pd.Series(_carried(rfm, by, option))
    if values.isna().all():
        raise DataError(f"Column {by!r} holds no value for any of the {len(rfm):,} customers, so it makes no segments.")
    if values.isna().any():
        raise DataError(
            f"Column {by!r} is missing for {values.isna().sum():,} of {len(rfm):,} customers (first: customer "
            f"{rfm.customer_id[int(np.argmax(values.isna()))]}). Name their segment, 'unknown' for instance."
        )
    try:
        codes, index = pd.factorize(values, sort=True)
    except TypeError as error:
        raise DataError(f"Column {by!r} holds values that cannot be sorted: {error}. Make them one type.") from error
    names = index.tolist()
    printed = pd.Series(map(str, names), dtype=object)
    if printed.duplicated().any():
        alike = [name for name in names if str(name) == printed[printed.duplicated()].iloc[0]]
        raise DataError(f"Column {by!r} mixes values that print alike: {quote_list(alike)}. Make them one type.")
    return names, codes.astype(np.int64)


def margins(rfm: RFMSummary, margin: float | str) -> FloatArray:
    """Margin of each customer, (n_customers,), from a number or a carried column.

    Raises
    ------
    DataError
        No such carried column, or values in it that are missing, negative, above 1 or no numbers.
    TypeError
        It is neither a number nor a name, such as an array.
    ValueError
        The number is not in [0, 1].
    """
    if not isinstance(margin, str):
        return np.full(len(rfm), check_margin(margin))
    column = _carried(rfm, margin, "margin")
    try:
        # Through objects, for flags and dates turn into numbers that were never meant.
        values = np.asarray(column if column.dtype.kind in "iufO" else column.astype(object), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {margin!r} holds no numbers, so it cannot be a margin: {error}.") from error
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"Margin {margin!r} is missing, negative or infinite for {wrong.sum():,} of {len(rfm):,} customers (first: "
            f"customer {rfm.customer_id[first]}, {values[first]}). A margin is the share of spend that is kept."
        )
    above = values > 1
    if above.any():
        first = int(np.argmax(above))
        raise DataError(
            f"Margin {margin!r} is above 1 for {above.sum():,} of {len(rfm):,} customers (first: customer "
            f"{rfm.customer_id[first]}, {values[first]:g}{_share_hint(values[first])}). A margin is the share of spend "
            "that is kept."
        )
    return values


def check_margin(margin: float) -> float:
    """Return a margin as a float; TypeError where it is no number, ValueError where it is not in [0, 1]."""
    if isinstance(margin, bool | np.bool_) or not isinstance(margin, int | float | np.integer | np.floating):
        raise TypeError(
            f"'margin' must be a number or the name of a carried column, not {type(margin).__name__}. For margins by "
            "customer, carry a column and give its name."
        )
    if not (np.isfinite(margin) and margin >= 0):
        raise ValueError(f"'margin' must be finite and at least 0, the share of spend that is kept. Got {margin!r}.")
    if margin > 1:
        raise ValueError(
            f"'margin' must be at most 1, the share of spend that is kept. Got {margin:g}{_share_hint(margin)}."
        )
    return float(margin)


def _share_hint(margin: float) -> str:
    """Suggest the share where a margin looks like a percentage."""
    return f"; did you mean {margin / 100:.2f}?" if 2 <= margin <= 100 else ""


def _carried(rfm: RFMSummary, name: str, option: str) -> NDArray[Any]:
    if name not in rfm.carried:
        known = ", ".join(map(repr, rfm.carried)) or "none"
        raise DataError(f"{option}={name!r} is no carried column; carried are: {known}. Give carry=[{name!r}].")
    return rfm.carried[name]
