"""Totals simulated draw by draw, of models whose future depends on whether the customer is alive, on x and on T."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["end_of_horizon", "simulate_draws"]

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

# An infinite horizon is cut where a purchase is worth this share of its price.
_NEGLIGIBLE = 1e-5
# Histories times draws whose chances to be there are worked out at a time.
_ALIVE_CELLS = 65_536


def end_of_horizon(horizon: float, delta: float) -> float:
    """The horizon itself, or where exp(-delta t) is 1e-5 of an infinite one."""
    return horizon if np.isfinite(horizon) else -math.log(_NEGLIGIBLE) / delta


def simulate_draws(
    simulate_draw: Callable[..., tuple[Floats, Floats]],
    p_alive: Callable[..., Floats],
    rows: tuple[Floats, Floats, Floats, Floats, Floats, Indices],
    n_segments: int,
    horizon: float,
    delta: float,
    theta: Floats,
    theta_spend: Floats,
    seed: int,
    first_purchase: bool,
    first_draw: int,
) -> tuple[Floats, Floats]:
    """Simulate every customer's purchases and their discounted value once per draw.

    Parameters
    ----------
    simulate_draw : callable
        Compiled: from rows (n_rows, 4) of x, T, mean_spend and margin, P(alive) of each distinct history, the history
        of each row, segments, n_segments, horizon, delta, theta, the spend's parameters, first_purchase and the state
        of a random stream to purchases and value of each segment.
    p_alive : callable
        From x, t_x, T and theta.
    rows : x, t_x, T, mean_spend, margin, segment
        (n_rows,) arrays.
    n_segments, horizon, delta, theta, theta_spend, seed, first_purchase, first_draw
        As the models' own `simulate_totals` say.

    Returns
    -------
    purchases, value : (n_draws, n_segments) arrays
    """
    x, t_x, T, mean_spend, margin, segment = rows
    n_draws = theta.shape[0]
    purchases, value = np.zeros((n_draws, n_segments)), np.zeros((n_draws, n_segments))
    # The order makes the random numbers those of the row's content: totals do not depend on how the customers came.
    order = np.lexsort((segment, margin, mean_spend, t_x, T, x))
    ordered = np.column_stack((x, T, mean_spend, margin)).astype(np.float64)[order]
    codes = np.asarray(segment, dtype=np.int64)[order]
    history = np.column_stack((x, t_x, T)).astype(np.float64)[order]
    starts = np.ones(len(history), dtype=bool)
    starts[1:] = (history[1:] != history[:-1]).any(axis=1)
    distinct, of_row = np.ascontiguousarray(history[starts].T), np.cumsum(starts) - 1
    no_spend = np.zeros(3)
    about: tuple[Any, ...] = of_row, codes, n_segments, horizon, delta
    # Of few histories the call costs more than its work: many draws share one.
    at_once = max(1, _ALIVE_CELLS // max(distinct.shape[1], 1))
    for d in range(n_draws):
        if d % at_once == 0:
            alive_of = p_alive(*distinct, np.ascontiguousarray(theta[d : d + at_once], dtype=np.float64))
        point = np.ascontiguousarray(theta[d], dtype=np.float64)
        spend = np.ascontiguousarray(theta_spend[d], dtype=np.float64) if theta_spend.shape[1] else no_spend
        state = np.random.SeedSequence([seed, first_draw + d]).generate_state(4, np.uint64)
        alive = np.ascontiguousarray(alive_of[d % at_once])
        purchases[d], value[d] = simulate_draw(ordered, alive, *about, point, spend, bool(first_purchase), state)
    return purchases, value
