"""What a forecast needs of a transaction model: its kernels under one set of names.

A model file fills these in. `theta` is always (n_draws, n_parameters) in C order and rows are (n_rows,)
float arrays; a point estimate is a theta of one row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.kernels.discounting import DiscountMoments
from predclv.kernels.leaving import purchases_in_slower_time

__all__ = ["ArrangedLikelihood", "OneState", "PeriodCustomers", "TransactionBindings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: x, t_x, T, mean_spend, margin, segment, and who is counted as active in the first period already.
PeriodCustomers = tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, IntArray, NDArray[np.bool_]]


class TransactionBindings(Protocol):
    """Kernels of a transaction model, free of its parameters' number and meaning."""

    @property
    def n_stages(self) -> int:
        """States that a customer alive at T may be in, in each of which the future depends on (x, T) alone."""
        ...

    @property
    def counts_opportunities(self) -> bool:
        """Whether ages and horizons are whole numbers of opportunities, and not times."""
        ...

    def rate_gamma(self, x: float, theta: FloatArray) -> tuple[float, float]:
        """Typical shape, given x purchases, and rate (a time) of the gamma over purchase rates.

        They say how finely ages must be told apart, where these are times.
        """
        ...

    def log_likelihood(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]:
        """Bind weighted rows; the result maps theta (n_parameters,) to value, gradient and Hessian."""
        ...

    def log_likelihood_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], FloatArray]:
        """Bind weighted rows; the result maps thetas (n_draws, n_parameters) to values (n_draws,)."""
        ...

    def log_likelihood_gradient(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """Bind weighted rows; the result maps theta (n_parameters,) to value and gradient."""
        ...

    def pointwise_log_likelihood(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """Log-likelihood of each row at each theta, (n_draws, n_rows)."""
        ...

    @property
    def literal_log_likelihood(self) -> Callable[..., Any]:
        """Log-likelihood of each row by the equations' own form, from x, t_x, T and each parameter.

        `xp` is a namespace of functions as `kernels.bg_family.NUMPY`; with PyTensor's the result is symbolic.
        """
        ...

    def start(self, mean_frequency: float, mean_age: float) -> FloatArray:
        """Parameter values (n_parameters,) from which the likelihood is climbed, in the data's own scale."""
        ...

    def p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """P(alive at T + ahead | history up to T), (n_draws, n_rows)."""
        ...

    def mean_p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """`p_alive` averaged over the draws, (n_rows,), without holding them."""
        ...

    def p_alive_by_stage(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """P(alive at T and in a stage | history), (n_stages, n_draws, n_rows)."""
        ...

    def p_ever(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """P(another purchase at whatever time | history), averaged over the draws, (n_rows,)."""
        ...

    def expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """E[purchases in (T, T + horizon] | history], (n_draws, n_rows)."""
        ...

    def mean_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """`expected_purchases` averaged over the draws, (n_rows,), without holding them."""
        ...

    def discounted_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
    ) -> FloatArray:
        """Expected purchases, each weighted by exp(-delta (time - T)), (n_draws, n_rows)."""
        ...

    def discounted_if_staying(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
    ) -> FloatArray:
        """Discounted expected purchases of a customer who is alive at T and stays, (n_draws, n_rows)."""
        ...

    def discounted_if_leaving_less(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        factor: float,
    ) -> FloatArray:
        """`discounted_expected_purchases` if each departure after T were prevented with 1 - factor; factor in (0, 1].

        Whoever has T = 0 is new: leaving right after the first purchase, where customers can, is yet to come.
        """
        ...

    def alive_if_leaving_less(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float, factor: float
    ) -> FloatArray:
        """P(not left by T + ahead | history up to T), as in `discounted_if_leaving_less`, (n_draws, n_rows)."""
        ...

    def p_at_most_if_staying(
        self, n: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
    ) -> FloatArray:
        """P(at most n purchases in (T, T + window] | history, alive at T, stays), (n_draws, n_rows); n from -1 on."""
        ...

    def simulate_if_staying(
        self,
        generator: np.random.Generator,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        window: float,
        theta: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Simulate the window of rows that are alive at T and stay, a draw each: purchases, and the last one's time."""
        ...

    def purchase_pmf(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        horizon: FloatArray | float,
        theta: FloatArray,
        n_max: int,
    ) -> FloatArray:
        """P(n purchases in (T, T + horizon] | history), averaged over the draws, (n_rows, n_max + 1)."""
        ...

    def stage_purchase_pmf(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """P(n purchases | x, alive at T in a stage) for one parameter vector (n_parameters,), (n_rows, n_max + 1)."""
        ...

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> DiscountMoments:
        """Moments of the discounts of `counts` (n_counts,) purchases, given as many and alive at T in a stage.

        For one parameter vector, (n_parameters,).
        """
        ...

    def simulate_totals(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        mean_spend: FloatArray,
        margin: FloatArray,
        segment: IntArray,
        n_segments: int,
        horizon: float,
        delta: float,
        theta: FloatArray,
        theta_spend: FloatArray,
        seed: int,
        first_purchase: bool,
    ) -> tuple[FloatArray, FloatArray]:
        """Simulate every customer once per draw: totals of purchases and value, two (n_draws, n_segments)."""
        ...

    def simulate_periods(
        self,
        customers: PeriodCustomers,
        n_segments: int,
        edges: FloatArray,
        theta: FloatArray,
        theta_spend: FloatArray,
        seed: int,
    ) -> FloatArray:
        """Simulate every customer once per draw, (n_draws, n_segments, n_periods, 4): `kernels.period_paths`."""
        ...

    def simulate_counts(
        self, generator: np.random.Generator, births: FloatArray, edges: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """Simulate new customers from birth on: repeat purchases of all in each period, (n_draws, n_periods)."""
        ...

    def replicate_histories(
        self, generator: np.random.Generator, T: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Simulate a new customer for each age, with one theta: repeat purchases and the last one's time."""
        ...


class OneState:
    """Bindings of a model that knows one way of being alive: whose future depends on (x, T) alone.

    A model names its kernels as `staticmethod`s; what the protocol asks for by stage follows from three of them.

    Attributes
    ----------
    p_alive, discounted_expected_purchases : callable
        See `TransactionBindings`.
    alive_purchase_pmf, alive_discount_moments : callable
        `TransactionBindings.stage_purchase_pmf` and `discount_moments` without a stage.
    """

    n_stages: ClassVar[int] = 1
    counts_opportunities: ClassVar[bool] = False

    p_alive: ClassVar[Callable[..., FloatArray]]
    discounted_expected_purchases: ClassVar[Callable[..., FloatArray]]
    alive_purchase_pmf: ClassVar[Callable[..., FloatArray]]
    alive_discount_moments: ClassVar[Callable[..., DiscountMoments]]

    def p_alive_by_stage(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`."""
        return self.p_alive(x, t_x, T, theta)[np.newaxis]

    def stage_purchase_pmf(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return self.alive_purchase_pmf(x, T, horizon, theta, n_max)

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> DiscountMoments:
        """See `TransactionBindings`."""
        return self.alive_discount_moments(x, T, horizon, delta, theta, counts)

    def discounted_if_leaving_less(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        factor: float,
    ) -> FloatArray:
        """See `TransactionBindings`; for Poisson buyers."""
        return purchases_in_slower_time(
            lambda h, d: self.discounted_expected_purchases(x, t_x, T, h, d, theta), horizon, delta, factor
        )

    def alive_if_leaving_less(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float, factor: float
    ) -> FloatArray:
        """See `TransactionBindings`; for Poisson buyers."""
        return self.p_alive(x, t_x, T, theta, factor * ahead)


class ArrangedLikelihood:
    """Bindings of a likelihood whose rows are arranged once, and then asked for many parameter values.

    Attributes
    ----------
    arrange : callable
        From x, t_x, T and weight to whatever the three kernels take first.
    arranged_derivatives, arranged_values, arranged_gradient : callable
        From arranged rows and theta: see `TransactionBindings.log_likelihood`, `log_likelihood_values` and
        `log_likelihood_gradient`.
    """

    arrange: ClassVar[Callable[..., Any]]
    arranged_derivatives: ClassVar[Callable[..., tuple[float, FloatArray, FloatArray]]]
    arranged_values: ClassVar[Callable[..., FloatArray]]
    arranged_gradient: ClassVar[Callable[..., tuple[float, FloatArray]]]

    def log_likelihood(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]:
        """See `TransactionBindings`."""
        return partial(self.arranged_derivatives, self.arrange(x, t_x, T, weight))

    def log_likelihood_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], FloatArray]:
        """See `TransactionBindings`."""
        return partial(self.arranged_values, self.arrange(x, t_x, T, weight))

    def log_likelihood_gradient(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """See `TransactionBindings`."""
        return partial(self.arranged_gradient, self.arrange(x, t_x, T, weight))
