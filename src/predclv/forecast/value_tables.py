"""Survival tables of value, between which customers of one x and of any age are interpolated; kept from call to call.

A table depends on its node and on the parameters alone, bit for bit: not on the other nodes that it is worked out with,
and not on when. So what is forgotten to bound the memory, and worked out again, is what it was.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.bindings import TransactionBindings
from predclv.kernels.value_distribution import TAIL, count_blocks, fill_tables
from predclv.kernels.value_quantiles import read_exceedances, solve_quantiles

__all__ = [
    "LARGEST_STEP",
    "MOST_BYTES",
    "MOST_COUNTS",
    "SHORT",
    "STEP",
    "ValueTables",
    "discount_moments",
    "shares",
    "stage_pmf",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_STENCIL = 6
# In standard deviations of the log of value: an error of some 1e-5 in probability.
_NODE_SPACING = 0.35
# In standard deviations of a table's narrowest part: some 1e-5 in probability.
STEP = LARGEST_STEP = 0.4
MOST_COUNTS = 1 << 17
# Up to this delta * horizon discounts spread so little that one gamma holds all ways to a count.
SHORT = 0.35
_ROWS = 4096
#: Bytes of tables kept, at most, where nothing else is said.
MOST_BYTES = 224 << 20
# Nodes worked out together: so many, and fewer where draws have several tables each, or fine steps make long ones.
_NODES, _TABLES, _COARSE = 64, 64, 0.003


class _Future(NamedTuple):
    """What all tables of one forecast share."""

    bindings: TransactionBindings
    theta: FloatArray
    spend: FloatArray
    horizon: float
    delta: float
    first_purchase: bool


class ValueTables:
    """Tables of one forecast for whatever customers come; where they are too many, the least used are forgotten.

    Parameters
    ----------
    bindings : TransactionBindings
    theta : (n_draws, n_parameters) array
    spend : (n_draws, 3) array
        p, q, gamma; paired with `theta` by row.
    horizon, delta : float
        Finite window and continuous discount rate, in one time unit.
    first_purchase : bool
        Add an undiscounted purchase at time 0.
    most_bytes : int
        Memory that tables may take between calls; an attribute that may be set anew.
    """

    def __init__(
        self,
        bindings: TransactionBindings,
        theta: FloatArray,
        spend: FloatArray,
        horizon: float,
        delta: float,
        first_purchase: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.most_bytes = most_bytes
        theta = np.ascontiguousarray(theta, dtype=np.float64)
        spend = np.ascontiguousarray(spend, dtype=np.float64)
        self._future = _Future(bindings, theta, spend, horizon, delta, first_purchase)
        self._lattices: OrderedDict[float, _Lattice] = OrderedDict()

    def quantiles(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, mean_spend: FloatArray, levels: FloatArray
    ) -> FloatArray:
        """Quantiles of value, (n_rows, n_levels); see `lifetime_value.value_quantiles`."""
        out = np.empty((x.shape[0], levels.shape[0]))
        for lattice, some in self._blocks(x, t_x, T):
            rows = lattice.rows(t_x[some], T[some], mean_spend[some])
            out[some] = solve_quantiles(*rows, levels)
        return out

    def exceedances(
        self, x: FloatArray, t_x: FloatArray, T: FloatArray, mean_spend: FloatArray, values: FloatArray
    ) -> FloatArray:
        """P(value > values), (n_rows, n_values), for values above 0; a row's result depends on that row alone."""
        out = np.empty(values.shape)
        for lattice, some in self._blocks(x, t_x, T):
            rows = lattice.rows(t_x[some], T[some], mean_spend[some])
            out[some] = read_exceedances(*rows, np.ascontiguousarray(values[some]))
        return out

    def _blocks(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> Iterator[tuple[_Lattice, IntArray]]:
        """Rows of one x, few at a time, with tables filled for them."""
        order = np.lexsort((t_x, T, x))
        starts = np.flatnonzero(np.diff(x[order], prepend=np.nan))
        for rows in np.split(order, starts[1:]) if order.size else []:
            lattice = self._lattice(float(x[rows[0]]))
            for part in lattice.windows(rows, T[rows]):
                lattice.prepare(T[part])
                for begin in range(0, part.size, _ROWS):
                    yield lattice, part[begin : begin + _ROWS]
                self._forget()
                if lattice.x not in self._lattices:
                    lattice.clear()

    @property
    def n_bytes(self) -> int:
        """Memory that the tables take."""
        return sum(lattice.n_bytes for lattice in self._lattices.values())

    def _lattice(self, x: float) -> _Lattice:
        if x not in self._lattices:
            self._lattices[x] = _Lattice(self._future, x)
        self._lattices.move_to_end(x)
        self._lattices[x].n_uses += 1
        return self._lattices[x]

    def _forget(self) -> None:
        """Keep within bounds what is used most; of equals the earlier, since all come round again in their order."""
        total = self.n_bytes
        while total > self.most_bytes:
            latest = reversed(self._lattices.items())
            x, lattice = min(latest, key=lambda item: item[1].n_uses)
            total -= lattice.n_bytes
            lattice.clear()
            del self._lattices[x]


class _Lattice:
    """Survival tables of all draws and stages for one x, at the nodes that have been asked for."""

    def __init__(self, future: _Future, x: float) -> None:
        self.future, self.x, self.n_uses = future, x, 0
        spend = future.spend
        self.Q = spend[:, 1] + spend[:, 0] * x
        self.step = min(STEP / math.sqrt(self.Q.max()), LARGEST_STEP)
        shape, self.alpha = future.bindings.rate_gamma(x, future.theta)
        deviation = math.sqrt(1 / shape + 1 / float(self.Q.mean()))
        self.spacing = _NODE_SPACING * min(deviation, 1.0)
        # Ages that are counted are nodes themselves.
        self.stencil = 1 if future.bindings.counts_opportunities else _STENCIL
        self.clear()

    def clear(self) -> None:
        """Forget all tables."""
        n_tables = self.future.theta.shape[0] * _n_tables(self.future.bindings, self.future.first_purchase)
        self.nodes, self.used = np.empty(0, np.int64), np.empty(0, np.int64)
        self.tables = np.empty((0, n_tables, 2, 2))

    @property
    def n_bytes(self) -> int:
        """Memory that the tables take."""
        return self.tables.nbytes

    def windows(self, rows: IntArray, T: FloatArray) -> list[IntArray]:
        """Cut rows in the order of T where they would need too many nodes at once."""
        first, _ = self._stencils(T)
        n_nodes = max(int(_NODES * min(_TABLES / self.tables.shape[1], 1.0) * min(self.step / _COARSE, 1.0)), 1)
        return np.split(rows, np.flatnonzero(np.diff(first // n_nodes)) + 1)

    def prepare(self, T: FloatArray) -> None:
        """Fill the tables between which rows of these ages are interpolated."""
        first, _ = self._stencils(T)
        wanted = np.unique(np.unique(first)[:, np.newaxis] + np.arange(self.stencil))
        missing = np.setdiff1d(wanted, self.nodes, assume_unique=True)
        if missing.size == 0:
            return
        counted = self.future.bindings.counts_opportunities
        ages = missing.astype(np.float64) if counted else self.alpha * np.expm1(missing * self.spacing)
        tables, used = self._fill(ages)
        if self.nodes.size == 0:
            self.nodes, self.used, self.tables = missing, used, tables
            return
        nodes = np.union1d(self.nodes, missing)
        merged = np.zeros((nodes.size, tables.shape[1], max(self.tables.shape[2], tables.shape[2]), 2))
        merged_used = np.empty(nodes.size, np.int64)
        for some, of_some, used_of_some in ((self.nodes, self.tables, self.used), (missing, tables, used)):
            place = np.searchsorted(nodes, some)
            merged[place, :, : of_some.shape[2]] = of_some
            merged_used[place] = used_of_some
        self.nodes, self.used, self.tables = nodes, merged_used, merged

    def rows(self, t_x: FloatArray, T: FloatArray, mean_spend: FloatArray) -> tuple[Any, ...]:
        """What the kernels of `value_quantiles` take of rows in the order of T, but for the last argument."""
        first, lagrange = self._stencils(T)
        future, x = self.future, np.full(T.shape[0], self.x)
        share = shares(future.bindings, x, t_x, T, future.theta, future.first_purchase)
        n_tables = share.shape[2]
        # A draw in a stage is to the solver a draw of its own, of which there are so many times more.
        alive = np.ascontiguousarray(share.reshape(T.shape[0], -1) * n_tables)
        scale = np.repeat(future.spend[:, 2] + self.x * mean_spend[:, np.newaxis], n_tables, axis=1)
        node = np.searchsorted(self.nodes, first)
        return self.tables, self.used, node, lagrange, alive, scale, self.step

    def _stencils(self, T: FloatArray) -> tuple[IntArray, FloatArray]:
        """First node and Lagrange weights of each row's stencil; one-sided next to T = 0, of one node where counted."""
        if self.future.bindings.counts_opportunities:
            return np.rint(T).astype(np.int64), np.ones((T.shape[0], 1))
        place = np.log1p(T / self.alpha) / self.spacing
        first = np.maximum(np.floor(place).astype(np.int64) - (_STENCIL // 2 - 1), 0)
        distance = (place - first)[:, np.newaxis] - np.arange(_STENCIL)
        weights = np.ones((T.shape[0], _STENCIL))
        for j in range(_STENCIL):
            for other in range(_STENCIL):
                if other != j:
                    weights[:, j] *= distance[:, other] / (j - other)
        return first, weights

    def _fill(self, T: FloatArray) -> tuple[FloatArray, IntArray]:
        """Tables at these ages, (n_nodes, n_draws * n_tables, n_grid, 2), and how much of them each age uses."""
        future = self.future
        n_tables = _n_tables(future.bindings, future.first_purchase)
        tables = np.zeros((T.shape[0], future.theta.shape[0] * n_tables, 256, 2))
        starts: dict[int, IntArray] = {}
        for table in range(tables.shape[1]):
            d, stage = divmod(table, n_tables)
            for which, pmf in self._pmfs(T, future.theta[d], stage):
                rows = np.full(which.size, self.x), T[which]
                n_max = pmf.shape[1] - 1
                if n_max not in starts:
                    starts[n_max] = count_blocks(n_max, float(self.Q.max()))
                blocks = starts[n_max]
                moments = discount_moments(
                    future.bindings, rows, future.horizon, future.delta, future.theta[d], blocks, stage
                )
                p, Q = future.spend[d, 0], self.Q[d]
                while True:
                    filled = np.empty((which.size, tables.shape[2], 2))
                    end = fill_tables(pmf, blocks, moments, p, Q, future.first_purchase, self.step, filled)
                    if end <= tables.shape[2]:
                        break
                    tables = np.concatenate([tables, np.zeros_like(tables)], axis=2)
                tables[which, table] = filled
        reached = np.asarray(tables.any(axis=(1, 3)))
        used = np.maximum(tables.shape[2] - np.argmax(reached[:, ::-1], axis=1), 2)
        return np.ascontiguousarray(tables[:, :, : used.max()]), used

    def _pmfs(self, T: FloatArray, theta: FloatArray, stage: int) -> Iterator[tuple[IntArray, FloatArray]]:
        """Counts of rows that need as many; a row's own number does not depend on what others need."""
        left, n_max = np.arange(T.shape[0]), 32
        while left.size:
            rows = np.full(left.size, self.x), T[left]
            pmf = stage_pmf(self.future.bindings, rows, self.future.horizon, theta, n_max, stage)
            done = (1.0 - pmf.sum(axis=1) < TAIL) | (n_max >= MOST_COUNTS)
            if done.any():
                yield left[done], np.ascontiguousarray(pmf[done])
            left, n_max = left[~done], 2 * n_max


def _n_tables(bindings: TransactionBindings, first_purchase: bool) -> int:
    """Tables of a draw: one a stage, and where the first purchase is made either way, one of who is gone after it."""
    return bindings.n_stages + first_purchase


def shares(
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


def stage_pmf(
    bindings: TransactionBindings,
    rows: tuple[FloatArray, FloatArray],
    horizon: float,
    theta: FloatArray,
    n_max: int,
    stage: int,
) -> FloatArray:
    """Probabilities of 0, ..., n_max purchases in a stage; the stage after the last is of who is gone."""
    if stage == bindings.n_stages:
        return np.eye(1, n_max + 1).repeat(len(rows[0]), axis=0)
    return bindings.stage_purchase_pmf(*rows, horizon, theta, n_max, stage)


def discount_moments(
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
    if delta * horizon > SHORT:
        return moments
    share = moments[0]
    return np.asarray(np.stack([share, *(share * moments[1:])]).sum(axis=2, keepdims=True))
