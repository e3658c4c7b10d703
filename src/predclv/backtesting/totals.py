"""Totals over all customers, and how they grow within the holdout, beside what happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.blocks import Outcome
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.vintages import Vintage

__all__ = ["TOTAL_LEVELS", "total_rows", "track_table"]

#: Levels of the intervals of totals.
TOTAL_LEVELS = (0.5, 0.8, 0.9, 0.95)


def total_rows(forecast: Forecast, outcome: Outcome, cutoff: str, method: str) -> Iterable[dict[str, Any]]:
    """Rows of the table of totals: one a quantity and level.

    The interval comes from the method's joint draws, never from adding the customers' intervals; without such draws
    there is none.
    """
    means = {"purchases": forecast.expected_purchases, "value": forecast.expected_value}
    actuals = {"purchases": outcome.purchases, "value": outcome.spend}
    for quantity, mean in means.items():
        actual = actuals[quantity]
        if mean is None or actual is None:
            continue
        row: dict[str, Any] = {
            "horizon": outcome.horizon,
            "cutoff": cutoff,
            "method": method,
            "quantity": quantity,
            "customers": len(actual),
            "expected": float(mean.sum()),
            "actual": float(actual.sum()),
        }
        draws = forecast.totals.get(quantity)
        for level in TOTAL_LEVELS:
            ends = [(1 - level) / 2, (1 + level) / 2]
            low, high = (np.nan, np.nan) if draws is None else np.quantile(draws, ends, method="inverted_cdf")
            inside = None if draws is None else bool(low <= row["actual"] <= high)
            yield {**row, "level": level, "low": float(low), "high": float(high), "inside": inside}


def track_table(vintages: Sequence[Vintage], forecasts: Iterable[tuple[int, str, Sequence[Forecast]]]) -> pd.DataFrame:
    """Purchases of all customers from the cut-off on, expected and actual, at times within the longest horizon.

    Parameters
    ----------
    vintages : sequence of Vintage
    forecasts : iterable of (position of the cut-off, method, its forecasts by horizon)
        Methods that give no track stand with their horizons' totals.
    """
    rows = []
    for position, method, by_horizon in forecasts:
        vintage = vintages[position]
        times, expected = _track(by_horizon, vintage)
        actual = np.interp(times, np.append(0.0, vintage.known.times), np.append(0.0, vintage.actual_track))
        rows.append(
            pd.DataFrame(
                {
                    "cutoff": str(vintage.cutoff),
                    "method": method,
                    "time": times,
                    "date": pd.Timestamp(vintage.cutoff) + pd.to_timedelta(_days_until(times, vintage), unit="D"),
                    "expected": expected,
                    "actual": actual,
                }
            )
        )
    columns = ["cutoff", "method", "time", "date", "expected", "actual"]
    return pd.concat(rows, ignore_index=True)[columns] if rows else pd.DataFrame(columns=columns)


def _track(by_horizon: Sequence[Forecast], vintage: Vintage) -> tuple[Any, Any]:
    longest = by_horizon[-1]
    if longest.track is not None:
        return longest.track
    lengths = np.asarray(vintage.known.lengths)
    return lengths, np.array([forecast.expected_purchases.sum() for forecast in by_horizon])


def _days_until(times: NDArray[np.float64], vintage: Vintage) -> NDArray[np.float64]:
    rfm = vintage.known.everyone.rfm
    if rfm.opportunities is None:
        return np.asarray(times * rfm.days_per_unit)
    # Months and years differ in length: by the days on which opportunities end.
    days = (vintage.dates - np.datetime64(vintage.cutoff, "D")).astype(np.float64)
    return np.asarray(np.interp(times, np.append(0.0, vintage.known.times), np.append(0.0, days)))
