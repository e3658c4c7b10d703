"""What a scoring job has to do and what it has done, as a JSON file beside its parts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from predclv.errors import DataError
from predclv.files import write_text

__all__ = ["MANIFEST", "Manifest", "Part", "model_fingerprint"]

#: Readers of Parquet folders pass over names that begin so.
MANIFEST = "_manifest.json"
_SCHEMA_VERSION = 1
# What must be the same for a job to go on, and what a reader calls it.
_FIXED = {
    "model": "the model",
    "input": "the input",
    "options": "the options",
    "schema": "the columns",
    "rows": "the number of rows",
    "rows_per_part": "the rows of a part (--partitions)",
}


@dataclass(frozen=True)
class Part:
    """A finished part.

    Attributes
    ----------
    number, rows, scored : int
    outside : int
        Scored rows outside twice the range of the fit.
    rejected : dict of str to int
        Rows in quarantine, by reason.
    files : dict of str to str
        SHA-256 of the part's file of scores and, where there are rows in it, of its file in quarantine.
    """

    number: int
    rows: int
    scored: int
    outside: int
    rejected: dict[str, int]
    files: dict[str, str]


@dataclass
class Manifest:
    """A job: what it was asked for, and the parts that are finished, by number."""

    model: str
    input: dict[str, Any]
    options: dict[str, Any]
    schema: list[dict[str, str]]
    rows: int
    rows_per_part: int
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def n_parts(self) -> int:
        """Parts there are in the end: one, without rows, where the input has none."""
        return max(-(-self.rows // self.rows_per_part), 1)

    def rows_of(self, number: int) -> int:
        """Rows of a part."""
        return min(self.rows_per_part, self.rows - number * self.rows_per_part)

    @property
    def finished(self) -> bool:
        """Whether every part is there."""
        return len(self.parts) == self.n_parts

    @property
    def rejected(self) -> Counter[str]:
        """Rows in quarantine so far, by reason."""
        total: Counter[str] = Counter()
        for _, part in sorted(self.parts.items()):
            total.update(part.rejected)
        return total

    def write(self, folder: Path) -> None:
        """Write the manifest, whole or not at all."""
        from importlib.metadata import version

        parts = [asdict(part) for _, part in sorted(self.parts.items())]
        content = {
            "schema_version": _SCHEMA_VERSION,
            "package": "predclv",
            "package_version": version("predclv"),
            "kind": "scores",
            "finished": self.finished,
            "rows_in": self.rows,
            "rows_out": sum(part.scored for part in self.parts.values()),
            "rows_quarantined": self.rejected.total(),
            "quarantined": dict(self.rejected),
            **{name: getattr(self, name) for name in _FIXED},
            "parts": parts,
        }
        write_text(folder / MANIFEST, json.dumps(content, indent=2, allow_nan=False) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Read a folder's manifest; None where there is none, DataError where it is not one of ours."""
        path = folder / MANIFEST
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["package"] != "predclv" or content["kind"] != "scores":
                raise ValueError("it is of something else")
            if content["schema_version"] != _SCHEMA_VERSION:
                raise ValueError(f"it is in schema {content['schema_version']!r}, of another version of predclv")
            parts = [Part(**part) for part in content["parts"]]
            return cls(**{name: content[name] for name in _FIXED}, parts={part.number: part for part in parts})
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(f"'{path}' is no manifest of a scoring job: {error}. Give another folder.") from error

    def require_same(self, other: Manifest, folder: Path) -> None:
        """Raise DataError where another job was begun in the folder, naming what differs."""
        changed = [name for name in _FIXED if getattr(self, name) != getattr(other, name)]
        # What follows from another input or from other columns needs no words of its own.
        implied = {"rows", "rows_per_part"} if "input" in changed else set()
        implied |= {"schema"} if "options" in changed else set()
        differing = [words for name, words in _FIXED.items() if name in changed and name not in implied]
        if "options" in changed:
            mine, theirs = self.options, other.options
            names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
            differing = [
                f"{words} ({', '.join(f'{n}: {theirs.get(n)!r} before, {mine.get(n)!r} now' for n in names)})"
                if words == _FIXED["options"]
                else words
                for words in differing
            ]
        if differing:
            raise DataError(
                f"The job in '{folder}' was begun otherwise: {' and '.join(differing)} changed since. Go on with what "
                "it was begun with, or give another folder."
            )


def model_fingerprint(folder: Path) -> str:
    """SHA-256 over the names and bytes of a saved model's files; symbolic links are not followed."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix in (".json", ".parquet") and path.is_file() and not path.is_symlink():
            digest.update(f"{path.name}:{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
