"""Differences of log gamma, digamma and trigamma that keep all their digits, compiled.

Taken as they stand, the terms of such a difference may be a million times as large as itself. Here small arguments go
up by the recurrence, whose terms are all of one sign, and large ones by Stirling's series, term by term.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

__all__ = ["log_gamma_cross", "psi_difference", "trigamma", "trigamma_difference"]

# From here on five terms of Stirling's series hold all digits.
_LARGE = 16.0
# Gauss-Legendre on (0, 1): over a stretch at most a quarter of the distance to the pole these hold 1e-20.
_NODES, _WEIGHTS = (values.copy() for values in np.polynomial.legendre.leggauss(8))
_NODES = (_NODES + 1.0) / 2.0
_WEIGHTS = _WEIGHTS / 2.0


@njit(cache=True, error_model="numpy")
def psi_difference(z: float, d: float) -> float:
    """Digamma at z + d less digamma at z, for z > 0 and d >= 0; DLMF 5.5.2 and 5.11.2."""
    total = 0.0
    while z < _LARGE:
        total += d / (z * (z + d))
        z += 1.0
    large: float = _psi_difference_large(z, d)
    return total + large


@njit(cache=True, error_model="numpy")
def _psi_difference_large(z: float, d: float) -> float:
    u, v = 1.0 / z, 1.0 / (z + d)
    gap = d * v * u  # u - v
    uu, vv = u * u, v * v
    squares = gap * (u + v)  # uu - vv
    series = 1.0 / 12.0 - (uu + vv) / 120.0 + (uu * uu + uu * vv + vv * vv) / 252.0
    series -= (uu + vv) * (uu * uu + vv * vv) / 240.0
    series += (uu**4 + uu**3 * vv + uu * uu * vv * vv + uu * vv**3 + vv**4) / 132.0
    return math.log1p(d * u) + 0.5 * gap + squares * series


@njit(cache=True, error_model="numpy")
def trigamma(z: float) -> float:
    """Derivative of digamma, for z > 0; DLMF 5.15.5 and 5.15.8."""
    total = 0.0
    while z < _LARGE:
        total += 1.0 / (z * z)
        z += 1.0
    u = 1.0 / z
    uu = u * u
    series = 1.0 / 6.0 - uu * (1.0 / 30.0 - uu * (1.0 / 42.0 - uu * (1.0 / 30.0 - uu * 5.0 / 66.0)))
    return total + u + 0.5 * uu + u * uu * series


@njit(cache=True, error_model="numpy")
def trigamma_difference(z: float, d: float) -> float:
    """Trigamma at z less trigamma at z + d, for z > 0 and d >= 0."""
    total = 0.0
    while z < _LARGE:
        u, v = 1.0 / z, 1.0 / (z + d)
        total += d * v * u * (u + v)
        z += 1.0
    u, v = 1.0 / z, 1.0 / (z + d)
    uu, vv, uv = u * u, v * v, u * v
    series = 1.0 + 0.5 * (u + v) + (uu + uv + vv) / 6.0
    series -= (uu * uu + uu * uv + uv * uv + uv * vv + vv * vv) / 30.0
    series += (uu**3 + uu * uu * uv + uu * uv * uv + uv**3 + uv * uv * vv + uv * vv * vv + vv**3) / 42.0
    eighths = uu**4 + uu**3 * uv + uu * uu * uv * uv + uu * uv**3 + uv**4
    eighths += uv**3 * vv + uv * uv * vv * vv + uv * vv**3 + vv**4
    return total + d * v * u * (series - eighths / 30.0)


@njit(cache=True, error_model="numpy")
def log_gamma_cross(z: float, a: float, d: float) -> float:
    """Log of Gamma(z+a+d) Gamma(z) / (Gamma(z+a) Gamma(z+d)), for z > 0 and a, d >= 0; it is at least 0.

    That is the logarithm of B(a, z) / B(a, z + d); symmetric in a and d.
    """
    total = 0.0
    while z < _LARGE:
        total += math.log1p(a / z * (d / (z + a + d)))
        z += 1.0
    short, long = min(a, d), max(a, d)
    if short <= 0.25 * z:
        # The integral of digamma's difference over the short side: all of one sign.
        for i in range(len(_NODES)):
            total += _WEIGHTS[i] * short * _psi_difference_large(z + short * _NODES[i], long)
        return total
    # Both sides are as long as z: nothing cancels in Stirling's own form.
    total += long * math.log1p(short / (z + long))
    total += (z + short - 0.5) * math.log1p(long / (z + short)) - (z - 0.5) * math.log1p(long / z)
    rest: float = (_rest(z + long + short) - _rest(z + long)) - (_rest(z + short) - _rest(z))
    return total + rest


@njit(cache=True, error_model="numpy")
def _rest(z: float) -> float:
    """What Stirling's formula for log gamma lacks; DLMF 5.11.1."""
    u = 1.0 / z
    uu = u * u
    return u * (1.0 / 12.0 - uu * (1.0 / 360.0 - uu * (1.0 / 1260.0 - uu * (1.0 / 1680.0 - uu / 1188.0))))
