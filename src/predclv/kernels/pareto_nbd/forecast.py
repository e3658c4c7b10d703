"""Forecasts of Pareto/NBD for rows of histories and draws of parameters, compiled.

Given the history, a customer is alive with probability P(alive); then lambda ~ Gamma(r + x, alpha + T) and, independent
of it, mu ~ Gamma(s, beta + T). All forecasts follow from that, exactly. A row's result does not depend on the rows
beside it, bit for bit, and means over draws are summed in place.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.collapse import as_rows
from predclv.kernels.pareto_nbd.counts import counts_if_alive
from predclv.kernels.pareto_nbd.integrals import discounted_time, expected_time, left_before, left_ever
from predclv.kernels.pareto_nbd.times import DistinctTimes, Indices, index_times
from predclv.kernels.pareto_nbd.values import fill_times

__all__ = [
    "alive_purchase_pmf",
    "discounted_expected_purchases",
    "expected_purchases",
    "mean_discounted_expected_purchases",
    "mean_expected_purchases",
    "mean_p_alive",
    "p_alive",
    "p_ever",
    "purchase_pmf",
]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A silence over which the likelihood falls by less than this factor: a difference of integrals would lose digits of
# the probability of having left.
_SHORT_SILENCE = 1e-2
# Having left for sure, as far as floats go; zero would leave zero times infinity.
_LARGEST_FALL = 740.0


def p_alive(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, theta: npt.ArrayLike, ahead: npt.ArrayLike = 0.0
) -> Floats:
    """Probability that a customer has not left by T + `ahead`, given the history up to T.

    Schmittlein, Morrison & Colombo (1987) for `ahead` 0, and beyond Fader & Hardie (2014), Additional Results for the
    Pareto/NBD Model, brucehardie.com/notes/015, eq. (18): from T on a lifetime is Lomax(s, beta + T).

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age.
    theta : (n_draws, 4) or (4,) array
        r, alpha, s, beta on the natural scale, > 0; `alpha` and `beta` in the time unit of `T`.
    ahead : float or (n_rows,) array
        Time after `T`, >= 0.

    Returns
    -------
    (n_draws, n_rows) array, from 0 to 1
    """
    rows, draws = _Rows.of(x, t_x, T, ahead), _as_draws(theta)
    return rows.give_back(np.array([rows.alive(draw) * rows.of_pairs(_SURVIVING, draw) for draw in draws]))


def mean_p_alive(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, theta: npt.ArrayLike, ahead: npt.ArrayLike = 0.0
) -> Floats:
    """Mean of `p_alive` over the draws, (n_rows,)."""
    rows, draws = _Rows.of(x, t_x, T, ahead), _as_draws(theta)
    total = np.zeros(len(rows.x))
    for draw in draws:
        total += rows.alive(draw) * rows.of_pairs(_SURVIVING, draw)
    return rows.give_back(total / len(draws))


def p_ever(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """Probability of another purchase at whatever time, given the history, averaged over the draws, (n_rows,).

    A lifetime without one has the weight that the likelihood gives to silence to the end of time (`left_ever`).
    """
    draws = _as_draws(theta)
    x, T = as_rows(x), as_rows(T)
    total = np.zeros(len(x))
    for draw in draws:
        total += p_alive(x, t_x, T, draw)[0] * _again_if_alive(x, T, draw)
    return total / len(draws)


@njit(cache=True, error_model="numpy")
def _again_if_alive(x: Floats, T: Floats, theta: Floats) -> Floats:
    r, alpha, s, beta = theta
    out = np.empty(len(x))
    for i in range(len(x)):
        out[i] = 1.0 - left_ever(r + x[i], s, alpha + T[i], beta + T[i])
    return out


def expected_purchases(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, theta: npt.ArrayLike
) -> Floats:
    """Expected purchases in (T, T + horizon], given the history.

    Fader & Hardie (2005), eq. (41); over an infinite horizon the mean is infinite for s <= 1.

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Future window, >= 0, in the time unit of `T`; it may be infinite.
    x, t_x, T, theta
        As for `p_alive`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    return discounted_expected_purchases(x, t_x, T, horizon, 0.0, theta)


def mean_expected_purchases(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, theta: npt.ArrayLike
) -> Floats:
    """Mean of `expected_purchases` over the draws, (n_rows,)."""
    return mean_discounted_expected_purchases(x, t_x, T, horizon, 0.0, theta)


