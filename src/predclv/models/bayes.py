"""From a log posterior to a `Posterior`: the mode and importance-sampled draws, or chains, and what to say of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary
from predclv.errors import ConvergenceWarning, FitError, SamplingWarning, warn
from predclv.inference import nuts
from predclv.inference.chains import ChainDraws, Chains, Sampling, diagnose, objections
from predclv.inference.importance import ImportanceDraws, gate
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.optimize import Optimum, maximize
from predclv.inference.posterior import Posterior
from predclv.kernels.weighted import weighted_median
from predclv.parameters import Parameter, from_unconstrained, to_unconstrained
from predclv.priors.distributions import Prior, prior_from_dict, prior_to_dict
from predclv.priors.settle import Scales

__all__ = [
    "find_center",
    "fit_posterior",
    "may_sample",
    "posterior_of_chains",
    "priors_from_dict",
    "priors_to_dict",
    "scales_of",
    "warn_of_chains",
    "warn_of_default_priors",
]

FloatArray = NDArray[np.float64]

# A posterior wider than this share of a default prior, on the log scale, is that prior more than the data.
_PRIOR_DECIDES = 0.5


def fit_posterior(
    density: LogPosterior, start: FloatArray, seed: int, name: str, method: str, sampling: Sampling
) -> Posterior:
    """Find the posterior by "map", "mcmc" or "auto".

    "map" climbs to the mode, and makes its draws at first use; "mcmc" samples; "auto" does as "map", makes the draws
    and judges them, and samples where there is no mode or the draws are doubtful.

    Raises
    ------
    FitError
        "map": there is no mode. "mcmc", "auto": the sampler failed.

    Warns
    -----
    SamplingWarning
        Chains diverged, disagree, or are short.
    ConvergenceWarning
        "auto": importance sampling would not do.
    """
    if method == "mcmc":
        return _sample(density, find_center(density, start), seed, name, sampling)
    if method == "map":
        return _approximate(density, _find_mode(density, start, name), seed, name, warns=True)
    try:
        posterior = _approximate(density, _find_mode(density, start, name), seed, name, warns=False)
        objection = gate(posterior.diagnostics)
    except FitError as error:
        posterior, objection = None, f"no mode was found: {error}"
    if posterior is not None and not (objection and may_sample(name, objection, sampling)):
        return posterior
    sampling.require()
    warn(
        f"{name}: importance sampling is not to be trusted here ({objection}), so NUTS makes the draws.",
        ConvergenceWarning,
    )
    return _sample(density, find_center(density, start), seed, name, sampling, {"importance_sampling": objection})


def may_sample(name: str, objection: str, sampling: Sampling) -> bool:
    """Whether what NUTS needs is installed; without it a warning says that doubtful draws are kept, and what to do."""
    missing = sampling.missing()
    if missing:
        warn(
            f"{name}: the draws are doubtful: {objection}. method='auto' would turn to NUTS, which needs "
            f"{' and '.join(missing)}: pip install 'predclv[bayes]'.",
            ConvergenceWarning,
        )
    return not missing


def _approximate(density: LogPosterior, optimum: Optimum, seed: int, name: str, *, warns: bool) -> Posterior:
    """Posterior at its mode, with draws by importance sampling."""
    return Posterior(
        parameters=density.parameters,
        method="map",
        point_array=optimum.values,
        covariance_unconstrained=optimum.covariance,
        make_draws=ImportanceDraws(density, optimum.values, optimum.covariance, seed, name, warns=warns),
        fit_diagnostics={
            "log_posterior": optimum.log_density,
            "log_likelihood": density.likelihood.derivatives(optimum.values).value,
            "n_observations": density.n_observations,
            "n_iterations": optimum.n_iterations,
        },
    )


def _find_mode(density: LogPosterior, start: FloatArray, name: str) -> Optimum:
    # Where a prior is far from the start, the way to the mode begins inside the prior.
    low, high = np.transpose([density.priors[p.name].quantile([0.01, 0.99]) for p in density.parameters])
    optimum = maximize(density, np.clip(start, low, high), proper=True)
    if optimum.n_flat:
        raise FitError(f"{name}: the posterior has no proper mode. Narrow the widest priors.")
    return optimum


def find_center(density: LogPosterior, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Where chains begin, and how wide: the mode and its curvature; without a mode the priors' medians and widths."""
    try:
        optimum = _find_mode(density, start, "")
        return optimum.values, optimum.covariance
    except FitError:
        # A chain needs no mode: the sampler finds its own way, and its scale in tuning.
        quantiles = np.transpose([density.priors[p.name].quantile([0.16, 0.5, 0.84]) for p in density.parameters])
        low, _, high = to_unconstrained(density.parameters, quantiles)
        return quantiles[1], np.diag((0.5 * (high - low)) ** 2)


