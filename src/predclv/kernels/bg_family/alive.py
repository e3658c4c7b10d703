"""What the BG family expects of a customer who is alive at T, compiled.

Alive, with j events since the last purchase, lambda ~ Gamma(m, alpha+T), m = r + kx + j, and p ~ Beta(a, B), B = b + n,
independent. In a horizon t = (alpha+T) tau the process has M ~ NB(m, z) events, z = tau / (1+tau), and, had the
customer no way to leave, floor((j+M) / k) purchases. A purchase is made only if those before it were all survived:

    P(X >= i) = P(floor((j+M)/k) >= i) q_{i-1},     q_i = prod_{l<i} (B+l) / (a+B+l).

The mean thus is (1-z)^m sum_M (m)_M / M! c_{floor((j+M)/k)} z^M with c_i = q_0 + ... + q_{i-1}: all terms positive, no
singularity at a = 1, coefficients free of T. Where that would take too many terms, it is the integral over p of
E[1 - (1-p)^floor((j+M)/k)] / p, which for k = 1 is (1 - (1 + p tau)^-m) / p. The probability of staying to the end of
the horizon is likewise (1-z)^m sum_M (m)_M / M! q_{floor((j+M)/k)} z^M, or the integral of E[(1-p)^floor((j+M)/k)].
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_WEIGHTS, log_sinhc

__all__ = ["expected_if_alive", "staying_if_alive"]

Floats = npt.NDArray[np.float64]

# A term this small against the sum changes no bit of it, nor do those after it: however many more are added for the
# sake of other rows, the sum is a function of its own row.
_NEGLIGIBLE = 1e-17
# Neglected terms of the tails' expansions are of order _TAIL squared.
_TAIL = 1e-7


_PURCHASES, _RATE, _STAYING = range(3)


@njit(cache=True, error_model="numpy")
def expected_if_alive(tau: Floats, m: float, a: float, B: float, k: int, j: int, rate: bool = False) -> Floats:
    """Expected purchases of those alive, for each tau = t / (alpha+T) >= 0; with `rate`, their derivative in tau."""
    return _fill(_RATE if rate else _PURCHASES, tau, m, a, B, k, j)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def staying_if_alive(tau: Floats, m: float, a: float, B: float, k: int, j: int) -> Floats:
    """Probability that those alive have not left by the end of each tau = t / (alpha+T) >= 0."""
    return _fill(_STAYING, tau, m, a, B, k, j)  # type: ignore[no-any-return]


@njit(cache=True, error_model="numpy")
def _fill(kind: int, tau: Floats, m: float, a: float, B: float, k: int, j: int) -> Floats:
    out, by_series = np.empty(len(tau)), np.empty(len(tau), np.bool_)
    for i in range(len(tau)):
        by_series[i] = _has_short_series(tau[i], m)
        if tau[i] == np.inf:
            out[i] = 0.0
            if kind == _PURCHASES:
                out[i] = (a + B - 1.0) / (a - 1.0) if a > 1.0 else np.inf
        elif not by_series[i]:
            out[i] = _mean_over_p(kind, tau[i], m, a, B, k, j)
    if np.any(by_series):
        out[by_series] = _sum_series(kind, tau[by_series], m, a, B, k, j)
    return out


@njit(cache=True, error_model="numpy")
def _has_short_series(tau: float, m: float) -> bool:
    """Whether the series ends soon (9 standard deviations and a tail) and its first factor (1-z)^m is no underflow."""
    n_terms = m * tau + 9.0 * math.sqrt(m * tau * (1.0 + tau)) + 40.0 * (1.0 + tau)
    return n_terms <= 2000.0 and m * math.log1p(tau) <= 600.0


@njit(cache=True, error_model="numpy")
def _sum_series(kind: int, tau: Floats, m: float, a: float, B: float, k: int, j: int) -> Floats:
    """The sum over M; the rate is that of events, (m+M) / (1+tau), where the next of them is a purchase."""
    all_z, probabilities, totals = tau / (1.0 + tau), np.empty(len(tau)), np.zeros(len(tau))
    for i in range(len(tau)):
        probabilities[i] = math.exp(-m * math.log1p(tau[i]))
    stay, stays, n, M, low, high = 1.0, 0.0, 0, 0, 0, len(tau)
    while low < high:
        z, probability, total = all_z[low:high], probabilities[low:high], totals[low:high]
        for _ in range(8):
            is_next = (j + M + 1) % k == 0
            if kind == _PURCHASES:
                factor = stays
            elif kind == _RATE:
                factor = (m + M) * stay if is_next else 0.0
            else:
                factor = stay
            ratio = (m + M) / (M + 1)
            for i in range(len(z)):
                total[i] += factor * probability[i]
                probability[i] *= ratio * z[i]
            M += 1
            if is_next:
                stays += stay
                stay *= (B + n) / (a + B + n)
                n += 1
        if n == 0:
            continue
        # The more time, the more terms: of times in order, those at one end are done before the others.
        bound = stays if kind == _PURCHASES else (m + M) * stay if kind == _RATE else stay
        while low < high and not bound * probabilities[low] > _NEGLIGIBLE * totals[low]:
            low += 1
        while low < high and not bound * probabilities[high - 1] > _NEGLIGIBLE * totals[high - 1]:
            high -= 1
    return totals / (1.0 + tau) if kind == _RATE else totals


@njit(cache=True, error_model="numpy")
def _mean_over_p(kind: int, tau: float, m: float, a: float, B: float, k: int, j: int) -> float:
    """Mean of `_given_p` over p ~ Beta(a, B), the beta being normalised by the same points.

    Panels of y = logit p are one unit wide at most, and narrower where the beta is. From its centre they go both
    ways until nothing is left, or until p (at the left) or 1-p (at the right) is so small that the rest of the
    integrand is a power times a linear function. `_given_p` falls with p, so that at the right it need not be looked at
    any more once it adds nothing.
    """
    width = min(1.0, 2.0 * math.sqrt(1.0 / a + 1.0 / B))
    if kind == _STAYING:
        # Whoever stays has a small p: the product with the beta is narrower, by up to 1 / sqrt(a).
        width = min(width, 2.0 / math.sqrt(a))
    low = math.log(_TAIL / (1.0 + B + (m + 1.0) * tau))
    high = math.log((a + 3.0) / _TAIL)
    centre = min(max(math.log(a / B), low), high)
    peak = _log_density(centre, a, B)
    mass = integral = 0.0
    for end in (low, high):
        start, counts = centre, True
        while start != end:
            stop = min(start + width, high) if end == high else max(start - width, low)
            panel_mass = panel_integral = 0.0
            for node in range(len(LEGENDRE_NODES)):
                y = start + (stop - start) * LEGENDRE_NODES[node]
                density = LEGENDRE_WEIGHTS[node] * math.exp(_log_density(y, a, B) - peak)
                panel_mass += density
                if counts:
                    panel_integral += density * _given_p(
                        kind, 1.0 / (1.0 + math.exp(-y)), 1.0 / (1.0 + math.exp(y)), tau, m, k, j
                    )
            mass += panel_mass * abs(stop - start)
            integral += panel_integral * abs(stop - start)
            start = stop
            if panel_integral <= _NEGLIGIBLE * integral:
                # It may be far from where the beta is that customers stay at all.
                if panel_mass <= _NEGLIGIBLE * mass and (kind != _STAYING or integral > 0.0):
                    break
                counts = end == low
        if start == end:
            small, exponent, other = 1.0 / (1.0 + math.exp(abs(end))), a if end == low else B, B if end == low else a
            weight = math.exp(exponent * math.log(small) - peak)
            half, full = math.exp((other - 1.0) * math.log1p(-small / 2)), math.exp((other - 1.0) * math.log1p(-small))
            mass += weight * _power_tail(half, full, exponent)
            if not counts:
                half = full = 0.0
            elif end == low:
                half *= _given_p(kind, small / 2, 1.0 - small / 2, tau, m, k, j)
                full *= _given_p(kind, small, 1.0 - small, tau, m, k, j)
            else:
                half *= _given_p(kind, 1.0 - small / 2, small / 2, tau, m, k, j)
                full *= _given_p(kind, 1.0 - small, small, tau, m, k, j)
            integral += weight * _power_tail(half, full, exponent)
    return integral / mass


@njit(cache=True, error_model="numpy")
def _log_density(y: float, a: float, B: float) -> float:
    """Logarithm of p^a (1-p)^B, p = 1 / (1 + exp(-y)): the density of y up to a constant."""
    tail = math.log1p(math.exp(-abs(y)))
    return -a * (max(-y, 0.0) + tail) - B * (max(y, 0.0) + tail)


@njit(cache=True, error_model="numpy")
def _power_tail(half: float, full: float, c: float) -> float:
    """Integral of u^(c-1) f(u) over (0, 1) for a linear f with f(1/2) = half, f(1) = full."""
    return (2.0 * half - full) / c + 2.0 * (full - half) / (c + 1.0)


@njit(cache=True, error_model="numpy")
def _given_p(kind: int, p: float, q: float, tau: float, m: float, k: int, j: int) -> float:
    """Expected purchases for a known p = 1 - q, their derivative in tau, or the probability of staying."""
    if k > 1:
        by_stages: float = _given_p_by_stages(kind, p, q, tau, m, k, j)
        return by_stages
    log_growth = math.log1p(p * tau)
    if kind == _PURCHASES:
        return -math.expm1(-m * log_growth) / p
    return m * math.exp(-(m + 1.0) * log_growth) if kind == _RATE else math.exp(-m * log_growth)


@njit(cache=True, error_model="numpy")
def _given_p_by_stages(kind: int, p: float, q: float, tau: float, m: float, k: int, j: int) -> float:
    """`_given_p` for k > 1: q^floor(n/k) as a sum over the k-th roots of q, and E[root^M] = (1 + (1-root) tau)^-m.

    With w = q^(1/k) and roots w_l = w exp(2 pi i l / k), q^floor(n/k) = sum_l A_l w_l^n with
    A_l = (1 - 1/q) / (k (1 - 1/w_l)). The term l = 0 goes to 1 with p, the others to 0 (like p); these come in pairs of
    conjugates, but for a real one in the middle of an even k.
    """
    epsilon = -math.log1p(-p) / k if p < 0.5 else -math.log(q) / k
    one_w = -math.expm1(-epsilon)
    log_0 = (k - 1.0) / 2.0 * epsilon + log_sinhc(k * epsilon / 2.0) - log_sinhc(epsilon / 2.0) - j * epsilon
    log_growth = math.log1p(one_w * tau)
    # Of the roots but the first: the sum of A_l w_l^j times the mean, or its derivative.
    others, w = 0.0, math.exp(-epsilon)
    if k % 2 == 0:
        middle, fall = -p / q / (k * (1.0 + 1.0 / w)) * (-w) ** j, math.log1p((1.0 + w) * tau)
        if kind == _RATE:
            others += middle * m * (1.0 + w) * math.exp(-(m + 1.0) * fall)
        else:
            others += middle * math.exp(-m * fall)
    for l in range(1, (k + 1) // 2):
        angle = 2.0 * math.pi * l / k
        root = w * complex(math.cos(angle), math.sin(angle))
        term = -2.0 * p / q / (k * (1.0 - 1.0 / root)) * root**j
        if kind == _RATE:
            others += (term * m * (1.0 - root) * (1.0 + (1.0 - root) * tau) ** (-m - 1.0)).real
        else:
            others += (term * (1.0 + (1.0 - root) * tau) ** (-m)).real
    if kind == _RATE:
        return (m * one_w * math.exp(log_0 - (m + 1.0) * log_growth) + others) / p
    if kind == _STAYING:
        return math.exp(log_0 - m * log_growth) + others
    return (-math.expm1(log_0 - m * log_growth) - others) / p
