"""The options of reading a log, checked before a row is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from predclv.data.checks import check_carry, check_option
from predclv.data.dates import COLLAPSES
from predclv.data.durations import check_time_unit, parse_moment
from predclv.data.money import parse_minor_unit
from predclv.data.opportunities import check_opportunities
from predclv.errors import DataError

__all__ = ["LogOptions"]


@dataclass(frozen=True)
class LogOptions:
    """How a log is to be read: the arguments of `RFMSummary.from_transactions`, checked."""

    customer_id: str = "customer_id"
    date: str = "date"
    amount: str | None = None
    time_unit: str = "week"
    collapse: str = "day"
    observation_end: Any = None
    observation_start: Any = None
    acquired: str | None = None
    carry: Sequence[str] = ()
    carry_conflict: str = "error"
    returns: str = "net"
    currency: str | None = None
    time_zone: str | None = None
    date_format: str | None = None
    after_end: str = "set_aside"
    on_null: str = "error"
    regularity: bool = False
    opportunities: str | None = None
    minor_unit: Any = None

    def __post_init__(self) -> None:
        if self.opportunities is None:
            check_time_unit(self.time_unit)
            check_option("collapse", self.collapse, COLLAPSES)
        else:
            self._settle_opportunities(check_opportunities(self.opportunities))
        check_option("returns", self.returns, ("net", "ignore", "error"))
        check_option("carry_conflict", self.carry_conflict, ("error", "first", "last"))
        check_option("after_end", self.after_end, ("set_aside", "error"))
        check_option("on_null", self.on_null, ("error", "drop"))
        check_carry(self.carry)
        if not isinstance(self.regularity, bool):
            raise DataError(f"'regularity' must be True or False. Got {self.regularity!r}.")
        if self.returns == "error" and self.amount is None:
            raise DataError("returns='error' looks at amounts, and no amount column is given. Give amount='...'.")
        if self.minor_unit is not None:
            if self.amount is None:
                raise DataError("'minor_unit' is about amounts, and no amount column is given. Give amount='...'.")
            object.__setattr__(self, "minor_unit", parse_minor_unit(self.minor_unit))
        for name in ("observation_end", "observation_start"):
            object.__setattr__(self, name, parse_moment(name, getattr(self, name)))

    def _settle_opportunities(self, opportunities: str) -> None:
        """Count and merge by opportunities; what else was asked for must not say otherwise."""
        for name, default in (("time_unit", "week"), ("collapse", "day")):
            if getattr(self, name) not in (default, opportunities):
                raise DataError(
                    f"{name}={getattr(self, name)!r} and opportunities={opportunities!r}: opportunities are their own "
                    f"ruler, and purchases within one are one. Leave {name!r} out."
                )
            object.__setattr__(self, name, opportunities)
        if self.regularity:
            raise DataError("regularity=True is about times between purchases, and opportunities are only counted.")
