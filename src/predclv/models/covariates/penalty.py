"""Maximum likelihood with coefficients held back, and by how much: cross-validated log-likelihood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.inference.log_density import Derivatives
from predclv.inference.optimize import Optimum, maximize
from predclv.models.covariates.patterns import PatternRows
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter

__all__ = ["Penalized", "check_penalty", "choose_penalty", "default_grid", "maximize_penalized", "squared_deviations"]

FloatArray = NDArray[np.float64]

# Multiples of the number of customers: from a pull that no data set notices to one that none withstands.
_GRID = tuple(np.concatenate([[0.0], np.logspace(-4, 2, 13)]).tolist())


@dataclass(frozen=True)
class Penalized:
    """Log-likelihood less half the penalty times the squared standardised coefficients.

    Attributes
    ----------
    likelihood : Likelihood
    penalty : float
    weight : (n_parameters,) array
        Squared standard deviation of each coefficient's column; 0 for the other parameters.
    """

    likelihood: Likelihood
    penalty: float
    weight: FloatArray

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Those of the likelihood."""
        return self.likelihood.parameters

    @property
    def n_observations(self) -> int:
        """Number of customers."""
        return self.likelihood.n_observations

    def derivatives(self, values: FloatArray) -> Derivatives:
        """Value, gradient and Hessian in the natural parameters."""
        found, pull = self.likelihood.derivatives(values), self.penalty * self.weight
        return Derivatives(
            found.value - 0.5 * float(pull @ values**2), found.gradient - pull * values, found.hessian - np.diag(pull)
        )


def check_penalty(penalty: object, grid: object, n_folds: object) -> None:
    """Raise ValueError where a setting means nothing."""
    if penalty != "cv" and not _is_size(penalty):
        raise ValueError(f"'penalty' must be a number from 0 on, or 'cv'. Got {penalty!r}.")
    if isinstance(n_folds, bool) or not isinstance(n_folds, Integral) or int(n_folds) < 2:
        raise ValueError(f"'penalty_folds' must be a whole number from 2 on. Got {n_folds!r}.")
    if grid is None:
        return
    listed = list(grid) if isinstance(grid, Sequence | np.ndarray) and not isinstance(grid, str) else []
    if not (listed and all(map(_is_size, listed))):
        raise ValueError(f"'penalty_grid' must list numbers from 0 on. Got {grid!r}.")


def _is_size(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and 0 <= float(value) < np.inf


def maximize_penalized(likelihood: Likelihood, start: FloatArray, penalty: float, weight: FloatArray) -> Optimum:
    """Climb to the penalised maximum; its `log_density` is the log-likelihood alone, its covariance the penalised."""
    optimum = maximize(Penalized(likelihood, penalty, weight), start)
    return replace(optimum, log_density=likelihood.derivatives(optimum.values).value)


def squared_deviations(rows: PatternRows) -> FloatArray:
    """Squared standard deviation of each coefficient's column over the customers; 0 for the other four parameters."""
    covariates = np.hstack([rows.purchase, rows.dropout])
    share = np.bincount(rows.pattern, weights=rows.weight, minlength=len(covariates)) / rows.weight.sum()
    centered = covariates - share @ covariates
    return np.concatenate([np.zeros(4), share @ centered**2])


def default_grid(n_customers: int) -> list[float]:
    """Penalties that are tried: 0, and the number of customers times 1e-4 to 100."""
    return [n_customers * multiple for multiple in _GRID]


def choose_penalty(
    rows: PatternRows,
    bind: Callable[[PatternRows], Likelihood],
    likelihood: Likelihood,
    start: FloatArray,
    grid: Sequence[float],
    n_folds: int,
    seed: int,
) -> tuple[float, pd.DataFrame]:
    """Cross-validate the penalties of a grid.

    Parameters
    ----------
    rows : PatternRows
    bind : callable
        From rows to a Likelihood.
    likelihood : Likelihood
        Of all rows.
    start : (n_parameters,) array
    grid : sequence of float
    n_folds : int
        Parts into which customers are divided at random; each is scored by a fit to the others. A fit to a share of
        the customers has that share of the penalty.
    seed : int

    Returns
    -------
    penalty : float
        The largest whose loss against the best mean log-likelihood is within one standard error of that loss: the rule
        of one standard error of Breiman, Friedman, Olshen & Stone (1984), Classification and Regression Trees, of
        paired differences. Penalties are compared on the same customers, whose scores differ far more from each other
        than any of them does between penalties.
    path : DataFrame
        penalty, log_likelihood (mean of a customer not fitted on), loss (how far that is below the best), std_error (of
        the loss), best, chosen, and the coefficients of the fit to all, from the largest penalty down.
    """
    weight = squared_deviations(rows)
    n, ordered = float(rows.weight.sum()), sorted(set(map(float, grid)), reverse=True)
    base, total, products = 0.0, np.zeros(len(ordered)), np.zeros((len(ordered), len(ordered)))
    for fold in _fold_weights(rows, n_folds, seed):
        kept = rows.weight - fold
        shares = [penalty * float(kept.sum()) / n for penalty in ordered]
        fits = _fit_path(bind(rows.reweighted(kept)), start, shares, weight)
        scores = likelihood.row_values(fits)
        # Apart from those of the first penalty, so that little is lost when differences are squared.
        apart = scores - scores[0]
        base += float(fold @ scores[0])
        total += apart @ fold
        products += (apart * fold) @ apart.T
    best = int(np.argmax(total))
    loss = (total[best] - total) / n
    squares = (np.diag(products) - 2.0 * products[best] + products[best, best]) / n
    error = np.sqrt(np.maximum(squares - loss**2, 0.0) / n)
    chosen = int(np.argmax(loss <= error))
    number, names = np.arange(len(ordered)), [parameter.name for parameter in likelihood.parameters[4:]]
    path = pd.DataFrame(
        {
            "penalty": ordered,
            "log_likelihood": (base + total) / n,
            "loss": loss,
            "std_error": error,
            "best": number == best,
            "chosen": number == chosen,
        }
    )
    coefficients = pd.DataFrame(_fit_path(likelihood, start, ordered, weight)[:, 4:], columns=names)
    return ordered[chosen], pd.concat([path, coefficients], axis=1)


def _fit_path(likelihood: Likelihood, start: FloatArray, penalties: Sequence[float], weight: FloatArray) -> FloatArray:
    """Estimates at each penalty, (n_penalties, n_parameters), each climbing from the one before."""
    fits, position = [], start
    for penalty in penalties:
        position = maximize_penalized(likelihood, position, penalty, weight).values
        fits.append(position)
    return np.array(fits)


def _fold_weights(rows: PatternRows, n_folds: int, seed: int) -> list[FloatArray]:
    """Customers of each row in each fold; the order of customers does not matter, and no row is made for each."""
    generator, left = np.random.default_rng(seed), rows.weight.astype(np.int64)
    n, folds = int(left.sum()), []
    for fold in range(n_folds - 1):
        size = (n + n_folds - 1 - fold) // n_folds
        folds.append(generator.multivariate_hypergeometric(left, size, method="marginals"))
        left = left - folds[-1]
    return [fold.astype(np.float64) for fold in (*folds, left)]
