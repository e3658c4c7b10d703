"""From a likelihood's maximum to a `Posterior`, and plain words for what it could not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from predclv.errors import ConvergenceWarning, warn
from predclv.inference.normal_draws import NormalDraws
from predclv.inference.optimize import Optimum
from predclv.inference.posterior import Posterior
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter

__all__ = ["describe_edge", "posterior_of_estimate", "warn_of_estimate"]

# A standard error of a log parameter above this leaves the parameter unknown within a factor of 5 either way.
_VAGUE = 1.0

Stories = Mapping[tuple[tuple[str, str], ...], str]


def posterior_of_estimate(likelihood: Likelihood, optimum: Optimum, seed: int) -> Posterior:
    """Return the large-sample normal on the unconstrained scale, around the maximum."""
    parameters = tuple(likelihood.parameters)
    return Posterior(
        parameters=parameters,
        method="mle",
        point_array=optimum.values,
        covariance_unconstrained=optimum.covariance,
        make_draws=NormalDraws(parameters, optimum.values, optimum.covariance, seed),
        fit_diagnostics={
            "approximation": "normal on the log scale",
            "log_likelihood": optimum.log_density,
            "n_observations": likelihood.n_observations,
            "n_iterations": optimum.n_iterations,
            "runaway": dict(optimum.runaway),
            "n_flat_directions": optimum.n_flat,
        },
    )


def warn_of_estimate(name: str, optimum: Optimum, posterior: Posterior, stories: Stories, n_customers: int) -> None:
    """Warn of parameters at an edge of their domain, in the words of `stories`, or hardly determined."""
    if optimum.runaway:
        warn(
            f"{name}: {describe_edge(optimum.runaway, posterior.parameters, posterior.point, stories)}",
            ConvergenceWarning,
        )
        return
    vague = np.sqrt(np.diag(optimum.covariance)) > _VAGUE
    # The table costs as much as a fit of some thousand customers.
    if not vague.any():
        return
    for row in posterior.summary()[vague].itertuples():
        warn(
            f"{name}: {row.parameter} is hardly determined by {n_customers:,} customers: {row.estimate:.3g}, 90 % "
            f"interval {row.low:.3g} to {row.high:.3g}. The normal approximation is rough here; more customers, a "
            "longer window or priors (method='map') would settle it.",
            ConvergenceWarning,
        )


def describe_edge(
    runaway: Mapping[str, str], parameters: Sequence[Parameter], values: Mapping[str, float], stories: Stories
) -> str:
    """Say what it means that these parameters ran to these edges, and where they are held."""
    towards = ", ".join(
        f"{p.name} → {'∞' if runaway[p.name] == 'high' else f'{p.above:g}'}" for p in parameters if p.name in runaway
    )
    held = ", ".join(f"{name} = {values[name]:.3g}" for name in runaway)
    where = f"The likelihood is flat towards {towards}; held at {held}."
    applicable = [edges for edges in stories if all(runaway.get(parameter) == edge for parameter, edge in edges)]
    # A pair's story replaces those of its parts; two edges may tell one story.
    fullest = [edges for edges in applicable if not any(set(edges) < set(other) for other in applicable)]
    story = " ".join(dict.fromkeys(stories[edges] for edges in fullest))
    return f"{story or 'The data do not determine this model.'} {where}"
