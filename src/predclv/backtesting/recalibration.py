"""Predictive distributions adjusted by how earlier ones turned out: level maps, learnt on vintages that have ended.

A map g takes each distribution function F to g(F). Two ways to one are here: "pit", the distribution of the randomized
PIT with the total set apart, and "conformal", which widens or narrows central intervals alone.

References
----------
Czado, Gneiting & Held (2009), Predictive Model Assessment for Count Data, Biometrics 65(4).
Chernozhukov, Wüthrich & Zhu (2021), Distributional Conformal Prediction, PNAS 118(48).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit

from predclv.backtesting.distributions import Counts, Distribution
from predclv.backtesting.predictions import Forecast
from predclv.data.checks import check_option

__all__ = ["Past", "Recalibration", "learn_recalibration", "recalibrate"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GROUPS = ("0", "1", "2-3", "4+")
_EDGES = (1, 2, 4)
#: Knots of a map: even, and closer together where few outcomes are.
_KNOTS: FloatArray = np.unique(np.concatenate([np.linspace(0, 1, 401), 1 - np.logspace(-4, -2, 20)]))

# Figures below were settled on the data of benchmarks/recalibration.py; its output is little changed by half or twice.
# A vintage counts half as much as the one after it: miscalibration drifts.
_HALVING = 0.5
# A group's map is drawn to that of all customers as if by so many of them, and that to the identity.
_CUSTOMERS_OF_ALL, _CUSTOMERS_CALIBRATED = 500.0, 200.0
# One vintage cannot tell what will last of what it shows: half of it is taken over.
_UNKNOWN = 0.5
# How firmly later vintages move that half: as a squared bias of the total, and as a share of the CRPS.
_FIRM_TOTAL, _FIRM_SHAPE = 0.05**2, 0.01


@dataclass(frozen=True, eq=False)
class Past:
    """An earlier vintage's forecast beside its outcome, which must have ended by the date that is recalibrated.

    Attributes
    ----------
    distribution : Counts or Values
    actual : (n_customers,) array
    frequency : (n_customers,) array
        Repeat purchases until that vintage's cut-off.
    """

    distribution: Distribution
    actual: FloatArray
    frequency: FloatArray

    def __post_init__(self) -> None:
        sizes = {len(self.distribution), len(self.actual), len(self.frequency)}
        if len(sizes) > 1:
            raise ValueError(
                f"Distribution, outcome and frequency are of {sorted(sizes)} customers: give as many each."
            )
        if not len(self.actual):
            raise ValueError("A vintage without customers teaches nothing: leave it out.")


@dataclass(frozen=True, eq=False)
class Recalibration:
    """A map of levels for each group of customers.

    Attributes
    ----------
    method : {"pit", "conformal"}
    levels : (n_groups, n_knots) array
        What the levels `knots` become; linear between them.
    customers : (n_groups,) array
        Customers of earlier vintages it was learnt from; one counts again in each vintage.
    n_vintages : int
    share : float
        In [0, 1]: how much of the shape that the vintages showed is taken over.
    factor : float
        What the total of the earlier vintages is multiplied by; 1 for "conformal", which leaves it to follow.
    persistence : float
        In [0, 1]: how much of the totals' bias is taken over; 0 for "conformal".
    """

    method: str
    levels: FloatArray
    customers: FloatArray
    n_vintages: int
    share: float
    factor: float
    persistence: float

    @property
    def knots(self) -> FloatArray:
        """Levels, (n_knots,)."""
        return _KNOTS

    def map(self, distribution: Distribution, frequency: FloatArray) -> Distribution:
        """Recalibrate the distributions of customers with these numbers of repeat purchases."""
        split, group = _by_group(distribution, _groups(frequency))
        return _map_rows(split, group, self.levels)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each group and some levels: group, level, recalibrated, customers."""
        shown = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
        rows = [
            pd.DataFrame(
                {"group": name, "level": shown, "recalibrated": np.interp(shown, _KNOTS, own), "customers": int(n)}
            )
            for name, own, n in zip(GROUPS, self.levels, self.customers, strict=True)
        ]
        return pd.concat(rows, ignore_index=True)

    @property
    def note(self) -> str:
        """Say in a sentence what was done."""
        vintages = f"{self.n_vintages} earlier vintage{'s' if self.n_vintages > 1 else ''}"
        total = f", total times {self.factor:.3f}" if self.method == "pit" else ""
        return f"recalibrated ({self.method}) on {vintages}: {self.share:.0%} of the shape they showed{total}"


