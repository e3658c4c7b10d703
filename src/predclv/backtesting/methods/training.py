"""What a learner trains on: features as of earlier cut-offs, and what came of them by the cut-off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.methods.features import WINDOWS, log_span, make_features
from predclv.backtesting.methods.vintage_outcomes import earlier_vintages
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError

__all__ = ["FEWEST", "N_FOLDS", "Terms", "TrainingSet", "make_training_set"]

FloatArray = NDArray[np.float64]

#: Buyers in the outcome windows, below which nothing is learnt.
FEWEST = 20
#: Parts of the customers; what is said of one part is learnt from the others.
N_FOLDS = 3
_ROUNDING = 0.01


@dataclass(frozen=True)
class Terms:
    """On what terms something was learnt, which a forecast must keep to.

    Attributes
    ----------
    windows : tuple of int
        What `make_features` was given.
    scale : float
        Horizon over outcome window; 1 where they differ by less than a percent.
    oldest : float
        Largest T of a customer trained on.
    notes : tuple of str
    """

    windows: tuple[int, ...]
    scale: float
    oldest: float
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Customers of earlier vintages, one below another.

    Attributes
    ----------
    features : (n_rows, n_features) pandas.DataFrame
        As of each row's own earlier cut-off.
    purchases : (n_rows,) array
        Within the outcome window after it.
    spend : (n_rows,) array or None
        None, too, where fewer than 20 customers spent anything.
    fold : (n_rows,) int64 array
        0 to N_FOLDS - 1; all rows of a customer are in one.
    terms : Terms
    """

    features: pd.DataFrame
    purchases: FloatArray
    spend: FloatArray | None
    fold: NDArray[np.int64]
    terms: Terms


def make_training_set(
    rfm: RFMSummary, log: pd.DataFrame, horizon: float, n_vintages: int, random_state: int
) -> TrainingSet:
    """Stack up to `n_vintages` earlier vintages whose outcome windows end by the cut-off.

    Raises
    ------
    FitError
        As `earlier_vintages`, or fewer than 20 customers bought in the windows.
    """
    vintages = earlier_vintages(rfm, log, horizon, n_vintages)
    purchases = np.concatenate([vintage.purchases for vintage in vintages])
    n_buyers = int((purchases > 0).sum())
    if n_buyers < FEWEST:
        raise FitError(
            f"Only {n_buyers} of {len(purchases):,} customers bought in the {vintages[0].window:.3g} {rfm.time_unit}s "
            f"that could be learnt from, and {FEWEST} are needed. Choose a later cut-off, a longer horizon, or a "
            "method that does not learn from outcomes."
        )
    # A window longer than a vintage's log would mean another thing there than at the cut-off.
    shortest = min(log_span(vintage.rfm, vintage.log) for vintage in vintages)
    windows = tuple(weeks for weeks in WINDOWS if weeks < shortest)
    features = [make_features(vintage.rfm, vintage.log, windows=windows) for vintage in vintages]
    ends = ", ".join(str(vintage.rfm.observation_end) for vintage in reversed(vintages))
    spends = [vintage.spend for vintage in vintages if vintage.spend is not None]
    spend = np.concatenate(spends) if len(spends) == len(vintages) else None
    notes = [f"learnt from what followed {ends}", vintages[0].note]
    if spend is not None and (n_payers := int((spend > 0).sum())) < FEWEST:
        spend = None
        notes.append(f"only {n_payers} customers spent money in what could be learnt from: no forecast of value")
    codes, customers = pd.factorize(np.concatenate([vintage.rfm.customer_id for vintage in vintages]))
    folds = np.random.default_rng(random_state).permutation(len(customers)) % N_FOLDS
    # A window is whole days: a year of 365 stands for one of 365.25 as it is.
    scale = vintages[0].scale if abs(vintages[0].scale - 1.0) > _ROUNDING else 1.0
    return TrainingSet(
        pd.concat(features, ignore_index=True),
        purchases,
        spend,
        folds[codes].astype(np.int64),
        Terms(
            windows,
            scale,
            max(float(vintage.rfm.T.max()) for vintage in vintages),
            tuple(filter(None, notes)),
        ),
    )
