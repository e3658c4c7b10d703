"""Retention: how few customers hold what is at stake, and how many of them an offer should reach."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_offer_return", "plot_stakes"]

_POINTS = 400


def plot_stakes(stakes: ArrayLike, *, share: float = 0.1, ax: Axes | None = None) -> Axes:
    """Share of what is at stake that the customers with most of it hold.

    Parameters
    ----------
    stakes : (n_customers,) array
        Column stake of `list_at_risk`, in any order.
    share : float
        The share of customers that the title is about.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    ranked = np.sort(np.asarray(stakes, dtype=np.float64))[::-1]
    held = np.concatenate([[0.0], np.cumsum(ranked)]) / max(ranked.sum(), 1e-300)
    at = np.unique(np.linspace(0, len(ranked), _POINTS).astype(np.int64))
    first = max(round(share * len(ranked)), 1)
    ax.fill_between(at / len(ranked), held[at], color=style.BAND, alpha=0.5, lw=0)
    ax.plot(at / len(ranked), held[at], color=style.MODEL, lw=2)
    ax.plot([0, 1], [0, 1], color=style.QUIET, lw=1, ls=(0, (4, 3)))
    ax.plot(first / len(ranked), held[first], "o", color=style.HIGHLIGHT, ms=7)
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1.02)
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    who = f"The first {style.percent(first / len(ranked))} of customers hold"
    title = f"{who} {style.percent(held[first])} of what is at stake"
    return style.dress(ax, title=title, x="Customers, those with most at stake first", y="Share of what is at stake")


def plot_offer_return(
    stakes: ArrayLike,
    *,
    cost: float,
    lift: float,
    interval: tuple[float, float] | None = None,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Expected return of an offer, less its cost, as more customers get it.

    Parameters
    ----------
    stakes : (n_customers,) array
        Column stake of `list_at_risk`, in any order.
    cost, lift : float
        As in `weigh_offer`.
    interval : (float, float), optional
        Of the return where it is highest.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    ranked = np.sort(np.asarray(stakes, dtype=np.float64))[::-1]
    returns = np.concatenate([[0.0], np.cumsum(lift * ranked - cost)])
    best = int(np.argmax(returns))
    # Beyond some times the best number there is but a straight way down.
    last = min(len(ranked), max(3 * best, 20))
    at = np.unique(np.r_[np.linspace(0, last, _POINTS).astype(np.int64), best])
    ax.axhline(0, color=style.QUIET, lw=1)
    ax.plot(at, returns[at], color=style.MODEL, lw=2)
    ax.plot(best, returns[best], "o", color=style.HIGHLIGHT, ms=7)
    if interval is not None and best:
        ax.plot([best, best], interval, color=style.HIGHLIGHT, lw=2)
    ax.set_xlim(0, last)
    style.count_axis(ax.xaxis)
    style.money_axis(ax.yaxis, currency)
    title = f"The offer returns most with {best:,} of {len(ranked):,} customers" if best else "The offer never pays"
    y = f"Expected return less cost{style.units(currency)}"
    return style.dress(ax, title=title, x="Customers who get the offer, those with most at stake first", y=y)
