"""The Pareto curve: how much of the value how few customers hold, expected, to come, and so far."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.segments.groups import FEW, Question, require_finite
from predclv.errors import PredCLVWarning
from predclv.forecast.concentration import lorenz_curve
from predclv.inference.posterior import check_number
from predclv.models.estimates import Estimate
from predclv.models.outlook import Outlook
from predclv.value import CLV

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ParetoCurve", "pareto_curve"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Customers-draws that a band is worth, and draws at most and at least: its ends are rough where customers are many,
# but then only the parameters move it.
_BUDGET, _MOST, _FEWEST = 50_000_000, 512, 64
# Customers who are simulated.
_SIMULATED = 1_000_000
_TOPS = (0.01, 0.05, 0.10, 0.20, 0.50)


@dataclass(frozen=True, eq=False, repr=False)
class ParetoCurve:
    """Share of the value that shares of the customers hold.

    There are three answers to what the best 20 % hold. Of what is *expected*, they hold least: an expectation spreads
    each customer's luck evenly. Of what will come, the 20 % *chosen* now by their expected value hold about as much.
    The 20 % who turn out best, whom nobody knows today, hold most (*outcome*): that is what to compare with 80/20, and
    with the past.

    Attributes
    ----------
    curve : pandas.DataFrame
        share_of_customers from 0 to 1, the most valuable first; expected; chosen, chosen_low, chosen_high; outcome,
        outcome_low, outcome_high; past (of the repeat purchases, or renewals, so far; NaN where there were none).
        Intervals are of joint simulations of all customers.
    table : pandas.DataFrame
        The same for the best 1, 5, 10, 20 and 50 % and those asked for, with customers, their number.
    customers_for : pandas.DataFrame
        The share of the customers that hold 50, 80 and 90 % of the value: share_of_value, expected, outcome,
        outcome_low, outcome_high, past.
    settings : mapping
        As of `CustomerTiers`, with top, n_customers, n_simulated (customers), n_draws, and n_empty: draws in which
        nobody brings anything, which have no shares and are left out.
    """

    curve: pd.DataFrame
    table: pd.DataFrame
    customers_for: pd.DataFrame
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<ParetoCurve: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def at(self, top: float) -> dict[str, float]:
        """What the best `top` of the customers hold: the columns of `curve`, between its points by a straight line."""
        if not 0 <= check_number("top", top) <= 1:
            raise ValueError(f"'top' must be from 0 to 1, a share of the customers. Got {top!r}.")
        x = self.curve["share_of_customers"]
        return {str(name): float(np.interp(top, x, self.curve[name])) for name in self.curve.columns}

    def say(self) -> str:
        """Whether it is 80/20 here, in words."""
        top, n = self.settings["top"], self.settings["n_customers"]
        at = self.at(top)
        if not np.isfinite(at["outcome"]):
            return f"none of the {n:,} customers is expected to bring anything"
        said = (
            f"the best {top:.0%} of {n:,} customers will bring {at['outcome']:.0%} of the value of "
            f"{self.settings['horizon']} ({at['outcome_low']:.0%} to {at['outcome_high']:.0%}); the {top:.0%} "
            f"expected to be best, {at['chosen']:.0%} ({at['chosen_low']:.0%} to {at['chosen_high']:.0%})"
        )
        if np.isfinite(at["past"]):
            said += f"; so far the best {top:.0%} brought {at['past']:.0%}"
        return said if n >= FEW else f"{said}; not enough customers to say more"

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw the curves with the band of the outcome."""
        from predclv.plots.segments import plot_pareto

        return plot_pareto(self.curve, top=self.settings["top"], level=self.settings["level"], ax=ax)


