"""How good forecasts were: scores against a reference, and against what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.transforms import Bbox

from predclv.plots import style
from predclv.plots.methods import (
    MethodStyle,
    choose,
    label,
    names_on_axis,
    styles_for,
    title_beside_names,
    where,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["plot_score_against_cost", "plot_scores"]

Styles = Mapping[str, MethodStyle]

_TALL = (6.4, 5.2)
_NAMES = {"crps": "CRPS", "mae": "MAE", "rmse": "RMSE", "msle": "MSLE", "pit_ks": "distance of the PIT from uniform"}
_HIGH_IS_GOOD = ("pearson", "spearman", "gini", "capture_10", "capture_20", "lift_10")
_LEAST_SECONDS = 1e-3
# Where a name may stand beside its point, in points: near first, then farther off with a line to it.
_PLACES = [(8, -3), (-8, -3), (6, 5), (6, -11), (-6, 5), (-6, -11)] + [
    (side * 16, height) for distance in range(14, 120, 11) for height in (distance, -distance) for side in (1, -1)
]


def plot_scores(
    scores: pd.DataFrame,
    metric: str = "crps",
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    quantity: str = "purchases",
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Difference of each method's score from the reference's, with its interval, best method first.

    Methods that lack some of the cut-offs stand last: their scores are of other customers.

    Parameters
    ----------
    scores : DataFrame
        Of a backtest.
    metric : str
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there.
    quantity : {"purchases", "spend", "value"}
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
        A filled marker is better or worse than the reference by more than noise, an open one is not; the words stand
        beside it.
    """
    rows, chosen = _metric_rows(scores, metric, horizon, cutoff, quantity)
    rows = rows.assign(loss=_loss(rows["value"], metric), late=rows["customers"] < rows["customers"].max())
    rows = rows.sort_values(["late", "loss"], kind="stable", na_position="last")
    ax = style.get_axes(ax, (6.4, 1.5 + 0.34 * len(rows)))
    looks = styles_for(rows, styles)
    for place, row in enumerate(rows.to_dict("records")):
        look = looks[row["method"]]
        is_reference = row["verdict"] == "reference"
        difference = 0.0 if is_reference else row["difference"]
        fill = look.color if row["verdict"] in ("better", "worse") else "white"
        ax.hlines(place, row["difference_low"], row["difference_high"], color=look.color, lw=2, zorder=2.5)
        ax.plot([difference], [place], **look.points | {"mfc": fill, "mew": 1.4})
        words = (row["verdict"] or "not compared") + (" *" if row["late"] else "")
        ax.annotate(
            f"{_number(row['value'])}  {words}",
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8.5,
            fontweight="bold" if row["verdict"] == "better" else "normal",
            color=style.ACTUAL if row["verdict"] in ("better", "worse") else style.QUIET,
        )
    ax.axvline(0.0, color=style.ACTUAL, lw=1, zorder=2)
    names_on_axis(ax, rows["method"])
    reference = next((row for row in rows.loc[rows["verdict"] == "reference", "method"]), "the reference")
    name = _NAMES.get(metric, metric)
    better = "right" if metric in _HIGH_IS_GOOD else "left"
    if metric == "bias" or "coverage" in metric:
        better = ""
    title = f"{_counted(rows)} than {style.shorten(reference)} by {name}"
    x = f"Difference of {name} from {style.shorten(reference)}{f' (better to the {better})' if better else ''}"
    late = "; * fewer cut-offs" if rows["late"].any() else ""
    style.dress(ax, title=title, x=f"{x}\n{where(chosen)}{late}", y="")
    title_beside_names(ax, title, rows["method"])
    return ax


