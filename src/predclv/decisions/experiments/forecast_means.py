"""Means of forecasts over customers, and what each customer contributes to them: itself, and through the parameters.

A model's parameters are estimated from the very customers whose forecasts are averaged, so both errors are one: a
customer who happens to buy much raises the own forecast and, through the parameters, that of all others. Each
customer's contribution is therefore taken whole, to first order: the influence function of the mean. The sum of the
contributions' squares is a variance that holds whether or not the model does (Huber 1967, Proceedings of the Fifth
Berkeley Symposium 1), as a bootstrap with a refit for each resample would show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.data.checks import count_of
from predclv.data.columns import histories, margins, mean_spend
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, FitError
from predclv.forecast import purchases
from predclv.forecast.customers import times_margin
from predclv.inference.posterior import Posterior
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.kernels.gamma_gamma.pointwise import pointwise_log_likelihood
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.transactions import TransactionModel
from predclv.parameters import from_unconstrained, to_unconstrained

__all__ = ["FORECASTS", "Contribution", "FittedCustomers", "fit_customers"]

FloatArray = NDArray[np.float64]

#: Forecasts of a customer, by the names of the columns of `CLV.predict`.
FORECASTS = ("expected_clv", "expected_purchases", "p_purchase")

# Of unconstrained parameters: central differences are then right to eight digits.
_STEP = 1e-4
# Customers or histories at a time: with all shifted parameters some 5 MB.
_CHUNK = 65_536


@dataclass(frozen=True)
class Contribution:
    """A weighted mean of a forecast, and what moves it.

    Attributes
    ----------
    values : (n_customers,) array
        The forecast of each customer, at the point.
    through_parameters : (n_customers,) array
        First-order change of the mean with the customer's part in the estimate of the parameters.
    prior_variance : float
        What the parameters' posterior variance adds to that of the customers' parts: where a prior speaks, that much is
        not known from customers. 0 for maximum likelihood.
    """

    values: FloatArray
    through_parameters: FloatArray
    prior_variance: float


@dataclass(frozen=True, eq=False)
class FittedCustomers:
    """Models, and the customers that they were fitted on.

    Attributes
    ----------
    transactions : TransactionModel
    spend : GammaGamma or None
    rfm : RFMSummary
    margin : (n_customers,) array
    horizon, delta : float
        Finite window and continuous discount rate, in the time unit.
    """

    transactions: TransactionModel
    spend: GammaGamma | None
    rfm: RFMSummary
    margin: FloatArray
    horizon: float
    delta: float
    _kept: dict[str, FloatArray] = field(default_factory=dict, repr=False)

    @property
    def forecasts(self) -> tuple[str, ...]:
        """Names that `values` and `contribute` take."""
        return FORECASTS if self.spend is not None else FORECASTS[1:]

    @property
    def is_determined(self) -> bool:
        """Whether no parameter ran to an edge of its domain."""
        models = [self.transactions] if self.spend is None else [self.transactions, self.spend]
        return not any(model.posterior_.fit_diagnostics.get("runaway") for model in models)

    def values(self, name: str) -> FloatArray:
        """The forecast of each customer at the point, (n_customers,)."""
        if name not in self._kept:
            found = self._discounted if name == "expected_clv" else self._of_histories(name, self._point)[0]
            found = found[histories(self.rfm)[1]]
            self._kept[name] = times_margin(self.margin, found * self._worth) if name == "expected_clv" else found
        return self._kept[name]

    def contribute(self, name: str, weight: FloatArray) -> Contribution:
        """The mean of a forecast with these weights of the customers, (n_customers,), and what moves it."""
        values, inverse = self.values(name), histories(self.rfm)[1]
        by_customer, through, prior = weight, np.zeros(len(weight)), 0.0
        if name == "expected_clv":
            assert self.spend is not None
            posterior = self.spend.posterior_
            weight_of_spend = weight * self.margin * self._discounted[inverse]
            direction, prior = _direction(posterior, self._spend_slope(weight_of_spend))
            through = self._spend_scores(direction)
            prior = max(prior - float(through @ through), 0.0) if posterior.method != "mle" else 0.0
            by_customer = weight * self.margin * self._worth
        rows = np.bincount(inverse, weights=by_customer, minlength=len(histories(self.rfm)[0].x))
        posterior = self.transactions.posterior_
        slope = -np.diff([self._of_histories(name, pair) @ rows for pair in _pairs(posterior)])[:, 0] / (2 * _STEP)
        direction, variance = _direction(posterior, slope)
        scores = self._purchase_scores(direction)[inverse]
        if posterior.method != "mle":
            prior += max(variance - float(scores @ scores), 0.0)
        return Contribution(values, through + scores, prior)

    @property
    def _point(self) -> FloatArray:
        return self.transactions.posterior_.point_array[np.newaxis].copy()

    @property
    def _discounted(self) -> FloatArray:
        """Discounted purchases of each history, (n_rows,)."""
        return self._cached("discounted", lambda: self._of_histories("expected_clv", self._point)[0])

    @property
    def _worth(self) -> FloatArray:
        """Expected spend of each customer, (n_customers,)."""
        return self._cached("worth", lambda: self._spends(self._spend_point)[0])

    @property
    def _spend_point(self) -> FloatArray:
        assert self.spend is not None
        return self.spend.posterior_.point_array[np.newaxis].copy()

    def _cached(self, name: str, make: Callable[[], FloatArray]) -> FloatArray:
        if name not in self._kept:
            self._kept[name] = make()
        return self._kept[name]

    def _of_histories(self, name: str, theta: FloatArray) -> FloatArray:
        """A forecast of each history, (n_thetas, n_rows); of value, its discounted purchases."""
        rows, bindings = histories(self.rfm)[0], self.transactions.bindings
        out = np.empty((len(theta), len(rows.x)))
        for some in _chunks(len(rows.x)):
            history = rows.x[some], rows.t_x[some], rows.T[some]
            if name == "expected_clv":
                out[:, some] = bindings.discounted_expected_purchases(*history, self.horizon, self.delta, theta)
            elif name == "expected_purchases":
                out[:, some] = bindings.expected_purchases(*history, self.horizon, theta)
            else:
                for i in range(len(theta)):
                    out[i, some] = purchases.p_purchase(bindings, *history, self.horizon, theta[i : i + 1])
        return out

    def _spends(self, theta: FloatArray) -> FloatArray:
        """Expected spend of each customer, (n_thetas, n_customers)."""
        return np.asarray(expected_spend(self.rfm.frequency.astype(np.float64), mean_spend(self.rfm), theta))

    def _spend_slope(self, weight: FloatArray) -> FloatArray:
        """Slope of the weighted sum of expected spends by the unconstrained parameters, (3,)."""
        assert self.spend is not None
        x, money = self.rfm.frequency.astype(np.float64), mean_spend(self.rfm)
        slope = np.zeros(3)
        for j, pair in enumerate(_pairs(self.spend.posterior_)):
            for some in _chunks(len(x)):
                high, low = expected_spend(x[some], money[some], pair) @ weight[some]
                slope[j] += (high - low) / (2 * _STEP)
        return slope

    def _spend_scores(self, direction: FloatArray) -> FloatArray:
        """Slope of each customer's log-likelihood of spend along a direction, (n_customers,); 0 for one-time buyers."""
        assert self.spend is not None
        out, money = np.zeros(len(self.rfm)), mean_spend(self.rfm)
        used = np.flatnonzero((self.rfm.frequency > 0) & (money > 0))
        pair, length = _along(self.spend.posterior_, direction)
        for some in _chunks(len(used)):
            at = used[some]
            high, low = pointwise_log_likelihood(self.rfm.frequency[at].astype(np.float64), money[at], pair)
            out[at] = (high - low) * (length / (2 * _STEP))
        return out

    def _purchase_scores(self, direction: FloatArray) -> FloatArray:
        """Slope of each history's log-likelihood of purchases along a direction, (n_rows,)."""
        rows, out = histories(self.rfm)[0], np.empty(len(histories(self.rfm)[0].x))
        pair, length = _along(self.transactions.posterior_, direction)
        for some in _chunks(len(out)):
            history = rows.x[some], rows.t_x[some], rows.T[some]
            high, low = self.transactions.bindings.pointwise_log_likelihood(*history, pair)
            out[some] = (high - low) * (length / (2 * _STEP))
        return out


