"""Drivers: what goes with a measure, before and after adjusting for the other attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.ticker import FuncFormatter

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_drivers"]

_ROW = 0.42  # inches
#: More comparisons than these are not drawn.
MOST = 24


def plot_drivers(table: pd.DataFrame, *, label: str = "value", level: float = 0.9, ax: Axes | None = None) -> Axes:
    """Differences of one measure in percent of the reference, with intervals, beside the unadjusted ones.

    Parameters
    ----------
    table : DataFrame
        `Drivers.of(measure)`; rows that say nothing are not drawn.
    label : str
        What is measured.
    level : float
        That of the intervals, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
        Of more than 24 comparisons the surest are drawn, and the label says how many are not.
    """
    rows = table[table["difference"].notna() & (table["at_reference"] > 0)]
    sure = (rows["difference"] / (rows["high"] - rows["low"])).abs()
    shown = rows.loc[sure.sort_values(ascending=False, kind="stable").index[:MOST]].sort_index()
    ax = style.get_axes(ax, (6.4, 2.0 + _ROW * max(len(shown), 1)))
    for place, row in enumerate(shown.to_dict("records")):
        base = row["at_reference"]
        middle, low, high = (row[name] / base for name in ("difference", "low", "high"))
        is_clear = low > 0 or high < 0
        color = style.MODEL if is_clear else style.QUIET
        ax.errorbar(middle, -place, xerr=[[middle - low], [high - middle]], fmt="o", ms=5.5, color=color, capsize=3)
        ax.plot(row["unadjusted"] / base, -place, "o", ms=7, mfc="none", color=style.HIGHLIGHT)
    ax.plot([], [], "o", color=style.MODEL, ms=5.5, label="adjusted for the others")
    ax.plot([], [], "o", mfc="none", color=style.HIGHLIGHT, ms=7, label="not adjusted")
    ax.axvline(0.0, color=style.ACTUAL, lw=1)
    names = [_name(row) for row in shown.to_dict("records")]
    ax.set_yticks([-i for i in range(len(shown))], names)
    ax.set_ylim(-len(shown) + 0.4, 0.6)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.percent(value, sign=True)))
    # So many letters below the axes, whatever their height: under the label.
    ax.legend(fontsize=8.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=5.5, ncols=2)
    clear = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    rest = f"; {len(rows) - len(shown)} more not drawn" if len(rows) > len(shown) else ""
    x = f"Difference in {label}, with {level:.0%} interval{rest}"
    return style.dress(ax, title=f"{clear} of {len(rows)} clear: association, not cause", x=x, y="")


def _name(row: Mapping[Any, Any]) -> str:
    value, reference = (
        f"{one:.4g}" if isinstance(one, float) else style.shorten(one, 16) for one in (row["value"], row["reference"])
    )
    return style.escape(f"{style.shorten(row['attribute'], 16)}: {value}, not {reference}")
