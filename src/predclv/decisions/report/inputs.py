"""What the sections of a report on decisions are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from predclv.data.columns import check_margin
from predclv.data.rfm import RFMSummary
from predclv.decisions.report.asked import Asked
from predclv.decisions.report.customers import Base
from predclv.decisions.report.refusals import refuse_channels
from predclv.inference.posterior import check_level
from predclv.models.horizons import check_discount_rate
from predclv.models.transactions import TransactionModel
from predclv.report.words import ValueWords
from predclv.value import CLV

__all__ = ["Asked", "DecisionInputs", "settle_inputs"]


@dataclass(frozen=True, eq=False, kw_only=True)
class DecisionInputs(ValueWords):
    """Everything that a section draws on; `horizon`, `discount_rate`, `margin` and `level` are those of the whole page.

    Attributes
    ----------
    clv : fitted CLV
    base : Base
        The customers.
    log : frame or path, optional
        What `RFMSummary.from_transactions` takes, with `log_options`.
    log_options : mapping
        Options of `RFMSummary.from_transactions`: customer_id, date, amount, ...
    asked : Asked
        Options of the sections.
    margin : float
        Share of spend that is kept.
    by : str or None
        Column of channels or segments, which `base` carries.
    observation_end : date, datetime or None
        As-of date of the customers.
    ahead : str, number or Timedelta
        The horizon as it was asked for.
    """

    clv: CLV
    base: Base
    ahead: Any
    observation_end: dt.date | None = None
    log: Any = None
    log_options: Mapping[str, Any] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)
    margin: float

    @property
    def currency(self) -> str | None:
        """Of the amounts, where it is known."""
        found: str | None = self.clv.spend_.fingerprint_.currency
        return found

    @property
    def time_unit(self) -> str:
        """Of the fit, and so of all times."""
        return str(self.clv.transactions_.fingerprint_.time_unit)

    @property
    def terms(self) -> dict[str, Any]:
        """How value is counted, as options of `CLV.predict` and the functions of `predclv.decisions`."""
        return {
            "horizon": self.ahead,
            "discount_rate": self.discount_rate,
            "margin": self.margin,
            "level": self.level,
        }

    @property
    def n_customers(self) -> int:
        """How many customers there are."""
        return self.base.n_customers

    @property
    def summary(self) -> RFMSummary:
        """All customers at once: about a hundred bytes each, and as much again for each array made of them."""
        return self.base.summary

    def chunks(self) -> Iterator[RFMSummary]:
        """Yield the customers in parts of at most `predclv.decisions.report.customers.CHUNK`."""
        return self.base.chunks()


def settle_inputs(
    clv: CLV, base: Base, horizon: Any, *, observation_end: dt.date | None, **told: Any
) -> DecisionInputs:
    """Check what the whole page depends on; `told` are the other fields of `DecisionInputs`.

    Raises
    ------
    TypeError
        The CLV is of contracts, or the margin is no number.
    DataError, ValueError
        Horizon, margin, discount rate or level mean nothing.
    """
    if not isinstance(clv, CLV) or not isinstance(getattr(clv, "transactions_", None), TransactionModel):
        raise TypeError("A report on decisions takes a fitted CLV of purchases: a transaction model and a spend model.")
    check_level(told["level"])
    check_discount_rate(told["discount_rate"])
    if isinstance(told["margin"], str):
        raise TypeError(f"'margin' must be one number for a report on decisions. Got {told['margin']!r}.")
    told["margin"] = check_margin(told["margin"])
    refuse_channels(told["asked"], _channels(clv))
    parsed = clv.transactions_.parse_horizon(horizon, clv.transactions_.fingerprint_.time_unit, observation_end)
    return DecisionInputs(clv=clv, base=base, horizon=parsed, ahead=horizon, observation_end=observation_end, **told)


def _channels(clv: CLV) -> list[str]:
    models: list[Any] = [clv.transactions_, clv.spend_]
    return list(dict.fromkeys(str(name) for model in models for name in model.segments_))
