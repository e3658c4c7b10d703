"""Seasons, trends and births: what the calendar shows that the models do not know.

All compare purchases with what the fitted model expects of the customers there were, and with simulations under that
model, so that growth of the customer base is no trend and chance is no season.
"""

from __future__ import annotations

from calendar import month_name
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv import checks
from predclv.checks import Tracking
from predclv.forecast.fit_checks import drift, unevenness
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
    """The log against the model.

    Attributes
    ----------
    weeks, months : Tracking
    days : DataFrame
        The timeline itself, to the as-of date at least.
    season : Series or None
        Actual over expected purchases by month of the year (1 to 12) where the same months differ year after year.
    """

    weeks: Tracking
    months: Tracking
    days: pd.DataFrame
    season: pd.Series[float] | None

    @property
    def fitted_days(self) -> pd.DataFrame:
        """Days until the as-of date."""
        return self.days[self.days["start"] <= np.datetime64(self.weeks.as_of, "D")]


def look_at_calendar(given: ReportInputs) -> Calendar | None:
    """Track the log by week and by month; None without a log or an as-of date, and where opportunities are counted."""
    if given.timeline is None or given.rfm.observation_end is None or given.counts_opportunities:
        return None
    model, end = given.clv.transactions_, given.rfm.observation_end
    days = _until(given.timeline, np.datetime64(end.strftime("%Y-%m-%d")))
    weeks, months = (
        checks.track_purchases(model, days, as_of=end, period=period, level=given.level) for period in ("week", "month")
    )
    return Calendar(weeks, months, days, _season(months))


def _season(months: Tracking) -> pd.Series[float] | None:
    table, simulated = _informative(months)
    if len(table) < 24:
        return None
    month = table["start"].dt.month
    actual = table["actual"].to_numpy(dtype=np.float64)
    if unevenness(actual, simulated, month.to_numpy() - 1) >= _UNLIKELY:
        return None
    sums = table.groupby(month)[["actual", "expected"]].sum()
    return sums["actual"] / sums["expected"]


def seasons(given: ReportInputs, calendar: Calendar) -> Finding:
    """Do months differ by more than chance, and do the same months do so every year?"""
    table, simulated = _informative(calendar.months)
    years = _years(len(calendar.fitted_days) / 365.25)
    if len(table) < 4:
        return Finding(
            "note",
            "Too little history to look for seasons",
            f"The log covers {years} before the as-of date. The model knows no seasons: if there are any, a forecast "
            "of less than a year may be far off.",
        )
    actual = table["actual"].to_numpy(dtype=np.float64)
    ratio = pd.Series(actual / table["expected"].to_numpy(), index=table["start"])
    span = (
        f"from {percent(ratio.min() - 1, sign=True)} ({ratio.idxmin():%B %Y}) to {percent(ratio.max() - 1, sign=True)} "
        f"({ratio.idxmax():%B %Y}) of what the model expects"
    )
    if len(table) < 24:
        uneven = unevenness(actual, simulated) < _UNLIKELY
        said = "more than chance explains" if uneven else "no more than chance explains"
        return Finding(
            "caution" if uneven else "note",
            "Too short a history to tell a season",
            f"The log covers {years} before the as-of date; a season can be told from a campaign or from growth only "
            f"when it comes again, after two years. Monthly purchases range {span}, {said}. The model knows no "
            "seasons: compare like months before acting on a forecast of less than a year.",
        )
    if calendar.season is None:
        return Finding(
            "fine",
            "No season is to be seen",
            f"Over {years}, the same months do not differ from what the model expects, year after year, by more than "
            f"chance (monthly purchases range {span}).",
        )
    whole = given.finite and abs(_in_years(given) - round(_in_years(given))) < 0.02
    effect = "evens it out" if whole else "does not even it out, since it is not whole years"
    high, low = (calendar.season.index[calendar.season.argsort().to_numpy()[end]] for end in (-1, 0))
    return Finding(
        "note" if whole or not given.finite else "caution",
        "Purchases follow a season that the model does not know",
        f"Over {years}, the same months differ from what is expected year after year: {month_name[high]} by "
        f"{percent(calendar.season.max() - 1, sign=True)}, {month_name[low]} by "
        f"{percent(calendar.season.min() - 1, sign=True)}. "
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
    found = drift(time, _out_of_season(table, calendar), simulated, calendar.weeks.level)
    change = percent(found.slope, sign=True)
    chance = f"chance gives {percent(found.low, sign=True)} to {percent(found.high, sign=True)}"
    without = ", the season taken out," if calendar.season is not None else ""
    if not found.is_notable:
        return Finding(
            "fine",
            "No trend against the model",
            f"From the first to the last week of the log{without} purchases changed by {change} against what the model "
            f"expects of the customers there were ({chance}).",
        )
    direction, side = ("fell", "too high") if found.slope < 0 else ("rose", "too low")
    short = len(calendar.fitted_days) < 365
    doubt = " In a log of less than a year, this may be a season too." if short else ""
    return Finding(
        "note" if short else "caution",
        f"Purchases {direction} against what the model expects",
        f"From the first to the last week of the log{without} by {change} ({chance}). The model knows no trend: if "
        f"this goes on, the forecast is {side}.{doubt}",
    )


def recent(calendar: Calendar) -> Finding:
    """Actual over expected purchases in the last thirteen weeks before the as-of date, where the forecast sets in."""
    fitted = ~calendar.weeks.table["holdout"].to_numpy()
    last = np.flatnonzero(fitted)[-13:]
    table = calendar.weeks.table.iloc[last]
    actual, expected = float(table["actual"].sum()), float(table["expected"].sum())
    simulated = calendar.weeks.simulated[:, last].sum(axis=1)
    level = calendar.weeks.level
    low, high = np.quantile(simulated, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    share = f" ({percent(actual / expected - 1, sign=True)})" if expected else ""
    text = (
        f"In the last {len(last)} weeks before the as-of date customers made {actual:,.0f} repeat purchases; the model "
        f"expects {expected:,.0f}{share}, and chance gives {low:,.0f} to {high:,.0f}. "
    )
    if low <= actual <= high:
        return Finding("fine", "The last weeks are as expected", text + "The forecast sets in where this ends.")
    if low <= _out_of_season(table, calendar).sum() <= high:
        return Finding("note", "The last weeks are as their season is", text + "With the season taken out, they agree.")
    return Finding(
        "caution",
        "The last weeks differ from what the model expects",
        text + "The forecast sets in where this ends, and starts off wrong if it goes on.",
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


def _out_of_season(table: pd.DataFrame, calendar: Calendar) -> NDArray[np.float64]:
    """Actual purchases of each period, the season's share in them taken out."""
    actual = table["actual"].to_numpy(dtype=np.float64)
    if calendar.season is None:
        return actual
    factor = table["start"].dt.month.map(calendar.season).fillna(1.0).to_numpy(dtype=np.float64)
    return np.asarray(actual / np.maximum(factor, 0.01))


def _in_years(given: ReportInputs) -> float:
    return given.horizon.length * given.rfm.days_per_unit / 365.25


def _years(years: float) -> str:
    return f"{years:.1f} years"
