"""What the times between purchases add to the likelihood of regular buyers: constants in the parameters, not in k."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from predclv.data.rfm import RFMSummary
from predclv.kernels.bg_family import NUMPY
from predclv.models.likelihood import Likelihood

__all__ = ["complete"]

FloatArray = NDArray[np.float64]


def complete(likelihood: Likelihood, rfm: RFMSummary, row: NDArray[np.int64], k: int) -> Likelihood:
    """Add what is constant in the parameters and not in k, which the kernels leave out; `row` is of each customer."""
    log_itt = np.zeros(likelihood.n_rows)
    if rfm.log_itt is not None:
        # Customers of one row differ in their gaps, which no parameter notices: each has the mean of the row.
        sums = rfm.log_itt if rfm.weight is None else rfm.log_itt * rfm.weight
        log_itt = np.bincount(row, weights=sums, minlength=likelihood.n_rows) / likelihood.weight
    constants = _Constants(k, likelihood.pointwise, likelihood.literal)
    x, t_x, T, *covariates = likelihood.rows
    constant = float(likelihood.weight @ constants.of_rows(likelihood.rows[x], log_itt))
    return replace(
        likelihood,
        evaluate=partial(_with, constant, likelihood.evaluate),
        make_evaluate_many=partial(_make_add, constant, likelihood.make_evaluate_many),
        make_evaluate_gradient=partial(_make_with, constant, likelihood.make_evaluate_gradient),
        pointwise=constants.add_to_pointwise,
        rows={
            **{name: likelihood.rows[name] for name in (x, t_x, T)},
            "log_itt": log_itt,
            **{name: likelihood.rows[name] for name in covariates},
        },
        literal=constants.add_to_literal,
    )


@dataclass(frozen=True)
class _Constants:
    """The log-likelihood's part that depends on k and no parameter: (k-1) sum log itt - x log Gamma(k)."""

    k: int
    pointwise: Callable[..., FloatArray]
    literal: Callable[..., Any]

    def of_rows(self, x: Any, log_itt: Any) -> Any:
        """Of each row, (n_rows,)."""
        return (self.k - 1) * log_itt - x * gammaln(self.k)

    def add_to_pointwise(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, log_itt: FloatArray, *rest: FloatArray
    ) -> FloatArray:
        """Log-likelihood of each row at each theta, the last of `rest`, (n_draws, n_rows)."""
        return np.asarray(self.pointwise(x, t_x, T, *rest) + self.of_rows(x, log_itt))

    def add_to_literal(self, x: Any, t_x: Any, T: Any, log_itt: Any, *rest: Any, xp: Any = NUMPY) -> Any:
        """Log-likelihood of each row by the equations' own form."""
        return self.literal(x, t_x, T, *rest, xp=xp) + (self.k - 1) * log_itt


# No closures, which could not be pickled.
def _with(constant: float, evaluate: Callable[[FloatArray], Any], theta: FloatArray) -> Any:
    """Add a constant to the value, the first of what is returned."""
    value, *derivatives = evaluate(theta)
    return (value + constant, *derivatives)


def _make_with(constant: float, make: Callable[[], Callable[[FloatArray], Any]]) -> Callable[[FloatArray], Any]:
    return partial(_with, constant, make())


def _add(constant: float, evaluate: Callable[[FloatArray], FloatArray], theta: FloatArray) -> FloatArray:
    return evaluate(theta) + constant


def _make_add(constant: float, make: Callable[[], Callable[[FloatArray], FloatArray]]) -> Callable[[FloatArray], Any]:
    return partial(_add, constant, make())