def learn_recalibration(past: Sequence[Past], method: Literal["pit", "conformal"] = "pit") -> Recalibration:
    """Learn how levels are to be read from how earlier vintages turned out.

    Parameters
    ----------
    past : sequence of Past
        Oldest first, all of purchases or all of value; their outcomes ended on or before the date it is used at.
    method : {"pit", "conformal"}
        "pit" blends two maps, (1 - share) s + share h: both multiply the total of the earlier vintages by `factor`; s
        shifts the odds of every level alike, h shifts those of G, the distribution of the randomized PIT in its form
        without randomisation (Czado, Gneiting & Held 2009). "conformal" takes the distribution of abs(PIT - 1/2) in
        place of G, with the correction for a finite sample, and leaves the total to follow.

    Returns
    -------
    Recalibration

    Raises
    ------
    ValueError
        No vintage.
    DataError
        An unknown method.

    Notes
    -----
    What held in one vintage need not hold in the next. So `share` minimises the CRPS of each vintage under the maps
    learnt from those before it, and `persistence` regresses the bias of each total on those before it, both drawn to
    one half, which is also what a single vintage gets. The total is apart because the CRPS of customers hardly sees a
    season that lifts or lowers them all, and a map learnt in such a season would carry it over.
    """
    check_option("method", method, ("pit", "conformal"))
    if not past:
        raise ValueError("There is no earlier vintage to learn from: give at least one whose outcome is known.")
    evidence = [_Evidence.of(vintage) for vintage in past]
    low, high, factor, persistence = _learn(evidence, method)
    share = _share(past, evidence, method)
    customers = np.sum([one.customers for one in evidence], axis=0)
    levels = (1 - share) * low + share * high
    return Recalibration(method, levels, customers, len(past), share, factor, persistence)


def recalibrate(
    forecast: Forecast, purchases: Recalibration | None, value: Recalibration | None, frequency: FloatArray
) -> Forecast:
    """Recalibrate a forecast's distributions; means, `p_purchase`, totals and track follow.

    Parameters
    ----------
    forecast : Forecast
    purchases, value : Recalibration or None
        None leaves that quantity as it is, as does a forecast without its distribution.
    frequency : (n_customers,) array
        Repeat purchases until the cut-off.

    Returns
    -------
    Forecast
        Means are multiplied by what the mean of the distribution is multiplied by, so that a tail beyond the last
        quantile is kept. Joint draws of a total, and the track, are multiplied by what the sum of means is multiplied
        by: level maps speak of customers one by one, so the relative width of a total's interval stays.
    """
    changes: dict[str, object] = {}
    notes, totals = list(forecast.notes), dict(forecast.totals)
    if purchases is not None and forecast.purchases is not None:
        mapped, mean = _map_with_mean(purchases, forecast.purchases, forecast.expected_purchases, frequency)
        ratio = _ratio(mean.sum(), forecast.expected_purchases.sum())
        changes |= {"purchases": mapped, "expected_purchases": mean, "p_purchase": None}
        if forecast.track is not None:
            changes["track"] = (forecast.track[0], forecast.track[1] * ratio)
        _scale(totals, "purchases", ratio)
        notes.append(f"purchases {purchases.note}")
    if value is not None and forecast.value is not None:
        before = forecast.value.mean() if forecast.expected_value is None else forecast.expected_value
        mapped, mean = _map_with_mean(value, forecast.value, before, frequency)
        changes |= {"value": mapped, "expected_value": mean}
        _scale(totals, "value", _ratio(mean.sum(), before.sum()))
        notes.append(f"value {value.note}")
    return replace(forecast, **changes, totals=totals, notes=tuple(notes))  # type: ignore[arg-type]


def _map_with_mean(
    recalibration: Recalibration, distribution: Distribution, mean: FloatArray, frequency: FloatArray
) -> tuple[Distribution, FloatArray]:
    mapped = recalibration.map(distribution, frequency)
    before, after = distribution.mean(), mapped.mean()
    return mapped, mean * np.divide(after, before, out=np.ones(len(mean)), where=before > 0)


def _scale(totals: dict[str, FloatArray], name: str, ratio: float) -> None:
    if name in totals:
        totals[name] = totals[name] * ratio


