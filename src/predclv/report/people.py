"""Sections on single customers: who is worth most, and who is slipping away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predclv.plots.style import percent, shorten
from predclv.report.blocks import Paragraph, Section, Table
from predclv.report.inputs import ReportInputs
from predclv.report.words import NAME

__all__ = ["slipping", "top_customers"]

_TOP = 10
# Below the first, a repeat buyer counts as gone; from the second on, as safe.
_GONE, _SAFE = 0.10, 0.60


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
                shorten(row["customer_id"], NAME),
                f"{given.rfm.frequency[i]:,}",
                last[i],
                percent(row["p_purchase"]),
                given.purchases(row),
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
            shorten(rfm.customer_id[i], NAME),
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
        f"Value at stake: what the customer would bring on top of the forecast {given.within}, were it certain that "
        "they have not left. It is the most that winning them back for sure could earn, before its cost.",
        "quiet",
    )
    caption = f"The {len(rows)} slipping customers with the most value at stake"
    return Section(
        "slipping", "Who is slipping away", [lead, Table(caption, columns, rows, numeric=(2, 3, 4, 5)), note]
    )


def _last_purchases(given: ReportInputs) -> NDArray[np.str_]:
    """When each customer last bought: a date where dates are known, else how long ago; or which opportunity."""
    rfm = given.rfm
    if rfm.opportunities is not None:
        last = f"the last {rfm.opportunities}"
        silent = rfm.T - rfm.recency
        return np.array([f"in {last}" if n == 0 else f"{given.duration(n)} before {last}" for n in silent])
    if rfm.observation_end is not None and rfm.T.max() * rfm.days_per_unit < 365_000:
        days = np.round((rfm.T - rfm.recency) * rfm.days_per_unit).astype("timedelta64[D]")
        return (np.datetime64(rfm.observation_end.strftime("%Y-%m-%d")) - days).astype(np.str_)
    return np.array([f"{given.duration(silent)} ago" for silent in rfm.T - rfm.recency])
