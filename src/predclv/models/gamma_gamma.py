"""Gamma-Gamma: each customer has a usual basket, and baskets differ between customers.

A purchase of one customer is Gamma(p, rate ν); over customers ν ~ Gamma(q, rate γ), independent of how often
the customer buys. Fader & Hardie (2013), brucehardie.com/notes/025.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.rfm import RepeatSpend, RFMSummary
from predclv.errors import DataError, DependenceWarning, FitError, HeavyTailWarning, warn
from predclv.forecast.customers import runs
from predclv.forecast.replicates import replicate_spend_bins
from predclv.forecast.spend import mean_expected_spend
from predclv.inference.evidence import Replicate
from predclv.inference.posterior import Posterior
from predclv.kernels.gamma_gamma import compiled as kernel
from predclv.kernels.gamma_gamma import log_likelihood
from predclv.kernels.gamma_gamma.gradient import bind_gradient
from predclv.kernels.gamma_gamma.pointwise import pointwise_log_likelihood
from predclv.kernels.gamma_gamma.replicates import cumulative_probability
from predclv.kernels.weighted import rank_correlation, rank_p_value
from predclv.models.base import Model, require_summary
from predclv.models.estimates import Estimate, choose_theta
from predclv.models.likelihood import Likelihood
from predclv.parameters import Parameter
from predclv.priors.distributions import LogNormal

__all__ = ["Dependence", "GammaGamma"]

FloatArray = NDArray[np.float64]

# A rank correlation below this changes no decision, however certain; above it, and unlikely by chance, it does.
_NOTABLE_CORRELATION = 0.1
_NOTABLE_P_VALUE = 0.01
# Below so many customers chance is found by shuffling: ties and small numbers make the t approximation rough.
_SHUFFLED = 50
_SHUFFLES = 9_999
# Simulated customers like CDNOW's (p = 6.25) seem to spend fixed amounts in 1 sample of 60 with so many who made two or
# more repeat purchases, in 5 with 65 and in 30 with 15; those who truly do seem so in most, whatever their number.
_ENOUGH_STEADY = 100
# Mean spends whose deviation is this share of their mean are one amount: such as differ by twice as much have a mode.
_ALIKE = 1e-3
# Of one amount, 60 mean spends put the mode at p = 3e5 under the default priors, 80 at 1e7; of 100 it is not found.
_FIXED = 80


@dataclass(frozen=True)
class Dependence:
    """Rank correlation of purchase frequency and spend over repeat buyers.

    The model assumes that usual baskets do not go with frequency. Mean spend does a little, even so: a mean of few
    skewed amounts lies lower than its expectation more often than a mean of many. The adjusted correlation takes, in
    place of the mean spend, its probability under the fitted model given the number of purchases, which is uniform and
    independent of that number where the model holds.

    Attributes
    ----------
    rank_correlation : float
        Of frequency and mean spend.
    adjusted_correlation : float
        Beyond what the model itself brings about.
    p_value : float
        Of the adjusted correlation, two-sided; by shuffling where customers are few.
    n_customers : int
    """

    rank_correlation: float
    adjusted_correlation: float
    p_value: float
    n_customers: int

    @property
    def is_notable(self) -> bool:
        """Whether it is larger than chance explains and large enough to matter."""
        return abs(self.adjusted_correlation) > _NOTABLE_CORRELATION and self.p_value < _NOTABLE_P_VALUE


class GammaGamma(Model):
    """Spend per purchase, independent of purchase frequency; Fader & Hardie (2013).

    `fit` uses repeat buyers with positive mean spend: the first purchase is in no mean, and a repeat buyer
    whose purchases net to zero is left out and counted in `n_left_out_`. `expected_spend`, and every value made from
    it, does take such a history as evidence: of a basket near zero.
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
            "All customers seem to spend alike, or are too few to tell apart, so their history says nothing about "
            "their basket."
        ),
        (("p", "high"), ("gamma", "low")): (
            "As far as these data can tell, every customer spends the same amount each time; the model has no place "
            "for fixed prices."
        ),
        (("p", "high"),): "As far as these data can tell, every customer spends the same amount each time.",
        (("q", "low"),): "Spend differs between customers beyond any mean: a few are of another kind.",
    }

    @property
    def dependence_(self) -> Dependence:
        """Check of the assumption that spend does not go with frequency, made by the fit."""
        check_is_fitted(self)
        return Dependence(**self.posterior_.fit_diagnostics["dependence"])

    @property
    def n_left_out_(self) -> int:
        """Repeat buyers without positive spend, whom the fit left out."""
        check_is_fitted(self)
        return int(self.posterior_.fit_diagnostics["n_left_out"])

    def fit(self, rfm: RFMSummary, y: None = None) -> Self:
        """Estimate p, q and γ from repeat buyers; see `Model.fit`.

        A mean spend of zero has no density under the model. Repeat buyers who have one, as after returns, are left
        out of the estimate and counted in `n_left_out_`; `expected_spend` still puts them near zero. Where they are
        people whose spend is unknown rather than nothing, leave them out of the summary.

        Raises
        ------
        DataError
            The summary has no amounts, or fewer than three repeat buyers with positive spend.
        FitError
            Under priors, all spend the same: no posterior holds p and q in.

        Warns
        -----
        DependenceWarning
            Frequent buyers spend more, or less, than others.
        HeavyTailWarning
            q ≤ 2 or q ≤ 1: a new customer's spend has no finite variance, or mean.
        """
        try:
            return super().fit(rfm)
        except (FitError, np.linalg.LinAlgError) as error:
            if self.method != "mle" and _alike(rfm, self.segment).any():
                raise _fixed_prices(rfm, self.segment) from error
            raise

    def expected_spend(self, rfm: RFMSummary, *, estimate: Estimate | None = None) -> Any:
        """Expected spend per future purchase, given each history; one-time buyers get the population's.

        A repeat buyer with a mean spend of zero is taken at that word: so many purchases worth nothing put the
        expectation near zero, although `fit` leaves such customers out.

        Returns
        -------
        frame of customer_id, expected_spend, of the type the summary was made from
            Infinite where p x + q ≤ 1.

        References
        ----------
        Fader & Hardie (2013), eq. (5).
        """
        self._check_use(rfm)
        spend = np.empty(len(rfm))
        for model, part, rows in self.parts(rfm):
            assert part.monetary_value is not None
            theta = choose_theta(model.posterior_, estimate)
            spend[rows] = mean_expected_spend(part.frequency.astype(np.float64), part.monetary_value, theta)
        return rfm.to_native(rfm.to_pandas()[["customer_id"]].assign(expected_spend=spend))

    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        frequency, mean_spend, weight = _distinct(rfm.repeat_spend(), rfm.repeat_spend_weight)
        return Likelihood(
            self.PARAMETERS,
            n_observations=int(weight.sum()),
            # The values at many thetas cost a logarithm a customer for some tens of them, not for each theta.
            n_rows=1,
            evaluate=partial(kernel.log_likelihood_derivatives, frequency, mean_spend, weight),
            make_evaluate_many=partial(partial, kernel.log_likelihood_values, frequency, mean_spend, weight),
            make_evaluate_gradient=partial(bind_gradient, frequency, mean_spend, weight),
            pointwise=pointwise_log_likelihood,
            rows={"frequency": frequency, "monetary_value": mean_spend},
            weight=weight,
            literal=log_likelihood,
        )

    def _replicate(self, likelihood: Likelihood) -> Replicate:
        rows = likelihood.rows
        return partial(replicate_spend_bins, rows["frequency"], rows["monetary_value"], likelihood.weight)

    def _check_data(self, rfm: RFMSummary, likelihood: Likelihood) -> None:
        n = likelihood.n_observations
        if n < 3:
            raise DataError(
                f"A spend model needs at least 3 repeat buyers with positive spend; there are {n:,} among "
                f"{rfm.n_customers:,} customers ({rfm.n_repeat_buyers - n:,} repeat buyers have none). Take a longer "
                "window."
            )
        sampled = self.method in ("auto", "mcmc") and self.priors is None
        if sampled and n >= _FIXED and _spends_alike(rfm, self.segment):
            # Before minutes of sampling, which never meets the end of the ridge.
            raise _fixed_prices(rfm, self.segment)

    def _start(self, rfm: RFMSummary) -> FloatArray:
        p, q = 6.0, 4.0
        return np.array(
            [p, q, float(np.average(rfm.repeat_spend().mean_spend, weights=rfm.repeat_spend_weight)) * (q - 1) / p]
        )

    def _examine(self, rfm: RFMSummary, posterior: Posterior, theta: FloatArray | None = None) -> Posterior:
        spend, weight = rfm.repeat_spend(), rfm.repeat_spend_weight
        assert rfm.monetary_value is not None
        spent = (rfm.frequency > 0) & (rfm.monetary_value > 0)
        estimates = posterior.point_array if theta is None else theta[:, spent]
        found = {
            "dependence": asdict(_dependence(spend, weight, estimates)),
            "n_left_out": spend.n_left_out,
            "n_steady": _customers(weight, spend.frequency >= 2),
        }
        return posterior.evolve(fit_diagnostics={**posterior.fit_diagnostics, **found})

    def _check_stored(self) -> None:
        super()._check_stored()
        diagnostics = self.posterior_.fit_diagnostics
        numbers = (*asdict(self.dependence_).values(), diagnostics["n_left_out"], diagnostics["n_steady"])
        if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
            raise ValueError("a diagnostic is no finite number.")

    def _check_use(self, rfm: RFMSummary) -> None:
        check_is_fitted(self)
        require_summary(rfm)
        rfm.require_compatible(currency=self.fingerprint_.currency, collapse=self.fingerprint_.collapse)
        if rfm.monetary_value is None:
            raise DataError("The summary has no amounts. Give 'amount' to from_transactions, or 'monetary_value'.")

    def _edge_stories(self) -> Mapping[tuple[tuple[str, str], ...], str]:
        n = self.posterior_.fit_diagnostics["n_steady"]
        if n >= _ENOUGH_STEADY:
            return self.EDGES
        few = (
            f"Only {n:,} customers made two or more repeat purchases: too few to tell how much one customer's baskets "
            "vary, which then counts as not at all."
        )
        return {edges: few if ("p", "high") in edges else story for edges, story in self.EDGES.items()}

    def _warn(self) -> None:
        if self.dependence_.is_notable:
            warn(_dependence_message(self.dependence_), DependenceWarning)
        tails = {name: model.posterior_.point["q"] for name, model in self.segments_.items()}
        where, q = min(tails.items(), key=lambda tail: tail[1], default=("", self.posterior_.point["q"]))
        of = f" of segment {where!r}" if where else ""
        if q <= 1:
            warn(
                f"q{of} = {q:.3g} is at most 1: the mean spend of a new or one-time customer is infinite, and so is "
                "every total that holds one. A few customers spend on another scale (wholesale?): model them apart.",
                HeavyTailWarning,
            )
        elif q <= 2:
            warn(
                f"q{of} = {q:.3g} is at most 2: the spend of a new or one-time customer has a finite mean and an "
                "infinite variance, so a few large customers drive every total. Read quantiles, not deviations.",
                HeavyTailWarning,
            )


