"""Formulas: worked examples, hand counts, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.decisions import (
    five_step_formula,
    historical_value,
    purchase_formula,
    retention_formula,
    retention_formula_of_log,
)
from predclv.errors import DataError


# Worked examples in circulation, recomputed.
@pytest.mark.parametrize(
    ("factors", "options", "expected"),
    [
        pytest.param((5, 5 * 52, 5), {}, 6_500, id="a latte every working day"),
        pytest.param((5, 5 * 52, 5), {"margin": 0.8}, 5_200, id="latte, profit"),
        pytest.param((50, 3, 4), {}, 600, id="50 three times a year"),
        pytest.param((10_000, 1, 5), {}, 50_000, id="10,000 a year"),
        pytest.param((300, 12, 7), {}, 25_200, id="300 a month"),
        pytest.param((6, 2 * 52, 3), {"margin": 0.4}, 748.80, id="coffee bar"),
        pytest.param((99, 12, 3), {}, 3_564, id="subscription"),
        pytest.param((99, 12, 3), {"margin": 0.7}, 2_494.80, id="subscription, profit"),
        # A text in circulation prints 1,125, which its own factors do not give.
        pytest.param((75, 4, 5), {"retention": 0.6}, 900, id="shop"),
        pytest.param((50, 3, 4), {"cost_to_serve": 650}, -50, id="a customer who costs more"),
    ],
)
def test_worked_examples(factors, options, expected):
    found = purchase_formula(*factors, **options)
    assert float(found) == pytest.approx(expected, rel=1e-14)
    assert ("below zero" in " ".join(found.notes)) == (expected < 0)


def test_retention_formula_is_its_own_series():
    assert float(retention_formula(1_000, 0.9, 0.10)) == pytest.approx(4_500, rel=1e-12)
    k = np.arange(1, 3_000)
    series = (80 * 0.7**k / 1.05**k).sum()
    assert float(retention_formula(80, 0.7, 0.05)) == pytest.approx(series, rel=1e-12)
    assert retention_formula(80, 0.75).steps["expected_periods"].item() == pytest.approx(3)
    everyone = retention_formula(80, 1.0, 0.05)
    assert float(everyone) == pytest.approx(80 / 0.05)
    assert everyone.steps["expected_periods"].item() == np.inf
    assert float(retention_formula(-10, 0.5, 0.1)) < 0


def test_segments_stand_in_rows_and_say_what_is_assumed():
    found = purchase_formula({"paid": 40, "organic": 60}, 3, pd.Series({"organic": 4, "paid": 1}), margin=0.5)
    assert found.value.to_dict() == {"paid": 60.0, "organic": 360.0}
    assert len(found.assumptions) >= 3
    assert "paid" in str(found)
    assert "Assumed" in found._repr_html_()
    assert "2 values" in repr(found)
    with pytest.raises(TypeError, match="2 values, not one"):
        float(found)
    hostile = purchase_formula({"<script>": 1.0}, 1, 1)
    assert "<script>" not in hostile._repr_html_()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: purchase_formula(-5, 1, 1), r"'average_purchase' is missing, negative or infinite for 1 of 1 rows"),
        (lambda: purchase_formula({"a": 1, "b": np.nan}, 1, 1), r"1 of 2 rows \(first: 'b'"),
        (lambda: purchase_formula(1, np.inf, 1), "'purchases_per_year'"),
        (lambda: purchase_formula(1, 1, 1, margin=40), r"'margin' is a share.*did you mean 0\.40"),
        (lambda: purchase_formula(1, 1, 1, retention=1.2), "'retention' is a share"),
        (lambda: purchase_formula({"a": 1}, {"b": 1}, 1), r"'purchases_per_year' lacks 1 .*\(first: 'a'\)"),
        (lambda: purchase_formula(pd.Series([1, 2], index=["a", "a"]), 1, 1), "'a' twice"),
        (lambda: purchase_formula({}, 1, 1), "'average_purchase' is empty"),
        (lambda: purchase_formula("many", 1, 1), "'average_purchase' must be a number"),
        (lambda: purchase_formula(True, 1, 1), "'average_purchase' must be a number"),
        (lambda: retention_formula(1, 1, 0), "no\\s+bound"),
        (lambda: retention_formula(np.nan, 0.5), "'profit' is missing or infinite"),
    ],
)
def test_factors_that_mean_nothing_are_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.fixture
def log():
    """Two years and a day; the second year's purchases by hand: 4 of a, 2 of b."""
    rows = [
        ("1", "2020-01-01", 10.0, "a"),
        ("1", "2020-07-01", 30.0, "a"),
        ("1", "2021-03-01", 20.0, "a"),
        ("1", "2021-03-01", 5.0, "a"),
        ("1", "2021-12-31", 15.0, "a"),
        ("2", "2020-06-01", 50.0, "a"),
        ("3", "2021-02-01", 40.0, "a"),
        ("3", "2021-04-01", 40.0, "a"),
        ("3", "2021-04-20", -40.0, "a"),
        ("4", "2020-05-01", 100.0, "b"),
        ("4", "2021-05-01", 100.0, "b"),
        ("5", "2021-06-01", 60.0, "b"),
    ]
    table = pd.DataFrame(rows, columns=["customer_id", "date", "amount", "channel"])
    return table.assign(date=pd.to_datetime(table["date"]))


OPTIONS = {"amount": "amount", "observation_end": "2021-12-31"}


