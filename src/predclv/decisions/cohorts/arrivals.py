"""How many customers will come: a forecast of new customers a period from those of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaln

from predclv.data.checks import check_option, count_of
from predclv.errors import DataError, DataQualityWarning, warn
from predclv.inference.posterior import check_level, check_number

__all__ = ["ArrivalForecast", "forecast_arrivals"]

FloatArray = NDArray[np.float64]

METHODS = ("level", "trend")
_FEWEST = 4
_GRID = 41
# Slopes of the logarithm, a period, that are thought of: prior standard deviation.
_SLOPE = 0.05
# Levels far above every past period are not thought of: else the mean of rare arrivals would be infinite.
_BEYOND = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class ArrivalForecast:
    """New customers in each of the periods to come.

    Attributes
    ----------
    draws : (n_draws, n_periods) array
        Simulated numbers, whole.
    past : (n_past,) array
        The periods the forecast was made from.
    method : str
        In words.
    """

    draws: FloatArray
    past: FloatArray
    method: str

    def table(self, level: float = 0.9) -> pd.DataFrame:
        """Period (1 is the next), expected, low and high: the predictive interval of each.

        Of rare arrivals the mean may lie above the interval: most often nobody comes, and now and then somebody does.
        """
        check_level(level)
        low, high = np.quantile(self.draws, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
        period = np.arange(1, self.draws.shape[1] + 1)
        return pd.DataFrame({"period": period, "expected": self.draws.mean(axis=0), "low": low, "high": high})

    def __repr__(self) -> str:
        return f"<ArrivalForecast: {self.draws.mean():,.1f} new customers a period; {self.method}>"


def forecast_arrivals(
    counts: Sequence[float] | pd.Series | FloatArray,
    n_periods: int,
    *,
    method: str = "level",
    window: int = 12,
    n_draws: int = 1024,
    random_state: int = 0,
) -> ArrivalForecast:
    """Forecast new customers a period from the past.

    Parameters
    ----------
    counts : (n_past,) sequence
        New customers of each past whole period in order, zeros included.
    n_periods : int
        How far ahead.
    method : {"level", "trend"}
        "level": the mean of the last `window` periods stays as it is. "trend": its logarithm goes on along a straight
        line, whose slope is held small by a prior (normal, 0.05 a period). Counts are negative binomial around it, for
        they vary more than by chance alone. Seasons are in neither: give numbers of your own where there are some.
    window : int
        Past periods that count; fewer where there are fewer, from 4 on.
    n_draws, random_state : int

    Returns
    -------
    ArrivalForecast
        Its draws hold what is not known of level, slope and dispersion, and chance.

    Raises
    ------
    DataError
        Counts are fewer than 4, negative, missing or not whole.

    Warns
    -----
    DataQualityWarning
        The level of one half of the past is three times that of the other.
    """
    check_option("method", method, METHODS)
    past = _check(counts)[-int(_positive("window", window)) :]
    if len(past) < _FEWEST:
        raise DataError(
            f"New customers of {len(past)} past periods are too few to forecast from; {_FEWEST} are needed. Give the "
            "numbers you expect: arrivals=100, or one a period."
        )
    if method == "level":
        _warn_of_change(past)
    ahead, draws = int(_positive("n_periods", n_periods)), int(_positive("n_draws", n_draws))
    rng = np.random.default_rng(random_state)
    level, slope, size = _posterior(past, method, draws, rng)
    time = np.arange(1, ahead + 1) + (len(past) - 1) / 2
    mean = np.exp(level[:, np.newaxis] + slope[:, np.newaxis] * time)
    rate = rng.gamma(size[:, np.newaxis], mean / size[:, np.newaxis])
    found = rng.poisson(np.minimum(rate, 1e15)).astype(np.float64)
    words = f"negative binomial around the {'level' if method == 'level' else 'trend'} of the last {len(past)} periods"
    return ArrivalForecast(found, past, words + ", without seasons")


def _warn_of_change(past: FloatArray) -> None:
    early, late = (float(part.mean()) for part in np.array_split(past, 2))
    if past.sum() >= 30 and max(early, late) > 3 * min(early, late):
        warn(
            f"New customers have no level to go by: {early:,.1f} a period in the earlier half of the last {len(past)} "
            f"and {late:,.1f} in the later. The forecast spans both. Give the numbers you expect: arrivals=100, or one "
            "a period.",
            DataQualityWarning,
        )


def _check(counts: Any) -> FloatArray:
    past = np.asarray(counts, dtype=np.float64)
    wrong = ~((past >= 0) & np.isfinite(past) & (past == np.floor(past)))
    if past.ndim != 1 or wrong.any():
        first = f" (first: {past[wrong][0]:g})" if wrong.any() else ""
        raise DataError(
            f"New customers must be whole numbers of at least 0, one a period; they are not in "
            f"{count_of(int(wrong.sum()), past.size, 'periods')}{first}."
        )
    return past


def _posterior(
    past: FloatArray, method: str, n_draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Draw log level at the middle of the past, slope, and size of the negative binomial, from a grid.

    Priors: flat in the log level but for a factor m^(1/2), as Jeffreys' of a Poisson mean, and exp(-m / M), with M ten
    times one more than the largest of the past; log size normal about log 20 with standard deviation 2, which spans
    periods alike but for chance and periods that differ by several times.
    """
    n = len(past)
    most = _BEYOND * (past.max() + 1.0)
    center, spread = np.log(past.mean() + 0.5), 8.0 / np.sqrt(past.sum() + 1.0) + 4.0 / np.sqrt(n)
    level = np.linspace(center - spread, center + spread, 2 * _GRID)
    size = np.linspace(np.log(20.0) - 6.0, np.log(20.0) + 8.0, _GRID)
    slope = np.linspace(-4 * _SLOPE, 4 * _SLOPE, _GRID) if method == "trend" else np.zeros(1)
    time = np.arange(n) - (n - 1) / 2
    a, b, c = (part.ravel() for part in np.meshgrid(level, slope, size, indexing="ij"))
    log_weight = 0.5 * a - np.exp(a) / most - 0.5 * ((c - np.log(20.0)) / 2.0) ** 2 - 0.5 * (b / _SLOPE) ** 2
    k = np.exp(c)
    for t, count in zip(time, past, strict=True):
        mean = np.exp(a + b * t)
        log_weight += gammaln(count + k) - gammaln(k) - k * np.log1p(mean / k)
        log_weight += count * (a + b * t - np.log(k + mean))
    weight = np.exp(log_weight - log_weight.max())
    chosen = rng.choice(len(weight), n_draws, p=weight / weight.sum())
    # Within its cell of the grid a draw is anywhere.
    steps = (axis[1] - axis[0] if len(axis) > 1 else 0.0 for axis in (level, slope, size))
    found = [part[chosen] + step * (rng.random(n_draws) - 0.5) for part, step in zip((a, b, c), steps, strict=True)]
    return found[0], found[1], np.exp(found[2])


def _positive(option: str, value: Any) -> int:
    if check_number(option, value) < 1 or value != int(value):
        raise ValueError(f"{option!r} must be a whole number from 1 on. Got {value!r}.")
    return int(value)
