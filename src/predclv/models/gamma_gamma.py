"""Gamma-Gamma: each customer has a usual basket, and baskets differ between customers.

A purchase of one customer is Gamma(p, rate ν); over customers ν ~ Gamma(q, rate γ), independent of how often
the customer buys. Fader & Hardie (2013), brucehardie.com/notes/025.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, DependenceWarning, HeavyTailWarning, warn
from predclv.forecast.spend import mean_expected_spend
from predclv.inference.optimize import Optimum
from predclv.kernels import gamma_gamma_compiled as kernel
from predclv.models.base import Estimate, Model, choose_theta
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["Dependence", "GammaGamma"]

FloatArray = NDArray[np.float64]

# A rank correlation below this changes no decision, however certain; above it, and unlikely by chance, it does.
_NOTABLE_CORRELATION = 0.1
_NOTABLE_P_VALUE = 0.01


@dataclass(frozen=True)
class Dependence:
    """Rank correlation of purchase frequency and mean spend over repeat buyers; the model assumes none."""

    rank_correlation: float
    p_value: float
    n_customers: int

    @property
    def is_notable(self) -> bool:
        """Whether it is larger than chance explains and large enough to matter."""
        return abs(self.rank_correlation) > _NOTABLE_CORRELATION and self.p_value < _NOTABLE_P_VALUE


class GammaGamma(Model):
    """Spend per purchase, independent of purchase frequency; Fader & Hardie (2013).

    `fit` uses repeat buyers with positive mean spend: the first purchase is in no mean, and a repeat buyer
    whose purchases net to zero is left out and counted in `n_left_out_`.
    """

    KEY = "gamma_gamma"
    KIND = "spend"
    PARAMETERS = (
        Parameter("p", "shape of one customer's purchases: how steady baskets are", (1.0, 20.0)),
        Parameter("q", "shape of the gamma over customers: how alike they are", (1.5, 15.0)),
        Parameter(
            "gamma", "rate of the gamma over customers; mean spend is p gamma / (q - 1)", (1.0, 200.0), unit="money"
        ),
    )
    PRIORS: ClassVar = {
        "p": LogNormal(4.0, 1.0),
        # Above 1: below it, a new customer's mean spend is infinite.
        "q": LogNormal(4.0, 0.8, above=1.0),
        # With p and q at their medians the mean spend is one basket.
        "gamma": LogNormal(0.75, 1.0, unit="basket"),
    }
    EDGES: ClassVar = {
        (("q", "high"), ("gamma", "high")): (
            "All customers seem to spend alike, so their history says nothing about their basket."
        ),
        (("p", "high"), ("gamma", "low")): (
            "Every customer seems to spend the same amount each time; the model has no place for fixed prices."
        ),
        (("p", "high"),): "Every customer seems to spend the same amount each time.",
        (("q", "low"),): "Spend differs between customers beyond any mean: a few are of another kind.",
    }

    @property
    def dependence_(self) -> Dependence:
        """Check of the assumption that spend does not go with frequency."""
        check_is_fitted(self)
        return Dependence(**self.posterior_.fit_diagnostics["dependence"])

    @property
    def n_left_out_(self) -> int:
        """Repeat buyers without positive spend, whom the fit left out."""
        check_is_fitted(self)
        return int(self.posterior_.fit_diagnostics["n_left_out"])

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Estimate p, q and γ from repeat buyers; see `Model.fit`.

        Raises
        ------
        DataError
            The summary has no amounts, or fewer than three repeat buyers with positive spend.

        Warns
        -----
        DependenceWarning
            Frequent buyers spend more, or less, than others.
        HeavyTailWarning
            q ≤ 2 or q ≤ 1: a new customer's spend has no finite variance, or mean.
        """
        super().fit(rfm)
        frequency, mean_spend, n_left_out = _repeat_spend(rfm)
        dependence = _dependence(frequency, mean_spend)
        found = {"dependence": asdict(dependence), "n_left_out": n_left_out}
        self.posterior_ = replace(self.posterior_, fit_diagnostics={**self.posterior_.fit_diagnostics, **found})
        if dependence.is_notable:
            warn(_dependence_message(dependence), DependenceWarning)
        return self

    def expected_spend(self, rfm: RFMSummary, *, estimate: Estimate | None = None) -> Any:
        """Expected spend per future purchase, given each history; one-time buyers get the population's.

        Returns
        -------
        frame of customer_id, expected_spend, of the type the summary was made from
            Infinite where p x + q ≤ 1.

        References
        ----------
        Fader & Hardie (2013), eq. (5).
        """
        self._check_use(rfm)
        assert rfm.monetary_value is not None
        spend = mean_expected_spend(
            rfm.frequency.astype(np.float64), rfm.monetary_value, choose_theta(self.posterior_, estimate)
        )
        return rfm.to_native(rfm.to_pandas()[["customer_id"]].assign(expected_spend=spend))

    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        frequency, mean_spend, _ = _repeat_spend(rfm)
        n = len(frequency)
        return Likelihood(
            self.PARAMETERS,
            n_observations=n,
            # The values at many thetas cost a logarithm a customer for some tens of them, not for each theta.
            n_rows=1,
            evaluate=partial(kernel.log_likelihood_derivatives, frequency, mean_spend, np.ones(n)),
            make_evaluate_many=partial(partial, kernel.log_likelihood_values, frequency, mean_spend, np.ones(n)),
        )

    def _start(self, rfm: RFMSummary) -> FloatArray:
        p, q = 6.0, 4.0
        _, mean_spend, _ = _repeat_spend(rfm)
        return np.array([p, q, float(np.mean(mean_spend)) * (q - 1) / p])

    def _check_use(self, rfm: RFMSummary) -> None:
        check_is_fitted(self)
        rfm.require_compatible(currency=self.fingerprint_.currency)
        if rfm.monetary_value is None:
            raise DataError("The summary has no amounts. Give 'amount' to from_transactions, or 'monetary_value'.")

    def _warn(self, optimum: Optimum) -> None:
        super()._warn(optimum)
        q = self.posterior_.point["q"]
        if q <= 1:
            warn(
                f"q = {q:.3g} is at most 1: the mean spend of a new or one-time customer is infinite, and so is every "
                "total that holds one. A few customers spend on another scale (wholesale?): model them apart.",
                HeavyTailWarning,
            )
        elif q <= 2:
            warn(
                f"q = {q:.3g} is at most 2: the spend of a new or one-time customer has a finite mean and an infinite "
                "variance, so a few large customers drive every total. Read quantiles, not standard deviations.",
                HeavyTailWarning,
            )


