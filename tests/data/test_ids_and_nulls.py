"""Ids that are nobody's, and nulls of every kind that a library has."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from engines import ENGINES
from predclv import RFMSummary
from predclv.errors import DataError

LOG = pd.DataFrame(
    {
        "customer_id": ["a", "a", "b", "b"],
        "date": ["2024-01-01", "2024-01-15", "2024-01-03", "2024-01-20"],
        "amount": [10.0, 20.0, 30.0, 40.0],
    }
)


def summarise(log: Any, **options: Any) -> RFMSummary:
    return RFMSummary.from_transactions(log, **{"amount": "amount", "observation_end": "2024-01-31"} | options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("blank", ["", " ", " \t"])
def test_blank_ids_are_nobody(engine: str, blank: str) -> None:
    log = ENGINES[engine](LOG.assign(customer_id=["a", blank, "a", "b"]))
    with pytest.raises(DataError, match=r"null or blank for 1 of 4 rows \(first: 2024-01-15, 20\)"):
        summarise(log)
    rfm = summarise(log, on_null="drop")
    assert rfm.customer_id.tolist() == ["a", "b"]
    assert rfm.frequency.tolist() == [1, 0]


@pytest.mark.parametrize("engine", ENGINES)
def test_words_for_null_are_kept_and_noted(engine: str) -> None:
    rfm = summarise(ENGINES[engine](LOG.assign(customer_id=["nan", "None", "null", "nan"])))
    assert rfm.customer_id.tolist() == ["None", "nan", "null"]
    noted = rfm.quality.set_index("what").loc["rows whose customer_id is a word for null, such as 'nan'"]
    assert noted["count"] == 4
    assert not summarise(ENGINES[engine](LOG)).quality["what"].str.contains("word for null").any()


def arrow(values: list[Any], kind: pa.DataType) -> Any:
    return pd.array(values, dtype=pd.ArrowDtype(kind))


NULLS = {
    "Int64 id": ("customer_id", pd.array([1, None, 2, 2], dtype="Int64")),
    "string id": ("customer_id", pd.array(["a", None, "b", "b"], dtype="string")),
    "Arrow id": ("customer_id", arrow([1, None, 2, 2], pa.int64())),
    "string date": ("date", pd.array(["2024-01-01", None, "2024-01-03", "2024-01-20"], dtype="string")),
    "Arrow date": ("date", arrow([0, None, 1, 2], pa.date32())),
    "Float64 amount": ("amount", pd.array([1.0, None, 2.0, 3.0], dtype="Float64")),
    "Int64 amount": ("amount", pd.array([1, None, 2, 3], dtype="Int64")),
    "Arrow amount": ("amount", arrow([1.0, None, 2.0, 3.0], pa.float64())),
}


@pytest.mark.parametrize("case", NULLS)
def test_nulls_of_pandas_own_types_are_counted(case: str) -> None:
    column, values = NULLS[case]
    log = LOG.assign(**{column: values})
    options = {"observation_end": "1970-01-31"} if case == "Arrow date" else {}
    with pytest.raises(DataError, match=rf"{column} column '{column}' is null.* for 1 of 4 rows \(first: "):
        summarise(log, **options)
    assert summarise(log, on_null="drop", **options).frequency.sum() == 1


@pytest.mark.parametrize("values", [pd.array([1.0, -2, 3, 4], dtype="Float64"), arrow([1.0, -2, 3, 4], pa.float64())])
def test_other_refusals_show_nullable_amounts(values: Any) -> None:
    with pytest.raises(DataError, match=r"negative for 1 of 4 rows \(first: customer a, -2\)"):
        summarise(LOG.assign(amount=values), returns="error")
    with pytest.raises(DataError, match=r"1 of 4 rows lie after .*\(first: customer b, 2024-01-20, 4\)"):
        summarise(LOG.assign(amount=values), observation_end="2024-01-16", after_end="error")


@pytest.mark.parametrize("engine", ENGINES)
def test_dates_that_need_no_format_refuse_one(engine: str) -> None:
    log = ENGINES[engine](LOG.assign(date=pd.to_datetime(LOG["date"])))
    with pytest.raises(DataError, match=r"date_format='%d'.*holds dates already"):
        summarise(log, date_format="%d")


def test_a_policy_for_amounts_needs_amounts() -> None:
    with pytest.raises(DataError, match="returns='error' looks at amounts"):
        summarise(LOG, amount=None, returns="error")


@pytest.mark.parametrize("engine", ENGINES)
def test_fractions_of_seconds_are_not_dropped_in_silence(engine: str) -> None:
    dates = ["2024-01-01 00:00:00.25", "2024-01-01 00:00:00.75", "2024-01-02 10:00:00.000", "2024-01-03"]
    log = ENGINES[engine](LOG.assign(date=dates))
    with pytest.raises(DataError, match=r"fractions of seconds in 2 rows \(first: '2024-01-01 00:00:00.25'\)"):
        summarise(log, collapse="none")
    assert summarise(log, collapse="hour").frequency.tolist() == [0, 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_beyond_numbers_are_refused(engine: str) -> None:
    log = ENGINES[engine](LOG.assign(customer_id="a", amount=1e308))
    with pytest.raises(DataError, match=r"sum to more than a number holds for 1 of 1 customers \(first: customer a\)"):
        summarise(log)


@pytest.mark.parametrize("engine", ENGINES)
def test_customers_without_an_acquisition_date_are_counted(engine: str) -> None:
    log = ENGINES[engine](LOG.assign(joined=["2024-01-01", "2024-01-01", None, None]))
    rfm = summarise(log, acquired="joined")
    assert rfm.customer_id.tolist() == ["a", "b"]
    noted = rfm.quality.set_index("what").loc["customers without an acquisition date, kept"]
    assert (noted["count"], noted["first_case"]) == (1, "customer b")
