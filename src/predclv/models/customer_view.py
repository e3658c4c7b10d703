"""One customer as their own model sees them: rate, path of p_alive and distribution of purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.durations import DAYS_PER_UNIT, Horizon
from predclv.data.rfm import RFMSummary
from predclv.forecast import purchases as counts
from predclv.models.transactions import TransactionModel

__all__ = ["CustomerView"]

FloatArray = NDArray[np.float64]

_PATH_POINTS = 200


@dataclass(frozen=True)
class CustomerView:
    """One customer as their own model sees them.

    Attributes
    ----------
    model : TransactionModel
        Of one population: the customer's segment, and their covariates.
    one : RFMSummary
        Of one row.
    horizon : Horizon
    theta : (n_draws, n_parameters) array
    """

    model: TransactionModel
    one: RFMSummary
    horizon: Horizon
    theta: FloatArray

    @property
    def history(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """x, t_x and T, (1,) each."""
        return self.one.frequency.astype(np.float64), self.one.recency, self.one.T

    @property
    def units_a_year(self) -> float:
        """Time units, or opportunities, in a year."""
        return DAYS_PER_UNIT["year"] / DAYS_PER_UNIT[self.one.time_unit]

    @property
    def window(self) -> float:
        """Finite horizon that rates are averaged over."""
        if np.isfinite(self.horizon.length) and self.horizon.length > 0:
            return self.horizon.length
        return (
            max(float(round(self.units_a_year)), 1.0)
            if self.model.bindings.counts_opportunities
            else (self.units_a_year)
        )

    def rate(self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> float:
        """Purchases a time unit of a customer with this history who is there and stays, averaged over the draws."""
        bindings, window = self.model.bindings, self.window
        return float(bindings.discounted_if_staying(x, t_x, T, window, 0.0, self.theta).mean()) / window

    def distribution(self) -> pd.DataFrame:
        """Probabilities of the counts within the horizon; none for an infinite one."""
        if not np.isfinite(self.horizon.length):
            return pd.DataFrame({"n": np.zeros(0, dtype=np.int64), "probability": np.zeros(0)})
        found, _ = counts.purchase_distribution(
            self.model.bindings, *self.history, self.horizon.length, self.theta, tail=1e-6
        )
        return pd.DataFrame({"n": np.arange(len(found)), "probability": found})

    def alive(self, times: FloatArray | None) -> pd.DataFrame:
        """P(alive) as it looked since the first purchase, or the last where those between are not known, and ahead."""
        x, t_x, T = (float(column[0]) for column in self.history)
        known = np.array([t_x]) if times is None else times
        ahead = self.horizon.length if np.isfinite(self.horizon.length) else self.units_a_year
        if self.model.bindings.counts_opportunities:
            past, later = np.arange(known[0], T + 1), np.arange(T + 1, T + np.ceil(ahead) + 1)
        else:
            # A purchase lifts the curve at once: a point just before each shows the fall that it ends.
            before = known[1:] - 1e-9 * max(T, 1.0)
            past = np.unique(np.concatenate([np.linspace(known[0], T, _PATH_POINTS), known, before]))
            later = np.linspace(T, T + ahead, _PATH_POINTS // 2 + 1)[1:]
        last = np.searchsorted(known, past, side="right") - 1
        frequency = np.concatenate([np.full(len(past), x) if times is None else last, np.full(len(later), x)])
        recency = np.concatenate([known[last], np.full(len(later), t_x)])
        grid = np.concatenate([past, later])
        p_alive = self.model.bindings.mean_p_alive(frequency.astype(np.float64), recency, grid, self.theta)
        table = pd.DataFrame({"time": grid, "p_alive": p_alive})
        table["when"] = np.where(np.arange(len(grid)) < len(past), "past", "ahead")
        first = self.one.first_purchase
        if first is not None and not np.isnat(first[0]) and not self.model.bindings.counts_opportunities:
            seconds = np.round(grid * self.one.days_per_unit * 86_400).astype("timedelta64[s]")
            table.insert(1, "date", first[0].astype("datetime64[s]") + seconds)
        return table
