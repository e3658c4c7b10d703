"""The page of commands and options, from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx


def list_commands() -> Iterator[tuple[str, Any]]:
    """Commands with their full names, groups opened."""
    import typer

    from predclv.cli.app import app

    yield from _open("predclv", typer.main.get_command(app))


def _open(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name, command
        return
    for child in children.values():
        yield from _open(f"{name} {child.name}", child)


def page() -> str:
    """The page as reStructuredText."""
    parts = [
        "Commands\n========\n",
        "Every command takes ``--help``, and ``predclv --install-completion`` has the shell complete them. Exit codes: "
        "0 done, 3 done with rows set aside (``score`` alone), 4 done and found what ``--fail-on`` asks for "
        "(``monitor`` alone), 2 the input or an option is at fault (one readable line on stderr), 1 the program is, or "
        "its installation; 130 stopped by Ctrl-C, 143 by SIGTERM.\n",
    ]
    for name, command in list_commands():
        parts.append(f"{name}\n{'-' * len(name)}\n\n{_literal(command.help or '')}\n")
        parts.append(".. list-table::\n   :widths: 34 66\n   :class: names\n\n" + "".join(map(_row, _shown(command))))
    return "\n".join(parts)


def _shown(command: Any) -> list[Any]:
    # Arguments first, as on the command line; `--help` is said once, above.
    params = [param for param in command.params if not getattr(param, "hidden", False) and param.name != "help"]
    return sorted(params, key=lambda param: param.param_type_name != "argument")


def _row(param: Any) -> str:
    names = [param.metavar or str(param.name).upper()] if param.param_type_name == "argument" else [*param.opts]
    names += param.secondary_opts
    default = param.default
    given = not callable(default) and default not in (None, "", (), [], False, True)
    said = f"{param.help or ''} By default {default}." if given else param.help or ""
    return f"   * - {', '.join(f'``{name}``' for name in names)}\n     - {_literal(said)}\n"


def _literal(text: str) -> str:
    """Words of a terminal on a page: backticks mark names, and nothing else in them is markup."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [re.sub(r"([*|_\\])", r"\\\1", part) for part in parts[::2]]
    return "``".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the page before Sphinx looks for it."""
    path, text = Path(app.srcdir) / "commands.rst", page()
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
