"""Transaction models: when customers buy and when they leave. From a fit to forecasts of counts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.columns import histories
from predclv.data.durations import Horizon, parse_horizon
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, ExtrapolationWarning, warn
from predclv.forecast import purchases
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.customers import Thetas, count_columns
from predclv.forecast.replicates import replicate_frequencies
from predclv.inference.evidence import Replicate
from predclv.inference.posterior import check_level
from predclv.kernels.collapse import collapse
from predclv.models.base import Model, require_summary
from predclv.models.estimates import CUSTOMER_DRAWS, Estimate, center_draws, choose_theta
from predclv.models.horizons import check_finite_horizon, parse_discount_rate, warn_long_horizon
from predclv.models.likelihood import Likelihood

if TYPE_CHECKING:
    from predclv.models.explanation import Explanation

__all__ = ["TransactionModel"]

FloatArray = NDArray[np.float64]


class TransactionModel(Model):
    """Base of the models of purchase counts: see `Model` for parameters and fitted attributes."""

    KIND = "transactions"
    #: Where they are the same for every fit; a model that chooses among kernels overrides `bindings` instead.
    BINDINGS: ClassVar[TransactionBindings]

    @property
    def bindings(self) -> TransactionBindings:
        """The model's kernels, under the names by which forecasts call them."""
        return self.BINDINGS

    @property
    def needs_log_itt(self) -> bool:
        """Whether a fit takes a summary with the times between purchases (`regularity=True`)."""
        return False

    def parse_horizon(self, horizon: Any, time_unit: str, observation_end: dt.date | None) -> Horizon:
        """Read a horizon in the unit of a summary, as `predclv.data.durations.parse_horizon`, or refuse it."""
        return parse_horizon(horizon, time_unit, observation_end)

    def p_alive(self, rfm: RFMSummary, *, ahead: Any = None, estimate: Estimate | None = None) -> Any:
        """Probability that each customer has not left, given the history: now, or some time ahead.

        Parameters
        ----------
        rfm : RFMSummary
            In the time unit of the fit.
        ahead : str, number, Timedelta or date, optional
            "26 weeks" asks who will still be there 26 weeks after the as-of date; as the horizon of `predict`, and
            possibly infinite. Left out, the as-of date itself.
        estimate : "point" or "draws", optional
            As in `predict`.

        Returns
        -------
        frame of customer_id, p_alive, of the type the summary was made from

        Warns
        -----
        HorizonWarning
            `ahead` reaches further than any customer behind the fit has been observed.
        """
        self._check_use(rfm)
        length = 0.0
        if ahead is not None:
            self.warn_outside(rfm)
            try:
                parsed = self.parse_horizon(ahead, rfm.time_unit, rfm.observation_end)
            except DataError as error:
                raise DataError(str(error).replace("horizon=", "ahead=", 1)) from None
            warn_long_horizon(parsed, self.fingerprint_.longest_age, rfm.time_unit)
            length = parsed.length

        def of_rows(model: Self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> dict[str, NDArray[Any]]:
            theta = choose_theta(model.posterior_, estimate)
            return {"p_alive": model.bindings.mean_p_alive(x, t_x, T, theta, length)}

        return rfm.to_native(self._by_customer(rfm, of_rows))

    def expected_purchases(self, rfm: RFMSummary, horizon: Any, *, estimate: Estimate | None = None) -> Any:
        """Expected purchases of each customer within the horizon, given the history.

        Returns
        -------
        frame of customer_id, expected_purchases, of the type the summary was made from
        """
        length = self._length(rfm, horizon)

        def of_rows(model: Self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> dict[str, NDArray[Any]]:
            theta = choose_theta(model.posterior_, estimate)
            return {"expected_purchases": self.bindings.mean_expected_purchases(x, t_x, T, length, theta)}

        return rfm.to_native(self._by_customer(rfm, of_rows))

    def discounted_expected_purchases(
        self, rfm: RFMSummary, horizon: Any, *, discount_rate: float = 0.10, estimate: Estimate | None = None
    ) -> Any:
        """Expected purchases of each customer within the horizon, each discounted to the as-of date.

        Over an infinite horizon: DERT, the discounted expected residual transactions. Times a mean spend and a margin
        they are the customer's value, which `CLV` gives with intervals.

        Parameters
        ----------
        rfm, horizon, estimate
            As in `predict`; the horizon may be infinite where the discount rate is above 0.
        discount_rate : float
            Effective, a year of 365.25 days: 0.10 is 10 %. Discounting is continuous.

        Returns
        -------
        frame of customer_id, discounted_expected_purchases, of the type the summary was made from

        Raises
        ------
        ValueError
            Horizon or discount rate mean nothing.
        """
        self._check_use(rfm)
        self.warn_outside(rfm)
        parsed = self.parse_horizon(horizon, rfm.time_unit, rfm.observation_end)
        delta = parse_discount_rate(discount_rate, parsed, rfm.time_unit)
        warn_long_horizon(parsed, self.fingerprint_.longest_age, rfm.time_unit)

        def of_rows(model: Self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> dict[str, NDArray[Any]]:
            theta = choose_theta(model.posterior_, estimate)[: center_draws(parsed.length)]
            found = purchases.mean_discounted_purchases(model.bindings, x, t_x, T, parsed.length, delta, theta)
            return {"discounted_expected_purchases": found}

        return rfm.to_native(self._by_customer(rfm, of_rows))

    def predict(self, rfm: RFMSummary, horizon: Any, *, level: float = 0.9, estimate: Estimate | None = None) -> Any:
        """Forecast each customer's purchases within a horizon after the as-of date.

        Parameters
        ----------
        rfm : RFMSummary
            In the time unit of the fit.
        horizon : str, number, Timedelta or date
            "39 weeks", "1 year", an end date, or a number in the summary's time unit; finite.
        level : float
            Probability of the predictive interval, equal-tailed, parameter uncertainty included.
        estimate : "point" or "draws", optional
            Where expectations are taken; by default the point for maximum likelihood.

        Returns
        -------
        frame, one row a customer, of the type the summary was made from
            customer_id, p_alive, p_purchase, expected_purchases, purchases_low, purchases_high.

        Raises
        ------
        UnitError
            The summary is in another time unit than the fit.
        ValueError
            Horizon or level mean nothing.
        """
        length = self._length(rfm, horizon)

        def of_rows(model: Self, x: FloatArray, t_x: FloatArray, T: FloatArray) -> dict[str, NDArray[Any]]:
            return model.predict_rows(x, t_x, T, length, level=level, estimate=estimate)

        return rfm.to_native(self._by_customer(rfm, of_rows))

    def predict_rows(
        self,
        x: FloatArray,
        t_x: FloatArray,
        T: FloatArray,
        horizon: float,
        *,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> dict[str, NDArray[Any]]:
        """`predict` for distinct histories in plain arrays, without customers: columns of (n_rows,)."""
        check_level(level)
        return count_columns(self.bindings, self.thetas(estimate), x, t_x, T, horizon, level)

    def thetas(self, estimate: Estimate | None = None) -> Thetas:
        """Return the parameters as forecasts use them; ValueError where each segment has its own."""
        check_is_fitted(self)
        self.require_one_population()
        return Thetas(choose_theta(self.posterior_, estimate), self.posterior_.draws_array(CUSTOMER_DRAWS))

    def purchase_distribution(
        self, rfm: RFMSummary, horizon: Any, *, estimate: Estimate | None = None, tail: float = 1e-6
    ) -> Any:
        """Exact probabilities of 0, 1, 2, ... purchases of each customer within the horizon.

        Parameters
        ----------
        rfm, horizon, estimate
            As in `predict`.
        tail : float
            Largest probability left beyond the last count listed for a customer.

        Returns
        -------
        frame of customer_id, n, probability, one row a customer and count
            Each customer's counts go as far as `tail` asks, so a few heavy buyers do not lengthen the others'.
        """
        if not 0 < tail < 1:
            raise ValueError(f"'tail' must be in (0, 1). Got {tail:g}.")
        window = self._length(rfm, horizon)
        tables = [
            model._distribution_of(part, rows, window, choose_theta(model.posterior_, estimate), tail)
            for model, part, rows in self.parts(rfm)
        ]
        table = pd.concat(tables).sort_values("customer", kind="stable") if len(tables) > 1 else tables[0]
        customer = table["customer"].to_numpy()
        table = table.reset_index(drop=True)[["n", "probability"]]
        table.insert(0, "customer_id", rfm.customer_id[customer])
        return rfm.to_native(table)

    def explain(
        self,
        rfm: RFMSummary,
        customer_id: Any,
        horizon: Any,
        *,
        purchases: Any = None,
        level: float = 0.9,
        estimate: Estimate | None = None,
    ) -> Explanation:
        """Say why one customer's forecast is what it is.

        Parameters
        ----------
        rfm : RFMSummary
            In which the customer is.
        customer_id : object
            As in `rfm.customer_id`.
        horizon, level, estimate
            As in `predict`.
        purchases : sequence of dates, or of numbers, optional
            All purchases of the customer, the first included, so that `alive` can begin with it. A summary knows the
            times of the first and the last one alone.

        Returns
        -------
        Explanation
            `print` says it in words; `plots.plot_explanation` draws it; docs/howto/explain.md goes through one.

        Raises
        ------
        DataError
            The customer is not in the summary, or `purchases` are not those that it counts.
        """
        from predclv.models.explain_purchases import explain_buyer
        from predclv.models.explanation import Told

        def forecast(rows: RFMSummary) -> Any:
            return self.predict(rows, horizon, level=level, estimate=estimate)

        check_is_fitted(self)
        return explain_buyer(self, None, rfm, Told(customer_id, horizon, forecast, level, estimate, purchases))

    def _distribution_of(
        self, part: RFMSummary, position: NDArray[np.int64], horizon: float, theta: FloatArray, tail: float
    ) -> pd.DataFrame:
        """Probabilities of the counts of some customers: customer (their position), n, probability."""
        rows, inverse = histories(part)
        probability, length = purchases.purchase_distribution(
            self.bindings, rows.x, rows.t_x, rows.T, horizon, theta, tail=tail
        )
        start = np.cumsum(length) - length
        own = length[inverse]
        n = np.arange(own.sum()) - np.repeat(np.cumsum(own) - own, own)
        return pd.DataFrame(
            {
                "customer": np.repeat(position, own),
                "n": n,
                "probability": probability[np.repeat(start[inverse], own) + n],
            }
        )

    def _by_customer(self, rfm: RFMSummary, of_rows: Callable[..., dict[str, NDArray[Any]]]) -> pd.DataFrame:
        """Work out columns by distinct history, for each part by its own model, and give each customer theirs."""
        table: dict[str, NDArray[Any]] = {"customer_id": rfm.customer_id}
        for model, part, where in self.parts(rfm):
            rows, inverse = histories(part)
            for name, column in of_rows(model, rows.x, rows.t_x, rows.T).items():
                table.setdefault(name, np.empty(len(rfm), dtype=column.dtype))[where] = column[inverse]
        return pd.DataFrame(table)

    def _check_data(self, rfm: RFMSummary, likelihood: Likelihood) -> None:
        if not rfm.T.any():
            raise DataError(
                f"Nobody has been observed for any time: T is 0 for all {rfm.n_customers:,} customers. Is the as-of "
                "date that of their first purchases?"
            )
        rfm.require_repeat_buyers()

    def check_counts(self, rfm: RFMSummary) -> None:
        """Raise DataError where a summary counts opportunities and the model is of times, or the reverse."""
        if rfm.opportunities is not None:
            raise DataError(
                f"{type(self).__name__} is a model of times, and this summary counts opportunities, one a "
                f"{rfm.opportunities}. Take BGBB, or summarise without opportunities=."
            )

    def _require_data(self, rfm: object) -> None:
        super()._require_data(rfm)
        assert isinstance(rfm, RFMSummary)
        self.check_counts(rfm)

    def _likelihood(self, rfm: RFMSummary) -> Likelihood:
        rows = collapse(rfm.frequency, rfm.recency, rfm.T, rfm.weight, need_inverse=False)
        bound = rows.x, rows.t_x, rows.T, rows.weight
        return Likelihood(
            self.PARAMETERS,
            n_observations=rfm.n_customers,
            n_rows=len(rows.x),
            evaluate=self.bindings.log_likelihood(*bound),
            make_evaluate_many=partial(self.bindings.log_likelihood_values, *bound),
            make_evaluate_gradient=partial(self.bindings.log_likelihood_gradient, *bound),
            pointwise=self.bindings.pointwise_log_likelihood,
            rows={"frequency": rows.x, "recency": rows.t_x, "T": rows.T},
            weight=rows.weight,
            literal=self.bindings.literal_log_likelihood,
        )

    def _replicate(self, likelihood: Likelihood) -> Replicate:
        rows = likelihood.rows
        return partial(replicate_frequencies, self.bindings, rows["frequency"], rows["T"], likelihood.weight)

    def _start(self, rfm: RFMSummary) -> FloatArray:
        return self.bindings.start(rfm.mean_frequency, rfm.mean_age)

    def _check_use(self, rfm: RFMSummary) -> None:
        check_is_fitted(self)
        require_summary(rfm)
        self.check_counts(rfm)
        rfm.require_compatible(time_unit=self.fingerprint_.time_unit, collapse=self.fingerprint_.collapse)

    def warn_outside(self, rfm: RFMSummary) -> None:
        """Warn where customers lie far outside what the fit has seen: twice its oldest, or twice its most purchases."""
        seen = self.fingerprint_
        outside = (rfm.frequency > 2 * seen.most_purchases) | (2 * seen.longest_age < rfm.T)
        if outside.any():
            first = int(np.argmax(outside))
            n_outside = int(outside.sum() if rfm.weight is None else rfm.weight[outside].sum())
            warn(
                f"{n_outside:,} of {rfm.n_customers:,} customers lie outside twice the range of the fit (first: "
                f"customer {rfm.customer_id[first]}, frequency {rfm.frequency[first]}, T {rfm.T[first]:.4g}; the fit "
                f"saw up to {seen.most_purchases} and {seen.longest_age:.4g} {seen.time_unit}s). Fit again on newer "
                "data.",
                ExtrapolationWarning,
            )

    def _length(self, rfm: RFMSummary, horizon: Any) -> float:
        self._check_use(rfm)
        self.warn_outside(rfm)
        parsed = self.parse_horizon(horizon, rfm.time_unit, rfm.observation_end)
        return check_finite_horizon(parsed, self.fingerprint_.longest_age, rfm.time_unit).length
