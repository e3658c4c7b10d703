"""Posterior predictive checks: what replicated data would show, beside what the data show. Arrays in, arrays out.

A replication draws parameters from the posterior and then the whole data set anew, for customers of the same ages (or,
for spend, with the same counts). Where the data stand in the distribution of a quantity over replications says whether
the model can bring about data like these.

References
----------
Gelman, Meng & Stern (1996), Statistica Sinica 6, 733-807. Gelman et al. (2013), Bayesian Data Analysis, ch. 6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.fit_checks import interval
from predclv.forecast.replicates import distinct_ages, with_rest
from predclv.kernels.gamma_gamma.replicates import replicate_mean_spend

__all__ = [
    "Quantity",
    "Replicate",
    "chi_squared",
    "compare",
    "count_quantities",
    "expected_counts",
    "pick_customers",
    "recency_quantities",
    "replicate_histories",
    "replicate_spend",
    "share_above",
    "spend_grid",
    "spend_quantities",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Simulates x and t_x, (n_customers,) each, of new customers of given ages under one theta.
Replicate = Callable[[np.random.Generator, FloatArray, FloatArray], tuple[FloatArray, FloatArray]]

# Customers times draws: some seconds of one core. More customers than that allows are represented by a sample.
MOST_REPLICATED = 16_000_000
# Data simulated with the seed of the model must not meet their own random numbers again.
_STREAM = 7
_SILENT_FOR_LONG = 0.5
_MEAN_GAPS = (1.5, 4.0)
_GRID = 256


@dataclass(frozen=True, eq=False)
class Quantity:
    """A test quantity, of the data and of each replication.

    Attributes
    ----------
    name : str
    observed : float or (n_draws,) array
        An array where the quantity depends on the parameters too (a realised discrepancy).
    replicated : (n_draws,) array
        NaN where a replication does not have it, such as the silence of repeat buyers where there are none.
    sides : {1, 2}
        1 where only large values speak against the model.
    """

    name: str
    observed: float | FloatArray
    replicated: FloatArray
    sides: int = 2

    @classmethod
    def discrepancy(
        cls, name: str, measure: Callable[[FloatArray], FloatArray], data: FloatArray, replicated: FloatArray
    ) -> Quantity:
        """One-sided quantity: `measure` of the data (n_bins,) and of the replications (n_draws, n_bins)."""
        return cls(name, measure(data), measure(replicated), sides=1)


def share_above(observed: float | FloatArray, replicated: FloatArray) -> float:
    """Share of the replications above the data: the Bayesian p-value of the upper side.

    Ties count half, so that discrete quantities are judged like continuous ones, and the data count as one more
    replication, tied with itself: the share is never 0 or 1, and (i + 1/2) / (n + 1) where there are no ties.
    Undefined replications are left out; NaN where the data's own value is undefined.
    """
    observed = np.broadcast_to(observed, replicated.shape)
    known = np.isfinite(replicated) & np.isfinite(observed)
    if not known.any():
        return float("nan")
    above = np.sum(replicated[known] > observed[known]) + 0.5 * np.sum(replicated[known] == observed[known])
    return float((above + 0.5) / (known.sum() + 1))


def compare(quantities: Sequence[Quantity], level: float) -> pd.DataFrame:
    """Table of quantities: quantity, observed, expected, low, high, p_value, share_above, sides.

    `expected` is the mean and (low, high) the equal-tailed interval over the replications. `p_value` is small where
    the data are unlike the replications: 2 min(share, 1 - share) with two sides, else the share above the data.
    """
    rows = []
    for quantity in quantities:
        share = share_above(quantity.observed, quantity.replicated)
        known = quantity.replicated[np.isfinite(quantity.replicated)]
        low, high = interval(known, level) if len(known) else (np.nan, np.nan)
        rows.append(
            {
                "quantity": quantity.name,
                "observed": float(np.mean(quantity.observed)),
                "expected": float(known.mean()) if len(known) else np.nan,
                "low": float(low),
                "high": float(high),
                "p_value": share if quantity.sides == 1 else 2 * min(share, 1 - share),
                "share_above": share,
                "sides": quantity.sides,
            }
        )
    return pd.DataFrame(rows)


def pick_customers(n_customers: int, n_draws: int, seed: int) -> IntArray | slice:
    """Pick those to replicate: all, or where customers times draws are too many, an even random sample of them."""
    most = max(MOST_REPLICATED // n_draws, 1)
    if n_customers <= most:
        return slice(None)
    return np.sort(np.random.default_rng(seed).choice(n_customers, most, replace=False))


def replicate_histories(
    replicate: Replicate,
    T: FloatArray,
    theta: FloatArray,
    measure: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    seed: int,
) -> FloatArray:
    """Measure one replicated data set for each draw.

    Parameters
    ----------
    replicate : callable
    T : (n_customers,) array
        Ages; replications do not depend on their order.
    theta : (n_draws, n_parameters) array
    measure : callable
        Of x, t_x and T, (n_customers,) each, to (n_quantities,).

    Returns
    -------
    (n_draws, n_quantities) array
        Memory grows with the customers, and not with customers times draws.
    """
    ages, generator = np.sort(T), np.random.default_rng([seed, _STREAM])
    return np.array([measure(*replicate(generator, ages, one.copy()), ages) for one in theta])


def replicate_spend(
    frequency: FloatArray, theta: FloatArray, measure: Callable[[FloatArray, FloatArray], FloatArray], seed: int
) -> FloatArray:
    """Measure one replicated set of mean spends for each draw of p, q and gamma; see `replicate_histories`.

    Parameters
    ----------
    frequency : (n_customers,) array, >= 1
    theta : (n_draws, 3) array
    measure : callable
        Of frequency and mean spend, (n_customers,) each, to (n_quantities,).

    Returns
    -------
    (n_draws, n_quantities) array
    """
    counts, generator = np.sort(frequency), np.random.default_rng([seed, _STREAM])
    return np.array([measure(counts, replicate_mean_spend(generator, counts, one)) for one in theta])


def spend_grid(frequency: FloatArray, theta: FloatArray, seed: int) -> FloatArray:
    """Points at which distributions of mean spend are compared, (256,): quantiles of a few replications."""
    generator = np.random.default_rng([seed, _STREAM + 1])
    some = [replicate_mean_spend(generator, frequency, one) for one in theta[:16]]
    return np.asarray(np.quantile(np.concatenate(some), (np.arange(_GRID) + 0.5) / _GRID))


def count_quantities(x: FloatArray, n_max: int) -> FloatArray:
    """Share with 0; mean, standard deviation and largest of x; share with n_max or more; and customers by count.

    Returns
    -------
    (5 + n_max + 1,) array
        The last are counts of customers with 0, 1, ..., n_max or more.
    """
    bins = np.bincount(np.minimum(x, n_max).astype(np.int64), minlength=n_max + 1)
    return np.array([bins[0] / len(x), x.mean(), x.std(), x.max(), bins[-1] / len(x), *bins])


def recency_quantities(x: FloatArray, t_x: FloatArray, T: FloatArray, n_bins: int) -> FloatArray:
    """Mean silence, two shares by its length, its rank correlation with x; and a histogram. Of repeat buyers alone.

    Silence is T - t_x. The shares are of those silent for more than half of their age, and for 1.5 to 4 of their own
    mean gaps, t_x / x. The latter tells regular buyers: they have either just bought or left long since.

    Returns
    -------
    (4 + n_bins,) array
        The last are shares of the repeat buyers by silence as a share of their age. NaN where there are none.
    """
    repeat = (x > 0) & (T > 0)
    if not repeat.any():
        return np.full(4 + n_bins, np.nan)
    x, t_x, T = x[repeat], t_x[repeat], T[repeat]
    since = T - t_x
    share = since / T
    long = np.mean(share > _SILENT_FOR_LONG)
    between = np.mean((since * x > _MEAN_GAPS[0] * t_x) & (since * x < _MEAN_GAPS[1] * t_x))
    place = np.minimum((share * n_bins).astype(np.int64), n_bins - 1)
    bins = np.bincount(place, minlength=n_bins) / len(x)
    return np.array([since.mean(), long, between, rank_correlation(x, share), *bins])


def spend_quantities(frequency: FloatArray, mean_spend: FloatArray, edges: FloatArray, grid: FloatArray) -> FloatArray:
    """Mean, quantiles, spread and skewness of the logarithm, rank correlation with frequency; then two distributions.

    Returns
    -------
    (7 + n_edges - 1 + n_points,) array
        mean; 10, 50 and 90 % quantiles; standard deviation and skewness of log(mean_spend); rank correlation; then
        shares of the customers between the edges, and shares at or below the points of `grid`.
    """
    ordered, log_spend = np.sort(mean_spend), np.log(mean_spend)
    deviation = log_spend - log_spend.mean()
    spread = deviation.std()
    skewness = np.mean(deviation**3) / spread**3 if spread > 0 else np.nan
    shares = np.diff(np.searchsorted(ordered, edges, side="left")) / len(ordered)
    below = np.searchsorted(ordered, grid, side="right") / len(ordered)
    quantiles = np.quantile(ordered, [0.1, 0.5, 0.9])
    correlation = rank_correlation(frequency, mean_spend)
    return np.array([mean_spend.mean(), *quantiles, spread, skewness, correlation, *shares, *below])


def rank_correlation(first: FloatArray, second: FloatArray) -> float:
    """Spearman's correlation; NaN where either does not vary."""
    from scipy.stats import rankdata

    one, two = (ranks - ranks.mean() for ranks in (rankdata(first), rankdata(second)))
    size = np.sqrt(np.sum(one**2) * np.sum(two**2))
    return float(one @ two / size) if size > 0 else float("nan")


def expected_counts(bindings: TransactionBindings, theta: FloatArray, T: FloatArray, n_max: int) -> FloatArray:
    """Customers with 0, 1, ..., n_max or more repeat purchases under each theta, (n_draws, n_max + 1), exact."""
    ages, weight = distinct_ages(T)
    zero = np.zeros(len(ages))
    return np.array(
        [weight @ with_rest(bindings.purchase_pmf(zero, zero, zero, ages, one[np.newaxis], n_max - 1)) for one in theta]
    )


def chi_squared(actual: FloatArray, expected: FloatArray) -> FloatArray:
    """Pearson's discrepancy, the sum over bins (the last axis) of (actual - expected)^2 / expected.

    A bin that is not expected at all counts only where something is in it, and then for much.
    """
    return np.asarray(np.sum((actual - expected) ** 2 / np.maximum(expected, 1e-9), axis=-1))
