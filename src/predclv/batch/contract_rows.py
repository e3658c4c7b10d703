"""Rows of tables of contracts as forecasts take them, and which of them cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from predclv.batch.rows import MOST_PURCHASES, REASONS, Marks, Needs, read_margin_and_segments, read_numbers
from predclv.models.fingerprint import Fingerprint

__all__ = ["ContractNeeds", "ContractRows", "read_contract_rows"]

FloatArray = NDArray[np.float64]

_REASONS = (
    "tenure is null or not finite",
    "tenure is negative",
    "tenure is no whole number",
    f"tenure is above {MOST_PURCHASES:,}",
    "ended is neither true nor false",
    "next_renewal of a running contract is not above 0 and at most 1",
    "price is null, negative or not finite",
)


@dataclass(frozen=True)
class ContractNeeds(Needs):
    """What a scorer reads of a row of a contract: `spend` is whether its price."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that hold numbers, each once."""
        price = ("price",) if self.spend else ()
        margin = () if self.margin is None else (self.margin,)
        return tuple(dict.fromkeys(("tenure", "ended", "next_renewal", *price, *margin)))

    @property
    def flags(self) -> tuple[str, ...]:
        """Columns that hold 0 and 1, or false and true."""
        return ("ended",)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Those of every row, and those of contracts."""
        return (*REASONS, *_REASONS)


@dataclass(frozen=True)
class ContractRows:
    """Columns of a table as arrays, (n_rows,), with a reason's code for each row: 0 where it can be scored."""

    tenure: FloatArray
    ended: NDArray[np.bool_]
    next_renewal: FloatArray
    price: FloatArray
    margin: FloatArray
    segments: Mapping[str, NDArray[np.object_]]
    reason: NDArray[np.int16]

    def beyond(self, seen: Fingerprint) -> NDArray[np.bool_]:
        """Which rows lie outside twice the range of the fit."""
        return self.tenure > 2 * seen.longest_age


def read_contract_rows(table: pa.Table, needs: ContractNeeds, margin: float) -> ContractRows:
    """Read a table's columns and judge its rows; `margin` is everybody's where no column holds it."""
    mark = Marks(table, needs)
    tenure, flag, part = (read_numbers(table[name]) for name in ("tenure", "ended", "next_renewal"))
    mark(~np.isfinite(tenure), "tenure is null or not finite")
    mark(tenure < 0, "tenure is negative")
    mark(tenure != np.floor(tenure), "tenure is no whole number")
    mark(tenure > MOST_PURCHASES, f"tenure is above {MOST_PURCHASES:,}")
    mark(~np.isin(flag, (0.0, 1.0)), "ended is neither true nor false")
    ended = flag == 1.0
    mark(~ended & ~((part > 0) & (part <= 1)), "next_renewal of a running contract is not above 0 and at most 1")
    price = np.zeros(len(tenure))
    if needs.spend:
        price = read_numbers(table["price"])
        mark(~(np.isfinite(price) & (price >= 0)), "price is null, negative or not finite")
    # Of ended contracts the next renewal says nothing.
    part = np.where(ended, 1.0, part)
    shares, segments = read_margin_and_segments(table, needs, margin, mark)
    return ContractRows(tenure, ended, part, price, shares, segments, mark.reason)
