"""What a BG/BB customer does next, given the history: expectations and probabilities of counts.

Being there at opportunity T + 1, written "alive", the customer has p ~ Beta(A, B) = Beta(alpha+x, beta+T-x) and
theta ~ Beta(gamma, D) = Beta(gamma, delta+T+1), independent, whatever t_x was. They are there for exactly j of the next
m opportunities with probability (D)_{j-1} / (gamma+D)_{j-1} times gamma / (gamma+D+j-1), or 1 for j = m, and use a
beta-binomial number of them.

References
----------
Fader, Hardie & Shang (2010), Marketing Science 29(6), for P(alive), expectations and their discounted sum.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from predclv.kernels.bg_bb.rows import arrange
from predclv.kernels.bg_bb.sums import add_pmf, fill_alive, never_again, sum_endless, sum_finite

__all__ = [
    "alive_purchase_pmf",
    "discounted_expected_purchases",
    "expected_purchases",
    "mean_expected_purchases",
    "mean_p_alive",
    "opportunities_within",
    "p_alive",
    "p_ever",
    "purchase_pmf",
]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


def opportunities_within(horizon: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Whole opportunities within a finite horizon."""
    return np.floor(np.asarray(horizon, dtype=np.float64) + 1e-9).astype(np.int64)


def p_alive(x: Floats, t_x: Floats, T: Floats, theta: npt.ArrayLike, ahead: float = 0.0) -> Floats:
    """Probability of being there at opportunity T + 1 + `ahead`, given the history; Fader, Hardie & Shang (2010).

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Opportunities used, the last one used, and opportunities had.
    theta : (4,) or (n_draws, 4) array
        alpha, beta, gamma, delta.
    ahead : float
        Opportunities after the next one; a fraction of one is none.

    Returns
    -------
    (n_draws, n_rows) array
    """
    draws = _draws(theta)
    out = np.empty((len(draws), len(x)))
    if len(x) == 0:
        return out
    rows = arrange(x, t_x, T)
    by_row = np.empty(len(x))
    for d, point in enumerate(draws):
        fill_alive(*rows[:6], point, by_row)
        out[d, rows.order] = by_row
        out[d] *= _still_there(np.asarray(T, dtype=np.float64), ahead, point)
    return out


def mean_p_alive(x: Floats, t_x: Floats, T: Floats, theta: npt.ArrayLike, ahead: float = 0.0) -> Floats:
    """`p_alive` averaged over the draws, (n_rows,), without holding them."""
    draws, total = _draws(theta), np.zeros(len(x))
    for point in draws:
        total += p_alive(x, t_x, T, point, ahead)[0]
    return total / len(draws)