def pareto_curve(
    clv: CLV,
    rfm: Any,
    horizon: Any = "1 year",
    *,
    top: float = 0.2,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    estimate: Estimate | None = None,
    n_draws: int | None = None,
    n_points: int = 101,
) -> ParetoCurve:
    """Say what share of the value the most valuable customers hold, with a band from joint simulations.

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases or contracts.
    rfm : RFMSummary or Subscriptions
    horizon, discount_rate, margin, level, estimate
        As in `CLV.portfolio`.
    top : float
        Share of the customers that the sentence is about.
    n_draws : int, optional
        Joint draws, each with one simulation of every customer; by default 512, fewer from 100,000 customers on, never
        below 64.
    n_points : int
        Points of the curve, evenly spaced.

    Returns
    -------
    ParetoCurve

    Raises
    ------
    As `CLV.portfolio`; ValueError where `top` is no share above 0.

    Notes
    -----
    Of more than 1,000,000 customers every second, third, ... in the order of the expected value is simulated, which
    moves shares by less than a tenth of a point.
    """
    if not 0 < check_number("top", top) < 1:
        hint = f"; did you mean {top / 100:g}?" if 1 <= top < 100 else "."
        raise ValueError(f"'top' must be between 0 and 1, a share of the customers. Got {top!r}{hint}")
    for name, number, least in (("n_points", n_points, 2), ("n_draws", 2 if n_draws is None else n_draws, 2)):
        if check_number(name, number) < least or number != int(number):
            raise ValueError(f"{name!r} must be a whole number from {least} on. Got {number!r}.")
    question = Question(clv, rfm, horizon, discount_rate, margin, level, estimate)
    outlook = question.outlook()
    each = np.repeat(np.arange(len(outlook.weight)), outlook.weight)
    expected = require_finite(outlook.columns(["expected_clv"])["expected_clv"], outlook.customer_id)[each]
    grid = np.unique(np.r_[np.linspace(0, 1, int(n_points)), _TOPS, top])
    some = _thin(expected, outlook)
    n_simulated = len(expected) if some is None else len(some)
    draws = int(np.clip(_BUDGET // n_simulated, _FEWEST, _MOST)) if n_draws is None else int(n_draws)
    if some is None:
        chosen, outcome = _simulate(outlook, expected, grid, draws)
    else:
        with warnings.catch_warnings():
            # All customers were warned of already.
            warnings.simplefilter("ignore", PredCLVWarning)
            few = replace(question, data=rfm[some]).outlook()
        chosen, outcome = _simulate(few, expected[some], grid, draws)
    ends = [(1 - level) / 2, (1 + level) / 2]
    columns = {"share_of_customers": grid, "expected": _curve(expected, grid)}
    for name, shares in (("chosen", chosen), ("outcome", outcome)):
        columns |= _band(name, shares, ends)
    columns["past"] = _curve(outlook.past[each], grid)
    curve = pd.DataFrame(columns)
    table = curve[curve["share_of_customers"].isin([*_TOPS, top])].reset_index(drop=True)
    table.insert(1, "customers", np.rint(table["share_of_customers"] * len(each)).astype(np.int64))
    found = [_holders(share, curve, grid, outcome, ends) for share in (0.5, 0.8, 0.9)]
    settings = question.settings() | {
        "top": float(top),
        "n_customers": len(each),
        "n_simulated": n_simulated,
        "n_draws": draws,
        "n_empty": draws - len(outcome),
    }
    return ParetoCurve(curve, table, pd.DataFrame(found), settings)


def _thin(expected: FloatArray, outlook: Outlook) -> IntArray | None:
    """Rows to simulate where customers are too many, else None; rows that stand for several are simulated whole."""
    step = math.ceil(len(expected) / _SIMULATED)
    if step == 1 or (outlook.weight > 1).any():
        return None
    return np.sort(np.argsort(-expected, kind="stable")[step // 2 :: step])


def _simulate(outlook: Outlook, expected: FloatArray, grid: FloatArray, n_draws: int) -> tuple[FloatArray, FloatArray]:
    """Share held by those chosen by expectation, and by who turns out best, (n, n_points) of draws with any value."""
    order = np.argsort(-expected, kind="stable")
    # Who is expected to be worth the same is in no order: the curve runs straight through them.
    falling = expected[order]
    last = np.append(np.flatnonzero(np.diff(falling)), len(order) - 1)
    customers = np.r_[0.0, (last + 1) / len(order)]
    chosen, outcome = [], []
    for value in outlook.outcomes(n_draws):
        held = np.cumsum(value[order])
        if held[-1] > 0:
            chosen.append(np.interp(grid, customers, np.r_[0.0, held[last] / held[-1]]))
            outcome.append(_curve(value, grid))
    shape = len(outcome), len(grid)
    return np.reshape(chosen, shape), np.reshape(outcome, shape)


def _curve(values: FloatArray, grid: FloatArray) -> FloatArray:
    if not values.sum() > 0:
        return np.full(len(grid), np.nan)
    return np.asarray(np.interp(grid, *lorenz_curve(values)))


def _band(name: str, shares: FloatArray, ends: list[float]) -> dict[str, FloatArray]:
    if not len(shares):
        nothing = np.full(shares.shape[1], np.nan)
        return {name: nothing, f"{name}_low": nothing, f"{name}_high": nothing}
    low, high = np.quantile(shares, ends, axis=0, method="inverted_cdf")
    return {name: shares.mean(axis=0), f"{name}_low": low, f"{name}_high": high}


def _holders(
    share: float, curve: pd.DataFrame, grid: FloatArray, outcome: FloatArray, ends: list[float]
) -> dict[str, float]:
    """Least share of the customers that holds so much of the value."""
    found = {"share_of_value": share, "expected": _reached(curve["expected"].to_numpy(), grid, share)}
    by_draw = np.array([_reached(one, grid, share) for one in outcome])
    low, high = np.quantile(by_draw, ends, method="inverted_cdf") if len(by_draw) else (np.nan, np.nan)
    center = by_draw.mean() if len(by_draw) else np.nan
    past = _reached(curve["past"].to_numpy(), grid, share)
    return {**found, "outcome": float(center), "outcome_low": float(low), "outcome_high": float(high), "past": past}


def _reached(held: FloatArray, grid: FloatArray, share: float) -> float:
    if not np.isfinite(held[-1]):
        return float("nan")
    # Only as far as it rises: what stands after that holds nothing more.
    rising = np.r_[True, np.diff(held) > 0]
    return float(np.interp(share, held[rising], grid[rising]))
