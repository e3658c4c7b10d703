"""What priors say, before any data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from predclv.plots import style
from predclv.priors.predictive import PriorPredictive

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prior_predictive"]

# Firms drawn as lines of their own; more would be a blot.
_SHOWN = 40
_BINS = 30
# The tail beyond would squeeze the rest.
_SHARE_SHOWN = 0.98


def plot_prior_predictive(
    predictive: PriorPredictive,
    what: Literal["purchases", "survival", "spend"] = "purchases",
    *,
    currency: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Firms as the priors imagine them: a line each, and what all of them say together.

    Parameters
    ----------
    predictive : PriorPredictive
        Of `predclv.priors.predict_prior`.
    what : {"purchases", "survival", "spend"}
        Purchases a year over customers; share still customers over two years; amounts of single purchases.
    currency : str, optional
        For the label.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        `what` is unknown, or the priors do not speak of it.
    """
    if what not in ("purchases", "survival", "spend"):
        raise ValueError(f"'what' must be 'purchases', 'survival' or 'spend'. Got {what!r}.")
    drawn = getattr(predictive, what)
    if drawn is None:
        raise ValueError(f"The priors say nothing of {what}.")
    ax = style.get_axes(ax)
    if what == "survival":
        return _plot_survival(predictive, ax)
    last = float(np.quantile(drawn, _SHARE_SHOWN))
    edges = np.linspace(0.0, last, _BINS + 1)
    for firm in drawn[:_SHOWN]:
        share = np.histogram(firm, edges)[0] / len(firm)
        ax.stairs(share, edges, color=style.BAND, lw=0.7, alpha=0.5)
    share = np.histogram(drawn, edges)[0] / drawn.size
    ax.stairs(share, edges, color=style.MODEL, lw=2, label="all firms that the priors allow")
    ax.plot([], [], color=style.BAND, lw=0.7, label="some of them, one by one")
    low, high = np.quantile(drawn, [0.1, 0.9])
    for end in (low, high):
        ax.axvline(end, color=style.HIGHLIGHT, lw=1, ls=(0, (4, 2)))
    ax.set_ylim(bottom=0.0)
    style.share_axis(ax.yaxis)
    style.legend(ax, "upper right")
    if what == "purchases":
        title = f"Eight in ten customers buy {low:.2g} to {high:.2g} times a year, the priors say"
        return style.dress(ax, title=title, x="Purchases a year while a customer", y="Share of customers")
    title = f"Eight in ten purchases are {style.money(low, currency)} to {style.money(high, currency)}, the priors say"
    style.money_axis(ax.xaxis, currency)
    return style.dress(ax, title=title, x=f"One purchase{style.units(currency)}", y="Share of purchases")


def _plot_survival(predictive: PriorPredictive, ax: Axes) -> Axes:
    years, survival = predictive.years, predictive.survival
    assert survival is not None
    for firm in survival[:_SHOWN]:
        ax.plot(years, firm, color=style.BAND, lw=0.7, alpha=0.5)
    low, median, high = np.quantile(survival, [0.05, 0.5, 0.95], axis=0)
    ax.fill_between(years, low, high, color=style.BAND, alpha=0.35, lw=0, label="90% of firms")
    ax.plot(years, median, color=style.MODEL, lw=2, label="median firm")
    at = int(np.argmin(np.abs(years - 1.0)))
    ax.set_ylim(0.0, 1.0)
    ax.set_xlim(0.0, years[-1])
    style.share_axis(ax.yaxis)
    style.legend(ax, "lower left")
    title = f"After a year {low[at]:.0%} to {high[at]:.0%} are still customers, the priors say"
    return style.dress(ax, title=title, x="Years since the first purchase", y="Share still customers")
