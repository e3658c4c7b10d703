"""Whether the base has become another: the population stability index, beside what chance alone makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["BINS", "CHANCE", "compare_columns", "mean_repeat_spend", "stability_index"]

FloatArray = NDArray[np.float64]

#: Bins, at quantiles of the old sample; ties make them fewer.
BINS = 10
#: How often the index of two samples of one population stays below the level given beside it.
CHANCE = 0.95


def stability_index(old: FloatArray, new: FloatArray) -> tuple[float, float]:
    """Population stability index of two samples, and the level that it exceeds by chance in 5 of 100 cases.

    The sum over bins of (q - p) log(q / p), p and q the shares of the old and the new sample. Bins are cut at deciles
    of the old sample, and half a customer is added to each, so that an empty one has a logarithm.

    Of independent samples of one population it is near (1 / n_old + 1 / n_new) times a chi-squared with one degree of
    freedom less than there are bins; that gives the level.

    Returns
    -------
    index, by_chance : float
        NaN where a sample is empty; 0 and 0 where all values are one.
    """
    old, new = old[np.isfinite(old)], new[np.isfinite(new)]
    if len(old) == 0 or len(new) == 0:
        return np.nan, np.nan
    inner = np.unique(np.quantile(old, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    # A bin holds what is at most its upper edge; the largest value is no edge, for nothing need lie beyond it.
    inner = inner[inner < max(old.max(), new.max())]
    n_bins = len(inner) + 1
    shares = []
    for sample in (old, new):
        counts = np.bincount(np.searchsorted(inner, sample, side="left"), minlength=n_bins)
        shares.append((counts + 0.5) / (len(sample) + 0.5 * n_bins))
    p, q = shares
    scale = 1.0 / len(old) + 1.0 / len(new)
    by_chance = scale * float(stats.chi2.ppf(CHANCE, n_bins - 1)) if n_bins > 1 else 0.0
    return float(((q - p) * np.log(q / p)).sum()), by_chance


def compare_columns(
    group: str, old: Mapping[str, FloatArray], new: Mapping[str, FloatArray], note: Mapping[str, str] | str
) -> list[dict[str, Any]]:
    """Rows of the table of drift: each column of one group of customers, at both dates."""
    rows = []
    for name, before in old.items():
        after = new[name]
        index, by_chance = stability_index(before, after)
        told = note if isinstance(note, str) else note.get(name, "")
        first, second = before[np.isfinite(before)], after[np.isfinite(after)]
        rows.append(
            {
                "group": group,
                "variable": name,
                "customers_old": len(first),
                "customers_new": len(second),
                "mean_old": float(first.mean()) if len(first) else np.nan,
                "mean_new": float(second.mean()) if len(second) else np.nan,
                "psi": index,
                "psi_by_chance": by_chance,
                "beyond_chance": bool(index > by_chance),
                "note": told,
            }
        )
    return rows


def mean_repeat_spend(frequency: NDArray[np.int64], mean_spend: FloatArray) -> FloatArray:
    """Mean spend of those who bought again and paid, NaN for the others."""
    return np.where((frequency > 0) & (mean_spend > 0), mean_spend, np.nan)
