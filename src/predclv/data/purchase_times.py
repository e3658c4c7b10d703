"""One customer's purchases, as times since the first: checked against what the summary says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.opportunities import number_periods
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, see

__all__ = ["read_purchases"]

FloatArray = NDArray[np.float64]

_EPOCH = 719_163  # 1970-01-01 as a proleptic Gregorian ordinal
_MERGED = {None: "D", "day": "D", "hour": "h", "none": "us"}


def read_purchases(purchases: Any, one: RFMSummary) -> FloatArray:
    """Read all purchases of a customer, the first included.

    Parameters
    ----------
    purchases : sequence of dates, or of numbers
        Those after the as-of date are left out, and those that the summary merges count as one. Numbers are times
        in its unit, or opportunities.
    one : RFMSummary
        The customer's row.

    Returns
    -------
    (x + 1,) array, increasing from 0, in the time unit

    Raises
    ------
    DataError
        They are not those of the summary's row, or merged by week or month, whose beginnings the summary keeps.
    """
    given = np.asarray(purchases)
    is_number = given.dtype.kind in "iuf"
    if is_number:
        moments: NDArray[Any] = given.astype(np.float64)
    else:
        moments = _to_moments(purchases)
    gaps = int(np.count_nonzero(np.isnan(moments) if is_number else np.isnat(moments)))
    if gaps:
        raise DataError(f"purchases= holds no time for {gaps} of {len(moments)}. Leave those rows out.")
    times = np.unique(moments) if is_number else _dated(moments, one)
    x, t_x = int(one.frequency[0]), float(one.recency[0])
    since = times - times[0] if len(times) else times
    step = 1e-6 * max(t_x, 1.0)
    if len(since) != x + 1 or abs(since[-1] - t_x) > step:
        last = f", the last {since[-1]:.6g} {one.time_unit}s after the first" if len(since) else ""
        raise DataError(
            f"purchases= holds {len(since)} purchases of customer {one.customer_id[0]}{last}; the summary says "
            f"{x + 1}, the last {t_x:.6g} {one.time_unit}s after the first. Give all that the summary counts, and "
            "no returns." + see("one customer")
        )
    return since


def _to_moments(purchases: Any) -> NDArray[np.datetime64]:
    try:
        moments = pd.to_datetime(pd.Series(list(purchases), dtype=object))
    except (ValueError, TypeError) as error:
        raise DataError(f"purchases= holds what is neither a date nor a number: {error}") from error
    if moments.dt.tz is not None:
        raise DataError(
            "purchases= has a time zone. Give the dates as they are in the zone of the log: "
            ".dt.tz_convert(zone).dt.tz_localize(None)."
        )
    return moments.to_numpy().astype("datetime64[us]")


def _dated(given: NDArray[np.datetime64], one: RFMSummary) -> FloatArray:
    end = one.observation_end
    if one.opportunities is None and one.collapse not in _MERGED:
        raise DataError(
            f"The summary merges purchases by {one.collapse}: give purchases= as numbers, times in {one.time_unit}s."
        )
    step = "D" if one.opportunities is not None else _MERGED[one.collapse]
    moments = np.unique(given.astype(f"datetime64[{step}]"))
    if end is not None:
        is_instant = hasattr(end, "hour")
        last = np.datetime64(end) if is_instant else np.datetime64(end) + np.timedelta64(1, "D")
        moments = moments[moments <= last] if is_instant else moments[moments < last]
    if one.opportunities is not None:
        days = moments.astype("datetime64[D]").astype(np.int64) + _EPOCH
        return np.unique(number_periods(days, one.opportunities)).astype(np.float64)
    return moments.astype("datetime64[us]").astype(np.int64) / (86_400e6 * one.days_per_unit)
