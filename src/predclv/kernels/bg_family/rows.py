"""The one loop behind the BG family's forecasts, compiled: over distinct x, draws, runs of equal T, and rows.

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

from predclv.kernels.bg_family.alive import expected_if_alive, staying_if_alive
from predclv.kernels.bg_family.counts import counts_if_alive
from predclv.kernels.bg_family.discounted import discounted_if_alive
from predclv.kernels.collapse import as_rows

__all__ = ["ALIVE", "COUNTS", "DISCOUNTED", "EXPECTED", "STAGES", "STAYING", "forecast"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

ALIVE, EXPECTED, DISCOUNTED, COUNTS, STAGES, STAYING = range(6)

# exp(600) is far from overflow; beyond it, powers of (alpha+T) and (alpha+t_x) are not taken one by one.
_LARGEST_EXPONENT = 600.0
# Having left for sure, as far as floats go; infinity would leave infinity / infinity.
_LARGEST_ODDS = 1e300
# For so many draws it pays to look for the distinct t_x first.
_MANY = 4


def forecast(
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
    n_out: int = 1,
) -> Floats:
    """(n_draws * n_out, n_rows), or where `mean` is wanted (n_out, n_rows)."""
    draws = as_draws(theta)
    x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
    horizon = as_rows(np.broadcast_to(np.asarray(horizon, dtype=np.float64), x.shape))
    # Equal x next to each other and, among them, equal T.
    order = None if np.all(x[1:] >= x[:-1]) else np.lexsort((horizon, T, x))
    if order is not None:
        x, t_x, T, horizon = as_rows(x[order]), as_rows(t_x[order]), as_rows(T[order]), as_rows(horizon[order])
    times, time_index = _distinct_times(x, t_x, len(draws) * n_out >= _MANY)
    out = np.zeros((1 if mean else len(draws), n_out, len(x)))
    _add_forecasts(kind, x, t_x, T, horizon, times, time_index, delta, draws, int(k), int(first), out)
    if mean:
        out /= len(draws)
    if order is not None:
        out[:, :, order] = out.copy()
    return out.reshape(out.shape[0] * n_out, len(x))


def as_draws(theta: npt.ArrayLike) -> Floats:
    """Contiguous (n_draws, 4) view that is read-only, as `as_rows` for rows."""
    draws = np.ascontiguousarray(theta, dtype=np.float64).reshape(-1, 4).view()
    draws.flags.writeable = False
    return draws


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
            odds = a / (B - 1.0) if x[start] + first > 0 else 0.0
            log_t, power_t = _powers(times[start:stop], alpha, m)
            future = np.ones((k, out.shape[1], len(T_of_run)))
            for j in range(k):
                _fill_future(kind, future[j], T_of_run, horizon_of_run, delta, m + j, alpha, a, B, k, j)
            for n in range(out.shape[1]):
                if_left = 1.0 if kind == COUNTS and n == 0 else 0.0
                row = out[draw if len(out) > 1 else 0, n]
                where = time_index, start, log_t, power_t
                _add_alive(row, t_x, T_of_run, runs, *where, future[:, n], if_left, alpha, odds, m, k)


@njit(cache=True, error_model="numpy")
def _fill_future(
    kind: int,
    future: Floats,
    T: Floats,
    horizon: Floats,
    delta: float,
    m: float,
    alpha: float,
    a: float,
    B: float,
    k: int,
    j: int,
) -> None:
    """What is forecast of those alive and in stage j, (n_out, n_runs)."""
    tau = horizon / (alpha + T)
    if kind == EXPECTED:
        future[0] = expected_if_alive(tau, m, a, B, k, j)
    elif kind == DISCOUNTED:
        future[0] = discounted_if_alive(tau, delta * (alpha + T), m, a, B, k, j)
    elif kind == STAYING:
        future[0] = staying_if_alive(tau, m, a, B, k, j)
    elif kind == STAGES:
        future[:] = 0.0
        future[j] = 1.0
    elif kind == COUNTS:
        for run in range(len(T)):
            future[:, run] = counts_if_alive(tau[run], m, a, B, len(future) - 1, k, j)


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
def _powers(times: Floats, alpha: float, m: float) -> tuple[Floats, Floats]:
    """log((alpha+t) / alpha) and ((alpha+t) / alpha)^-m of the distinct times."""
    log_t, power_t = np.empty(len(times)), np.empty(len(times))
    for i in range(len(times)):
        if np.isnan(times[i]):
            break
        log_t[i] = math.log1p(times[i] / alpha)
        power_t[i] = math.exp(-m * log_t[i])
    return log_t, power_t


@njit(cache=True, error_model="numpy")
def _add_alive(
    out: Floats,
    t_x: Floats,
    T_of_run: Floats,
    runs: Integers,
    time_index: Integers,
    first_time: int,
    log_t: Floats,
    power_t: Floats,
    future: Floats,
    if_left: float,
    alpha: float,
    odds: float,
    m: float,
    k: int,
) -> None:
    """Add to the rows of one x the mean of the (k, n_runs) `future` of those alive and `if_left` of those gone.

    Stage j has weight (m)_j / j! u^j, u = (T-t_x) / (alpha+T), having left D = odds ((alpha+T) / (alpha+t_x))^m.
    """
    for run in range(len(T_of_run)):
        T = T_of_run[run]
        log_T = math.log1p(T / alpha)
        by_powers = m * log_T <= _LARGEST_EXPONENT
        power_T = odds * math.exp(m * log_T) if by_powers else 0.0
        if k == 1 and by_powers:
            alive = future[0, run]
            for i in range(runs[run], runs[run + 1]):
                D = power_T * power_t[time_index[i] - first_time]
                out[i] += (alive + D * if_left) / (1.0 + D)
            continue
        for i in range(runs[run], runs[run + 1]):
            t = time_index[i] - first_time
            D = power_T * power_t[t] if by_powers else min(odds * math.exp(m * (log_T - log_t[t])), _LARGEST_ODDS)
            stage, u, total, alive = 1.0, (T - t_x[i]) / (alpha + T), 1.0, future[0, run]
            for j in range(1, k):
                stage *= (m + j - 1) / j * u
                if stage == 0.0:  # a purchase at T: no events since, whatever (infinity, even) they would bring
                    break
                total += stage
                alive += stage * future[j, run]
            out[i] += (alive + D * if_left) / (total + D)
