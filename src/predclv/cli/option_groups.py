"""The options that several commands take together, with their defaults; in the help those of a base come first."""

from __future__ import annotations

from dataclasses import dataclass, field

from predclv.cli import decide_options as d
from predclv.cli import options as o

__all__ = [
    "Common",
    "DecideLog",
    "Fit",
    "FitTable",
    "Folder",
    "Forecast",
    "Log",
    "PredictTable",
    "Reading",
    "RunLog",
    "Screen",
    "SegmentedFit",
    "SummarizeLog",
    "Valuing",
]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How purchases are read; as in `RFMSummary.from_transactions`."""

    customer_id: o.CustomerIdIfAny = None
    date: o.DateIfAny = None
    amount: o.AmountIfAny = None
    observation_end: o.ObservationEnd = None
    observation_start: o.ObservationStart = None
    acquired: o.Acquired = None
    time_unit: o.TimeUnit = None
    opportunities: o.Opportunities = None
    collapse: o.Collapse = None
    returns: o.Returns = None
    currency: o.Currency = None
    time_zone: o.TimeZone = None
    date_format: o.DateFormat = None
    on_null: o.OnNull = None


@dataclass(frozen=True, kw_only=True)
class FitTable(Reading):
    """A log, or a table of customers, to fit to."""

    minor_unit: o.MinorUnit = None


@dataclass(frozen=True, kw_only=True)
class PredictTable(FitTable):
    """A log, or a table of customers, to forecast."""

    carry: o.Carry = None
    carry_conflict: o.CarryConflict = None


@dataclass(frozen=True, kw_only=True)
class Log(Reading):
    """A log and nothing else, so that its columns are needed."""

    # `field()` takes the default of the base away.
    customer_id: o.CustomerId = field()
    date: o.Date = field()
    carry: o.Carry = None
    carry_conflict: o.CarryConflict = None


@dataclass(frozen=True, kw_only=True)
class SummarizeLog(Log):
    """A log to summarise."""

    regularity: o.Regularity = False
    minor_unit: o.MinorUnit = None


@dataclass(frozen=True, kw_only=True)
class RunLog(Log):
    """A log to value."""

    amount: o.Amount = field()
    minor_unit: o.MinorUnit = None


@dataclass(frozen=True, kw_only=True)
class DecideLog(Log):
    """A log to decide by, whose missing amount the command speaks of itself."""

    amount: d.Amount = None
    minor_unit: o.MinorUnit = None


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What is fitted, and how; as in `steps.Models`."""

    transactions: o.Transactions = "bg_nbd"
    method: o.Method = "mle"
    purchase_covariates: o.PurchaseCovariates = None
    dropout_covariates: o.DropoutCovariates = None
    penalty: o.Penalty = None


@dataclass(frozen=True, kw_only=True)
class SegmentedFit(Fit):
    """The same, for segments that share strength."""

    segment: o.Segment = None


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What is forecast; as in `steps.Forecast`."""

    horizon: o.Horizon = "1 year"
    discount_rate: o.DiscountRate = 0.10
    margin: o.Margin = "1.0"
    by: o.By = None
    level: o.Level = 0.9


@dataclass(frozen=True, kw_only=True)
class Valuing:
    """What money is worth, with a saved model that may know of none."""

    discount_rate: o.DiscountRateIfAny = None
    margin: o.MarginIfAny = None


@dataclass(frozen=True, kw_only=True)
class Folder:
    """The folder of results."""

    out: o.Out
    title: o.Title = None
    report: o.Report = True
    force: o.Force = False


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What is shown."""

    quiet: o.Quiet = False
    json: o.Json = False
    debug: o.Debug = False


@dataclass(frozen=True, kw_only=True)
class Common(Screen):
    """What every command on data takes."""

    config: o.Config = None
