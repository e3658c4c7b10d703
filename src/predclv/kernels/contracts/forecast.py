"""What running contracts will do, compiled: shares that renew so often, their sums, quantiles and simulation.

A customer who made k renewals makes at least j more with probability S(k+j) / S(k). Everything here is a function of a
row's own tenure, whatever other rows are in the call. `theta` is always (n_draws, 3): alpha, beta, c.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.contracts.likelihood import log_drop
from predclv.kernels.gamma_differences import psi_difference

__all__ = [
    "discounted_renewals",
    "expected_renewals",
    "mean_survival",
    "mean_survival_table",
    "renewal_quantiles",
    "retention_rates",
    "survival",
]

Floats = npt.NDArray[np.float64]

# More renewals than this are as good as endless.
_ENDLESS = 2.0**52
# What is left of a sum is nothing to speak of.
_NOTHING = 1e-25


@njit(cache=True, error_model="numpy")
def retention_rates(n: int, theta: Floats) -> Floats:
    """Share of those who came to the 1st, ..., n-th renewal that renew, (n_draws, n); Fader & Hardie (2007).

    With c = 1 it is (beta + t - 1) / (alpha + beta + t - 1).
    """
    out = np.empty((len(theta), n))
    for d in range(len(theta)):
        for k in range(n):
            out[d, k] = math.exp(-log_drop(float(k), 1.0, theta[d, 0], theta[d, 1], theta[d, 2]))
    return out


@njit(cache=True, error_model="numpy")
def survival(tenure: Floats, steps: Floats, theta: Floats) -> Floats:
    """P(at least `steps` more renewals | tenure), (n_draws, n_rows); tenure and steps (n_rows,)."""
    out = np.empty((len(theta), len(tenure)))
    for d in range(len(theta)):
        for i in range(len(tenure)):
            out[d, i] = math.exp(-log_drop(tenure[i], steps[i], theta[d, 0], theta[d, 1], theta[d, 2]))
    return out


@njit(cache=True, error_model="numpy")
def mean_survival(tenure: Floats, steps: Floats, theta: Floats) -> Floats:
    """`survival` averaged over the draws, (n_rows,)."""
    out = np.zeros(len(tenure))
    for d in range(len(theta)):
        for i in range(len(tenure)):
            out[i] += math.exp(-log_drop(tenure[i], steps[i], theta[d, 0], theta[d, 1], theta[d, 2]))
    return out / len(theta)


@njit(cache=True, error_model="numpy")
def mean_survival_table(tenure: Floats, n_max: int, theta: Floats) -> Floats:
    """P(at least 0, 1, ..., n_max more renewals | tenure) averaged over the draws, (n_rows, n_max + 1)."""
    out = np.zeros((len(tenure), n_max + 1))
    for d in range(len(theta)):
        alpha, beta, c = theta[d]
        known = np.full(_last(tenure, np.full(len(tenure), float(n_max))), np.nan)
        for i in range(len(tenure)):
            share = 1.0
            for j in range(n_max + 1):
                out[i, j] += share
                share *= _stay(int(tenure[i]) + j, alpha, beta, c, known)
    return out / len(theta)


@njit(cache=True, error_model="numpy")
def _last(tenure: Floats, n_renewals: Floats) -> int:
    """One more than the latest renewal that a finite number of renewals leads to."""
    last = 0.0
    for i in range(len(tenure)):
        if n_renewals[i] < _ENDLESS:
            last = max(last, tenure[i] + n_renewals[i])
    return int(last) + 1


@njit(cache=True, error_model="numpy")
def _stay(k: int, alpha: float, beta: float, c: float, known: Floats) -> float:
    """Share that renews of those who made k renewals; worked out once for all rows."""
    if np.isnan(known[k]):
        known[k] = math.exp(-log_drop(float(k), 1.0, alpha, beta, c))
    return float(known[k])


@njit(cache=True, error_model="numpy")
def discounted_renewals(tenure: Floats, n_renewals: Floats, rate: float, theta: Floats) -> Floats:
    """Sum over j = 1, ..., n of P(at least j more renewals | tenure) exp(-rate (j - 1)), (n_draws, n_rows).

    The next renewal counts in full. For n infinite this is the discounted expected residual lifetime of Fader & Hardie
    (2010), just before the next renewal is due; infinite where rate = 0 and alpha c <= 1.

    Parameters
    ----------
    tenure : (n_rows,) array
    n_renewals : (n_rows,) array
        How many renewals come up, >= 0; may be infinite.
    rate : float
        Continuous discount rate per period, >= 0.
    """
    out = np.empty((len(theta), len(tenure)))
    for d in range(len(theta)):
        _fill_sums(tenure, n_renewals, rate, theta[d, 0], theta[d, 1], theta[d, 2], out[d])
    return out


@njit(cache=True, error_model="numpy")
def expected_renewals(tenure: Floats, n_renewals: Floats, rate: float, theta: Floats) -> Floats:
    """`discounted_renewals` averaged over the draws, (n_rows,)."""
    out, one = np.zeros(len(tenure)), np.empty(len(tenure))
    for d in range(len(theta)):
        _fill_sums(tenure, n_renewals, rate, theta[d, 0], theta[d, 1], theta[d, 2], one)
        out += one
    return out / len(theta)


# Endless sums are worked out at every so many renewals, and brought back from there by the recurrence.
_BLOCK = 64


@njit(cache=True, error_model="numpy")
def _fill_sums(
    tenure: Floats, n_renewals: Floats, rate: float, alpha: float, beta: float, c: float, out: Floats
) -> None:
    discount = math.exp(-rate)
    block, at, has_block = np.empty(_BLOCK), 0, False
    known = np.full(_last(tenure, n_renewals), np.nan)
    for i in range(len(tenure)):
        if n_renewals[i] >= _ENDLESS:
            first = int(tenure[i]) // _BLOCK * _BLOCK
            if not has_block or first != at:
                at, has_block = first, True
                beyond = _endless_sum(float(first + _BLOCK), rate, alpha, beta, c)
                for j in range(_BLOCK - 1, -1, -1):
                    # D_k = r_k (1 + discount D_(k+1)): all terms positive.
                    stay = math.exp(-log_drop(float(first + j), 1.0, alpha, beta, c))
                    beyond = stay * (1.0 + discount * beyond)
                    block[j] = beyond
            out[i] = block[int(tenure[i]) - first]
            continue
        total, term = 0.0, 1.0
        for j in range(int(n_renewals[i])):
            term *= _stay(int(tenure[i]) + j, alpha, beta, c, known)
            total += term
            term *= discount
            if term <= _NOTHING * total:
                break
        out[i] = total


# Gauss-Legendre on (0, 1), twelve points.
_NODES, _WEIGHTS = (values.copy() for values in np.polynomial.legendre.leggauss(12))
_NODES = (_NODES + 1.0) / 2.0
_WEIGHTS = _WEIGHTS / 2.0
# A sum over renewals is taken term by term while a term falls by more than this, and as an integral beyond.
_SMOOTH = 0.1
_FIRST_TERMS = 9


@njit(cache=True, error_model="numpy")
def _endless_sum(k: float, rate: float, alpha: float, beta: float, c: float) -> float:
    """`discounted_renewals` without an end.

    Term by term as long as terms are uneven, then the integral with Gauss and Encke's corrections by central
    differences, of which the first left out is 6e-5 times the seventh difference: with terms that fall by less than a
    tenth it is below 1e-12 of the sum. The integral runs over the logarithm of time, and ends in closed form in the
    power t^(-alpha c) that everything becomes.
    """
    if rate == 0.0 and alpha * c <= 1.0:
        return np.inf
    # Where c > 1 terms fall ever faster up to the time of the bulk of departures, and evenly only after it.
    turning = ((c - 1.0) * beta) ** (1.0 / c) if c > 1.0 else 0.0
    last = np.zeros(6)
    total, drop, n = 0.0, 0.0, 0
    while True:
        n += 1
        step = log_drop(k + n - 1.0, 1.0, alpha, beta, c)
        drop += step + (rate if n > 1 else 0.0)
        last[:5] = last[1:]
        last[5] = math.exp(-drop)
        total += last[5]
        if last[5] <= _NOTHING * total:  # both may be 0
            return float(total)
        if n >= _FIRST_TERMS and step + rate < _SMOOTH and k + n > max(turning, 10.0 * c):
            break
    # Terms n-5, ..., n: the sum from n - 2 on is the integral from n - 2.5 on, corrected there.
    total -= last[3] + last[4] + last[5]
    first = last[3] - last[2]
    third = last[4] - 3.0 * last[3] + 3.0 * last[2] - last[1]
    fifth = last[5] - 5.0 * last[4] + 10.0 * last[3] - 10.0 * last[2] + 5.0 * last[1] - last[0]
    total += first / 24.0 - 17.0 / 5760.0 * third + 367.0 / 967680.0 * fifth
    rest: float = _integral(k, n - 2.5, rate, alpha, beta, c, total)
    return float(total) + rest


@njit(cache=True, error_model="numpy")
def _integral(k: float, start: float, rate: float, alpha: float, beta: float, c: float, so_far: float) -> float:
    """Integral from `start` to infinity of the terms of `_endless_sum` as a function of time after k."""
    low, total = math.log(k + start), 0.0
    # From here on S is the power of time to all digits.
    far = (math.log(1e17) + math.log1p(alpha) + math.log1p(alpha + beta)) / c
    while True:
        t = math.exp(low)
        # How steeply a term falls with the logarithm of time; from here on only more so.
        steep = c * t**c * psi_difference(beta + t**c, alpha) + rate * t
        term = t * math.exp(-log_drop(k, t - k, alpha, beta, c) - rate * (t - k - 1.0))
        if steep > 2.0 and term < 1e-17 * (total + so_far):
            return float(total)
        if rate == 0.0 and (low > far or low > 680.0):
            return float(total + term / (alpha * c - 1.0))
        # Over no panel does it fall by much more than e^-8.
        width = min(1.0, 1.0 / c, 8.0 / steep)
        part = 0.0
        for i in range(len(_NODES)):
            t = math.exp(low + width * _NODES[i])
            part += _WEIGHTS[i] * t * math.exp(-log_drop(k, t - k, alpha, beta, c) - rate * (t - k - 1.0))
        total += width * part
        low += width


@njit(cache=True, error_model="numpy")
def renewal_quantiles(tenure: Floats, n_renewals: Floats, theta: Floats, levels: Floats) -> Floats:
    """Smallest number of renewals whose distribution function, averaged over the draws, reaches each level.

    Parameters
    ----------
    tenure, n_renewals : (n_rows,) arrays
        Renewals made, and how many come up; without an end the number is cut at 2^52.
    levels : (n_levels,) array

    Returns
    -------
    (n_rows, n_levels) array
    """
    out = np.empty((len(tenure), len(levels)))
    for i in range(len(tenure)):
        most = min(n_renewals[i], _ENDLESS)
        for j in range(len(levels)):
            # A level within 1e-12 of the distribution function counts as reached, as for purchases.
            left = 1.0 - levels[j] + 1e-12
            # P(X <= n) = 1 - P(X >= n + 1); at `most` everything is reached.
            low, high = -1.0, 0.0
            while high < most and _mean_of(tenure[i], high + 1.0, theta) > left:
                low, high = high, min(2.0 * high + 1.0, most)
            while high - low > 1.0:
                middle = math.floor(0.5 * (low + high))
                if _mean_of(tenure[i], middle + 1.0, theta) > left:
                    low = middle
                else:
                    high = middle
            out[i, j] = high
    return out


@njit(cache=True, error_model="numpy")
def _mean_of(k: float, steps: float, theta: Floats) -> float:
    total = 0.0
    for d in range(len(theta)):
        total += math.exp(-log_drop(k, steps, theta[d, 0], theta[d, 1], theta[d, 2]))
    return total / len(theta)
