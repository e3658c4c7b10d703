"""Baselines: what a forecast must beat before it is worth its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.methods.vintage_outcomes import EarlierVintage, earlier_vintage
from predclv.backtesting.predictions import Forecast
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError

__all__ = ["Formula", "HistoricalAverage", "Marginal", "Naive", "Zero"]

FloatArray = NDArray[np.float64]

# A later cut-off's horizon in calendar months differs by this much from the one learnt without being another.
_SAME_LENGTH = 0.05


class Zero:
    """Nobody buys again.

    Purchases and value are 0 with certainty, so that the CRPS is the absolute error. It has a low absolute error
    wherever most customers do not return, and says nothing: the floor of every other score.
    """

    name: ClassVar[str] = "zero"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Learn nothing."""
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast no purchase of anybody."""
        n = len(rfm)
        row = np.zeros(n, dtype=np.int64)
        nothing = np.zeros(n)
        has_amounts = rfm.monetary_value is not None
        return Forecast(
            nothing,
            Counts(np.ones(1), np.array([0, 1]), row),
            expected_value=nothing if has_amounts else None,
            value=Values.from_quantiles(np.ones(1), np.zeros((1, len(LEVELS))), row) if has_amounts else None,
            track=_straight(horizon, 0.0),
        )


class Naive:
    """Everyone goes on at his own rate: repeat purchases over age, times the horizon.

    A point. A customer who came on the cut-off itself (T = 0) has no rate yet and gets 0. Spend is the mean of the
    customer's own repeat purchases; of those who bought once, that of all repeat purchases of the base. Value is the
    product.
    """

    name: ClassVar[str] = "naive"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Learn the base's mean spend."""
        self.mean_spend_ = _mean_repeat_spend(rfm)
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast each customer's own rate times the horizon."""
        rate = np.divide(rfm.frequency, rfm.T, out=np.zeros(len(rfm)), where=rfm.T > 0)
        spend = None
        if rfm.monetary_value is not None and self.mean_spend_ is not None:
            spend = np.where(rfm.frequency > 0, rfm.monetary_value, self.mean_spend_)
        n_new = int(np.count_nonzero(rfm.T == 0))
        notes = (f"{n_new:,} of {len(rfm):,} customers came on the cut-off itself: their rate is 0",) if n_new else ()
        return _point(rfm, rate * horizon, spend, _straight(horizon, float(rate.sum())), notes)


class HistoricalAverage:
    """Everyone gets the base's average: all repeat purchases over the sum of all ages, times the horizon.

    A point. Spend is the mean of all repeat purchases of the base, value the product.
    """

    name: ClassVar[str] = "historical_average"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Learn the base's rate and mean spend."""
        if not rfm.T.any():
            raise FitError(
                f"All {len(rfm):,} customers came on the cut-off itself, so there is no time to take a rate over. "
                "Choose a later cut-off."
            )
        self.rate_ = float(rfm.frequency.sum() / rfm.T.sum())
        self.mean_spend_ = _mean_repeat_spend(rfm)
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast the base's rate times the horizon, for everyone."""
        n = len(rfm)
        spend = None if self.mean_spend_ is None else np.full(n, self.mean_spend_)
        return _point(rfm, np.full(n, self.rate_ * horizon), spend, _straight(horizon, n * self.rate_))


class Formula:
    """What spreadsheets do: average purchase x purchase frequency x lifespan.

    Average purchase is the money of all own purchases, the first included and net of returns, over their number
    x + 1 (0 where returns exceed it). Frequency is x + 1 over the age T, which counts as one time unit at least.
    Lifespan is the base's mean time from the first to the last purchase of those who bought again, and no more of it
    counts than the horizon holds.

    It is here because it is in use, not because it is advised: it ignores that customers leave, gives the newest
    customers the highest rates, and its lifespan is cut short by the length of the log.
    """

    name: ClassVar[str] = "formula"
    needs_amounts: ClassVar[bool] = True

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Learn the lifespan; DataError where nobody bought twice."""
        rfm.require_repeat_buyers()
        self.lifespan_ = float(rfm.recency[rfm.frequency > 0].mean())
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast rate times lifespan, each purchase worth the customer's average."""
        purchases = rfm.frequency + 1
        rate = purchases / np.maximum(rfm.T, 1.0)
        money = log[log["amount"] >= 0] if rfm.returns == "ignore" else log
        net = money.groupby("customer_id")["amount"].sum().reindex(rfm.customer_id).to_numpy(dtype=np.float64)
        below = net < 0
        notes = [f"all purchases are expected within the mean lifespan of {self.lifespan_:.3g} {rfm.time_unit}s"]
        if below.any():
            notes.append(f"returns exceed purchases for {below.sum():,} of {len(rfm):,} customers: they spend 0")
        times = _times(horizon)
        track = times, rate.sum() * np.minimum(times, self.lifespan_)
        expected = rate * min(horizon, self.lifespan_)
        return _point(rfm, expected, np.where(below, 0.0, net) / purchases, track, tuple(notes))


