"""What is to be expected of running contracts of each tenure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predclv.data.frames import PANDAS
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError

if TYPE_CHECKING:
    from predclv.models.contracts.model import ContractModel
    from predclv.models.estimates import Estimate

__all__ = ["tenure_table"]


def tenure_table(
    model: ContractModel,
    subs: Subscriptions,
    horizon: Any,
    *,
    discount_rate: float,
    level: float,
    estimate: Estimate | None,
) -> pd.DataFrame:
    """See `ContractModel.by_tenure`."""
    running = np.flatnonzero(~subs.ended)
    if not len(running):
        raise DataError("None of the contracts runs any more, so that there is no tenure to speak of.")
    tenure, first, inverse = np.unique(subs.tenure[running], return_index=True, return_inverse=True)
    # One contract speaks for all of its tenure.
    one_each = replace(subs[running[first]], backend=PANDAS)
    lifetimes = model.expected_residual_lifetime(
        one_each, horizon, discount_rate=discount_rate, level=level, estimate=estimate
    )
    curve = model.retention_curve(int(tenure.max()) + 1, level=level, estimate=estimate)
    next_one = curve.iloc[tenure + 1]
    table: dict[str, Any] = {
        "tenure": tenure,
        "customers": np.bincount(inverse, weights=subs.weight[running]),
        "p_renew": next_one["retention"].to_numpy(),
        "p_renew_low": next_one["retention_low"].to_numpy(),
        "p_renew_high": next_one["retention_high"].to_numpy(),
    }
    kept = ("expected_residual_lifetime", "discounted_residual_lifetime", "discounted_low", "discounted_high")
    return pd.DataFrame(table | {name: lifetimes[name].to_numpy() for name in kept})
