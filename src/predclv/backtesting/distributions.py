"""Predictive distributions of what customers will do: of counts, and of value.

Both can be scored, mapped level by level (recalibration), mixed (combination) and asked for quantiles. Customers who
share a distribution share a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from predclv.kernels import predictive_counts as counts_kernel
from predclv.kernels import predictive_values as values_kernel

__all__ = ["LEVELS", "Counts", "Distribution", "LevelMap", "Values"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: A map of distribution function values: takes `Counts.cdf`, or the levels or `nothing` of `Values`, keeps the shape.
LevelMap = Callable[[FloatArray], FloatArray]

#: Levels whose quantiles describe a distribution of value: closer together above, where few customers are worth much.
LEVELS: FloatArray = np.concatenate(
    [
        np.arange(0.01, 0.50, 0.02),
        np.arange(0.50, 0.90, 0.01),
        np.arange(0.90, 0.98, 0.005),
        np.arange(0.98, 0.998, 0.002),
        [0.9985, 0.999, 0.9995, 0.9999],
    ]
).round(4)

# Probability that a row of counts may leave beyond its end.
_TAIL = 1e-6


@dataclass(frozen=True, eq=False)
class Counts:
    """Predictive distributions of counts.

    Attributes
    ----------
    cdf : (n_entries,) array
        P(N <= 0), P(N <= 1), ... of each row, row after row; 1 beyond a row's end.
    start : (n_rows + 1,) int64 array
        Where rows begin and end in `cdf`.
    row : (n_customers,) int64 array
        Row of each customer.
    """

    cdf: FloatArray
    start: IntArray
    row: IntArray

    @classmethod
    def from_probabilities(cls, probability: FloatArray, length: IntArray, row: IntArray | None = None) -> Self:
        """Take P(N = 0), P(N = 1), ... of each row, row after row, and how many each has.

        What a row lacks to 1 is taken to lie at its end.
        """
        start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        total = np.cumsum(probability)
        before = np.concatenate([[0.0], total])[start[:-1]]
        cdf = np.clip(total - np.repeat(before, length), 0.0, 1.0)
        cdf[start[1:] - 1] = 1.0
        return cls(cdf, start, np.arange(len(length)) if row is None else row)

    @classmethod
    def poisson(cls, mean: ArrayLike) -> Self:
        """Poisson counts of each customer's mean, (n_customers,)."""
        mean = np.asarray(mean, dtype=np.float64)
        _refuse(~(np.isfinite(mean) & (mean >= 0)), "a mean that is negative or not finite")
        ends = np.asarray(stats.poisson.isf(_TAIL, mean))
        return cls._of_law(ends, lambda n, row: np.asarray(stats.poisson.cdf(n, mean[row])))

    @classmethod
    def negative_binomial(cls, mean: ArrayLike, shape: ArrayLike) -> Self:
        """Counts of a gamma-mixed Poisson with these means, (n_customers,), and shapes of the gamma."""
        mean, shape = np.broadcast_arrays(np.asarray(mean, dtype=np.float64), np.asarray(shape, dtype=np.float64))
        _refuse(~(np.isfinite(mean) & (mean >= 0)), "a mean that is negative or not finite")
        _refuse(~(np.isfinite(shape) & (shape > 0)), "a shape that is not above 0 or not finite")
        chance = shape / (shape + mean)
        ends = np.asarray(stats.nbinom.isf(_TAIL, shape, chance))
        return cls._of_law(ends, lambda n, row: np.asarray(stats.nbinom.cdf(n, shape[row], chance[row])))

    @classmethod
    def from_samples(cls, samples: ArrayLike) -> Self:
        """Take simulated counts, (n_samples, n_customers)."""
        samples = np.asarray(samples)
        length = samples.max(axis=0).astype(np.int64) + 1
        start = np.concatenate([[0], np.cumsum(length)])
        place = (start[:-1] + samples.astype(np.int64)).ravel()
        probability = np.bincount(place, minlength=start[-1]) / samples.shape[0]
        return cls.from_probabilities(probability, length)

    @classmethod
    def _of_law(cls, ends: FloatArray, cdf: Callable[[IntArray, IntArray], FloatArray]) -> Self:
        # At least P(N <= 0) and P(N <= 1): however small the chance of a purchase, it is not 0.
        length = np.maximum(ends, 1.0).astype(np.int64) + 1
        start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        row = np.repeat(np.arange(len(length)), length)
        values = cdf(np.arange(start[-1]) - start[row], row)
        values[start[1:] - 1] = 1.0
        return cls(values, start, np.arange(len(length)))

    def __len__(self) -> int:
        return len(self.row)

    def mean(self) -> FloatArray:
        """Mean of each customer, (n_customers,)."""
        return np.asarray(counts_kernel.count_means(self.cdf, self.start)[self.row])

    def p_positive(self) -> FloatArray:
        """Probability of at least one, (n_customers,)."""
        return 1.0 - self.cdf[self.start[:-1]][self.row]

    def at_levels(self, levels: Sequence[float] | FloatArray) -> FloatArray:
        """Smallest count whose distribution function reaches each level, (n_customers, n_levels)."""
        wanted = np.asarray(levels, dtype=np.float64)
        return np.asarray(counts_kernel.count_quantiles(self.cdf, self.start, wanted)[self.row])

    def bounds(self, actual: FloatArray) -> tuple[FloatArray, FloatArray]:
        """P(N < actual) and P(N <= actual) of each customer: the ends of the randomized PIT."""
        below, at = counts_kernel.count_bounds(self.cdf, self.start, self.row, np.asarray(actual, dtype=np.float64))
        return below, at

    def crps(self, actual: FloatArray) -> FloatArray:
        """Continuous ranked probability score of each customer, (n_customers,), in counts."""
        observed = np.asarray(actual, dtype=np.float64)
        return np.asarray(counts_kernel.count_crps(self.cdf, self.start, self.row, observed))

    def error_products(self, other: Counts, actual: FloatArray) -> FloatArray:
        """Sum of (F - 1{actual <= n}) times the other's; the CRPS of a mixture is a quadratic form of these."""
        observed = np.asarray(actual, dtype=np.float64)
        return np.asarray(
            counts_kernel.count_error_products(
                self.cdf, self.start, self.row, other.cdf, other.start, other.row, observed
            )
        )

    def take(self, customers: IntArray) -> Counts:
        """Some of the customers, in the order given; rows stay."""
        return replace(self, row=self.row[customers])

    def of_rows(self, rows: IntArray, row: IntArray) -> Counts:
        """Take some of the rows, once or more, for customers who have the i-th of them where `row` is i."""
        length = np.diff(self.start)[rows]
        start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
        place = np.arange(start[-1]) + np.repeat(self.start[rows] - start[:-1], length)
        return Counts(self.cdf[place], start, row)

    def mapped(self, level_map: LevelMap) -> Counts:
        """Replace each distribution function F by `level_map(F)`; what ends below 1 is put on the last count."""
        cdf = np.clip(level_map(self.cdf), 0.0, 1.0)
        cdf[self.start[1:] - 1] = 1.0
        return replace(self, cdf=cdf)

    @staticmethod
    def mixed(sources: Sequence[Counts], weights: ArrayLike) -> Counts:
        """Mix distributions of the same customers, with weights that sum to 1."""
        rows, row = np.unique(np.stack([source.row for source in sources]), axis=1, return_inverse=True)
        lengths = [np.diff(source.start)[own] for source, own in zip(sources, rows, strict=True)]
        start = np.concatenate([[0], np.cumsum(np.max(lengths, axis=0))]).astype(np.int64)
        cdf = np.zeros(start[-1])
        for source, own, weight in zip(sources, rows, np.asarray(weights, dtype=np.float64), strict=True):
            counts_kernel.mix_counts(source.cdf, source.start, np.ascontiguousarray(own), weight, cdf, start)
        cdf[start[1:] - 1] = 1.0
        return Counts(cdf, start, row.reshape(-1).astype(np.int64))

    @staticmethod
    def joined(parts: Sequence[Counts], where: Sequence[IntArray]) -> Counts:
        """Put parts together whose customers stand at these places."""
        row = np.empty(sum(map(len, parts)), dtype=np.int64)
        n_rows = 0
        for part, places in zip(parts, where, strict=True):
            row[places] = n_rows + part.row
            n_rows += len(part.start) - 1
        start = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(part.start) for part in parts]))])
        return Counts(np.concatenate([part.cdf for part in parts]), start.astype(np.int64), row)


