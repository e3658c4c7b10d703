"""Columns of a summary as forecasts take them: histories, spend, margins and segments, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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


def segments(rfm: RFMSummary, by: str | None) -> tuple[list[str], NDArray[np.int64]]:
    """Names of the segments in column `by`, sorted, and each customer's code; no names where `by` is None.

    Raises
    ------
    DataError
        No such carried column, or customers without a value.
    """
    if by is None:
        return [], np.zeros(len(rfm), dtype=np.int64)
    values = pd.Series(_carried(rfm, by, "by"))
    if values.isna().any():
        raise DataError(
            f"Column {by!r} is missing for {values.isna().sum():,} of {len(rfm):,} customers (first: customer "
            f"{rfm.customer_id[int(np.argmax(values.isna()))]}). Name their segment, 'unknown' for instance."
        )
    codes, names = pd.factorize(values, sort=True)
    return [str(name) for name in names], codes.astype(np.int64)


def margins(rfm: RFMSummary, margin: float | str) -> FloatArray:
    """Margin of each customer, (n_customers,), from a number or a carried column.

    Raises
    ------
    DataError
        No such carried column, or values in it that are missing, negative, infinite or no numbers.
    ValueError
        The number is negative or not finite.
    """
    if not isinstance(margin, str):
        return np.full(len(rfm), check_margin(margin))
    try:
        values = np.asarray(_carried(rfm, margin, "margin"), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"Column {margin!r} holds no numbers, so it cannot be a margin: {error}.") from error
    wrong = ~(np.isfinite(values) & (values >= 0))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            f"Margin {margin!r} is missing, negative or infinite for {wrong.sum():,} of {len(rfm):,} customers (first: "
            f"customer {rfm.customer_id[first]}, {values[first]}). A margin is the share of spend that is kept."
        )
    return values


def check_margin(margin: float) -> float:
    """Return a margin as a float; ValueError where it is negative or not finite."""
    if not (np.isfinite(margin) and margin >= 0):
        raise ValueError(f"'margin' must be finite and at least 0, the share of spend that is kept. Got {margin!r}.")
    return float(margin)


def _carried(rfm: RFMSummary, name: str, option: str) -> NDArray[Any]:
    if name not in rfm.carried:
        known = ", ".join(map(repr, rfm.carried)) or "none"
        raise DataError(f"{option}={name!r} is no carried column; carried are: {known}. Give carry=[{name!r}].")
    return rfm.carried[name]
