"""What options of `decide` say in one text: amounts by channel, names, tiers, curves."""

from __future__ import annotations

import csv
from pathlib import Path

from predclv.cli import steps
from predclv.data.checks import quote_list
from predclv.decisions.acquisition.budget import Saturating
from predclv.errors import DataError

__all__ = ["read_amounts", "read_curves", "read_names", "read_tiers", "require_amount"]


def require_amount(amount: str | None) -> None:
    """Refuse a log without money, and say what does with purchases alone."""
    if amount is None:
        raise DataError(
            "decide needs --amount, the column with the money spent: costs, budgets and values are told in money. Of a "
            "log that counts purchases alone, `predclv fit` and `predclv score` forecast them, `predclv backtest` "
            "tests that, and `predclv monitor` finds who has fallen silent."
        )


def read_names(option: str, text: str | None) -> tuple[str, ...]:
    """Read names between commas."""
    names = tuple(part.strip() for part in (text or "").split(","))
    if text is not None and not all(names):
        raise DataError(f"--{option} is columns between commas: channel,plan. Got {text!r}.")
    return names if text is not None else ()


def read_amounts(text: str | None, option: str = "--cac") -> float | dict[str, float] | None:
    """Read one number, channel=amount between commas, or a CSV file of channel and what the option is called."""
    if text is None:
        return None
    column = option.removeprefix("--")
    if isinstance(number := steps.number_or_text(text), float):
        return number
    if text.lower().endswith(".csv"):
        return {name: _amount(name, row[column]) for name, row in _read_rows(Path(text), (column,)).items()}
    amounts: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, mark, amount = (part.strip() for part in pair.rpartition("="))
        if not mark or not name:
            raise DataError(
                f"{option} is one number, channel=amount between commas, or a CSV file with the columns channel and "
                f"{column}, which takes names with commas too. Got {pair!r}."
            )
        if name in amounts:
            raise DataError(f"{option} names {name!r} twice.")
        amounts[name] = _amount(name, amount)
    if not amounts:
        raise DataError(f"{option} names no channel: {text!r}.")
    return amounts


def read_tiers(text: str) -> int | dict[str, float]:
    """Read a number of tiers, or name=share between commas."""
    number = steps.number_or_text(text)
    if isinstance(number, float):
        if not number.is_integer():
            raise DataError(f"--tiers is a whole number, or name=share between commas. Got {text!r}.")
        return int(number)
    shares: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, mark, share = (part.strip() for part in pair.rpartition("="))
        if not mark or not name or name in shares:
            raise DataError(f"--tiers is a whole number, or name=share between commas, each name once. Got {pair!r}.")
        shares[name] = _amount(name, share)
    return shares


def read_curves(path: Path | None) -> dict[str, Saturating] | None:
    """Read a CSV file of channel, most and half."""
    if path is None:
        return None
    rows = _read_rows(path, ("most", "half"))
    curves = {}
    for name, row in rows.items():
        try:
            curves[name] = Saturating(_amount(name, row["most"]), _amount(name, row["half"]))
        except ValueError as error:
            raise DataError(f"'{path}', channel {name!r}: {error}") from None
    return curves


def _amount(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"The amount of {name!r} is {text!r}, which is no number.") from None


def _read_rows(path: Path, columns: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by channel; DataError where it lacks a column or names a channel twice."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{path}' is no text in UTF-8 ({error.reason} at byte {error.start}). Save it as such."
        ) from None
    reader = csv.DictReader(lines)
    found = reader.fieldnames or ()
    needed = f"It needs channel, {', '.join(columns)}, with commas between them"
    lacking = [name for name in ("channel", *columns) if name not in found]
    if lacking:
        has = f"; its columns are {quote_list(found)}" if found else ", nor any other"
        raise DataError(f"'{path}' has no column {lacking[0]!r}{has}. {needed}.")
    rows: dict[str, dict[str, str]] = {}
    for row in reader:
        name = row["channel"]
        if None in row:
            raise DataError(
                f"'{path}', line {reader.line_num}: more values than columns, first for channel {name!r}. {needed}; a "
                "number takes a point for its decimals, and a name with a comma stands in quotes."
            )
        if name in rows:
            raise DataError(f"'{path}' names the channel {name!r} twice.")
        rows[name] = {column: row[column] or "" for column in columns}
    if not rows:
        raise DataError(f"'{path}' has no rows.")
    return rows
