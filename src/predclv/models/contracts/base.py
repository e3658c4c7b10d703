"""What contract models share: the fit from subscriptions, and how forecasts take the fitted parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, Self, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.periods import parse_periods
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError, UnitError
from predclv.forecast.customers import Thetas
from predclv.inference.evidence import Evidence, Replicate
from predclv.models.base import Model
from predclv.models.contracts.fingerprint import ContractFingerprint
from predclv.models.contracts.inputs import require_subscriptions
from predclv.models.contracts.likelihood import bind_likelihood, bind_replicate, by_renewal
from predclv.models.estimates import CUSTOMER_DRAWS, MEAN_DRAWS, Estimate, choose_theta
from predclv.models.horizons import warn_long_horizon
from predclv.models.likelihood import Likelihood
from predclv.priors.settle import Scales

__all__ = ["ContractBase", "ContractPart"]

M = TypeVar("M")
FloatArray = NDArray[np.float64]

_NO_CUSTOMERS = (
    "The percentages it was fitted on are no whole numbers of customers: give from_cohorts size=, the customers at the "
    "start."
)


class ContractPart(NamedTuple, Generic[M]):
    """Contracts that one fitted model speaks of, and their rows."""

    model: M
    subs: Subscriptions
    rows: NDArray[np.int64]


class ContractBase(Model):
    """The part of `ContractModel` that makes no forecast."""

    KIND = "contract"
    FINGERPRINT = ContractFingerprint

    def fit(self, subs: Any, y: None = None) -> Self:
        """Estimate the parameters from subscriptions; errors and warnings as in `Model.fit`.

        Parameters
        ----------
        subs : Subscriptions
        y : None
            Ignored by convention of scikit-learn.
        """
        return super().fit(subs)

    @staticmethod
    def full_theta(theta: FloatArray) -> FloatArray:
        """Parameters as the kernels take them, (n_draws, 3), of the model's own, (n_draws, n_parameters)."""
        raise NotImplementedError

    def thetas(
        self, estimate: Estimate | None = None, n_mean_draws: int = MEAN_DRAWS, n_center: int | None = None
    ) -> Thetas:
        """Return the parameters as forecasts use them, for the kernels; ValueError where each segment has its own."""
        check_is_fitted(self)
        self.require_one_population()
        posterior = self.posterior_
        chosen = (
            choose_theta(posterior, estimate)[:n_center],
            posterior.draws_array(CUSTOMER_DRAWS),
            posterior.draws_array(n_mean_draws),
        )
        return Thetas(*map(self.full_theta, chosen))

    def length(self, subs: Subscriptions, horizon: Any) -> float:
        """Length of a horizon in periods, once the subscriptions are found to be of the model's kind."""
        self._check_use(subs)
        parsed = parse_periods(horizon, subs.period, subs.observation_end)
        warn_long_horizon(parsed, self.fingerprint_.longest_age, subs.period)
        return parsed.length

    def contract_parts(self, subs: Subscriptions) -> list[ContractPart[Self]]:
        """Split subscriptions by who speaks of which, as `parts` does."""
        return [ContractPart(model, cast(Any, part), rows) for model, part, rows in self.parts(cast(Any, subs))]

    def _by_contract(
        self, subs: Subscriptions, of_part: Callable[[Self, Subscriptions], dict[str, NDArray[Any]]]
    ) -> pd.DataFrame:
        table: dict[str, NDArray[Any]] = {"customer_id": subs.customer_id}
        for model, part, where in self.contract_parts(subs):
            for name, column in of_part(model, part).items():
                table.setdefault(name, np.empty(len(subs), dtype=column.dtype))[where] = column
        return pd.DataFrame(table)

    def _likelihood(self, subs: Any) -> Likelihood:
        return bind_likelihood(subs, self.PARAMETERS, self.full_theta)

    def _replicate(self, likelihood: Likelihood) -> Replicate:
        return bind_replicate(likelihood, self.full_theta)

    def _evidence(self, likelihood: Likelihood) -> Evidence:
        if (np.floor(likelihood.weight) == likelihood.weight).all():
            return super()._evidence(likelihood)
        return Evidence(type(self).__name__, self.priors_ or None, absent=_NO_CUSTOMERS)

    def _check_data(self, subs: Any, likelihood: Likelihood) -> None:
        if not (subs.tenure.any() or subs.lost.any()):
            raise DataError(
                f"None of the {subs.n_customers:,.0f} contracts has come to its first renewal by the as-of date. "
                "Observe for longer, or renew by a shorter period."
            )
        stayed, left = by_renewal(subs)
        came, needed = int(np.count_nonzero(stayed + left)), len(self.PARAMETERS)
        if self.method == "mle" and came < needed and stayed.any() and left.any():
            raise DataError(
                f"Nobody has come to more than {came} renewal{'' if came == 1 else 's'}, and {type(self).__name__} has "
                f"{needed} parameters, for which it takes as many. Observe for longer, or give priors (method='map')."
            )

    def _start(self, subs: Any) -> FloatArray:
        stayed, left = by_renewal(subs)
        rate = float(np.clip((left.sum() + 0.5) / (stayed.sum() + left.sum() + 1.0), 0.01, 0.9))
        return np.array([1.0, (1.0 - rate) / rate, *[1.0] * (len(self.PARAMETERS) - 2)])

    def _check_use(self, subs: Any) -> None:
        check_is_fitted(self)
        self._require_data(subs)
        fitted = self.fingerprint_.time_unit
        if subs.period != fitted:
            raise UnitError(
                f"The model was fitted on contracts renewed by the {fitted}, and these are renewed by the "
                f"{subs.period}. Give period={fitted!r}, or fit again."
            )

    def _require_data(self, rfm: object) -> None:
        require_subscriptions(rfm)

    def _scales(self, subs: Any) -> Scales:
        # No parameter has a unit, so nothing is a multiple of these.
        return Scales("day", subs.currency, 1.0, None)
