"""The BG family's likelihood, compiled: its value, gradient and Hessian over collapsed histories.

The equation of `bg_family.log_likelihood`, rearranged. With n the chances to leave, m = r + k x, u = (T-t_x)/(alpha+T),

    log L = log Gamma(m)/Gamma(r) + r log alpha - m log(alpha+T) + log B(a, b+n)/B(a, b) + log s + log(1 + D),
    s = sum_{j<k} (m)_j / j! u^j,        D = 1{n>0} a / (b+n-1) ((alpha+T)/(alpha+t_x))^m / s,

D being the odds that the customer has left. Whatever depends on x alone is a running sum over the sorted x (sums
of logarithms and reciprocals: no special function, and no digits lost where a and b are large). What depends on x and
T costs customers of one (x, T) a logarithm together. The rest costs a row two logarithms and one exponential. NumPy
takes these many at a time; the loops hold arithmetic alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.bg_family.ages import add_alive, runs_of_age
from predclv.kernels.bg_family.stages import log_stages, stages
from predclv.kernels.collapse import as_rows

__all__ = [
    "Arranged",
    "arrange",
    "arranged_derivatives",
    "derivatives",
    "log_likelihood_derivatives",
    "log_odds_left",
]

Floats = npt.NDArray[np.float64]


class Arranged(NamedTuple):
    """Rows as they are climbed many times: as given, and those of one (x, T), where these stand together, as one."""

    x: Floats
    t_x: Floats
    T: Floats
    weight: Floats
    run_x: Floats
    run_age: Floats
    run_weight: Floats


def arrange(x: npt.ArrayLike, t_x: npt.ArrayLike, T: npt.ArrayLike, weight: npt.ArrayLike) -> Arranged:
    """Work out what `arranged_derivatives` needs, from arrays as `log_likelihood_derivatives` takes them."""
    x, t_x, T, weight = as_rows(x), as_rows(t_x), as_rows(T), as_rows(weight)
    return Arranged(x, t_x, T, weight, *runs_of_age(x, T, weight))


def log_likelihood_derivatives(
    x: npt.ArrayLike,
    t_x: npt.ArrayLike,
    T: npt.ArrayLike,
    weight: npt.ArrayLike,
    theta: npt.ArrayLike,
    k: int = 1,
    dropout_at_first: bool = False,
) -> tuple[float, Floats, Floats]:
    """Weighted log-likelihood with gradient and Hessian in (r, alpha, a, b).

    The constants of k > 1, `(k - 1) sum log itt - x log Gamma(k)`, are left out: they belong to the data.

    Parameters
    ----------
    x, t_x, T : (n_rows,) arrays
        Repeat purchases; time of the last one; customer age. Fast when sorted by (x, T), as `collapse` leaves them.
    weight : (n_rows,) array
        Customers that share the row.
    theta : (4,) array
        r, alpha, a, b on the natural scale, > 0; `alpha` in the time unit of `T`.
    k : int
        Events to a purchase.
    dropout_at_first : bool
        Whether a customer may leave right after the first purchase of all.

    Returns
    -------
    value : float
    gradient : (4,) array
    hessian : (4, 4) array
    """
    return arranged_derivatives(arrange(x, t_x, T, weight), theta, k, dropout_at_first)


def arranged_derivatives(
    rows: Arranged, theta: npt.ArrayLike, k: int = 1, dropout_at_first: bool = False
) -> tuple[float, Floats, Floats]:
    """`log_likelihood_derivatives` of rows arranged before."""
    r, alpha, a, b = (float(value) for value in np.asarray(theta))
    x, t_x, T, weight, run_x, run_age, run_weight = rows
    # In place, since making room for a column takes as long as filling it.
    log_ratio = alpha + T
    log_ratio /= alpha + t_x
    np.log(log_ratio, out=log_ratio)
    log_D = log_odds_left(x, t_x, T, log_ratio, r, alpha, a, b, k, int(dropout_at_first))
    smaller = np.abs(log_D)
    np.exp(np.negative(smaller, out=smaller), out=smaller)  # of D and 1 / D
    log_1_D = 1.0 + smaller
    np.log(log_1_D, out=log_1_D)
    log_1_D += np.maximum(log_D, 0.0)
    by_row = log_ratio, log_D, smaller, log_1_D
    value, gradient, hessian = derivatives(x, t_x, T, weight, *by_row, r, alpha, a, b, k, int(dropout_at_first))
    value += add_alive(gradient, hessian, k * run_x, run_age, run_weight, np.log1p(run_age / alpha), r, alpha)
    return float(value), gradient, hessian


@njit(cache=True, error_model="numpy")
def log_odds_left(
    x: Floats, t_x: Floats, T: Floats, log_ratio: Floats, r: float, alpha: float, a: float, b: float, k: int, first: int
) -> Floats:
    """Logarithm of D, the odds, for each row; -inf where there was no chance to leave."""
    log_D, x_before, log_odds = np.empty(len(x)), np.nan, 0.0
    for i in range(len(x)):
        if x[i] != x_before:
            x_before, n = x[i], x[i] + first
            log_odds = math.log(a / (b + n - 1.0)) if n > 0.0 else -np.inf
        log_D[i] = log_odds + (r + k * x[i]) * log_ratio[i]
        if k > 1:
            log_D[i] -= math.log(stages(r + k * x[i], T[i] - t_x[i], 1.0 / (alpha + T[i]), k)[0])
    return log_D


@njit(cache=True, error_model="numpy")
def derivatives(
    x: Floats,
    t_x: Floats,
    T: Floats,
    weight: Floats,
    log_ratio: Floats,
    log_D: Floats,
    smaller: Floats,
    log_1_D: Floats,
    r: float,
    alpha: float,
    a: float,
    b: float,
    k: int,
    first: int,
) -> tuple[float, Floats, Floats]:
    """Value, gradient and Hessian but for those of `add_alive`, once the logarithms of each row are there."""
    gradient, hessian = np.zeros(4), np.zeros((4, 4))
    # Value, derivatives in r, alpha, and (r r), (r alpha), (alpha alpha): what t_x and T enter.
    timed = np.zeros(6)
    value, by_x, x_before, stop = 0.0, np.zeros(8), -1, 0
    while stop < len(x):
        start = stop
        while stop < len(x) and x[stop] == x[start]:
            stop += 1
        x_now, rows = int(x[start]), slice(start, stop)
        if x_now < x_before:  # not sorted: correct all the same, only slower
            by_x[:], x_before = 0.0, -1
        _advance(by_x, x_before, x_now, r, a, b, k, first)
        x_before = x_now
        n, m = x_now + first, r + k * x_now

        total = np.sum(weight[rows])
        log_rate, psi, trigamma, log_stay, stay_a, stay_b, stay_aa, stay_bb = by_x
        value += total * (log_rate + log_stay)
        gradient += total * np.array((psi, 0.0, stay_a, stay_b))
        hessian[0, 0] += total * trigamma
        hessian[2, 2] += total * stay_aa
        hessian[2, 3] += total * stay_aa
        hessian[3, 3] += total * stay_bb
        if n == 0 and k == 1:
            continue
        by_row = log_ratio[rows], log_D[rows], smaller[rows], log_1_D[rows]
        if k == 1:
            sums = _add_left_at_once(timed, t_x[rows], T[rows], weight[rows], *by_row, alpha, m)
        else:
            sums = _add_left(timed, t_x[rows], T[rows], weight[rows], *by_row, alpha, m, k)
        left, spread, spread_r, spread_alpha = sums
        # The derivatives of log(a / (b+n-1)), and with them the rest of those of log D; n = 0 has left = spread = 0.
        odds_a, odds_b = 1.0 / a, -1.0 / (b + max(n, 1) - 1)
        gradient[2] += left * odds_a
        gradient[3] += left * odds_b
        hessian[0, 2] += spread_r * odds_a
        hessian[0, 3] += spread_r * odds_b
        hessian[1, 2] += spread_alpha * odds_a
        hessian[1, 3] += spread_alpha * odds_b
        hessian[2, 2] += (spread - left) * odds_a * odds_a
        hessian[2, 3] += spread * odds_a * odds_b
        hessian[3, 3] += (spread + left) * odds_b * odds_b
    gradient[:2] += timed[1:3]
    hessian[0, 0] += timed[3]
    hessian[0, 1] += timed[4]
    hessian[1, 1] += timed[5]
    for i in range(4):
        for j in range(i):
            hessian[i, j] = hessian[j, i]
    return value + timed[0], gradient, hessian


@njit(cache=True, error_model="numpy")
def _advance(by_x: Floats, x_before: int, x_now: int, r: float, a: float, b: float, k: int, first: int) -> None:
    """Bring the sums over x from `x_before` (-1: nothing yet) to `x_now`.

    log Gamma(r+kx)/Gamma(r) and its two derivatives in r; log B(a, b+n)/B(a, b), its derivatives in a and in b,
    and second derivatives in a (which is also the mixed one) and in b.
    """
    for i in range(k * max(x_before, 0), k * x_now):
        by_x[0] += math.log(r + i)
        by_x[1] += 1.0 / (r + i)
        by_x[2] -= 1.0 / (r + i) ** 2
    for i in range(0 if x_before < 0 else x_before + first, x_now + first):
        stay, both = 1.0 / (b + i), 1.0 / (a + b + i)
        by_x[3] -= math.log1p(a * stay)
        by_x[4] -= both
        by_x[5] += a * stay * both
        by_x[6] += both * both
        by_x[7] -= a * stay * both * (stay + both)


@njit(cache=True, error_model="numpy")
def _add_left(
    timed: Floats,
    t_x: Floats,
    T: Floats,
    weight: Floats,
    log_ratio: Floats,
    log_D: Floats,
    smaller: Floats,
    log_1_D: Floats,
    alpha: float,
    m: float,
    k: int,
) -> tuple[float, float, float, float]:
    """Add log s + log(1 + D) and its derivatives over the rows of one x.

    Returns, with w = D / (1 + D), the sums of w, of w (1 - w), and of w (1 - w) times the derivatives of log D in r
    and in alpha.
    """
    value = d_r = d_alpha = d_rr = d_ra = d_aa = left = spread = spread_r = spread_alpha = 0.0
    log_s = s_r = s_alpha = s_rr = s_ra = s_aa = 0.0
    for i in range(len(T)):
        inverse_T, inverse_t = 1.0 / (alpha + T[i]), 1.0 / (alpha + t_x[i])
        difference = inverse_T - inverse_t
        if k > 1:
            log_s, s_r, s_alpha, s_rr, s_ra, s_aa = log_stages(m, T[i] - t_x[i], inverse_T, k)
        share = 1.0 / (1.0 + smaller[i])
        w = weight[i] * (share if log_D[i] > 0.0 else smaller[i] * share)
        w_spread, w_alive = weight[i] * smaller[i] * share * share, weight[i] - w
        D_r, D_alpha = log_ratio[i] - s_r, m * difference - s_alpha
        value += weight[i] * (log_1_D[i] + log_s)
        d_r += weight[i] * s_r + w * D_r
        d_alpha += weight[i] * s_alpha + w * D_alpha
        d_rr += w_spread * D_r * D_r + w_alive * s_rr
        d_ra += w_spread * D_r * D_alpha + w * difference + w_alive * s_ra
        d_aa += w_spread * D_alpha * D_alpha - w * m * difference * (inverse_T + inverse_t) + w_alive * s_aa
        left += w
        spread += w_spread
        spread_r += w_spread * D_r
        spread_alpha += w_spread * D_alpha
    timed += np.array((value, d_r, d_alpha, d_rr, d_ra, d_aa))
    return left, spread, spread_r, spread_alpha


# Sums in any order, so that a processor takes several rows at once.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _add_left_at_once(
    timed: Floats,
    t_x: Floats,
    T: Floats,
    weight: Floats,
    log_ratio: Floats,
    log_D: Floats,
    smaller: Floats,
    log_1_D: Floats,
    alpha: float,
    m: float,
) -> tuple[float, float, float, float]:
    """`_add_left` for k = 1, where s is 1; with one division for three reciprocals, since nothing else is as slow."""
    value = d_r = d_alpha = d_rr = d_ra = d_aa = left = spread = 0.0
    spread_r = spread_alpha = curve = 0.0
    for i in range(len(T)):
        at_T, at_t, both = alpha + T[i], alpha + t_x[i], 1.0 + smaller[i]
        inverse = 1.0 / (at_T * at_t * both)
        inverse_T, inverse_t, share = inverse * at_t * both, inverse * at_T * both, inverse * at_T * at_t
        difference = inverse_T - inverse_t
        w = weight[i] * (1.0 if log_D[i] > 0.0 else smaller[i]) * share
        w_spread = weight[i] * smaller[i] * share * share
        value += weight[i] * log_1_D[i]
        left += w
        spread += w_spread
        d_r += w * log_ratio[i]
        d_alpha += w * difference
        d_aa += w * difference * (inverse_T + inverse_t)
        d_rr += w_spread * log_ratio[i] * log_ratio[i]
        spread_r += w_spread * log_ratio[i]
        spread_alpha += w_spread * difference
        d_ra += w_spread * log_ratio[i] * difference
        curve += w_spread * difference * difference
    timed += np.array((value, d_r, m * d_alpha, d_rr, m * d_ra + d_alpha, m * (m * curve - d_aa)))
    return left, spread, spread_r, m * spread_alpha
