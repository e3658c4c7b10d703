"""Customers by bin in data sets that the model brings about, without simulating a customer.

A bin's probability is exact for customers of one age (or with one number of purchases); how many of them fall into each
bin is then multinomial.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.inference.evidence import Replicated
from predclv.kernels.gamma_gamma.replicates import cumulative_probability

__all__ = [
    "distinct_ages",
    "frequency_labels",
    "replicate_counts",
    "replicate_frequencies",
    "replicate_spend_bins",
    "simulate_frequencies",
    "simulate_spend",
    "with_rest",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Distinct ages at which probabilities are worked out; closer ones than these cannot be told apart in a sum.
_MOST_AGES = 512
_MOST_PURCHASES = 7
_SPEND_BINS = 10
# Bins between are equally wide on the log scale; those at the ends hold the rest.
_IN_BINS = (0.01, 0.99)


def simulate_frequencies(
    bindings: TransactionBindings, theta: FloatArray, T: FloatArray, n_max: int, seed: int
) -> IntArray:
    """Customers with 0, 1, ..., n_max or more repeat purchases in one simulated data set a draw.

    Parameters
    ----------
    theta : (n_draws, n_parameters) array
    T : (n_customers,) array
        Ages.

    Returns
    -------
    (n_draws, n_max + 1) array
    """
    ages, weight = distinct_ages(T)
    zero, rng = np.zeros(len(ages)), np.random.default_rng(seed)
    # A draw at a time, because the kernels average over those that they are given.
    draws = (bindings.purchase_pmf(zero, zero, zero, ages, one[np.newaxis], n_max - 1) for one in theta)
    return np.array([rng.multinomial(weight, with_rest(draw)).sum(axis=0) for draw in draws])


def simulate_spend(edges: FloatArray, frequency: FloatArray, theta: FloatArray, seed: int) -> IntArray:
    """Customers by mean spend in one simulated data set a draw, under the Gamma-Gamma model.

    Parameters
    ----------
    edges : (n_bins + 1,) array
        Increasing, from 0 to infinity.
    frequency : (n_customers,) array, >= 1
    theta : (n_draws, 3) array
        p, q, gamma.

    Returns
    -------
    (n_draws, n_bins) array
    """
    counts, weight = np.unique(frequency, return_counts=True)
    rng = np.random.default_rng(seed)
    below = (cumulative_probability(edges, counts[:, np.newaxis], one) for one in theta)
    return np.array([rng.multinomial(weight, with_rest(np.diff(draw)[:, :-1])).sum(axis=0) for draw in below])


def replicate_frequencies(
    bindings: TransactionBindings, x: FloatArray, T: FloatArray, weight: FloatArray, theta: FloatArray, seed: int
) -> Replicated:
    """Customers by repeat purchases ("0", ..., "7+"), of the data and replicated; rows x, T and weight (n_rows,)."""
    theta = theta.copy()  # the compiled kernels tell arrays that cannot be written to from others
    return Replicated(
        dimension="repeat_purchases",
        labels=frequency_labels(_MOST_PURCHASES),
        observed=_count_in_bins(np.minimum(x, _MOST_PURCHASES), weight, _MOST_PURCHASES + 1),
        replicated=simulate_frequencies(bindings, theta, _of_customers(T, weight), _MOST_PURCHASES, seed),
    )


def replicate_counts(
    simulate: Callable[[np.random.Generator, FloatArray], IntArray], observed: FloatArray, theta: FloatArray, seed: int
) -> Replicated:
    """As `replicate_frequencies`, by simulating each customer: for customers who differ in more than their ages.

    `simulate` gives the repeat purchases of all customers at one theta; `observed` are those of the data.
    """
    rng = np.random.default_rng(seed)
    everyone = np.ones(len(observed))
    counted = (
        _count_in_bins(np.minimum(simulate(rng, one), _MOST_PURCHASES), everyone, _MOST_PURCHASES + 1) for one in theta
    )
    return Replicated(
        dimension="repeat_purchases",
        labels=frequency_labels(_MOST_PURCHASES),
        observed=_count_in_bins(np.minimum(observed, _MOST_PURCHASES), everyone, _MOST_PURCHASES + 1),
        replicated=np.array(list(counted)),
    )


def replicate_spend_bins(
    x: FloatArray, mean_spend: FloatArray, weight: FloatArray, theta: FloatArray, seed: int
) -> Replicated:
    """Repeat buyers by mean spend in ten bins, of the data and replicated; rows x, mean_spend, weight (n_rows,)."""
    low, high = np.quantile(_of_customers(mean_spend, weight), _IN_BINS)
    inner = np.unique(np.geomspace(low, high, _SPEND_BINS - 1))
    ends = [f"{edge:.4g}" for edge in inner]
    between = (f"{start} to {end}" for start, end in pairwise(ends))
    return Replicated(
        dimension="mean_spend",
        labels=(f"under {ends[0]}", *between, f"{ends[-1]} or more"),
        observed=_count_in_bins(np.searchsorted(inner, mean_spend, side="right"), weight, len(inner) + 1),
        replicated=simulate_spend(np.r_[0.0, inner, np.inf], _of_customers(x, weight), theta, seed),
    )


def frequency_labels(n_max: int) -> tuple[str, ...]:
    """Names of the bins: "0", "1", ..., "7+"."""
    return (*map(str, range(n_max)), f"{n_max}+")


def distinct_ages(T: FloatArray) -> tuple[FloatArray, IntArray]:
    """Distinct ages and how many customers have each; rounded to 512 where there are more."""
    ages, weight = np.unique(T, return_counts=True)
    if len(ages) > _MOST_AGES:
        step = np.ptp(ages) / (_MOST_AGES - 1)
        ages, weight = np.unique(np.round(T / step) * step, return_counts=True)
    return ages, weight


def with_rest(probabilities: FloatArray) -> FloatArray:
    """Append the probability of more, so that rows sum to one."""
    rest = np.maximum(1.0 - probabilities.sum(axis=1, keepdims=True), 0.0)
    return np.asarray(np.hstack([probabilities, rest]) / (probabilities.sum(axis=1, keepdims=True) + rest))


def _of_customers(column: FloatArray, weight: FloatArray) -> FloatArray:
    return np.repeat(column, weight.astype(np.int64))


def _count_in_bins(place: NDArray[np.float64] | NDArray[np.int64], weight: FloatArray, n_bins: int) -> IntArray:
    return np.bincount(place.astype(np.int64), weights=weight, minlength=n_bins).astype(np.int64)
