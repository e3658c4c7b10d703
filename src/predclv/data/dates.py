"""Dates as integers: one arithmetic for every engine.

A day is its proleptic Gregorian ordinal (1 January of the year 1 is 1, a Monday), always positive, so that integer
division floors alike everywhere. Finer times are hours or microseconds since the start of day 0.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, suggest_date_format
from predclv.data.frames import count_rows
from predclv.data.zones import localise, refuse_zone
from predclv.errors import DataError

__all__ = [
    "COLLAPSES",
    "TICKS_PER_DAY",
    "day_of",
    "end_tick",
    "instant",
    "microseconds_of",
    "period_of",
    "settle_dates",
    "to_datetime64",
]

#: How finely each collapse keeps time: days, hours or microseconds.
TICKS_PER_DAY = {"none": 86_400_000_000, "hour": 24, "day": 1, "week": 1, "month": 1, "quarter": 1, "year": 1}
COLLAPSES = ("none", "hour", "day", "week", "month")

_EPOCH = dt.date(1970, 1, 1).toordinal()
# Days that exist, in the years 1000 to 2999, so that no engine's own idea of a calendar matters.
_DATE = (
    r"^(?:[12]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:[12]\d(?:0[48]|[2468][048]|[13579][26])|(?:12|16|20|24|28)00)-02-29)"
)
_TIME = r"(?:[T ](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)"
_NAIVE = f"{_DATE}{_TIME}?$"
_AWARE = rf"{_DATE}{_TIME} ?(?:Z|[+-]\d\d:?\d\d|[+-]\d\d)$"


def settle_dates(
    frame: nw.LazyFrame[Any],
    column: str,
    label: str,
    time_zone: str | None = None,
    date_format: str | None = None,
    *,
    fine: bool = False,
    may_be_dates: bool = False,
) -> nw.LazyFrame[Any]:
    """Turn a date column into local dates or datetimes.

    Parameters
    ----------
    frame : LazyFrame
    column, label : str
        Its name in `frame`, and what the caller calls it.
    time_zone : str, optional
        Zone to convert aware datetimes to.
    date_format : str, optional
        strptime format of text or whole numbers.
    fine : bool
        Whether fractions of seconds matter: in text they are dropped, and refused where they matter.
    may_be_dates : bool
        Whether a column of dates may come with a `date_format`, which is another column's then.

    Raises
    ------
    DataError
        Values that are no dates, or that know time zones without `time_zone`, or the reverse, or a mixture.
    """
    hidden = _hidden_zone(frame, column)
    frame = _mend_pandas_objects(frame, column, label)
    dtype = frame.collect_schema()[column]
    if date_format is not None and (dtype == nw.String or dtype.is_integer()):
        return _parse_formatted(frame, column, label, date_format)
    if dtype == nw.String:
        _check_text(frame, column, label, time_zone)
        if fine:
            _refuse_fractions(frame, column, label)
        return frame.with_columns(_parse_text(nw.col(column).str.strip_chars()))
    if date_format is not None and not may_be_dates and (dtype == nw.Date or isinstance(dtype, nw.Datetime)):
        raise DataError(
            f"date_format={date_format!r} was given, but {label} holds dates already, not text or whole numbers. "
            "Leave date_format out."
        )
    if dtype == nw.Date:
        refuse_zone(label, time_zone)
        return frame
    if isinstance(dtype, nw.Datetime):
        return localise(frame, column, label, hidden or dtype.time_zone, time_zone)
    raise DataError(
        f"{label} holds {dtype} values, which are no dates. Convert them to dates, or give date_format='...' "
        "(for whole numbers such as 19970101: '%Y%m%d')."
    )


def day_of(column: str) -> nw.Expr:
    """Ordinal of the day, an integer expression; null dates must be gone."""
    before = _part(column, "year") - 1
    return before * 365 + before // 4 - before // 100 + before // 400 + _part(column, "ordinal_day")


def microseconds_of(column: str, is_date: bool) -> nw.Expr:
    """Microseconds since the start of day 0."""
    midnight = day_of(column) * 86_400_000_000
    if is_date:
        return midnight
    hour, minute, second = (_part(column, name) for name in ("hour", "minute", "second"))
    return midnight + ((hour * 60 + minute) * 60 + second) * 1_000_000 + _part(column, "microsecond")


def period_of(column: str, collapse: str, is_date: bool) -> nw.Expr:
    """Start of the period that a date falls in, in the ticks of `collapse`."""
    if collapse == "none":
        return microseconds_of(column, is_date)
    day = day_of(column)
    if collapse == "hour":
        return day * 24 if is_date else day * 24 + _part(column, "hour")
    if collapse == "week":
        return day - (day - 1) % 7
    if collapse == "month":
        return day - _part(column, "day") + 1
    if collapse == "quarter":
        return _first_of_quarter(column)
    return day - _part(column, "ordinal_day") + 1 if collapse == "year" else day


def _first_of_quarter(column: str) -> nw.Expr:
    """Ordinal of the first day of the quarter, from that of the year."""
    year, before = _part(column, "year"), (_part(column, "month") - 1) // 3
    leap = ((year % 4 == 0) & (year % 100 != 0)) | (year % 400 == 0)
    # 90 days to April, 181 to July and 273 to October, and a day more after 29 February.
    days = before * 91 - (before > 0).cast(nw.Int64) + (before > 2).cast(nw.Int64)
    days = days + (leap & (before > 0)).cast(nw.Int64)
    return day_of(column) - _part(column, "ordinal_day") + 1 + days


def end_tick(moment: dt.date, collapse: str) -> int:
    """Tick at which observation ends: `period_of` the last moment, or that moment itself with "none"."""
    day, micro = moment.toordinal(), instant(moment)
    if collapse == "none":
        return micro
    if collapse == "hour":
        return (micro - (not isinstance(moment, dt.datetime))) // 3_600_000_000
    if collapse == "week":
        return day - (day - 1) % 7
    if collapse in ("month", "quarter", "year"):
        month = {"month": moment.month, "quarter": moment.month - (moment.month - 1) % 3, "year": 1}[collapse]
        return dt.date(moment.year, month, 1).toordinal()
    return day


def instant(moment: dt.date) -> int:
    """Microseconds since the start of day 0 of an instant, or of the end of a whole day."""
    if not isinstance(moment, dt.datetime):
        return (moment.toordinal() + 1) * 86_400_000_000
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return moment.toordinal() * 86_400_000_000 + seconds * 1_000_000 + moment.microsecond


def to_datetime64(ticks: NDArray[np.int64], ticks_per_day: int) -> NDArray[np.datetime64]:
    """Days, hours or microseconds as `datetime64`, in seconds or microseconds."""
    since_epoch = ticks - _EPOCH * ticks_per_day
    unit = {1: "D", 24: "h", 86_400_000_000: "us"}[ticks_per_day]
    return since_epoch.astype(f"datetime64[{unit}]").astype("datetime64[us]")


def _part(column: str, name: str) -> nw.Expr:
    return getattr(nw.col(column).dt, name)().cast(nw.Int64)  # type: ignore[no-any-return]


def _check_text(frame: nw.LazyFrame[Any], column: str, label: str, time_zone: str | None) -> None:
    known = frame.select(column).filter(~nw.col(column).is_null())
    text = nw.col(column).str.strip_chars()
    odd = known.filter(~text.str.contains(_NAIVE))
    n_odd = count_rows(odd)
    if n_odd == 0:
        return refuse_zone(label, time_zone)
    n_known, unread = count_rows(known), odd.filter(~text.str.contains(_AWARE))
    if n_unread := count_rows(unread):
        _refuse_unparseable(label, n_unread, n_known, unread.head(1).collect()[column][0])
    first = odd.head(1).collect()[column][0]
    if n_odd < n_known:
        raise DataError(
            f"{label} mixes time zones: {count_of(n_odd, n_known, 'dates')} have an offset (first: {first!r}), "
            "the others have none. Convert all of them to one zone."
        )
    raise DataError(
        f"{label} is text with time-zone offsets (first: {first!r}). Parse it into datetimes that know their zone, "
        "and give time_zone='...' for the calendar that counts."
    )


def _refuse_fractions(frame: nw.LazyFrame[Any], column: str, label: str) -> None:
    cases = frame.filter(~nw.col(column).is_null()).filter(nw.col(column).str.contains(r"\.\d*[1-9]"))
    if n := count_rows(cases):
        raise DataError(
            f"{label} is text with fractions of seconds in {n:,} rows (first: {cases.head(1).collect()[column][0]!r}), "
            "which collapse='none' tells apart. Parse it into datetimes first, or collapse by 'hour' or 'day'."
        )


def _parse_text(text: nw.Expr) -> nw.Expr:
    """ISO 8601 text, known to be valid, as datetimes to the second."""
    # What a date or a time to the minute lacks is filled, so that one format fits all.
    filled = nw.concat_str([text, nw.lit("T00:00:00")])
    parts = [filled.str.slice(start, length) for start, length in ((0, 10), (11, 5), (17, 2))]
    full = nw.concat_str([parts[0], nw.lit("T"), parts[1], nw.lit(":"), parts[2]])
    return full.str.to_datetime(format="%Y-%m-%dT%H:%M:%S")


def _parse_formatted(frame: nw.LazyFrame[Any], column: str, label: str, date_format: str) -> nw.LazyFrame[Any]:
    text = frame.with_columns(nw.col(column).cast(nw.String).str.strip_chars())
    if frame.implementation is nw.Implementation.PYARROW:
        # pyarrow makes 2 March of 31 February.
        _check_formatted(text, column, label, date_format)
    try:
        parsed = text.with_columns(nw.col(column).str.to_datetime(format=date_format))
        parsed.select(nw.col(column).max()).collect()
    except Exception as error:
        # Each engine fails in its own way, none with a count.
        _check_formatted(text, column, label, date_format)
        raise DataError(f"{label} cannot be read with date_format={date_format!r}: {error}") from error
    return parsed


def _check_formatted(text: nw.LazyFrame[Any], column: str, label: str, date_format: str) -> None:
    values = text.select(column).unique().collect()[column].drop_nulls().to_pandas()
    wrong = values[pd.to_datetime(values, format=date_format, errors="coerce").isna()]
    if not wrong.empty:
        cases = text.filter(nw.col(column).is_in(list(wrong)))
        n_known = int(text.select(nw.col(column).count()).collect().item())
        first = cases.head(1).collect()[column][0]
        _refuse_unparseable(label, count_rows(cases), n_known, first, date_format)


def _mend_pandas_objects(frame: nw.LazyFrame[Any], column: str, label: str) -> nw.LazyFrame[Any]:
    """Convert a pandas column of Python dates or periods, which narwhals sees as objects, or of a hidden zone."""
    native: Any = frame.to_native()
    if frame.implementation is not nw.Implementation.PANDAS:
        return frame
    values = native[column]
    if isinstance(values.dtype, pd.PeriodDtype):
        return _with_pandas_column(native, column, values.dt.to_timestamp())
    if _hidden_zone(frame, column) is not None:
        return _with_pandas_column(native, column, values.dt.tz_convert("UTC"))
    if values.dtype != object or frame.collect_schema()[column] == nw.String:
        return frame
    known = values[values.notna()]
    no_dates = known[[not isinstance(value, dt.date) for value in known]]
    if len(no_dates):
        _refuse_unparseable(label, len(no_dates), len(known), no_dates.iloc[0])
    aware = [getattr(value, "tzinfo", None) is not None for value in known]
    if any(aware) and not all(aware):
        first = known[aware].iloc[0]
        raise DataError(
            f"{label} mixes time zones: {count_of(sum(aware), len(known), 'dates')} know theirs (first: {first}), "
            "the others do not. Convert all of them to one zone."
        )
    return _with_pandas_column(native, column, pd.to_datetime(values, utc=any(aware)))


def _hidden_zone(frame: nw.LazyFrame[Any], column: str) -> str | None:
    """Zone of a pandas column of which narwhals reads none: one with an underscore or digit, as America/New_York."""
    if frame.implementation is not nw.Implementation.PANDAS or frame.collect_schema()[column] != nw.Unknown:
        return None
    native: Any = frame.to_native()
    dtype = native[column].dtype
    return str(dtype.tz) if isinstance(dtype, pd.DatetimeTZDtype) else None


def _with_pandas_column(native: pd.DataFrame, column: str, values: pd.Series[Any]) -> nw.LazyFrame[Any]:
    return nw.from_native(native.assign(**{column: values}), eager_only=True).lazy()


def _refuse_unparseable(label: str, count: int, total: int, first: object, date_format: str | None = None) -> None:
    remedy = (
        "Dates in text are read as ISO 8601, '1997-09-30' or '1997-09-30 12:00'; for others give date_format, "
        f"such as {suggest_date_format(first)}."
    )
    if date_format is not None:
        remedy = f"They do not follow date_format={date_format!r}."
    raise DataError(
        f"{label} cannot be read as a date for {count_of(count, total, 'rows')} (first: {first!r}). {remedy}"
    )
