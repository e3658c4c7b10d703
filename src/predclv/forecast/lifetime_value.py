"""Predictive distribution of a customer's value, parameter uncertainty included; no Monte Carlo.

Given alive and in stage j, V / (gamma + x m) depends on (x, T) and the parameters alone, so with the i-th draw

    P(V > v) = mean over i of sum over j of P_i(alive, j | x, t_x, T) S_ij(v / (gamma_i + x m); x, T).

Most models have one stage; with k events to a purchase there are k. The survival functions S_ij are tabulated at nodes
of a lattice in log(1 + T / alpha) and interpolated between them. The lattice is the model's, not the data's: a row's
result does not depend on the other rows.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.kernels.value_distribution import TAIL, components, count_blocks, fill_tables
from predclv.kernels.value_quantiles import solve_quantiles

__all__ = ["REMAINING_SHARE", "finite_horizon", "value_cdf", "value_quantiles"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Share of the expected value that the distribution over an infinite horizon may leave out.
REMAINING_SHARE = 1e-3

_STENCIL = 6
# In standard deviations of the log of value: an error of some 1e-5 in probability.
_NODE_SPACING = 0.35
# In standard deviations of a table's narrowest part: some 1e-5 in probability.
_STEP = 0.4
_MOST_COUNTS = 1 << 17
# Up to this delta * horizon discounts spread so little that one gamma holds all ways to a count.
_SHORT = 0.35
_ROWS = 4096


def finite_horizon(horizon: float, delta: float) -> float:
    """Horizon that the distribution is computed for: finite as given, else where `REMAINING_SHARE` of value is left.

    Expected purchases of these models never speed up, so at most exp(-delta t) of the value lies beyond t.
    """
    return horizon if math.isfinite(horizon) else -math.log(REMAINING_SHARE) / delta


def value_quantiles(
    bindings: TransactionBindings,
    theta_transactions: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    levels: ArrayLike,
    *,
    first_purchase: bool = False,
) -> FloatArray:
    """Quantiles of discounted spend in (T, T + horizon], given each history.

    Parameters
    ----------
    bindings : TransactionBindings
    theta_transactions : (n_draws, n_parameters) array
    theta_spend : (n_draws, 3) array
        p, q, gamma; paired with `theta_transactions` by row.
    x, t_x, T, mean_spend : (n_rows,) arrays
    horizon : float
        In the time unit of `T`; infinite only with `delta` > 0, see `finite_horizon`.
    delta : float
        Continuous rate per time unit; 0 gives the distribution of revenue.
    levels : (n_levels,) array
        In (0, 1); up to 0.9999 the far tail of the counts plays no part.
    first_purchase : bool
        Add an undiscounted purchase at time 0 with the same customer's spend: a new customer, x = 0.

    Returns
    -------
    (n_rows, n_levels) array
        The smallest value whose distribution function reaches the level; 0 where that is already so at 0.

    Notes
    -----
    Customers are worked by x, so ten thousand rows at once cost less than ten thousand calls.
    """
    theta = np.ascontiguousarray(theta_transactions, dtype=np.float64)
    spend = np.ascontiguousarray(theta_spend, dtype=np.float64)
    x, t_x, T, mean_spend = (np.asarray(column, dtype=np.float64) for column in (x, t_x, T, mean_spend))
    levels = np.atleast_1d(np.asarray(levels, dtype=np.float64))
    horizon = finite_horizon(horizon, delta)
    out = np.empty((x.shape[0], levels.shape[0]))
    order = np.lexsort((t_x, T, x))
    starts = np.flatnonzero(np.diff(x[order], prepend=np.nan))
    for rows in np.split(order, starts[1:]) if order.size else []:
        lattice = _Lattice(bindings, theta, spend, float(x[rows[0]]), horizon, delta, first_purchase)
        lattice.prepare(T[rows])
        for begin in range(0, rows.size, _ROWS):
            part = rows[begin : begin + _ROWS]
            out[part] = lattice.quantiles(t_x[part], T[part], mean_spend[part], levels)
    return out


def value_cdf(
    bindings: TransactionBindings,
    theta_transactions: FloatArray,
    theta_spend: FloatArray,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    mean_spend: FloatArray,
    horizon: float,
    delta: float,
    values: FloatArray,
    *,
    first_purchase: bool = False,
) -> FloatArray:
    """P(value <= values), evaluated directly: every count by itself, no table, no interpolation.

    Parameters
    ----------
    bindings, ..., delta, first_purchase
        As in `value_quantiles`.
    values : (n_rows, n_values) array

    Returns
    -------
    (n_rows, n_values) array
        Exact for `delta` 0; else exact but for the gamma that stands for the discounted sum of k spends.
    """
    from scipy.special import betainc

    theta, spend = np.atleast_2d(theta_transactions), np.atleast_2d(theta_spend)
    horizon = finite_horizon(horizon, delta)
    out = np.zeros(values.shape)
    for i in range(x.shape[0]):
        row = x[i : i + 1], T[i : i + 1]
        share = _shares(bindings, x[i : i + 1], t_x[i : i + 1], T[i : i + 1], theta, first_purchase)[0]
        for d in range(theta.shape[0]):
            p, q, gamma = spend[d]
            u = np.maximum(values[i], 0.0) / (gamma + x[i] * mean_spend[i])
            exceeded = np.zeros_like(u)
            for stage, probability in enumerate(share[d]):
                pmf = _stage_pmf(bindings, row, horizon, theta[d], 32, stage)
                blocks = count_blocks(pmf.shape[1] - 1, math.inf)
                moments = _moments(bindings, row, horizon, delta, theta[d], blocks, stage)
                weight, shape, scale = components(pmf[0], blocks, moments[:, 0], p, first_purchase)
                scaled = u[:, np.newaxis] / scale
                below = betainc(shape, q + p * x[i], scaled / (1 + scaled)) @ weight
                exceeded += probability * (weight.sum() - below)
            out[i] += np.where(values[i] >= 0, 1 - exceeded, 0.0)
    return np.asarray(out / theta.shape[0])


class _Lattice:
    """Survival tables of all draws and stages for one x, at the nodes that have been asked for."""

    def __init__(
        self,
        bindings: TransactionBindings,
        theta: FloatArray,
        spend: FloatArray,
        x: float,
        horizon: float,
        delta: float,
        first_purchase: bool,
    ) -> None:
        self.bindings, self.theta, self.spend, self.x = bindings, theta, spend, x
        self.horizon, self.delta, self.first_purchase = horizon, delta, first_purchase
        self.Q = spend[:, 1] + spend[:, 0] * x
        self.step = min(_STEP / math.sqrt(self.Q.max()), 0.4)
        shape, self.alpha = bindings.rate_gamma(x, theta)
        deviation = math.sqrt(1 / shape + 1 / float(self.Q.mean()))
        self.spacing = _NODE_SPACING * min(deviation, 1.0)

    def prepare(self, T: FloatArray) -> None:
        """Fill the tables between which rows of these ages are interpolated."""
        first, _ = self._stencils(T)
        self.nodes = np.unique(first[:, np.newaxis] + np.arange(_STENCIL))
        self.tables = self._fill(self.alpha * np.expm1(self.nodes * self.spacing))

    def quantiles(self, t_x: FloatArray, T: FloatArray, mean_spend: FloatArray, levels: FloatArray) -> FloatArray:
        """Quantiles of rows in the order of T, (n_rows, n_levels)."""
        first, lagrange = self._stencils(T)
        share = _shares(self.bindings, np.full(T.shape[0], self.x), t_x, T, self.theta, self.first_purchase)
        n_tables = share.shape[2]
        # A draw in a stage is to the solver a draw of its own, of which there are so many times more.
        alive = np.ascontiguousarray(share.reshape(T.shape[0], -1) * n_tables)
        scale = np.repeat(self.spend[:, 2] + self.x * mean_spend[:, np.newaxis], n_tables, axis=1)
        return np.asarray(
            solve_quantiles(self.tables, np.searchsorted(self.nodes, first), lagrange, alive, scale, self.step, levels)
        )

    def _stencils(self, T: FloatArray) -> tuple[IntArray, FloatArray]:
        """First node and Lagrange weights of each row's stencil; one-sided next to T = 0."""
        place = np.log1p(T / self.alpha) / self.spacing
        first = np.maximum(np.floor(place).astype(np.int64) - (_STENCIL // 2 - 1), 0)
        distance = (place - first)[:, np.newaxis] - np.arange(_STENCIL)
        weights = np.ones((T.shape[0], _STENCIL))
        for j in range(_STENCIL):
            for other in range(_STENCIL):
                if other != j:
                    weights[:, j] *= distance[:, other] / (j - other)
        return first, weights

    def _fill(self, T: FloatArray) -> FloatArray:
        """Tables at these ages, (n_nodes, n_draws * n_tables, n_grid, 2)."""
        rows = np.full(T.shape[0], self.x), T
        n_max, n_grid, used = 32, 256, 2
        n_tables = _n_tables(self.bindings, self.first_purchase)
        tables = np.zeros((T.shape[0], self.theta.shape[0] * n_tables, n_grid, 2))
        for table in range(tables.shape[1]):
            d, stage = divmod(table, n_tables)
            pmf = _stage_pmf(self.bindings, rows, self.horizon, self.theta[d], n_max, stage)
            n_max = pmf.shape[1] - 1
            blocks = count_blocks(n_max, float(self.Q.max()))
            moments = _moments(self.bindings, rows, self.horizon, self.delta, self.theta[d], blocks, stage)
            while True:
                filled = np.empty((T.shape[0], tables.shape[2], 2))
                end = fill_tables(
                    pmf, blocks, moments, self.spend[d, 0], self.Q[d], self.first_purchase, self.step, filled
                )
                if end <= tables.shape[2]:
                    break
                tables = np.concatenate([tables, np.zeros_like(tables)], axis=2)
            tables[:, table] = filled
            used = max(used, end)
        return np.ascontiguousarray(tables[:, :, :used])


def _n_tables(bindings: TransactionBindings, first_purchase: bool) -> int:
    """Tables of a draw: one a stage, and where the first purchase is made either way, one of who is gone after it."""
    return bindings.n_stages + first_purchase


def _shares(
    bindings: TransactionBindings,
    x: FloatArray,
    t_x: FloatArray,
    T: FloatArray,
    theta: FloatArray,
    first_purchase: bool,
) -> FloatArray:
    """Probability that the value is of each table, (n_rows, n_draws, n_tables); what lacks to one is no value."""
    share = np.transpose(bindings.p_alive_by_stage(x, t_x, T, theta), (2, 1, 0))
    if not first_purchase:
        return share
    return np.concatenate([share, 1 - share.sum(axis=2, keepdims=True)], axis=2)


def _stage_pmf(
    bindings: TransactionBindings,
    rows: tuple[FloatArray, FloatArray],
    horizon: float,
    theta: FloatArray,
    n_max: int,
    stage: int,
) -> FloatArray:
    """Probabilities of the counts up to where all rows have less than `TAIL` left."""
    if stage == bindings.n_stages:
        return np.eye(1, n_max + 1).repeat(len(rows[0]), axis=0)
    while True:
        pmf = bindings.stage_purchase_pmf(*rows, horizon, theta, n_max, stage)
        if n_max >= _MOST_COUNTS or (1.0 - pmf.sum(axis=1)).max() < TAIL:
            return pmf
        n_max *= 2


def _moments(
    bindings: TransactionBindings,
    rows: tuple[FloatArray, FloatArray],
    horizon: float,
    delta: float,
    theta: FloatArray,
    blocks: IntArray,
    stage: int,
) -> FloatArray:
    """Discount moments at the middles of the blocks, (4, n_rows, n_parts, n_blocks)."""
    if delta == 0 or stage == bindings.n_stages:
        return np.ones((4, rows[0].shape[0], 1, blocks.shape[0] - 1))
    middles: FloatArray = (blocks[:-1] + blocks[1:] - 1) * np.float64(0.5)
    moments = np.stack(bindings.discount_moments(*rows, horizon, delta, theta, middles, stage))
    if delta * horizon > _SHORT:
        return moments
    share = moments[0]
    return np.asarray(np.stack([share, *(share * moments[1:])]).sum(axis=2, keepdims=True))
