"""One customer's story: how likely to be alive, as it looked at each moment."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.durations import DAYS_PER_UNIT, parse_moment
from predclv.data.opportunities import last_days, last_whole_day, number_periods
from predclv.errors import DataError
from predclv.forecast.tracking import alive_path
from predclv.models.transactions import TransactionModel

__all__ = ["AliveHistory", "follow_customer"]

FloatArray = NDArray[np.float64]

_PATH_POINTS = 400
_EPOCH = dt.date(1970, 1, 1).toordinal()


@dataclass(frozen=True, eq=False)
class AliveHistory:
    """One customer's probability of being alive as it looked at each moment.

    Attributes
    ----------
    times, purchases : arrays
        Dates, or times in `time_unit`. Of opportunities, each stands for itself: by its last day, or its number.
    p_alive : (n_times,) array
        Of opportunities, as it looked when that one was over.
    time_unit : str or None
        None where times are dates.
    opportunities : str or None
        What is counted, where `times` are opportunities.
    """

    times: NDArray[Any]
    p_alive: FloatArray
    purchases: NDArray[Any]
    time_unit: str | None
    opportunities: str | None = None


def follow_customer(model: TransactionModel, purchases: Any, *, until: Any) -> AliveHistory:
    """Work out one customer's probability of being alive from the first purchase on.

    Parameters
    ----------
    model : fitted TransactionModel
    purchases : sequence of dates, or of numbers
        All purchases, the first included; numbers are times in the model's unit. Several on one day count as one, and
        so do several within an opportunity, where the model counts these: numbers are then those of opportunities.
    until : date or number
        Last moment to show; purchases after it are not. An opportunity that it cuts is none.

    Returns
    -------
    AliveHistory

    Raises
    ------
    ValueError
        No purchase lies before `until`.
    DataError
        A number is no opportunity's.
    """
    if model.bindings.counts_opportunities:
        return _follow_opportunities(model, purchases, until)
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
    p_alive = alive_path(model.bindings, since, grid, model.thetas().center)
    if not dated:
        return AliveHistory(grid + times[0], p_alive, times, model.fingerprint_.time_unit)
    stamps = times[0].astype("datetime64[s]") + np.round(grid * unit * 86_400).astype("timedelta64[s]")
    return AliveHistory(stamps, p_alive, times, None)


def _follow_opportunities(model: TransactionModel, purchases: Any, until: Any) -> AliveHistory:
    """Look back at the end of each opportunity, from the one of the first purchase on."""
    unit = model.fingerprint_.time_unit
    given = np.unique(np.asarray(purchases))
    dated = not np.issubdtype(given.dtype, np.number)
    if dated:
        end = parse_moment("until", until)
        assert end is not None
        last_day = last_whole_day(end, unit).toordinal()
        days = given.astype("datetime64[D]").astype(np.int64) + _EPOCH
        used, last = number_periods(days[days <= last_day], unit), int(number_periods(np.array([last_day]), unit)[0])
    else:
        for number in (*given, until):
            if number != np.floor(number):
                raise DataError(f"Opportunities have whole numbers, counted by {unit}. Got {number:g}.")
        used, last = given[given <= until].astype(np.int64), int(until)
    used = np.unique(used)
    if not len(used):
        raise ValueError(f"No purchase lies in a {unit} that is over by until={until!r}.")
    every = np.arange(used[0], last + 1)
    p_alive = alive_path(model.bindings, used.astype(np.float64), every.astype(np.float64), model.thetas().center)
    if not dated:
        return AliveHistory(every, p_alive, used, unit, unit)
    over = (last_days(every, unit) - _EPOCH).astype("datetime64[D]")
    return AliveHistory(over, p_alive, over[used - used[0]], None, unit)
