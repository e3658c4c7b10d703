"""Sections on the model: how it fits, what came true in a holdout, what it believes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from predclv import checks, plots
from predclv.checks import Tracking, expect_holdout
from predclv.data.durations import parse_horizon
from predclv.plots.style import percent
from predclv.report.blocks import Block, Details, Figure, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.inputs import ReportInputs
from predclv.report.parameters import parameters

__all__ = ["fit", "holdout"]

FloatArray = NDArray[np.float64]


def fit(given: ReportInputs, tracking: Tracking | None) -> Section:
    """How well the model describes what customers did."""
    model, rfm = given.clv.transactions_, given.rfm
    lead = (
        f"The model has {len(model.PARAMETERS) + len(given.clv.spend_.PARAMETERS)} numbers and describes "
        f"{len(rfm):,} customers with them. If it describes them well, dots lie on bars and the dashed line stays in "
        "the band."
    )
    figures = [_frequencies(given), _spend(given)]
    if tracking is not None:
        figures = [_tracking(tracking, cumulative=True), _tracking(tracking, cumulative=False), *figures]
    blocks: list[Block] = [Paragraph(lead), Figures(figures)]
    if tracking is None:
        blocks.append(Paragraph("Purchases over time are not shown: the report was made without the log.", "quiet"))
    horizon = given.horizon if given.finite else parse_horizon(float(rfm.T.max()), given.unit)
    label = horizon.label
    maps = [
        draw(
            "alive",
            plots.plot_frequency_recency,
            model,
            label="Heat map: the probability of being alive falls with silence, faster for frequent buyers.",
            caption="Each point is a history: how often a customer bought again, and how long ago the last time was.",
        ),
        draw(
            "expected",
            plots.plot_frequency_recency,
            model,
            horizon=horizon,
            label=f"Heat map: expected purchases, {label}, are highest for frequent and recent buyers.",
            caption=f"Expected purchases for the same histories ({label}).",
        ),
    ]
    believes: list[Block] = [Paragraph(_in_words(given)), Figures(maps)]
    blocks += [Details("What the model believes of a customer's history", believes), parameters(given.clv)]
    return Section("fit", "How well the model fits", blocks)


def holdout(given: ReportInputs) -> Section | None:
    """What the forecast said about the time after the as-of date, and what happened."""
    split, total, rfm = given.holdout, given.holdout_total, given.rfm
    if split is None or total is None:
        return None
    actual = split.holdout["purchases"].to_numpy().astype(np.float64)
    returned = int(np.sum(actual > 0))
    rows = [
        [
            "Purchases",
            f"{total['expected_purchases']:,.0f}",
            f"{total['purchases_low']:,.0f} to {total['purchases_high']:,.0f}",
            f"{actual.sum():,.0f}",
        ],
        ["Customers who bought", f"{total['expected_buyers']:,.0f}", "–", f"{returned:,}"],
    ]
    hit = total["purchases_low"] <= actual.sum() <= total["purchases_high"]
    if "spend" in split.holdout:
        spent = float(split.holdout["spend"].sum())
        rows.insert(
            1,
            [
                "Revenue, not discounted",
                given.money(total["expected_clv"]),
                given.span(total["clv_low"], total["clv_high"]),
                given.money(spent),
            ],
        )
    lead = (
        f"The model was fitted on purchases until {rfm.observation_end}. In the {given.duration(split.duration)} after "
        f"it, which the model has not seen, these customers made {actual.sum():,.0f} purchases; "
        f"{total['expected_purchases']:,.0f} were expected, and the total lies "
        f"{'inside' if hit else 'outside'} the {given.sure} interval."
    )
    if len(split.new_customers):
        lead += f" {len(split.new_customers):,} customers who were new in that time are not counted."
    groups = [_groups(given, "frequency"), _groups(given, "forecast")]
    columns = ("What", "Forecast", f"{given.sure} interval", "Actual")
    return Section(
        "holdout",
        "What came true",
        [
            Paragraph(lead),
            Table("Forecast and actual totals", columns, rows, numeric=(1, 2, 3)),
            Figures(groups),
            _errors(given, actual),
            Paragraph(
                "Most customers buy nothing, so predicting zero for everyone has a small average error and is useless: "
                "look at the bias of the total and at the correlation too.",
                "quiet",
            ),
        ],
    )


def _errors(given: ReportInputs, actual: FloatArray) -> Table:
    rfm, split = given.rfm, given.holdout
    assert split is not None
    model = given.clv.transactions_
    expected = expect_holdout(model, split)
    naive = split.duration * np.divide(rfm.frequency, rfm.T, out=np.zeros(len(rfm)), where=rfm.T > 0)
    rows = [
        [name, f"{forecast.sum():,.0f}", *_scores(forecast, actual)]
        for name, forecast in (
            (f"{type(model).__name__} (this report)", expected),
            ("Everyone goes on at their own past rate", naive),
            ("Nobody buys again", np.zeros(len(actual))),
        )
    ]
    columns = (
        "Forecast of each customer's purchases",
        "Total",
        "Bias of the total",
        "Mean absolute error",
        "Root mean squared error",
        "Correlation",
    )
    return Table("Errors of single customers' forecasts, beside two simple ones", columns, rows, numeric=range(1, 6))


def _scores(forecast: FloatArray, actual: FloatArray) -> list[str]:
    bias = percent(forecast.sum() / actual.sum() - 1, sign=True) if actual.sum() else "–"
    error = forecast - actual
    varied = np.ptp(forecast) > 0 and np.ptp(actual) > 0
    correlation = f"{np.corrcoef(forecast, actual)[0, 1]:.3f}" if varied else "–"
    return [bias, f"{np.abs(error).mean():.3f}", f"{np.sqrt(np.mean(error**2)):.3f}", correlation]


def _groups(given: ReportInputs, by: str) -> Figure:
    assert given.holdout is not None
    check = checks.check_holdout(given.clv.transactions_, given.holdout, by=by, level=given.level)
    what = "repeat purchases so far" if by == "frequency" else "expected purchases"
    numbers = "; ".join(f"{row.group}: {row.actual:.2f} of {row.expected:.2f}" for row in check.table.itertuples())
    return draw(
        f"groups-{by}",
        plots.plot_calibration,
        check,
        by=by,
        label=f"Purchases for each customer, actual of forecast, by {what}: {numbers}.",
        caption=f"Customers grouped by {what}. A diamond inside its interval is what a good forecast looks like.",
    )


def _tracking(tracking: Tracking, *, cumulative: bool) -> Figure:
    table = tracking.table
    made, expected = table["actual"].sum(), table["expected"].sum()
    how = "as a running sum" if cumulative else f"by {tracking.period}"
    return draw(
        "tracking" if cumulative else "rate",
        plots.plot_tracking,
        tracking,
        cumulative=cumulative,
        label=f"Repeat purchases over time {how}: {made:,.0f} made, {expected:,.0f} expected.",
        caption="Expected of customers as if each were new at the first purchase. The band holds the parameters' "
        "uncertainty, which customers one happens to have, and chance."
        if cumulative
        else "Peaks and dips outside the band are what the model does not know: seasons, campaigns, trends.",
    )


def _frequencies(given: ReportInputs) -> Figure:
    check = checks.check_frequencies(given.clv.transactions_, given.rfm, level=given.level)
    numbers = "; ".join(
        f"{row.repeat_purchases}: {row.actual:,} of {row.expected:,.0f}" for row in check.table.itertuples()
    )
    return draw(
        "frequencies",
        plots.plot_frequency_histogram,
        check,
        label=f"Customers by repeat purchases, actual of expected: {numbers}.",
        caption="How many customers came back how often: as they did, and as the model says.",
    )


def _spend(given: ReportInputs) -> Figure:
    check = checks.check_spend(given.clv.spend_, given.rfm, level=given.level)
    left_out = check.n_left_out
    without = f" {left_out:,} whose purchases net to zero are left out." if left_out else ""
    return draw(
        "spend",
        plots.plot_spend_density,
        check,
        label=f"Histogram of the mean spend of {check.n_customers:,} repeat buyers, with the band of the spend model.",
        caption="What repeat buyers spend on a purchase, on average, and what the spend model says of customers with "
        f"as many purchases.{without}",
    )


def _in_words(given: ReportInputs) -> str:
    """The parameters of a BG family member as a sentence; other models have their table."""
    point = given.clv.transactions_.posterior_.point
    spend = given.clv.spend_.posterior_.point
    words = ""
    if {"r", "alpha", "a", "b"} <= set(point):
        stages = given.clv.transactions_.bindings.n_stages
        gap = given.duration(stages * point["alpha"] / point["r"])
        leave = percent(point["a"] / (point["a"] + point["b"]))
        words = (
            f"While active, customers buy on average once every {gap}, but differ widely. After each purchase the "
            f"average chance to leave for good is {leave}. "
        )
        if stages > 1:
            words += f"Their gaps are more regular than at random: of shape k = {stages}, where random ones have 1. "
    if spend["q"] > 1:
        basket = given.money(spend["p"] * spend["gamma"] / (spend["q"] - 1))
        words += f"The average customer spends {basket} on a purchase."
    return words
