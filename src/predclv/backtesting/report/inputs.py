"""What the sections of a backtest's report draw on, and how they write numbers and names."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from predclv.backtesting.bootstrap import Draws
from predclv.backtesting.report.contest import Contest, Paired, draw_customers, hold_contest, pair
from predclv.backtesting.second_stage import RECALIBRATED
from predclv.plots.methods import MethodStyle, method_styles
from predclv.plots.style import percent, printable
from predclv.report.blocks import Cell, Table

if TYPE_CHECKING:
    from predclv.backtesting.result import Backtest

__all__ = ["NAMES", "QUANTITY", "Given", "change", "is_share", "join", "name", "number", "off", "share", "show"]

#: Metrics as tables call them.
NAMES = {
    "crps": "CRPS",
    "mae": "MAE",
    "rmse": "RMSE",
    "msle": "MSLE",
    "bias": "Bias of the total",
    "pearson": "Correlation",
    "spearman": "Rank correlation",
    "gini": "Normalised Gini",
    "capture_10": "Top 10% capture",
    "capture_20": "Top 20% capture",
    "lift_10": "Lift of the top 10%",
    "brier": "Brier score",
    "log_score": "Log score",
    "reliability": "Reliability",
    "pit_ks": "PIT distance",
} | {
    f"{kind}_coverage_{level}": f"{level}% {words}"
    for kind, words in (("pit", "coverage"), ("raw", "raw coverage"))
    for level in (50, 80, 90, 95)
}
QUANTITY = {"purchases": "Purchases", "value": "Value", "spend": "Spend"}
_MARKS: tuple[Literal["better", "worse", "within noise"], ...] = ("better", "worse", "within noise")
_LONGEST = 48
# So many lines can be told apart.
_MOST_DRAWN = 10


@dataclass(frozen=True, eq=False)
class Given:
    """A backtest, and what is asked of it again and again.

    Attributes
    ----------
    result : Backtest
    title : str
    made_on : date
    """

    result: Backtest
    title: str
    made_on: dt.date

    def setting(self, key: str) -> Any:
        """What was asked for, or None."""
        return self.result.settings.get(key)

    @cached_property
    def methods(self) -> list[str]:
        """All methods, in the order given."""
        known = [*self.result.settings["methods"], *self.result.runs["method"], *self.result.scores["method"]]
        return list(dict.fromkeys(known))

    @cached_property
    def cutoffs(self) -> list[str]:
        """Cut-offs, earliest first."""
        return sorted(self.result.settings["cutoffs"])

    @property
    def horizons(self) -> list[str]:
        """Horizons, in the order given."""
        return list(self.result.settings["horizons"])

    @property
    def main(self) -> str:
        """The horizon that is shown first: the last one given."""
        return self.horizons[-1]

    @property
    def reference(self) -> str:
        """The method that the others are compared with."""
        return str(self.result.settings["reference"])

    @cached_property
    def quantities(self) -> list[str]:
        """What was forecast and scored."""
        return [quantity for quantity in QUANTITY if (self.result.scores["quantity"] == quantity).any()]

    @cached_property
    def cases(self) -> list[tuple[str, str]]:
        """Quantity and horizon, the main horizon first."""
        ordered = [self.main, *(horizon for horizon in self.horizons if horizon != self.main)]
        return [(quantity, horizon) for quantity in self.quantities for horizon in ordered]

    @cached_property
    def drawn(self) -> list[str]:
        """Methods in figures that tell them apart by line and colour: at most ten, those made from others last."""
        if len(self.methods) <= _MOST_DRAWN:
            return self.methods
        plain = [method for method in self.methods if not method.endswith(RECALIBRATED)]
        crps = {method: found["crps"]["value"] for method, found in self.scores("purchases", self.main).items()}
        best = sorted(plain, key=lambda method: (method != self.reference, crps.get(method, math.inf)))[:_MOST_DRAWN]
        return [method for method in self.methods if method in best]

    def drawing(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of `table` on methods that are drawn, and on none of the methods."""
        return table[~table["method"].isin(set(self.methods) - set(self.drawn))]

    @cached_property
    def undrawn(self) -> str:
        """A sentence on the methods that such figures leave out; empty where there are none."""
        rest = len(self.methods) - len(self.drawn)
        return (
            f" Figures with lines show {len(self.drawn)} of {len(self.methods)} methods, those of the lowest CRPS and "
            "none that are recalibrated; the tables have all."
            if rest
            else ""
        )

    @cached_property
    def styles(self) -> dict[str, MethodStyle]:
        """Looks of the methods, the same in all figures."""
        return method_styles([*self.drawn, *(m for m in self.methods if m not in self.drawn)], self.reference)

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """Scores over all customers and cut-offs."""
        scores = self.result.scores
        return scores[(scores["by"] == "all") & (scores["cutoff"] == "all")]

    @cached_property
    def points(self) -> list[str]:
        """Methods without a predictive distribution; with the quantity where they have one of another."""
        rows = self.pooled[self.pooled["quantity"] != "spend"]
        scored = rows.groupby("method")["quantity"].unique()
        told = rows[rows["metric"] == "pit_ks"].groupby("method")["quantity"].unique()
        found = []
        for method in self.methods:
            lacking = [quantity for quantity in scored.get(method, ()) if quantity not in told.get(method, ())]
            if lacking:
                whole = len(lacking) == len(scored[method])
                found.append(name(method) if whole else f"{name(method)} ({join(lacking)})")
        return found

    def scores(self, quantity: str, horizon: str) -> dict[str, dict[str, dict[str, Any]]]:
        """Rows of pooled scores by method and metric."""
        rows = self.pooled
        rows = rows[(rows["quantity"] == quantity) & (rows["horizon"] == horizon)]
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for row in rows.to_dict("records"):
            found.setdefault(row["method"], {})[row["metric"]] = {str(key): value for key, value in row.items()}
        return found

    @cached_property
    def draws(self) -> Draws:
        """Resamples of customers."""
        return draw_customers(self.result)

    @cached_property
    def _contests(self) -> dict[tuple[str, str], Contest]:
        return {}

    def contest(self, quantity: str, horizon: str) -> Contest:
        """Who forecasts best by CRPS, over the cut-offs that pooled scores are over."""
        if (quantity, horizon) not in self._contests:
            self._contests[quantity, horizon] = hold_contest(self.result, self.draws, quantity, horizon)
        return self._contests[quantity, horizon]

    def whole_contest(self, quantity: str, horizon: str) -> Contest | None:
        """The same over all cut-offs, among the methods that have them; None where these are the ones pooled."""
        if self.contest(quantity, horizon).n_cutoffs == len(self.cutoffs):
            return None
        return hold_contest(self.result, self.draws, quantity, horizon, pooled=False)

    def over(self, quantity: str, horizon: str) -> str:
        """What pooled scores are over, in words."""
        contest, n = self.contest(quantity, horizon), len(self.cutoffs)
        if n == 1:
            return f"cut-off {self.cutoffs[0]}"
        if contest.partial:
            return "the cut-offs that each method has"
        if contest.n_cutoffs == n:
            return f"all {n} cut-offs"
        return f"{contest.n_cutoffs} of {n} cut-offs ({', '.join(contest.cutoffs)}), where every method has a forecast"

    def paired(self, quantity: str, horizon: str, method: str, other: str) -> Paired | None:
        """Two methods over the cut-offs that both forecast from."""
        return pair(self.result, self.draws, quantity, horizon, method, other)

    def titled(self, method: str, quantity: str, horizon: str) -> str:
        """A method's name with what sets it apart: that it is the reference, that it lacks cut-offs."""
        contest = self.contest(quantity, horizon)
        text = f"{name(method)} (reference)" if method == self.reference else name(method)
        for rival in contest.partial:
            if rival.method == method:
                text += f" ({rival.n_cutoffs} of {contest.n_cutoffs} cut-offs)"
        return text

    def ranked(self, quantity: str, horizon: str) -> list[str]:
        """Methods by CRPS, those that lack cut-offs behind."""
        return self.contest(quantity, horizon).order

    def unit(self, quantity: str) -> str:
        """What CRPS, MAE and RMSE are in."""
        if quantity == "purchases":
            return "purchases"
        currency = self.setting("currency")
        return printable(currency) if currency else "units of money"

    def among(self, table: pd.DataFrame, **wanted: object) -> pd.DataFrame:
        """Rows of a table with these values."""
        for column, value in wanted.items():
            table = table[table[column] == value]
        return table

    def compare_table(
        self, caption: str, columns: Sequence[str], rows: Sequence[Sequence[str | Cell]], strong: Sequence[int] = ()
    ) -> Table:
        """A table with methods as rows and numbers in all columns but the first."""
        return Table(caption, columns, rows, numeric=range(1, len(columns)), strong=strong, compare=True)