def _repeat_spend(rfm: RFMSummary) -> tuple[FloatArray, FloatArray, int]:
    if rfm.monetary_value is None:
        raise DataError("The summary has no amounts. Give 'amount' to from_transactions, or 'monetary_value'.")
    frequency, mean_spend, n_left_out = rfm.repeat_spend()
    if len(frequency) < 3:
        raise DataError(
            f"A spend model needs at least 3 repeat buyers with positive spend; there are {len(frequency):,} among "
            f"{len(rfm):,} customers ({n_left_out:,} repeat buyers have none). Take a longer window."
        )
    return frequency, mean_spend, n_left_out


def _dependence(frequency: FloatArray, mean_spend: FloatArray) -> Dependence:
    from scipy.stats import spearmanr

    if np.ptp(frequency) == 0 or np.ptp(mean_spend) == 0:
        return Dependence(0.0, 1.0, len(frequency))
    result = spearmanr(frequency, mean_spend)
    return Dependence(float(result.statistic), float(result.pvalue), len(frequency))


def _dependence_message(dependence: Dependence) -> str:
    more, under = ("more", "too low") if dependence.rank_correlation > 0 else ("less", "too high")
    return (
        f"Frequent buyers spend {more} per purchase (rank correlation {dependence.rank_correlation:.3f} over "
        f"{dependence.n_customers:,} repeat buyers), which the Gamma-Gamma model assumes they do not. Expect the value "
        f"of frequent customers {under} where they have little history; compare tiers in a backtest."
    )
