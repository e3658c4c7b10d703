"""The options that several commands on contracts take together, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass

from predclv.cli import option_groups as shared
from predclv.cli import options as o
from predclv.cli.contracts import options as c

__all__ = ["CarryingTable", "Fit", "Forecast", "Log", "SegmentedFit", "Table"]


@dataclass(frozen=True, kw_only=True)
class Log:
    """How a log of subscriptions is read."""

    customer_id: c.CustomerId = None
    start: c.Start = None
    end: c.End = None
    period: c.Period = None
    observation_end: c.ObservationEnd = None
    returning: c.Returning = None
    on_null: c.OnNull = None
    time_zone: o.TimeZone = None
    date_format: o.DateFormat = None


@dataclass(frozen=True, kw_only=True)
class Table(Log):
    """The same, or a table of contracts or cohorts, with what they pay."""

    price: c.Price = None
    after_end: c.AfterEnd = None
    currency: o.Currency = None
    cohorts: c.Cohorts = False
    cohort: c.Cohort = None
    values: c.Values = None
    size: c.Size = None


@dataclass(frozen=True, kw_only=True)
class CarryingTable(Table):
    """The same, with columns that stay beside the results."""

    carry: o.Carry = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What is fitted, and how; as in `commands.Models`."""

    renewals: c.Renewals = "sbg"
    method: o.Method = "mle"


@dataclass(frozen=True, kw_only=True)
class SegmentedFit(Fit):
    """The same, for segments that share strength."""

    segment: c.Segment = None


@dataclass(frozen=True, kw_only=True)
class Forecast(shared.Forecast):
    """What is forecast; contracts renew, so that horizons are told in months."""

    horizon: c.Horizon = "1 year"
