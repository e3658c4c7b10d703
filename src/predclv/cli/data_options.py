"""Which options of a command are about the purchase log, and so go to `RFMSummary.from_transactions`."""

from __future__ import annotations

from typing import Any

import typer

__all__ = ["data_options"]

_ABOUT_THE_DATA = (
    "customer_id",
    "date",
    "amount",
    "observation_end",
    "observation_start",
    "acquired",
    "time_unit",
    "collapse",
    "opportunities",
    "returns",
    "currency",
    "time_zone",
    "date_format",
    "on_null",
    "carry",
    "carry_conflict",
    "regularity",
    "minor_unit",
)


def data_options(context: typer.Context) -> dict[str, Any]:
    """Those that the command has, as they were given."""
    return {name: context.params[name] for name in _ABOUT_THE_DATA if name in context.params}
