"""What the plots of the model's fit draw: a fitted model beside what customers did. Frozen results, no drawing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.data.rfm import RFMSummary
from predclv.data.split import Split
from predclv.forecast.fit_checks import frequency_table, group_table
from predclv.forecast.tracking import alive_path, expected_cumulative, simulated_periods
from predclv.inference.posterior import check_level
from predclv.models.transactions import TransactionModel

__all__ = [
    "AliveHistory",
    "Tracking",
    "check_frequencies",
    "check_holdout",
    "expect_holdout",
    "follow_customer",
    "track_purchases",
]

FloatArray = NDArray[np.float64]

_DRAWS = 256
_PATH_POINTS = 400


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


@dataclass(frozen=True, eq=False)
class AliveHistory:
    """One customer's probability of being alive as it looked at each moment.

    Attributes
    ----------
    times, purchases : arrays
        Dates, or times since the first purchase in `time_unit`.
    p_alive : (n_times,) array
    time_unit : str or None
        None where times are dates.
    """

    times: NDArray[Any]
    p_alive: FloatArray
    purchases: NDArray[Any]
    time_unit: str | None


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


def check_frequencies(model: TransactionModel, rfm: RFMSummary, *, n_max: int = 7, level: float = 0.9) -> pd.DataFrame:
    """Count customers by repeat purchases and compare with the model: see `forecast.fit_checks.frequency_table`.

    Returns
    -------
    DataFrame
        repeat_purchases, actual, expected, low, high.
    """
    check_level(level)
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit)
    return frequency_table(
        model.BINDINGS, model.thetas(), rfm.frequency, rfm.T, n_max=n_max, level=level, seed=model.random_state
    )


def check_holdout(
    model: TransactionModel, split: Split, *, by: str = "frequency", n_groups: int = 10, level: float = 0.9
) -> pd.DataFrame:
    """Compare what groups of customers bought in the holdout with their forecast.

    Parameters
    ----------
    model : fitted TransactionModel
    split : Split
    by : {"frequency", "forecast"}
        Groups by repeat purchases until the as-of date (0, 1, ..., 7+), or of equal size by expected purchases.
    n_groups : int
        How many groups at most with "forecast"; customers of one forecast stay together.
    level : float
        Probability of the interval of a group's mean.

    Returns
    -------
    DataFrame
        group, customers, actual, expected, low, high (purchases for each customer).
    """
    check_level(level)
    rfm = split.calibration
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit)
    expected = expect_holdout(model, split)
    if by == "frequency":
        codes = np.minimum(rfm.frequency, 7)
        present = np.unique(codes)
        labels = ["7+" if code == 7 else str(code) for code in present]
        groups: NDArray[Any] = np.searchsorted(present, codes)
    elif by == "forecast":
        edges = np.unique(np.quantile(expected, np.linspace(0.0, 1.0, n_groups + 1)))
        groups = np.searchsorted(edges[1:-1], expected)
        edges = edges if len(edges) > 1 else np.repeat(edges, 2)
        labels = [f"≤ {upper:.2g}" for upper in edges[1:]]
    else:
        raise ValueError(f"'by' must be 'frequency' or 'forecast'. Got {by!r}.")
    return group_table(
        model.BINDINGS,
        model.posterior_.draws_array(),
        (rfm.frequency.astype(np.float64), rfm.recency, rfm.T),
        split.duration,
        expected,
        split.holdout["purchases"].to_numpy().astype(np.float64),
        groups.astype(np.int64),
        labels,
        level=level,
        seed=model.random_state,
    )


def expect_holdout(model: TransactionModel, split: Split) -> FloatArray:
    """Purchases that each customer was expected to make in the holdout, (n_customers,)."""
    rows, inverse = histories(split.calibration)
    theta = model.thetas().center
    return model.BINDINGS.mean_expected_purchases(rows.x, rows.t_x, rows.T, split.duration, theta)[inverse]


def follow_customer(model: TransactionModel, purchases: Any, *, until: Any) -> AliveHistory:
    """Work out one customer's probability of being alive from the first purchase on.

    Parameters
    ----------
    model : fitted TransactionModel
    purchases : sequence of dates, or of numbers
        All purchases, the first included; numbers are times in the model's unit. Several on one day count as one.
    until : date or number
        Last moment to show; purchases after it are not.

    Returns
    -------
    AliveHistory

    Raises
    ------
    ValueError
        No purchase lies before `until`.
    """
    times = np.unique(np.asarray(purchases))
    dated = not np.issubdtype(times.dtype, np.number)
    unit = DAYS_PER_UNIT[model.fingerprint_.time_unit]
    if dated:
        times = np.unique(times.astype("datetime64[D]"))
        end: Any = np.datetime64(parse_moment("until", until), "D")
    else:
        end = float(until)
    times = times[times <= end]
    if not len(times):
        raise ValueError(f"No purchase lies before until={until!r}.")
    since = (times - times[0]).astype(np.float64) / (unit if dated else 1.0)
    length = float((end - times[0]) / np.timedelta64(1, "D")) / unit if dated else end - times[0]
    # A purchase lifts the curve at once: a point just before each shows the fall that it ends.
    grid = np.unique(np.concatenate([np.linspace(0.0, length, _PATH_POINTS), since, since[1:] - 1e-9 * unit]))
    p_alive = alive_path(model.BINDINGS, since, grid, model.thetas().center)
    if not dated:
        return AliveHistory(grid + times[0], p_alive, times, model.fingerprint_.time_unit)
    stamps = times[0].astype("datetime64[s]") + np.round(grid * unit * 86_400).astype("timedelta64[s]")
    return AliveHistory(stamps, p_alive, times, None)


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
