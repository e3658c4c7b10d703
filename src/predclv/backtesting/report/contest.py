"""Which method has the lowest CRPS, and whether the others differ from it by more than noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from predclv.backtesting.blocks import Block
from predclv.backtesting.bootstrap import Draws, find_interval
from predclv.backtesting.scores import find_scopes, name_cutoff

if TYPE_CHECKING:
    from predclv.backtesting.result import Backtest

__all__ = ["NEGLIGIBLE", "Contest", "Paired", "draw_customers", "hold_contest", "pair"]

FloatArray = NDArray[np.float64]

#: Differences in CRPS below this share decide nothing, whether or not they are more than noise.
NEGLIGIBLE = 0.005
Verdict = Literal["better", "worse", "within noise", ""]


@dataclass(frozen=True)
class Paired:
    """Two methods over the cut-offs that both forecast from.

    Attributes
    ----------
    method, other : str
    n_cutoffs, n_rows : int
        Cut-offs, and customers at them, that both have.
    crps, other_crps : float
    bias, other_bias : float
        Total forecast over total actual, less 1; NaN for a total of 0.
    low, high : float
        Interval of crps - other_crps; NaN where there are no resamples.
    """

    method: str
    other: str
    n_cutoffs: int
    n_rows: int
    crps: float
    other_crps: float
    bias: float
    other_bias: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Of the CRPS, negative where the method is better."""
        return self.crps - self.other_crps

    @property
    def relative(self) -> float:
        """Difference in parts of the other's."""
        return self.difference / self.other_crps if self.other_crps else float("nan")

    @property
    def verdict(self) -> Verdict:
        """Of the method: more than noise, or not; empty without an interval."""
        if np.isnan(self.low):
            return ""
        return "worse" if self.low > 0 else "better" if self.high < 0 else "within noise"

    @property
    def is_tied(self) -> bool:
        """Whether the two are as good as each other: within noise, or so close that it decides nothing."""
        return self.verdict == "within noise" or abs(self.relative) < NEGLIGIBLE or self.difference == 0


@dataclass(frozen=True)
class Contest:
    """Methods for one quantity and horizon.

    Attributes
    ----------
    quantity, horizon : str
    cutoffs : list of str
        Cut-offs that the winner has forecast from: as many as any method has of those looked at.
    winner : str
        Lowest CRPS among the methods that have as many.
    crps : float
        The winner's.
    rivals : list of Paired
        The others against the winner, over common cut-offs: those with all cut-offs by CRPS, then the rest.
    wins : int
        Cut-offs at which the winner was best among those it was ranked with.
    empty : tuple of str
        Methods that forecast nothing of anybody.
    points : tuple of str
        Methods without odds: their CRPS is the absolute error.
    """

    quantity: str
    horizon: str
    cutoffs: list[str]
    winner: str
    crps: float
    rivals: list[Paired]
    wins: int
    empty: tuple[str, ...] = ()
    points: tuple[str, ...] = ()

    @property
    def n_cutoffs(self) -> int:
        """How many cut-offs the winner has."""
        return len(self.cutoffs)

    @property
    def order(self) -> list[str]:
        """Methods by CRPS, those that lack cut-offs behind."""
        return [self.winner, *(rival.method for rival in self.rivals)]

    @property
    def full(self) -> list[Paired]:
        """Rivals with all cut-offs."""
        return [rival for rival in self.rivals if rival.n_cutoffs == self.n_cutoffs]

    @property
    def partial(self) -> list[Paired]:
        """Rivals that lack cut-offs: late, or failed at some."""
        return [rival for rival in self.rivals if rival.n_cutoffs < self.n_cutoffs]

    @property
    def tied(self) -> list[str]:
        """Rivals with all cut-offs that differ from the winner by no more than noise, or by next to nothing."""
        return [rival.method for rival in self.full if rival.is_tied]


