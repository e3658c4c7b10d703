"""The section on segments: is it 80/20, what tiers and segments hold, and where the customary names mislead."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.logs import customers_at_once
from predclv.decisions.report.parts import LeftOut, Part
from predclv.decisions.report.segment_tables import by_segment_table, customary_names, quoted, shares
from predclv.decisions.segments.by_segment import value_by_segment
from predclv.decisions.segments.groups import FEW
from predclv.decisions.segments.pareto import ParetoCurve, pareto_curve
from predclv.decisions.segments.rfm import assign_rfm_segments
from predclv.decisions.segments.tiers import CustomerTiers, assign_tiers
from predclv.errors import DataError, DataQualityWarning
from predclv.models.valuation import TOTAL
from predclv.plots.segments import plot_pareto, plot_tiers
from predclv.plots.style import percent, shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["segments"]

#: Customers in the table of tiers; the other tables hold all.
LISTED = 10_000
# Customer-draws that a table is worth, and draws at most and at least.
_BUDGET, _MOST_DRAWS, _FEWEST = 100_000_000, 1024, 64


def segments(given: DecisionInputs) -> Part | LeftOut:
    """Say who holds the value: the section, and tables `pareto`, `tiers`, `tier_customers`, `rfm` and `segments`."""
    if given.n_customers < FEW:
        return LeftOut(
            f"not enough to say: {given.n_customers} customers make no groups, and at least {FEW} are needed"
        )
    customers, drawn = customers_at_once(given)
    n_draws = int(np.clip(_BUDGET // len(customers), _FEWEST, _MOST_DRAWS))
    by_count = isinstance(given.asked.tiers, int)
    try:
        with warnings.catch_warnings():
            # Small tiers are said to be small below their table.
            warnings.filterwarnings("ignore", message=".* have fewer than", category=DataQualityWarning)
            tiers = assign_tiers(
                given.clv,
                customers,
                tiers=given.asked.tiers,
                method="value" if by_count else "quantile",
                n_draws=n_draws,
                **given.terms,
            )
    except DataError as error:
        return LeftOut(f"not enough to say: {error}")
    tables = {"tiers": tiers.table, "tier_customers": _list(tiers)}
    settled = _drop_customers(tiers)
    del tiers
    curve = pareto_curve(given.clv, customers, **given.terms)
    named = assign_rfm_segments(given.clv, customers, n_draws=n_draws, **given.terms)
    tables |= {"pareto": curve.curve, "rfm": named.table}
    blocks: list[Block] = [
        Paragraph(_lead(given, curve), "lead"),
        *([Paragraph(drawn)] if drawn else []),
        Figures([_pareto(given, curve), _tier_figure(given, settled)]),
        Paragraph(_about_curve(given, curve), "quiet"),
        _tier_table(given, settled),
        *_small_tiers(settled),
        Paragraph(_about_tiers(given, settled, len(customers)), "quiet"),
    ]
    if given.by is not None:
        by_segment = value_by_segment(given.clv, customers, by=given.by, n_draws=n_draws, **given.terms)
        tables["segments"] = by_segment
        blocks += by_segment_table(given, by_segment)
    blocks += customary_names(given, named)
    facts = {
        "customers": len(customers),
        "tiers": tables["tiers"].to_dict("records"),
        "cuts": dict(settled.cuts),
        "best_share": curve.settings["top"],
        "held_by_the_best": curve.at(curve.settings["top"]),
        "rfm": named.table.astype(object).where(named.table.notna(), None).to_dict("records"),
        "rfm_boundaries": dict(named.boundaries),
    }
    section = Section("segments", _title(given, curve), blocks, short="Who holds the value")
    return Part(section, tables, facts)


def _drop_customers(tiers: CustomerTiers) -> CustomerTiers:
    """All but what is as long as the customers."""
    nothing: Any = None
    return CustomerTiers(nothing, tiers.cuts, tiers.table, tiers.outcomes, tiers.settings, nothing)


def _list(tiers: CustomerTiers) -> pd.DataFrame:
    """The customers who are expected to bring most, with their tiers."""
    import narwhals.stable.v2 as nw

    frame = nw.from_native(tiers.customers, eager_only=True)
    expected = frame["expected_clv"].to_numpy()
    rows = np.argsort(-expected, kind="stable")[:LISTED]
    found: pd.DataFrame = frame[rows.tolist()].to_pandas()
    return found


def _title(given: DecisionInputs, curve: ParetoCurve) -> str:
    top = curve.settings["top"]
    chosen = curve.at(top)["chosen"]
    if not np.isfinite(chosen):
        return "Nobody is expected to bring anything"
    return f"The {top:.0%} of customers expected to be best will bring {percent(chosen)} of the {given.what}"


def _lead(given: DecisionInputs, curve: ParetoCurve) -> str:
    top = curve.settings["top"]
    at = curve.at(top)
    if not np.isfinite(at["chosen"]):
        return f"By the forecast none of your {given.n_customers:,} customers brings anything {given.within}."
    said = (
        f"Choose the {top:.0%} of your {given.n_customers:,} customers with the highest expected value today, and they "
        f"will bring {percent(at['chosen'])} of what all bring {given.within} ({shares(at, 'chosen')} with "
        f"{given.sure} probability). The {top:.0%} who turn out best will have brought {percent(at['outcome'])} "
        f"({shares(at, 'outcome')})."
    )
    need = curve.customers_for.set_index("share_of_value")["outcome"].loc[0.8]
    near = abs(at["outcome"] - 0.8) < 0.05
    if near:
        return f"{said} So it is about 80/20 here, for those who know the future."
    return f"{said} So it is not 80/20 here: 80% will have come from {need * 100:.2g}% of the customers."


def _pareto(given: DecisionInputs, curve: ParetoCurve) -> Any:
    return draw(
        "pareto",
        plot_pareto,
        curve.curve,
        top=curve.settings["top"],
        level=given.level,
        label="Curves: share of the value held by shares of the customers, the most valuable first: who turn out best, "
        "who are expected to be best, and so far; the text holds the numbers.",
        caption="The higher a curve, the fewer customers hold the value. Between the two coloured ones lies what no "
        "forecast can know: who of those that look alike today will be the good ones.",
    )


def _tier_figure(given: DecisionInputs, tiers: CustomerTiers) -> Any:
    return draw(
        "tiers",
        plot_tiers,
        tiers.table,
        level=given.level,
        label="Bars: share of the customers and of the value in each tier; the table below holds the numbers.",
        caption=f"Bars with a line hold the truth within it with {given.sure} probability.",
        size=(5.0, min(1.6 + 0.55 * (len(tiers.table) - 1), 6.0)),
    )


def _about_curve(given: DecisionInputs, curve: ParetoCurve) -> str:
    past = curve.at(curve.settings["top"])["past"]
    so_far = (
        f" So far, of repeat purchases, the best {curve.settings['top']:.0%} brought {percent(past)}."
        if np.isfinite(past)
        else ""
    )
    return (
        f"Value is {given.basis}. The ranges come from {curve.settings['n_draws']} futures of all customers together."
        f"{so_far}"
    )


def _tier_table(given: DecisionInputs, tiers: CustomerTiers) -> Table:
    columns = (
        "Tier",
        "Expected to bring at least",
        "Customers",
        "Of all customers",
        "Worth of one",
        "Of all value",
        f"{given.sure} range",
        "Will be right for",
    )
    table = tiers.table
    rows = [
        [
            "All customers" if row["tier"] == TOTAL else shorten(row["tier"], NAME),
            given.money(row["begins"]),
            f"{row['customers']:,}",
            percent(row["share_of_customers"]),
            given.money(row["mean_clv"]),
            percent(row["share_of_value"]),
            shares(row, "share"),
            percent(row["p_right"]),
        ]
        for row in table.to_dict("records")
    ]
    # Of all customers there is no first amount, and no question of the share.
    rows[-1][1] = rows[-1][6] = ""
    return Table("Tiers of customers by expected value", columns, rows, range(1, 8), strong=[len(rows) - 1])


def _about_tiers(given: DecisionInputs, tiers: CustomerTiers, n_customers: int) -> str:
    table = tiers.table.iloc[:-1]
    filled = table[table["customers"] > 0]
    worst = filled.iloc[int(filled["p_right"].to_numpy().argmin())]
    lowest = tiers.outcomes.columns[-1]
    there = tiers.outcomes.loc[worst["tier"], lowest] / worst["customers"]
    drawn = "of those drawn" if n_customers < given.n_customers else "of them"
    listed = f"all {drawn}" if n_customers <= LISTED else f"the best {LISTED:,} {drawn}"
    how = "Each tier is to bring as much as another. " if tiers.settings["method"] == "value" else ""
    surprise = (
        f": {percent(there)} of them will bring what belongs in {quoted(lowest)}" if worst["tier"] != lowest else ""
    )
    return (
        f"{how}A tier says what to expect of its customers, and “will be right for” is the share of them whose own "
        f"{given.what} will turn out to lie in the tier's range. It is lowest in {quoted(worst['tier'])}"
        f"{surprise}. Tiers are for planning, not for promises to single customers. Customers with the same history "
        f"are never parted. tier_customers.csv has {listed}, with the chance of every tier."
    )


def _small_tiers(tiers: CustomerTiers) -> list[Block]:
    if not tiers.few:
        return []
    names = ", ".join(map(quoted, tiers.few))
    said = f"There is not enough to say of {names} as a group, with fewer than {FEW} customers."
    if len(tiers.few) == len(tiers.cuts):
        said = f"There is not enough to say of any tier as a group: each has fewer than {FEW} customers."
    return [Paragraph(said)]
