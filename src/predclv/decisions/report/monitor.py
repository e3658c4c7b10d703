"""The page on monitoring, for people who do not read code: fit again? whom to call? how was the last forecast?"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from typing import Any

from predclv.decisions.monitor.result import Monitoring
from predclv.decisions.monitor.verdict import FINE, OF_FORECAST, UNKNOWN, say_few
from predclv.decisions.report.monitor_base import amount_of, drift, trust
from predclv.files import write_text
from predclv.models import GammaGamma
from predclv.plots.monitor import plot_alarm_counts, plot_last_forecast
from predclv.plots.style import money, percent, printable, shorten
from predclv.report.blocks import (
    Block,
    Card,
    Cards,
    Document,
    Figures,
    Paragraph,
    Section,
    Table,
)
from predclv.report.figures import draw
from predclv.report.words import NAME, say_time

__all__ = ["compose_monitoring", "write_monitor_report"]

_SHOWN = 15
_WORDS = {
    "silence": "bought unusually little",
    "basket": "spent unusually little a purchase",
    "value": "worth far less than expected",
}
_SIGNS = {FINE: "fine", UNKNOWN: "not enough to say", "look": "have a look", "refit": "fit again"}


def write_monitor_report(
    path: str | os.PathLike[str],
    found: Monitoring,
    *,
    title: str | None = None,
    warnings: Sequence[str] = (),
    made_on: dt.date | None = None,
) -> None:
    """Write what monitoring found as one self-contained HTML file.

    Parameters
    ----------
    path : path
        File to write, whole or not at all.
    found : Monitoring
        Of `compare_snapshots`.
    title : str, optional
        Heading.
    warnings : sequence of str
        Messages of what went before, shown in the report.
    made_on : date, optional
        Date on the report; today by default.

    Raises
    ------
    ImportError
        jinja2 is absent.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]'") from error
    from predclv.report.page import render

    document = compose_monitoring(found, title=title or "", messages=warnings, made_on=made_on or dt.date.today())
    write_text(path, render(document))


def compose_monitoring(found: Monitoring, *, title: str, messages: Sequence[str], made_on: dt.date) -> Document:
    """Put the page together."""
    facts = found.facts
    span = f"{facts['old_date'] or 'the old date'} to {facts['new_date'] or 'the new date'}"
    return Document(
        title=printable(title) or "What has changed",
        subtitle=f"{facts['compared']:,} customers followed from {span}; {facts['newcomers']:,} are new",
        sections=[_answer(found), _alarms(found), _forecast(found), drift(found), trust(found, messages, made_on)],
    )


def _answer(found: Monitoring) -> Section:
    failed = found.evidence[found.evidence["result"] == "refit"]
    lead = {
        "no": "Every check that had enough to go on is within what chance allows, or off by too little to matter.",
        "yes": f"{len(failed)} of {len(found.evidence)} checks found a difference beyond chance that is large enough "
        f"to matter: {', '.join(map(_check, failed['check']))}.",
        UNKNOWN: "The customers are too few, or bought too little in the time, for the total to tell anything.",
    }[found.verdict]
    row, facts = _all_purchases(found), found.facts
    change = facts["value_now"] / facts["value_expected"] - 1 if facts["value_expected"] > 0 else float("nan")
    rang = found.alarm_counts.set_index("kind")["rang"]
    cards = [
        Card(
            f"{row['actual']:,.0f}",
            "purchases since",
            f"{row['expected']:,.0f} were forecast, {row['low']:,.0f} to {row['high']:,.0f} with "
            f"{percent(found.calibration.level)} probability",
        ),
        Card(
            amount_of(found, facts["value_now"]),
            "value of those followed, now",
            f"{amount_of(found, facts['value_expected'])} were expected of this date ({percent(change, sign=True)}), "
            "by the old model",
        ),
        Card(f"{rang['silence']:,}", "valuable customers fallen silent", "for their own rhythm; see the list"),
    ]
    rows = [[_check(row["check"]), _SIGNS[row["result"]], row["finding"]] for row in found.evidence.to_dict("records")]
    return Section(
        "answer",
        _heading(found),
        [Paragraph(lead, "lead"), Cards(cards), Table("What was checked", ("Check", "Result", "What was found"), rows)],
        short="Fit again?",
    )


