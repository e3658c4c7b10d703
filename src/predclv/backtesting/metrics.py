"""What a score is made of: columns of a block's rows, their sums over groups of customers, and metrics of the sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from predclv.backtesting.blocks import QUANTILES, Block
from predclv.kernels.scoring_rules import pit_below

__all__ = ["METRICS", "Tally", "add_tallies", "compute_metrics", "group_columns", "loss_of", "row_columns"]

FloatArray = NDArray[np.float64]
Aim = Literal["low", "high"] | float | None

#: Central intervals whose coverage is scored.
COVERAGES = (0.5, 0.8, 0.9, 0.95)

#: Every metric and what is good: low, high, near this number, or, with None, nothing that could be said of it.
METRICS: Mapping[str, Aim] = {
    "bias": 0.0,
    "mae": "low",
    "rmse": "low",
    "msle": "low",
    "pearson": "high",
    "spearman": "high",
    "gini": "high",
    "capture_10": "high",
    "capture_20": "high",
    "lift_10": "high",
    "crps": "low",
    **{f"pit_coverage_{100 * level:.0f}": level for level in COVERAGES},
    # Discrete outcomes are covered too often by perfect forecasts, so that nearer to the level is not better.
    **{f"raw_coverage_{100 * level:.0f}": None for level in COVERAGES},
    "pit_ks": "low",
    "brier": "low",
    "log_score": "low",
    "reliability": "low",
}

# Means over rows of the column of the same name.
_MEANS = tuple(
    name for name in METRICS if name in ("mae", "msle", "crps", "brier") or name.startswith(("pit_coverage", "raw_"))
)


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over groups of customers, of one method, in every resample.

    Attributes
    ----------
    labels : list of str
        Groups that have customers.
    customers, most : (n_groups,) int64 arrays
        Rows of each group: in all, and at the cut-off where it has most.
    sums : mapping of column to (n_groups, n_resamples) array
    own : mapping of metric to (n_groups, n_resamples) array
        Metrics that are no function of sums.
    """

    labels: list[str]
    customers: NDArray[np.int64]
    most: NDArray[np.int64]
    sums: Mapping[str, FloatArray]
    own: Mapping[str, FloatArray]

    def take(self, groups: NDArray[np.int64]) -> Tally:
        """Some of the groups."""
        return Tally(
            [self.labels[g] for g in groups],
            self.customers[groups],
            self.most[groups],
            {name: total[groups] for name, total in self.sums.items()},
            {name: values[groups] for name, values in self.own.items()},
        )


def loss_of(metric: str, values: FloatArray) -> FloatArray | None:
    """What a metric costs, the less the better; None where it says nothing of better and worse."""
    aim = METRICS[metric]
    if aim is None:
        return None
    if isinstance(aim, float):
        return np.abs(values - aim)
    return values if aim == "low" else -values


def group_columns(block: Block) -> dict[str, FloatArray]:
    """Columns of a block's rows whose sums give what is said of groups of customers, each (n,)."""
    columns = {
        "customers": np.ones(len(block.actual)),
        "actual": block.actual,
        "expected": block.mean,
        "mae": np.abs(block.mean - block.actual),
        "crps": block.crps,
    }
    for level in COVERAGES:
        low, high = round((1 - level) / 2, 3), round((1 + level) / 2, 3)
        if block.below is not None and block.at is not None:
            inside = pit_below(block.below, block.at, high) - pit_below(block.below, block.at, low)
            columns[f"pit_coverage_{100 * level:.0f}"] = inside
        if block.quantiles is not None:
            ends = block.quantiles[:, [QUANTILES.index(low), QUANTILES.index(high)]]
            columns[f"raw_coverage_{100 * level:.0f}"] = 1.0 * (
                (ends[:, 0] <= block.actual) & (block.actual <= ends[:, 1])
            )
    return columns


