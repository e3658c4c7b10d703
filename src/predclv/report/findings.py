"""What to distrust: assumptions checked against this log, each finding in plain words with its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from predclv.checks import Tracking
from predclv.forecast.purchases import p_purchase
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Details, Finding, Findings, Paragraph, Section, Table
from predclv.report.calendar_findings import Calendar, births, recent, seasons, spend_over_time, trend
from predclv.report.inputs import ReportInputs
from predclv.report.opportunity_findings import opportunities

__all__ = ["distrust"]

# Below this, a correlation changes no decision.
_SMALL_CORRELATION = 0.1
_ORDER = ("caution", "note", "fine")


def distrust(given: ReportInputs, calendar: Calendar | None, counted: Tracking | None) -> Section:
    """All findings, the gravest first, and the warnings of the run."""
    found = [
        *_record(given),
        alive_or_buying(given),
        *_horizon(given),
        dependence(given),
        *_tail(given),
        *_convergence(given),
    ]
    if counted is not None:
        found.append(opportunities(counted))
    elif calendar is None:
        found.append(
            Finding(
                "caution",
                "Seasons and trends are not checked",
                "The report was made without the purchase log, so whether purchases follow a season or a trend, which "
                "the model does not know, could not be looked at.",
            )
        )
    else:
        found += [seasons(given, calendar), trend(calendar), recent(calendar)]
        found += [finding for finding in (births(given, calendar), spend_over_time(given, calendar)) if finding]
    found.append(_approximation(given))
    blocks: list[Block] = [
        Paragraph(
            "The model knows how often each customer bought, how recently, for how long and for how much. It takes for "
            "granted that nothing else changes. These are the points where that may fail, checked on this log."
        ),
        Findings(sorted(found, key=lambda finding: _ORDER.index(finding.grade))),
    ]
    if calendar is not None:
        blocks.append(Details("Purchases by month against what the model expects", [_months(given, calendar)]))
    if given.messages:
        notes = [Paragraph(printable(text)) for text in given.messages]
        blocks.append(Details(f"Warnings of this run ({len(given.messages)})", notes))
    return Section("distrust", "What to distrust", blocks)


def alive_or_buying(given: ReportInputs) -> Finding:
    """Sum of p_alive beside the customers expected to buy, and beside those who did."""
    rfm, model = given.rfm, given.clv.transactions_
    p_alive = given.customers["p_alive"].to_numpy()
    alive = float(p_alive.sum())
    length = given.horizon.length if given.finite else 365.25 / rfm.days_per_unit
    rows, theta = rfm.collapsed, model.thetas().center

    def buyers(horizon: float) -> float:
        return float(rows.weight @ p_purchase(model.bindings, rows.x, rows.t_x, rows.T, horizon, theta))

    text = (
        f"The probabilities of being a customer still, p_alive, add up to {alive:,.0f} of {len(rfm):,}, but only "
        f"{buyers(length):,.0f} are expected to buy {given.within if given.finite else 'within a year'}: many who "
        "have not left buy too rarely. "
    )
    once = rfm.frequency == 0
    if once.any() and np.all(p_alive[once] == 1.0):
        text += (
            f"For {int(once.sum()):,} customers who bought once the model says p_alive = 1, whatever happened since: "
            "it lets customers leave only after a repeat purchase. "
        )
    if given.holdout is not None:
        actual = int(np.sum(given.holdout.holdout["purchases"] > 0))
        text += (
            f"In the {given.duration(given.holdout.duration)} after the as-of date {actual:,} bought again "
            f"({buyers(given.holdout.duration):,.0f} expected by p_purchase). "
        )
    text += "To say who will be back, read p_purchase; 1 − p_purchase is the risk of losing them for the horizon."
    grade = "caution" if alive > 1.5 * buyers(length) else "note"
    return Finding(grade, "Alive does not mean buying", text)  # type: ignore[arg-type]


def _record(given: ReportInputs) -> Iterator[Finding]:
    total = given.holdout_total
    if given.holdout is None or total is None:
        return
    actual = float(given.holdout.holdout["purchases"].sum())
    inside = total["purchases_low"] <= actual <= total["purchases_high"]
    after = given.duration(given.holdout.duration)
    text = (
        f"For the {after} after the as-of date {total['expected_purchases']:,.0f} purchases were forecast, "
        f"{total['purchases_low']:,.0f} to {total['purchases_high']:,.0f} with {given.sure} probability; {actual:,.0f} "
        "were made."
    )
    if inside:
        yield Finding("fine", "The forecast held where the sequel is known", text)
        return
    text += (
        " The interval holds chance and the parameters' uncertainty, and something else happened: expect the same of "
        "the interval on this report's first lines, and look at the points below for what it may have been."
    )
    yield Finding("caution", "The forecast missed where the sequel is known", text)


def _horizon(given: ReportInputs) -> Iterator[Finding]:
    rfm = given.rfm
    oldest = given.duration(float(rfm.T.max()))
    if not given.finite:
        late = percent(given.total["share_beyond_3_years"])
        yield Finding(
            "caution",
            "Most of forever has not been seen",
            f"The horizon is infinite; the oldest customer has been observed for {oldest}. {late} of the value lies "
            "beyond three years, where it is the model's assumptions that speak and no data.",
        )
    elif given.horizon.length > rfm.T.max():
        yield Finding(
            "caution",
            "The horizon is longer than the data",
            f"The forecast reaches {given.duration(given.horizon.length)} ahead; the oldest customer has been observed "
            f"for {oldest}. How customers behave at greater ages is extrapolated.",
        )


def dependence(given: ReportInputs) -> Finding:
    """Does spend go with frequency? The spend model assumes not."""
    found = given.clv.spend_.dependence_
    measured = (
        f"The rank correlation of frequency and spend is {found.rank_correlation:.3f} over {found.n_customers:,} "
        f"repeat buyers, {found.adjusted_correlation:.3f} beyond what the spend model itself brings about"
    )
    if not found.is_notable and abs(found.adjusted_correlation) > _SMALL_CORRELATION:
        text = f"{measured}; so few leave open whether that is chance. The spend model assumes that there is no more."
        return Finding("note", "Too few repeat buyers to tell whether spend goes with frequency", text)
    if not found.is_notable:
        text = f"{measured}: small enough for the spend model, which assumes no more."
        return Finding("fine", "Spend does not go with frequency", text)
    more, side = ("more", "too low") if found.adjusted_correlation > 0 else ("less", "too high")
    return Finding(
        "caution",
        f"Frequent buyers spend {more} on a purchase",
        f"{measured}. The spend model assumes no more, so the value of frequent customers is rather {side}, most where "
        "they have little history.",
    )


def _tail(given: ReportInputs) -> Iterator[Finding]:
    q = given.clv.spend_.posterior_.point["q"]
    if q <= 1:
        yield Finding(
            "caution",
            "The mean spend of a one-time customer is infinite",
            f"q = {q:.3g} is at most 1: spend differs so much between customers that totals have no finite mean. A few "
            "customers spend on another scale (wholesale?): model them apart.",
        )
    elif q <= 2:
        yield Finding(
            "caution",
            "A few large customers drive the totals",
            f"q = {q:.3g} is at most 2: the spend of a one-time customer has a finite mean and an infinite variance. "
            "Read intervals, and expect surprises above them.",
        )


def _convergence(given: ReportInputs) -> Iterator[Finding]:
    for model in (given.clv.transactions_, given.clv.spend_):
        ran = dict(model.posterior_.fit_diagnostics.get("runaway", {}))
        if ran:
            names = ", ".join(f"{name} {'→ ∞' if side == 'high' else '→ 0'}" for name, side in ran.items())
            yield Finding(
                "caution",
                f"The data do not determine {type(model).__name__}",
                f"The best fit lies at an edge ({names}). Forecasts understate how uncertain they are; more customers "
                "or a longer log would settle it.",
            )


def _approximation(given: ReportInputs) -> Finding:
    n, repeat = len(given.rfm), given.rfm.n_repeat_buyers
    text = (
        f"The uncertainty of the parameters is a normal approximation on the log scale, good for thousands of "
        f"customers and rough below some hundreds; here are {n:,}, of whom {repeat:,} bought again."
    )
    grade = "caution" if repeat < 100 else "note" if repeat < 500 else "fine"
    title = "Few customers inform the model" if repeat < 500 else "Enough customers for the intervals' approximation"
    return Finding(grade, title, text)  # type: ignore[arg-type]


def _months(given: ReportInputs, calendar: Calendar) -> Table:
    rows = [
        [
            f"{row['start']:%B %Y}",
            f"{row['actual']:,.0f}",
            f"{row['expected']:,.0f}",
            f"{row['low']:,.0f} to {row['high']:,.0f}",
            percent(row["actual"] / row["expected"] - 1, sign=True) if row["expected"] else "–",
            "after the fit" if row["holdout"] else "",
        ]
        for row in calendar.months.table.to_dict("records")
    ]
    columns = ("Month", "Repeat purchases", "Expected", f"{given.sure} band", "Difference", "Remark")
    return Table(
        "Repeat purchases by calendar month (the first and last may be cut)", columns, rows, numeric=range(1, 5)
    )
