"""What methods forecast from past dates, and what happened: over time, by cut-off, by rank.

The plots of calibration and of scores, which have files of their own, are named here too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.data.durations import parse_horizon
from predclv.plots import style
from predclv.plots.backtest_calibration import plot_calibration_by_decile, plot_pit, plot_reliability
from predclv.plots.backtest_scores import plot_score_against_cost, plot_scores
from predclv.plots.methods import QUANTITIES, MethodStyle, choose, label, legend_below, styles_for, where

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "plot_calibration_by_decile",
    "plot_gains",
    "plot_method_tracking",
    "plot_pit",
    "plot_reliability",
    "plot_score_against_cost",
    "plot_scores",
    "plot_total_tracking",
]

Styles = Mapping[str, MethodStyle]

_TALL = (6.4, 5.2)
# A total forecast at more than this many times the actual one would leave the others no room.
_MOST = 2.0
#: Name under which a table of gains may hold the order that hindsight gives.
IDEAL = "ideal"


def plot_method_tracking(
    tracks: pd.DataFrame,
    *,
    cutoff: str | None = None,
    totals: pd.DataFrame | None = None,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Purchases of all customers from a cut-off on: made, and expected by each method.

    Parameters
    ----------
    tracks : DataFrame
        Of a backtest: cutoff, method, date, expected, actual (running sums).
    cutoff : str, optional
        The first by default.
    totals : DataFrame, optional
        Of a backtest. A method without a track is drawn as a point at each horizon.
    styles : mapping, optional
        Of `method_styles` for all methods of the backtest.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    points = _points(totals, cutoff)
    if tracks.empty and points.empty:
        raise ValueError("There is nothing to draw: no method has a track, and there are no totals.")
    source, chosen = choose(tracks if len(tracks) else points, cutoff=cutoff)
    cutoff = chosen["cutoff"]
    points = _points(totals, cutoff)
    lines = source if len(tracks) else source.iloc[:0]
    points = points[~points["method"].isin(lines["method"])]
    both = pd.concat([table[["method", "date", "expected", "actual"]] for table in (lines, points) if len(table)])
    ax = style.get_axes(ax, _TALL)
    start = pd.Timestamp(cutoff)
    for name, look in styles_for(both, styles).items():
        of_line, of_points = (table[table["method"] == name].sort_values("date") for table in (lines, points))
        if len(of_line):
            dates = [start, *of_line["date"]]
            ax.plot(dates, [0.0, *of_line["expected"]], label=label(name), **look.line)
        elif len(of_points):
            ax.plot(of_points["date"], of_points["expected"], label=label(name), **look.points)
    made = (lines if len(lines) else both).drop_duplicates("date").sort_values("date")
    ax.plot(
        [start, *made["date"].to_numpy()], [0.0, *made["actual"]], color=style.ACTUAL, lw=2.6, label="actual", zorder=4
    )
    ax.set_ylim(bottom=0)
    style.date_axis(ax.xaxis)
    style.count_axis(ax.yaxis)
    legend_below(ax, 38.0)
    last = both.sort_values("date", kind="stable").groupby("method", sort=False).last()
    title = f"{made['actual'].iloc[-1]:,.0f} purchases from {cutoff} on; {_closest(last)}"
    return style.dress(ax, title=title, x="Date", y="Purchases since the cut-off")


def plot_total_tracking(
    totals: pd.DataFrame,
    *,
    horizon: str | None = None,
    quantity: str = "purchases",
    level: float = 0.9,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Expected over actual total by cut-off, with its interval, for each method.

    Parameters
    ----------
    totals : DataFrame
        Of a backtest: horizon, cutoff, method, quantity, expected, actual, level, low, high, inside.
    horizon : str, optional
        The first by default.
    quantity : {"purchases", "value"}
    level : float
        One of the levels in the table.
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
        Totals of 0 have no ratio and are not drawn; the label says how many. A forecast of more than twice the actual
        total is drawn at twice, with its ratio written above.
    """
    rows, chosen = choose(totals, horizon=horizon, quantity=quantity, level=level)
    ax = style.get_axes(ax, _TALL)
    cutoffs = sorted(dict.fromkeys(rows["cutoff"]))
    looks = styles_for(rows, styles)
    step, beyond = 0.8 / len(looks), 0
    for number, (name, look) in enumerate(looks.items()):
        own = rows[(rows["method"] == name) & (rows["actual"] > 0)]
        place = own["cutoff"].map(cutoffs.index).to_numpy(dtype=float) + (number - (len(looks) - 1) / 2) * step
        ratio, low, high = (own[column].to_numpy(dtype=float) / own["actual"].to_numpy() for column in _ENDS)
        ax.vlines(place, low, np.minimum(high, _MOST), color=look.color, lw=1.6, zorder=2.5)
        ax.plot(place, np.minimum(ratio, _MOST), label=label(name), **look.points)
        for x, value in zip(place[ratio > _MOST], ratio[ratio > _MOST], strict=True):
            text = f"{value:.0%}" if value < 10 else f"{value:,.0f}×"
            ax.annotate(text, (x, _MOST), xytext=(0, 5), textcoords="offset points", ha="center", fontsize=7.5)
            beyond += 1
    ax.axhline(1.0, color=style.ACTUAL, lw=1.2, zorder=2)
    for edge in np.arange(len(cutoffs) - 1) + 0.5:
        ax.axvline(edge, color=style.QUIET, lw=0.5, alpha=0.5)
    ax.set_xlim(-0.5, len(cutoffs) - 0.5)
    shown = cutoffs if len(cutoffs) <= 5 else [name[2:] for name in cutoffs]
    ax.set_xticks(range(len(cutoffs)), shown, rotation=0 if len(cutoffs) <= 5 else 45)
    # Room for the markers of those who forecast nothing.
    ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])
    style.share_axis(ax.yaxis)
    legend_below(ax, 50.0 if len(cutoffs) <= 5 else 76.0)
    known = rows[rows["low"].notna()]
    inside = sum(bool(value) for value in known["inside"])
    title = f"{inside} of {len(known)} totals of {QUANTITIES[quantity]} lay inside their {level:.0%} interval"
    if known.empty:
        title = f"Totals of {QUANTITIES[quantity]}, {chosen['horizon']} ahead: no method gives an interval"
    empty = len(rows[rows["actual"] <= 0])
    hidden = f" ({empty} totals of 0 not shown)" if empty else ""
    edge = f", at most {_MOST:.0%} drawn" if beyond else ""
    return style.dress(ax, title=title, x=f"Cut-off{hidden}\n{chosen['horizon']}{edge}", y="Expected over actual total")


