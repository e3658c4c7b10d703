"""One line that says how far a long run is, where someone watches."""

from __future__ import annotations

import sys
import time

__all__ = ["ProgressLine", "time_left"]


class ProgressLine:
    """Tell on stderr, in a terminal or a notebook, what is done and how long the rest will take."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._watched = sys.stderr.isatty() or "ipykernel" in sys.modules

    def __call__(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` tasks are done, the last of them `what`."""
        if self._watched:
            left = time_left(time.monotonic() - self._start, done, total)
            end = "\n" if done == total else ""
            print(f"\r\x1b[K{done} of {total} · {what} · {left}", end=end, file=sys.stderr, flush=True)


def time_left(elapsed: float, done: int, total: int) -> str:
    """'about 3 min left': the rest at the pace so far."""
    if done >= total:
        return f"{_span(elapsed)} in all"
    return f"about {_span(elapsed / done * (total - done))} left"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
