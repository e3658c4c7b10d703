"""Formula, history and forecast side by side: figures are those of their functions, errors those of a backtest."""

from __future__ import annotations

import numpy as np
import pytest

import predclv as pc
from predclv.decisions import FormulaComparison, compare_formulas, five_step_formula, retention_formula_of_log
from predclv.decisions.formulas.methods import FiveStep, PastGoesOn, RetentionFormula
from predclv.errors import DataError, DependenceWarning

OPTIONS = {"amount": "amount", "observation_end": "1998-06-30"}
METHODS = ["predicted", PastGoesOn.name, FiveStep.name, RetentionFormula.name]


@pytest.fixture(scope="module")
def log():
    table = pc.datasets.load_cdnow()
    return table.assign(shop=np.where(table["customer_id"] % 3 == 0, "<b>", "plain"))


@pytest.fixture(scope="module")
def comparison(log) -> FormulaComparison:
    with pytest.warns(DependenceWarning):
        return compare_formulas(log, by="shop", horizon="26 weeks", margin=0.5, n_bootstrap=20, **OPTIONS)


def test_every_method_stands_in_every_group(comparison):
    table = comparison.table
    assert list(table["group"].unique()) == ["<b>", "plain", "all"]
    assert list(table["method"]) == 3 * METHODS
    assert table.drop(columns=["low", "high"]).notna().all().all()
    predicted = table["method"] == "predicted"
    assert table.loc[predicted, ["low", "high"]].notna().all().all()
    # A formula has no interval, and none is made up.
    assert table.loc[~predicted, ["low", "high"]].isna().all().all()


def test_figures_are_those_of_their_functions(comparison, log):
    table = comparison.table.set_index(["group", "method"])
    five = five_step_formula(log, by="shop", margin=0.5, **OPTIONS)
    for group, value in five.value.items():
        assert table.loc[(group, FiveStep.name), "clv"] == value
    whole = retention_formula_of_log(log, margin=0.5, **OPTIONS)
    assert table.loc[("all", RetentionFormula.name), "clv"] == float(whole)
    rfm = pc.RFMSummary.from_transactions(log, **OPTIONS)
    expected = comparison.clv.predict(rfm, "26 weeks", margin=0.5)["expected_clv"].mean()
    assert table.loc[("all", "predicted"), "clv"] == pytest.approx(expected, rel=1e-9)


def test_errors_are_those_of_the_backtest(comparison):
    table = comparison.table.set_index(["group", "method"])
    forecasts = comparison.backtest.forecasts
    value = forecasts[forecasts["quantity"] == "value"]
    for method in METHODS:
        rows = value[value["method"] == method]
        bias = rows["mean"].sum() / rows["actual"].sum() - 1
        assert table.loc[("all", method), "bias"] == pytest.approx(bias, rel=1e-9)
        assert table.loc[("all", method), "mae"] == pytest.approx(
            (rows["mean"] - rows["actual"]).abs().mean(), rel=1e-9
        )
    # As the README has them.
    assert table.loc["all", "bias"].round(2).tolist() == [0.0, 1.66, -0.04, 0.26]
    assert table.loc["all", "mae"].round(1).tolist()[::2] == [20.0, 28.6]
    # What the past says of the future of customers who leave.
    assert table.loc[("all", PastGoesOn.name), "bias"] > 1
    assert table.loc[("all", "predicted"), "mae"] == table.loc["all", "mae"].min()
    assert "historical value, carried on +" in comparison.say()
    assert "<b>" not in comparison._repr_html_()


def test_methods_forecast_what_the_formulas_say(log):
    known = log[log["date"] <= "1997-09-30"]
    rfm = pc.RFMSummary.from_transactions(known, amount="amount", observation_end="1997-09-30")
    rows = known[["customer_id", "date", "amount"]]

    def forecast(method, horizon):
        return method().fit(rfm, rows).predict(rfm, rows, horizon)

    money = rows.groupby("customer_id")["amount"].sum().reindex(rfm.customer_id).to_numpy()
    past = forecast(PastGoesOn, 13.0)
    np.testing.assert_allclose(past.expected_value, money / rfm.T * 13)
    np.testing.assert_allclose(past.expected_purchases, (rfm.frequency + 1) / rfm.T * 13)
    five = five_step_formula(known, amount="amount", observation_end="1997-09-30").steps.iloc[0]
    short = five["years"] * 365.25 / 7 / 2
    assert forecast(FiveStep, short).expected_value[0] == pytest.approx(five["value"] / 2)
    assert forecast(FiveStep, 1e3).expected_value[0] == pytest.approx(five["value"])
    kept = retention_formula_of_log(known, amount="amount", observation_end="1997-09-30").steps.iloc[0]
    period, stay = kept["period_days"] / 7, kept["retention"]
    expected = kept["profit"] * (stay + stay**2 + 0.5 * stay**3)
    assert forecast(RetentionFormula, 2.5 * period).expected_value[0] == pytest.approx(expected)
    assert forecast(RetentionFormula, 0.25 * period).expected_value[0] == pytest.approx(kept["profit"] * stay / 4)


def test_without_money_there_is_nothing_to_compare(log):
    with pytest.raises(DataError, match=r"amount='\.\.\.'"):
        compare_formulas(log)
