"""Expected value of a customer about to be won, as time goes by: when it has paid for the winning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.contracts import Contracts
from predclv.forecast.customers import Thetas
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.contracts import forecast as kernel
from predclv.kernels.gamma_gamma.compiled import expected_spend

__all__ = ["ValuePath", "contract_path", "path_times", "purchase_path"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ValuePath:
    """Expected value brought until each of some times.

    Attributes
    ----------
    times : (n_times,) array
        Since the first purchase, ascending, in the time unit; the last is the horizon, possibly infinite.
    center : (n_times,) array
        Expected discounted value until then, margin and first purchase as asked for.
    draws : (n_draws, n_times) array
        The same by draw of the parameters.
    start, start_draws : float, (n_draws,) array
        What the first purchase brings at time 0 of that; 0 where it is not counted.
    first_spend, first_spend_draws : float, (n_draws,) array
        Expected money of the first purchase (or period) itself, before the margin.
    """

    times: FloatArray
    center: FloatArray
    draws: FloatArray
    start: float
    start_draws: FloatArray
    first_spend: float
    first_spend_draws: FloatArray


def path_times(horizon: float, n_times: int, long: float, *, whole: bool = False) -> FloatArray:
    """Evenly spaced times to a horizon; to an endless one, evenly to `long` and then infinity.

    Where time is counted in `whole` opportunities or periods, all of them, and the horizon.
    """
    end = horizon if np.isfinite(horizon) else long
    if whole:
        times = np.arange(1.0, np.floor(end + _ROUNDING) + 1)
        if not len(times) or times[-1] < end - _ROUNDING:
            times = np.append(times, end)
    else:
        n = n_times if np.isfinite(horizon) else n_times - 1
        times = end * np.arange(1, n + 1) / n
    return times if np.isfinite(horizon) else np.append(times, np.inf)


def contract_path(
    thetas: Thetas, times: FloatArray, rate: float, price: float, margin: float, *, first_payment: bool
) -> ValuePath:
    """Path of a contract with a payment a period; `times` in periods, (n_times,)."""
    zero, one = np.zeros(1), np.ones(1)
    contract = Contracts(zero, one, one, price * one, margin * one, np.zeros(1, dtype=np.int64))
    worth, soon, now = contract.worth[0], np.exp(-rate), 1.0 if first_payment else 0.0
    tenure, renewals = np.zeros(len(times)), np.floor(times + _ROUNDING)
    center = kernel.expected_renewals(tenure, renewals, rate, thetas.center)
    draws = kernel.discounted_renewals(tenure, renewals, rate, thetas.for_means())
    each = np.full(len(draws), price)
    return ValuePath(
        times,
        worth * (now + soon * center),
        worth * (now + soon * draws),
        worth * now,
        np.full(len(draws), worth * now),
        price,
        each,
    )


def purchase_path(
    bindings: TransactionBindings,
    thetas: Thetas,
    spend: Thetas,
    times: FloatArray,
    delta: float,
    margin: float,
    *,
    first_purchase: bool,
) -> ValuePath:
    """Path of a customer who buys; draws of both models are paired by row.

    A draw whose mean spend is infinite (q <= 1) has an infinite path. Where the expectation is over more draws than
    those of the path, it is exact at the horizon, and before it the mean of the path's, scaled to lead there.
    """
    zero = np.zeros(1)
    now = 1.0 if first_purchase else 0.0
    theta, theta_spend = thetas.for_means(), np.ascontiguousarray(spend.for_means())
    each = expected_spend(zero, zero, theta_spend)[:, 0]
    mean = float(mean_expected_spend(zero, zero, spend.center)[0])
    draws = _discounted_path(bindings, times, delta, theta)
    if np.array_equal(thetas.center, theta):
        center = draws.mean(axis=0)
    elif len(thetas.center) <= len(theta):
        center = _discounted_path(bindings, times, delta, thetas.center).mean(axis=0)
    else:
        center = draws.mean(axis=0)
    end = bindings.discounted_expected_purchases(zero, zero, zero, times[-1], delta, thetas.center).mean()
    center *= end / center[-1] if center[-1] > 0 else 1.0

    def value(purchases: FloatArray, worth: FloatArray) -> FloatArray:
        # Without a margin nothing, even of an infinite mean.
        return margin * (purchases + now) * worth if margin > 0 else 0.0 * purchases

    worth = np.full(1, mean)
    return ValuePath(
        times,
        value(center, worth),
        value(draws, each[:, np.newaxis]),
        float(value(np.zeros(1), worth)[0]),
        value(np.zeros(len(theta)), each),
        mean,
        each,
    )


def _discounted_path(bindings: TransactionBindings, times: FloatArray, delta: float, theta: FloatArray) -> FloatArray:
    """Discounted expected purchases of a new customer until each time, (n_draws, n_times).

    By parts, with M(s) the expected purchases until s: exp(-delta t) M(t) + delta int_0^t exp(-delta s) M(s) ds.
    One quadrature then serves all times, of a function that costs a hundredth of the discounted one.
    """
    zero = np.zeros(1)
    finite = np.isfinite(times)
    if bindings.counts_opportunities:
        finite = np.zeros(len(times), dtype=bool)
    out = np.empty((len(theta), len(times)))
    for i in np.flatnonzero(~finite):
        out[:, i] = bindings.discounted_expected_purchases(zero, zero, zero, times[i], delta, theta)[:, 0]
    if not finite.any():
        return out
    edges = times[finite]
    # M bends at the scale of alpha, soon after the first purchase.
    edges = np.r_[0.0, edges[0] * 4.0 ** np.arange(-_FINER, 0), edges]
    width = np.diff(edges)[:, np.newaxis]
    nodes, ends = edges[:-1, np.newaxis] + width * _NODES, edges[1 + _FINER :]
    weights = width * _WEIGHTS * np.exp(-delta * nodes)
    # All times at once share what a call costs; a part of the draws at a time bounds what is held.
    asked = np.r_[nodes.ravel(), ends]
    none = np.zeros(len(asked))
    for first in range(0, len(theta), _DRAWS_AT_ONCE):
        part = slice(first, first + _DRAWS_AT_ONCE)
        bought = bindings.expected_purchases(none, none, none, asked, theta[part])
        by_node = bought[:, : nodes.size].reshape(-1, *nodes.shape)
        integral = np.cumsum((by_node * weights).sum(axis=2), axis=1)[:, _FINER:]
        out[part, : len(ends)] = np.exp(-delta * ends) * bought[:, nodes.size :] + delta * integral
    return out


_FINER = 4
_DRAWS_AT_ONCE = 256
# Ten years of months are 120, whatever the last digit.
_ROUNDING = 1e-9
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2
