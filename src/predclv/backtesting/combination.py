"""Methods combined: mixtures of their predictive distributions, with weights learnt on vintages that have ended.

References
----------
Hall & Mitchell (2007), Combining Density Forecasts, International Journal of Forecasting 23(1).
Thorey, Mallet & Baudin (2017), Online Learning with the CRPS for Ensemble Forecasting, QJRMS 143(702).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from predclv.backtesting.distributions import Counts, Distribution, Values
from predclv.backtesting.predictions import Forecast
from predclv.errors import DataError, FitError

__all__ = ["combine", "learn_weights", "simplex_minimum"]

FloatArray = NDArray[np.float64]

# Settled on the data of benchmarks/recalibration.py; its output is little changed by half or twice.
# A vintage counts half as much as the one after it: what is good drifts.
_HALVING = 0.5
# A mixture gains by how its parts differ. Of that gain so much, over the number of vintages, is not believed.
_DISBELIEF = 0.25
# Decides between methods that do equally well: a share of the mean CRPS.
_RIDGE = 1e-3


def learn_weights(past: Sequence[tuple[Sequence[Distribution], FloatArray]]) -> FloatArray:
    """Learn the weights of the mixture with the lowest mean CRPS over earlier vintages.

    Parameters
    ----------
    past : sequence of (distributions, actual)
        A vintage each: the methods' distributions, in one order, and the outcome, (n_customers,), which ended on or
        before the date the weights are used at. Oldest first, all of purchases or all of value.

    Returns
    -------
    (n_methods,) array
        At least 0, summing to 1.

    Raises
    ------
    DataError
        No vintage, vintages with different numbers of methods, or distributions and outcomes of different customers.
    FitError
        The products of errors are not finite.

    Notes
    -----
    The CRPS of a mixture with weights w is w' D w, D the mean products of the methods' errors F - 1{actual <= n}: a
    convex quadratic programme on the simplex. D is divided by the mean of its diagonal d in each vintage, so that all
    are of one unit. As w' D w is d' w less what the methods' differences gain, r d' w on top of it discounts that gain,
    by r = 0.25 / n_vintages here: a gain in one season may be luck, and mixing in a poor method for it costs.
    """
    n_methods = _check(past)
    weight = _HALVING ** np.arange(len(past))[::-1].astype(np.float64)
    grams = []
    for distributions, actual in past:
        gram = np.zeros((n_methods, n_methods))
        for a, first in enumerate(distributions):
            for b, second in enumerate(distributions[: a + 1]):
                gram[a, b] = gram[b, a] = first.error_products(second, actual).mean()  # type: ignore[arg-type]
        scale = np.trace(gram) / n_methods
        grams.append(gram / scale if scale > 0 else gram)
    mean = np.tensordot(weight / weight.sum(), grams, axes=1)
    return simplex_minimum(mean + _RIDGE * np.eye(n_methods), _DISBELIEF / len(past) * np.diag(mean))


def simplex_minimum(gram: FloatArray, cost: FloatArray) -> FloatArray:
    """Weights, at least 0 and summing to 1, that minimise w' gram w + cost' w.

    Parameters
    ----------
    gram : (n, n) array
        Positive definite.
    cost : (n,) array

    Returns
    -------
    (n,) array

    Raises
    ------
    FitError
        The input is not finite, or the conditions of Karush, Kuhn and Tucker do not hold to 1e-7.

    Notes
    -----
    On the simplex cost' w is w' C w with C = (cost 1' + 1 cost') / 2, and any multiple of 1 1' adds a constant, enough
    of it makes the form positive. Least squares with weights at least 0, of R w (R' R the form) and of 1 - sum(w),
    then reach the direction of the minimum: for a direction v that sums to 1 the best length leaves c / (1 + c) with
    c = v' R' R v, which rises with c.
    """
    if not (np.isfinite(gram).all() and np.isfinite(cost).all()):
        raise FitError("The methods' errors have products that are not finite: a distribution holds NaN or infinity.")
    ones = np.ones(len(gram))
    enough = cost @ cost / (4 * np.linalg.eigvalsh(gram)[0])
    form = gram + (np.outer(cost, ones) + np.outer(ones, cost)) / 2 + enough
    values, vectors = np.linalg.eigh(form)
    root = np.sqrt(np.maximum(values, 0.0))[:, np.newaxis] * vectors.T
    weights = nnls(np.vstack([root, ones]), np.append(np.zeros(len(gram)), 1.0))[0]
    weights /= weights.sum()
    slope = 2 * gram @ weights + cost
    level = weights @ slope
    worst = max(float(np.max(level - slope)), float(np.max(np.abs((slope - level) * weights))))
    if worst > 1e-7 * max(1.0, float(np.abs(slope).max())):
        raise FitError(f"The weights of the combination were not found: their slope is off by {worst:.1e}.")
    return np.asarray(weights)


def combine(
    forecasts: Sequence[Forecast], names: Sequence[str], weights: Mapping[str, Mapping[str, float]]
) -> Forecast:
    """Mix forecasts of the same customers and horizon.

    Parameters
    ----------
    forecasts : sequence of Forecast
    names : sequence of str
    weights : mapping of "purchases" and "value" to a mapping of name to weight
        Those of a quantity sum to 1. Names without a weight take no part in the quantity; a quantity without weights is
        not forecast, purchases are needed.

    Returns
    -------
    Forecast
        Means are the weighted means, spend by the weights of value where there are any. Totals and track are there
        where every method with weight has them; totals mix the methods' draws, each by its quantiles. Notes hold the
        weights, and who was left out.

    Raises
    ------
    DataError
        Weights that do not sum to 1 or are negative, of a method that is not there or has no such distribution.
    """
    if "purchases" not in weights:
        raise DataError("The combination needs weights of 'purchases'.")
    by_name = dict(zip(names, forecasts, strict=True))
    purchases = _Part.of("purchases", by_name, weights["purchases"])
    value = _Part.of("value", by_name, weights["value"]) if "value" in weights else None
    totals = {part.quantity: part.totals() for part in (purchases, value) if part is not None and part.has_totals}
    spend = value or purchases
    notes = [part.note for part in (purchases, value) if part is not None]
    left_out = [name for name in names if name not in weights["purchases"]]
    if left_out:
        notes.append(f"left out, without weights of purchases: {', '.join(left_out)}")
    return Forecast(
        expected_purchases=purchases.mean("expected_purchases"),
        purchases=Counts.mixed([part.purchases for part in purchases.forecasts], purchases.weights),  # type: ignore[misc]
        expected_spend=spend.mean("expected_spend") if spend.has("expected_spend") else None,
        expected_value=None if value is None else value.mean("expected_value"),
        value=None if value is None else Values.mixed([part.value for part in value.forecasts], value.weights),  # type: ignore[misc]
        totals=totals,
        track=purchases.track(),
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The forecasts with weight in one quantity."""

    quantity: str
    names: tuple[str, ...]
    forecasts: tuple[Forecast, ...]
    weights: FloatArray

    @classmethod
    def of(cls, quantity: str, by_name: Mapping[str, Forecast], weights: Mapping[str, float]) -> _Part:
        total, least = sum(weights.values()), min(weights.values(), default=0.0)
        if not (abs(total - 1) < 1e-9 and least >= 0):
            raise DataError(
                f"Weights of {quantity} must be at least 0 and sum to 1. They sum to {total:g}, the least is {least:g}."
            )
        names = tuple(name for name, weight in weights.items() if weight > 0)
        lacking = [name for name in names if name not in by_name or getattr(by_name[name], quantity) is None]
        if lacking:
            raise DataError(
                f"{len(lacking)} of {len(names)} methods with a weight have no distribution of {quantity} (first: "
                f"{lacking[0]!r}). Only methods with distributions can be combined."
            )
        forecasts = tuple(by_name[name] for name in names)
        return cls(quantity, names, forecasts, np.array([weights[name] for name in names]))

    @property
    def has_totals(self) -> bool:
        return all(self.quantity in forecast.totals for forecast in self.forecasts)

    @property
    def note(self) -> str:
        shares = (f"{name} {weight:.0%}" for name, weight in zip(self.names, self.weights, strict=True))
        return f"{self.quantity} combine {', '.join(shares)}"

    def has(self, column: str) -> bool:
        return all(getattr(forecast, column) is not None for forecast in self.forecasts)

    def mean(self, column: str) -> FloatArray:
        """Weighted mean of a column; for the mean of value, that of the distribution where a method gives no other."""
        columns = [getattr(forecast, column) for forecast in self.forecasts]
        if column == "expected_value":
            pairs = zip(columns, self.forecasts, strict=True)
            columns = [own if own is not None else forecast.value.mean() for own, forecast in pairs]  # type: ignore[union-attr]
        return np.asarray(self.weights @ np.stack(columns))

    def totals(self) -> FloatArray:
        """Mix the draws: each method's quantiles, as many as its weight among the most draws that one has."""
        draws = [np.sort(forecast.totals[self.quantity]) for forecast in self.forecasts]
        n = max(map(len, draws))
        ends = np.round(np.cumsum(self.weights) * n).astype(np.int64)
        sizes = np.diff(ends, prepend=0)
        return np.concatenate(
            [np.quantile(own, (np.arange(size) + 0.5) / size) for own, size in zip(draws, sizes, strict=True) if size]
        )

    def track(self) -> tuple[FloatArray, FloatArray] | None:
        """Weighted mean of the tracks, where all have one at the same times."""
        tracks = [forecast.track for forecast in self.forecasts]
        if any(track is None for track in tracks):
            return None
        times = [track[0] for track in tracks]  # type: ignore[index]
        if not all(np.array_equal(times[0], other) for other in times):
            return None
        return times[0], np.asarray(self.weights @ np.stack([track[1] for track in tracks]))  # type: ignore[index]


def _check(past: Sequence[tuple[Sequence[Distribution], FloatArray]]) -> int:
    if not past:
        raise DataError("There is no earlier vintage to learn weights from: give at least one whose outcome is known.")
    sizes = sorted({len(distributions) for distributions, _ in past})
    if len(sizes) > 1 or sizes[0] == 0:
        raise DataError(f"Vintages have {' and '.join(map(str, sizes))} methods: give each the same ones.")
    for position, (distributions, actual) in enumerate(past):
        customers = {len(actual), *map(len, distributions)}
        if len(customers) > 1 or not len(actual):
            raise DataError(
                f"Vintage {position + 1} of {len(past)} has distributions and an outcome of {sorted(customers)} "
                "customers: give the same ones, at least one."
            )
    return sizes[0]
