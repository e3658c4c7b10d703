"""Contract models: whether a contract is renewed. From a fit to retention, renewals and recurring revenue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.periods import DAYS_PER_PERIOD, parse_periods
from predclv.data.subscriptions import Subscriptions
from predclv.forecast.contract_paths import residual_lifetimes, retention_curve, revenue_path, with_dates
from predclv.forecast.contracts import count_columns
from predclv.inference.posterior import check_level
from predclv.kernels.contracts import forecast as contracts_forecast
from predclv.models.contracts.base import ContractBase
from predclv.models.contracts.inputs import continuous_rate, contracts_of, require_price, whole_weights
from predclv.models.contracts.tenure import tenure_table
from predclv.models.estimates import Estimate, choose_theta

if TYPE_CHECKING:
    from predclv.models.explanation import Explanation

__all__ = ["ContractModel"]


class ContractModel(ContractBase):
    """Base of the models of renewals: see `Model` for parameters and fitted attributes."""

    def retention_curve(
        self, periods: int = 12, *, level: float = 0.9, n_customers: int | None = None, estimate: Estimate | None = None
    ) -> pd.DataFrame:
        """Share of new customers who are left after 0, 1, ..., periods renewals, and who renew each time.

        Parameters
        ----------
        periods : int
        level : float
            Probability of the intervals, equal-tailed.
        n_customers : int, optional
            Also forecast a cohort of so many: chance is then in the interval of who is left, beside the parameters.
        estimate : "point" or "draws", optional

        Returns
        -------
        DataFrame
            period, survival, survival_low, survival_high, retention (of those who came to that renewal; NaN at 0),
            retention_low, retention_high; with `n_customers` also expected_customers, customers_low, customers_high.
            Intervals of shares are those of the mean, parameter uncertainty alone.
        """
        check_is_fitted(self)
        check_level(level)
        self.require_one_population()
        for name, number in (("periods", periods), ("n_customers", n_customers)):
            whole = isinstance(number, int | np.integer) and not isinstance(number, bool) and number >= 1
            if not whole and not (name == "n_customers" and number is None):
                raise ValueError(f"{name!r} must be a whole number of at least 1. Got {number!r}.")
        center = self.full_theta(choose_theta(self.posterior_, estimate))
        draws = self.full_theta(self.posterior_.draws_array())
        return retention_curve(center, draws, int(periods), level, n_customers, int(self.random_state))

    def p_renew(self, subs: Subscriptions, *, estimate: Estimate | None = None) -> Any:
        """Probability that each contract makes its next renewal; 0 for those that have ended.

        Returns
        -------
        frame of customer_id, p_renew, of the type the subscriptions were made from
        """
        self._check_use(subs)

        def of_part(model: Self, part: Subscriptions) -> dict[str, NDArray[Any]]:
            theta = self.full_theta(choose_theta(model.posterior_, estimate))
            tenure, inverse = np.unique(part.tenure.astype(np.float64), return_inverse=True)
            stay = contracts_forecast.mean_survival(tenure, np.ones(len(tenure)), theta)[inverse]
            return {"p_renew": np.where(part.ended, 0.0, stay)}

        return subs.to_native(self._by_contract(subs, of_part))

    def expected_renewals(self, subs: Subscriptions, horizon: Any, *, estimate: Estimate | None = None) -> Any:
        """Expected renewals of each contract within the horizon, given its tenure.

        Returns
        -------
        frame of customer_id, expected_renewals, of the type the subscriptions were made from
            Over an infinite horizon infinite for running contracts where the tail of lifetimes is that heavy: alpha c
            (alpha, without c) at most 1.
        """
        length = self.length(subs, horizon)

        def of_part(model: Self, part: Subscriptions) -> dict[str, NDArray[Any]]:
            theta = self.full_theta(choose_theta(model.posterior_, estimate))
            tenure, n, inverse = contracts_of(part, length).distinct()
            return {"expected_renewals": contracts_forecast.expected_renewals(tenure, n, 0.0, theta)[inverse]}

        return subs.to_native(self._by_contract(subs, of_part))

    def expected_residual_lifetime(
        self,
        subs: Subscriptions,
        horizon: Any = np.inf,
        *,
        discount_rate: float = 0.10,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> Any:
        """Periods that a running contract has before it, just before its next renewal is due.

        Parameters
        ----------
        subs : Subscriptions
        horizon : str, number, date or `math.inf`
            How far to count from that renewal; finite, so many renewals as whole periods fit.
        discount_rate : float
            Effective, a year.
        level : float
            Of the interval of the discounted value: parameter uncertainty alone.
        estimate : "point" or "draws", optional

        Returns
        -------
        frame, one row a contract, of the type the subscriptions were made from
            customer_id, tenure, expected_residual_lifetime (periods; infinite where the mean of the model is),
            discounted_residual_lifetime (DERL: a payment of 1 a period is worth so much, the one now due in full),
            discounted_low, discounted_high. 0 for contracts that have ended.

        References
        ----------
        Fader & Hardie (2010), Customer-Base Valuation in a Contractual Setting: The Perils of Ignoring Heterogeneity,
        Marketing Science 29(1).
        """
        self._check_use(subs)
        check_level(level)
        length = np.floor(parse_periods(horizon, subs.period, subs.observation_end).length + 1e-9)
        rate = continuous_rate(discount_rate, subs.period)

        def of_part(model: Self, part: Subscriptions) -> dict[str, NDArray[Any]]:
            lifetimes = residual_lifetimes(model.thetas(estimate), part.tenure, part.ended, length, rate, level)
            return {"tenure": part.tenure, **lifetimes}

        return subs.to_native(self._by_contract(subs, of_part))

    def by_tenure(
        self,
        subs: Subscriptions,
        horizon: Any = np.inf,
        *,
        discount_rate: float = 0.10,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> pd.DataFrame:
        """What is to be expected of the contracts that run, one row for each number of renewals made.

        Parameters
        ----------
        subs, horizon, discount_rate, level, estimate
            As in `expected_residual_lifetime`.

        Returns
        -------
        DataFrame
            tenure, customers (who run), p_renew, p_renew_low, p_renew_high (of the next renewal; the interval of the
            mean), then the columns of `expected_residual_lifetime`.

        Raises
        ------
        DataError
            No contract runs.
        ValueError
            Each segment has parameters of its own: ask one of `segments_`.
        """
        return tenure_table(self, subs, horizon, discount_rate=discount_rate, level=level, estimate=estimate)

    def renewal_distribution(self, subs: Subscriptions, horizon: Any, *, estimate: Estimate | None = None) -> Any:
        """Exact probabilities of 0, 1, 2, ... renewals of each contract within the horizon.

        Returns
        -------
        frame of customer_id, n, probability, one row a contract and number
            Up to the renewals that come up within the horizon, which is finite; 0 alone for ended contracts.
        """
        length = self.length(subs, horizon)
        if not np.isfinite(length):
            raise ValueError("The distribution over an infinite horizon has no last number. Give a finite horizon.")
        tables = []
        for model, part, rows in self.contract_parts(subs):
            theta = self.full_theta(choose_theta(model.posterior_, estimate))
            tenure, n, inverse = contracts_of(part, length).distinct()
            table = contracts_forecast.mean_survival_table(tenure, int(n.max(initial=0)), theta)
            own = n[inverse].astype(np.int64) + 1
            count = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
            row = np.repeat(inverse, own)
            beyond = np.column_stack((table, np.zeros(len(table))))[row, count + 1]
            # At the last renewal that comes up everything is left.
            beyond = np.where(count == np.repeat(own, own) - 1, 0.0, beyond)
            tables.append(
                pd.DataFrame({"at": np.repeat(rows, own), "n": count, "probability": table[row, count] - beyond})
            )
        found = pd.concat(tables).sort_values("at", kind="stable").reset_index(drop=True)
        found.insert(0, "customer_id", subs.customer_id[found.pop("at").to_numpy()])
        return subs.to_native(found)

    def predict(
        self, subs: Subscriptions, horizon: Any, *, level: float = 0.9, estimate: Estimate | None = None
    ) -> Any:
        """Forecast each contract's renewals within a horizon after the as-of date.

        Parameters
        ----------
        subs : Subscriptions
            In the period of the fit.
        horizon : str, number, Timedelta or date
            "12 months", "1 year", an end date, a number of periods, or `math.inf`. A renewal due at its end counts.
        level : float
            Probability of the predictive interval, equal-tailed, parameter uncertainty included.
        estimate : "point" or "draws", optional
            Where expectations are taken; by default the point for maximum likelihood.

        Returns
        -------
        frame, one row a contract, of the type the subscriptions were made from
            customer_id, p_alive (1 while it runs, else 0), p_purchase (of at least one renewal), expected_purchases
            (renewals), purchases_low, purchases_high. Over an infinite horizon the last three are NaN.

        Raises
        ------
        UnitError
            The subscriptions are renewed by another period than those of the fit.
        """
        check_level(level)
        length = self.length(subs, horizon)

        def of_part(model: Self, part: Subscriptions) -> dict[str, NDArray[Any]]:
            columns = count_columns(
                model.thetas(estimate), contracts_of(part, length), level, endless=bool(np.isinf(length))
            )
            return {"p_alive": np.where(part.ended, 0.0, 1.0), **columns}

        return subs.to_native(self._by_contract(subs, of_part))

    def explain(
        self,
        subs: Subscriptions,
        customer_id: Any,
        horizon: Any,
        *,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> Explanation:
        """Say why the forecast of one customer's contract is what it is.

        Of several contracts of a customer it is the one that runs, and the last row of those.

        Parameters
        ----------
        subs : Subscriptions
            In which the customer is.
        customer_id : object
            As in `subs.customer_id`.
        horizon, level, estimate
            As in `predict`.

        Returns
        -------
        Explanation
            `print` says it in words; `plots.plot_explanation` draws it; docs/howto/explain.md goes through one.

        Raises
        ------
        DataError
            The customer is not among them.
        """
        from predclv.models.contracts.explain import explain_contract
        from predclv.models.explanation import Told

        def forecast(rows: Subscriptions) -> Any:
            return self.predict(rows, horizon, level=level, estimate=estimate)

        check_is_fitted(self)
        return explain_contract(self, subs, Told(customer_id, horizon, forecast, level, estimate), priced=False)

    def recurring_revenue(
        self,
        subs: Subscriptions,
        horizon: Any = "12 months",
        *,
        level: float = 0.9,
        estimate: Estimate | None = None,
        n_draws: int = 1024,
    ) -> pd.DataFrame:
        """Monthly recurring revenue of the contracts that run now, period by period; new customers are not in it.

        Parameters
        ----------
        subs : Subscriptions
            With prices.
        horizon : str, number or date
            Finite; cut to whole periods.
        level : float
        estimate : "point" or "draws", optional
        n_draws : int
            Joint draws, each with one simulation of every contract.

        Returns
        -------
        DataFrame
            period (0 is now), date (where the as-of date is known), expected_customers, customers_low, customers_high,
            expected_mrr, mrr_low, mrr_high (the outcome's interval), expected_mrr_low, expected_mrr_high (the mean's).
            Revenue a period is brought to an average month, of 365.25 / 12 days.
        """
        length = self.length(subs, horizon)
        check_level(level)
        if not (np.isfinite(length) and length >= 1 - 1e-9):
            raise ValueError(f"The horizon must hold at least one whole {subs.period}, and be finite. Got {horizon!r}.")
        price = require_price(subs) * DAYS_PER_PERIOD["month"] / subs.days_per_period
        n_periods = int(np.floor(length + 1e-9))
        paths = []
        for number, (model, part, rows) in enumerate(self.contract_parts(subs)):
            runs = ~part.ended
            each = np.repeat(np.flatnonzero(runs), whole_weights(part)[runs])
            paths.append(
                revenue_path(
                    model.thetas(estimate, n_draws),
                    part.tenure[each].astype(np.float64),
                    price[rows][each],
                    n_periods,
                    seed=(int(self.random_state), number),
                )
            )
        return with_dates(paths, level, subs.observation_end, subs.period)
