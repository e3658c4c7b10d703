"""Rows of RFM tables as forecasts take them, and which of them cannot be scored, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from predclv.data.checks import quote_list, suggest
from predclv.errors import DataError
from predclv.models.covariates.encoding import Levels, Number
from predclv.models.fingerprint import Fingerprint

__all__ = [
    "MOST_PURCHASES",
    "REASONS",
    "Marks",
    "Needs",
    "Rows",
    "read_margin_and_segments",
    "read_numbers",
    "read_rows",
    "reason_column",
]

FloatArray = NDArray[np.float64]

#: More repeat purchases than anybody makes: tables of value would grow without bounds.
MOST_PURCHASES = 100_000
#: Older than anybody gets: a thousand years in hours.
LONGEST_AGE = 10_000_000
# As in a summary: tables printed with few digits may put recency above T by a rounding error; that much is mended.
_ROUNDING = 1e-9

#: Why a row cannot be scored, by code; 0 stands for a row that can. A row has the first reason that holds.
REASONS = (
    "",
    "customer_id is null",
    "frequency is null or not finite",
    "frequency is negative",
    "frequency is no whole number",
    f"frequency is above {MOST_PURCHASES:,}",
    "recency is null or not finite",
    "recency is negative",
    "T is null or not finite",
    "T is negative",
    f"T is above {LONGEST_AGE:,}",
    "recency exceeds T",
    "recency is above 0 where frequency is 0",
    "monetary_value is null or not finite where frequency is above 0",
    "monetary_value is negative where frequency is above 0",
    "margin is null or not finite",
    "margin is not between 0 and 1",
    "segment is null",
    "segment is unknown to the model",
    "the forecast is not a number",
    "customer_id is not unique",
    "frequency, recency and T are no counts of opportunities",
)


@dataclass(frozen=True)
class Needs:
    """What a scorer reads of a row.

    Attributes
    ----------
    spend : bool
        Whether monetary_value.
    margin : str or None
        Column with each customer's margin.
    segments : mapping of column to names
        Columns with segments, and those that the model knows.
    covariates : mapping of column to Number or Levels
        Columns with covariates, and how the model reads them.
    """

    spend: bool
    margin: str | None
    segments: Mapping[str, Sequence[str]]
    covariates: Mapping[str, Number | Levels] = field(default_factory=dict)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that hold numbers, each once."""
        spend = ("monetary_value",) if self.spend else ()
        margin = () if self.margin is None else (self.margin,)
        measured = (name for name, column in self.covariates.items() if isinstance(column, Number))
        return tuple(dict.fromkeys(("frequency", "recency", "T", *spend, *margin, *measured)))

    @property
    def flags(self) -> tuple[str, ...]:
        """Columns that hold 0 and 1."""
        return tuple(name for name, column in self.covariates.items() if isinstance(column, Number) and column.is_flag)

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, customer_id first, each once."""
        return tuple(dict.fromkeys(("customer_id", *self.numbers, *self.segments, *self.covariates)))

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """`REASONS`, and those that the model's covariates add."""
        own = (reason for column in self.covariates.values() for reason in _reasons(column))
        return (*REASONS, *own)

    def check(self, schema: pa.Schema, what: str = "the input") -> None:
        """Raise DataError where columns are missing, twice there, or hold what they cannot."""
        for name in self.columns:
            if (n := schema.names.count(name)) != 1:
                found = f"has no column {name!r}" if n == 0 else f"has {n} columns {name!r}"
                hint = suggest(name, schema.names) if n == 0 else ""
                raise DataError(f"{what} {found}.{hint} Its columns are {quote_list(schema.names)}.")
        for name in self.numbers:
            kind = schema.field(name).type
            if not (
                pa.types.is_integer(kind)
                or pa.types.is_floating(kind)
                or pa.types.is_decimal(kind)
                or pa.types.is_null(kind)
                # Flags are numbers of 0 and 1 to a fit.
                or (pa.types.is_boolean(kind) and (name in self.covariates or name in self.flags))
            ):
                raise DataError(f"{what} holds {kind} values in {name!r}, where numbers belong.")
        if pa.types.is_nested(schema.field("customer_id").type):
            raise DataError(f"{what} holds nested values in 'customer_id'. Give each customer one plain id.")


@dataclass(frozen=True)
class Rows:
    """Columns of a table as arrays, (n_rows,), with a reason's code for each row: 0 where it can be scored."""

    frequency: FloatArray
    recency: FloatArray
    T: FloatArray
    mean_spend: FloatArray
    margin: FloatArray
    segments: Mapping[str, NDArray[np.object_]]
    covariates: Mapping[str, NDArray[Any]]
    reason: NDArray[np.int16]

    def beyond(self, seen: Fingerprint) -> NDArray[np.bool_]:
        """Which rows lie outside twice the range of the fit."""
        return (self.frequency > 2 * seen.most_purchases) | (2 * seen.longest_age < self.T)


