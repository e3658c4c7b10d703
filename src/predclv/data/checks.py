"""Wording shared by every check: counts, closest names, option lists."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from predclv.errors import DataError

__all__ = [
    "OWN_COLUMNS",
    "check_carry",
    "check_channels",
    "check_option",
    "count_of",
    "pick_column",
    "quote_list",
    "suggest",
    "suggest_date_format",
]

#: What a summary calls its own columns, so that no carried column may be called so.
OWN_COLUMNS = ("customer_id", "frequency", "recency", "T", "monetary_value", "first_purchase", "log_itt", "weight")


def count_of(count: int, total: int, noun: str) -> str:
    """'3 of 2,357 customers'."""
    return f"{count:,} of {total:,} {noun}"


def quote_list(names: Iterable[Any]) -> str:
    """'a', 'b', 'c', cut after twelve."""
    listed = [repr(name) for name in names]
    return ", ".join(listed[:12]) + (f", and {len(listed) - 12} more" if len(listed) > 12 else "")


def suggest(name: object, names: Iterable[object]) -> str:
    """' Did you mean 'date'?' where one of `names` is close to `name`, else an empty string."""
    by_lower = {str(candidate).lower(): str(candidate) for candidate in names}
    close = difflib.get_close_matches(str(name).lower(), list(by_lower), n=1, cutoff=0.5)
    return f" Did you mean {by_lower[close[0]]!r}?" if close else ""


def suggest_date_format(text: object) -> str:
    """Format of a date by its look, in quotation marks: '%d.%m.%Y' for '31.12.2025', the day first if it may be."""
    numbers = re.fullmatch(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(\s+\d{1,2}:\d\d)?(:\d\d)?", str(text).strip())
    if numbers is None:
        return "'%d/%m/%Y'"
    first, separator, second, year, time, seconds = numbers.groups()
    rest = f"{separator}%{'Y' if len(year) == 4 else 'y'}{' %H:%M' if time else ''}{':%S' if seconds else ''}"
    formats = [f"'%d{separator}%m{rest}'", f"'%m{separator}%d{rest}'"]
    if int(second) > 12:
        return formats[1]
    return (
        formats[0] if separator == "." or int(first) > 12 else f"{formats[0]}, or {formats[1]} where months come first"
    )


def check_option(option: str, value: object, allowed: Sequence[str]) -> str:
    """Return `value` where it is allowed, or raise DataError listing what is."""
    if isinstance(value, str) and value in allowed:
        return value
    raise DataError(f"{option!r} must be one of {quote_list(allowed)}. Got {value!r}.{suggest(value, allowed)}")


def check_channels(option: str, given: Iterable[object], channels: Sequence[str]) -> None:
    """Raise DataError where what is given by channel leaves one out, or names one that there is not."""
    names = [str(name) for name in given]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise DataError(f"{option!r} names {twice[0]!r} more than once. Give one value for each channel.")
    lacking = [name for name in channels if name not in names]
    unknown = [name for name in names if name not in channels]
    if unknown:
        raise DataError(
            f"{option!r} names {count_of(len(unknown), len(names), 'channels')} that the customers do not have (first: "
            f"{unknown[0]!r}).{suggest(unknown[0], lacking or channels)} Theirs are {quote_list(channels)}."
        )
    if lacking:
        raise DataError(
            f"{option!r} lacks {count_of(len(lacking), len(channels), 'channels')} (first: {lacking[0]!r}). Give a "
            f"value for each of {quote_list(channels)}."
        )


def check_carry(carry: Sequence[str], option: str = "carry") -> None:
    """Raise DataError where carried columns would stand in the place of the summary's own, or are not a list."""
    if isinstance(carry, str):
        raise DataError(f"{option}={carry!r} must be a list of columns: [{carry!r}].")
    for name in carry:
        if name in OWN_COLUMNS:
            raise DataError(
                f"{option}={name!r}: {quote_list(OWN_COLUMNS)} are names of the summary's own columns. Rename the "
                "column."
            )


def pick_column(option: str, name: object, columns: Sequence[str], table: str) -> str:
    """Return `name` where `table` has that column, or raise DataError with the closest one."""
    if isinstance(name, str) and name in columns:
        return name
    raise DataError(
        f"{option}={name!r}: {table} has no such column.{suggest(name, columns)} Its columns are {quote_list(columns)}."
    )