def _ratio(after: float, before: float) -> float:
    return float(after / before) if before > 0 else 1.0


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What a vintage shows, by group: arrays are (n_groups, n_knots), `customers` (n_groups,).

    `pit` sums the customers' distribution functions of the PIT. `mean` is such that the total under maps g is the sum
    of mean * (1 - g): means are linear in a map that is linear between knots. `log_ratio` is log(actual / expected).
    """

    customers: FloatArray
    pit: FloatArray
    mean: FloatArray
    log_ratio: float

    @classmethod
    def of(cls, past: Past) -> _Evidence:
        group = _groups(past.frequency)
        below, at = past.distribution.bounds(past.actual)
        pit = np.stack([_sum_of_pits(below[group == g], at[group == g]) for g in range(len(GROUPS))])
        mean = _mean_weights(past.distribution, group)
        customers = np.bincount(group, minlength=len(GROUPS)).astype(np.float64)
        return cls(customers, pit, mean, _log_ratio(past.actual, past.distribution.mean()))


def _log_ratio(actual: FloatArray, expected: FloatArray) -> float:
    """Log of the total over its forecast, drawn to 0 as far as chance among customers alone may have made it."""
    if actual.sum() <= 0 or expected.sum() <= 0:
        return 0.0
    found = float(np.log(actual.sum() / expected.sum()))
    chance = float(np.sum((actual - expected) ** 2) / actual.sum() ** 2)
    # James & Stein's estimator of a single mean, its positive part.
    return found * max(0.0, 1.0 - chance / found**2) if found else 0.0


def _learn(evidence: Sequence[_Evidence], method: str) -> tuple[FloatArray, FloatArray, float, float]:
    """The maps without and with the shape that the vintages showed, the factor of the total and its persistence."""
    weight = _weights(len(evidence))
    customers = np.tensordot(weight, [one.customers for one in evidence], axes=1)
    pit = np.tensordot(weight, [one.pit for one in evidence], axes=1)
    identity = np.tile(_KNOTS, (len(GROUPS), 1))
    shape = _shapes(pit, customers)
    if method == "conformal":
        return identity, _symmetric(shape, sum(one.customers.sum() for one in evidence)), 1.0, 0.0
    mean = np.tensordot(weight, [one.mean for one in evidence], axes=1)
    persistence, lasting = _persistence(np.array([one.log_ratio for one in evidence]))
    target = np.exp(lasting) * np.sum(mean * (1 - identity))
    return _aim(identity, mean, target), _aim(shape, mean, target), float(np.exp(lasting)), persistence


def _weights(n: int) -> FloatArray:
    weight = _HALVING ** np.arange(n)[::-1].astype(np.float64)
    return np.asarray(weight / weight.sum())


def _shapes(pit: FloatArray, customers: FloatArray) -> FloatArray:
    """Distribution function of the PIT in each group, drawn to that of all customers, and that to the identity."""
    pooled = (pit.sum(axis=0) + _CUSTOMERS_CALIBRATED * _KNOTS) / (customers.sum() + _CUSTOMERS_CALIBRATED)
    shapes = (pit + _CUSTOMERS_OF_ALL * pooled) / (customers[:, np.newaxis] + _CUSTOMERS_OF_ALL)
    shapes[:, 0], shapes[:, -1] = 0.0, 1.0
    return np.asarray(shapes)


def _symmetric(shape: FloatArray, n: float) -> FloatArray:
    """Map a central interval to the share of abs(PIT - 1/2) it held, times n / (n + 1) as in conformal prediction."""
    half = np.abs(_KNOTS - 0.5)
    held = np.stack([np.interp(0.5 + half, _KNOTS, own) - np.interp(0.5 - half, _KNOTS, own) for own in shape])
    levels = 0.5 + np.sign(_KNOTS - 0.5) * 0.5 * held * n / (n + 1)
    levels[:, 0], levels[:, -1] = 0.0, 1.0
    return np.asarray(levels)


def _persistence(log_ratios: FloatArray) -> tuple[float, float]:
    """How much of the bias so far the next vintage had, in [0, 1], and what of it is expected to last now."""
    above, below = _UNKNOWN * _FIRM_TOTAL, _FIRM_TOTAL
    for v in range(1, len(log_ratios)):
        so_far = float(_weights(v) @ log_ratios[:v])
        above, below = above + so_far * log_ratios[v], below + so_far**2
    persistence = float(np.clip(above / below, 0.0, 1.0))
    return persistence, persistence * float(_weights(len(log_ratios)) @ log_ratios)


def _aim(levels: FloatArray, mean: FloatArray, target: float) -> FloatArray:
    """Shift the odds of all levels alike, until the total is the target."""
    with np.errstate(divide="ignore"):
        log_odds = logit(levels)

    def excess(shift: float) -> float:
        return float(np.sum(mean * expit(shift - log_odds)) - target)

    # Totals run from 0 to what lies beyond: a target in between is always met.
    reach = 1.0
    while excess(-reach) > 0 or (excess(reach) < 0 and reach < 64):
        reach *= 2
    if excess(-reach) * excess(reach) >= 0:
        return levels
    return np.asarray(expit(log_odds - brentq(excess, -reach, reach, xtol=1e-9)))


def _share(past: Sequence[Past], evidence: Sequence[_Evidence], method: str) -> float:
    """Share of the shape whose blend has the lowest CRPS in each vintage, learnt from those before it."""
    above, below = _UNKNOWN * _FIRM_SHAPE, _FIRM_SHAPE
    for v in range(1, len(past)):
        split, group = _by_group(past[v].distribution, _groups(past[v].frequency))
        low, high = (_map_rows(split, group, levels) for levels in _learn(evidence[:v], method)[:2])
        # The CRPS of a blend of distribution functions is quadratic in its weights.
        without, with_shape = (one.crps(past[v].actual).mean() for one in (low, high))
        both = low.error_products(high, past[v].actual).mean()  # type: ignore[arg-type]
        if without > 0:
            above += (without - both) / without
            below += (without - 2 * both + with_shape) / without
    return float(np.clip(above / below, 0.0, 1.0))


def _groups(frequency: FloatArray) -> IntArray:
    return np.digitize(frequency, _EDGES).astype(np.int64)


def _sum_of_pits(below: FloatArray, at: FloatArray) -> FloatArray:
    """Sum over customers of clip((u - below) / (at - below), 0, 1) at the knots u; a step where the two are equal."""
    out = np.zeros(len(_KNOTS))
    for first in range(0, len(below), 2000):
        low, high = (part[first : first + 2000, np.newaxis] for part in (below, at))
        out += np.clip((_KNOTS - low) / np.maximum(high - low, 1e-12), 0.0, 1.0).sum(axis=0)
    return out


def _mean_weights(distribution: Distribution, group: IntArray) -> FloatArray:
    """Weights of 1 - g at the knots whose sum is the total of each group, (n_groups, n_knots)."""
    split, group_of_row = _by_group(distribution, group)
    customers = np.bincount(split.row, minlength=len(group_of_row))
    if isinstance(split, Counts):
        lengths = np.diff(split.start)
        return _on_knots(split.cdf, np.repeat(customers, lengths), np.repeat(group_of_row, lengths))
    steps = np.diff(split.quantiles, axis=1, prepend=0.0) * customers[:, np.newaxis] / 2
    at = np.maximum(split.levels, split.nothing[:, np.newaxis])
    below = np.concatenate([split.nothing[:, np.newaxis], at[:, :-1]], axis=1)
    groups = np.broadcast_to(group_of_row[:, np.newaxis], at.shape).ravel()
    return _on_knots(at.ravel(), steps.ravel(), groups) + _on_knots(below.ravel(), steps.ravel(), groups)


def _on_knots(level: FloatArray, weight: FloatArray, group: IntArray) -> FloatArray:
    """Share the weight of each level between the knots about it."""
    n = len(_KNOTS)
    place = np.clip(np.searchsorted(_KNOTS, level, side="right") - 1, 0, n - 2)
    upper = (level - _KNOTS[place]) / (_KNOTS[place + 1] - _KNOTS[place])
    key = group * n + place
    size = n * len(GROUPS)
    out = np.bincount(key, weight * (1 - upper), minlength=size) + np.bincount(key + 1, weight * upper, minlength=size)
    return np.asarray(out.reshape(len(GROUPS), n))


def _by_group(distribution: Distribution, group: IntArray) -> tuple[Distribution, IntArray]:
    """Give customers of different groups different rows; the group of each row."""
    if len(group) != len(distribution):
        raise ValueError(f"The frequencies of {len(group):,} customers do not fit {len(distribution):,} distributions.")
    n = len(GROUPS)
    pairs, row = np.unique(distribution.row * n + group, return_inverse=True)
    return distribution.of_rows(pairs // n, row.astype(np.int64)), pairs % n


def _map_rows(distribution: Distribution, group: IntArray, levels: FloatArray) -> Distribution:
    """Map the levels of rows, each by its group's map."""

    def mapped(level: FloatArray, groups: IntArray) -> FloatArray:
        out = np.empty(level.shape)
        for g in np.unique(groups):
            out[groups == g] = np.interp(level[groups == g], _KNOTS, levels[g])
        return out

    if isinstance(distribution, Counts):
        cdf = mapped(distribution.cdf, np.repeat(group, np.diff(distribution.start)))
        cdf[distribution.start[1:] - 1] = 1.0
        return replace(distribution, cdf=cdf)
    own = np.broadcast_to(distribution.levels, distribution.quantiles.shape)
    return replace(distribution, nothing=mapped(distribution.nothing, group), levels=mapped(own, group))
