"""BG/BB's sums over opportunities, compiled: being there, counts, never buying again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["add_pmf", "fill_alive", "never_again", "sum_endless", "sum_finite"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# From this many times the largest parameter on, three terms of an expansion hold 1e-9.
_FAR = 1000.0


@njit(cache=True, error_model="numpy")
def sum_finite(spans: Floats, gamma: float, delta: float, z: float) -> Floats:
    """Sum over j = 1, ..., m of z^j times the probability of being there at T + j, given T + 1.

    Spans (T, m) are in order, so that those of one age go on where the shorter one ended.
    """
    out = np.zeros(len(spans))
    there, total, done = 1.0, 0.0, 0
    for i in range(len(spans)):
        T = spans[i, 0]
        if i == 0 or spans[i - 1, 0] != T:
            there, total, done = z, 0.0, 0
        for j in range(done, int(spans[i, 1])):
            total += there
            there *= z * (delta + T + 1.0 + j) / (gamma + delta + T + 1.0 + j)
        done = max(done, int(spans[i, 1]))
        out[i] = total
    return out


@njit(cache=True, error_model="numpy")
def sum_endless(b: float, c: float, z: float) -> float:
    """Hypergeometric 2F1(1, b; c; z), c > b > 0, 0 < z < 1: Gauss's continued fraction, DLMF 15.7.5, forwards."""
    tiny = 1e-300
    fraction, numerator, denominator = tiny, tiny, 0.0
    for i in range(1_000_000):
        if i == 0:
            term = 1.0
        elif i % 2 == 1:
            n = (i - 1) // 2
            term = -(b + n) * (c - 1.0 + n) / ((c - 1.0 + 2.0 * n) * (c + 2.0 * n)) * z
        else:
            n = i // 2
            term = -n * (c - 1.0 - b + n) / ((c + 2.0 * n - 2.0) * (c - 1.0 + 2.0 * n)) * z
        denominator = 1.0 + term * denominator
        numerator = 1.0 + term / numerator
        denominator = 1.0 / (denominator if denominator != 0.0 else tiny)
        numerator = numerator if numerator != 0.0 else tiny
        fraction *= numerator * denominator
        if i > 0 and abs(numerator * denominator - 1.0) < 3e-16:
            break
    return fraction


@njit(cache=True, error_model="numpy")
def fill_alive(
    x: Indices,
    row_starts: Indices,
    age_starts: Indices,
    ages: Indices,
    t_x: Indices,
    at: Indices,
    theta: Floats,
    out: Floats,
) -> None:
    """Fill the share of the silence since t_x (`rows`) that those have who are there at T + 1."""
    alpha, beta, gamma, delta = theta
    for g in range(len(x)):
        of_group = ages[age_starts[g] : age_starts[g + 1]]
        silent, there = np.ones(len(of_group)), np.empty(len(of_group))
        for j in range(len(of_group)):
            there[j] = (delta + of_group[j]) / (gamma + delta + of_group[j])
        row, reached = row_starts[g + 1] - 1, 0
        for u in range(of_group[0], -1, -1):
            while reached < len(of_group) and of_group[reached] > u:
                reached += 1
            gone = gamma / (gamma + delta + u)
            stay = (delta + u) / (gamma + delta + u) * ((beta + u - x[g]) / (alpha + beta + u))
            for j in range(reached):
                silent[j] = gone + stay * silent[j]
                there[j] *= stay
            while row >= row_starts[g] and t_x[row] == u:
                out[row] = there[at[row]] / silent[at[row]]
                row -= 1
            if row < row_starts[g]:
                break


@njit(cache=True, error_model="numpy")
def add_pmf(x: Floats, T: Floats, ahead: Indices, alive: Floats, theta: Floats, out: Floats) -> None:
    """Add the probabilities of the counts of each row, of whom a share `alive` is there at T + 1."""
    alpha, beta, gamma, delta = theta
    n_max = out.shape[1] - 1
    used, own = np.empty(n_max + 1), np.empty(n_max + 1)
    for i in range(len(x)):
        own[:] = 0.0
        m = ahead[i]
        if m > 0:
            _mix_urns(alpha + x[i], beta + T[i] - x[i], gamma, delta + T[i] + 1.0, m, used, own)
        else:
            own[0] = 1.0
        out[i] += alive[i] * own
        out[i, 0] += 1.0 - alive[i]


@njit(cache=True, error_model="numpy")
def _mix_urns(A: float, B: float, gamma: float, D: float, m: int, used: Floats, own: Floats) -> None:
    """Fill `own` with the probabilities of the counts over m opportunities of who is there at the first.

    `used` is the beta-binomial of j opportunities, which Polya's urn turns into that of j + 1.
    """
    n_max = len(own) - 1
    used[:] = 0.0
    used[0] = 1.0
    there = 1.0
    for j in range(1, m + 1):
        each = 1.0 / (A + B + j - 1.0)
        top = min(j, n_max)
        for k in range(top, 0, -1):
            used[k] = (used[k] * (B + (j - 1.0 - k)) + used[k - 1] * (A + (k - 1.0))) * each
        used[0] *= (B + (j - 1.0)) * each
        leaves = gamma / (gamma + D + j - 1.0) if j < m else 1.0
        share = there * leaves
        for k in range(top + 1):
            own[k] += share * used[k]
        there *= (D + j - 1.0) / (gamma + D + j - 1.0)


@njit(cache=True, error_model="numpy")
def never_again(A: float, B: float, gamma: float, D: float) -> float:
    """Probability that who is there at the next opportunity never uses one again.

    The sum over j of gone after j, none of them used: (D)_{j-1}/(gamma+D)_{j-1} gamma/(gamma+D+j-1) (B)_j/(A+B)_j. Its
    terms fall as j^-(1+gamma+A): from far out on, an expansion sums up the rest.
    """
    a1, a2, b1, b2 = D - 1.0, B, gamma + D, A + B
    excess = gamma + A
    total, term, j = 0.0, B / (A + B) * gamma / (gamma + D), 1.0
    end = _FAR * (1.0 + b1 + b2)
    while j < end:
        total += term
        term *= (j + a1) / (j + b1) * ((j + a2) / (j + b2))
        j += 1.0
        if term * (j + b1 + b2) < 1e-15 * excess * total:
            return total
    rest: float = _rest(j, a1 + a2, a1 * a2, b1 + b2, b1 * b2)
    return total + term * rest


@njit(cache=True, error_model="numpy")
def _rest(j: float, a: float, aa: float, b: float, bb: float) -> float:
    """Sum from a far j on, over its first term, of terms whose ratio is (j^2 + a j + aa) / (j^2 + b j + bb).

    Such a sum S obeys S(j) = 1 + ratio S(j+1), which its expansion in 1 / j is matched to.
    """
    first = 1.0 / (b - a - 1.0)
    second = (b + first * (a + aa - bb)) / (b - a)
    third = (bb + second * (aa - bb) + aa * first) / (b - a + 1.0)
    return first * j + second + third / j
