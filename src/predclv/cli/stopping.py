"""What a signal to stop does: leave as Ctrl-C does, so that files half made and folders of spilled data go."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopped", "stopping_cleanly"]

_SIGNALS = ("SIGTERM", "SIGHUP")


class Stopped(BaseException):
    """A signal asked to stop; like KeyboardInterrupt no error, so that nothing takes it for one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Raise `Stopped` where a signal that would end the process arrives; a second one ends it at once.

    Signals that somebody else sees to, or ignores as `nohup` does, are left to them; and so are those of processes that
    were forked off.
    """
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != owner:
            os.kill(os.getpid(), number)
            return
        raise Stopped(number)

    taken = []
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
        taken = [number for number in known if signal.getsignal(number) == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
