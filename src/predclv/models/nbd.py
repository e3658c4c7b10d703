"""NBD: customers buy at their own steady rate, and nobody ever leaves. The null model without attrition.

Purchases are Poisson(λ), λ ~ Gamma(r, α) over customers. Ehrenberg (1959), Applied Statistics 8(1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import OneState, PeriodCustomers, TransactionBindings
from predclv.kernels import nbd as kernel
from predclv.kernels.discounting import DiscountMoments
from predclv.kernels.pareto_nbd.paths import replicate_histories, simulate_counts
from predclv.kernels.pareto_nbd.simulation import simulate_totals
from predclv.kernels.period_paths import pareto_nbd_draw, simulate_periods
from predclv.kernels.silence import purchases_at_most, simulate_purchases
from predclv.kernels.staying import discounted_purchases
from predclv.models.transactions import TransactionModel
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["NBD", "NBDBindings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class NBDBindings(OneState):
    """The model's kernels; what `forecast` calls (`TransactionBindings`). Neither recency nor dropout is in them."""

    literal_log_likelihood = staticmethod(kernel.log_likelihood)
    discounted_if_staying = staticmethod(discounted_purchases)
    p_at_most_if_staying = staticmethod(purchases_at_most)
    simulate_if_staying = staticmethod(simulate_purchases)
    alive_purchase_pmf = staticmethod(kernel.purchase_pmf)

    def rate_gamma(self, x: float, theta: FloatArray) -> tuple[float, float]:
        """See `TransactionBindings`."""
        return float(theta[:, 0].mean()) + x, float(theta[:, 1].mean())

    def log_likelihood(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]:
        """See `TransactionBindings`."""
        return partial(kernel.log_likelihood_derivatives, kernel.tabulate(x, T, weight))

    def log_likelihood_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], FloatArray]:
        """See `TransactionBindings`."""
        evaluate = self.log_likelihood(x, t_x, T, weight)
        return lambda theta: np.array([evaluate(row)[0] for row in theta])

    def log_likelihood_gradient(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """See `TransactionBindings`."""
        evaluate = self.log_likelihood(x, t_x, T, weight)
        return lambda theta: evaluate(theta)[:2]

    def pointwise_log_likelihood(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`."""
        r, alpha = theta.T[:, :, np.newaxis]
        return np.asarray(kernel.log_likelihood(x, t_x, T, r, alpha))

    def start(self, mean_frequency: float, mean_age: float) -> FloatArray:
        """See `TransactionBindings`."""
        r = 0.5
        return np.array([r, r * mean_age / mean_frequency])

    def p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """See `TransactionBindings`: nobody leaves."""
        return np.ones((len(theta), len(x)))

    def mean_p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return np.ones(len(x))

    def p_ever(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`: nobody leaves."""
        return self.mean_p_alive(x, t_x, T, theta)

    def expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.discounted_expected_purchases(x, T, horizon, 0.0, theta)

    def mean_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.mean_expected_purchases(x, T, horizon, theta)

    def discounted_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.discounted_expected_purchases(x, T, horizon, delta, theta)

    def purchase_pmf(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        horizon: FloatArray | float,
        theta: FloatArray,
        n_max: int,
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.purchase_pmf(x, T, horizon, theta, n_max)

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
        return kernel.discount_moments(horizon, delta, len(x), counts)

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
        """See `TransactionBindings`."""
        rows = x, t_x, T, mean_spend, margin, segment, n_segments
        return simulate_totals(*rows, horizon, delta, kernel.as_pareto_nbd(theta), theta_spend, seed, first_purchase)

    def simulate_periods(
        self,
        customers: PeriodCustomers,
        n_segments: int,
        edges: FloatArray,
        theta: FloatArray,
        theta_spend: FloatArray,
        seed: int,
    ) -> FloatArray:
        """See `TransactionBindings`."""
        alive = self.p_alive_by_stage
        rows = customers, n_segments, edges
        return simulate_periods(pareto_nbd_draw, alive, *rows, kernel.as_pareto_nbd(theta), theta_spend, seed)

    def simulate_counts(
        self, generator: np.random.Generator, births: FloatArray, edges: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        counts: FloatArray = simulate_counts(generator, births, edges, kernel.as_pareto_nbd(theta))
        return counts

    def replicate_histories(
        self, generator: np.random.Generator, T: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `TransactionBindings`."""
        x, t_x = replicate_histories(generator, T, kernel.as_pareto_nbd(theta)[0])
        return x, t_x


class NBD(TransactionModel):
    """Negative binomial model of repeat purchases, without attrition; Ehrenberg (1959).

    Everyone stays for ever: `p_alive` is 1, recency plays no part, and forecasts are too high wherever customers do
    leave. It is there to be compared with: what a model with dropout gains over it is what dropout explains.
    """

    KEY = "nbd"
    PARAMETERS = (
        Parameter("r", "shape of the gamma over purchase rates: how alike customers buy", (0.1, 5.0)),
        Parameter(
            "alpha", "rate of the gamma over purchase rates; the mean rate is r / alpha", (1.0, 50.0), unit="time"
        ),
    )
    # Each within a factor of 5 to 12 either way (90 %). At the medians a customer of mean age would have made 1.75
    # repeat purchases.
    PRIORS: ClassVar = {"r": LogNormal(0.7, 1.0), "alpha": LogNormal(0.4, 1.5, unit="age")}
    EDGES: ClassVar = {
        (("r", "high"), ("alpha", "high")): (
            "All customers seem to buy at one rate, so a customer's own count says nothing beyond it."
        ),
        (("r", "low"),): (
            "Nearly nobody buys again; a few do often. The gamma over purchase rates has collapsed to zero."
        ),
    }
    BINDINGS: ClassVar[TransactionBindings] = NBDBindings()
