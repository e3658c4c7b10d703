"""Options from a TOML file: the same names as on the command line, which has the last word."""

from __future__ import annotations

import datetime as dt
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import typer

__all__ = ["use_config"]


def use_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the file's values as defaults of the command's options (a typer callback)."""
    if path is not None:
        options = {p.name for p in context.command.params if p.name} - {"config", "help"}
        context.default_map = {**(context.default_map or {}), **_read(path, options)}
    return path


def _read(path: Path, options: Iterable[str]) -> dict[str, Any]:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"'{path}' is not valid TOML: {error}") from error
    return dict(_checked(path, content, sorted(options)))


def _checked(path: Path, content: Mapping[str, Any], options: list[str]) -> Iterable[tuple[str, Any]]:
    for key, value in content.items():
        name = key.replace("-", "_")
        if name not in options:
            close = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean '{close[0].replace('_', '-')}'?" if close else "its options are those of the command."
            raise typer.BadParameter(f"'{path}' has an unknown option '{key}'; {hint}")
        if isinstance(value, Mapping):
            raise typer.BadParameter(f"'{path}': option '{key}' must be a single value, not a table.")
        yield name, [_plain(v) for v in value] if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> Any:
    # TOML has dates of its own; the options take them as text.
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value
