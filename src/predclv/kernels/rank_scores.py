"""How well forecasts put customers in order, for many sets of weights at once.

A weight counts a customer as often as it says: whole weights give what the repeated customers would give, exactly.
Customers who share a forecast stand in random order, and scores are expectations over it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["group_distances", "rank_scores", "uniform_distances"]


@njit(cache=True, error_model="numpy")
def rank_scores(weights, cluster, forecast_tie, actual_tie, actual, shares):  # type: ignore[no-untyped-def]
    """Spearman's correlation, normalised Gini, and the share of the total that the highest forecasts brought.

    Parameters
    ----------
    weights : (n_resamples, n_clusters) unsigned integer array
        How often each cluster counts in each resample.
    cluster : (n_rows,) int64 array
    forecast_tie, actual_tie : (n_rows,) int64 arrays
        Place of the forecast, and of the outcome, among the distinct ones, from 0 for the lowest.
    actual : (n_rows,) array
    shares : (n_shares,) array
        Shares of the customers, in (0, 1).

    Returns
    -------
    (n_resamples, 2 + n_shares) array
        Spearman's correlation with midranks; the Gini of the outcome ordered by forecast over its own, both as
        covariances with the midrank (Lerman & Yitzhaki 1984, Economics Letters 15); for each share the part of
        the total outcome. NaN where they do not exist: one distinct forecast or outcome, or a total of 0.
    """
    n_forecasts, n_actuals = forecast_tie.max() + 1, actual_tie.max() + 1
    value = np.zeros(n_actuals)
    value[actual_tie] = actual
    out = np.full((weights.shape[0], 2 + shares.shape[0]), np.nan)
    for b in range(weights.shape[0]):
        held, brought, made = np.zeros(n_forecasts), np.zeros(n_forecasts), np.zeros(n_actuals)
        for i in range(cluster.shape[0]):
            weight = float(weights[b, cluster[i]])
            held[forecast_tie[i]] += weight
            brought[forecast_tie[i]] += weight * actual[i]
            made[actual_tie[i]] += weight
        by_forecast, by_actual = _centred_midranks(held), _centred_midranks(made)
        both = 0.0
        for i in range(cluster.shape[0]):
            both += weights[b, cluster[i]] * by_forecast[forecast_tie[i]] * by_actual[actual_tie[i]]
        spread = np.sqrt(np.sum(held * by_forecast**2) * np.sum(made * by_actual**2))
        if spread > 0:
            out[b, 0] = both / spread
        best = np.sum(made * value * by_actual)
        if best > 0:
            out[b, 1] = np.sum(brought * by_forecast) / best
        total = np.sum(brought)
        if total > 0:
            for s in range(shares.shape[0]):
                out[b, 2 + s] = _brought_by_top(held, brought, shares[s]) / total
    return out


@njit(cache=True, error_model="numpy")
def uniform_distances(weights, cluster, pit):  # type: ignore[no-untyped-def]
    """Kolmogorov-Smirnov distance from the uniform distribution, for each set of weights.

    Parameters
    ----------
    weights : (n_resamples, n_clusters) unsigned integer array
    cluster, pit : (n_rows,) arrays
        In increasing order of `pit`, which is in [0, 1].

    Returns
    -------
    (n_resamples,) array
        NaN where nobody has a weight.
    """
    out = np.full(weights.shape[0], np.nan)
    for b in range(weights.shape[0]):
        total = 0
        for i in range(cluster.shape[0]):
            total += weights[b, cluster[i]]
        if total == 0:
            continue
        before, most = np.int64(0), 0.0
        for i in range(cluster.shape[0]):
            weight = np.int64(weights[b, cluster[i]])
            if weight > 0:
                most = max(most, pit[i] - before / total, (before + weight) / total - pit[i])
                before += weight
        out[b] = most
    return out


@njit(cache=True, error_model="numpy")
def group_distances(pit, group, n_groups):  # type: ignore[no-untyped-def]
    """Kolmogorov-Smirnov distance from the uniform distribution, of each group.

    Parameters
    ----------
    pit, group : (n_rows,) arrays
        In increasing order of `pit`; rows with a negative group are in none.
    n_groups : int

    Returns
    -------
    (n_groups,) array
        NaN for a group without rows.
    """
    size, before, out = np.zeros(n_groups), np.zeros(n_groups), np.full(n_groups, np.nan)
    for i in range(group.shape[0]):
        if group[i] >= 0:
            size[group[i]] += 1
            out[group[i]] = 0.0
    for i in range(group.shape[0]):
        g = group[i]
        if g >= 0:
            out[g] = max(out[g], pit[i] - before[g] / size[g], (before[g] + 1) / size[g] - pit[i])
            before[g] += 1
    return out


@njit(cache=True, error_model="numpy")
def _centred_midranks(held):  # type: ignore[no-untyped-def]
    """Mean rank of those who share a place, less the mean of all ranks; `held` is how many share it."""
    out = np.empty(held.shape[0])
    below, middle = 0.0, np.sum(held) / 2
    for place in range(held.shape[0]):
        out[place] = below + held[place] / 2 - middle
        below += held[place]
    return out


@njit(cache=True, error_model="numpy")
def _brought_by_top(held, brought, share):  # type: ignore[no-untyped-def]
    """What this share of the customers brought, the highest places first, the last place split evenly."""
    left, total = share * np.sum(held), 0.0
    for place in range(held.shape[0] - 1, -1, -1):
        if held[place] >= left:
            return total + (brought[place] * left / held[place] if left > 0 else 0.0)
        total += brought[place]
        left -= held[place]
    return total