def discounted_expected_purchases(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, delta: float, theta: npt.ArrayLike
) -> Floats:
    """Expected purchases in (T, T + horizon], each discounted by exp(-delta s), s after T, given the history.

    Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4), give the infinite horizon (DERT).

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Future window in the time unit of `T`, >= 0; it may be infinite.
    delta : float
        Continuous discount rate per time unit, >= 0; 0 gives `expected_purchases`.
    x, t_x, T, theta
        As for `p_alive`.

    Returns
    -------
    (n_draws, n_rows) array, >= 0
    """
    rows, draws = _Rows.of(x, t_x, T, horizon), _as_draws(theta)
    return rows.give_back(np.array([rows.purchases(draw, delta) for draw in draws]))


def mean_discounted_expected_purchases(
    x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, delta: float, theta: npt.ArrayLike
) -> Floats:
    """Mean of `discounted_expected_purchases` over the draws, (n_rows,)."""
    rows, draws = _Rows.of(x, t_x, T, horizon), _as_draws(theta)
    total = np.zeros(len(rows.x))
    for draw in draws:
        total += rows.purchases(draw, delta)
    return rows.give_back(total / len(draws))


def purchase_pmf(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    n_max: int,
) -> Floats:
    """Probability of 0, 1, ..., n_max purchases in (T, T + horizon], given the history; mean over the draws.

    Parameters
    ----------
    horizon : float or (n_rows,) array
        Finite.
    x, t_x, T, theta
        As for `p_alive`.

    Returns
    -------
    (n_rows, n_max + 1) array; what a row lacks to 1 is the probability of more than `n_max`
    """
    return _pmf(x, t_x, T, horizon, theta, n_max, False)


def alive_purchase_pmf(
    x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike, theta: npt.ArrayLike, n_max: int
) -> Floats:
    """`purchase_pmf` given, besides the history, that the customer is alive at T; whatever t_x is.

    With several draws their plain mean, not weighted by their P(alive).
    """
    return _pmf(x, T, T, horizon, theta, n_max, True)


def _pmf(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    horizon: npt.ArrayLike,
    theta: npt.ArrayLike,
    n_max: int,
    if_alive: bool,
) -> Floats:
    rows, draws = _Rows.of(x, t_x, T, horizon), _as_draws(theta)
    total = np.zeros((len(rows.x), n_max + 1))
    alive, left = np.ones(len(rows.x)), np.zeros(len(rows.x))
    for draw in draws:
        if not if_alive:
            rows.fill_alive(draw, alive, left)
        r, alpha, s, beta = draw
        _add_counts(rows.x, rows.T, rows.horizon, r, alpha, s, beta, alive, left, total)
    return rows.give_back((total / len(draws)).T).T


_SURVIVING, _EXPECTED, _DISCOUNTED = range(3)


class _Rows(NamedTuple):
    """Rows in order of x, and what they share: distinct times of each x, and distinct pairs of T and horizon."""

    x: Floats
    T: Floats
    horizon: Floats
    times: DistinctTimes
    pair: Integers
    pair_age: Floats
    pair_horizon: Floats
    order: Integers | None

    @classmethod
    def of(cls, x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, horizon: npt.ArrayLike) -> _Rows:
        x, t_x, T = as_rows(x), as_rows(t_x), as_rows(T)
        horizon = as_rows(np.broadcast_to(np.asarray(horizon, dtype=np.float64), x.shape))
        # Equal x next to each other and, among them, equal T.
        order = None if np.all(x[1:] >= x[:-1]) else np.lexsort((horizon, T, x))
        if order is not None:
            x, t_x, T, horizon = (as_rows(column[order]) for column in (x, t_x, T, horizon))
        return cls(x, T, horizon, index_times(x, t_x, T), *_distinct_pairs(T, horizon), order)

    def give_back(self, values: Floats) -> Floats:
        """Values (..., n_rows) in the order in which the rows were given."""
        if self.order is None:
            return values
        out = np.empty_like(values)
        out[..., self.order] = values
        return out

    def fill_alive(self, draw: Floats, alive: Floats, left: Floats) -> None:
        """Fill the probabilities of being alive and of having left."""
        r, alpha, s, beta = draw
        _fill_alive(*self.times, r, alpha, s, beta, np.empty((3, len(self.times.time))), alive, left)

    def alive(self, draw: Floats) -> Floats:
        alive = np.empty(len(self.x))
        self.fill_alive(draw, alive, np.empty(len(self.x)))
        return alive

    def of_pairs(self, kind: int, draw: Floats, delta: float = 0.0) -> Floats:
        _, alpha, s, beta = draw
        by_pair: Floats = _times_alive(kind, self.pair_age, self.pair_horizon, alpha, s, beta, delta)
        return by_pair[self.pair]

    def purchases(self, draw: Floats, delta: float) -> Floats:
        times = self.of_pairs(_DISCOUNTED if delta > 0 else _EXPECTED, draw, delta)
        expected: Floats = self.alive(draw) * ((draw[0] + self.x) * times)
        return expected


