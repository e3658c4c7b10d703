"""Posteriors as PyMC models: equal to ours in value and gradient, and for users to extend."""

from __future__ import annotations

import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.inference.log_density import unconstrained_derivatives
from predclv.inference.log_posterior import LogPosterior
from predclv.parameters import from_unconstrained
from predclv.priors import Gamma, LogNormal
from predclv.priors.settle import supported

pm = pytest.importorskip("pymc")
import pytensor  # noqa: E402
import pytensor.tensor as pt  # noqa: E402

from predclv.inference.pymc import build_model  # noqa: E402
from predclv.inference.pytensor_ops import PYTENSOR, LogLikelihood  # noqa: E402

FORMS = ("compiled", "literal")
# Heavy buyers, buyers of one time, an age of zero, cents and millions.
EXTREMES = pd.DataFrame(
    [
        (0, 0.0, 0.0, 0.0),
        (0, 0.0, 39.0, 0.0),
        (0, 0.0, 3650.0, 0.0),
        (1, 0.5, 3650.0, 0.01),
        (1, 30.0, 30.0, 20.0),
        (2, 39.0, 39.0, 8e6),
        (5, 10.0, 730.0, 35.0),
        (30, 700.0, 730.0, 3.0),
        (300, 3650.0, 3650.0, 120.0),
        (3000, 1200.0, 3650.0, 0.5),
    ],
    columns=["frequency", "recency", "T", "monetary_value"],
)
CASES = {
    "BG/NBD": (pc.BGNBD, {}),
    "BG/NBD, shifted": (pc.BGNBD, {"a": LogNormal(2.0, 1.0, above=0.3), "b": Gamma(3.0, 2.0, above=0.5)}),
    "BG/NBD, gamma": (pc.BGNBD, {"r": Gamma(0.5, 1.5), "alpha": Gamma(1.5, 0.7, unit="age")}),
    "Gamma-Gamma": (pc.GammaGamma, {}),
    "Gamma-Gamma, shifted": (pc.GammaGamma, {"q": Gamma(4.0, 3.0, above=1.5)}),
}


def posterior_of(model_class, rfm, priors=None):
    model = model_class(method="map", priors=priors)
    settled = model.priors_for(rfm)
    return LogPosterior(model._likelihood(rfm), settled, supported(model.PARAMETERS, settled))


@pytest.fixture(scope="module")
def extremes():
    return pc.RFMSummary.from_frame(EXTREMES, time_unit="day")


@pytest.fixture(scope="module")
def rfm():
    return pc.datasets.simulate_rfm("bg_nbd", n_customers=300, T=(10.0, 104.0), lattice=7, seed=1).rfm


@pytest.fixture(scope="module")
def model(rfm):
    return pc.BGNBD().to_pymc(rfm)


