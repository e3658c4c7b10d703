"""What the columns of subscriptions must satisfy, each violation with its own message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, quote_list
from predclv.errors import DataError

__all__ = ["COLUMNS", "check_columns", "check_currency", "check_labels"]

#: What subscriptions call their own columns, in order.
COLUMNS = ("customer_id", "tenure", "ended", "lost", "weight", "next_renewal", "price", "start")

FloatArray = NDArray[np.float64]


def check_labels(currency: object, carried: Mapping[str, Any]) -> None:
    """Raise DataError where the currency is none, or a carried column would stand in the place of an own one."""
    check_currency(currency)
    for name in carried:
        if name in COLUMNS:
            raise DataError(
                f"carry={name!r}: {quote_list(COLUMNS)} are names of the subscriptions' own columns. Rename the column."
            )


def check_currency(currency: object) -> None:
    """Raise DataError where it is neither text nor None."""
    if not (currency is None or (isinstance(currency, str) and currency.strip())):
        raise DataError(f"currency={currency!r} is no currency. Give a code such as 'USD', or leave it out.")


def check_columns(
    customer_id: Any, tenure: Any, ended: Any, lost: Any, weight: Any, next_renewal: Any, price: Any
) -> dict[str, NDArray[Any]]:
    """Return copies of the columns with their types settled, or raise DataError at the first violation."""
    made = _numbers("tenure", tenure)
    n = len(made)
    if n == 0:
        raise DataError("There are no subscriptions. Was everything filtered out before?")
    ids = np.array(customer_id)
    if ids.shape != (n,):
        raise DataError(f"'customer_id' has shape {ids.shape} where 'tenure' has ({n},).")
    missing = pd.isna(ids)
    if missing.any():
        raise DataError(
            f"'customer_id' is null for {count_of(int(missing.sum()), n, 'rows')} (first: row "
            f"{int(np.argmax(missing))})."
        )
    over, left = (_flags(name, column, n) for name, column in (("ended", ended), ("lost", lost)))
    weights, part = _numbers("weight", weight, n), _numbers("next_renewal", next_renewal, n)
    refuse = _Refusal(ids)
    refuse(made, ~np.isfinite(made) | (made < 0) | (np.floor(made) != made), "'tenure' is no whole number of renewals")
    refuse(made, left & ~over, "'lost' says that a contract ended and 'ended' that it did not")
    refuse(weights, ~(np.isfinite(weights) & (weights > 0)), "'weight' is no positive number of customers")
    wrong = ~over & ~((part > 0) & (part <= 1))
    refuse(part, wrong, "'next_renewal' of a running contract is not above 0 and at most 1 (of a period)")
    columns: dict[str, NDArray[Any]] = {
        "customer_id": ids,
        "tenure": made.astype(np.int64),
        "ended": over,
        "lost": left,
        "weight": weights,
        "next_renewal": part,
    }
    if price is not None:
        paid = _numbers("price", price, n)
        refuse(paid, ~(np.isfinite(paid) & (paid >= 0)), "'price' is null, negative or not finite")
        columns["price"] = paid
    return columns


class _Refusal:
    """Raises DataError with count and first case."""

    def __init__(self, ids: NDArray[Any]) -> None:
        self.ids = ids

    def __call__(self, column: FloatArray, bad: NDArray[np.bool_], what: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            raise DataError(
                f"{what}: {count_of(int(bad.sum()), len(bad), 'rows')} (first: customer {self.ids[i]}, "
                f"{column[i]:.6g})."
            )


def _numbers(name: str, column: Any, n: int | None = None) -> FloatArray:
    given = np.asarray(column)
    if given.dtype.kind not in "iuf":
        raise DataError(f"{name!r} holds {given.dtype} values where numbers belong.")
    if given.ndim != 1 or (n is not None and len(given) != n):
        raise DataError(f"{name!r} has shape {given.shape} where one value a contract belongs.")
    return given.astype(np.float64)


def _flags(name: str, column: Any, n: int) -> NDArray[np.bool_]:
    given = np.asarray(column)
    if given.dtype != bool or given.shape != (n,):
        raise DataError(f"{name!r} must hold True or False for each of {n:,} contracts; it is {given.dtype}.")
    return given.copy()
