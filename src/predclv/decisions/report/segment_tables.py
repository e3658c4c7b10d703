"""Tables of the section on segments: those that customers carry, and the customary ones of recency and frequency."""

from __future__ import annotations

from typing import Any

import pandas as pd

from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.segments.groups import FEW
from predclv.decisions.segments.rfm import RFMSegments
from predclv.plots.style import percent, printable, share_range, shorten
from predclv.report.blocks import Block, Details, Paragraph, Table
from predclv.report.words import NAME

__all__ = ["by_segment_table", "customary_names", "quoted", "shares"]

#: Segments listed on the page; the tables hold all.
MOST = 20


def shares(row: Any, name: str) -> str:
    """The interval of a share."""
    return share_range(row[f"{name}_low"], row[f"{name}_high"])


def quoted(name: object) -> str:
    """A segment's name between quotes, cut where it is long."""
    return f"“{shorten(name, NAME)}”"


def by_segment_table(given: DecisionInputs, table: pd.DataFrame) -> list[Block]:
    """Say which segment holds most, and list the largest."""
    rows = table.iloc[:-1].sort_values("expected_clv", ascending=False, kind="stable", ignore_index=True)
    column = printable(given.by)
    if not table.iloc[-1]["expected_clv"] > 0:
        return []
    best = rows.iloc[0]
    said = (
        f"By {column}: {quoted(best['segment'])}, {percent(best['share_of_customers'])} of the customers, will bring "
        f"{percent(best['share_of_value'])} of the value ({shares(best, 'share')})."
    )
    few = rows[rows["customers"] < FEW]
    if len(few):
        names = ", ".join(quoted(name) for name in few["segment"].head(3))
        more = " and others" if len(few) > 3 else ""
        said += f" There is not enough to say of {names}{more}, of fewer than {FEW} customers."
    blocks: list[Block] = [Paragraph(said), _segment_table(given, f"Segments by {column}", rows.head(MOST))]
    if len(rows) > MOST:
        blocks.append(Paragraph(f"The {MOST} largest of {len(rows):,} are shown; segments.csv has all.", "quiet"))
    return blocks


def _segment_table(given: DecisionInputs, caption: str, rows: pd.DataFrame, *, buying: bool = False) -> Table:
    chances = ("Will buy again",) if buying else ()
    columns = (
        "Segment",
        "Customers",
        "Of all customers",
        *chances,
        "Worth of one",
        f"{given.sure} range",
        "Of all value",
        f"{given.sure} range",
    )
    cells = [
        [
            shorten(row["segment"], NAME),
            f"{row['customers']:,}",
            percent(row["share_of_customers"]),
            *([percent(row["p_purchase"])] if buying else []),
            given.money(row["mean_clv"]),
            given.span(row["mean_clv_low"], row["mean_clv_high"]),
            percent(row["share_of_value"]),
            shares(row, "share"),
        ]
        for row in rows.to_dict("records")
    ]
    return Table(caption, columns, cells, range(1, len(columns)))


def customary_names(given: DecisionInputs, named: RFMSegments) -> list[Block]:
    """Say what the customary names hold, and where they mislead."""
    rows = named.table.iloc[:-1]
    if not named.table.iloc[-1]["expected_clv"] > 0:
        return []
    misled = named.misleading()
    best = rows.iloc[int(rows["share_of_value"].to_numpy().argmax())]
    said = (
        f"By the customary names of recency, frequency and money, {quoted(best['segment'])} hold "
        f"{percent(best['share_of_value'])} of the value ({shares(best, 'share')})."
    )
    if len(misled):
        row = misled.iloc[0]
        said += (
            f" The names are no forecast: one of {quoted(row['segment'])} is worth {given.money(row['mean_clv'])}, "
            f"surely more than one of the better-sounding {quoted(row['better_named'])}, worth "
            f"{given.money(row['better_named_mean_clv'])}."
        )
    written_off = rows[rows["segment"].isin(("Hibernating", "Lost"))]
    if len(written_off):
        said += (
            f" Those called {' or '.join(map(quoted, written_off['segment']))}, "
            f"{percent(written_off['share_of_customers'].sum())} of the customers, still hold "
            f"{percent(written_off['share_of_value'].sum())}."
        )
    unit = given.time_unit
    edges = [
        f"{name}: {', '.join(f'{edge:,.4g}' for edge in named.boundaries[key])}"
        for name, key in (
            (f"{unit}s since the last purchase", "recency"),
            ("repeat purchases", "frequency"),
            ("what they came to", "money"),
        )
    ]
    how = (
        "Customers are scored in fifths by how lately they bought, how often they came back, and for how much; the "
        f"scores give the name. Borders of the fifths: {'; '.join(edges)}. The same value has the same score, so "
        "fifths are as even as that allows."
    )
    table = _segment_table(given, "The customary segments, and what the forecast says of them", rows, buying=True)
    return [Paragraph(said), Details("The customary segments: Champions, Loyal, …", [table, Paragraph(how, "quiet")])]
