"""Contracts: who stays, and what those who are here now will bring month by month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from predclv.checks.results import PredictiveCheck
from predclv.data.subscriptions import Subscriptions
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_recurring_revenue", "plot_retention", "plot_survivors"]

# More orange: fewer are left than the model says; more blue: more.
_FEWER_MORE = "PuOr"


def plot_retention(
    curve: pd.DataFrame,
    subs: Subscriptions | None = None,
    *,
    what: str = "survival",
    level: float = 0.9,
    period: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of customers who are left, or who renew, by number of renewals, with its band and the data.

    Parameters
    ----------
    curve : DataFrame
        Of `retention_curve`.
    subs : Subscriptions, optional
        Whose shares are drawn beside it: those fitted on, or a later state of them.
    what : {"survival", "retention"}
        Of all who ever came, or of those who came to that renewal.
    level : float
        That of the curve, for the legend.
    period : str, optional
        Name of a period; by default that of `subs`.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        `what` is neither.
    """
    if what not in ("survival", "retention"):
        raise ValueError(f"'what' must be 'survival' or 'retention'. Got {what!r}.")
    ax = style.get_axes(ax)
    # Nobody renews before the first renewal.
    known = curve[curve[what].notna()]
    ax.fill_between(
        known["period"],
        known[f"{what}_low"],
        known[f"{what}_high"],
        color=style.BAND,
        alpha=0.6,
        lw=0,
        label=f"{level:.0%} interval of the mean",
    )
    ax.plot(known["period"], known[what], color=style.MODEL, lw=2, label="model")
    if subs is not None:
        seen = subs.observed_retention()
        seen = seen[seen[what].notna() & (seen["period"] <= curve["period"].iloc[-1])]
        ax.plot(seen["period"], seen[what], "o", color=style.ACTUAL, ms=4.5, label="data")
    ax.set_ylim(0.0, 1.05)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.share_axis(ax.yaxis)
    style.legend(ax, "upper right" if what == "survival" else "lower right")
    last = known.iloc[-1]
    name = period or (subs.period if subs is not None else "period")
    if what == "survival":
        title = f"After {int(last['period'])} {name}s {style.percent(last['survival'])} of new customers remain"
        label = "Customers who remain"
    else:
        first = known.iloc[0]
        title = (
            f"{style.percent(first['retention'])} make the first renewal, and of those who come to number "
            f"{int(last['period'])}, {style.percent(last['retention'])}"
        )
        label = "Renewing, of those who came to it"
    return style.dress(ax, title=title, x=f"Renewals, one a {name}", y=label)


def plot_recurring_revenue(
    revenue: pd.DataFrame, *, level: float = 0.9, currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """Monthly recurring revenue of the customers who are here now, over the periods to come.

    Parameters
    ----------
    revenue : DataFrame
        Of `recurring_revenue`.
    level : float
        That of the table, for the legend.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    dated = "date" in revenue
    when = revenue["date" if dated else "period"].to_numpy()
    ax.fill_between(
        when, revenue["mrr_low"], revenue["mrr_high"], color=style.BAND, alpha=0.6, lw=0, label=f"{level:.0%} interval"
    )
    ax.plot(when, revenue["expected_mrr"], color=style.MODEL, lw=2, label="expected")
    ax.set_ylim(0.0, float(np.max(revenue["mrr_high"])) * 1.08 or 1.0)
    if dated:
        style.date_axis(ax.xaxis)
    else:
        ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.money_axis(ax.yaxis, currency)
    style.legend(ax, "lower left")
    now, last = revenue["expected_mrr"].iloc[0], revenue["expected_mrr"].iloc[-1]
    kept = f", {style.percent(last / now)} of today's" if now else ""
    title = f"Those who are here now will bring {style.money(last, currency)} a month at the end{kept}"
    return style.dress(
        ax, title=title, x="Date" if dated else "Periods from now", y=f"Revenue a month{style.units(currency)}"
    )


def plot_survivors(check: PredictiveCheck, *, ax: Axes | None = None) -> Axes:
    """Who is left of each cohort after each renewal, as they are and as the model expects them.

    Parameters
    ----------
    check : PredictiveCheck
        Of `check_survivors`.
    ax : Axes, optional

    Returns
    -------
    Axes
        Of one cohort its survivors with the band; of several a map of cohorts by renewals, coloured by how many more or
        fewer are left than expected, in halves of the band. A dot marks what lies outside the band.
    """
    ax = style.get_axes(ax)
    table = check.table
    cohorts = list(dict.fromkeys(table["cohort"]))
    outside = ((table["actual"] < table["low"]) | (table["actual"] > table["high"])).to_numpy()
    if len(cohorts) == 1:
        _one_cohort(ax, check)
    else:
        _map_of_cohorts(ax, table, cohorts, outside)
    title = "The model reproduces who is left of each cohort"
    if outside.any():
        by_chance = len(table) * (1 - check.level)
        title = (
            f"{outside.sum()} of {len(table)} numbers of survivors lie outside the {check.level:.0%} band; chance "
            f"alone puts about {by_chance:.0f} there"
        )
    return style.dress(ax, title=title, x="Renewals", y="Customers who are left" if len(cohorts) == 1 else "Cohort")


def _one_cohort(ax: Axes, check: PredictiveCheck) -> None:
    table = check.table
    label = f"{check.level:.0%} band"
    ax.fill_between(table["period"], table["low"], table["high"], color=style.BAND, alpha=0.6, lw=0, label=label)
    ax.plot(table["period"], table["expected"], color=style.MODEL, lw=2, label="expected by the model")
    ax.plot(table["period"], table["actual"], "o", color=style.ACTUAL, ms=4.5, label="actual")
    ax.set_ylim(bottom=0.0)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.count_axis(ax.yaxis)
    style.legend(ax, "upper right")


def _map_of_cohorts(ax: Axes, table: pd.DataFrame, cohorts: list[Any], outside: NDArray[np.bool_]) -> None:
    row = np.array([cohorts.index(name) for name in table["cohort"]])
    period = table["period"].to_numpy()
    # A band of no width, where everybody or nobody is left in all replications, is one customer wide.
    half = np.maximum((table["high"] - table["low"]).to_numpy() / 2.0, 0.5)
    cells = np.full((len(cohorts), int(period.max())), np.nan)
    cells[row, period - 1] = (table["actual"] - table["expected"]).to_numpy() / half
    extent = (0.5, cells.shape[1] + 0.5, len(cohorts) - 0.5, -0.5)
    image = ax.imshow(cells, cmap=_FEWER_MORE, vmin=-2.0, vmax=2.0, aspect="auto", extent=extent)
    ax.plot(period[outside], row[outside], "o", color=style.ACTUAL, mec="white", mew=0.6, ms=4)
    ax.set_yticks(np.arange(len(cohorts)), [style.escape(style.shorten(name, 16)) for name in cohorts])
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    bar = ax.get_figure(root=True).colorbar(image, ax=ax, ticks=[-2, -1, 0, 1, 2])  # type: ignore[union-attr]
    bar.set_label("left, beyond expected (halves of the band)", fontsize=9)
    bar.outline.set_visible(False)