def name(method: object) -> str:
    """A method's or group's name, on one line, cut where it is endless."""
    text = printable(method) or "(blank)"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def is_share(metric: str) -> bool:
    """Whether a metric is read in percent."""
    return metric in ("bias", "capture_10", "capture_20") or "coverage" in metric


def number(value: float) -> str:
    """Three decimals where they are few digits, none where they are many."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    digits = 3 if abs(value) < 10 else 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{digits}f}".replace("-", "−")


def share(value: float, *, sign: bool = False) -> str:
    """Percent with one decimal."""
    if not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.1%}".replace("-", "−")


def show(row: dict[str, Any] | None, *, interval: bool = False) -> str | Cell:
    """A score as a cell of a table: its number, perhaps its interval, and a mark for the verdict."""
    if row is None:
        return "–"
    metric, value = str(row["metric"]), float(row["value"])

    def write(x: float) -> str:
        return share(x, sign=metric == "bias") if is_share(metric) else number(x)

    text = write(value)
    if interval and np.isfinite([row["low"], row["high"]]).all():
        text += f" ({write(row['low'])} to {write(row['high'])})"
    for mark in _MARKS:
        if row["verdict"] == mark:
            return Cell(text, mark)
    return text


def join(names: Sequence[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def change(value: float) -> str:
    """A relative change with its sign."""
    if abs(value) >= 0.1:
        return percent(value, sign=True)
    return share(value, sign=True) if abs(value) >= 0.001 else f"{value:+.2%}".replace("-", "−")


def off(value: float) -> str:
    """How far a total is off, in whole percent."""
    return percent(round(value, 2) + 0.0, sign=True)
