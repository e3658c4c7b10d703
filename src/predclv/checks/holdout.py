"""What groups of customers did after the as-of date, beside their forecast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.checks.replications import check_arguments, check_summary
from predclv.checks.results import PredictiveCheck, judge
from predclv.data.columns import histories
from predclv.data.split import Split
from predclv.forecast.fit_checks import group_table, group_totals
from predclv.forecast.predictive_checks import Quantity
from predclv.inference.posterior import N_DRAWS
from predclv.models.transactions import TransactionModel

__all__ = ["check_holdout", "expect_holdout"]

FloatArray = NDArray[np.float64]

# Customers times draws: a quarter of a minute of one core.
_MOST_SIMULATED = 250_000_000
_FEWEST_DRAWS = 64


def check_holdout(
    model: TransactionModel,
    split: Split,
    *,
    by: str = "frequency",
    n_groups: int = 10,
    level: float = 0.9,
    n_draws: int = N_DRAWS,
) -> PredictiveCheck:
    """Compare what groups of customers bought in the holdout with their forecast from their own histories.

    The fit has not seen the holdout, so nothing is used twice: p-values are as small as they look.

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
    n_draws : int
        Replications, at most as many as the posterior has draws. Everybody is simulated in each, so that beyond 250
        million customers times draws there are fewer of them, 64 at least.

    Returns
    -------
    PredictiveCheck
        `table`: group, customers, actual, expected, low, high (purchases for each customer).
        Quantities: purchases of all in the holdout; and chi-squared over the groups, the squared deviation of each from
        the mean of the replications over their variance.

    Raises
    ------
    As `check_frequencies`.
    """
    draws = check_arguments(model, "transactions", level, n_draws)
    rfm = split.calibration
    check_summary(model, rfm)
    draws = draws[: max(_MOST_SIMULATED // len(rfm), _FEWEST_DRAWS)]
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
    codes = groups.astype(np.int64)
    actual = split.holdout["purchases"].to_numpy().astype(np.float64)
    totals = group_totals(
        model.bindings,
        draws,
        (rfm.frequency.astype(np.float64), rfm.recency, rfm.T),
        split.duration,
        codes,
        len(labels),
        seed=model.random_state,
    )
    made: FloatArray = np.bincount(codes, weights=actual, minlength=len(labels)).astype(np.float64)
    # Groups of whom no replication buys anything have no spread, and say something only where they did buy.
    spread = np.maximum(totals.var(axis=0), 1e-9)
    center = totals.mean(axis=0)
    quantities = [
        Quantity("purchases in the holdout, given histories", made.sum(), totals.sum(axis=1)),
        Quantity.discrepancy(
            f"holdout purchases by {by}, all groups (chi-squared)",
            lambda of: np.sum((of - center) ** 2 / spread, axis=-1),
            made,
            totals,
        ),
    ]
    table = group_table(expected, actual, codes, labels, totals, level=level)
    return PredictiveCheck(table, *judge(quantities, level), level, len(rfm), len(rfm))


def expect_holdout(model: TransactionModel, split: Split) -> FloatArray:
    """Purchases that each customer was expected to make in the holdout, (n_customers,)."""
    rows, inverse = histories(split.calibration)
    theta = model.thetas().center
    return model.bindings.mean_expected_purchases(rows.x, rows.t_x, rows.T, split.duration, theta)[inverse]