def _sample(
    density: LogPosterior,
    center: tuple[FloatArray, FloatArray],
    seed: int,
    name: str,
    sampling: Sampling,
    notes: Mapping[str, Any] | None = None,
) -> Posterior:
    sampling.require()
    if sampling.sampler == "nutpie":
        chains = nuts.sample(nuts.Whitened(density, *center), sampling, seed, name)
    else:
        from predclv.inference import pymc

        chains = pymc.sample(density, center, sampling, seed, name)
    diagnostics = diagnose(chains, density.parameters)
    objection = warn_of_chains(name, diagnostics)
    found = {**diagnostics, "objections": objection or "none", "n_observations": density.n_observations}
    return posterior_of_chains(
        chains, density.parameters, ChainDraws(chains, density.parameters, seed), {**found, **(notes or {})}
    )


def warn_of_chains(name: str, diagnostics: Mapping[str, Any]) -> str:
    """Warn where chains should not be trusted; return why, or an empty string."""
    objection = objections(diagnostics)
    if objection:
        warn(
            f"{name}: the chains are doubtful: {objection}. Draw more (draws=, tune=), or give narrower priors.",
            SamplingWarning,
        )
    return objection


def posterior_of_chains(
    chains: Chains, parameters: tuple[Parameter, ...], make_draws: ChainDraws, diagnostics: Mapping[str, Any]
) -> Posterior:
    """Posterior at the mean of the unconstrained parameters over the chains."""
    unconstrained = to_unconstrained(parameters, chains.flat())
    return Posterior(
        parameters=parameters,
        method="mcmc",
        point_array=from_unconstrained(parameters, unconstrained.mean(axis=0)),
        covariance_unconstrained=np.cov(unconstrained, rowvar=False),
        make_draws=make_draws,
        fit_diagnostics=diagnostics,
        chains=chains,
    )


def warn_of_default_priors(
    name: str, posteriors: Sequence[Posterior], priors: Mapping[str, Prior], given: Mapping[str, Prior]
) -> None:
    """Say which parameters the data leave to priors that nobody chose.

    Several posteriors are segments', each judged by its customers: what they have in common is learnt from as many data
    as there are segments, which are always few, and matters little to large ones.
    """
    decided = []
    customers = np.array([posterior.fit_diagnostics["n_observations"] for posterior in posteriors], dtype=np.float64)
    errors = np.sqrt([np.diag(posterior.covariance_unconstrained) for posterior in posteriors])
    for parameter, error in zip(posteriors[0].parameters, customers @ errors / customers.sum(), strict=True):
        ends = priors[parameter.name].quantile([0.16, 0.84])
        low, high = (float(to_unconstrained([parameter], [end])[0]) for end in ends)
        share = float(error / (0.5 * (high - low)))
        if parameter.name not in given and share > _PRIOR_DECIDES:
            decided.append(f"{parameter.name} ({share:.0%} as wide as its prior)")
    if decided:
        warn(
            f"{name}: {customers.sum():,.0f} customers say little about {', '.join(decided)}, "
            "so the default priors help to decide the forecast. Say what you know (predclv.priors has helpers), or "
            "read priors_table() and judge whether you agree.",
            ConvergenceWarning,
        )


def scales_of(rfm: RFMSummary) -> Scales:
    """Units and sizes of a summary, as priors need them."""
    basket = None
    if rfm.monetary_value is not None:
        spend = rfm.repeat_spend().mean_spend
        basket = weighted_median(spend, rfm.repeat_spend_weight) if len(spend) else None
    return Scales(rfm.time_unit, rfm.currency, rfm.mean_age, basket)


def priors_to_dict(priors: Mapping[str, Prior] | None) -> dict[str, Any] | None:
    """Return priors as JSON types."""
    return None if priors is None else {name: prior_to_dict(prior) for name, prior in priors.items()}


def priors_from_dict(stored: Mapping[str, Any] | None) -> dict[str, Prior] | None:
    """Rebuild from `priors_to_dict`; KeyError, TypeError, ValueError or AttributeError where they are none."""
    return None if stored is None else {name: prior_from_dict(prior) for name, prior in stored.items()}