def _spends_alike(rfm: RFMSummary, segment: str | None) -> bool:
    """Whether the mean spends of all repeat buyers, or of each segment's, are the same but for a thousandth."""
    found = _alike(rfm, segment)
    return bool(len(found) and found.all())


def _alike(rfm: RFMSummary, segment: str | None) -> pd.Series:
    """Whether so, by segment, for each of three repeat buyers or more: one or two are no sign of a price."""
    assert rfm.monetary_value is not None
    spent = (rfm.frequency > 0) & (rfm.monetary_value > 0)
    # Without a segment everyone is in the same.
    of = np.zeros(len(rfm)) if segment is None else rfm.carried[segment]
    spends = pd.Series(rfm.monetary_value[spent]).groupby(pd.Series(of[spent]))
    return (spends.std(ddof=0) <= _ALIKE * spends.mean())[spends.size() > 2]


def _fixed_prices(rfm: RFMSummary, segment: str | None) -> FitError:
    found = _alike(rfm, segment)
    spend = rfm.repeat_spend().mean_spend
    n = _customers(rfm.repeat_spend_weight, np.ones(len(spend), dtype=bool))
    if segment is None:
        who = f"All {n:,} repeat buyers spend the same amount each time ({spend[0]:g} for the first)"
    elif found.all():
        who = f"All {n:,} repeat buyers spend the same amount each time as the others of their segment"
    else:
        few = f"{int(found.sum())} of {len(found)} segments (first: {str(found.idxmax())!r})"
        who = f"All repeat buyers in {few} spend the same amount each time"
    return FitError(
        f"{who}: prices are fixed, and the Gamma-Gamma model has no place for them. Its likelihood rises towards p = ∞ "
        "faster than the priors fall, so that there is no posterior to find or to sample. Fit the spend model with "
        "method='mle', which holds it where all spend alike; or forecast purchases alone, and multiply them by the "
        "price."
    )


