"""Forecasts of the BG family for rows of histories and draws of parameters, compiled.

A forecast is P(alive) times what is expected of those alive. The latter depends on x, T and the horizon alone, so it
is evaluated once for every run of rows that share them; of t_x there remain powers of (alpha + t_x), one for each
distinct time, and a division per row. The mean over draws is summed in place: nothing as large as draws times rows is
ever held. A row's result does not depend on the rows beside it, bit for bit.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family_alive import expected_if_alive
from predclv.kernels.collapse import as_rows

__all__ = ["expected_purchases", "mean_expected_purchases", "mean_p_alive", "p_alive"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ALIVE, _EXPECTED, _DISCOUNTED = range(3)
# exp(600) is far from overflow; beyond it, powers of (alpha+T) and (alpha+t_x) are not taken one by one.
_LARGEST_EXPONENT = 600.0
# From so many draws on it pays to look for the distinct t_x first.
_MANY_DRAWS = 4


def p_alive(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Probability that a customer has not left, given the history.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age. Fastest as `collapse` sorts them.
    theta : (n_draws, 4) array
        r, alpha, a, b; `alpha` in the time unit of `T`.
    k, dropout_at_first
        The member of the family: see `bg_family`.

    Returns
    -------
    (n_draws, n_rows) array in [0, 1]
    """
    return _forecast(_ALIVE, x, t_x, T, 0.0, 0.0, theta, k, dropout_at_first, mean=False)


