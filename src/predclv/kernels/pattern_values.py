"""What a distribution of value is made of, for rows with parameters of their own: BG family and Pareto/NBD.

Row by row the kernels that forecasts of many rows share parameters in; compiled loops, because with covariates almost
every row may differ.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from predclv.kernels import bg_family
from predclv.kernels.bg_family.counts import counts_if_alive as bg_counts_if_alive
from predclv.kernels.bg_family.discounts import stage_discount_moments
from predclv.kernels.discounting import NODES, WEIGHTS, fill_row, leaving_edges
from predclv.kernels.pareto_nbd.counts import counts_if_alive as pareto_counts_if_alive
from predclv.kernels.pareto_nbd.discounts import fill_row as fill_pareto_row
from predclv.kernels.pareto_nbd.discounts import lifetime_edges
from predclv.kernels.pareto_nbd.integrals import left_before

__all__ = [
    "bg_alive_counts",
    "bg_discount_moments",
    "bg_p_alive",
    "pareto_alive_counts",
    "pareto_discount_moments",
    "pareto_p_alive",
]

Floats = npt.NDArray[np.float64]


def bg_p_alive(
    x: Floats, t_x: Floats, T: Floats, theta: Floats, dropout_at_first: bool, k: int = 1, stage: int = 0
) -> Floats:
    """P(alive at T with `stage` events since t_x) of each row, (n_rows,), at its own parameters (n_rows, 4)."""
    # Odds beyond the range of numbers are those of somebody gone.
    with np.errstate(over="ignore"):
        alive = bg_family.p_alive(x, t_x, T, *theta.T, k=k, dropout_at_first=dropout_at_first)
    if k == 1:
        return np.asarray(alive, dtype=np.float64)
    r, alpha, _, _ = theta.T
    # The j-th is (T-t_x)^j / j! Gamma(m+j) / (alpha+T)^(m+j), m = r + k x, over the one for j = 0.
    term = np.ones(len(x))
    terms = [term]
    for j in range(1, k):
        term = term * (r + k * x + j - 1.0) / j * ((T - t_x) / (alpha + T))
        terms.append(term)
    return np.asarray(alive * terms[stage] / np.sum(terms, axis=0), dtype=np.float64)


@njit(cache=True, error_model="numpy")
def bg_alive_counts(
    x: Floats, T: Floats, horizon: float, theta: Floats, n_max: int, first: int, k: int, stage: int
) -> Floats:
    """P(n purchases | alive, in `stage`) of each row, (n_rows, n_max + 1)."""
    out = np.empty((len(x), n_max + 1))
    for i in range(len(x)):
        r, alpha, a, b = theta[i]
        m = r + k * x[i] + stage
        out[i] = bg_counts_if_alive(horizon / (alpha + T[i]), m, a, b + x[i] + first, n_max, k, stage)
    return out


def bg_discount_moments(
    x: Floats,
    T: Floats,
    horizon: float,
    delta: float,
    theta: Floats,
    counts: Floats,
    dropout_at_first: bool,
    k: int = 1,
    stage: int = 0,
) -> Floats:
    """As `discounting.discount_moments`, or its twin for k > 1, stacked, (4, n_rows, n_parts, n_counts)."""
    if k > 1:
        return np.stack(stage_discount_moments(x, T, horizon, delta, theta, counts, k, stage, dropout_at_first))
    edges = leaving_edges(horizon, delta)
    moments = np.zeros((4, len(x), len(edges), len(counts)))
    _fill_bg(moments, x, T, delta, theta, counts, edges, int(dropout_at_first), NODES, WEIGHTS)
    return moments


@njit(cache=True, error_model="numpy")
def _fill_bg(moments, x, T, delta, theta, counts, edges, first, nodes, weights):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        r, alpha, a, b = theta[i]
        fill_row(moments[:, i], counts, r + x[i], alpha + T[i], a, b + x[i] + first, edges, delta, nodes, weights)


@njit(cache=True, error_model="numpy")
def pareto_p_alive(x: Floats, t_x: Floats, T: Floats, theta: Floats) -> Floats:
    """P(alive at T) of each row, (n_rows,), at its own parameters (n_rows, 4)."""
    out = np.empty(len(x))
    for i in range(len(x)):
        r, alpha, s, beta = theta[i]
        m, a, b, silence = r + x[i], alpha + t_x[i], beta + t_x[i], T[i] - t_x[i]
        ratio = math.exp(-min(m * math.log1p(silence / a) + s * math.log1p(silence / b), 700.0))
        gone = left_before(m, s, a, b, silence) if silence > 0.0 else 0.0
        out[i] = ratio / (ratio + gone)
    return out


@njit(cache=True, error_model="numpy")
def pareto_alive_counts(x: Floats, T: Floats, horizon: float, theta: Floats, n_max: int) -> Floats:
    """P(n purchases | alive) of each row, (n_rows, n_max + 1)."""
    out = np.empty((len(x), n_max + 1))
    for i in range(len(x)):
        r, alpha, s, beta = theta[i]
        out[i] = pareto_counts_if_alive(r + x[i], alpha + T[i], s, beta + T[i], horizon, n_max)
    return out


def pareto_discount_moments(
    x: Floats, T: Floats, horizon: float, delta: float, theta: Floats, counts: Floats
) -> Floats:
    """As `pareto_nbd_discounts.discount_moments`, stacked, (4, n_rows, n_parts, n_counts)."""
    edges = lifetime_edges(horizon, delta)
    moments = np.zeros((4, len(x), len(edges), len(counts)))
    _fill_pareto(moments, x, T, delta, theta, counts, edges)
    return moments


@njit(cache=True, error_model="numpy")
def _fill_pareto(moments, x, T, delta, theta, counts, edges):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        r, alpha, s, beta = theta[i]
        fill_pareto_row(moments[:, i], counts, r + x[i], alpha + T[i], s, beta + T[i], edges, delta)
