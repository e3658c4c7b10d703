"""Segments that share strength: the density that chains walk, the mode, and draws without chains."""

from __future__ import annotations

import copy
import math
import pickle
import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import predclv as pc
from predclv.errors import ConvergenceWarning, DependenceWarning
from predclv.inference import nuts
from predclv.inference.chains import Sampling
from predclv.inference.hierarchy import SPREAD, Hierarchy, spread_parameters, spread_priors
from predclv.inference.hierarchy_nuts import HierarchyTarget
from predclv.inference.hyper_mode import _begin, find_hyper_mode, rough_hyper_mode
from predclv.inference.log_density import Derivatives
from predclv.inference.nested_importance import HierarchyDraws
from predclv.kernels import bg_family, gamma_gamma
from predclv.parameters import Parameter, to_unconstrained
from predclv.priors import LogNormal

MODELS = [pc.BGNBD, pc.GammaGamma]
SIZES = {"large": 3000, "middling": 400, "small": 60, "few": 15, "one": 1}


@dataclass(frozen=True)
class Normal:
    """Likelihood of one segment that is exactly normal in u, log(parameter): mean and variances of what was seen."""

    seen: np.ndarray
    variance: np.ndarray
    parameters: tuple[Parameter, ...]
    n_observations: int = 1
    n_rows: int = 1

    def values(self, theta):
        return -0.5 * np.sum((np.log(theta) - self.seen) ** 2 / self.variance, axis=-1)

    def derivatives(self, values):
        u = np.log(values)
        slope = -(u - self.seen) / self.variance
        hessian = np.diag((-1 / self.variance - slope) / values**2)
        return Derivatives(float(self.values(values)), slope / values, hessian)

    def make_gradient(self):
        return lambda values: (self.derivatives(values).value, self.derivatives(values).gradient)


def toy(n_segments=12, n_parameters=2, seed=3, spread=0.4):
    """A hierarchy of normals: everything about it is known in closed form given the spreads."""
    rng = np.random.default_rng(seed)
    parameters = tuple(Parameter(name, "", (0.5, 2.0)) for name in "vw"[:n_parameters])
    variance = np.exp(rng.uniform(-7, 0, (n_segments, n_parameters)))
    truth = rng.normal(0.3, spread, (n_segments, n_parameters))
    seen = rng.normal(truth, np.sqrt(variance))
    likelihoods = tuple(Normal(*row, parameters) for row in zip(seen, variance, strict=True))
    priors = {p.name: LogNormal(1.0, 1.0) for p in parameters} | {
        f"{p.name}{SPREAD}": LogNormal(0.3, 0.7) for p in parameters
    }
    return Hierarchy(tuple(map(str, range(n_segments))), likelihoods, parameters, priors)


def exact_log_marginal(hierarchy, hyper):
    """Log posterior of h, but for a constant: what was seen is normal with both variances, (n,) at hyper (n, 2 p)."""
    center, log_spread = np.split(np.atleast_2d(hyper), 2, axis=1)
    value = np.zeros(len(center))
    for likelihood in hierarchy.likelihoods:
        scale = np.sqrt(np.exp(2 * log_spread) + likelihood.variance)
        value += stats.norm.logpdf(likelihood.seen, center, scale).sum(axis=1)
    for prior, column in zip(
        (hierarchy.priors[p.name] for p in hierarchy.hyper_parameters), np.atleast_2d(hyper).T, strict=True
    ):
        value += prior.log_density(np.exp(column)) + column
    return value


def simulate(model, sizes=SIZES, seed=2):
    """Customers of segments drawn around a center, spreads 0.3, in one summary."""
    rng, tables = np.random.default_rng(seed), []
    for i, (name, size) in enumerate(sizes.items()):
        factor = np.exp(0.3 * rng.standard_normal(7))
        counts = dict(zip(("r", "alpha", "a", "b"), np.array([0.6, 10.0, 0.8, 2.5]) * factor[:4], strict=True))
        spend = {"p": 6 * factor[4], "q": 1 + 3 * factor[5], "gamma": 15 * factor[6]}
        simulated = pc.datasets.simulate_rfm(
            n_customers=size, parameters=counts, spend=spend, T=(26.0, 78.0), lattice=7, seed=100 * seed + i
        )
        table = simulated.rfm.to_pandas().assign(channel=name)
        if model is pc.GammaGamma and size == 1:
            table = table.assign(frequency=4, recency=10.0, monetary_value=50.0)  # a repeat buyer, who says something
        tables.append(table)
    table = pd.concat(tables, ignore_index=True).assign(customer_id=lambda t: np.arange(len(t)))
    return pc.RFMSummary.from_frame(table, time_unit="week", carry=["channel"])


