"""The options of the sections of a report on decisions, checked as soon as they are given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from predclv.data.durations import parse_moment
from predclv.decisions.acquisition.terms import check_terms
from predclv.decisions.retention.offers import check_offer
from predclv.decisions.segments.tier_cuts import check_tiers
from predclv.errors import DataError
from predclv.inference.posterior import check_number

if TYPE_CHECKING:
    from predclv.decisions.acquisition.budget import Curve

__all__ = ["Asked"]


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
    unusable : mapping of str to str
        Attributes that were asked for and cannot be compared, and why.
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
    unusable: Mapping[str, str] = field(default_factory=dict)
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
        check_terms({} if self.cac is None else self.cac, self.confidence, self.target)
        if self.budget is not None and check_number("budget", self.budget) <= 0:
            raise ValueError(f"'budget' must be above 0. Got {self.budget!r}.")
        self._check_arrivals()
        twice = [name for i, name in enumerate(self.drivers) if name in self.drivers[:i]]
        if twice:
            raise DataError(f"'drivers' names the column {twice[0]!r} more than once. Leave one of them out.")
        self._check_experiment()

    def _check_arrivals(self) -> None:
        given = self.arrivals
        for name, value in given.items() if isinstance(given, Mapping) else [(None, given)]:
            if value is not None and not 0 <= check_number("arrivals", value) < np.inf:
                whose = "" if name is None else f" of {name!r}"
                raise DataError(
                    f"'arrivals'{whose} must be a number of customers a month of at least 0. Got {value!r}."
                )

    def _check_experiment(self) -> None:
        for name in ("arm_start", "control", "detect"):
            if self.arm is None and getattr(self, name) is not None:
                raise DataError(f"{name!r} is about an experiment: give 'arm', the column that says who was in which.")
        if isinstance(parse_moment("arm_start", self.arm_start), dt.datetime):
            raise DataError(
                f"'arm_start' must be a day, the first on which arms differed: '2025-03-01'. Got "
                f"{str(self.arm_start)!r}."
            )
        if self.detect is not None and check_number("detect", self.detect) <= 0:
            raise ValueError(f"'detect' must be above 0, a difference that would matter. Got {self.detect!r}.")

    @property
    def offer(self) -> tuple[float, float] | None:
        """Cost and lift, where an offer is asked about."""
        if self.offer_cost is None or self.offer_lift is None:
            return None
        return self.offer_cost, self.offer_lift
