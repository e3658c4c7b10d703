"""Segments of customers: the Pareto curve, what tiers hold, and who went from which to which."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_migration", "plot_pareto", "plot_tiers"]

_ROW = 0.62  # inches
_DARK = 0.6  # from this share on the heat map is light, and its text dark


def plot_pareto(curve: pd.DataFrame, *, top: float = 0.2, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """Share of the value that the most valuable customers hold: in hindsight, by forecast, and so far.

    Parameters
    ----------
    curve : DataFrame
        `ParetoCurve.curve`.
    top : float
        Share of the customers that the title is about.
    level : float
        That of the bands, for the legend.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    x = curve["share_of_customers"].to_numpy()
    ax.plot([0, 1], [0, 1], color=style.QUIET, lw=1, ls="--")
    ax.annotate("all alike", (0.55, 0.55), xytext=(8, -10), textcoords="offset points", fontsize=9, color=style.QUIET)
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    title = "Nobody is expected to bring anything"
    if np.isfinite(curve["outcome"]).all():
        lines = (
            ("outcome", style.MODEL, f"who turn out best, with {level:.0%} interval"),
            ("chosen", style.HIGHLIGHT, "who are expected to be best"),
        )
        for name, color, label in lines:
            ax.fill_between(x, curve[f"{name}_low"], curve[f"{name}_high"], color=color, alpha=0.2, lw=0)
            ax.plot(x, curve[name], color=color, lw=2, label=label)
        if np.isfinite(curve["past"]).all():
            ax.plot(x, curve["past"], color=style.ACTUAL, lw=1.3, ls=(0, (4, 3)), label="so far, repeat purchases")
        held, chosen = (float(np.interp(top, x, curve[name])) for name in ("outcome", "chosen"))
        for value, color in ((held, style.MODEL), (chosen, style.HIGHLIGHT)):
            ax.plot([top], [value], "o", color=color, ms=7)
            ax.annotate(
                f"{value:.0%}",
                (top, value),
                xytext=(8, -16),
                textcoords="offset points",
                fontsize=11,
                fontweight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )
        ax.axvline(top, color=style.QUIET, lw=1, ls=":")
        style.legend(ax, "lower right")
        title = f"The best {top:.0%} of the customers will bring {held:.0%} of the value"
    return style.dress(ax, title=title, x="Share of customers, most valuable first", y="Share of value")


def plot_tiers(table: pd.DataFrame, *, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """Share of the customers and of the value in each tier or segment, the latter with its interval.

    Parameters
    ----------
    table : DataFrame
        `CustomerTiers.table`, `RFMSegments.table` or of `value_by_segment`; its last row, of all, is not drawn.
    level : float
        That of the interval, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows = table.iloc[:-1]
    names = rows["tier"] if "tier" in rows else rows["segment"]
    ax = style.get_axes(ax, (6.4, 1.5 + _ROW * len(rows)))
    place = np.arange(len(rows))
    ax.barh(place - 0.2, rows["share_of_customers"], height=0.36, color="#d9d9d9", label="of the customers")
    value = rows["share_of_value"].to_numpy(dtype=np.float64)
    ax.barh(place + 0.2, np.nan_to_num(value), height=0.36, color=style.MODEL, label="of the value")
    low, high = (rows[name].to_numpy(dtype=np.float64) for name in ("share_low", "share_high"))
    known = np.isfinite(value) & np.isfinite(low)
    reach = np.maximum([value - low, high - value], 0.0)
    ax.errorbar(
        value[known], place[known] + 0.2, xerr=reach[:, known], fmt="none", ecolor=style.ACTUAL, capsize=3, lw=1.2
    )
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in names])
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    style.share_axis(ax.xaxis)
    style.legend(ax, "best")
    title = "Nobody is expected to bring anything"
    if known.any():
        # Of tiers that were made to hold as much as each other, the best one tells most.
        best = int(np.argmax(np.nan_to_num(value) >= np.nanmax(value) - 0.01))
        share = rows["share_of_customers"].iloc[best]
        title = f"{style.shorten(names.iloc[best])}, {share:.0%} of the customers, holds {value[best]:.0%} of the value"
    return style.dress(ax, title=title, x=f"Share, with {level:.0%} interval of what will come", y="")


def plot_migration(counts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Heat map: of the customers of each old tier, which share is in which tier now.

    Parameters
    ----------
    counts : DataFrame
        `TierMigration.counts`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    numbers = counts.to_numpy(dtype=np.float64)
    n_rows, n_columns = numbers.shape
    ax = style.get_axes(ax, (2.6 + 0.95 * n_columns, 1.6 + 0.5 * n_rows))
    sizes = numbers.sum(axis=1, keepdims=True)
    shares = np.divide(numbers, sizes, out=np.full(numbers.shape, np.nan), where=sizes > 0)
    # The corner is of nobody.
    shares[-1, -1] = np.nan
    ax.imshow(shares, cmap=style.HEAT, vmin=0, vmax=1, aspect="auto")
    for i in range(n_rows):
        for j in range(n_columns):
            if np.isfinite(shares[i, j]):
                color = "black" if shares[i, j] > _DARK else "white"
                text = f"{shares[i, j]:.0%}\n{numbers[i, j]:,.0f}"
                ax.text(j, i, text, ha="center", va="center", fontsize=8.5, color=color)
    ax.set_xticks(range(n_columns), [_label(name, 14) for name in counts.columns])
    ax.set_yticks(range(n_rows), [_label(name, 24) for name in counts.index])
    both = numbers[:-1, :-1]
    title = "Nobody is in both snapshots"
    if both.sum() > 0:
        fell, rose = np.triu(both, 1).sum() / both.sum(), np.tril(both, -1).sum() / both.sum()
        title = f"{fell:.0%} of those in both snapshots fell to a lower tier, {rose:.0%} rose"
    style.dress(ax, title=title, x="Tier now, share of the row and customers", y="Tier before")
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0)
    return ax


def _label(name: object, length: int) -> str:
    return style.escape("\n".join(textwrap.wrap(style.shorten(name), length)))
