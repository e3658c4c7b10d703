"""Forecasts beside what happened: the columns that every score is made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from predclv.backtesting.distributions import Distribution
from predclv.backtesting.predictions import Forecast

__all__ = ["QUANTILES", "Block", "Cohort", "Outcome", "Quantity", "make_blocks"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Quantity = Literal["purchases", "spend", "value"]

#: Levels of the quantiles that are kept: the ends of 50, 80, 90 and 95 % intervals, and the median.
QUANTILES = (0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What the customers of a cut-off did within a horizon.

    Attributes
    ----------
    horizon : str
        As a reader would say it: "26 weeks".
    length : float
        In the time unit of the summaries.
    end : date or datetime
    purchases : (n_customers,) array
        Zeros included.
    spend : (n_customers,) array or None
        Money spent, net of returns, at least 0; None for a log without amounts.
    new_customers, new_purchases : int
        Customers who came within the horizon, and their purchases (the first included): nobody forecasts them.
    """

    horizon: str
    length: float
    end: dt.date
    purchases: FloatArray
    spend: FloatArray | None
    new_customers: int
    new_purchases: int


@dataclass(frozen=True, eq=False)
class Cohort:
    """The customers of a cut-off as scores see them.

    Attributes
    ----------
    customer_id : (n_customers,) array
    cluster : (n_customers,) int64 array
        Number of the customer among those of all cut-offs: the bootstrap draws customers, not rows.
    groups : mapping of str to (labels, (n_customers,) int64 codes)
        "frequency" (repeat purchases until the cut-off) and each segment column.
    """

    customer_id: NDArray[Any]
    cluster: IntArray
    groups: Mapping[str, tuple[list[str], IntArray]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Block:
    """One method's forecast of one quantity, for one cut-off and horizon, beside what happened.

    Attributes
    ----------
    cutoff : date or datetime
    horizon, method : str
    quantity : {"purchases", "spend", "value"}
        Number of purchases; mean spend of a purchase, of those who bought; money spent, not discounted.
    customers : (n,) int64 array
        Positions among the customers of the cut-off.
    actual, mean : (n,) arrays
    crps : (n,) array
        In the unit of the quantity; the absolute error of the mean where there is no distribution.
    quantiles : (n, 9) array or None
        At `QUANTILES`; None where the method gives no distribution.
    below, at : (n,) arrays or None
        Forecast probability of less than what happened, and of that or less.
    p_purchase : (n,) array or None
        Probability of at least one purchase; with quantity "purchases" only.
    """

    cutoff: dt.date
    horizon: str
    method: str
    quantity: Quantity
    customers: IntArray
    actual: FloatArray
    mean: FloatArray
    crps: FloatArray
    quantiles: FloatArray | None = None
    below: FloatArray | None = None
    at: FloatArray | None = None
    p_purchase: FloatArray | None = None


def make_blocks(forecast: Forecast, outcome: Outcome, cutoff: dt.date, method: str) -> Iterator[Block]:
    """Put a forecast beside the outcome: a block for each quantity that both speak of."""
    everyone = np.arange(len(outcome.purchases))
    yield _block(
        (cutoff, outcome.horizon, method, "purchases", everyone),
        outcome.purchases,
        forecast.expected_purchases,
        forecast.purchases,
        forecast.p_purchase,
    )
    if outcome.spend is None:
        return
    if forecast.expected_value is not None:
        yield _block(
            (cutoff, outcome.horizon, method, "value", everyone),
            outcome.spend,
            forecast.expected_value,
            forecast.value,
        )
    buyers = np.flatnonzero(outcome.purchases > 0)
    if forecast.expected_spend is not None and len(buyers):
        spend = outcome.spend[buyers] / outcome.purchases[buyers]
        yield _block((cutoff, outcome.horizon, method, "spend", buyers), spend, forecast.expected_spend[buyers], None)


def _block(
    key: tuple[dt.date, str, str, Quantity, IntArray],
    actual: FloatArray,
    mean: FloatArray,
    distribution: Distribution | None,
    p_purchase: FloatArray | None = None,
) -> Block:
    if distribution is None:
        return Block(*key, actual, mean, np.abs(mean - actual), p_purchase=p_purchase)
    below, at = distribution.bounds(actual)
    quantiles = distribution.at_levels(QUANTILES)
    return Block(*key, actual, mean, distribution.crps(actual), quantiles, below, at, p_purchase)
