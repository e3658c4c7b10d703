"""A model's log-likelihood bound to data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.inference.log_density import Derivatives
from predclv.parameters import Parameter

__all__ = ["Likelihood"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Likelihood:
    """A log-likelihood bound to data: what `inference` climbs and samples.

    Attributes
    ----------
    parameters : tuple of Parameter
    n_observations, n_rows : int
        Customers, and distinct histories among them.
    evaluate : callable
        From one theta (n_parameters,) to value, gradient and Hessian.
    make_evaluate_many : callable
        Returns a function from thetas (n_draws, n_parameters) to values (n_draws,); called when draws are made.
    """

    parameters: tuple[Parameter, ...]
    n_observations: int
    n_rows: int
    evaluate: Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]
    make_evaluate_many: Callable[[], Callable[[FloatArray], FloatArray]]

    def derivatives(self, values: FloatArray) -> Derivatives:
        """Value, gradient and Hessian in the natural parameters."""
        return Derivatives(*self.evaluate(values))

    def values(self, theta: FloatArray) -> FloatArray:
        """Value at each of many natural parameter vectors, (n_draws, n_parameters) -> (n_draws,)."""
        return self.make_evaluate_many()(theta)
