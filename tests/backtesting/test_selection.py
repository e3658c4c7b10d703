"""Selection: the method that is truly best is chosen, with the evidence, and the rest is accounted for."""

from __future__ import annotations

import numpy as np
import pytest

import predclv as pc
from predclv.backtesting.distributions import Counts
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.selection import Selection, select
from predclv.errors import DataError, DataQualityWarning, FitError

ASKED = {"horizon": "13 weeks", "n_cutoffs": 2, "n_bootstrap": 100, "progressbar": False}


class Gamma:
    """Gamma rates updated by each customer's purchases: what `scale` multiplies is right for `log`."""

    def __init__(self, scale=1.0, fails=False):
        self.scale, self.fails = scale, fails

    def fit(self, rfm, log):
        if self.fails:
            raise RuntimeError("it broke")
        return self

    def predict(self, rfm, log, horizon):
        shape = 0.8 + rfm.frequency
        mean = self.scale * shape / (6.0 + rfm.T) * horizon
        return Forecast(mean, Counts.negative_binomial(mean, shape))


class Point(Gamma):
    def predict(self, rfm, log, horizon):
        return {"expected_purchases": super().predict(rfm, log, horizon).expected_purchases}


@pytest.fixture(scope="module")
def log():
    """Customers with gamma rates who never leave."""
    return pc.datasets.simulate(
        n_customers=1_500,
        parameters={"r": 0.8, "alpha": 6.0, "a": 1e-6, "b": 1.0},
        births="10 weeks",
        observed="52 weeks",
        resolution="second",
        seed=2,
    ).log


@pytest.fixture(scope="module")
def chosen(log):
    methods = {"high": Gamma(1.6), "true": Gamma(), "twin": Gamma(1.02), "point": Point(), "broken": Gamma(fails=True)}
    return select(log, methods=methods, collapse="none", recalibrate="pit", combine=True, **ASKED)


def test_the_true_method_or_one_like_it_is_chosen(chosen):
    assert isinstance(chosen, Selection)
    near = {"true", "twin", "true_recalibrated", "twin_recalibrated", "combination"}
    assert chosen.best in near
    assert set(chosen.tied) < near - {chosen.best}
    evidence = chosen.evidence.set_index("method")
    for name in evidence.index[1:]:
        assert (name in chosen.tied) == (evidence["difference_low"][name] <= 0 <= evidence["difference_high"][name])


def test_evidence_is_paired_with_the_best(chosen):
    evidence = chosen.evidence.set_index("method")
    assert list(chosen.evidence.columns) == [
        "method",
        "crps",
        "difference",
        "difference_low",
        "difference_high",
        "verdict",
    ]
    assert evidence.index[0] == chosen.best
    assert evidence["crps"].is_monotonic_increasing
    np.testing.assert_allclose(evidence["difference"], evidence["crps"] - evidence["crps"].iloc[0], atol=1e-12)
    assert evidence["verdict"].iloc[0] == "reference"
    for name in ("high", "point"):
        assert evidence["verdict"][name] == "worse"
        assert evidence["difference_low"][name] > 0
    scores = chosen.backtest.scores
    asked = (scores["metric"] == "crps") & (scores["by"] == "all") & (scores["cutoff"] == "all")
    of_backtest = scores[asked & (scores["quantity"] == "purchases")].set_index("method")["value"]
    np.testing.assert_allclose(evidence["crps"], of_backtest.reindex(evidence.index), rtol=1e-12)


def test_what_was_compared_is_said(chosen):
    # The first cut-off has nothing before it to learn from.
    assert len(chosen.cutoffs) == 1
    assert chosen.cutoffs[0] == chosen.backtest.settings["cutoffs"][1]
    assert set(chosen.left_out) == {"broken"}
    assert "it broke" in chosen.left_out["broken"]
    assert chosen.horizon == "13 weeks"
    assert repr(chosen).startswith(f"<Selection: {chosen.best} of 8 methods by CRPS of purchases, 13 weeks, 1 cut-off")


def test_without_second_stages_all_cutoffs_count(log):
    chosen = select(log, methods={"high": Gamma(1.6), "true": Gamma()}, collapse="none", **ASKED)
    assert chosen.best == "true"
    assert chosen.tied == ()
    assert len(chosen.cutoffs) == 2


def test_methods_without_the_quantity_are_left_out(log):
    chosen = select(log, methods={"true": Gamma(), "naive": "naive"}, quantity="value", amount="amount", **ASKED)
    assert chosen.best == "naive"
    assert chosen.left_out == {"true": "no forecast of value"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "worth"}, "'quantity' must be one of"),
        ({"quantity": "value"}, "needs amounts"),
        ({"horizons": ["4 weeks"]}, "select takes no 'horizons'"),
        ({"reference": "naive"}, "select takes no 'reference'"),
    ],
)
def test_bad_questions_are_refused_before_any_work(log, options, message):
    with pytest.raises(DataError, match=message):
        select(log, **options)


def test_no_method_to_choose_from_is_an_error(log):
    with pytest.raises(FitError, match="No cut-off has forecasts of value by all methods"):
        select(log, methods={"true": Gamma()}, quantity="value", amount="amount", **ASKED)


def test_a_best_that_forecasts_nothing_is_warned_of(log):
    with pytest.warns(DataQualityWarning, match="'zero' has the lowest CRPS of purchases and forecasts nothing"):
        found = select(log, methods={"high": Gamma(30.0), "zero": "zero"}, collapse="none", **ASKED)
    assert found.best == "zero"
