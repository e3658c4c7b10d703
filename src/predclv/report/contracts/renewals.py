"""Sections on renewals: who stays, by tenure, and whose next renewal matters most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from predclv import plots
from predclv.data.periods import renewal_date
from predclv.plots.style import percent, shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.contracts.inputs import ContractInputs
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["at_stake", "by_tenure", "retention", "top_subscribers"]

_TOP = 10
_ROWS = 12


def retention(given: ContractInputs) -> Section:
    """Who is left, as observed and as the model says."""
    curve, period = given.curve, given.subs.period
    first, last = curve.iloc[1], curve.iloc[-1]
    far = curve.iloc[min(given.seen, len(curve) - 1)]
    rising = (
        "Who has stayed long is likelier to stay on, if only because those likely to leave have left: never multiply "
        "out the average rate of renewal."
        if far["retention"] > first["retention"]
        else "Renewal does not rise with tenure here."
    )
    lead = Paragraph(
        f"{percent(first['retention'])} of new subscribers make the first renewal, and {percent(far['survival'])} are "
        f"left after {given.duration(far['period'])}, the longest anyone was seen; of those who come to that renewal "
        f"{percent(far['retention'])} make it. {rising}"
    )
    figures = [
        draw(
            f"retention-{what}",
            plots.plot_retention,
            curve,
            given.subs,
            what=what,
            level=given.level,
            label=label,
            caption=caption,
        )
        for what, label, caption in (
            (
                "survival",
                f"Share of new customers left: {percent(last['survival'])} after {given.duration(last['period'])}.",
                "Dots are the data, as far as they reach; the band is that of the mean. What lies right of the dots is "
                "forecast.",
            ),
            (
                "retention",
                f"Share who renew: {percent(first['retention'])} at the first renewal, {percent(last['retention'])} at "
                f"number {int(last['period'])}.",
                "Of those who come to a renewal, how many make it. Few come to the late ones, so dots there scatter.",
            ),
        )
    ]
    observed = {row["period"]: row for row in given.subs.observed_retention().to_dict("records")}
    places = np.unique(np.linspace(1, len(curve) - 1, min(_ROWS, len(curve) - 1)).round().astype(int))
    rows = []
    for row in curve.iloc[places].to_dict("records"):
        n = int(row["period"])
        seen = observed.get(n)
        rows.append(
            [
                f"{n:,}",
                "–" if seen is None else f"{seen['at_risk']:,.0f}",
                "–" if seen is None else percent(float(seen["retention"])),
                f"{percent(row['retention'])} ({_range(row, 'retention')})",
                "–" if seen is None else percent(float(seen["survival"])),
                f"{percent(row['survival'])} ({_range(row, 'survival')})",
            ]
        )
    columns = (
        f"Renewal ({period}s)",
        "Came to it",
        "Renewed, observed",
        f"Renewed, model ({given.sure} interval)",
        "Left, observed",
        f"Left, model ({given.sure} interval)",
    )
    table = Table("Retention, as it was and as the model says", columns, rows, numeric=range(1, 6), compare=True)
    return Section("retention", "Who stays", [lead, Figures(figures), table])


def by_tenure(given: ContractInputs) -> Section | None:
    """Chance of the next renewal and residual lifetime by tenure."""
    if not given.running:
        return None
    table = given.tenures
    shown = table.iloc[np.unique(np.linspace(0, len(table) - 1, min(_ROWS, len(table))).round().astype(int))]
    discounted = "discounted, for ever" if given.discount_rate > 0 else f"not discounted, {given.within}"
    rows = [
        [
            f"{int(row['tenure']):,}",
            f"{row['customers']:,.0f}",
            f"{percent(row['p_renew'])} ({_range(row, 'p_renew')})",
            "∞" if np.isinf(row["expected_residual_lifetime"]) else f"{row['expected_residual_lifetime']:,.1f}",
            f"{row['discounted_residual_lifetime']:,.1f} ({row['discounted_low']:,.1f} to "
            f"{row['discounted_high']:,.1f})",
        ]
        for row in shown.to_dict("records")
    ]
    low, high = table.iloc[0], table.iloc[-1]
    n_rows = "" if len(shown) == len(table) else f" {len(shown)} of {len(table)} tenures are shown; tenure.csv has all."
    lead = Paragraph(
        f"A subscriber with {int(high['tenure'])} renewals makes the next one with {percent(high['p_renew'])} "
        f"probability, one with {int(low['tenure'])} with {percent(low['p_renew'])}. Before its next renewal the "
        f"former's contract is worth {high['discounted_residual_lifetime']:.1f} payments, the latter's "
        f"{low['discounted_residual_lifetime']:.1f}.{n_rows}"
        if high["tenure"] > low["tenure"]
        else f"All subscribers who run have made {int(low['tenure'])} renewals, and make the next one with "
        f"{percent(low['p_renew'])} probability."
    )
    columns = (
        "Renewals made",
        "Run",
        f"Makes the next one ({given.sure} interval)",
        f"Expected {given.subs.period}s to come, {given.within}",
        f"Worth in payments, {discounted} ({given.sure} interval)",
    )
    notes = [
        "The last column is the discounted expected residual lifetime (DERL), just before the next renewal is due, "
        "that payment in full: times price and margin, it is what a contract is worth."
    ]
    if np.isinf(table["expected_residual_lifetime"]).any():
        notes.append(
            "∞: so many customers hardly ever leave that the mean of the remaining lifetimes is not finite in this "
            "model. Read the discounted column."
        )
    return Section(
        "tenure",
        "Renewal by tenure",
        [
            lead,
            Table("Running contracts by renewals made", columns, rows, numeric=range(1, 5), compare=True),
            *(Paragraph(note, "quiet") for note in notes),
        ],
    )


def top_subscribers(given: ContractInputs) -> Section | None:
    """Who is worth most; nothing where rows are groups."""
    if not given.one_each or not given.running:
        return None
    table = given.customers.assign(position=np.arange(len(given.subs)), tenure=given.subs.tenure)
    top = table[~given.subs.ended].sort_values("expected_clv", ascending=False, kind="stable").head(_TOP)
    largest = float(top["clv_high"].max())
    rows = [
        [
            shorten(row["customer_id"], NAME),
            f"{row['tenure']:,}",
            given.money(row["expected_spend"]),
            percent(given.p_renew[row["position"]]),
            given.purchases(row),
            given.money(row["expected_clv"], like=largest),
            given.span(row["clv_low"], row["clv_high"], like=largest),
        ]
        for row in top.to_dict("records")
    ]
    share = top["expected_clv"].sum() / max(given.total["expected_clv"], 1e-300)
    lead = Paragraph(
        f"The {len(top)} most valuable subscribers are expected to bring {percent(share)} of the total. One contract's "
        "future is far less certain than the total: compare the ranges."
    )
    columns = (
        "Customer",
        "Renewals made",
        f"Price a {given.subs.period}",
        "Makes the next renewal",
        f"Expected renewals ({given.sure} range)",
        f"Expected {given.what}",
        f"{given.sure} range of it",
    )
    caption = f"The {len(top)} contracts with the highest expected value"
    return Section("top", "Your top subscribers", [lead, Table(caption, columns, rows, numeric=range(1, 7))])


def at_stake(given: ContractInputs) -> Section | None:
    """Whose next renewal has most to lose; nothing where rows are groups."""
    subs = given.subs
    value, p = given.customers["expected_clv"].to_numpy(), given.p_renew
    due = given.customers["p_purchase"].to_numpy() > 0
    # Forecast value is that of a contract that is renewed, times the probability that it is.
    lost = np.where(due & (p > 0), value * (1.0 / np.maximum(p, 1e-300) - 1.0), 0.0)
    if not given.one_each or not lost.any():
        return None
    order = np.argsort(-lost, kind="stable")[: min(_TOP, int((lost > 0).sum()))]
    when = _next_dates(given)
    rows = [
        [
            shorten(subs.customer_id[i], NAME),
            f"{subs.tenure[i]:,}",
            when[i],
            percent(p[i]),
            given.money(value[i], like=float(lost.max())),
            given.money(lost[i], like=float(lost.max())),
        ]
        for i in order
    ]
    lead = Paragraph(
        f"Were every next renewal certain, the subscribers would be worth {given.money(lost.sum())} more "
        f"{given.within}. These are the ones whose next renewal has most to lose, by price and by the "
        "chance that it is not made."
    )
    note = Paragraph(
        "At stake: what the contract would bring on top of the forecast, were its next renewal certain. It is the most "
        "that keeping the customer at that renewal could earn, before its cost.",
        "quiet",
    )
    columns = (
        "Customer",
        "Renewals made",
        "Next renewal",
        "Chance that it is made",
        f"Expected {given.what}",
        "At stake",
    )
    caption = f"The {len(rows)} renewals with the most value at stake"
    blocks: list[Block] = [lead, Table(caption, columns, rows, numeric=range(1, 6)), note]
    return Section("stake", "Whose renewal to look after", blocks)


def _next_dates(given: ContractInputs) -> list[str]:
    """When each contract is renewed next."""
    subs = given.subs
    if subs.start is not None:
        return [str(day) for day in renewal_date(subs.start.astype("datetime64[D]"), subs.tenure + 1, subs.period)]
    return [f"in {part:.2g} {subs.period}s" for part in subs.next_renewal]


def _range(row: Mapping[Any, Any], name: str) -> str:
    return f"{percent(row[f'{name}_low'])} to {percent(row[f'{name}_high'])}"
