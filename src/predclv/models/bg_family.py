"""What BG/NBD, MBG/NBD and the two CNBD-k models have in common: kernels, starts, and what goes wrong.

A customer buys at a rate λ, and after each purchase leaves with probability p. The members differ in whether
the first purchase can be the last, and in how regular the gaps are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import PeriodCustomers
from predclv.kernels import discounting, leaving, period_paths, silence, staying
from predclv.kernels.bg_family import NUMPY, discounts, log_likelihood, paths, simulation
from predclv.kernels.bg_family import compiled as kernel
from predclv.kernels.bg_family.gradient import bind_gradient
from predclv.kernels.bg_family.likelihood import arrange, arranged_derivatives
from predclv.kernels.bg_family.pointwise import pointwise_log_likelihood
from predclv.kernels.bg_family.replicates import replicate_histories
from predclv.kernels.bg_family.stage_values import log_likelihood_stage_values, tabulate_stages
from predclv.kernels.bg_family.values import log_likelihood_values, tabulate
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["DROPOUT_EFFECT", "DROPOUT_MEANING", "PARAMETERS", "PRIORS", "BGFamily", "describe_edges"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PARAMETERS = (
    Parameter("r", "shape of the gamma over purchase rates: how alike customers buy", (0.1, 5.0)),
    Parameter("alpha", "rate of the gamma over purchase rates; the mean rate is r / alpha", (1.0, 50.0), unit="time"),
    Parameter(
        "a", "beta over dropout: with b, the mean probability of leaving after a purchase is a / (a + b)", (0.1, 5.0)
    ),
    Parameter("b", "beta over dropout: the larger a + b, the more alike customers leave", (0.5, 15.0)),
)

# Each within a factor of 5 to 12 either way (90 %). At the medians a customer of mean age would have made 1.75 repeat
# purchases, and leaves after one of four. With k events to a purchase, alpha is divided by k.
PRIORS = {
    "r": LogNormal(0.7, 1.0),
    "alpha": LogNormal(0.4, 1.5, unit="age"),
    "a": LogNormal(0.8, 1.2),
    "b": LogNormal(2.5, 1.2),
}

#: What the exponential of a coefficient on dropout multiplies, and how effects put it.
DROPOUT_MEANING = "the odds of leaving after a purchase"
DROPOUT_EFFECT = "odds of leaving after a purchase"

_LACK_OF_DROPOUT = (
    "The data show no customer leaving: nobody has been silent for long compared with their own rhythm. Everyone is "
    "forecast as alive, and no interval holds the chance that this is wrong. Observe for longer; where customers can "
    "leave, say what is known of comparable businesses in priors on a and b (method='map')."
)

_LEAVING_AT_ONCE = "Every customer seems to leave after the first {}purchase; is the log cut off?"

_AT_ONCE_OR_NEVER = (
    "Customers seem to leave either at once or never. Check that purchases made together are merged (collapse=)."
)


def describe_edges(dropout_at_first: bool) -> dict[tuple[tuple[str, str], ...], str]:
    """Say in words what it means that parameters run to an edge, the gravest first: `Model.EDGES`."""
    at_once = _LEAVING_AT_ONCE.format("" if dropout_at_first else "repeat ")
    return {
        (("a", "low"),): _LACK_OF_DROPOUT,
        (("b", "high"),): _LACK_OF_DROPOUT,
        (("a", "high"), ("b", "high")): (
            "All customers seem equally likely to leave after a purchase: only a / (a + b) is determined, as happens "
            "in small samples and short logs. Forecasts use that one probability for everyone and understate how much "
            "customers differ. More customers, a longer log or priors on a and b (method='map') would settle it."
        ),
        (("a", "high"), ("b", "low")): at_once,
        (("a", "low"), ("b", "low")): _AT_ONCE_OR_NEVER,
        (("a", "high"),): at_once,
        (("b", "low"),): _AT_ONCE_OR_NEVER,
        (("r", "high"), ("alpha", "high")): (
            "All customers seem to buy at one rate, so a customer's own count says nothing beyond it."
        ),
        (
            ("r", "low"),
        ): "Nearly nobody buys again; a few do often. The gamma over purchase rates has collapsed to zero.",
    }


@dataclass(frozen=True)
class BGFamily:
    """The family's kernels for one member; what `forecast` calls (`TransactionBindings`).

    Attributes
    ----------
    k : int
        Every k-th event of the Poisson process is a purchase; 1 for the NBD members.
    dropout_at_first : bool
        Whether a customer can leave right after the first purchase (the M of MBG).
    """

    k: int = 1
    dropout_at_first: bool = False

    @property
    def n_stages(self) -> int:
        """Events since the last purchase that a living customer may have had: 0, ..., k - 1."""
        return self.k

    @property
    def counts_opportunities(self) -> bool:
        """See `TransactionBindings`."""
        return False

    def rate_gamma(self, x: float, theta: FloatArray) -> tuple[float, float]:
        """See `TransactionBindings`."""
        return float(theta[:, 0].mean()) + self.k * x, float(theta[:, 1].mean())

    def log_likelihood(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray, FloatArray]]:
        """See `TransactionBindings`."""
        rows = arrange(x, t_x, T, weight)
        return partial(arranged_derivatives, rows, k=self.k, dropout_at_first=self.dropout_at_first)

    def log_likelihood_values(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], FloatArray]:
        """See `TransactionBindings`."""
        if self.k > 1:
            return partial(
                log_likelihood_stage_values, tabulate_stages(x, t_x, T, weight, self.k, self.dropout_at_first)
            )
        return partial(log_likelihood_values, tabulate(x, t_x, T, weight, self.dropout_at_first))

    def log_likelihood_gradient(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, weight: FloatArray
    ) -> Callable[[FloatArray], tuple[float, FloatArray]]:
        """See `TransactionBindings`."""
        return bind_gradient(x, t_x, T, weight, self.k, self.dropout_at_first)

    def pointwise_log_likelihood(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`."""
        return pointwise_log_likelihood(x, t_x, T, theta, self.k, self.dropout_at_first)

    def literal_log_likelihood(self, *rows_and_parameters: Any, xp: Any = NUMPY) -> Any:
        """See `TransactionBindings`."""
        return log_likelihood(*rows_and_parameters, k=self.k, dropout_at_first=self.dropout_at_first, xp=xp)

    def start(self, mean_frequency: float, mean_age: float) -> FloatArray:
        """See `TransactionBindings`."""
        r, alpha = 0.5, 0.5 * mean_age / (self.k * mean_frequency)
        if self.dropout_at_first:
            # Many have left at once, so that those who stay buy faster than all do together.
            return np.array([r, 0.6 * alpha, 0.8, 1.5])
        return np.array([r, alpha, 1.0, 3.0])

    def p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.p_alive(x, t_x, T, theta, self.k, self.dropout_at_first, ahead)

    def mean_p_alive(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float = 0.0
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.mean_p_alive(x, t_x, T, theta, self.k, self.dropout_at_first, ahead)

    def p_alive_by_stage(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.p_alive_by_stage(x, t_x, T, theta, self.k, self.dropout_at_first)

    def p_ever(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """See `TransactionBindings`: who is alive buys again, for leaving takes a purchase."""
        return self.mean_p_alive(x, t_x, T, theta)

    def expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.expected_purchases(x, t_x, T, horizon, theta, self.k, self.dropout_at_first)

    def mean_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: FloatArray | float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.mean_expected_purchases(x, t_x, T, horizon, theta, self.k, self.dropout_at_first)

    def discounted_expected_purchases(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.discounted_expected_purchases(x, t_x, T, horizon, delta, theta, self.k, self.dropout_at_first)

    def discounted_if_staying(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, horizon: float, delta: float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return staying.discounted_regular_purchases(x, t_x, T, horizon, delta, theta, self.k)

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
        """See `TransactionBindings`."""

        def bought(x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, at_first: bool) -> FloatArray:
            rows = x, t_x, T
            if self.k == 1:
                return leaving.purchases_in_slower_time(
                    lambda h, d: kernel.discounted_expected_purchases(*rows, h, d, theta, 1, at_first),
                    horizon,
                    delta,
                    factor,
                )
            given_alive = leaving.purchases_of_regular_buyers(*rows, horizon, delta, theta, self.k, at_first, factor)
            return given_alive * kernel.p_alive(*rows, theta, self.k, at_first)

        return self._with_new_customers(bought, x, t_x, T, theta, factor)

    def alive_if_leaving_less(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float, factor: float
    ) -> FloatArray:
        """See `TransactionBindings`."""

        def alive(x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, at_first: bool) -> FloatArray:
            rows = x, t_x, T
            if self.k == 1:
                return kernel.p_alive(*rows, theta, 1, at_first, factor * ahead)
            given_alive = leaving.alive_of_regular_buyers(*rows, ahead, theta, self.k, at_first, factor)
            return given_alive * kernel.p_alive(*rows, theta, self.k, at_first)

        return self._with_new_customers(alive, x, t_x, T, theta, factor)

    def _with_new_customers(
        self,
        evaluate: Callable[..., FloatArray],
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        theta: FloatArray,
        factor: float,
    ) -> FloatArray:
        """Let who is new survive the first purchase with 1 - factor p, where that can be the last.

        E[p f(p)] is a / (a + b) times the mean of f under Beta(a + 1, b).
        """
        new = (T == 0) & self.dropout_at_first
        if not new.any():
            return evaluate(x, t_x, T, theta, self.dropout_at_first)
        out = np.empty((len(theta), len(x)))
        out[:, ~new] = evaluate(x[~new], t_x[~new], T[~new], theta, self.dropout_at_first)
        rows = x[new], t_x[new], T[new]
        a, b = theta[:, 2:3], theta[:, 3:4]
        likelier = theta + np.array([0.0, 0.0, 1.0, 0.0])
        out[:, new] = evaluate(*rows, theta, False) - factor * a / (a + b) * evaluate(*rows, likelier, False)
        return out

    def p_at_most_if_staying(
        self, n: FloatArray, x: FloatArray, t_x: FloatArray, T: FloatArray, window: float, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return silence.regular_purchases_at_most(n, x, t_x, T, window, theta, self.k)

    def simulate_if_staying(
        self,
        generator: np.random.Generator,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        window: float,
        theta: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """See `TransactionBindings`."""
        return silence.simulate_regular_purchases(generator, x, t_x, T, window, theta, self.k)

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
        return kernel.purchase_pmf(x, t_x, T, horizon, theta, n_max, self.k, self.dropout_at_first)

    def stage_purchase_pmf(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return kernel.stage_purchase_pmf(x, T, horizon, theta, n_max, self.k, self.dropout_at_first, stage)

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> discounting.DiscountMoments:
        """See `TransactionBindings`."""
        if self.k == 1:
            return discounting.discount_moments(x, T, horizon, delta, theta, counts, self.dropout_at_first)
        return discounts.stage_discount_moments(
            x, T, horizon, delta, theta, counts, self.k, stage, self.dropout_at_first
        )

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
        return simulation.simulate_totals(
            x,
            t_x,
            T,
            mean_spend,
            margin,
            segment,
            n_segments,
            horizon,
            delta,
            theta,
            theta_spend,
            self.dropout_at_first,
            seed,
            first_purchase,
            k=self.k,
        )

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

        def draw(*arguments: Any) -> None:
            period_paths.bg_family_draw(*arguments, bool(self.dropout_at_first))

        rows = customers, n_segments, edges
        return period_paths.simulate_periods(draw, self.p_alive_by_stage, *rows, theta, theta_spend, seed)

    def simulate_counts(
        self, generator: np.random.Generator, births: FloatArray, edges: FloatArray, theta: FloatArray
    ) -> FloatArray:
        """See `TransactionBindings`."""
        counts: FloatArray = paths.simulate_counts(generator, births, edges, theta, self.k, self.dropout_at_first)
        return counts

    def replicate_histories(
        self, generator: np.random.Generator, T: FloatArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """See `TransactionBindings`."""
        x, t_x = replicate_histories(generator, T, theta, self.k, self.dropout_at_first)
        return x, t_x