@dataclass(frozen=True, eq=False)
class _Law:
    """One distribution for everyone."""

    counts: Counts
    mean: float
    spend: float | None
    value: Values | None
    mean_value: float | None


class Marginal:
    """Everyone gets the population's distribution: what customers did in a window of this length before the cut-off.

    Counts are the shares of an earlier vintage, value its quantiles with the share who spent nothing. It knows no
    customer, only the base: what a forecast of individuals must beat in CRPS.

    Where the log is too short for a whole window, the counts of a shorter one are taken for gamma-mixed Poisson:
    negative binomial with the mean in proportion to time and the shape as it is (Poisson where the variance is not
    above the mean). The probability of no value follows from the count, and what is positive is stretched so that the
    mean is in proportion to time.
    """

    name: ClassVar[str] = "marginal"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame, horizons: Sequence[float]) -> Self:
        """Learn from an earlier vintage for each horizon; FitError where the log is too short for one."""
        self.vintages_ = {float(horizon): earlier_vintage(rfm, log, horizon) for horizon in horizons}
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Give everyone the distribution learnt for this horizon, or for the nearest one, stretched."""
        learnt = min(self.vintages_, key=lambda length: abs(length - horizon))
        vintage = self.vintages_[learnt]
        scale = horizon / vintage.window
        is_same = not vintage.note and abs(horizon - learnt) <= _SAME_LENGTH * learnt
        law = _empirical(vintage) if is_same else _stretched(vintage, scale)
        n, unit = len(rfm), rfm.time_unit
        note = f"learnt from {vintage.window:.3g} {unit}s of outcomes, scaled to {horizon:.3g} {unit}s"
        row = np.zeros(n, dtype=np.int64)
        return Forecast(
            np.full(n, law.mean),
            replace(law.counts, row=row),
            expected_spend=None if law.spend is None else np.full(n, law.spend),
            expected_value=None if law.mean_value is None else np.full(n, law.mean_value),
            value=None if law.value is None else replace(law.value, row=row),
            track=_straight(horizon, n * law.mean / horizon),
            notes=() if is_same else (note,),
        )


def _empirical(vintage: EarlierVintage) -> _Law:
    purchases, spend = vintage.purchases, vintage.spend
    share = np.bincount(purchases.astype(np.int64)) / len(purchases)
    counts = Counts.from_probabilities(share, np.array([len(share)]))
    mean = float(purchases.mean())
    if spend is None:
        return _Law(counts, mean, None, None, None)
    quantiles = np.quantile(spend, LEVELS, method="inverted_cdf")
    value = Values.from_quantiles([(spend <= 0).mean()], quantiles[np.newaxis])
    return _Law(counts, mean, float(spend.sum() / purchases.sum()), value, float(spend.mean()))


def _stretched(vintage: EarlierVintage, scale: float) -> _Law:
    purchases, spend = vintage.purchases, vintage.spend
    mean, variance = purchases.mean(), purchases.var()
    expected = float(mean * scale)
    if variance > mean:
        counts = Counts.negative_binomial([expected], [mean**2 / (variance - mean)])
    else:
        counts = Counts.poisson([expected])
    if spend is None:
        return _Law(counts, expected, None, None, None)
    positive = spend[spend > 0]
    share_who_pay = len(positive) / np.count_nonzero(purchases)
    nothing = float(1 - counts.p_positive()[0] * share_who_pay)
    level = np.clip((LEVELS - nothing) / (1 - nothing), 0.0, 1.0)
    quantiles = np.zeros(len(LEVELS))
    mean_value = float(spend.mean() * scale)
    if len(positive):
        stretch = mean_value / ((1 - nothing) * positive.mean())
        quantiles = np.where(level > 0, np.quantile(positive, level, method="inverted_cdf") * stretch, 0.0)
    value = Values.from_quantiles([nothing], quantiles[np.newaxis])
    return _Law(counts, expected, float(spend.sum() / purchases.sum()), value, mean_value)


def _mean_repeat_spend(rfm: RFMSummary) -> float | None:
    """Mean spend of all repeat purchases; None without amounts, or where nobody bought twice."""
    if rfm.monetary_value is None or not rfm.n_repeat_buyers:
        return None
    return float(np.average(rfm.monetary_value, weights=rfm.frequency))


def _point(
    rfm: RFMSummary,
    purchases: FloatArray,
    spend: FloatArray | None,
    track: tuple[FloatArray, FloatArray],
    notes: tuple[str, ...] = (),
) -> Forecast:
    value = None if spend is None else purchases * spend
    if spend is None and rfm.monetary_value is not None:
        notes = (*notes, "no forecast of spend: nobody bought twice before the cut-off")
    return Forecast(purchases, expected_spend=spend, expected_value=value, track=track, notes=notes)


def _times(horizon: float) -> FloatArray:
    return np.linspace(0.0, horizon, 27)[1:]


def _straight(horizon: float, rate: float) -> tuple[FloatArray, FloatArray]:
    times = _times(horizon)
    return times, rate * times
