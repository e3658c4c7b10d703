"""What a command shows: progress and warnings on stderr, results on stdout, as a screen or as JSON."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from rich.console import Console, RenderableType

from predclv.errors import PredCLVWarning

__all__ = ["Session", "jsonable", "session"]


class Session:
    """One command's run: collects its warnings and shows its results in the way asked for."""

    def __init__(self, quiet: bool, as_json: bool) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.warnings: list[dict[str, str]] = []
        self._out = Console(highlight=False, soft_wrap=False)
        self._err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)

    @property
    def messages(self) -> list[str]:
        """Texts of the warnings so far."""
        return [warning["message"] for warning in self.warnings]

    @property
    def _is_watched(self) -> bool:
        # Rich takes a pipe for a terminal where FORCE_COLOR is set, as notebooks and CI do.
        return not self.quiet and self._err.is_terminal and self._err.file.isatty()

    def step(self, doing: str) -> Any:
        """Context that shows what is being done, where someone watches a terminal."""
        return self._err.status(doing + " ...") if self._is_watched else nullcontext()

    @contextmanager
    def progress(self) -> Iterator[Callable[[int, int, str], None] | None]:
        """Yield a function of (done, total, what) that shows how far it is; None where nobody watches a terminal."""
        if not self._is_watched:
            yield None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}", markup=False),
        )
        with Progress(*columns, console=self._err, transient=True) as bar:
            task = bar.add_task("starting", total=None)
            yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)

    def show(self, *parts: RenderableType) -> None:
        """Print parts of the result screen, unless JSON or silence is asked for."""
        if not (self.quiet or self.as_json):
            for part in parts:
                self._out.print(part)

    def finish(self, summary: dict[str, Any], *closing: RenderableType) -> None:
        """Print the warnings on stderr; then the last part of the screen or, if asked for, the summary as JSON."""
        for message in self.messages:
            self._err.print(f"warning: {message}")
        self.show(*closing)
        if self.as_json:
            print(json.dumps(jsonable({**summary, "warnings": self.warnings}), indent=2, allow_nan=False))

    def note(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        """Keep a warning, each text once; notices for developers of other packages are not for the user."""
        if issubclass(category, DeprecationWarning | FutureWarning | PendingDeprecationWarning | ImportWarning):
            return
        name = category.__name__ if issubclass(category, PredCLVWarning) else "Warning"
        entry = {"category": name, "message": " ".join(str(message).split())}
        if entry not in self.warnings:
            self.warnings.append(entry)


@contextmanager
def session(quiet: bool, as_json: bool) -> Iterator[Session]:
    """Collect warnings during a command; they are printed by `Session.finish`, and not beside an error."""
    current = Session(quiet, as_json)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = current.note
        yield current


def jsonable(value: Any) -> Any:
    """Plain JSON types; a number that JSON has no sign for becomes null."""
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