def expected_purchases(x: Floats, t_x: Floats, T: Floats, horizon: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """Expected purchases at the opportunities within the horizon, given the history.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
    horizon : float or (n_rows,) array
        Opportunities ahead, finite; a fraction of one is none.
    theta : (4,) or (n_draws, 4) array

    Returns
    -------
    (n_draws, n_rows) array

    References
    ----------
    Fader, Hardie & Shang (2010), Marketing Science 29(6); here as the sum itself, which has no limit at gamma = 1.
    """
    draws = _draws(theta)
    return p_alive(x, t_x, T, draws) * _expected_if_alive(x, T, horizon, 1.0, draws)


def mean_expected_purchases(x: Floats, t_x: Floats, T: Floats, horizon: npt.ArrayLike, theta: npt.ArrayLike) -> Floats:
    """`expected_purchases` averaged over the draws, (n_rows,), without holding them."""
    draws, total = _draws(theta), np.zeros(len(x))
    for point in draws:
        total += expected_purchases(x, t_x, T, horizon, point)[0]
    return total / len(draws)


def discounted_expected_purchases(
    x: Floats, t_x: Floats, T: Floats, horizon: float, delta: float, theta: npt.ArrayLike
) -> Floats:
    """Expected purchases, the one at opportunity T + j times exp(-delta j), given the history.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
    horizon : float
        Opportunities ahead; infinite only with `delta` > 0.
    delta : float
        Continuous discount rate an opportunity: log(1 + d) for the papers' d.
    theta : (4,) or (n_draws, 4) array

    Returns
    -------
    (n_draws, n_rows) array

    References
    ----------
    Fader, Hardie & Shang (2010), Marketing Science 29(6): over an infinite horizon their DERT.
    """
    draws = _draws(theta)
    return p_alive(x, t_x, T, draws) * _expected_if_alive(x, T, horizon, math.exp(-delta), draws)


def p_ever(x: Floats, t_x: Floats, T: Floats, theta: npt.ArrayLike) -> Floats:
    """Probability of another purchase at whatever time, given the history, averaged over the draws, (n_rows,)."""
    draws, total = _draws(theta), np.zeros(len(x))
    for point in draws:
        alpha, beta, gamma, delta = point
        never = np.array(
            [never_again(alpha + a, beta + n - a, gamma, delta + n + 1.0) for a, n in zip(x, T, strict=True)]
        )
        total += p_alive(x, t_x, T, point)[0] * (1.0 - never)
    return total / len(draws)


def purchase_pmf(x: Floats, t_x: Floats, T: Floats, horizon: npt.ArrayLike, theta: npt.ArrayLike, n_max: int) -> Floats:
    """Probabilities of 0, ..., n_max purchases within the horizon, given the history, averaged over the draws.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
    horizon : float or (n_rows,) array
        Opportunities ahead, finite; a fraction of one is none.
    theta : (4,) or (n_draws, 4) array
    n_max : int

    Returns
    -------
    (n_rows, n_max + 1) array
    """
    draws = _draws(theta)
    total = np.zeros((len(x), n_max + 1))
    ahead = np.broadcast_to(opportunities_within(horizon), (len(x),))
    for point in draws:
        alive = p_alive(x, t_x, T, point)[0]
        add_pmf(np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64), ahead, alive, point, total)
    return total / len(draws)


def alive_purchase_pmf(x: Floats, T: Floats, horizon: float, theta: Floats, n_max: int) -> Floats:
    """Probabilities of 0, ..., n_max purchases of those who are there at opportunity T + 1, (n_rows, n_max + 1)."""
    out = np.zeros((len(x), n_max + 1))
    ahead = np.broadcast_to(opportunities_within(horizon), (len(x),))
    point = np.ascontiguousarray(theta, dtype=np.float64)
    add_pmf(np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64), ahead, np.ones(len(x)), point, out)
    return out


def _still_there(T: Floats, ahead: float, theta: Floats) -> Floats:
    """Probability of being there at T + 1 + ahead, given at T + 1."""
    if ahead == 0:
        return np.ones(len(T))
    if not np.isfinite(ahead):
        return np.zeros(len(T))
    gamma, D = theta[2], theta[3] + T + 1.0
    steps = np.arange(int(opportunities_within(ahead)))
    there: Floats = np.exp(np.log1p(-gamma / (gamma + D[:, np.newaxis] + steps)).sum(axis=1))
    return there


def _draws(theta: npt.ArrayLike) -> Floats:
    return np.atleast_2d(np.ascontiguousarray(theta, dtype=np.float64))


def _expected_if_alive(x: Floats, T: Floats, horizon: npt.ArrayLike, z: float, draws: Floats) -> Floats:
    """Expected purchases of those who are there at T + 1, that at T + j times z^j, (n_draws, n_rows)."""
    x, T = np.asarray(x, dtype=np.float64), np.asarray(T, dtype=np.float64)
    out = np.empty((len(draws), len(x)))
    endless = np.ndim(horizon) == 0 and not np.isfinite(np.asarray(horizon))
    # Rows of one age and horizon are there as long.
    spans = np.column_stack(
        [T, np.zeros(len(x)) if endless else np.broadcast_to(opportunities_within(horizon), len(x))]
    )
    distinct, of_row = np.unique(spans, axis=0, return_inverse=True)
    of_row = of_row.reshape(-1)
    for d, (alpha, beta, gamma, delta) in enumerate(draws):
        if endless:
            sums = np.array(
                [z * sum_endless(delta + age + 1.0, gamma + delta + age + 1.0, z) for age in distinct[:, 0]]
            )
        else:
            sums = sum_finite(distinct, gamma, delta, z)
        out[d] = (alpha + x) / (alpha + beta + T) * sums[of_row]
    return out
