"""Kernels by pattern of covariates, one set a family of models, and a likelihood made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.customers import runs
from predclv.forecast.pattern_values import RowForecasts
from predclv.kernels import bg_family, pareto_nbd, pattern_values
from predclv.kernels.bg_family import patterns as bg_family_patterns
from predclv.kernels.covariates import BETA_LINK, GAMMA_LINK, Link, chain
from predclv.kernels.pareto_nbd import patterns as pareto_nbd_patterns
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter

__all__ = ["BGPatterns", "ParetoPatterns", "PatternKernels", "PatternRows", "bind", "distinct_patterns"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Derivatives = tuple[FloatArray, FloatArray, FloatArray]


class PatternKernels(RowForecasts, Protocol):
    """What covariates need of a model: kernels in which each pattern has its own parameters."""

    @property
    def link(self) -> Link:
        """How covariates move the parameters."""
        ...

    def bind(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray, starts: IntArray
    ) -> Callable[[FloatArray], Derivatives]:
        """Bind rows sorted by pattern; the result maps theta (n_patterns, 4) to derivatives by pattern."""
        ...

    def row_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, pattern: IntArray, theta: FloatArray
    ) -> FloatArray:
        """Log-likelihood of each row, (n_rows,), at the parameters (n_patterns, 4) of its pattern."""
        ...

    def literal(self, *rows_and_parameters: Any, xp: Any) -> Any:
        """Log-likelihood of each row by the equations' own form, where parameters may be (n_rows,) too."""
        ...

    def simulate_counts(self, generator: np.random.Generator, T: FloatArray, theta: FloatArray) -> IntArray:
        """Repeat purchases of a new customer for each age, with parameters (n_customers, 4)."""
        ...


