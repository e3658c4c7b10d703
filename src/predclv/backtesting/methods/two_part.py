"""Buys or not, then how much: laws of counts and of money whose spread is measured on customers held out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.methods.training import FEWEST, TrainingSet

__all__ = ["Candidates", "TwoPart", "fit_two_part", "hurdle_counts", "hurdle_values", "scaled_hurdle"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
# Of what came and what was predicted, (n,) arrays.
_Loss = Callable[[FloatArray, FloatArray], float]

# Probability that a row of counts may leave beyond its end.
_TAIL = 1e-6
# So many residuals are enough to tell the shape of one group, and so many groups to tell how it changes.
_GROUP_SIZE, _MOST_GROUPS = 200, 5


@dataclass(frozen=True)
class Candidates:
    """Unfitted scikit-learn estimators for the three questions; of several the best out of fold is taken.

    Attributes
    ----------
    buys : sequence of classifiers
        Is there a purchase?
    more : sequence of regressors
        Given one, how many more.
    money : sequence of regressors
        Given that money was spent, how much.
    """

    buys: Sequence[Any]
    more: Sequence[Any]
    money: Sequence[Any]


@dataclass(frozen=True, eq=False)
class TwoPart:
    """What was learnt of buying, of further purchases and of money.

    Attributes
    ----------
    buys : classifier, or regressor on 0 and 1
    intercept, slope : float
        Of the logistic recalibration of its probabilities.
    more : regressor
    more_factor : float
        By which its means are multiplied.
    shape : float
        Of the gamma of further purchases.
    money : regressor or None
    unpaid : float
        Share of buyers who spent nothing.
    edges : (n_groups - 1,) array
        Expected money that parts the groups of residuals.
    ratios : list of sorted arrays
        Money over expected money of each group's buyers, held out.
    """

    buys: Any
    intercept: float
    slope: float
    more: Any
    more_factor: float
    shape: float
    money: Any
    unpaid: float
    edges: FloatArray
    ratios: list[FloatArray]

    def purchases(self, features: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
        """Probability of a purchase, and the mean of further ones, (n_customers,)."""
        logit = _logit(_predict(self.buys, features))
        more = np.maximum(_predict(self.more, features) * self.more_factor, 0.0)
        return np.asarray(special.expit(self.intercept + self.slope * logit)), more

    def spend(self, features: pd.DataFrame) -> tuple[FloatArray, IntArray]:
        """Money of a paying buyer but for the group's factor, and the group, (n_customers,)."""
        money = _predict(self.money, features)
        return money, np.searchsorted(self.edges, money).astype(np.int64)


def fit_two_part(training: TrainingSet, candidates: Candidates) -> TwoPart:
    """Learn the parts one by one.

    Probabilities are recalibrated by a logistic regression on their logits (Platt 1999), means of further purchases by
    one factor, and the shape of the negative binomial is that of maximum likelihood, all of predictions for customers
    who were held out (a third at a time). What is then used is learnt from all of them.
    """
    from sklearn.dummy import DummyRegressor

    base = [DummyRegressor()]
    bought = training.purchases > 0
    tells = min(bought.sum(), (~bought).sum()) >= FEWEST
    buys, chance = _fit(
        candidates.buys if tells else base, training.features, bought.astype(np.float64), training.fold, _log_loss
    )
    intercept, slope = _recalibrate(chance, bought) if tells else (0.0, 1.0)
    features, fold = training.features[bought], training.fold[bought]
    further = training.purchases[bought] - 1
    more, mean = _fit(candidates.more if further.sum() >= FEWEST else base, features, further, fold, _poisson_loss)
    factor = further.sum() / mean.sum() if further.any() else 1.0
    shape = _most_likely_shape(further, np.maximum(mean * factor, 1e-9))
    money, unpaid, edges, ratios = _fit_money(training, candidates)
    return TwoPart(buys, intercept, slope, more, float(factor), shape, money, unpaid, edges, ratios)


