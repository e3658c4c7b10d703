"""New customers of each segment as given: a number, one a period, a forecast, or the past in a table of cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import check_channels, quote_list
from predclv.decisions.cohorts.arrivals import ArrivalForecast, forecast_arrivals
from predclv.decisions.cohorts.table import CohortTable
from predclv.errors import DataError

__all__ = ["ALL", "settle_arrivals"]

#: The one segment of models that have none.
ALL = "all"


def settle_arrivals(
    arrivals: Any, names: list[str], n_periods: int, n_draws: int, period: str
) -> dict[str, ArrivalForecast]:
    """Forecasts of each segment from what `customer_equity` takes; DataError where segments are missing or unknown."""
    if isinstance(arrivals, CohortTable):
        arrivals = _past_arrivals(arrivals, names, n_periods, n_draws)
    if not isinstance(arrivals, Mapping):
        if len(names) > 1:
            raise DataError(f"The models have segments, {quote_list(names)}: give arrivals of each, as a mapping.")
        arrivals = {names[0]: arrivals}
    check_channels("arrivals", arrivals, names)
    given = {str(name): value for name, value in arrivals.items()}
    return {name: _settle_one(given[name], n_periods, n_draws, period) for name in names}


def _settle_one(value: Any, n_periods: int, n_draws: int, period: str) -> ArrivalForecast:
    if isinstance(value, ArrivalForecast):
        if value.draws.shape[1] < n_periods:
            raise DataError(f"Arrivals are forecast for {value.draws.shape[1]} periods, and {n_periods} are needed.")
        draws = value.draws[np.arange(n_draws) % len(value.draws), :n_periods]
        return ArrivalForecast(draws, value.past, value.method)
    try:
        if isinstance(value, str | bool):
            raise TypeError("no number")
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"'arrivals' must be a number of at least 0, or {n_periods} of them. Got {value!r}.") from None
    is_one = numbers.ndim == 0
    numbers = np.full(n_periods, float(numbers)) if is_one else numbers
    if numbers.ndim != 1 or len(numbers) < n_periods or not ((numbers >= 0) & np.isfinite(numbers)).all():
        raise DataError(f"'arrivals' must be a number of at least 0, or {n_periods} of them. Got {value!r}.")
    words = f"{float(value):,g} a {period}, as given" if is_one else f"as given by {period}"
    return ArrivalForecast(np.tile(numbers[:n_periods], (n_draws, 1)), np.zeros(0), f"{words}, taken as certain")


def _past_arrivals(table: CohortTable, names: list[str], n_periods: int, n_draws: int) -> dict[str, ArrivalForecast]:
    whole = table.cells[table.cells["is_whole"]]
    periods = pd.period_range(whole["period"].min(), table.settings["last_whole"], freq=whole["period"].dt.freq)
    if names == [ALL]:
        groups = {ALL: table.cohorts}
    else:
        if table.settings["by"] is None:
            raise DataError(f"The models have segments, {names}, and the table has none. Make it with by=.")
        groups = {str(name): part for name, part in table.cohorts.groupby("segment")}
    found = {}
    for i, (name, part) in enumerate(groups.items()):
        counts = part.groupby("cohort")["customers"].sum().reindex(periods, fill_value=0)
        found[name] = forecast_arrivals(counts, n_periods, n_draws=n_draws, random_state=i)
    return found
