"""Choice of a method by its forecasts of past outcomes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.blocks import Block
from predclv.backtesting.result import Backtest
from predclv.backtesting.runner import backtest
from predclv.backtesting.scores import name_cutoff, score_blocks
from predclv.backtesting.second_stage import RECALIBRATED
from predclv.data.checks import check_option
from predclv.data.summary_words import lines_to_html
from predclv.errors import DataError, DataQualityWarning, FitError, warn

__all__ = ["Selection", "select"]

FloatArray = NDArray[np.float64]

_EVIDENCE = ["method", "crps", "difference", "difference_low", "difference_high", "verdict"]


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """The method with the lowest CRPS, and how sure that is.

    Attributes
    ----------
    best : str
        Its name.
    evidence : DataFrame
        A row a method, the best first: method, crps, difference (from the best), difference_low, difference_high,
        verdict ("worse" or "within noise"; "reference" for the best itself).
    tied : tuple of str
        Methods within noise of the best: prefer one of them where it is simpler.
    cutoffs : tuple of str
        At which all of them forecast, and which they are compared over.
    left_out : mapping of str to str
        Methods that did not take part, and why.
    quantity, horizon : str
    backtest : Backtest
        All scores, with the report.

    Notes
    -----
    Intervals are of customers drawn anew. That all customers share the same few periods is not in them: with one or
    two cut-offs, a season may have chosen.
    """

    best: str
    evidence: pd.DataFrame
    tied: tuple[str, ...]
    cutoffs: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    quantity: str = "purchases"
    horizon: str = ""
    backtest: Backtest = field(kw_only=True)

    def __repr__(self) -> str:
        tied = f", within noise: {', '.join(self.tied)}" if self.tied else ""
        number = len(self.cutoffs)
        return (
            f"<Selection: {self.best} of {len(self.evidence)} methods by CRPS of {self.quantity}, {self.horizon}, "
            f"{number} cut-off{'s' if number > 1 else ''}{tied}>"
        )

    def _repr_html_(self) -> str:
        return lines_to_html([repr(self)[1:-1]], self.evidence.round(4))


def select(
    log: Any,
    *,
    horizon: Any = "26 weeks",
    quantity: Literal["purchases", "spend", "value"] = "purchases",
    **options: Any,
) -> Selection:
    """Find the method whose forecasts of past outcomes had the lowest CRPS.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`.
    horizon : horizon
        How far ahead the forecasts are to be good.
    quantity : {"purchases", "spend", "value"}
        What of. Spend is forecast as a point: its CRPS is the absolute error.
    **options
        Those of `backtest` but `horizons` and `reference`: methods, cutoffs or n_cutoffs, combine, recalibrate, ...

    Returns
    -------
    Selection

    Raises
    ------
    DataError
        As `backtest`; or the quantity needs amounts and none are given.
    FitError
        No method forecast the quantity at a cut-off together with the others.

    Notes
    -----
    Methods that failed at a cut-off do not take part. The others are compared over the cut-offs that all of them have:
    with `combine` or `recalibrate` those that have an earlier cut-off to learn from.

    The CRPS of a forecast without a distribution is its absolute error, which is lowest for a median: for most
    customers nothing. Forecasts with distributions are not scored so, and win unless they are poor ones.

    Warns
    -----
    DataQualityWarning
        The best forecasts nothing of anybody: none of the others is worth more, and it is no choice.

    Examples
    --------
    >>> chosen = pc.select(log, horizon="13 weeks", methods=["bg_nbd", "naive"], n_cutoffs=3, combine=True)
    >>> chosen.best, chosen.tied
    """
    check_option("quantity", quantity, ("purchases", "spend", "value"))
    for name in ("horizons", "reference"):
        if name in options:
            raise DataError(f"select takes no {name!r}: it has one 'horizon', and compares with the best.")
    if quantity != "purchases" and options.get("amount") is None:
        raise DataError(f"quantity={quantity!r} needs amounts. Give 'amount', the column that holds them.")
    result = backtest(log, horizons=[horizon], **options)
    left_out = _left_out(result, quantity)
    blocks = [block for block in result.blocks if block.quantity == quantity and block.method not in left_out]
    common = _common_cutoffs(blocks)
    if not common:
        raise FitError(
            f"No cut-off has forecasts of {quantity} by all methods. Left out were: "
            f"{'; '.join(f'{name}, {why}' for name, why in left_out.items()) or 'none'}."
        )
    blocks = [block for block in blocks if block.cutoff in common]
    best = _lowest(blocks)
    evidence = _evidence(result, blocks, best)
    if not any(block.mean.any() for block in blocks if block.method == best):
        warn(
            f"{best!r} has the lowest CRPS of {quantity} and forecasts nothing of anybody: no other method is worth "
            "more here. Add methods with predictive distributions, or wait for more purchases.",
            DataQualityWarning,
        )
    return Selection(
        best,
        evidence,
        tuple(evidence["method"][evidence["verdict"] == "within noise"]),
        tuple(name_cutoff(cutoff) for cutoff in sorted(common)),
        left_out,
        quantity,
        result.settings["horizons"][0],
        backtest=result,
    )


def _left_out(result: Backtest, quantity: str) -> dict[str, str]:
    """Methods that were asked for and cannot be compared, and why."""
    runs = result.runs[result.runs["status"] != "ok"]
    found: dict[str, str] = {}
    for row in runs.to_dict("records"):
        found.setdefault(row["method"], f"{row['status']} at {row['cutoff']}: {row['error']}")
    forecast = {block.method for block in result.blocks if block.quantity == quantity}
    for name in result.settings["methods"]:
        base = name.removesuffix(RECALIBRATED)
        if base in found:
            found.setdefault(name, f"recalibrates {base}, which is left out")
        elif name not in forecast:
            found[name] = f"no forecast of {quantity}"
    return found


def _common_cutoffs(blocks: Sequence[Block]) -> set[dt.date]:
    """Cut-offs at which every method has a forecast."""
    cutoffs: dict[str, set[dt.date]] = {}
    for block in blocks:
        cutoffs.setdefault(block.method, set()).add(block.cutoff)
    return set.intersection(*cutoffs.values()) if cutoffs else set()


def _lowest(blocks: Sequence[Block]) -> str:
    """Method with the lowest mean CRPS over all customers and cut-offs."""
    crps: dict[str, list[FloatArray]] = {}
    for block in blocks:
        crps.setdefault(block.method, []).append(block.crps)
    return min(crps, key=lambda name: float(np.concatenate(crps[name]).mean()))


def _evidence(result: Backtest, blocks: Sequence[Block], best: str) -> pd.DataFrame:
    settings = result.settings
    cohorts = {cutoff: replace(cohort, groups={}) for cutoff, cohort in result.cohorts.items()}
    scores = score_blocks(
        blocks,
        cohorts,
        reference=best,
        n_bootstrap=settings["n_bootstrap"],
        level=settings["level"],
        seed=settings["random_state"],
    )
    is_asked = (scores["metric"] == "crps") & (scores["by"] == "all") & (scores["cutoff"] == "all")
    found = scores[is_asked].rename(columns={"value": "crps"})[_EVIDENCE].sort_values("crps", kind="stable")
    found.loc[found["method"] == best, ["difference", "difference_low", "difference_high"]] = 0.0
    return found.reset_index(drop=True)
