"""The section on an experiment: is an arm better, by how much, how sure is that, and how much longer must it run?"""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import clone

from predclv.decisions.experiments.experiment import Experiment, read_experiment
from predclv.decisions.experiments.words import LABELS, NOT_ENOUGH, format_amount
from predclv.decisions.report.customers import CHUNK
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.logs import customers_at_once, open_log
from predclv.decisions.report.parts import LeftOut, Part
from predclv.errors import DataError, FitError
from predclv.plots.experiments import plot_arm_draws, plot_differences
from predclv.plots.style import chance, percent, points, shorten
from predclv.report.blocks import Block, Figures, Finding, Findings, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME, say_time
from predclv.value import CLV

__all__ = ["experiment"]

# Customers of an experiment whose arms were given at the first purchase: the more, the smaller the difference seen.
_MOST = 500_000
_MONEY = ("value", "value_so_far", "expected_clv")
_SHARES = ("won", "bought", "p_purchase")
_RESTS = {"data": "what was seen", "model": "the forecast", "both": "both"}


def experiment(given: DecisionInputs) -> Part | LeftOut:
    """Read an experiment: the section, and tables `experiment`, `experiment_arms` and `experiment_influence`."""
    asked = given.asked
    if asked.arm is None:
        return LeftOut("no column that says in which arm of an experiment customers were: --arm")
    if not given.finite:
        return LeftOut("an experiment is read over a horizon that ends: --horizon '5 years'")
    if asked.arm_start is not None and given.log is None:
        return LeftOut("what followed the start of an experiment stands in the log alone: log=")
    try:
        found, drawn = _read(given)
    except (DataError, FitError) as error:
        return LeftOut(f"it cannot be read: {error}")
    row = found.table.iloc[0]
    blocks: list[Block] = [Paragraph(_lead(given, found), "lead"), *([Paragraph(drawn)] if drawn else [])]
    if found.warnings:
        blocks.append(Findings([Finding("caution", "No fair comparison", _sentence(text)) for text in found.warnings]))
    blocks += [
        Figures(_figures(given, found)),
        *[_outcomes(given, found, arm) for arm in dict.fromkeys(found.table["arm"])],
        Paragraph(_longer(given, found)),
        _influence(given, found),
        *[Paragraph(_sentence(_for_page(note)), "quiet") for note in found.notes],
    ]
    section = Section("experiment", _title(given, found, row), blocks, short="Experiment")
    influence = found.influence.assign(customer_id=found.influence["customer_id"].astype(str))
    tables = {"experiment": found.table, "experiment_arms": found.arms, "experiment_influence": influence}
    facts = {
        "outcomes": found.table.to_dict("records"),
        "arms": found.arms.to_dict("records"),
        "plan": found.plan.to_dict("records"),
        "balance_p_value": found.balance,
        "warnings": list(found.warnings),
        "settings": {name: value for name, value in found.settings.items() if name not in ("start", "end")},
    }
    return Part(section, tables, facts)


def _read(given: DecisionInputs) -> tuple[Experiment, str]:
    asked, transactions = given.asked, clone(given.clv.transactions_)
    assert asked.arm is not None
    alone = {"segment": None, "priors": None, "purchase_covariates": None, "dropout_covariates": None, "penalty": 0.0}
    known = transactions.get_params()
    transactions.set_params(**{name: value for name, value in alone.items() if name in known})
    spend = clone(given.clv.spend_).set_params(segment=None, priors=None)
    told: dict[str, Any] = {
        "start": asked.arm_start,
        "clv": CLV(transactions, spend),
        "horizon": given.ahead,
        "discount_rate": given.discount_rate,
        "margin": given.margin,
        "control": asked.control,
        "level": given.level,
        "detect": asked.detect,
    }
    if given.log is None or (given.n_customers > CHUNK and asked.arm_start is None):
        customers, drawn = customers_at_once(given, _MOST, _MOST)
        return read_experiment(customers, asked.arm, **told), drawn
    told |= {name: value for name, value in given.log_options.items() if value is not None}
    told["observation_end"] = given.observation_end
    if given.clv.transactions_.needs_log_itt:
        told["regularity"] = True
    with open_log(given, CHUNK) as (log, n):
        drawn = "" if n == given.n_customers else f"Read on {n:,} of your {given.n_customers:,} customers, at random."
        return read_experiment(log, asked.arm, **told), drawn


def _title(given: DecisionInputs, found: Experiment, row: pd.Series) -> str:
    """The finding on the first arm: how much more a customer brings, or that it is not known."""
    arm, control = shorten(row["arm"], 24), shorten(row["control"], 24)
    if len(found.arms) > 2:
        best = found.arms.iloc[int(found.arms["p_best"].to_numpy().argmax())]
        return f"{shorten(best['arm'], 24)} is the best arm with {chance(best['p_best'])} probability"
    if row["verdict"] == NOT_ENOUGH:
        return f"Too few customers to say whether {arm} or {control} is better"
    if row["verdict"] == "cannot tell":
        return f"Whether {arm} beats {control} is not known: its chance is {chance(row['p_beats'])}"
    more = "more" if row["difference"] > 0 else "less"
    return f"A customer of {arm} brings {_amount(given, row, abs(row['difference']))} {more} than one of {control}"


