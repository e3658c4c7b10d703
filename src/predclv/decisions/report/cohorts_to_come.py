"""The part of the section on cohorts about customers who are to come, and what they and the present ones are worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from predclv.decisions.cohorts.equity import COST, PRESENT, TO_COME, TOTAL, CustomerEquity, customer_equity
from predclv.decisions.report.customers import CHUNK
from predclv.decisions.report.inputs import DecisionInputs
from predclv.plots.style import shorten
from predclv.report.blocks import Block, Paragraph, Table
from predclv.report.words import NAME

__all__ = ["not_to_come", "say_to_come", "value_to_come"]


def value_to_come(given: DecisionInputs) -> CustomerEquity | None:
    """Value present customers and those to come; None where arrivals were not given, or it takes too much."""
    arrivals = given.asked.arrivals
    if arrivals is None or given.n_customers > CHUNK or not given.finite:
        return None
    cac: Any = given.asked.cac
    return customer_equity(
        given.clv,
        given.summary,
        given.horizon.length,
        arrivals=dict(arrivals) if isinstance(arrivals, Mapping) else arrivals,
        cac=dict(cac) if isinstance(cac, Mapping) else cac,
        discount_rate=given.discount_rate,
        margin=given.margin,
        level=given.level,
        n_draws=256,
    )


def not_to_come(given: DecisionInputs) -> str:
    """Why customers to come are not valued, though arrivals were given."""
    if not given.finite:
        return "Customers come for ever: what those to come are worth takes a horizon that ends, --horizon '5 years'."
    return (
        f"What customers to come are worth is not on this page: of more than {CHUNK:,} present customers it takes all "
        "in memory at once, which customer_equity does."
    )


def say_to_come(given: DecisionInputs, equity: CustomerEquity) -> list[Block]:
    """Say what both are worth, and how many are to come."""
    rows = equity.table[equity.table["segment"] == "all"].set_index("part")
    names = {
        PRESENT: "Present customers",
        TO_COME: "Customers to come",
        COST: "What winning them costs",
        TOTAL: "Together",
    }
    body = [
        [
            names[str(part)],
            given.money(row["expected"]),
            given.span(row["low"], row["high"]) if row["low"] < row["high"] else "as given",
        ]
        for part, row in rows.iterrows()
    ]
    told = rows.loc[TOTAL].to_dict()
    less = ", less what winning them costs" if COST in rows.index else ""
    coming = [how if name == "all" else f"{shorten(name, NAME)}: {how}" for name, how in equity.methods.items()]
    words = (
        f"Present customers and those to come are worth {given.money(told['expected'])} together {given.within} "
        f"({given.span(told['low'], told['high'])} with {given.sure} probability"
        f"{less}). New customers: {'; '.join(coming)}. All are valued until the same day, so that who comes late "
        "counts for little."
    )
    table = Table(
        "Worth of present and future customers", ("", "Worth", f"{given.sure} range"), body, (1, 2), [len(body) - 1]
    )
    return [Paragraph(words), table]
