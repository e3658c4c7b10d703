"""The formulas everyone starts from: lifetime value by multiplication, exact, and what each of them takes for granted.

They are here to be compared with, not because they are advised: none knows that customers differ and leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import count_of
from predclv.errors import DataError

__all__ = ["ALL", "FormulaValue", "purchase_formula", "retention_formula", "subtract_cost"]

#: The row of a formula that is not taken apart.
ALL = "all"

Factor = float | Mapping[Any, float] | pd.Series


@dataclass(frozen=True, eq=False, repr=False)
class FormulaValue:
    """What a formula gives, step by step.

    Attributes
    ----------
    formula : str
        In words.
    steps : pandas.DataFrame
        A row a segment or customer, or one row "all": every factor, and `value`, the money one customer brings.
    assumptions : tuple of str
        What has to be true for the figure to be.
    notes : tuple of str
        What stands out in these figures, such as a value below zero.
    """

    formula: str
    steps: pd.DataFrame
    assumptions: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def value(self) -> pd.Series:
        """Lifetime value of one customer, by segment or customer."""
        return self.steps["value"]

    def __float__(self) -> float:
        if len(self.steps) != 1:
            raise TypeError(f"There are {len(self.steps):,} values, not one: take '.value', a Series.")
        return float(self.value.iloc[0])

    def __repr__(self) -> str:
        shown = f"{float(self):,.2f}" if len(self.steps) == 1 else f"{len(self.steps):,} values"
        return f"<FormulaValue: {self.formula} = {shown}>"

    def __str__(self) -> str:
        lines = [self.formula, "", self.steps.to_string(), "", "Assumed:", *(f"- {each}" for each in self.assumptions)]
        if self.notes:
            lines += ["", "Of note:", *(f"- {each}" for each in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        table = self.steps._repr_html_()  # type: ignore[operator]
        parts = [f"<p>{escape(self.formula)}</p>{table}"]
        for title, lines in (("Assumed", self.assumptions), ("Of note", self.notes)):
            if lines:
                parts.append(f"<p>{title}:</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>")
        return "".join(parts)


def purchase_formula(
    average_purchase: Factor,
    purchases_per_year: Factor,
    years: Factor,
    *,
    margin: Factor = 1.0,
    retention: Factor = 1.0,
    cost_to_serve: Factor = 0.0,
) -> FormulaValue:
    """Average purchase × purchases a year × years, times a margin, minus what serving the customer costs.

    Parameters
    ----------
    average_purchase, purchases_per_year, years : number, or mapping or Series by segment or customer
        At least 0. Periods other than a year serve as well, in both of the last two.
    margin : number, mapping or Series
        Share of the revenue that is kept, from 0 to 1. 1 means revenue.
    retention : number, mapping or Series
        Share of customers taken to stay, from 0 to 1, multiplied in once as some texts do.
    cost_to_serve : number, mapping or Series
        Money a customer costs over all these years, beside what the margin holds.

    Returns
    -------
    FormulaValue
        `steps` holds the factors, revenue, gross_profit and value, which may be negative.

    Raises
    ------
    DataError
        A factor is missing, negative, not finite or, being a share, above 1; or segments differ between factors.

    Examples
    --------
    >>> float(purchase_formula(50, 3, 4))  # an average sale of 50, three times a year, for four years
    600.0
    """
    steps = _line_up(
        average_purchase=average_purchase,
        purchases_per_year=purchases_per_year,
        years=years,
        retention=retention,
        margin=margin,
        cost_to_serve=cost_to_serve,
    )
    _check_shares(steps, "retention", "margin")
    steps["revenue"] = steps["average_purchase"] * steps["purchases_per_year"] * steps["years"] * steps["retention"]
    steps["gross_profit"] = steps["revenue"] * steps["margin"]
    notes = subtract_cost(steps)
    assumptions = [
        "every purchase is worth the average, and every customer buys at the average pace",
        "everyone stays for exactly these years, and then leaves",
        "money later is worth as much as money now",
    ]
    if (steps["retention"] != 1).any():
        assumptions.append("a share for those who stay is multiplied in once, whatever the number of years")
    return FormulaValue("average purchase × purchases a year × years", steps, tuple(assumptions), notes)


def retention_formula(profit: Factor, retention: Factor, discount_rate: Factor = 0.10) -> FormulaValue:
    """Profit × retention / (1 + discount − retention): a customer who stays each period with one probability, for ever.

    It is the sum over the periods k = 1, 2, … of profit × retention^k / (1 + discount)^k: the first profit comes a
    period from now, and only if the customer stays until then.

    Parameters
    ----------
    profit : number, or mapping or Series by segment or customer
        Of one period, a year usually, after all costs; may be negative.
    retention : number, mapping or Series
        Probability to stay from one period to the next, from 0 to 1.
    discount_rate : number, mapping or Series
        Effective, a period; at least 0.

    Returns
    -------
    FormulaValue
        `steps` holds the factors, `expected_periods` (profits still to come, not discounted, retention /
        (1 − retention); infinite where all stay) and value.

    Raises
    ------
    DataError
        A factor is missing, not finite or out of range, or all stay for ever and nothing is discounted.

    Examples
    --------
    >>> round(float(retention_formula(1_000, 0.9, 0.10)), 2)
    4500.0
    """
    steps = _line_up(signed=("profit",), profit=profit, retention=retention, discount_rate=discount_rate)
    _check_shares(steps, "retention")
    endless = (steps["retention"] == 1) & (steps["discount_rate"] == 0)
    if endless.any():
        raise DataError(
            f"All customers stay for ever and nothing is discounted in {_cases(steps, endless)}: the value has no "
            "bound. Give a retention below 1, or a discount rate above 0."
        )
    stay = steps["retention"]
    with np.errstate(divide="ignore"):
        steps["expected_periods"] = np.divide(stay, 1 - stay)
    steps["value"] = steps["profit"] * stay / (1 + steps["discount_rate"] - stay)
    assumptions = (
        "every customer stays from each period to the next with this one probability, however long he has been there: "
        "in truth those who have stayed are likelier to stay",
        "each period brings the same profit, the first of them a period from now",
        "it goes on for ever",
    )
    return FormulaValue("profit × retention / (1 + discount − retention)", steps, assumptions, _losses(steps))


def subtract_cost(steps: pd.DataFrame) -> tuple[str, ...]:
    """Set `value` to gross_profit − cost_to_serve, and say where it is below zero."""
    steps["value"] = steps["gross_profit"] - steps["cost_to_serve"]
    return _losses(steps)


def _losses(steps: pd.DataFrame) -> tuple[str, ...]:
    below = steps["value"] < 0
    if not below.any():
        return ()
    if len(steps) == 1:
        return ("the value is below zero: the customer costs more than he brings",)
    return (f"the value is below zero for {_cases(steps, below)}: they cost more than they bring",)


def _line_up(*, signed: tuple[str, ...] = (), **factors: Factor) -> pd.DataFrame:
    """Factors as the columns of a table, a row a segment; DataError where they do not fit or are no amounts."""
    columns: dict[str, pd.Series] = {}
    for name, factor in factors.items():
        if isinstance(factor, Mapping | pd.Series):
            columns[name] = pd.Series(factor)
    index = pd.Index([ALL])
    if columns:
        first, column = next(iter(columns.items()))
        index = column.index
        for name, column in columns.items():
            _check_index(name, column.index, first, index)
    table = pd.DataFrame(index=index)
    for name, factor in factors.items():
        values = columns[name].reindex(index) if name in columns else factor
        table[name] = _numbers(name, values)
    for name in factors:
        wrong = ~np.isfinite(table[name]) | ((table[name] < 0) & (name not in signed))
        if wrong.any():
            bad = "missing or infinite" if name in signed else "missing, negative or infinite"
            raise DataError(f"{name!r} is {bad} for {_cases(table, wrong, name)}. Give a finite number for each.")
    return table


def _check_index(name: str, found: pd.Index, first: str, index: pd.Index) -> None:
    if not len(found):
        raise DataError(f"{name!r} is empty.")
    if not found.is_unique:
        raise DataError(f"{name!r} has {found[found.duplicated()][0]!r} twice. Give one value for each.")
    for of, lacking in ((name, index.difference(found)), (first, found.difference(index))):
        if len(lacking):
            raise DataError(
                f"{of!r} lacks {len(lacking):,} of the others' rows (first: {lacking[0]!r}). Name the same."
            )


def _numbers(name: str, values: Any) -> Any:
    flags = values.dtype == bool if isinstance(values, pd.Series) else isinstance(values, bool | np.bool_)
    try:
        if flags or isinstance(values, str):
            raise TypeError("a flag or text")
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name!r} must be a number, or a number for each segment: {error}.") from None


def _check_shares(steps: pd.DataFrame, *names: str) -> None:
    for name in names:
        above = steps[name] > 1
        if above.any():
            worst = float(steps.loc[above, name].iloc[0])
            hint = f"; did you mean {worst / 100:.2f}?" if 2 <= worst <= 100 else ""
            raise DataError(f"{name!r} is a share, and above 1 for {_cases(steps, above, name)}{hint}")


def _cases(steps: pd.DataFrame, which: pd.Series, column: str = "value") -> str:
    """'2 of 3 rows (first: 'paid', −12.5)'."""
    first = steps.index[int(np.argmax(which.to_numpy()))]
    shown = f", {steps.loc[first, column]:g}" if column in steps else ""
    return f"{count_of(int(which.sum()), len(steps), 'rows')} (first: {first!r}{shown})"
