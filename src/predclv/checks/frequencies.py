"""How often customers came back, beside what the model says."""

from __future__ import annotations

import pandas as pd

from predclv.data.rfm import RFMSummary
from predclv.forecast.fit_checks import frequency_table
from predclv.inference.posterior import check_level
from predclv.models.transactions import TransactionModel

__all__ = ["check_frequencies"]


def check_frequencies(model: TransactionModel, rfm: RFMSummary, *, n_max: int = 7, level: float = 0.9) -> pd.DataFrame:
    """Count customers by repeat purchases and compare with the model: see `forecast.fit_checks.frequency_table`.

    Returns
    -------
    DataFrame
        repeat_purchases, actual, expected, low, high.
    """
    check_level(level)
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit)
    return frequency_table(
        model.BINDINGS, model.thetas(), rfm.frequency, rfm.T, n_max=n_max, level=level, seed=model.random_state
    )
