"""One set of customers and one horizon, checked once and asked many things: what decisions about groups start from."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from predclv.forecast.portfolio import Sums, Totals

__all__ = ["Odds", "Outlook", "draws_at_a_time"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Simulated values that are held at a time: 64 MiB.
_HELD = 1 << 23


class Odds(NamedTuple):
    """Chances, (n_rows, n_limits), that a customer's value is at least as large as a limit.

    Attributes
    ----------
    outcome : array
        What the customer turns out to be worth: parameter uncertainty, place in the population, and luck.
    mean : array
        What the customer is expected to be worth: parameter uncertainty alone.
    """

    outcome: FloatArray
    mean: FloatArray


class Outlook(Protocol):
    """Forecast of the value of some customers over one horizon, by whatever model."""

    @property
    def length(self) -> float:
        """Horizon in the time unit of the fit, or in periods; may be infinite."""
        ...

    @property
    def customer_id(self) -> NDArray[Any]:
        """(n_rows,) array."""
        ...

    @property
    def weight(self) -> IntArray:
        """Customers of each row, (n_rows,)."""
        ...

    @property
    def past(self) -> FloatArray:
        """What each row's customer has brought since the first purchase or period, undiscounted, (n_rows,)."""
        ...

    def columns(self, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """Columns of `CLV.predict` that need no level, each (n_rows,)."""
        ...

    def odds(self, limits: FloatArray, rows: IntArray | None = None) -> Odds:
        """Chances to reach limits, (n_limits,) amounts of money, of all rows or of some, in increasing order."""
        ...

    def outcomes(self, n_draws: int) -> Iterator[FloatArray]:
        """Simulated value of every customer, (n_customers,) in the order of rows, once per joint draw."""
        ...

    def totals(self, codes: IntArray, n_segments: int, n_draws: int | None = None) -> tuple[list[Sums], list[Totals]]:
        """Expectations and simulated totals by segment, `codes` (n_rows,), of parts that belong together."""
        ...

    def to_native(self, columns: dict[str, NDArray[Any]]) -> Any:
        """Columns of rows as a frame of the type that the customers came in."""
        ...


def draws_at_a_time(n_customers: int) -> int:
    """How many draws of every customer's value are simulated in one call, for the memory."""
    return max(_HELD // max(n_customers, 1), 1)
