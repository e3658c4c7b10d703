"""The formulas as methods of a backtest: what each would have forecast, at past dates."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from predclv.backtesting import Forecast
from predclv.data.rfm import RFMSummary
from predclv.decisions.formulas.from_log import five_step_formula, retention_formula_of_log
from predclv.decisions.formulas.plain import FormulaValue
from predclv.errors import DataQualityWarning

__all__ = ["FiveStep", "PastGoesOn", "RetentionFormula"]

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "year": 365.25}
_DAYS_PER_YEAR = 365.25


class PastGoesOn:
    """Historical value, carried on: each customer spends as much a day as since the first purchase, that one included.

    A point; a customer's age counts as one time unit at least.
    """

    name: ClassVar[str] = "historical value, carried on"
    needs_amounts: ClassVar[bool] = True

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Learn nothing."""
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast each customer's own past rate times the horizon."""
        money = log[log["amount"] >= 0] if rfm.returns == "ignore" else log
        net = money.groupby("customer_id")["amount"].sum().reindex(rfm.customer_id).to_numpy(dtype=np.float64)
        length = horizon / np.maximum(rfm.T, 1.0)
        below = net < 0
        notes = [f"returns exceed purchases for {below.sum():,} of {len(rfm):,} customers: 0"] if below.any() else []
        value = np.where(below, 0.0, net) * length
        return Forecast((rfm.frequency + 1) * length, expected_value=value, notes=tuple(notes))


class _OfTheBase:
    """A formula whose factors are those of all customers, so that everyone gets the same."""

    needs_amounts: ClassVar[bool] = True
    found_: FormulaValue

    def _learn(self, formula: Any, rfm: RFMSummary, log: pd.DataFrame) -> None:
        with warnings.catch_warnings():
            # What is odd of the log has been said where it was cut.
            warnings.simplefilter("ignore", DataQualityWarning)
            self.found_ = formula(
                log,
                amount="amount",
                collapse=rfm.collapse,
                returns=rfm.returns or "net",
                observation_end=rfm.observation_end,
            )

    def _forecast(self, rfm: RFMSummary, purchases: float, value: float) -> Forecast:
        n = len(rfm)
        notes = tuple(self.found_.notes)
        return Forecast(np.full(n, purchases), expected_value=np.full(n, max(value, 0.0)), notes=notes)


class FiveStep(_OfTheBase):
    """The five-step formula of all customers: value a year times the horizon, or the lifespan where that is shorter.

    A point. Everyone is given a new life at the cut-off, as the formula does.
    """

    name: ClassVar[str] = "five steps"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Count the factors."""
        self._learn(five_step_formula, rfm, log)
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast the same for everyone."""
        row = self.found_.steps.iloc[0]
        years = min(horizon * _DAYS[rfm.time_unit] / _DAYS_PER_YEAR, row["years"])
        return self._forecast(rfm, row["purchases_per_year"] * years, row["value_per_year"] * years)


class RetentionFormula(_OfTheBase):
    """The retention formula of all customers: each period's profit times the chance to be there still.

    A point; part of a period brings that part of its profit. Nothing is discounted.
    """

    name: ClassVar[str] = "retention formula"

    def fit(self, rfm: RFMSummary, log: pd.DataFrame) -> Self:
        """Count the factors."""
        self._learn(retention_formula_of_log, rfm, log)
        return self

    def predict(self, rfm: RFMSummary, log: pd.DataFrame, horizon: float) -> Forecast:
        """Forecast the same for everyone."""
        row = self.found_.steps.iloc[0]
        periods = horizon * _DAYS[rfm.time_unit] / row["period_days"]
        whole = int(periods)
        stay = row["retention"] ** np.arange(1, whole + 2)
        payments = float(stay[:-1].sum() + (periods - whole) * stay[-1])
        return self._forecast(rfm, row["purchases_per_customer"] * payments, row["profit"] * payments)
