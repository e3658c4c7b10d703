"""Datetimes that know their time zone, as the clock of the zone that counts."""

from __future__ import annotations

import zoneinfo
from typing import Any

import narwhals.stable.v2 as nw

from predclv.errors import DataError

__all__ = ["localise", "refuse_zone"]


def localise(
    frame: nw.LazyFrame[Any], column: str, label: str, has: str | None, wanted: str | None
) -> nw.LazyFrame[Any]:
    """Turn datetimes of a zone into those of the wanted zone's clock; `label` is what the caller calls them.

    Raises
    ------
    DataError
        They have a zone and none is wanted, or the reverse; or it is not known.
    """
    if has is None:
        refuse_zone(label, wanted)
        return frame
    if wanted is None:
        raise DataError(
            f"{label} knows time zones ({has}), and which day a purchase falls on depends on the zone. "
            f"Give time_zone='...', such as {has!r} or 'Europe/Berlin'."
        )
    if frame.implementation in _IN_SQL:
        _check_zone(wanted)
        return _IN_SQL[frame.implementation](frame, column, wanted)
    local = nw.col(column).dt.convert_time_zone(wanted).dt.replace_time_zone(None)
    try:
        settled = frame.with_columns(local)
        settled.collect_schema()
    except Exception as error:
        raise DataError(f"time_zone={wanted!r} is not known: {error}") from error
    return settled


def _check_zone(wanted: str) -> None:
    try:
        zoneinfo.ZoneInfo(wanted)
    except (OSError, ValueError, TypeError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise DataError(f"time_zone={wanted!r} is not known: {error}") from error


def _localise_in_duckdb(frame: nw.LazyFrame[Any], column: str, wanted: str) -> nw.LazyFrame[Any]:
    # narwhals converts to the session's zone alone. The zone is one that is known, so it holds no quote.
    relation: Any = frame.to_native()
    local: nw.LazyFrame[Any] = nw.from_native(
        relation.project(f"* REPLACE (timezone('{wanted}', {column}) AS {column})")
    )
    return local


def _localise_in_spark(frame: nw.LazyFrame[Any], column: str, wanted: str) -> nw.LazyFrame[Any]:
    from pyspark.sql import functions

    native: Any = frame.to_native()
    here = native.sparkSession.conf.get("spark.sql.session.timeZone")
    # A timestamp without a zone shows the clock of the session's.
    clock = functions.col(column).cast("timestamp_ntz")
    there = functions.convert_timezone(functions.lit(here), functions.lit(wanted), clock)
    local: nw.LazyFrame[Any] = nw.from_native(native.withColumn(column, there))
    return local


def refuse_zone(label: str, time_zone: str | None) -> None:
    """Raise DataError where a zone is wanted of dates that know none."""
    if time_zone is not None:
        raise DataError(
            f"time_zone={time_zone!r} was given, but {label} does not know time zones. Leave time_zone out, or "
            "localise the column."
        )


_IN_SQL = {nw.Implementation.DUCKDB: _localise_in_duckdb, nw.Implementation.PYSPARK: _localise_in_spark}
