"""Sections on money: what the base is worth, by segment and by customer, and what a new customer is worth."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from predclv import plots
from predclv.checks import expect_holdout
from predclv.errors import HorizonWarning
from predclv.forecast.concentration import share_of_top
from predclv.plots.style import percent, printable, shorten
from predclv.report.blocks import Block, Card, Cards, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.inputs import ReportInputs
from predclv.report.words import NAME

__all__ = ["headline", "new_customer", "segments", "spread"]

_MOST_SEGMENTS = 50


def headline(given: ReportInputs) -> Section:
    """What the base is worth in the horizon, and how sure."""
    total, n = given.total, len(given.rfm)
    value = given.money(total["expected_clv"])
    between = given.span(total["clv_low"], total["clv_high"], joint="and")
    blocks: list[Block] = [
        Paragraph(
            f"The {n:,} customers you have are expected to bring {value} in {given.what} {given.within}. The model "
            f"gives {given.sure} probability to a total between {between}.",
            "lead",
        ),
        Cards(_cards(given)),
        Paragraph(
            f"The interval holds chance in what customers will do and the uncertainty of the model's parameters. It "
            "does not hold what the model does not know: seasons, campaigns, competitors, prices. Customers still to "
            f"be won are not in the total. Value is {given.basis}.",
            "quiet",
        ),
    ]
    if given.holdout is not None:
        blocks.append(Paragraph(_record(given), "quiet"))
    if np.isfinite(total["share_beyond_3_years"]):
        late = percent(total["share_beyond_3_years"])
        blocks.insert(
            2, Paragraph(f"{late} of this value lies more than three years ahead, where no one has looked yet.")
        )
    return Section("worth", "What your customers are worth", blocks)


def _record(given: ReportInputs) -> str:
    """How far the same model was off where the sequel is known."""
    split = given.holdout
    assert split is not None
    actual = float(split.holdout["purchases"].sum())
    expected = expect_holdout(given.clv.transactions_, split).sum()
    after = given.duration(split.duration)
    if not actual:
        return (
            f"Its record: in the {after} after the as-of date it expected {expected:,.0f} purchases; there were none."
        )
    off = expected / actual - 1
    return (
        f"Its record: for the {after} after the as-of date it expected {expected:,.0f} purchases and {actual:,.0f} "
        f"were made; it was {percent(abs(off))} too {'high' if off > 0 else 'low'}. See “What came true”."
    )


def _cards(given: ReportInputs) -> list[Card]:
    total, n = given.total, len(given.rfm)
    range_ = f"{given.sure} interval "
    cards = [
        Card(
            given.money(total["expected_clv"]),
            f"expected {given.what}",
            range_ + given.span(total["clv_low"], total["clv_high"]),
        )
    ]
    if given.finite:
        buyers = total["expected_buyers"]
        purchases = f"{total['purchases_low']:,.0f} to {total['purchases_high']:,.0f}"
        cards += [
            Card(f"{buyers:,.0f}", "customers expected to buy", f"{percent(buyers / n)} of {n:,}"),
            Card(f"{total['expected_purchases']:,.0f}", "expected purchases", range_ + purchases),
        ]
    held = share_of_top(given.customers["expected_clv"].to_numpy())
    cards.append(Card(percent(held), "of the value is held by the top 20%", f"{round(n * 0.2):,} customers"))
    return cards


def segments(given: ReportInputs) -> Section | None:
    """Totals by segment, where there are segments."""
    if given.by is None or len(given.portfolio) < 2:
        return None
    parts = given.portfolio.iloc[:-1].sort_values("expected_clv", ascending=False, kind="stable")
    shown = pd.concat([parts.head(_MOST_SEGMENTS), given.portfolio.iloc[-1:]])
    rows = [
        [
            shorten(row["segment"], NAME),
            f"{row['customers']:,}",
            f"{row['expected_buyers']:,.0f}",
            given.purchases(row),
            given.money(row["expected_clv"]),
            given.span(row["clv_low"], row["clv_high"]),
            percent(row["share_of_value"]),
            given.money(row["expected_clv"] / max(row["customers"], 1)),
        ]
        for row in shown.to_dict("records")
    ]
    columns = (
        printable(given.by),
        "Customers",
        "Will buy",
        f"Purchases ({given.sure} range)",
        f"Expected {given.what}",
        f"{given.sure} range",
        "Share",
        "For each customer",
    )
    hidden = len(parts) - _MOST_SEGMENTS
    figure = draw(
        "segments",
        plots.plot_portfolio,
        given.portfolio,
        currency=given.rfm.currency,
        level=given.level,
        label=f"Bars: expected {given.what} of each segment with its interval; the table holds the numbers.",
        caption="Ranges come from joint simulations: they do not add up to the total's range, since luck averages out.",
        size=(5.6, 1.4 + 0.3 * min(len(parts), 20)),
    )
    blocks: list[Block] = [
        Table(f"By {printable(given.by)}", columns, rows, numeric=range(1, 8), strong=(len(rows) - 1,)),
        Figures([figure]),
    ]
    if hidden > 0:
        blocks.insert(1, Paragraph(f"{hidden:,} smaller segments are not shown; portfolio.csv has all.", "quiet"))
    return Section("segments", f"By {printable(given.by)}", blocks)


def spread(given: ReportInputs) -> Section:
    """How unevenly value is spread."""
    values = given.customers["expected_clv"].to_numpy()
    figures = [
        draw(
            "values",
            plots.plot_value_distribution,
            given.customers,
            currency=given.rfm.currency,
            label=f"Histogram of expected {given.what} over customers; median {given.money(np.median(values))}, mean "
            f"{given.money(values.mean())}.",
            caption="Each step to the right on the scale is a multiple, not a sum: few customers reach far.",
        ),
        draw(
            "lorenz",
            plots.plot_lorenz_curve,
            given.customers,
            label=f"Lorenz curve: the top 20% of the customers hold {percent(share_of_top(values))} of expected value.",
            caption="The further the curve bends from the dashed line, the fewer customers carry the business.",
        ),
    ]
    return Section("spread", "How value is spread", [Figures(figures)])


def new_customer(given: ReportInputs) -> Section | None:
    """What a customer about to be won is worth: the most that may be paid for one."""
    if isinstance(given.margin, str):
        return None
    with warnings.catch_warnings():
        # The forecast of the customers has the same horizon and has warned of it.
        warnings.simplefilter("ignore", HorizonWarning)
        row = given.clv.new_customer(
            given.horizon.length, discount_rate=given.discount_rate, margin=given.margin, level=given.level
        ).iloc[0]
    again = percent(row["p_purchase"])
    length = (
        f"in the {given.duration(given.horizon.length)} from the first purchase on" if given.finite else given.within
    )
    text = (
        f"A new customer is expected to bring {given.money(row['expected_clv'])} in {given.what} {length}, the first "
        "purchase included. "
    )
    if given.finite:
        text += f"{again} of them buy again in that time. "
    text += (
        f"Paying more than this to win one loses money on average. A single new customer's value lies between "
        f"{given.span(row['clv_low'], row['clv_high'], joint='and')} with {given.sure} probability."
    )
    note = "This assumes that customers won tomorrow are like those won so far"
    note += "." if given.margin != 1 else "; it is revenue: give a margin to see what may be spent."
    return Section("new", "What a new customer is worth", [Paragraph(text), Paragraph(note, "quiet")])