def _check(name: str) -> str:
    """What was checked, in words for who does not know the models' names."""
    model = name.removeprefix("parameters of ")
    if model == name:
        return name
    return f"{'what customers spend' if model == GammaGamma.__name__ else 'how customers buy and leave'} ({name})"


def _all_purchases(found: Monitoring) -> Any:
    """Forecast of all purchases in the window, and what came."""
    totals = found.calibration.totals
    return totals[(totals["what"] == "purchases") & (totals["group"] == "all")].iloc[0]


def _heading(found: Monitoring) -> str:
    """The answer with its number; where it is yes, whether the forecast failed, or what it rests on is another."""
    row = _all_purchases(found)
    came, expected = f"{row['actual']:,.0f} purchases came", f"{row['expected']:,.0f} were expected"
    if found.verdict == "no":
        return f"No need to fit again: {came}, {expected}"
    if found.verdict == UNKNOWN:
        return (
            f"Not enough to say whether the forecast still holds: {found.facts['compared']:,} customers bought "
            f"{row['actual']:,.0f} times"
        )
    results = found.evidence.set_index("check")["result"]
    of_forecast = results[results.index.isin(OF_FORECAST)]
    failed = int((of_forecast == "refit").sum())
    if results["total purchases"] == "refit":
        return f"Fit again: {came} where {expected}"
    if failed:
        return f"Fit again: {failed} of {len(of_forecast)} checks of the last forecast failed"
    if (of_forecast == FINE).all():
        return f"Fit again: the last forecast was off by {percent(abs(row['error']))}, but what it rests on has changed"
    n = int((results == "refit").sum())
    return f"Fit again: what the forecast rests on has changed, by {n} of {len(results)} checks"


def _alarms(found: Monitoring) -> Section:
    counts = found.alarm_counts.set_index("kind")
    silence: Any = counts.loc["silence"]
    facts, n = found.facts, silence["rang"]
    whom = (
        f"Tested are customers worth {amount_of(found, facts['min_value'])} or more"
        if facts["min_value"] is not None
        else f"Tested are the {percent(facts['top'])} of customers who were worth most"
    )
    lead = (
        f"{whom}, each against their own past. Of {silence['tested']:,.0f}, {n:,.0f} bought less since than "
        f"{percent(1 - facts['alarm_level'])} of customers like them would have, had they stayed as they were. Had "
        f"nobody changed, {say_few(silence['expected_if_unchanged'])} alarms would have rung by chance; the old "
        f"forecast, in which some leave, expected {say_few(silence['expected_by_forecast'])}."
    )
    told = ", ".join(f"{row['rang']:,} {_WORDS[row['kind']]}" for row in found.alarm_counts.to_dict("records"))
    figure = draw(
        "alarms",
        plot_alarm_counts,
        found.alarm_counts,
        label=f"Alarms by kind: {told}.",
        caption="Bars: alarms that rang. Black mark: how many would at most, had nobody changed. Dot: how many the "
        "old forecast expected, with its range.",
    )
    shown = found.alarms.head(_SHOWN)
    rows = [
        [
            shorten(row["customer_id"], NAME),
            _WORDS[row["kind"]],
            f"{row['purchases']:,} ({row['usual_purchases']:,.1f} usual)",
            "below 0.01%" if row["p"] < 1e-4 else f"{100 * row['p']:.2g}%",
            amount_of(found, row["value_at_stake"]),
        ]
        for row in shown.to_dict("records")
    ]
    blocks: list[Block] = [Paragraph(lead, "lead"), Figures([figure])]
    if rows:
        columns = ("Customer", "What", "Purchases since", "By chance", "At stake")
        blocks.append(Table(f"The surest alarms, most at stake first{_of(found)}", columns, rows, numeric=(2, 3, 4)))
    blocks += _baskets(found)
    unsure = len(found.alarms) - int(found.alarms["certain"].sum())
    if unsure:
        blocks.append(
            Paragraph(
                f"{unsure:,} alarms rest on the throw of a coin: the time was too short for these customers' rhythm, "
                "so that even no purchase at all is no surprise. They keep the share of false alarms the same for "
                "everyone, come last in the list, and are no reason to call.",
                "quiet",
            )
        )
    blocks.append(
        Paragraph(
            f"An alarm says that a customer has changed or left, or was unlucky; not why. One who never changes is "
            f"alarmed about {silence['false_alarms_per_customer_year']:.2g} times a year at this pace of checking.",
            "quiet",
        )
    )
    who = "customer has" if n == 1 else "customers have"
    return Section("alarms", f"{n:,.0f} valuable {who} fallen silent for their rhythm", blocks, short="Early warnings")


