"""Which part of a log is observed, and the periods its rows fall in."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

import narwhals.stable.v2 as nw
import pandas as pd

from predclv.data.checks import count_of
from predclv.data.dates import TICKS_PER_DAY, day_of, end_tick, instant, microseconds_of, period_of
from predclv.data.frames import collect_counts, count_rows
from predclv.data.opportunities import last_whole_day
from predclv.data.options import LogOptions
from predclv.data.quality import QualityNotes
from predclv.data.transactions import Log, first_case
from predclv.errors import DataError, ObservationEndWarning, warn

__all__ = ["Window", "end_with_opportunity", "local_moment", "observe"]

_QUIET_DAYS, _BUSY_ROWS, _BUSY_DAYS = 31, 100, 5


@dataclass(frozen=True)
class Window:
    """The observed rows of a log.

    Attributes
    ----------
    rows : LazyFrame
        customer; period (start of the period, in ticks of `collapse`); day (ordinal); amount, acquired and carry_i
        where the log has them; moment (in microseconds), where the first or last value of those is asked for.
    n_rows, n_returns, n_free : int
        Rows, and those of them with a negative amount and with one of zero.
    n_after : int
        Rows that were set aside because they lie after the end.
    start_day : int
        Ordinal of the first day in the whole log.
    end : date or datetime
        Last whole day, or last instant.
    end_period : int
        Its tick.
    """

    rows: nw.LazyFrame[Any]
    n_rows: int
    n_returns: int
    n_free: int
    n_after: int
    start_day: int
    end: dt.date
    end_period: int


def observe(
    log: Log, options: LogOptions, notes: QualityNotes, *, after: dt.date | None = None, end_matters: bool = True
) -> Window:
    """Cut a log at its as-of date and add periods.

    Parameters
    ----------
    log : Log
    options : LogOptions
    notes : QualityNotes
    after : date or datetime, optional
        Leave out what lies in the period of this moment or before: the holdout's window.
    end_matters : bool
        Whether to warn where no end was given.

    Raises
    ------
    DataError
        Nothing lies in the window, or something after it where the options forbid that.

    Warns
    -----
    ObservationEndWarning
        No end was given, so the last date was taken; or the end is still to come, or long after the last row.
    """
    end = local_moment("observation_end", options.observation_end, log)
    sub_day = TICKS_PER_DAY[options.collapse] > 1
    fine = sub_day if end is None else isinstance(end, dt.datetime)
    ranked = bool(options.carry) and options.carry_conflict != "error"
    dated = log.rows.with_columns(
        day=day_of("date"),
        # Half the memory of the largest table there is, where days and hours allow it.
        period=period_of("date", options.collapse, log.is_date).cast(
            nw.Int64 if options.collapse == "none" else nw.Int32
        ),
        **({"micro": microseconds_of("date", log.is_date)} if fine else {}),
        **({"moment": microseconds_of("date", log.is_date)} if ranked else {}),
    )
    if after is not None:
        dated = dated.filter(nw.col("period") > end_tick(after, options.collapse))
    late = nw.col("day") < 0  # never: filters take no literal
    if end is not None:
        late = nw.col("micro") > instant(end) if fine else nw.col("day") > end.toordinal()
    counts = _count(dated.with_columns(late=late), log.has_amount, fine)
    _check_calendar(counts, dated, options)
    if end is None:
        end = _last_moment(counts["last"], fine)
        if end_matters:
            _warn_of_no_end(end)
    if after is None:
        _check_end(counts, dated.filter(late), end, options)
        if end_matters and options.opportunities is None:
            _warn_of_silence(counts, dated, end)
        notes.add(
            "window", "rows after observation_end, set aside", counts["late"], counts["rows"], "rows", f"as of {end}"
        )
    rows = dated.filter(~late) if counts["late"] else dated
    return Window(
        rows.drop("date", *(["micro"] if fine else [])),
        counts["rows"] - counts["late"],
        counts["returns"],
        counts["free"],
        counts["late"],
        counts["first_day"],
        end,
        end_tick(end, options.collapse),
    )


def end_with_opportunity(
    log: Log, options: LogOptions, opportunities: str, notes: QualityNotes, *, end_matters: bool = True
) -> LogOptions:
    """Let observation end with the last opportunity that is over; one that is cut is none, and is said to be so.

    Raises
    ------
    DataError
        Rows lie after the end that was asked for, where the options forbid that; or no opportunity is over by then.
    """
    asked = local_moment("observation_end", options.observation_end, log)
    day = nw.col("day")
    days = log.rows.with_columns(day=day_of("date")).select("day")
    found = collect_counts(days.select(first=day.min(), last=day.max()))
    if asked is None:
        asked = dt.date.fromordinal(found["last"])
        if end_matters:
            _warn_of_no_end(asked)
    elif options.after_end == "error":
        observe(log, replace(options, opportunities=None, collapse="day", time_unit="day"), QualityNotes())
    end = last_whole_day(asked, opportunities)
    if end.toordinal() < found["first"]:
        raise DataError(
            f"No {opportunities} with a purchase is over by {asked}: the first purchase in the log is on "
            f"{dt.date.fromordinal(found['first'])}. Give a later observation_end, or shorter opportunities."
        )
    last = asked.toordinal()
    cut = days.filter((day > end.toordinal()) & (day <= last))
    what = f"rows in the {opportunities} that observation_end cuts, which is no opportunity"
    note = f"observation ends with {end}" + ("" if end == asked else f" instead of {asked}")
    notes.add("window", what, count_rows(cut), count_rows(days), "rows", note)
    return replace(options, observation_end=end, after_end="set_aside")


def local_moment(option: str, moment: dt.date | None, log: Log) -> dt.date | None:
    """Convert an aware moment to the zone of the log's calendar."""
    if not isinstance(moment, dt.datetime) or moment.tzinfo is None:
        return moment
    if log.zone is None:
        raise DataError(f"{option}={moment} knows its time zone and the log does not. Give a date without a zone.")
    local: dt.datetime = pd.Timestamp(moment).tz_convert(log.zone).tz_localize(None).to_pydatetime(warn=False)
    return local


