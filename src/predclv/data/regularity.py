"""How regular customers buy: one shape for the gaps of all, whatever their rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import digamma, polygamma

__all__ = ["Regularity", "estimate_regularity"]

FloatArray = NDArray[np.float64]

# The geometric mean of 1 and 2, from which on 2 is the nearer.
_REGULAR = 2**0.5
_MOST = 1e4


@dataclass(frozen=True)
class Regularity:
    """Shape k of the gamma of the gaps between purchases: 1 at random, more is more regular, less is in bursts.

    Attributes
    ----------
    k : float
        Estimate; infinite where all gaps of a customer are alike.
    std_error : float
    low, high : float
        90 % interval.
    n_customers, n_gaps : int
        With two gaps or more, and their gaps.
    advice : str
        What it says of the choice of a model.
    """

    k: float
    std_error: float
    low: float
    high: float
    n_customers: int
    n_gaps: int

    @property
    def is_regular(self) -> bool:
        """Whether the interval lies where k = 2 is nearer than k = 1, so that models of random times are late."""
        return self.low > _REGULAR

    @property
    def advice(self) -> str:
        """One or two plain sentences."""
        found = (
            f"The times between a customer's purchases have a shape of {self.k:.2f} ({self.low:.2f} to {self.high:.2f})"
        )
        if self.is_regular:
            return (
                f"{found}: customers buy more regularly than at random (1). Try BGCNBD or MBGCNBD: models of random "
                "times are late to see that a customer who falls silent is gone."
            )
        if self.high < 1:
            return f"{found}: customers buy in bursts, less regularly than at random (1). BGNBD or MBGNBD come nearest."
        return f"{found}, near that of purchases at random (1), as BGNBD and MBGNBD have it."

    def __str__(self) -> str:
        return self.advice


def estimate_regularity(
    frequency: FloatArray, recency: FloatArray, log_itt: FloatArray, weight: NDArray[np.int64] | None = None
) -> Regularity | None:
    """Maximum likelihood of the shape k that customers have in common, each with a rate of their own.

    Given x gaps of gammas of one shape and rate, and their sum, their shares of it are Dirichlet(k, ..., k), whatever
    the rate and the time since. So there is nothing else to estimate, and no selection by the end of the log:

        log L(k) = sum over customers of log Gamma(k x) - x log Gamma(k) + (k-1) sum log(gap / sum).

    Parameters
    ----------
    frequency, recency, log_itt : (n_customers,) arrays
        As in `RFMSummary`; who has fewer than two gaps says nothing.
    weight : (n_customers,) array, optional
        Customers of each row.

    Returns
    -------
    Regularity, or None where nobody has two gaps

    References
    ----------
    Wheat & Morrison (1990), Estimating Purchase Regularity with Two Interpurchase Times, Journal of Marketing
    Research 27(1), for two gaps of each; Reutterer, Platzer & Schroeder (2021) on what regularity is good for.
    """
    some = (frequency > 1) & (recency > 0)
    if not some.any():
        return None
    x = frequency[some].astype(np.float64)
    each = np.ones(len(x)) if weight is None else weight[some].astype(np.float64)
    # At most that of equal gaps, but for rounding.
    log_shares = float(np.sum(each * np.minimum(log_itt[some] - x * np.log(recency[some]), -x * np.log(x))))
    counts, inverse = np.unique(x, return_inverse=True)
    customers = np.bincount(inverse, weights=each)

    def slope(k: float) -> float:
        return float(np.sum(customers * counts * (digamma(k * counts) - digamma(k)))) + log_shares

    n = int(each.sum()), int(each @ x)
    if slope(_MOST) > 0:
        return Regularity(np.inf, np.nan, _MOST, np.inf, *n)
    k = float(brentq(slope, 1e-6, _MOST))
    information = float(np.sum(customers * (counts * polygamma(1, k) - counts**2 * polygamma(1, k * counts))))
    error = information**-0.5
    # On the log scale, on which a shape is nearer to a normal.
    factor = float(np.exp(1.6448536269514722 * error / k))
    return Regularity(k, error, k / factor, k * factor, *n)
