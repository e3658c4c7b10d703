"""Groups of options that commands share: a dataclass each, whose fields become options of the command that takes it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from typing import Any, get_type_hints

__all__ = ["spread_groups"]


def spread_groups(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the fields of its dataclass parameters as options, in their place; it gets the groups filled.

    Typer reads options off a function's signature, one parameter each. The signature shown to it is the flat one.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, tuple[Callable[..., Any], list[str]]] = {}
    flat: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind: Any = hints[parameter.name]
        grouped = is_dataclass(kind)
        options = _options(kind) if grouped else [parameter.replace(annotation=kind)]
        if grouped:
            groups[parameter.name] = kind, [option.name for option in options]
        flat += options

    @wraps(command)
    def take(**given: Any) -> Any:
        for name, (kind, options) in groups.items():
            given[name] = kind(**{option: given.pop(option) for option in options})
        return command(**given)

    # As keywords, for a required option may then stand behind one that is not; typer calls by name.
    flat = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in flat]
    take.__signature__ = inspect.Signature(flat)  # type: ignore[attr-defined]
    take.__annotations__ = {option.name: option.annotation for option in flat}
    return take


def _options(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
