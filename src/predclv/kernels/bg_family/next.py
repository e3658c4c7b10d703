"""The BG family's next purchase, simulated: whether it comes within the horizon, and when.

Alive at T with j events since the last purchase, the next one is the n-th event from T, n = k - j; with
lambda ~ Gamma(m, alpha+T), m = r + kx + j, its time s has s / (alpha+T) ~ BetaPrime(n, m).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from predclv.kernels.random_streams import gamma, uniform

__all__ = ["fill_buyers", "next_purchase"]


@njit(cache=True, error_model="numpy")
def fill_buyers(buyers, x, t_x, T, horizon, theta, k, dropouts):  # type: ignore[no-untyped-def]
    """Fill (k,) `buyers`, P(alive in stage j, and a purchase within the horizon); returns what lacks to one.

    Stage j has weight (m)_j / j! u^j, u = (T-t_x) / (alpha+T), m = r + kx, and having left
    a / (b+n-1) ((alpha+T) / (alpha+t_x))^m, n the `dropouts` there could have been.
    """
    r, alpha, a, b = theta[0], theta[1], theta[2], theta[3]
    m, rate = r + k * x, alpha + T
    odds = 0.0
    if dropouts > 0.0:
        odds = a / (b + dropouts - 1.0) * np.exp(m * (np.log(rate) - np.log(alpha + t_x)))
    u = (T - t_x) / rate
    stage = total = 1.0
    for j in range(1, k):
        stage *= (m + j - 1.0) / j * u
        total += stage
    z = horizon / (rate + horizon)
    stage, silent = 1.0 / (total + odds), 1.0
    for j in range(k):
        if j > 0:
            stage *= (m + j - 1.0) / j * u
        # Fewer than k - j events of NB(m + j, z).
        event = np.exp(-(m + j) * np.log1p(horizon / rate))
        none = event
        for i in range(1, k - j):
            event *= (m + j + i - 1.0) / i * z
            none += event
        buyers[j] = stage * max(1.0 - none, 0.0)
        silent -= buyers[j]
    return silent


@njit(cache=True, error_model="numpy")
def next_purchase(state, share, buyers, x, T, horizon, theta, k):  # type: ignore[no-untyped-def]
    """Time of the next purchase given that it comes within the horizon.

    `share` is a uniform that chooses the stage and, where the next event is the purchase, its time as well.
    """
    place, j = share * buyers.sum(), 0
    while j < k - 1 and place >= buyers[j]:
        place -= buyers[j]
        j += 1
    m, rate, n = theta[0] + k * x + j, theta[1] + T, k - j
    end = np.log1p(horizon / rate)
    if n == 1:
        within = min(place / buyers[j], 1.0) * -np.expm1(-m * end)
        return rate * np.expm1(-np.log1p(-within) / m)
    return rate * np.expm1(_log_beta_prime_below(state, n, m, end))


@njit(cache=True, error_model="numpy")
def _log_beta_prime_below(state, n, m, end):  # type: ignore[no-untyped-def]
    """log(1 + BetaPrime(n, m)) given that it is below `end`: density (1 - exp(-y))^(n-1) exp(-m y), log-concave.

    Up to the mode a tangent at the end lies close above it. Beyond the mode either most of it is below the end, or
    it is nearly the exponential's.
    """
    slope = (n - 1.0) / np.expm1(end) - m
    if slope > 0.0:
        log_end = np.log(-np.expm1(-end))
        while True:
            y = end + np.log1p(uniform(state) * np.expm1(-slope * end)) / slope
            log_density = (n - 1.0) * (np.log(-np.expm1(-y)) - log_end) - m * (y - end)
            if np.log(uniform(state)) < log_density - slope * (y - end):
                return y
    last = -np.expm1(-m * end)
    # In n draws from the exponential one is expected to be kept: its density relative to the bound is a power n - 1.
    by_exponential = last < 0.9
    ceiling = -np.expm1(-end)
    while True:
        if by_exponential:
            y = -np.log1p(-uniform(state) * last) / m
            if uniform(state) < (-np.expm1(-y) / ceiling) ** (n - 1.0):
                return y
        else:
            y = np.log1p(gamma(state, float(n)) / gamma(state, m))
            if y <= end:
                return y
