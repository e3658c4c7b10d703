"""Cohorts: a heat map of a triangle, and what is predicted to come after what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from predclv.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_cohorts", "plot_continuation"]

_CELL = (0.52, 0.34)  # inches
# Inches: a cell that is narrower holds no number, and a bar of colours says what they mean.
_NARROW = 0.34
_WORDS = {
    "active": "Customers with a purchase",
    "retention": "Share of the cohort that buys",
    "purchases": "Purchases",
    "revenue": "Revenue",
    "margin": "Margin",
    "revenue_per_customer": "Revenue per customer",
    "cumulative_revenue": "Revenue per customer until then",
    "cumulative_margin": "Margin per customer until then",
}


def plot_cohorts(table: Any, measure: str = "retention", *, segment: Any = None, ax: Axes | None = None) -> Axes:
    """Heat map of a triangle: a row a cohort with its size, a column an age; what was not observed is left blank.

    Parameters
    ----------
    table : CohortTable
    measure : str
        As in `CohortTable.triangle`.
    segment : optional
        Which, where the table has several.
    ax : Axes, optional

    Returns
    -------
    Axes
        The colours go by lightness, which the colour-blind see; hatched cells are of cohorts too small to say.
    """
    cells = table.triangle(measure)
    sizes = table.cohorts
    if table.settings["by"] is not None:
        names = list(dict.fromkeys(sizes["segment"]))
        if segment not in names:
            raise ValueError(f"'segment' must be one of {', '.join(map(repr, names))}. Got {segment!r}.")
        cells, sizes = cells.loc[segment], sizes[sizes["segment"] == segment]
    observed = table.triangle("active")
    observed = (observed.loc[segment] if table.settings["by"] is not None else observed).notna().to_numpy()
    values, (n_rows, n_ages) = cells.to_numpy(), cells.shape
    ax = style.get_axes(ax, (max(2.4 + _CELL[0] * n_ages, 5.0), max(1.4 + _CELL[1] * n_rows, 2.4)))
    # Everyone buys at age 0, whose share would swallow the colours.
    shown = values[:, 1:] if measure.startswith("retention") else values
    known = shown[np.isfinite(shown)]
    top = float(np.quantile(known, 0.98)) if len(known) else 1.0
    from matplotlib import colormaps

    colors = colormaps[style.HEAT]
    image = ax.imshow(np.ma.masked_invalid(values), cmap=colors, vmin=0.0, vmax=top or 1.0, aspect="auto")
    _hatch(ax, observed & ~np.isfinite(values))
    if _cell_width(ax, n_ages) >= _NARROW:
        _write(ax, values, top or 1.0, measure)
    else:
        bar = ax.get_figure(root=True).colorbar(image, ax=ax, shrink=0.8, aspect=12, pad=0.02)  # type: ignore[union-attr]
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8, length=0)
        if measure.startswith("retention"):
            style.share_axis(bar.ax.yaxis)
    step = max(int(np.ceil(n_rows / 40)), 1)
    rows = range(0, n_rows, step)
    labels = [f"{cells.index[i]}   {int(sizes['customers'].iloc[i]):,}" for i in rows]
    ax.set_yticks(list(rows), labels)
    every = max(int(np.ceil(n_ages / 26)), 1)
    ax.set_xticks(range(0, n_ages, every), [str(age) for age in cells.columns[::every]])
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0)
    period = table.settings["period"]
    of = "" if segment is None else f", {style.shorten(segment)}"
    few = f"; hatched: {table.settings['min_customers']} customers or more would be needed to say"
    small = bool((observed & ~np.isfinite(values)).any())
    style.dress(ax, title=_title(cells, measure, period) + of, x=f"Age in {period}s{few if small else ''}", y="")
    ax.text(
        -0.01,
        1.0,
        "cohort   size",
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize=8,
        color=style.QUIET,
    )
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return ax


def _cell_width(ax: Axes, n_ages: int) -> float:
    return 0.78 * float(ax.bbox.width / ax.get_figure(root=True).dpi) / n_ages  # type: ignore[union-attr]


def _title(cells: pd.DataFrame, measure: str, period: str) -> str:
    if measure != "retention" or cells.shape[1] < 2 or not cells[1].notna().any():
        return _WORDS.get(measure, measure)
    first = float(cells[1].mean())
    text = f"{style.percent(first)} of a cohort buy in the {period} after the first"
    later = [age for age in map(int, cells.columns) if age > 1 and cells[age].notna().any()]
    if later:
        text += f", {style.percent(float(cells[later[-1]].mean()))} after {later[-1]}"
    return text


def _hatch(ax: Axes, small: Any) -> None:
    from matplotlib.patches import Rectangle

    for row, column in np.argwhere(small):
        box = (column - 0.5, row - 0.5), 1.0, 1.0
        ax.add_patch(Rectangle(*box, facecolor="#f2f2f2", edgecolor="#c4c4c4", hatch="////", lw=0))


def _write(ax: Axes, values: Any, top: float, measure: str) -> None:
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        text = f"{value:.0%}" if measure.startswith("retention") else _short(value)
        # Cividis is dark below its middle.
        color = "white" if value < 0.55 * top else "black"
        ax.text(column, row, text, ha="center", va="center", fontsize=7.5, color=color)


def _short(value: float) -> str:
    if abs(value) < 1e3:
        return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.1f}"
    scale, suffix = next(pair for pair in ((1e9, "b"), (1e6, "m"), (1e3, "k")) if abs(value) >= pair[0])
    scaled = value / scale
    return f"{scaled:.0f}{suffix}" if abs(scaled) >= 10 else f"{scaled:.1f}{suffix}"


def plot_continuation(forecast: Any, table: Any, measure: str = "active", *, ax: Axes | None = None) -> Axes:
    """All cohorts together by period: what was observed, and what is predicted with its band.

    Parameters
    ----------
    forecast : CohortForecast
    table : CohortTable
        What it continues.
    measure : {"active", "purchases", "revenue", "margin"}
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    if measure not in forecast.totals:
        raise ValueError(f"'measure' must be one that the forecast has. Got {measure!r}.")
    ax = style.get_axes(ax)
    whole = table.cells[table.cells["is_whole"]]
    past = whole.groupby("period")[measure].sum()
    future = forecast.totals
    ax.plot(past.index.to_timestamp(), past, "o-", color=style.ACTUAL, ms=4, lw=1.4, label="observed")
    dates = future["period"].dt.to_timestamp()
    low, high = future[f"{measure}_low"], future[f"{measure}_high"]
    level = forecast.settings["level"]
    ax.fill_between(dates, low, high, color=style.BAND, alpha=0.7, lw=0, label=f"{level:.0%} band")
    ax.plot(dates, future[measure], "s-", color=style.MODEL, ms=4, lw=1.6, label="predicted")
    style.date_axis(ax.xaxis)
    currency = forecast.settings["currency"]
    if measure in ("revenue", "margin"):
        style.money_axis(ax.yaxis, currency)
    else:
        style.count_axis(ax.yaxis)
    ax.set_ylim(bottom=0)
    style.legend(ax)
    last = future.iloc[-1]
    when = style.period_name(last["period"])
    title = f"{last[measure]:,.0f} predicted in {when}, {low.iloc[-1]:,.0f} to {high.iloc[-1]:,.0f}"
    unit = style.units(currency) if measure in ("revenue", "margin") else ""
    words = f"{_WORDS[measure]}{unit}"
    return style.dress(ax, title=title, x=f"{forecast.settings['period'].capitalize()}", y=words)
