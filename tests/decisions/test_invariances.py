"""Decisions do not depend on what should not matter: the currency's unit, the order of rows, the ruler of time."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv import decisions

END = "1998-06-30"
ORDER = "average_order_value"
VALUE = "expected_clv clv_low clv_high expected_clv_low expected_clv_high mean_clv mean_clv_low mean_clv_high"
#: Columns of each table that are money.
MONEY = {
    "acquisition": "cac expected_clv clv_low clv_high break_even_cac target_cac",
    "payback": "",
    "commission": "per_customer",
    "budget": "spend cac next_cac expected_value expected_profit profit_low profit_high",
    "at_risk": "expected_clv value_if_kept value_at_risk lost_already stake stake_low stake_high most_to_spend",
    "offer": "expected_return",
    "effect": "value value_after gain gain_low gain_high",
    "tiers": f"begins {VALUE}",
    "customers": "expected_clv",
    "rfm_segments": "expected_clv",
    "pareto": "",
    "segments": VALUE,
    "equity": "expected low high",
    "drivers": "at_value at_reference difference low high unadjusted",
    "drivers_of_retention": "",
    "experiment": "mean control_mean difference low high",
    "cohorts": "revenue margin revenue_per_customer cumulative_revenue cumulative_margin",
    "metrics": f"revenue new_revenue returning_revenue {ORDER} {ORDER}_low {ORDER}_high",
    "historical": "revenue gross_profit total value",
    "five_steps": "revenue average_purchase value_per_year value",
    "retention_formula": "revenue profit value",
}


def _ask(log, unit="week", scale=1.0):
    """Every kind of table, of 500 customers."""
    told = {"amount": "amount", "observation_end": END}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rfm = pc.RFMSummary.from_transactions(log, carry=["channel"], time_unit=unit, **told)
        clv = pc.CLV().fit(rfm)
        won = decisions.assess_acquisition(clv, 14.0 * scale, margin=0.3, horizon="3 years", n_draws=64)
        plan = decisions.allocate_budget(won, 900 * scale, {"all": decisions.Saturating(400, 2_000 * scale)})
        risk = decisions.list_at_risk(clv, rfm, margin=0.3).sort_values("customer_id", ignore_index=True)
        tiers = decisions.assign_tiers(clv, rfm, tiers=3, n_draws=256)
        names = decisions.assign_rfm_segments(clv, rfm, n_draws=256)
        equity = decisions.customer_equity(clv, rfm, arrivals=9, cac=5 * scale, margin=0.3, n_draws=64)
        drivers = decisions.find_drivers(rfm, ["channel"], n_draws=16)
        experiment = decisions.read_experiment(log, "channel", **told)
        cohorts = decisions.cohort_table(log, by="channel", **told)
        return {
            "acquisition": won.table.drop(columns=["payback", "payback_low", "payback_high"]),
            "payback": won.table[["payback", "payback_low", "payback_high"]],
            "commission": won.commission_ceiling(),
            "budget": plan.table,
            "at_risk": risk,
            "offer": decisions.weigh_offer(risk, cost=2.0 * scale, lift=0.2)[["expected_return", "break_even_lift"]],
            "effect": decisions.retention_effect(clv, rfm, saved=0.2).table,
            "tiers": tiers.table,
            "customers": tiers.customers.sort_values("customer_id", ignore_index=True),
            "rfm_segments": names.customers.sort_values("customer_id", ignore_index=True),
            "pareto": decisions.pareto_curve(clv, rfm, n_draws=64).table,
            "segments": decisions.value_by_segment(clv, rfm, by="channel", n_draws=256),
            "equity": equity.table,
            "drivers": drivers.of("clv"),
            "drivers_of_retention": drivers.of("retention"),
            "experiment": experiment.table[experiment.table["outcome"] == "value"],
            "cohorts": cohorts.cells,
            "metrics": decisions.retention_metrics(log, **told).table,
            "historical": decisions.historical_value(log, by="channel", **told).steps,
            "five_steps": decisions.five_step_formula(log, by="channel", **told).steps,
            "retention_formula": decisions.retention_formula_of_log(log, **told).steps,
        }


@cache
def _log():
    log = pc.datasets.load_cdnow()
    log = log[log["customer_id"].isin(np.unique(log["customer_id"])[:500])].reset_index(drop=True)
    log["channel"] = np.where(log["customer_id"] % 2, "ads", "mail")
    return log


@pytest.fixture(scope="module")
def tables():
    return _ask(_log())


def _compare(found, expected, factor, rtol):
    for name, table in expected.items():
        assert list(found[name]) == list(table), name
        for column in table:
            one, other = table[column].reset_index(drop=True), found[name][column].reset_index(drop=True)
            where = f"{name}: {column}"
            if pd.api.types.is_numeric_dtype(one) and not pd.api.types.is_bool_dtype(one):
                one, other = (each.astype("Float64").to_numpy(dtype=float, na_value=np.nan) for each in (one, other))
                np.testing.assert_allclose(other, factor(name, column) * one, rtol=rtol, atol=1e-9, err_msg=where)
            else:
                assert one.astype(str).equals(other.astype(str)), where


def test_money_doubles_with_the_amounts_and_nothing_else_moves(tables):
    log = _log()
    found = _ask(log.assign(amount=2 * log["amount"]), scale=2.0)
    assert set(found) == set(MONEY)
    _compare(found, tables, lambda name, column: 2.0 if column in MONEY[name].split() else 1.0, 1e-6)
    # A time to wait for is among them.
    assert np.isfinite(tables["payback"]["payback"]).all()
    assert (tables["payback"]["payback"] > 0).all()


def test_rows_may_come_in_any_order(tables):
    found = _ask(_log().sample(frac=1, random_state=3).reset_index(drop=True))
    _compare(found, tables, lambda *_: 1.0, 1e-6)


def test_days_are_weeks(tables):
    """Times are in days then, and everything else as it was, but for what the search for the optimum leaves open."""
    _compare(_ask(_log(), unit="day"), tables, lambda name, _: 7.0 if name == "payback" else 1.0, 2e-3)
