"""Columns of customers as columns of numbers: carried columns by name, standardised or as indicators of levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, quote_list, suggest
from predclv.errors import DataError

__all__ = ["Coefficient", "ColumnEncoding", "Encoder", "Levels", "Number", "check_collinear", "present"]

FloatArray = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]

# A column whose distance from the span of the others is less than this share of its own length is one of them.
_COLLINEAR = 1e-7


@dataclass(frozen=True)
class Coefficient:
    """One column of encoded covariates, and what its coefficient compares.

    Attributes
    ----------
    name : str
        "age", or "channel=paid".
    source : str
        The column it is made of.
    contrast : str
        "1 more", or "paid instead of organic".
    scale : float
        Units of the source in one of the encoded column: its standard deviation, or 1 for indicators.
    """

    name: str
    source: str
    contrast: str
    scale: float = 1.0

    @property
    def step(self) -> str:
        """What the coefficient itself compares, in words."""
        if self.scale == 1.0:
            return f"{self.source}: {self.contrast}"
        return f"{self.source} higher by {self.scale:.4g}, one standard deviation"


class Encoder(Protocol):
    """From customers' columns to numbers, as learnt from the customers of a fit."""

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """One a column of what `encode` returns."""
        ...

    @property
    def sources(self) -> list[str]:
        """Carried columns that it reads."""
        ...

    def encode(self, columns: Columns, customer_id: NDArray[Any]) -> FloatArray:
        """Numbers, (n_customers, n_coefficients); DataError where a value is missing, infinite or unknown."""
        ...


@dataclass(frozen=True)
class Number:
    """A numeric column: less its mean, over its standard deviation; a column of 0 and 1 stays as it is."""

    name: str
    center: float
    scale: float

    @classmethod
    def learn(cls, name: str, values: FloatArray) -> Number:
        """Take mean and standard deviation; DataError where the column is constant."""
        if values.min() == values.max():
            raise DataError(
                f"Column {name!r} is {values[0]:g} for all {len(values):,} customers, so it explains nothing. Leave it "
                "out."
            )
        if np.isin(values, (0.0, 1.0)).all():
            return cls(name, 0.0, 1.0)
        return cls(name, float(values.mean()), float(values.std()))

    @property
    def is_flag(self) -> bool:
        """Whether the customers of the fit had 0 and 1 only."""
        return self.center == 0.0 and self.scale == 1.0

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """See `Encoder`."""
        return (Coefficient(self.name, self.name, "1 instead of 0" if self.is_flag else "1 more", self.scale),)

    def encode(self, values: NDArray[Any], customer_id: NDArray[Any]) -> FloatArray:
        """One column, (n_customers, 1)."""
        if not _is_numeric(values):
            first = next(i for i, value in enumerate(values) if not _is_number(value))
            raise DataError(
                f"Column {self.name!r} held numbers in the fit, and does not now (first: customer "
                f"{customer_id[first]}, {values[first]!r})."
            )
        numbers = values.astype(np.float64)
        other = ~np.isin(numbers, (0.0, 1.0))
        if self.is_flag and other.any():
            first = int(np.argmax(other))
            raise DataError(
                f"Column {self.name!r} was 0 or 1 in the fit, and is not for "
                f"{count_of(int(other.sum()), len(values), 'customers')} (first: customer {customer_id[first]}, "
                f"{numbers[first]:g}). Fit again with such customers."
            )
        return np.asarray((numbers - self.center) / self.scale)[:, np.newaxis]


@dataclass(frozen=True)
class Levels:
    """A column of text: an indicator for each value but the most frequent one, the reference."""

    name: str
    reference: str
    levels: tuple[str, ...]

    @classmethod
    def learn(cls, name: str, values: NDArray[Any]) -> Levels:
        """Take the values in order, the most frequent one as reference; DataError where there is one only."""
        distinct = {str(value): value for value in pd.unique(values)}
        if len(distinct) < len(pd.unique(values)):
            raise DataError(f"Column {name!r} mixes values that print alike, such as 1 and '1'. Make them one type.")
        counts = pd.Series(list(map(str, values))).value_counts()
        known = sorted(distinct)
        if len(known) == 1:
            raise DataError(
                f"Column {name!r} is {known[0]!r} for all {len(values):,} customers, so it explains nothing. Leave it "
                "out."
            )
        reference = max(known, key=lambda level: counts[level])
        return cls(name, reference, tuple(level for level in known if level != reference))

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """See `Encoder`."""
        return tuple(
            Coefficient(f"{self.name}={level}", self.name, f"{level} instead of {self.reference}")
            for level in self.levels
        )

    def encode(self, values: NDArray[Any], customer_id: NDArray[Any]) -> FloatArray:
        """Indicators, (n_customers, n_levels)."""
        codes = pd.Index(self.levels).get_indexer(pd.Index(list(map(str, values)), dtype=object))
        unknown = (codes < 0) & np.array([str(value) != self.reference for value in values], dtype=bool)
        if unknown.any():
            first = int(np.argmax(unknown))
            raise DataError(
                f"Column {self.name!r} holds values that the fit has not seen, for "
                f"{count_of(int(unknown.sum()), len(values), 'customers')} (first: customer {customer_id[first]}, "
                f"{values[first]!r}). Known are {quote_list(sorted((self.reference, *self.levels)))}."
                f"{suggest(values[first], self.levels)} Fit again with such customers, or give them a known value."
            )
        encoded = np.zeros((len(values), len(self.levels)))
        rows = np.flatnonzero(codes >= 0)
        encoded[rows, codes[rows]] = 1.0
        return encoded


