"""The stages between purchases in the BG family's likelihood: s = sum_{j<k} (m)_j / j! u^j, and its derivatives."""

from __future__ import annotations

import math

from numba import njit

__all__ = ["log_stages", "stages"]


@njit(cache=True, error_model="numpy")
def log_stages(m: float, since: float, inverse_T: float, k: int) -> tuple[float, float, float, float, float, float]:
    """Logarithm of s and its derivatives in r, alpha, (r r), (r alpha), (alpha alpha).

    The terms of s are shares of it: d log s is the mean of d log(term), d2 log s the mean of d2 plus the variance.
    """
    s, h, j, g, hh, hj, jj = stages(m, since, inverse_T, k)
    h, j = h / s, j / s
    d_rr = hh / s - h * h - g / s
    d_ra = -(hj / s - h * j) * inverse_T
    d_aa = (j + jj / s - j * j) * inverse_T * inverse_T
    return math.log(s), h, -j * inverse_T, d_rr, d_ra, d_aa


@njit(cache=True, error_model="numpy")
def stages(m: float, since: float, inverse_T: float, k: int) -> tuple[float, float, float, float, float, float, float]:
    """Sums over j < k of (m)_j / j! u^j times 1, h, j, g, h^2, h j, j^2, where h and g are the sums over i < j of
    1 / (m+i) and of its square.
    """
    u, term, s = since * inverse_T, 1.0, 1.0
    h = g = sum_h = sum_j = sum_g = sum_hh = sum_hj = sum_jj = 0.0
    for j in range(1, k):
        h += 1.0 / (m + j - 1)
        g += 1.0 / (m + j - 1) ** 2
        term *= (m + j - 1) / j * u
        s += term
        sum_h += term * h
        sum_j += term * j
        sum_g += term * g
        sum_hh += term * h * h
        sum_hj += term * h * j
        sum_jj += term * j * j
    return s, sum_h, sum_j, sum_g, sum_hh, sum_hj, sum_jj
