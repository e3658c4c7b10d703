"""Tables that describe forecasts beside outcomes: deciles, PIT histograms, gains, reliability."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.blocks import Block
from predclv.backtesting.scores import by_horizon, find_scopes
from predclv.backtesting.tallies import N_BINS, equal_groups, find_deciles
from predclv.kernels.scoring_rules import pit_below

__all__ = ["IDEAL", "decile_table", "gains_table", "pit_table", "reliability_table"]

FloatArray = NDArray[np.float64]

#: Method under which `gains_table` puts the order that the outcome itself gives.
IDEAL = "ideal"
_PIT_EDGES = np.linspace(0.0, 1.0, 21)
_SHARES = np.linspace(0.0, 1.0, 101)


def decile_table(blocks: Sequence[Block]) -> pd.DataFrame:
    """Forecast and outcome of tenths of the customers, the highest forecasts first.

    Parameters
    ----------
    blocks : sequence of Block

    Returns
    -------
    DataFrame
        horizon, cutoff (text; "all" for all cut-offs together), method, quantity, decile (1 has the highest forecasts
        of that method at the cut-off), customers, expected, actual (means a customer), lift (actual over the mean of
        all; NaN where nobody did anything). Customers of equal forecasts are parted at random, for every method alike.
    """

    def sums(block: Block) -> FloatArray:
        decile = find_deciles(block.mean) - 1
        return _sums_by(decile, np.ones(len(decile)), block.mean, block.actual)

    def describe(parts: list[FloatArray]) -> dict[str, FloatArray]:
        customers, expected, actual = np.sum(parts, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            overall = actual.sum() / customers.sum()
            columns = {
                "decile": np.arange(1, N_BINS + 1),
                "customers": customers.astype(np.int64),
                "expected": expected / customers,
                "actual": actual / customers,
                "lift": actual / customers / overall if overall > 0 else np.full(N_BINS, np.nan),
            }
        return {name: column[customers > 0] for name, column in columns.items()}

    names = ("decile", "customers", "expected", "actual", "lift")
    return _table(blocks, ("horizon", "cutoff", "method", "quantity"), names, sums, describe)


def pit_table(blocks: Sequence[Block]) -> pd.DataFrame:
    """Histogram of the randomized PIT, averaged over randomisations in closed form (non-randomised PIT).

    Parameters
    ----------
    blocks : sequence of Block
        Those without a distribution have no rows.

    Returns
    -------
    DataFrame
        horizon, cutoff (text; "all" for all cut-offs together), method, quantity, bin_low, bin_high, share (of the
        customers; a twentieth in each of the 20 bins where the forecast holds).

    References
    ----------
    Czado, Gneiting & Held (2009), Biometrics 65(4), section 2.1.
    """

    def sums(block: Block) -> FloatArray:
        assert block.below is not None
        assert block.at is not None
        reached = np.array([pit_below(block.below, block.at, edge).sum() for edge in _PIT_EDGES])
        return np.append(np.diff(reached), len(block.at))

    def describe(parts: list[FloatArray]) -> dict[str, FloatArray]:
        total = np.sum(parts, axis=0)
        return {"bin_low": _PIT_EDGES[:-1], "bin_high": _PIT_EDGES[1:], "share": total[:-1] / total[-1]}

    with_pit = [block for block in blocks if block.below is not None and block.at is not None]
    names = ("bin_low", "bin_high", "share")
    return _table(with_pit, ("horizon", "cutoff", "method", "quantity"), names, sums, describe)


def gains_table(blocks: Sequence[Block]) -> pd.DataFrame:
    """What share of all purchases, or value, the customers with the highest forecasts brought.

    Parameters
    ----------
    blocks : sequence of Block
        Those of spend have no rows: the sum of mean spends is nobody's money.

    Returns
    -------
    DataFrame
        horizon, cutoff (text; "all" for the mean over cut-offs), method, quantity, share_customers (0, 0.01, ..., 1),
        share_actual (NaN where nobody did anything). Customers of equal forecasts share equally what they brought. The
        method "ideal" is the order by the outcome itself.
    """
    of_total = [block for block in blocks if block.quantity != "spend"]
    best = {(b.cutoff, b.horizon, b.quantity): replace(b, method=IDEAL, mean=b.actual) for b in of_total}

    def describe(parts: list[FloatArray]) -> dict[str, FloatArray]:
        return {"share_customers": _SHARES, "share_actual": np.mean(parts, axis=0)}

    key = ("horizon", "cutoff", "method", "quantity")
    return _table([*of_total, *best.values()], key, ("share_customers", "share_actual"), _gains, describe)


def reliability_table(blocks: Sequence[Block]) -> pd.DataFrame:
    """Probability of a purchase beside the share who bought, in ten bins of equal size.

    Parameters
    ----------
    blocks : sequence of Block
        Those without `p_purchase` have no rows.

    Returns
    -------
    DataFrame
        horizon, cutoff (text; "all" for all cut-offs together, bin by bin), method, bin (1 has the lowest
        probabilities), customers, predicted, observed (means). Equal probabilities are parted at random.
    """

    def sums(block: Block) -> FloatArray:
        assert block.p_purchase is not None
        bin_ = equal_groups(block.p_purchase)
        return _sums_by(bin_, np.ones(len(bin_)), block.p_purchase, (block.actual > 0).astype(np.float64))

    def describe(parts: list[FloatArray]) -> dict[str, FloatArray]:
        customers, predicted, observed = np.sum(parts, axis=0)
        some = customers > 0
        return {
            "bin": np.arange(1, N_BINS + 1)[some],
            "customers": customers[some].astype(np.int64),
            "predicted": predicted[some] / customers[some],
            "observed": observed[some] / customers[some],
        }

    with_p = [block for block in blocks if block.p_purchase is not None]
    names = ("bin", "customers", "predicted", "observed")
    return _table(with_p, ("horizon", "cutoff", "method"), names, sums, describe)


def _table(
    blocks: Sequence[Block],
    key: tuple[str, ...],
    names: tuple[str, ...],
    part: Callable[[Block], FloatArray],
    describe: Callable[[list[FloatArray]], dict[str, FloatArray]],
) -> pd.DataFrame:
    """Describe each cut-off's part, and the parts of all cut-offs, of every method."""
    tables = [
        pd.DataFrame({**place, **describe(parts)}) for place, parts in _places({b: part(b) for b in blocks}, blocks)
    ]
    columns = [*key, *names]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def _places(
    parts: Mapping[Block, FloatArray], blocks: Sequence[Block]
) -> Iterator[tuple[dict[str, str], list[FloatArray]]]:
    for (horizon, quantity), found in by_horizon(blocks).items():
        methods = list(dict.fromkeys(block.method for block in found))
        cutoffs = {method: {block.cutoff for block in found if block.method == method} for method in methods}
        for name, scope in find_scopes(cutoffs):
            for method in methods:
                # In the order of cut-offs, so that sums do not depend on that of the blocks.
                own = sorted((b for b in found if b.method == method and b.cutoff in scope), key=lambda b: b.cutoff)
                if own:
                    place = {"horizon": horizon, "cutoff": name, "method": method, "quantity": quantity}
                    yield place, [parts[block] for block in own]


def _sums_by(group: NDArray[np.int64], *columns: FloatArray) -> FloatArray:
    return np.stack([np.bincount(group, weights=column, minlength=N_BINS) for column in columns])


def _gains(block: Block) -> FloatArray:
    total = block.actual.sum()
    if total <= 0:
        return np.full(len(_SHARES), np.nan)
    place = np.unique(-block.mean, return_inverse=True)[1].reshape(-1)
    customers = np.concatenate([[0.0], np.cumsum(np.bincount(place))]) / len(place)
    brought = np.concatenate([[0.0], np.cumsum(np.bincount(place, weights=block.actual))]) / total
    return np.asarray(np.interp(_SHARES, customers, brought))