def _distinct_pairs(T: Floats, horizon: Floats) -> tuple[Integers, Floats, Floats]:
    """The distinct pair that each row has, and the pairs."""
    order = np.lexsort((T, horizon))
    starts = np.ones(len(T), dtype=bool)
    starts[1:] = (np.diff(T[order]) != 0) | (horizon[order][1:] != horizon[order][:-1])
    pair = np.empty(len(T), dtype=np.int64)
    pair[order] = np.cumsum(starts) - 1
    first = order[starts]
    return pair, as_rows(T[first]), as_rows(horizon[first])


def _as_draws(theta: npt.ArrayLike) -> Floats:
    return np.ascontiguousarray(theta, dtype=np.float64).reshape(-1, 4)


@njit(cache=True, error_model="numpy")
def _fill_alive(
    x: Floats,
    starts: Indices,
    time: Floats,
    row_starts: Indices,
    at_t: Indices,
    at_age: Indices,
    r: float,
    alpha: float,
    s: float,
    beta: float,
    by_time: Floats,
    alive: Floats,
    left: Floats,
) -> None:
    fill_times(x, starts, time, r, alpha, s, beta, by_time)
    for j in range(len(x)):
        m = r + x[j]
        for i in range(row_starts[j], row_starts[j + 1]):
            t, T = at_t[i], at_age[i]
            log_fall = m * (by_time[1, T] - by_time[1, t]) + s * (by_time[2, T] - by_time[2, t])
            ratio = math.exp(-min(log_fall, _LARGEST_FALL))
            if log_fall > _SHORT_SILENCE:
                # Never below 0 but for rounding.
                gone = max(by_time[0, t] - ratio * by_time[0, T], 0.0)
            else:
                gone = left_before(m, s, alpha + time[t], beta + time[t], time[T] - time[t])
            alive[i] = ratio / (ratio + gone)
            left[i] = gone / (ratio + gone)


@njit(cache=True, error_model="numpy")
def _times_alive(kind: int, T: Floats, horizon: Floats, alpha: float, s: float, beta: float, delta: float) -> Floats:
    """Probability of living through a horizon, or expected time alive in it over alpha + T; all given alive at T."""
    out = np.empty(len(T))
    for i in range(len(T)):
        if kind == _SURVIVING:
            out[i] = math.exp(-s * math.log1p(horizon[i] / (beta + T[i])))
        elif kind == _EXPECTED:
            out[i] = expected_time(s, beta + T[i], horizon[i]) / (alpha + T[i])
        else:
            out[i] = discounted_time(s, beta + T[i], horizon[i], delta) / (alpha + T[i])
    return out


@njit(cache=True, error_model="numpy")
def _add_counts(
    x: Floats,
    T: Floats,
    horizon: Floats,
    r: float,
    alpha: float,
    s: float,
    beta: float,
    alive: Floats,
    left: Floats,
    out: Floats,
) -> None:
    """Add the probabilities of the counts, worked out once for rows next to each other that share x, T and horizon."""
    n_max = out.shape[1] - 1
    for i in range(len(x)):
        if i == 0 or x[i] != x[i - 1] or T[i] != T[i - 1] or horizon[i] != horizon[i - 1]:
            pmf = counts_if_alive(r + x[i], alpha + T[i], s, beta + T[i], horizon[i], n_max)
        for n in range(n_max + 1):
            out[i, n] += alive[i] * pmf[n]
        out[i, 0] += left[i]