def mean_p_alive(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Mean of `p_alive` over the draws, (n_rows,)."""
    mean: Floats = _forecast(_ALIVE, x, t_x, T, 0.0, 0.0, theta, k, dropout_at_first, mean=True)[0]
    return mean


def expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Expected purchases in (T, T + horizon], given the history; Fader, Hardie & Lee (2005), eq. (10), for BG/NBD.

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Future window in the time unit of `T`, >= 0; it may be infinite, and so is the result then where a <= 1.
    x, t_x, T, theta, k, dropout_at_first
        As for `p_alive`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    return _forecast(_EXPECTED, x, t_x, T, horizon, 0.0, theta, k, dropout_at_first, mean=False)


def mean_expected_purchases(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> Floats:
    """Mean of `expected_purchases` over the draws, (n_rows,)."""
    mean: Floats = _forecast(_EXPECTED, x, t_x, T, horizon, 0.0, theta, k, dropout_at_first, mean=True)[0]
    return mean


def _forecast(
    kind: int,
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    delta: float,
    theta: npt.ArrayLike,
    k: int,
    first: bool,
    mean: bool,
) -> Floats:
    draws = as_draws(theta)
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    horizon = as_rows(np.broadcast_to(np.asarray(horizon, dtype=np.float64), x.shape))
    order = sorting_order(x, t_x, T)
    if order is not None:
        x, t_x, T, horizon = as_rows(x[order]), as_rows(t_x[order]), as_rows(T[order]), as_rows(horizon[order])
    times, time_index = _distinct_times(x, t_x, len(draws) >= _MANY_DRAWS)
    out = np.zeros((1 if mean else len(draws), len(x)))
    _add_forecasts(kind, x, t_x, T, horizon, times, time_index, delta, draws, int(k), int(first), out)
    if mean:
        out /= len(draws)
    if order is not None:
        out[:, order] = out.copy()
    return out


def as_draws(theta: npt.ArrayLike) -> Floats:
    """Contiguous (n_draws, 4) view that is read-only, as `as_rows` for rows."""
    draws = np.ascontiguousarray(theta, dtype=np.float64).reshape(-1, 4).view()
    draws.flags.writeable = False
    return draws


def sorting_order(x: Floats, t_x: Floats, T: Floats) -> Integers | None:
    """Order that brings equal x and, among them, equal T together; None where x is sorted already."""
    return None if np.all(x[1:] >= x[:-1]) else np.lexsort((t_x, T, x))


@njit(cache=True, error_model="numpy")
def _distinct_times(x: Floats, t_x: Floats, look: bool) -> tuple[Floats, Integers]:
    """Distinct t_x among the rows of each x, at that x's places, and for each row the place of its own.

    Without `look` every row keeps its own place.
    """
    times, index, stop = t_x.copy(), np.arange(len(x)), 0
    while look and stop < len(x):
        start = stop
        while stop < len(x) and x[stop] == x[start]:
            stop += 1
        distinct = np.unique(t_x[start:stop])
        times[start : start + len(distinct)] = distinct
        times[start + len(distinct) : stop] = np.nan
        for i in range(start, stop):
            index[i] = start + np.searchsorted(distinct, t_x[i])
    return times, index


@njit(cache=True, error_model="numpy")
def _add_forecasts(
    kind: int,
    x: Floats,
    t_x: Floats,
    T: Floats,
    horizon: Floats,
    times: Floats,
    time_index: Integers,
    delta: float,
    theta: Floats,
    k: int,
    first: int,
    out: Floats,
) -> None:
    stop = 0
    while stop < len(x):
        start = stop
        while stop < len(x) and x[stop] == x[start]:
            stop += 1
        runs = _runs(T[start:stop], horizon[start:stop]) + start
        T_of_run, horizon_of_run = T[runs[:-1]], horizon[runs[:-1]]
        for draw in range(len(theta)):
            r, alpha, a, b = theta[draw]
            m, B = r + k * x[start], b + x[start] + first
            future = np.ones((k, len(T_of_run)))
            if kind != _ALIVE:
                for j in range(k):
                    future[j] = expected_if_alive(horizon_of_run / (alpha + T_of_run), m + j, a, B, k, j)
            odds = a / (B - 1.0) if x[start] + first > 0 else 0.0
            row = out[draw if len(out) > 1 else 0]
            _add_alive(row, t_x, T_of_run, runs, times[start:stop], time_index, start, future, alpha, odds, m, k)


@njit(cache=True, error_model="numpy")
def _runs(T: Floats, horizon: Floats) -> Integers:
    """Where runs of equal T and horizon begin, and the end."""
    starts, n = np.empty(len(T) + 1, np.int64), 0
    for i in range(len(T)):
        if i == 0 or T[i] != T[i - 1] or horizon[i] != horizon[i - 1]:
            starts[n] = i
            n += 1
    starts[n] = len(T)
    return starts[: n + 1]


@njit(cache=True, error_model="numpy")
def _add_alive(
    out: Floats,
    t_x: Floats,
    T_of_run: Floats,
    runs: Integers,
    times: Floats,
    time_index: Integers,
    start: int,
    future: Floats,
    alpha: float,
    odds: float,
    m: float,
    k: int,
) -> None:
    """Add to the rows of one x P(alive) times the future of each stage: `future` is (k, n_runs).

    Stage j has weight (m)_j / j! u^j, u = (T-t_x) / (alpha+T), having left D = odds ((alpha+T) / (alpha+t_x))^m.
    """
    log_t, power_t = np.empty(len(times)), np.empty(len(times))
    for i in range(len(times)):
        if np.isnan(times[i]):
            break
        log_t[i] = math.log1p(times[i] / alpha)
        power_t[i] = math.exp(-m * log_t[i])
    for run in range(len(T_of_run)):
        T = T_of_run[run]
        log_T = math.log1p(T / alpha)
        by_powers = m * log_T <= _LARGEST_EXPONENT
        power_T = odds * math.exp(m * log_T) if by_powers else 0.0
        if k == 1 and by_powers:
            alive = future[0, run]
            for i in range(runs[run], runs[run + 1]):
                out[i] += alive / (1.0 + power_T * power_t[time_index[i] - start])
            continue
        for i in range(runs[run], runs[run + 1]):
            t = time_index[i] - start
            D = power_T * power_t[t] if by_powers else odds * math.exp(m * (log_T - log_t[t]))
            stage, u, total, alive = 1.0, (T - t_x[i]) / (alpha + T), 1.0, future[0, run]
            for j in range(1, k):
                stage *= (m + j - 1) / j * u
                total += stage
                alive += stage * future[j, run]
            out[i] += alive / (total + D)
