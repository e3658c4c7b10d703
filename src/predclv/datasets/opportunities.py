"""Simulated customers who have opportunities to buy: logs and summaries of BG/BB."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.durations import DAYS_PER_UNIT
from predclv.data.opportunities import check_opportunities, parse_opportunities
from predclv.data.rfm import RFMSummary
from predclv.datasets.populations import OpportunityPopulation
from predclv.errors import DataError

__all__ = ["simulate_opportunities", "simulate_opportunity_log"]

FloatArray = NDArray[np.float64]

_PERIODS = {"year": "Y", "quarter": "Q", "month": "M", "week": "W-SUN", "day": "D"}


def simulate_opportunity_log(
    generator: np.random.Generator,
    customers: OpportunityPopulation,
    opportunities: str,
    start: str | dt.date,
    births: Any,
    observed: Any,
    holdout: Any,
) -> tuple[pd.DataFrame, pd.DataFrame, dt.date, dt.date]:
    """Simulate every purchase, on some day of the period that is the opportunity; see `simulate`.

    Returns
    -------
    log, truth : DataFrames
    observation_end, end : date
    """
    check_opportunities(opportunities)
    lengths = [0 if span is None else _count(span, opportunities) for span in (births, observed, holdout)]
    if lengths[0] > lengths[1]:
        raise ValueError(f"births={births!r} must not outlast observed={observed!r}.")
    first = pd.Period(pd.Timestamp(start), freq=_PERIODS[opportunities])
    born = np.sort(generator.integers(0, max(lengths[0], 1), len(customers.buying)))
    from predclv.kernels.bg_bb.lives import simulate_log

    ahead = lengths[1] + lengths[2] - 1 - born
    customer, number, amount, left = simulate_log(
        generator, ahead, customers.buying, customers.leaving, customers.spend_rate, customers.spend_shape
    )
    starts = pd.period_range(first, periods=lengths[1] + lengths[2] + 1, freq=_PERIODS[opportunities])
    days = starts.start_time.to_numpy().astype("datetime64[D]").astype(np.int64)
    at = born[customer] + number
    day = days[at] + np.floor(generator.random(len(at)) * (days[at + 1] - days[at])).astype(np.int64)
    order = np.lexsort((customer, day))
    log = pd.DataFrame(
        {
            "customer_id": customer[order] + 1,
            "date": day[order].astype("datetime64[D]").astype("datetime64[s]"),
            "amount": amount[order],
        }
    )
    truth = describe_opportunities(customers)
    truth.insert(1, "first_purchase", log.groupby("customer_id")["date"].min().to_numpy())
    gone = np.full(len(born), np.datetime64("NaT", "s"))
    known = np.isfinite(left)
    gone[known] = days[(born[known] + left[known]).astype(np.int64)].astype("datetime64[D]").astype("datetime64[s]")
    truth["left"] = gone
    # Alive at the end is who has not left before the next opportunity, which the log may not reach.
    truth["alive"] = born + left > lengths[1] - 1
    ends = [starts[count - 1].end_time.date() for count in (lengths[1], lengths[1] + lengths[2])]
    return log, truth, ends[0], ends[1]


def simulate_opportunities(
    generator: np.random.Generator,
    customers: OpportunityPopulation,
    T: FloatArray,
    horizons: Sequence[Any],
    opportunities: str,
    discount_rate: float,
) -> tuple[RFMSummary, pd.DataFrame, FloatArray, tuple[FloatArray, FloatArray, FloatArray], float]:
    """Simulate a summary and its future; see `simulate_rfm`.

    Returns
    -------
    rfm : RFMSummary
    truth : DataFrame
    horizons : (n_horizons,) array
    purchases, spend, value : (n_horizons, n_customers) arrays
    delta : float
    """
    from predclv.kernels.bg_bb.lives import simulate_histories

    check_opportunities(opportunities)
    lengths = np.array([parse_opportunities(horizon, opportunities).length for horizon in horizons])
    if not (np.isfinite(lengths).all() and (np.diff(lengths) > 0).all()):
        raise ValueError(f"horizons={tuple(horizons)!r} must increase and be finite.")
    delta = math.log1p(discount_rate) * DAYS_PER_UNIT[opportunities] / 365.25
    age = np.round(T)
    x, t_x, money, left, *future = simulate_histories(
        generator,
        age,
        customers.buying,
        customers.leaving,
        customers.spend_rate,
        customers.spend_shape,
        lengths,
        delta,
    )
    truth = describe_opportunities(customers)
    truth["left"] = left
    truth["alive"] = left > age
    rfm = RFMSummary(
        customer_id=truth["customer_id"].to_numpy(),
        frequency=x,
        recency=t_x,
        T=age,
        monetary_value=np.divide(money, x, out=np.zeros(len(x)), where=x > 0),
        time_unit=opportunities,
        opportunities=opportunities,
    )
    return rfm, truth, lengths, (future[0], future[1], future[2]), delta


def describe_opportunities(customers: OpportunityPopulation) -> pd.DataFrame:
    """Who the customers are: customer_id, purchase_probability, dropout_probability, mean_spend."""
    return pd.DataFrame(
        {
            "customer_id": np.arange(1, len(customers.buying) + 1),
            "purchase_probability": customers.buying,
            "dropout_probability": customers.leaving,
            "mean_spend": customers.spend_shape / customers.spend_rate,
        }
    )


def _count(span: Any, opportunities: str) -> int:
    length = parse_opportunities(span, opportunities).length
    if not math.isfinite(length):
        raise DataError("A log cannot be simulated without end.")
    return int(length)
