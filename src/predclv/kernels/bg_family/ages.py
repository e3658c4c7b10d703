"""What x and T alone add to the BG family's likelihood: r log alpha - (r + k x) log(alpha + T), and its derivatives."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

__all__ = ["add_alive", "runs_of_age"]

Floats = npt.NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def runs_of_age(x: Floats, T: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """x, T and weight of each run of rows with one (x, T)."""
    run_x, run_age, run_weight, run = np.empty(len(x)), np.empty(len(x)), np.zeros(len(x)), -1
    for i in range(len(x)):
        if i == 0 or x[i] != x[i - 1] or T[i] != T[i - 1]:
            run += 1
            run_x[run], run_age[run] = x[i], T[i]
        run_weight[run] += weight[i]
    return run_x[: run + 1].copy(), run_age[: run + 1].copy(), run_weight[: run + 1].copy()


# Sums in any order, so that a processor takes several rows at once.
@njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def add_alive(
    gradient: Floats,
    hessian: Floats,
    events: Floats,
    T: Floats,
    weight: Floats,
    log_T: Floats,
    r: float,
    alpha: float,
) -> float:
    """Value of the sum of r log alpha - m log(alpha+T), m = r + events; its derivatives are added.

    `log_T` is log(1 + T/alpha).
    """
    value = n_events = d_r = d_alpha = d_ra = d_aa = total = 0.0
    share = r / alpha
    for i in range(len(T)):
        inverse_T = 1.0 / (alpha + T[i])
        value += weight[i] * (r + events[i]) * log_T[i]
        n_events += weight[i] * events[i]
        total += weight[i]
        d_r += weight[i] * log_T[i]
        d_alpha += weight[i] * (share * T[i] - events[i]) * inverse_T
        d_ra += weight[i] * T[i] * inverse_T
        d_aa += weight[i] * (r + events[i]) * inverse_T * inverse_T
    gradient[0] -= d_r
    gradient[1] += d_alpha
    hessian[0, 1] += d_ra / alpha
    hessian[1, 0] += d_ra / alpha
    hessian[1, 1] += d_aa - total * share / alpha
    return -value - n_events * math.log(alpha)
