"""A sampler's step: value and gradient on the unconstrained scale, and what happens where numbers end."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import predclv as pc
from predclv.inference.log_density import unconstrained_derivatives
from predclv.inference.log_posterior import LogPosterior
from predclv.models.bayes import scales_of
from predclv.parameters import to_unconstrained
from predclv.priors import Gamma, LogNormal
from predclv.priors.settle import settle_priors, supported

CASES = {
    "BG/NBD": (pc.BGNBD, {}),
    "BG/NBD, gamma priors": (pc.BGNBD, {"r": Gamma(0.5, 2.0), "b": Gamma(4.0, 0.7, above=0.5)}),
    "Gamma-Gamma": (pc.GammaGamma, {}),
    "Gamma-Gamma, other ends": (pc.GammaGamma, {"q": LogNormal(5.0, 0.5, above=2.0), "p": Gamma(6.0, 3.0)}),
}
cases = pytest.mark.parametrize(("model", "given"), CASES.values(), ids=CASES)


@pytest.fixture(scope="module")
def rfm():
    return pc.datasets.simulate_rfm(n_customers=2_000, T=(10.0, 60.0), seed=3).rfm


def posterior(model, given, rfm) -> LogPosterior:
    priors = settle_priors(given, model.PRIORS, model.PARAMETERS, scales_of(rfm))
    return LogPosterior(model()._likelihood(rfm), priors, supported(model.PARAMETERS, priors))


@cases
def test_a_step_is_the_derivatives(model, given, rfm):
    density = posterior(model, given, rfm)
    evaluate = density.make_unconstrained_gradient()
    medians = [float(density.priors[p.name].quantile(0.5)) for p in density.parameters]
    center = to_unconstrained(density.parameters, medians)
    for step in np.random.default_rng(0).normal(size=(25, len(center))):
        value, gradient = evaluate(center + step)
        expected = unconstrained_derivatives(density, center + step)
        assert isinstance(value, float)
        assert value == pytest.approx(expected.value, rel=1e-10)
        scale = np.abs(expected.gradient).max()
        np.testing.assert_allclose(gradient, expected.gradient, rtol=1e-10, atol=1e-10 * scale)


@cases
def test_out_of_range_there_is_no_density_and_no_slope(model, given, rfm):
    density = posterior(model, given, rfm)
    evaluate, n = density.make_unconstrained_gradient(), len(density.parameters)
    for far in (1e3, -1e3, np.inf, -np.inf, np.nan):
        for place in range(n):
            u = np.zeros(n)
            u[place] = far
            value, gradient = evaluate(u)
            assert value == -np.inf
            np.testing.assert_array_equal(gradient, np.zeros(n))


@cases
def test_far_out_it_is_a_number_or_nothing(model, given, rfm):
    density = posterior(model, given, rfm)
    evaluate, n = density.make_unconstrained_gradient(), len(density.parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for u in np.random.default_rng(1).uniform(-149, 149, (300, n)):
            value, gradient = evaluate(u)
            assert np.isfinite(gradient).all()
            assert np.isfinite(value) or (value == -np.inf and not gradient.any())


def test_what_is_returned_is_the_callers():
    density = LogPosterior(
        pc.GammaGamma()._likelihood(pc.datasets.simulate_rfm(n_customers=50, seed=1).rfm),
        {"p": LogNormal(6, 1), "q": LogNormal(4, 1), "gamma": LogNormal(15, 1)},
        pc.GammaGamma.PARAMETERS,
    )
    evaluate = density.make_unconstrained_gradient()
    for u in (np.full(3, 1e3), np.ones(3)):
        _, gradient = evaluate(u)
        kept = gradient.copy()
        gradient[:] = 7.0
        np.testing.assert_array_equal(evaluate(u)[1], kept)
