"""Log likelihood plus log priors: a log density like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.inference.log_density import Derivatives, SampledDensity
from predclv.parameters import Parameter, jacobian
from predclv.priors.distributions import Prior

__all__ = ["LogPosterior"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LogPosterior:
    """Posterior density of the unconstrained parameters log(value - above), as a function of natural values.

    The logarithm's derivative, d value / d log(value - above) = value - above, belongs to it: so the density
    integrates to one over the unconstrained scale, its mode does not depend on units, and a log-normal prior is a
    parabola.

    Attributes
    ----------
    likelihood : SampledDensity
        Of natural parameters.
    priors : mapping of name to Prior
        One a parameter, in the likelihood's units.
    parameters : tuple of Parameter
        The likelihood's, with the domains that the priors leave them.
    """

    likelihood: SampledDensity
    priors: Mapping[str, Prior]
    parameters: tuple[Parameter, ...]

    @property
    def n_observations(self) -> int:
        """Number of customers behind the likelihood."""
        return self.likelihood.n_observations

    @property
    def n_rows(self) -> int:
        """Number of distinct rows that an evaluation runs over."""
        return self.likelihood.n_rows

    def derivatives(self, values: FloatArray) -> Derivatives:
        """Value, gradient and Hessian in the natural parameters."""
        likelihood = self.likelihood.derivatives(values)
        excess = jacobian(self.parameters, values)
        prior = np.array([p.derivatives(float(v)) for p, v in zip(self._in_order(), values, strict=True)])
        return Derivatives(
            likelihood.value + float(np.sum(prior[:, 0] + np.log(excess))),
            likelihood.gradient + prior[:, 1] + 1.0 / excess,
            likelihood.hessian + np.diag(prior[:, 2] - 1.0 / excess**2),
        )

    def values(self, theta: FloatArray) -> FloatArray:
        """Value at each of many natural parameter vectors, (n_draws, n_parameters) -> (n_draws,)."""
        value: FloatArray = self.likelihood.values(theta) + np.log(jacobian(self.parameters, theta)).sum(axis=1)
        for prior, column in zip(self._in_order(), theta.T, strict=True):
            value += prior.log_density(column)
        return value

    def _in_order(self) -> Sequence[Prior]:
        return [self.priors[parameter.name] for parameter in self.parameters]
