"""Customers with the same history as one row with a weight.

Every likelihood and every forecast here depends on a customer through (x, t_x, T) alone, and times counted in
days repeat: a million customers have some tens or hundreds of thousands of distinct histories. Where times lie on
a lattice, histories are sorted as integers (radix sort); otherwise as floats. Both give the same rows, bit for bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Steps per time unit that are tried, coarsest first: whole units, days of a week, months of a year, hours of a
#: day, hundredths (tables printed with two decimals), hours of a week, days of a year, hours of a year.
LATTICES = (1.0, 7.0, 12.0, 24.0, 100.0, 168.0, 365.25, 8766.0)

#: A time counts as a lattice point when it is within this share of a step. It decides about speed alone: whether
#: two times are the same is always decided by their exact values.
TOLERANCE = 1e-3

_SAMPLE = 512
_MAX_STEPS = 1 << 22
_MAX_KEY = 1 << 62
_RADIX_BITS = 11


class Collapsed(NamedTuple):
    """Distinct histories, sorted by (x, T, t_x); `x[inverse]` gives the customers back."""

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats
    inverse: Integers | None


def collapse(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike | None = None,
    *,
    need_inverse: bool = True,
) -> Collapsed:
    """Distinct (x, t_x, T) with the number of customers that share them.

    Parameters
    ----------
    x, t_x, T : (n_customers,) arrays
        Repeat purchases (whole numbers); time of the last one; customer age.
    weight : (n_customers,) array, optional
        Customers of each item, where it stands for several.
    need_inverse : bool
        Whether to say, too, which distinct row each customer has; it about doubles the work.

    Returns
    -------
    Collapsed
        (n_rows,) arrays with `weight` summing to `n_customers`; `inverse` is (n_customers,) or None.
    """
    if weight is not None:
        rows = collapse(x, t_x, T)
        assert rows.inverse is not None
        # Of whole numbers, so that the sums are exact.
        each = np.asarray(weight, dtype=np.float64)
        customers: Floats = np.bincount(rows.inverse, weights=each, minlength=len(rows.x)).astype(np.float64)
        return rows._replace(weight=customers, inverse=rows.inverse if need_inverse else None)
    columns = as_rows(x), as_rows(t_x), as_rows(T)
    for steps in LATTICES:
        collapsed = _collapse_integers(*columns, steps, need_inverse)
        if collapsed is not None:
            return collapsed
    return _collapse_floats(*columns, need_inverse)


def as_rows(values: npt.ArrayLike) -> Floats:
    """Contiguous float64 (n_rows,) view that is read-only: frozen and other arrays share one compiled form."""
    rows = np.ascontiguousarray(values, dtype=np.float64).view()
    rows.flags.writeable = False
    return rows


def _collapse_integers(x: Floats, t_x: Floats, T: Floats, steps: float, need_inverse: bool) -> Collapsed | None:
    """`collapse` where x is whole and times are multiples of 1 / steps; None where they are not."""
    every = max(len(x) // _SAMPLE, 1)
    if _largest_steps(x[::every].copy(), t_x[::every].copy(), T[::every].copy(), steps)[0] < 0:
        return None
    n_x, n_t, n_T = (int(largest) + 1 for largest in _largest_steps(x, t_x, T, steps))
    if n_x == 0 or max(n_x, n_t, n_T) > _MAX_STEPS or n_x * n_t * n_T > _MAX_KEY:
        return None
    exact, keys, customers, counts, time_of_t, time_of_T = _encode(x, t_x, T, steps, n_t, n_T, need_inverse)
    if not exact:
        return None
    keys, customers = _radix_sort(keys, customers, (n_x * n_t * n_T - 1).bit_length())
    row_x, row_t_x, row_T, weight = _decode(keys, counts, time_of_t, time_of_T)
    inverse = _inverse(keys, customers, counts, T, steps) if need_inverse else None
    return Collapsed(row_x, row_t_x, row_T, weight, inverse)


@njit(cache=True, error_model="numpy")
def _largest_steps(x: Floats, t_x: Floats, T: Floats, steps: float) -> tuple[int, int, int]:
    """Largest x, t_x * steps and T * steps; -1s where a value is no lattice point or negative."""
    off, largest_x, largest_t, largest_T = 0, 0, 0, 0
    for i in range(len(x)):
        step_x, step_t, step_T = int(x[i]), int(t_x[i] * steps + 0.5), int(T[i] * steps + 0.5)
        # Negated, so that NaN counts as off.
        off += not (abs(x[i] - step_x) == 0.0 and x[i] >= 0.0)
        off += not (abs(t_x[i] * steps - step_t) <= TOLERANCE and t_x[i] >= 0.0)
        off += not (abs(T[i] * steps - step_T) <= TOLERANCE and T[i] >= 0.0)
        largest_x, largest_t, largest_T = max(largest_x, step_x), max(largest_t, step_t), max(largest_T, step_T)
    return (-1, -1, -1) if off else (largest_x, largest_t, largest_T)


@njit(cache=True, error_model="numpy")
def _encode(
    x: Floats, t_x: Floats, T: Floats, steps: float, n_t: int, n_T: int, need_customers: bool
) -> tuple[bool, Integers, Integers, Integers, Floats, Floats]:
    """Counts by T of those who never came back; for the others keys that sort by (x, T, t_x).

    The first item is False where two different floats share a lattice point, or a time comes with x = 0.
    """
    keys = np.empty(len(x), np.int64)
    customers = np.empty(len(x) if need_customers else 0, np.int64)
    counts, n_keys = np.zeros(n_T, np.int64), 0
    time_of_t, time_of_T = np.full(n_t, np.nan), np.full(n_T, np.nan)
    time_of_t[0] = 0.0
    for i in range(len(x)):
        step_t, step_T = int(t_x[i] * steps + 0.5), int(T[i] * steps + 0.5)
        if time_of_T[step_T] != T[i]:
            if not np.isnan(time_of_T[step_T]):
                return False, keys, customers, counts, time_of_t, time_of_T
            time_of_T[step_T] = T[i]
        if time_of_t[step_t] != t_x[i]:
            if not np.isnan(time_of_t[step_t]):
                return False, keys, customers, counts, time_of_t, time_of_T
            time_of_t[step_t] = t_x[i]
        if x[i] == 0.0:
            if step_t > 0:
                return False, keys, customers, counts, time_of_t, time_of_T
            counts[step_T] += 1
        else:
            keys[n_keys] = (int(x[i]) * n_T + step_T) * n_t + step_t
            if need_customers:
                customers[n_keys] = i
            n_keys += 1
    return True, keys[:n_keys], customers[:n_keys], counts, time_of_t, time_of_T


@njit(cache=True, error_model="numpy")
def _radix_sort(keys: Integers, customers: Integers, bits: int) -> tuple[Integers, Integers]:
    """Keys of so many bits in order, and the customers, if any, along with them."""
    other_keys, other_customers = np.empty_like(keys), np.empty_like(customers)
    mask = (1 << _RADIX_BITS) - 1
    for shift in range(0, bits, _RADIX_BITS):
        ends = np.zeros(mask + 2, np.int64)
        for key in keys:
            ends[((key >> shift) & mask) + 1] += 1
        places = np.cumsum(ends)
        for i in range(len(keys)):
            digit = (keys[i] >> shift) & mask
            place = places[digit]
            other_keys[place] = keys[i]
            if len(customers):
                other_customers[place] = customers[i]
            places[digit] = place + 1
        keys, other_keys = other_keys, keys
        customers, other_customers = other_customers, customers
    return keys, customers


@njit(cache=True, error_model="numpy")
def _decode(
    keys: Integers, counts: Integers, time_of_t: Floats, time_of_T: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """x, t_x, T and weight of the distinct rows."""
    n_t, n_T, n_rows = len(time_of_t), len(time_of_T), int(np.sum(counts > 0))
    for i in range(len(keys)):
        n_rows += i == 0 or keys[i] != keys[i - 1]
    x, t_x, T, weight = np.zeros(n_rows), np.zeros(n_rows), np.empty(n_rows), np.empty(n_rows)
    row = 0
    for step_T in range(n_T):
        if counts[step_T]:
            T[row], weight[row] = time_of_T[step_T], counts[step_T]
            row += 1
    start = 0
    for i in range(1, len(keys) + 1):
        if i == len(keys) or keys[i] != keys[start]:
            rest = keys[start] // n_t
            x[row], T[row] = rest // n_T, time_of_T[rest % n_T]
            t_x[row], weight[row] = time_of_t[keys[start] % n_t], i - start
            row += 1
            start = i
    return x, t_x, T, weight


@njit(cache=True, error_model="numpy")
def _inverse(keys: Integers, customers: Integers, counts: Integers, T: Floats, steps: float) -> Integers:
    """The distinct row of each customer."""
    inverse = np.full(len(T), -1, np.int64)
    row_of_T = np.cumsum(counts > 0) - 1
    row = row_of_T[-1]
    for i in range(len(keys)):
        row += i == 0 or keys[i] != keys[i - 1]
        inverse[customers[i]] = row
    for i in range(len(T)):
        if inverse[i] < 0:
            inverse[i] = row_of_T[int(T[i] * steps + 0.5)]
    return inverse


def _collapse_floats(x: Floats, t_x: Floats, T: Floats, need_inverse: bool) -> Collapsed:
    order = np.lexsort((t_x, T, x))
    x, t_x, T = x[order], t_x[order], T[order]
    starts = np.ones(len(x), dtype=bool)
    starts[1:] = (x[1:] != x[:-1]) | (T[1:] != T[:-1]) | (t_x[1:] != t_x[:-1])
    first = np.flatnonzero(starts)
    weight = np.diff(np.append(first, len(x))).astype(np.float64)
    inverse = np.empty(len(x), np.int64) if need_inverse else None
    if inverse is not None:
        inverse[order] = np.cumsum(starts) - 1
    return Collapsed(x[first], t_x[first], T[first], weight, inverse)
