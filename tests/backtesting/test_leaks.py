"""Leaks: none where methods keep to what they are given, and those that are planted are found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import costs, find_leaks, leaks, second_stage, vintages
from predclv.backtesting.logs import PurchaseLog
from predclv.backtesting.methods import training
from predclv.errors import DataQualityWarning

SIM = pc.datasets.simulate(n_customers=300, births="26 weeks", observed="52 weeks", holdout="13 weeks", seed=2)
ASKED = {"amount": "amount", "observation_end": SIM.end, "horizons": ["6 weeks"]}
CHEAP = ["zero", "naive", "historical_average", "formula", "marginal", "bg_nbd"]


def cutoffs(*weeks):
    return [SIM.observation_end - pd.Timedelta(weeks=back) for back in weeks]


@pytest.fixture(autouse=True)
def _costs_are_rough(monkeypatch):
    # Collecting garbage before each measurement takes longer than the methods here.
    monkeypatch.setattr(costs, "_give_back", lambda: None)


class Recent:
    """Purchases of the last weeks before the end of its log; it trusts the log that it is given."""

    def fit(self, rfm, log):
        return self

    def predict(self, rfm, log, horizon):
        late = log[log["date"] > log["date"].max() - pd.Timedelta(weeks=6)]
        found = late.groupby("customer_id").size().reindex(rfm.customer_id, fill_value=0)
        return {"expected_purchases": found.to_numpy()}


def test_built_in_methods_do_not_leak():
    few = SIM.log[SIM.log["customer_id"] <= 60]
    asked = {"methods": [*CHEAP, Recent()], "cutoffs": cutoffs(7, 0), "recalibrate": "pit", "combine": True}
    found = find_leaks(few, **asked, **ASKED)
    assert found.empty
    assert list(found.columns) == ["cutoff", "horizon", "method", "column", "customers", "first_customer"]


def test_options_of_backtest_may_be_given_as_they_are():
    asked = {**ASKED, "segments": ["shop"], "refit": False, "level": 0.8, "n_bootstrap": 50, "progressbar": False}
    log = SIM.log.assign(shop=np.where(SIM.log["customer_id"] % 2, "a", "b"))
    assert find_leaks(log, methods=["naive", "zero"], cutoffs=cutoffs(7, 0), **asked).empty
    with pytest.raises(ValueError, match="'n_jobs' must be a whole number"):
        find_leaks(log, n_jobs=0, cutoffs=cutoffs(0), **ASKED)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear", "gradient_boosting", "random_forest"])
def test_learners_do_not_leak(method):
    assert find_leaks(SIM.log, methods=[method], cutoffs=cutoffs(7, 0), **ASKED).empty


@pytest.mark.slow
@pytest.mark.parametrize("package", ["lifetimes", "clvkit"])
def test_adapters_do_not_leak(package):
    pytest.importorskip(package)
    assert find_leaks(SIM.log, methods=[f"{package}_bg_nbd"], cutoffs=cutoffs(0), **ASKED).empty


def test_the_future_is_altered_and_the_past_is_not():
    log = SIM.log.assign(shop=np.where(SIM.log["customer_id"] % 2, "a", "b"))
    altered = leaks._alter(log, SIM.observation_end)
    is_past = (log["date"] < pd.Timestamp(SIM.observation_end) + pd.Timedelta(days=1)).to_numpy()
    pd.testing.assert_frame_equal(altered[: is_past.sum()], log[is_past].reset_index(drop=True))
    before, after = log[~is_past], altered[is_past.sum() :]
    assert len(before) == len(after)
    assert sorted(before["date"]) == sorted(after["date"])
    assert before["amount"].sum() * 1.7 == pytest.approx(after["amount"].sum())
    assert (before["customer_id"].to_numpy() == after["customer_id"].to_numpy()).mean() < 0.1
    # What is carried goes with its customer.
    assert ((after["customer_id"] % 2 == 1) == (after["shop"] == "a")).all()


def test_a_log_that_is_not_cut_is_found(monkeypatch):
    monkeypatch.setattr(PurchaseLog, "until", lambda log, moment: log.rows)
    found = find_leaks(SIM.log, methods=[Recent(), "naive"], cutoffs=cutoffs(0), **ASKED)
    # `naive` reads the summary, which is cut elsewhere.
    assert set(found["method"]) == {"Recent"}
    assert found["column"].tolist() == ["expected_purchases"]
    assert found["customers"].iloc[0] > 10
    assert found["first_customer"].iloc[0] in set(SIM.log["customer_id"])
    assert found["cutoff"].tolist() == [str(SIM.observation_end)]


def test_a_summary_that_is_not_cut_is_found(monkeypatch):
    real = vintages.split_transactions

    def later(rows, *, at, holdout_end, **options):
        split = real(rows, at=at, holdout_end=holdout_end, **options)
        seen = real(rows, at=pd.Timestamp(at) + pd.Timedelta(weeks=4), holdout_end=SIM.end, **options).calibration
        known = np.isin(seen.customer_id, split.calibration.customer_id)
        object.__setattr__(split, "calibration", seen[known])
        return split

    monkeypatch.setattr(vintages, "split_transactions", later)
    few = SIM.log[SIM.log["customer_id"] <= 100]
    found = find_leaks(few, methods=["bg_nbd", "zero"], cutoffs=cutoffs(0), **ASKED)
    assert set(found["method"]) == {"bg_nbd"}
    assert {"expected_purchases", "expected_value", "purchases", "total purchases", "track", "value"} <= set(
        found["column"]
    )


@pytest.mark.parametrize("asked", [{"recalibrate": "pit"}, {"recalibrate": "conformal"}, {"combine": True}])
def test_learning_from_outcomes_that_had_not_ended_is_found(asked, monkeypatch):
    # Horizons of 6 weeks from cut-offs 3 weeks apart overlap; with 12 weeks between the first two, some may be used.
    asked = {"methods": ["bg_nbd", "marginal"], "cutoffs": cutoffs(15, 3, 0), **ASKED, **asked, "amount": None}
    assert find_leaks(SIM.log, **asked).empty
    monkeypatch.setattr(second_stage, "past_vintages", lambda vintages, position, horizon: list(range(position)))
    found = find_leaks(SIM.log, **asked)
    assert set(found["cutoff"]) == {str(SIM.observation_end)}
    derived = {"combination"} if "combine" in asked else {"bg_nbd_recalibrated", "marginal_recalibrated"}
    assert set(found["method"]) <= derived
    assert len(found)


def test_a_learner_whose_outcomes_reach_beyond_the_cutoff_is_found(monkeypatch):
    """As if a learner counted its outcome windows back from four weeks after the cut-off."""
    whole = {}
    until, real = PurchaseLog.until, training.earlier_vintages

    def remember(log, moment):
        whole["rows"] = log.rows
        return until(log, moment)

    def late(rfm, log, horizon, n):
        at = rfm.observation_end + pd.Timedelta(weeks=4)
        rows = whole["rows"][whole["rows"]["date"] < pd.Timestamp(at) + pd.Timedelta(days=1)]
        return real(pc.RFMSummary.from_transactions(rows, observation_end=at), rows, horizon, n)

    asked = {**ASKED, "methods": ["linear", "naive"], "cutoffs": cutoffs(0), "amount": None}
    monkeypatch.setattr(PurchaseLog, "until", remember)
    assert find_leaks(SIM.log, **asked).empty
    monkeypatch.setattr(training, "earlier_vintages", late)
    found = find_leaks(SIM.log, **asked)
    assert set(found["method"]) == {"linear"}
    assert "expected_purchases" in set(found["column"])


def test_a_learner_that_is_given_later_rows_refuses(monkeypatch):
    monkeypatch.setattr(PurchaseLog, "until", lambda log, moment: log.rows)
    with pytest.raises(pc.errors.FitError, match=r"rows lie after the cut-off .* would leak"):
        find_leaks(SIM.log, methods=["linear"], cutoffs=cutoffs(0), **ASKED)


class Oracle(Recent):
    """Has the outcomes from elsewhere: from a variable that follows the log of the day."""

    def predict(self, rfm, log, horizon):
        return {"expected_purchases": np.random.default_rng().random(len(rfm))}


def test_a_method_that_differs_from_run_to_run_is_not_cleared():
    found = find_leaks(SIM.log, methods=[Oracle()], cutoffs=cutoffs(0), **ASKED)
    assert found["customers"].tolist() == [len(np.unique(SIM.log.loc[SIM.log["date"] < "2024-12-30", "customer_id"]))]


class Shifty(Recent):
    """Says more, or fails, depending on what it was given."""

    def __init__(self, fails):
        self.fails = fails

    def predict(self, rfm, log, horizon):
        found = super().predict(rfm, log, horizon)
        if log["amount"].max() > SIM.log["amount"].max():
            if self.fails:
                raise ValueError
            found["totals"] = {"purchases": np.ones(3)}
        return found


def test_what_is_said_only_once_is_a_leak(monkeypatch):
    monkeypatch.setattr(PurchaseLog, "until", lambda log, moment: log.rows)
    real = leaks._alter
    monkeypatch.setattr(leaks, "_alter", lambda rows, cutoff: real(rows, cutoff).assign(amount=1e6))
    found = find_leaks(
        SIM.log, methods={"more": Shifty(False), "fails": Shifty(True), "zero": "zero"}, cutoffs=cutoffs(0), **ASKED
    )
    assert ("more", "total purchases") in set(zip(found["method"], found["column"], strict=True))
    assert ("fails", "expected_purchases") in set(zip(found["method"], found["column"], strict=True))
    assert "zero" not in set(found["method"])


class Broken(Recent):
    def fit(self, rfm, log):
        raise ValueError("no")


def test_what_did_not_run_is_not_cleared():
    with pytest.warns(
        DataQualityWarning, match="Nothing is known of leaks at cut-offs where these did not run: Broken"
    ):
        assert find_leaks(SIM.log, methods=[Broken(), "zero"], cutoffs=cutoffs(0), **ASKED).empty
