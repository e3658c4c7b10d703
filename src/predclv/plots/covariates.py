"""What covariates do, and how a penalty holds them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from sklearn.utils.validation import check_is_fitted

from predclv.models.covariates.encoding import Coefficient
from predclv.models.covariates.model import CovariateModel
from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_effects", "plot_penalty_path"]

FloatArray = NDArray[np.float64]

_COLORS = {"purchase": style.MODEL, "dropout": style.HIGHLIGHT}
_ROW = 0.38  # inches
_ROUNDS = 20


def plot_effects(model: CovariateModel, *, level: float = 0.9, ax: Axes | None = None) -> Axes:
    """By how much each covariate multiplies the purchase rate, and leaving, with intervals.

    Numeric columns by one standard deviation, so that effects can be compared; `model.effects` has them by unit.

    Parameters
    ----------
    model : fitted model with covariates
    level : float
        Probability of the intervals.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The model was fitted without covariates.
    """
    check_is_fitted(model, "posterior_")
    if model.covariates_ is None:
        raise ValueError(f"This {type(model).__name__} was fitted without covariates, so there is no effect to plot.")
    coefficients = model.covariates_.coefficients
    table = model.posterior_.summary(level).iloc[-len(coefficients) :]
    middle, low, high = (np.exp(table[name].to_numpy(dtype=np.float64)) for name in ("estimate", "low", "high"))
    known = np.isfinite(table["std_error"].to_numpy(dtype=np.float64))
    place = np.arange(len(coefficients))[::-1]
    ax = style.get_axes(ax, (6.4, 1.4 + _ROW * len(coefficients)))
    for on, color in _COLORS.items():
        some = np.array([prefix == on for prefix, _ in coefficients]) & known
        if some.any():
            reach = np.array([middle[some] - low[some], high[some] - middle[some]])
            label = "purchase rate" if on == "purchase" else type(model).DROPOUT_EFFECT
            ax.errorbar(middle[some], place[some], xerr=reach, fmt="o", ms=5, color=color, capsize=2, label=label)
    ax.axvline(1.0, color=style.QUIET, lw=1)
    ax.set_xscale("log")
    ends = low[known].min(initial=0.8) * 0.95, high[known].max(initial=1.25) * 1.05
    ticks = [tick for tick in (_FINE if ends[1] < 6.0 * ends[0] else _COARSE) if ends[0] < tick < ends[1]]
    ax.set_xlim(*ends)
    ax.set_xticks(ticks, [f"× {tick:g}" for tick in ticks])
    ax.minorticks_off()
    names = [
        f"{_label(each)}{'' if sure else ' (not determined)'}"
        for (_, each), sure in zip(coefficients, known, strict=True)
    ]
    ax.set_yticks(place, [style.escape(style.shorten(name)) for name in names])
    # Room for the legend below the effects.
    ax.set_ylim(-2.4, len(coefficients) - 0.3)
    style.legend(ax, "lower right")
    clear = int(np.sum((low[known] > 1.0) | (high[known] < 1.0)))
    title = f"{clear} of {len(coefficients)} effects point one way with {level:.0%} probability"
    return style.dress(ax, title=title, x=f"Factor, with {level:.0%} interval", y="")


_FINE = (0.4, 0.5, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5)
_COARSE = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def _label(each: Coefficient) -> str:
    if each.scale != 1.0:
        return f"{each.source} + {each.scale:.3g} (1 s.d.)"
    return f"{each.source}: {each.contrast}"


def plot_penalty_path(model: CovariateModel, *, ax: Axes | None = None) -> Axes:
    """Coefficients by penalty, from nothing to the maximum of the likelihood, and the penalty that was chosen.

    Parameters
    ----------
    model : model fitted with penalty="cv"
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        No penalty was chosen by cross-validation.
    """
    path = getattr(model, "penalty_path_", None)
    if path is None:
        raise ValueError("There is no penalty path: fit with penalty='cv' (a loaded model holds none).")
    ax = style.get_axes(ax)
    positive = path["penalty"].to_numpy()[path["penalty"] > 0]
    # No penalty stands a step to the left of the smallest one.
    ends = positive.min() if len(positive) else 1.0
    step = (positive.max() / ends) ** (1 / max(len(positive) - 1, 1)) if len(positive) > 1 else 10.0
    where = np.where(path["penalty"] > 0, path["penalty"], ends / step)
    names = [str(name) for name in path.columns[path.columns.get_loc("chosen") + 1 :]]
    colors = [_COLORS[name.partition("[")[0]] for name in names]
    for name, color in zip(names, colors, strict=True):
        ax.plot(where, path[name], color=color, lw=1.4, alpha=0.85)
    chosen = int(np.argmax(path["chosen"].to_numpy()))
    ax.axvline(where[chosen], color=style.QUIET, lw=1, ls=(0, (4, 1.5)))
    ax.plot([where.min(), where.max()], [0.0, 0.0], color=style.QUIET, lw=0.8)
    ax.set_xscale("log")
    if (path["penalty"] == 0).any():
        ticks = [ends / step, *positive[:: max(len(positive) // 5, 1)]]
        ax.set_xticks(ticks, ["0", *(f"{tick:.3g}" for tick in ticks[1:])])
        ax.minorticks_off()
    _name_lines(ax, where, path[names].iloc[-1].to_numpy(dtype=np.float64), names, colors)
    penalty, best = path["penalty"].iloc[chosen], path["penalty"].iloc[int(np.argmax(path["best"].to_numpy()))]
    title = f"Penalty {penalty:.3g} " + (
        "forecasts unseen customers best"
        if penalty == best
        else f"is the largest that forecasts unseen customers as well as the best, {best:.3g}"
    )
    return style.dress(ax, title=title, x="Penalty", y="Standardised coefficient")


def _name_lines(ax: Axes, where: FloatArray, heights: FloatArray, names: Sequence[str], colors: Sequence[str]) -> None:
    """Write names beside the left ends of lines on a logarithmic axis, apart where lines end close together."""
    size: float = 8.0
    labels = [style.shorten(name) for name in names]
    scale = 72.0 / ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    width, height = ax.bbox.width * scale, ax.bbox.height * scale
    # As wide as the longest name, in letters of a little over half the size.
    share = min(0.58 * size * max(map(len, labels)) / width + 0.06, 0.7)
    end, reach = float(where[-1]), float(np.log(where.max() / where.min()))
    ax.set_xlim(end * np.exp(-(reach + 0.05) * share / (1 - share)), where.max() * np.exp(0.05 * reach))
    order = np.argsort(heights, kind="stable")
    places = heights[order]
    for _ in range(_ROUNDS):
        low, high = ax.get_ylim()
        gap = min(1.3 * size / height, 1.0 / (len(names) + 1)) * (high - low)
        steps = gap * np.arange(len(order))
        places = isotonic_regression(heights[order] - steps).x + steps
        # Room for all of them takes a longer axis, on which the same distance is more.
        ax.set_ylim(min(low, places[0] - gap), max(high, places[-1] + gap))
    for i, place in zip(order, places, strict=True):
        ax.annotate(
            style.escape(labels[i]),
            (end, float(heights[i])),
            (end * np.exp(-0.03 * reach / (1 - share)), float(place)),
            fontsize=size,
            color=colors[i],
            ha="right",
            va="center",
            arrowprops={"arrowstyle": "-", "color": colors[i], "lw": 0.6, "shrinkA": 1, "shrinkB": 0},
        )
