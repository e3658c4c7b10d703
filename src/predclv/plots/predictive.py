"""Posterior predictive checks: the data beside replications of it, bin by bin and quantity by quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from predclv.checks.results import PredictiveCheck
from predclv.checks.spend import SpendCheck
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_p_values", "plot_recency", "plot_spend_density"]

FloatArray = NDArray[np.float64]

_BARS = "#c8c8c8"
# Deviations beyond so many standard deviations are drawn at the edge, with an arrow.
_FARTHEST = 4.0
_NOTABLE = 0.05
# Height of a distribution above its row, in rows.
_HEIGHT = 0.8
_LEGEND = 1.6
_DISTRIBUTION_BINS = 41


def plot_p_values(*checks: PredictiveCheck, ax: Axes | None = None) -> Axes:
    """Where the data stand among replications, a row for each test quantity: what does the model miss?

    Parameters
    ----------
    *checks : PredictiveCheck
        Of `check_frequencies`, `check_recency`, `check_spend`, `track_purchases`, `check_holdout`.
    ax : Axes, optional

    Returns
    -------
    Axes
        Each row is on a scale of its own, in standard deviations of the replications from their mean; farther than
        4, the data are drawn at the edge. Two-sided quantities are missed on either side, chi-squared and the like
        on the right alone.
    """
    if not checks:
        raise ValueError("Nothing to draw: give at least one check.")
    rows = pd.concat([check.p_values for check in checks], ignore_index=True)
    replicated = [check.replicated[name].to_numpy() for check in checks for name in check.p_values["quantity"]]
    ax = style.get_axes(ax, (9.0, 1.9 + 0.38 * len(rows)))
    missed = rows["p_value"].to_numpy() < _NOTABLE
    columns = rows[["observed", "expected", "low", "high", "p_value"]].to_numpy(dtype=np.float64)
    for place, (numbers, values) in enumerate(zip(columns, replicated, strict=True)):
        color = style.HIGHLIGHT if missed[place] else style.ACTUAL
        _strip(ax, place, numbers, values[np.isfinite(values)], color)
    _legend(ax, checks)
    ax.axvline(0.0, color=style.QUIET, lw=0.8, ls=":")
    ax.set_yticks(np.arange(len(rows)), [style.escape(name) for name in rows["quantity"]])
    ax.set_ylim(len(rows) - 0.5, -_HEIGHT - _LEGEND)
    ax.set_xlim(-_FARTHEST * 1.03, _FARTHEST * 1.03)
    title = f"The data are like the model's own in all {len(rows)} quantities"
    if missed.any():
        title = f"The model misses {missed.sum()} of {len(rows)} quantities (p < {_NOTABLE:g})"
    style.dress(ax, title=title, x="Standard deviations from the mean of the replications", y="")
    ax.tick_params(axis="y", length=0, labelsize=8.5)
    ax.spines["left"].set_visible(False)
    return ax


def plot_recency(check: PredictiveCheck, *, ax: Axes | None = None) -> Axes:
    """Repeat buyers by how long they have been silent, as they are and as the model expects them.

    Parameters
    ----------
    check : PredictiveCheck
        Of `check_recency`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = style.get_axes(ax)
    table = check.table
    edges = np.append(table["silent_from"], table["silent_to"].iloc[-1])
    _bars_in_band(ax, edges, table, check.level)
    ax.set_xlim(0.0, 1.0)
    style.share_axis(ax.xaxis)
    style.legend(ax, "upper right")
    return style.dress(
        ax,
        title=_outside(table, check.level, "The model reproduces how long repeat buyers have been silent"),
        x="Time since the last purchase, as a share of the customer's age",
        y=f"Share of the {check.n_replicated:,} repeat buyers",
    )


