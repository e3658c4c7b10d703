"""From a log posterior to a `Posterior`: the mode, importance-sampled draws, and what to say of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary
from predclv.errors import ConvergenceWarning, FitError, warn
from predclv.inference.importance import ImportanceDraws, gate
from predclv.inference.log_posterior import LogPosterior
from predclv.inference.optimize import Optimum, maximize
from predclv.inference.posterior import Posterior
from predclv.priors.distributions import Prior, prior_from_dict, prior_to_dict
from predclv.priors.settle import Scales

__all__ = ["fit_posterior", "priors_from_dict", "priors_to_dict", "scales_of", "warn_of_default_priors"]

FloatArray = NDArray[np.float64]

# A posterior wider than this share of a default prior, on the log scale, is that prior more than the data.
_PRIOR_DECIDES = 0.5


def fit_posterior(
    density: LogPosterior, start: FloatArray, seed: int, name: str, *, strict: bool
) -> tuple[Posterior, Optimum]:
    """Climb to the mode; draws are made at first use, or here where `strict`.

    Raises
    ------
    FitError
        There is no mode; or, where `strict`, the draws are not to be trusted.
    """
    # Where a prior is far from the start, the way to the mode begins inside the prior.
    low, high = np.transpose([density.priors[p.name].quantile([0.01, 0.99]) for p in density.parameters])
    optimum = maximize(density, np.clip(start, low, high), proper=True)
    if optimum.n_flat:
        raise FitError(f"{name}: the posterior has no proper mode. Narrow the widest priors.")
    posterior = Posterior(
        parameters=density.parameters,
        method="map",
        point_array=optimum.values,
        covariance_unconstrained=optimum.covariance,
        make_draws=ImportanceDraws(density, optimum.values, optimum.covariance, seed, name, warns=not strict),
        fit_diagnostics={
            "log_posterior": optimum.log_density,
            "log_likelihood": density.likelihood.derivatives(optimum.values).value,
            "n_observations": density.n_observations,
            "n_iterations": optimum.n_iterations,
        },
    )
    if strict and (objection := gate(posterior.diagnostics)):
        raise FitError(
            f"{name}: importance sampling is not to be trusted here: {objection}. MCMC (NUTS), which method='auto' "
            "would turn to, is not in this version. Give more informative priors or more data, or accept the draws "
            "with a warning: method='map'."
        )
    return posterior, optimum


def warn_of_default_priors(
    name: str, posterior: Posterior, priors: Mapping[str, Prior], given: Mapping[str, Prior]
) -> None:
    """Say which parameters the data leave to priors that nobody chose."""
    decided = []
    errors = np.sqrt(np.diag(posterior.covariance_unconstrained))
    for parameter, error in zip(posterior.parameters, errors, strict=True):
        low, high = priors[parameter.name].quantile([0.16, 0.84]) - parameter.above
        share = float(error / (0.5 * np.log(high / low)))
        if parameter.name not in given and share > _PRIOR_DECIDES:
            decided.append(f"{parameter.name} ({share:.0%} as wide as its prior)")
    if decided:
        warn(
            f"{name}: {posterior.fit_diagnostics['n_observations']:,} customers say little about {', '.join(decided)}, "
            "so the default priors help to decide the forecast. Say what you know (predclv.priors has helpers), or "
            "read priors_table() and judge whether you agree.",
            ConvergenceWarning,
        )


def scales_of(rfm: RFMSummary) -> Scales:
    """Units and sizes of a summary, as priors need them."""
    basket = None
    if rfm.monetary_value is not None:
        mean_spend = rfm.repeat_spend()[1]
        basket = float(np.median(mean_spend)) if len(mean_spend) else None
    return Scales(rfm.time_unit, rfm.currency, float(rfm.T.mean()), basket)


def priors_to_dict(priors: Mapping[str, Prior] | None) -> dict[str, Any] | None:
    """Return priors as JSON types."""
    return None if priors is None else {name: prior_to_dict(prior) for name, prior in priors.items()}


def priors_from_dict(stored: Mapping[str, Any] | None) -> dict[str, Prior] | None:
    """Rebuild from `priors_to_dict`; KeyError, TypeError, ValueError or AttributeError where they are none."""
    return None if stored is None else {name: prior_from_dict(prior) for name, prior in stored.items()}
