"""Importance sampling: smoothed weights as ArviZ's, draws that carry the posterior, a gate that closes."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest

import predclv as pc
from predclv.errors import ConvergenceWarning
from predclv.inference.importance import ImportanceDraws, gate
from predclv.inference.pareto import fit_generalized_pareto, smooth_weights
from predclv.inference.spread import resample
from predclv.parameters import Parameter, from_unconstrained, jacobian, to_unconstrained

PARAMETERS = tuple(Parameter(name, "", (0.5, 2.0)) for name in "uvw")


@dataclass
class Given:
    """A log density of log parameters, as a density for sampling."""

    log_density: object
    parameters: tuple = PARAMETERS
    n_observations: int = 1
    n_rows: int = 1

    def values(self, theta):
        return self.log_density(np.log(theta))


@pytest.mark.parametrize("tail", [0.1, 0.4, 0.9])
def test_weights_are_those_of_arviz(tail):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        arviz = pytest.importorskip("arviz")
    log_weights = tail * np.random.default_rng(5).exponential(size=4096) - 700.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, k_expected = arviz.psislw(log_weights.copy(), 1.0)
    smoothed, k_hat = smooth_weights(log_weights)
    assert k_hat == pytest.approx(float(k_expected), abs=1e-10)
    np.testing.assert_allclose(smoothed, np.asarray(expected), atol=1e-10)
    assert np.exp(smoothed).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("k", [-0.3, 0.2, 0.7])
def test_pareto_fit_finds_the_shape(k):
    probability = (np.arange(5000) + 0.5) / 5000
    excess = 2.0 * np.expm1(-k * np.log1p(-probability)) / k
    found, scale = fit_generalized_pareto(excess)
    # Drawn towards 0.5 as by 10 of 5,010; exact quantiles leave little else.
    assert found == pytest.approx(k, abs=0.01)
    assert scale == pytest.approx(2.0, rel=0.02)


def test_a_tail_too_short_to_tell_is_infinite():
    weights, k_hat = smooth_weights(np.log([1.0, 2.0, 3.0, 4.0]))
    assert k_hat == np.inf
    np.testing.assert_allclose(weights, np.log([0.1, 0.2, 0.3, 0.4]))


def test_equal_weights_have_no_tail():
    flat, k_hat = smooth_weights(np.zeros(1000))
    assert k_hat == -np.inf
    np.testing.assert_allclose(flat, -np.log(1000))


def skewed(u):
    """Log-gamma margins: skewed, with known moments."""
    shape = np.array([3.0, 6.0, 12.0])
    return np.sum(shape * u - np.exp(u), axis=1)


def test_draws_have_the_moments_of_a_skewed_density():
    from scipy.special import digamma, polygamma

    shape = np.array([3.0, 6.0, 12.0])
    draws, diagnostics = ImportanceDraws(Given(skewed), shape, np.diag(1 / shape), 0, "Model")()
    log_draws = np.log(draws)
    error = np.sqrt(polygamma(1, shape))
    assert diagnostics["gate"] == "passed"
    assert diagnostics["effective_sample_size"] > 3000
    # 1,024 stratified draws of some 3,300 effective points: one standard error is below 0.02.
    np.testing.assert_allclose((log_draws.mean(axis=0) - digamma(shape)) / error, 0.0, atol=0.06)
    np.testing.assert_allclose(log_draws.std(axis=0) / error, 1.0, atol=0.05)
    leading = log_draws[:64]
    # 64 independent draws would have standard errors of 0.125 and 9 %.
    np.testing.assert_allclose((leading.mean(axis=0) - digamma(shape)) / error, 0.0, atol=0.12)
    np.testing.assert_allclose(leading.std(axis=0) / error, 1.0, atol=0.12)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_bent_ridge_is_covered_by_pieces(seed):
    # v = u + 0.1 (u^2 - 1) + 0.15 e: long, narrow, and bent by as much as it is narrow.
    def ridge(u):
        bend = u[:, 1] - u[:, 0] - 0.1 * (u[:, 0] ** 2 - 1)
        return -0.5 * (u[:, 0] ** 2 + (bend / 0.15) ** 2 + u[:, 2] ** 2)

    covariance = np.array([[1.0, 1.0, 0.0], [1.0, 1.0225, 0.0], [0.0, 0.0, 1.0]])
    draws, diagnostics = ImportanceDraws(Given(ridge), np.exp([0.0, -0.1, 0.0]), covariance, seed, "Model")()
    assert diagnostics["n_pieces"] == 5
    assert diagnostics["n_rounds"] == 3
    assert diagnostics["gate"] == "passed"
    assert diagnostics["effective_sample_size"] > 3500
    log_draws = np.log(draws)
    # 1,024 stratified draws of more than 3,500 effective points: one standard error of a mean is below 0.02.
    np.testing.assert_allclose(log_draws.mean(axis=0), 0.0, atol=0.07)
    np.testing.assert_allclose(log_draws.std(axis=0), [1.0, np.sqrt(1.0425), 1.0], rtol=0.06)


def test_same_seed_same_draws():
    make = [ImportanceDraws(Given(skewed), np.array([3.0, 6, 12]), np.eye(3) / 6, seed, "M")() for seed in (1, 1, 2)]
    np.testing.assert_array_equal(make[0].values, make[1].values)
    assert not np.array_equal(make[0].values, make[2].values)


def test_the_gate_closes_on_a_tail_heavier_than_the_proposals():
    cauchy = Given(lambda u: -2.0 * np.log1p(np.sum(u**2, axis=1)))
    sampler = ImportanceDraws(cauchy, np.ones(3), np.eye(3) / 4, 0, "Model")
    with pytest.warns(
        ConvergenceWarning, match=r"Model: the draws are doubtful.*two proposals differ.*narrower priors"
    ):
        _, diagnostics = sampler()
    assert diagnostics["gate"] != "passed"


def test_gate_names_each_objection():
    good = {"k_hat": 0.2, "disagreement_mean": 0.01, "disagreement_sd": 0.01}
    assert gate(good) == ""
    assert "k-hat is 0.61" in gate({**good, "k_hat": 0.61})
    assert "k-hat is nan" in gate({**good, "k_hat": float("nan")})
    assert "differ by 0.20 standard deviations in a mean" in gate({**good, "disagreement_mean": 0.2})
    assert "differ by 8% in a standard deviation" in gate({**good, "disagreement_sd": 0.08})
    named = {"disagreement_sd": 0.08, "disagreement_sd_of": "r_spread"}
    assert "in a standard deviation, most in that of r_spread" in gate({**good, **named})


def test_overflowing_points_weigh_nothing():
    wide = ImportanceDraws(Given(lambda u: -0.5 * np.sum(u**2, axis=1)), np.ones(3), np.eye(3) * 300.0**2, 0, "M")
    with pytest.warns(ConvergenceWarning):
        draws, _ = wide()
    assert np.isfinite(draws).all()


def test_resampling_follows_the_weights():
    rng = np.random.default_rng(7)
    points = rng.standard_normal((512, 2))
    weight = rng.random(512) ** 3
    weight /= weight.sum()
    chosen = resample(points, weight, 1024, seed=3)
    counts = np.bincount(chosen, minlength=512)
    # Stratified: each point is chosen its expected number of times, up to one either way.
    assert np.abs(counts - 1024 * weight).max() < 2.0


def test_cdnow_against_random_walks(cdnow):
    """Means, deviations and quantiles of log parameters as those of 256 Metropolis chains, which share no code."""
    model = pc.BGNBD(method="map").fit(cdnow)
    posterior = model.posterior_
    density = posterior.make_draws.density
    ours = to_unconstrained(density.parameters, posterior.draws_array())

    rng = np.random.default_rng(11)
    root = np.linalg.cholesky(posterior.covariance_unconstrained)
    here = to_unconstrained(density.parameters, posterior.point_array) + rng.standard_normal((256, 4)) @ root.T
    at_here = density.values(from_unconstrained(density.parameters, here))
    kept = []
    for step in range(700):
        there = here + 1.1 * rng.standard_normal(here.shape) @ root.T
        at_there = density.values(from_unconstrained(density.parameters, there))
        taken = np.log(rng.random(256)) < at_there - at_here
        here, at_here = np.where(taken[:, None], there, here), np.where(taken, at_there, at_here)
        if step >= 150:
            kept.append(here)
    chains = np.array(kept)  # (n_steps, n_chains, n_parameters)
    flat = chains.reshape(-1, 4)
    mean, sd = flat.mean(axis=0), flat.std(axis=0)
    chain_error = chains.mean(axis=0).std(axis=0) / np.sqrt(256)
    assert (chain_error < 0.02 * sd).all()
    # Importance sampling has an effective size above 3,000: a standard error of 0.018 sd, and of 1.3 % in sd.
    assert (np.abs(ours.mean(axis=0) - mean) < 4 * np.hypot(chain_error, 0.018 * sd)).all()
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.06)
    for probability in (0.05, 0.25, 0.75, 0.95):
        below = np.mean(flat < np.quantile(ours, probability, axis=0), axis=0)
        np.testing.assert_allclose(below, probability, atol=0.025)


def test_the_log_posterior_has_exact_derivatives(cdnow):
    density = pc.BGNBD(method="map").fit(cdnow).posterior_.make_draws.density
    values = np.array([0.3, 5.0, 0.7, 2.0])
    found = density.derivatives(values)
    assert found.value == pytest.approx(density.values(values[np.newaxis])[0], rel=1e-13)
    assert (jacobian(density.parameters, values) > 0).all()
    for i in range(4):
        step = np.zeros(4)
        step[i] = 1e-5 * values[i]
        above, below = density.derivatives(values + step), density.derivatives(values - step)
        assert found.gradient[i] == pytest.approx((above.value - below.value) / (2 * step[i]), rel=1e-5, abs=1e-4)
        np.testing.assert_allclose(
            found.hessian[i], (above.gradient - below.gradient) / (2 * step[i]), rtol=1e-5, atol=1e-3
        )


def test_chains_that_are_stuck_are_resampled_all_the_same():
    """Two points, sixteen times: three of four directions have no spread but that of rounding."""
    points = np.repeat([[0.1, 0.2, 0.3, 0.4], [0.5, -0.2, 0.7, 0.1]], 8, axis=0)
    chosen = resample(points, np.full(16, 1 / 16), 64, seed=0)
    np.testing.assert_array_equal(np.unique(chosen), np.arange(16))
    nowhere = resample(np.ones((4, 3)), np.full(4, 0.25), 8, seed=0)
    np.testing.assert_array_equal(np.unique(nowhere), np.arange(4))
