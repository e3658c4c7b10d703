"""Files written whole or not at all, and folders replaced only where nothing of somebody else's is lost."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["check_replaceable", "file_sha256", "replace_file", "replace_folder", "write_text"]

PathLike = str | os.PathLike[str]


@contextmanager
def replace_file(path: PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it into place if the block succeeds.

    Parent folders are made. On an exception the temporary file is removed and `path` is as it was.
    The temporary path has the suffix of `path`, so a writer that goes by the suffix does as meant.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: PathLike, *, manifest: str | None = None, keep_others: bool = False) -> Iterator[Path]:
    """Yield a temporary folder; put it into the place of `path` if the block succeeds.

    Where the folder is mounted, is the current one or stands in a parent that may not be written to, it cannot be
    swapped: then each file and folder in it is, one after the other.

    Parameters
    ----------
    path : path
        Folder to make or to replace.
    manifest : str, optional
        Name of a JSON file in it whose `"files"` lists what was written there. See `check_replaceable`.
    keep_others : bool
        Leave what the manifest does not list and replace namesakes only, instead of refusing.

    Raises
    ------
    FileExistsError, NotADirectoryError, PermissionError
        See `check_replaceable`.
    """
    if not keep_others:
        check_replaceable(path, manifest)
    target = Path(os.path.realpath(path))
    in_place = target.is_dir() and (keep_others or not _can_be_swapped(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _beside(target / target.name) if in_place else _beside(target)
    temporary.mkdir()
    try:
        yield temporary
        if in_place:
            _swap_entries(temporary, target, obsolete=_listed(target, manifest))
        else:
            _swap(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_replaceable(path: PathLike, manifest: str | None = None) -> None:
    """Raise unless a folder may be written at `path` without losing anything; touch nothing.

    It may where `path` is absent, is an empty folder, or holds nothing but `manifest` and what that lists.

    Raises
    ------
    FileExistsError
        The folder holds other things.
    NotADirectoryError
        `path`, or a folder on the way to it, is a file.
    PermissionError
        It may not be written there.
    """
    target = Path(os.path.realpath(path))
    standing = next(folder for folder in (target, *target.parents) if folder.exists())
    if not standing.is_dir():
        raise NotADirectoryError(f"'{path}' cannot be a folder: '{standing}' is a file.")
    if not os.access(standing, os.W_OK):
        raise PermissionError(f"'{path}' cannot be written: no permission to write in '{standing}'.")
    if standing == target:
        others = sorted({entry.name for entry in target.iterdir()} - _listed(target, manifest))
        if others:
            raise FileExistsError(
                f"'{path}' holds {len(others)} entries that predclv did not write there (first: '{others[0]}'). "
                "Give a new or empty folder."
            )


def file_sha256(path: PathLike) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: PathLike, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _listed(folder: Path, manifest: str | None) -> set[str]:
    """Names that the folder's manifest says were written by predclv, its own among them."""
    if manifest is None:
        return set()
    with suppress(OSError, ValueError, KeyError, TypeError):
        return {manifest, *map(str, json.loads((folder / manifest).read_text(encoding="utf-8"))["files"])}
    return set()


def _can_be_swapped(folder: Path) -> bool:
    # The rename itself would succeed for the current folder, but leave the caller's shell in a deleted one.
    return not (os.path.ismount(folder) or Path.cwd().is_relative_to(folder)) and os.access(folder.parent, os.W_OK)


def _swap_entries(source: Path, target: Path, obsolete: set[str]) -> None:
    new = {entry.name for entry in source.iterdir()}
    for name in sorted(new):
        _swap(source / name, target / name)
    for entry in list(target.iterdir()):
        if entry.name in obsolete - new:
            _remove(entry)


def _swap(source: Path, target: Path) -> None:
    # A folder that is not empty cannot be renamed over, so the old one steps aside first
    # and comes back if the second rename fails.
    if not target.exists():
        os.replace(source, target)
        return
    aside = _beside(target)
    os.replace(target, aside)
    try:
        os.replace(source, target)
    except BaseException:
        # Also where a signal stops the program in between.
        if not target.exists():
            os.replace(aside, target)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.stem}.{secrets.token_hex(4)}.tmp{target.suffix}")