def hold_contest(result: Backtest, draws: Draws, quantity: str, horizon: str, *, pooled: bool = True) -> Contest:
    """Find the lowest CRPS and compare the others with it, customers paired.

    Parameters
    ----------
    result : Backtest
    draws : Draws
    quantity, horizon : str
    pooled : bool
        Over the cut-offs that scores of all cut-offs together are over, those at which every method has a forecast; or
        over all, among the methods that have as many as any.
    """
    found = _blocks(result, quantity, horizon)
    if pooled:
        scope = set(find_scopes({method: {b.cutoff for b in own.values()} for method, own in found.items()})[-1][1])
        found = {method: {c: b for c, b in own.items() if b.cutoff in scope} for method, own in found.items()}
    most = max(len(blocks) for blocks in found.values())
    full = {method: blocks for method, blocks in found.items() if len(blocks) == most}
    mean = {method: _mean(list(blocks.values()), "crps") for method, blocks in full.items()}
    winner = min(mean, key=lambda method: mean[method])
    rivals = [_pair(result, draws, found, method, winner) for method in found if method != winner]
    rivals.sort(key=lambda rival: (-rival.n_cutoffs, rival.difference))
    wins = sum(
        all(own.crps.mean() <= blocks[cutoff].crps.mean() for blocks in full.values())
        for cutoff, own in full[winner].items()
    )
    empty = [method for method, own in found.items() if own and not any(block.mean.any() for block in own.values())]
    points = [method for method, own in found.items() if any(block.at is None for block in own.values())]
    return Contest(
        quantity, horizon, sorted(full[winner]), winner, mean[winner], rivals, wins, tuple(empty), tuple(points)
    )


def pair(result: Backtest, draws: Draws, quantity: str, horizon: str, method: str, other: str) -> Paired | None:
    """Compare two methods, customers paired; None where they share no cut-off."""
    found = _blocks(result, quantity, horizon)
    if method not in found or other not in found or not set(found[method]) & set(found[other]):
        return None
    return _pair(result, draws, found, method, other)


def _pair(result: Backtest, draws: Draws, found: dict[str, dict[str, Block]], method: str, other: str) -> Paired:
    common = [cutoff for cutoff in found[method] if cutoff in found[other]]
    own, others = ([found[name][cutoff] for cutoff in common] for name in (method, other))
    low, high = _interval(result, draws, own, others) if common else (np.nan, np.nan)
    return Paired(
        method,
        other,
        len(common),
        sum(len(block.customers) for block in own),
        _mean(own, "crps"),
        _mean(others, "crps"),
        _bias(own),
        _bias(others),
        low,
        high,
    )


def draw_customers(result: Backtest) -> Draws:
    """Resamples of customers: those that the scores' intervals come from."""
    n_customers = 1 + max(int(cohort.cluster.max()) for cohort in result.cohorts.values())
    return Draws(n_customers, int(result.settings["n_bootstrap"]), int(result.settings["random_state"]))


def _interval(result: Backtest, draws: Draws, own: Sequence[Block], others: Sequence[Block]) -> tuple[float, float]:
    """Percentile interval of the difference of mean CRPS, customers drawn with all their cut-offs."""
    cohorts = result.cohorts
    sums, counts = np.zeros(draws.n_customers), np.zeros(draws.n_customers)
    for mine, theirs in zip(own, others, strict=True):
        cluster = cohorts[mine.cutoff].cluster[mine.customers]
        np.add.at(sums, cluster, mine.crps - theirs.crps)
        np.add.at(counts, cluster, 1.0)
    both = np.stack([sums, counts], axis=1)
    drawn = np.concatenate([weights.by_resample @ both for weights in draws])
    # A resample of very few customers may hold none of those scored.
    with np.errstate(invalid="ignore"):
        low, high = find_interval(drawn[1:, 0] / drawn[1:, 1], float(result.settings["level"]))
    return float(low), float(high)


def _blocks(result: Backtest, quantity: str, horizon: str) -> dict[str, dict[str, Block]]:
    found: dict[str, dict[str, Block]] = {}
    for block in result.blocks:
        if block.quantity == quantity and block.horizon == horizon and len(block.customers):
            found.setdefault(block.method, {})[name_cutoff(block.cutoff)] = block
    return found


def _mean(blocks: Sequence[Block], column: str) -> float:
    return float(np.concatenate([getattr(block, column) for block in blocks]).mean()) if blocks else float("nan")


def _bias(blocks: Sequence[Block]) -> float:
    actual = sum(float(block.actual.sum()) for block in blocks)
    return sum(float(block.mean.sum()) for block in blocks) / actual - 1 if actual else float("nan")
