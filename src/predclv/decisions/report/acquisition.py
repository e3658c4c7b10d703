"""The section on acquisition: is a customer worth what winning one costs, by channel, and what may be paid?"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from predclv.decisions.acquisition.assess import NOT_ENOUGH, UNCERTAIN, Acquisition, assess_acquisition
from predclv.decisions.formulas.plain import ALL
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.errors import HorizonWarning
from predclv.plots.acquisition import MOST_CURVES, plot_payback, plot_ratios
from predclv.plots.style import chance, percent, shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["acquisition", "assess"]

#: Channels drawn and listed; the tables hold all.
MOST = 20


def acquisition(given: DecisionInputs) -> Part | LeftOut:
    """Set value against cost by channel: the section, and tables `acquisition`, `payback` and `commission`."""
    if given.asked.cac is None:
        return LeftOut("what winning a customer costs was not given: --cac")
    found = assess(given)
    ceilings = found.commission_ceiling()
    table = found.table.sort_values("ratio", ascending=False, kind="stable", ignore_index=True)
    shown = table.head(MOST)
    first, *second = _figures(given, found, shown)
    blocks: list[Block] = [
        Paragraph(_lead(given, found, table), "lead"),
        Figures([first]),
        _ratios(given, found, shown),
        Paragraph(_bands(found.settings["bands"])),
        Figures(second),
        _ceilings(given, found, shown, ceilings),
        Paragraph(_about_ceilings(found), "quiet"),
        Paragraph(_caveat(given), "quiet"),
    ]
    if len(table) > MOST:
        rest = f"The {MOST} channels with the highest ratio of {len(table):,} are shown; acquisition.csv has all."
        blocks.insert(3, Paragraph(rest, "quiet"))
    section = Section("acquisition", _title(table), blocks, short="Winning customers")
    tables = {"acquisition": table, "payback": found.payback, "commission": ceilings}
    facts = {"channels": table.to_dict("records"), "settings": _settings(found)}
    return Part(section, tables, facts)


@lru_cache(maxsize=1)
def assess(given: DecisionInputs) -> Acquisition:
    """Assess the channels as the page is asked to; once for the sections that need it."""
    asked = given.asked
    assert asked.cac is not None
    with warnings.catch_warnings():
        # What is said of the horizon is said once, of the customers that there are.
        warnings.simplefilter("ignore", HorizonWarning)
        return assess_acquisition(
            given.clv,
            asked.cac,
            horizon=given.horizon.length,
            margin=given.margin,
            discount_rate=given.discount_rate,
            level=given.level,
            confidence=asked.confidence,
            target=asked.target,
        )


def _name(channel: object) -> str:
    return "A new customer" if channel == ALL else shorten(channel, NAME)


def _ratio(number: float) -> str:
    if not np.isfinite(number):
        return "∞"
    # Near 1, where it matters most, a tenth would hide on which side of it the ends of an interval are.
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def _title(table: pd.DataFrame) -> str:
    """The finding: how many channels surely pay, or how much one gives back."""
    if len(table) == 1:
        row = table.iloc[0]
        return f"Each 1 spent on winning a customer comes back as {_ratio(row['ratio'])}"
    told = table[table["verdict"] != NOT_ENOUGH]
    pays, loses = (told["ratio_low"] > 1).sum(), (told["ratio_high"] < 1).sum()
    unsure, few = len(told) - pays - loses, len(table) - len(told)
    said = (
        f"{pays} of {len(table)} channels {'brings more than it costs' if pays == 1 else 'bring more than they cost'}"
    )
    if loses:
        said += f", {loses} {'brings' if loses == 1 else 'bring'} less"
    said += f", and {unsure} may do either" if unsure else ""
    return said + (f"; of {few}, with too few customers, there is not enough to say" if few else "")


def _lead(given: DecisionInputs, found: Acquisition, table: pd.DataFrame) -> str:
    # Of a channel with hardly any customers there is nothing to say at the top of a page.
    told = table[table["verdict"] != NOT_ENOUGH]
    table = told if len(told) > 1 else table
    best, worst = table.iloc[0], table.iloc[-1]
    kept = "" if given.margin != 1 else " Value is revenue here: give a margin, or costs look smaller than they are."

    def say(row: pd.Series) -> str:
        between = f"{_ratio(row['ratio_low'])} and {_ratio(row['ratio_high'])}"
        return f"{_ratio(row['ratio'])} for each 1 spent (between {between} with {given.sure} probability)"

    if len(table) == 1:
        value = given.money(best["expected_clv"])
        return (
            f"A new customer is worth {value} {given.within} and costs {given.money(best['cac'])}: {say(best)}.{kept}"
        )
    return (
        f"A customer won by {_name(best['channel'])} gives back {say(best)}; one won by {_name(worst['channel'])}, "
        f"{say(worst)}.{kept}"
    )


def _figures(given: DecisionInputs, found: Acquisition, shown: pd.DataFrame) -> list[Any]:
    return [
        draw(
            "ratios",
            plot_ratios,
            shown,
            found.settings["bands"],
            level=given.level,
            label="Points with intervals: value of a new customer over the cost of winning one, by channel; the table "
            "below holds the numbers.",
            caption="The further right, the more a channel gives back. A bar across a border of the bands means that "
            "the data do not say on which side the channel is.",
            size=(5.6, 1.7 + 0.36 * len(shown)),
        ),
        draw(
            "payback",
            plot_payback,
            found.payback,
            shown,
            time_unit=given.time_unit,
            currency=given.currency,
            label="Curves: what a customer has brought as time goes by, against the cost of winning one; the table "
            "below holds the times.",
            caption="Where a curve crosses the dashed line of its colour, the customer has paid for the winning. "
            f"Shades hold the truth with {given.sure} probability."
            + (f" At most {MOST_CURVES} channels are drawn." if len(shown) > MOST_CURVES else ""),
        ),
    ]


def _ratios(given: DecisionInputs, found: Acquisition, shown: pd.DataFrame) -> Table:
    starts = [start for start in found.settings["bands"] if start > 0]
    columns = (
        "Channel",
        "Cost of one",
        "Worth of one",
        f"{given.sure} range",
        "Worth : cost",
        f"{given.sure} range",
        *(f"Chance above {start:g}" for start in starts),
        "Verdict",
    )
    rows = [
        [
            _name(row["channel"]),
            given.money(row["cac"]),
            given.money(row["expected_clv"]),
            given.span(row["clv_low"], row["clv_high"]),
            _ratio(row["ratio"]),
            f"{_ratio(row['ratio_low'])} to {_ratio(row['ratio_high'])}",
            *(chance(row[f"p_above_{start:g}"]) for start in starts),
            _verdict(row["verdict"], found.settings["bands"]),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("Worth against cost", columns, rows, numeric=range(1, 6 + len(starts)))


def _verdict(verdict: str, bands: Mapping[float, str]) -> str:
    names = list(bands.values())
    if verdict == f"{UNCERTAIN} (from {names[0]} to {names[-1]})":
        return NOT_ENOUGH
    return shorten(verdict.replace(f"{UNCERTAIN} (", "not sure: ").removesuffix(")"), NAME)


def _bands(bands: Mapping[float, str]) -> str:
    starts, names = list(bands), list(bands.values())
    said = [f"{shorten(name)} from {start:g} on" for start, name in zip(starts[1:], names[1:], strict=True)]
    return (
        f"How to read the verdict: {shorten(names[0])} below {starts[1]:g}; {'; '.join(said)}."
        if said
        else f"All ratios count as {shorten(names[0])}."
    )


def _ceilings(given: DecisionInputs, found: Acquisition, shown: pd.DataFrame, ceilings: pd.DataFrame) -> Table:
    by_channel = ceilings.set_index("channel")
    target = f"{found.settings['target']:g}"
    columns = (
        "Channel",
        "Paid back after",
        f"{given.sure} range",
        "Most to break even",
        f"Most at {target}:1",
        f"Of the first purchase, at {target}:1",
        f"Of all purchases, at {target}:1",
    )
    rows = [
        [
            _name(row["channel"]),
            _time(row["payback"], given),
            _times(row["payback_low"], row["payback_high"], given),
            given.money(row["break_even_cac"]),
            given.money(row["target_cac"]),
            percent(by_channel.loc[row["channel"], "of_first_purchase"]),
            percent(by_channel.loc[row["channel"], "of_revenue"]),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("What may be paid for a customer, and when it comes back", columns, rows, numeric=range(1, 7))


def _time(length: float, given: DecisionInputs) -> str:
    if not np.isfinite(length):
        return "not in this time"
    if length == 0:
        return "at once"
    unit = given.time_unit
    number = f"{length:,.0f}" if length >= 10 else f"{length:.1f}"
    return f"{number} {unit}{'' if number == '1' else 's'}"


def _times(low: float, high: float, given: DecisionInputs) -> str:
    ends = _time(low, given), _time(high, given)
    return ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"


def _about_ceilings(found: Acquisition) -> str:
    sure, target = percent(found.settings["confidence"]), found.settings["target"]
    return (
        f"“Most to break even” is the highest cost of winning a customer that comes back with {sure} probability; "
        f"“most at {target:g}:1”, the highest that comes back {target:g} times. The last two columns say the same as a "
        "commission: a share of the first purchase alone, or of all that the customer spends in this time."
    )


def _caveat(given: DecisionInputs) -> str:
    return (
        f"Counted is {given.what} {given.within} from the first purchase on, that one included ({given.basis}). The "
        "ranges hold what the data leave open about a channel's average customer; single customers differ much more. "
        "All this takes customers to come to be like those who came so far, and the cost to stay what it is: more "
        "spending on a channel mostly wins worse customers at a higher cost."
    )


def _settings(found: Acquisition) -> dict[str, Any]:
    names = ("horizon", "time_unit", "level", "confidence", "target", "margin", "include_first", "discount_rate")
    bands = {f"{start:g}": name for start, name in found.settings["bands"].items()}
    return {**{name: found.settings[name] for name in names}, "bands": bands}
