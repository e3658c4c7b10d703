"""Sections on whether probabilities hold, and on whether the good customers are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from predclv import plots
from predclv.backtesting.report.inputs import NAMES, QUANTITY, Given, name, show
from predclv.report.blocks import Block, Details, Figure, Figures, Paragraph, Section, Table
from predclv.report.figures import draw

__all__ = ["calibration", "ranking"]

_LEVELS = (50, 80, 90, 95)
_WIDE = (5.0, 4.6)
_DRAWN = ("purchases", "value")
# Groups that a table shows beside each other.
_MOST_GROUPS = 12


def calibration(given: Given) -> Section:
    """PIT, coverage with and without randomisation, deciles, reliability; groups folded away."""
    lead = (
        "A forecast gives odds: 90% of outcomes should fall into 90% intervals, and of customers with a 30% chance to "
        "buy, three in ten should. The figures show where that fails and to which side."
    )
    blocks: list[Block] = [Paragraph(lead), Figures(_figures(given, given.main))]
    if given.points:
        blocks.append(Paragraph(f"Without odds, so not in all figures: {', '.join(given.points)}.", "quiet"))
    tables = [_coverage(given, quantity, given.main) for quantity in given.quantities]
    blocks += [table for table in tables if table.rows]
    if any(table.rows for table in tables):
        blocks.append(
            Paragraph(
                "Purchases are whole numbers, and most are 0, so that no interval holds exactly 90%: the raw share of "
                "outcomes inside lies above that even where the odds are right. The coverage beside it randomises "
                "within the jump of the forecast at the outcome (randomized PIT), and is 90% where they are right. "
                "Judge by that one.",
                "quiet",
            )
        )
    for horizon in given.horizons:
        if horizon != given.main:
            others = [_coverage(given, quantity, horizon) for quantity in given.quantities]
            inner: list[Block] = [Figures(_figures(given, horizon)), *(table for table in others if table.rows)]
            blocks.append(Details(f"Calibration for {horizon}", inner))
    blocks += _groups(given)
    return Section("calibration", "Whether the odds hold", blocks)


def ranking(given: Given) -> Section | None:
    """Gains, and what the customers with the highest forecasts brought."""
    gains = given.result.gains
    drawn = [quantity for quantity in _DRAWN if quantity in given.quantities and _of(gains, quantity, given.main)]
    if not drawn:
        return None
    lead = (
        "Whoever spends a budget on the best customers needs their order, not their number: what part of the purchases "
        "came from the customers whom a method put first?"
    )
    blocks: list[Block] = [Paragraph(lead), Figures([_gains(given, quantity, given.main) for quantity in drawn])]
    blocks += [_capture(given, quantity, given.main) for quantity in drawn]
    for horizon in given.horizons:
        if horizon != given.main:
            there = [quantity for quantity in drawn if _of(gains, quantity, horizon)]
            figures: list[Block] = [Figures([_gains(given, quantity, horizon) for quantity in there])]
            blocks.append(
                Details(
                    f"Ranking for {horizon}", [*figures, *(_capture(given, quantity, horizon) for quantity in there)]
                )
            )
    return Section("ranking", "Whether the good customers are found", blocks)


def _figures(given: Given, horizon: str) -> list[Figure]:
    found = []
    result, place = given.result, given.horizons.index(horizon)
    for quantity in _DRAWN:
        if _of(result.pit, quantity, horizon):
            rows = given.among(result.pit, quantity=quantity, horizon=horizon)
            found.append(
                draw(
                    f"pit-{quantity}-{place}",
                    plots.plot_pit,
                    result.pit,
                    horizon=horizon,
                    quantity=quantity,
                    customers=_scored(given, quantity, horizon),
                    styles=given.styles,
                    size=(5.0, 1.7 + 0.26 * rows["method"].nunique()),
                    label=f"PIT histograms of {quantity}, a row a method: white where outcomes fall as forecast.",
                    caption="Brown at the right: more customers above their forecast than foreseen; at both ends: "
                    "intervals too narrow; in the middle: too wide.",
                )
            )
    for quantity in _DRAWN:
        if _of(result.deciles, quantity, horizon):
            found.append(
                draw(
                    f"deciles-{quantity}-{place}",
                    plots.plot_calibration_by_decile,
                    given.drawing(result.deciles),
                    horizon=horizon,
                    quantity=quantity,
                    currency=given.setting("currency"),
                    styles=given.styles,
                    size=_WIDE,
                    label=f"Actual against expected {quantity} of each tenth of the customers, for each method.",
                    caption="Customers by forecast in ten groups. On the dashed line the group brought what was "
                    "expected; a line flatter than it promises too much of the best.",
                )
            )
    if len(result.reliability) and (result.reliability["horizon"] == horizon).any():
        found.append(
            draw(
                f"reliability-{place}",
                plots.plot_reliability,
                given.drawing(result.reliability),
                horizon=horizon,
                styles=given.styles,
                size=_WIDE,
                label="Share of customers who bought against the forecast probability of buying, for each method.",
                caption="Customers by their chance to buy in ten groups. Above the line more bought than forecast.",
            )
        )
    return found


def _scored(given: Given, quantity: str, horizon: str) -> int:
    """Outcomes behind a histogram over all cut-offs."""
    rows = given.among(given.pooled, quantity=quantity, horizon=horizon, metric="pit_ks")
    return int(rows["customers"].max()) if len(rows) else 0


def _coverage(given: Given, quantity: str, horizon: str) -> Table:
    found = given.scores(quantity, horizon)
    rows = []
    for method in given.ranked(quantity, horizon):
        own = found[method]
        if "pit_coverage_90" not in own:
            continue
        pairs = [show(own.get(f"{kind}_coverage_{level}")) for level in _LEVELS for kind in ("pit", "raw")]
        rows.append([given.titled(method, quantity, horizon), *pairs, show(own.get("pit_ks"))])
    columns = [text for level in _LEVELS for text in (f"{level}%", f"{level}% raw")]
    caption = f"Share of outcomes inside central intervals, {quantity} within {horizon}, beside the raw share"
    return given.compare_table(caption, ("Method", *columns, NAMES["pit_ks"]), rows)


def _groups(given: Given) -> list[Block]:
    scores = given.result.scores
    blocks: list[Block] = []
    titles = {"frequency": "repeat purchases until the cut-off", "decile": "decile of the forecast (1 = highest)"}
    for by in dict.fromkeys(scores.loc[scores["by"] != "all", "by"]):
        title = titles.get(by, name(by))
        inner: list[Block] = []
        for quantity, horizon in given.cases:
            rows = given.among(scores, by=by, cutoff="all", quantity=quantity, horizon=horizon)
            groups = list(dict.fromkeys(rows["group"]))
            for metric in ("bias", "pit_coverage_90", "raw_coverage_90"):
                table = rows[rows["metric"] == metric]
                if len(table):
                    inner.append(
                        _by_group(given, table, groups, f"{NAMES[metric]} by {title}, {quantity} within {horizon}")
                    )
        if inner:
            blocks.append(Details(f"Bias and coverage by {title}", inner))
    return blocks


def _by_group(given: Given, table: pd.DataFrame, groups: Sequence[Any], caption: str) -> Table:
    rest = len(groups) - _MOST_GROUPS
    if rest > 0:
        sizes = table.groupby("group", sort=False)["customers"].max()
        kept = set(sizes.sort_values(ascending=False, kind="stable").index[:_MOST_GROUPS])
        groups = [group for group in groups if group in kept]
        caption += f"; the {_MOST_GROUPS} largest of {len(groups) + rest} groups"
    sizes = table.groupby("group", sort=False)["customers"].max()
    columns = [f"{name(group)} ({sizes[group]:,})" for group in groups if group in sizes]
    found = {(row["method"], row["group"]): row for row in table.to_dict("records")}
    rows = [
        [name(method), *(show(_str_keys(found.get((method, group)))) for group in groups if group in sizes)]
        for method in given.methods
        if method in set(table["method"])
    ]
    return given.compare_table(caption, ("Method (customers)", *columns), rows)


def _gains(given: Given, quantity: str, horizon: str) -> Figure:
    first = max(
        given.scores(quantity, horizon).items(), key=lambda item: _value(item[1].get("capture_20")), default=("", {})
    )[0]
    return draw(
        f"gains-{quantity}-{given.horizons.index(horizon)}",
        plots.plot_gains,
        given.drawing(given.result.gains),
        horizon=horizon,
        quantity=quantity,
        styles=given.styles,
        size=(5.0, 4.7),
        label=f"Share of {quantity} brought by the customers with the highest forecasts; {name(first)} finds most.",
        caption="Customers from the highest forecast to the lowest. The legend reads the curves off at 20%.",
    )


def _capture(given: Given, quantity: str, horizon: str) -> Table:
    found = given.scores(quantity, horizon)
    metrics = ("capture_10", "capture_20", "lift_10", "gini", "spearman")
    late = {rival.method for rival in given.contest(quantity, horizon).partial}
    order = sorted(found, key=lambda method: (method in late, -_value(found[method].get("capture_20"))))
    rows = [
        [given.titled(method, quantity, horizon), *(show(found[method].get(metric)) for metric in metrics)]
        for method in order
    ]
    caption = f"{QUANTITY[quantity]} within {horizon}: what the customers with the highest forecasts brought"
    return given.compare_table(caption, ("Method", *(NAMES[metric] for metric in metrics)), rows)


def _value(row: dict[str, Any] | None) -> float:
    return float("-inf") if row is None or row["value"] != row["value"] else float(row["value"])


def _of(table: pd.DataFrame, quantity: str, horizon: str) -> bool:
    return len(table) > 0 and bool(((table["quantity"] == quantity) & (table["horizon"] == horizon)).any())


def _str_keys(row: dict[Any, Any] | None) -> dict[str, Any] | None:
    return None if row is None else {str(key): value for key, value in row.items()}
