"""A budget split over channels: what goes where, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_budget"]

_ROW = 0.5  # inches


def plot_budget(
    table: pd.DataFrame, *, level: float = 0.9, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Spending on each channel, and the profit expected of it with its interval.

    Parameters
    ----------
    table : DataFrame
        `BudgetPlan.table`; its last row, all channels together, is not drawn.
    level : float
        Of the intervals, for the label.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows = table.iloc[:-1].sort_values("spend", kind="stable")
    ax = style.get_axes(ax, (6.4, 1.6 + _ROW * len(rows)))
    place = np.arange(len(rows))
    spend, profit, low, high = (
        rows[name].to_numpy(dtype=np.float64) for name in ("spend", "expected_profit", "profit_low", "profit_high")
    )
    ax.barh(place, spend, height=0.55, color=style.BAND, label="spend")
    reach = np.array([profit - low, high - profit])
    ax.errorbar(profit, place, xerr=reach, fmt="o", color=style.MODEL, capsize=4, label=f"profit, {level:.0%} interval")
    ax.axvline(0, color=style.QUIET, lw=1)
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in rows["channel"]])
    style.money_axis(ax.xaxis, currency)
    style.legend(ax, "lower right")
    used = int((spend > 0).sum())
    title = f"The budget goes to {used} of {len(rows)} channels"
    return style.dress(ax, title=title, x=f"Money{style.units(currency)}", y="")
