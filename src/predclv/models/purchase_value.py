"""Value of purchases: a transaction model and a spend model of the same customers, discounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import check_margin, margins, mean_spend
from predclv.data.durations import DAYS_PER_UNIT, Horizon
from predclv.data.rfm import RFMSummary
from predclv.forecast.customers import Customers, count_columns, value_columns
from predclv.forecast.value_path import ValuePath, path_times, purchase_path
from predclv.inference.posterior import check_level
from predclv.models.base import require_summary
from predclv.models.customer_table import Request, value_parts
from predclv.models.estimates import Estimate, center_draws
from predclv.models.horizons import parse_discount_rate, warn_long_horizon
from predclv.models.pair import Pair
from predclv.models.purchase_outlook import PurchaseOutlook, ValueTask
from predclv.models.valuation import portfolio_segments, portfolio_table

__all__ = ["PurchaseValue", "ValueTask"]


@dataclass(frozen=True)
class PurchaseValue:
    """What customers' purchases are worth; a `Valuation`, whose options `CLV` explains.

    Attributes
    ----------
    pair : Pair
        Fitted.
    """

    pair: Pair

    def score(self, rfm: RFMSummary) -> float:
        """See `Valuation`."""
        return self.pair.transactions.score(rfm) + self.pair.spend.score(rfm)

    def predict(
        self,
        rfm: RFMSummary,
        horizon: Any,
        *,
        discount_rate: float,
        margin: float | str,
        level: float,
        estimate: Estimate | None,
    ) -> Any:
        """See `Valuation`."""
        task = self.task(rfm, horizon, discount_rate, margin, level)
        request = Request(task.horizon.length, task.delta, level, estimate)
        table: dict[str, NDArray[Any]] = {}
        for rows, columns in value_parts(self.pair, rfm, task.customers, request):
            for name, column in columns.items():
                table.setdefault(name, np.empty(len(rfm), dtype=column.dtype))[rows] = column
        ordered = {name: table[name] for name in request.columns}
        return rfm.to_native(pd.DataFrame({"customer_id": rfm.customer_id, **ordered}))

    def portfolio(
        self,
        rfm: RFMSummary,
        horizon: Any,
        *,
        by: str | None,
        discount_rate: float,
        margin: float | str,
        level: float,
        estimate: Estimate | None,
        n_draws: int | None,
    ) -> pd.DataFrame:
        """See `Valuation`."""
        require_summary(rfm)
        rfm.require_customers("A portfolio, which simulates each customer by themselves,")
        names, codes = portfolio_segments(rfm, by)
        task = self.task(rfm, horizon, discount_rate, margin, level)
        outlook = PurchaseOutlook(self.pair, rfm, task, estimate)
        sums, totals = outlook.totals(codes, max(len(names), 1), n_draws)
        finite = bool(np.isfinite(task.horizon.length))
        return portfolio_table(names, sums, totals, by=by, level=level, finite=finite)

    def outlook(
        self, rfm: RFMSummary, horizon: Any, *, discount_rate: float, margin: float | str, estimate: Estimate | None
    ) -> PurchaseOutlook:
        """See `Valuation`."""
        require_summary(rfm)
        rfm.require_customers("What is said of groups of customers")
        task = self.task(rfm, horizon, discount_rate, margin)
        return PurchaseOutlook(self.pair, rfm, task, estimate)

    def new_customer(
        self,
        horizon: Any,
        *,
        segment: str | Mapping[str, str] | None,
        covariates: Mapping[str, Any] | None,
        include_first: bool,
        price: float | None,
        discount_rate: float,
        margin: float,
        level: float,
        estimate: Estimate | None,
    ) -> pd.DataFrame:
        """See `Valuation`."""
        _refuse_price(price)
        check_level(level)
        pair = self.pair.of_segment(segment).of_covariates(covariates)
        parsed = self.pair.transactions.parse_horizon(horizon, self._time_unit, None)
        delta = parse_discount_rate(discount_rate, parsed, self._time_unit)
        margin = check_margin(margin)
        self._warn_long(parsed)
        counts, spend = pair.thetas(estimate, n_center=center_draws(parsed.length))
        bindings = self.pair.transactions.bindings
        zero = np.zeros(1)
        customer = Customers(zero, zero, zero, zero, np.array([margin]), np.zeros(1, dtype=np.int64))
        by_count = count_columns(bindings, counts, zero, zero, zero, parsed.length, level)
        by_value = value_columns(
            bindings, counts, spend, customer, parsed.length, delta, level, first_purchase=include_first
        )
        return pd.DataFrame({**by_count, **by_value})

    def new_customer_path(
        self,
        horizon: Any,
        *,
        segment: str | Mapping[str, str] | None,
        covariates: Mapping[str, Any] | None,
        include_first: bool,
        price: float | None,
        discount_rate: float,
        margin: float,
        estimate: Estimate | None,
        n_times: int,
        n_draws: int,
    ) -> ValuePath:
        """See `Valuation`."""
        _refuse_price(price)
        pair = self.pair.of_segment(segment).of_covariates(covariates)
        parsed = self.pair.transactions.parse_horizon(horizon, self._time_unit, None)
        delta = parse_discount_rate(discount_rate, parsed, self._time_unit)
        self._warn_long(parsed)
        endless = center_draws(parsed.length)
        counts, spend = pair.thetas(estimate, n_draws if endless is None else min(n_draws, endless), endless)
        bindings = self.pair.transactions.bindings
        ten_years = 10 * DAYS_PER_UNIT["year"] / DAYS_PER_UNIT[self._time_unit]
        times = path_times(parsed.length, n_times, ten_years, whole=bindings.counts_opportunities)
        return purchase_path(bindings, counts, spend, times, delta, check_margin(margin), first_purchase=include_first)

    def of_segment(self, segment: str | Mapping[str, str] | None) -> PurchaseValue:
        """See `Valuation`."""
        return PurchaseValue(self.pair.of_segment(segment))

    @property
    def _time_unit(self) -> str:
        return self.pair.transactions.fingerprint_.time_unit

    def task(
        self,
        rfm: RFMSummary,
        horizon: Any,
        discount_rate: float,
        margin: float | str,
        level: float = 0.9,
    ) -> ValueTask:
        """Check a request, and warn of it, as `CLV.predict` does."""
        require_summary(rfm)
        rfm.require_joint_spend("A forecast of value")
        check_level(level)
        fitted = self.pair.spend.fingerprint_
        rfm.require_compatible(time_unit=self._time_unit, currency=fitted.currency, collapse=fitted.collapse)
        self.pair.transactions.check_counts(rfm)
        parsed = self.pair.transactions.parse_horizon(horizon, rfm.time_unit, rfm.observation_end)
        delta = parse_discount_rate(discount_rate, parsed, self._time_unit)
        customers = Customers(
            rfm.frequency.astype(np.float64),
            rfm.recency,
            rfm.T,
            mean_spend(rfm),
            margins(rfm, margin),
            np.zeros(len(rfm), dtype=np.int64),
        )
        self._warn_long(parsed)
        self.pair.transactions.warn_outside(rfm)
        return ValueTask(parsed, delta, customers)

    def _warn_long(self, horizon: Horizon) -> None:
        warn_long_horizon(horizon, self.pair.transactions.fingerprint_.longest_age, self._time_unit)


def _refuse_price(price: float | None) -> None:
    if price is not None:
        raise ValueError("price= is what a contract costs; what a purchase is worth, the spend model says.")
