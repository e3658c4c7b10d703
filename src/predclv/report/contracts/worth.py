"""Sections on money: what running contracts are worth, month by month, by segment, and what a new one is worth."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from predclv import plots
from predclv.errors import HorizonWarning
from predclv.plots.style import percent, printable, shorten
from predclv.report.blocks import Block, Card, Cards, Figures, Paragraph, Section, Table
from predclv.report.contracts.inputs import ContractInputs
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["headline", "new_subscriber", "recurring", "segments"]

_MOST_SEGMENTS = 50
_ROWS = 9


def headline(given: ContractInputs) -> Section:
    """What the running contracts are worth in the horizon, and how sure."""
    total = given.total
    value = given.money(total["expected_clv"])
    between = given.span(total["clv_low"], total["clv_high"], joint="and")
    blocks: list[Block] = [
        Paragraph(
            f"The {given.running:,.0f} subscribers you have are expected to bring {value} in {given.what} "
            f"{given.within}, by the renewals they make. The model gives {given.sure} probability to a total between "
            f"{between}.",
            "lead",
        ),
        Cards(_cards(given)),
        Paragraph(
            "The period that has been paid for is not in the total, and customers still to be won are not either. The "
            "interval holds chance in who renews and the uncertainty of the model's parameters. It does not hold what "
            f"the model does not know: new prices, campaigns, competitors. Value is {given.basis}.",
            "quiet",
        ),
    ]
    if np.isfinite(total["share_beyond_3_years"]):
        late = percent(total["share_beyond_3_years"])
        blocks.insert(2, Paragraph(f"{late} of this value lies more than three years ahead."))
    return Section("worth", "What your subscribers are worth", blocks)


def _cards(given: ContractInputs) -> list[Card]:
    total, subs = given.total, given.subs
    of_all = f"of {subs.n_customers:,.0f} in the data"
    cards = [
        Card(
            given.money(total["expected_clv"]),
            f"expected {given.what}",
            f"{given.sure} interval {given.span(total['clv_low'], total['clv_high'])}",
        ),
        Card(f"{given.running:,.0f}", "running contracts", of_all),
    ]
    if given.finite:
        made = f"{given.sure} interval {total['purchases_low']:,.0f} to {total['purchases_high']:,.0f}"
        cards.append(Card(f"{total['expected_purchases']:,.0f}", f"expected renewals {given.within}", made))
    if given.revenue is not None:
        now, end = given.revenue.iloc[0], given.revenue.iloc[-1]
        after = given.duration(float(end["period"]))
        note = f"{given.money(end['expected_mrr'])} in {after}, {given.span(end['mrr_low'], end['mrr_high'])}"
        cards.append(Card(given.money(now["expected_mrr"]), "recurring revenue a month today", note))
    return cards


def recurring(given: ContractInputs) -> Section | None:
    """What those who are here now bring, period by period."""
    revenue = given.revenue
    if revenue is None:
        return None
    places = np.unique(np.linspace(0, len(revenue) - 1, min(_ROWS, len(revenue))).round().astype(int))
    rows = []
    for row in revenue.iloc[places].to_dict("records"):
        when = "now" if row["period"] == 0 else f"in {given.duration(float(row['period']))}"
        rows.append(
            [
                f"{when} ({row['date']:%Y-%m-%d})" if "date" in row else when,
                f"{row['expected_customers']:,.0f}",
                f"{row['customers_low']:,.0f} to {row['customers_high']:,.0f}",
                given.money(row["expected_mrr"]),
                given.span(row["mrr_low"], row["mrr_high"]),
            ]
        )
    last = revenue.iloc[-1]
    kept = percent(last["expected_mrr"] / revenue["expected_mrr"].iloc[0]) if revenue["expected_mrr"].iloc[0] else "–"
    lead = Paragraph(
        f"Of today's recurring revenue {kept} is expected to be left in {given.duration(float(last['period']))}, if "
        "nobody new is won. New customers have to make up for the rest before the business grows."
    )
    figure = draw(
        "recurring",
        plots.plot_recurring_revenue,
        revenue,
        level=given.level,
        currency=given.currency,
        label=f"Recurring revenue a month falls from {given.money(revenue['expected_mrr'].iloc[0])} to "
        f"{given.money(last['expected_mrr'])}; the table holds the numbers.",
        caption="Of those who are here now, at the prices they pay now.",
    )
    columns = ("When", "Subscribers left", f"{given.sure} range", "Revenue a month", f"{given.sure} range of it")
    table = Table("Recurring revenue of today's subscribers, an average month", columns, rows, numeric=range(1, 5))
    return Section("recurring", "Recurring revenue", [lead, Figures([figure]), table])


def segments(given: ContractInputs) -> Section | None:
    """Totals by segment, where there are segments."""
    if given.by is None or len(given.portfolio) < 2:
        return None
    parts = given.portfolio.iloc[:-1].sort_values("expected_clv", ascending=False, kind="stable")
    shown = pd.concat([parts.head(_MOST_SEGMENTS), given.portfolio.iloc[-1:]])
    rows = [
        [
            shorten(row["segment"], NAME),
            f"{row['customers']:,.0f}",
            given.purchases(row),
            given.money(row["expected_clv"]),
            given.span(row["clv_low"], row["clv_high"]),
            percent(row["share_of_value"]),
        ]
        for row in shown.to_dict("records")
    ]
    columns = (
        printable(given.by),
        "Contracts, ended ones too",
        f"Renewals ({given.sure} range)",
        f"Expected {given.what}",
        f"{given.sure} range",
        "Share",
    )
    figure = draw(
        "segments",
        plots.plot_portfolio,
        given.portfolio,
        currency=given.currency,
        level=given.level,
        label=f"Bars: expected {given.what} of each segment with its interval; the table holds the numbers.",
        caption="Ranges come from joint simulations: they do not add up to the total's range, since luck averages out.",
        size=(5.6, 1.4 + 0.3 * min(len(parts), 20)),
    )
    blocks: list[Block] = [
        Table(f"By {printable(given.by)}", columns, rows, numeric=range(1, 6), strong=(len(rows) - 1,)),
        Figures([figure]),
        Paragraph(
            "Segments differ here by tenure, price and number; the chance to renew at a tenure is the same in all.",
            "quiet",
        ),
    ]
    if (hidden := len(parts) - _MOST_SEGMENTS) > 0:
        blocks.insert(1, Paragraph(f"{hidden:,} smaller segments are not shown; portfolio.csv has all.", "quiet"))
    return Section("segments", f"By {printable(given.by)}", blocks)


def new_subscriber(given: ContractInputs) -> Section | None:
    """What a subscriber about to be won is worth, at the mean price of those who run."""
    subs = given.subs
    if isinstance(given.margin, str) or subs.price is None or not given.running:
        return None
    running = ~subs.ended
    price = float(np.average(subs.price[running], weights=subs.weight[running]))
    with warnings.catch_warnings():
        # The forecast of the contracts has the same horizon and has warned of it.
        warnings.simplefilter("ignore", HorizonWarning)
        row = given.clv.new_customer(
            given.horizon.length,
            price=price,
            discount_rate=given.discount_rate,
            margin=given.margin,
            level=given.level,
        ).iloc[0]
    length = f"in {given.duration(given.horizon.length)}" if given.finite else given.within
    text = (
        f"A new subscriber at {given.money(price)} a {subs.period}, the mean price of those who run, is expected to "
        f"bring {given.money(row['expected_clv'])} in {given.what} {length}, the first {subs.period}'s payment "
        f"included. {percent(row['p_purchase'])} make the first renewal. Paying more than this to win one loses money "
        f"on average. A single new subscriber's value lies between "
        f"{given.span(row['clv_low'], row['clv_high'], joint='and')} with {given.sure} probability."
    )
    note = "This assumes that subscribers won tomorrow are like those won so far"
    note += "." if given.margin != 1 else "; it is revenue: give a margin to see what may be spent."
    return Section("new", "What a new subscriber is worth", [Paragraph(text), Paragraph(note, "quiet")])
