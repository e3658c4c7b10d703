"""Rows of BG/BB arranged for the recurrence that all of its kernels go down.

Given x purchases, the last at opportunity t, and p and theta as known at u >= t without one since, the next n - u pass
in silence with probability H_u = e_u + f_u k_u H_{u+1}, H_n = 1: gone (e_u = gamma / (gamma+delta+u)), or there and not
buying (k_u = (beta+u-x) / (alpha+beta+u)). So one pass down from n serves every t of those who have x and n in common.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Rows", "arrange"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Histories by x, within it by t_x; whole numbers throughout.

    Attributes
    ----------
    x : (n_groups,) array
    row_starts, age_starts : (n_groups + 1,) arrays
        Where each group's rows and ages begin.
    ages : (n_ages,) array
        Distinct T of each group, falling.
    t_x : (n_rows,) array
        Rising within a group.
    at : (n_rows,) array
        Place of the row's T among the ages of its group.
    order : (n_rows,) array
        Place of each row among those given.
    weight : (n_rows,) array
        As given, in this order.
    """

    x: Indices
    row_starts: Indices
    age_starts: Indices
    ages: Indices
    t_x: Indices
    at: Indices
    order: Indices
    weight: Floats


def arrange(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> Rows:
    """Arrange rows of whole numbers; `weight` is 1 where left out."""
    x, t_x, T = (np.asarray(np.rint(column), dtype=np.int64) for column in (x, t_x, T))
    order = np.lexsort((T, t_x, x))
    x, t_x, T = x[order], t_x[order], T[order]
    group_x, row_starts = np.unique(x, return_index=True)
    row_starts = np.append(row_starts, len(x)).astype(np.int64)
    group = np.repeat(np.arange(len(group_x)), np.diff(row_starts))
    # Ages of a group fall, so that those still to be reached on the way down come last.
    longest = int(T.max(initial=0))
    keys, at = np.unique(group * (longest + 1) + (longest - T), return_inverse=True)
    owner, ages = keys // (longest + 1), longest - keys % (longest + 1)
    age_starts = np.searchsorted(owner, np.arange(len(group_x) + 1)).astype(np.int64)
    customers = np.ones(len(x)) if weight is None else np.asarray(weight, dtype=np.float64)[order]
    return Rows(group_x, row_starts, age_starts, ages, t_x, at - age_starts[group], order.astype(np.int64), customers)
