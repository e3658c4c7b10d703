"""What a posterior was learnt from, for those who check it: the data by row, the priors, and replications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.errors import DataError
from predclv.priors.distributions import Prior

__all__ = ["Evidence", "Replicate", "Replicated", "RowLikelihood", "customers_in_order"]

FloatArray = NDArray[np.float64]


class RowLikelihood(Protocol):
    """A log-likelihood that is a sum over rows, each with a weight: the customers who share it."""

    @property
    def rows(self) -> Mapping[str, FloatArray]:
        """Data of each row, (n_rows,) arrays by name."""
        ...

    @property
    def weight(self) -> FloatArray:
        """Customers of each row, (n_rows,)."""
        ...

    def row_values(self, theta: FloatArray, rows: slice) -> FloatArray:
        """Value of each of some rows, not weighted: (n_draws, n_parameters) -> (n_draws, n_some_rows)."""
        ...


@dataclass(frozen=True, eq=False)
class Replicated:
    """Customers by bin: of the data, and of one replicated data set a draw.

    Attributes
    ----------
    dimension : str
        What the bins divide.
    labels : tuple of str
        One a bin.
    observed : (n_bins,) array of int
    replicated : (n_draws, n_bins) array of int
    """

    dimension: str
    labels: tuple[str, ...]
    observed: NDArray[np.int64]
    replicated: NDArray[np.int64]


#: From thetas (n_draws, n_parameters), natural values, and a seed.
Replicate = Callable[[FloatArray, int], Replicated]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a posterior was learnt from. Holding it costs nothing beyond the rows that a fit runs over.

    Attributes
    ----------
    name : str
        What messages call the model.
    priors : mapping of parameter name to Prior, optional
        None where there were none, or where no prior of its own belongs to a parameter.
    likelihood : RowLikelihood, optional
    replicate : callable, optional
        Makes data sets like the one fitted on; see `Replicate`.
    absent : str
        Where there is no likelihood: why, and what to do.
    """

    name: str
    priors: Mapping[str, Prior] | None = None
    likelihood: RowLikelihood | None = None
    replicate: Replicate | None = None
    absent: str = ""

    def require_likelihood(self, what: str) -> RowLikelihood:
        """Return the likelihood, or raise DataError saying why there is none."""
        if self.likelihood is None:
            raise DataError(f"{self.name}: {what} needs the customers behind the fit. {self.absent}")
        return self.likelihood


def customers_in_order(rows: Mapping[str, FloatArray], weight: FloatArray) -> NDArray[np.int64]:
    """Row of each customer, (n_customers,), ordered by history: alike for any model of the same customers.

    So that scores of two models can be compared customer by customer.
    """
    order = np.lexsort(tuple(rows.values())[::-1])
    return np.repeat(order, weight[order].astype(np.int64))
