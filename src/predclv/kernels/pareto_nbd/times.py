"""The distinct times of each number of purchases: what an integral of the Pareto/NBD likelihood begins or ends at.

The integral over (t_x, T) is the difference of two that depend on x and one time alone. Collapsed rows share most of
these: a few thousand for CDNOW's customers, some tens of thousands for a million.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.collapse import as_rows

__all__ = ["DistinctTimes", "index_times"]

Floats = npt.NDArray[np.float64]
# Unsigned: numba then emits no code for negative indices, which would keep loops from being vectorised.
Indices = npt.NDArray[np.uint32]


class DistinctTimes(NamedTuple):
    """Rows in order of x, and the times that those of one x have, increasing.

    Attributes
    ----------
    x : (n_distinct_x,) array
    starts : (n_distinct_x + 1,) array
        First place of each x in `time`, and the end.
    time : (n_places,) array
    row_starts : (n_distinct_x + 1,) array
        First row of each x, and the end.
    at_t, at_age : (n_rows,) arrays
        Places of each row's t_x and T.
    """

    x: Floats
    starts: Indices
    time: Floats
    row_starts: Indices
    at_t: Indices
    at_age: Indices


def index_times(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike) -> DistinctTimes:
    """Index (n_rows,) rows that are sorted by x."""
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    row_starts = np.append(np.flatnonzero(np.diff(x, prepend=np.nan)), len(x)).astype(np.uint32)
    starts, time, at_t, at_age = _index(row_starts, t_x, T)
    return DistinctTimes(as_rows(x[row_starts[:-1]]), starts, time, row_starts, at_t, at_age)


@njit(cache=True, error_model="numpy")
def _index(row_starts: Indices, t_x: Floats, T: Floats) -> tuple[Indices, Floats, Indices, Indices]:
    time, n = np.empty(2 * len(T)), 0
    starts = np.empty(len(row_starts), np.uint32)
    at_t, at_age = np.empty(len(T), np.uint32), np.empty(len(T), np.uint32)
    for j in range(len(row_starts) - 1):
        starts[j] = n
        rows = slice(row_starts[j], row_starts[j + 1])
        distinct = np.unique(np.concatenate((_thin(t_x[rows]), _thin(T[rows]))))
        time[n : n + len(distinct)] = distinct
        for i in range(row_starts[j], row_starts[j + 1]):
            again = i > row_starts[j] and T[i] == T[i - 1]
            at_age[i] = at_age[i - 1] if again else n + np.searchsorted(distinct, T[i])
            at_t[i] = n + np.searchsorted(distinct, t_x[i])
        n += len(distinct)
    starts[-1] = n
    return starts, time[:n].copy(), at_t, at_age


@njit(cache=True, error_model="numpy")
def _thin(values: Floats) -> Floats:
    """Without repetitions next to each other."""
    kept, n = np.empty(len(values)), 0
    for i in range(len(values)):
        if i == 0 or values[i] != values[i - 1]:
            kept[n] = values[i]
            n += 1
    return kept[:n]
