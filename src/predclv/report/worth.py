"""Sections on money: what the base is worth, who the top customers are, who is slipping, what a new one is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv import plots
from predclv.forecast.concentration import share_of_top
from predclv.plots.checks import expect_holdout
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Card, Cards, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.inputs import ReportInputs

__all__ = ["headline", "new_customer", "segments", "slipping", "spread", "top_customers"]

_TOP = 10
_MOST_SEGMENTS = 50
# Below the first, a repeat buyer counts as gone; from the second on, as safe.
_GONE, _SAFE = 0.10, 0.60


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


def top_customers(given: ReportInputs) -> Section:
    """Who is worth most."""
    table = given.customers.assign(position=np.arange(len(given.rfm)))
    top = table.sort_values("expected_clv", ascending=False, kind="stable").head(_TOP)
    last, largest = _last_purchases(given), float(top["clv_high"].max())
    rows = []
    for row in top.to_dict("records"):
        i = row["position"]
        rows.append(
            [
                printable(row["customer_id"]),
                f"{given.rfm.frequency[i]:,}",
                last[i],
                percent(row["p_purchase"]),
                _purchases(row),
                given.money(row["expected_clv"], like=largest),
                given.span(row["clv_low"], row["clv_high"], like=largest),
            ]
        )
    share = top["expected_clv"].sum() / max(given.total["expected_clv"], 1e-300)
    chance = f"Chance to buy {given.within}" if given.finite else "Chance to buy again"
    lead = Paragraph(
        f"The {len(top)} most valuable customers are expected to bring {percent(share)} of the total. One customer's "
        "future is far less certain than the total: compare the ranges."
    )
    columns = (
        "Customer",
        "Repeat purchases so far",
        "Last purchase",
        chance,
        f"Expected purchases ({given.sure} range)",
        f"Expected {given.what}",
        f"{given.sure} range of it",
    )
    caption = f"The {len(top)} customers with the highest expected value"
    return Section("top", "Your top customers", [lead, Table(caption, columns, rows, numeric=range(1, 7))])


def slipping(given: ReportInputs) -> Section:
    """Who used to buy and may have left, ranked by the value at stake."""
    rfm, p_alive = given.rfm, given.customers["p_alive"].to_numpy()
    regular = rfm.frequency >= 2
    doubtful = regular & (p_alive >= _GONE) & (p_alive < _SAFE)
    gone = int(np.sum(regular & (p_alive < _GONE)))
    value = given.customers["expected_clv"].to_numpy()
    # Forecast value is that of a customer who stayed, times the probability of having stayed.
    at_stake = np.where(doubtful, value * (1.0 / np.maximum(p_alive, _GONE) - 1.0), 0.0)
    order = np.argsort(-at_stake, kind="stable")[: min(_TOP, int(doubtful.sum()))]
    lost = f" {gone:,} more are probably gone already (below {percent(_GONE)})." if gone else ""
    largest = float(at_stake.max())
    if not len(order):
        text = f"No customer with at least two repeat purchases is between {percent(_GONE)} and {percent(_SAFE)}"
        return Section("slipping", "Who is slipping away", [Paragraph(f"{text} likely to be a customer still.{lost}")])
    rows = [
        [
            printable(rfm.customer_id[i]),
            f"{rfm.frequency[i] + 1:,} purchases, one every {given.duration(rfm.recency[i] / rfm.frequency[i])}",
            given.duration(rfm.T[i] - rfm.recency[i]),
            percent(p_alive[i]),
            given.money(value[i], like=largest),
            given.money(at_stake[i], like=largest),
        ]
        for i in order
    ]
    lead = Paragraph(
        f"{int(doubtful.sum()):,} customers who bought at least three times have been silent for so long, for their "
        f"own rhythm, that they are only {percent(_GONE)} to {percent(_SAFE)} likely to be customers still. If all of "
        f"them were, they would be worth {given.money(at_stake.sum())} more.{lost}"
    )
    columns = (
        "Customer",
        "Used to buy",
        "Silent for",
        "Chance to be a customer still",
        f"Expected {given.what}",
        "Value at stake",
    )
    note = Paragraph(
        f"Value at stake: what the customer would bring {given.within} on top of the forecast, were it certain that "
        "they have not left. It is the most that winning them back for sure could earn, before its cost.",
        "quiet",
    )
    caption = f"The {len(rows)} slipping customers with the most value at stake"
    return Section(
        "slipping", "Who is slipping away", [lead, Table(caption, columns, rows, numeric=(2, 3, 4, 5)), note]
    )


def segments(given: ReportInputs) -> Section | None:
    """Totals by segment, where there are segments."""
    if given.by is None or len(given.portfolio) < 2:
        return None
    parts = given.portfolio.iloc[:-1].sort_values("expected_clv", ascending=False, kind="stable")
    shown = pd.concat([parts.head(_MOST_SEGMENTS), given.portfolio.iloc[-1:]])
    rows = [
        [
            printable(row["segment"]) or "(blank)",
            f"{row['customers']:,}",
            f"{row['expected_buyers']:,.0f}",
            _purchases(row),
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
        "A customer",
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
    row = given.clv.new_customer(
        given.horizon.length, discount_rate=given.discount_rate, margin=given.margin, level=given.level
    ).iloc[0]
    again = percent(row["p_purchase"])
    text = (
        f"A new customer is expected to bring {given.money(row['expected_clv'])} in {given.what} {given.within} of the "
        f"first purchase, that purchase included. "
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


def _purchases(row: Mapping[Any, Any]) -> str:
    expected = row["expected_purchases"]
    if not np.isfinite(expected):
        return "–"
    number = f"{expected:,.0f}" if expected >= 100 else f"{expected:,.1f}"
    return f"{number} ({row['purchases_low']:,.0f} to {row['purchases_high']:,.0f})"


def _last_purchases(given: ReportInputs) -> NDArray[np.str_]:
    """When each customer last bought: a date where dates are known, else how long ago."""
    rfm = given.rfm
    if rfm.observation_end is not None and rfm.T.max() * rfm.days_per_unit < 365_000:
        days = np.round((rfm.T - rfm.recency) * rfm.days_per_unit).astype("timedelta64[D]")
        return (np.datetime64(rfm.observation_end.strftime("%Y-%m-%d")) - days).astype(np.str_)
    return np.array([f"{given.duration(silent)} ago" for silent in rfm.T - rfm.recency])
