"""What a history says of a customer: heat maps over all histories, and one customer's story."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from predclv.checks.customer import AliveHistory
from predclv.models.estimates import Estimate
from predclv.models.transactions import TransactionModel
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_alive_history", "plot_frequency_recency"]

_COLUMNS = 60


def plot_frequency_recency(
    model: TransactionModel,
    *,
    horizon: Any = None,
    T: float | None = None,
    max_frequency: int | None = None,
    estimate: Estimate | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Heat map over histories: how often a customer bought again, and how long ago the last time was.

    Parameters
    ----------
    model : fitted TransactionModel
    horizon : str, number, Timedelta or Horizon, optional
        Show expected purchases within it; left out, the probability of being alive.
    T : float, optional
        Age of the customers shown, in the model's time unit; by default the oldest of the fit.
    max_frequency : int, optional
        Most repeat purchases shown; by default the most of the fit, at most one every unit of time, at most 30.
    estimate : "point" or "draws", optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    fit = model.fingerprint_
    age = fit.longest_age if T is None else float(T)
    most = max(min(fit.most_purchases, 30, int(age)), 1) if max_frequency is None else int(max_frequency)
    counted = model.bindings.counts_opportunities
    silence = np.arange(age + 1.0) if counted else np.linspace(0.0, age, _COLUMNS)
    # One-time buyers have no silence but their whole age: a row of its own colour would mislead, so x starts at 1.
    x, since = (grid.ravel() for grid in np.meshgrid(np.arange(1.0, most + 1), silence, indexing="ij"))
    theta = model.thetas(estimate).center
    # As many purchases as opportunities until the last one, at most.
    possible = x <= age - since if counted else np.ones(len(x), dtype=bool)
    rows = x[possible], (age - since)[possible], np.full(np.count_nonzero(possible), age)
    if horizon is None:
        shown = model.bindings.p_alive(*rows, theta).mean(axis=0)
        label, title = "Probability of being alive", "How likely customers with this history are to be alive"
    else:
        parsed = model.parse_horizon(horizon, fit.time_unit, None)
        shown = model.bindings.mean_expected_purchases(*rows, parsed.length, theta)
        label = f"Expected purchases, {parsed.label}"
        title = "What customers with this history are expected to buy"
    values = np.full(len(x), np.nan)
    values[possible] = shown
    ax = style.get_axes(ax)
    mesh = ax.pcolormesh(
        silence,
        np.arange(1, most + 1),
        values.reshape(most, len(silence)),
        cmap=style.HEAT,
        shading="nearest",
        vmin=0.0,
        vmax=1.0 if horizon is None else None,
        rasterized=True,
    )
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.02)
    bar.set_label(label, fontsize=9.5)
    bar.ax.tick_params(labelsize=9)
    bar.outline.set_visible(False)
    if horizon is None:
        style.share_axis(bar.ax.yaxis)
    style.count_axis(ax.yaxis)
    return style.dress(
        ax,
        title=title,
        x=f"{fit.time_unit.capitalize()}s since the last purchase (customers aged {age:.3g} {fit.time_unit}s)",
        y="Repeat purchases so far",
    )


def plot_alive_history(history: AliveHistory, *, name: object = None, ax: Axes | None = None) -> Axes:
    """One customer's probability of being alive over time, with the purchases marked.

    Parameters
    ----------
    history : AliveHistory
        Of `follow_customer`.
    name : optional
        Customer, for the title.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    # Between opportunities there is nothing to know.
    counted = history.opportunities is not None
    look: dict[str, Any] = {"lw": 1.2, "marker": "o", "ms": 4} if counted else {"lw": 2}
    ax.plot(history.times, history.p_alive, color=style.MODEL, **look)
    ax.vlines(history.purchases, 0.0, 0.07, color=style.HIGHLIGHT, lw=1.6, label="purchase")
    ax.set_ylim(0, 1.04)
    if len(history.times) > 1:
        ax.set_xlim(history.times[0], history.times[-1])
    style.share_axis(ax.yaxis)
    ax.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1.0, 0.07))
    dated = history.time_unit is None
    if dated:
        style.date_axis(ax.xaxis)
    who = "" if name is None else f"Customer {style.shorten(name)}: "
    n = len(history.purchases)
    return style.dress(
        ax,
        title=f"{who}{history.p_alive[-1]:.0%} likely to be alive after {n:,} purchase{'' if n == 1 else 's'}",
        x="Date" if dated else f"Time ({history.time_unit}s)",
        y="Probability of being alive" + (f" at the next {history.opportunities}" if counted else ""),
    )