def _distinct(spend: RepeatSpend, weight: FloatArray | None) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Distinct pairs in order, and how many customers share each: a fit does not depend on how customers come."""
    order = np.lexsort((spend.mean_spend, spend.frequency))
    frequency, mean_spend = spend.frequency[order], spend.mean_spend[order]
    first, run = runs(frequency, mean_spend)
    each = None if weight is None else weight[order]
    customers = np.bincount(run, weights=each, minlength=len(first)).astype(np.float64)
    return frequency[first].astype(np.float64), mean_spend[first], customers


def _customers(weight: FloatArray | None, which: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(which) if weight is None else weight[which].sum())


def _dependence(spend: RepeatSpend, weight: FloatArray | None, theta: FloatArray) -> Dependence:
    frequency, mean_spend, _ = spend
    n = _customers(weight, np.ones(len(frequency), dtype=bool))
    probability = cumulative_probability(mean_spend, frequency, theta)
    if n < 3 or any(np.ptp(column) == 0 for column in (frequency, mean_spend, probability)):
        return Dependence(0.0, 0.0, 1.0, n)
    raw, adjusted = (rank_correlation(frequency, other, weight) for other in (mean_spend, probability))
    if n >= _SHUFFLED:
        return Dependence(raw, adjusted, rank_p_value(adjusted, n), n)
    each = np.ones(len(frequency)) if weight is None else weight
    pairs = (np.repeat(column, each.astype(np.int64)) for column in (frequency, probability))
    return Dependence(raw, adjusted, _shuffled_p_value(*pairs), n)


def _shuffled_p_value(first: FloatArray, second: FloatArray) -> float:
    """Two-sided p-value of Spearman's rank correlation: the share of shuffles that correlate as much."""
    from scipy.stats import rankdata

    one, two = (ranks - ranks.mean() for ranks in (rankdata(first), rankdata(second)))
    shuffled = np.random.default_rng(0).permuted(np.tile(two, (_SHUFFLES, 1)), axis=1) @ one
    # The slack counts shuffles that give the same sum in another order.
    as_much = np.count_nonzero(np.abs(shuffled) >= abs(two @ one) - 1e-9 * np.sum(one**2))
    return float((1 + as_much) / (1 + _SHUFFLES))


def _dependence_message(dependence: Dependence) -> str:
    more, under = ("more", "too low") if dependence.adjusted_correlation > 0 else ("less", "too high")
    return (
        f"Frequent buyers spend {more} per purchase (rank correlation {dependence.rank_correlation:.3f} over "
        f"{dependence.n_customers:,} repeat buyers, {dependence.adjusted_correlation:.3f} beyond what the model itself "
        "brings about), which the Gamma-Gamma model assumes they do not. Expect the value of frequent customers "
        f"{under} where they have little history; compare forecast and later spend by frequency."
    )
