"""What repeat buyers spend on a purchase, beside replications of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks.replications import DRAWS, check_arguments, check_count
from predclv.checks.results import PredictiveCheck, judge
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.forecast import predictive_checks as predictive
from predclv.forecast.fit_checks import interval, spend_shares
from predclv.forecast.predictive_checks import Quantity
from predclv.models import GammaGamma
from predclv.models.base import require_summary
from predclv.models.estimates import choose_theta

__all__ = ["SpendCheck", "check_spend"]

FloatArray = NDArray[np.float64]

# The last percent is a long tail that would squeeze the other bins.
_IN_BINS = 0.99


@dataclass(frozen=True, eq=False, repr=False)
class SpendCheck(PredictiveCheck):
    """Check of mean spends; see `PredictiveCheck`.

    Attributes
    ----------
    currency : str or None
    n_left_out : int
        Repeat buyers whose purchases net to zero, of whom the model does not speak.
    """

    currency: str | None
    n_left_out: int


def check_spend(
    model: GammaGamma, rfm: RFMSummary, *, n_bins: int | None = None, level: float = 0.9, n_draws: int = DRAWS
) -> SpendCheck:
    """Compare the mean spends of repeat buyers with what the model gives customers with the same numbers of purchases.

    Parameters
    ----------
    model : fitted GammaGamma
    rfm : RFMSummary
        With amounts, in the currency of the fit.
    n_bins : int, optional
        Bins of equal width up to the 99 % quantile of the data; one more holds the rest. By default 8 to 50, by the
        number of customers.
    level : float
        Probability of the bands.
    n_draws : int
        Replications, at most as many as the posterior has draws.

    Returns
    -------
    SpendCheck
        `table`: spend_from, spend_to, actual, expected, low, high (shares of the repeat buyers). `expected` is exact;
        the band holds which customers one happens to have.
        Quantities of the customers' mean spend: mean; 10, 50 and 90 % quantile; standard deviation and skewness of the
        logarithm; rank correlation with the number of purchases; and the largest distance of the distribution from the
        mean one of the replications.

    Raises
    ------
    TypeError, NotFittedError
        `model` is no spend model, or not fitted; `rfm` is no summary.
    DataError
        The summary has no amounts, or no repeat buyer with positive spend.
    UnitError
        It is in another currency, or its purchases were merged otherwise, than in the fit.
    ValueError
        `level`, `n_bins` or `n_draws` mean nothing.

    Notes
    -----
    On the data of the fit its p-values are conservative: the mean and the spread of the logarithm the fit can hardly
    miss; skewness, the correlation with the number of purchases and the shape it can. The model says that spend does
    not depend on how often a customer buys; the little correlation that it brings about, since a mean of few skewed
    amounts tends to be low, is in the replications.

    From 16 million customers times draws on, a random sample of the customers is replicated, of which the table
    speaks too.
    """
    draws = check_arguments(model, "spend", level, n_draws)
    require_summary(rfm)
    rfm.require_customers("A check")
    rfm.require_compatible(currency=model.fingerprint_.currency, collapse=model.fingerprint_.collapse)
    frequency, mean_spend, n_left_out = rfm.repeat_spend()
    n_customers, seed = len(frequency), int(model.random_state)
    if not n_customers:
        raise DataError(f"None of the {len(rfm):,} customers is a repeat buyer with positive spend.")
    order = np.lexsort((mean_spend, frequency))[predictive.pick_customers(n_customers, len(draws), seed)]
    frequency, mean_spend = frequency[order], mean_spend[order]
    edges = _edges(mean_spend, n_bins)
    grid = predictive.spend_grid(frequency, draws, seed)

    def measure(frequency: FloatArray, mean_spend: FloatArray) -> FloatArray:
        return predictive.spend_quantities(frequency, mean_spend, edges, grid)

    observed = measure(frequency, mean_spend)
    replicated = predictive.replicate_spend(frequency, draws, measure, seed)
    names = (
        "mean spend",
        "10 % quantile of mean spend",
        "median of mean spend",
        "90 % quantile of mean spend",
        "standard deviation of log mean spend",
        "skewness of log mean spend",
        "rank correlation of frequency and mean spend",
    )
    quantities = [Quantity(name, observed[i], replicated[:, i]) for i, name in enumerate(names)]
    bins = slice(len(names), len(names) + len(edges) - 1)
    below = slice(bins.stop, None)
    usual = replicated[:, below].mean(axis=0)
    quantities.append(
        Quantity.discrepancy(
            "distribution of mean spend (largest distance)",
            lambda shares: np.max(np.abs(shares - usual), axis=-1),
            observed[below],
            replicated[:, below],
        )
    )
    low, high = interval(replicated[:, bins], level)
    table = pd.DataFrame(
        {
            "spend_from": edges[:-1],
            "spend_to": edges[1:],
            "actual": observed[bins],
            "expected": spend_shares(edges, frequency, choose_theta(model.posterior_, None)[: len(draws)]),
            "low": low,
            "high": high,
        }
    )
    return SpendCheck(table, *judge(quantities, level), level, n_customers, len(frequency), rfm.currency, n_left_out)


def _edges(mean_spend: FloatArray, n_bins: int | None) -> FloatArray:
    n = int(np.clip(2 * len(mean_spend) ** (1 / 3), 8, 50)) if n_bins is None else check_count("n_bins", n_bins)
    return np.append(np.linspace(0.0, np.quantile(mean_spend, _IN_BINS), n + 1), np.inf)