@dataclass(frozen=True, eq=False)
class Values:
    """Predictive distributions of money: a probability of nothing, then linear between quantiles.

    Attributes
    ----------
    nothing : (n_rows,) array
        Probability of a value of 0.
    levels : (1 or n_rows, n_levels) array
        Increasing, in (0, 1).
    quantiles : (n_rows, n_levels) array
        Never decreasing; 0 where the level is not above `nothing`. What the last level leaves over is put there.
    row : (n_customers,) int64 array
        Row of each customer.
    """

    nothing: FloatArray
    levels: FloatArray
    quantiles: FloatArray
    row: IntArray

    @classmethod
    def from_quantiles(
        cls, nothing: ArrayLike, quantiles: FloatArray, row: IntArray | None = None, levels: FloatArray = LEVELS
    ) -> Self:
        """Take quantiles of the whole distribution, (n_rows, n_levels); where the level is not above `nothing`, 0."""
        probability = np.asarray(nothing, dtype=np.float64)
        positive = np.where(levels > probability[:, np.newaxis], np.maximum(quantiles, 0.0), 0.0)
        ordered = np.maximum.accumulate(positive, axis=1)
        return cls(probability, levels[np.newaxis], ordered, np.arange(len(ordered)) if row is None else row)

    @classmethod
    def from_samples(cls, samples: ArrayLike) -> Self:
        """Take simulated values, (n_samples, n_customers)."""
        values = np.asarray(samples, dtype=np.float64)
        return cls.from_quantiles((values <= 0).mean(axis=0), np.quantile(values, LEVELS, axis=0).T)

    def __len__(self) -> int:
        return len(self.row)

    def mean(self) -> FloatArray:
        """Mean of each customer, (n_customers,), without the tail beyond the last level."""
        return np.asarray(values_kernel.value_means(self.nothing, self.levels, self.quantiles)[self.row])

    def p_positive(self) -> FloatArray:
        """Probability of more than 0, (n_customers,)."""
        return 1.0 - self.nothing[self.row]

    def at_levels(self, levels: Sequence[float] | FloatArray) -> FloatArray:
        """Smallest value whose distribution function reaches each level, (n_customers, n_levels)."""
        return self._at(np.asarray(levels, dtype=np.float64))[self.row]

    def bounds(self, actual: FloatArray) -> tuple[FloatArray, FloatArray]:
        """P(V < actual) and P(V <= actual) of each customer: the ends of the randomized PIT."""
        below, at = values_kernel.value_bounds(*self._parts, np.asarray(actual, dtype=np.float64))
        return below, at

    def crps(self, actual: FloatArray) -> FloatArray:
        """Continuous ranked probability score of each customer, (n_customers,), in money."""
        return np.asarray(values_kernel.value_crps(*self._parts, np.asarray(actual, dtype=np.float64)))

    def error_products(self, other: Values, actual: FloatArray) -> FloatArray:
        """Integral of (F - 1{actual <= v}) times the other's; the CRPS of a mixture is a quadratic form of these."""
        observed = np.asarray(actual, dtype=np.float64)
        return np.asarray(values_kernel.value_error_products(*self._parts, *other._parts, observed))

    def take(self, customers: IntArray) -> Values:
        """Some of the customers, in the order given; rows stay."""
        return replace(self, row=self.row[customers])

    def of_rows(self, rows: IntArray, row: IntArray) -> Values:
        """Take some of the rows, once or more, for customers who have the i-th of them where `row` is i."""
        levels = self.levels[rows] if len(self.levels) > 1 else self.levels
        return Values(self.nothing[rows], levels, self.quantiles[rows], row)

    def mapped(self, level_map: LevelMap) -> Values:
        """Replace each distribution function F by `level_map(F)`."""
        levels, nothing = (np.clip(level_map(part), 0.0, 1.0) for part in (self.levels, self.nothing))
        return replace(self, levels=levels, nothing=nothing)

    @staticmethod
    def mixed(sources: Sequence[Values], weights: ArrayLike) -> Values:
        """Mix distributions of the same customers, with weights that sum to 1."""
        rows, row = np.unique(np.stack([source.row for source in sources]), axis=1, return_inverse=True)
        most = max(len(source.nothing) for source in sources)
        nothing = np.zeros((len(sources), most))
        levels, quantiles = (np.zeros((len(sources), most, len(LEVELS))) for _ in range(2))
        for s, source in enumerate(sources):
            n = len(source.nothing)
            nothing[s, :n], levels[s, :n], quantiles[s, :n] = source.nothing, LEVELS, source._at(LEVELS)
        mixed_nothing, mixed_quantiles = values_kernel.mix_values(
            nothing,
            levels,
            quantiles,
            np.ascontiguousarray(rows),
            np.asarray(weights, dtype=np.float64),
            np.empty(len(sources) * len(LEVELS)),
            LEVELS,
        )
        return Values(mixed_nothing, LEVELS[np.newaxis], mixed_quantiles, row.reshape(-1).astype(np.int64))

    @staticmethod
    def joined(parts: Sequence[Values], where: Sequence[IntArray]) -> Values:
        """Put parts together whose customers stand at these places."""
        row = np.empty(sum(map(len, parts)), dtype=np.int64)
        n_rows = 0
        for part, places in zip(parts, where, strict=True):
            row[places] = n_rows + part.row
            n_rows += len(part.nothing)
        if len(parts) == 1:
            return replace(parts[0], row=row)
        levels = [np.broadcast_to(part.levels, part.quantiles.shape) for part in parts]
        quantiles = np.concatenate([part.quantiles for part in parts])
        return Values(np.concatenate([part.nothing for part in parts]), np.concatenate(levels), quantiles, row)

    @property
    def _parts(self) -> tuple[FloatArray, FloatArray, FloatArray, IntArray]:
        return self.nothing, self.levels, self.quantiles, self.row

    def _at(self, levels: FloatArray) -> FloatArray:
        return np.asarray(values_kernel.value_at_levels(self.nothing, self.levels, self.quantiles, levels))


def _refuse(wrong: NDArray[np.bool_], what: str) -> None:
    if wrong.any():
        raise ValueError(
            f"{wrong.sum():,} of {len(wrong):,} customers have {what} (first: the one at position {np.argmax(wrong)})."
        )


Distribution = Counts | Values
