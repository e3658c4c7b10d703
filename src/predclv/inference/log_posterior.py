"""Log likelihood plus log priors: a log density like any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.inference.log_density import Derivatives, FullDensity
from predclv.inference.log_prior import LogPrior
from predclv.parameters import Parameter, are_logarithmic, from_unconstrained, jacobian
from predclv.priors.distributions import Prior

__all__ = ["LogPosterior"]

FloatArray = NDArray[np.float64]

# Length of the logarithms of the parameters less their lower ends: beyond, their products leave the range of numbers.
_FARTHEST = 300.0


@dataclass(frozen=True)
class LogPosterior:
    """Posterior density of the unconstrained parameters log(value - above), as a function of natural values.

    A coefficient, which may be any number, is its own unconstrained parameter.

    The logarithm's derivative, d value / d log(value - above) = value - above, belongs to it: so the density
    integrates to one over the unconstrained scale, its mode does not depend on units, and a log-normal prior is a
    parabola.

    Attributes
    ----------
    likelihood : FullDensity
        Of natural parameters.
    priors : mapping of name to Prior
        One a parameter, in the likelihood's units.
    parameters : tuple of Parameter
        The likelihood's, with the domains that the priors leave them.
    """

    likelihood: FullDensity
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
        excess, curved = jacobian(self.parameters, values), are_logarithmic(self.parameters)
        prior = np.array([p.derivatives(float(v)) for p, v in zip(self._in_order(), values, strict=True)])
        return Derivatives(
            likelihood.value + float(np.sum(prior[:, 0] + np.log(excess))),
            likelihood.gradient + prior[:, 1] + curved / excess,
            likelihood.hessian + np.diag(prior[:, 2] - curved / excess**2),
        )

    def values(self, theta: FloatArray) -> FloatArray:
        """Value at each of many natural parameter vectors, (n_draws, n_parameters) -> (n_draws,)."""
        value: FloatArray = self.likelihood.values(theta) + np.log(jacobian(self.parameters, theta)).sum(axis=1)
        for prior, column in zip(self._in_order(), theta.T, strict=True):
            value += prior.log_density(column)
        return value

    def make_unconstrained_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Prepare for many calls: from unconstrained u (n,) to value and gradient (n,) on that scale.

        Priors and Jacobian are in it: the same as `unconstrained_derivatives` gives. Where a parameter is out of
        range, or the density is not finite, the value is -inf and the gradient 0, so that a sampler turns back.
        """
        likelihood = self.likelihood.make_gradient()
        prior = LogPrior.of(self._in_order())
        parameters, curved = self.parameters, are_logarithmic(self.parameters)
        above = np.array([parameter.above for parameter in parameters])
        farthest_squared = _FARTHEST**2
        only_logarithms = bool(curved.all())

        def evaluate(unconstrained: FloatArray) -> tuple[float, FloatArray]:
            with np.errstate(all="ignore"):
                # Negated, so that NaN counts as out of range.
                if not unconstrained @ unconstrained < farthest_squared:
                    return -math.inf, np.zeros_like(above)
                if only_logarithms:
                    excess = np.exp(unconstrained)
                    value, gradient = likelihood(excess + above)
                else:
                    natural = from_unconstrained(parameters, unconstrained)
                    excess = jacobian(parameters, natural)
                    value, gradient = likelihood(natural)
                log_prior, slope = prior.value_and_gradient(unconstrained)
                value, gradient = value + log_prior, gradient * excess + slope
                if not (math.isfinite(value) and math.isfinite(gradient @ gradient)):
                    return -math.inf, np.zeros_like(above)
            return float(value), gradient

        return evaluate

    def _in_order(self) -> Sequence[Prior]:
        return [self.priors[parameter.name] for parameter in self.parameters]
