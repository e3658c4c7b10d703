"""What a call costs: processor time and memory."""

from __future__ import annotations

import ctypes
import gc
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

__all__ = ["Cost", "measure", "sparing_what_is_there"]

R = TypeVar("R")

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_FIELD = re.compile(r"^(VmHWM|VmRSS):\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True)
class Cost:
    """What a call took.

    Attributes
    ----------
    cpu_seconds : float
        Processor time of this process, all its threads together.
    peak_memory_mb : float
        Most memory in use during the call above what was in use before it, in megabytes of 10^6 bytes; NaN where the
        system does not tell (it does on Linux).
    """

    cpu_seconds: float
    peak_memory_mb: float


def measure(call: Callable[[], R]) -> tuple[R, Cost]:
    """Run a call and return its result and cost."""
    _give_back()
    before = _memory(reset=True)
    start = time.process_time()
    result = call()
    spent = time.process_time() - start
    after = _memory()
    peak = max(after["VmHWM"] - before["VmRSS"], 0) * 1024 / 1e6 if before and after else math.nan
    return result, Cost(spent, peak)


@contextmanager
def sparing_what_is_there() -> Iterator[None]:
    """Keep what is in use before many measurements from being searched for garbage at each of them.

    That takes a tenth of a second for each 200,000 objects or so, which a notebook soon holds.
    """
    if gc.get_freeze_count():
        # As a server does before it forks: undone, it could not be done again.
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _give_back() -> None:
    """Return to the system what earlier calls have freed, or a call that uses it again would seem to need nothing."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _memory(*, reset: bool = False) -> dict[str, int]:
    """Memory in use and its peak, in kilobytes of 1024 bytes; nothing where the system does not tell."""
    try:
        if reset:
            # Linux forgets the peak so far (proc(5), clear_refs, value 5).
            _RESET.write_text("5")
        found = {name: int(value) for name, value in _FIELD.findall(_STATUS.read_text())}
    except OSError:
        return {}
    return found if len(found) == 2 else {}
