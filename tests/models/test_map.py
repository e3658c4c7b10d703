"""Posteriors under priors through the public models: units, gate, warnings, storage, forecasts."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

import predclv as pc
from predclv.errors import ConvergenceWarning, DependenceWarning, ModelFileError, UnitError
from predclv.inference.posterior import Draws
from predclv.priors import Gamma, LogNormal, elicit_purchases, elicit_retention, elicit_spend

MODELS = [pc.BGNBD, pc.GammaGamma]


@pytest.fixture(autouse=True)
def _dependence_is_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        yield


@pytest.fixture(scope="module")
def fitted(cdnow):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        return {model: model(method="map").fit(cdnow) for model in MODELS}


def rescaled(rfm, *, time_unit="week", steps=1.0, money=1.0, currency=None):
    table = rfm.to_pandas().assign(
        recency=rfm.recency * steps, T=rfm.T * steps, monetary_value=rfm.monetary_value * money
    )[["customer_id", "frequency", "recency", "T", "monetary_value"]]
    return pc.RFMSummary.from_frame(table, time_unit=time_unit, currency=currency)


@pytest.mark.parametrize("model", MODELS)
def test_the_data_outweigh_the_default_priors_on_cdnow(model, fitted, cdnow):
    found, expected = fitted[model].posterior_, model().fit(cdnow).posterior_
    shift = np.log(found.point_array / expected.point_array)
    assert (np.abs(shift) < 0.4 * np.sqrt(np.diag(expected.covariance_unconstrained))).all()
    diagnostics = found.diagnostics
    assert diagnostics["k_hat"] < 0.3
    assert diagnostics["effective_sample_size"] > 3000
    assert diagnostics["gate"] == "passed"
    assert diagnostics["log_likelihood"] < expected.diagnostics["log_likelihood"]


@pytest.mark.parametrize("model", MODELS)
def test_leading_draws_repeat_all(model, fitted):
    draws = np.log(fitted[model].posterior_.draws_array())
    leading = draws[:64]
    # 64 independent draws would have standard errors of 0.125 and 9 %.
    np.testing.assert_allclose((leading.mean(axis=0) - draws.mean(axis=0)) / draws.std(axis=0), 0.0, atol=0.1)
    np.testing.assert_allclose(leading.std(axis=0) / draws.std(axis=0), 1.0, atol=0.1)


@pytest.mark.parametrize(("time_unit", "steps"), [("day", 7.0), ("year", 7 / 365.25), ("hour", 168.0)])
def test_time_units_change_nothing_but_units(time_unit, steps, fitted, cdnow):
    other = pc.BGNBD(method="map").fit(rescaled(cdnow, time_unit=time_unit, steps=steps)).posterior_
    unit = np.array([1, steps, 1, 1])
    np.testing.assert_allclose(other.point_array, fitted[pc.BGNBD].posterior_.point_array * unit, rtol=1e-6)
    np.testing.assert_allclose(other.draws_array(), fitted[pc.BGNBD].posterior_.draws_array() * unit, rtol=1e-6)


def test_cents_change_nothing_but_units(fitted, cdnow):
    other = pc.GammaGamma(method="map").fit(rescaled(cdnow, money=100.0)).posterior_
    unit = np.array([1, 1, 100])
    np.testing.assert_allclose(other.point_array, fitted[pc.GammaGamma].posterior_.point_array * unit, rtol=1e-6)
    np.testing.assert_allclose(other.draws_array(), fitted[pc.GammaGamma].posterior_.draws_array() * unit, rtol=1e-6)


def test_a_prior_in_weeks_means_the_same_in_days(cdnow):
    priors = {"alpha": LogNormal(20.0, 0.2, unit="week")}
    weeks = pc.BGNBD(method="map", priors=priors).fit(cdnow)
    days = pc.BGNBD(method="map", priors=priors).fit(rescaled(cdnow, time_unit="day", steps=7.0))
    assert days.posterior_.point["alpha"] == pytest.approx(7 * weeks.posterior_.point["alpha"], rel=1e-6)
    assert weeks.posterior_.point["alpha"] > 4.6  # drawn up from 4.4
    assert days.priors_["alpha"].median == pytest.approx(140.0)


def test_currencies_must_agree(cdnow):
    priors = elicit_spend((10, 80), currency="EUR")
    with pytest.raises(UnitError, match="'EUR' and the summary in 'USD'"):
        pc.GammaGamma(method="map", priors=priors).fit(rescaled(cdnow, currency="USD"))
    pc.GammaGamma(method="map", priors=priors).fit(rescaled(cdnow, currency="EUR"))


def test_spend_stays_above_one(cdnow):
    model = pc.GammaGamma(method="map", priors={"q": LogNormal(1.05, 0.5, above=1.0)}).fit(cdnow)
    assert model.posterior_.parameters[1].above == 1.0
    assert model.posterior_.draws["q"].min() > 1.0
    with pytest.raises(ValueError, match="'q' reaches below 1"):
        pc.GammaGamma(method="map", priors={"q": LogNormal(3.0, 0.5)}).fit(cdnow)


def test_expectations_average_over_the_draws(fitted, cdnow):
    model = fitted[pc.BGNBD]
    averaged = model.expected_purchases(cdnow, 39)["expected_purchases"]
    by_hand = model.bindings.expected_purchases(
        cdnow.frequency.astype(float)[:50], cdnow.recency[:50], cdnow.T[:50], 39.0, model.posterior_.draws_array()
    ).mean(axis=0)
    np.testing.assert_allclose(averaged[:50], by_hand, rtol=1e-9)
    point = model.expected_purchases(cdnow, 39, estimate="point")["expected_purchases"]
    assert not np.allclose(point, averaged, rtol=1e-4)
    table = model.predict(cdnow, 39)
    assert (table["purchases_low"] <= table["purchases_high"]).all()


def test_summary_is_the_draws(fitted):
    for model in fitted.values():
        draws, table = model.posterior_.draws, model.summary.set_index("parameter")
        np.testing.assert_allclose(table["std_error"], draws.std(ddof=0))
        np.testing.assert_allclose(table["low"], draws.quantile(0.05))
        np.testing.assert_allclose(table["high"], draws.quantile(0.95))
        assert (table["low"] < table["estimate"]).all()
        assert (table["estimate"] < table["high"]).all()


def test_round_trip(fitted, cdnow, tmp_path):
    priors = {"alpha": Gamma(10.0, 2.0, unit="week")}
    own = pc.BGNBD(method="map", priors=priors).fit(cdnow)  # saved before any draw was asked for
    for name, model in {"own": own, "spend": fitted[pc.GammaGamma]}.items():
        model.save(tmp_path / name)
        again = pc.load(tmp_path / name)
        assert again.get_params() == model.get_params()
        assert again.priors_ == model.priors_
        assert again.posterior_.diagnostics == model.posterior_.diagnostics
        assert again.posterior_.diagnostics["gate"] == "passed"
        assert again.posterior_.parameters == model.posterior_.parameters
        np.testing.assert_array_equal(again.posterior_.draws_array(), model.posterior_.draws_array())
        pd.testing.assert_frame_equal(again.summary, model.summary)
        pd.testing.assert_frame_equal(again.priors_table(), model.priors_table())
    manifest = json.loads((tmp_path / "own" / "model.json").read_text())
    manifest["priors"]["alpha"]["family"] = "Flat"
    (tmp_path / "own" / "model.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelFileError, match="damaged"):
        pc.load(tmp_path / "own")


def test_value_over_both(fitted, cdnow, tmp_path):
    clv = pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map")).fit(cdnow)
    table, total = clv.predict(cdnow, "39 weeks"), clv.portfolio(cdnow, "39 weeks").iloc[-1]
    # The total's mean is that of 256 draws.
    assert total["expected_clv"] == pytest.approx(table["expected_clv"].sum(), rel=0.02)
    reference = pc.CLV().fit(cdnow).portfolio(cdnow, "39 weeks").iloc[-1]
    assert total["expected_clv"] == pytest.approx(reference["expected_clv"], rel=0.03)
    clv.save(tmp_path / "clv")
    pd.testing.assert_frame_equal(pc.load(tmp_path / "clv").predict(cdnow, "39 weeks"), table)


def test_priors_are_printed(cdnow):
    model = pc.BGNBD(method="map", priors={"r": LogNormal(0.5, 0.3)})
    table = model.priors_table()
    assert table["prior"].tolist()[:2] == [
        "LogNormal(median 0.5, spread 0.3)",
        "LogNormal(median 0.4, spread 1.5; in age)",
    ]
    resolved = model.priors_table(cdnow).set_index("parameter")
    assert resolved.loc["alpha", "unit"] == "week"
    assert resolved.loc["alpha", "median"] == pytest.approx(0.4 * cdnow.T.mean())
    assert (resolved["low"] < resolved["median"]).all()
    pd.testing.assert_frame_equal(model.fit(cdnow).priors_table(), model.priors_table(cdnow))


def test_settings_follow_scikit_learn(cdnow):
    priors = {"r": LogNormal(0.5, 0.3)}
    model = pc.BGNBD(method="map", priors=priors)
    assert clone(model).get_params() == model.get_params()
    assert "LogNormal" in model._repr_html_()
    copied = copy.deepcopy(model.fit(cdnow))
    np.testing.assert_array_equal(copied.posterior_.draws_array(), model.posterior_.draws_array())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"method": "mle", "priors": {"r": LogNormal(1, 1)}}, ValueError, "method='mle' uses no priors"),
        ({"method": "map", "priors": {"alhpa": LogNormal(1, 1)}}, ValueError, "Did you mean 'alpha'"),
        ({"method": "map", "priors": {"alpha": "flat"}}, ValueError, "must be proper"),
        ({"method": "map", "priors": {"alpha": LogNormal(1, 1, unit="EUR")}}, ValueError, "is in 'EUR'"),
        ({"method": "nuts"}, ValueError, "'method' must be one of 'mle', 'map', 'mcmc', 'auto'"),
    ],
)
def test_wrong_settings_are_refused(settings, error, message, cdnow):
    with pytest.raises(error, match=message):
        pc.BGNBD(**settings).fit(cdnow)


def test_auto_takes_what_the_gate_lets_through(fitted, cdnow):
    model = pc.BGNBD(method="auto").fit(cdnow)
    assert model.posterior_.method == "map"
    np.testing.assert_array_equal(model.posterior_.draws_array(), fitted[pc.BGNBD].posterior_.draws_array())


def test_auto_samples_what_it_does_not(cdnow, monkeypatch):
    bad = {"k_hat": 0.8, "disagreement_mean": 0.0, "disagreement_sd": 0.0}
    made = Draws(np.ones((1024, 4)), bad)
    monkeypatch.setattr("predclv.inference.importance.ImportanceDraws.__call__", lambda self: made)
    with pytest.warns(ConvergenceWarning, match=r"k-hat is 0.80.*so NUTS makes the draws"):
        model = pc.BGNBD(method="auto", draws=250, tune=200, progressbar=False).fit(cdnow)
    assert model.posterior_.method == "mcmc"
    assert "k-hat is 0.80" in model.posterior_.diagnostics["importance_sampling"]
    assert model.posterior_.point["r"] == pytest.approx(0.243, abs=0.004)


def test_few_customers_are_told_that_default_priors_decide(cdnow):
    few = cdnow[np.arange(60)]
    with pytest.warns(ConvergenceWarning, match=r"60 customers say little about .*b \("):
        pc.BGNBD(method="map").fit(few)
    purchases = elicit_purchases(1.5, (0.3, 5))
    chosen = {**purchases, **elicit_retention(0.6, purchases=purchases)}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pc.BGNBD(method="map", priors=chosen).fit(few).posterior_.draws_array()


def test_far_priors_are_reached(cdnow):
    """A prior a factor of 1e8 from where the data would start, and one that is all but a point."""
    with pytest.warns(ConvergenceWarning, match="default priors"):  # of a and b, at so odd an alpha
        model = pc.BGNBD(method="map", priors={"alpha": LogNormal(1e8, 0.05), "r": LogNormal(0.24, 1e-3)}).fit(cdnow)
    assert model.posterior_.point["r"] == pytest.approx(0.24, rel=0.01)
    assert np.isfinite(model.posterior_.draws_array()).all()


def test_a_closed_gate_is_saved_with_the_model(cdnow, tmp_path, monkeypatch):
    found = {"k_hat": None, "disagreement_mean": 0.0, "disagreement_sd": 0.0, "gate": "k-hat is inf"}
    made = Draws(np.full((1024, 4), 2.0), found)
    monkeypatch.setattr("predclv.inference.importance.ImportanceDraws.__call__", lambda self: made)
    pc.BGNBD(method="map").fit(cdnow).save(tmp_path / "doubtful")
    assert pc.load(tmp_path / "doubtful").posterior_.diagnostics["gate"] == "k-hat is inf"


@pytest.mark.parametrize("drawn", [False, True])
def test_fitted_models_survive_another_process(cdnow, drawn):
    model = pc.BGNBD(method="map").fit(cdnow)
    if drawn:
        model.posterior_.draws_array()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.posterior_.draws_array(), model.posterior_.draws_array())
    assert again.posterior_.diagnostics == model.posterior_.diagnostics


def test_posteriors_are_made_once(fitted):
    posterior = replace(fitted[pc.BGNBD].posterior_)
    assert posterior.draws_array() is posterior.draws_array()
    assert posterior.diagnostics["n_points"] == 4096


def test_auto_keeps_doubtful_draws_where_nuts_is_not_installed(cdnow, monkeypatch):
    bad = {"k_hat": 0.8, "disagreement_mean": 0.0, "disagreement_sd": 0.0}
    made = Draws(np.full((1024, 4), 2.0), bad)
    monkeypatch.setattr("predclv.inference.importance.ImportanceDraws.__call__", lambda self: made)
    monkeypatch.setattr("predclv.inference.chains.find_spec", lambda name: None)
    with pytest.warns(
        ConvergenceWarning, match=r"k-hat is 0.80.*needs nutpie and arviz: pip install 'predclv\[bayes\]'"
    ):
        model = pc.BGNBD(method="auto").fit(cdnow)
    assert model.posterior_.method == "map"
