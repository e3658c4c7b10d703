"""Forecasts of fitted models beside what the customers then bought, scored as a backtest scores them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from predclv.backtesting.blocks import Block, Cohort, Outcome, make_blocks
from predclv.backtesting.methods.ours import forecast_purchases
from predclv.backtesting.scores import score_blocks
from predclv.comparison.fits import Candidate
from predclv.data.rfm import RFMSummary
from predclv.data.split import Split
from predclv.errors import DataError, FitError
from predclv.models.transactions import TransactionModel

__all__ = ["METRICS", "check_holdout", "score_holdout", "spread_scores"]

#: Metrics that the table of a comparison shows; `scores` has all of them.
METRICS = ("bias", "mae", "rmse", "crps", "pit_coverage_90")


def check_holdout(holdout: object, rfm: RFMSummary) -> Split:
    """Return the holdout, or raise where it is not that of these customers as of the same date."""
    if not isinstance(holdout, Split):
        raise TypeError(
            f"'holdout' must be a Split, from split_transactions(log, at=...). Got {type(holdout).__name__}."
        )
    known = holdout.calibration
    pairs = [(getattr(known, name), getattr(rfm, name)) for name in ("customer_id", "frequency", "recency", "T")]
    if known is not rfm and not (len(known) == len(rfm) and all(np.array_equal(a, b) for a, b in pairs)):
        raise DataError(
            f"The holdout goes with another summary, of {len(known):,} customers as of {known.observation_end}, and "
            f"the models are to be fitted on {len(rfm):,} as of {rfm.observation_end}. "
            "Compare on holdout.calibration itself."
        )
    return holdout


def score_holdout(
    candidates: Sequence[Candidate], holdout: Split, *, n_bootstrap: int, level: float, seed: int
) -> pd.DataFrame:
    """Scores of all models that could be fitted; see `backtesting.scores.score_blocks`.

    The reference is the model of the lowest CRPS.
    """
    rfm = holdout.calibration
    cutoff = rfm.observation_end or holdout.holdout_end
    outcome = Outcome(
        f"{holdout.duration:g} {rfm.time_unit}s",
        holdout.duration,
        holdout.holdout_end,
        holdout.holdout["purchases"].to_numpy(dtype=np.float64),
        None,
        len(holdout.new_customers),
        0,
    )
    blocks: list[Block] = []
    for candidate in candidates:
        if isinstance(candidate.fitted, TransactionModel):
            forecast = forecast_purchases(candidate.fitted, rfm, holdout.duration)
            blocks.extend(make_blocks(forecast, outcome, cutoff, candidate.name))
    if not blocks:
        reasons = "; ".join(f"{candidate.name}: {' '.join(candidate.notes)}" for candidate in candidates)
        raise FitError(f"None of {len(candidates)} models could be fitted as given, so nothing forecasts. {reasons}")
    cohort = Cohort(rfm.customer_id, np.arange(len(rfm)))
    best = min(blocks, key=lambda block: float(block.crps.mean())).method
    return score_blocks(blocks, {cutoff: cohort}, reference=best, n_bootstrap=n_bootstrap, level=level, seed=seed)


def spread_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """One row a model: the metrics of all customers, and the difference in CRPS from the best with its interval.

    So few customers that they have no interval leave no verdict but "too few".
    """
    rows = scores[(scores["by"] == "all") & (scores["cutoff"] == "all")]
    table = rows.pivot_table(index="method", columns="metric", values="value", sort=False)[list(METRICS)]
    crps = rows[rows["metric"] == "crps"].set_index("method")
    is_best = crps["verdict"] == "reference"
    compared = crps[["difference", "difference_low", "difference_high"]].where(~is_best, 0.0)
    verdict = crps["verdict"].where(crps["verdict"] != "", "too few")
    return table.join(compared).join(verdict.where(~is_best, "best"))
