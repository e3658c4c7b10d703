"""What goes wrong, as one line on stderr and an exit code."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType

import predclv
from predclv.cli.stopping import Stopped
from predclv.errors import PredCLVError

__all__ = ["describe"]

BAD_INPUT, OUR_FAULT, INTERRUPTED = 2, 1, 130
PACKAGE = str(Path(predclv.__file__).parent)


def describe(error: BaseException, debug: bool = False) -> int:
    """Say what went wrong in one line on stderr and return the exit code.

    An error raised on purpose, by typer or by predclv, is the input's fault; so is what the operating system
    refuses. Anything else is a defect: the line says so and how to see the traceback.
    """
    if isinstance(error, KeyboardInterrupt) or type(error).__name__ == "Abort":
        return _say("stopped", INTERRUPTED)
    if isinstance(error, Stopped):
        return _say("stopped", 128 + error.number)
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):  # typer's usage errors, whichever its version
        return _say(str(error.format_message()), BAD_INPUT)
    if debug:
        traceback.print_exception(error)
    if isinstance(error, OSError) and not isinstance(error, PredCLVError):
        return _say(_of_system(error), BAD_INPUT)
    if isinstance(error, PredCLVError) or _raised_by_us(error):
        return _say(str(error), BAD_INPUT)
    return _say(
        f"unexpected {type(error).__name__}: {error} (a defect of predclv; the option --debug shows where)", OUR_FAULT
    )


def _say(message: str, code: int) -> int:
    print("predclv: " + " ".join(message.split()), file=sys.stderr)
    return code


def _of_system(error: OSError) -> str:
    if error.strerror is None or error.filename is None:
        return str(error)
    return f"'{error.filename}': {error.strerror}"


def _raised_by_us(error: BaseException) -> bool:
    """Whether a check of ours raised it, rather than a library that we called."""
    if isinstance(error, ModuleNotFoundError) or not isinstance(error, ValueError | ImportError):
        return False
    return _innermost(error.__traceback__).startswith(PACKAGE)


def _innermost(trace: TracebackType | None) -> str:
    name = ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return name
