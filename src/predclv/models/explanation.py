"""Why a forecast is what it is, for one customer: tables, and a text in plain words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from predclv.data.summary_words import lines_to_html, table_to_html
from predclv.models import explanation_words as words
from predclv.models.estimates import Estimate

__all__ = ["Explanation", "Told"]


@dataclass(frozen=True)
class Told:
    """What is to be explained.

    Attributes
    ----------
    customer_id : object
    horizon : object
        As `predict` takes it.
    forecast : callable
        `predict` of a summary, with the options that were given.
    level : float
    estimate : "point", "draws" or None
    purchases : sequence, optional
        Times of the customer's purchases.
    discount_rate, margin : float, str
        Of value; nothing is said of it without a spend model.
    """

    customer_id: Any
    horizon: Any
    forecast: Callable[[Any], pd.DataFrame]
    level: float
    estimate: Estimate | None
    purchases: Any = None
    discount_rate: float = 0.10
    margin: float | str = 1.0


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """One customer's forecast, taken apart; docs/howto/explain.md goes through one.

    Attributes
    ----------
    customer_id : object
        As given.
    model : str
        Whose forecast it is.
    kind : {"purchases", "opportunities", "contract"}
    time_unit : str
        Unit of all times; of contracts, their period.
    horizon : str
    level : float
    currency : str or None
    observation_end : date or None
    forecast : Series
        The customer's row of `predict`.
    history : DataFrame
        quantity, value, unit: what is known of the customer.
    alive : DataFrame
        time (since the first purchase, or the start of the contract), date (where that is known), p_alive, when:
        "past", as it looked then, or "ahead". Ahead of a buyer is what it will be after silence until then; ahead of a
        contract, the chance that it still runs. Where the times between the first purchase and the last are not known,
        it begins with the last.
    purchase_times : tuple of float
        Times of the purchases that are known, the first included.
    distribution : DataFrame
        n, probability: of so many purchases, or renewals, within the horizon; empty for an infinite one.
    value : DataFrame
        part, value, meaning: the forecast as a product, how often × how long × how much × discount.
    weights : DataFrame
        quantity, own (what the history alone says), population (what is expected of a new customer), forecast, weight
        (the share that the own history has in it), meaning.
    changes : DataFrame
        scenario, columns of the forecast, change (of the expected value, else of expected purchases, relative to the
        first row): what would change it, by the model's own equations.
    notes : tuple of str
        What to know beside.
    """

    customer_id: Any
    model: str
    kind: str
    time_unit: str
    horizon: str
    level: float
    currency: str | None
    observation_end: dt.date | None
    forecast: pd.Series[Any]
    history: pd.DataFrame
    alive: pd.DataFrame
    purchase_times: tuple[float, ...]
    distribution: pd.DataFrame
    value: pd.DataFrame
    weights: pd.DataFrame
    changes: pd.DataFrame
    notes: tuple[str, ...] = ()

    def fact(self, table: str, name: str) -> float:
        """One number of `history` or `value`, by its quantity or part; KeyError where it is not there."""
        return float(self.column(table, "value")[name])

    def column(self, table: str, column: str) -> dict[str, Any]:
        """One column of a table, by the first one."""
        frame: pd.DataFrame = getattr(self, table)
        return dict(zip(frame.iloc[:, 0].tolist(), frame[column].tolist(), strict=True))

    def say(self) -> str:
        """The explanation in plain words, a line each."""
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = words.contract(self) if self.kind == "contract" else words.buyer(self)
        return [*lines, *(f"Note: {note}" for note in self.notes)]

    def __str__(self) -> str:
        return self.say()

    def __repr__(self) -> str:
        return f"<Explanation of customer {self.customer_id}: {self._lines()[1]}>"

    def _repr_html_(self) -> str:
        tables = (self.value, self.weights, self.changes)
        return lines_to_html(self._lines()) + "".join(table_to_html(table.round(3)) for table in tables)
