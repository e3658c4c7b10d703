"""What options of `decide` say in one text: amounts by channel, names, tiers, curves."""

from __future__ import annotations

import csv
from pathlib import Path

from predclv.cli import steps
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
    """Read one number, channel=amount between commas, or a CSV file of channel and cac."""
    if text is None:
        return None
    if isinstance(number := steps.number_or_text(text), float):
        return number
    if text.lower().endswith(".csv"):
        return {name: _amount(name, row["cac"]) for name, row in _read_rows(Path(text), ("cac",)).items()}
    amounts: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        name, mark, amount = (part.strip() for part in pair.rpartition("="))
        if not mark or not name:
            raise DataError(
                f"{option} is one number, channel=amount between commas, or a CSV file with the columns channel and "
                f"cac. Got {pair!r}."
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
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        lacking = [name for name in ("channel", *columns) if name not in (reader.fieldnames or ())]
        if lacking:
            raise DataError(f"'{path}' has no column {lacking[0]!r}. It needs channel, {', '.join(columns)}.")
        rows: dict[str, dict[str, str]] = {}
        for row in reader:
            name = row["channel"]
            if name in rows:
                raise DataError(f"'{path}' names the channel {name!r} twice.")
            rows[name] = {column: row[column] or "" for column in columns}
    if not rows:
        raise DataError(f"'{path}' has no rows.")
    return rows
