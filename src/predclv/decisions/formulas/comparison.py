"""Formula, historical and predicted lifetime value side by side, with the error each has made at past dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from predclv.backtesting import Backtest, backtest
from predclv.data.durations import parse_horizon
from predclv.data.rfm import RFMSummary
from predclv.decisions.formulas.from_log import five_step_formula, historical_value, retention_formula_of_log
from predclv.decisions.formulas.methods import FiveStep, PastGoesOn, RetentionFormula
from predclv.decisions.formulas.plain import ALL, FormulaValue
from predclv.errors import DataError
from predclv.value import CLV

__all__ = ["FormulaComparison", "compare_formulas"]

PREDICTED = "predicted"
_FORMULAS = {
    PastGoesOn.name: historical_value,
    FiveStep.name: five_step_formula,
    RetentionFormula.name: retention_formula_of_log,
}


@dataclass(frozen=True, eq=False, repr=False)
class FormulaComparison:
    """What each way of reckoning says a customer is worth, and how far off it was.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a group and method: group, method, reach (the time its value is of), clv (of a customer), low, high (the
        interval of the mean of these customers, for the prediction alone: a formula has none), and of the
        backtest, over all cut-offs: bias (forecast over actual total − 1) with its interval bias_low, bias_high, and
        mean absolute error of a customer's value, mae.
    formulas : dict of str to FormulaValue
        Steps and assumptions by method.
    backtest : Backtest
    clv : CLV
        Fitted on the whole log.
    """

    table: pd.DataFrame
    formulas: dict[str, FormulaValue]
    backtest: Backtest
    clv: CLV

    def __repr__(self) -> str:
        return f"<FormulaComparison: {self.say()}>"

    def __str__(self) -> str:
        return f"{self.say()}\n\n{self.table.to_string(index=False)}"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """In words: how far each was off the money that then came in."""
        rows = self.table[self.table["group"] == ALL].set_index("method")
        return "forecast against the money that then came in: " + "; ".join(
            f"{name} {bias:+.0%}" if np.isfinite(bias) else f"{name} not tested" for name, bias in rows["bias"].items()
        )


def compare_formulas(
    log: Any,
    *,
    by: str | None = None,
    clv: CLV | None = None,
    horizon: Any = "3 years",
    margin: float = 1.0,
    discount_rate: float = 0.10,
    level: float = 0.9,
    backtest_horizon: Any = "26 weeks",
    cutoffs: Sequence[Any] | None = None,
    n_cutoffs: int | None = None,
    n_bootstrap: int = 400,
    progressbar: bool = False,
    **options: Any,
) -> FormulaComparison:
    """Put the formulas in use beside the forecast of a model, and test all of them at past dates.

    Parameters
    ----------
    log : frame or path
        As in `RFMSummary.from_transactions`, with amounts.
    by : str, optional
        Column of segments; each is shown apart, and all together.
    clv : CLV, optional
        Unfitted; BG/NBD and Gamma-Gamma by default.
    horizon : str
        Of the prediction. A formula's value is of the time its own terms imply.
    margin, discount_rate, level
        As in `CLV.predict`; five steps and historical value discount nothing. The backtest is of revenue.
    backtest_horizon, cutoffs, n_cutoffs, n_bootstrap, progressbar
        As `horizons` and so on in `predclv.backtest`; one cut-off, as late as the log allows, by default.
    **options
        Those of `RFMSummary.from_transactions`.

    Returns
    -------
    FormulaComparison

    Raises
    ------
    DataError
        The log is unfit, has no amounts, or is too short for the backtest.
    """
    if options.get("amount") is None:
        raise DataError("A value is a matter of money. Give the column of amounts: amount='...'.")
    model = CLV() if clv is None else clv
    methods = {PREDICTED: model, **{each.name: each() for each in (PastGoesOn, FiveStep, RetentionFormula)}}
    tested = backtest(
        log,
        methods=methods,
        horizons=[backtest_horizon],
        cutoffs=cutoffs,
        n_cutoffs=n_cutoffs if n_cutoffs or cutoffs is not None else 1,
        segments=[] if by is None else [by],
        n_bootstrap=n_bootstrap,
        level=level,
        progressbar=progressbar,
        **options,
    )
    carry: dict[str, Any] = {} if by is None else {"carry": [by]}
    rfm = RFMSummary.from_transactions(log, **{**options, **carry})
    fitted = CLV(model.transactions, model.spend).fit(rfm)
    money = {"horizon": horizon, "discount_rate": discount_rate, "margin": margin, "level": level}
    totals = fitted.portfolio(rfm, by=by, **money)
    formulas: dict[str, FormulaValue] = {}
    parts = [_predicted(totals, parse_horizon(horizon, rfm.time_unit, rfm.observation_end).label)]
    for name, formula in _FORMULAS.items():
        terms: dict[str, Any] = {"margin": margin, **options}
        if formula is retention_formula_of_log:
            terms["discount_rate"] = discount_rate
        found = formula(log, by=by, **terms)
        whole = found if by is None else formula(log, **terms)
        formulas[name] = found
        parts.append(_of_formula(name, found, whole, by))
    table = pd.concat(parts, ignore_index=True)
    table = table.merge(_errors(tested, by), on=["group", "method"], how="left")
    order = {name: i for i, name in enumerate(methods)}
    rank = (table["group"] == ALL).map({True: 1, False: 0}), table["method"].map(order)
    table = table.assign(_last=rank[0], _method=rank[1]).sort_values(["_last", "group", "_method"])
    return FormulaComparison(table.drop(columns=["_last", "_method"]).reset_index(drop=True), formulas, tested, fitted)


def _predicted(totals: pd.DataFrame, label: str) -> pd.DataFrame:
    per = totals["customers"]
    groups = [*totals["segment"].astype(str)[:-1], ALL]
    ends = {end: totals[f"clv_{end}"] / per for end in ("low", "high")}
    return pd.DataFrame(
        {"group": groups, "method": PREDICTED, "reach": f"next {label}", "clv": totals["expected_clv"] / per, **ends}
    )


def _of_formula(name: str, found: FormulaValue, whole: FormulaValue, by: str | None) -> pd.DataFrame:
    reach = {PastGoesOn.name: "the past", RetentionFormula.name: "for ever"}
    values = whole.value if by is None else pd.concat([found.value, whole.value])
    lives = None
    if name == FiveStep.name:
        steps = whole.steps if by is None else pd.concat([found.steps, whole.steps])
        lives = [f"{years:.2f} years" for years in steps["years"]]
    return pd.DataFrame(
        {
            "group": [str(group) for group in values.index],
            "method": name,
            "reach": lives or reach[name],
            "clv": values.to_numpy(),
            "low": np.nan,
            "high": np.nan,
        }
    )


def _errors(tested: Backtest, by: str | None) -> pd.DataFrame:
    rows = tested.scores
    wanted = (rows["quantity"] == "value") & (rows["cutoff"] == "all") & rows["by"].isin(["all", by])
    rows = rows[wanted & rows["metric"].isin(["bias", "mae"])].assign(group=lambda found: found["group"].astype(str))
    bias = rows[rows["metric"] == "bias"].rename(columns={"value": "bias", "low": "bias_low", "high": "bias_high"})
    mae = rows[rows["metric"] == "mae"].rename(columns={"value": "mae"})
    keys = ["group", "method"]
    return bias[[*keys, "bias", "bias_low", "bias_high"]].merge(mae[[*keys, "mae"]], on=keys, how="outer")