def read_rows(table: pa.Table, needs: Needs, margin: float) -> Rows:
    """Read a table's columns and judge its rows; `margin` is everybody's where no column holds it."""
    mark = Marks(table, needs)
    x, t_x, T = (read_numbers(table[name]) for name in ("frequency", "recency", "T"))
    mark(~np.isfinite(x), "frequency is null or not finite")
    mark(x < 0, "frequency is negative")
    mark(x != np.floor(x), "frequency is no whole number")
    mark(x > MOST_PURCHASES, f"frequency is above {MOST_PURCHASES:,}")
    for name, column in (("recency", t_x), ("T", T)):
        mark(~np.isfinite(column), f"{name} is null or not finite")
        mark(column < 0, f"{name} is negative")
    mark(T > LONGEST_AGE, f"T is above {LONGEST_AGE:,}")
    mark(t_x > np.clip(T, 0.0, LONGEST_AGE) * (1 + _ROUNDING) + _ROUNDING, "recency exceeds T")
    t_x = np.minimum(t_x, T)
    mark((x == 0) & (t_x > 0), "recency is above 0 where frequency is 0")
    spend = np.zeros(len(x))
    if needs.spend:
        spend = read_numbers(table["monetary_value"])
        mark((x > 0) & ~np.isfinite(spend), "monetary_value is null or not finite where frequency is above 0")
        mark((x > 0) & (spend < 0), "monetary_value is negative where frequency is above 0")
        # Only repeat purchases count: what a table holds for one-time buyers says nothing.
        spend[x == 0] = 0.0
    shares, segments = read_margin_and_segments(table, needs, margin, mark)
    covariates: dict[str, NDArray[Any]] = {}
    for name, known in needs.covariates.items():
        gap, other = _reasons(known)
        if isinstance(known, Number):
            covariates[name] = read_numbers(table[name])
            mark(~np.isfinite(covariates[name]), gap)
            mark(~np.isin(covariates[name], (0.0, 1.0)) & known.is_flag, other)
        else:
            covariates[name], missing = _as_text(table[name])
            mark(missing, gap)
            mark(~np.isin(covariates[name], np.array([known.reference, *known.levels], dtype=object)), other)
    return Rows(x, t_x, T, spend, shares, segments, covariates, mark.reason)


class Marks:
    """Marks rows of a table with the first reason that holds against them; a missing id comes first."""

    def __init__(self, table: pa.Table, needs: Needs) -> None:
        self.reason = np.zeros(table.num_rows, dtype=np.int16)
        self._reasons = needs.reasons
        self(_to_numpy(pc.is_null(table["customer_id"], nan_is_null=True)).astype(bool), "customer_id is null")

    def __call__(self, wrong: NDArray[np.bool_], text: str) -> None:
        """Mark rows that are not marked yet."""
        if wrong.any():
            self.reason[wrong & (self.reason == 0)] = self._reasons.index(text)


def read_margin_and_segments(
    table: pa.Table, needs: Needs, margin: float, mark: Marks
) -> tuple[FloatArray, dict[str, NDArray[np.object_]]]:
    """Each row's margin, everybody's where no column holds it, and its segments."""
    shares = np.full(table.num_rows, margin)
    if needs.margin is not None:
        shares = read_numbers(table[needs.margin])
        mark(~np.isfinite(shares), "margin is null or not finite")
        mark((shares < 0) | (shares > 1), "margin is not between 0 and 1")
    segments = {}
    for name, names in needs.segments.items():
        segments[name], missing = _as_text(table[name])
        mark(missing, "segment is null")
        mark(~np.isin(segments[name], np.array(list(names), dtype=object)), "segment is unknown to the model")
    return shares, segments


def reason_column(codes: NDArray[np.int16], reasons: Sequence[str] = REASONS) -> pa.Array:
    """Reasons in words."""
    return pa.array(np.array(reasons, dtype=object)[codes], type=pa.string())


def _reasons(column: Number | Levels) -> tuple[str, str]:
    """What a covariate may have against a row: that it is missing, and that the fit has seen nothing like it."""
    if isinstance(column, Number):
        return f"covariate {column.name!r} is null or not finite", f"covariate {column.name!r} is neither 0 nor 1"
    return f"covariate {column.name!r} is null", f"covariate {column.name!r} is unknown to the model"


def read_numbers(column: pa.ChunkedArray) -> FloatArray:
    """Floats of a column, NaN for null; a negative zero is a zero."""
    values = _to_numpy(column.cast(pa.float64(), safe=False))
    return np.asarray(values, dtype=np.float64) + 0.0


def _as_text(column: pa.ChunkedArray) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Values as text, which is how segments are called whatever the column holds, and which are missing."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of a column without rows
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], column.type)
    codes = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    names = np.array([str(name) for name in codes.dictionary.to_pylist()] + [""], dtype=object)
    missing = _to_numpy(pc.is_null(whole, nan_is_null=True)).astype(bool)
    index = np.where(missing, len(names) - 1, _to_numpy(codes.indices.fill_null(0)).astype(np.int64))
    return names[index], missing


def _to_numpy(column: pa.Array | pa.ChunkedArray) -> NDArray[np.generic]:
    return np.asarray(column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(False))
