"""The section on formulas: what those in use say of a customer, beside the forecast, and how far off each was."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from predclv.decisions.formulas.comparison import PREDICTED, FormulaComparison, compare_formulas
from predclv.decisions.formulas.methods import FiveStep, PastGoesOn, RetentionFormula
from predclv.decisions.formulas.plain import ALL
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.logs import open_log
from predclv.decisions.report.parts import LeftOut, Part
from predclv.errors import DataError, DataQualityWarning, FitError
from predclv.plots.formulas import plot_formula_errors, plot_formula_values
from predclv.plots.style import percent, printable, shorten
from predclv.report.blocks import Block, Details, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME
from predclv.value import CLV

__all__ = ["formulas"]

_NAMES = {
    PREDICTED: "forecast",
    PastGoesOn.name: "past, carried on",
    FiveStep.name: "five-step formula",
    RetentionFormula.name: "retention formula",
}
_MOST_GROUPS = 20


def formulas(given: DecisionInputs) -> Part | LeftOut:
    """Put formulas, history and forecast side by side: the section, and the table `formulas`."""
    if given.log is None:
        return LeftOut("the purchases one by one were not given, from which formulas are counted: log=")
    transactions = given.clv.transactions_
    if transactions.bindings.counts_opportunities:
        return LeftOut("the formulas go by time, and this model counts opportunities")
    transactions.parse_horizon(given.asked.backtest_horizon, given.time_unit, None)
    with open_log(given) as (log, n), warnings.catch_warnings():
        # What is odd of the log was said when it was summarised.
        warnings.simplefilter("ignore", DataQualityWarning)
        try:
            found = _compare(given, log)
        except (DataError, FitError) as error:
            return LeftOut(f"not enough to say: {error}")
    table = found.table.assign(method=found.table["method"].map(_NAMES))
    whole = table[table["group"] == ALL]
    blocks: list[Block] = [
        Paragraph(_lead(given, whole), "lead"),
        Figures(_figures(given, whole)),
        _table(given, whole),
    ]
    if given.by is not None:
        blocks += _by_group(given, table[table["group"] != ALL])
    blocks += [Paragraph(_caveat(given, n), "quiet"), _assumptions(found)]
    section = Section("formulas", _title(whole), blocks, short="Formulas and forecast")
    facts = {"methods": whole.drop(columns="group").to_dict("records"), "customers": n}
    return Part(section, {"formulas": found.table}, facts)


def _compare(given: DecisionInputs, log: Any) -> FormulaComparison:
    options = {name: value for name, value in given.log_options.items() if name != "carry"}
    return compare_formulas(
        log,
        by=given.by,
        clv=_unfitted(given),
        **given.terms,
        backtest_horizon=given.asked.backtest_horizon,
        **options,
    )


def _unfitted(given: DecisionInputs) -> CLV:
    """The page's models to be fitted at a past date: with its segments, and none of other columns."""
    models = []
    for fitted in (given.clv.transactions_, given.clv.spend_):
        model = clone(fitted)
        if model.segment is not None and model.segment != given.by:
            model.set_params(segment=None)
        own = model.get_params()
        without = {name: None for name in ("purchase_covariates", "dropout_covariates") if own.get(name) is not None}
        models.append(model.set_params(progressbar=False, **without))
    return CLV(*models)


def _title(whole: pd.DataFrame) -> str:
    off = whole.set_index("method")["bias"].abs()
    own, others = off[_NAMES[PREDICTED]], off.drop(_NAMES[PREDICTED])
    if not np.isfinite(own) or not np.isfinite(others).any():
        return "Forecast and formulas side by side"
    return (
        f"Tested on the past, the forecast was off by {percent(own)}, the formulas by {percent(others.min())} to "
        f"{percent(others.max())}"
    )


def _lead(given: DecisionInputs, whole: pd.DataFrame) -> str:
    of = dict(zip(whole["method"], whole.to_dict("records"), strict=True))
    own = of.pop(_NAMES[PREDICTED])
    others = [row["clv"] for row in of.values()]
    return (
        f"The forecast says that a customer will bring {given.money(own['clv'])} on average "
        f"({given.span(own['low'], own['high'])} with {given.sure} probability) {given.within}. The formulas in use "
        f"say {given.span(min(others), max(others))}, and do not say how sure that is."
    )


def _figures(given: DecisionInputs, whole: pd.DataFrame) -> list[Any]:
    size = (5.6, 1.4 + 0.5 * len(whole))
    return [
        draw(
            "formula-values",
            plot_formula_values,
            whole,
            predicted=_NAMES[PREDICTED],
            currency=given.currency,
            label="Bars: value of a customer by the forecast and by each formula; the table holds the numbers.",
            caption="They are not of the same time: the table says of which.",
            size=size,
        ),
        draw(
            "formula-errors",
            plot_formula_errors,
            whole,
            level=given.level,
            label="Points with intervals: how far each was off the money that then came in; the table holds the "
            "numbers.",
            caption=f"Each was asked at a past date what the next {given.asked.backtest_horizon} would bring. Left of "
            "0 it said too little, right of it too much.",
            size=size,
        ),
    ]


def _table(given: DecisionInputs, whole: pd.DataFrame) -> Table:
    columns = (
        "",
        "Of which time",
        "A customer",
        f"{given.sure} range",
        "Total was off by",
        f"{given.sure} range",
        "Off by customer",
    )
    rows = [
        [
            row["method"],
            row["reach"],
            given.money(row["clv"]),
            given.span(row["low"], row["high"]) if np.isfinite(row["low"]) else "not known",
            percent(row["bias"], sign=True),
            f"{percent(row['bias_low'], sign=True)} to {percent(row['bias_high'], sign=True)}",
            given.money(row["mae"]),
        ]
        for row in whole.to_dict("records")
    ]
    return Table("Forecast and formulas", columns, rows, numeric=range(2, 7), strong=(0,))


def _by_group(given: DecisionInputs, rows: pd.DataFrame) -> list[Block]:
    columns_of = {name: part.set_index("group")["clv"] for name, part in rows.groupby("method", sort=False)}
    wide = pd.DataFrame({name: columns_of[name] for name in _NAMES.values()})
    wide = wide.sort_values(_NAMES[PREDICTED], ascending=False, kind="stable")
    shown = [
        [shorten(group, NAME), *(given.money(value) for value in values)]
        for group, values in zip(wide.index, wide.to_numpy(), strict=True)
    ][:_MOST_GROUPS]
    columns = (printable(given.by), *(f"{name[0].upper()}{name[1:]}" for name in wide.columns))
    table = Table(f"Value of a customer by {printable(given.by)}", columns, shown, numeric=range(1, 5))
    left = len(wide) - len(shown)
    return [table, *([Paragraph(f"{left:,} more are in formulas.csv.", "quiet")] if left else [])]


def _caveat(given: DecisionInputs, n: int) -> str:
    sample = "" if n == given.n_customers else f" All of it is of a random sample of {n:,} customers."
    return (
        f"A formula's figure is of the time that its own terms imply. The test is of revenue in the "
        f"{given.asked.backtest_horizon} after one past date, with nothing known but what was known then; “off by "
        "customer” is how far a customer's own figure was off on average. The other figures are "
        f"{given.basis}." + sample
    )


def _assumptions(found: FormulaComparison) -> Details:
    rows = [
        [_NAMES.get(name, name), printable("; ".join([*value.assumptions, *value.notes]))]
        for name, value in found.formulas.items()
    ]
    return Details("What each formula takes for granted", [Table("Assumptions", ("Formula", "What it assumes"), rows)])
