"""What holds for every model: a new one is tested by being listed in MODELS.

What a kind of model needs beside that is in KINDS; a model's likelihood in its literal form is in LITERAL.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import approx_fprime
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import predclv as pc
from predclv.datasets.contracts import settle_contract_parameters
from predclv.datasets.populations import settle_parameters, settle_spend
from predclv.errors import DataError, ExtrapolationWarning, HorizonWarning
from predclv.inference.optimize import maximize
from predclv.kernels import bg_bb, bg_family, contracts, gamma_gamma, nbd, pareto_nbd
from predclv.models.base import Model
from predclv.models.likelihood import Likelihood
from predclv.parameters import to_unconstrained

FloatArray = NDArray[np.float64]

HORIZONS = (1e-6, 1.0, 13.0, 52.0, 520.0)
#: Models of opportunities, which come whole.
COUNTED = ("bg_bb",)


@dataclass(frozen=True)
class Kind:
    """Customers of a model of one kind, at known parameters, and all that the model says of customers."""

    truth: Callable[[str], dict[str, float]]
    simulate: Callable[[str, int, int], Any]
    forecast: Callable[[Any, pc.RFMSummary], pd.DataFrame]
    data: str = "an RFMSummary"


def simulate_transactions(key: str, n_customers: int, seed: int) -> pc.RFMSummary:
    lattice = None if key in COUNTED else 7
    return pc.datasets.simulate_rfm(key, n_customers=n_customers, T=(10.0, 104.0), lattice=lattice, seed=seed).rfm


def simulate_spend(key: str, n_customers: int, seed: int) -> pc.RFMSummary:
    return pc.datasets.simulate_rfm(n_customers=n_customers, T=(10.0, 104.0), seed=seed).rfm


def simulate_contract(key: str, n_customers: int, seed: int) -> pc.Subscriptions:
    return pc.datasets.simulate_contracts(key, n_customers=n_customers, observed=(0, 24), seed=seed).subs


KINDS = {
    "transactions": Kind(
        lambda key: settle_parameters(key, None), simulate_transactions, lambda model, rfm: model.predict(rfm, 13)
    ),
    "spend": Kind(lambda key: settle_spend(None), simulate_spend, lambda model, rfm: model.expected_spend(rfm)),
    "contract": Kind(
        lambda key: settle_contract_parameters(key, None),
        simulate_contract,
        lambda model, subs: model.predict(subs, 13),
        "Subscriptions",
    ),
}

#: Log-likelihood of each customer that informs the model, from a summary and the model's parameters.
LITERAL: dict[str, Callable[..., FloatArray]] = {
    "bg_nbd": lambda rfm, *theta: bg_family.log_likelihood(rfm.frequency, rfm.recency, rfm.T, *theta),
    "mbg_nbd": lambda rfm, *theta: bg_family.log_likelihood(
        rfm.frequency, rfm.recency, rfm.T, *theta, dropout_at_first=True
    ),
    "bg_cnbd": lambda rfm, *theta: bg_family.log_likelihood(
        rfm.frequency, rfm.recency, rfm.T, *theta, k=2, sum_log_itt=rfm.log_itt
    ),
    "mbg_cnbd": lambda rfm, *theta: bg_family.log_likelihood(
        rfm.frequency, rfm.recency, rfm.T, *theta, k=2, sum_log_itt=rfm.log_itt, dropout_at_first=True
    ),
    "pareto_nbd": lambda rfm, *theta: pareto_nbd.log_likelihood(rfm.frequency, rfm.recency, rfm.T, *theta),
    "nbd": lambda rfm, *theta: nbd.log_likelihood(rfm.frequency, rfm.recency, rfm.T, *theta),
    "bg_bb": lambda rfm, *theta: bg_bb.log_likelihood(rfm.frequency.astype(float), rfm.recency, rfm.T, *theta),
    "gamma_gamma": lambda rfm, *theta: gamma_gamma.log_likelihood(*rfm.repeat_spend()[:2], *theta),
    "sbg": lambda subs, *theta: contracts.log_likelihood(subs.tenure, subs.lost, *theta),
    "bdw": lambda subs, *theta: contracts.log_likelihood(subs.tenure, subs.lost, *theta),
}

#: Models without attrition.
NOBODY_LEAVES = ("nbd",)

every_model = pytest.mark.parametrize("model_class", pc.MODELS.values(), ids=pc.MODELS)
every_transaction_model = pytest.mark.parametrize(
    "model_class",
    [model for model in pc.MODELS.values() if model.KIND == "transactions"],
    ids=[key for key, model in pc.MODELS.items() if model.KIND == "transactions"],
)
every_contract_model = pytest.mark.parametrize(
    "model_class",
    [model for model in pc.MODELS.values() if model.KIND == "contract"],
    ids=[key for key, model in pc.MODELS.items() if model.KIND == "contract"],
)
in_time = {key: model for key, model in pc.MODELS.items() if key not in COUNTED and model.KIND != "contract"}
#: Those whose summaries have a unit of time, which may be another one.
every_model_in_time = pytest.mark.parametrize("model_class", in_time.values(), ids=in_time)
every_transaction_model_in_time = pytest.mark.parametrize(
    "model_class",
    [model for model in in_time.values() if model.KIND == "transactions"],
    ids=[key for key, model in in_time.items() if model.KIND == "transactions"],
)
every_spend_model = pytest.mark.parametrize(
    "model_class",
    [model for model in pc.MODELS.values() if model.KIND == "spend"],
    ids=[key for key, model in pc.MODELS.items() if model.KIND == "spend"],
)


@pytest.fixture(scope="module")
def fitted() -> Callable[[type[Model]], tuple[Any, pc.RFMSummary]]:
    """A model fitted to 3,000 customers of its own kind; each is fitted once."""
    fits: dict[str, tuple[Any, pc.RFMSummary]] = {}

    def fit(model_class: type[Model]) -> tuple[Any, pc.RFMSummary]:
        if model_class.KEY not in fits:
            rfm = KINDS[model_class.KIND].simulate(model_class.KEY, 3_000, 11)
            fits[model_class.KEY] = model_class().fit(rfm), rfm
        return fits[model_class.KEY]

    return fit


def typical_values(model_class: type[Model], n: int) -> FloatArray:
    """Parameter values drawn from the declared typical ranges, log-uniformly, (n, n_parameters)."""
    low, high = np.log(np.array([parameter.typical for parameter in model_class.PARAMETERS])).T
    return np.exp(np.random.default_rng(3).uniform(low, high, (n, len(low))))


# Every model


@every_model
def test_the_model_is_listed_under_its_key_and_declares_its_parameters(model_class):
    assert pc.MODELS[model_class.KEY] is model_class
    assert getattr(pc, model_class.__name__) is model_class
    assert model_class.KIND in KINDS
    assert set(KINDS[model_class.KIND].truth(model_class.KEY)) == {p.name for p in model_class.PARAMETERS}
    for edges in model_class.EDGES:
        for parameter, edge in edges:
            assert parameter in {p.name for p in model_class.PARAMETERS}
            assert edge in ("low", "high")


@every_model
@pytest.mark.parametrize("seed", [1, 2])
def test_parameters_are_recovered(model_class, seed):
    kind = KINDS[model_class.KIND]
    truth = kind.truth(model_class.KEY)
    model = model_class().fit(kind.simulate(model_class.KEY, 20_000, seed))
    posterior = model.posterior_
    error = to_unconstrained(model.PARAMETERS, posterior.point_array) - to_unconstrained(
        model.PARAMETERS, [truth[name] for name in posterior.names]
    )
    covariance = posterior.covariance_unconstrained
    assert (np.abs(error) < 4 * np.sqrt(np.diag(covariance))).all()
    # All together, along the ridge as across it.
    assert error @ np.linalg.solve(covariance, error) < stats.chi2.ppf(0.9999, len(error))
    # Standard errors that say something, on the log scale.
    assert np.sqrt(np.diag(covariance)).max() < 0.5


@every_model
def test_the_fast_likelihood_is_the_literal_one(model_class, fitted):
    model, rfm = fitted(model_class)
    few = rfm[:400]
    likelihood = model._likelihood(few)

    def literal(theta: FloatArray) -> float:
        return float(LITERAL[model_class.KEY](few, *theta).sum())

    for theta in typical_values(model_class, 12):
        derivatives = likelihood.derivatives(theta)
        assert derivatives.value == pytest.approx(literal(theta), rel=1e-11)
        # One-sided differences carry half a step of curvature.
        step = 1e-7 * theta
        slack = 1e-6 * np.abs(derivatives.gradient).max() + np.abs(np.diag(derivatives.hessian)) * step
        numeric = approx_fprime(theta, literal, step)
        assert (np.abs(derivatives.gradient - numeric) <= slack + 1e-8 * abs(derivatives.value) / theta).all()


@every_model
def test_the_score_is_the_mean_log_likelihood(model_class, fitted):
    model, rfm = fitted(model_class)
    literal = LITERAL[model.KEY](rfm, *model.posterior_.point_array)
    assert model.score(rfm) == pytest.approx(literal.mean(), rel=1e-11)
    assert model.posterior_.diagnostics["log_likelihood"] == pytest.approx(literal.sum(), rel=1e-11)
    assert model.posterior_.diagnostics["n_observations"] == len(literal)


@every_model
def test_the_order_of_customers_does_not_matter(model_class, fitted):
    model, rfm = fitted(model_class)
    shuffled = model_class().fit(rfm[np.random.default_rng(8).permutation(len(rfm))])
    np.testing.assert_allclose(shuffled.posterior_.point_array, model.posterior_.point_array, rtol=1e-9)


@every_model_in_time
def test_another_unit_is_the_same_model(model_class, fitted):
    model, rfm = fitted(model_class)
    table = rfm.to_pandas().assign(
        recency=rfm.recency * 7, T=rfm.T * 7, monetary_value=np.asarray(rfm.monetary_value) * 100
    )
    if rfm.log_itt is not None:
        table["log_itt"] += rfm.frequency * np.log(7)
    scaled = pc.RFMSummary.from_frame(table, time_unit="day")
    factor = np.array([{"time": 7.0, "money": 100.0, None: 1.0}[p.unit] for p in model.PARAMETERS])
    other = model_class().fit(scaled)
    np.testing.assert_allclose(other.posterior_.point_array, factor * model.posterior_.point_array, rtol=1e-7)


@every_model
def test_the_summary_lies_in_the_domain(model_class, fitted):
    model, _ = fitted(model_class)
    summary = model.summary
    assert list(summary.columns) == ["parameter", "estimate", "std_error", "low", "high", "meaning"]
    assert list(summary["parameter"]) == [p.name for p in model.PARAMETERS]
    above = np.array([p.above for p in model.PARAMETERS])
    assert ((above < summary["low"]) & (summary["low"] < summary["estimate"])).all()
    assert (summary["estimate"] < summary["high"]).all()
    assert (summary["std_error"] > 0).all()
    assert summary["meaning"].str.len().min() > 10


@every_model
def test_draws_are_those_of_the_posterior(model_class, fitted):
    model, rfm = fitted(model_class)
    posterior = model.posterior_
    draws = to_unconstrained(model.PARAMETERS, posterior.draws_array())
    assert np.isfinite(draws).all()
    # Sobol points: their moments are far closer than those of independent draws.
    error = np.sqrt(np.diag(posterior.covariance_unconstrained))
    center = to_unconstrained(model.PARAMETERS, posterior.point_array)
    np.testing.assert_allclose(draws.mean(axis=0), center, atol=0.02 * error.max())
    np.testing.assert_allclose(
        np.cov(draws.T), posterior.covariance_unconstrained, rtol=0.05, atol=0.02 * error.max() ** 2
    )
    again, other = (model_class(random_state=seed).fit(rfm).posterior_.draws_array() for seed in (0, 1))
    np.testing.assert_array_equal(again, posterior.draws_array())
    assert not np.array_equal(other, posterior.draws_array())


@every_model
def test_inputs_are_left_alone(model_class, fitted):
    model, rfm = fitted(model_class)
    before, parameters = rfm.to_pandas(), model.get_params()
    model_class().fit(rfm)
    KINDS[model.KIND].forecast(model, rfm)
    model.score(rfm)
    pd.testing.assert_frame_equal(rfm.to_pandas(), before, check_exact=True)
    assert model.get_params() == parameters


@every_model
def test_scikit_learn_conventions(model_class, fitted):
    _, rfm = fitted(model_class)
    model = model_class(random_state=5)
    copy = clone(model)
    assert copy is not model
    defaults = {"method": "mle", "priors": None, "segment": None, "sampler": "nutpie", "chains": 4, "draws": 1000}
    settings = model.get_params()
    assert copy.get_params() == settings
    shared = {**defaults, "tune": 500, "progressbar": True, "random_state": 5}
    assert {name: settings.pop(name) for name in shared} == shared
    # What a model has beside these is off; no covariates, no penalty on them.
    assert all(
        value is None or {"penalty": 0.0, "penalty_folds": 5}.get(name) == value for name, value in settings.items()
    )
    assert model_class.__name__ in model._repr_html_()
    for use in (lambda: model.summary, lambda: model.score(rfm), lambda: KINDS[model.KIND].forecast(model, rfm)):
        with pytest.raises(NotFittedError):
            use()
    assert model.fit(rfm) is model
    learnt = {name for name in vars(model) if name.endswith("_")}
    assert learnt == {"posterior_", "segments_", "priors_", "fingerprint_"}
    assert not hasattr(clone(model), "posterior_")
    with pytest.raises(ValueError, match="'method' must be one of"):
        model_class(method="guess").fit(rfm)
    with pytest.raises(TypeError, match=rf"Expected {KINDS[model.KIND].data}\. Got DataFrame"):
        model_class().fit(rfm.to_pandas())


@every_model
def test_save_and_load_are_exact(model_class, fitted, tmp_path):
    model, rfm = fitted(model_class)
    model.save(tmp_path / "model")
    again = pc.load(tmp_path / "model")
    assert type(again) is model_class
    assert again.get_params() == model.get_params()
    assert again.fingerprint_ == model.fingerprint_
    assert again.posterior_.diagnostics == model.posterior_.diagnostics
    np.testing.assert_array_equal(again.posterior_.draws_array(), model.posterior_.draws_array())
    pd.testing.assert_frame_equal(again.summary, model.summary, check_exact=True)
    forecast = KINDS[model.KIND].forecast
    pd.testing.assert_frame_equal(forecast(again, rfm), forecast(model, rfm), check_exact=True)
    assert not list(tmp_path.rglob("*.pkl"))


@every_model
def test_rows_of_the_forecast_are_the_customers(model_class, fitted):
    model, rfm = fitted(model_class)
    forecast = KINDS[model.KIND].forecast
    whole = forecast(model, rfm)
    assert (whole["customer_id"] == rfm.customer_id).all()
    pick = np.random.default_rng(2).permutation(len(rfm))[:200]
    pd.testing.assert_frame_equal(forecast(model, rfm[pick]), whole.iloc[pick].reset_index(drop=True), check_exact=True)


# Transaction models


@every_transaction_model
def test_a_fit_to_collapsed_customers_is_one_to_all(model_class, fitted):
    model, rfm = fitted(model_class)
    rows = rfm.collapsed
    assert len(rows.x) < len(rfm)
    columns = rfm.frequency.astype(float), rfm.recency, rfm.T
    bound = *columns, np.ones(len(rfm))
    each = Likelihood(
        model.PARAMETERS,
        n_observations=len(rfm),
        n_rows=len(rfm),
        evaluate=model.bindings.log_likelihood(*bound),
        make_evaluate_many=partial(model.bindings.log_likelihood_values, *bound),
        make_evaluate_gradient=partial(model.bindings.log_likelihood_gradient, *bound),
        pointwise=model.bindings.pointwise_log_likelihood,
        rows={},
        weight=bound[3],
        literal=model.bindings.literal_log_likelihood,
    )
    start = model.bindings.start(float(rfm.frequency.mean()), float(rfm.T.mean()))
    optimum = maximize(each, start)
    np.testing.assert_allclose(optimum.values, model.posterior_.point_array, rtol=1e-9)
    np.testing.assert_allclose(optimum.covariance, model.posterior_.covariance_unconstrained, rtol=1e-7)


@every_transaction_model
@pytest.mark.parametrize("estimate", ["point", "draws"])
def test_the_pmf_sums_to_one_and_its_mean_is_the_expectation(model_class, fitted, estimate):
    model, rfm = fitted(model_class)
    few = rfm[:150]
    long = model.purchase_distribution(few, 13, estimate=estimate, tail=1e-10)
    assert (long["probability"] >= 0).all()
    # Each customer's counts end where no more than the tail is left.
    pmf = long.pivot_table(index="customer_id", columns="n", values="probability", fill_value=0.0).to_numpy()
    assert len(pmf) == len(few)
    np.testing.assert_allclose(pmf.sum(axis=1), 1.0, atol=2e-10)
    mean = model.expected_purchases(few, 13, estimate=estimate)["expected_purchases"]
    # The tail's 1e-10, at counts not much larger than the last one listed, is missing.
    np.testing.assert_allclose(pmf @ np.arange(pmf.shape[1]), mean, rtol=1e-10, atol=2e-10 * pmf.shape[1])


@every_transaction_model
def test_probabilities_are_probabilities_and_agree_with_each_other(model_class, fitted):
    model, rfm = fitted(model_class)
    for estimate in ("point", "draws"):
        table = model.predict(rfm, 13, estimate=estimate)
        assert table["p_alive"].between(0, 1).all()
        # For those who are gone for sure, one minus the probability of no purchase is rounded.
        assert table["p_purchase"].between(0, table["p_alive"] + 1e-13).all()
        # At least one purchase, so its probability is at most the mean.
        assert (table["p_purchase"] <= table["expected_purchases"] + 1e-15).all()
        assert (table["purchases_low"] <= table["purchases_high"]).all()
        np.testing.assert_array_equal(table["p_alive"], model.p_alive(rfm, estimate=estimate)["p_alive"])
        expected = model.expected_purchases(rfm, 13, estimate=estimate)["expected_purchases"]
        np.testing.assert_array_equal(table["expected_purchases"], expected)


@every_transaction_model
def test_extreme_customers_have_finite_forecasts(model_class, fitted):
    model, _ = fitted(model_class)
    table = pd.DataFrame(
        {
            "frequency": [0, 0, 1, 1, 3000, 3000, 3000, 50],
            "recency": [0.0, 0.0, 1e-3, 520.0, 520.0, 1.0, 39.0, 0.1],
            "T": [0.0, 520.0, 520.0, 520.0, 520.0, 520.0, 39.0, 520.0],
        }
    )
    if model.KEY in COUNTED:
        # As many purchases as opportunities at most, of which ten years of days have 3,650.
        table["recency"] = [0.0, 0.0, 1.0, 520.0, 3650.0, 3000.0, 3000.0, 50.0]
        table["T"] = [0.0, 520.0, 520.0, 520.0, 3650.0, 3650.0, 3000.0, 520.0]
    extremes = pc.RFMSummary.from_frame(table, time_unit="week")
    with warnings.catch_warnings():
        # Far outside the fit, in age and horizon: meant.
        warnings.simplefilter("ignore", HorizonWarning)
        warnings.simplefilter("ignore", ExtrapolationWarning)
        for horizon in HORIZONS[model.KEY in COUNTED :]:
            table = model.predict(extremes, horizon)
            assert np.isfinite(table.to_numpy(dtype=float)).all()
            assert table["p_alive"].between(0, 1).all()
            assert (table["expected_purchases"] >= 0).all()
    # Who bought 3,000 times in the first of 520 weeks is gone, where anybody leaves; who bought to the end is not.
    assert table["p_alive"][5] == 1 if model.KEY in NOBODY_LEAVES else table["p_alive"][5] < 1e-9
    assert table["p_alive"][6] > 0.99


@every_transaction_model
def test_forecasts_grow_with_the_horizon(model_class, fitted):
    model, rfm = fitted(model_class)
    few = rfm[:300]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)  # ten years: meant
        tables = [model.predict(few, horizon) for horizon in HORIZONS[model.KEY in COUNTED :]]
    if model.KEY not in COUNTED:
        assert tables[0]["expected_purchases"].max() < 1e-4
        assert (tables[0]["purchases_high"] == 0).all()
    for short, long in pairwise(tables):
        assert (short["expected_purchases"] < long["expected_purchases"]).all()
        for column in ("p_purchase", "purchases_low", "purchases_high"):
            assert (short[column] <= long[column]).all()
        np.testing.assert_array_equal(short["p_alive"], long["p_alive"])


@every_transaction_model
def test_discounted_purchases_lie_between_none_and_all(model_class, fitted):
    model, rfm = fitted(model_class)
    few, theta = rfm[:300], model.thetas().draws[:4]
    columns = few.frequency.astype(float), few.recency, few.T
    plain = model.bindings.expected_purchases(*columns, 52.0, theta)
    undiscounted, mild, strong = (
        model.bindings.discounted_expected_purchases(*columns, 52.0, delta, theta) for delta in (0.0, 0.002, 0.05)
    )
    np.testing.assert_allclose(undiscounted, plain, rtol=1e-10)
    assert (mild < plain).all()
    assert (strong < mild).all()
    # Nothing is discounted by more than all of the horizon.
    assert (mild > np.exp(-0.002 * 52) * plain).all()
    endless = model.bindings.discounted_expected_purchases(*columns, np.inf, 0.002, theta)
    assert np.isfinite(endless).all()
    assert (endless > mild).all()


@every_transaction_model_in_time
def test_discounted_purchases_of_each_customer(model_class, fitted):
    model, rfm = fitted(model_class)
    few = rfm[:100]

    def discounted(horizon, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HorizonWarning)  # ten years, and for ever: meant
            table = model.discounted_expected_purchases(few, horizon, **options)
        assert list(table["customer_id"]) == list(few.customer_id)
        return table["discounted_expected_purchases"].to_numpy()

    plain = model.expected_purchases(few, 52)["expected_purchases"]
    np.testing.assert_allclose(discounted(52, discount_rate=0.0), plain, rtol=1e-10)
    # A year of 365.25 days.
    by_year, one, for_ever = (discounted(h, discount_rate=0.15) for h in (365.25 / 7, "1 year", np.inf))
    np.testing.assert_array_equal(by_year, one)
    assert ((one < model.expected_purchases(few, "1 year")["expected_purchases"]) & (one < for_ever)).all()
    assert (discounted("10 years", discount_rate=0.15) < for_ever).all()
    by_draws = discounted(52, discount_rate=0.15, estimate="draws")
    theta, delta = model.posterior_.draws_array(), np.log(1.15) * 7 / 365.25
    columns = few.frequency.astype(float), few.recency, few.T
    each = model.bindings.discounted_expected_purchases(*columns, 52.0, delta, theta)
    np.testing.assert_allclose(by_draws, each.mean(axis=0), rtol=1e-12)
    with pytest.raises(ValueError, match="An infinite horizon needs a discount rate above 0"):
        model.discounted_expected_purchases(few, "inf", discount_rate=0)
    with pytest.raises(ValueError, match=r"Got 15; did you mean 0\.15"):
        model.discounted_expected_purchases(few, 13, discount_rate=15)


@every_transaction_model_in_time
def test_who_will_still_be_there(model_class, fitted):
    model, rfm = fitted(model_class)
    few, now = rfm[:300], model.p_alive(rfm[:300])["p_alive"]
    # A moment later nobody has left who was there.
    np.testing.assert_allclose(model.p_alive(few, ahead=1e-9)["p_alive"], now, rtol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)  # ten years: meant
        later = [model.p_alive(few, ahead=ahead)["p_alive"] for ahead in (13, "26 weeks", "10 years")]
    for sooner, then in pairwise([now, *later]):
        assert ((then == sooner) if model.KEY in NOBODY_LEAVES else (then < sooner)).all()
    with pytest.raises(DataError, match="ahead=-1 must be longer than zero"):
        model.p_alive(few, ahead=-1)
    draws = model.p_alive(few, ahead=13, estimate="draws")["p_alive"]
    assert draws.between(0, 1).all()
    columns = few.frequency.astype(float), few.recency, few.T
    each = model.bindings.p_alive(*columns, model.posterior_.draws_array(), 13.0)
    np.testing.assert_allclose(draws, each.mean(axis=0), rtol=1e-12)


@every_transaction_model
def test_simulated_customers_are_there_as_often_as_said(model_class):
    truth = KINDS["transactions"].truth(model_class.KEY)
    theta = np.array([[truth[parameter.name] for parameter in model_class.PARAMETERS]])
    simulated = pc.datasets.simulate_rfm(
        model_class.KEY, n_customers=20_000, T=(10.0, 60.0), horizons=[26, 52], seed=17
    )
    rfm = simulated.rfm
    # Which kernels a model of regular buyers has, its fit says.
    bindings = (model_class(k=2).fit(rfm[:2_000]) if rfm.log_itt is not None else model_class()).bindings
    columns = rfm.frequency.astype(float), rfm.recency, rfm.T
    for ahead in (0.0, 26.0):
        p = bindings.p_alive(*columns, theta, ahead)[0]
        there = simulated.truth["left"].to_numpy() > rfm.T + ahead
        for group in (rfm.frequency == 0, rfm.frequency == 1, rfm.frequency > 1):
            error = np.sqrt((p * (1 - p))[group].sum())
            assert abs(there[group].sum() - p[group].sum()) <= 4.5 * error


@every_transaction_model
def test_a_mean_over_draws_is_the_mean_of_the_draws(model_class, fitted):
    model, rfm = fitted(model_class)
    rows, theta = rfm.collapsed, model.thetas().draws
    columns = rows.x, rows.t_x, rows.T
    for one, mean in (
        (model.bindings.p_alive(*columns, theta), model.bindings.mean_p_alive(*columns, theta)),
        (
            model.bindings.expected_purchases(*columns, 13.0, theta),
            model.bindings.mean_expected_purchases(*columns, 13.0, theta),
        ),
    ):
        assert one.shape == (len(theta), len(rows.x))
        np.testing.assert_allclose(one.mean(axis=0), mean, rtol=1e-12)


# Spend models


@every_spend_model
def test_spend_lies_between_the_customers_own_and_everyones(model_class, fitted):
    model, rfm = fitted(model_class)
    own, spend = np.asarray(rfm.monetary_value), model.expected_spend(rfm)["expected_spend"].to_numpy()
    once = rfm.frequency == 0
    assert np.ptp(spend[once]) == 0
    everyones = spend[once][0]
    assert everyones == pytest.approx(own[~once].mean(), rel=0.1)
    between = (spend - everyones) * (own - spend)
    assert (between[~once] > -1e-9 * everyones**2).all()
    # The more purchases, the more of it is the customer's own.
    weight = (spend[~once] - everyones) / (own[~once] - everyones)
    order = np.argsort(rfm.frequency[~once], kind="stable")
    assert (np.diff(weight[order]) > -1e-6).all()


# Contract models


@every_contract_model
@pytest.mark.parametrize("estimate", ["point", "draws"])
def test_the_distribution_of_renewals_sums_to_one_and_its_mean_is_the_expectation(model_class, fitted, estimate):
    model, subs = fitted(model_class)
    few = subs[:200]
    long = model.renewal_distribution(few, 13, estimate=estimate)
    assert (long["probability"] >= 0).all()
    by_customer = long.groupby("customer_id", sort=False)
    np.testing.assert_allclose(by_customer["probability"].sum(), 1.0, rtol=1e-12)
    mean = (long["n"] * long["probability"]).groupby(long["customer_id"], sort=False).sum()
    expected = model.expected_renewals(few, 13, estimate=estimate)["expected_renewals"]
    np.testing.assert_allclose(mean, expected, rtol=1e-11, atol=1e-13)
    table = model.predict(few, 13, estimate=estimate)
    np.testing.assert_array_equal(table["expected_purchases"], expected)
    none = long[long["n"] == 0].set_index("customer_id")["probability"]
    np.testing.assert_allclose(table["p_purchase"], 1.0 - none.to_numpy(), atol=1e-13)
    np.testing.assert_allclose(model.p_renew(few, estimate=estimate)["p_renew"], table["p_purchase"], rtol=1e-13)


@every_contract_model
def test_contracts_that_have_ended_are_forecast_nothing(model_class, fitted):
    model, subs = fitted(model_class)
    table = model.predict(subs, 13)
    assert (table["p_alive"] == ~subs.ended).all()
    ended = table[subs.ended]
    assert (ended[["p_purchase", "expected_purchases", "purchases_low", "purchases_high"]] == 0).all(axis=None)
    assert (table["expected_purchases"][~subs.ended] > 0).all()


@every_contract_model
def test_forecasts_of_contracts_grow_with_horizon_and_tenure(model_class, fitted):
    model, subs = fitted(model_class)
    running = subs[~subs.ended]
    tables = [model.predict(running, horizon) for horizon in (0.5, 1, 6, 24)]
    for short, long in pairwise(tables):
        for column in ("p_purchase", "expected_purchases", "purchases_low", "purchases_high"):
            assert (short[column] <= long[column]).all()
    order = np.argsort(running.tenure, kind="stable")
    lifetime = model.expected_residual_lifetime(running, discount_rate=0.10)
    for name in ("expected_residual_lifetime", "discounted_residual_lifetime"):
        # Whoever has stayed longer stays longer, in populations as these.
        assert (np.diff(lifetime[name].to_numpy()[order][np.isfinite(lifetime[name].to_numpy()[order])]) >= 0).all()


@every_contract_model
def test_a_fit_to_collapsed_contracts_is_one_to_all(model_class, fitted):
    model, subs = fitted(model_class)
    assert len(model_class()._likelihood(subs).weight) < len(subs)
    rows = subs.to_pandas().groupby(["tenure", "ended", "lost"], as_index=False)["weight"].sum()
    collapsed = pc.Subscriptions(
        customer_id=np.arange(len(rows)),
        next_renewal=np.ones(len(rows)),
        **{name: rows[name].to_numpy() for name in ("tenure", "ended", "lost", "weight")},
    )
    np.testing.assert_allclose(
        model_class().fit(collapsed).posterior_.point_array, model.posterior_.point_array, rtol=1e-12
    )
