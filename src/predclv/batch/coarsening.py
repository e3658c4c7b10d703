"""Cells of times and of mean spends, for tables whose distinct rows are too many; each stands at its customers' mean.

Likelihoods are smooth in both, so that what a mean leaves out is of second order in the width of a cell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals.stable.v2 as nw

from predclv.data.frames import count_rows

__all__ = ["MOST_SPEND_STEP", "coarsen_spend", "coarsen_times", "finest", "spend_steps", "time_steps"]

Frame = nw.LazyFrame[Any]

#: Widest cell of mean spends, as a share of it.
MOST_SPEND_STEP = 0.5
# Whoever is at the edge of a cell but for rounding is in the one above.
_SLACK = 1e-9


def coarsen_times(histories: Frame, keys: list[str], step: float, scale: float) -> Frame:
    """Put recency, and the time since, into cells; both are `step` wide at 0 and wider in proportion to 1 + t / scale.

    Log-likelihoods bend in time t by about (r + x) / (alpha + t)^2: cells that widen so are all about equally exact,
    and alpha is of the size of the time between purchases, which is the scale to take. As means of their customers,
    0 <= recency <= T in every cell, and recency is 0 where it is for all.

    Parameters
    ----------
    histories : LazyFrame
        `keys`, frequency, recency, T, weight and sums of whatever else.
    keys : list of str
        What must not be mixed, besides frequency.
    step, scale : float
        In the time unit, > 0.

    Returns
    -------
    LazyFrame
        The same columns; recency and T are the weighted means.
    """
    since = nw.col("T") - nw.col("recency")
    given = histories.collect_schema().names()
    sums = [name for name in given if name not in (*keys, "frequency", "recency", "T")]
    cells = histories.with_columns(
        cell=_cell(nw.col("recency"), step, scale),
        cell_since=_cell(nw.when(since > 0).then(since).otherwise(0.0), step, scale),
        recency=nw.col("recency") * nw.col("weight"),
        T=nw.col("T") * nw.col("weight"),
    )
    by = [*keys, "frequency", "cell", "cell_since"]
    totals = cells.group_by(*by).agg(*(nw.col(name).sum() for name in ("recency", "T", *sums)))
    recency, T = (nw.col(name) / nw.col("weight") for name in ("recency", "T"))
    means = totals.with_columns(recency=nw.when(recency < T).then(recency).otherwise(T), T=T)
    return means.select(*given)


def _cell(time: nw.Expr, step: float, scale: float) -> nw.Expr:
    return ((time / scale + 1.0).log() * (scale / step) + _SLACK).floor()


def coarsen_spend(spends: Frame, keys: list[str], step: float) -> Frame:
    """Put mean spends into cells whose ends differ by a factor exp(step); each stands at the geometric mean.

    The log-likelihood is linear in log m but for (p x + q) log(gamma + x m), which is convex in log m and bends by at
    most a quarter. So that of the cells is at least the exact one, and above it by at most step^2 / 32 times the sum of
    p x + q.

    Parameters
    ----------
    spends : LazyFrame
        `keys`, frequency, monetary_value, weight.
    keys : list of str
    step : float

    Returns
    -------
    LazyFrame
        The same columns. Means of zero stay apart, and are zero.
    """
    spent = nw.col("monetary_value") > 0
    logs = nw.when(spent).then(nw.col("monetary_value")).otherwise(1.0).log()
    cells = spends.with_columns(spent=spent, log_spend=logs).with_columns(
        cell=(nw.col("log_spend") * (1.0 / step) + _SLACK).floor(),
        log_spend=nw.col("log_spend") * nw.col("weight"),
    )
    by = [*keys, "frequency", "spent", "cell"]
    totals = cells.group_by(*by).agg(nw.col("log_spend").sum(), nw.col("weight").sum())
    mean = (nw.col("log_spend") / nw.col("weight")).exp()
    means = totals.with_columns(monetary_value=nw.when(nw.col("spent")).then(mean).otherwise(0.0))
    return means.select(*keys, "frequency", "monetary_value", "weight")


def time_steps(scale: float) -> list[float]:
    """Steps to choose from, finest first: a factor of the square root of 2 apart."""
    return [_round(scale * 2.0 ** (i / 2)) for i in range(-18, 3)]


def spend_steps() -> list[float]:
    """Likewise of spend."""
    return [_round(MOST_SPEND_STEP * 2.0 ** (i / 2)) for i in range(-24, 1)]


def finest(make: Callable[[float], Frame], steps: list[float], most: int) -> tuple[float, Frame]:
    """Finest of ascending steps that leaves at most so many rows, and what it makes; the widest where none does."""
    low, high = 0, len(steps) - 1
    while low < high:
        middle = (low + high) // 2
        if count_rows(make(steps[middle])) <= most:
            high = middle
        else:
            low = middle + 1
    return steps[low], make(steps[low])


def _round(step: float) -> float:
    """To digits that can be told and given again."""
    return float(f"{step:.3g}")
