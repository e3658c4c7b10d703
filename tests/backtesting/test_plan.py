"""A plan: all that can be wrong is said before any fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import methods as registry
from predclv.backtesting.plan import make_plan
from predclv.errors import DataError, DataQualityWarning

SIM = pc.datasets.simulate(n_customers=120, births="20 weeks", holdout="26 weeks", seed=5)
END = str(SIM.end)


class Unfit:
    """A method that must never be fitted."""

    def fit(self, rfm, log):
        raise AssertionError("was fitted")

    def predict(self, rfm, log, horizon):
        raise AssertionError("was asked")


class NeedsAmounts(Unfit):
    needs_amounts = True


def refused(error, message, log=SIM.log, **asked):
    """`backtest` refuses, and no method was fitted: that would be a FitError with the error of the fit."""
    asked = {"methods": [Unfit()], "horizons": ["13 weeks"], "observation_end": END, "amount": "amount", **asked}
    if not asked.keys() & {"cutoffs", "n_cutoffs"}:
        asked["cutoffs"] = ["2024-09-29"]
    with pytest.raises(error, match=message):
        pc.backtest(log, progressbar=asked.pop("progressbar", False), **asked)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"cutoffs": ["2023-09-29"]}, "The cut-off 2023-09-29 precedes the first purchase in the log, on 2024-01-02"),
        ({"cutoffs": ["2025-09-29"]}, f"The cut-off 2025-09-29 leaves no outcome: the log ends on {END}"),
        ({"cutoffs": ["2024-09-29", "2024-09-29"]}, "The cut-off 2024-09-29 is given twice"),
        ({"cutoffs": ["last week"]}, "cutoffs='last week' is not a date that can be read"),
        ({"cutoffs": []}, "'cutoffs' is empty"),
        ({"cutoffs": ["2024-09-29"], "n_cutoffs": 2}, "Give either cutoffs="),
        ({"cutoffs": ["2024-09-29"], "step": "4 weeks"}, "'step' goes with n_cutoffs"),
        ({"n_cutoffs": -1}, "'n_cutoffs' must be a whole number"),
        ({"n_cutoffs": 9}, "The cut-off .* precedes the first purchase in the log"),
        ({"horizons": ["27 weeks"]}, f"27 weeks from the cut-off 2024-09-29 end on 2025-04-06, and the log on {END}"),
        ({"horizons": [np.inf]}, "is infinite: nothing can be compared with it"),
        ({"horizons": -4}, "horizon=-4 must be longer than zero"),
        ({"horizons": []}, "'horizons' is empty"),
        ({"horizons": ["soon"]}, "horizon='soon' cannot be read"),
        ({"history": "growing"}, "'history' must be one of"),
        ({"history": "sliding"}, "belong together"),
        ({"window": "8 weeks"}, "belong together"),
        ({"methods": ["bg_nbdd"]}, "There is no method 'bg_nbdd'. Did you mean"),
        ({"methods": ["zero", "zero"]}, "Two methods are called 'zero'"),
        ({"methods": {"combination": Unfit()}}, "A method may not be called 'combination'"),
        ({"methods": {"x_recalibrated": Unfit()}}, "A method may not be called 'x_recalibrated'"),
        ({"methods": [NeedsAmounts()], "amount": None}, "The method 'NeedsAmounts' needs amounts. Give amount='...'"),
        ({"methods": [pc.CLV(), Unfit()], "amount": None}, "needs amounts"),
        ({"reference": "naive"}, "reference='naive' is no method that runs; those are 'Unfit'"),
        ({"reference": ""}, "reference='' is no method that runs"),
        ({"recalibrate": "isotonic"}, "'recalibrate' must be one of"),
        ({"recalibrate": "pit"}, "recalibrate='pit' learns from earlier cut-offs, and at no cut-off had the outcome"),
        ({"combine": True}, "combine=True learns from earlier cut-offs"),
        ({"recalibrate": "pit", "cutoffs": ["2024-09-01", "2024-09-29"]}, "recalibrate='pit' learns from earlier"),
        ({"segments": ["shop"]}, "the log has no such column"),
        ({"amount": "price"}, "the log has no such column"),
        ({"collapse": "fortnight"}, "'collapse' must be one of"),
        ({"after_end": "error"}, "Leave 'after_end' out"),
    ],
)
def test_bad_requests_are_refused_before_any_fit(asked, message):
    refused(DataError, message, **asked)


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"methods": [Unfit]}, TypeError, r"Unfit is a class: give an object, Unfit\(\)"),
        ({"methods": [object()]}, TypeError, "A method needs fit"),
        ({"n_bootstrap": 1}, ValueError, "'n_bootstrap' must be a whole number from 2 on. Got 1"),
        ({"n_bootstrap": 99.5}, ValueError, "'n_bootstrap' must be a whole number"),
        ({"n_bootstrap": True}, ValueError, "'n_bootstrap' must be a whole number"),
        ({"n_jobs": 0}, ValueError, "'n_jobs' must be a whole number from 1 on. Got 0"),
        ({"n_jobs": -2}, ValueError, "'n_jobs' must be a whole number"),
        ({"n_jobs": "all"}, ValueError, "'n_jobs' must be a whole number"),
        ({"level": 90}, ValueError, r"'level' must be in \(0, 1\). Got 90; did you mean 0.9"),
        ({"random_state": -1}, ValueError, "'random_state' must be a whole number from 0 to 4294967295. Got -1"),
        ({"random_state": None}, ValueError, "'random_state' must be a whole number"),
        ({"progressbar": "yes"}, TypeError, "progressbar='yes' must be True, False or a function"),
        ({"colapse": "day"}, TypeError, "unexpected keyword argument 'colapse'"),
    ],
)
def test_bad_settings_are_refused_before_any_fit(asked, error, message):
    refused(error, message, **asked)


@pytest.mark.filterwarnings("ignore:All 120 customers bought once")
def test_bad_logs_are_refused_before_any_fit():
    few = SIM.log[SIM.log["customer_id"] <= 19]
    refused(DataError, "the log knows 19 customers, .* a backtest needs 20 customers and a repeat buyer", few)
    once = SIM.log.drop_duplicates("customer_id")
    refused(DataError, "120 customers, 0 of whom have bought again", once)
    refused(DataError, "The log is empty", SIM.log.head(0))
    refused(DataError, "date column 'date' is null", SIM.log.assign(date=SIM.log["date"].where(SIM.log.index > 0)))


def test_what_is_to_be_done_is_settled():
    plan = make_plan(SIM.log, n_cutoffs=2, horizons="4 weeks", observation_end=END)
    assert [candidate.name for candidate in plan.candidates] == ["bg_nbd", "naive", "zero"]
    assert plan.reference is None
    assert plan.horizons == ["4 weeks"]
    assert plan.messages == ()
    assert len(plan.vintages) == 2
    assert make_plan(SIM.log, n_cutoffs=1, horizons=4, reference="zero", observation_end=END).reference == "zero"
    assert len(make_plan(SIM.log, n_cutoffs=1, horizons=np.array([2, 4]), observation_end=END).horizons) == 2


def test_a_reference_that_cannot_run_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "find_spec", lambda package: None)
    asked = {"cutoffs": ["2024-09-29"], "horizons": ["4 weeks"], "observation_end": END}
    with pytest.raises(DataError, match="reference='clvkit_bg_nbd' is no method that runs; those are 'zero'"):
        make_plan(SIM.log, methods=["clvkit_bg_nbd", "zero"], reference="clvkit_bg_nbd", **asked)
    with pytest.raises(DataError, match="No method can run here: 'clvkit_bg_nbd' needs clvkit: pip install"):
        make_plan(SIM.log, methods=["clvkit_bg_nbd"], **asked)


def test_what_is_odd_of_a_log_is_said_once_and_kept():
    log = SIM.log.assign(date=SIM.log["date"].where(SIM.log["date"] > "2024-03-01", pd.Timestamp("2024-01-01")))
    cutoffs = ["2024-06-30", "2024-09-29"]
    with pytest.warns(DataQualityWarning) as caught:
        plan = make_plan(log, cutoffs=cutoffs, horizons=["4 weeks", "8 weeks"], observation_end=END)
    texts = [str(warning.message) for warning in caught]
    assert len(texts) == len(set(texts)) == len(plan.messages)
    assert "in the first week of the log" in texts[0]
    plan.with_rows(plan.log.rows, until=1)  # says it no more: a warning would be an error here


def test_rows_that_were_dropped_are_told():
    holes = pd.concat([SIM.log, SIM.log.head(3).assign(customer_id=None)])
    plan = make_plan(holes, cutoffs=["2024-09-29"], horizons=["4 weeks"], observation_end=END, on_null="drop")
    n = len(holes)
    assert plan.messages == (f"3 of {n:,} rows: rows without customer, date or finite amount, dropped.",)


def test_a_horizon_that_nothing_can_be_learnt_for_is_told():
    asked = {"cutoffs": ["2024-07-01", "2024-09-29"], "horizons": ["4 weeks", "26 weeks"], "observation_end": END}
    with pytest.warns(DataQualityWarning, match="recalibrate='pit' does nothing for the horizon '26 weeks'"):
        plan = make_plan(SIM.log, recalibrate="pit", **asked)
    assert len(plan.messages) == 1
