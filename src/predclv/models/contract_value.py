"""Value of contracts: renewals by a contract model, at the contracts' own prices, discounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data import compatible
from predclv.data.columns import check_margin, margins
from predclv.data.periods import DAYS_PER_PERIOD, parse_periods
from predclv.data.subscriptions import Subscriptions
from predclv.forecast import contracts as forecast
from predclv.forecast import portfolio
from predclv.forecast.contracts import Contracts
from predclv.forecast.value_path import ValuePath, contract_path, path_times
from predclv.inference.posterior import check_level, check_number
from predclv.models.contract_inputs import contracts_of, horizon_rate, require_price, whole_weights
from predclv.models.contracts import ContractModel
from predclv.models.estimates import MEAN_DRAWS, Estimate, center_draws
from predclv.models.horizons import warn_long_horizon
from predclv.models.pair import choose_segment
from predclv.models.valuation import THREE_YEARS_IN_DAYS, portfolio_segments, portfolio_table, seed_of_part

__all__ = ["ContractValue"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Task:
    """A checked request: how many periods, at what continuous rate a period, and for which contracts."""

    length: float
    rate: float
    contracts: Contracts

    @property
    def is_endless(self) -> bool:
        """Whether the horizon is infinite."""
        return bool(np.isinf(self.length))


@dataclass(frozen=True)
class ContractValue:
    """What renewals are worth; a `Valuation`, whose options `CLV` explains.

    Attributes
    ----------
    model : ContractModel
        Fitted.
    """

    model: ContractModel

    def score(self, subs: Subscriptions) -> float:
        """See `Valuation`."""
        return self.model.score(cast(Any, subs))

    def predict(
        self,
        subs: Subscriptions,
        horizon: Any,
        *,
        discount_rate: float,
        margin: float | str,
        level: float,
        estimate: Estimate | None,
    ) -> Any:
        """See `Valuation`."""
        task = self._task(subs, horizon, discount_rate, margin, level)
        table: dict[str, NDArray[Any]] = {"customer_id": subs.customer_id, "p_alive": np.where(subs.ended, 0.0, 1.0)}
        for model, _, rows in self.model.contract_parts(subs):
            contracts = task.contracts.take(rows)
            thetas = model.thetas(estimate, n_center=center_draws(task.length))
            columns: dict[str, NDArray[Any]] = forecast.count_columns(thetas, contracts, level, endless=task.is_endless)
            columns |= forecast.value_columns(thetas, contracts, task.rate, level)
            for name, column in columns.items():
                table.setdefault(name, np.empty(len(subs), dtype=column.dtype))[rows] = column
        return subs.to_native(pd.DataFrame(table))

    def portfolio(
        self,
        subs: Subscriptions,
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
        task = self._task(subs, horizon, discount_rate, margin, level)
        names, codes = portfolio_segments(subs, by)
        n_segments = max(len(names), 1)
        customers = whole_weights(subs)
        draws = portfolio.number_of_draws(int(customers.sum()), n_segments) if n_draws is None else n_draws
        mean_draws = draws if np.isfinite(task.length) else MEAN_DRAWS
        long_run = THREE_YEARS_IN_DAYS / subs.days_per_period
        sums, totals = [], []
        for number, (model, _, rows) in enumerate(self.model.contract_parts(subs)):
            # A row of a cohort stands for many, each with a future of their own.
            each = np.repeat(rows, customers[rows])
            contracts = replace(task.contracts.take(each), segment=codes[each])
            thetas = model.thetas(estimate, mean_draws, center_draws(task.length))
            early = np.minimum(contracts.n_renewals, forecast.renewals_due(contracts.next_renewal, long_run))
            found = forecast.expected_sums(thetas, contracts, task.rate, n_segments, early, endless=task.is_endless)
            if task.length <= long_run:
                # Nothing lies beyond: there is no share to tell.
                found.columns["early_clv"] = np.full(n_segments, np.nan)
            sums.append(found)
            # Parts' draws belong together row by row, and chance in one part is not that in another.
            theta = model.full_theta(model.posterior_.draws_array(draws))
            seed = seed_of_part(int(self.model.random_state), number)
            totals.append(forecast.simulate(contracts, task.rate, n_segments, theta, seed=seed))
        return portfolio_table(names, sums, totals, by=by, level=level, finite=bool(np.isfinite(task.length)))

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
        check_level(level)
        model, price = self._of_new_customer(segment, covariates, price)
        period = model.fingerprint_.time_unit
        parsed = parse_periods(horizon, period)
        rate = horizon_rate(discount_rate, parsed.length, period)
        warn_long_horizon(parsed, model.fingerprint_.longest_age, period)
        one = np.ones(1)
        due = forecast.renewals_due(one, parsed.length)
        contracts = Contracts(0 * one, due, one, price * one, check_margin(margin) * one, np.zeros(1, dtype=np.int64))
        thetas = model.thetas(estimate, n_center=center_draws(parsed.length))
        by_count = forecast.count_columns(thetas, contracts, level, endless=bool(np.isinf(parsed.length)))
        by_value = forecast.value_columns(thetas, contracts, rate, level, first_payment=include_first)
        return pd.DataFrame({"p_alive": one, **by_count, **by_value})

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
        """See `Valuation`; every period of the first ten years is a time, whatever `n_times`."""
        model, price = self._of_new_customer(segment, covariates, price)
        period = model.fingerprint_.time_unit
        parsed = parse_periods(horizon, period)
        rate = horizon_rate(discount_rate, parsed.length, self.model.fingerprint_.time_unit)
        warn_long_horizon(parsed, model.fingerprint_.longest_age, period)
        thetas = model.thetas(estimate, n_draws, center_draws(parsed.length))
        ten_years = 10 * DAYS_PER_PERIOD["year"] / DAYS_PER_PERIOD[period]
        times = path_times(parsed.length, n_times, ten_years, whole=True)
        return contract_path(thetas, times, rate, price, check_margin(margin), first_payment=include_first)

    def _of_new_customer(
        self, segment: str | Mapping[str, str] | None, covariates: Mapping[str, Any] | None, price: float | None
    ) -> tuple[ContractModel, float]:
        model = self.of_segment(segment).model
        if covariates is not None:
            raise ValueError(f"{type(model).__name__} has no covariates. Leave covariates={covariates!r} out.")
        if price is None or not 0 <= check_number("price", price) < np.inf:
            raise ValueError(f"A new contract needs price=, at least 0: what each period costs. Got {price!r}.")
        return model, float(price)

    def of_segment(self, segment: str | Mapping[str, str] | None) -> ContractValue:
        """See `Valuation`."""
        if segment is not None and not self.model.segments_:
            raise ValueError(f"The models have no segments. Leave segment={segment!r} out.")
        return ContractValue(choose_segment(self.model, segment))

    def _task(
        self, subs: Subscriptions, horizon: Any, discount_rate: float, margin: float | str, level: float
    ) -> _Task:
        check_level(level)
        length = self.model.length(subs, horizon)
        compatible.check_currency(self.model.fingerprint_.currency, subs.currency)
        require_price(subs)
        rate = horizon_rate(discount_rate, length, self.model.fingerprint_.time_unit)
        return _Task(length, rate, contracts_of(subs, length, margins(cast(Any, subs), margin)))
