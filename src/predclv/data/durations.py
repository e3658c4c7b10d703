"""Time units, as-of dates and horizons."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import check_option, quote_list, suggest
from predclv.data.dates import instant
from predclv.errors import DataError

__all__ = [
    "ABBREVIATIONS",
    "DAYS_PER_UNIT",
    "SPAN",
    "TIME_UNITS",
    "Horizon",
    "check_time_unit",
    "parse_horizon",
    "parse_moment",
]

TIME_UNITS = ("hour", "day", "week", "year")
#: Months and quarters, on the mean, are the units of opportunities alone, which are counted.
DAYS_PER_UNIT = {
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 365.25 / 12,
    "quarter": 365.25 / 4,
    "year": 365.25,
}

ABBREVIATIONS = {"h": "hour", "d": "day", "w": "week", "wk": "week", "mo": "month", "y": "year", "yr": "year"}
SPAN = re.compile(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([a-z]+)\s*", re.IGNORECASE)
_CALENDAR = 10_000 * DAYS_PER_UNIT["year"]
_BEYOND = "horizon={!r} reaches beyond the calendar. Give 'inf' for the whole future."
_ENDLESS = ("inf", "infinite", "infinity")
_ACCEPTED = "'26 weeks', '1 year', a Timedelta, an end date, math.inf, or a number in the time unit of the summary"


@dataclass(frozen=True)
class Horizon:
    """A stretch of future time.

    Attributes
    ----------
    length : float
        In the time unit of the summary; may be infinite.
    label : str
        As a reader would say it: "26 weeks".
    end : datetime.date or None
        Last day, where the as-of date is known and the horizon is finite.
    until : date or datetime or None
        What was given, where that was the end itself.
    """

    length: float
    label: str
    end: dt.date | None = None
    until: dt.date | None = field(default=None, repr=False, compare=False)


def check_time_unit(time_unit: object) -> str:
    """Return `time_unit`, or raise DataError; 'months' gets a reason, 'weeks' a suggestion."""
    if isinstance(time_unit, str) and time_unit.rstrip("s") == "month":
        raise DataError(
            "time_unit='month' is no ruler: months differ in length. Use 'week', 'day' or 'year'; "
            "collapse='month' merges a month's purchases, and horizons may be given in months."
        )
    return check_option("time_unit", time_unit, TIME_UNITS)


def parse_moment(option: str, value: object) -> dt.date | dt.datetime | None:
    """Read an as-of date: a date stands for that whole day, as does a datetime at midnight.

    Parameters
    ----------
    option : str
        Name of the argument, for messages.
    value : str, date, datetime, Timestamp, datetime64 or None
        Text is ISO 8601: "1997-09-30", "1997-09-30 12:00".

    Returns
    -------
    datetime.date (a whole day), datetime.datetime (an instant, perhaps aware) or None

    Raises
    ------
    DataError
        Where `value` is not a date.
    """
    if value is None:
        return None
    if type(value) is dt.date:
        return value
    if not isinstance(value, str | dt.datetime | np.datetime64):
        raise DataError(f"{option}={value!r} is not a date. Give '1997-09-30', a date or a datetime.")
    try:
        stamp = pd.Timestamp(dt.datetime.fromisoformat(value.strip()) if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        raise DataError(f"{option}={value!r} is not a date that can be read. Give ISO 8601: '1997-09-30'.") from None
    if pd.isna(stamp):
        raise DataError(f"{option} is a missing date (NaT).")
    moment: dt.datetime = stamp.to_pydatetime(warn=False)
    if moment.time() == dt.time() and moment.tzinfo is None:
        return moment.date()
    return moment


def parse_horizon(horizon: object, time_unit: str, observation_end: dt.date | None = None) -> Horizon:
    """Read a horizon.

    Parameters
    ----------
    horizon : str, Timedelta, date, number or Horizon
        "26 weeks", "1 year", a Timedelta, an end date, math.inf (or "inf"), or a number in `time_unit`. A year is
        365.25 days; months are calendar months from `observation_end`.
    time_unit : {"hour", "day", "week", "year"}
        Ruler of the result; "month" or "quarter" where these are counted as opportunities (`parse_opportunities`).
    observation_end : date or datetime, optional
        The as-of date, which end dates and months need.

    Returns
    -------
    Horizon

    Raises
    ------
    DataError
        Where it cannot be read, is not positive, or needs an as-of date that is not known.
    """
    days_per_unit = DAYS_PER_UNIT[time_unit if time_unit in ("month", "quarter") else check_time_unit(time_unit)]
    if isinstance(horizon, Horizon):
        return horizon
    if isinstance(horizon, str) and horizon.strip().lower() in _ENDLESS:
        horizon = math.inf
    # Before numbers, because numpy counts its timedelta64 among the integers.
    if isinstance(horizon, dt.timedelta | np.timedelta64):
        try:
            days = pd.Timedelta(horizon) / pd.Timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise DataError(f"horizon={horizon!r} cannot be read: {error}. Give {_ACCEPTED}.") from error
        return _finish(horizon, days / days_per_unit, _count_label(days, "day"), days_per_unit, observation_end)
    if isinstance(horizon, int | float | np.integer | np.floating) and not isinstance(horizon, bool):
        length = float(horizon)
        label = "infinite" if math.isinf(length) else _count_label(length, time_unit)
        return _finish(horizon, length, label, days_per_unit, observation_end)
    if isinstance(horizon, str) and (span := SPAN.fullmatch(horizon)):
        return _parse_span(horizon, float(span[1]), span[2].lower(), days_per_unit, observation_end)
    if isinstance(horizon, str | dt.date | np.datetime64):
        return _until(horizon, days_per_unit, observation_end)
    raise DataError(f"horizon={horizon!r} cannot be read. Give {_ACCEPTED}.")


def _parse_span(text: str, count: float, word: str, days_per_unit: float, observation_end: dt.date | None) -> Horizon:
    known = (*TIME_UNITS, "month")
    unit = ABBREVIATIONS.get(word, word if word in known else word.removesuffix("s"))
    if unit not in known:
        raise DataError(
            f"horizon={text!r}: {word!r} is not a unit of time.{suggest(word, known)} Known are {quote_list(known)}."
        )
    label = _count_label(count, unit)
    if unit != "month":
        return _finish(text, count * DAYS_PER_UNIT[unit] / days_per_unit, label, days_per_unit, observation_end)
    if observation_end is None:
        raise DataError(
            f"horizon={text!r}: months are calendar months and need an as-of date, which is not known here. Give "
            f"weeks, such as '{count * 52 / 12:.0f} weeks', or observation_end where the summary is made."
        )
    if count != int(count):
        raise DataError(f"horizon={text!r}: calendar months come whole. Give days or weeks instead.")
    start = pd.Timestamp(observation_end).tz_localize(None)
    try:
        end = start + pd.DateOffset(months=int(count))
        days = (end - start) / pd.Timedelta(days=1)
    except (ValueError, OverflowError):
        raise DataError(_BEYOND.format(text)) from None
    return _finish(text, days / days_per_unit, label, days_per_unit, observation_end)


def _until(horizon: Any, days_per_unit: float, observation_end: dt.date | None) -> Horizon:
    try:
        moment = parse_moment("horizon", horizon)
    except DataError:
        raise DataError(f"horizon={horizon!r} cannot be read. Give {_ACCEPTED}.") from None
    if observation_end is None:
        raise DataError(
            f"horizon={horizon!r} is an end date and needs an as-of date, which is not known here. Give a length such "
            "as '26 weeks', or observation_end where the summary is made."
        )
    assert moment is not None
    moment, start = _in_one_zone(horizon, moment, observation_end)
    # Both ends by one rule: a date is that whole day, so it ends where the next begins.
    microseconds = instant(moment) - instant(start)
    if microseconds <= 0:
        raise DataError(f"horizon={horizon!r} ends at or before the as-of date {observation_end}.")
    day = moment.date() if isinstance(moment, dt.datetime) else moment
    label = f"until {moment:%Y-%m-%d %H:%M}" if isinstance(moment, dt.datetime) else f"until {moment}"
    return Horizon(microseconds / 86_400_000_000 / days_per_unit, label, day, moment)


def _in_one_zone(horizon: object, end: dt.date, start: dt.date) -> tuple[dt.date, dt.date]:
    """Both moments without zones: the end by the clock of the start, which must know its zone where the end does."""
    zones = [getattr(moment, "tzinfo", None) for moment in (end, start)]
    if zones[0] is not None:
        if zones[1] is None:
            raise DataError(
                f"horizon={horizon!r} knows its time zone and the as-of date {start} does not. Give it without a zone."
            )
        assert isinstance(end, dt.datetime)
        end = end.astimezone(zones[1])
    return _without_zone(end), _without_zone(start)


def _without_zone(moment: dt.date) -> dt.date:
    return moment.replace(tzinfo=None) if isinstance(moment, dt.datetime) else moment


def _finish(
    horizon: object, length: float, label: str, days_per_unit: float, observation_end: dt.date | None
) -> Horizon:
    if not length > 0:
        raise DataError(f"horizon={horizon!r} must be longer than zero.")
    if length * days_per_unit >= _CALENDAR and (label != "infinite"):
        raise DataError(_BEYOND.format(horizon))
    end = None
    if observation_end is not None and math.isfinite(length):
        try:
            end = (pd.Timestamp(observation_end) + pd.Timedelta(days=length * days_per_unit)).date()
        # pandas goes on after year 9999, where dates end, and past its own end raises something else.
        except (OverflowError, ValueError, NotImplementedError):
            raise DataError(_BEYOND.format(horizon)) from None
    return Horizon(length, label, end)


def _count_label(count: float, unit: str) -> str:
    return f"{count:g} {unit}" + ("" if count == 1 else "s")
