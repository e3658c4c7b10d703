"""Contracts over time: the curve of retention, residual lifetimes by tenure, recurring revenue, replicated losses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.periods import renewal_date
from predclv.forecast.customers import Thetas
from predclv.inference.evidence import Replicated
from predclv.kernels.contracts import forecast as kernel
from predclv.kernels.contracts.simulation import simulate_revenue

__all__ = ["Path", "replicate_losses", "residual_lifetimes", "retention_curve", "revenue_path", "with_dates"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Renewals told apart where losses are replicated.
_MOST_RENEWALS = 12


def retention_curve(
    center: FloatArray, draws: FloatArray, periods: int, level: float, n_customers: int | None, seed: int
) -> pd.DataFrame:
    """See `ContractModel.retention_curve`."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    rates, rates_center = kernel.retention_rates(periods, draws), kernel.retention_rates(periods, center)
    left = _with_start(np.cumprod(rates, axis=1), 1.0)
    left_center = _with_start(np.cumprod(rates_center, axis=1), 1.0)
    low, high = np.quantile(left, ends, axis=0, method="inverted_cdf")
    # Of those who came to a renewal: the mean over draws is weighted by how many did.
    mean_left = left_center.mean(axis=0)
    rate_low, rate_high = np.quantile(rates, ends, axis=0, method="inverted_cdf")
    table = {
        "period": np.arange(periods + 1),
        "survival": mean_left,
        "survival_low": low,
        "survival_high": high,
        "retention": np.r_[np.nan, mean_left[1:] / mean_left[:-1]],
        "retention_low": np.r_[np.nan, rate_low],
        "retention_high": np.r_[np.nan, rate_high],
    }
    if n_customers is not None:
        rng = np.random.default_rng([seed, 1])
        cohort = np.full((len(draws), periods + 1), n_customers, dtype=np.int64)
        for t in range(periods):
            cohort[:, t + 1] = rng.binomial(cohort[:, t], rates[:, t])
        cohort_low, cohort_high = np.quantile(cohort, ends, axis=0, method="inverted_cdf")
        table |= {
            "expected_customers": n_customers * mean_left,
            "customers_low": cohort_low,
            "customers_high": cohort_high,
        }
    return pd.DataFrame(table)


def residual_lifetimes(
    thetas: Thetas, tenure: IntArray, ended: NDArray[np.bool_], n_renewals: float, rate: float, level: float
) -> dict[str, FloatArray]:
    """Columns of `ContractModel.expected_residual_lifetime`, each (n_contracts,)."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    distinct, inverse = np.unique(tenure.astype(np.float64), return_inverse=True)
    n = np.full(len(distinct), n_renewals)
    low, high = np.quantile(
        kernel.discounted_renewals(distinct, n, rate, thetas.for_means()), ends, axis=0, method="inverted_cdf"
    )
    columns = {
        "expected_residual_lifetime": kernel.expected_renewals(distinct, n, 0.0, thetas.center),
        "discounted_residual_lifetime": kernel.expected_renewals(distinct, n, rate, thetas.center),
        "discounted_low": low,
        "discounted_high": high,
    }
    return {name: np.where(ended, 0.0, column[inverse]) for name, column in columns.items()}


@dataclass(frozen=True)
class Path:
    """Customers and revenue of some contracts after 0, 1, 2, ... periods.

    Attributes
    ----------
    expected_customers, expected : (n_periods + 1,) arrays
    means : (n_draws, n_periods + 1) array
        Expected revenue by draw.
    customers, revenue : (n_draws, n_periods + 1) arrays
        Simulated.
    """

    expected_customers: FloatArray
    expected: FloatArray
    means: FloatArray
    customers: FloatArray
    revenue: FloatArray


def revenue_path(
    thetas: Thetas, tenure: FloatArray, price: FloatArray, n_periods: int, *, seed: tuple[int, int]
) -> Path:
    """Follow running contracts, (n_contracts,), for so many periods, in each of which every one comes to a renewal."""
    distinct, inverse = np.unique(tenure, return_inverse=True)
    each = np.bincount(inverse, minlength=len(distinct)).astype(np.float64)
    money = np.bincount(inverse, weights=price, minlength=len(distinct))
    draws = thetas.for_means()
    stay = kernel.mean_survival_table(distinct, n_periods, thetas.center)
    means = np.empty((len(draws), n_periods + 1))
    for d in range(len(draws)):
        means[d] = (money[:, np.newaxis] * kernel.mean_survival_table(distinct, n_periods, draws[d : d + 1])).sum(
            axis=0
        )
    key = int(np.random.SeedSequence(seed).generate_state(1)[0])
    customers, revenue = simulate_revenue(tenure, price, n_periods, draws, key)
    return Path(
        (each[:, np.newaxis] * stay).sum(axis=0), (money[:, np.newaxis] * stay).sum(axis=0), means, customers, revenue
    )


def with_dates(paths: Sequence[Path], level: float, observation_end: dt.date | None, period: str) -> pd.DataFrame:
    """Paths of parts added up draw by draw, as the table of `ContractModel.recurring_revenue`."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    # Parts' draws belong together row by row.
    total = Path(*(np.sum([getattr(path, name) for path in paths], axis=0) for name in Path.__dataclass_fields__))
    n = len(total.expected)
    table: dict[str, Any] = {"period": np.arange(n)}
    if observation_end is not None:
        start = np.full(n, np.datetime64(f"{observation_end:%Y-%m-%d}", "D"))
        table["date"] = renewal_date(start, np.arange(n), period).astype("datetime64[us]")
    for name, mean, draws in (
        ("customers", total.expected_customers, total.customers),
        ("mrr", total.expected, total.revenue),
    ):
        low, high = np.quantile(draws, ends, axis=0, method="inverted_cdf")
        table |= {f"expected_{name}": mean, f"{name}_low": low, f"{name}_high": high}
    low, high = np.quantile(total.means, ends, axis=0, method="inverted_cdf")
    return pd.DataFrame({**table, "expected_mrr_low": low, "expected_mrr_high": high})


def replicate_losses(stayed: FloatArray, left: FloatArray, theta: FloatArray, seed: int) -> Replicated:
    """Customers lost by renewal, of the data and of replicated data in which as many come to each renewal."""
    rng = np.random.default_rng(seed)
    came = (stayed + left).astype(np.int64)
    lost = rng.binomial(came, 1.0 - kernel.retention_rates(len(came), theta))
    bins = np.minimum(np.arange(len(came)), _MOST_RENEWALS)
    n_bins = int(bins[-1]) + 1
    names = [str(i + 1) for i in range(n_bins)]
    if n_bins > _MOST_RENEWALS:
        names[-1] += "+"
    by_bin = np.zeros((len(theta), n_bins), dtype=np.int64)
    np.add.at(by_bin.T, bins, lost.T)
    observed = np.bincount(bins, weights=left, minlength=n_bins).astype(np.int64)
    return Replicated("lost_at_renewal", tuple(names), observed, by_bin)


def _with_start(columns: FloatArray, value: float) -> FloatArray:
    return np.column_stack((np.full(len(columns), value), columns))
