"""Money as whole numbers of a declared minor unit, which every engine adds up alike."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.frames import column_to_numpy
from predclv.errors import DataError

__all__ = ["LARGEST", "MinorUnit", "parse_minor_unit"]

#: Whole numbers below it are exact as floats.
LARGEST = 2**53
# What a division of binary fractions leaves, in minor units; 5.1 / 0.1 is off by far less, 5.15 / 0.1 by far more.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class MinorUnit:
    """The smallest amount of a currency: 1/100 for cents.

    Attributes
    ----------
    size : Fraction
    """

    size: Fraction

    def __str__(self) -> str:
        return f"{float(self.size):.12g}"

    def to_money(self, units: Any) -> Any:
        """Whole numbers of minor units as money, each the float nearest to it."""
        return units * float(self.size.numerator) / float(self.size.denominator)

    def mean(self, units: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Money of `units` divided by `counts`, with one rounding; 0 where the count is 0."""
        parts = counts * float(self.size.denominator)
        money = units * float(self.size.numerator)
        return np.asarray(np.divide(money, parts, out=np.zeros(len(units)), where=counts > 0))

    def count(self, frame: nw.LazyFrame[Any], column: str) -> nw.LazyFrame[Any]:
        """Turn the column 'amount' into whole numbers of minor units.

        Parameters
        ----------
        frame : LazyFrame
            customer, date, amount (finite floats).
        column : str
            What the caller calls the amount.

        Raises
        ------
        DataError
            An amount is no multiple of the unit, or so large that it, or the sum of all, is not exact.
        """
        scaled = nw.col("amount") * float(self.size.denominator) / float(self.size.numerator)
        counted = frame.with_columns(whole=scaled.round(0))
        whole, off = nw.col("whole"), (scaled - nw.col("whole")).abs()
        large = whole.abs() >= LARGEST
        # Beyond 2^31 cents the float itself is off by more than a millionth of a cent.
        odd = ~large & (off > _ROUNDING) & (off > whole.abs() * 2.0**-51)
        found = counted.select(
            rows=nw.len(),
            odd=odd.cast(nw.Int64).sum(),
            large=large.cast(nw.Int64).sum(),
            most=whole.abs().max(),
        ).collect()
        rows, n_odd, n_large, most = (column_to_numpy(found[name])[0] for name in ("rows", "odd", "large", "most"))
        label = f"amount column {column!r}"
        if n_large or rows * most >= 2.0**63:
            cases = counted.filter(large if n_large else whole.abs() == most)
            how_many = f" in {count_of(int(n_large), int(rows), 'rows')}" if n_large else ""
            raise DataError(
                f"{label} holds amounts too large to be added up exactly in units of {self}{how_many} (first: "
                f"{_first(cases)}). Mend them, give a larger unit, or leave minor_unit out."
            )
        if n_odd:
            raise DataError(
                f"{label} is no multiple of minor_unit={self} for {count_of(int(n_odd), int(rows), 'rows')} (first: "
                f"{_first(counted.filter(odd))}). Round them, give a smaller unit, or leave minor_unit out."
            )
        return counted.with_columns(whole.cast(nw.Int64).alias("amount")).drop("whole")


def parse_minor_unit(value: object) -> MinorUnit:
    """Read 0.01, "0.01", 1 or 5: a decimal number above 0; DataError where it is none."""
    if isinstance(value, MinorUnit):
        return value
    try:
        size = Fraction(Decimal(str(value).strip()))
    except (InvalidOperation, ValueError, OverflowError):
        size = Fraction(0)
    if isinstance(value, bool) or size <= 0 or max(size.numerator, size.denominator) > 10**9:
        raise DataError(
            f"minor_unit={value!r} is no amount of money that others can be counted in. Give 0.01 for cents, or 1 for "
            "a currency without them."
        )
    return MinorUnit(size)


def _first(cases: nw.LazyFrame[Any]) -> str:
    head = cases.select("customer", "amount").head(1).collect()
    return f"customer {head['customer'][0]}, {head['amount'][0]:.12g}"
