"""Pareto/NBD by mpmath at 40 digits, from the papers' hypergeometric forms and the densities: slow, and unlike the
kernels' forms."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp

from kernels.differences import gradient_and_hessian

mp.mp.dps = 40


def log_likelihood(x, t_x, T, r, alpha, s, beta):
    x, t_x, T, r, alpha, s, beta = map(mp.mpf, (x, t_x, T, r, alpha, s, beta))
    alive, left = _alive_and_left(x, t_x, T, r, alpha, s, beta)
    rate = mp.loggamma(r + x) - mp.loggamma(r) + r * mp.log(alpha) + s * mp.log(beta)
    return rate + mp.log(alive + left)


def derivatives(x, t_x, T, theta):
    """Gradient and Hessian, at 65 digits."""
    return gradient_and_hessian(lambda *at: log_likelihood(x, t_x, T, *at), theta, 65)


def p_alive(x, t_x, T, r, alpha, s, beta):
    x, t_x, T, r, alpha, s, beta = map(mp.mpf, (x, t_x, T, r, alpha, s, beta))
    alive, left = _alive_and_left(x, t_x, T, r, alpha, s, beta)
    return alive / (alive + left)


def tail(y, m, alpha, s, beta):
    """Integral of s (alpha+u)^-m (beta+u)^-(s+1) from y on; Fader & Hardie (2005)."""
    M = m + s
    if alpha >= beta:
        z = (alpha - beta) / (alpha + y)
        return s / M * (alpha + y) ** -M * mp.hyp2f1(M, s + 1, M + 1, z)
    z = (beta - alpha) / (beta + y)
    return s / M * (beta + y) ** -M * mp.hyp2f1(M, m, M + 1, z)


def _alive_and_left(x, t_x, T, r, alpha, s, beta):
    """The likelihood's two terms, without Gamma(m)/Gamma(r) alpha^r beta^s."""
    m = r + x
    left = tail(t_x, m, alpha, s, beta) - tail(T, m, alpha, s, beta) if t_x < T else mp.mpf(0)
    return (alpha + T) ** -m * (beta + T) ** -s, left


def expected_if_alive(T, horizon, m, alpha, s, beta):
    """Fader & Hardie (2005), eq. (41); s = 1 is the limit of its neighbours."""
    T, horizon, m, alpha, s, beta = map(mp.mpf, (T, horizon, m, alpha, s, beta))
    with mp.workdps(80):
        s += mp.mpf(10) ** -25 * (s == 1)
        ratio = (beta + T) / (beta + T + horizon)
        return m * (beta + T) / ((alpha + T) * (s - 1)) * (1 - ratio ** (s - 1))


def discounted_if_alive(T, horizon, delta, m, alpha, s, beta):
    """The infinite horizon by the exponential integral, a finite one as what it has before the horizon."""
    T, delta, m, alpha, s, beta = map(mp.mpf, (T, delta, m, alpha, s, beta))
    z = delta * (beta + T)
    value = mp.exp(z) * mp.expint(s, z)
    if horizon != mp.inf:
        growth = 1 + mp.mpf(horizon) / (beta + T)
        value -= growth ** (1 - s) * mp.exp(z) * mp.expint(s, z * growth)
    return m * (beta + T) / (alpha + T) * value


def pmf_if_alive(T, horizon, k, m, alpha, s, beta):
    """P(X = k) given alive: the negative binomial over each lifetime, by adaptive quadrature in pieces."""
    T, t, m, alpha, s, beta = map(mp.mpf, (T, horizon, m, alpha, s, beta))
    A, B = alpha + T, beta + T
    constant = mp.gamma(m + k) / mp.gamma(m) / mp.factorial(k)

    def negative_binomial(tau):
        return constant * (A / (A + tau)) ** m * (tau / (A + tau)) ** k

    def integrand(y):
        tau = mp.exp(y)
        return tau * s / B * (1 + tau / B) ** (-s - 1) * negative_binomial(tau)

    with mp.workdps(25):
        # In log tau, from where nothing is left below, in pieces that no peak is narrower than by much.
        low = mp.log(t) - 80 / (mp.mpf(k) + 1)
        low = min(low, mp.log(B) - 60 / (mp.mpf(k) + 1), mp.log(A / m) - 60 / (mp.mpf(k) + 1))
        n = int(40 + 8 * mp.sqrt(k + m) + 2 * (s + 1))
        points = [low + (mp.log(t) - low) * i / n for i in range(n + 1)]
        left = mp.fsum(mp.quad(integrand, [a, b], maxdegree=4) for a, b in pairwise(points))
        return (1 + t / B) ** -s * negative_binomial(t) + left
