"""Do forecasts hold? Deciles, probability integral transforms, and chances to buy, for many methods at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from predclv.plots import style
from predclv.plots.methods import (
    QUANTITIES,
    MethodStyle,
    choose,
    label,
    legend_below,
    names_on_axis,
    styles_for,
    title_beside_names,
    where,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_calibration_by_decile", "plot_pit", "plot_reliability"]

Styles = Mapping[str, MethodStyle]

_TALL = (6.4, 5.2)


def plot_calibration_by_decile(
    deciles: pd.DataFrame,
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    quantity: str = "purchases",
    currency: str | None = None,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Actual against expected mean of each tenth of the customers, for each method, on square-root scales.

    Parameters
    ----------
    deciles : DataFrame
        Of a backtest: horizon, cutoff, method, quantity, decile (1 = highest forecast), expected, actual.
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there.
    quantity : {"purchases", "value", "spend"}
    currency : str, optional
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows, chosen = choose(deciles, horizon=horizon, cutoff=cutoff, quantity=quantity)
    ax = style.get_axes(ax, _TALL)
    for name, look in styles_for(rows, styles).items():
        own = rows[rows["method"] == name].sort_values("decile")
        line = look.line | {"lw": 1.0, "alpha": 0.8}
        ax.plot(own["expected"], own["actual"], marker=look.marker, ms=4.2, label=label(name), **line)
    top = float(np.nanmax(rows[["expected", "actual"]].to_numpy(), initial=0.0)) or 1.0
    ax.plot([0, top], [0, top], color=style.ACTUAL, lw=1, ls="--", zorder=2, label="as forecast")
    # Most deciles expect little: a root shows them beside the first, and has room for 0.
    root = {"functions": (lambda value: np.sqrt(np.maximum(value, 0.0)), np.square)}
    ax.set_xscale("function", **root)
    ax.set_yscale("function", **root)
    _root_ticks(ax, top)
    legend_below(ax)
    unit = style.units(currency) if quantity != "purchases" else ""
    title = "A tenth of the customers a point: above the line they brought more than forecast"
    what = QUANTITIES[quantity]
    x = f"Expected {what} a customer{unit}\n{where(chosen)}"
    return style.dress(ax, title=title, x=x, y=f"Actual {what} a customer{unit}")


def plot_pit(
    pit: pd.DataFrame,
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    quantity: str = "purchases",
    customers: int | None = None,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Histograms of the randomized probability integral transform, a row a method: white where the forecast holds.

    Parameters
    ----------
    pit : DataFrame
        Of a backtest: horizon, cutoff, method, quantity, bin_low, bin_high, share.
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there.
    quantity : {"purchases", "value"}
    customers : int, optional
        How many outcomes each row is made of: the title then says how many bins lie outside what chance gives 90 % of
        the bins of a forecast that holds.
    styles : mapping, optional
        For the order of the methods.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    from matplotlib.colors import TwoSlopeNorm

    rows, chosen = choose(pit, horizon=horizon, cutoff=cutoff, quantity=quantity)
    names = list(styles_for(rows, styles))
    table = rows.pivot_table(index="method", columns="bin_low", values="share").loc[names]
    width = float((rows["bin_high"] - rows["bin_low"]).iloc[0])
    ratio = table.to_numpy(dtype=float) / width
    ax = style.get_axes(ax, (6.4, 1.7 + 0.3 * len(names)))
    image = ax.imshow(
        ratio,
        aspect="auto",
        cmap="PuOr_r",
        norm=TwoSlopeNorm(1.0, 0.0, 2.0),
        extent=(0.0, 1.0, len(names) - 0.5, -0.5),
        interpolation="nearest",
    )
    for edge in np.arange(len(names) - 1) + 0.5:
        ax.axhline(edge, color="white", lw=2)
    names_on_axis(ax, names)
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.95, pad=0.02, extend="max" if ratio.max() > 2 else "neither")
    bar.set_label("Outcomes found over expected", fontsize=8.5)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    title = "A forecast that holds is white all along its row"
    if customers:
        noise = 1.645 * np.sqrt(width * (1 - width) / customers) / width
        outside = int((np.abs(ratio - 1) > noise).sum())
        title = f"{outside} of {ratio.size} bins differ from what chance gives (±{noise:.0%})"
    style.dress(ax, title=title, x=f"Where outcomes fell in their forecast (PIT)\n{quantity}, {where(chosen)}", y="")
    title_beside_names(ax, title, names)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def plot_reliability(
    reliability: pd.DataFrame,
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Share of customers who bought against the probability forecast for them, by bins of that probability.

    Parameters
    ----------
    reliability : DataFrame
        Of a backtest: horizon, cutoff, method, bin, customers, predicted, observed.
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there.
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    rows, chosen = choose(reliability, horizon=horizon, cutoff=cutoff)
    ax = style.get_axes(ax, _TALL)
    for name, look in styles_for(rows, styles).items():
        own = rows[rows["method"] == name].sort_values("predicted")
        line = look.line | {"lw": 1.0, "alpha": 0.8}
        ax.plot(own["predicted"], own["observed"], marker=look.marker, ms=4.2, label=label(name), **line)
    ax.plot([0, 1], [0, 1], color=style.ACTUAL, lw=1, ls="--", zorder=2, label="as forecast")
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    style.share_axis(ax.xaxis)
    style.share_axis(ax.yaxis)
    legend_below(ax)
    off = {name: _gap(own) for name, own in rows.groupby("method", sort=False)}
    nearest = min(off, key=lambda name: off[name])
    title = f"{style.shorten(nearest)} is {off[nearest] * 100:.1f} points off on average, the least of {len(off)}"
    if len(off) == 1:
        title = f"Probabilities of buying are {off[nearest] * 100:.1f} points off on average"
    return style.dress(
        ax, title=title, x=f"Forecast probability of buying\n{where(chosen)}", y="Share of customers who bought"
    )


def _gap(own: pd.DataFrame) -> float:
    weights = own["customers"].to_numpy(dtype=float)
    return float(np.average(np.abs(own["predicted"] - own["observed"]), weights=weights))


def _root_ticks(ax: Axes, top: float) -> None:
    """Few ticks, denser near 0, where a root stretches the axis."""
    from matplotlib.ticker import MaxNLocator

    roots = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(0.0, float(np.sqrt(top)))
    ticks = [float(f"{root * root:.1g}") for root in roots if 0 <= root * root <= top * 1.05]
    ticks = sorted(set(ticks))
    texts = [f"{tick:,.0f}" if tick >= 10 else f"{tick:g}" for tick in ticks]
    for axis, limit in ((ax.xaxis, ax.set_xlim), (ax.yaxis, ax.set_ylim)):
        axis.set_ticks(ticks, texts)
        axis.set_minor_locator(MaxNLocator(1))
        axis.set_ticks([], minor=True)
        limit(0.0, top * 1.06)
