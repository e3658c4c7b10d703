"""Gamma-Gamma spend's log-likelihood and gradient, without the Hessian: what a sampler asks for at every step.

Spend enters the likelihood through two functions of gamma alone, and their slopes in log gamma:

    large = sum x log((gamma + xm) / xm),    small = sum log((gamma + xm) / gamma).

As sums over customers they are dear, but they are analytic in log gamma, their singularities pi away from the real
line: one panel of Chebyshev nodes serves all calls that fall within it. What is left goes by the distinct x.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import gammaln, psi

from predclv.kernels.gamma_gamma.compiled import log_likelihood_derivatives

__all__ = ["bind_gradient"]

FloatArray = NDArray[np.float64]

# A panel is 1 wide in log gamma. The ellipse of its Chebyshev series that touches the singularities has
# rho = 2 pi + sqrt(4 pi^2 + 1) = 12.6, so that 16 terms leave 2e-18.
_N_NODES = 16
_ANGLES = np.pi * (np.arange(_N_NODES) + 0.5) / _N_NODES
_ORDERS = np.arange(_N_NODES, dtype=np.float64)
_TO_COEFFICIENTS = np.cos(np.outer(_ANGLES, _ORDERS)) * np.where(_ORDERS > 0, 2.0, 1.0) / _N_NODES
# Panels on either side of the mean log total; a sampler that strays further does not stay.
_PANELS = 16
_CHUNK = 1024


def bind_gradient(x: FloatArray, m: FloatArray, weight: FloatArray) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """Bind weighted rows; the result maps theta (3,) to the log-likelihood and its gradient (3,).

    The first call in a panel of gamma costs some 16 sums over the rows, the others no sum at all.

    Parameters
    ----------
    x, m : (n_rows,) arrays
        Repeat purchases, >= 1, and their mean spend, > 0.
    weight : (n_rows,) array
        Customers the row stands for.

    Returns
    -------
    callable
        Of theta: p, q, gamma on the natural scale; `gamma` in the unit of `m`.

    References
    ----------
    Fader & Hardie (2013), brucehardie.com/notes/025, eq. (1a). Trefethen (2013), Approximation Theory and
    Approximation Practice, theorem 8.2.
    """
    return _Gradient(x, m, weight)


class _Gradient:
    def __init__(self, x: FloatArray, m: FloatArray, weight: FloatArray) -> None:
        self._rows = x, m, weight
        self._total = x * m
        self._log_total = np.log(self._total)
        # A segment may have no repeat buyers.
        self._center = float(self._log_total.mean()) if len(x) else 0.0
        self._panels: dict[int, FloatArray] = {}
        counts, inverse = np.unique(x, return_inverse=True)
        weights = np.bincount(inverse, weights=weight)
        # The gamma functions' arguments are p x + q, p x and q, here as [p, q] @ design; the first adds, others take.
        none, one = np.zeros_like(counts), np.ones_like(counts)
        self._design = np.array([[*counts, *counts, 0.0], [*one, *none, 1.0]])
        self._sign = np.concatenate([weights, -weights, [-weights.sum()]])
        self._signed_design = self._design * self._sign
        self._constant = -float(weight @ np.log(m))

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        p, q, gamma = (float(number) for number in theta)
        position = math.log(gamma) - self._center
        # Negated, so that NaN counts as outside.
        if not abs(position) < _PANELS:
            return log_likelihood_derivatives(*self._rows, theta)[:2]
        panel = round(position)
        series = np.cos(_ORDERS * math.acos(2.0 * (position - panel)))
        large, small, large_slope, small_slope = (self._coefficients(panel) @ series).tolist()
        arguments = theta[:2] @ self._design
        of_p, of_q = (self._signed_design @ psi(arguments)).tolist()
        value = self._constant + float(self._sign @ gammaln(arguments)) - p * large - q * small
        return value, np.array([of_p - large, of_q - small, -(p * large_slope + q * small_slope) / gamma])

    def _coefficients(self, panel: int) -> FloatArray:
        """Chebyshev series of both sums and of their slopes in log gamma, (4, n_nodes)."""
        if panel not in self._panels:
            x, _, weight = self._rows
            log_gamma = self._center + panel + 0.5 * np.cos(_ANGLES)
            sums = _sums_at_nodes(self._total, self._log_total, x, weight, log_gamma)
            self._panels[panel] = sums @ _TO_COEFFICIENTS
        return self._panels[panel]


@njit(cache=True, error_model="numpy")
def _sums_at_nodes(
    total: FloatArray, log_total: FloatArray, x: FloatArray, weight: FloatArray, log_gamma: FloatArray
) -> FloatArray:
    gamma, sums = np.exp(log_gamma), np.zeros((4, len(log_gamma)))
    for start in range(0, len(total), _CHUNK):
        for j in range(len(gamma)):
            large = small = large_slope = small_slope = 0.0
            for i in range(start, min(start + _CHUNK, len(total))):
                above = total[i] > gamma[j]
                # The smaller of xm / gamma and gamma / xm: neither sum loses digits at its end.
                ratio = gamma[j] / total[i] if above else total[i] / gamma[j]
                log_rest, distance = np.log1p(ratio), abs(log_total[i] - log_gamma[j])
                share = 1.0 / (1.0 + ratio)
                large += weight[i] * x[i] * (log_rest if above else log_rest + distance)
                small += weight[i] * (log_rest + distance if above else log_rest)
                large_slope += weight[i] * x[i] * (ratio * share if above else share)
                small_slope -= weight[i] * (share if above else ratio * share)
            sums[0, j] += large
            sums[1, j] += small
            sums[2, j] += large_slope
            sums[3, j] += small_slope
    return sums
