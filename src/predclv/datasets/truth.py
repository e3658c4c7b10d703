"""Simulated data beside the truth that they were made from."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary

__all__ = ["SimulatedLog", "SimulatedSummary"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SimulatedLog:
    """A purchase log whose truth is known.

    Attributes
    ----------
    log : pandas.DataFrame
        customer_id, date, amount; by date. It may go on after `observation_end`.
    truth : pandas.DataFrame
        A row a customer: customer_id, first_purchase, purchase_rate (per time unit), dropout_probability,
        mean_spend, left (when; null for who stays to the end of the log), alive (at `observation_end`).
    parameters, spend_parameters : dict
    model, time_unit : str
    observation_end, end : date
        As-of date, and last day of the log.
    """

    log: pd.DataFrame
    truth: pd.DataFrame
    parameters: dict[str, float]
    spend_parameters: dict[str, float]
    model: str
    time_unit: str
    observation_end: dt.date
    end: dt.date


@dataclass(frozen=True, eq=False)
class SimulatedSummary:
    """A summary whose truth, and whose future, is known.

    Attributes
    ----------
    rfm : RFMSummary
        With `log_itt` where the model is one of regular buyers.
    truth : pandas.DataFrame
        A row a customer: customer_id, purchase_rate (per time unit), dropout_probability, mean_spend, left (age;
        infinite for who stays beyond the longest horizon), alive (at T).
    horizons : (n_horizons,) array
        In the time unit.
    purchases, spend, value : (n_horizons, n_customers) arrays
        What came in (T, T + horizon]; `value` is spend discounted to T.
    delta : float
        Continuous discount rate per time unit.
    parameters, spend_parameters : dict
    model : str
    """

    rfm: RFMSummary
    truth: pd.DataFrame
    horizons: FloatArray
    purchases: FloatArray
    spend: FloatArray
    value: FloatArray
    delta: float
    parameters: dict[str, float]
    spend_parameters: dict[str, float]
    model: str