@dataclass(frozen=True)
class BGPatterns:
    """Those of the BG family; see `BGFamily`."""

    k: int = 1
    dropout_at_first: bool = False

    @property
    def link(self) -> Link:
        """See `PatternKernels`."""
        return BETA_LINK

    def bind(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray, starts: IntArray
    ) -> Callable[[FloatArray], Derivatives]:
        """See `PatternKernels`."""
        return partial(
            bg_family_patterns.derivatives_by_pattern,
            *(x, t_x, T, weight, starts),
            k=self.k,
            dropout_at_first=self.dropout_at_first,
        )

    def row_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, pattern: IntArray, theta: FloatArray
    ) -> FloatArray:
        """See `PatternKernels`."""
        return bg_family_patterns.log_likelihood_of_rows(x, t_x, T, pattern, theta, self.k, self.dropout_at_first)

    def literal(self, *rows_and_parameters: Any, xp: Any = bg_family.NUMPY) -> Any:
        """See `PatternKernels`."""
        return bg_family.log_likelihood(*rows_and_parameters, k=self.k, dropout_at_first=self.dropout_at_first, xp=xp)

    def simulate_counts(self, generator: np.random.Generator, T: FloatArray, theta: FloatArray) -> IntArray:
        """See `PatternKernels`."""
        r, alpha, a, b = theta.T
        events = generator.poisson(generator.standard_gamma(r) / alpha * T)
        # A probability of leaving may underflow to zero, which no geometric distribution takes.
        leave = np.maximum(generator.beta(a, b), 1e-300)
        last = generator.geometric(leave) - int(self.dropout_at_first)
        return np.asarray(np.minimum(events // self.k, last))

    @property
    def n_stages(self) -> int:
        """See `RowForecasts`."""
        return self.k

    def p_alive(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, stage: int) -> FloatArray:
        """See `RowForecasts`."""
        return pattern_values.bg_p_alive(x, t_x, T, theta, self.dropout_at_first, self.k, stage)

    def alive_counts(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """See `RowForecasts`."""
        first = int(self.dropout_at_first)
        counts: FloatArray = pattern_values.bg_alive_counts(x, T, horizon, theta, n_max, first, self.k, stage)
        return counts

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> FloatArray:
        """See `RowForecasts`."""
        member = self.dropout_at_first, self.k, stage
        return pattern_values.bg_discount_moments(x, T, horizon, delta, theta, counts, *member)


@dataclass(frozen=True)
class ParetoPatterns:
    """Those of Pareto/NBD."""

    @property
    def link(self) -> Link:
        """See `PatternKernels`."""
        return GAMMA_LINK

    def bind(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray, starts: IntArray
    ) -> Callable[[FloatArray], Derivatives]:
        """See `PatternKernels`."""
        rows = pareto_nbd_patterns.arrange_by_pattern(x, t_x, T, weight, starts)
        return partial(pareto_nbd_patterns.derivatives_by_pattern, rows)

    def row_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, pattern: IntArray, theta: FloatArray
    ) -> FloatArray:
        """See `PatternKernels`."""
        return pareto_nbd_patterns.log_likelihood_of_rows(x, t_x, T, pattern, theta)

    def literal(self, *rows_and_parameters: Any, xp: Any = pareto_nbd.NUMPY) -> Any:
        """See `PatternKernels`."""
        return pareto_nbd.log_likelihood(*rows_and_parameters, xp=xp)

    def simulate_counts(self, generator: np.random.Generator, T: FloatArray, theta: FloatArray) -> IntArray:
        """See `PatternKernels`."""
        r, alpha, s, beta = theta.T
        rate = generator.standard_gamma(r) / alpha
        leaving = generator.standard_gamma(s) / beta
        lifetime = np.full(len(T), np.inf)
        np.divide(generator.standard_exponential(len(T)), leaving, out=lifetime, where=leaving > 0)
        return np.asarray(generator.poisson(rate * np.minimum(lifetime, T)))

    @property
    def n_stages(self) -> int:
        """See `RowForecasts`."""
        return 1

    def p_alive(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, stage: int) -> FloatArray:
        """See `RowForecasts`; there is one stage."""
        alive: FloatArray = pattern_values.pareto_p_alive(x, t_x, T, theta)
        return alive

    def alive_counts(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """See `RowForecasts`."""
        counts: FloatArray = pattern_values.pareto_alive_counts(x, T, horizon, theta, n_max)
        return counts

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> FloatArray:
        """See `RowForecasts`."""
        return pattern_values.pareto_discount_moments(x, T, horizon, delta, theta, counts)


@dataclass(frozen=True, eq=False)
class PatternRows:
    """Distinct histories by pattern of covariates, and their log-likelihood in the parameters and coefficients.

    Attributes
    ----------
    kernels : PatternKernels
    x, t_x, T, weight : (n_rows,) arrays
        Sorted by pattern, x, T, t_x.
    pattern : (n_rows,) array
    starts : (n_patterns + 1,) array
    purchase, dropout : (n_patterns, ...) arrays
        Encoded covariates.
    row : (n_customers,) array
        The row of each customer.
    """

    kernels: PatternKernels
    x: FloatArray
    t_x: FloatArray
    T: FloatArray
    weight: FloatArray
    pattern: IntArray
    starts: IntArray
    purchase: FloatArray
    dropout: FloatArray
    row: IntArray

    @classmethod
    def of(
        cls,
        kernels: PatternKernels,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        purchase: FloatArray,
        dropout: FloatArray,
        weight: IntArray | None = None,
    ) -> Self:
        """Collapse customers that share history and covariates; `weight` says how many each stands for."""
        first, of_customer = distinct_patterns(purchase, dropout)
        order = np.lexsort((t_x, T, x, of_customer))
        columns = [column[order] for column in (x, t_x, T, of_customer.astype(np.float64))]
        starts_of_rows, run = runs(*columns)
        row = np.empty(len(x), dtype=np.int64)
        row[order] = run
        each = None if weight is None else weight[order].astype(np.float64)
        customers = np.bincount(run, weights=each, minlength=len(starts_of_rows)).astype(np.float64)
        pattern = of_customer[order][starts_of_rows]
        starts = np.searchsorted(pattern, np.arange(len(first) + 1)).astype(np.int64)
        x, t_x, T = (np.ascontiguousarray(column[starts_of_rows]) for column in columns[:3])
        return cls(kernels, x, t_x, T, customers, pattern, starts, purchase[first], dropout[first], row)

    def reweighted(self, weight: FloatArray) -> Self:
        """The same rows, with other numbers of customers."""
        return replace(self, weight=weight)

    def shift(self, theta: FloatArray) -> FloatArray:
        """Each pattern's own four parameters, (n_patterns, 4)."""
        return shift(self.kernels.link, theta, self.purchase, self.dropout)

    def make_evaluate(self) -> Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]:
        """Return a function from theta (n_parameters,) to value, gradient and Hessian."""
        return partial(_evaluate, self, self.kernels.bind(self.x, self.t_x, self.T, self.weight, self.starts))

    def make_evaluate_gradient(self) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Return a function from theta (n_parameters,) to value and gradient."""
        return partial(_without_hessian, self.make_evaluate())

    def make_evaluate_many(self) -> Callable[[FloatArray], FloatArray]:
        """Return `values`."""
        return self.values

    def row_values(self, theta: FloatArray) -> FloatArray:
        """Value of each row at one theta, not weighted, (n_rows,)."""
        return self.kernels.row_values(self.x, self.t_x, self.T, self.pattern, self.shift(theta))

    def values(self, theta: FloatArray) -> FloatArray:
        """Weighted value at each theta, (n_draws, n_parameters) -> (n_draws,)."""
        return np.array([self.weight @ self.row_values(draw) for draw in theta])


def bind(rows: PatternRows, parameters: tuple[Parameter, ...], names: tuple[str, ...], n_customers: int) -> Likelihood:
    """Wrap rows as a `Likelihood`; `names` are those of the covariates' columns, purchase first."""
    covariates = np.hstack([rows.purchase, rows.dropout])[rows.pattern]
    n_purchase, kernels = rows.purchase.shape[1], rows.kernels
    return Likelihood(
        parameters,
        n_observations=n_customers,
        n_rows=len(rows.x),
        evaluate=rows.make_evaluate(),
        make_evaluate_many=rows.make_evaluate_many,
        make_evaluate_gradient=rows.make_evaluate_gradient,
        pointwise=partial(_pointwise, kernels, n_purchase, len(names)),
        rows={
            "frequency": rows.x,
            "recency": rows.t_x,
            "T": rows.T,
            **{name: np.ascontiguousarray(column) for name, column in zip(names, covariates.T, strict=True)},
        },
        weight=rows.weight,
        literal=partial(_literal, kernels, n_purchase, len(names)),
    )


def distinct_patterns(purchase: FloatArray, dropout: FloatArray) -> tuple[IntArray, IntArray]:
    """First customer of each distinct pattern of covariates, and the pattern of each customer."""
    both = np.hstack([purchase, dropout])
    order = np.lexsort(both.T[::-1])
    starts, run = runs(*np.ascontiguousarray(both[order].T))
    pattern = np.empty(len(both), dtype=np.int64)
    pattern[order] = run
    return order[starts], pattern


def shift(link: Link, theta: FloatArray, purchase: FloatArray, dropout: FloatArray) -> FloatArray:
    """Parameters of customers by their covariates, (n, 4), from those of all and coefficients."""
    n = purchase.shape[1]
    # Sums of products, and no BLAS, so that a row does not depend on those beside it.
    predictors = (np.einsum("ij,j->i", z, c) for z, c in ((purchase, theta[4 : 4 + n]), (dropout, theta[4 + n :])))
    columns = link.shift(theta[:4], *predictors)
    return np.column_stack([np.broadcast_to(column, (len(purchase),)) for column in columns])


def _pointwise(kernels: PatternKernels, n_purchase: int, n_covariates: int, *arguments: FloatArray) -> FloatArray:
    """Value of each row at each draw, (n_draws, n_rows), from its history, its covariates, and draws."""
    x, t_x, T, *columns = arguments[: 3 + n_covariates]
    covariates = np.column_stack(columns)
    purchase, dropout = covariates[:, :n_purchase], covariates[:, n_purchase:]
    each = np.arange(len(x))
    draws = arguments[-1]
    return np.array(
        [kernels.row_values(x, t_x, T, each, shift(kernels.link, draw, purchase, dropout)) for draw in draws]
    ).reshape(len(draws), len(x))


def _literal(kernels: PatternKernels, n_purchase: int, n_covariates: int, *arguments: Any, xp: Any) -> Any:
    x, t_x, T, *rest = arguments
    columns, theta, coefficients = rest[:n_covariates], rest[n_covariates : n_covariates + 4], rest[n_covariates + 4 :]
    products = [coefficient * column for coefficient, column in zip(coefficients, columns, strict=True)]
    purchase, dropout = sum(products[:n_purchase], 0.0 * x), sum(products[n_purchase:], 0.0 * x)
    return kernels.literal(x, t_x, T, *kernels.link.shift(theta, purchase, dropout, xp), xp=xp)


def _evaluate(
    rows: PatternRows, by_pattern: Callable[[FloatArray], Derivatives], theta: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    # Far out a parameter leaves the range of numbers, and a search turns back.
    with np.errstate(all="ignore"):
        shifted = rows.shift(theta)
        value, gradient, hessian = by_pattern(shifted)
        covariates = rows.purchase, rows.dropout
        return float(value.sum()), *chain(rows.kernels.link, theta[:4], shifted, *covariates, gradient, hessian)


def _without_hessian(
    evaluate: Callable[[FloatArray], tuple[float, FloatArray, FloatArray]], theta: FloatArray
) -> tuple[float, FloatArray]:
    return evaluate(theta)[:2]
