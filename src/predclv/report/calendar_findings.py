"""Seasons, trends and births: what the calendar shows that the models do not know.

All compare purchases with what the fitted model expects of the customers there were, and with simulations under that
model, so that growth of the customer base is no trend and chance is no season.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv import plots
from predclv.forecast.fit_checks import drift, unevenness
from predclv.plots.checks import Tracking
from predclv.plots.style import percent
from predclv.report.blocks import Finding
from predclv.report.inputs import ReportInputs

__all__ = ["Calendar", "births", "look_at_calendar", "recent", "seasons", "spend_over_time", "trend"]

# Periods where less than this is expected say nothing.
_FEWEST_EXPECTED = 5.0
_QUARTER = 91
_UNLIKELY = 0.01
_NOTABLE_CHANGE = 0.10


@dataclass(frozen=True, eq=False)
class Calendar:
    """The log by week and by calendar month against the model, and by day."""

    weeks: Tracking
    months: Tracking
    days: pd.DataFrame

    @property
    def fitted_days(self) -> pd.DataFrame:
        """Days until the as-of date."""
        return self.days[self.days["start"] <= np.datetime64(self.weeks.as_of, "D")]


def look_at_calendar(given: ReportInputs) -> Calendar | None:
    """Track the log by week and by month; None without a log or an as-of date."""
    if given.timeline is None or given.rfm.observation_end is None:
        return None
    model, end = given.clv.transactions_, given.rfm.observation_end
    days = _until(given.timeline, np.datetime64(end.strftime("%Y-%m-%d")))
    weeks, months = (
        plots.track_purchases(model, days, as_of=end, period=period, level=given.level) for period in ("week", "month")
    )
    return Calendar(weeks, months, days)


def seasons(given: ReportInputs, calendar: Calendar) -> Finding:
    """Do months differ by more than chance, and do the same months do so every year?"""
    table, simulated = _informative(calendar.months)
    years = len(calendar.fitted_days) / 365.25
    if len(table) < 4:
        return Finding(
            "note",
            "Too little history to look for seasons",
            f"The log covers {_years(years)} before the as-of date. The model knows no seasons: if there are any, a "
            "forecast of less than a year may be far off.",
        )
    actual = table["actual"].to_numpy(dtype=np.float64)
    ratio = pd.Series(actual / table["expected"].to_numpy(), index=table["start"])
    lowest, highest = ratio.idxmin(), ratio.idxmax()
    span = (
        f"from {percent(ratio.min() - 1, sign=True)} ({lowest:%B %Y}) to {percent(ratio.max() - 1, sign=True)} "
        f"({highest:%B %Y}) of what the model expects"
    )
    if years < 2:
        _, p_value = unevenness(actual, simulated)
        uneven = p_value < _UNLIKELY
        said = "more than chance explains" if uneven else "no more than chance explains"
        return Finding(
            "caution" if uneven else "note",
            "Too short a history to tell a season",
            f"The log covers {_years(years)} before the as-of date; a season can be told from a campaign or from "
            f"growth only when it comes again, after two years. Monthly purchases range {span}, {said}. The model "
            "knows no seasons: compare like months before acting on a forecast of less than a year.",
        )
    month = table["start"].dt.month.to_numpy() - 1
    _, p_value = unevenness(actual, simulated, month)
    if p_value >= _UNLIKELY:
        return Finding(
            "fine",
            "No season is to be seen",
            f"Over {_years(years)}, the same months do not repeatedly differ from what the model expects by more than "
            f"chance (monthly purchases range {span}).",
        )
    by_month = table.groupby(table["start"].dt.month_name())[["actual", "expected"]].sum()
    shares = by_month["actual"] / by_month["expected"] - 1
    whole = given.finite and abs(_in_years(given) - round(_in_years(given))) < 0.02
    effect = "evens it out" if whole else "does not even it out, since it is not whole years"
    return Finding(
        "note" if whole else "caution",
        "Purchases follow a season that the model does not know",
        f"Over {_years(years)}, the same months differ from what is expected year after year: {shares.idxmax()} by "
        f"{percent(shares.max(), sign=True)}, {shares.idxmin()} by {percent(shares.min(), sign=True)}. "
        + (f"This horizon {effect}." if given.finite else "An infinite horizon evens it out."),
    )


def trend(calendar: Calendar) -> Finding:
    """Does the ratio of actual to expected purchases change over the log?"""
    table, simulated = _informative(calendar.weeks)
    if len(table) < 8:
        return Finding(
            "note", "Too little history to look for a trend", "Fewer than eight weeks have enough purchases."
        )
    time = (table["start"] - table["start"].iloc[0]).dt.days.to_numpy(dtype=np.float64)
    time /= time[-1]
    found = drift(time, table["actual"].to_numpy(dtype=np.float64), simulated, calendar.weeks.level)
    change = percent(found.slope, sign=True)
    chance = f"chance gives {percent(found.low, sign=True)} to {percent(found.high, sign=True)}"
    if not found.is_notable:
        return Finding(
            "fine",
            "No trend against the model",
            f"From the first to the last week of the log, purchases changed by {change} against what the model expects "
            f"of the customers there were ({chance}).",
        )
    direction = "fell" if found.slope < 0 else "rose"
    side = "too high" if found.slope < 0 else "too low"
    short = len(calendar.fitted_days) < 365
    doubt = " In a log of less than a year, this may be a season too." if short else ""
    return Finding(
        "note" if short else "caution",
        f"Purchases {direction} against what the model expects",
        f"From the first to the last week of the log by {change} ({chance}). The model knows no trend: if this goes "
        f"on, the forecast is {side}.{doubt}",
    )


def recent(calendar: Calendar) -> Finding:
    """Actual over expected purchases in the last thirteen weeks before the as-of date, where the forecast sets in."""
    fitted = ~calendar.weeks.table["holdout"].to_numpy()
    last = np.flatnonzero(fitted)[-13:]
    actual = float(calendar.weeks.table["actual"].to_numpy()[last].sum())
    simulated = calendar.weeks.simulated[:, last].sum(axis=1)
    expected = float(calendar.weeks.table["expected"].to_numpy()[last].sum())
    level = calendar.weeks.level
    low, high = np.quantile(simulated, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    inside = low <= actual <= high
    share = f" ({percent(actual / expected - 1, sign=True)})" if expected else ""
    return Finding(
        "fine" if inside else "caution",
        "The last weeks are as expected" if inside else "The last weeks differ from what the model expects",
        f"In the last {len(last)} weeks before the as-of date customers made {actual:,.0f} repeat purchases; the model "
        f"expects {expected:,.0f}{share}, and chance gives {low:,.0f} to {high:,.0f}. The forecast sets in where this "
        "ends.",
    )


def births(given: ReportInputs, calendar: Calendar) -> Finding | None:
    """Are customers still being won? The total holds none of those to come."""
    days = calendar.fitted_days
    born = days["births"].to_numpy()
    if not born.sum():
        return None
    silent = len(born) - 1 - int(np.flatnonzero(born)[-1])
    if silent > _QUARTER / 3:
        last = days["start"].iloc[int(np.flatnonzero(born)[-1])]
        return Finding(
            "note",
            "No new customers of late",
            f"All {born.sum():,} customers joined until {last:%Y-%m-%d}; none in the last {silent:,} days. The "
            "forecast is for these customers alone, a shrinking base.",
        )
    if len(born) < 2 * _QUARTER:
        return None
    now, before = born[-_QUARTER:].sum(), born[-2 * _QUARTER : -_QUARTER].sum()
    return Finding(
        "note",
        "New customers are not in the total",
        f"{now:,} customers joined in the last {_QUARTER} days, {before:,} in the {_QUARTER} days before. What such "
        f"customers to come will bring is not in the total of the {len(given.rfm):,} you have.",
    )


def spend_over_time(given: ReportInputs, calendar: Calendar) -> Finding | None:
    """Has the average purchase changed of late? The spend model takes it as lasting."""
    days = calendar.fitted_days
    if "spend" not in days or len(days) < 2 * _QUARTER:
        return None
    late, early = days.iloc[-_QUARTER:], days.iloc[:-_QUARTER]
    if min(late["purchases"].sum(), early["purchases"].sum()) < 100:
        return None
    now, before = (part["spend"].sum() / part["purchases"].sum() for part in (late, early))
    change = now / before - 1
    notable = abs(change) > _NOTABLE_CHANGE
    return Finding(
        "caution" if notable else "fine",
        "The average purchase has changed" if notable else "The average purchase is steady",
        f"A purchase in the last {_QUARTER} days was {given.money(now)} on average, {given.money(before)} before "
        f"({percent(change, sign=True)}). The spend model knows no prices and no inflation.",
    )


def _until(timeline: pd.DataFrame, end: np.datetime64) -> pd.DataFrame:
    """Add the days without a purchase between the end of the log and the as-of date."""
    last = timeline["start"].to_numpy()[-1].astype("datetime64[D]")
    missing = pd.Series(np.arange(last + 1, end + 1)).astype(timeline["start"].dtype)
    if not len(missing):
        return timeline
    empty = pd.DataFrame(0, index=range(len(missing)), columns=timeline.columns).assign(start=missing, days=1)
    return pd.concat([timeline, empty.astype(timeline.dtypes)], ignore_index=True)


def _informative(tracking: Tracking) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Periods of the fit in which enough is expected."""
    expected = tracking.simulated.mean(axis=0)
    kept = ~tracking.table["holdout"].to_numpy() & (expected >= _FEWEST_EXPECTED)
    return tracking.table[kept].reset_index(drop=True), tracking.simulated[:, kept]


def _in_years(given: ReportInputs) -> float:
    return given.horizon.length * given.rfm.days_per_unit / 365.25


def _years(years: float) -> str:
    return f"{years:.1f} years"
