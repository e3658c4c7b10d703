"""What customers are worth: the spread of value, its concentration, and the portfolio by segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.forecast.concentration import lorenz_curve, share_of_top
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_lorenz_curve", "plot_portfolio", "plot_value_distribution"]

_BINS_A_DECADE = 8
_NEXT_TO_NOTHING = 0.005
_DECADES = 4.0
_TOP = 0.2
_MOST_SEGMENTS = 20


def plot_value_distribution(
    customers: nw.typing.IntoFrame, *, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Histogram of expected value over customers, on a logarithmic scale.

    Parameters
    ----------
    customers : frame
        Of `CLV.predict`.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
        Customers worth nothing (a margin of 0) are not in it and are counted in the label.
    """
    ax = style.get_axes(ax)
    values = _values(customers)
    positive = values[np.isfinite(values) & (values > 0)]
    y = "Customers"
    if len(positive):
        # The first bar takes in the few who are worth next to nothing, whom a logarithm would put far away.
        low, high = np.log10(np.quantile(positive, _NEXT_TO_NOTHING)), np.log10(positive.max())
        low = max(low, high - _DECADES)
        bins = np.logspace(low, max(high, low + 0.1), max(int((high - low) * _BINS_A_DECADE), 4) + 1)
        ax.hist(
            np.clip(positive, bins[0], bins[-1]), bins=bins.tolist(), color=style.BAND, edgecolor=style.MODEL, lw=0.8
        )
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: style.money(value, None, digits=0 if value >= 1 else 2))
        ax.xaxis.minorticks_off()
        for value, name, line in (
            (np.median(values), "median", "--"),
            (values.mean(), "mean", "-"),
        ):
            ax.axvline(
                value,
                color=style.HIGHLIGHT,
                ls=line,
                lw=1.5,
                label=f"{name} {style.escape(style.money(value, currency))}",
            )
        style.legend(ax, "upper right")
    if len(positive) < len(values):
        y = f"Customers ({len(values) - len(positive):,} of {len(values):,} not shown: value 0 or infinite)"
    style.count_axis(ax.yaxis)
    above = float(np.mean(values >= values.mean())) if len(values) else 0.0
    return style.dress(
        ax,
        title=f"{above:.0%} of the customers are worth more than the average",
        x=f"Expected value of a customer{style.units(currency)}, logarithmic",
        y=y,
    )


def plot_lorenz_curve(customers: nw.typing.IntoFrame, *, ax: Axes | None = None) -> Axes:
    """Share of all expected value that the most valuable customers hold.

    Parameters
    ----------
    customers : frame
        Of `CLV.predict`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    values = _values(customers)
    held = share_of_top(values, _TOP)
    share, of_value = lorenz_curve(values)
    ax.fill_between(share, share, of_value, color=style.BAND, alpha=0.5, lw=0)
    ax.plot(share, of_value, color=style.MODEL, lw=2)
    ax.plot([0, 1], [0, 1], color=style.QUIET, lw=1, ls="--")
    ax.annotate("all alike", (0.55, 0.55), xytext=(8, -10), textcoords="offset points", fontsize=9, color=style.QUIET)
    ax.plot([_TOP, _TOP, 0], [0, held, held], color=style.HIGHLIGHT, lw=1, ls=":")
    ax.plot([_TOP], [held], "o", color=style.HIGHLIGHT, ms=7)
    ax.annotate(f"{held:.0%}", (_TOP, held), xytext=(8, -4), textcoords="offset points", fontsize=11, fontweight="bold")
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    return style.dress(
        ax,
        title=f"The top {_TOP:.0%} of the customers hold {held:.0%} of the expected value",
        x="Share of customers, most valuable first",
        y="Share of expected value",
    )


def plot_portfolio(
    portfolio: pd.DataFrame, *, currency: str | None = None, level: float = 0.9, ax: Axes | None = None
) -> Axes:
    """Expected value of each segment with its interval, largest first.

    Parameters
    ----------
    portfolio : DataFrame
        Of `CLV.portfolio`; its last row, the total, is drawn only where there is no other.
    currency : str, optional
    level : float
        The one given there, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
        At most 20 segments.
    """
    segments = portfolio.iloc[:-1] if len(portfolio) > 1 else portfolio
    shown = segments.sort_values("expected_clv", ascending=False, kind="stable").head(_MOST_SEGMENTS)
    ax = style.get_axes(ax, (6.4, 1.6 + 0.35 * len(shown)))
    place = np.arange(len(shown))
    value = shown["expected_clv"].to_numpy()
    ends = np.maximum([value - shown["clv_low"], shown["clv_high"] - value], 0.0)
    ax.barh(place, value, height=0.62, color=style.BAND, edgecolor=style.MODEL, lw=0.8)
    ax.errorbar(value, place, xerr=ends, fmt="none", ecolor=style.ACTUAL, capsize=4, lw=1.4)
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in shown["segment"]])
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    style.money_axis(ax.xaxis, currency)
    total = portfolio.iloc[-1]
    title = f"Worth {style.money(total['expected_clv'], currency)} in all"
    if len(segments) > 1:
        first = shown.iloc[0]
        title = f"{style.shorten(first['segment'])} holds {first['share_of_value']:.0%} of the value"
    hidden = f"; {len(segments) - len(shown):,} smaller ones not shown" if len(segments) > len(shown) else ""
    return style.dress(
        ax, title=title, x=f"Expected value{style.units(currency)} and {level:.0%} interval{hidden}", y=""
    )


def _values(customers: Any) -> NDArray[np.float64]:
    column = nw.from_native(customers, eager_only=True)["expected_clv"]
    return np.asarray(column.to_numpy(), dtype=np.float64)