def fit_customers(
    models: tuple[TransactionModel, GammaGamma | None],
    rfm: RFMSummary,
    who: str,
    *,
    margin: float | str,
    horizon: float,
    delta: float,
) -> FittedCustomers:
    """Fit copies of the models; `who` names the customers in errors.

    Raises
    ------
    DataError, FitError
        The customers cannot inform a model.
    """
    try:
        transactions = clone(models[0]).fit(rfm)
        spend = None if models[1] is None else clone(models[1]).fit(rfm)
    except (DataError, FitError) as error:
        raise type(error)(f"{who}, {len(rfm):,} customers: {error}") from error
    fitted = FittedCustomers(transactions, spend, rfm, margins(rfm, margin), horizon, delta)
    for name in fitted.forecasts:
        endless = ~np.isfinite(fitted.values(name))
        if endless.any():
            first = rfm.customer_id[int(np.argmax(endless))]
            raise FitError(
                f"{who}: the expected spend of {count_of(int(endless.sum()), len(rfm), 'customers')} is infinite "
                f"(first: customer {first}), so no mean is left to compare. Fit GammaGamma(method='map'), which keeps "
                "q above 1."
            )
    return fitted


def _pairs(posterior: Posterior) -> Iterator[FloatArray]:
    """For each parameter the natural values a step above and below the point, (2, n_parameters)."""
    for unit in np.eye(len(posterior.parameters)):
        yield _shifted(posterior, unit)


def _shifted(posterior: Posterior, unit: FloatArray) -> FloatArray:
    center = to_unconstrained(posterior.parameters, posterior.point_array)
    return np.ascontiguousarray(
        from_unconstrained(posterior.parameters, np.stack([center + _STEP * unit, center - _STEP * unit]))
    )


def _along(posterior: Posterior, direction: FloatArray) -> tuple[FloatArray, float]:
    """Natural values a step each way along a direction, and the direction's length."""
    length = float(np.linalg.norm(direction))
    return _shifted(posterior, direction / length if length > 0 else direction), length


def _direction(posterior: Posterior, slope: FloatArray) -> tuple[FloatArray, float]:
    """Where the customers' scores are projected to, covariance times slope; and the variance by the posterior."""
    direction = np.asarray(posterior.covariance_unconstrained @ slope)
    return direction, float(slope @ direction)


def _chunks(n: int) -> Iterator[slice]:
    for start in range(0, n, _CHUNK):
        yield slice(start, start + _CHUNK)
