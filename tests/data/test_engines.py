"""Every dataframe library gives the same summary: whole numbers and cents equal, sums of floats to 1e-12."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engines import ENGINES
from predclv import RFMSummary, split_transactions

OTHERS = [name for name in ENGINES if name != "pandas"]
AS_OF = "2023-06-30"


def make_log(n: int) -> pd.DataFrame:
    rng = np.random.default_rng(20)
    seconds = rng.integers(0, 2 * 365 * 86_400, n)
    # Arrivals over the first months, so that customers differ in age.
    customer = rng.integers(0, n // 7, n)
    seconds = np.maximum(seconds, (customer % 180) * 86_400 + rng.integers(0, 86_400, n))
    amount = np.round(rng.gamma(2.0, 20.0, n), 2) * np.where(rng.random(n) < 0.03, -1, 1)
    return pd.DataFrame(
        {
            "customer_id": customer,
            "name": np.char.add("c", customer.astype(str)),
            "date": (pd.Timestamp("2022-01-01") + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]"),
            "amount": amount,
            "channel": np.array(["web", "shop", "app"])[customer % 3],
        }
    )


def check_equal(found: RFMSummary, expected: RFMSummary, *, exact: bool = False) -> None:
    one, other = found.to_pandas(), expected.to_pandas()
    assert found.monetary_value is not None
    assert expected.monetary_value is not None
    # Engines add in different orders, and means of small differences of large sums lose what the sums lose.
    tolerance = 0.0 if exact else 1e-12
    np.testing.assert_allclose(found.monetary_value, expected.monetary_value, rtol=tolerance, atol=tolerance * 1e3)
    pd.testing.assert_frame_equal(
        one.drop(columns="monetary_value"), other.drop(columns="monetary_value"), check_exact=True
    )
    columns = ["step", "what", "count", "total", "unit"]
    pd.testing.assert_frame_equal(found.quality[columns], expected.quality[columns])


SUMMARIES: dict[str, dict[str, Any]] = {
    "days": {},
    "days in cents": {"minor_unit": 0.01},
    "weeks, ignoring returns": {"collapse": "week", "returns": "ignore", "time_unit": "day"},
    "every row": {"collapse": "none", "time_unit": "hour"},
    "months by name": {"collapse": "month", "customer_id": "name", "time_unit": "year"},
    "channels from March": {"carry": ["channel"], "observation_start": "2022-03-01"},
}


@pytest.fixture(scope="module", params=[20_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids=["small", "1e6"])
def log(request: pytest.FixtureRequest) -> pd.DataFrame:
    return make_log(request.param)


@pytest.fixture(scope="module")
def expected(log: pd.DataFrame) -> dict[str, RFMSummary]:
    return {
        name: RFMSummary.from_transactions(log, **{"amount": "amount", "observation_end": AS_OF} | options)
        for name, options in SUMMARIES.items()
    }


@pytest.mark.parametrize("engine", OTHERS)
def test_summaries_agree(log: pd.DataFrame, expected: dict[str, RFMSummary], engine: str) -> None:
    frame = ENGINES[engine](log)
    for name, options in SUMMARIES.items():
        found = RFMSummary.from_transactions(frame, **{"amount": "amount", "observation_end": AS_OF} | options)
        check_equal(found, expected[name], exact="minor_unit" in options)


@pytest.mark.parametrize("engine", OTHERS)
def test_splits_agree(log: pd.DataFrame, engine: str) -> None:
    found, other = (split_transactions(frame, amount="amount", at=AS_OF) for frame in (ENGINES[engine](log), log))
    check_equal(found.calibration, other.calibration)
    pd.testing.assert_frame_equal(found.holdout, other.holdout, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(found.new_customers, other.new_customers)


def test_order_of_rows_does_not_matter(log: pd.DataFrame, expected: dict[str, RFMSummary]) -> None:
    shuffled = log.sample(frac=1, random_state=4)
    found = RFMSummary.from_transactions(shuffled, amount="amount", observation_end=AS_OF)
    check_equal(found, expected["days"])


def test_totals_agree_with_pandas_alone(log: pd.DataFrame, expected: dict[str, RFMSummary]) -> None:
    used = log[(log["date"] < "2023-07-01") & (log["amount"] >= 0)]
    days = (
        used.assign(date=used["date"].dt.normalize()).groupby(["customer_id", "date"], as_index=False)["amount"].sum()
    )
    by_customer = days.groupby("customer_id")
    rfm = expected["days"]
    np.testing.assert_array_equal(rfm.frequency, by_customer.size().to_numpy() - 1)
    days_between = (by_customer["date"].max() - by_customer["date"].min()).dt.days
    np.testing.assert_array_equal(rfm.recency, days_between.to_numpy() / 7)
