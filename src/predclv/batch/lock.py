"""One job a folder: a lock that the operating system gives back when its holder dies, however it dies."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from predclv.errors import DataError

__all__ = ["LOCK", "locked_folder", "spill_room"]

LOCK = ".lock"
_SPILL = ".predclv-spill-"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is absent; DataError where another process holds it.

    The file stays when the lock is gone: a lock is what the system knows of it, so that a file left by a process that
    was killed locks nothing.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be a folder for results: {error.strerror}. Give another one.") from error
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise DataError(
                f"Another job is at work in '{folder}' (process {file.read().strip() or 'unknown'}). Wait for it, or "
                "give another folder."
            ) from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@contextmanager
def spill_room(folder: Path) -> Iterator[Path]:
    """Yield a folder in `folder` for what does not fit into memory: gone at the end, or when the next job finds it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        room = tempfile.TemporaryDirectory(prefix=_SPILL, dir=folder)
    except OSError as error:
        raise DataError(f"'{folder}' cannot hold what does not fit into memory: {error}. Give another one.") from error
    with room, locked_folder(Path(room.name)):
        yield Path(room.name)


def _remove_abandoned(folder: Path) -> None:
    """Remove rooms in `folder` whose holder was killed; those without a lock, held, or of another user, stay."""
    import fcntl

    for left in folder.glob(f"{_SPILL}*"):
        if left.is_symlink():
            continue
        try:
            with open(left / LOCK, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
        except OSError:
            continue
