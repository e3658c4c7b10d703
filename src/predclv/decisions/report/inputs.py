"""What the sections of a report on decisions are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from predclv.data.columns import check_margin
from predclv.data.rfm import RFMSummary
from predclv.decisions.acquisition.assess import check_terms
from predclv.decisions.report.customers import Base
from predclv.decisions.retention.lists import check_offer
from predclv.decisions.segments.tier_cuts import check_tiers
from predclv.errors import DataError
from predclv.inference.posterior import check_level
from predclv.models.horizons import check_discount_rate
from predclv.models.transactions import TransactionModel
from predclv.report.words import ValueWords
from predclv.value import CLV

if TYPE_CHECKING:
    from predclv.decisions.acquisition.budget import Curve

__all__ = ["Asked", "DecisionInputs", "settle_inputs"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Options of the sections; where one is left out, the section that needs it is.

    Attributes
    ----------
    cac : number or mapping of channel to number, optional
        Cost of winning a customer: for the section on acquisition.
    confidence, target : float
        As in `assess_acquisition`.
    budget : float, optional
        Money to be split over channels, with `curves`.
    curves : mapping of channel to callable, optional
        As in `allocate_budget`.
    offer_cost, offer_lift : float, optional
        What an offer to keep a customer costs, and the share of the value at stake that it saves: `weigh_offer`.
    tiers : int, or mapping of name to share
        How many tiers of value, each to bring as much as another; or the share of the customers that each is to have.
    arrivals : number or mapping of channel to number, optional
        New customers a month: for the value of those who are to come.
    backtest_horizon : str
        How far the formulas are tested ahead.
    top : int
        Customers on the lists of the page; the tables hold more.
    drivers : sequence of str
        Columns about the customer to compare values by: `find_drivers`.
    arm : str, optional
        Column with the arm of an experiment that each customer was in: `read_experiment`.
    arm_start : date or ISO text, optional
        First day of an experiment on existing customers; without, arms were given at acquisition.
    control : str, optional
        The arm that others are compared with.
    detect : float, optional
        A difference that would matter.
    carry : sequence of str
        Further columns about the customer that sections read.
    """

    cac: float | Mapping[str, float] | None = None
    confidence: float = 0.9
    target: float = 3.0
    budget: float | None = None
    curves: Mapping[str, Curve] | None = None
    offer_cost: float | None = None
    offer_lift: float | None = None
    tiers: int | Mapping[str, float] = 4
    arrivals: float | Mapping[str, float] | None = None
    backtest_horizon: str = "26 weeks"
    top: int = 10
    drivers: Sequence[str] = ()
    arm: str | None = None
    arm_start: Any = None
    control: str | None = None
    detect: float | None = None
    carry: Sequence[str] = ()

    def __post_init__(self) -> None:
        for one, other, why in (
            ("offer_cost", "offer_lift", "An offer is weighed by its cost and what it saves"),
            ("budget", "curves", "A budget is split by what customers each channel wins with it"),
        ):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise DataError(f"{why}: {one!r} and {other!r} go together.")
        check_tiers(self.tiers, "quantile")
        if isinstance(self.top, bool) or self.top < 1:
            raise ValueError(f"'top' must be a whole number from 1 on. Got {self.top!r}.")
        if self.offer is not None:
            check_offer(*self.offer)
        if self.cac is not None:
            check_terms(self.cac, self.confidence, self.target)

    @property
    def offer(self) -> tuple[float, float] | None:
        """Cost and lift, where an offer is asked about."""
        if self.offer_cost is None or self.offer_lift is None:
            return None
        return self.offer_cost, self.offer_lift


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
    asked: Asked = Asked()
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
    parsed = clv.transactions_.parse_horizon(horizon, clv.transactions_.fingerprint_.time_unit, observation_end)
    return DecisionInputs(clv=clv, base=base, horizon=parsed, ahead=horizon, observation_end=observation_end, **told)