def row_columns(block: Block) -> dict[str, FloatArray]:
    """`group_columns` and those that are scored over all customers only."""
    x, y = _centred(block.mean), _centred(block.actual)
    columns = group_columns(block) | {
        "square": (block.mean - block.actual) ** 2,
        "msle": (np.log1p(block.mean) - np.log1p(block.actual)) ** 2,
        **{"x": x, "y": y, "xx": x * x, "yy": y * y, "xy": x * y},
    }
    if block.p_purchase is not None:
        bought = block.actual > 0
        chance = np.where(bought, block.p_purchase, 1.0 - block.p_purchase)
        impossible = chance <= 0
        columns["brier"] = (1.0 - chance) ** 2
        columns["log_score"] = -np.log(np.where(impossible, 1.0, chance))
        columns["impossible"] = 1.0 * impossible
    return columns


def add_tallies(tallies: Sequence[Tally]) -> Tally:
    """Put cut-offs together: sums are added, a group's own metrics averaged over the cut-offs that have it."""
    if len(tallies) == 1:
        return tallies[0]
    labels = list(dict.fromkeys(label for tally in tallies for label in tally.labels))
    place = {label: number for number, label in enumerate(labels)}
    where = [np.array([place[label] for label in tally.labels]) for tally in tallies]
    customers, most, present = (np.zeros(len(labels), dtype=np.int64) for _ in range(3))
    for tally, rows in zip(tallies, where, strict=True):
        customers[rows] += tally.customers
        most[rows] = np.maximum(most[rows], tally.most)
        present[rows] += 1

    def add(name: str, kind: Literal["sums", "own"]) -> FloatArray:
        first = getattr(tallies[0], kind)[name]
        total = np.zeros((len(labels), first.shape[1]))
        for tally, rows in zip(tallies, where, strict=True):
            total[rows] += getattr(tally, kind)[name]
        return total

    # What one cut-off lacks (a distribution that was not given there) the sum of all would misstate.
    sums = {name: add(name, "sums") for name in tallies[0].sums if all(name in tally.sums for tally in tallies)}
    own = {
        name: add(name, "own") / present[:, np.newaxis]
        for name in tallies[0].own
        if all(name in tally.own for tally in tallies)
    }
    return Tally(labels, customers, most, sums, own)


def compute_metrics(tally: Tally) -> dict[str, FloatArray]:
    """Metrics of each group in each resample, (n_groups, n_resamples); NaN where undefined.

    `bias` of a total of 0 is infinite, or NaN where nothing was expected either.
    """
    sums, n = tally.sums, tally.sums["customers"]
    found = dict(tally.own)
    with np.errstate(divide="ignore", invalid="ignore"):
        found["bias"] = sums["expected"] / sums["actual"] - 1.0
        found |= {name: sums[name] / n for name in _MEANS if name in sums}
        if "square" in sums:
            found["rmse"] = np.sqrt(sums["square"] / n)
        if "log_score" in sums:
            found["log_score"] = np.where(sums["impossible"] > 0, np.inf, sums["log_score"] / n)
    return {name: found[name] for name in METRICS if name in found}


def pearson_of(sums: Mapping[str, FloatArray]) -> FloatArray:
    """Pearson's correlation of forecast and outcome from the sums of `row_columns`; NaN where one is constant."""
    n = sums["customers"]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = (sums["xx"] - sums["x"] ** 2 / n) * (sums["yy"] - sums["y"] ** 2 / n)
        # A resample of equal outcomes leaves rounding errors only.
        spread = np.where(spread > 1e-24 * sums["xx"] * sums["yy"], spread, np.nan)
        return np.asarray((sums["xy"] - sums["x"] * sums["y"] / n) / np.sqrt(spread))


def reliability_of(customers: FloatArray, predicted: FloatArray, observed: FloatArray) -> FloatArray:
    """Reliability term of the Brier score from sums over bins, (n_bins, n_resamples) each.

    Murphy (1973), A New Vector Partition of the Probability Score, J. Appl. Meteorology 12(4): the mean over
    customers of the squared difference of a bin's mean forecast and the share of it that bought.
    """
    gap = (predicted - observed) ** 2 / np.maximum(customers, 1.0)
    return np.asarray(gap.sum(axis=0) / np.maximum(customers.sum(axis=0), 1.0))


def _centred(values: FloatArray) -> FloatArray:
    # A constant must leave zeros and no rounding errors.
    return np.zeros(len(values)) if np.ptp(values) == 0 else values - values.mean()
