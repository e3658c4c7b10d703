"""The BG family by mpmath at 40 digits, straight from the densities: slow, and independent of the kernels' forms."""

from __future__ import annotations

import mpmath as mp

mp.mp.dps = 40


def log_likelihood(x, t_x, T, r, alpha, a, b, k=1, first=False):
    """Without the constants of k > 1."""
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    alive, left = _alive_left(x, t_x, T, r, alpha, a, b, k, first)
    return mp.log(alive + left) + r * mp.log(alpha) - mp.loggamma(r)


def p_alive(x, t_x, T, r, alpha, a, b, k=1, first=False):
    x, t_x, T, r, alpha, a, b = map(mp.mpf, (x, t_x, T, r, alpha, a, b))
    alive, left = _alive_left(x, t_x, T, r, alpha, a, b, k, first)
    return alive / (alive + left)


def _alive_left(x, t_x, T, r, alpha, a, b, k, first):
    n, m = x + first, r + k * x
    stages = mp.fsum((T - t_x) ** j / mp.factorial(j) * mp.gamma(m + j) / (alpha + T) ** (m + j) for j in range(k))
    alive = mp.beta(a, b + n) / mp.beta(a, b) * stages
    left = mp.beta(a + 1, b + n - 1) / mp.beta(a, b) * mp.gamma(m) / (alpha + t_x) ** m if n > 0 else mp.mpf(0)
    return alive, left


def stage_weights(x, t_x, T, r, alpha, k):
    m, u = mp.mpf(r) + k * x, (mp.mpf(T) - t_x) / (mp.mpf(alpha) + T)
    weights = [mp.rf(m, j) / mp.factorial(j) * u**j for j in range(k)]
    return [weight / mp.fsum(weights) for weight in weights]


def expected_if_alive(tau, m, a, B, k=1, j=0):
    """By summing P(X >= i) over negative binomial counts, or (k = 1) by the integral over p as hypergeometrics."""
    tau, m, a, B = map(mp.mpf, (tau, m, a, B))
    if k == 1:
        # E[(1 - (1 + p tau)^-m) / p] = lim of  [1 - 2F1(m, a-1; a+B-1; -tau)] (a+B-1) / (a-1)
        if a == 1:
            a += mp.mpf(10) ** -25
        with mp.workdps(80):
            return (1 - mp.hyp2f1(m, a - 1, a + B - 1, -tau)) * (a + B - 1) / (a - 1)
    z = tau / (1 + tau)
    total, stays, stay, purchases, M, probability = mp.mpf(0), mp.mpf(0), mp.mpf(1), 0, 0, (1 - z) ** m
    while True:
        M += 1
        probability *= (m + M - 1) / M * z
        if (j + M) % k == 0:
            stays += stay
            stay *= (B + purchases) / (a + B + purchases)
            purchases += 1
        total += probability * stays
        if m * tau + 50 < M and probability * stays * (1 + tau) < total * mp.mpf(10) ** -30:
            return total
