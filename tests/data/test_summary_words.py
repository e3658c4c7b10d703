"""What `print` and a notebook say of data: what matters, in a few lines, with everything from data escaped."""

from __future__ import annotations

import pandas as pd
import pytest

import predclv as pc


@pytest.fixture(scope="module")
def log():
    return pd.DataFrame(
        {
            "customer_id": [1, 1, 1, 2, 3, 3],
            "date": pd.to_datetime(
                ["2024-01-01", "2024-01-15", "2024-01-15", "2024-02-01", "2024-02-02", "2024-05-01"]
            ),
            "amount": [10.0, 20.0, 6.0, 30.0, 5.0, 5.0],
            "kind": ["<b>x</b>"] * 6,
        }
    )


def test_a_summary(log):
    rfm = pc.RFMSummary.from_transactions(
        log, amount="amount", currency="EUR", observation_end="2024-03-31", carry=["kind"]
    )
    assert str(rfm).splitlines() == [
        "3 customers as of 2024-03-31.",
        "67 % bought once; the models know them through the population only.",
        "The other 1 made 1 repeat purchase, the most by one customer 1.",
        "Time is in weeks; purchases within a day count as one. Customers have been observed for 8.29 to 12.9 weeks.",
        "First purchases from 2024-01-01 to 2024-02-02.",
        "A repeat purchase is worth 26.00 EUR on average.",
        "Carried: kind.",
        "From the log: rows merged into a purchase (1 of 5); rows after observation_end, set aside (1 of 6). "
        "All of it is in .quality.",
    ]
    html = rfm._repr_html_()
    assert "bought once" in html
    assert "<table" in html
    assert "<b>x</b>" not in html


def test_shares_are_not_rounded_to_what_is_not_meant():
    def of(n_once: int, n_again: int) -> str:
        table = pd.DataFrame({"frequency": [0] * n_once + [1] * n_again})
        table = table.assign(recency=table["frequency"] * 1.0, T=2.0)
        return str(pc.RFMSummary.from_frame(table, time_unit="day")).splitlines()[1]

    assert of(0, 3) == "Everyone has bought again."
    assert of(1, 999).startswith("Under 1 % bought once")
    assert of(999, 1).startswith("Over 99 % bought once")
    assert of(3, 0).startswith("100 % bought once")


def test_weights_count_customers():
    table = pd.DataFrame(
        {"frequency": [0, 2], "recency": [0, 3], "T": [4, 4], "monetary_value": [0, 5.0], "weight": [6, 2]}
    )
    said = str(pc.RFMSummary.from_frame(table, time_unit="week", weight="weight"))
    assert "8 customers in 2 rows." in said
    assert "75 % bought once" in said
    assert "The other 2 made 4 repeat purchases" in said
    counted = table.drop(columns="monetary_value")
    said = str(pc.RFMSummary.from_frame(counted, opportunities="year", weight="weight"))
    assert "A year is an opportunity" in said
    assert "No amounts" in said


def test_subscriptions():
    table = pd.DataFrame({"tenure": [0, 2, 5], "ended": [False, True, False], "price": [10.0, 20.0, 30.0]})
    subs = pc.Subscriptions.from_frame(table.assign(plan="<i>"), price="price", carry=["plan"], currency="EUR")
    said = str(subs)
    assert "3 contracts, renewed by the month." in said
    assert "2 run (67 %), 1 have ended." in said
    assert "33 % have not come to a renewal" in said
    assert "A month costs 20.00 EUR on average." in said
    assert "<i>" not in subs._repr_html_()


def test_a_split(cdnow_split):
    assert "A log split at 1997-09-30: 2,357 customers" in str(cdnow_split)
    assert "bought once" in str(cdnow_split)
    assert "<table" in cdnow_split._repr_html_()
