"""Futures of customers, simulated purchase by purchase given their histories and added up by segment and period.

Exact: whoever is alive gets a purchase rate from its posterior given the history, and a life. Chance of leaving is
either drawn with the customer or, in the BG family, asked for after each purchase by Polya's urn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels.random_streams import gamma, uniform

__all__ = ["MEASURES", "bg_bb_draw", "bg_family_draw", "pareto_nbd_draw", "simulate_periods"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

#: What is added up, in the order of the last axis.
MEASURES = ("active", "purchases", "revenue", "margin")
_CHUNK = 131_072


def simulate_periods(
    simulate_draw: Callable[..., None],
    p_alive_by_stage: Callable[..., Floats],
    customers: tuple[Floats, Floats, Floats, Floats, Floats, Indices, npt.NDArray[np.bool_]],
    n_segments: int,
    edges: Floats,
    theta: Floats,
    theta_spend: Floats,
    seed: int,
) -> Floats:
    """Simulate every customer's purchases after T, once per draw, and add them up by segment and period.

    Parameters
    ----------
    simulate_draw : callable
        Compiled, one of this module's; it adds to the totals of a draw.
    p_alive_by_stage : callable
        From x, t_x, T and theta (1, n_parameters) to (n_stages, 1, n_rows).
    customers : x, t_x, T, mean_spend, margin, segment, counted
        (n_rows,) arrays; `counted` says who is among the active of the first period already.
    n_segments : int
    edges : (n_periods + 1,) array
        Times after T, increasing from 0; period j is (edges[j], edges[j + 1]]. Opportunities, where these are counted.
    theta : (n_draws, n_parameters) array
    theta_spend : (n_draws, 3) or (n_draws, 0) array
        p, q, gamma, paired with `theta`; without columns, money is 0.
    seed : int

    Returns
    -------
    (n_draws, n_segments, n_periods, 4) array
        Customers with a purchase in the period, purchases, money, and money times margin.

    Notes
    -----
    Rows are taken in the order of their content, so totals do not depend on how the customers came; a chunk at a time,
    so memory grows with the rows alone. Every draw of a chunk has its own random stream.
    """
    x, t_x, T, mean_spend, margin, segment, counted = customers
    order = np.lexsort((counted, margin, mean_spend, t_x, T, x, segment))
    out = np.zeros((len(theta), n_segments, len(edges) - 1, len(MEASURES)))
    edges = np.ascontiguousarray(edges, dtype=np.float64)
    no_spend = np.zeros(3)
    for number, start in enumerate(range(0, len(order), _CHUNK)):
        some = order[start : start + _CHUNK]
        history = np.column_stack((x[some], t_x[some], T[some])).astype(np.float64)
        starts = np.ones(len(history), dtype=bool)
        starts[1:] = (history[1:] != history[:-1]).any(axis=1)
        distinct, of_row = np.ascontiguousarray(history[starts].T), np.cumsum(starts) - 1
        rows = np.column_stack((x[some], T[some], mean_spend[some], margin[some])).astype(np.float64)
        about = of_row, segment[some].astype(np.int64), counted[some].astype(np.bool_)
        for d in range(len(theta)):
            point = np.ascontiguousarray(theta[d], dtype=np.float64)
            spend = np.ascontiguousarray(theta_spend[d], dtype=np.float64) if theta_spend.shape[1] else no_spend
            alive = np.ascontiguousarray(p_alive_by_stage(*distinct, point[np.newaxis])[:, 0])
            state = np.random.SeedSequence([seed, d, number]).generate_state(4, np.uint64)
            simulate_draw(rows, alive, *about, edges, point, spend, state, out[d])
    return out


@njit(cache=True, error_model="numpy")
def _rate_of_nu(state, x, mean_spend, spend):  # type: ignore[no-untyped-def]
    """A customer's own rate of spend; Gamma-Gamma given the history."""
    if spend[0] <= 0.0:
        return np.inf
    return gamma(state, spend[1] + spend[0] * x) / (spend[2] + x * mean_spend)


@njit(cache=True, error_model="numpy")
def _count(state, total, new, nu, shape, margin):  # type: ignore[no-untyped-def]
    """Add a purchase to the totals of its segment and period."""
    if new:
        total[0] += 1.0
    total[1] += 1.0
    if shape > 0.0:
        money = gamma(state, shape) / nu
        total[2] += money
        total[3] += margin * money


@njit(cache=True, error_model="numpy")
def _stage(state, alive):  # type: ignore[no-untyped-def]
    """Stage of a customer, or -1 for one who has left; `alive` (n_stages,) holds the probabilities."""
    u = uniform(state)
    for stage in range(len(alive)):
        u -= alive[stage]
        if u < 0.0:
            return stage
    return -1


