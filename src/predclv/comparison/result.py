"""What a comparison found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from predclv.models.base import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CRITERIA", "Comparison"]

#: Criteria by key: their names.
CRITERIA = {"aic": "AIC", "bic": "BIC", "elpd_loo": "elpd_loo", "crps": "CRPS"}
_DIGITS = {"aic": 1, "bic": 1, "elpd_loo": 1, "crps": 4}
# Models that the words name one by one.
_NAMED = 4


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Models on one data set, the best first.

    Attributes
    ----------
    table : DataFrame
        A row a model: model, parameters, log_likelihood (at its maximum), comparable (whether it is of the same data
        as the others'), aic, bic, delta_aic; with `loo` elpd_loo, se, p_loo, bad_k (share of customers whose score
        cannot be trusted); with a holdout bias, mae, rmse, crps, pit_coverage_90 of its purchases; difference (from the
        best by the criterion, above 0 where worse), difference_low, difference_high, verdict ("best", "within noise",
        "no gain" from more parameters, "worse", "too few" customers for an interval, "not comparable", "failed"), note.
    nested : DataFrame
        Likelihood-ratio tests: model, within (of which it is a special case), statistic, df, p_value, note.
    scores : DataFrame or None
        All scores of the holdout; see `predclv.backtesting`.
    criterion : str
        What order and verdicts go by.
    level : float
        Probability of the intervals.
    holdout : str
        How long it is; empty where there is none.
    fitted : mapping of str to Model
        The models, fitted as they were given.
    """

    table: pd.DataFrame
    nested: pd.DataFrame
    scores: pd.DataFrame | None
    criterion: str
    level: float
    holdout: str = ""
    fitted: Mapping[str, Model] = field(default_factory=dict)

    @property
    def best(self) -> str:
        """Name of the best model by the criterion."""
        return str(self.table["model"].iloc[0])

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.table)} models: {self.say()}>"

    def __str__(self) -> str:
        return self.say()

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        table: Any = self.table.round(4)
        return f"<p>{escape(self.say())}</p>{table._repr_html_()}"

    def say(self) -> str:
        """Which model the data prefer, and by how much, in words."""
        rows = self.table.set_index("model")
        tied, idle, worse = (list(rows.index[rows["verdict"] == v]) for v in ("within noise", "no gain", "worse"))
        where = f" of the holdout, {self.holdout}" if self.criterion == "crps" else ""
        value = rows[self.criterion].iloc[0]
        words = [f"{self.best} is best by {CRITERIA[self.criterion]}{where} ({self._number(value)})"]
        if tied:
            words.append(f"{self._list(rows, tied)} within noise of it")
        if idle:
            words.append(f"{self._list(rows, idle)} no better for more parameters")
        if worse:
            words.append(f"{self._list(rows, worse)} worse")
        if untold := list(rows.index[rows["verdict"] == "too few"]):
            words.append(f"too few customers for an interval of {self._list(rows, untold, verb=False)}")
        if rejected := self._rejected():
            words.append(f"likelihood-ratio tests reject {rejected}")
        for verdict, said in (("not comparable", "cannot be compared"), ("failed", "could not be fitted")):
            if names := list(rows.index[rows["verdict"] == verdict]):
                words.append(f"{', '.join(names)} {said}")
        return "; ".join(words) + "."

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """How much worse than the best each model is, with intervals; see `plots.plot_comparison`."""
        from predclv.plots.comparison import plot_comparison

        return plot_comparison(self, ax=ax)

    def _number(self, value: float) -> str:
        return f"{value:,.{_DIGITS[self.criterion]}f}"

    def _list(self, rows: pd.DataFrame, names: list[str], *, verb: bool = True) -> str:
        def one(name: str) -> str:
            ends = ("difference", "difference_low", "difference_high")
            difference, low, high = (float(rows[column].to_dict()[name]) for column in ends)
            interval = "" if not high > low else f", {self._number(low)} to {self._number(high)}"
            return f"{name} ({'+' if difference >= 0 else ''}{self._number(difference)}{interval})"

        more = len(names) - _NAMED
        said = ", ".join(one(name) for name in names[:_NAMED])
        said += f" and {more} more" if more > 0 else ""
        return f"{said} {'is' if len(names) == 1 else 'are'}" if verb else said

    def _rejected(self) -> str:
        """Models that are too small by a likelihood-ratio test, each within the largest of what they are within."""
        small = self.nested[self.nested["p_value"] < 1 - self.level]
        found = [f"{row.model} within {row.within}" for row in small.itertuples()]
        more = len(found) - _NAMED
        return ", ".join(found[:_NAMED]) + (f" and {more} more" if more > 0 else "")
