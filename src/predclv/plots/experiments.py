"""Experiments: how far arms differ, outcome by outcome, and how sure their means are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import FuncFormatter

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_arm_draws", "plot_differences"]

_ROW = 0.42  # inches
_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8c510a", "#6a51a3")
_MARKS = {"data": "s", "both": "o", "model": "D"}
_MEANINGS = {"data": "seen", "both": "seen and forecast", "model": "forecast"}


def plot_differences(
    table: pd.DataFrame, labels: Mapping[str, str] | None = None, *, level: float = 0.9, ax: Axes | None = None
) -> Axes:
    """Difference of each outcome between an arm and the control, in percent of the control's mean, with its interval.

    Parameters
    ----------
    table : DataFrame
        `Experiment.table`.
    labels : mapping of outcome to text, optional
        What outcomes are called.
    level : float
        That of the intervals, for the label.
    ax : Axes, optional

    Returns
    -------
    Axes
        Outcomes whose mean is 0 in the control are not drawn; the title counts what leaves out 0.
    """
    rows = table[table["control_mean"] > 0]
    outcomes, arms = list(dict.fromkeys(rows["outcome"])), list(dict.fromkeys(rows["arm"]))
    n_lines = len(outcomes) * max(len(arms), 1)
    ax = style.get_axes(ax, (6.4, 2.0 + _ROW * max(n_lines, 1)))
    place = {outcome: -i for i, outcome in enumerate(outcomes)}
    offsets = np.linspace(0.25, -0.25, len(arms)) if len(arms) > 1 else np.zeros(1)
    for arm, color, offset in zip(arms, _cycle(len(arms)), offsets, strict=True):
        for row in rows[rows["arm"] == arm].to_dict("records"):
            base = row["control_mean"]
            middle = row["difference"] / base
            reach = [[middle - row["low"] / base], [row["high"] / base - middle]]
            ax.errorbar(
                middle, place[row["outcome"]] + offset, xerr=reach, fmt=_MARKS[row["rests_on"]], ms=5.5, color=color,
                capsize=3, mfc="white" if row["rests_on"] == "model" else color,
            )  # fmt: skip
        if len(arms) > 1:
            ax.plot([], [], color=color, lw=2, label=style.escape(style.shorten(arm)))
    for kind in dict.fromkeys(rows["rests_on"]):
        fill = "white" if kind == "model" else style.QUIET
        ax.plot([], [], _MARKS[kind], color=style.QUIET, mfc=fill, ms=5.5, label=_MEANINGS[kind])
    ax.axvline(0.0, color=style.ACTUAL, lw=1)
    names = [style.escape((labels or {}).get(outcome, outcome)) for outcome in outcomes]
    ax.set_yticks([place[outcome] for outcome in outcomes], names)
    ax.set_ylim(-len(outcomes) + 0.4, 0.6)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.percent(value, sign=True)))
    below = -0.75 / (_ROW * max(n_lines, 1))
    ax.legend(fontsize=8.5, frameon=False, loc="upper right", bbox_to_anchor=(1.0, below), ncols=3)
    clear = int(((rows["low"] > 0) | (rows["high"] < 0)).sum())
    title = f"{clear} of {len(rows)} differences leave out 0"
    x = f"Difference from the control, with {level:.0%} interval"
    return style.dress(ax, title=title, x=x, y="")


def plot_arm_draws(
    draws: pd.DataFrame, *, what: str = "outcome", currency: str | None = None, ax: Axes | None = None
) -> Axes:
    """How likely each value of each arm's mean is, given the data.

    Parameters
    ----------
    draws : DataFrame
        `Experiment.draws`, a column an arm.
    what : str
        What the mean is of.
    currency : str, optional
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    from scipy.stats import gaussian_kde

    ax = style.get_axes(ax)
    low, high = np.quantile(draws.to_numpy(), [0.001, 0.999])
    pad = 0.05 * (high - low) or 1.0
    at = np.linspace(low - pad, high + pad, 300)
    for arm, color in zip(draws, _cycle(draws.shape[1]), strict=True):
        column = draws[arm].to_numpy()
        if np.ptp(column) == 0:
            ax.axvline(column[0], color=color, lw=2, label=style.escape(style.shorten(arm)))
            continue
        density = gaussian_kde(column)(at)
        ax.fill_between(at, density, color=color, alpha=0.18, lw=0)
        ax.plot(at, density, color=color, lw=2, label=style.escape(style.shorten(arm)))
    style.legend(ax, "upper right")
    style.money_axis(ax.xaxis, currency)
    ax.set_yticks([])
    ax.set_ylim(bottom=0)
    best = draws.to_numpy().argmax(axis=1)
    share = np.bincount(best, minlength=draws.shape[1]) / len(draws)
    leader = int(share.argmax())
    sure = "above 99%" if share[leader] > 0.99 else style.percent(float(share[leader]))
    title = f"{style.shorten(draws.columns[leader])} is best with probability {sure}"
    return style.dress(ax, title=title, x=f"Mean {what}{style.units(currency)}", y="How likely")


def _cycle(n: int) -> list[str]:
    return [_COLORS[i % len(_COLORS)] for i in range(n)]
