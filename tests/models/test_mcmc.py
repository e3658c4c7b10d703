"""Posteriors by NUTS through the public models: three samplers that agree, say what is wrong, and can be kept."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.errors import ConvergenceWarning, DependenceWarning, FitError, SamplingWarning
from predclv.inference import chains
from predclv.inference.log_posterior import LogPosterior
from predclv.models.likelihood import Likelihood
from predclv.parameters import to_unconstrained

arviz = pytest.importorskip("arviz")
SAMPLERS = [
    pytest.param("nutpie"),
    pytest.param("pymc", marks=pytest.mark.slow),
    pytest.param("numpyro", marks=pytest.mark.slow),
]
MODELS = [pc.BGNBD, pc.GammaGamma]


@pytest.fixture(autouse=True)
def _some_findings_are_no_news():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        # Of the few customers here.
        warnings.filterwarnings("ignore", ".*default priors help", ConvergenceWarning)
        yield


@pytest.fixture(scope="module")
def rfm():
    return pc.datasets.simulate_rfm("bg_nbd", n_customers=500, T=(78.0, 78.0), lattice=7, seed=7).rfm


@pytest.fixture(scope="module")
def fit(rfm):
    """Fits, each made once."""
    made = {}

    def once(model, sampler="nutpie", **settings):
        key = model, sampler, *sorted(settings.items())
        if key not in made:
            made[key] = model(method="mcmc", sampler=sampler, progressbar=False, **settings).fit(rfm)
        return made[key]

    return once


def mean_and_sd(posterior):
    """Of each unconstrained parameter: mean and sd over the chains, each with its Monte Carlo standard error."""
    draws = to_unconstrained(posterior.parameters, posterior.chains.values)
    rows = []
    for column in np.moveaxis(draws, -1, 0):
        mean, sd, squared = column.mean(), column.std(), (column - column.mean()) ** 2
        mean_error, variance_error = (
            part.std() / np.sqrt(arviz.ess(part, method="mean")) for part in (column, squared)
        )
        rows.append((mean, mean_error, sd, variance_error / (2 * sd)))
    return np.array(rows).T


def check_agreement(posterior, weighted):
    """Chains and importance sampling give each unconstrained parameter one mean and one sd, but for sampling error."""
    mean, mean_error, sd, sd_error = mean_and_sd(posterior)
    draws = to_unconstrained(weighted.parameters, weighted.draws_array())
    # 1,024 draws of some 3,000 effective points.
    n = weighted.diagnostics["effective_sample_size"]
    assert weighted.diagnostics["gate"] == "passed"
    # Four standard errors of the difference.
    shift = np.abs(mean - draws.mean(axis=0)) / np.hypot(mean_error, sd / np.sqrt(n))
    stretch = np.abs(sd - draws.std(axis=0)) / np.hypot(sd_error, sd / np.sqrt(2 * min(n, 1024)))
    assert shift.max() < 4
    assert stretch.max() < 4


# Agreement


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("model", MODELS)
def test_chains_agree_with_importance_sampling_and_each_other(model, sampler, fit, rfm):
    check_agreement(fit(model, sampler).posterior_, model(method="map").fit(rfm).posterior_)
    # In the same test, because workers that run side by side share no fit.
    if sampler != "nutpie":
        mean, mean_error, sd, sd_error = mean_and_sd(fit(model, sampler).posterior_)
        other_mean, other_error, other_sd, other_sd_error = mean_and_sd(fit(model).posterior_)
        assert (np.abs(mean - other_mean) / np.hypot(mean_error, other_error)).max() < 4
        assert (np.abs(sd - other_sd) / np.hypot(sd_error, other_sd_error)).max() < 4


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_chains_of_opportunities_agree(sampler):
    """BG/BB, whose likelihood is a sum over the opportunities at which a customer may have left."""
    rfm = pc.datasets.simulate_rfm("bg_bb", n_customers=800, time_unit="year", T=(6.0, 9.0), seed=5).rfm
    settings = {"sampler": sampler, "chains": 2, "draws": 600, "tune": 400, "progressbar": False}
    posterior = pc.BGBB(method="mcmc", **settings).fit(rfm).posterior_
    assert posterior.diagnostics["objections"] == "none"
    check_agreement(posterior, pc.BGBB(method="map").fit(rfm).posterior_)


def test_chains_of_regular_buyers_agree():
    """CNBD, with stages between purchases."""
    rfm = pc.datasets.simulate_rfm("mbg_cnbd", k=2, n_customers=300, T=(52.0, 52.0), lattice=7, seed=5).rfm
    settings = {"chains": 2, "draws": 600, "tune": 400, "progressbar": False}
    posterior = pc.MBGCNBD(k=2, method="mcmc", **settings).fit(rfm).posterior_
    assert posterior.diagnostics["objections"] == "none"
    check_agreement(posterior, pc.MBGCNBD(k=2, method="map").fit(rfm).posterior_)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_diagnostics_and_statistics_are_told(sampler, fit):
    posterior = fit(pc.GammaGamma, sampler).posterior_
    diagnostics, held = posterior.diagnostics, posterior.chains
    assert diagnostics["sampler"] == sampler
    assert (diagnostics["n_chains"], diagnostics["n_draws"], diagnostics["n_tune"]) == (4, 1000, 500)
    assert diagnostics["objections"] == "none"
    assert diagnostics["worst_r_hat"] < 1.01
    assert min(diagnostics["least_ess_bulk"], diagnostics["least_ess_tail"]) > 1000
    assert diagnostics["n_divergences"] == 0
    assert diagnostics["n_starts_moved"] == 0
    assert set(diagnostics["r_hat"]) == {"p", "q", "gamma"}
    assert held.values.shape == (4, 1000, 3)
    assert set(chains.STATISTICS) - {"reached_max_treedepth"} <= set(held.statistics) <= set(chains.STATISTICS)
    assert {statistic.shape for statistic in held.statistics.values()} == {(4, 1000)}
    # Seen by hand: the mean acceptance that step sizes are tuned to, and log densities below the mode's.
    assert 0.6 < held.statistics["acceptance_rate"].mean() < 0.99
    assert not held.statistics["diverging"].any()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_log_densities_are_those_of_the_draws(sampler, fit, rfm):
    model = fit(pc.GammaGamma, sampler)
    held = model.posterior_.chains
    density = LogPosterior(model._likelihood(rfm), model.priors_, model.posterior_.parameters)
    expected = density.values(held.flat()).reshape(held.values.shape[:2])
    # Which holds in double precision only.
    np.testing.assert_allclose(held.statistics["lp"], expected, rtol=1e-9)
    # Kinetic energy, a sum of squares, on top.
    assert (held.statistics["energy"] > -expected).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_settles_the_draws(sampler, rfm):
    def draw(seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SamplingWarning)  # so few draws: meant
            model = pc.GammaGamma(
                method="mcmc", sampler=sampler, chains=2, draws=40, tune=60, random_state=seed, progressbar=False
            )
            return model.fit(rfm).posterior_

    one, again, other = draw(3), draw(3), draw(4)
    np.testing.assert_array_equal(one.chains.values, again.chains.values)
    np.testing.assert_array_equal(one.draws_array(), again.draws_array())
    assert not np.array_equal(one.chains.values, other.chains.values)
    # Chains differ, too.
    assert not np.array_equal(one.chains.values[0], one.chains.values[1])


# What goes wrong


def test_short_chains_are_told_of(rfm):
    model = pc.BGNBD(method="mcmc", chains=2, draws=8, tune=5, progressbar=False)
    with pytest.warns(SamplingWarning, match=r"BGNBD: the chains are doubtful: .*effective sample size of .* is \d+"):
        model.fit(rfm)
    diagnostics = model.posterior_.diagnostics
    assert "effective sample size" in diagnostics["objections"]
    assert diagnostics["least_ess_bulk"] < 200


def test_objections_give_numbers():
    good = {
        "n_chains": 4, "n_draws": 1000, "n_divergences": 0, "worst_r_hat": 1.004, "r_hat": {"r": 1.004, "b": 1.001},
        "least_ess_bulk": 900.0, "ess_bulk": {"r": 900.0, "b": 1000.0}, "least_ess_tail": 800.0,
        "ess_tail": {"r": 800.0, "b": 1000.0}, "n_reached_max_treedepth": 0,
    }  # fmt: skip
    assert chains.objections(good) == ""
    assert chains.objections({**good, "n_divergences": 12}) == "12 of 4,000 draws diverged"
    drifting = {**good, "worst_r_hat": 1.234, "r_hat": {"r": 1.001, "b": 1.234}}
    assert chains.objections(drifting) == "R-hat of b is 1.2340, and should be at most 1.01"
    stuck = {**good, "worst_r_hat": None, "r_hat": {"r": None, "b": 1.0}}
    assert "R-hat of r is not a number" in chains.objections(stuck)
    sticky = {**good, "least_ess_bulk": 90.0, "ess_bulk": {"r": 900.0, "b": 90.0}}
    assert chains.objections(sticky) == "the effective sample size of b is 90, and should be at least 400"
    assert "500 of 4,000 draws reached the longest path" in chains.objections({**good, "n_reached_max_treedepth": 500})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_divergences_are_counted(sampler, rfm, monkeypatch):
    """A wall in the middle of the posterior, which a path runs into."""
    middle = np.log(pc.GammaGamma(method="map").fit(rfm).posterior_.point["p"]) + 0.05
    if sampler == "numpyro":
        literal = pc.kernels.gamma_gamma.log_likelihood

        def walled(x, m, p, q, gamma, *, xp):
            beyond = xp.maximum(xp.log(p) - middle, 0.0)
            return literal(x, m, p, q, gamma, xp=xp) - 1e7 * beyond**2

        monkeypatch.setattr("predclv.models.gamma_gamma.log_likelihood", walled)
    else:
        make = Likelihood.make_gradient

        def make_walled(self):
            evaluate = make(self)

            def walled(values):
                value, gradient = evaluate(values)
                return (value, gradient) if np.log(values[0]) < middle else (-np.inf, 0 * gradient)

            return walled

        monkeypatch.setattr(Likelihood, "make_gradient", make_walled)
    model = pc.GammaGamma(method="mcmc", sampler=sampler, chains=2, draws=60, tune=60, progressbar=False)
    with pytest.warns(SamplingWarning, match=r"[\d,]+ of 120 draws diverged"):
        model.fit(rfm)
    assert model.posterior_.diagnostics["n_divergences"] > 0


@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_an_error_in_the_density_is_a_failed_fit(sampler, rfm, monkeypatch):
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
        pc.GammaGamma(method="mcmc", sampler=sampler, progressbar=False).fit(rfm)


def test_who_interrupts_pymc_gets_no_short_chains(rfm, monkeypatch):
    make, calls = Likelihood.make_gradient, []

    def make_interrupted(self):
        evaluate = make(self)

        def interrupted(values):
            calls.append(1)
            if len(calls) == 300:
                raise KeyboardInterrupt
            return evaluate(values)

        return interrupted

    monkeypatch.setattr(Likelihood, "make_gradient", make_interrupted)
    with pytest.raises(KeyboardInterrupt):
        pc.GammaGamma(method="mcmc", sampler="pymc", chains=2, draws=50, tune=50, progressbar=False).fit(rfm)
    assert len(calls) >= 300


@pytest.mark.parametrize("sampler", ["nutpie", "pymc", "numpyro"])
def test_a_density_that_is_nowhere_finite_is_a_failed_fit(sampler, rfm, monkeypatch):
    nowhere = lambda self: lambda u: (-np.inf, np.zeros(len(u)))  # noqa: E731
    monkeypatch.setattr(LogPosterior, "make_unconstrained_gradient", nowhere)
    with pytest.raises(FitError, match="BGNBD: the sampler failed: the log density is not finite at a start"):
        pc.BGNBD(method="mcmc", sampler=sampler, progressbar=False).fit(rfm)


@pytest.mark.parametrize(
    ("sampler", "absent", "needs"),
    [
        ("nutpie", {"nutpie"}, "nutpie"),
        ("pymc", {"pymc"}, "pymc"),
        ("numpyro", {"pymc", "numpyro"}, "pymc and numpyro"),
        ("nutpie", {"arviz"}, "arviz"),
    ],
)
def test_a_missing_package_is_named_before_any_work(sampler, absent, needs, rfm, monkeypatch):
    found = chains.find_spec
    monkeypatch.setattr(chains, "find_spec", lambda name: None if name in absent else found(name))
    monkeypatch.setattr(pc.BGNBD, "_likelihood", lambda *_: pytest.fail("worked"))
    message = rf'method="mcmc" with sampler="{sampler}" needs {needs}: pip install \'predclv\[bayes\]\''
    with pytest.raises(ImportError, match=message):
        pc.BGNBD(method="mcmc", sampler=sampler).fit(rfm)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "stan"}, r"'sampler' must be one of 'nutpie', 'pymc', 'numpyro'\. Got 'stan'"),
        ({"chains": 1}, "'chains' must be a whole number, at least 2. Got 1"),
        ({"chains": True}, "'chains' must be a whole number"),
        ({"draws": 0}, "'draws' must be a whole number, at least 4. Got 0"),
        ({"draws": 100.0}, "'draws' must be a whole number"),
        ({"tune": -1}, "'tune' must be a whole number, at least 1. Got -1"),
        ({"progressbar": "yes"}, "'progressbar' must be True or False"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message, rfm):
    with pytest.raises(ValueError, match=message):
        pc.BGNBD(method="mcmc", **settings).fit(rfm)


@pytest.mark.slow
def test_numpyro_leaves_jax_as_pymc_does_or_as_it_was_set():
    pytest.importorskip("numpyro")
    script = """
    import os, jax
    from predclv.inference.pymc_sampling import double_precision

    assert not jax.config.jax_enable_x64
    with double_precision():
        assert jax.config.jax_enable_x64
    # As for who imports PyMC's samplers by JAX first, and whom they would else leave in single precision now.
    assert jax.config.jax_enable_x64
    flags = os.environ["XLA_FLAGS"]
    jax.config.update("jax_enable_x64", False)
    with double_precision():
        assert jax.config.jax_enable_x64
    assert not jax.config.jax_enable_x64
    assert os.environ["XLA_FLAGS"] == flags
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


