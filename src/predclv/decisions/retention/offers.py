"""What an offer to customers at risk returns, and how well it has to work."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.decisions.retention.inputs import check_share
from predclv.errors import DataError
from predclv.inference.posterior import check_number

__all__ = ["check_offer", "weigh_offer"]

FloatArray = NDArray[np.float64]


def weigh_offer(at_risk: pd.DataFrame, *, cost: float | pd.Series, lift: float) -> pd.DataFrame:
    """What an offer to each of these customers returns, and how well it has to work.

    Parameters
    ----------
    at_risk : DataFrame
        Of `list_at_risk` or `list_to_win_back`.
    cost : float, or Series with the table's index
        Money an offer costs, whether or not it works; above 0.
    lift : float
        Share of the stake that the offer saves, from 0 to 1: what an experiment has shown.

    Returns
    -------
    pandas.DataFrame
        The table with cost, expected_return (lift × stake − cost) with return_low and return_high,
        break_even_lift (above 1: no offer at this cost can pay) and pays (whether the expected return is above 0).

    Raises
    ------
    DataError
        The table lacks columns, or costs are missing, not above 0, or of other rows.
    """
    lacking = [name for name in ("stake", "stake_low", "stake_high") if name not in at_risk]
    if lacking:
        raise DataError(f"The table lacks {lacking[0]!r}: give what list_at_risk or list_to_win_back returns.")
    share = check_share("lift", lift)
    costs = _costs(cost, at_risk.index)
    wrong = ~(np.isfinite(costs) & (costs > 0))
    if wrong.any():
        raise DataError(
            f"'cost' is missing, infinite or not above 0 for {count_of(int(wrong.sum()), len(costs), 'customers')} "
            f"(first: {costs[wrong][0]:g})."
        )
    table = at_risk.assign(cost=costs)
    for name, source in (("expected_return", ""), ("return_low", "_low"), ("return_high", "_high")):
        table[name] = share * table[f"stake{source}"] - costs
    with np.errstate(divide="ignore"):
        table["break_even_lift"] = costs / table["stake"].to_numpy()
    table["pays"] = table["expected_return"] > 0
    return table


def _costs(cost: float | pd.Series, index: pd.Index) -> FloatArray:
    """Cost of each customer's offer; a Series is matched by its index, as pandas does, and nothing else."""
    if isinstance(cost, pd.Series):
        if not (cost.index.is_unique and index.isin(cost.index).all() and len(cost) == len(index)):
            raise DataError(
                f"'cost' has {len(cost):,} rows, and the table {len(index):,}, or other ones: make it of the table's "
                "rows, such as table['cost'], or give one number."
            )
        cost = cost.reindex(index)
    try:
        return np.broadcast_to(np.asarray(cost, dtype=np.float64), len(index)).copy()
    except (TypeError, ValueError):
        raise DataError(
            f"'cost' must be a number, or one for each of {len(index):,} customers. Got {type(cost).__name__}."
        ) from None


def check_offer(cost: float, lift: float) -> None:
    """Raise where one offer's cost is not above 0, or its lift no share."""
    if check_number("offer_cost", cost) <= 0:
        raise DataError(f"'offer_cost' must be above 0. Got {cost!r}.")
    check_share("offer_lift", lift)