def _fit_money(training: TrainingSet, candidates: Candidates) -> tuple[Any, float, FloatArray, list[FloatArray]]:
    nothing: tuple[Any, float, FloatArray, list[FloatArray]] = (None, 0.0, np.empty(0), [])
    if training.spend is None:
        return nothing
    paid = training.spend > 0
    spend = training.spend[paid]
    money, mean = _fit(candidates.money, training.features[paid], spend, training.fold[paid], _gamma_loss)
    n_groups = int(np.clip(len(spend) // _GROUP_SIZE, 1, _MOST_GROUPS))
    edges = np.quantile(mean, np.arange(1, n_groups) / n_groups)
    group, ratio = np.searchsorted(edges, mean), spend / mean
    ratios = [np.sort(ratio[group == g]) for g in range(n_groups)]
    if min(map(len, ratios)) < FEWEST:  # means that hardly differ
        edges, ratios = np.empty(0), [np.sort(ratio)]
    return money, 1.0 - paid.sum() / (training.purchases > 0).sum(), edges, ratios


def _fit(
    candidates: Sequence[Any], features: pd.DataFrame, target: FloatArray, fold: IntArray, loss: _Loss
) -> tuple[Any, FloatArray]:
    """Fit the candidate with the least loss on held-out customers, and say what it predicted of them."""
    from sklearn.base import clone

    held_out = np.empty((len(candidates), len(target)))
    for candidate, prediction in zip(candidates, held_out, strict=True):
        for k in np.unique(fold):
            rest = fold != k
            prediction[~rest] = _predict(clone(candidate).fit(features[rest], target[rest]), features[~rest])
    lost = [loss(target, prediction) for prediction in held_out] if len(candidates) > 1 else [0.0]
    best = int(np.argmin(lost))
    return clone(candidates[best]).fit(features, target), held_out[best]


def _predict(estimator: Any, features: pd.DataFrame) -> FloatArray:
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(features)[:, 1])
    return np.asarray(estimator.predict(features), dtype=np.float64)


def _log_loss(bought: FloatArray, chance: FloatArray) -> float:
    p = np.clip(chance, 1e-9, 1 - 1e-9)
    return float(-np.mean(np.where(bought > 0, np.log(p), np.log1p(-p))))


def _poisson_loss(count: FloatArray, mean: FloatArray) -> float:
    return float(np.mean(mean - special.xlogy(count, mean)))


def _gamma_loss(money: FloatArray, mean: FloatArray) -> float:
    return float(np.mean(money / mean + np.log(mean)))


def _logit(chance: NDArray[Any]) -> FloatArray:
    return np.asarray(special.logit(np.clip(chance, 1e-6, 1 - 1e-6)), dtype=np.float64)


def _recalibrate(chance: FloatArray, bought: NDArray[np.bool_]) -> tuple[float, float]:
    """Intercept and slope of the logistic regression of buying on the logit of a held-out probability."""
    from sklearn.linear_model import LogisticRegression

    line = LogisticRegression(C=1e6).fit(_logit(chance)[:, np.newaxis], bought)
    intercept, slope = float(line.intercept_[0]), float(line.coef_[0, 0])
    if slope > 0:
        return intercept, slope
    # Held-out probabilities that tell nothing lean slightly the wrong way.
    return float(_logit(np.asarray(bought.mean()))), 0.0


def _most_likely_shape(count: FloatArray, mean: FloatArray) -> float:
    def loss(log_shape: float) -> float:
        shape = np.exp(log_shape)
        return -float(stats.nbinom.logpmf(count, shape, shape / (shape + mean)).sum())

    return float(np.exp(optimize.minimize_scalar(loss, bounds=(-5.0, 8.0), method="bounded").x))


def scaled_hurdle(p: FloatArray, more: FloatArray, scale: float) -> tuple[FloatArray, FloatArray]:
    """Stretch the law of a window to `scale` times its length.

    The mean is multiplied by `scale`. The probability of a purchase is that of a gamma-mixed Poisson with the window's
    mean and probability, over the longer time; where no such mixture has so many buyers, that of independent windows.

    Parameters
    ----------
    p, more : (n_customers,) arrays
        Probability of a purchase, and mean number of further ones given one.
    scale : float, > 0

    Returns
    -------
    p, more : (n_customers,) arrays
    """
    mean = p * (1.0 + more)
    hazard = -np.log1p(-np.minimum(p, 1 - 1e-12))
    # shape log(1 + mean / shape) grows from 0 to the mean as the shape does from 0 to infinity.
    low, high = np.full(len(p), -20.0), np.full(len(p), 20.0)
    for _ in range(50):
        middle = 0.5 * (low + high)
        shape = np.exp(middle)
        below = shape * np.log1p(mean / shape) < hazard
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    shape = np.exp(0.5 * (low + high))
    mixed = shape * np.log1p(scale * mean / shape)
    stretched = -np.expm1(-np.where(hazard < mean, mixed, scale * hazard))
    further = np.divide(scale * mean, stretched, out=np.ones(len(p)), where=stretched > 0) - 1.0
    return stretched, np.maximum(further, 0.0)


def hurdle_counts(p: FloatArray, more: FloatArray, shape: float | FloatArray) -> Counts:
    """No purchase with 1 - p, else one and a negative binomial number with the mean `more` and this shape.

    Customers with one p, mean and shape share a row.
    """
    parts = np.stack(np.broadcast_arrays(p, more, shape), axis=1)
    distinct, row = np.unique(parts, axis=0, return_inverse=True)
    p, more, shapes = distinct.T
    chance = shapes / (shapes + more)
    # isf is -1 for a mean of 0.
    length = np.maximum(stats.nbinom.isf(_TAIL, shapes, chance), 0).astype(np.int64) + 2
    start = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    own = np.repeat(np.arange(len(length)), length)
    further = np.arange(start[-1]) - start[own] - 1
    cdf = 1.0 - p[own] * stats.nbinom.sf(further, shapes[own], chance[own])
    cdf[start[1:] - 1] = 1.0
    return Counts(cdf, start, row.reshape(-1).astype(np.int64))


def hurdle_values(chance: FloatArray, money: FloatArray, group: IntArray, ratios: list[FloatArray]) -> Values:
    """Nothing with 1 - chance, else expected money times one of the group's ratios, each as likely.

    Customers with one chance and expected money share a row.
    """
    parts, first, row = np.unique(np.stack([chance, money]), axis=1, return_index=True, return_inverse=True)
    nothing, scale, group = 1.0 - parts[0], parts[1], group[first]
    quantiles = np.zeros((len(scale), len(LEVELS)))
    for g, ratio in enumerate(ratios):
        mine = group == g
        idle = nothing[mine, np.newaxis]
        level = (LEVELS - idle) / np.maximum(1.0 - idle, 1e-12)
        # Each residual stands in the middle of its share.
        found = np.interp(level, (np.arange(len(ratio)) + 0.5) / len(ratio), ratio)
        quantiles[mine] = np.where(level > 0, found * scale[mine, np.newaxis], 0.0)
    return Values.from_quantiles(nothing, quantiles, row.reshape(-1).astype(np.int64))
