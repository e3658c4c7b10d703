"""Priors as data: a family, two numbers, a lower end and a unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FAMILIES", "Gamma", "LogNormal", "Normal", "Prior", "prior_from_dict", "prior_to_dict"]

FloatArray = NDArray[np.float64]

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Prior:
    """What LogNormal and Gamma share: support above an open lower end, and a unit; Normal is for coefficients.

    `unit` says what the numbers are measured in. For a parameter with time: "hour", "day", "week", "year", or "age",
    the mean age T of the summary's customers. For one with money: a currency, or "basket", the median of the
    repeat buyers' mean spend. None means the summary's own time unit or currency.
    """

    def derivatives(self, value: float) -> tuple[float, float, float]:
        """Log density at a value, with its first and second derivative."""
        raise NotImplementedError

    def log_density(self, values: ArrayLike) -> FloatArray:
        """Log density at an array of values inside the support."""
        raise NotImplementedError

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Value below which so much of the probability lies."""
        raise NotImplementedError

    def sample(self, generator: np.random.Generator, n: int) -> FloatArray:
        """Draw `n` values."""
        return self.quantile(generator.random(n))

    def rescale(self, factor: float, unit: str | None = None) -> Self:
        """Return the same prior in another unit, of which the old one holds `factor`."""
        raise NotImplementedError

    @property
    def lower_end(self) -> float:
        """Open lower end of the support."""
        return float(getattr(self, "above", 0.0))

    @property
    def measured_in(self) -> str | None:
        """The unit."""
        unit: str | None = getattr(self, "unit", None)
        return unit

    def __str__(self) -> str:
        """Family and numbers, those that say something, in four digits."""
        fields = asdict(self)
        unit, above = fields.pop("unit", None), fields.pop("above", 0.0)
        words = [f"{name} {number:.4g}" for name, number in fields.items()]
        words += [f"above {above:.4g}"] if above else []
        return f"{type(self).__name__}({', '.join(words)}{f'; in {unit}' if unit else ''})"


@dataclass(frozen=True)
class LogNormal(Prior):
    """log(value - above) is normal around log(median - above), with standard deviation `spread`.

    Attributes
    ----------
    median : float
        Of the value itself; half of the probability lies on either side.
    spread : float
        Standard deviation of the logarithm: 0.25 is "within a factor of 1.5", 0.4 "of 2", 1 "of 5" (90 %).
    above : float
        Open lower end of the support.
    unit : str, optional
        See `Prior`.

    Raises
    ------
    ValueError
        The numbers give no proper distribution.
    """

    median: float
    spread: float
    above: float = 0.0
    unit: str | None = None

    def __post_init__(self) -> None:
        _check(self, self.median, spread=self.spread)

    def derivatives(self, value: float) -> tuple[float, float, float]:
        """Log density at a value, with its first and second derivative."""
        excess, variance = value - self.above, self.spread**2
        distance = math.log(excess / (self.median - self.above))
        density = -0.5 * distance**2 / variance - math.log(self.spread * excess) - _HALF_LOG_2_PI
        slope = -(distance / variance + 1.0) / excess
        return density, slope, (distance / variance + 1.0 - 1.0 / variance) / excess**2

    def log_density(self, values: ArrayLike) -> FloatArray:
        """Log density at an array of values inside the support."""
        excess = np.asarray(values, dtype=np.float64) - self.above
        distance = np.log(excess / (self.median - self.above)) / self.spread
        result: FloatArray = -0.5 * distance**2 - np.log(self.spread * excess) - _HALF_LOG_2_PI
        return result

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Value below which so much of the probability lies."""
        from scipy.special import ndtri

        return np.asarray(
            self.above
            + (self.median - self.above) * np.exp(self.spread * ndtri(np.asarray(probability, dtype=np.float64)))
        )

    def rescale(self, factor: float, unit: str | None = None) -> Self:
        """Return the same prior in another unit, of which the old one holds `factor`."""
        return replace(self, median=self.median * factor, above=self.above * factor, unit=unit)


@dataclass(frozen=True)
class Gamma(Prior):
    """value - above is gamma distributed with the given shape, and the value's mean is `mean`.

    Attributes
    ----------
    mean : float
    shape : float
        The larger, the narrower; the standard deviation is (mean - above) / sqrt(shape).
    above : float
        Open lower end of the support.
    unit : str, optional
        See `Prior`.

    Raises
    ------
    ValueError
        The numbers give no proper distribution.
    """

    mean: float
    shape: float
    above: float = 0.0
    unit: str | None = None

    def __post_init__(self) -> None:
        _check(self, self.mean, shape=self.shape)

    @property
    def _rate(self) -> float:
        return self.shape / (self.mean - self.above)

    def derivatives(self, value: float) -> tuple[float, float, float]:
        """Log density at a value, with its first and second derivative."""
        excess = value - self.above
        slope = (self.shape - 1.0) / excess - self._rate
        return float(self.log_density(value)), slope, -(self.shape - 1.0) / excess**2

    def log_density(self, values: ArrayLike) -> FloatArray:
        """Log density at an array of values inside the support."""
        excess = np.asarray(values, dtype=np.float64) - self.above
        constant = self.shape * math.log(self._rate) - math.lgamma(self.shape)
        return np.asarray(constant + (self.shape - 1.0) * np.log(excess) - self._rate * excess)

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Value below which so much of the probability lies."""
        from scipy.special import gammaincinv

        standard = gammaincinv(np.float64(self.shape), np.asarray(probability, dtype=np.float64))
        return np.asarray(self.above + standard / self._rate, dtype=np.float64)

    def rescale(self, factor: float, unit: str | None = None) -> Self:
        """Return the same prior in another unit, of which the old one holds `factor`."""
        return replace(self, mean=self.mean * factor, above=self.above * factor, unit=unit)


