"""What inference needs to know of a model: a log density and its derivatives, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.parameters import Parameter, are_logarithmic, from_unconstrained, jacobian

__all__ = [
    "Derivatives",
    "FullDensity",
    "GradientDensity",
    "LogDensity",
    "SampledDensity",
    "unconstrained_derivatives",
]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Derivatives:
    """Value, gradient (n,) and Hessian (n, n) of a log density at a point."""

    value: float
    gradient: FloatArray
    hessian: FloatArray

    @property
    def is_finite(self) -> bool:
        """Whether every entry is finite."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all() and np.isfinite(self.hessian).all())


class LogDensity(Protocol):
    """A log likelihood, or a log posterior, of named parameters."""

    @property
    def parameters(self) -> Sequence[Parameter]:
        """The parameters, in the order of every array."""
        ...

    @property
    def n_observations(self) -> int:
        """Number of customers behind the density."""
        ...

    def derivatives(self, values: FloatArray) -> Derivatives:
        """Value, gradient and Hessian in the natural parameters, at natural `values` (n,)."""
        ...


class SampledDensity(LogDensity, Protocol):
    """A log density that can be evaluated at thousands of points in one call."""

    @property
    def n_rows(self) -> int:
        """Number of distinct rows that an evaluation runs over: what it costs."""
        ...

    def values(self, theta: FloatArray) -> FloatArray:
        """Value at each of many natural parameter vectors, (n_draws, n_parameters) -> (n_draws,)."""
        ...


class GradientDensity(LogDensity, Protocol):
    """A log density that gives value and gradient alone, at thousands of points one after the other."""

    def make_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Prepare for many calls: from one natural parameter vector (n_parameters,) to value and gradient."""
        ...


class FullDensity(SampledDensity, GradientDensity, Protocol):
    """A log density for every way to draw from it: by points in one call, and step by step."""


def unconstrained_derivatives(density: LogDensity, unconstrained: FloatArray) -> Derivatives:
    """Value, gradient and Hessian in the unconstrained parameters u, where value = above + exp(u), or u."""
    values = from_unconstrained(density.parameters, unconstrained)
    natural = density.derivatives(values)
    slope = jacobian(density.parameters, values)
    gradient = natural.gradient * slope
    # The exponential's second derivative equals its first, which adds the gradient to the diagonal.
    hessian = natural.hessian * np.outer(slope, slope) + np.diag(gradient * are_logarithmic(density.parameters))
    return Derivatives(natural.value, gradient, hessian)
