"""Purchases, births and spend over calendar time."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import predclv as pc
from engines import ENGINES
from predclv.data.timeline import purchase_timeline
from predclv.errors import DataError

LOG = pd.DataFrame(
    {
        "customer_id": [1, 1, 1, 2, 2, 3],
        "date": pd.to_datetime(["2024-01-10", "2024-01-10", "2024-01-17", "2024-01-12", "2024-03-01", "2024-03-02"]),
        "amount": [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    }
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("by", ["day", "week", "month"])
def test_cdnow_totals(engine: str, by: str) -> None:
    log = pc.datasets.load_cdnow()
    table = purchase_timeline(ENGINES[engine](log), by=by, amount="amount", observation_end="1998-06-30")
    assert table["births"].sum() == 2_357
    assert table["repeat_purchases"].sum() == 2_457 + 1_882
    assert table["spend"].sum() == pytest.approx(log["amount"].sum(), rel=1e-12)
    assert table["days"].sum() == 546
    assert len(table) == {"day": 546, "week": 78, "month": 18}[by]


@pytest.mark.parametrize("engine", ENGINES)
def test_periods_by_hand(engine: str) -> None:
    months = purchase_timeline(ENGINES[engine](LOG), by="month", amount="amount", observation_end="2024-03-15")
    assert months["start"].dt.strftime("%Y-%m-%d").tolist() == ["2024-01-10", "2024-02-01", "2024-03-01"]
    assert months["days"].tolist() == [22, 29, 15]
    assert months["purchases"].tolist() == [3, 0, 2]
    assert months["births"].tolist() == [2, 0, 1]
    assert months["repeat_purchases"].tolist() == [1, 0, 1]
    assert months["spend"].tolist() == [15.0, 0.0, 48.0]
    weeks = purchase_timeline(ENGINES[engine](LOG), by="week")
    assert weeks["start"].iloc[0] == pd.Timestamp("2024-01-10")
    assert weeks["purchases"].tolist() == [2, 1, 0, 0, 0, 0, 0, 2]
    assert weeks["days"].iloc[-1] == 4
    assert "spend" not in weeks


@pytest.mark.parametrize("collapse", ["none", "hour", "day", "week", "month"])
def test_repeats_are_never_negative(collapse: str) -> None:
    options: dict[str, Any] = {"collapse": collapse, "amount": "amount"}
    table = purchase_timeline(pd.concat([LOG, LOG.assign(amount=-1.0)]), by="day", **options)
    assert (table["repeat_purchases"] >= 0).all()
    assert table["births"].sum() == 3
    assert table["spend"].sum() == LOG["amount"].sum() - len(LOG)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("collapse", ["day", "week"])
def test_customers_from_before_the_start_are_left_out(engine: str, collapse: str) -> None:
    table = purchase_timeline(
        ENGINES[engine](LOG), by="day", observation_start="2024-01-11", observation_end="2024-03-02", collapse=collapse
    )
    assert table["start"].iloc[0] == pd.Timestamp("2024-01-11")
    assert table["births"].sum() == 2
    assert table["repeat_purchases"].sum() == 1


def test_unknown_period_is_refused() -> None:
    with pytest.raises(DataError, match="'by' must be one of"):
        purchase_timeline(LOG, by="quarter")
