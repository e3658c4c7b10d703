"""Acquisition: is a customer of each channel worth what winning one costs, and when has he paid for it?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_payback", "plot_ratios"]

_ROW = 0.42  # inches
# Share of the width below which a band has no room for its name.
_NARROW = 0.09
_SHADES = ("#f4d9cf", "#f7efd5", "#dcebd9", "#d6e6f2")
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c510a", "#6a51a3")
#: More curves than these are not told apart.
MOST_CURVES = len(_COLORS)


def plot_ratios(table: pd.DataFrame, bands: Mapping[float, str], *, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """Lifetime value over acquisition cost by channel, with intervals, on the bands of the verdict.

    Parameters
    ----------
    table : DataFrame
        `Acquisition.table`.
    bands : mapping of number to name
        Where each band begins.
    level : float
        That of the intervals, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows = table.sort_values("ratio", kind="stable").reset_index(drop=True)
    ax = style.get_axes(ax, (6.4, 1.7 + _ROW * len(rows)))
    starts = [start for start in bands if start > 0]
    known = rows.loc[np.isfinite(rows["ratio_high"]), "ratio_high"]
    end = 1.1 * max([*known, *rows.loc[np.isfinite(rows["ratio"]), "ratio"], *starts, 1.0])
    edges = [0.0, *starts, end]
    named = [
        band for band in zip(edges, edges[1:], bands.values(), strict=False) if (band[1] - band[0]) / end >= _NARROW
    ]
    # Narrow bands write upwards, so that names do not run into each other, below the lowest bar.
    is_narrow = [(high - low) / end < 0.02 * len(name) for low, high, name in named]
    floor = -1.6 if any(is_narrow) else -0.85
    for i, (low, high) in enumerate(pairwise(edges)):
        ax.axvspan(low, high, color=_SHADES[min(i, len(_SHADES) - 1)], lw=0, zorder=0)
    for (low, high, name), narrow in zip(named, is_narrow, strict=True):
        ax.text(
            (low + high) / 2,
            floor + 0.1,
            style.escape(style.shorten(name)),
            ha="center",
            va="bottom",
            fontsize=8,
            color=style.QUIET,
            rotation=30 if narrow else 0,
        )
    place = np.arange(len(rows))
    low, middle, high = (rows[name].to_numpy(dtype=np.float64) for name in ("ratio_low", "ratio", "ratio_high"))
    drawn = np.isfinite(middle)
    reach = np.array([(middle - low)[drawn], (np.minimum(high, end) - middle)[drawn]])
    ax.errorbar(middle[drawn], place[drawn], xerr=reach, fmt="o", ms=5.5, color=style.MODEL, capsize=3)
    ax.set_xlim(0, end)
    ax.set_ylim(floor, len(rows) - 0.4)
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in rows["channel"]])
    sure = int((~rows["verdict"].str.startswith("uncertain")).sum())
    title = f"{sure} of {len(rows)} channels lie within one band with {level:.0%} probability"
    if len(rows) == 1:
        title = f"{rows['ratio'][0]:.1f} of value for each 1 of cost: {rows['verdict'][0]}"
    return style.dress(ax, title=title, x=f"Lifetime value over acquisition cost, with {level:.0%} interval", y="")


def plot_payback(
    payback: pd.DataFrame, table: pd.DataFrame, *, time_unit: str, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Expected value of a customer as time goes by, and what winning him has cost, by channel.

    Of more than six channels those with the highest ratio are drawn, and the legend says how many are not.

    Parameters
    ----------
    payback, table : DataFrame
        Of `Acquisition`.
    time_unit : str
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    rows = table.sort_values("ratio", ascending=False, kind="stable").reset_index(drop=True)
    for color, (_, row) in zip(_COLORS, rows.iterrows(), strict=False):
        curve = payback[(payback["channel"] == row["channel"]) & np.isfinite(payback["time"])]
        curve = curve[np.isfinite(curve["value"])]
        ax.fill_between(curve["time"], curve["low"], curve["high"], color=color, alpha=0.18, lw=0)
        ax.plot(curve["time"], curve["value"], color=color, lw=2, label=style.escape(style.shorten(row["channel"])))
        ax.axhline(row["cac"], color=color, lw=1, ls=(0, (4, 3)))
        if np.isfinite(row["payback"]):
            ax.plot(row["payback"], max(row["cac"], curve["value"].iloc[0]), "o", color=color, ms=6)
    left_out = len(rows) - MOST_CURVES
    ax.plot([], [], color=style.QUIET, lw=1, ls=(0, (4, 3)), label="cost of winning one")
    if left_out > 0:
        ax.plot([], [], " ", label=f"{left_out} more not drawn")
    style.legend(ax, "lower right")
    style.money_axis(ax.yaxis, currency)
    ax.set_xlim(left=0)
    ax.set_ylim(bottom=0)
    back = rows[np.isfinite(rows["payback"])]
    title = f"{len(back)} of {len(rows)} channels pay back within the time shown"
    if len(rows) == 1:
        title = "The cost does not come back within the time shown"
        if len(back):
            at = back["payback"].iloc[0]
            title = "The first purchase pays for the winning" if at == 0 else f"Paid back after {at:.3g} {time_unit}s"
    y = f"Value until then, discounted{style.units(currency)}"
    return style.dress(ax, title=title, x=f"{time_unit.capitalize()}s since the first purchase", y=y)
