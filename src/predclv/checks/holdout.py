"""What groups of customers did after the as-of date, beside their forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.split import Split
from predclv.forecast.fit_checks import group_table
from predclv.inference.posterior import check_level
from predclv.models.transactions import TransactionModel

__all__ = ["check_holdout", "expect_holdout"]

FloatArray = NDArray[np.float64]


def check_holdout(
    model: TransactionModel, split: Split, *, by: str = "frequency", n_groups: int = 10, level: float = 0.9
) -> pd.DataFrame:
    """Compare what groups of customers bought in the holdout with their forecast.

    Parameters
    ----------
    model : fitted TransactionModel
    split : Split
    by : {"frequency", "forecast"}
        Groups by repeat purchases until the as-of date (0, 1, ..., 7+), or of equal size by expected purchases.
    n_groups : int
        How many groups at most with "forecast"; customers of one forecast stay together.
    level : float
        Probability of the interval of a group's mean.

    Returns
    -------
    DataFrame
        group, customers, actual, expected, low, high (purchases for each customer).
    """
    check_level(level)
    rfm = split.calibration
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit)
    expected = expect_holdout(model, split)
    if by == "frequency":
        codes = np.minimum(rfm.frequency, 7)
        present = np.unique(codes)
        labels = ["7+" if code == 7 else str(code) for code in present]
        groups: NDArray[Any] = np.searchsorted(present, codes)
    elif by == "forecast":
        edges = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, n_groups + 1)))
        groups = np.searchsorted(edges[1:-1], expected)
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
        labels = [f"≤ {upper:.2g}" for upper in edges[1:]]
    else:
        raise ValueError(f"'by' must be 'frequency' or 'forecast'. Got {by!r}.")
    return group_table(
        model.BINDINGS,
        model.posterior_.draws_array(),
        (rfm.frequency.astype(np.float64), rfm.recency, rfm.T),
        split.duration,
        expected,
        split.holdout["purchases"].to_numpy().astype(np.float64),
        groups.astype(np.int64),
        labels,
        level=level,
        seed=model.random_state,
    )


def expect_holdout(model: TransactionModel, split: Split) -> FloatArray:
    """Purchases that each customer was expected to make in the holdout, (n_customers,)."""
    rows, inverse = histories(split.calibration)
    theta = model.thetas().center
    return model.BINDINGS.mean_expected_purchases(rows.x, rows.t_x, rows.T, split.duration, theta)[inverse]
