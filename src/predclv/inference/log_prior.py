"""Priors on the unconstrained scale u = log(value - above), where all families are simple functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.priors.distributions import Gamma, LogNormal, Normal, Prior

__all__ = ["LogPrior"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class LogPrior:
    """Log density of independent priors in u, with the Jacobian of the logarithm.

    It is constant + sum(shape u - precision (u - center)^2 / 2 - rate exp(u)): a log-normal prior has shape and rate 0,
    a gamma has precision 0; a normal prior is that of a coefficient, which is u itself.

    Attributes
    ----------
    center, precision, shape, rate : (n,) arrays
    constant : float
    """

    center: FloatArray
    precision: FloatArray
    shape: FloatArray
    rate: FloatArray
    constant: float

    @classmethod
    def of(cls, priors: Sequence[Prior]) -> LogPrior:
        """Take the numbers of the priors, in order."""
        columns, constant = np.zeros((4, len(priors))), 0.0
        for j, prior in enumerate(priors):
            match prior:
                case LogNormal():
                    columns[:2, j] = math.log(prior.median - prior.above), prior.spread**-2
                    constant -= math.log(prior.spread) + 0.5 * math.log(2.0 * math.pi)
                case Normal():
                    columns[:2, j] = prior.mean, prior.spread**-2
                    constant -= math.log(prior.spread) + 0.5 * math.log(2.0 * math.pi)
                case Gamma():
                    shape, rate = prior.shape, prior.shape / (prior.mean - prior.above)
                    columns[2:, j] = shape, rate
                    constant += shape * math.log(rate) - math.lgamma(shape)
                case _:
                    raise TypeError(f"No form on the unconstrained scale is known for the prior {prior!r}.")
        center, precision, shapes, rates = columns
        return cls(center, precision, shapes, rates, constant)

    def value(self, unconstrained: FloatArray) -> float:
        """Log density at one point (n,)."""
        return float(self.values(unconstrained[np.newaxis])[0])

    def values(self, unconstrained: FloatArray) -> FloatArray:
        """Log density at many points, (n_points, n) -> (n_points,)."""
        distance = unconstrained - self.center
        terms = self.shape * unconstrained - 0.5 * self.precision * distance**2 - self.rate * np.exp(unconstrained)
        return np.asarray(self.constant + terms.sum(axis=-1))

    def value_and_gradient(self, unconstrained: FloatArray) -> tuple[float, FloatArray]:
        """Log density and gradient (n,) at one point."""
        distance = unconstrained - self.center
        pull, decay = self.precision * distance, self.rate * np.exp(unconstrained)
        value = self.constant + float(self.shape @ unconstrained - 0.5 * (pull @ distance) - decay.sum())
        return value, self.shape - pull - decay

    def derivatives(self, unconstrained: FloatArray) -> tuple[FloatArray, FloatArray]:
        """First and second derivatives, (n,) each, at one point; mixed ones are zero."""
        decay = self.rate * np.exp(unconstrained)
        slope = self.shape - self.precision * (unconstrained - self.center) - decay
        return slope, -self.precision - decay
