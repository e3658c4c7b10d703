"""Segments that share strength as PyMC models: equal to what nutpie walks, for users to extend, and sampled alike."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.errors import ConvergenceWarning, DataError, DependenceWarning, FitError, SamplingWarning
from predclv.inference.hierarchy_nuts import HierarchyTarget
from predclv.inference.hyper_mode import rough_hyper_mode
from predclv.models.likelihood import Likelihood
from predclv.parameters import to_unconstrained
from predclv.priors import Gamma, LogNormal

pm = pytest.importorskip("pymc")
arviz = pytest.importorskip("arviz")

import pytensor  # noqa: E402
import pytensor.tensor as pt  # noqa: E402

from predclv.inference.pymc_hierarchy import _Segments, build_hierarchy_model  # noqa: E402
from predclv.inference.pytensor_ops import LogLikelihood  # noqa: E402

CASES = {
    "BG/NBD": (pc.BGNBD, {}),
    "BG/NBD, shifted": (pc.BGNBD, {"a": LogNormal(2.0, 1.0, above=0.3), "b": Gamma(3.0, 2.0, above=0.5)}),
    "Gamma-Gamma": (pc.GammaGamma, {"p_spread": LogNormal(0.3, 0.5)}),
}


@pytest.fixture(autouse=True)
def _some_findings_are_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        # Of the few customers here.
        warnings.filterwarnings("ignore", ".*(default priors help|fewer than 10 customers)", ConvergenceWarning)
        yield


@pytest.fixture(scope="module")
def rfm():
    """Four segments; one of them a customer who never came back, and so without spend."""
    tables = []
    for name, size, rate in (("east", 400, 0.6), ("north", 150, 0.3), ("west", 25, 0.4)):
        counts, spend = {"r": rate, "alpha": 4.4, "a": 0.8, "b": 2.4}, {"p": 6.0, "q": 4.0, "gamma": 30 * rate}
        drawn = pc.datasets.simulate_rfm(
            n_customers=size, parameters=counts, spend=spend, T=(20.0, 78.0), lattice=7, seed=size
        )
        tables.append(drawn.rfm.to_pandas().assign(region=name))
    tables.append(pd.DataFrame({"frequency": [0], "recency": [0.0], "T": [40.0], "region": ["south"]}))
    table = pd.concat(tables, ignore_index=True).assign(customer_id=range(576)).fillna({"monetary_value": 0.0})
    return pc.RFMSummary.from_frame(table, time_unit="week", carry=["region"])


def hierarchy_of(model_class, rfm, priors=None):
    model = model_class(method="map", segment="region", priors=priors or None)
    density = model._density(rfm, model._likelihood(rfm))
    hierarchy, *_ = model._hierarchy(rfm, "region", density)
    return hierarchy, model._start(rfm)


@pytest.fixture(scope="module")
def model(rfm):
    return pc.BGNBD(method="map", segment="region").to_pymc(rfm)


@pytest.mark.parametrize(("model_class", "priors"), CASES.values(), ids=CASES)
def test_both_forms_are_what_nutpie_walks(model_class, priors, rfm):
    hierarchy, start = hierarchy_of(model_class, rfm, priors)
    target = HierarchyTarget(hierarchy, rough_hyper_mode(hierarchy, start))
    evaluate = target.make_evaluate()
    assert 0 < target.share.min() + 1e-9 < 0.5 < target.share.max() < 1
    functions = []
    for form, weights in (("compiled", target.share), ("compiled", None), ("literal", None)):
        model = build_hierarchy_model(hierarchy, likelihood=form, centering=weights)
        outputs = [model.logp(), model.dlogp()]
        functions.append(model.compile_fn(outputs, inputs=model.value_vars, point_fn=False))
    partly, compiled, literal = functions
    constant = -0.5 * np.log(2 * np.pi) * target.share.size
    # A position moves h and y linearly, which the gradient is pulled back through.
    origin, ends = target.coordinates(np.zeros(target.size)), target.coordinates(np.eye(target.size))
    jacobian = np.hstack([ends[0] - origin[0], np.swapaxes(ends[1] - origin[1], 1, 2).reshape(target.size, -1)])
    for position in np.random.default_rng(1).normal(size=(12, target.size)):
        hyper, offset = target.coordinates(position)
        center, log_spread = np.split(hyper, 2)
        expected, slope = evaluate(position)
        value, gradient = partly(*hyper, *offset.T)
        assert value == pytest.approx(expected + constant, rel=1e-9)
        np.testing.assert_allclose(jacobian @ gradient, slope, rtol=1e-9, atol=1e-9 * np.abs(slope).max())
        # Of y given z, the distance in spreads: dy / dz = spread^lambda.
        distance = np.exp(-target.share * log_spread) * (offset - target.share * center)
        found = [of_distance(*hyper, *distance.T) for of_distance in (compiled, literal)]
        for value, gradient in found:
            assert value == pytest.approx(expected + constant + (target.share * log_spread).sum(), rel=1e-9)
            np.testing.assert_allclose(gradient, found[0][1], rtol=1e-9, atol=1e-9 * np.abs(found[0][1]).max())


def test_second_derivatives_are_those_of_each_segment(rfm):
    hierarchy, _ = hierarchy_of(pc.GammaGamma, rfm)
    theta, along = pt.dvectors("theta", "along")
    _, gradient = LogLikelihood(_Segments(hierarchy.likelihoods))(theta)
    products = pytensor.function([theta, along], [gradient, pytensor.grad(gradient @ along, theta)])
    values = np.array([6.0, 4.0, 15.0, 7.0, 3.0, 20.0, 5.0, 3.0, 18.0, 6.0, 5.0, 30.0])
    for s, likelihood in enumerate(hierarchy.likelihoods):
        own = slice(3 * s, 3 * s + 3)
        expected = likelihood.derivatives(values[own])
        for i in range(3):
            found, hessian = products(values, np.eye(12)[3 * s + i])
            np.testing.assert_allclose(found[own], expected.gradient, rtol=1e-9)
            np.testing.assert_allclose(hessian[own], expected.hessian[i], rtol=1e-9)
            assert np.count_nonzero(hessian) <= 3


def test_segments_are_a_dimension(model, rfm):
    parameters = ["r", "alpha", "a", "b"]
    kinds = ("center", "spread", "offset")
    assert [v.name for v in model.free_RVs] == [f"{name}_{kind}" for kind in kinds for name in parameters]
    assert list(model.coords["segment"]) == ["east", "north", "south", "west"]
    dims = model.named_vars_to_dims
    assert {dims[name] for name in (*parameters, *(f"{name}_offset" for name in parameters))} == {("segment",)}
    n_rows = len(model.coords["history"])
    for each in (model, pc.BGNBD(method="map", segment="region").to_pymc(rfm, likelihood="literal")):
        assert each["n_customers"].eval().sum() == len(rfm)
        index, customers = each["segment_index"].eval(), each["n_customers"].eval()
        assert [customers[index == i].sum() for i in range(4)] == [400, 150, 1, 25]
        assert dims["segment_index"] == ("history",)
        assert len(index) == n_rows
    spend = pc.GammaGamma(method="map", segment="region").to_pymc(rfm)
    # Who has no spend has no history of it.
    assert set(spend["segment_index"].eval()) == {0, 1, 3}
    assert pc.BGNBD().to_pymc(rfm)["r"].ndim == 0


def test_prior_draws_are_those_of_the_population(model, rfm):
    with model, pytest.warns(UserWarning, match="Potentials"):
        drawn = pm.sample_prior_predictive(2000, random_seed=3).prior
    priors = pc.BGNBD(method="map", segment="region").priors_for(rfm)
    for name in ("r", "b"):
        for ours, theirs in ((name, f"{name}_center"), (f"{name}_spread", f"{name}_spread")):
            share = np.mean(drawn[theirs].to_numpy() <= priors[ours].quantile([[0.1], [0.5], [0.9]]), axis=1)
            # Four standard errors of a share.
            assert (np.abs(share - [0.1, 0.5, 0.9]) < 4 * np.sqrt([0.09, 0.25, 0.09]) / np.sqrt(2000)).all()
        apart = (np.log(drawn[name]) - np.log(drawn[f"{name}_center"])) / drawn[f"{name}_spread"]
        assert abs(float(apart.mean())) < 4 / np.sqrt(8000)
        assert abs(float(apart.var()) - 1) < 4 * np.sqrt(2 / 8000)


def test_users_extend_and_sample_it(rfm):
    with pc.GammaGamma(method="map", segment="region").to_pymc(rfm) as model:
        mean = pm.Deterministic("mean_spend", model["p"] * model["gamma"] / (model["q"] - 1), dims="segment")
        pm.Normal("survey", mu=mean[3], sigma=20.0, observed=15.0)
        traced = pm.sample(
            draws=40, tune=60, chains=2, cores=1, random_seed=1, progressbar=False, compute_convergence_checks=False
        )
    posterior = traced.posterior
    assert posterior["mean_spend"].sel(segment="west").shape == (2, 40)
    assert list(arviz.summary(traced, var_names=["q"]).index) == [f"q[{s}]" for s in ("east", "north", "south", "west")]
    assert traced.constant_data["segment_index"].dims == ("history",)


def test_data_of_the_literal_form_can_be_changed(rfm):
    literal = pc.GammaGamma(method="map", segment="region").to_pymc(rfm, likelihood="literal")
    evaluate = literal.compile_fn(literal.potentiallogp)
    once = evaluate(literal.initial_point())
    pm.set_data({"n_customers": 2 * literal["n_customers"].get_value()}, model=literal)
    assert evaluate(literal.initial_point()) == pytest.approx(2 * once, rel=1e-14)


def test_what_fit_refuses_is_refused(rfm):
    with pytest.raises(ValueError, match=r"'compiled' or 'literal'\. Got 'fast'"):
        pc.BGNBD(method="map", segment="region").to_pymc(rfm, likelihood="fast")
    with pytest.raises(ValueError, match="segment= needs method='map'"):
        pc.BGNBD(segment="region").to_pymc(rfm)
    with pytest.raises(DataError, match="country"):
        pc.BGNBD(method="map", segment="country").to_pymc(rfm)


# Sampling


def mean_and_sd(posterior):
    """Of each unconstrained parameter: mean and sd over the chains, each with its Monte Carlo standard error."""
    draws = to_unconstrained(posterior.parameters, posterior.chains.values)
    rows = []
    for column in np.moveaxis(draws, -1, 0):
        mean, sd, squared = column.mean(), column.std(), (column - column.mean()) ** 2
        errors = [part.std() / np.sqrt(arviz.ess(part, method="mean")) for part in (column, squared)]
        rows.append((mean, errors[0], sd, errors[1] / (2 * sd)))
    return np.array(rows).T


@pytest.mark.slow
# Short chains, which are judged here.
@pytest.mark.filterwarnings("ignore:.*the chains are doubtful:predclv.errors.SamplingWarning")
@pytest.mark.parametrize(("model_class", "sampler"), [(pc.BGNBD, "pymc"), (pc.GammaGamma, "numpyro")])
def test_samplers_agree(model_class, sampler, rfm):
    nutpie, other = (
        model_class(
            method="mcmc", sampler=which, segment="region", progressbar=False, draws=400, tune=400, random_state=5
        ).fit(rfm)
        for which in ("nutpie", sampler)
    )
    for one, two in zip(nutpie.posteriors().values(), other.posteriors().values(), strict=True):
        assert [p.name for p in one.parameters] == [p.name for p in two.parameters]
        moments = [mean_and_sd(posterior) for posterior in (one, two)]
        for i in (0, 2):
            error = np.hypot(*(each[i + 1] for each in moments))
            # Some 20 parameters, twice.
            assert (np.abs(moments[0][i] - moments[1][i]) / error).max() < 4.5
    diagnostics = other.posterior_.diagnostics
    assert diagnostics["sampler"] == sampler
    # A path in some hundreds may run into the narrow corner, where segments are nearly alike.
    assert diagnostics["n_divergences"] < 8
    assert diagnostics["n_starts_moved"] == 0
    assert diagnostics["worst_r_hat"] < 1.03
    assert diagnostics["least_ess_bulk"] > 200


def quick(sampler="pymc", **settings):
    return pc.GammaGamma(
        method="mcmc", sampler=sampler, segment="region", chains=2, draws=20, tune=30, progressbar=False, **settings
    )


def test_a_seed_settles_the_draws_and_short_chains_are_told_of(rfm):
    made = []
    for seed in (3, 3, 4):
        with pytest.warns(SamplingWarning, match="GammaGamma: the chains are doubtful: .*effective sample size"):
            made.append(quick(random_state=seed).fit(rfm))
    values = [np.concatenate([p.chains.values for p in each.posteriors().values()], axis=-1) for each in made]
    assert values[0].shape == (2, 20, 6 + 4 * 3)
    np.testing.assert_array_equal(values[0], values[1])
    assert not np.array_equal(values[0], values[2])
    assert not np.array_equal(values[0][0], values[0][1])
    statistics = made[0].posterior_.chains.statistics
    assert {"lp", "energy", "diverging", "n_steps", "step_size", "acceptance_rate"} <= set(statistics)
    assert {statistic.shape for statistic in statistics.values()} == {(2, 20)}


def test_an_error_in_the_density_is_a_failed_fit(rfm, monkeypatch):
    make, calls = Likelihood.make_gradient, []

    def make_failing(self):
        evaluate = make(self)

        def failing(values):
            calls.append(1)
            if len(calls) > 300:
                raise ArithmeticError("the abacus broke")
            return evaluate(values)

        return failing

    monkeypatch.setattr(Likelihood, "make_gradient", make_failing)
    with pytest.raises(FitError, match=r"GammaGamma: the sampler failed: the abacus broke.*method='map'"):
        quick().fit(rfm)


@pytest.mark.parametrize("sampler", ["nutpie", "pymc", "numpyro"])
def test_a_density_that_is_nowhere_finite_is_a_failed_fit(sampler, rfm, monkeypatch):
    nowhere = lambda self: lambda values: (-np.inf, np.zeros(len(values)))  # noqa: E731
    monkeypatch.setattr(Likelihood, "make_gradient", nowhere)
    with pytest.raises(FitError, match="GammaGamma: the sampler failed: the log density is not finite at a start"):
        quick(sampler).fit(rfm)
