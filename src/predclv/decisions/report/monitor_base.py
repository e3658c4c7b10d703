"""The page on monitoring, second half: whether the base has become another, and how far to rely on all of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import pandas as pd

from predclv.decisions.monitor.result import Monitoring
from predclv.plots.monitor import plot_parameter_drift
from predclv.plots.style import money, percent, printable
from predclv.report.blocks import Block, Details, Figures, Finding, Findings, Paragraph, Section, Table
from predclv.report.figures import draw

__all__ = ["amount_of", "drift", "trust"]

_VARIABLES = {
    "frequency": "purchases after the first",
    "recency": "time from first to last purchase",
    "age": "time since the first purchase",
    "mean_spend": "mean spend",
    "p_alive": "chance of still being a customer",
    "value": "expected value",
}


def amount_of(found: Monitoring, amount: float) -> str:
    """An amount of value: money, or purchases where no money is forecast."""
    if found.facts["value_in"] == "purchases":
        return f"{amount:,.1f} purchases"
    currency = found.facts["currency"]
    return money(float(amount), printable(currency) if currency else None)


def drift(found: Monitoring) -> Section:
    """Say whether newcomers, or the parameters, have become others."""
    newcomers = found.population[found.population["group"] == "newcomers"]
    known = newcomers[np.isfinite(newcomers["psi"])]
    beyond = known[known["beyond_chance"] & (known["psi"] > 0.1)]
    if known.empty:
        heading = "No newcomers to compare: whether the base is becoming another is not known"
    elif beyond.empty:
        heading = f"{found.facts['newcomers']:,} new customers are like those who came before them"
    else:
        most = beyond.loc[beyond["psi"].idxmax()]
        now = f"{_mean(most['mean_new'])} on average instead of {_mean(most['mean_old'])}"
        heading = f"New customers differ from those before, most in {_VARIABLES[str(most['variable'])]}: {now}"
    text = (
        "Customers who came since the old snapshot, beside those who came in the same length of time before it, each "
        "at the same age. The stability index is 0 where both are alike; from 0.1 on the difference is worth a look, "
        "from 0.25 on it is large. By chance alone it stays below the level beside it in 95 of 100 cases."
    )
    blocks: list[Block] = [Paragraph(text, "lead")]
    if known.empty:
        blocks = [Paragraph("Nobody came since the old snapshot, or in the same length of time before it.", "lead")]
    else:
        blocks.append(_population(newcomers, "Newcomers, now and before"))
    rest = found.population[found.population["group"] == "everyone"]
    said = Paragraph("The whole base is older now by construction, so that these differences are no sign of drift.")
    blocks.append(Details("The whole base at both dates", [said, _population(rest, "Everyone, at both dates")]))
    parameters = found.parameters
    if len(parameters) and np.isfinite(parameters["ratio"].astype(np.float64)).any():
        figure = draw(
            "parameters",
            plot_parameter_drift,
            parameters.head(24),
            level=found.calibration.level,
            label="Parameters of the new fit over those of the old one, with intervals.",
            caption="1 means unchanged. Orange: moved by more than the interval. Both fits share customers, and the "
            "intervals know it.",
            size=(5.0, 1.6 + 0.3 * min(len(parameters), 24)),
        )
        change = found.facts["base_by_new_model"] / found.facts["base_by_old_model"] - 1
        worth = (
            f"By the new fit all {found.facts['compared'] + found.facts['newcomers']:,} customers are worth "
            f"{amount_of(found, found.facts['base_by_new_model'])} instead of "
            f"{amount_of(found, found.facts['base_by_old_model'])} ({percent(change, sign=True)})."
        )
        blocks += [Paragraph(worth), Figures([figure])]
    elif found.parameters_note:
        blocks.append(Paragraph(f"Parameters were not compared. {printable(found.parameters_note)}", "quiet"))
    return Section("drift", heading, blocks, short="Has the base become another?")


def _population(rows: pd.DataFrame, caption: str) -> Table:
    columns = ("What", "Then", "Now", "Index", "By chance")
    texts = [
        [
            _VARIABLES[row["variable"]],
            _mean(row["mean_old"]),
            _mean(row["mean_new"]),
            _mean(row["psi"]),
            _mean(row["psi_by_chance"]),
        ]
        for row in rows.to_dict("records")
    ]
    return Table(caption, columns, texts, numeric=(1, 2, 3, 4))


def _mean(value: float) -> str:
    return f"{value:,.3g}" if np.isfinite(value) else "–"


def trust(found: Monitoring, messages: Sequence[str], made_on: dt.date) -> Section:
    """Say what was assumed, what the run warned of, who is set aside, and where it comes from."""
    facts = found.facts
    aside = found.set_aside.groupby("reason", sort=False).size()
    findings = [Finding("caution", "The run warned", printable(message)) for message in dict.fromkeys(messages)]
    blocks: list[Block] = [
        Paragraph(
            "Silence is judged against a customer who is there and buys on at the rate that their own past tells. "
            "Seasons and campaigns are not known to the model: before Christmas everyone buys more, and fewer alarms "
            "ring; after it, more."
        )
    ]
    if findings:
        blocks.append(Findings(findings))
    if len(aside):
        rows = [[printable(reason), f"{n:,}"] for reason, n in aside.items()]
        blocks.append(Table("Customers set aside", ("Why", "Customers"), rows, numeric=(1,)))
    kept = facts["margin"]
    of = "revenue" if kept == 1 else f"at the margin in “{kept}”" if isinstance(kept, str) else f"{kept:.3g} of revenue"
    provenance = [
        ["Made on", f"{made_on.isoformat()} by predclv {version('predclv')}"],
        ["Snapshots", f"{facts['old_date'] or 'not dated'} and {facts['new_date'] or 'not dated'}"],
        ["Model", str(facts["model"])],
        [
            "Value",
            f"over {facts['horizon']}, discounted at {facts['discount_rate'] * 100:.3g}% a year, {of}",
        ],
        [
            "Alarms",
            f"level {percent(facts['alarm_level'])} a snapshot; value: a fall of {percent(facts['fall'])} or more",
        ],
    ]
    blocks.append(Table("Where this comes from", ("What", "Value"), [[a, printable(b)] for a, b in provenance]))
    return Section("trust", "How far to rely on this", blocks, short="How far to rely on this")
