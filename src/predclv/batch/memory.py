"""How much memory a job may take, and what that means for its parts."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass

import pyarrow as pa

from predclv.batch.scorer import BLOCK_ROWS
from predclv.errors import DataError
from predclv.forecast.value_tables import MOST_BYTES

__all__ = ["LEAST", "Memory", "parse_memory", "release_unused"]

#: The smallest limit that is kept to.
LEAST = 600 << 20

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]?I?)B?\s*", re.IGNORECASE)
# What Python, its libraries, the model, DuckDB and the arrays of a chunk of rows take, whatever the rows.
_FIXED = 500 << 20
# What Python and its libraries take alone.
_LIBRARIES = 360 << 20
# What a collapsed row takes while a fit is made of it.
_PER_COLLAPSED_ROW = 300
# What a row of a block takes while it is worked: as it came, its columns, its scores.
_PER_ROW = 1_100
# Less than that is no use, and more than that is not needed: of tables of value between blocks, and of rows.
_FEWEST_BYTES, _FEWEST_ROWS = 32 << 20, 16_384


@dataclass(frozen=True)
class Memory:
    """Bytes that a whole job may take.

    Attributes
    ----------
    total : int
        At most so much is resident: data, code and libraries. From `LEAST` on it is kept to.
    """

    total: int

    @property
    def for_duckdb(self) -> int:
        """DuckDB's own share."""
        return max(self.total // 16, 64 << 20)

    @property
    def for_grouping(self) -> int:
        """DuckDB's share where it groups a table, while nothing else is done."""
        return max((self.total - _LIBRARIES) * 3 // 4, 128 << 20)

    @property
    def collapsed_rows(self) -> int:
        """Collapsed rows that a fit can be made of."""
        return max((self.total - _LIBRARIES) // _PER_COLLAPSED_ROW, 1)

    @property
    def table_bytes(self) -> int:
        """Share of the tables of value that are kept from block to block."""
        return min(max(self._free // 2, _FEWEST_BYTES), MOST_BYTES)

    @property
    def block_rows(self) -> int:
        """Rows worked at a time."""
        return min(max((self._free - self.table_bytes) // _PER_ROW, _FEWEST_ROWS), BLOCK_ROWS)

    @property
    def _free(self) -> int:
        # DuckDB's share grows with the limit, and what is fixed holds the least of it.
        return self.total - _FIXED - (self.for_duckdb - (64 << 20))


def parse_memory(text: str) -> Memory:
    """Read "1GB", "800 MiB" or a number of bytes; DataError where it is none, or too little for any job."""
    found = _SIZE.fullmatch(text) if isinstance(text, str) else None
    unit = found[2].upper() if found else ""
    if not found or unit not in _UNITS | _BINARY:
        raise DataError(f"{text!r} is no amount of memory. Give one such as 1GB or 800MiB.")
    total = int(float(found[1]) * (_UNITS | _BINARY)[unit])
    if total < LEAST:
        raise DataError(f"{text!r} is too little: Python and a model alone take most of {LEAST >> 20} MiB, the least.")
    return Memory(total)


def release_unused() -> None:
    """Give back to the system what has been freed: what lies between would let the memory grow from block to block."""
    pa.default_memory_pool().release_unused()
    # Of glibc; other libraries have no such call, and may do without.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
