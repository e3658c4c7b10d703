"""Pareto/NBD: customers buy at their own steady rate, until at some moment, seen by nobody, they are gone for good.

While alive, purchases are Poisson(λ); the lifetime is exponential with rate μ. Over customers λ ~ Gamma(r, α) and
μ ~ Gamma(s, β), independent. Schmittlein, Morrison & Colombo (1987), Management Science 33(1); Fader & Hardie (2005),
A Note on Deriving the Pareto/NBD Model and Related Expressions.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import ArrangedLikelihood, OneState, PeriodCustomers, TransactionBindings
from predclv.kernels.pareto_nbd import forecast as kernel
from predclv.kernels.pareto_nbd import log_likelihood
from predclv.kernels.pareto_nbd.discounts import discount_moments
from predclv.kernels.pareto_nbd.gradient import log_likelihood_gradient
from predclv.kernels.pareto_nbd.likelihood import arrange, log_likelihood_derivatives
from predclv.kernels.pareto_nbd.paths import replicate_histories, simulate_counts
from predclv.kernels.pareto_nbd.simulation import simulate_totals
from predclv.kernels.pareto_nbd.values import log_likelihood_values, pointwise_log_likelihood
from predclv.kernels.period_paths import pareto_nbd_draw, simulate_periods
from predclv.kernels.silence import purchases_at_most, simulate_purchases
from predclv.kernels.staying import discounted_purchases
from predclv.models.covariates.model import CovariateModel
from predclv.models.covariates.patterns import ParetoPatterns, PatternKernels
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["ParetoNBD", "ParetoNBDBindings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_LACK_OF_DROPOUT = (
    "The data show no customer leaving: nobody has been silent for long compared with their own rhythm. Everyone is "
    "forecast as alive, and no interval holds the chance that this is wrong. Observe for longer; where customers can "
    "leave, say what is known of comparable businesses in priors on s and beta (method='map')."
)
_AT_ONCE_OR_NEVER = (
    "Customers seem to leave either at once or never. Check that purchases made together are merged (collapse=)."
)
_LEAVING_AT_ONCE = "Nearly every customer seems to leave at once; is the log cut off?"


class ParetoNBDBindings(ArrangedLikelihood, OneState):
    """The model's kernels; what `forecast` calls (`TransactionBindings`).

    Given alive at T, rates are Gamma(r + x, α + T) and Gamma(s, β + T).
    """

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
    discounted_if_staying = staticmethod(discounted_purchases)
    p_at_most_if_staying = staticmethod(purchases_at_most)
    simulate_if_staying = staticmethod(simulate_purchases)
    alive_purchase_pmf = staticmethod(kernel.alive_purchase_pmf)
    alive_discount_moments = staticmethod(discount_moments)
    simulate_totals = staticmethod(simulate_totals)
    simulate_counts = staticmethod(simulate_counts)
    replicate_histories = staticmethod(replicate_histories)

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
        return simulate_periods(pareto_nbd_draw, self.p_alive_by_stage, *rows, theta, theta_spend, seed)

    def rate_gamma(self, x: float, theta: FloatArray) -> tuple[float, float]:
        """See `TransactionBindings`; ages matter through α + T and β + T, so the smaller of α and β counts."""
        return float(theta[:, 0].mean()) + x, float(min(theta[:, 1].mean(), theta[:, 3].mean()))

    def start(self, mean_frequency: float, mean_age: float) -> FloatArray:
        """See `TransactionBindings`."""
        r = 0.5
        return np.array([r, r * mean_age / mean_frequency, 0.5, 0.5 * mean_age])


class ParetoNBD(CovariateModel):
    """Pareto / negative binomial model of repeat purchases; Schmittlein, Morrison & Colombo (1987).

    Customers may leave at any moment, before a first repeat purchase too: `p_alive` is below 1 for everyone who has
    not bought on the last day, and lower the longer they have been silent for their rhythm. Lifetimes are Pareto of
    the second kind; with s <= 1, as is usual, their mean is infinite, and so are undiscounted purchases over an
    infinite horizon.

    Customers may differ by covariates, on purchase and on dropout: see `CovariateModel` for these settings.
    """

    KEY = "pareto_nbd"
    PARAMETERS = (
        Parameter("r", "shape of the gamma over purchase rates: how alike customers buy", (0.1, 5.0)),
        Parameter(
            "alpha", "rate of the gamma over purchase rates; the mean rate is r / alpha", (1.0, 50.0), unit="time"
        ),
        Parameter("s", "shape of the gamma over rates of leaving: how alike customers leave", (0.1, 5.0)),
        Parameter(
            "beta",
            "rate of the gamma over rates of leaving: half of all customers are gone after beta (2^(1/s) - 1)",
            (1.0, 50.0),
            unit="time",
        ),
    )
    # Each within a factor of 5 to 12 either way (90 %). At the medians a customer of mean age would have made 1.75
    # repeat purchases had they stayed, and 46 % have left by then.
    PRIORS: ClassVar = {
        "r": LogNormal(0.7, 1.0),
        "alpha": LogNormal(0.4, 1.5, unit="age"),
        "s": LogNormal(0.7, 1.2),
        "beta": LogNormal(0.7, 1.5, unit="age"),
    }
    EDGES: ClassVar = {
        (("s", "low"), ("beta", "low")): _AT_ONCE_OR_NEVER,
        (("s", "high"), ("beta", "high")): (
            "All customers seem to leave at one rate: only s / beta, the mean rate of leaving, is determined, as "
            "happens in small samples and short logs. Forecasts use that one rate for everyone and understate how much "
            "customers differ. More customers, a longer log or priors on s and beta (method='map') would settle it."
        ),
        (("s", "low"),): _LACK_OF_DROPOUT,
        (("beta", "high"),): _LACK_OF_DROPOUT,
        (("s", "high"), ("beta", "low")): _LEAVING_AT_ONCE,
        (("s", "high"),): _LEAVING_AT_ONCE,
        (("beta", "low"),): _AT_ONCE_OR_NEVER,
        (("r", "high"), ("alpha", "high")): (
            "All customers seem to buy at one rate, so a customer's own count says nothing beyond it."
        ),
        (("r", "low"),): (
            "Nearly nobody buys again; a few do often. The gamma over purchase rates has collapsed to zero."
        ),
    }
    BINDINGS: ClassVar[TransactionBindings] = ParetoNBDBindings()
    DROPOUT_MEANING = "the rate of leaving"
    DROPOUT_EFFECT = "rate of leaving"

    @property
    def pattern_kernels(self) -> PatternKernels:
        """See `CovariateModel`."""
        return ParetoPatterns()
