"""Segments and margins from the carried columns of a summary."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import numpy as np
import pytest

from predclv import RFMSummary
from predclv.data.columns import check_margin, margins, segments
from predclv.errors import DataError


def carrying(column: Any) -> RFMSummary:
    values = np.empty(3, dtype=object) if isinstance(column, list) else column
    values[:] = column
    return RFMSummary(
        customer_id=np.arange(3),
        frequency=np.zeros(3),  # type: ignore[arg-type]
        recency=np.zeros(3),
        T=np.ones(3),
        carried={"m": values},
    )


@pytest.mark.parametrize(
    ("column", "names", "codes"),
    [
        (["b", "a", "b"], ["a", "b"], [1, 0, 1]),
        (np.array([10, 9, 10]), [9, 10], [1, 0, 1]),
        ([True, False, True], [False, True], [1, 0, 1]),
        ([dt.date(2024, 1, 2), dt.date(2024, 1, 1)] * 1 + [dt.date(2024, 1, 2)], None, [1, 0, 1]),
    ],
)
def test_segments_keep_their_type(column: Any, names: list[Any] | None, codes: list[int]) -> None:
    found, code = segments(carrying(column), "m")
    assert code.tolist() == codes
    if names is not None:
        assert found == names
        assert [type(name) for name in found] == [type(name) for name in names]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([1, "1", 2], "mixes values that print alike: 1, '1'"),
        ([None, None, None], "holds no value for any of the 3 customers"),
        (["a", None, "b"], r"missing for 1 of 3 customers (first: customer 1)"),
    ],
)
def test_bad_segments(column: list[Any], said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        segments(carrying(column), "m")


def test_margins_are_numbers_or_columns() -> None:
    rfm = carrying(np.array([0.1, 0.0, 1.0]))
    assert margins(rfm, 0.4).tolist() == [0.4] * 3
    assert margins(rfm, "m").tolist() == [0.1, 0.0, 1.0]
    assert margins(carrying(["0.40", "0.35", "1"]), "m").tolist() == [0.4, 0.35, 1.0]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (np.array([0.4, 40.0, 35.0]), "above 1 for 2 of 3 customers (first: customer 1, 40; did you mean 0.40?)"),
        (np.array([0.4, -0.1, 0.3]), "missing, negative or infinite for 1 of 3 customers (first: customer 1"),
        ([0.4, None, 0.3], "missing, negative or infinite for 1 of 3"),
        (["a lot", "0.1", "0"], "holds no numbers"),
        (np.array(["2024-01-01"] * 3, dtype="datetime64[us]"), "holds no numbers"),
    ],
)
def test_bad_margin_columns(column: Any, said: str) -> None:
    with pytest.raises(DataError, match=re.escape(said)):
        margins(carrying(column), "m")


def test_unknown_margin_column_is_named_once() -> None:
    with pytest.raises(DataError, match=r"^margin='x' is no carried column; carried are: 'm'\. Give carry=\['x'\]\.$"):
        margins(carrying(np.zeros(3)), "x")


@pytest.mark.parametrize(
    ("margin", "kind", "said"),
    [
        (40, ValueError, "Got 40; did you mean 0.40?"),
        (1.2, ValueError, "Got 1.2."),
        (-0.1, ValueError, "must be finite and at least 0"),
        (np.nan, ValueError, "must be finite"),
        (None, TypeError, "not NoneType"),
        (True, TypeError, "not bool"),
        (np.full(3, 0.3), TypeError, "not ndarray. For margins by customer, carry a column"),
    ],
)
def test_bad_margins(margin: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=re.escape(said)):
        check_margin(margin)
