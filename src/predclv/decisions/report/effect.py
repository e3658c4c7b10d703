"""The part of the section on retention that says what it is worth that fewer customers leave."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predclv.decisions.report.customers import CHUNK
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.logs import sample_customers
from predclv.decisions.retention.effect import retention_effect
from predclv.plots.style import percent
from predclv.report.blocks import Block, Paragraph, Table

__all__ = ["effect"]

EXISTING = "existing customers"
_SAVED = (0.05, 0.10, 0.20)


def effect(given: DecisionInputs) -> tuple[list[Block], pd.DataFrame]:
    """Say what preventing some of the departures is worth, to all customers that there are."""
    some = given.summary if given.n_customers <= CHUNK else sample_customers(given)
    found = retention_effect(given.clv, some, saved=_SAVED, within=_within(given), **given.terms)
    table = found.table[found.table["customers"] == EXISTING].reset_index(drop=True)
    return _blocks(given, table, found.within, len(some)), table


def _within(given: DecisionInputs) -> Any:
    # One opportunity, where these are counted, which need not make a year.
    return 1.0 if given.clv.transactions_.bindings.counts_opportunities else "1 year"


def _blocks(given: DecisionInputs, table: pd.DataFrame, within: str, n: int) -> list[Block]:
    rows = [
        [
            percent(row["saved"]),
            f"from {row['retention']:.1%} to {row['retention_after']:.1%}",
            given.money(row["gain"]),
            given.span(row["gain_low"], row["gain_high"]),
            percent(row["gain_share"]),
        ]
        for row in table.to_dict("records")
    ]
    columns = ("Fewer leave by", f"Still here after {within}", "Worth", f"{given.sure} range", "Of their value")
    middle = table.iloc[len(table) // 2]
    whom = "your customers" if n == given.n_customers else f"a random sample of {n:,} customers"
    said = (
        f"If {percent(middle['saved'])} fewer of {whom} left from now on, {middle['retention_after']:.1%} instead of "
        f"{middle['retention']:.1%} of those who are here would still be here after {within}, and they would bring "
        f"{given.money(middle['gain'])} more {given.within} "
        f"({given.span(middle['gain_low'], middle['gain_high'])} with {given.sure} probability)."
    )
    return [Paragraph(said), Table("What it is worth that fewer leave", columns, rows, numeric=range(1, 5))]
