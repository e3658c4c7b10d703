"""Sums and rank metrics of a block in every resample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from predclv.backtesting.blocks import Block
from predclv.backtesting.bootstrap import Draws
from predclv.backtesting.metrics import Tally, group_columns, pearson_of, reliability_of, row_columns
from predclv.kernels.group_sums import group_sums
from predclv.kernels.rank_scores import group_distances, rank_scores, uniform_distances
from predclv.kernels.scoring_rules import randomized_pit

__all__ = ["N_BINS", "equal_groups", "find_deciles", "tally_all", "tally_groups"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Bins of `p_purchase`, and groups of customers by forecast.
N_BINS = 10
_CAPTURES = np.array([0.1, 0.2])
_N_RANDOMISATIONS = 20


def equal_groups(values: FloatArray, n_groups: int = N_BINS) -> IntArray:
    """Group of each value, 0 for the lowest, all groups as large as can be; equal values in a random order.

    The order depends on the number of values alone, so that it is the same for every method.
    """
    tie_break = np.random.default_rng(0).permutation(len(values))
    group = np.empty(len(values), dtype=np.int64)
    group[np.lexsort((tie_break, values))] = np.arange(len(values)) * n_groups // max(len(values), 1)
    return group


def find_deciles(forecast: FloatArray) -> IntArray:
    """Tenth of the customers to which each belongs, 1 for the highest forecasts."""
    return N_BINS - equal_groups(forecast)


def tally_all(block: Block, cluster: IntArray, draws: Draws, seed: int) -> Tally:
    """Tally of all customers of a block together.

    Parameters
    ----------
    block : Block
    cluster : (n,) int64 array
        Number of each row's customer.
    draws : Draws
    seed : int
        Of the randomisations of the PIT, which are the same for every method.

    Returns
    -------
    Tally
        With one group, "all".
    """
    everyone = np.zeros(len(cluster), dtype=np.int64)
    sums = _sum(row_columns(block), cluster, everyone, 1, draws)
    own = {"pearson": pearson_of(sums)} | _rank_metrics(block, cluster, draws)
    if block.below is not None and block.at is not None:
        own["pit_ks"] = _uniform_distance(block.below, block.at, cluster, draws, seed)
    if block.p_purchase is not None:
        own["reliability"] = _reliability(block.p_purchase, block.actual, cluster, draws)
    n = np.array([len(cluster)])
    return Tally(["all"], n, n, sums, own)


def tally_groups(
    block: Block, cluster: IntArray, labels: Sequence[str], codes: IntArray, draws: Draws, seed: int
) -> Tally:
    """Tally of groups of a block's customers; rows with a negative code are in none.

    Parameters are those of `tally_all`, the names of groups, and the (n,) group of each row.
    """
    size = np.bincount(codes[codes >= 0], minlength=len(labels))
    present = np.flatnonzero(size)
    sums = {
        name: total[present] for name, total in _sum(group_columns(block), cluster, codes, len(labels), draws).items()
    }
    own = {}
    if block.below is not None and block.at is not None:
        distance = np.zeros(len(labels))
        for pit, order in _randomisations(block.below, block.at, seed):
            distance += group_distances(pit, codes[order], len(labels))
        # Only of the data themselves, resample 0.
        own["pit_ks"] = np.full((len(present), 1 + draws.n_resamples), np.nan)
        own["pit_ks"][:, 0] = distance[present] / _N_RANDOMISATIONS
    return Tally([labels[int(g)] for g in present], size[present], size[present], sums, own)


def _sum(
    columns: Mapping[str, FloatArray], cluster: IntArray, codes: IntArray, n_groups: int, draws: Draws
) -> dict[str, FloatArray]:
    order = np.argsort(codes, kind="stable")
    rows = np.column_stack([column[order] for column in columns.values()])
    parts = [group_sums(part.by_customer, cluster[order], codes[order], rows, n_groups) for part in draws]
    total = np.concatenate(parts, axis=2)
    return {name: total[:, c] for c, name in enumerate(columns)}


def _rank_metrics(block: Block, cluster: IntArray, draws: Draws) -> dict[str, FloatArray]:
    order = np.argsort(block.mean, kind="stable")
    actual = block.actual[order]
    forecast_tie = _ties(block.mean[order])
    actual_tie = np.unique(actual, return_inverse=True)[1].astype(np.int64)
    parts = [
        rank_scores(part.by_resample, cluster[order], forecast_tie, actual_tie, actual, _CAPTURES) for part in draws
    ]
    spearman, gini, capture_10, capture_20 = np.concatenate(parts).T[:, np.newaxis]
    found = {"spearman": spearman, "gini": gini, "lift_10": capture_10 / _CAPTURES[0]}
    # The sum of mean spends is nobody's money, so that a share of it means nothing.
    return found if block.quantity == "spend" else found | {"capture_10": capture_10, "capture_20": capture_20}


def _ties(ordered: FloatArray) -> IntArray:
    return np.concatenate([[0], np.cumsum(ordered[1:] > ordered[:-1])]).astype(np.int64)


def _uniform_distance(below: FloatArray, at: FloatArray, cluster: IntArray, draws: Draws, seed: int) -> FloatArray:
    """Mean over randomisations for resample 0; the first randomisation alone for the others, (1, n_resamples)."""
    everyone = np.ones((1, draws.n_customers), dtype=np.uint16)
    values = np.empty(_N_RANDOMISATIONS)
    for number, (pit, order) in enumerate(_randomisations(below, at, seed)):
        values[number] = uniform_distances(everyone, cluster[order], pit)[0]
        if number == 0:
            parts = [uniform_distances(part.by_resample, cluster[order], pit) for part in draws]
    resamples = np.concatenate(parts)
    resamples[0] = values.mean()
    return resamples[np.newaxis]


def _randomisations(below: FloatArray, at: FloatArray, seed: int) -> list[tuple[FloatArray, IntArray]]:
    found = []
    for number in range(_N_RANDOMISATIONS):
        pit = randomized_pit(below, at, np.random.default_rng([seed, number]).random(len(at)))
        order = np.argsort(pit)
        found.append((pit[order], order))
    return found


def _reliability(p_purchase: FloatArray, actual: FloatArray, cluster: IntArray, draws: Draws) -> FloatArray:
    columns = {"customers": np.ones(len(actual)), "predicted": p_purchase, "observed": (actual > 0).astype(np.float64)}
    sums = _sum(columns, cluster, equal_groups(p_purchase), N_BINS, draws)
    return reliability_of(**sums)[np.newaxis]
