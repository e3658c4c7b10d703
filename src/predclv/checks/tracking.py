"""Repeat purchases over calendar time: made, and expected of customers from their first purchase on."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks.periods import periods_of_opportunities, periods_of_time
from predclv.checks.replications import check_arguments
from predclv.checks.results import PredictiveCheck, judge
from predclv.data.checks import check_option
from predclv.data.durations import parse_moment
from predclv.errors import DataError
from predclv.forecast.fit_checks import slope, spread
from predclv.forecast.predictive_checks import Quantity
from predclv.forecast.tracking import expected_cumulative, most_lives, simulated_periods
from predclv.models.transactions import TransactionModel

__all__ = ["Tracking", "track_purchases"]

FloatArray = NDArray[np.float64]

_DRAWS = 256
# Periods in which less is expected say nothing of time, nor do so few of them.
_FEWEST_EXPECTED = 5.0
_FEWEST_PERIODS = 4


@dataclass(frozen=True, eq=False, repr=False)
class Tracking(PredictiveCheck):
    """Repeat purchases over time, made and expected; see `PredictiveCheck`.

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
    period : {"week", "month"}, or the opportunity
    counts_opportunities : bool
        Whether periods are opportunities, all alike, and not stretches of time of so many days.
    """

    simulated: FloatArray
    as_of: dt.date
    period: str
    counts_opportunities: bool = False


def track_purchases(
    model: TransactionModel,
    timeline: pd.DataFrame,
    *,
    as_of: Any = None,
    period: str | None = None,
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
        `purchase_timeline(log, by="day", ...)`, for a model of opportunities `purchase_timeline(log,
        opportunities="year", ...)`: start, births, repeat_purchases; it may go on after the as-of date.
    as_of : date or ISO text, optional
        By default that of the fit.
    period : {"week", "month"}, optional
        By default weeks. They are counted from the as-of date in both directions; months are those of the calendar, cut
        at the as-of date. The first and the last period may be cut too. A model of opportunities knows these alone, and
        takes no period.
    level : float
        Probability of the band.
    n_draws : int
        Populations simulated for the band, at most as many as the posterior has draws.

    Returns
    -------
    Tracking
        Quantities: totals until the as-of date and after it; drift, the slope of actual over expected purchases in
        time; and unevenness, how far periods deviate beside level and straight trend (periods with at least 5 purchases
        expected, where there are four of them).

    Raises
    ------
    ValueError
        The as-of date is not known, or the period is none.
    DataError
        For a model of opportunities: the timeline is of days or of other opportunities, or the as-of date cuts one.

    Notes
    -----
    The total until the as-of date is what the fit can hardly miss. The holdout it has not seen; but each replication
    is another population, which holds more chance than the future of the customers one has: `check_holdout` is the
    sharper test of its total. Beyond 2 million customers times draws a sample is simulated, and its deviation from its
    own expectation scaled to all.
    """
    draws = check_arguments(model, "transactions", level, n_draws)
    unit = model.fingerprint_.time_unit
    period = _settle_period(model, period)
    moment = parse_moment("as_of", as_of if as_of is not None else model.fingerprint_.observation_end)
    if moment is None:
        raise ValueError("The model does not know its as-of date. Give as_of='1997-09-30'.")
    end = dt.date(moment.year, moment.month, moment.day)
    if model.bindings.counts_opportunities:
        laid = periods_of_opportunities(timeline, end, unit)
    else:
        laid = periods_of_time(timeline, end, period, unit)
    starts, edges = laid.starts, laid.edges
    births = timeline["births"].to_numpy().astype(np.float64)
    born = births > 0
    arguments = (model.bindings, laid.position[born], births[born], edges)
    center = expected_cumulative(*arguments, model.thetas().center, laid.step).mean(axis=0)
    simulated = simulated_periods(*arguments, draws, laid.step, model.random_state)
    actual = np.histogram(laid.row, bins=np.arange(len(starts)), weights=timeline["repeat_purchases"].to_numpy())[0]
    table = pd.DataFrame({"start": starts[:-1], "end": starts[1:], "holdout": starts[:-1] > np.datetime64(end, "D")})
    for prefix, made, expected, paths in (
        ("", actual, np.diff(center), simulated),
        ("cumulative_", np.cumsum(actual), center[1:], np.cumsum(simulated, axis=1)),
    ):
        low, high = np.quantile(paths, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
        table = table.assign(
            **{f"{prefix}actual": made, f"{prefix}expected": expected, f"{prefix}low": low, f"{prefix}high": high}
        )
    quantities = _quantities(table, simulated, (edges[:-1] + edges[1:]) / 2, unit)
    n = int(births.sum())
    return Tracking(
        table,
        *judge(quantities, level),
        level,
        n_customers=n,
        n_replicated=min(n, most_lives(len(draws))),
        simulated=simulated,
        as_of=end,
        period=period,
        counts_opportunities=model.bindings.counts_opportunities,
    )


def _settle_period(model: TransactionModel, period: str | None) -> str:
    if not model.bindings.counts_opportunities:
        return check_option("period", "week" if period is None else period, ("week", "month"))
    unit = model.fingerprint_.time_unit
    if period not in (None, unit):
        name = type(model).__name__
        raise DataError(f"period={period!r}: {name} is tracked by opportunity, one a {unit}. Leave 'period' out.")
    return unit


def _quantities(table: pd.DataFrame, simulated: FloatArray, middle: FloatArray, unit: str) -> list[Quantity]:
    """Totals before and after the as-of date, and what changes with time."""
    actual = table["actual"].to_numpy(dtype=np.float64)
    after = table["holdout"].to_numpy(dtype=bool)
    quantities = []
    for name, part in (("repeat purchases until the as-of date", ~after), ("repeat purchases in the holdout", after)):
        if part.any():
            quantities.append(Quantity(name, actual[part].sum(), simulated[:, part].sum(axis=1)))
    expected = simulated.mean(axis=0)
    told = expected >= _FEWEST_EXPECTED
    if np.count_nonzero(told) >= _FEWEST_PERIODS:
        made, chance, expected = actual[told], simulated[:, told], expected[told]
        when = middle[told]
        quantities.append(
            Quantity(
                f"drift of actual over expected, a {unit}",
                float(slope(when, made, expected)),
                slope(when, chance, expected),
            )
        )
        quantities.append(
            Quantity.discrepancy("unevenness of the periods", lambda of: spread(of, expected), made, chance)
        )
    return quantities