def hierarchy_of(model, rfm):
    """The hierarchy that a fit would make, and where it would start."""
    settled = model(method="map", segment="channel").priors_for(rfm)
    whole = model(method="map").fit(rfm)
    parameters = whole.posterior_.parameters
    names = list(dict.fromkeys(rfm.carried["channel"]))
    likelihoods = tuple(
        replace(whole._likelihood(rfm[rfm.carried["channel"] == name]), parameters=parameters) for name in names
    )
    return Hierarchy(tuple(names), likelihoods, parameters, settled), whole.posterior_.point_array


@pytest.fixture(scope="module")
def of_customers():
    """By model: the hierarchy, its mode, and the summary."""
    made = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DependenceWarning)
        for model in MODELS:
            rfm = simulate(model)
            hierarchy, start = hierarchy_of(model, rfm)
            made[model] = hierarchy, find_hyper_mode(hierarchy, start, "test"), rfm
    return made


# The density that chains walk


def literal_log_density(model, hierarchy, rfm, natural):
    """Normals, priors and likelihoods written out, at natural values, in the unconstrained parameters h and u."""
    n = len(hierarchy.parameters)
    hyper, own = natural[: 2 * n], natural[2 * n :].reshape(-1, n)
    above = np.array([p.above for p in hierarchy.parameters])
    center, spread = np.log(hyper[:n] - above), hyper[n:]
    value = 0.0
    for parameter, number in zip(hierarchy.hyper_parameters, hyper, strict=True):
        prior = hierarchy.priors[parameter.name]
        distribution = stats.lognorm(s=prior.spread, scale=prior.median - prior.above, loc=prior.above)
        value += distribution.logpdf(number) + math.log(number - parameter.above)
    for name, theta in zip(hierarchy.names, own, strict=True):
        value += stats.norm.logpdf(np.log(theta - above), center, spread).sum()
        some = rfm[rfm.carried["channel"] == name]
        x = some.frequency.astype(float)
        if model is pc.BGNBD:
            value += bg_family.log_likelihood(x, some.recency, some.T, *theta, k=1, dropout_at_first=False).sum()
        else:
            buyers = x > 0
            value += gamma_gamma.log_likelihood(x[buyers], some.monetary_value[buyers], *theta).sum()
    return value


def log_jacobian(target, position):
    """Of the map from coordinates to h and u, from differences."""
    step, columns = 1e-5, []

    def unconstrained(at):
        return to_unconstrained(target.parameters, target.natural(at))

    for axis in np.eye(target.size):
        columns.append((unconstrained(position + step * axis) - unconstrained(position - step * axis)) / (2 * step))
    return np.linalg.slogdet(np.array(columns))[1]


