"""How to split a budget over channels whose returns diminish, by what their customers are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_channels, count_of
from predclv.decisions.acquisition.assess import Acquisition
from predclv.decisions.luck import luck_of_newcomers
from predclv.errors import DataError
from predclv.inference.posterior import check_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BudgetPlan", "Saturating", "allocate_budget"]

FloatArray = NDArray[np.float64]
Curve = Callable[[float], float]

#: Steps that a budget is split into, by default.
STEPS = 1_000
TOTAL = "all channels"
# Newcomers who are simulated for each draw at most: of more, the sum has the same shape.
_LIVES = 1_024
# Of one customer in the steepest step: what rounding makes of a straight line.
_SLACK = 1e-9


@dataclass(frozen=True)
class Saturating:
    """Customers won by spending: `most` × money / (`half` + money), a curve that begins steep and flattens.

    Attributes
    ----------
    most : float
        Customers who could be won at any expense, > 0.
    half : float
        Money that wins half of them, > 0; the first one costs half / most.
    """

    most: float
    half: float

    def __post_init__(self) -> None:
        for name in ("most", "half"):
            if check_number(name, getattr(self, name)) <= 0:
                raise ValueError(f"{name!r} must be above 0. Got {getattr(self, name)!r}.")

    def __call__(self, money: float) -> float:
        """Customers won with this money."""
        return self.most * money / (self.half + money)


@dataclass(frozen=True, eq=False, repr=False)
class BudgetPlan:
    """A budget split over channels.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a channel, and one of all: channel, spend, customers (won), cac (spend over customers), next_cac (what one
        more would cost; not known where the whole budget went there), expected_value (their lifetime value),
        expected_profit (less the spending) with profit_low and profit_high, and p_profit (probability that it is above
        0; NaN where nothing is won). The interval is that of what will come, see `allocate_budget`.
    unspent : float
        Money that no channel repays.
    profit : (n_draws,) array
        Of all channels, by draw of the parameters and of single customers' luck.
    level : float
        Probability of the intervals, as in the `Acquisition`.
    """

    table: pd.DataFrame
    unspent: float
    profit: FloatArray
    level: float

    def __repr__(self) -> str:
        return f"<BudgetPlan: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(2)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """In words: where the money goes and what comes of it."""
        *channels, total = self.table.to_dict("records")
        shares = ", ".join(f"{row['channel']} {row['spend']:,.0f}" for row in channels)
        left = f", {self.unspent:,.0f} left unspent, which no channel repays" if self.unspent > 0 else ""
        return (
            f"{shares}{left}: expected profit {total['expected_profit']:,.0f} ({total['profit_low']:,.0f} to "
            f"{total['profit_high']:,.0f})"
        )

    def plot(self, *, currency: str | None = None, ax: Axes | None = None) -> Axes:
        """Spending on each channel and the profit expected of it; see `predclv.plots.plot_budget`."""
        from predclv.plots.budget import plot_budget

        return plot_budget(self.table, level=self.level, currency=currency, ax=ax)


def allocate_budget(
    acquisition: Acquisition,
    budget: float,
    curves: Mapping[str, Curve],
    *,
    steps: int = STEPS,
    spend_all: bool = False,
) -> BudgetPlan:
    """Split a budget over channels so that expected profit, lifetime value less spending, is largest.

    The budget is laid out step by step, each where the next step brings most; with curves that flatten that is the best
    split on the grid of the steps.

    Parameters
    ----------
    acquisition : Acquisition
        Of `assess_acquisition`: what a customer of each channel is worth, with its draws. Its costs are not used; here
        they follow from the curves.
    budget : float
        Money, > 0.
    curves : mapping of channel to callable
        Customers won, as a function of the money spent on a channel alone: 0 at 0, rising and never steeper than
        before. `Saturating` is one. Every channel of `acquisition` has one.
    steps : int
        How finely the budget is split.
    spend_all : bool
        Spend the whole budget even where a step brings less than it costs.

    Returns
    -------
    BudgetPlan
        Intervals are of the profit that will come: they hold what is not known of the channels' mean value, which all
        customers of a channel share, and chance in what the customers won turn out to be worth, who differ much and
        are few beside those behind the fit. The curves, and so the number of customers, are taken as they are given.

    Raises
    ------
    DataError
        A channel has no curve, or one that is not 0 at 0, falls, becomes steeper or is not finite; or a curve names no
        channel.
    ValueError
        The budget is not above 0, or `steps` no whole number from 1 on.
    """
    if check_number("budget", budget) <= 0:
        raise ValueError(f"'budget' must be above 0. Got {budget!r}.")
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"'steps' must be a whole number from 1 on. Got {steps!r}.")
    values = acquisition.table.set_index("channel")["expected_clv"]
    _check_names(list(values.index), curves)
    money = float(budget) * np.arange(steps + 1) / steps
    won = {name: _customers(name, curves[name], money) for name in values.index}
    gains = np.column_stack([values[name] * np.diff(won[name]) for name in values.index])
    chosen = _choose(gains, steps, money[1], spend_all)
    rows, profits, level = [], [], acquisition.settings["level"]
    for number, (name, taken) in enumerate(zip(values.index, chosen, strict=True)):
        customers, spend = won[name][taken], money[taken]
        profit = acquisition.draws[name] * customers - spend + _luck(acquisition, name, customers, number)
        more = won[name][taken + 1] - customers if taken < steps else 0.0
        next_cac = money[1] / more if more > 0 else np.nan
        rows.append(_row(name, spend, customers, values[name] * customers, profit, level, next_cac))
        profits.append(profit)
    whole = np.sum(profits, axis=0)
    spend, customers, value = (sum(row[key] for row in rows) for key in ("spend", "customers", "expected_value"))
    rows.append(_row(TOTAL, spend, customers, value, whole, level, np.nan))
    return BudgetPlan(pd.DataFrame(rows), float(budget - spend), whole, level)


def _luck(acquisition: Acquisition, name: str, customers: float, number: int) -> FloatArray:
    """What so many customers bring beside their expected value, (n_draws,)."""
    if customers <= 0:
        return np.zeros(len(acquisition.draws[name]))
    who = acquisition.newcomers[name]
    n = int(np.clip(np.rint(customers), 1, _LIVES))
    luck = luck_of_newcomers(who, who.path.times[-1:], n, number)[:, 0]
    return np.asarray(np.sqrt(customers) * luck)


def _choose(gains: FloatArray, steps: int, cost: float, spend_all: bool) -> list[int]:
    """Steps for each channel: as many in all as pay, those that bring most first; all of them with `spend_all`."""
    n_channels = gains.shape[1]
    order = np.argsort(-gains, axis=None, kind="stable")[:steps]
    if not spend_all:
        order = order[gains.ravel()[order] > cost]
    # Gains of a channel fall from step to step, so that those chosen are its first.
    return [int(taken) for taken in np.bincount(order % n_channels, minlength=n_channels)]


def _customers(name: str, curve: Curve, money: FloatArray) -> FloatArray:
    try:
        won = np.array([float(curve(float(spent))) for spent in money])
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"The curve of {name!r} gives no number: {error}.") from error
    known = np.isfinite(won)
    if not known.all():
        first = int(np.argmin(known))
        raise DataError(
            f"The curve of {name!r} is not finite at {count_of(int((~known).sum()), len(won), 'amounts')} (first: "
            f"{money[first]:g})."
        )
    if abs(won[0]) > _SLACK:
        raise DataError(f"The curve of {name!r} wins {won[0]:g} customers for nothing: it must be 0 at 0.")
    more = np.diff(won)
    slack = _SLACK * max(abs(more).max(), 1e-300)
    for wrong, what, remedy in (
        (more < -slack, "falls", "More money must not win fewer customers."),
        (np.diff(more, prepend=np.inf) > slack, "becomes steeper", "Returns must diminish; take its upper hull."),
    ):
        if wrong.any():
            raise DataError(f"The curve of {name!r} {what} after {money[int(np.argmax(wrong))]:g}. {remedy}")
    return won


def _check_names(channels: list[str], curves: Mapping[str, Curve]) -> None:
    check_channels("curves", curves, channels)
    if TOTAL in channels:
        raise DataError(f"A channel is called {TOTAL!r}, as the row of all is. Rename it.")


def _row(
    name: str, spend: float, customers: float, value: float, profit: FloatArray, level: float, next_cac: float
) -> dict[str, Any]:
    low, high = np.quantile(profit, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return {
        "channel": name,
        "spend": spend,
        "customers": customers,
        "cac": spend / customers if customers > 0 else np.nan,
        "next_cac": next_cac,
        "expected_value": value,
        "expected_profit": value - spend,
        "profit_low": low,
        "profit_high": high,
        "p_profit": float((profit > 0).mean()) if customers > 0 else np.nan,
    }