_ENDS = ("expected", "low", "high")


def plot_gains(
    gains: pd.DataFrame,
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    quantity: str = "purchases",
    top: float = 0.2,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of what was bought that came from the customers with the highest forecasts.

    Parameters
    ----------
    gains : DataFrame
        Of a backtest: horizon, cutoff, method, quantity, share_customers, share_actual. Rows of a method "ideal", the
        order that hindsight gives, are drawn as the bound.
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there.
    quantity : {"purchases", "value"}
    top : float
        Share of the customers at which the legend reads the curves off.
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows, chosen = choose(gains, horizon=horizon, cutoff=cutoff, quantity=quantity)
    ideal, rows = rows[rows["method"] == IDEAL], rows[rows["method"] != IDEAL]
    ax = style.get_axes(ax, _TALL)
    held = {name: _read_off(own, top) for name, own in rows.groupby("method", sort=False)}
    for name, look in styles_for(rows, styles).items():
        own = rows[rows["method"] == name].sort_values("share_customers")
        ax.plot(
            own["share_customers"],
            own["share_actual"],
            label=f"{label(name)}: {style.percent(held[name])}",
            **look.line,
        )
    if len(ideal):
        best = ideal.sort_values("share_customers")
        text = f"with hindsight: {style.percent(_read_off(ideal, top))}"
        ax.plot(best["share_customers"], best["share_actual"], color=style.ACTUAL, lw=1.4, label=text)
    ax.plot([0, 1], [0, 1], color=style.ACTUAL, lw=1, ls=":", label=f"at random: {style.percent(top)}")
    ax.axvline(top, color=style.QUIET, lw=0.8, zorder=1.5)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    legend_below(ax)
    first = max(held, key=lambda name: held[name])
    what = QUANTITIES[quantity]
    title = f"The top {top:.0%} by {style.shorten(first)} brought {style.percent(held[first])} of the {what}"
    x = f"Share of customers, highest forecast first\n{where(chosen)}"
    return style.dress(ax, title=title, x=x, y=f"Share of the actual {what}")


def _points(totals: pd.DataFrame | None, cutoff: str | None) -> pd.DataFrame:
    """Totals as points in time: the end of each horizon."""
    columns = ["cutoff", "method", "date", "expected", "actual"]
    if totals is None or totals.empty:
        return pd.DataFrame(columns=columns)
    rows = totals[totals["quantity"] == "purchases"]
    rows = rows[rows["cutoff"] == (cutoff if cutoff is not None else rows["cutoff"].iloc[0])]
    rows = rows.drop_duplicates(["cutoff", "method", "horizon"])
    ends = [
        pd.Timestamp(cut) + pd.Timedelta(days=parse_horizon(horizon.removeprefix("until "), "day", _day(cut)).length)
        for cut, horizon in zip(rows["cutoff"], rows["horizon"], strict=True)
    ]
    return rows.assign(date=ends)[columns]


def _day(cutoff: str) -> dt.date:
    return pd.Timestamp(cutoff).date()


def _closest(last: pd.DataFrame) -> str:
    actual, expected = last["actual"].to_numpy(dtype=float), last["expected"].to_numpy(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = expected / actual - 1
    if not np.isfinite(off).any():
        return "nothing to compare"
    nearest = int(np.nanargmin(np.abs(off)))
    name = style.shorten(last.index[nearest])
    return f"closest: {name}, {expected[nearest]:,.0f} ({style.percent(round(off[nearest], 2) + 0.0, sign=True)})"


def _read_off(curve: pd.DataFrame, top: float) -> float:
    ordered = curve.sort_values("share_customers")
    return float(np.interp(top, ordered["share_customers"], ordered["share_actual"]))
