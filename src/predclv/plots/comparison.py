"""Models side by side: how much worse than the best each is, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predclv.plots import style
from predclv.plots.methods import names_on_axis, title_beside_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]

_NAMES = {"aic": "AIC", "bic": "BIC", "elpd_loo": "elpd_loo", "crps": "CRPS of the holdout"}
_DIGITS = {"aic": 1, "bic": 1, "elpd_loo": 1, "crps": 4}
# A model this many times farther off than the median interval reaches asks for an axis on which both can be seen.
_FAR = 12.0


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
        there. Where one model is far behind, the axis is logarithmic but for the middle. Models that cannot be
        compared, or could not be fitted, have no marker.
    """
    rows, criterion = comparison.table, comparison.criterion
    ax = style.get_axes(ax, (7.6, 1.5 + 0.34 * len(rows)))
    for place, row in enumerate(rows.to_dict("records")):
        color = {"best": style.MODEL, "worse": style.HIGHLIGHT}.get(row["verdict"], style.QUIET)
        if np.isfinite(row["difference"]):
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
    _stretch(ax, rows)
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


def _stretch(ax: Axes, rows: pd.DataFrame) -> None:
    """Let what is close and what is far be seen together."""
    reach = ((rows["difference_high"] - rows["difference_low"]) / 2).where(rows["difference"] > 0)
    near, far = float(reach.median()), float(rows["difference_high"].max())
    if near > 0 and far > _FAR * near:
        straight = 3.0 * near
        ax.set_xscale("symlog", linthresh=straight)
        powers = 10.0 ** np.arange(np.ceil(np.log10(straight)), np.floor(np.log10(far)) + 1)
        ax.set_xticks(np.append(0.0, powers), ["0", *(f"{power:,g}" for power in powers)])
        ax.minorticks_off()


def _title(rows: pd.DataFrame, name: str) -> str:
    verdicts = rows["verdict"].value_counts()
    tied, worse = int(verdicts.get("within noise", 0)), int(verdicts.get("worse", 0))
    best = style.shorten(rows["model"].iloc[0])
    if worse == 0 and tied == 0:
        return f"{best} has the best {name}"
    if worse == 0:
        return f"Nothing tells the models apart by {name}"
    return f"{best} has the best {name}" + (f", {tied} within noise" if tied else "") + f", {worse} worse"
