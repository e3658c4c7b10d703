"""What a fitted model remembers of its data: enough to refuse a wrong use, and no customer."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from predclv.data.durations import check_time_unit
from predclv.data.opportunities import check_opportunities
from predclv.data.rfm import RFMSummary
from predclv.errors import UnitError

__all__ = ["Fingerprint"]


@dataclass(frozen=True)
class Fingerprint:
    """Size, units and range of the summary that a model was fitted on.

    Attributes
    ----------
    n_customers, n_repeat_buyers : int
    time_unit, collapse : str
    currency : str or None
    observation_end : str or None
        As-of date, in ISO form.
    longest_age : float
        Largest T, in the time unit.
    most_purchases : int
        Largest frequency.
    opportunities : str or None
        What was counted, where time was not measured.
    """

    n_customers: int
    n_repeat_buyers: int
    time_unit: str
    collapse: str | None
    currency: str | None
    observation_end: str | None
    longest_age: float
    most_purchases: int
    opportunities: str | None = None

    @classmethod
    def of(cls, rfm: RFMSummary) -> Self:
        """Take the fingerprint of a summary."""
        end = rfm.observation_end
        return cls(
            n_customers=rfm.n_customers,
            n_repeat_buyers=rfm.n_repeat_buyers,
            time_unit=rfm.time_unit,
            collapse=rfm.collapse,
            currency=rfm.currency,
            observation_end=None if end is None else end.isoformat(),
            longest_age=float(rfm.T.max()),
            most_purchases=int(rfm.frequency.max()),
            opportunities=rfm.opportunities,
        )

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Rebuild from `to_dict`; TypeError or ValueError where a field is missing, unknown or of another kind."""
        fingerprint = cls(**fields)
        for name, value in asdict(fingerprint).items():
            if not _IS_VALID[Fingerprint.__annotations__[name]](value):
                raise ValueError(f"{name!r} of the data fitted on is {value!r}.")
        if fingerprint.opportunities is None:
            cls._check_unit(fingerprint.time_unit)
        elif check_opportunities(fingerprint.opportunities) != fingerprint.time_unit:
            raise ValueError(f"'time_unit' of the data fitted on is {fingerprint.time_unit!r}.")
        if fingerprint.observation_end is not None:
            dt.datetime.fromisoformat(fingerprint.observation_end)
        return fingerprint

    @staticmethod
    def _check_unit(time_unit: str) -> None:
        check_time_unit(time_unit)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    def check_pair(self, other: Fingerprint) -> None:
        """Raise UnitError where a transaction and a spend model were fitted on different kinds of summary."""
        for name in ("time_unit", "currency", "collapse", "opportunities"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise UnitError(
                    f"The transaction model was fitted with {name} = {mine!r}, the spend model with {theirs!r}. "
                    "Fit both on one summary."
                )


# By annotation, which is text here. A bool is an int to Python and no number to us.
_IS_VALID: dict[str, Callable[[Any], bool]] = {
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf,
    "str": lambda value: isinstance(value, str),
    "str | None": lambda value: value is None or isinstance(value, str),
}
