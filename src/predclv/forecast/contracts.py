"""What contracts will be renewed and be worth, from plain arrays: columns by contract, totals, and paths of revenue.

`theta` is always (n_draws, 3), the alpha, beta and c of the kernels. An ended contract is one of which no renewal comes
up. A row's result depends on the parameters, the options and that row alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.customers import Thetas, times_margin
from predclv.forecast.portfolio import Sums, Totals
from predclv.kernels.contracts import forecast as kernel
from predclv.kernels.contracts.simulation import annuity, simulate_totals

__all__ = [
    "Contracts",
    "count_columns",
    "expected_sums",
    "renewals_due",
    "simulate",
    "value_columns",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Contracts:
    """What a forecast takes of contracts: (n_contracts,) arrays.

    Attributes
    ----------
    tenure : float array
        Renewals made.
    n_renewals : float array
        Renewals that come up within the horizon, 0 for ended contracts; may be infinite.
    next_renewal : float array
        Periods to the next renewal.
    price, margin : float arrays
        Paid at each renewal, and the share that is kept.
    segment : int64 array
        Code of the segment, from 0.
    """

    tenure: FloatArray
    n_renewals: FloatArray
    next_renewal: FloatArray
    price: FloatArray
    margin: FloatArray
    segment: IntArray

    def take(self, which: IntArray) -> Contracts:
        """Some of the contracts, in the order of `which`."""
        return Contracts(*(getattr(self, field.name)[which] for field in fields(self)))

    @property
    def worth(self) -> FloatArray:
        """What is kept of a payment."""
        return times_margin(self.margin, self.price)

    def distinct(self) -> tuple[FloatArray, FloatArray, IntArray]:
        """Distinct (tenure, renewals that come up), and which of them each contract has."""
        n, place = np.unique(self.n_renewals, return_inverse=True)
        code, inverse = np.unique(self.tenure.astype(np.int64) * len(n) + place, return_inverse=True)
        return (code // len(n)).astype(np.float64), n[code % len(n)], inverse


def renewals_due(next_renewal: FloatArray, horizon: float) -> FloatArray:
    """Renewals that come up within so many periods; one that is due at the very end counts."""
    # Sums of parts of a period are rounded; a renewal an hour late is none.
    return np.maximum(np.floor(horizon - next_renewal + 1e-9) + 1.0, 0.0)


def count_columns(
    thetas: Thetas, contracts: Contracts, level: float, *, endless: bool = False
) -> dict[str, NDArray[Any]]:
    """Columns on renewals, each (n_contracts,).

    Where the horizon has no end (`endless`) the mean need not exist: the last three are NaN, for ended contracts too.
    """
    tenure, n, inverse = contracts.distinct()
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    due = n > 0
    once = np.where(due, kernel.mean_survival(tenure, np.ones(len(tenure)), thetas.center), 0.0)
    if endless:
        expected = np.full(len(n), np.nan)
        low_high = np.full((len(n), 2), np.nan)
    else:
        expected = kernel.expected_renewals(tenure, n, 0.0, thetas.center)
        low_high = kernel.renewal_quantiles(tenure, n, thetas.draws, ends).astype(np.int64)
    columns = {
        "p_purchase": once,
        "expected_purchases": expected,
        "purchases_low": low_high[:, 0],
        "purchases_high": low_high[:, 1],
    }
    return {name: column[inverse] for name, column in columns.items()}


def value_columns(
    thetas: Thetas, contracts: Contracts, rate: float, level: float, *, first_payment: bool = False
) -> dict[str, FloatArray]:
    """Columns on price and value, each (n_contracts,).

    Parameters
    ----------
    rate : float
        Continuous discount rate per period.
    first_payment : bool
        Add a payment at time 0, for a customer about to be won.
    """
    tenure, n, inverse = contracts.distinct()
    ends = np.array([(1 - level) / 2, (1 + level) / 2])
    worth = contracts.worth
    soon = np.exp(-rate * contracts.next_renewal)
    now = 1.0 if first_payment else 0.0
    # The outcome rises with the number of renewals, so its quantiles are those of the number.
    counts = kernel.renewal_quantiles(tenure, n, thetas.draws, ends)
    outcome = annuity(counts, rate)[inverse]
    center = kernel.expected_renewals(tenure, n, rate, thetas.center)[inverse]
    by_draw = kernel.discounted_renewals(tenure, n, rate, thetas.for_means())
    mean_low, mean_high = np.quantile(by_draw, ends, axis=0, method="inverted_cdf")

    def value(periods: FloatArray) -> FloatArray:
        return worth * (now + soon * periods)

    return {
        "expected_spend": contracts.price,
        "expected_clv": value(center),
        "clv_low": value(outcome[:, 0]),
        "clv_high": value(outcome[:, 1]),
        "expected_clv_low": value(mean_low[inverse]),
        "expected_clv_high": value(mean_high[inverse]),
    }


def expected_sums(
    thetas: Thetas, contracts: Contracts, rate: float, n_segments: int, early: FloatArray, *, endless: bool = False
) -> Sums:
    """Expectations by segment, for `portfolio.expected_totals`.

    `early` are the renewals of each contract, of those that come up, which do not count as late; `endless` as in
    `count_columns`.
    """
    tenure, n, inverse = contracts.distinct()
    soon = contracts.worth * np.exp(-rate * contracts.next_renewal)
    purchases = np.full(len(n), np.nan) if endless else kernel.expected_renewals(tenure, n, 0.0, thetas.center)
    first = np.where(n > 0, kernel.mean_survival(tenure, np.ones(len(n)), thetas.center), 0.0)
    before = Contracts(
        contracts.tenure, early, contracts.next_renewal, contracts.price, contracts.margin, contracts.segment
    )
    tenure_early, n_early, inverse_early = before.distinct()
    early_sum = kernel.expected_renewals(tenure_early, n_early, rate, thetas.center)[inverse_early]
    columns = {
        "customers": np.ones(len(inverse)),
        "expected_buyers": first[inverse],
        "expected_purchases": purchases[inverse],
        "expected_clv": soon * kernel.expected_renewals(tenure, n, rate, thetas.center)[inverse],
        "early_clv": soon * early_sum,
    }
    # Contracts of one segment and one kind together: their sums are worked out once.
    code, back = np.unique(contracts.segment * len(n) + inverse, return_inverse=True)
    weight = np.bincount(back, weights=soon, minlength=len(code))
    by_draw = kernel.discounted_renewals(tenure, n, rate, thetas.for_means())
    means = [np.bincount(code // len(n), weight * one[code % len(n)], n_segments) for one in by_draw]
    sums = {
        name: np.bincount(contracts.segment, column, n_segments).astype(np.float64) for name, column in columns.items()
    }
    return Sums(sums, np.array(means))


def simulate(contracts: Contracts, rate: float, n_segments: int, theta: FloatArray, *, seed: int) -> Totals:
    """Simulate every contract once per draw and add up by segment, and in all."""
    renewals, value = simulate_totals(
        contracts.tenure,
        contracts.n_renewals,
        contracts.next_renewal,
        contracts.worth,
        contracts.segment,
        n_segments,
        rate,
        theta,
        seed,
    )
    return Totals(*(np.column_stack((one, one.sum(axis=1))) for one in (renewals, value)))
