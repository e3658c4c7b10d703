"""The last forecast against what happened since: totals, groups of customers, and each customer's own place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.decisions.monitor.forecaster import Forecaster, Piece
from predclv.decisions.monitor.snapshots import Matched, Pairing
from predclv.decisions.monitor.sources import ROWS
from predclv.kernels.scoring_rules import randomized_pit

__all__ = ["Calibration", "Foreseen", "judge_forecast"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_GROUPS = 10
_MOST_CUSTOMERS = 50_000  # whose own distributions are worked out: their shares are then good to 0.2 points
_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the old forecast of the window came out.

    Attributes
    ----------
    totals : DataFrame
        what ("purchases", "revenue"), group ("all", or 1 to 10 by what was expected, 1 the least), customers, expected,
        low, high, actual, inside, p (chance of a total as far out) and error, actual over expected less 1.
    pit : (n,) array
        Randomized place of each customer's purchases in their own predictive distribution: uniform where that holds.
    distance : float
        Of the places from uniform: the largest difference of the distribution functions (Kolmogorov).
    distance_by_chance : float
        What it exceeds in one of 100 cases where the forecast holds.
    share_inside, level : float
        Share of customers within their central intervals of that level.
    """

    totals: pd.DataFrame
    pit: FloatArray
    distance: float
    distance_by_chance: float
    share_inside: float
    level: float


@dataclass(frozen=True, eq=False)
class Foreseen:
    """What the old model said of each customer compared.

    Attributes
    ----------
    purchases : (n_compared,) array
        Expected in the window.
    worth : (n_compared,) array
        Expected spend a purchase.
    keys : (n_compared,) array of uint64
        Whole numbers in an order that does not depend on that of rows.
    """

    purchases: FloatArray
    worth: FloatArray
    keys: NDArray[np.uint64]


def judge_forecast(
    forecaster: Forecaster, pairing: Pairing, foreseen: Foreseen, level: float, seed: int, rows: int = ROWS
) -> Calibration:
    """Score the old model's forecast of the window, made for the customers of the old snapshot."""
    totals = _totals(forecaster, pairing, foreseen, level, rows)
    chosen = pairing.pick(np.sort(np.argsort(foreseen.keys, kind="stable")[:_MOST_CUSTOMERS]))
    pit = randomized_pit(*_places(forecaster, chosen), chosen.uniforms(seed, "place"))
    return Calibration(
        totals,
        pit,
        float(stats.kstest(pit, "uniform").statistic),
        float(stats.kstwo.ppf(0.99, len(pit))),
        float(np.mean(np.abs(pit - 0.5) <= level / 2)),
        level,
    )


def _totals(forecaster: Forecaster, pairing: Pairing, foreseen: Foreseen, level: float, rows: int) -> pd.DataFrame:
    expected = foreseen.purchases
    group, n_groups = _groups(expected)
    simulated = forecaster.simulate_totals(pairing, group, n_groups, foreseen.keys, rows)
    parts = [("purchases", expected, simulated.purchases, pairing.purchases.astype(np.float64))]
    spend = pairing.spend
    if forecaster.spend is not None and spend is not None:
        parts.append(("revenue", expected * foreseen.worth, simulated.spend, spend))
    ends = [(1 - level) / 2, (1 + level) / 2]
    tables = []
    for what, forecast, draws, happened in parts:
        low, high = np.quantile(draws, ends, axis=0, method="inverted_cdf")
        sums = [_with_sum(np.bincount(group, column, n_groups).astype(np.float64)) for column in (forecast, happened)]
        customers = _with_sum(np.bincount(group, minlength=n_groups).astype(np.float64)).astype(np.int64)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(sums[0] > 0, sums[1] / sums[0] - 1.0, np.nan)
        tables.append(
            pd.DataFrame(
                {
                    "what": what,
                    "group": [*map(str, range(1, n_groups + 1)), "all"],
                    "customers": customers,
                    "expected": sums[0],
                    "low": low,
                    "high": high,
                    "actual": sums[1],
                    "inside": (low <= sums[1]) & (sums[1] <= high),
                    "p": _two_sided(draws, sums[1]),
                    "error": error,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _groups(expected: FloatArray) -> tuple[IntArray, int]:
    """Tenths of the customers by what was expected of them; equals stay together, so there may be fewer."""
    edges = np.unique(np.quantile(expected, np.arange(1, _GROUPS) / _GROUPS, method="inverted_cdf"))
    _, group = np.unique(np.searchsorted(edges, expected, side="left"), return_inverse=True)
    return group.astype(np.int64), int(group.max()) + 1


def _two_sided(draws: FloatArray, actual: FloatArray) -> FloatArray:
    """Chance of a total as far out on either side, among the simulated ones and the actual one."""
    below, above = (draws <= actual).sum(axis=0), (draws >= actual).sum(axis=0)
    return np.asarray(np.minimum(2.0 * (np.minimum(below, above) + 1.0) / (len(draws) + 1.0), 1.0))


def _with_sum(column: FloatArray) -> FloatArray:
    return np.append(column, column.sum())


def _places(forecaster: Forecaster, matched: Matched) -> tuple[FloatArray, FloatArray]:
    """P(N < n) and P(N <= n) by the forecast, leaving included, of some customers."""
    below, at = np.empty(len(matched)), np.empty(len(matched))
    for piece in forecaster.pieces(matched.old):
        n = matched.purchases[piece.rows]
        width = int(n.max()) + 1
        distinct, back = np.unique(piece.inverse * width + n, return_inverse=True)
        found = _places_of(piece, *np.divmod(distinct, width), matched.window)
        below[piece.rows], at[piece.rows] = (column[back] for column in found)
    return below, at


def _places_of(piece: Piece, which: IntArray, n: IntArray, window: float) -> tuple[FloatArray, FloatArray]:
    below, at = np.empty(len(n)), np.empty(len(n))
    order = np.argsort(n, kind="stable")
    start = 0
    while start < len(order):
        limit = 2 * int(n[order[start]]) + 16
        stop = start + int(np.searchsorted(n[order[start:]], limit, side="right"))
        stop = min(stop, start + max(_CELLS // (limit + 1), 1))
        some = order[start:stop]
        history = piece.x[which[some]], piece.t_x[which[some]], piece.T[which[some]]
        cdf = np.cumsum(piece.bindings.purchase_pmf(*history, window, piece.draws, int(n[some].max())), axis=1)
        at[some] = np.take_along_axis(cdf, n[some][:, np.newaxis], axis=1)[:, 0]
        before = np.take_along_axis(cdf, np.maximum(n[some] - 1, 0)[:, np.newaxis], axis=1)[:, 0]
        below[some] = np.where(n[some] > 0, before, 0.0)
        start = stop
    return np.minimum(below, 1.0), np.minimum(at, 1.0)