def plot_spend_density(check: SpendCheck, *, ax: Axes | None = None) -> Axes:
    """Mean spend of repeat buyers: a histogram, and the band that the model gives it.

    Parameters
    ----------
    check : SpendCheck
        Of `check_spend`.
    ax : Axes, optional

    Returns
    -------
    Axes
        The last percent of the customers lies to the right of it.
    """
    ax = style.get_axes(ax)
    table = check.table.iloc[:-1]
    edges = np.append(table["spend_from"], table["spend_to"].iloc[-1])
    _bars_in_band(ax, edges, table, check.level)
    ax.set_xlim(0, edges[-1])
    style.money_axis(ax.xaxis, check.currency)
    style.legend(ax, "upper right")
    return style.dress(
        ax,
        title=_outside(table, check.level, "The model reproduces what repeat buyers spend"),
        x=f"Mean spend for each repeat purchase{style.units(check.currency)}",
        y=f"Share of the {check.n_replicated:,} repeat buyers",
    )


def _bars_in_band(ax: Axes, edges: FloatArray, table: pd.DataFrame, level: float) -> None:
    ax.stairs(table["actual"], edges, fill=True, color=_BARS, label="actual")
    ax.stairs(
        table["high"], edges, baseline=table["low"], fill=True, color=style.BAND, alpha=0.6, label=f"{level:.0%} band"
    )
    ax.stairs(table["actual"], edges, color=style.ACTUAL, lw=1)
    ax.stairs(table["expected"], edges, baseline=None, color=style.MODEL, lw=2, label="expected by the model")
    ax.set_ylim(bottom=0.0)
    # Whole percents, which the axis' labels are rounded to.
    ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    style.share_axis(ax.yaxis)


def _outside(table: pd.DataFrame, level: float, fine: str) -> str:
    n, outside = len(table), int(np.sum((table["actual"] < table["low"]) | (table["actual"] > table["high"])))
    if not outside:
        return fine
    return f"{outside} of {n} bars lie outside the {level:.0%} band; chance alone puts {n * (1 - level):.0f} there"


def _strip(ax: Axes, place: int, numbers: FloatArray, replicated: FloatArray, color: str) -> None:
    """One row: the distribution standing on it, its interval, the data, and all of it in words."""
    observed, expected, low, high, p_value = numbers.tolist()
    said = "not defined"
    if np.isfinite(p_value):
        said = f"{_short(observed)}, expected {_short(expected)}; " + (
            "p < 0.01" if p_value < 0.01 else f"p = {p_value:.2f}"
        )
        spread = max(float(replicated.std()), 1e-12 * max(abs(expected), 1e-12))
        edges = np.linspace(-_FARTHEST, _FARTHEST, _DISTRIBUTION_BINS + 1)
        counts = np.histogram(np.clip((replicated - expected) / spread, -_FARTHEST, _FARTHEST), edges)[0]
        top = place - _HEIGHT * counts / counts.max()
        ax.stairs(top, edges, baseline=place, fill=True, color=style.BAND, alpha=0.7)
        ends = np.clip([(low - expected) / spread, (high - expected) / spread], -_FARTHEST, _FARTHEST)
        ax.plot(ends, [place, place], color=style.MODEL, lw=2.5, solid_capstyle="butt")
        at = (observed - expected) / spread
        marker = "D" if abs(at) <= _FARTHEST else (">" if at > 0 else "<")
        ax.plot(min(max(at, -_FARTHEST), _FARTHEST), place, marker, color=color, ms=6, zorder=4, clip_on=False)
    ax.annotate(
        said,
        (1.03, place - 0.2),
        xycoords=("axes fraction", "data"),
        fontsize=8.5,
        va="center",
        color=color,
        annotation_clip=False,
    )


def _short(value: float) -> str:
    """Three digits, and whole numbers whole."""
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return text.replace("-", "−")


def _legend(ax: Axes, checks: tuple[PredictiveCheck, ...]) -> None:
    levels = {check.level for check in checks}
    band = f"{levels.pop():.0%} of them" if len(levels) == 1 else "their interval"
    ax.fill_between([], [], [], color=style.BAND, alpha=0.7, lw=0, label="replications")
    ax.plot([], [], color=style.MODEL, lw=2.5, label=band)
    ax.plot([], [], "D", color=style.ACTUAL, ms=6, label="data")
    ax.plot([], [], "D", color=style.HIGHLIGHT, ms=6, label=f"data, p < {_NOTABLE:g}")
    ax.legend(ncols=2, loc="upper center", frameon=False, fontsize=8.5)
