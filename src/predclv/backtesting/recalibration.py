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

from predclv.backtesting.distributions import Distribution
from predclv.backtesting.level_maps import (
    GROUPS,
    KNOTS,
    UNKNOWN,
    Evidence,
    blend_maps,
    by_group,
    group_of,
    learn_factor,
    learn_shape,
    map_rows,
    mean_weights,
)
from predclv.backtesting.predictions import Forecast
from predclv.data.checks import check_option

__all__ = ["Past", "Recalibration", "learn_recalibration", "recalibrate"]

FloatArray = NDArray[np.float64]

# How firmly later vintages must speak to move the share of the shape: a share of the CRPS.
_FIRM = 0.01


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
    """How the levels of a forecast are to be read, for groups of customers by their repeat purchases.

    Attributes
    ----------
    method : {"pit", "conformal"}
    shape : (n_groups, n_knots) array
        What the levels `knots` turned out to be.
    mean : (n_groups, n_knots) array
        `mean_weights` of the last vintage: whose total the maps of `levels` and `table` are for.
    customers : (n_groups,) array
        Customers of earlier vintages it was learnt from; one counts again in each vintage.
    n_vintages : int
    share : float
        In [0, 1]: how much of the shape is taken over.
    factor : float or None
        What the total is multiplied by; None for "conformal", where it follows.
    persistence : float
        In [0, 1]: how much of the totals' bias the factor takes over; 0 for "conformal".
    """

    method: str
    shape: FloatArray
    mean: FloatArray
    customers: FloatArray
    n_vintages: int
    share: float
    factor: float | None
    persistence: float

    @property
    def knots(self) -> FloatArray:
        """Levels, (n_knots,)."""
        return KNOTS

    @property
    def levels(self) -> FloatArray:
        """What the knots become for the customers of the last vintage, (n_groups, n_knots)."""
        return blend_maps(self.shape, self.share, self.factor, self.mean)

    def map(self, distribution: Distribution, frequency: FloatArray) -> Distribution:
        """Recalibrate the distributions of customers with these numbers of repeat purchases.

        With "pit" the total of just these customers is multiplied by `factor`: give all whose total is of interest.
        """
        groups = group_of(frequency)
        split, group = by_group(distribution, groups)
        levels = blend_maps(self.shape, self.share, self.factor, mean_weights(distribution, groups))
        return map_rows(split, group, levels)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each group and some levels: group, level, recalibrated, customers."""
        shown = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
        rows = [
            pd.DataFrame(
                {"group": name, "level": shown, "recalibrated": np.interp(shown, KNOTS, own), "customers": int(n)}
            )
            for name, own, n in zip(GROUPS, self.levels, self.customers, strict=True)
        ]
        return pd.concat(rows, ignore_index=True)

    @property
    def note(self) -> str:
        """Say in a sentence what was done."""
        vintages = f"{self.n_vintages} earlier vintage{'s' if self.n_vintages > 1 else ''}"
        total = "" if self.factor is None else f", total times {self.factor:.3f}"
        return f"recalibrated ({self.method}) on {vintages}: {self.share:.0%} of the shape they showed{total}"


def learn_recalibration(past: Sequence[Past], method: Literal["pit", "conformal"] = "pit") -> Recalibration:
    """Learn how levels are to be read from how earlier vintages turned out.

    Parameters
    ----------
    past : sequence of Past
        Oldest first, all of purchases or all of value; their outcomes ended on or before the date it is used at.
    method : {"pit", "conformal"}
        "pit" blends two maps, (1 - share) s + share h: s shifts the odds of every level alike, h shifts those of G, the
        distribution of the randomized PIT in its form without randomisation (Czado, Gneiting & Held 2009), either so
        far that the total is multiplied by `factor`. "conformal" takes the distribution of abs(PIT - 1/2) in place of
        G, with the correction for a finite sample; it shifts nothing, and the total follows.

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
    evidence = [Evidence.of(vintage.distribution, vintage.actual, vintage.frequency) for vintage in past]
    share = _share(past, evidence, method)
    customers = np.sum([one.customers for one in evidence], axis=0)
    factor, persistence = _factor(evidence, method)
    shape = learn_shape(evidence, method)
    return Recalibration(method, shape, evidence[-1].mean, customers, len(past), share, factor, persistence)


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


def _factor(evidence: Sequence[Evidence], method: str) -> tuple[float | None, float]:
    return learn_factor(evidence) if method == "pit" else (None, 0.0)


def _share(past: Sequence[Past], evidence: Sequence[Evidence], method: str) -> float:
    """Share of the shape whose blend has the lowest CRPS in each vintage, learnt from those before it."""
    above, below = UNKNOWN * _FIRM, _FIRM
    for v in range(1, len(past)):
        factor, shape = _factor(evidence[:v], method)[0], learn_shape(evidence[:v], method)
        split, group = by_group(past[v].distribution, group_of(past[v].frequency))
        low, high = (map_rows(split, group, blend_maps(shape, share, factor, evidence[v].mean)) for share in (0.0, 1.0))
        # The CRPS of a blend of distribution functions is quadratic in its weights.
        without, with_shape = (one.crps(past[v].actual).mean() for one in (low, high))
        both = low.error_products(high, past[v].actual).mean()  # type: ignore[arg-type]
        if without > 0:
            above += (without - both) / without
            below += (without - 2 * both + with_shape) / without
    return float(np.clip(above / below, 0.0, 1.0))
