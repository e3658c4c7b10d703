"""Gamma-Gamma spend's log-likelihood of each customer at each draw: what leave-one-out validation asks for."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import gammaln

__all__ = ["pointwise_log_likelihood"]

FloatArray = NDArray[np.float64]
Indices = NDArray[np.int64]


def pointwise_log_likelihood(x: FloatArray, m: FloatArray, theta: FloatArray) -> FloatArray:
    """Log density of each customer's mean spend at each draw; Fader & Hardie (2013), eq. (1a).

    Parameters
    ----------
    x, m : (n_rows,) arrays
        Repeat purchases, >= 1, and their mean spend, > 0.
    theta : (n_draws, 3) array
        p, q, gamma on the natural scale; `gamma` in the unit of `m`.

    Returns
    -------
    (n_draws, n_rows) array
    """
    theta = np.ascontiguousarray(theta, dtype=np.float64)
    p, q = theta[:, 0, np.newaxis], theta[:, 1, np.newaxis]
    counts, row_count = np.unique(x, return_inverse=True)
    # The gamma functions depend on x alone.
    by_count = gammaln(p * counts + q) - gammaln(p * counts) - gammaln(q)
    return _by_row(np.asarray(x, np.float64), np.asarray(m, np.float64), by_count, row_count.astype(np.int64), theta)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _by_row(x: FloatArray, m: FloatArray, by_count: FloatArray, row_count: Indices, theta: FloatArray) -> FloatArray:
    out = np.empty((len(theta), len(x)))
    for i in range(len(x)):
        total = x[i] * m[i]
        log_total, log_m = np.log(total), np.log(m[i])
        for d in range(len(theta)):
            p, q, gamma = theta[d]
            # xm / (gamma + xm) and gamma / (gamma + xm) in logs: log1p keeps the digits of the share near 1.
            log_ratio = log_total - np.log(gamma)
            log_larger = -np.log1p(np.exp(-abs(log_ratio)))
            log_smaller = log_larger - abs(log_ratio)
            own, rest = (log_larger, log_smaller) if log_ratio > 0.0 else (log_smaller, log_larger)
            out[d, i] = by_count[d, row_count[i]] + p * x[i] * own + q * rest - log_m
    return out
