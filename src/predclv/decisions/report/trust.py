"""The last section: what was assumed, what the run warned of, and what is not on the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from predclv.decisions.report.inputs import DecisionInputs
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Finding, Findings, Paragraph, Section, Table

__all__ = ["FEW", "trust"]

#: Below so many customers the default priors decide much of the answer.
FEW = 500


def trust(given: DecisionInputs, heard: Sequence[str], left_out: Mapping[str, str]) -> Section:
    """Say how far to rely on the page; `heard` are warnings of the sections."""
    findings = [Finding("caution", "Few customers", _few(given))] if given.n_customers < FEW else []
    findings += [Finding("caution", "The run warned", printable(said)) for said in _once([*given.messages, *heard])]
    blocks: list[Block] = [Paragraph(_lead(given))]
    if findings:
        blocks.append(Findings(findings))
    if left_out:
        rows = [[printable(name).capitalize(), printable(reason)] for name, reason in left_out.items()]
        blocks.append(Table("Not on this page", ("Section", "Why"), rows))
    blocks.append(Table("Where this comes from", ("What", "Value"), _provenance(given)))
    return Section("trust", "How far to rely on this", blocks, short="How far to rely on this")


def _once(messages: Sequence[str]) -> list[str]:
    """Each message once; of those that differ in numbers alone, as of fits to parts of the customers, the first."""
    alike: dict[str, list[str]] = {}
    for message in dict.fromkeys(messages):
        alike.setdefault(re.sub(r"[\d.,]+", "0", message), []).append(message)
    return [
        said
        if not more
        else f"{said} ({len(more)} more fit{'s' if len(more) > 1 else ''} of a part of this page said so.)"
        for said, *more in alike.values()
    ]


def _lead(given: DecisionInputs) -> str:
    return (
        f"Every range is where the truth lies with {given.sure} probability, if customers go on as the model has "
        "learnt from their past. It knows nothing of seasons, campaigns, competitors or prices to come. A range says "
        "how much the data leave open; it does not say that an action will work: only an experiment does."
    )


def _few(given: DecisionInputs) -> str:
    return (
        f"With {given.n_customers:,} customers, what is commonly true of customers elsewhere weighs more than these "
        "customers themselves. Take the ranges in earnest, and the figures between them lightly."
    )


def _provenance(given: DecisionInputs) -> list[list[str]]:
    fit = given.clv.transactions_.fingerprint_
    models = " and ".join(type(model).__name__ for model in (given.clv.transactions_, given.clv.spend_))
    facts = (
        ("Made on", f"{given.made_on.isoformat()} by predclv {version('predclv')}"),
        ("As-of date", str(given.observation_end or "not known")),
        ("Horizon", given.horizon.label + (f", to {given.horizon.end}" if given.horizon.end else "")),
        ("Value", given.basis),
        ("Ranges", f"{given.sure}, equal-tailed; ceilings of cost hold with {percent(given.asked.confidence)}"),
        ("Models", f"{models}, fitted by {given.clv.transactions_.posterior_.method}"),
        (
            "Fitted on",
            f"{fit.n_customers:,} customers, {fit.n_repeat_buyers:,} of them repeat buyers, as of "
            f"{fit.observation_end or 'a date not known'}; oldest {fit.longest_age:.4g} {fit.time_unit}s",
        ),
        ("Random numbers", f"seed {given.clv.transactions_.random_state}"),
    )
    return [[name, printable(value)] for name, value in facts]
