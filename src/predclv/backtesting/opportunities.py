"""Cut-offs and horizons where opportunities are counted: both end with a whole one."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.data.opportunities import last_days, last_whole_day, number_periods, parse_opportunities
from predclv.errors import DataError

__all__ = ["count_opportunities", "opportunity_ends", "opportunity_of", "require_whole"]


def opportunity_of(day: dt.date, opportunities: str) -> int:
    """Running number of the opportunity that a day falls in."""
    numbers: NDArray[np.int64] = number_periods(np.array([day.toordinal()]), opportunities)
    return int(numbers[0])


def opportunity_ends(numbers: Any, opportunities: str) -> list[dt.date]:
    """Last days of opportunities, by their running numbers."""
    return [dt.date.fromordinal(int(day)) for day in last_days(np.asarray(numbers), opportunities)]


def require_whole(cutoff: dt.date, opportunities: str) -> None:
    """Raise DataError where a cut-off lies within an opportunity, which would then be neither past nor future."""
    end = last_whole_day(cutoff, opportunities)
    if isinstance(cutoff, dt.datetime) or end != cutoff:
        raise DataError(
            f"The cut-off {cutoff} cuts a {opportunities}, which is one opportunity. Give {str(end)!r}, the last day "
            "of one."
        )


def count_opportunities(option: str, given: Any, opportunities: str, at: dt.date | None = None) -> tuple[int, str]:
    """Read a finite length as a whole number of opportunities, and as a reader would say it."""
    try:
        length = parse_opportunities(given, opportunities, at)
    except DataError as error:
        raise DataError(str(error).replace("horizon=", f"{option}=", 1)) from None
    if not np.isfinite(length.length):
        raise DataError(f"{option}={given!r} is infinite: nothing can be compared with it. Give a finite one.")
    return int(length.length), length.label