def _lead(given: DecisionInputs, found: Experiment) -> str:
    row = found.table.iloc[0]
    arm, control = shorten(row["arm"], NAME), shorten(row["control"], NAME)
    seen = say_time(found.settings["length"], found.settings["time_unit"])
    rest = f"the {percent(found.settings['model_share'])} of it that is to come is forecast {given.within}"
    return (
        f"A customer of {arm} brings {_amount(given, row, row['mean'])} on the average, one of {control} "
        f"{_amount(given, row, row['control_mean'])}: what was seen in {seen} and {rest}. The difference, "
        f"{_amount(given, row, row['difference'], signed=True)}, lies between "
        f"{_amount(given, row, row['low'], signed=True)} and {_amount(given, row, row['high'], signed=True)} with "
        f"{given.sure} probability. The chance that {arm} is truly better is {chance(row['p_beats'])}."
    )


def _figures(given: DecisionInputs, found: Experiment) -> list[Any]:
    labels = {name: LABELS[name] for name in dict.fromkeys(found.table["outcome"])}
    n = len(found.table)
    return [
        draw(
            "differences",
            plot_differences,
            found.table,
            labels,
            level=given.level,
            label="Points with intervals: how far the arms differ in each outcome; the table below holds the numbers.",
            caption="A bar across 0 means that the data do not say which arm is better. Full marks were seen, open "
            "ones are forecast.",
            size=(5.0, 1.8 + 0.36 * n),
        ),
        draw(
            "draws",
            plot_arm_draws,
            found.draws(),
            what=LABELS[found.headline],
            label="Curves: how likely each value of each arm's mean is.",
            caption="The less the curves overlap, the surer it is which arm is better.",
            currency=given.currency if found.headline in _MONEY else None,
        ),
    ]


def _outcomes(given: DecisionInputs, found: Experiment, arm: str) -> Table:
    rows = found.table[found.table["arm"] == arm]
    name, control = shorten(arm, 24), shorten(rows["control"].iloc[0], 24)
    columns = (
        "A customer's",
        name,
        control,
        "Difference",
        f"{given.sure} range",
        f"{name} better",
        "Rests on",
        "Verdict",
    )
    cells = [
        [
            LABELS[row["outcome"]],
            _amount(given, row, row["mean"]),
            _amount(given, row, row["control_mean"]),
            _amount(given, row, row["difference"], signed=True),
            f"{_amount(given, row, row['low'], signed=True)} to {_amount(given, row, row['high'], signed=True)}",
            chance(row["p_beats"]),
            _RESTS[row["rests_on"]],
            shorten(row["verdict"], NAME),
        ]
        for row in rows.to_dict("records")
    ]
    return Table(f"{name} against {control}", columns, cells, numeric=range(1, 6))


def _longer(given: DecisionInputs, found: Experiment) -> str:
    said = []
    unit = found.settings["time_unit"]
    row = found.table.iloc[0]
    for plan in found.plan.to_dict("records"):
        smallest = _amount(given, row, plan["smallest_detectable"])
        text = (
            f"With as many customers as now, a true difference between {shorten(plan['arm'], NAME)} and "
            f"{shorten(plan['control'], NAME)} is found with {percent(found.settings['power'])} probability where it "
            f"is at least {smallest} a customer."
        )
        if pd.notna(plan["detect"]):
            target = _amount(given, row, plan["detect"])
            more = plan["further_time"]
            text += (
                f" To find one of {target}, it has run long enough."
                if more == 0
                else f" To find one of {target}, it must run {say_time(more, unit)} more at the same pace."
            )
        said.append(text)
    return " ".join(said)


def _influence(given: DecisionInputs, found: Experiment) -> Table:
    row = found.table.iloc[0]
    cells = [
        [
            shorten(one["customer_id"], NAME),
            shorten(one["in_arm"], NAME),
            f"{shorten(one['arm'], 24)} against {shorten(one['against'], 24)}",
            _amount(given, row, one["difference"], signed=True),
            _amount(given, row, one["without"], signed=True),
            "yes" if one["decides"] else "no",
        ]
        for one in found.influence.groupby("arm", sort=False).head(3).to_dict("records")
    ]
    columns = ("Customer", "Arm", "Comparison", "Difference", "Without this customer", "Decides alone")
    return Table("Who moves the difference most", columns, cells, numeric=(3, 4))


def _amount(given: DecisionInputs, row: Any, value: float, *, signed: bool = False) -> str:
    if row["outcome"] in _SHARES:
        return f"{points(value)} points" if signed else f"{100 * value:.1f}%"
    if row["outcome"] not in _MONEY:
        return format_amount(value, row["outcome"], signed=signed)
    text = given.money(abs(value))
    return f"{'−' if value < 0 else '+' if signed else ''}{text}"


def _for_page(note: str) -> str:
    """A note without what only those who program can give."""
    return note.replace(", with exposed=", ": read_experiment does so, with exposed=")


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."