@dataclass(frozen=True)
class ColumnEncoding:
    """Carried columns by name: numbers standardised, everything else as levels.

    Attributes
    ----------
    option : str
        What errors call the setting.
    columns : tuple of Number or Levels
    """

    option: str
    columns: tuple[Number | Levels, ...]

    @classmethod
    def learn(cls, option: str, names: Sequence[str], columns: Columns, customer_id: NDArray[Any]) -> ColumnEncoding:
        """Learn from the customers of a fit; DataError where a column is missing, constant, or has gaps."""
        learnt: list[Number | Levels] = []
        for name in names:
            values = present(option, name, columns, customer_id)
            numeric = _is_numeric(values)
            learnt.append(Number.learn(name, values.astype(np.float64)) if numeric else Levels.learn(name, values))
        return cls(option, tuple(learnt))

    @property
    def sources(self) -> list[str]:
        """See `Encoder`."""
        return [column.name for column in self.columns]

    @property
    def coefficients(self) -> tuple[Coefficient, ...]:
        """See `Encoder`."""
        return tuple(coefficient for column in self.columns for coefficient in column.coefficients)

    def encode(self, columns: Columns, customer_id: NDArray[Any]) -> FloatArray:
        """See `Encoder`."""
        parts = [
            column.encode(present(self.option, column.name, columns, customer_id), customer_id)
            for column in self.columns
        ]
        return np.ascontiguousarray(np.hstack(parts))

    def to_dict(self) -> list[dict[str, Any]]:
        """Return the columns as JSON types."""
        return [{"kind": type(column).__name__, **asdict(column)} for column in self.columns]

    @classmethod
    def from_dict(cls, option: str, stored: Sequence[Mapping[str, Any]]) -> ColumnEncoding:
        """Rebuild from `to_dict`; KeyError, TypeError or ValueError where it is none."""
        return cls(option, tuple(_column_from_dict(column) for column in stored))


def present(option: str, name: str, columns: Columns, customer_id: NDArray[Any]) -> NDArray[Any]:
    """Return a column without gaps, or raise DataError saying what is wrong with it."""
    if name not in columns:
        known = quote_list(columns) or "none"
        raise DataError(
            f"{option}: {name!r} is no carried column; carried are: {known}.{suggest(name, columns)} Give "
            f"carry=[{name!r}]."
        )
    values = np.asarray(columns[name])
    if values.dtype.kind in "mM":
        raise DataError(f"{option}: column {name!r} holds dates. Make it a number, days since some day, or text.")
    missing = np.asarray(pd.isna(values))
    if missing.any():
        raise DataError(
            f"{option}: column {name!r} is missing for {count_of(int(missing.sum()), len(values), 'customers')} "
            f"(first: customer {customer_id[int(np.argmax(missing))]}). Fill it before, with a value, or a level "
            "'unknown', that says so."
        )
    if _is_numeric(values):
        infinite = ~np.isfinite(values.astype(np.float64))
        if infinite.any():
            raise DataError(
                f"{option}: column {name!r} is infinite for "
                f"{count_of(int(infinite.sum()), len(values), 'customers')} (first: customer "
                f"{customer_id[int(np.argmax(infinite))]})."
            )
    return values


def check_collinear(option: str, encoder: Encoder, encoded: FloatArray) -> None:
    """Raise DataError where a column is constant, or a combination of a constant and the columns before it."""
    basis = np.ones((len(encoded), 1)) / math.sqrt(len(encoded))
    names = [coefficient.name for coefficient in encoder.coefficients]
    for j in range(len(names)):
        column = encoded[:, j]
        # Twice, for digits.
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        length = float(np.linalg.norm(column))
        if np.linalg.norm(rest) <= _COLLINEAR * max(length, 1e-300):
            raise DataError(_explain(option, names, encoded, j), column=encoder.coefficients[j].source)
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])


def _explain(option: str, names: Sequence[str], encoded: FloatArray, j: int) -> str:
    before = np.column_stack([np.ones(len(encoded)), encoded[:, :j]])
    weights = np.linalg.lstsq(before, encoded[:, j])[0][1:]
    share = np.abs(weights) * encoded[:, :j].std(axis=0)
    others = [name for name, size in zip(names, share, strict=False) if size > 1e-6 * max(encoded[:, j].std(), 1e-300)]
    what = f"a combination of {quote_list(others)}" if others else "constant"
    return (
        f"{option}: {names[j]!r} is {what} for all {len(encoded):,} customers, so their effects cannot be told apart. "
        "Leave one of these columns out."
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating | np.bool_)


def _is_numeric(values: NDArray[Any]) -> bool:
    if values.dtype.kind == "O":
        return all(map(_is_number, values))
    return values.dtype.kind in "biuf"


def _column_from_dict(stored: Mapping[str, Any]) -> Number | Levels:
    fields = dict(stored)
    kind = fields.pop("kind")
    if not isinstance(fields["name"], str):
        raise ValueError(f"a covariate is called {fields['name']!r}.")
    if kind == "Number":
        number = Number(**fields)
        sizes = (number.center, number.scale)
        if not all(isinstance(size, float) and math.isfinite(size) for size in sizes) or number.scale <= 0:
            raise ValueError(f"covariate {number.name!r} has no finite mean and standard deviation.")
        return number
    if kind != "Levels":
        raise ValueError(f"a covariate is of an unknown kind, {kind!r}.")
    levels = Levels(fields["name"], fields["reference"], tuple(fields["levels"]))
    texts = (levels.reference, *levels.levels)
    if not all(isinstance(text, str) for text in texts) or len(set(texts)) < len(texts) or len(texts) < 2:
        raise ValueError(f"covariate {levels.name!r} has no distinct levels.")
    return levels
