"""Carried columns: one value a customer, the same one in every engine and for every order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from engines import ENGINES
from predclv import RFMSummary
from predclv.errors import DataError

LARGE = 2**53 + 1  # no float holds it


def log_of(values: list[Any], days: list[int], customers: list[Any] | None = None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": customers or [1] * len(days),
            "date": [f"2024-01-{day:02d}" for day in days],
            "c": values,
        }
    )


def carried(log: Any, policy: str = "error", **options: Any) -> Any:
    rfm = RFMSummary.from_transactions(
        log,
        **{"observation_start": "2024-01-01", "observation_end": "2024-02-01", "carry": ["c"], "carry_conflict": policy}
        | options,
    )
    return rfm.carried["c"]


pytestmark = pytest.mark.filterwarnings("ignore:All .* customers bought once:predclv.errors.DataQualityWarning")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("collapse", ["none", "hour", "day", "week", "month"])
def test_first_and_last_go_by_date(engine: str, collapse: str) -> None:
    back = ENGINES[engine](log_of(["A", "B", "A"], [1, 5, 9]))
    assert carried(back, "first", collapse=collapse).tolist() == ["A"]
    assert carried(back, "last", collapse=collapse).tolist() == ["A"]
    backwards = ENGINES[engine](log_of(["late", "early"], [28, 2]))
    assert carried(backwards, "first", collapse=collapse).tolist() == ["early"]
    assert carried(backwards, "last", collapse=collapse).tolist() == ["late"]


@pytest.mark.parametrize("policy", ["first", "last"])
@pytest.mark.parametrize("kind", [int, str])
def test_ties_fall_to_the_value_in_every_engine(policy: str, kind: type) -> None:
    random = np.random.default_rng(7)
    values = [kind(value) for value in random.integers(0, 1000, 300)]
    log = log_of(values, [1] * 200 + [3] * 100, random.integers(0, 60, 300).tolist())
    expected = carried(log, policy)
    for make in ENGINES.values():
        for rows in (log, log.iloc[::-1], log.sample(frac=1, random_state=3)):
            np.testing.assert_array_equal(carried(make(rows), policy), expected)
    first = log[log["date"] == log["date"].min()].groupby("customer_id")["c"].min()
    if policy == "first":
        known = pd.Series(expected, index=np.unique(log["customer_id"]))
        np.testing.assert_array_equal(known[first.index], first)


@pytest.mark.parametrize("engine", ENGINES)
def test_whole_numbers_with_gaps_keep_their_digits(engine: str) -> None:
    values = pd.array([LARGE, None, None], dtype="Int64")
    log = log_of(values, [1, 2, 3], [1, 1, 2])  # type: ignore[arg-type]
    found = carried(ENGINES[engine](log))
    assert found.tolist() == [LARGE, None]
    table = pd.DataFrame({"customer_id": [1, 2], "frequency": 0, "recency": 0.0, "T": 1.0, "c": values[:2]})
    rfm = RFMSummary.from_frame(ENGINES[engine](table), time_unit="week", carry=["c"])
    assert rfm.carried["c"].tolist() == [LARGE, None]
    assert rfm.to_pandas()["c"].dtype == "Int64"
    assert pl.DataFrame(rfm.to_native())["c"].to_list() == [LARGE, None]
    again = RFMSummary.from_frame(rfm.to_native(), time_unit="week", carry=["c"])
    assert again.carried["c"].tolist() == [LARGE, None]


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_with_gaps_stay_flags(engine: str) -> None:
    values = pd.array([True, None, None], dtype="boolean")
    log = ENGINES[engine](log_of(values, [1, 2, 3], [1, 1, 2]))  # type: ignore[arg-type]
    rfm = RFMSummary.from_transactions(log, observation_end="2024-02-01", carry=["c"])
    assert rfm.carried["c"].tolist() == [True, None]
    assert rfm.to_pandas()["c"].dtype == "boolean"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["T", "frequency", "customer_id", "first_purchase"])
def test_statistics_cannot_be_carried_over(engine: str, name: str) -> None:
    log = log_of([1, 1], [1, 2]).rename(columns={"c": name} if name != "customer_id" else {})
    with pytest.raises(DataError, match=f"carry={name!r}.*names of the summary's own columns"):
        carried(ENGINES[engine](log), carry=[name])
    with pytest.raises(DataError, match=f"carry={name!r}"):
        RFMSummary(
            customer_id=np.arange(1), frequency=np.zeros(1), recency=np.zeros(1), T=np.ones(1),  # type: ignore[arg-type]
            carried={name: np.ones(1)},
        )  # fmt: skip
