"""BG/BB: customers have whole opportunities to buy, use each or not, and before any of them may be gone for good.

Gifts of a year, tickets of a season. At each opportunity a customer who is there buys with probability p; before each
one they leave with probability θ. Over customers p ~ Beta(α, β) and θ ~ Beta(γ, δ), independent. Fader, Hardie & Shang
(2010), Marketing Science 29(6).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.data import rfm_checks
from predclv.data.durations import Horizon
from predclv.data.opportunities import OPPORTUNITIES, parse_opportunities
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.forecast.bindings import ArrangedLikelihood, OneState, PeriodCustomers, TransactionBindings
from predclv.kernels import leaving
from predclv.kernels.bg_bb import forecast as kernel
from predclv.kernels.bg_bb import log_likelihood
from predclv.kernels.bg_bb.discounts import discount_moments
from predclv.kernels.bg_bb.likelihood import (
    log_likelihood_derivatives,
    log_likelihood_gradient,
    log_likelihood_values,
    pointwise_log_likelihood,
)
from predclv.kernels.bg_bb.paths import replicate_histories, simulate_counts
from predclv.kernels.bg_bb.rows import arrange
from predclv.kernels.bg_bb.simulation import simulate_totals
from predclv.kernels.period_paths import bg_bb_draw, simulate_periods
from predclv.kernels.silence import opportunities_at_most, simulate_opportunities
from predclv.kernels.staying import discounted_opportunities
from predclv.models.transactions import TransactionModel
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["BGBB", "BGBBBindings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LACK_OF_DROPOUT = (
    "The data show no customer leaving: nobody has let many opportunities pass, for how many they use. Everyone is "
    "forecast as there, and no interval holds the chance that this is wrong. Observe for longer; where customers can "
    "leave, say what is known of comparable businesses in priors on gamma and delta (method='map')."
)
_AT_ONCE_OR_NEVER = "Customers seem to leave either at once or never."
_LEAVING_AT_ONCE = "Nearly every customer seems to leave before the first opportunity; is the log cut off?"
_ALWAYS_OR_NEVER = "Customers seem to use either every opportunity or none: shorter ones would tell more."


class BGBBBindings(ArrangedLikelihood, OneState):
    """The model's kernels; what `forecast` calls (`TransactionBindings`).

    Alive means there at opportunity T + 1; given that, p ~ Beta(α + x, β + T - x) and θ ~ Beta(γ, δ + T + 1).
    """

    counts_opportunities = True

    arrange = staticmethod(arrange)
    arranged_derivatives = staticmethod(log_likelihood_derivatives)
    arranged_values = staticmethod(log_likelihood_values)
    arranged_gradient = staticmethod(log_likelihood_gradient)
    pointwise_log_likelihood = staticmethod(pointwise_log_likelihood)
    literal_log_likelihood = staticmethod(log_likelihood)
    p_alive = staticmethod(kernel.p_alive)
    mean_p_alive = staticmethod(kernel.mean_p_alive)
    p_ever = staticmethod(kernel.p_ever)
    expected_purchases = staticmethod(kernel.expected_purchases)
    mean_expected_purchases = staticmethod(kernel.mean_expected_purchases)
    discounted_expected_purchases = staticmethod(kernel.discounted_expected_purchases)
    purchase_pmf = staticmethod(kernel.purchase_pmf)
    discounted_if_staying = staticmethod(discounted_opportunities)
    p_at_most_if_staying = staticmethod(opportunities_at_most)
    simulate_if_staying = staticmethod(simulate_opportunities)
    alive_purchase_pmf = staticmethod(kernel.alive_purchase_pmf)
    alive_discount_moments = staticmethod(discount_moments)
    simulate_totals = staticmethod(simulate_totals)
    simulate_counts = staticmethod(simulate_counts)
    replicate_histories = staticmethod(replicate_histories)

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
        return self._there(x, t_x, T, theta) * leaving.purchases_at_opportunities(x, T, horizon, delta, theta, factor)

    def alive_if_leaving_less(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, ahead: float, factor: float
    ) -> FloatArray:
        """See `TransactionBindings`."""
        return self._there(x, t_x, T, theta) * leaving.alive_at_opportunities(T, ahead, theta, factor)

    def _there(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray) -> FloatArray:
        """P(there at opportunity T | history); `p_alive` is of T + 1, which θ ~ Beta(γ, δ + T) had to spare."""
        gamma, delta = theta[:, 2:3], theta[:, 3:4]
        return self.p_alive(x, t_x, T, theta) * (gamma + delta + T) / (delta + T)

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
        rows = customers, n_segments, edges
        return simulate_periods(bg_bb_draw, self.p_alive_by_stage, *rows, theta, theta_spend, seed)

    def rate_gamma(self, x: float, theta: FloatArray) -> tuple[float, float]:
        """See `TransactionBindings`: p goes by alpha + x; ages, being whole, are told apart as they are."""
        return float(theta[:, 0].mean()) + x, 1.0

    def start(self, mean_frequency: float, mean_age: float) -> FloatArray:
        """See `TransactionBindings`: as if customers were there for half of their opportunities."""
        used = min(2.0 * mean_frequency / mean_age, 0.8)
        return np.array([1.0, (1.0 - used) / used, 0.7, max(mean_age, 1.0)])


class BGBB(TransactionModel):
    """Beta-geometric / beta-binomial model of opportunities used; Fader, Hardie & Shang (2010).

    For summaries that count opportunities: `RFMSummary.from_transactions(log, opportunities="year")`, or a ready table
    of whole frequency, recency and T. Horizons are whole numbers of opportunities. `p_alive` is the paper's P(alive) at
    opportunity T + 1: that the customer has not left before the next opportunity. A purchase counts, and is discounted,
    as of the opportunity that it uses.
    """

    KEY = "bg_bb"
    PARAMETERS = (
        Parameter(
            "alpha", "beta over buying: with beta, the mean share of opportunities used, while a customer", (0.2, 5.0)
        ),
        Parameter("beta", "beta over buying: the larger alpha + beta, the more alike customers buy", (0.2, 10.0)),
        Parameter(
            "gamma",
            "beta over leaving: with delta, the mean probability of leaving before an opportunity is "
            "gamma / (gamma + delta)",
            (0.1, 5.0),
        ),
        Parameter("delta", "beta over leaving: the larger gamma + delta, the more alike customers leave", (0.5, 30.0)),
    )
    # Each within a factor of 5 to 12 either way (90 %). At the medians a customer of mean age would have used two
    # opportunities in three of few, two of many, had they stayed; and half have left by then.
    PRIORS: ClassVar = {
        "alpha": LogNormal(1.0, 1.0),
        "beta": LogNormal(0.4, 1.5, unit="age"),
        "gamma": LogNormal(0.8, 1.2),
        "delta": LogNormal(0.8, 1.5, unit="age"),
    }
    EDGES: ClassVar = {
        (("gamma", "low"), ("delta", "low")): _AT_ONCE_OR_NEVER,
        (("gamma", "high"), ("delta", "high")): (
            "All customers seem equally likely to leave before an opportunity: only gamma / (gamma + delta) is "
            "determined, as happens in small samples and with few opportunities. Forecasts use that one probability "
            "for everyone and understate how much customers differ. More customers, more opportunities or priors on "
            "gamma and delta (method='map') would settle it."
        ),
        (("gamma", "low"),): _LACK_OF_DROPOUT,
        (("delta", "high"),): _LACK_OF_DROPOUT,
        (("gamma", "high"), ("delta", "low")): _LEAVING_AT_ONCE,
        (("gamma", "high"),): _LEAVING_AT_ONCE,
        (("delta", "low"),): _AT_ONCE_OR_NEVER,
        (("alpha", "high"), ("beta", "high")): (
            "All customers seem to use opportunities alike, so a customer's own count says nothing beyond it."
        ),
        (("alpha", "low"), ("beta", "low")): _ALWAYS_OR_NEVER,
        (("beta", "low"),): "Customers seem to use every opportunity until they leave: shorter ones would tell more.",
        (("alpha", "low"),): "Nearly nobody buys again; a few do often. The beta over buying has collapsed to zero.",
    }
    BINDINGS: ClassVar[TransactionBindings] = BGBBBindings()

    def parse_horizon(self, horizon: Any, time_unit: str, observation_end: Any) -> Horizon:
        """Read a horizon as a whole number of opportunities; see `TransactionModel.parse_horizon`."""
        if time_unit not in OPPORTUNITIES:
            raise DataError(f"Opportunities come by {', '.join(OPPORTUNITIES)}, not by {time_unit}.")
        return parse_opportunities(horizon, time_unit, observation_end)

    def check_counts(self, rfm: RFMSummary) -> None:
        """Accept what counts opportunities, whether it says so or not."""
        if rfm.time_unit not in OPPORTUNITIES:
            raise DataError(
                f"BGBB counts opportunities, which come by {', '.join(OPPORTUNITIES)}; the summary is in "
                f"{rfm.time_unit}s. Give RFMSummary.from_transactions opportunities='day', for instance."
            )
        if rfm.opportunities is None:
            rfm_checks.check_opportunities(rfm.customer_id, rfm.frequency, rfm.recency, rfm.T)
