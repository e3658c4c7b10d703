"""Monitoring: alarms beside those that chance makes, the last forecast beside what came, parameters that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alarm_counts", "plot_last_forecast", "plot_parameter_drift"]

_ROW = 0.5  # inches
_KINDS = {"silence": "bought unusually little", "basket": "spent unusually little each time", "value": "value fell"}


def plot_alarm_counts(counts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Alarms that rang, beside those that would, had nobody changed, and those that the forecast expected.

    Parameters
    ----------
    counts : DataFrame
        `Monitoring.alarm_counts`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows = counts[counts["tested"] > 0].reset_index(drop=True)
    ax = style.get_axes(ax, (6.4, 1.8 + _ROW * len(rows)))
    place = np.arange(len(rows))[::-1]
    ax.barh(place, rows["rang"], height=0.55, color=style.BAND, label="rang")
    ax.plot(
        rows["expected_if_unchanged"], place, "|", color=style.ACTUAL, ms=22, mew=2, label="at most, had nobody changed"
    )
    known = np.isfinite(rows["expected_by_forecast"].to_numpy(dtype=np.float64))
    if known.any():
        expected, deviation = (
            rows.loc[known, name].to_numpy() for name in ("expected_by_forecast", "deviation_by_forecast")
        )
        ax.errorbar(
            expected,
            place[known],
            xerr=1.645 * deviation,
            fmt="o",
            color=style.HIGHLIGHT,
            capsize=3,
            label="expected, as some leave (90%)",
        )
    ax.set_yticks(place, [_KINDS[str(kind)] for kind in rows["kind"]])
    style.count_axis(ax.xaxis)
    ax.set_xlim(left=0)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.2), frameon=False, fontsize=8.5, markerscale=0.5)
    tested = int(rows["tested"].max()) if len(rows) else 0
    title = f"Alarms of {tested:,} customers"
    return style.dress(ax, title=title, x="Customers", y="")


def plot_last_forecast(
    totals: pd.DataFrame,
    what: str = "purchases",
    *,
    level: float = 0.9,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What groups of customers did in the window, on the interval of what was forecast of them.

    Parameters
    ----------
    totals : DataFrame
        `Monitoring.calibration.totals`.
    what : {"purchases", "revenue"}
    level : float
        That of the intervals, for the label.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The table does not hold `what`.
    """
    rows = totals[(totals["what"] == what) & (totals["group"] != "all")]
    if rows.empty:
        known = ", ".join(map(repr, totals["what"].unique()))
        raise ValueError(f"'what' must be one of {known}. Got {what!r}.")
    ax = style.get_axes(ax)
    place = np.arange(len(rows))
    low, middle, high = (rows[name].to_numpy() for name in ("low", "expected", "high"))
    error = [np.maximum(middle - low, 0.0), np.maximum(high - middle, 0.0)]
    ax.errorbar(
        place, middle, yerr=error, fmt="_", color=style.MODEL, ms=12, capsize=5, lw=2, label=f"forecast ({level:.0%})"
    )
    ax.plot(place, rows["actual"], "o", color=style.ACTUAL, ms=6, label="what came")
    ax.set_xticks(place, rows["group"].to_list())
    ax.set_ylim(bottom=0)
    style.legend(ax, "upper left")
    inside = int(rows["inside"].sum())
    if what == "revenue":
        style.money_axis(ax.yaxis, currency)
    else:
        style.count_axis(ax.yaxis)
    return style.dress(
        ax,
        title=f"{inside} of {len(rows)} groups came out within their interval",
        x="Groups of customers, by what was expected of them (left: least)",
        y=f"{what.capitalize()} in the window{style.units(currency) if what == 'revenue' else ''}",
    )


def plot_parameter_drift(parameters: pd.DataFrame, *, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """Parameters of the new fit over those of the old one, with intervals.

    Parameters
    ----------
    parameters : DataFrame
        `Monitoring.parameters`.
    level : float
        That of the intervals, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        There are no parameters to compare.
    """
    rows = parameters[np.isfinite(parameters["ratio"].astype(np.float64))].reset_index(drop=True)
    if rows.empty:
        raise ValueError("There are no parameters to compare: give a new model, fitted on the new snapshot.")
    ax = style.get_axes(ax, (6.4, 1.5 + 0.34 * len(rows)))
    place = np.arange(len(rows))[::-1]
    low, middle, high = (rows[name].to_numpy(dtype=np.float64) for name in ("ratio_low", "ratio", "ratio_high"))
    ax.axvline(1.0, color=style.QUIET, lw=1)
    for moved, color in ((False, style.MODEL), (True, style.HIGHLIGHT)):
        some = rows["moved"].to_numpy(dtype=bool) == moved
        if some.any():
            error = [np.nan_to_num((middle - low)[some]), np.nan_to_num((high - middle)[some])]
            ax.errorbar(middle[some], place[some], xerr=error, fmt="o", color=color, capsize=3)
    names = []
    for row in rows.to_dict("records"):
        segment = "" if pd.isna(row["segment"]) else f", {style.shorten(row['segment'], 16)}"
        names.append(f"{row['parameter']} ({row['model']}{segment})")
    ax.set_yticks(place, [style.escape(name) for name in names])
    ax.set_xscale("log")
    ends = np.concatenate([low[np.isfinite(low)], high[np.isfinite(high)], middle])
    reach = max(1.25, float(np.exp(np.abs(np.log(ends)).max())) * 1.05)
    ax.set_xlim(1 / reach, reach)
    ticks = [tick for tick in (0.1, 0.25, 0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0, 4.0, 10.0) if 1 / reach <= tick <= reach]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()
    n_moved = int(rows["moved"].sum())
    title = f"{n_moved} of {len(rows)} parameters moved"
    return style.dress(ax, title=title, x=f"New over old, with {level:.0%} interval", y="")
