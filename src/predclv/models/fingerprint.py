"""What a fitted model remembers of its data: enough to refuse a wrong use, and no customer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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
    """

    n_customers: int
    n_repeat_buyers: int
    time_unit: str
    collapse: str | None
    currency: str | None
    observation_end: str | None
    longest_age: float
    most_purchases: int

    @classmethod
    def of(cls, rfm: RFMSummary) -> Fingerprint:
        """Take the fingerprint of a summary."""
        end = rfm.observation_end
        return cls(
            n_customers=len(rfm),
            n_repeat_buyers=int((rfm.frequency > 0).sum()),
            time_unit=rfm.time_unit,
            collapse=rfm.collapse,
            currency=rfm.currency,
            observation_end=None if end is None else end.isoformat(),
            longest_age=float(rfm.T.max()),
            most_purchases=int(rfm.frequency.max()),
        )

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Fingerprint:
        """Rebuild from `to_dict`; TypeError where a field is missing or unknown."""
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    def check_pair(self, other: Fingerprint) -> None:
        """Raise UnitError where a transaction and a spend model were fitted on different kinds of summary."""
        for name in ("time_unit", "currency", "collapse"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                raise UnitError(
                    f"The transaction model was fitted with {name} = {mine!r}, the spend model with {theirs!r}. "
                    "Fit both on one summary."
                )
