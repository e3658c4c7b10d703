"""How much memory a job may take, and what that means for its parts."""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass

import pyarrow as pa

from predclv.batch.scorer import BLOCK_ROWS
from predclv.errors import DataError

__all__ = ["Memory", "parse_memory", "release_unused"]

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*([KMGT]?I?)B?\s*", re.IGNORECASE)
# What Python, its libraries, the model and its tables take, whatever the rows.
_FIXED = 550 << 20
# What Python and its libraries take alone.
_LIBRARIES = 360 << 20
# What a row takes while it is worked: columns, parameters' draws, results.
_PER_ROW = 1_800
_FEWEST_ROWS = 4_096


@dataclass(frozen=True)
class Memory:
    """Bytes that a whole job may take, about.

    Attributes
    ----------
    total : int
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
    def block_rows(self) -> int:
        """Rows worked at a time."""
        free = self.total - _FIXED - self.for_duckdb
        return int(min(max(free // _PER_ROW, _FEWEST_ROWS), BLOCK_ROWS))


def parse_memory(text: str) -> Memory:
    """Read "1GB", "800 MiB" or a number of bytes; DataError where it is none, or too little for any job."""
    found = _SIZE.fullmatch(text)
    unit = found[2].upper() if found else ""
    if not found or unit not in _UNITS | _BINARY:
        raise DataError(f"{text!r} is no amount of memory. Give one such as 1GB or 800MiB.")
    total = int(float(found[1]) * (_UNITS | _BINARY)[unit])
    least = _FIXED + (64 << 20)
    if total < least:
        raise DataError(f"{text!r} is too little: Python and a model alone take some {least >> 20} MiB.")
    return Memory(total)


def release_unused() -> None:
    """Give back to the system what has been freed: what lies between would let the memory grow from block to block."""
    pa.default_memory_pool().release_unused()
    # Of glibc; other libraries have no such call, and may do without.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform.startswith("linux") else None
    if trim is not None:
        trim(0)
