"""Segments that share strength: from one summary and a column of it to a posterior for each segment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.data.columns import segments
from predclv.data.rfm import RFMSummary
from predclv.errors import ConvergenceWarning, DataError, FitError, warn
from predclv.inference import nuts
from predclv.inference.chains import ChainDraws, Chains, Sampling, choose_spread, diagnose
from predclv.inference.hierarchy import Hierarchy, HyperMode
from predclv.inference.hierarchy_nuts import HierarchyTarget
from predclv.inference.hyper_mode import find_hyper_mode, rough_hyper_mode
from predclv.inference.importance import gate
from predclv.inference.nested_importance import HierarchyDraws
from predclv.inference.posterior import Posterior
from predclv.models.bayes import may_sample, posterior_of_chains, warn_of_chains
from predclv.parameters import from_unconstrained

__all__ = ["PooledPosteriors", "fit_hierarchy", "match_segments", "warn_of_small_segments"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A segment of fewer customers than this says so little that the population speaks for it.
_SMALL = 10
# Curved corners of a hierarchy need shorter steps than a posterior that is whitened well.
_TARGET_ACCEPT = 0.98


class PooledPosteriors(NamedTuple):
    """Posteriors whose draws belong together row by row."""

    population: Posterior
    segments: list[Posterior]


def fit_hierarchy(
    hierarchy: Hierarchy, start: FloatArray, seed: int, name: str, method: str, sampling: Sampling
) -> PooledPosteriors:
    """Find the posteriors of the population and of each segment, by "map", "mcmc" or "auto".

    "map" is empirical Bayes: the mode of what the segments have in common, by Laplace's method, and draws around it by
    nested importance sampling, so that what is not known of the population counts. "mcmc" samples all jointly. "auto"
    does as "map", judges the draws, and samples where they are doubtful.

    Raises
    ------
    FitError
        "map": no mode was reached. "mcmc", "auto": the sampler failed.
    """
    if method == "mcmc":
        return _sample(hierarchy, _mode_or_rough(hierarchy, start, name), seed, name, sampling)
    if method == "map":
        return _approximate(hierarchy, find_hyper_mode(hierarchy, start, name), seed, name, warns=True)
    try:
        posteriors = _approximate(hierarchy, find_hyper_mode(hierarchy, start, name), seed, name, warns=False)
        objection = gate(posteriors.population.diagnostics)
    except FitError as error:
        posteriors, objection = None, f"no mode was found: {error}"
    if posteriors is not None and not (objection and may_sample(name, objection, sampling)):
        return posteriors
    sampling.require()
    warn(
        f"{name}: importance sampling is not to be trusted here ({objection}), so NUTS makes the draws.",
        ConvergenceWarning,
    )
    mode = _mode_or_rough(hierarchy, start, name)
    return _sample(hierarchy, mode, seed, name, sampling, {"importance_sampling": objection})


def match_segments(rfm: RFMSummary, column: str, known: Sequence[str], model: str) -> IntArray:
    """Position in `known` of each customer's segment, (n_customers,).

    Raises
    ------
    DataError
        The column is not carried, has gaps, or names segments that the model has not seen.
    """
    names, codes = segments(rfm, column, option="segment")
    position = {name: i for i, name in enumerate(known)}
    where = np.array([position.get(str(name), -1) for name in names], dtype=np.int64)[codes]
    unseen = where < 0
    if unseen.any():
        first = int(np.argmax(unseen))
        raise DataError(
            f"{unseen.sum():,} of {len(rfm):,} customers are in segments of {column!r} that {model} was not fitted on "
            f"(first: customer {rfm.customer_id[first]}, {str(names[codes[first]])!r}; known: {_listed(known)}). Fit "
            "again with them, or forecast them apart with a model without segments."
        )
    return where


def warn_of_small_segments(name: str, sizes: Mapping[str, int]) -> None:
    """Say whose parameters are the population's."""
    if len(sizes) == 1:
        warn(
            f"{name}: there is one segment, {next(iter(sizes))!r}, so nothing is shared and the spread is left to its "
            "prior. Leave segment= out, or name another column.",
            ConvergenceWarning,
        )
    small = {segment: size for segment, size in sizes.items() if size < _SMALL}
    if small:
        segment, size = next(iter(small.items()))
        warn(
            f"{name}: fewer than {_SMALL} customers in {len(small):,} of {len(sizes):,} segments (first: "
            f"{segment!r}, {size}). Their parameters are nearly the population's, and as uncertain as segments differ.",
            ConvergenceWarning,
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:5]))
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"