@dataclass(frozen=True)
class Normal(Prior):
    """A coefficient is normal around `mean`, with standard deviation `spread`.

    A coefficient is the logarithm of a factor: mean 0 and spread 0.5 say "no effect, or one within a factor of 2.3
    either way" (90 %).

    Attributes
    ----------
    mean, spread : float

    Raises
    ------
    ValueError
        The numbers give no proper distribution.
    """

    mean: float
    spread: float

    def __post_init__(self) -> None:
        _check(self, self.mean, spread=self.spread)

    @property
    def lower_end(self) -> float:
        """There is none."""
        return -math.inf

    def derivatives(self, value: float) -> tuple[float, float, float]:
        """Log density at a value, with its first and second derivative."""
        precision, distance = self.spread**-2, value - self.mean
        density = -0.5 * precision * distance**2 - math.log(self.spread) - _HALF_LOG_2_PI
        return density, -precision * distance, -precision

    def log_density(self, values: ArrayLike) -> FloatArray:
        """Log density at an array of values."""
        distance = (np.asarray(values, dtype=np.float64) - self.mean) / self.spread
        return np.asarray(-0.5 * distance**2 - math.log(self.spread) - _HALF_LOG_2_PI)

    def quantile(self, probability: ArrayLike) -> FloatArray:
        """Value below which so much of the probability lies."""
        from scipy.special import ndtri

        return np.asarray(self.mean + self.spread * ndtri(np.asarray(probability, dtype=np.float64)))


FAMILIES: dict[str, type[Prior]] = {"LogNormal": LogNormal, "Gamma": Gamma, "Normal": Normal}


def prior_to_dict(prior: Prior) -> dict[str, Any]:
    """Return family and numbers as JSON types."""
    return {"family": type(prior).__name__, **asdict(prior)}


def prior_from_dict(stored: Mapping[str, Any]) -> Prior:
    """Rebuild from `prior_to_dict`; KeyError, TypeError or ValueError where it is none."""
    fields = dict(stored)
    return FAMILIES[fields.pop("family")](**fields)


def _check(prior: Prior, center: float, **width: float) -> None:
    """Raise ValueError unless the numbers give a density that integrates to one."""
    name = type(prior).__name__
    [(word, size)] = width.items()
    for number in (center, size, getattr(prior, "above", 0.0)):
        if isinstance(number, bool) or not isinstance(number, (int, float, np.floating, np.integer)):
            raise ValueError(f"{name} wants numbers. Got {number!r}.")
    if not (math.isfinite(size) and size > 0):
        raise ValueError(
            f"{name}: {word} must be positive and finite, or the prior is improper. Got {size!r}. "
            f"For 'hardly known' take a {'spread of 2' if word == 'spread' else 'shape of 0.5'}."
        )
    if isinstance(prior, Normal):
        if not math.isfinite(center):
            raise ValueError(f"{name}: mean must be finite. Got {center!r}.")
    elif not (math.isfinite(prior.lower_end) and math.isfinite(center) and center > prior.lower_end >= 0):
        middle = "median" if word == "spread" else "mean"
        raise ValueError(
            f"{name}: {middle} must be finite and greater than above={prior.lower_end:g}, which is at least 0. "
            f"Got {center!r}."
        )
