"""How many purchases Pareto/NBD gives a customer who is alive, compiled.

Alive at T, lambda ~ Gamma(m, A), A = alpha + T, and the customer leaves at a time after T that is Lomax: later than tau
with probability (1 + tau/B)^-s, B = beta + T. Over a lifetime of tau, cut at the horizon t, purchases are negative
binomial, so that

    P(X = k) = (1 + t/B)^-s NB_k(t) + int_0^t s / (B+tau) (1 + tau/B)^-s NB_k(tau) d tau,
    NB_k(tau) = Gamma(m+k) / (Gamma(m) k!) (1-z)^m z^k,    z = tau / (A+tau).

Fader & Hardie (2006, revised 2020), Deriving an Expression for P(X(t) = x) Under the Pareto/NBD Model,
brucehardie.com/notes/012, give it for T = 0. The integral is one sum over lifetimes for all k.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.special import LEGENDRE_NODES, LEGENDRE_WEIGHTS

__all__ = ["counts_if_alive", "lifetimes"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_LARGEST = 1e250
# A lifetime over which all counts are less likely than exp(-60) against their likeliest is left out.
_NEGLIGIBLE = 60.0
# A lifetime's share of a probability that is lost in rounding, even many of them.
_LOST = 1e-20
# Panel widths: in standard deviations of the lifetime at which a count is likeliest, and in e-foldings.
_DEVIATIONS, _EFOLDINGS = 2.0, 4.0


@njit(cache=True, error_model="numpy")
def counts_if_alive(m: float, A: float, s: float, B: float, horizon: float, n_max: int) -> Floats:
    """P(X = k) for k = 0, ..., n_max, given alive; a finite horizon.

    Lifetimes take part only while they matter for k: as k rises, a longer one joins when it is no longer far too long,
    and a short one is dropped when its share is lost in rounding, to which it can only fall further.
    """
    probability = np.zeros(n_max + 1)
    tau, weight, _ = lifetimes(m, A, s, B, np.array([0.0, horizon]), float(n_max))
    z = tau / (A + tau)
    # Gamma(m+k) / (Gamma(m) k!) is choices exp(log_scale).
    first, last, choices, log_scale = 0, 0, 1.0, 0.0
    for k in range(n_max + 1):
        while last < len(tau) and not _is_beyond(m, A, tau[last], float(k)):
            log_term = math.log(choices) + log_scale - m * math.log1p(tau[last] / A)
            weight[last] *= math.exp(log_term + k * math.log(z[last])) if k > 0 else math.exp(log_term)
            last += 1
        probability[k] = _add_up(weight[first:last])
        while first < last - 1 and weight[first] <= _LOST * probability[k]:
            first += 1
        ratio = (m + k) / (k + 1.0)
        _multiply(weight[first:last], z[first:last], ratio)
        choices *= ratio
        if choices > _LARGEST:
            choices /= _LARGEST
            log_scale += math.log(_LARGEST)
    return probability


# Sums in any order, so that a processor may add several numbers at once.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _add_up(term: Floats) -> float:
    total = 0.0
    for i in range(len(term)):
        total += term[i]
    return total


@njit(cache=True, error_model="numpy")
def _multiply(term: Floats, z: Floats, ratio: float) -> None:
    for i in range(len(term)):
        term[i] *= ratio * z[i]


@njit(cache=True, error_model="numpy")
def lifetimes(m: float, A: float, s: float, B: float, edges: Floats, most: float) -> tuple[Floats, Floats, Integers]:
    """Quadrature over lifetimes, for functions such as NB_k(tau) of any k up to `most`.

    Parameters
    ----------
    edges : (n_parts + 1,) array
        Rising from 0 to the horizon: panels end there.

    Returns
    -------
    tau, weight : (n_nodes,) arrays
        The last node is the horizon, with the probability of living longer; weights sum to 1.
    part : (n_nodes,) int64 array
        1, 2, ... for lifetimes between edges; 0 for the last node.
    """
    horizon, kappa = edges[-1], min(A, B)
    starts, widths, parts = [0.0], [0.0], [0]
    for part in range(1, len(edges)):
        v, end = math.log1p(edges[part - 1] / kappa), math.log1p(edges[part] / kappa)
        while v < end:
            if _is_beyond(m, A, kappa * math.expm1(v), most):
                break
            width = _panel_width(m, A, s, B, kappa * math.expm1(v))
            if edges[part] == horizon:
                # Towards the horizon k purchases grow likelier with tau^k, or nearly so.
                at_end = _EFOLDINGS / (1.0 + (kappa + horizon) * most * A / (horizon * (A + horizon)))
                width = min(width, max((end - v) / 2.0, at_end))
            # No sliver at the end.
            if v + 1.2 * width >= end:
                width = end - v
            starts.append(v)
            widths.append(width)
            parts.append(part)
            v = end if width == end - v else v + width
    n_points = len(LEGENDRE_NODES)
    n = (len(starts) - 1) * n_points + 1
    tau, weight, of_part = np.empty(n), np.empty(n), np.zeros(n, np.int64)
    for panel in range(1, len(starts)):
        for point in range(n_points):
            i = (panel - 1) * n_points + point
            tau[i] = kappa * math.expm1(starts[panel] + widths[panel] * LEGENDRE_NODES[point])
            density = s / (B + tau[i]) * math.exp(-s * math.log1p(tau[i] / B))
            weight[i] = widths[panel] * LEGENDRE_WEIGHTS[point] * (kappa + tau[i]) * density
            of_part[i] = parts[panel]
    tau[-1], weight[-1] = horizon, math.exp(-s * math.log1p(horizon / B))
    return tau, weight, of_part


@njit(cache=True, error_model="numpy")
def _panel_width(m: float, A: float, s: float, B: float, tau: float) -> float:
    """Length in log(kappa + tau) over which both the chance of leaving and any NB_k(tau) are smooth.

    As a function of tau, NB_k peaks where k = m tau / A, with a standard deviation of sqrt(tau (A+tau) / m).
    """
    deviation = math.sqrt((tau + A / m) * (A + tau) / m) / (min(A, B) + tau)
    return min(1.0, _EFOLDINGS / (s + 2.0), _DEVIATIONS * deviation)


@njit(cache=True, error_model="numpy")
def _is_beyond(m: float, A: float, tau: float, most: float) -> bool:
    """Whether over a lifetime of `tau` many more than `most` purchases would be made."""
    likeliest = most * A / m
    if tau <= likeliest:
        return False
    log_fall = m * math.log((A + tau) / (A + likeliest))
    if most > 0.0:
        log_fall += most * (math.log((A + tau) / (A + likeliest)) - math.log(tau / likeliest))
    return log_fall > _NEGLIGIBLE
