"""Repeat purchases over calendar time: made, and expected of customers from their first purchase on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.forecast.tracking import expected_cumulative, simulated_periods
from predclv.inference.posterior import check_level
from predclv.models.transactions import TransactionModel

__all__ = ["Tracking", "track_purchases"]

FloatArray = NDArray[np.float64]

_DRAWS = 256


@dataclass(frozen=True, eq=False)
class Tracking:
    """Repeat purchases over time, made and expected.

    Attributes
    ----------
    table : DataFrame
        A row a period: start and end (dates; the period holds its start and not its end), holdout (whether it lies
        after the as-of date), actual, expected, low, high, and the four as running sums, `cumulative_...`.
    simulated : (n_draws, n_periods) array
        What the band is made of: each draw is another population with the same births. Its spread holds the
        parameters' uncertainty, which customers one happens to have, and chance in their purchases.
    as_of : date
        End of what the model was fitted on.
    level : float
    period : {"week", "month"}
    """

    table: pd.DataFrame
    simulated: FloatArray
    as_of: dt.date
    level: float
    period: str


def track_purchases(
    model: TransactionModel,
    timeline: pd.DataFrame,
    *,
    as_of: Any = None,
    period: str = "week",
    level: float = 0.9,
    n_draws: int = _DRAWS,
) -> Tracking:
    """Compare repeat purchases over time with what the model expects of customers from their birth on.

    The expected curve is the sum of E[X(time - birth)] over all customers, each new at birth: their own histories
    do not enter, so it judges the model and not the forecast of single customers.

    Parameters
    ----------
    model : fitted TransactionModel
    timeline : DataFrame
        `purchase_timeline(log, by="day", ...)`: start, births, repeat_purchases; it may go on after the as-of date.
    as_of : date or ISO text, optional
        By default that of the fit.
    period : {"week", "month"}
        Weeks are counted from the as-of date in both directions; months are those of the calendar, cut at the as-of
        date. The first and the last period may be cut too.
    level : float
        Probability of the band.
    n_draws : int
        Populations simulated for the band.

    Raises
    ------
    ValueError
        The as-of date is not known, or nothing was bought before it.
    """
    check_level(level)
    if period not in ("week", "month"):
        raise ValueError(f"'period' must be 'week' or 'month'. Got {period!r}.")
    moment = parse_moment("as_of", as_of if as_of is not None else model.fingerprint_.observation_end)
    if moment is None:
        raise ValueError("The model does not know its as-of date. Give as_of='1997-09-30'.")
    end = dt.date(moment.year, moment.month, moment.day)
    unit = DAYS_PER_UNIT[model.fingerprint_.time_unit]
    days = timeline["start"].to_numpy().astype("datetime64[D]")
    # A log that ends before the as-of date says that nobody bought in between.
    last = max(days[-1], np.datetime64(end, "D"))
    starts = _period_starts(days[0], np.datetime64(end, "D"), last, period)
    # Time 0 is the first day; a day's purchases happen at its number, so a period (start, end] ends on its last day.
    times = (days - days[0]).astype(np.float64) / unit
    edges = ((starts - starts[0]).astype(np.float64) - 1.0) / unit
    edges[0] = 0.0
    births = timeline["births"].to_numpy().astype(np.float64)
    born = births > 0
    arguments = (model.BINDINGS, times[born], births[born], edges)
    center = expected_cumulative(*arguments, model.thetas().center, 1.0 / unit).mean(axis=0)
    draws = model.posterior_.draws_array(n_draws)
    simulated = simulated_periods(*arguments, draws, 1.0 / unit, model.random_state)
    actual = np.histogram(
        np.searchsorted(starts, days, side="right") - 1,
        bins=np.arange(len(starts)),
        weights=timeline["repeat_purchases"].to_numpy(),
    )[0]
    table = pd.DataFrame({"start": starts[:-1], "end": starts[1:], "holdout": starts[:-1] > np.datetime64(end, "D")})
    for prefix, made, expected, paths in (
        ("", actual, np.diff(center), simulated),
        ("cumulative_", np.cumsum(actual), center[1:], np.cumsum(simulated, axis=1)),
    ):
        low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
        table = table.assign(
            **{f"{prefix}actual": made, f"{prefix}expected": expected, f"{prefix}low": low, f"{prefix}high": high}
        )
    return Tracking(table, simulated, end, level, period)


def _period_starts(first: np.datetime64, as_of: np.datetime64, last: np.datetime64, period: str) -> NDArray[Any]:
    """First days of the periods from `first` on, and the day after `last`; one starts on the day after `as_of`."""
    day = np.timedelta64(1, "D")
    if period == "month":
        months = np.arange(first.astype("datetime64[M]"), last.astype("datetime64[M]") + 1)
        starts = months.astype("datetime64[D]")
    else:
        back, ahead = (int((as_of - first) / day) // 7, max(int((last - as_of) / day), 0) // 7)
        starts = as_of + day + 7 * np.arange(-back, ahead + 1) * day
    starts = np.append(starts, as_of + day)
    inner = starts[(starts > first) & (starts <= last)]
    return np.unique(np.concatenate([[first], inner, [last + day]]).astype("datetime64[D]"))