def test_the_arrays_of_pytensor_do_as_those_of_numpy():
    one, other = pt.dvectors("one", "other")
    apart = PYTENSOR.logaddexp(one, other)
    gradient = pytensor.grad(apart.sum(), [one, other])
    values = np.array([-1e6, -800.0, 0.0, 0.0, 3.0, 800.0]), np.array([-10.0, -801.0, 0.0, -40.0, 3.5, -1e6])
    found, *slopes = (np.asarray(f) for f in pytensor.function([one, other], [apart, *gradient])(*values))
    np.testing.assert_allclose(found, np.logaddexp(*values), rtol=1e-14)
    np.testing.assert_allclose(slopes[0], np.exp(values[0] - np.logaddexp(*values)), rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(np.add(*slopes), 1.0, rtol=1e-14)


def test_the_derivative_of_log_gamma_has_all_digits():
    from scipy.special import gammaln, psi

    x = pt.dvector("x")
    value = PYTENSOR.gammaln(x)
    at = np.exp(np.linspace(-14, 12, 200))
    found, slope = pytensor.function([x], [value, pytensor.grad(value.sum(), x)])(at)
    np.testing.assert_allclose(found, gammaln(at), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(slope, psi(at), rtol=1e-14)


@pytest.mark.parametrize(("model_class", "priors"), CASES.values(), ids=CASES)
def test_both_forms_are_the_log_posterior(model_class, priors, extremes):
    density = posterior_of(model_class, extremes, priors)
    evaluate = {}
    for form in FORMS:
        model = build_model(density, likelihood=form)
        outputs = [model.logp(), model.dlogp()]
        evaluate[form] = model.compile_fn(outputs, inputs=model.value_vars, point_fn=False)
    for u in np.random.default_rng(1).uniform(-5, 5, (40, len(density.parameters))):
        expected = unconstrained_derivatives(density, u)
        value = density.values(from_unconstrained(density.parameters, u)[np.newaxis])[0]
        for form in FORMS:
            found, gradient = evaluate[form](*u)
            assert found == pytest.approx(value, rel=1e-10)
            np.testing.assert_allclose(gradient, expected.gradient, rtol=1e-9)


@pytest.mark.parametrize("model_class", [pc.BGNBD, pc.GammaGamma])
def test_both_likelihoods_are_equal_on_the_natural_scale(model_class, extremes):
    likelihood = model_class()._likelihood(extremes)
    theta = pt.dvector("theta")
    parts = [theta[i] for i in range(len(likelihood.parameters))]
    literal = pt.sum(likelihood.weight * likelihood.literal(*likelihood.rows.values(), *parts, xp=PYTENSOR))
    both = [literal, LogLikelihood(likelihood)(theta)[0]]
    evaluate = pytensor.function([theta], [*both, *(pytensor.grad(one, theta) for one in both)])
    low, high = np.log([p.typical for p in likelihood.parameters]).T
    for values in np.exp(np.random.default_rng(2).uniform(low - 3, high + 3, (40, len(low)))):
        literal_value, value, literal_gradient, gradient = evaluate(values)
        assert value == pytest.approx(literal_value, rel=1e-9)
        np.testing.assert_allclose(gradient, literal_gradient, rtol=1e-9)
        np.testing.assert_allclose(gradient, likelihood.derivatives(values).gradient, rtol=1e-9)


@pytest.mark.parametrize("model_class", [pc.BGNBD, pc.GammaGamma])
def test_second_derivatives_are_the_hessian(model_class, rfm):
    density = posterior_of(model_class, rfm)
    model = build_model(density)
    u = np.log([np.sqrt(np.prod(p.typical)) for p in density.parameters])
    point = dict(zip((v.name for v in model.value_vars), u, strict=True))
    found = model.compile_d2logp(negate_output=False)(point)
    np.testing.assert_allclose(found, unconstrained_derivatives(density, u).hessian, rtol=1e-9)
    with pytest.raises(pytensor.gradient.NullTypeGradError, match="likelihood='literal'"):
        [hessian] = [LogLikelihood(density.likelihood)(theta := pt.dvector())[0]]
        pytensor.grad(pytensor.gradient.hessian(hessian, theta).sum(), theta)


def test_where_nothing_is_finite_a_sampler_turns_back():
    nowhere = SimpleNamespace(make_gradient=lambda: lambda values: (np.nan, np.full(2, np.inf)))
    theta = pt.dvector()
    value, gradient = pytensor.function([theta], list(LogLikelihood(nowhere)(theta)))(np.ones(2))
    assert value == -np.inf
    np.testing.assert_array_equal(gradient, 0.0)


def test_ops_are_equal_where_their_likelihood_is_one(rfm):
    one, other = (pc.BGNBD()._likelihood(rfm) for _ in range(2))
    assert LogLikelihood(one) == LogLikelihood(one)
    assert hash(LogLikelihood(one)) == hash(LogLikelihood(one))
    assert LogLikelihood(one) != LogLikelihood(other)
    theta = pt.dvector()
    shapes = pytensor.function([theta], [o.shape for o in LogLikelihood(one)(theta)], on_unused_input="ignore")
    assert [tuple(shape) for shape in shapes(np.ones(4))] == [(), (4,)]
    # A pickle forgets what is prepared for many calls, and knows how to prepare it again.
    op = LogLikelihood(one)
    evaluate = pytensor.function([theta], op(theta)[0])
    expected = evaluate(np.ones(4))
    again = pickle.loads(pickle.dumps(op))
    assert pytensor.function([theta], again(theta)[0])(np.ones(4)) == expected


def test_parameters_have_names_and_rows_a_dimension(model, rfm):
    assert [v.name for v in model.free_RVs] == ["r", "alpha", "a", "b"]
    n_rows = len(rfm.collapsed.x)
    assert {name: len(values) for name, values in model.coords.items()} == {"history": n_rows}
    literal = pc.BGNBD().to_pymc(rfm, likelihood="literal")
    for each in (model, literal):
        assert list(each.named_vars_to_dims) == ["frequency", "recency", "T", "n_customers"]
        assert each["n_customers"].eval().sum() == len(rfm)
        assert [p.name for p in each.potentials] == ["log_likelihood"]
    spend = pc.GammaGamma().to_pymc(rfm)
    assert [v.name for v in spend.free_RVs] == ["p", "q", "gamma"]
    assert list(spend.named_vars_to_dims) == ["frequency", "monetary_value", "n_customers"]


def test_data_of_the_literal_form_can_be_changed_and_of_the_compiled_one_cannot(model, rfm):
    literal = pc.BGNBD().to_pymc(rfm, likelihood="literal")
    evaluate = literal.compile_fn(literal.potentiallogp, inputs=literal.value_vars, point_fn=False)
    once = evaluate(*np.zeros(4))
    pm.set_data({"n_customers": 2 * literal["n_customers"].get_value()}, model=literal)
    assert evaluate(*np.zeros(4)) == pytest.approx(2 * once, rel=1e-14)
    with pytest.raises(TypeError, match="n_customers"):
        pm.set_data({"n_customers": np.ones(len(rfm.collapsed.x))}, model=model)


def test_any_method_gives_the_model_of_its_priors(rfm):
    evaluate = [
        pc.BGNBD(method=method).to_pymc(rfm).compile_logp()({f"{name}_log__": 0.1 for name in ("r", "alpha", "a", "b")})
        for method in ("mle", "map", "mcmc")
    ]
    assert evaluate[0] == evaluate[1] == evaluate[2]
    own = pc.BGNBD(method="map", priors={"r": Gamma(1.0, 2.0)}).to_pymc(rfm)
    assert own["r"].owner.op.name == "gamma"


def test_what_fit_refuses_is_refused(rfm):
    with pytest.raises(ValueError, match=r"'compiled' or 'literal'\. Got 'fast'"):
        pc.BGNBD().to_pymc(rfm, likelihood="fast")
    with pytest.raises(TypeError, match="Expected an RFMSummary"):
        pc.BGNBD().to_pymc(rfm.to_pandas())
    with pytest.raises(ValueError, match="'method' must be"):
        pc.BGNBD(method="guess").to_pymc(rfm)
    with pytest.raises(pc.errors.DataError, match="All 182 customers bought once"):
        pc.BGNBD().to_pymc(rfm[rfm.frequency == 0])


def test_without_pymc_it_says_what_to_install(rfm, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymc", None)
    monkeypatch.delitem(sys.modules, "predclv.inference.pymc")
    with pytest.raises(ImportError, match=r"to_pymc needs pymc: pip install 'predclv\[bayes\]'"):
        pc.BGNBD().to_pymc(rfm)


@pytest.mark.parametrize("model_class", [pc.BGNBD, pc.GammaGamma])
def test_prior_draws_are_those_of_the_priors(model_class, rfm):
    model = model_class()
    with model.to_pymc(rfm), pytest.warns(UserWarning, match="Potentials"):
        drawn = pm.sample_prior_predictive(4000, random_seed=3).prior
    for name, prior in model.priors_for(rfm).items():
        share = np.mean(drawn[name].to_numpy() <= prior.quantile([[0.1], [0.5], [0.9]]), axis=1)
        # Four standard errors of a share.
        assert (np.abs(share - [0.1, 0.5, 0.9]) < 4 * np.sqrt([0.09, 0.25, 0.09]) / np.sqrt(4000)).all()


@pytest.mark.parametrize("cores", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_users_extend_and_sample_it(cores, rfm):
    import arviz as az

    with pc.BGNBD().to_pymc(rfm) as model:
        rate = pm.Deterministic("mean_rate", model["r"] / model["alpha"])
        pm.Normal("survey", mu=rate, sigma=1.0, observed=0.1)
        pm.Normal("other", shape=2)
        options = {"mp_ctx": "spawn"} if cores > 1 else {}
        traced = pm.sample(
            draws=60, tune=60, chains=2, cores=cores, random_seed=1, progressbar=False,
            compute_convergence_checks=False, **options,
        )  # fmt: skip
    posterior = traced.posterior
    np.testing.assert_allclose(posterior["mean_rate"], posterior["r"] / posterior["alpha"])
    assert posterior["other"].shape == (2, 60, 2)
    assert list(az.summary(traced, var_names=["r", "mean_rate"]).index) == ["r", "mean_rate"]
    assert traced.constant_data["frequency"].dims == ("history",)


@pytest.fixture
def double_precision():
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.mark.slow
@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize("model_class", [pc.BGNBD, pc.GammaGamma])
def test_jax_compiles_the_literal_form(model_class, extremes):
    density = posterior_of(model_class, extremes)
    model = build_model(density, likelihood="literal")
    outputs = [model.logp(), model.dlogp()]
    evaluate = model.compile_fn(outputs, inputs=model.value_vars, point_fn=False, mode="JAX")
    for u in np.random.default_rng(4).uniform(-4, 4, (10, len(density.parameters))):
        expected = unconstrained_derivatives(density, u)
        value, gradient = evaluate(*u)
        assert value == pytest.approx(expected.value, rel=1e-9)
        np.testing.assert_allclose(gradient, expected.gradient, rtol=1e-9)


@pytest.mark.slow
def test_nutpie_compiles_the_literal_form(rfm):
    nutpie = pytest.importorskip("nutpie")
    compiled = nutpie.compile_pymc_model(pc.GammaGamma().to_pymc(rfm, likelihood="literal"))
    traced = nutpie.sample(compiled, draws=200, tune=200, chains=2, seed=1, progress_bar=False)
    assert float(traced.posterior["q"].min()) > 1.0