def test_historical_value_is_the_sum_of_profit(log):
    found = historical_value(log, by="channel", margin=0.5, cost_to_serve=30, **OPTIONS)
    a, b = found.steps.loc["a"], found.steps.loc["b"]
    assert (a["customers"], a["purchases"], a["revenue"]) == (3, 7, 170.0)
    assert a["total"] == pytest.approx(85 - 90)
    assert a["value"] == pytest.approx(-5 / 3)
    assert b["value"] == pytest.approx((130 - 60) / 2)
    assert "below zero" in found.notes[0]
    each = historical_value(log, by="customer_id", **OPTIONS)
    assert each.value.to_dict() == {"1": 80.0, "2": 50.0, "3": 40.0, "4": 200.0, "5": 60.0}
    whole = historical_value(log, **OPTIONS)
    assert float(whole) == pytest.approx(86.0)
    # The whole is the customers' mean, whatever the segments.
    parts = found.steps
    assert parts["revenue"].sum() == whole.steps["revenue"].item()


def test_five_steps_are_counted_in_the_last_year(log):
    found = five_step_formula(log, by="channel", margin=0.5, **OPTIONS)
    a = found.steps.loc["a"]
    # Customers 1 and 3, who bought on four days of 2021 for 80 (a return netted).
    assert (a["customers"], a["purchases"], a["revenue"]) == (2, 4, 80.0)
    assert a["average_purchase"] == 20.0
    assert a["purchases_per_year"] == pytest.approx(2 * 365.25 / 365)
    # From first to last: 730, 0 and 59 days.
    assert a["years"] == pytest.approx((730 + 0 + 59) / 3 / 365.25)
    assert a["value"] == pytest.approx(a["value_per_year"] * a["years"] * 0.5)
    known = five_step_formula(log, by="channel", years={"a": 2, "b": 3}, since="2020-01-01", **OPTIONS)
    assert known.steps.loc["a", "customers"] == 3
    assert known.steps["years"].to_dict() == {"a": 2.0, "b": 3.0}
    assert not any("lifespan" in note for note in known.notes)
    own = five_step_formula(log, by="customer_id", **OPTIONS)
    assert "1 of 5 rows" in " ".join(own.notes)
    assert "2" not in own.steps.index


def test_retention_is_who_bought_in_both_years(log):
    found = retention_formula_of_log(log, by="channel", discount_rate=0.10, **OPTIONS)
    a, b = found.steps.loc["a"], found.steps.loc["b"]
    assert (a["customers"], a["retained"], a["period_days"]) == (2, 1, 365)
    assert (a["retention"], a["profit"], a["purchases_per_customer"]) == (0.5, 40.0, 2.0)
    assert (b["retention"], b["profit"]) == (1.0, 100.0)
    rate = 1.1 ** (365 / 365.25) - 1
    assert a["value"] == pytest.approx(40 * 0.5 / (1 + rate - 0.5))
    half = retention_formula_of_log(log[log["date"] < "2020-07-02"], amount="amount", observation_end="2020-07-01")
    assert half.steps["period_days"].item() == 91


@pytest.mark.parametrize("library", ["polars", "pyarrow", "duckdb"])
def test_every_library_counts_alike(log, library):
    if library == "polars":
        other = pytest.importorskip("polars").from_pandas(log).lazy()
    elif library == "pyarrow":
        other = pytest.importorskip("pyarrow").Table.from_pandas(log)
    else:
        other = pytest.importorskip("duckdb").from_df(log)
    for formula in (historical_value, five_step_formula, retention_formula_of_log):
        expected, found = (formula(table, by="channel", **OPTIONS).steps for table in (log, other))
        pd.testing.assert_frame_equal(found, expected, check_index_type=False, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::predclv.errors.DataQualityWarning")
def test_minor_units_are_of_counting_and_not_of_the_answer(log):
    plain = historical_value(log, **OPTIONS).steps
    exact = historical_value(log, **OPTIONS, minor_unit=0.01).steps
    pd.testing.assert_frame_equal(exact, plain, rtol=1e-12)


def test_what_a_log_cannot_tell_is_refused(log):
    with pytest.raises(DataError, match=r"amount='\.\.\.'"):
        historical_value(log)
    with pytest.raises(DataError, match="no such column"):
        historical_value(log, by="campaign", **OPTIONS)
    with pytest.raises(DataError, match="outside the log"):
        five_step_formula(log, since="2019-01-01", **OPTIONS)
    with pytest.raises(DataError, match=r"Nobody bought from 2023-01-02 to 2024-01-01\. .* as-of date"):
        five_step_formula(log, amount="amount", observation_end="2024-01-01")
    with pytest.raises(DataError, match="'years' lacks 1 of 2"):
        five_step_formula(log, by="channel", years={"a": 1}, **OPTIONS)
    with pytest.raises(DataError, match="A single customer has no share"):
        retention_formula_of_log(log, by="customer_id", **OPTIONS)
    with pytest.raises(DataError, match="too few to be cut"):
        retention_formula_of_log(log[:1], amount="amount", observation_end="2020-01-01")
    gap = log[log["date"] > "2021-01-01"]
    first = log[:1].assign(date=pd.Timestamp("2019-01-01"))
    with pytest.raises(DataError, match="Nobody bought from"):
        retention_formula_of_log(pd.concat([first, gap]), **OPTIONS)
    with pytest.raises(DataError, match="missing for 1 of 5 customers"):
        historical_value(log.assign(channel=log["channel"].where(log["customer_id"] != "5")), by="channel", **OPTIONS)
    with pytest.raises(ValueError, match=r"did you mean 0\.40"):
        historical_value(log, margin=40, **OPTIONS)
    with pytest.raises(ValueError, match="cost_to_serve"):
        historical_value(log, cost_to_serve=-1, **OPTIONS)


def test_they_are_reached_by_the_package():
    assert pc.decisions.purchase_formula is purchase_formula
