"""Folders that a scoring job writes into: what may be in them, and what a killed job left there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from predclv.batch.lock import LOCK
from predclv.batch.manifest import MANIFEST, Manifest
from predclv.batch.parts import QUARANTINE
from predclv.errors import DataError

__all__ = ["SPILL", "check_apart", "look_at", "remove_leftovers"]

#: Folder for what DuckDB cannot hold.
SPILL = ".spill"
_PART = re.compile(r"part-\d{5}\.parquet")


def check_apart(folders: Sequence[Path], read: Sequence[Path]) -> None:
    """Refuse to write into what is read."""
    sources = {path.resolve() for path in read}
    for folder in folders:
        place = folder.resolve()
        if any(place == path or place.is_relative_to(path) or path.is_relative_to(place) for path in sources):
            raise DataError(f"'{folder}' and what is read lie within one another. Give another folder for the results.")


def look_at(out: Path, rejects: Path, resume: bool) -> Manifest | None:
    """Return the manifest of what was begun; refuse folders with other things. Nothing is touched."""
    begun = Manifest.read(out)
    if begun is not None and not resume:
        state = "a finished job" if begun.finished else f"{len(begun.parts)} of {begun.n_parts} parts of a job"
        raise DataError(f"'{out}' holds {state}. Go on with it by --resume, or give another folder.")
    for folder in {out, rejects}:
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        ours = {LOCK, SPILL, MANIFEST, QUARANTINE} if folder == out else {LOCK}
        # Parts come after the manifest, so that without one they are somebody else's.
        parts = [name for name in names if begun is not None and _PART.fullmatch(name)]
        others = [name for name in names if name not in (*ours, *parts) and not _is_left(name)]
        if others:
            raise DataError(
                f"'{folder}' holds {len(others)} entries that this job did not write (first: '{others[0]}'). Give a "
                "new or empty folder."
            )
    return begun


def remove_leftovers(out: Path, rejects: Path) -> None:
    """Remove what a killed job left half written."""
    for folder in {out, rejects}:
        for path in list(folder.iterdir()):
            if _is_left(path.name):
                path.unlink()


def _is_left(name: str) -> bool:
    return name.startswith(".") and ".tmp" in name
