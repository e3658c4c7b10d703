"""Formulas in use beside a forecast: what each says, and how far off it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_formula_errors", "plot_formula_values"]

_ROW = 0.5  # inches


def plot_formula_values(
    table: pd.DataFrame, *, predicted: str = "predicted", currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Value of a customer as each method has it, with the interval of the forecast: a formula has none.

    Parameters
    ----------
    table : DataFrame
        Rows of one group of `FormulaComparison.table`.
    predicted : str
        Name of the method that is a forecast.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax, (6.4, 1.4 + _ROW * len(table)))
    place = np.arange(len(table))[::-1]
    own = (table["method"] == predicted).to_numpy()
    value = table["clv"].to_numpy(dtype=np.float64)
    for which, color in ((own, style.MODEL), (~own, style.QUIET)):
        ax.barh(place[which], value[which], height=0.55, color=color, alpha=0.85)
    reach = np.array([value - table["low"], table["high"] - value])[:, own]
    ax.errorbar(value[own], place[own], xerr=reach, fmt="none", ecolor=style.ACTUAL, capsize=4)
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in table["method"]])
    style.money_axis(ax.xaxis, currency)
    times = np.abs(value[~own]) / abs(value[own][0]) if own.any() and value[own][0] else np.array([])
    title = (
        f"Formulas say {times.min():.1f} to {times.max():.1f} times the forecast" if len(times) else "Value by method"
    )
    return style.dress(ax, title=title, x=f"Value of a customer{style.units(currency)}", y="")


def plot_formula_errors(table: pd.DataFrame, *, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """How far each method's total was off the money that then came in, at past dates.

    Parameters
    ----------
    table : DataFrame
        Rows of one group of `FormulaComparison.table`.
    level : float
        Of the intervals, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax, (6.4, 1.4 + _ROW * len(table)))
    rows = table[np.isfinite(table["bias"])]
    place = np.arange(len(rows))[::-1]
    middle, low, high = (rows[name].to_numpy(dtype=np.float64) for name in ("bias", "bias_low", "bias_high"))
    ax.axvline(0, color=style.QUIET, lw=1)
    ax.errorbar(middle, place, xerr=np.array([middle - low, high - middle]), fmt="o", color=style.MODEL, capsize=4)
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in rows["method"]])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    style.share_axis(ax.xaxis)
    title = "Nothing was tested"
    if len(rows):
        best = rows.iloc[int(np.argmin(np.abs(middle)))]
        title = f"Nearest to what came in: {style.shorten(best['method'])}, {style.percent(best['bias'], sign=True)}"
    return style.dress(ax, title=title, x=f"Forecast over actual money − 1, with {level:.0%} interval", y="")
