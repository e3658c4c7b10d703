"""Cut-offs with known outcomes: what a method is given, and what happened."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

import predclv as pc


class Case(NamedTuple):
    """A cut-off: summary, log until then, horizon in weeks, and what came within it."""

    rfm: pc.RFMSummary
    log: pd.DataFrame
    horizon: float
    purchases: np.ndarray


@pytest.fixture(scope="session")
def cdnow_case(cdnow_split):
    log = pc.datasets.load_cdnow()[["customer_id", "date", "amount"]]
    log = log.assign(date=pd.to_datetime(log["date"]))
    purchases = cdnow_split.holdout["purchases"].to_numpy(dtype=float)
    return Case(cdnow_split.calibration, log[log["date"] <= "1997-09-30"], 39.0, purchases)


@pytest.fixture(scope="session")
def grocery_case(shared_data):
    log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"]).rename(columns={"cust": "customer_id"})
    split = pc.split_transactions(log, at="2006-12-31", holdout_end="2007-12-30")
    purchases = split.holdout["purchases"].to_numpy(dtype=float)
    return Case(split.calibration, log[log["date"] <= "2006-12-31"], 52.0, purchases)
