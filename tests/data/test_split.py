"""Calibration and holdout."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from engines import ENGINES
from predclv import Split, split_transactions

LOG = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "c", "a", "a", "d", "b", "d"],
        "date": pd.to_datetime(
            [
                "2024-01-01",
                "2024-01-20",
                "2024-01-05",
                "2024-01-31",
                "2024-02-01",
                "2024-02-01",
                "2024-02-02",
                "2024-02-29",
                "2024-03-01",
            ]
        ),
        "amount": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
    }
)


def split(log: Any = LOG, **options: Any) -> Split:
    return split_transactions(log, **{"amount": "amount", "at": "2024-01-31", "time_unit": "day"} | options)


@pytest.mark.parametrize("engine", ENGINES)
def test_cdnow_holdout(engine: str) -> None:
    log = ENGINES[engine](pc.datasets.load_cdnow())
    found = split_transactions(log, at="1997-09-30", holdout_end="1998-06-30", amount="amount")
    assert len(found.calibration) == len(found.holdout) == 2_357
    assert found.holdout["purchases"].sum() == 1_882
    assert found.holdout["spend"].sum() == pytest.approx(70_976.39, abs=0.005)
    assert (found.holdout["purchases"] > 0).sum() == 684
    assert found.duration == 39.0
    assert found.holdout_end == dt.date(1998, 6, 30)
    assert len(found.new_customers) == 0
    assert repr(found) == (
        "<Split at 1997-09-30: 2,357 customers, 1,882 holdout purchases in 39 weeks to 1998-06-30, 0 new customers>"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_customers_with_an_empty_holdout_are_kept_and_new_ones_named(engine: str) -> None:
    found = split(ENGINES[engine](LOG), holdout_end="2024-03-31")
    assert found.calibration.customer_id.tolist() == ["a", "b", "c"]
    assert found.holdout["customer_id"].tolist() == ["a", "b", "c"]
    assert found.holdout["purchases"].tolist() == [1, 1, 0]  # two rows on one day are one purchase
    assert found.holdout["spend"].tolist() == [48.0, 128.0, 0.0]
    assert found.new_customers.tolist() == ["d"]
    assert found.duration == 60.0


def test_holdout_ends_with_the_log_or_at_a_date() -> None:
    assert split().holdout_end == dt.date(2024, 3, 1)
    early = split(holdout_end="2024-02-15")
    assert early.holdout["purchases"].tolist() == [1, 0, 0]
    assert early.duration == 15.0
    late = split(holdout_end="2025-01-31", time_unit="week")
    assert late.duration == 366 / 7


def test_an_empty_holdout_is_all_zeros() -> None:
    found = split(at="2024-03-01", holdout_end="2024-03-31")
    assert found.holdout["purchases"].sum() == 0
    assert found.new_customers.tolist() == []


@pytest.mark.filterwarnings("ignore:All 2 customers bought once:predclv.errors.DataQualityWarning")
def test_customers_from_before_the_start_are_not_new() -> None:
    found = split(observation_start="2024-01-02")
    assert found.calibration.customer_id.tolist() == ["b", "c"]
    assert found.new_customers.tolist() == ["d"]


def test_a_period_that_the_cut_goes_through_is_not_counted_twice() -> None:
    log = pd.DataFrame(
        {
            "customer_id": [1, 1, 1, 2, 2],
            # Monday 29 January, Thursday and Friday of that week, and the Monday after.
            "date": pd.to_datetime(["2024-01-22", "2024-01-29", "2024-02-02", "2024-01-22", "2024-02-05"]),
        }
    )
    found = split_transactions(log, at="2024-01-31", holdout_end="2024-02-11", collapse="week")
    assert found.calibration.frequency.tolist() == [1, 0]
    assert found.holdout["purchases"].tolist() == [0, 1]
    assert found.duration == 1.0
    assert "spend" not in found.holdout


def test_returns_count_in_the_holdout_only_after_a_purchase_of_it() -> None:
    log = pd.concat(
        [
            LOG,
            pd.DataFrame(
                {
                    "customer_id": ["a", "a", "b", "c"],
                    "date": pd.to_datetime(["2024-02-10", "2024-03-01", "2024-02-05", "2024-02-05"]),
                    "amount": [-8.0, -8.0, -4.0, -8.0],
                }
            ),
        ]
    )
    found = split(log)
    assert found.holdout["purchases"].tolist() == [1, 1, 0]
    assert found.holdout["spend"].tolist() == [32.0, 128.0, 0.0]
    lines = found.quality.set_index("what")["count"]
    assert lines["returns of earlier purchases, set aside"] == 2
    assert found.calibration.monetary_value is not None
    np.testing.assert_array_equal(found.calibration.monetary_value, [2.0, 0.0, 0.0])


def test_options_reach_the_calibration() -> None:
    found = split(LOG.assign(channel=LOG["customer_id"]), carry=["channel"], currency="EUR")
    assert found.calibration.carried["channel"].tolist() == ["a", "b", "c"]
    assert found.calibration.currency == "EUR"
    assert found.calibration.time_unit == "day"
