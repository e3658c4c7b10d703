"""Sums of columns by group, for many sets of weights at once."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["group_sums"]

# Resamples at a time, so that the sums of a group stay in the fastest cache.
_TILE = 128


@njit(cache=True, error_model="numpy")
def group_sums(weights, cluster, group, columns, n_groups):  # type: ignore[no-untyped-def]
    """Weighted sums of columns in each group.

    Parameters
    ----------
    weights : (n_clusters, n_resamples) unsigned integer array
        How often each cluster counts in each resample.
    cluster : (n_rows,) int64 array
    group : (n_rows,) int64 array
        From 0; a row with a negative one is in no group. Fastest where rows of a group follow one another.
    columns : (n_rows, n_columns) array
        Finite.
    n_groups : int

    Returns
    -------
    (n_groups, n_columns, n_resamples) array
    """
    n_resamples, n_columns = weights.shape[1], columns.shape[1]
    out = np.zeros((n_groups, n_columns, n_resamples))
    for first in range(0, n_resamples, _TILE):
        last = min(first + _TILE, n_resamples)
        for i in range(group.shape[0]):
            if group[i] < 0:
                continue
            weight = weights[cluster[i], first:last]
            for c in range(n_columns):
                value = columns[i, c]
                total = out[group[i], c, first:last]
                for b in range(last - first):
                    total[b] += weight[b] * value
    return out
