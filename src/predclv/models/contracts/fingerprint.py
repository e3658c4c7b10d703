"""What a fitted contract model remembers of its data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from predclv.data.periods import check_period
from predclv.models.fingerprint import Fingerprint

__all__ = ["ContractFingerprint"]


@dataclass(frozen=True)
class ContractFingerprint(Fingerprint):
    """Size, period and range of the subscriptions that a model was fitted on.

    Attributes
    ----------
    n_customers, n_repeat_buyers : int
        Contracts, and those renewed at least once.
    time_unit : str
        Their period.
    collapse : None
    currency, observation_end : str or None
    longest_age : float
        Most renewals that anyone has come to.
    most_purchases : int
        Most renewals made.
    """

    @classmethod
    def of(cls, subs: Any) -> Self:
        """Take the fingerprint of subscriptions."""
        end = subs.observation_end
        return cls(
            n_customers=round(subs.n_customers),
            n_repeat_buyers=round(float(subs.weight[subs.tenure > 0].sum())),
            time_unit=subs.period,
            collapse=None,
            currency=subs.currency,
            observation_end=None if end is None else end.isoformat(),
            longest_age=float((subs.tenure + subs.lost).max()),
            most_purchases=int(subs.tenure.max()),
        )

    @staticmethod
    def _check_unit(time_unit: str) -> None:
        check_period(time_unit)
