"""Counts of opportunities as times, for the methods that know no opportunities."""

from __future__ import annotations

from dataclasses import replace

from predclv.data.dates import COLLAPSES
from predclv.data.durations import DAYS_PER_UNIT, TIME_UNITS
from predclv.data.rfm import RFMSummary

__all__ = ["as_times"]


def as_times(rfm: RFMSummary) -> tuple[RFMSummary, float]:
    """Read opportunities as the times at which purchases were merged, one period apart.

    Parameters
    ----------
    rfm : RFMSummary

    Returns
    -------
    rfm : RFMSummary
        Itself, where it measures times. A month or a quarter is its mean number of weeks, for neither is a time unit.
    length : float
        Of an opportunity, in the time unit; 1 where there are none.
    """
    counted = rfm.opportunities
    if counted is None:
        return rfm, 1.0
    unit = counted if counted in TIME_UNITS else "week"
    length = DAYS_PER_UNIT[counted] / DAYS_PER_UNIT[unit]
    times = replace(
        rfm,
        recency=rfm.recency * length,
        T=rfm.T * length,
        time_unit=unit,
        collapse=counted if counted in COLLAPSES else None,
        opportunities=None,
    )
    return times, length