# What comes after


@pytest.mark.parametrize("model", MODELS)
def test_round_trip(model, fit, rfm, tmp_path):
    fitted = fit(model)
    fitted.save(tmp_path / "model")
    again = pc.load(tmp_path / "model")
    assert again.get_params() == fitted.get_params()
    assert again.posterior_.method == "mcmc"
    assert again.posterior_.diagnostics == fitted.posterior_.diagnostics
    assert again.posterior_.chains is None
    np.testing.assert_array_equal(again.posterior_.draws_array(), fitted.posterior_.draws_array())
    forecast = (lambda m: m.predict(rfm, 26)) if model is pc.BGNBD else (lambda m: m.expected_spend(rfm))
    pd.testing.assert_frame_equal(forecast(again), forecast(fitted), check_exact=True)
    pd.testing.assert_frame_equal(again.summary, fitted.summary, check_exact=True)


def test_draws_for_forecasts_are_those_of_the_chains(fit):
    posterior = fit(pc.BGNBD).posterior_
    held = posterior.chains.flat()
    assert np.isin(posterior.draws_array()[:, 0], held[:, 0]).all()
    everything, chosen = (to_unconstrained(posterior.parameters, d) for d in (held, posterior.draws_array()))
    # Spread as all 4,000 are: 1,024 independent draws would have a standard error of 0.03.
    np.testing.assert_allclose((chosen.mean(axis=0) - everything.mean(axis=0)) / everything.std(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(chosen.std(axis=0) / everything.std(axis=0), 1, atol=0.04)


def test_forecasts_and_value_follow_from_chains(rfm):
    reference = pc.CLV(pc.BGNBD(method="map"), pc.GammaGamma(method="map")).fit(rfm)
    settings = {"method": "mcmc", "progressbar": False}
    clv = pc.CLV(pc.BGNBD(**settings), pc.GammaGamma(**settings)).fit(rfm)
    one, other = (each.portfolio(rfm, "26 weeks").iloc[-1] for each in (clv, reference))
    assert one["expected_clv"] == pytest.approx(other["expected_clv"], rel=0.02)
    # Ends of an interval from 1,000 simulated totals or so are off by a tenth of its half width.
    width = other["clv_high"] - other["clv_low"]
    assert one["clv_high"] - one["clv_low"] == pytest.approx(width, rel=0.2)
    table, expected = (each.predict(rfm, "26 weeks") for each in (clv, reference))
    np.testing.assert_allclose(table["expected_purchases"].sum(), expected["expected_purchases"].sum(), rtol=0.02)
    assert (table["clv_low"] <= table["clv_high"]).all()
