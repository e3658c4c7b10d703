"""What a report on contracts is told, checked once, and what its sections share."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks import PredictiveCheck, check_survivors
from predclv.data.frames import PANDAS
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError, HorizonWarning
from predclv.models.contracts.inputs import revenue_periods
from predclv.models.contracts.model import ContractModel
from predclv.report.words import ReportWords, same_customers
from predclv.value import CLV

__all__ = ["ContractInputs"]

FloatArray = NDArray[np.float64]

_MOST_PERIODS = 400


@dataclass(frozen=True, eq=False, kw_only=True)
class ContractInputs(ReportWords):
    """Everything that the sections draw on.

    Attributes
    ----------
    clv : fitted CLV
        Of a contract model.
    subs : Subscriptions
        With prices.
    """

    clv: CLV
    subs: Subscriptions

    def __post_init__(self) -> None:
        if not same_customers(self.customers["customer_id"], self.subs.customer_id):
            raise DataError("'customers' and 'rfm' are not of the same contracts in the same order.")

    @property
    def model(self) -> ContractModel:
        """The model of renewals."""
        model = self.clv.transactions_
        assert isinstance(model, ContractModel)
        return model

    @property
    def currency(self) -> str | None:
        """Of the prices, where it is known."""
        return self.subs.currency

    @property
    def one_each(self) -> bool:
        """Whether each row is one contract, and not a group of a cohort."""
        return bool((self.subs.weight == 1).all())

    @cached_property
    def running(self) -> float:
        """Contracts that run."""
        return float(self.subs.weight[~self.subs.ended].sum())

    @cached_property
    def p_renew(self) -> FloatArray:
        """Probability of each contract's next renewal, (n_contracts,)."""
        table = self.model.p_renew(replace(self.subs, backend=PANDAS))
        return np.asarray(table["p_renew"], dtype=np.float64)

    @cached_property
    def seen(self) -> int:
        """Most renewals that anyone has come to."""
        return int((self.subs.tenure + self.subs.lost).max())

    @cached_property
    def curve(self) -> pd.DataFrame:
        """Retention of new customers, as far as the data and the horizon reach."""
        ahead = int(self.horizon.length) if self.finite else self.seen
        periods = min(max(self.seen + ahead, int(self.subs.tenure.max()) + 1), max(_MOST_PERIODS, self.seen + 1))
        return self.model.retention_curve(periods, level=self.level)

    @cached_property
    def tenures(self) -> pd.DataFrame:
        """What is to be expected of running contracts by tenure: within the horizon, and what it is worth for ever.

        Without a discount rate, worth is that within the horizon too.
        """
        within, ever = (
            self.model.by_tenure(self.subs, horizon, discount_rate=self.discount_rate, level=self.level)
            for horizon in (self.horizon.length, np.inf if self.discount_rate > 0 else self.horizon.length)
        )
        return ever.assign(expected_residual_lifetime=within["expected_residual_lifetime"])

    @cached_property
    def revenue(self) -> pd.DataFrame | None:
        """Recurring revenue over the horizon, or three years of an infinite one; None where no period fits."""
        periods = revenue_periods(self.horizon, self.subs)
        if periods is None:
            return None
        with warnings.catch_warnings():
            # The forecast of the contracts has the same horizon and has warned of it.
            warnings.simplefilter("ignore", HorizonWarning)
            return self.model.recurring_revenue(self.subs, periods, level=self.level)

    @cached_property
    def check(self) -> PredictiveCheck | str:
        """The check of cohorts, or why there is none."""
        try:
            return check_survivors(self.model, self.subs, level=self.level)
        except DataError as error:
            return str(error)

    def duration(self, length: float) -> str:
        """'9 months'."""
        number = f"{length:,.0f}" if length >= 10 or length == int(length) else f"{length:.2g}"
        return f"{number} {self.subs.period}{'' if number == '1' else 's'}"