@pytest.mark.parametrize("model", MODELS)
def test_density_is_normals_priors_and_likelihoods(model, of_customers):
    hierarchy, mode, rfm = of_customers[model]
    target, rng = HierarchyTarget(hierarchy, mode), np.random.default_rng(0)
    evaluate, differences = target.make_evaluate(), []
    for scale in (0.0, 0.5, 1.0, 2.0, 4.0):
        position = scale * rng.standard_normal(target.size)
        expected = literal_log_density(model, hierarchy, rfm, target.natural(position)) + log_jacobian(target, position)
        differences.append(evaluate(position)[0] - expected)
    # One constant, that of the normals and of the map's linear part; differences of the map leave some 1e-8.
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_gradient_is_that_of_the_density(model, of_customers):
    hierarchy, mode, _ = of_customers[model]
    target, rng = HierarchyTarget(hierarchy, mode), np.random.default_rng(1)
    evaluate = target.make_evaluate()
    for scale in (0.0, 1.0, 3.0):
        position = scale * rng.standard_normal(target.size)
        _, gradient = evaluate(position)
        for i, axis in enumerate(np.eye(target.size)):
            # Richardson's extrapolation of two central differences.
            slopes = [
                (evaluate(position + step * axis)[0] - evaluate(position - step * axis)[0]) / (2 * step)
                for step in (2e-3, 1e-3)
            ]
            slope = (4 * slopes[1] - slopes[0]) / 3
            assert gradient[i] == pytest.approx(slope, rel=1e-6, abs=1e-6 * np.abs(gradient).max() + 1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_coordinates_lead_back(model, of_customers):
    """`natural` of one position is that of many; at 0 lie the modes; and names are those of segments."""
    hierarchy, mode, _ = of_customers[model]
    target = HierarchyTarget(hierarchy, mode)
    positions = np.random.default_rng(2).standard_normal((3, 4, target.size))
    many = target.natural(positions)
    assert many.shape == positions.shape
    np.testing.assert_allclose(many[1, 2], target.natural(positions[1, 2]), rtol=1e-12)
    n = len(hierarchy.parameters)
    unconstrained = to_unconstrained(target.parameters, target.natural(np.zeros(target.size)))
    np.testing.assert_allclose(unconstrained[: 2 * n], mode.hyper, rtol=1e-12)
    np.testing.assert_allclose(unconstrained[2 * n :].reshape(-1, n), mode.segments.modes, rtol=1e-9, atol=1e-12)
    # Inverted here, from h and u back to coordinates.
    u = to_unconstrained(target.parameters, many)
    hyper, own = u[..., : 2 * n], u[..., 2 * n :].reshape(3, 4, -1, n)
    center, log_spread = (part[..., np.newaxis, :] for part in np.split(hyper, 2, axis=-1))
    lam, middle, roots = target.share, target.middle, target._roots
    coordinate = lam * center + (own - center) / np.exp((1 - lam) * log_spread)
    standard = np.linalg.solve(roots, (coordinate - middle)[..., np.newaxis])[..., 0]
    back = np.linalg.solve(target._hyper_root, (hyper - mode.hyper)[..., np.newaxis])[..., 0]
    np.testing.assert_allclose(np.concatenate([back, standard.reshape(3, 4, -1)], axis=-1), positions, atol=1e-9)
    assert target.parameters[2 * n].name == f"{hierarchy.parameters[0].name}[large]"


def test_far_out_the_density_is_nothing(of_customers):
    hierarchy, mode, _ = of_customers[pc.BGNBD]
    target = HierarchyTarget(hierarchy, mode)
    with np.errstate(all="ignore"):
        for far in (1e4, -1e4, np.nan):
            position = np.zeros(target.size)
            position[0] = far
            value, gradient = target.make_evaluate()(position)
            assert value == -np.inf
            assert not gradient.any()


# A toy that is known in closed form


def test_laplace_is_exact_where_likelihoods_are_normal():
    hierarchy = toy()
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    weight = 1 / mode.spread**2
    for likelihood, found, precision in zip(
        hierarchy.likelihoods, mode.segments.modes, mode.segments.precisions, strict=True
    ):
        between = (likelihood.seen / likelihood.variance + mode.center * weight) / (1 / likelihood.variance + weight)
        np.testing.assert_allclose(found, between, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(precision, np.diag(1 / likelihood.variance + weight), rtol=1e-8)
    # The marginal posterior beside the mode: the same but for one constant.
    climb, _ = _begin(hierarchy, np.ones(2))
    beside = mode.hyper + np.random.default_rng(0).normal(0, 0.3, (20, 4))
    values = np.array([climb.value(hyper) for hyper in beside])
    np.testing.assert_allclose(np.ptp(values - exact_log_marginal(hierarchy, beside)), 0, atol=1e-8)
    assert mode.log_density == pytest.approx(climb.value(mode.hyper), abs=1e-9)


def test_the_mode_is_the_marginal_s():
    hierarchy = toy()
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    around = mode.hyper + 1e-2 * np.concatenate([np.eye(4), -np.eye(4)])
    values = exact_log_marginal(hierarchy, np.vstack([mode.hyper, around]))
    assert (values[1:] < values[0]).all()
    step, axes = 1e-3, np.eye(4)
    hessian = np.array([
        [
            (
                exact_log_marginal(hierarchy, mode.hyper + step * (i + j))
                - exact_log_marginal(hierarchy, mode.hyper + step * (i - j))
                - exact_log_marginal(hierarchy, mode.hyper + step * (j - i))
                + exact_log_marginal(hierarchy, mode.hyper - step * (i + j))
            )[0] / (4 * step**2)
            for j in axes
        ]
        for i in axes
    ])  # fmt: skip
    # Second differences of steps of 0.01 are off by some 1e-4 of themselves.
    np.testing.assert_allclose(mode.covariance, np.linalg.inv(-hessian), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("n_segments", [3, 12])
def test_draws_are_those_of_quadrature(n_segments):
    """One parameter: h has two dimensions, a grid of which gives every moment."""
    hierarchy = toy(n_segments, 1)
    centers, log_spreads = np.linspace(-3, 3, 601), np.linspace(-6, 2.5, 501)
    grid = np.stack(np.meshgrid(centers, log_spreads, indexing="ij"), axis=-1).reshape(-1, 2)
    log_weight = exact_log_marginal(hierarchy, grid)
    weight = np.exp(log_weight - logsumexp(log_weight))
    mode = find_hyper_mode(hierarchy, np.ones(1), "toy")
    for seed in range(3):
        made = HierarchyDraws(hierarchy, mode, seed, "toy")
        draws = made()
        assert draws.diagnostics["gate"] == "passed"
        effective = min(draws.diagnostics["effective_sample_size"], 1024)
        found = to_unconstrained(hierarchy.hyper_parameters, draws.values)
        # Four standard errors of so many independent draws, in mean, deviation and quantiles.
        for i in range(2):
            mean = weight @ grid[:, i]
            sd = math.sqrt(weight @ (grid[:, i] - mean) ** 2)
            kurtosis = weight @ ((grid[:, i] - mean) / sd) ** 4
            assert abs(found[:, i].mean() - mean) < 4 * sd / math.sqrt(effective)
            assert abs(found[:, i].std() / sd - 1) < 4 * math.sqrt((kurtosis - 1) / (4 * effective))
            for probability in (0.05, 0.5, 0.95):
                order = np.argsort(grid[:, i], kind="stable")
                quantile = grid[order[np.searchsorted(np.cumsum(weight[order]), probability)], i]
                error = math.sqrt(probability * (1 - probability) / effective)
                assert abs(np.mean(found[:, i] <= quantile) - probability) < 4 * error
        for s, likelihood in enumerate(hierarchy.likelihoods):
            precision = 1 / likelihood.variance[0] + np.exp(-2 * grid[:, 1])
            between = (likelihood.seen[0] / likelihood.variance[0] + grid[:, 0] * np.exp(-2 * grid[:, 1])) / precision
            mean = weight @ between
            sd = math.sqrt(weight @ (1 / precision + (between - mean) ** 2))
            own = np.log(made.of_segment(s).values[:, 0])
            assert abs(own.mean() - mean) < 4 * sd / math.sqrt(effective)
            # Tails as those of a t with five degrees, at most: a kurtosis of 9.
            assert abs(own.std() / sd - 1) < 4 * math.sqrt(2 / effective)


def test_segments_are_independent_given_the_population():
    """What a draw of a segment adds to that of the population says nothing of another's, nor of the population."""
    hierarchy = toy(6, 2)
    blank = tuple(replace(likelihood, variance=np.full(2, 1e6)) for likelihood in hierarchy.likelihoods[:4])
    hierarchy = replace(hierarchy, likelihoods=(*blank, *hierarchy.likelihoods[4:]))
    made = HierarchyDraws(hierarchy, find_hyper_mode(hierarchy, np.ones(2), "toy"), 0, "toy", warns=False)
    hyper = to_unconstrained(hierarchy.hyper_parameters, made().values)
    center, log_spread = np.split(hyper, 2, axis=1)
    standard = np.hstack([(np.log(made.of_segment(s).values) - center) / np.exp(log_spread) for s in range(4)])
    correlation = np.corrcoef(np.hstack([standard, hyper]), rowvar=False)[:8]
    np.fill_diagonal(correlation, 0.0)
    # A standard error is 1 / sqrt(1024); some sixty of them.
    assert np.abs(correlation).max() < 4 / 32
    assert np.abs(standard.mean(axis=0)).max() < 4 / 32
    assert np.abs(standard.std(axis=0) - 1).max() < 4 / 32


@pytest.mark.slow
def test_chains_agree_with_the_toy():
    """NUTS, and importance sampling, of a hierarchy with two parameters; the marginal by a weighted t as reference."""
    hierarchy = toy(8, 2)
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    sampling = Sampling(chains=2, draws=1500, tune=500, progressbar=False)
    chains = nuts.sample(HierarchyTarget(hierarchy, mode), sampling, 1, "toy", target_accept=0.95)
    made = HierarchyDraws(hierarchy, mode, 0, "toy")
    assert not chains.statistics["diverging"].any()
    assert largest_disagreement(hierarchy, chains, made) < 1.0


# What it is for: segments of customers


def moments(values):
    """Mean, deviation, and their standard errors, of chains (n_chains, n_draws, n) by effective sample sizes."""
    arviz = pytest.importorskip("arviz")
    rows = []
    for column in np.moveaxis(values, -1, 0):
        squared = (column - column.mean()) ** 2
        errors = [part.std() / math.sqrt(arviz.ess(part, method="mean")) for part in (column, squared)]
        rows.append((column.mean(), errors[0], column.std(), errors[1] / (2 * column.std())))
    return np.array(rows).T


def largest_disagreement(hierarchy, chains, made):
    """Largest distance of means and deviations of all log parameters, in units of what chance allows.

    Chance allows one hundredth, over all of them (Bonferroni), by the effective sample sizes of both.
    """
    target = HierarchyTarget(hierarchy, made.mode)
    mean, mean_error, sd, sd_error = moments(to_unconstrained(target.parameters, chains.values))
    hyper = made()
    n = len(hierarchy.names)
    draws = np.hstack([hyper.values, *(made.of_segment(s).values for s in range(n))])
    drawn = to_unconstrained(target.parameters, draws)
    # No more than the draws that are kept.
    effective = min(hyper.diagnostics["effective_sample_size"], len(draws))
    kurtosis = np.mean(((drawn - drawn.mean(axis=0)) / drawn.std(axis=0)) ** 4, axis=0)
    shift = (drawn.mean(axis=0) - mean) / np.hypot(mean_error, sd / math.sqrt(effective))
    stretch = (drawn.std(axis=0) - sd) / np.hypot(sd_error, sd * np.sqrt((kurtosis - 1) / (4 * effective)))
    worst = int(np.argmax(np.abs(drawn.mean(axis=0) - mean) / sd))
    print(
        f"largest shift {np.max(np.abs(drawn.mean(axis=0) - mean) / sd):.3f} sd ({target.parameters[worst].name}), "
        f"largest stretch {np.max(np.abs(drawn.std(axis=0) / sd - 1)):.3f}; in standard errors "
        f"{np.abs(shift).max():.2f} and {np.abs(stretch).max():.2f}; effective: importance {effective:.0f}, "
        f"chains at least {np.min((sd / mean_error) ** 2):.0f}"
    )
    allowed = stats.norm.isf(0.005 / (2 * len(mean)))
    return float(max(np.abs(shift).max(), np.abs(stretch).max()) / allowed)


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_importance_sampling_agrees_with_chains(model, of_customers):
    hierarchy, mode, _ = of_customers[model]
    sampling = Sampling(chains=2, draws=1000, tune=400, progressbar=False)
    start = time.process_time()
    chains = nuts.sample(HierarchyTarget(hierarchy, mode), sampling, 3, model.__name__, target_accept=0.98)
    by_chains = time.process_time() - start
    made = HierarchyDraws(hierarchy, mode, 0, model.__name__)
    made()
    print(
        f"{model.__name__}: {by_chains:.1f} CPU-seconds of chains, "
        f"{time.process_time() - start - by_chains:.1f} without"
    )
    assert made().diagnostics["gate"] == "passed"
    assert chains.statistics["diverging"].sum() <= 2
    assert largest_disagreement(hierarchy, chains, made) < 1.0


# Rounds, gate, seeds, pickles


@pytest.fixture
def _fewer_points(monkeypatch):
    """What is not about accuracy need not take long."""
    monkeypatch.setattr("predclv.inference.nested_importance._HYPER_POINTS", 4096)


@pytest.mark.usefixtures("_fewer_points")
def test_rounds_go_on_until_two_agree(monkeypatch):
    hierarchy = toy(3, 2)
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    assert 2 <= HierarchyDraws(hierarchy, mode, 0, "toy")().diagnostics["n_rounds"] <= 5
    monkeypatch.setattr("predclv.inference.importance.gate", lambda diagnostics: "never")
    with pytest.warns(ConvergenceWarning, match="toy: the draws are doubtful: never"):
        diagnostics = HierarchyDraws(hierarchy, mode, 0, "toy")().diagnostics
    # Five of one t, and the last of several.
    assert diagnostics["n_rounds"] == 6
    assert diagnostics["gate"] == "never"
    assert HierarchyDraws(hierarchy, mode, 0, "toy", warns=False)().diagnostics["gate"] == "never"


def test_a_poor_start_is_mended_by_rounds():
    """A mode whose covariance is far too narrow: the first proposal misses much, and later ones find it."""
    hierarchy = toy(4, 2)
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    poor = replace(mode, covariance=0.15 * mode.covariance)
    made, expected = HierarchyDraws(hierarchy, poor, 0, "toy")(), HierarchyDraws(hierarchy, mode, 0, "toy")()
    assert made.diagnostics["n_rounds"] > 2
    assert made.diagnostics["gate"] == "passed"
    found, right = (np.log(draws.values) for draws in (made, expected))
    sizes = [min(draws.diagnostics["effective_sample_size"], 1024) for draws in (made, expected)]
    error = right.std(axis=0) * math.sqrt(1 / sizes[0] + 1 / sizes[1])
    assert (np.abs(found.mean(axis=0) - right.mean(axis=0)) < 4 * error).all()


@pytest.mark.usefixtures("_fewer_points")
def test_diagnostics_count_points():
    hierarchy = toy(10, 2)
    diagnostics = HierarchyDraws(hierarchy, find_hyper_mode(hierarchy, np.ones(2), "toy"), 0, "toy")().diagnostics
    assert diagnostics["approximation"] == "nested importance sampling"
    assert diagnostics["n_segments"] == 10
    assert diagnostics["n_points_of_a_segment"] == 2048
    assert 1 <= diagnostics["least_effective_points"] <= 2048


@pytest.mark.usefixtures("_fewer_points")
def test_a_seed_settles_the_draws():
    hierarchy = toy(4, 2)
    mode = find_hyper_mode(hierarchy, np.ones(2), "toy")
    one, again, other = (HierarchyDraws(hierarchy, mode, seed, "toy") for seed in (1, 1, 2))
    np.testing.assert_array_equal(one().values, again().values)
    for s in range(4):
        np.testing.assert_array_equal(one.of_segment(s).values, again.of_segment(s).values)
        assert not np.array_equal(one.of_segment(s).values, other.of_segment(s).values)
    # Made once, whoever asks first.
    assert one() is one()
    assert again.of_segment(0) is again.of_segment(0)


@pytest.mark.usefixtures("_fewer_points")
@pytest.mark.parametrize("drawn", [False, True])
def test_fitted_hierarchies_survive_another_process(drawn):
    rfm = simulate(pc.GammaGamma, {"web": 200, "shop": 60, "fair": 30})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = pc.GammaGamma(method="map", segment="channel").fit(rfm)
        if drawn:
            model.posterior_.draws_array()
        for copied in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
            np.testing.assert_array_equal(copied.posterior_.draws_array(), model.posterior_.draws_array())
            assert copied.posterior_.diagnostics == model.posterior_.diagnostics
            for name, own in model.segments_.items():
                draws = copied.segments_[name].posterior_.draws_array()
                np.testing.assert_array_equal(draws, own.posterior_.draws_array())
                assert not draws.flags.writeable


def test_chains_may_begin_without_a_mode(of_customers):
    hierarchy, _, rfm = of_customers[pc.BGNBD]
    rough = rough_hyper_mode(hierarchy, pc.BGNBD().fit(rfm).posterior_.point_array)
    assert np.isfinite(rough.hyper).all()
    assert np.linalg.eigvalsh(rough.covariance)[0] > 0
    target = HierarchyTarget(hierarchy, rough)
    value, gradient = target.make_evaluate()(np.zeros(target.size))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_spreads_have_a_parameter_and_a_prior_each():
    parameters = pc.GammaGamma(method="map").PARAMETERS
    spreads = spread_parameters(parameters)
    assert [p.name for p in spreads] == ["p_spread", "q_spread", "gamma_spread"]
    priors = spread_priors(parameters)
    assert list(priors) == [p.name for p in spreads]
    for prior in priors.values():
        low, high = prior.quantile([0.05, 0.95])
        # Between all but alike and a factor of several: neither complete pooling nor none.
        assert 0.02 < low < 0.15
        assert 0.6 < high < 2.0
