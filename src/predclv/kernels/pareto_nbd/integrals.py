"""Integrals over the time at which a Pareto/NBD customer leaves, compiled.

All are of smooth powers of alpha + u and beta + u. Their variable is log(kappa + u), kappa the smaller of alpha and
beta: on it the integrands have no singularity nearer than pi, whatever the parameters, so that twelve Gauss-Legendre
points hold a panel of one unit, or of a few e-foldings, to the last digits.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_WEIGHTS

__all__ = ["discounted_time", "expected_time", "left_before", "left_ever", "panel_width"]

# Series in powers of at most this; beyond, panels go on until the powers are at most a half.
_LARGEST_RATIO = 0.8
# What is this small against a sum changes no bit of it.
_NEGLIGIBLE = 1e-17
# From here on the continued fraction of the exponential integral converges in some tens of steps.
_FAR = 2.0


@njit(cache=True, error_model="numpy")
def left_ever(m: float, s: float, a: float, b: float) -> float:
    """Integral over w >= 0 of s / (b+w) (1+w/a)^-m (1+w/b)^-s: for a = alpha+y, b = beta+y the paper's S(y) / O(y).

    The series are those of Fader & Hardie (2005) after Euler's transformation: their terms are positive, and
    are powers of |a-b| / max(a, b) times ratios below one.
    """
    if abs(a - b) <= _LARGEST_RATIO * max(a, b):
        series: float = _series(m, s, a, b)
        return series
    # max(a, b) + end = 2 |a-b|
    end = 2.0 * abs(a - b) - max(a, b)
    rest: float = _series(m, s, a + end, b + end)
    near: float = left_before(m, s, a, b, end)
    return near + rest * math.exp(-m * math.log1p(end / a) - s * math.log1p(end / b))


@njit(cache=True, error_model="numpy")
def _series(m: float, s: float, a: float, b: float) -> float:
    if a >= b:
        ratio, rising, first = (a - b) / a, m, s / (m + s)
    else:
        ratio, rising, first = (b - a) / b, s + 1.0, s / (m + s) * (a / b)
    total, term, falling = 1.0, 1.0, m + s + 1.0
    while term > _NEGLIGIBLE * (1.0 - ratio) * total:
        term *= rising / falling * ratio
        total += term
        rising += 1.0
        falling += 1.0
    return first * total


@njit(cache=True, error_model="numpy")
def left_before(m: float, s: float, a: float, b: float, end: float) -> float:
    """The integral of `left_ever` over (0, end)."""
    total, w = 0.0, 0.0
    while w < end:
        kappa = min(a, b) + w
        whole = math.log1p((end - w) / kappa)
        width = min(panel_width(m, s, a + w, b + w), whole)
        panel = 0.0
        for node in range(len(LEGENDRE_NODES)):
            step = kappa * math.expm1(width * LEGENDRE_NODES[node])
            u = w + step
            density = math.exp(-m * math.log1p(u / a) - s * math.log1p(u / b)) * s / (b + u)
            panel += LEGENDRE_WEIGHTS[node] * (kappa + step) * density
        total += width * panel
        if width == whole or width * panel <= _NEGLIGIBLE * total:
            break
        w += kappa * math.expm1(width)
    return total


@njit(cache=True, error_model="numpy")
def panel_width(m: float, s: float, a: float, b: float) -> float:
    """Length in log(kappa + u) on which (a+w)^-m (b+w)^-(s+1) falls by a few e-foldings, at most one unit."""
    return min(1.0, 4.0 / (min(a, b) * (m / a + (s + 1.0) / b) + 1.0))


@njit(cache=True, error_model="numpy")
def expected_time(s: float, b: float, end: float) -> float:
    """Integral over (0, end) of (1+w/b)^-s: the time that a customer alive at T, b = beta+T, stays within `end`.

    Fader & Hardie (2005), eq. (41), written so that s = 1 is no exception.
    """
    if end == np.inf:
        return b / (s - 1.0) if s > 1.0 else np.inf
    length = math.log1p(end / b)
    exponent = (1.0 - s) * length
    return b * length * (math.expm1(exponent) / exponent if exponent != 0.0 else 1.0)


@njit(cache=True, error_model="numpy")
def discounted_time(s: float, b: float, end: float, delta: float) -> float:
    """Integral over (0, end) of exp(-delta w) (1+w/b)^-s, delta > 0; `end` may be infinite.

    The infinite one is b exp(z) E_s(z), z = delta b, E_s the generalised exponential integral: by Kummer's
    transformation b z^(s-1) Psi(s, s, z), the form of Fader, Hardie & Lee (2005), Journal of Marketing Research 42(4),
    appendix. For small z it begins with panels.
    """
    z = delta * b
    last = math.log1p(end / b)
    if end == np.inf:
        last = max(math.log(_FAR / z), 0.0)
    total, v = 0.0, 0.0
    while v < last:
        width = min(1.0, 4.0 / (abs(1.0 - s) + z * math.exp(v)), last - v)
        panel = 0.0
        for node in range(len(LEGENDRE_NODES)):
            at = v + width * LEGENDRE_NODES[node]
            panel += LEGENDRE_WEIGHTS[node] * math.exp(-z * math.expm1(at) + (1.0 - s) * at)
        total += width * panel
        if width == last - v or width * panel <= _NEGLIGIBLE * total:
            v = last
        else:
            v += width
    if end == np.inf:
        total += math.exp(-z * math.expm1(last) + (1.0 - s) * last) * _exponential_integral(s, z * math.exp(last))
    return b * total


@njit(cache=True, error_model="numpy")
def _exponential_integral(s: float, z: float) -> float:
    """exp(z) E_s(z) for z not small, by its continued fraction (DLMF 8.19.17), forwards (Lentz)."""
    denominator = z + s
    c, d = 1e300, 1.0 / denominator
    fraction = d
    for i in range(1, 10_000):
        numerator = -i * (s + i - 1.0)
        denominator += 2.0
        d = 1.0 / (numerator * d + denominator)
        c = denominator + numerator / c
        fraction *= c * d
        if abs(c * d - 1.0) < 2e-16:
            break
    return fraction
