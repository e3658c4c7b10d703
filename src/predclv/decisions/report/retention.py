"""The section on retention: what is at stake, whom to keep, what an offer returns, and whom to win back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from predclv.decisions.report.effect import effect
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.decisions.report.survey import GONE, LISTED, Survey, list_top, survey
from predclv.decisions.retention.lists import list_at_risk, list_to_win_back
from predclv.decisions.retention.offers import weigh_offer
from predclv.plots.retention import plot_offer_return, plot_stakes
from predclv.plots.style import chance, percent, shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["retention"]


def retention(given: DecisionInputs) -> Part | LeftOut:
    """Say whom to keep: the section, and tables `at_risk`, `win_back`, `retention_effect` and `offers`."""
    found = survey(given)
    if not found.stake[0] > 0:
        name = type(given.clv.transactions_).__name__
        return LeftOut(
            f"nothing is at stake where nobody leaves, and by {name} nobody does: try another --transactions"
        )
    at_risk = list_top(given, found.stakes, lambda some: list_at_risk(given.clv, some, **given.terms))
    gone = np.where(found.gone, found.losses, -np.inf)
    win_back = list_top(given, gone, lambda some: list_to_win_back(given.clv, some, **given.terms))
    effects, effect_table = effect(given)
    tables = {"at_risk": at_risk, "win_back": win_back, "retention_effect": effect_table}
    blocks: list[Block] = [
        Paragraph(_lead(given, found), "lead"),
        *effects,
        Figures([_stakes(given, found)]),
        _at_risk(given, at_risk),
        Paragraph(_how_to_read(given, found), "quiet"),
    ]
    facts = {**_facts(found), "effect": effect_table.drop(columns="customers").to_dict("records")}
    if given.asked.offer is not None:
        cost, lift = given.asked.offer
        tables["offers"] = weigh_offer(at_risk, cost=cost, lift=lift)
        blocks += _offer(given, found, cost, lift)
        facts["offer"] = _offer_facts(found, cost, lift)
    blocks += _win_back(given, found, win_back)
    title = f"Keeping customers could bring at most {given.money(found.stake[0])} more"
    return Part(Section("retention", title, blocks, short="Keeping customers"), tables, facts)


def _lead(given: DecisionInputs, found: Survey) -> str:
    more = f"{given.money(found.stake[0])} more ({given.span(*found.stake[1:])} with {given.sure} probability)"
    return (
        f"Your {given.n_customers:,} customers are expected to bring {given.money(found.expected)} in {given.what} "
        f"{given.within}; that some of them will leave is counted in. If nobody who is still here left, it would be "
        f"{more}. No effort to keep customers can bring more than that."
    )


def _stakes(given: DecisionInputs, found: Survey) -> Any:
    return draw(
        "stakes",
        plot_stakes,
        found.stakes,
        label="Curve: share of what is at stake that is held by the customers with most of it.",
        caption="The further the curve rises above the dashed line, the fewer customers an effort has to reach.",
    )


def _at_risk(given: DecisionInputs, at_risk: pd.DataFrame) -> Table:
    shown = at_risk.head(given.asked.top)
    columns = ("Customer", "Still here", "Expected to bring", "At stake", f"{given.sure} range")
    rows = [
        [
            shorten(row["customer_id"], NAME),
            chance(row["p_alive"]),
            given.money(row["expected_clv"]),
            given.money(row["stake"]),
            given.span(row["stake_low"], row["stake_high"]),
        ]
        for row in shown.to_dict("records")
    ]
    return Table(f"The {len(rows):,} customers with most at stake", columns, rows, numeric=range(1, 5))


def _how_to_read(given: DecisionInputs, found: Survey) -> str:
    kept = min(len(found.stakes), LISTED)
    listed = f"at_risk.csv has {'all' if kept == len(found.stakes) else f'the first {kept:,}'} of them. "
    return (
        f"“Still here” is the chance that the customer has not left for good. “At stake” is what {given.within} would "
        "be added if the customer surely stayed: more than that must not be spent on keeping this one, and what an "
        f"action saves is only a part of it. {listed}The ranges hold what the data leave open about such a customer on "
        f"average. Value is {given.basis}."
    )


def _offer(given: DecisionInputs, found: Survey, cost: float, lift: float) -> list[Block]:
    n = int((lift * found.stakes > cost).sum())
    what = f"An offer that costs {given.money(cost)} and saves {lift * 100:.3g}% of what is at stake"
    if n:
        mean, low, high = found.offer
        said = (
            f"{what} pays with {n:,} of {len(found.stakes):,} customers. Given to these, it returns "
            f"{given.money(mean)} beyond its cost ({given.span(low, high)} with {given.sure} probability, if it works "
            "as well as was said)."
        )
    else:
        need = cost / found.stakes.max()
        least = (
            f"it would have to save {need * 100:.3g}%" if need <= 1 else "nothing that it could save is worth so much"
        )
        said = f"{what} pays with no customer. With the one who has most at stake, {least}."
    figure = draw(
        "offer",
        plot_offer_return,
        found.stakes,
        cost=cost,
        lift=lift,
        interval=found.offer[1:] if n else None,
        currency=given.currency,
        label="Curve: expected return of the offer less its cost, as more customers get it; the text holds the best.",
        caption="It pays to go down the list as far as the curve rises; the bar at its height holds the truth with "
        f"{given.sure} probability.",
    )
    caveat = (
        "How much an offer saves is not known from purchases: only an experiment tells, with customers chosen at "
        "random who do not get it. offers.csv has the least it must save, customer by customer."
    )
    return [Paragraph(said), Figures([figure]), Paragraph(caveat, "quiet")]


def _win_back(given: DecisionInputs, found: Survey, win_back: pd.DataFrame) -> list[Block]:
    n = int(found.gone.sum())
    if not n:
        return [Paragraph("Nobody is probably gone, so there is nobody to win back.")]
    said = (
        f"{n:,} customers are probably gone: the chance that they are still here is below {percent(GONE)}. With them "
        f"{given.money(found.lost[0])} was lost ({given.span(*found.lost[1:])} with {given.sure} probability), which "
        f"is what they would bring {given.within} if all of them came back and stayed."
    )
    columns = ("Customer", "Still here", "Lost", f"{given.sure} range")
    rows = [
        [
            shorten(row["customer_id"], NAME),
            chance(row["p_alive"]),
            given.money(row["stake"]),
            given.span(row["stake_low"], row["stake_high"]),
        ]
        for row in win_back.head(given.asked.top).to_dict("records")
    ]
    caption = f"The {len(rows):,} customers with whom most was lost"
    return [Paragraph(said), Table(caption, columns, rows, numeric=range(1, 4))]


def _facts(found: Survey) -> dict[str, Any]:
    named = {
        f"{name}{end}": number
        for name, three in (("stake", found.stake), ("lost_with_the_gone", found.lost))
        for end, number in zip(("", "_low", "_high"), three, strict=True)
    }
    return {
        "customers": len(found.stakes),
        "expected_clv": found.expected,
        **named,
        "probably_gone": int(found.gone.sum()),
    }


def _offer_facts(found: Survey, cost: float, lift: float) -> dict[str, Any]:
    ends = dict(zip(("expected_return", "return_low", "return_high"), found.offer, strict=True))
    return {"cost": cost, "lift": lift, "customers_it_pays_with": int((lift * found.stakes > cost).sum()), **ends}