def plot_score_against_cost(
    scores: pd.DataFrame,
    runs: pd.DataFrame,
    metric: str = "crps",
    *,
    horizon: str | None = None,
    cutoff: str | None = None,
    quantity: str = "purchases",
    styles: Styles | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Score of each method against the CPU time it took, fit and forecasts of all cut-offs, on a logarithmic axis.

    Parameters
    ----------
    scores, runs : DataFrame
        Of a backtest.
    metric : str
    horizon, cutoff : str, optional
        The first, and all cut-offs together where they are there; the time is always that of all.
    quantity : {"purchases", "spend", "value"}
    styles : mapping, optional
    ax : Axes, optional

    Returns
    -------
    Axes
        Methods that took less than a millisecond stand at one, as the label says.
    """
    rows, chosen = _metric_rows(scores, metric, horizon, cutoff, quantity)
    cost = runs[runs["status"] == "ok"].groupby("method")[["fit_cpu_seconds", "predict_cpu_seconds"]].sum().sum(axis=1)
    rows = rows.assign(seconds=rows["method"].map(cost))
    rows = rows[np.isfinite(rows["value"]) & np.isfinite(rows["seconds"])]
    rows = rows.assign(late=rows["customers"] < rows["customers"].max())
    ax = style.get_axes(ax, _TALL)
    looks = styles_for(rows, styles)
    ax.set_xscale("log")
    drawn_at = np.maximum(rows["seconds"].to_numpy(), _LEAST_SECONDS)
    if len(set(drawn_at)) == 1:
        # One place has no width to lay an axis around.
        ax.set_xlim(drawn_at[0] / 10, drawn_at[0] * 10)
    texts = []
    for row, seconds in zip(rows.to_dict("records"), drawn_at, strict=True):
        look = looks[row["method"]]
        ax.vlines(seconds, row["low"], row["high"], color=look.color, lw=1.4, alpha=0.7, zorder=2.5)
        ax.plot([seconds], [row["value"]], **look.points)
        ends = (row["low"], row["high"]) if np.isfinite(row["low"]) else (row["value"], row["value"])
        texts.append((seconds, row["value"], *ends, label(row["method"]), look))
    ax.margins(0.12, 0.1)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.3g}")
    ax.grid(axis="y", color=style.QUIET, alpha=0.2, lw=0.6)
    quick = int((rows["seconds"] < _LEAST_SECONDS).sum())
    unit = f" ({quick} below {_LEAST_SECONDS:g} drawn there)" if quick else ""
    name = _NAMES.get(metric, metric)
    style.dress(
        ax,
        title=_cheapest(rows, metric),
        x=f"CPU seconds, all cut-offs{unit}",
        y=f"{name} of {quantity}\n{where(chosen)}",
    )
    _place_names(ax, texts)
    return ax


def _metric_rows(
    scores: pd.DataFrame, metric: str, horizon: str | None, cutoff: str | None, quantity: str
) -> tuple[pd.DataFrame, dict[str, str]]:
    everyone = scores[scores["by"] == "all"]
    rows, chosen = choose(everyone, metric=metric, quantity=quantity, horizon=horizon, cutoff=cutoff)
    return rows, chosen


def _loss(value: Any, metric: str) -> Any:
    """What is smaller for the better method."""
    if metric == "bias":
        return value.abs()
    if "coverage_" in metric:
        return (value - float(metric.rsplit("_", 1)[1]) / 100).abs()
    return -value if metric in _HIGH_IS_GOOD else value


def _counted(rows: pd.DataFrame) -> str:
    found = {verdict: int((rows["verdict"] == verdict).sum()) for verdict in ("better", "within noise", "worse")}
    said = [f"{found['better']} better"]
    if found["within noise"]:
        said.append(f"{found['within noise']} no different")
    said.append(f"{found['worse']} worse")
    return ", ".join(said)


def _cheapest(rows: pd.DataFrame, metric: str) -> str:
    if rows.empty:
        return "No method has both a score and a time"
    rows = rows[~rows["late"]]
    loss = _loss(rows["value"], metric)
    best = rows.loc[loss.idxmin()]
    near = rows[loss <= (loss.min() * 1.01 if loss.min() > 0 else loss.min())]
    quick = near.loc[near["seconds"].idxmin()]
    text = f"{style.shorten(best['method'])} has the best score ({best['seconds']:,.3g} s)"
    if quick["method"] != best["method"]:
        text += f"; {style.shorten(quick['method'])} comes within 1% ({quick['seconds']:,.3g} s)"
    return text


def _number(value: float) -> str:
    if not np.isfinite(value):
        return "∞" if value > 0 else "–"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def _place_names(ax: Axes, points: Sequence[tuple[float, float, float, float, str, MethodStyle]]) -> None:
    """Write each name where it covers neither a point nor another name, with a line to its point if that is far."""
    figure: Any = ax.get_figure(root=True)
    # The layout moves the axes, and with them what is beside what.
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    place = ax.transData.transform
    marks = [place((x, y)) for x, y, *_ in points]
    taken = [Bbox.from_extents(*(mark - 4 * scale), *(mark + 4 * scale)) for mark in marks]
    taken += [Bbox([place((x, low)) - scale, place((x, high)) + scale]) for x, _, low, high, *_ in points]
    for (x, y, _, _, name, look), mark in zip(points, marks, strict=True):
        text: Text = ax.annotate(name, (x, y), xytext=_PLACES[0], textcoords="offset points", fontsize=8)
        text.set_color(style.QUIET if look.quiet else style.ACTUAL)
        size = text.get_window_extent()
        offset, box = _free_place(ax.bbox, mark, size, taken, scale)
        taken.append(box)
        text.set_position(offset)
        text.set_horizontalalignment("left" if offset[0] > 0 else "right")
        if abs(offset[1]) > 12:
            ax.annotate(
                "",
                (x, y),
                xytext=offset,
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": look.color, "lw": 0.6, "alpha": 0.7},
            )


def _free_place(
    inside: Bbox, mark: Any, size: Bbox, taken: Sequence[Bbox], scale: float
) -> tuple[tuple[int, int], Bbox]:
    best, fewest = None, np.inf
    for right, up in _PLACES:
        left = mark[0] + right * scale - (size.width if right < 0 else 0.0)
        box = Bbox.from_bounds(left, mark[1] + up * scale, size.width, size.height)
        clashes = sum(box.overlaps(other) for other in taken)
        out = box.x0 < inside.x0 or box.x1 > inside.x1 or box.y0 < inside.y0 or box.y1 > inside.y1
        if clashes + out < fewest:
            best, fewest = ((right, up), box), clashes + out
        if not fewest:
            break
    assert best is not None
    return best
