"""The section on a budget: how to split it over channels whose returns diminish."""

from __future__ import annotations

import numpy as np

from predclv.decisions.acquisition.budget import BudgetPlan, allocate_budget
from predclv.decisions.report.acquisition import assess
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.plots.budget import plot_budget
from predclv.plots.style import shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["budget"]


def budget(given: DecisionInputs) -> Part | LeftOut:
    """Split the budget: the section, and the table `budget`."""
    asked = given.asked
    if asked.budget is None or asked.curves is None:
        return LeftOut("a budget is split when you give it, and what each channel wins with it: --budget and --curves")
    if asked.cac is None:
        return LeftOut("what winning a customer costs was not given: --cac")
    plan = allocate_budget(assess(given), asked.budget, asked.curves)
    total = plan.table.iloc[-1]
    between = given.span(total["profit_low"], total["profit_high"], joint="and")
    left = f" {given.money(plan.unspent)} stay unspent, since no channel repays them." if plan.unspent > 0 else ""
    lead = (
        f"Split as below, {given.money(total['spend'])} win {total['customers']:,.0f} customers, who bring "
        f"{given.money(total['expected_profit'])} more than they cost {given.within} (between {between} with "
        f"{given.sure} probability).{left}"
    )
    caveat = (
        "The curves, which say how many customers each channel wins with how much money, are taken as given. The "
        "ranges hold what the data leave open about the value of a channel's average customer, and chance in who is "
        "won: customers differ much, and few of them bring most. “The next one” is what one more customer of the "
        f"channel would cost. Value is {given.basis}."
    )
    title = f"The budget is expected to bring {given.money(total['expected_profit'])} more than it costs"
    figure = draw(
        "budget",
        plot_budget,
        plan.table,
        level=given.level,
        currency=given.currency,
        label="Bars: spending on each channel; points with intervals: the profit of it; the table holds the numbers.",
        caption="A bar is what goes to a channel, the point what is expected to be left of its customers' value.",
        size=(5.6, 1.6 + 0.5 * (len(plan.table) - 1)),
    )
    blocks: list[Block] = [Paragraph(lead, "lead"), Figures([figure]), _table(given, plan), Paragraph(caveat, "quiet")]
    facts = {"channels": plan.table.to_dict("records"), "unspent": plan.unspent}
    return Part(Section("budget", title, blocks, short="Splitting a budget"), {"budget": plan.table}, facts)


def _table(given: DecisionInputs, plan: BudgetPlan) -> Table:
    def cost(amount: float) -> str:
        return given.money(amount) if np.isfinite(amount) else "–"

    rows = [
        [
            shorten(row["channel"], NAME),
            given.money(row["spend"]),
            f"{row['customers']:,.0f}",
            cost(row["cac"]),
            cost(row["next_cac"]),
            given.money(row["expected_profit"]),
            given.span(row["profit_low"], row["profit_high"]),
        ]
        for row in plan.table.to_dict("records")
    ]
    columns = ("Channel", "Spend", "Customers", "Cost of one", "The next one", "Profit", f"{given.sure} range")
    return Table("How to split the budget", columns, rows, numeric=range(1, 7), strong=(len(rows) - 1,))