def _count(dated: nw.LazyFrame[Any], has_amount: bool, fine: bool) -> dict[str, int]:
    kept = ~nw.col("late")
    flags = {"late": nw.col("late")}
    if has_amount:
        flags |= {"returns": kept & (nw.col("amount") < 0), "free": kept & (nw.col("amount") == 0)}
    totals = dated.select(
        rows=nw.len(),
        days=nw.col("day").count(),
        first_day=nw.col("day").min(),
        last_day=nw.col("day").max(),
        last=nw.col("micro" if fine else "day").max(),
        **{name: flag.cast(nw.Int64).sum() for name, flag in flags.items()},
    )
    return {"returns": 0, "free": 0} | collect_counts(totals)


def _check_calendar(counts: dict[str, int], dated: nw.LazyFrame[Any], options: LogOptions) -> None:
    """Refuse dates before the year 1 or after 9999, and infinite ones, which some engines have."""
    if counts["rows"] == counts["days"] and (counts["days"] == 0 or _in_calendar(counts)):
        return
    day = nw.col("day")
    strange = dated.filter(day.is_null() | (day < 1) | (day > dt.date.max.toordinal()))
    raise DataError(
        f"date column {options.date!r} lies outside the years 1 to 9999 for "
        f"{count_of(count_rows(strange), counts['rows'], 'rows')} (first: customer "
        f"{strange.select('customer').head(1).collect().item()}). Mend those dates, or leave the rows out."
    )


def _in_calendar(counts: dict[str, int]) -> bool:
    return counts["first_day"] >= 1 and counts["last_day"] <= dt.date.max.toordinal()


def _last_moment(last: int, fine: bool) -> dt.date:
    if not fine:
        return dt.date.fromordinal(last)
    day, micro = divmod(last, 86_400_000_000)
    return dt.datetime.combine(dt.date.fromordinal(day), dt.time()) + dt.timedelta(microseconds=micro)


def _warn_of_no_end(end: dt.date) -> None:
    warn(
        f"observation_end was not given, so the last date in the log, {end}, is taken as the as-of date. If the log "
        f"was cut later than that, customers look younger and likelier to be alive than they are.{_if_to_come(end)}",
        ObservationEndWarning,
    )


def _if_to_come(end: dt.date) -> str:
    """A sentence where an as-of date lies in the future; a day is granted, for time zones."""
    day = end.date() if isinstance(end, dt.datetime) else end
    if day <= dt.date.today() + dt.timedelta(days=1):
        return ""
    return f" And {day} is still to come: of the days until then nothing is known, and customers look gone who are not."


def _warn_of_silence(counts: dict[str, int], dated: nw.LazyFrame[Any], end: dt.date) -> None:
    """Warn where a log that was never so quiet has nothing before its as-of date: it was cut, or the date is wrong.

    Nothing for longer than a month, though as many days before the last row held a hundred rows and more, on several
    days: logs dated by the month or year do not look so, nor those of customers who leave one after the other.
    """
    silent = end.toordinal() - counts["last_day"]
    if silent <= _QUIET_DAYS or counts["rows"] < _BUSY_ROWS or _if_to_come(end):
        return
    before = dated.filter(nw.col("day") > counts["last_day"] - silent)
    busy = before.select(rows=nw.len(), days=nw.col("day").n_unique()).collect()
    if busy["rows"].item() >= _BUSY_ROWS and busy["days"].item() >= _BUSY_DAYS:
        warn(
            f"Nobody bought in the last {silent:,} days before observation_end={str(end)!r}: the log ends on "
            f"{dt.date.fromordinal(counts['last_day'])}. If it was cut there, customers look gone who are not, and "
            "forecasts are far too low: give that day as observation_end.",
            ObservationEndWarning,
        )


def _check_end(counts: dict[str, int], late: nw.LazyFrame[Any], end: dt.date, options: LogOptions) -> None:
    if counts["late"] == counts["rows"]:
        first = dt.date.fromordinal(counts["first_day"])
        raise DataError(
            f"observation_end={str(end)!r} precedes the first purchase in the log, on {first}: all {counts['rows']:,} "
            "rows lie after it. Give an as-of date within the log."
        )
    # Of the last date in a log it was said.
    if options.observation_end is not None and (to_come := _if_to_come(end)):
        warn(
            f"observation_end={str(end)!r}: is that the right year?{to_come.removeprefix(' And')}",
            ObservationEndWarning,
        )
    if counts["late"] and options.after_end == "error":
        raise DataError(
            f"{count_of(counts['late'], counts['rows'], 'rows')} lie after observation_end={str(end)!r} "
            f"(first: {first_case(late, options.minor_unit)}). Give a later as-of date, or after_end='set_aside'."
        )
