"""The customers of a report on decisions: in memory, or a summary on disk that is read a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from predclv.data.rfm import RFMSummary
from predclv.data.units import read_units

__all__ = ["CHUNK", "Base", "FileBase", "MemoryBase"]

#: Customers at a time.
CHUNK = 250_000


class Base(Protocol):
    """Customers, one row each, in the order of the summary."""

    @property
    def n_customers(self) -> int:
        """How many there are."""
        ...

    @property
    def summary(self) -> RFMSummary:
        """All of them at once."""
        ...

    def chunks(self) -> Iterator[RFMSummary]:
        """Yield them, a part at a time."""
        ...


@dataclass(frozen=True, eq=False)
class MemoryBase:
    """Customers in memory."""

    summary: RFMSummary
    rows: int = CHUNK

    @property
    def n_customers(self) -> int:
        """See `Base`."""
        return len(self.summary)

    def chunks(self) -> Iterator[RFMSummary]:
        """See `Base`."""
        if self.n_customers <= self.rows:
            yield self.summary
            return
        for start in range(0, self.n_customers, self.rows):
            yield self.summary[start : start + self.rows]


@dataclass(frozen=True, eq=False)
class FileBase:
    """Customers of a Parquet file that `predclv.batch.summarize` wrote.

    Attributes
    ----------
    path : path
    carry : sequence of str
        Columns about the customer.
    rows : int
        Customers at a time.
    """

    path: Path
    carry: Sequence[str] = ()
    rows: int = CHUNK

    @cached_property
    def n_customers(self) -> int:
        """See `Base`."""
        return int(pq.read_metadata(self.path).num_rows)

    @cached_property
    def summary(self) -> RFMSummary:
        """See `Base`; read at first use, and kept."""
        return self._read(pq.read_table(self.path))

    def chunks(self) -> Iterator[RFMSummary]:
        """See `Base`."""
        with pq.ParquetFile(self.path) as file:
            waiting: list[pa.RecordBatch] = []
            for batch in file.iter_batches(self.rows, use_threads=False):
                waiting.append(batch)
                while sum(map(len, waiting)) >= self.rows:
                    table = pa.Table.from_batches(waiting)
                    yield self._read(table.slice(0, self.rows))
                    waiting = table.slice(self.rows).to_batches()
            if any(map(len, waiting)):
                yield self._read(pa.Table.from_batches(waiting))

    def _read(self, table: pa.Table) -> RFMSummary:
        return RFMSummary.from_frame(table, carry=self.carry, **read_units(self.path))
