"""Models side by side: how much worse than the best each is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.plots import style
from predclv.plots.methods import names_on_axis, title_beside_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]

_NAMES = {"aic": "AIC", "bic": "BIC", "elpd_loo": "elpd_loo", "crps": "CRPS of the holdout"}
_DIGITS = {"aic": 1, "bic": 1, "elpd_loo": 1, "crps": 4}
# A model this many times farther off than those before it reach would squeeze them: it stands at the edge.
_FAR = 5.0


def plot_comparison(comparison: Any, *, ax: Axes | None = None) -> Axes:
    """How much worse than the best each model is by the criterion, with intervals; the best on top.

    Parameters
    ----------
    comparison : Comparison
        Of `predclv.compare`.
    ax : Axes, optional

    Returns
    -------
    Axes
        Beside each model stand its value and the verdict and, where the models were scored on a holdout, its CRPS
        there. The axis is that of the models close together: one far behind them has an arrow at its edge, and its
        difference in words. Models that cannot be compared, or could not be fitted, have no marker.
    """
    rows, criterion = comparison.table, comparison.criterion
    ax = style.get_axes(ax, (7.6, 1.5 + 0.34 * len(rows)))
    far = _far_behind(rows)
    for place, row in enumerate(rows.to_dict("records")):
        color = {"best": style.MODEL, "worse": style.HIGHLIGHT}.get(row["verdict"], style.QUIET)
        if far[place]:
            _point_beyond(ax, place, _difference(row, criterion), color)
        elif np.isfinite(row["difference"]):
            ends = row["difference_low"], row["difference_high"]
            if row["verdict"] != "best" and np.isfinite(ends).all():
                ax.hlines(place, *ends, color=color, lw=2, zorder=2.5)
            filled = color if row["verdict"] in ("best", "worse") else "white"
            ax.plot([row["difference"]], [place], "o", ms=6, mfc=filled, mec=color, mew=1.4, zorder=3)
        ax.annotate(
            _words(row, criterion),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            fontweight="bold" if row["verdict"] == "best" else "normal",
            color=style.ACTUAL if row["verdict"] in ("best", "worse") else style.QUIET,
        )
    ax.axvline(0.0, color=style.ACTUAL, lw=1, zorder=2)
    if far.any():
        _fit_axis(ax, rows[~far])
    names_on_axis(ax, rows["model"])
    title = _title(rows, _NAMES[criterion])
    reach = f"{comparison.level:.0%} interval"
    where = f"\nholdout of {comparison.holdout}" if comparison.holdout else ""
    style.dress(ax, title=title, x=f"Worse than {comparison.best} by {_NAMES[criterion]} ({reach}){where}", y="")
    title_beside_names(ax, title, rows["model"])
    return ax


def _words(row: dict[Any, Any], criterion: str) -> str:
    value = row[criterion]
    said = f"{value:,.{_DIGITS[criterion]}f}  {row['verdict']}" if np.isfinite(value) else row["verdict"]
    if criterion != "crps" and np.isfinite(row.get("crps", np.nan)):
        said += f";  holdout CRPS {row['crps']:.4f}"
    return said


def _far_behind(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Models that would leave no room for those before them, (n_models,); rows are from the best to the worst."""
    far, reach = np.zeros(len(rows), dtype=bool), 0.0
    for place, (difference, low, high) in enumerate(_ends(rows)):
        far[place] = far[place - 1] or 0.0 < _FAR * reach < difference
        reach = max(reach, -low, high)
    known: NDArray[np.bool_] = np.isfinite(rows["difference"].to_numpy(dtype=np.float64))
    return far & known


def _ends(rows: pd.DataFrame) -> NDArray[np.float64]:
    """Difference and its interval, (n_models, 3); 0 where there is none."""
    ends = rows[["difference", "difference_low", "difference_high"]].astype(np.float64)
    filled: NDArray[np.float64] = ends.apply(lambda column: column.fillna(ends["difference"])).fillna(0.0).to_numpy()
    return filled


def _fit_axis(ax: Axes, close: pd.DataFrame) -> None:
    ends = _ends(close)
    low, high = min(float(ends.min()), 0.0), float(ends.max())
    ax.set_xlim(low - 0.08 * (high - low), high + 0.08 * (high - low))


def _point_beyond(ax: Axes, place: int, words: str, color: str) -> None:
    where = ("axes fraction", "data")
    arrow = {"arrowstyle": "-|>", "color": color, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (1.0, place), (0.94, place), xycoords=where, textcoords=where, arrowprops=arrow)
    ground = {"boxstyle": "square,pad=0.15", "fc": "white", "ec": "none"}
    ax.annotate(words, (0.93, place), xycoords=where, ha="right", va="center", fontsize=8, color=color, bbox=ground)


def _difference(row: dict[Any, Any], criterion: str) -> str:
    digits = _DIGITS[criterion]
    low, high = row["difference_low"], row["difference_high"]
    interval = f" ({low:,.{digits}f} to {high:,.{digits}f})" if np.isfinite([low, high]).all() else ""
    return f"+{row['difference']:,.{digits}f}{interval}"


def _title(rows: pd.DataFrame, name: str) -> str:
    verdicts = rows["verdict"].value_counts()
    tied, worse = int(verdicts.get("within noise", 0)), int(verdicts.get("worse", 0))
    best = style.shorten(rows["model"].iloc[0])
    if "too few" in verdicts:
        return f"{best} has the best {name}; too few customers to tell by how much"
    if worse == 0 and tied == 0:
        return f"{best} has the best {name}"
    if worse == 0:
        return f"Nothing tells the models apart by {name}"
    return f"{best} has the best {name}" + (f", {tied} within noise" if tied else "") + f", {worse} worse"
