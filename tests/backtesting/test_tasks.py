"""Tasks: what fails is a row, processes change nothing, and methods are kept apart."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import types
import warnings

import numpy as np
import pandas as pd
import pytest
from cloudpickle import register_pickle_by_value

import predclv as pc
from predclv.backtesting import costs
from predclv.backtesting.methods import Candidate
from predclv.backtesting.plan import forecast_all, make_plan
from predclv.errors import FitError

# Other processes cannot import tests by name.
register_pickle_by_value(sys.modules[__name__])

SIM = pc.datasets.simulate(n_customers=200, births="20 weeks", holdout="20 weeks", seed=11)
ASKED = {"amount": "amount", "observation_end": SIM.end, "cutoffs": ["2024-08-01", "2024-09-29"]}


@pytest.fixture(autouse=True)
def _costs_are_rough(monkeypatch):
    # Collecting garbage before each measurement takes longer than the methods here.
    monkeypatch.setattr(costs, "_give_back", lambda: None)


class Rate:
    """Own rate times horizon."""

    def fit(self, rfm, log):
        return self

    def predict(self, rfm, log, horizon):
        return {"expected_purchases": (rfm.frequency + 0.5) / (rfm.T + 1) * horizon}


def run(methods, *, n_jobs=1, progress=None, **options):
    plan = make_plan(SIM.log, methods=methods, **{**ASKED, "horizons": ["4 weeks"], **options})
    return forecast_all(plan, n_jobs=n_jobs, progress=progress)


def rows(found, method):
    return [one for one in found.runs if one.method == method]


def numbers(forecast):
    """All numbers of a forecast, as bytes: equal to the bit, or not."""
    parts = [forecast.expected_purchases, forecast.p_purchase, forecast.expected_spend, forecast.expected_value]
    parts += [forecast.totals.get(name) for name in ("purchases", "value")]
    if forecast.purchases is not None:
        parts += [forecast.purchases.cdf, forecast.purchases.start, forecast.purchases.row]
    if forecast.value is not None:
        parts += [forecast.value.nothing, forecast.value.levels, forecast.value.quantiles, forecast.value.row]
    parts += list(forecast.track or ())
    return [None if part is None else np.ascontiguousarray(part).tobytes() for part in parts]


def same(one, other):
    assert one.keys() == other.keys()
    return all(numbers(one[key]) == numbers(other[key]) for key in one)


class Broken(Rate):
    def __init__(self, fit=None, predict=None):
        self.in_fit, self.in_predict = fit, predict

    def fit(self, rfm, log):
        if self.in_fit is not None:
            raise self.in_fit
        return self

    def predict(self, rfm, log, horizon):
        if self.in_predict is not None and str(rfm.observation_end) == "2024-08-01":
            raise self.in_predict
        return super().predict(rfm, log, horizon)


def test_what_fails_is_a_row_and_the_rest_goes_on():
    found = run(
        {
            "in fit": Broken(fit=ValueError("too  few\nrows")),
            "at one cut-off": Broken(predict=RuntimeError("odd")),
            "leaves": Broken(fit=SystemExit(3)),
            "says nothing": Broken(fit=AssertionError()),
            "out of memory": Broken(predict=MemoryError()),
            "rate": Rate(),
        }
    )
    by_method = {one.method: [(r.status, r.error) for r in rows(found, one.method)] for one in found.runs}
    assert by_method == {
        "in fit": [("failed", "ValueError: too few rows")] * 2,
        "at one cut-off": [("failed", "RuntimeError: odd"), ("ok", "")],
        "leaves": [("failed", "SystemExit: 3")] * 2,
        "says nothing": [("failed", "AssertionError")] * 2,
        "out of memory": [("failed", "MemoryError"), ("ok", "")],
        "rate": [("ok", "")] * 2,
    }
    assert {key[2] for key in found.made} == {"at one cut-off", "out of memory", "rate"}
    assert np.isnan(rows(found, "in fit")[0].fit_cpu_seconds)


def test_where_all_fail_there_is_no_result():
    with pytest.raises(FitError, match=r"No method has run: 2 of 2 failed \(first: Broken, ValueError: no\)"):
        run([Broken(fit=ValueError("no"))])


class Holder(Rate):
    """Holds what can be copied no more than sent."""

    def __init__(self):
        self.lock = threading.Lock()


def test_what_cannot_be_copied_is_a_row():
    found = run([Holder(), Rate()])
    assert [one.status for one in rows(found, "Holder")] == ["failed", "failed"]
    assert "pickle" in rows(found, "Holder")[0].error
    assert [one.status for one in rows(found, "Rate")] == ["ok", "ok"]


def test_what_cannot_be_sent_is_refused_before_work():
    with pytest.raises(TypeError, match=r"The method 'Holder' cannot be sent to another process .*Give n_jobs=1"):
        run([Broken(fit=AssertionError("was fitted")), Holder()], n_jobs=2)


class Vandal(Rate):
    """Alters all that it is given."""

    def fit(self, rfm, log):
        log["amount"] = 0.0
        log.drop(log.index, inplace=True)  # noqa: PD002
        return self

    def predict(self, rfm, log, horizon):
        found = super().predict(rfm, log, horizon)
        log.loc[:, "customer_id"] = -1
        return found


class Witness(Rate):
    def fit(self, rfm, log):
        assert len(log) > 200
        assert (log["amount"] > 0).all()
        return self

    def predict(self, rfm, log, horizon):
        assert (log["customer_id"] > 0).all()
        return super().predict(rfm, log, horizon)


def test_a_method_cannot_alter_what_others_are_given():
    found = run([Vandal(), Witness()], horizons=["2 weeks", "4 weeks"])
    assert [one.error for one in found.runs] == [""] * 4


class Counting(Rate):
    """Knows how often it was fitted."""

    times = 0

    def fit(self, rfm, log):
        self.times += 1
        self.seen = len(rfm)
        return self

    def predict(self, rfm, log, horizon):
        return {"expected_purchases": np.full(len(rfm), 1000.0 * self.times + self.seen)}


def test_each_cutoff_has_a_copy_of_its_own():
    method = Counting()
    found = run([method])
    known = [int(found.made[i, 0, "Counting"].expected_purchases[0]) for i in range(2)]
    assert known[0] > 1000
    assert [number // 1000 for number in known] == [1, 1]
    assert method.times == 0


@pytest.mark.filterwarnings("ignore:BGNBD:predclv.errors.ConvergenceWarning")
def test_without_refitting_the_first_cutoffs_fit_forecasts_from_all():
    refitted, kept = run([Counting(), "bg_nbd"]), run([Counting(), "bg_nbd"], refit=False)
    for i in range(2):
        assert (
            kept.made[i, 0, "Counting"].expected_purchases[0] == refitted.made[0, 0, "Counting"].expected_purchases[0]
        )
    assert numbers(kept.made[0, 0, "bg_nbd"]) == numbers(refitted.made[0, 0, "bg_nbd"])
    fitted = pc.BGNBD().fit(
        make_plan(SIM.log, methods=["zero"], horizons=["4 weeks"], **ASKED).vintages[0].known.learning.rfm
    )
    later = make_plan(SIM.log, methods=["zero"], horizons=["4 weeks"], **ASKED).vintages[1].known.everyone.rfm
    expected = fitted.predict(later, horizon=4)["expected_purchases"]
    np.testing.assert_allclose(kept.made[1, 0, "bg_nbd"].expected_purchases, expected, rtol=1e-9)
    assert rows(kept, "bg_nbd")[0].fit_cpu_seconds > 0
    assert rows(kept, "bg_nbd")[1].fit_cpu_seconds == 0


class Asked(Rate):
    def fit(self, rfm, log, *, horizons):
        self.horizons = horizons
        return self

    def predict(self, rfm, log, horizon):
        assert horizon in self.horizons
        return super().predict(rfm, log, horizon)


def test_a_method_may_be_told_the_horizons():
    found = run([Asked()], horizons=["4 weeks", "2 weeks"])
    assert [one.status for one in found.runs] == ["ok", "ok"]
    assert len(found.runs[0].forecasts) == 2


class Talkative(Rate):
    def fit(self, rfm, log):
        warnings.warn("Mind\n the gap.", UserWarning, stacklevel=1)
        warnings.warn("Mind the gap.", UserWarning, stacklevel=1)
        warnings.warn("use other things", DeprecationWarning, stacklevel=1)
        return self

    def predict(self, rfm, log, horizon):
        warnings.warn("Wide.", UserWarning, stacklevel=1)
        return {**super().predict(rfm, log, horizon), "notes": ("From notes.", "Wide.")}


def test_warnings_are_notes():
    found = run([Talkative()])
    assert [one.notes for one in found.runs] == [("Mind the gap.", "Wide.", "From notes.")] * 2
    kept = run([Talkative()], refit=False)
    assert [one.notes for one in kept.runs] == [("Mind the gap.", "Wide.", "From notes."), ("Wide.", "From notes.")]


def test_progress_is_told_of_every_task():
    said = []
    run(["zero", Rate()], progress=lambda *told: said.append(told))
    assert said == [
        (1, 4, "zero at 2024-08-01"),
        (2, 4, "Rate at 2024-08-01"),
        (3, 4, "zero at 2024-09-29"),
        (4, 4, "Rate at 2024-09-29"),
    ]


class Dice(Rate):
    """Draws from generators that everybody shares, without a seed."""

    def predict(self, rfm, log, horizon):
        return {"expected_purchases": np.random.random(len(rfm)) + random.random()}  # noqa: NPY002


def test_processes_change_nothing():
    methods = ["bg_nbd", "naive", "formula", "marginal", Dice()]
    asked = {
        "horizons": ["2 weeks", "4 weeks"],
        "recalibrate": "pit",
        "combine": True,
        "history": "sliding",
        "window": 30,
    }
    serial = run(methods, **asked)
    told = []
    parallel = run(methods, n_jobs=2, progress=lambda *said: told.append(said[:2]), **asked)
    assert same(serial.made, parallel.made)
    assert [(r.vintage, r.method, r.status, r.notes) for r in serial.runs] == [
        (r.vintage, r.method, r.status, r.notes) for r in parallel.runs
    ]
    assert told == [(i, 10) for i in range(1, 11)]
    pd.testing.assert_frame_equal(serial.recalibrations, parallel.recalibrations)
    pd.testing.assert_frame_equal(serial.weights, parallel.weights)


@pytest.mark.slow
def test_processes_change_nothing_of_what_learners_learn():
    methods = ["linear", "gradient_boosting", "random_forest"]
    assert same(run(methods).made, run(methods, n_jobs=2).made)


def test_the_shared_generators_are_put_back():
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    expected = np.random.random(), random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)
    run([Dice()])
    assert (np.random.random(), random.random()) == expected  # noqa: NPY002


class Killer(Rate):
    def fit(self, rfm, log):
        if os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("was fitted in the test's own process")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_method_that_kills_its_process_is_a_row():
    killer = Killer()
    killer.parent = os.getpid()
    found = run([killer, "naive", Rate()], n_jobs=2, cutoffs=["2024-08-01"])
    assert [one.status for one in rows(found, "Killer")] == ["failed"]
    assert "The process that ran it ended" in rows(found, "Killer")[0].error
    assert [one.status for name in ("naive", "Rate") for one in rows(found, name)] == ["ok"] * 2


def test_a_class_of_a_local_scope_works_in_several_processes():
    class Local:
        def __init__(self):
            self.weights = np.zeros(300_000)  # above the megabyte from which arrays would come as maps of files

        def fit(self, rfm, log):
            self.weights += 1.0
            return self

        def predict(self, rfm, log, horizon):
            return {"expected_purchases": rfm.frequency * horizon * self.weights[0]}

    method = Local()
    assert same(run([method]).made, run([method], n_jobs=2).made)


def test_what_cannot_be_unpacked_elsewhere_says_so():
    module = types.ModuleType("of_this_process_alone")
    exec(
        "class Here:\n    def fit(self, rfm, log): ...\n    def predict(self, rfm, log, horizon): ...", module.__dict__
    )
    sys.modules[module.__name__] = module
    try:
        found = run([module.Here(), "zero"], n_jobs=2, cutoffs=["2024-08-01"])
    finally:
        del sys.modules[module.__name__]
    assert "cannot be unpacked in another process" in rows(found, "Here")[0].error
    assert "of_this_process_alone" in rows(found, "Here")[0].error
    assert [one.status for one in rows(found, "zero")] == ["ok"]


def test_skipped_methods_stand_in_order():
    plan = make_plan(SIM.log, methods=["zero", "naive"], horizons=["4 weeks"], **ASKED)
    plan.candidates.insert(1, Candidate("absent", None, "needs absent: pip install absent"))
    found = forecast_all(plan)
    assert [(one.vintage, one.method, one.status) for one in found.runs] == [
        (i, name, status) for i in range(2) for name, status in (("zero", "ok"), ("absent", "skipped"), ("naive", "ok"))
    ]
    assert found.runs[1].error == "needs absent: pip install absent"
