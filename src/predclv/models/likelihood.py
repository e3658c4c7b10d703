"""A model's log-likelihood bound to data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

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
    make_evaluate_gradient : callable
        Returns a function from one theta (n_parameters,) to value and gradient; called when a sampler starts.
    pointwise : callable
        From rows, in order, and thetas (n_draws, n_parameters) to the value of each row alone (n_draws, n_rows), not
        weighted.
    rows : mapping of name to (n_rows,) array
        The data of each row by the names of an RFM table, in the order in which `pointwise` and `literal` take
        them.
    weight : (n_rows,) array
        Customers of each row.
    literal : callable
        The equations' own form: from rows and parameters, and `xp`, a namespace of functions, to the value of each row.
    """

    parameters: tuple[Parameter, ...]
    n_observations: int
    n_rows: int
    evaluate: Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]
    make_evaluate_many: Callable[[], Callable[[FloatArray], FloatArray]]
    make_evaluate_gradient: Callable[[], Callable[[FloatArray], tuple[float, FloatArray]]]
    pointwise: Callable[..., FloatArray]
    rows: Mapping[str, FloatArray]
    weight: FloatArray
    literal: Callable[..., Any]

    def derivatives(self, values: FloatArray) -> Derivatives:
        """Value, gradient and Hessian in the natural parameters."""
        return Derivatives(*self.evaluate(values))

    def values(self, theta: FloatArray) -> FloatArray:
        """Value at each of many natural parameter vectors, (n_draws, n_parameters) -> (n_draws,)."""
        return self.make_evaluate_many()(theta)

    def make_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Prepare for many calls: from one natural parameter vector (n_parameters,) to value and gradient."""
        return self.make_evaluate_gradient()

    def row_values(self, theta: FloatArray, rows: slice = slice(None)) -> FloatArray:
        """Value of each of some rows, not weighted: (n_draws, n_parameters) -> (n_draws, n_some_rows)."""
        return self.pointwise(*(column[rows] for column in self.rows.values()), theta)
