"""Time between purchases: what the gaps that are over say, and what those that are still open add."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["gap_table"]

QUANTILES = (0.25, 0.5, 0.75, 0.9)


def gap_table(counts: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the time between purchases, naive and with open gaps counted.

    Parameters
    ----------
    counts : DataFrame
        segment, days, closed, still_open: `Activity.gaps`.

    Returns
    -------
    DataFrame
        segment, gaps (between purchases), still_open (customers waited for), quantile, observed_days (of the gaps that
        are over: too short, for long ones are not over yet), days (Kaplan & Meier, 1958, with the open ones; infinite
        where fewer than that share come to an end while anyone is watched).
    """
    rows = []
    for segment, part in counts.groupby("segment", sort=True):
        days, closed, still = (part[name].to_numpy(dtype=np.float64) for name in ("days", "closed", "still_open"))
        # Whoever is last seen on a day could still have bought on it: gaps of that length are over first.
        at_risk = np.cumsum((closed + still)[::-1])[::-1]
        survival = np.cumprod(1.0 - closed / at_risk)
        cumulative = np.cumsum(closed) / max(closed.sum(), 1.0)
        for q in QUANTILES:
            rows.append(
                {
                    "segment": segment,
                    "gaps": int(closed.sum()),
                    "still_open": int(still.sum()),
                    "quantile": q,
                    "observed_days": _first(days, cumulative >= q - 1e-12) if closed.sum() else np.nan,
                    "days": _first(days, survival <= 1.0 - q + 1e-12),
                }
            )
    return pd.DataFrame(rows)


def _first(days: NDArray[np.float64], reached: NDArray[np.bool_]) -> float:
    return float(days[int(np.argmax(reached))]) if reached.any() else float("inf")
