"""What priors say of customers, before any data: simulated firms, each with simulated customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.priors.distributions import Prior
from predclv.priors.settle import AGE, BASKET, DAYS

__all__ = ["PriorPredictive", "predict_prior"]

FloatArray = NDArray[np.float64]

_COUNTS = ("r", "alpha", "a", "b")
_SPEND = ("p", "q", "gamma")
_MONTHS = np.arange(25) / 12.0


@dataclass(frozen=True, eq=False)
class PriorPredictive:
    """Firms as the priors imagine them. What the priors do not speak of is None.

    Attributes
    ----------
    purchases : (n_firms, n_customers) array or None
        Purchases a year that a customer would make in the long run, while a customer.
    survival : (n_firms, n_times) array or None
        Share of customers who have not left, by time since the first purchase; needs all of r, alpha, a, b.
    years : (n_times,) array
        The times.
    spend : (n_firms, n_customers) array or None
        One purchase of each customer.
    mean_spend : (n_firms,) array or None
        Mean purchase.
    """

    purchases: FloatArray | None
    survival: FloatArray | None
    years: FloatArray
    spend: FloatArray | None
    mean_spend: FloatArray | None

    @property
    def summary(self) -> pd.DataFrame:
        """One row a statement: what, low (5 %), median and high (95 %) over firms, or over all firms' customers."""
        rows = {}
        if self.purchases is not None:
            rows["purchases a year, mean of a firm's customers"] = self.purchases.mean(axis=1)
            rows["purchases a year, a customer"] = self.purchases.ravel()
        if self.survival is not None:
            for year in (1, 2):
                at = int(np.argmin(np.abs(self.years - year)))
                rows[f"share still customers after {year} year{'s' if year > 1 else ''}"] = self.survival[:, at]
        if self.mean_spend is not None and self.spend is not None:
            rows["mean purchase of a firm"] = self.mean_spend
            rows["a purchase"] = self.spend.ravel()
        table = pd.DataFrame({name: np.quantile(values, [0.05, 0.5, 0.95]) for name, values in rows.items()}).T
        table.columns = pd.Index(["low", "median", "high"])
        return table.rename_axis("what").reset_index()


def predict_prior(
    priors: Mapping[str, Prior],
    *,
    time_unit: str | None = None,
    n_firms: int = 400,
    n_customers: int = 200,
    seed: int = 0,
) -> PriorPredictive:
    """Simulate what priors of BG/NBD, of Gamma-Gamma, or of both say of customers.

    Parameters
    ----------
    priors : mapping of parameter name to prior
        r and alpha give purchases, with a and b survival; p, q and gamma give spend. A model's defaults, too, by
        `model.priors_for(rfm)`; the alpha of BGCNBD and MBGCNBD is of events, k to a purchase: rescale it by k.
    time_unit : str, optional
        Of alpha, where its prior does not say.
    n_firms, n_customers : int
        Draws of the parameters, and customers for each.
    seed : int

    Raises
    ------
    ValueError
        The priors speak of neither purchases nor spend, or in units that only data have.
    """
    generator = np.random.default_rng(seed)
    theta = {name: prior.sample(generator, n_firms)[:, np.newaxis] for name, prior in priors.items()}
    size = (n_firms, n_customers)
    purchases = survival = spend = mean_spend = None
    if {"r", "alpha"} <= set(theta):
        alpha = theta["alpha"] * (_days(priors["alpha"], time_unit) / 365.25)
        purchases = generator.gamma(np.broadcast_to(theta["r"], size)) / alpha
        if {"a", "b"} <= set(theta):
            leaving = purchases * generator.beta(theta["a"], theta["b"], size)
            survival = np.stack([np.exp(-leaving * time).mean(axis=1) for time in _MONTHS], axis=1)
    if set(_SPEND) <= set(theta):
        if priors["gamma"].measured_in == BASKET:
            raise ValueError("The prior of 'gamma' is in baskets of the data. Resolve it with model.priors_for(rfm).")
        rate = generator.gamma(np.broadcast_to(theta["q"], size)) / theta["gamma"]
        spend = generator.gamma(np.broadcast_to(theta["p"], size)) / rate
        mean_spend = (theta["p"] * theta["gamma"] / (theta["q"] - 1.0))[:, 0]
    if purchases is None and spend is None:
        raise ValueError(
            f"Priors of {', '.join(_COUNTS[:2])} are needed for purchases, or of {', '.join(_SPEND)} for spend. "
            f"Got {', '.join(priors) or 'none'}."
        )
    return PriorPredictive(purchases, survival, _MONTHS.copy(), spend, mean_spend)


def _days(alpha: Prior, time_unit: str | None) -> float:
    unit = alpha.measured_in or time_unit
    if unit == AGE:
        raise ValueError("The prior of 'alpha' is in ages of the data. Resolve it with model.priors_for(rfm).")
    if unit not in DAYS:
        raise ValueError(f"Say the time unit of 'alpha': time_unit must be one of {', '.join(DAYS)}. Got {unit!r}.")
    return DAYS[unit]