@njit(cache=True, error_model="numpy")
def _wait(state, events):  # type: ignore[no-untyped-def]
    """Time to the last of so many events at rate 1."""
    return -np.log(uniform(state)) if events == 1 else gamma(state, float(events))


@njit(cache=True, error_model="numpy")
def bg_family_draw(  # type: ignore[no-untyped-def]
    rows, alive, of_row, segment, counted, edges, theta, spend, state, out, dropout_at_first
):
    """Add one draw of BG/NBD, MBG/NBD or their CNBD-k; theta is r, alpha, a, b, and k the number of stages."""
    k = alive.shape[0]
    for i in range(rows.shape[0]):
        stage = _stage(state, alive[:, of_row[i]])
        if stage < 0:
            continue
        x, T = rows[i, 0], rows[i, 1]
        rate = gamma(state, theta[0] + k * x + stage) / (theta[1] + T)
        time, period, last, nu = _wait(state, k - stage) / rate, 0, -1, -1.0
        chances = theta[2] + theta[3] + x + (1.0 if dropout_at_first else 0.0)
        while time <= edges[-1]:
            while time > edges[period + 1]:
                period += 1
            if nu < 0.0:
                nu = _rate_of_nu(state, x, rows[i, 2], spend)
            new = period != last and not (period == 0 and counted[i])
            _count(state, out[segment[i], period], new, nu, spend[0], rows[i, 3])
            last = period
            # Polya's urn: each purchase that was not the last makes leaving less likely.
            if uniform(state) * chances < theta[2]:
                break
            chances += 1.0
            time += _wait(state, k) / rate


@njit(cache=True, error_model="numpy")
def pareto_nbd_draw(  # type: ignore[no-untyped-def]
    rows, alive, of_row, segment, counted, edges, theta, spend, state, out
):
    """Add one draw of Pareto/NBD; theta is r, alpha, s, beta, and s = 0 means that nobody leaves."""
    for i in range(rows.shape[0]):
        if uniform(state) >= alive[0, of_row[i]]:
            continue
        x, T = rows[i, 0], rows[i, 1]
        rate = gamma(state, theta[0] + x) / (theta[1] + T)
        end = edges[-1]
        if theta[2] > 0.0:
            end = min(end, (theta[3] + T) * np.expm1(-np.log(uniform(state)) / theta[2]))
        time, period, last, nu = _wait(state, 1) / rate, 0, -1, -1.0
        while time <= end:
            while time > edges[period + 1]:
                period += 1
            if nu < 0.0:
                nu = _rate_of_nu(state, x, rows[i, 2], spend)
            new = period != last and not (period == 0 and counted[i])
            _count(state, out[segment[i], period], new, nu, spend[0], rows[i, 3])
            last = period
            time += _wait(state, 1) / rate


@njit(cache=True, error_model="numpy")
def bg_bb_draw(  # type: ignore[no-untyped-def]
    rows, alive, of_row, segment, counted, edges, theta, spend, state, out
):
    """Add one draw of BG/BB; theta is alpha, beta, gamma, delta, and times are opportunities."""
    for i in range(rows.shape[0]):
        if uniform(state) >= alive[0, of_row[i]]:
            continue
        x, T = rows[i, 0], rows[i, 1]
        buys = _draw_beta(state, theta[0] + x, theta[1] + T - x)
        leaves = _draw_beta(state, theta[2], theta[3] + T + 1.0)
        # Alive means there at the next opportunity.
        end = min(edges[-1], 1.0 + _failures(state, leaves))
        time, period, last, nu = 1.0 + _failures(state, buys), 0, -1, -1.0
        while time <= end:
            while time > edges[period + 1]:
                period += 1
            if nu < 0.0:
                nu = _rate_of_nu(state, x, rows[i, 2], spend)
            new = period != last and not (period == 0 and counted[i])
            _count(state, out[segment[i], period], new, nu, spend[0], rows[i, 3])
            last = period
            time += 1.0 + _failures(state, buys)


@njit(cache=True, error_model="numpy")
def _draw_beta(state, a, b):  # type: ignore[no-untyped-def]
    first, second = gamma(state, a), gamma(state, b)
    if first + second > 0.0:
        return first / (first + second)
    # Both underflow where both shapes are tiny: the limit is a coin.
    return 1.0 if uniform(state) * (a + b) < a else 0.0


@njit(cache=True, error_model="numpy")
def _failures(state, p):  # type: ignore[no-untyped-def]
    """Failures before a success of probability p: infinitely many for p = 0, none for p = 1."""
    u = uniform(state)
    if p <= 0.0:
        return np.inf
    return np.floor(np.log(u) / np.log1p(-p)) if p < 1.0 else 0.0
