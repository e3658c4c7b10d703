"""Repeat purchases over time: what a fitted model expects of customers from their first purchase on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings

__all__ = ["alive_path", "expected_cumulative", "most_lives", "simulated_periods"]

FloatArray = NDArray[np.float64]

# Lives simulated for a band: a second of one core. More customers than that allows are represented by a sample.
_LIVES = 2_000_000
# Longest table of E[X(age)]: 11 years of days.
_MOST_STEPS = 4_096


def expected_cumulative(
    bindings: TransactionBindings,
    births: FloatArray,
    customers: FloatArray,
    edges: FloatArray,
    theta: FloatArray,
    step: float,
) -> FloatArray:
    """Expected repeat purchases of all customers up to each time: the sum of E[X(time - birth)].

    Nothing is conditioned on: every customer counts as new at birth.

    Parameters
    ----------
    bindings : TransactionBindings
    births, customers : (n_births,) arrays
        Times of first purchases, at or after `edges[0]`, and how many customers were born then.
    edges : (n_edges,) array
        Increasing times.
    theta : (n_draws, n_parameters) array
    step : float
        Distance of the ages at which E[X] is worked out. Births and edges on this lattice give exact sums; between
        its points E[X] is taken as straight. Widened where it would need more than 4,096 ages.

    Returns
    -------
    (n_draws, n_edges) array
    """
    span = edges[-1] - edges[0]
    step = max(step, span / _MOST_STEPS)
    if bindings.counts_opportunities:
        step = float(np.ceil(step - 1e-9))  # a fraction of an opportunity is none
    n_steps = int(np.ceil(span / step - 1e-9))
    ages = np.arange(n_steps + 1, dtype=np.float64) * np.float64(step)
    zero = np.zeros(len(ages))
    curve = bindings.expected_purchases(zero, zero, zero, ages, theta)
    born = [births < edge for edge in edges]
    exposure = [
        _count_ages(edge - births[before], customers[before], step, n_steps)
        for edge, before in zip(edges, born, strict=True)
    ]
    return np.asarray(curve @ np.array(exposure).T)


def simulated_periods(
    bindings: TransactionBindings,
    births: FloatArray,
    customers: FloatArray,
    edges: FloatArray,
    theta: FloatArray,
    step: float,
    seed: int,
) -> FloatArray:
    """Simulate the repeat purchases of all customers in each period (edges[j], edges[j + 1]], once per draw.

    Each draw is another population with these births: the spread holds the parameters' uncertainty, which
    customers one happens to have, and chance in their purchases. Where the customers are too many, a sample's
    deviation from its own expectation is scaled to the size of all.

    Returns
    -------
    (n_draws, n_periods) array, >= 0
    """
    n_lives, n = most_lives(len(theta)), int(customers.sum())
    rng = np.random.default_rng(seed)
    if n <= n_lives:
        return bindings.simulate_counts(rng, np.repeat(births, customers.astype(np.int64)), edges, theta)
    sample = rng.choice(births, n_lives, p=customers / n)
    counts = bindings.simulate_counts(rng, sample, edges, theta)
    expected_of_sample = expected_cumulative(bindings, sample, np.ones(n_lives), edges, theta, step)
    expected = expected_cumulative(bindings, births, customers, edges, theta, step)
    # Independent customers: a sum's deviation grows with the root of their number.
    luck = np.sqrt(n / n_lives) * (counts - np.diff(expected_of_sample, axis=1))
    return np.asarray(np.maximum(np.diff(expected, axis=1) + luck, 0.0))


def most_lives(n_draws: int) -> int:
    """Customers simulated in each draw, at most."""
    return max(_LIVES // n_draws, 1)


def alive_path(
    bindings: TransactionBindings, purchases: FloatArray, times: FloatArray, theta: FloatArray
) -> FloatArray:
    """P(alive) of one customer as seen at each time, from the purchases made up to it.

    Parameters
    ----------
    purchases : (n_purchases,) array
        Increasing times of all purchases, the first included.
    times : (n_times,) array
        At or after the first purchase.
    theta : (n_draws, n_parameters) array

    Returns
    -------
    (n_times,) array, averaged over the draws
    """
    x = np.searchsorted(purchases, times, side="right") - 1
    t_x = purchases[x] - purchases[0]
    alive = bindings.p_alive(x.astype(np.float64), t_x, times - purchases[0], theta)
    return np.asarray(alive.mean(axis=0))


def _count_ages(ages: FloatArray, customers: FloatArray, step: float, n_steps: int) -> FloatArray:
    """Customers on each lattice age, (n_steps + 1,); an age between two points is shared by nearness."""
    # Half a millionth of a step is rounding, not a position between two points.
    position = np.round(ages / step, 6)
    below = np.minimum(position.astype(np.int64), n_steps - 1)
    above = position - below
    weights = np.zeros(n_steps + 1)
    weights += np.bincount(below, weights=customers * (1.0 - above), minlength=n_steps + 1)
    weights[1:] += np.bincount(below, weights=customers * above, minlength=n_steps)[:n_steps]
    return weights
