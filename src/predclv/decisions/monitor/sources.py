"""Where the customers of a snapshot come from: memory, or a Parquet file whose columns are kept plain and compact."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predclv.batch.memory import release_unused
from predclv.data.durations import parse_moment
from predclv.data.rfm import RFMSummary
from predclv.data.units import read_units
from predclv.errors import DataError

__all__ = ["ROWS", "FileSnapshot", "Rows", "Snapshot", "find_ids", "open_snapshot", "stretches"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
#: Whole numbers of any width: rows of millions of customers are kept in 32 bits.
Rows = NDArray[Any]

#: Customers at a time: what is worked out of them takes about a kilobyte each.
ROWS = 131_072

_NUMBERS = ("frequency", "recency", "T", "monetary_value")


@dataclass(frozen=True, eq=False)
class FileSnapshot:
    """A summary of a Parquet file: numbers as arrays, ids and carried columns as Arrow has them.

    An id as an object of Python takes four times as much; such are made of the customers that are picked alone, and
    what is picked is checked like any summary.

    Attributes
    ----------
    customer_id : pyarrow.Array
    frequency, recency, T, monetary_value : (n_customers,) arrays
    carried : mapping of str to pyarrow.ChunkedArray
    one : RFMSummary
        Of the first customer, which knows the units.
    """

    customer_id: Any
    frequency: Rows
    recency: FloatArray
    T: FloatArray
    monetary_value: FloatArray | None
    carried: Mapping[str, Any]
    units: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.frequency)

    @property
    def n_customers(self) -> int:
        """As many as rows."""
        return len(self)

    @property
    def one(self) -> RFMSummary:
        """The summary of the first customer, which knows the units."""
        return self.pick(np.zeros(1, dtype=np.int64))

    @property
    def time_unit(self) -> str:
        """As in `RFMSummary`."""
        return str(self.units.get("time_unit") or self.units["opportunities"])

    @property
    def collapse(self) -> str | None:
        """As in `RFMSummary`."""
        return self.opportunities or self.units.get("collapse")

    @property
    def opportunities(self) -> str | None:
        """As in `RFMSummary`."""
        return self.units.get("opportunities")

    @property
    def currency(self) -> str | None:
        """As in `RFMSummary`."""
        return self.units.get("currency")

    @property
    def returns(self) -> str | None:
        """A file does not say."""
        return None

    @property
    def observation_end(self) -> dt.date | None:
        """As in `RFMSummary`."""
        return parse_moment("observation_end", self.units.get("observation_end"))

    @property
    def days_per_unit(self) -> float:
        """As in `RFMSummary`."""
        return self.one.days_per_unit

    def pick(self, positions: Rows, /) -> RFMSummary:
        """Return the summary of some customers, in that order."""
        where = pa.array(positions)
        return RFMSummary(
            _plain(self.customer_id.take(where)),
            self.frequency[positions],
            self.recency[positions],
            self.T[positions],
            None if self.monetary_value is None else self.monetary_value[positions],
            carried={name: _plain(column.take(where)) for name, column in self.carried.items()},
            **{**self.units, "time_unit": self.time_unit},
        )


#: Customers at a date, a row each.
Snapshot = RFMSummary | FileSnapshot


def open_snapshot(source: RFMSummary | str | os.PathLike[str], carry: Sequence[str]) -> Snapshot:
    """Return a summary as it is, or open the Parquet file of one.

    Raises
    ------
    DataError
        The file holds no summary, or one that contradicts itself.
    """
    if not isinstance(source, str | os.PathLike):
        return source
    path, carry = Path(source), list(dict.fromkeys(carry))
    found = _open(path, carry) if path.suffix.lower() == ".parquet" and path.is_file() else None
    if found is not None:
        return found
    # Whatever is out of the ordinary goes the way that knows how to read it, or what to say.
    try:
        return RFMSummary.from_frame(path, carry=carry)
    except DataError as error:
        # Which of the two it is; nobody asked for columns to be carried.
        said = str(error).replace("carry=", "column ", 1)
        raise error if str(path) in said else DataError(f"'{path}': {said}") from error


def _open(path: Path, carry: list[str]) -> FileSnapshot | None:
    """Columns of a file, where they are all of the plain kind that `summarize` and `run` write; else None."""
    try:
        units, schema = read_units(path), pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return None
    wanted = ["customer_id", "frequency", "recency", "T", *carry]
    if (
        "weight" in schema.names
        or not set(wanted) <= set(schema.names)
        or not {"time_unit", "opportunities"} & {*units}
    ):
        return None
    kind = schema.field("customer_id").type
    if not (_is_text(kind) or pa.types.is_signed_integer(kind)):
        return None
    if any(not _is_text(schema.field(name).type) and not _is_number(schema.field(name).type) for name in carry):
        return None
    numbers: dict[str, Any] = {}
    for name in _NUMBERS:
        if name in schema.names:
            column = pq.read_table(path, columns=[name]).column(0)
            if not _is_number(column.type) or column.null_count or (name == "frequency" and not _is_whole(column.type)):
                return None
            numbers[name] = column.to_numpy()
            if name == "frequency" and int(numbers[name].max(initial=0)) <= np.iinfo(np.int32).max:
                numbers[name] = numbers[name].astype(np.int32)
            del column
    ids = pq.read_table(path, columns=["customer_id"]).column(0)
    if ids.null_count or len(ids) == 0:
        return None
    ids = ids.cast(pa.large_string() if _is_text(kind) else pa.int64()).combine_chunks()
    if not _are_distinct(ids):
        return None
    carried = {name: pq.read_table(path, columns=[name]).column(0) for name in carry}
    release_unused()
    carried = {name: c.dictionary_encode() if _is_text(c.type) else c for name, c in carried.items()}
    frequency, recency, T = (numbers[name] for name in _NUMBERS[:3])
    if not _are_sound(frequency, recency, T, numbers.get("monetary_value")):
        return None
    return FileSnapshot(ids, frequency, recency, T, numbers.get("monetary_value"), carried, units)


def _are_sound(frequency: Rows, recency: FloatArray, T: FloatArray, spend: FloatArray | None) -> bool:
    """Whether the plainest of what is asked of a summary holds: what does not is to be refused, not to be matched."""
    for some in stretches(len(frequency), ROWS):
        # NaN compares as false.
        sound = (frequency[some] >= 0) & (recency[some] >= 0) & (recency[some] <= T[some]) & (T[some] < np.inf)
        if not sound.all() or (spend is not None and not np.isfinite(spend[some]).all()):
            return False
    return True


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_whole(kind: pa.DataType) -> bool:
    return bool(pa.types.is_signed_integer(kind))


def _is_number(kind: pa.DataType) -> bool:
    return _is_whole(kind) or bool(pa.types.is_float64(kind))


def _are_distinct(ids: pa.Array) -> bool:
    if len(ids) == 1 or pc.all(pc.greater(ids[1:], ids[:-1])).as_py():
        return True
    return int(pc.count_distinct(ids).as_py()) == len(ids)


def _plain(column: Any) -> NDArray[Any]:
    """A column as `RFMSummary.from_frame` would have it: text and what has gaps as objects, with None for gaps."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    if column.null_count and pa.types.is_integer(column.type):
        return np.array(column.to_pylist(), dtype=object)
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found


def find_ids(wanted: Any, known: Any) -> Rows:
    """Position of each wanted id among those known, -1 where it is none of them: (n_wanted,)."""
    if isinstance(wanted, pa.Array) and isinstance(known, pa.Array) and wanted.type == known.type:
        found = pc.fill_null(pc.index_in(wanted, value_set=known), -1)
        return np.asarray(found.to_numpy(zero_copy_only=False))
    import pandas as pd

    ours, theirs = (
        pd.Index(one.to_numpy(zero_copy_only=False) if isinstance(one, pa.Array) else one) for one in (wanted, known)
    )
    return np.asarray(theirs.get_indexer(ours))


def stretches(n: int, rows: int) -> Iterator[slice]:
    """Yield slices of at most `rows` that make up n."""
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))
