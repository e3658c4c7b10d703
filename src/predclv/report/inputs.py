"""What a report on purchases is told, checked once, and the words that depend on it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from predclv.data.rfm import RFMSummary
from predclv.data.split import Split
from predclv.errors import DataError, HorizonWarning
from predclv.report.words import ReportWords, same_customers
from predclv.value import CLV

__all__ = ["ReportInputs"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportInputs(ReportWords):
    """Everything that the sections draw on.

    Attributes
    ----------
    clv : fitted CLV
    rfm : RFMSummary
    timeline : DataFrame or None
        Of `purchase_timeline(by="day")`, or of opportunities.
    holdout : Split or None
    """

    clv: CLV
    rfm: RFMSummary
    timeline: pd.DataFrame | None
    holdout: Split | None

    def __post_init__(self) -> None:
        self.rfm.require_customers("A report")
        if not same_customers(self.customers["customer_id"], self.rfm.customer_id):
            raise DataError("'customers' and 'rfm' are not of the same customers in the same order.")
        if self.holdout is not None and not same_customers(self.holdout.calibration.customer_id, self.rfm.customer_id):
            raise DataError("'holdout' is a split of other customers than 'rfm'.")

    @cached_property
    def holdout_total(self) -> pd.Series | None:
        """The portfolio's total as it was forecast for the holdout: revenue, not discounted."""
        if self.holdout is None:
            return None
        with warnings.catch_warnings():
            # A long holdout is a reason to look, not to warn.
            warnings.simplefilter("ignore", HorizonWarning)
            forecast = self.clv.portfolio(self.rfm, self.holdout.duration, discount_rate=0.0, level=self.level)
        return forecast.iloc[-1]

    @property
    def counts_opportunities(self) -> bool:
        """Whether the model counts opportunities, and measures no times."""
        return bool(self.clv.transactions_.bindings.counts_opportunities)

    @property
    def unit(self) -> str:
        """The time unit."""
        return self.rfm.time_unit

    @property
    def currency(self) -> str | None:
        """Of the amounts, where it is known."""
        return self.rfm.currency

    def duration(self, length: float) -> str:
        """'9 weeks'; times in hours or years are told in days, where that is not too little."""
        days, unit = length * self.rfm.days_per_unit, self.unit
        if (unit == "year" and self.rfm.opportunities is None) or (unit == "hour" and days >= 2):
            length, unit = days, "day"
        number = f"{length:,.0f}" if length >= 10 else f"{length:.2g}"
        return f"{number} {unit}{'' if number == '1' else 's'}"
