"""One customer's forecast, explained: alive when, how many purchases, whose history, and what would change it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import PercentFormatter

from predclv.models.explanation import Explanation
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_explanation"]

_SIZE = (9.6, 7.0)
# Left, bottom, width and height of the four panels, in shares of the axes.
_PANELS = {
    "alive": (0.0, 0.56, 0.44, 0.36),
    "counts": (0.56, 0.56, 0.44, 0.36),
    "weights": (0.0, 0.0, 0.44, 0.36),
    "changes": (0.72, 0.0, 0.28, 0.36),
}
_MOST_COUNTS = 60


def plot_explanation(explanation: Explanation, *, ax: Axes | None = None) -> Axes:
    """Four panels: alive when, how many purchases, how much is the own history, and what would change the forecast.

    Parameters
    ----------
    explanation : Explanation
        Of a model's `explain`, or a CLV's.
    ax : Axes, optional
        In whose place the panels stand: best some 9 by 7 inches.

    Returns
    -------
    Axes
        Whose `child_axes` are the panels.
    """
    ax = style.get_axes(ax, _SIZE)
    ax.set_axis_off()
    panels = {name: ax.inset_axes(where) for name, where in _PANELS.items()}
    _alive(explanation, panels["alive"])
    _counts(explanation, panels["counts"])
    _weights(explanation, panels["weights"])
    _changes(explanation, panels["changes"])
    headline = explanation.say().splitlines()[0].rstrip(".")
    ax.set_title(style.escape(style.shorten(headline, 110)), loc="left", fontsize=11, fontweight="bold")
    return ax


def _alive(told: Explanation, ax: Axes) -> None:
    table = told.alive
    column = "date" if "date" in table else "time"
    counted = told.kind != "purchases"
    for when, look in (("past", "-"), ("ahead", ":")):
        rows = table[table["when"] == when]
        if when == "ahead" and len(rows):
            rows = table.loc[[rows.index[0] - 1, *rows.index]]
        label = {"past": "so far", "ahead": "ahead" if told.kind == "contract" else "if silent"}[when]
        ax.plot(rows[column], rows["p_alive"], ls=look, lw=1.8, color=style.MODEL, ms=3, label=label)
        if counted:
            ax.plot(rows[column], rows["p_alive"], "o", ms=3, color=style.MODEL)
    if column == "date":
        style.date_axis(ax.xaxis)
    if told.kind != "contract":
        # A purchase's time is one of the table's, but for those before it begins.
        at = [table.loc[np.abs(table["time"] - time).idxmin(), column] for time in _within(told)]
        ax.vlines(at, 0.0, 0.07, color=style.HIGHLIGHT, lw=1.6)
    ax.set_ylim(0, 1.04)
    style.share_axis(ax.yaxis)
    style.legend(ax, "lower left" if told.kind == "contract" else "best")
    p = float(told.forecast["p_alive"])
    title = "Runs, and how likely it will" if told.kind == "contract" else f"{p:.0%} likely to be a customer still"
    x = "Date" if column == "date" else f"Time ({told.time_unit}s)"
    if told.kind == "contract":
        x = "Renewals"
    _dress(ax, title, x, "Probability")


def _within(told: Explanation) -> list[float]:
    """Times of purchases that the curve covers."""
    return [time for time in told.purchase_times if time >= told.alive["time"].iloc[0]]


def _counts(told: Explanation, ax: Axes) -> None:
    table, noun = told.distribution, "renewals" if told.kind == "contract" else "purchases"
    if not len(table):
        ax.set_axis_off()
        ax.text(0.0, 0.5, f"Over an infinite horizon {noun} have\nno distribution.", fontsize=9.5, va="center")
        return
    shown = table.head(_MOST_COUNTS + 1)
    ax.bar(shown["n"], shown["probability"], color=style.MODEL, width=0.8)
    style.count_axis(ax.xaxis)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    beyond = 1 - float(shown["probability"].sum())
    more = f"; {beyond:.0%} of more than {_MOST_COUNTS}" if len(table) > len(shown) and beyond >= 0.005 else ""
    title = f"{float(told.forecast['expected_purchases']):.3g} {noun} expected within {told.horizon}{more}"
    _dress(ax, title, noun.capitalize(), "Probability")


def _weights(told: Explanation, ax: Axes) -> None:
    rows = {name: weight for name, weight in told.column("weights", "weight").items() if math.isfinite(weight)}
    if not rows:
        ax.set_axis_off()
        return
    names, own = list(rows), np.array(list(rows.values()))
    at = np.arange(len(rows))
    ax.barh(at, own, color=style.MODEL, height=0.5, label="own history")
    ax.barh(at, 1 - own, left=own, color=style.BAND, height=0.5, label="population")
    ax.set_yticks(at, names)
    ax.set_ylim(-0.6, len(rows) + 0.2)
    ax.set_xlim(0, 1)
    style.share_axis(ax.xaxis)
    ax.legend(frameon=False, fontsize=9, ncols=2, loc="upper left")
    _dress(ax, "What the forecast goes by", "Share", "")


def _changes(told: Explanation, ax: Axes) -> None:
    changes = list(told.column("changes", "change").items())[1:]
    rows = {name: change for name, change in changes if math.isfinite(change)}
    if not len(rows):
        ax.set_axis_off()
        return
    at = np.arange(len(rows))[::-1]
    colours = [style.HIGHLIGHT if change < 0 else style.MODEL for change in rows.values()]
    ax.barh(at, list(rows.values()), color=colours, height=0.6)
    ax.set_yticks(at, [style.escape(name) for name in rows])
    ax.axvline(0.0, color=style.QUIET, lw=0.8)
    style.share_axis(ax.xaxis)
    what = "value" if "expected_clv" in told.forecast else "count"
    _dress(ax, f"What would change the expected {what}", "Change", "")


def _dress(ax: Axes, title: str, x: str, y: str) -> None:
    style.dress(ax, title=title, x=x, y=y)
    ax.title.set_fontsize(9.5)
