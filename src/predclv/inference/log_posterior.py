"""Log likelihood plus log priors: a log density like any other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.inference.log_density import Derivatives, FullDensity
from predclv.parameters import Parameter, jacobian
from predclv.priors.distributions import Gamma, LogNormal, Prior

__all__ = ["LogPosterior"]

FloatArray = NDArray[np.float64]

# Logarithm of a parameter less its lower end: beyond, products of parameters leave the range of numbers.
_FARTHEST = 300.0


@dataclass(frozen=True)
class LogPosterior:
    """Posterior density of the unconstrained parameters log(value - above), as a function of natural values.

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

    def make_unconstrained_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Prepare for many calls: from unconstrained u (n,) to value and gradient (n,) on that scale.

        Priors and Jacobian are in it: the same as `unconstrained_derivatives` gives. Where a parameter is out of
        range, or the density is not finite, the value is -inf and the gradient 0, so that a sampler turns back.
        """
        likelihood = self.likelihood.make_gradient()
        above = np.array([parameter.above for parameter in self.parameters])
        center, precision, shape, rate, constant = _on_unconstrained_scale(self._in_order())
        nothing = np.zeros(len(above))

        def evaluate(unconstrained: FloatArray) -> tuple[float, FloatArray]:
            # Negated, so that NaN counts as out of range.
            if not np.abs(unconstrained).max() < _FARTHEST:
                return -math.inf, nothing.copy()
            excess = np.exp(unconstrained)
            value, gradient = likelihood(excess + above)
            distance = unconstrained - center
            pull, decay = precision * distance, rate * excess
            value += constant + float(shape @ unconstrained - 0.5 * (pull @ distance) - decay.sum())
            gradient = gradient * excess + (shape - pull - decay)
            if not (math.isfinite(value) and math.isfinite(gradient.sum())):
                return -math.inf, nothing.copy()
            return float(value), gradient

        return evaluate

    def _in_order(self) -> Sequence[Prior]:
        return [self.priors[parameter.name] for parameter in self.parameters]


def _on_unconstrained_scale(
    priors: Sequence[Prior],
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, float]:
    """Center, precision, shape and rate (n,) and constant of the priors' log density in u, Jacobian included.

    It is constant + sum(shape u - precision (u - center)^2 / 2 - rate exp(u)): a log-normal prior has shape and rate
    0, a gamma has precision 0.
    """
    columns, constant = np.zeros((4, len(priors))), 0.0
    for j, prior in enumerate(priors):
        match prior:
            case LogNormal():
                columns[:2, j] = math.log(prior.median - prior.above), prior.spread**-2
                constant -= math.log(prior.spread) + 0.5 * math.log(2.0 * math.pi)
            case Gamma():
                shape, rate = prior.shape, prior.shape / (prior.mean - prior.above)
                columns[2:, j] = shape, rate
                constant += shape * math.log(rate) - math.lgamma(shape)
            case _:
                raise TypeError(f"No form on the unconstrained scale is known for the prior {prior!r}.")
    center, precision, shapes, rates = columns
    return center, precision, shapes, rates, constant
