"""Resamples of customers, the same for every score, and the intervals that they give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "Weights", "find_interval"]

FloatArray = NDArray[np.float64]
WeightArray = NDArray[np.uint16]

# Bytes of weights that are held at once; each is there twice. Those of 250,000 customers with 400 resamples: beyond
# that they are drawn anew for every score.
_MOST_BYTES = 400_000_000
# An interval needs a score that exists in this share of the resamples.
_DEFINED = 0.9


class Weights(NamedTuple):
    """How often each customer is drawn: in rows of resamples, and the same in rows of customers."""

    by_resample: WeightArray
    by_customer: WeightArray


class Draws:
    """Customers drawn with replacement, as many as there are, again and again.

    Resample 0 is everybody once, so that what is computed of all resamples starts with the value itself. The draws
    depend on the number of customers and the seed alone.

    Parameters
    ----------
    n_customers : int
    n_resamples : int
        Not counting resample 0.
    seed : int
    """

    def __init__(self, n_customers: int, n_resamples: int, seed: int) -> None:
        self.n_customers = n_customers
        self.n_resamples = n_resamples
        self.seed = seed
        self._kept: Weights | None = None

    def __iter__(self) -> Iterator[Weights]:
        """Weights of all resamples, part after part where they would take too much memory together."""
        n_all = 1 + self.n_resamples
        step = max(_MOST_BYTES // (4 * max(self.n_customers, 1)), 1)
        if step >= n_all:
            if self._kept is None:
                self._kept = self._weights(0, n_all)
            yield self._kept
            return
        for first in range(0, n_all, step):
            yield self._weights(first, min(first + step, n_all))

    def _weights(self, first: int, last: int) -> Weights:
        weights = np.stack([self._resample(number) for number in range(first, last)])
        return Weights(weights, np.ascontiguousarray(weights.T))

    def _resample(self, number: int) -> WeightArray:
        n = self.n_customers
        if number == 0:
            return np.ones(n, dtype=np.uint16)
        drawn = np.random.default_rng([self.seed, number]).integers(0, n, n)
        return np.bincount(drawn, minlength=n).astype(np.uint16)


def find_interval(resamples: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Equal-tailed percentile interval over the last axis.

    Parameters
    ----------
    resamples : (..., n_resamples) array
        NaN where a resample has no such score; infinite ones count.
    level : float

    Returns
    -------
    low, high : (...,) arrays
        Order statistics, the outer ones of the two next to each percentile. NaN where more than a tenth of the
        resamples have no score.
    """
    n = resamples.shape[-1]
    if n == 0:
        return np.full(resamples.shape[:-1], np.nan), np.full(resamples.shape[:-1], np.nan)
    ordered = np.sort(resamples, axis=-1)
    # NaN is sorted to the end.
    defined = n - np.isnan(ordered).sum(axis=-1)
    place = np.maximum(defined - 1, 0) * (1 - level) / 2
    low = np.take_along_axis(ordered, np.floor(place).astype(np.int64)[..., np.newaxis], axis=-1)[..., 0]
    above = np.maximum(defined - 1, 0) - np.floor(place).astype(np.int64)
    high = np.take_along_axis(ordered, above[..., np.newaxis], axis=-1)[..., 0]
    enough = defined >= _DEFINED * n
    return np.where(enough, low, np.nan), np.where(enough, high, np.nan)
