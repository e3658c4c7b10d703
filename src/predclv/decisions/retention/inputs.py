"""What decisions about purchases take: a fitted CLV of purchases, and shares."""

from __future__ import annotations

from sklearn.utils.validation import check_is_fitted

from predclv.inference.posterior import check_number
from predclv.models.pair import Pair
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["check_share", "require_purchases"]


def require_purchases(clv: CLV, what: str, instead: str) -> Pair:
    """Return the fitted models of a CLV of purchases; TypeError where it is none, or of contracts."""
    if not isinstance(clv, CLV):
        raise TypeError(f"'clv' must be a fitted CLV. Got {type(clv).__name__}.")
    check_is_fitted(clv)
    if not isinstance(clv.transactions_, TransactionModel):
        raise TypeError(
            f"{what} is worked out for purchases, and {type(clv.transactions_).__name__} forecasts renewals of "
            f"contracts{instead}"
        )
    return Pair(clv.transactions_, clv.spend_)


def check_share(option: str, value: float) -> float:
    """Return a number from 0 to 1; ValueError otherwise, with a guess where it looks like percent."""
    number = check_number(option, value)
    if not 0 <= number <= 1:
        hint = f"; did you mean {number / 100:g}?" if 1 < number <= 100 else "."
        raise ValueError(f"{option!r} must be from 0 to 1. Got {value!r}{hint}")
    return number