def _mode_or_rough(hierarchy: Hierarchy, start: FloatArray, name: str) -> HyperMode:
    try:
        return find_hyper_mode(hierarchy, start, name)
    except FitError:
        # Chains need no mode, only a place to begin.
        return rough_hyper_mode(hierarchy, start)


def _approximate(hierarchy: Hierarchy, mode: HyperMode, seed: int, name: str, *, warns: bool) -> PooledPosteriors:
    draws = HierarchyDraws(hierarchy, mode, seed, name, warns=warns)
    population = Posterior(
        parameters=hierarchy.hyper_parameters,
        method="map",
        point_array=from_unconstrained(hierarchy.hyper_parameters, mode.hyper),
        covariance_unconstrained=mode.covariance,
        make_draws=draws,
        fit_diagnostics={"log_posterior": mode.log_density, "n_observations": hierarchy.n_observations},
    )
    covariances = mode.segment_covariances()
    own = [
        Posterior(
            parameters=hierarchy.parameters,
            method="map",
            point_array=from_unconstrained(hierarchy.parameters, mode.segments.modes[s]),
            covariance_unconstrained=covariances[s],
            make_draws=partial(draws.of_segment, s),
            fit_diagnostics={"n_observations": likelihood.n_observations},
        )
        for s, likelihood in enumerate(hierarchy.likelihoods)
    ]
    return PooledPosteriors(population, own)


def _sample(
    hierarchy: Hierarchy,
    mode: HyperMode,
    seed: int,
    name: str,
    sampling: Sampling,
    notes: Mapping[str, Any] | None = None,
) -> PooledPosteriors:
    sampling.require()
    target = HierarchyTarget(hierarchy, mode)
    if sampling.sampler == "nutpie":
        chains = nuts.sample(target, sampling, seed, name, target_accept=_TARGET_ACCEPT)
    else:
        from predclv.inference.pymc_hierarchy import sample_hierarchy

        chains = sample_hierarchy(hierarchy, mode, sampling, seed, name, target_accept=_TARGET_ACCEPT)
    diagnostics = diagnose(chains, target.parameters)
    objection = warn_of_chains(name, diagnostics)
    n_hyper = len(hierarchy.hyper_parameters)
    population = chains.of_parameters(slice(0, n_hyper))
    # One choice of draws for all: those of a segment belong to those of the population.
    chosen = choose_spread(population, hierarchy.hyper_parameters, seed)
    finish: Callable[..., Posterior] = partial(_of_chains, chosen=chosen, seed=seed)
    own = []
    for s, likelihood in enumerate(hierarchy.likelihoods):
        first = n_hyper + s * len(hierarchy.parameters)
        part = chains.of_parameters(slice(first, first + len(hierarchy.parameters)))
        found = diagnose(part, hierarchy.parameters)
        own.append(finish(part, hierarchy.parameters, {**found, "n_observations": likelihood.n_observations}))
    shared = {**diagnostics, "objections": objection or "none", "n_observations": hierarchy.n_observations}
    shared |= {"n_segments": len(own), **(notes or {})}
    return PooledPosteriors(finish(population, hierarchy.hyper_parameters, shared), own)


def _of_chains(
    chains: Chains, parameters: tuple[Any, ...], diagnostics: Mapping[str, Any], *, chosen: IntArray, seed: int
) -> Posterior:
    return posterior_of_chains(chains, parameters, ChainDraws(chains, parameters, seed, chosen=chosen), diagnostics)
