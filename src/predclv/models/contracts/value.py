"""Value of contracts: renewals by a contract model, at the contracts' own prices, discounted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data import compatible
from predclv.data.columns import check_margin, margins
from predclv.data.periods import DAYS_PER_PERIOD, parse_periods
from predclv.data.subscriptions import Subscriptions
from predclv.errors import see
from predclv.forecast import contracts as forecast
from predclv.forecast.contracts import Contracts
from predclv.forecast.value_path import ValuePath, contract_path, path_times
from predclv.inference.posterior import check_level, check_number
from predclv.models.contracts.inputs import contracts_of, horizon_rate, require_price, require_subscriptions
from predclv.models.contracts.model import ContractModel
from predclv.models.contracts.outlook import ContractOutlook, ContractTask
from predclv.models.estimates import Estimate, center_draws
from predclv.models.horizons import warn_long_horizon
from predclv.models.pair import choose_segment
from predclv.models.valuation import portfolio_segments, portfolio_table

__all__ = ["ContractValue"]

FloatArray = NDArray[np.float64]


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
        columns = ContractOutlook(self.model, subs, task, estimate).columns((), level)
        return subs.to_native(pd.DataFrame({"customer_id": subs.customer_id, **columns}))

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
        outlook = ContractOutlook(self.model, subs, task, estimate)
        sums, totals = outlook.totals(codes, max(len(names), 1), n_draws)
        return portfolio_table(names, sums, totals, by=by, level=level, finite=not task.is_endless)

    def outlook(
        self, subs: Subscriptions, horizon: Any, *, discount_rate: float, margin: float | str, estimate: Estimate | None
    ) -> ContractOutlook:
        """See `Valuation`."""
        require_subscriptions(subs)
        return ContractOutlook(self.model, subs, self._task(subs, horizon, discount_rate, margin), estimate)

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
            raise ValueError(
                f"A new contract needs price=, at least 0: what each period costs. Got {price!r}."
                + see("new customers")
            )
        return model, float(price)

    def of_segment(self, segment: str | Mapping[str, str] | None) -> ContractValue:
        """See `Valuation`."""
        if segment is not None and not self.model.segments_:
            raise ValueError(f"The models have no segments. Leave segment={segment!r} out.")
        return ContractValue(choose_segment(self.model, segment))

    def _task(
        self, subs: Subscriptions, horizon: Any, discount_rate: float, margin: float | str, level: float = 0.9
    ) -> ContractTask:
        check_level(level)
        length = self.model.length(subs, horizon)
        compatible.check_currency(self.model.fingerprint_.currency, subs.currency)
        require_price(subs)
        rate = horizon_rate(discount_rate, length, self.model.fingerprint_.time_unit)
        return ContractTask(length, rate, contracts_of(subs, length, margins(cast(Any, subs), margin)))
