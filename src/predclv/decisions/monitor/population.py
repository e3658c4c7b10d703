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
    sizes: list[int] = []
    shares: list[FloatArray] = []
    inner = np.empty(0)
    for sample in (old, new):
        # A sorted copy at a time: of millions of customers each column is some tens of MiB.
        values = np.sort(sample[np.isfinite(sample)])
        if len(values) == 0:
            return np.nan, np.nan
        if not sizes:
            # The smallest value that so large a share does not exceed, as in np.quantile's "inverted_cdf".
            ranks = np.ceil(np.arange(1, BINS) * len(values) / BINS).astype(np.int64) - 1
            inner = np.unique(values[ranks])
            # A bin holds what is at most its upper edge; the largest value is no edge, for nothing need lie beyond it.
            inner = inner[inner < max(values[-1], np.max(new, initial=-np.inf, where=np.isfinite(new)))]
        counts = np.diff(np.searchsorted(values, inner, side="right"), prepend=0, append=len(values))
        shares.append((counts + 0.5) / (len(values) + 0.5 * len(counts)))
        sizes.append(len(values))
    p, q = shares
    scale, n_bins = 1.0 / sizes[0] + 1.0 / sizes[1], len(inner) + 1
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
        known = [np.isfinite(column) for column in (before, after)]
        sizes = [int(np.count_nonzero(one)) for one in known]
        means = [
            float(np.mean(column, where=one)) if n else np.nan
            for column, one, n in zip((before, after), known, sizes, strict=True)
        ]
        rows.append(
            {
                "group": group,
                "variable": name,
                "customers_old": sizes[0],
                "customers_new": sizes[1],
                "mean_old": means[0],
                "mean_new": means[1],
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
