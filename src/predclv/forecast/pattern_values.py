"""Predictive distribution of the value of customers with parameters of their own; see `lifetime_value`.

As there, a customer's value is a mixture over draws and counts, whose survival functions are tabulated and solved. Here
no two customers share a table, so that each has its own, at its own age, without a lattice between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.lifetime_value import finite_horizon
from predclv.forecast.value_tables import LARGEST_STEP, MOST_COUNTS, SHORT, STEP
from predclv.kernels.value_distribution import TAIL, count_blocks, fill_tables
from predclv.kernels.value_quantiles import read_exceedances, solve_quantiles

__all__ = ["RowForecasts", "row_value_exceedances", "row_value_quantiles"]

FloatArray = NDArray[np.float64]

# Customers whose tables are held at a time: some 20 to 60 MB.
_CHUNK = 128


class RowForecasts(Protocol):
    """Forecasts of rows with parameters (n_rows, 4) of their own."""

    @property
    def n_stages(self) -> int:
        """Stages that a living customer may be in; see `TransactionBindings`."""
        ...

    def p_alive(self, x: FloatArray, t_x: FloatArray, T: FloatArray, theta: FloatArray, stage: int) -> FloatArray:
        """P(alive at T and in a stage | history), (n_rows,)."""
        ...

    def alive_counts(
        self, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, n_max: int, stage: int
    ) -> FloatArray:
        """P(n purchases | x, alive at T in a stage), (n_rows, n_max + 1)."""
        ...

    def discount_moments(
        self,
        x: FloatArray,
        T: FloatArray,
        horizon: float,
        delta: float,
        theta: FloatArray,
        counts: FloatArray,
        stage: int,
    ) -> FloatArray:
        """Moments of the discounts of `counts` purchases, (4, n_rows, n_parts, n_counts)."""
        ...


def row_value_quantiles(
    forecasts: RowForecasts,
    theta: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    levels: FloatArray,
) -> FloatArray:
    """Quantiles of discounted spend in (T, T + horizon], given each history.

    Parameters
    ----------
    forecasts : RowForecasts
    theta : (n_draws, n_rows, 4) array
    theta_spend : (n_draws, 3) array
        p, q, gamma; paired with `theta` by draw.
    x, t_x, T, mean_spend : (n_rows,) arrays
    horizon, delta, levels
        As in `value_quantiles`.

    Returns
    -------
    (n_rows, n_levels) array

    Notes
    -----
    Customers are worked by x, as the tables' step and the blocks of counts go by it; a row's result does not depend on
    the others.
    """
    out = np.empty((len(x), len(levels)))
    horizon = finite_horizon(horizon, delta)
    for rows in _chunks(x):
        history = x[rows], t_x[rows], T[rows]
        own = np.ascontiguousarray(theta[:, rows])
        tables = _tables(forecasts, own, theta_spend, *history, mean_spend[rows], horizon, delta)
        out[rows] = solve_quantiles(*tables, levels)
    return out


def row_value_exceedances(
    forecasts: RowForecasts,
    theta: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    values: FloatArray,
) -> FloatArray:
    """P(discounted spend > values), (n_rows, n_values), for values above 0; the rest as in `row_value_quantiles`."""
    out = np.empty(values.shape)
    horizon = finite_horizon(horizon, delta)
    for rows in _chunks(x):
        history = x[rows], t_x[rows], T[rows]
        own = np.ascontiguousarray(theta[:, rows])
        tables = _tables(forecasts, own, theta_spend, *history, mean_spend[rows], horizon, delta)
        out[rows] = read_exceedances(*tables, np.ascontiguousarray(values[rows]))
    return out


def _chunks(x: FloatArray) -> Iterator[NDArray[np.int64]]:
    """Few rows at a time, of one x."""
    order = np.argsort(x, kind="stable")
    starts = np.flatnonzero(np.diff(x[order], prepend=np.nan))
    for of_x in np.split(order, starts[1:]) if order.size else []:
        for begin in range(0, len(of_x), _CHUNK):
            yield of_x[begin : begin + _CHUNK]


def _tables(
    forecasts: RowForecasts,
    theta: FloatArray,
    spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
) -> tuple[Any, ...]:
    """What the kernels of `value_quantiles` take of rows of one x, but for the last argument."""
    Q = spend[:, 1] + spend[:, 0] * x[0]
    step = min(STEP / math.sqrt(Q.max()), LARGEST_STEP)
    n_stages = forecasts.n_stages
    tables = np.zeros((len(x), len(theta) * n_stages, 128, 2))
    for table in range(tables.shape[1]):
        d, stage = divmod(table, n_stages)
        own = theta[d]
        for which, pmf in _counts(forecasts, x, T, horizon, own, stage):
            blocks = count_blocks(pmf.shape[1] - 1, float(Q.max()))
            moments = _moments(forecasts, x[which], T[which], horizon, delta, own[which], blocks, stage)
            while True:
                filled = np.empty((len(which), tables.shape[2], 2))
                end = fill_tables(pmf, blocks, moments, spend[d, 0], Q[d], False, step, filled)
                if end <= tables.shape[2]:
                    break
                tables = np.concatenate([tables, np.zeros_like(tables)], axis=2)
            tables[which, table] = filled
    reached = np.asarray(tables.any(axis=(1, 3)))
    used = np.maximum(tables.shape[2] - np.argmax(reached[:, ::-1], axis=1), 2)
    # A draw in a stage is to the solver a draw of its own, of which there are so many times more.
    alive = n_stages * np.column_stack(
        [forecasts.p_alive(x, t_x, T, own, stage) for own in theta for stage in range(n_stages)]
    )
    scale = np.repeat(spend[:, 2] + x[0] * mean_spend[:, np.newaxis], n_stages, axis=1)
    node, alone = np.arange(len(x)), np.ones((len(x), 1))
    tables = np.ascontiguousarray(tables[:, :, : used.max()])
    return tables, used, node, alone, alive, scale, step


def _counts(
    forecasts: RowForecasts, x: FloatArray, T: FloatArray, horizon: float, theta: FloatArray, stage: int
) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
    """Counts of rows that need as many; a row's own number does not depend on what others need."""
    left, n_max = np.arange(len(x)), 32
    while left.size:
        pmf = forecasts.alive_counts(x[left], T[left], horizon, theta[left], n_max, stage)
        done = (1.0 - pmf.sum(axis=1) < TAIL) | (n_max >= MOST_COUNTS)
        if done.any():
            yield left[done], np.ascontiguousarray(pmf[done])
        left, n_max = left[~done], 2 * n_max


def _moments(
    forecasts: RowForecasts,
    x: FloatArray,
    T: FloatArray,
    horizon: float,
    delta: float,
    theta: FloatArray,
    blocks: NDArray[np.int64],
    stage: int,
) -> FloatArray:
    """Discount moments at the middles of the blocks, (4, n_rows, n_parts, n_blocks)."""
    if delta == 0:
        return np.ones((4, len(x), 1, len(blocks) - 1))
    middles: FloatArray = (blocks[:-1] + blocks[1:] - 1) * np.float64(0.5)
    moments = forecasts.discount_moments(x, T, horizon, delta, theta, middles, stage)
    if delta * horizon > SHORT:
        return moments
    share = moments[0]
    return np.asarray(np.stack([share, *(share * moments[1:])]).sum(axis=2, keepdims=True))
