"""Does the model say what customers did? Plots of its fit, and of its forecast against a holdout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks.results import PredictiveCheck
from predclv.checks.tracking import Tracking
from predclv.data.durations import DAYS_PER_UNIT
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration", "plot_frequency_histogram", "plot_tracking"]


def plot_tracking(tracking: Tracking, *, cumulative: bool = True, ax: Axes | None = None) -> Axes:
    """Repeat purchases over time, made and expected, before and after the as-of date.

    Parameters
    ----------
    tracking : Tracking
        Of `track_purchases`.
    cumulative : bool
        Running sums, or purchases a period (a cut period is scaled to a whole one).
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    table = tracking.table
    prefix = "cumulative_" if cumulative else ""
    columns = {name: table[prefix + name].to_numpy() for name in ("actual", "expected", "low", "high")}
    # Running sums stand at the last day of a period, rates in its middle.
    start, end = (table[name].to_numpy().astype("datetime64[h]") for name in ("start", "end"))
    when = end - np.timedelta64(24, "h") if cumulative else start + (end - start) // 2
    if not cumulative and not tracking.counts_opportunities:
        scale = DAYS_PER_UNIT[tracking.period] / ((end - start) / np.timedelta64(24, "h"))
        columns = {name: column * scale for name, column in columns.items()}
    ax.fill_between(
        when, columns["low"], columns["high"], color=style.BAND, alpha=0.6, lw=0, label=f"{tracking.level:.0%} band"
    )
    ax.plot(when, columns["expected"], color=style.MODEL, lw=2, label="expected by the model")
    ax.plot(when, columns["actual"], color=style.ACTUAL, lw=1.4, ls=(0, (4, 1.5)), label="actual")
    holdout = table["holdout"].to_numpy()
    if holdout.any():
        as_of: Any = np.datetime64(tracking.as_of, "D")
        ax.axvline(as_of, color=style.QUIET, lw=1)
        ax.annotate(
            " after the fit", (as_of, 0.02), xycoords=("data", "axes fraction"), fontsize=8.5, color=style.QUIET
        )
    # Rates jump about: room for the legend above them.
    ax.set_ylim(0.0, ax.get_ylim()[1] * (1.0 if cumulative else 1.25))
    style.date_axis(ax.xaxis)
    style.count_axis(ax.yaxis)
    style.legend(ax, "upper left" if cumulative else "upper right")
    y = "Repeat purchases since the start" if cumulative else f"Repeat purchases a {tracking.period}"
    title = _tracking_message(tracking) if cumulative else _outside_message(tracking)
    return style.dress(ax, title=title, x="Date", y=y)


def plot_frequency_histogram(check: PredictiveCheck, *, ax: Axes | None = None) -> Axes:
    """Customers by number of repeat purchases, as they are and as the model expects them.

    Parameters
    ----------
    check : PredictiveCheck
        Of `check_frequencies`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    table = check.table
    place = np.arange(len(table))
    ax.bar(place, table["actual"], width=0.72, color="#c8c8c8", edgecolor=style.QUIET, label="actual")
    _points_with_interval(ax, place, table, f"expected by the model, {check.level:.0%} band")
    ax.set_xticks(place, table["repeat_purchases"])
    style.count_axis(ax.yaxis)
    style.legend(ax, "upper right")
    outside = int(np.sum((table["actual"] < table["low"]) | (table["actual"] > table["high"])))
    title = "The model reproduces how often customers came back"
    if outside:
        title = f"{outside} of {len(table)} counts of customers lie outside the model's band"
    return style.dress(ax, title=title, x="Repeat purchases until the as-of date", y="Customers")


def plot_calibration(check: PredictiveCheck, *, by: str = "frequency", ax: Axes | None = None) -> Axes:
    """Purchases for each customer in the holdout by group: forecast and made.

    Parameters
    ----------
    check : PredictiveCheck
        Of `check_holdout`.
    by : {"frequency", "forecast"}
        What the groups are, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    table = check.table
    place = np.arange(len(table))
    _points_with_interval(ax, place, table, f"forecast, {check.level:.0%} interval of the group's mean")
    ax.plot(place, table["actual"], "D", color=style.ACTUAL, ms=5.5, zorder=4, label="actual")
    ax.set_xticks(place, [f"{row.group}\n({row.customers:,})" for row in table.itertuples()])
    ax.set_ylim(bottom=0)
    style.legend(ax, "upper left")
    inside = int(np.sum((table["actual"] >= table["low"]) & (table["actual"] <= table["high"])))
    label = "Repeat purchases until the as-of date" if by == "frequency" else "Expected purchases"
    style.dress(
        ax,
        title=f"Purchases fell inside the forecast interval in {inside} of {len(table)} groups",
        x=f"{label} (customers in the group)",
        y="Purchases for each customer",
    )
    ax.tick_params(axis="x", labelsize=8)
    return ax


def _points_with_interval(ax: Axes, place: NDArray[np.int64], table: pd.DataFrame, label: str) -> None:
    ends = np.maximum([table["expected"] - table["low"], table["high"] - table["expected"]], 0.0)
    ax.errorbar(
        place, table["expected"], yerr=ends, fmt="o", color=style.MODEL, ms=6, capsize=4, lw=1.8, zorder=3, label=label
    )


def _tracking_message(tracking: Tracking) -> str:
    table = tracking.table
    part, when = table[table["holdout"]], "after the fit"
    if part.empty:
        part, when = table, "so far"
    actual, expected = part["actual"].sum(), part["expected"].sum()
    share = f" ({style.percent(expected / actual - 1, sign=True)})" if actual else ""
    return f"{actual:,.0f} repeat purchases {when}, {expected:,.0f} expected{share}"


def _outside_message(tracking: Tracking) -> str:
    table = tracking.table
    outside = int(np.sum((table["actual"] < table["low"]) | (table["actual"] > table["high"])))
    return f"{outside} of {len(table)} {tracking.period}s lie outside the model's {tracking.level:.0%} band"
