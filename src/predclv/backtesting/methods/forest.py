"""What came of customers in the leaves of a random forest, as a distribution for those who fall into them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.methods.training import Terms, TrainingSet
from predclv.backtesting.methods.two_part import hurdle_counts, scaled_hurdle
from predclv.backtesting.predictions import Forecast

__all__ = ["Leaves", "grow_leaves"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_N_TREES = 100
# Customers that a tree is grown on, and the fewest of them in a leaf.
_TREE_SIZE, _LEAF_SIZE = 10_000, 5
# Classes of money by share of the paying customers: fine where few are worth much.
_CLASS_ENDS = np.concatenate([np.linspace(0.0, 0.98, 300), 1.0 - np.geomspace(0.02, 1e-5, 100), [1.0]])
# Customers forecast at once: what bounds the memory.
_CHUNK = 20_000


@dataclass(frozen=True, eq=False)
class Leaves:
    """A forest, and what came of the training customers in each leaf of each tree.

    Attributes
    ----------
    forest : RandomForestRegressor
    first : (n_trees,) int64 array
        Number of each tree's first node among those of all trees.
    counts : (n_nodes, n_counts) sparse matrix
        Share of each number of purchases.
    count_values : (n_counts,) array
        The numbers of purchases that came up, rising.
    money : (n_nodes, n_classes) sparse matrix or None
        Share of each class of money; the first is nothing.
    edges : (n_classes,) array
        Upper ends of the classes, 0 first.
    mean_money : (n_nodes,) array
        Empty where `money` is None.
    """

    forest: Any
    first: IntArray
    counts: sparse.csr_array
    count_values: FloatArray
    money: sparse.csr_array | None
    edges: FloatArray
    mean_money: FloatArray

    def forecast(self, features: pd.DataFrame, terms: Terms) -> Forecast:
        """Forecast customers by the average leaf they fall into."""
        chunks = [features.iloc[i : i + _CHUNK] for i in range(0, len(features), _CHUNK)]
        places = np.split(np.arange(len(features)), np.cumsum([len(chunk) for chunk in chunks])[:-1])
        counts, values, means = zip(*(self._forecast(chunk, terms.scale) for chunk in chunks), strict=True)
        purchases = Counts.joined(counts, places)
        expected = purchases.mean()
        if self.money is None:
            return Forecast(expected, purchases, notes=terms.notes)
        value = np.concatenate(means)
        average = value.sum() / max(expected.sum(), 1e-12)
        return Forecast(
            expected,
            purchases,
            expected_spend=np.divide(value, expected, out=np.full(len(value), average), where=expected > 0),
            expected_value=value,
            value=Values.joined(values, places),
            notes=terms.notes,
        )

    def _forecast(self, features: pd.DataFrame, scale: float) -> tuple[Counts, Values, FloatArray]:
        weight = self._weight(features)
        counts, stretch = _counts((weight @ self.counts).toarray(), self.count_values, scale)
        if self.money is None:
            return counts, Values.from_quantiles([], np.empty((0, len(LEVELS)))), np.empty(0)
        cdf = np.cumsum((weight @ self.money).toarray(), axis=1)
        return counts, _values(cdf, self.edges, stretch, scale), scale * (weight @ self.mean_money)

    def _weight(self, features: pd.DataFrame) -> sparse.csr_array:
        """Weight of each node for each customer: 1 / n_trees for the leaves she falls into."""
        nodes = self.forest.apply(features) + self.first
        n, n_trees = nodes.shape
        entries = (np.full(nodes.size, 1.0 / n_trees), nodes.ravel(), np.arange(0, nodes.size + 1, n_trees))
        return sparse.csr_array(entries, shape=(n, self.counts.shape[0]))


def grow_leaves(training: TrainingSet, random_state: int) -> Leaves:
    """Grow a forest on the logs of both outcomes and fill its leaves with all training customers."""
    from sklearn.ensemble import RandomForestRegressor

    outcomes = [training.purchases]
    spend = training.spend
    if spend is not None:
        outcomes.append(spend)
    target = np.log1p(np.stack(outcomes, axis=1))
    n, spread = len(target), target.std(axis=0)
    forest = RandomForestRegressor(
        n_estimators=_N_TREES,
        max_samples=min(n // 2, _TREE_SIZE),
        min_samples_leaf=_LEAF_SIZE,
        max_features=1 / 3,
        n_jobs=1,
        random_state=random_state,
    ).fit(training.features, (target / np.where(spread > 0, spread, 1.0)).squeeze())
    sizes = np.array([tree.tree_.node_count for tree in forest.estimators_], dtype=np.int64)
    first = np.cumsum(sizes) - sizes
    count_values, count = np.unique(training.purchases, return_inverse=True)
    everyone = np.ones(n)
    counts = _average(forest, training.features, count, everyone, len(count_values))
    if spend is None:
        return Leaves(forest, first, counts, count_values, None, np.empty(0), np.empty(0))
    edges = np.concatenate([[0.0], np.unique(np.quantile(spend[spend > 0], _CLASS_ENDS))])
    money = _average(forest, training.features, np.searchsorted(edges, spend), everyone, len(edges))
    mean = _average(forest, training.features, np.zeros(n, dtype=np.int64), spend, 1)
    return Leaves(forest, first, counts, count_values, money, edges, mean.toarray().ravel())


def _average(forest: Any, features: pd.DataFrame, kind: IntArray, amount: FloatArray, n_kinds: int) -> sparse.csr_array:
    """Sum of the amounts of each kind in each node over the number of customers there, tree by tree."""
    # Trees were given what the forest makes of a frame.
    rows = features.to_numpy(dtype=np.float32)
    parts = []
    for tree in forest.estimators_:
        node, n_nodes = tree.apply(rows), tree.tree_.node_count
        filled = np.maximum(np.bincount(node, minlength=n_nodes), 1)
        parts.append(sparse.coo_array((amount / filled[node], (node, kind)), shape=(n_nodes, n_kinds)).tocsr())
    stacked: sparse.csr_array = sparse.vstack(parts, format="csr")
    return stacked


def _counts(shares: FloatArray, values: FloatArray, scale: float) -> tuple[Counts, FloatArray]:
    """Distributions of counts, and by how much what a buyer buys grows with the scale."""
    n = len(shares)
    p = np.clip(1.0 - shares[:, 0] if values[0] == 0 else np.ones(n), 0.0, 1.0)
    if scale == 1.0:
        length = (values[shares.shape[1] - 1 - np.argmax(shares[:, ::-1] > 0, axis=1)] + 1).astype(np.int64)
        start = np.cumsum(length) - length
        probability = np.zeros(length.sum())
        customer, kind = np.nonzero(shares)
        probability[start[customer] + values[kind].astype(np.int64)] = shares[customer, kind]
        return Counts.from_probabilities(probability, length), np.ones(n)
    mean, square = shares @ values, shares @ values**2
    buys = np.maximum(p, 1e-12)
    more = np.maximum(mean / buys - 1.0, 0.0)
    variance = square / buys - (1.0 + more) ** 2
    # A negative binomial has the variance m + m^2 / shape; without excess it is all but Poisson.
    shape = np.divide(more**2, variance - more, out=np.full(n, 1e6), where=variance > more)
    stretched, further = scaled_hurdle(p, more, scale)
    stretch = np.divide(scale * p, stretched, out=np.ones(n), where=stretched > 0)
    return hurdle_counts(stretched, further, np.clip(shape, 1e-3, 1e6)), stretch


def _values(cdf: FloatArray, edges: FloatArray, stretch: FloatArray, scale: float) -> Values:
    """Turn shares of classes of money into quantiles; what buyers spend is multiplied by `stretch`."""
    idle = np.clip(cdf[:, :1], 0.0, 1.0)
    paying = np.maximum(1.0 - idle, 1e-12)
    # Rounding may take more than 1 from 1.
    nothing = np.maximum(1.0 - paying * (scale / stretch)[:, np.newaxis], 0.0)
    levels = nothing + (1.0 - nothing) * np.clip((cdf[:, 1:] - idle) / paying, 0.0, 1.0)
    money = Values(nothing[:, 0], levels, edges[1:] * stretch[:, np.newaxis], np.arange(len(cdf)))
    return Values.from_quantiles(nothing[:, 0], money.at_levels(LEVELS))