def _baskets(found: Monitoring) -> list[Block]:
    """Say why far more alarms rang for what was spent a purchase than chance explains, where they did."""
    row: Any = found.alarm_counts.set_index("kind").loc["basket"]
    level, tested, rang = found.facts["alarm_level"], int(row["tested"]), int(row["rang"])
    expected = level * tested
    if not tested or rang - expected < 2.58 * (expected * (1 - level)) ** 0.5 or rang < 1.25 * expected:
        return []
    above = float(row["unusually_high"]) / tested
    said = (
        f"Of {tested:,} valuable customers whose spend a purchase can be judged, {rang:,} ({percent(rang / tested)}) "
        f"spent unusually little, where chance alone makes {percent(level)}. "
    )
    # As many on the other side are no change for the worse, but a spread that the model does not know.
    if above > level + 2.58 * (level * (1 - level) / tested) ** 0.5:
        said += (
            f"But {percent(above)} spent unusually much, which chance makes as rare: from one purchase to the next "
            "customers' spend varies more than the spend model takes it to, and so a part of these alarms rings for "
            "customers who have not changed. Trust those that chance makes rarest; fewer ring with "
            "--alarm-level 0.01."
        )
    else:
        said += (
            f"No more than {percent(above)} spent unusually much, so that it is no spread that the spend model does "
            "not know: customers spend less a purchase than they used to."
        )
    return [Paragraph(said)]


def _total(found: Monitoring, what: str, amount: float) -> str:
    """A total of the window: money in its currency, purchases as they are."""
    currency = found.facts["currency"]
    return money(float(amount), printable(currency) if currency and what == "revenue" else None, digits=0)


def _of(found: Monitoring) -> str:
    total = len(found.alarms)
    return f": {_SHOWN} of {total:,}" if total > _SHOWN else ""


def _forecast(found: Monitoring) -> Section:
    scores, facts = found.calibration, found.facts
    table, row = scores.totals, _all_purchases(found)
    where = "within" if row["inside"] else "outside"
    heading = f"The last forecast said {row['expected']:,.0f} purchases; {row['actual']:,.0f} came, {where} its range"
    lead = (
        f"The forecast was made for the {say_time(facts['window'], facts['time_unit'])} since the old snapshot, for "
        f"the same customers. {percent(scores.share_inside)} of them bought within their own {percent(scores.level)} "
        "range. Where single groups lie outside theirs, the model misjudges such customers, not the whole."
    )
    figures = [
        draw(
            f"forecast-{what}",
            plot_last_forecast,
            table,
            what,
            level=scores.level,
            currency=facts["currency"],
            label=f"{what.capitalize()} of groups of customers in the window, beside what was forecast.",
            caption="Tenths of the customers. Bar: range of the forecast. Dot: what came.",
        )
        for what in table["what"].unique()
    ]
    totals = table[table["group"] == "all"]
    rows = [
        [
            row["what"].capitalize(),
            _total(found, row["what"], row["expected"]),
            f"{row['low']:,.0f} to {_total(found, row['what'], row['high'])}",
            _total(found, row["what"], row["actual"]),
            percent(row["error"], sign=True),
        ]
        for row in totals.to_dict("records")
    ]
    columns = ("What", "Forecast", f"Range ({percent(scores.level)})", "Came", "Difference")
    return Section(
        "forecast",
        heading,
        [Paragraph(lead, "lead"), Figures(figures), Table("Totals", columns, rows, numeric=(1, 2, 3, 4))],
        short="The last forecast",
    )
