"""What a report is told, checked once, and the words that depend on it."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.durations import Horizon
from predclv.data.rfm import RFMSummary
from predclv.data.split import Split
from predclv.errors import DataError, HorizonWarning
from predclv.plots.style import money, percent, printable
from predclv.value import CLV

__all__ = ["NAME", "ReportInputs"]

#: Letters of a name that a table shows.
NAME = 60


@dataclass(frozen=True, eq=False)
class ReportInputs:
    """Everything that the sections draw on.

    Attributes
    ----------
    clv : fitted CLV
    rfm : RFMSummary
    customers : DataFrame
        Of `CLV.predict`, in the order of `rfm`.
    portfolio : DataFrame
        Of `CLV.portfolio`; the last row is the total.
    horizon : Horizon
    discount_rate, level : float
    margin : float or str
    by : str or None
    title : str
    timeline : DataFrame or None
        Of `purchase_timeline(by="day")`, or of opportunities.
    holdout : Split or None
    messages : sequence of str
        Warnings of the run.
    made_on : date
    """

    clv: CLV
    rfm: RFMSummary
    customers: pd.DataFrame
    portfolio: pd.DataFrame
    horizon: Horizon
    discount_rate: float
    margin: float | str
    level: float
    by: str | None
    title: str
    timeline: pd.DataFrame | None
    holdout: Split | None
    messages: Sequence[str]
    made_on: dt.date

    def __post_init__(self) -> None:
        self.rfm.require_customers("A report")
        if len(self.customers) != len(self.rfm) or not _same(self.customers["customer_id"], self.rfm.customer_id):
            raise DataError("'customers' and 'rfm' are not of the same customers in the same order.")
        if self.holdout is not None and not _same(self.holdout.calibration.customer_id, self.rfm.customer_id):
            raise DataError("'holdout' is a split of other customers than 'rfm'.")

    @property
    def total(self) -> pd.Series:
        """The portfolio's last row: all customers together."""
        return self.portfolio.iloc[-1]

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
    def finite(self) -> bool:
        """Whether the horizon ends."""
        return bool(np.isfinite(self.horizon.length))

    @property
    def counts_opportunities(self) -> bool:
        """Whether the model counts opportunities, and measures no times."""
        return bool(self.clv.transactions_.bindings.counts_opportunities)

    @property
    def unit(self) -> str:
        """The time unit."""
        return self.rfm.time_unit

    @property
    def what(self) -> str:
        """What value is: revenue, or what a margin leaves of it."""
        return "revenue" if self.margin == 1 else "contribution"

    @property
    def basis(self) -> str:
        """How value is counted, for a subtitle."""
        if isinstance(self.margin, str):
            kept = f"contribution at the margin in column “{printable(self.margin)}”"
        else:
            kept = "revenue" if self.margin == 1 else f"contribution, {self.margin * 100:.3g}% of revenue"
        rate = f"discounted at {self.discount_rate * 100:.3g}% a year" if self.discount_rate else "not discounted"
        currency = f" in {printable(self.rfm.currency)}" if self.rfm.currency else ""
        return f"{kept}{currency}, {rate}"

    @property
    def within(self) -> str:
        """'within 1 year', 'until 1998-12-31', 'for as long as they stay'."""
        if not self.finite:
            return "for as long as they stay"
        label = self.horizon.label
        return label if label.startswith("until") else f"within {label}"

    def money(self, amount: float, *, like: float | None = None) -> str:
        """An amount with the currency, where it is known; cents where the amount, or `like`, is below a hundred."""
        digits = None if like is None else 0 if abs(like) >= 100 else 2
        return money(float(amount), printable(self.rfm.currency) if self.rfm.currency else None, digits=digits)

    def span(self, low: float, high: float, *, like: float | None = None, joint: str = "to") -> str:
        """An interval of money, both ends to the same digits."""
        like = float(high) if like is None else like
        start = money(float(low), None, digits=0 if abs(like) >= 100 else 2)
        return f"{start} {joint} {self.money(high, like=like)}"

    def purchases(self, row: Mapping[Any, Any]) -> str:
        """Expected purchases with their interval, of a customer or a segment; a dash over an infinite horizon."""
        expected = row["expected_purchases"]
        if not np.isfinite(expected):
            return "–"
        number = f"{expected:,.0f}" if expected >= 100 else f"{expected:,.1f}"
        return f"{number} ({row['purchases_low']:,.0f} to {row['purchases_high']:,.0f})"

    def duration(self, length: float) -> str:
        """'9 weeks'; times in hours or years are told in days, where that is not too little."""
        days, unit = length * self.rfm.days_per_unit, self.unit
        if (unit == "year" and self.rfm.opportunities is None) or (unit == "hour" and days >= 2):
            length, unit = days, "day"
        number = f"{length:,.0f}" if length >= 10 else f"{length:.2g}"
        return f"{number} {unit}{'' if number == '1' else 's'}"

    @property
    def sure(self) -> str:
        """The level in words."""
        return percent(self.level)


def _same(left: object, right: object) -> bool:
    return list(pd.Series(left).astype(str)) == list(pd.Series(right).astype(str))
