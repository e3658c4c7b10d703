"""The words of a report that depend on what was asked for: money, spans, horizons."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.durations import DAYS_PER_UNIT, Horizon
from predclv.plots.style import money, percent, printable

__all__ = ["NAME", "ReportWords", "ValueWords", "same_customers", "say_time"]

# What time is told in, its days, and up to how many of it.
_SPANS = (("day", 1.0, 21.0), ("week", 7.0, 13.0), ("month", 365.25 / 12, 24.0), ("year", 365.25, np.inf))
#: Letters of a name that a table shows.
NAME = 60


@dataclass(frozen=True, eq=False, kw_only=True)
class ValueWords:
    """What every page on value is told of how value is counted, and its words.

    Attributes
    ----------
    horizon : Horizon
    discount_rate, level : float
    margin : float or str
    by : str or None
    title : str
    messages : sequence of str
        Warnings of the run.
    made_on : date
    """

    horizon: Horizon
    discount_rate: float
    margin: float | str
    level: float
    by: str | None
    title: str
    messages: Sequence[str]
    made_on: dt.date

    @property
    def currency(self) -> str | None:
        """Of the data, where it is known."""
        raise NotImplementedError

    @property
    def finite(self) -> bool:
        """Whether the horizon ends."""
        return bool(np.isfinite(self.horizon.length))

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
        currency = f" in {printable(self.currency)}" if self.currency else ""
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
        return money(float(amount), printable(self.currency) if self.currency else None, digits=digits)

    def span(self, low: float, high: float, *, like: float | None = None, joint: str = "to") -> str:
        """An interval of money, both ends to the same digits."""
        like = float(high) if like is None else like
        start = money(float(low), None, digits=0 if abs(like) >= 100 else 2)
        return f"{start} {joint} {self.money(high, like=like)}"

    @property
    def sure(self) -> str:
        """The level in words."""
        return percent(self.level)


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportWords(ValueWords):
    """What every report on customers is told.

    Attributes
    ----------
    customers : DataFrame
        Of `CLV.predict`, in the order of the data.
    portfolio : DataFrame
        Of `CLV.portfolio`; the last row is the total.
    """

    customers: pd.DataFrame
    portfolio: pd.DataFrame

    @property
    def total(self) -> pd.Series:
        """The portfolio's last row: all customers together."""
        return self.portfolio.iloc[-1]

    def purchases(self, row: Mapping[Any, Any]) -> str:
        """Expected purchases with their interval, of a customer or a segment; a dash over an infinite horizon."""
        expected = row["expected_purchases"]
        if not np.isfinite(expected):
            return "–"
        number = f"{expected:,.0f}" if expected >= 100 else f"{expected:,.1f}"
        return f"{number} ({row['purchases_low']:,.0f} to {row['purchases_high']:,.0f})"


def say_time(length: float, unit: str) -> str:
    """A length of time as people say it: '3 days', '18 months', '11 years'."""
    if unit not in DAYS_PER_UNIT or not np.isfinite(length):
        return f"{length:,.3g} {unit}s"
    days = length * DAYS_PER_UNIT[unit]
    name, size = next((name, size) for name, size, most in _SPANS if days < most * size)
    n = days / size
    number = f"{n:,.0f}" if n >= 10 or round(n, 1) == round(n) else f"{n:.1f}"
    return f"{number} {name}{'' if number == '1' else 's'}"


def same_customers(left: object, right: object) -> bool:
    """Whether two columns hold the same ids in the same order."""
    return list(pd.Series(left).astype(str)) == list(pd.Series(right).astype(str))
