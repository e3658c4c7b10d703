"""Whom to keep: what is at risk of being lost with each customer, what may be spent on it, and whom to win back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.decisions.retention.inputs import check_share, require_purchases
from predclv.errors import DataError
from predclv.forecast.customers import times_margin
from predclv.inference.posterior import check_number
from predclv.kernels.gamma_gamma_compiled import expected_spend
from predclv.models.estimates import MEAN_DRAWS, choose_theta
from predclv.models.pair import Pair
from predclv.models.purchase_value import PurchaseValue
from predclv.value import CLV

__all__ = ["list_at_risk", "list_to_win_back", "weigh_offer"]

FloatArray = NDArray[np.float64]

_ROWS = 8_192  # customers at a time: with 256 draws 16 MiB an array


def list_at_risk(
    clv: CLV,
    rfm: RFMSummary,
    horizon: Any = "1 year",
    *,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    success: float = 1.0,
    level: float = 0.9,
    top: int | None = None,
) -> pd.DataFrame:
    """Rank customers by what can still be saved of them.

    Value at risk is the value of a customer of the same history who is there and stays, minus the expected CLV, which
    holds already that this one may have left or may leave. It has two parts: what is lost already, with the chance of
    having left, and what is still to be lost, within the horizon, by those who are there. Keeping acts on the second
    alone, which is the stake here; `list_to_win_back` is about the first.

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases.
    rfm, horizon, discount_rate, margin
        As in `CLV.predict`.
    success : float
        Share of the stake that an action saves, from 0 to 1; 1 is the bound that no action exceeds.
    level : float
        Probability of the intervals of means, parameter uncertainty alone.
    top : int, optional
        How many to list; all by default.

    Returns
    -------
    pandas.DataFrame
        Largest stake first: customer_id, p_alive, expected_clv, value_if_kept, value_at_risk (the difference),
        lost_already, stake (the rest) with stake_low and stake_high, and most_to_spend, success × stake: an action that
        costs more does not pay. Means are at the point for maximum likelihood, and over 256 draws for a posterior.

    Raises
    ------
    UnitError, DataError, ValueError
        As `CLV.predict`.
    TypeError
        The CLV is of contracts.
    """
    _check_ranking(success, top)
    table = _stakes(clv, rfm, horizon, discount_rate=discount_rate, margin=margin, level=level)
    table = table.drop(columns=["lost_low", "lost_high"]).rename(
        columns={"kept_low": "stake_low", "kept_high": "stake_high"}
    )
    return _ranked(table, success, top)


def list_to_win_back(
    clv: CLV,
    rfm: RFMSummary,
    horizon: Any = "1 year",
    *,
    p_alive_below: float = 0.5,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    success: float = 1.0,
    level: float = 0.9,
    top: int | None = None,
) -> pd.DataFrame:
    """List the probably gone who were valuable, by what was lost with them.

    Parameters
    ----------
    clv, rfm, horizon, discount_rate, margin, level, top
        As in `list_at_risk`.
    p_alive_below : float
        Who counts as probably gone.
    success : float
        Share of those asked who come back, and stay.

    Returns
    -------
    pandas.DataFrame
        The columns of `list_at_risk`; the stake is what is lost already. Empty where nobody is probably gone.
    """
    gone = check_share("p_alive_below", p_alive_below)
    _check_ranking(success, top)
    table = _stakes(clv, rfm, horizon, discount_rate=discount_rate, margin=margin, level=level)
    table = table.drop(columns=["kept_low", "kept_high"]).rename(
        columns={"lost_low": "stake_low", "lost_high": "stake_high"}
    )
    table["stake"] = table["lost_already"]
    return _ranked(table[table["p_alive"] < gone], success, top)


class Some(NamedTuple):
    """Customers worked at a time.

    Attributes
    ----------
    pair : Pair
        The models that speak of them.
    at : int array
        Their rows in the summary.
    x, t_x, T : float arrays
        Their distinct histories.
    of : int array
        Which of these is each customer's.
    """

    pair: Pair
    at: NDArray[np.int64]
    x: FloatArray
    t_x: FloatArray
    T: FloatArray
    of: NDArray[np.int64]


def walk(pair: Pair, rfm: RFMSummary) -> Iterator[Some]:
    """Yield the customers in parts small enough for arrays by draw, those of one history together."""
    for part in pair.parts(rfm):
        rows, inverse = histories(part.rfm)
        order = np.argsort(inverse, kind="stable")
        for start in range(0, len(order), _ROWS):
            some = order[start : start + _ROWS]
            which, of = np.unique(inverse[some], return_inverse=True)
            yield Some(part.pair, part.rows[some], rows.x[which], rows.t_x[which], rows.T[which], of)


def stakes_by_draw(some: Some, horizon: float, delta: float, theta: FloatArray) -> tuple[FloatArray, ...]:
    """What is at risk of each history, in discounted purchases, by draw.

    Returns
    -------
    tuple of (n_draws, n_histories) arrays
        p_alive; purchases of who stays; expected purchases; those lost already; those still to be lost.
    """
    bindings = some.pair.transactions.bindings
    rows = some.x, some.t_x, some.T
    alive = bindings.p_alive(*rows, theta)
    kept = bindings.discounted_if_staying(*rows, horizon, delta, theta)
    expected = bindings.discounted_expected_purchases(*rows, horizon, delta, theta)
    # The last for rounding, where nobody leaves.
    return alive, kept, expected, (1.0 - alive) * kept, np.maximum(alive * kept - expected, 0.0)


def _stakes(
    clv: CLV, rfm: RFMSummary, horizon: Any, *, discount_rate: float, margin: float | str, level: float
) -> pd.DataFrame:
    pair = require_purchases(clv, "What is at risk", ": its predict tells who does not renew, with p_purchase.")
    task = PurchaseValue(pair).task(rfm, horizon, discount_rate, margin, level)
    customers = task.customers
    columns: dict[str, FloatArray] = {}
    for part in walk(pair, rfm):
        money, of_customer = customers.mean_spend[part.at], customers.margin[part.at]
        found = _values(part, money, task.horizon.length, task.delta, level)
        for name, column in found.items():
            kept = column if name == "p_alive" else times_margin(of_customer, column)
            columns.setdefault(name, np.empty(len(rfm)))[part.at] = kept
    return pd.DataFrame({"customer_id": rfm.customer_id, **columns})


def _ranked(table: pd.DataFrame, success: float, top: int | None) -> pd.DataFrame:
    table = table[[*_COLUMNS, "stake", "stake_low", "stake_high"]].copy()
    table["most_to_spend"] = success * table["stake"]
    table = table.sort_values("stake", ascending=False, kind="stable", ignore_index=True)
    return table if top is None else table.head(top)


_COLUMNS = ("customer_id", "p_alive", "expected_clv", "value_if_kept", "value_at_risk", "lost_already")


def weigh_offer(at_risk: pd.DataFrame, *, cost: float | pd.Series, lift: float) -> pd.DataFrame:
    """What an offer to each of these customers returns, and how well it has to work.

    Parameters
    ----------
    at_risk : DataFrame
        Of `list_at_risk` or `list_to_win_back`.
    cost : float, or Series as long as the table
        Money an offer costs, whether or not it works; above 0.
    lift : float
        Share of the stake that the offer saves, from 0 to 1: what an experiment has shown.

    Returns
    -------
    pandas.DataFrame
        The table with cost, expected_return (lift × stake − cost) with return_low and return_high,
        break_even_lift (above 1: no offer at this cost can pay) and pays (whether the expected return is above 0).

    Raises
    ------
    DataError
        The table lacks columns, or costs are missing or not above 0.
    """
    lacking = [name for name in ("stake", "stake_low", "stake_high") if name not in at_risk]
    if lacking:
        raise DataError(f"The table lacks {lacking[0]!r}: give what list_at_risk or list_to_win_back returns.")
    share = check_share("lift", lift)
    costs = np.broadcast_to(np.asarray(cost, dtype=np.float64), len(at_risk)).copy()
    wrong = ~(np.isfinite(costs) & (costs > 0))
    if wrong.any():
        raise DataError(
            f"'cost' is missing, infinite or not above 0 for {count_of(int(wrong.sum()), len(costs), 'customers')} "
            f"(first: {costs[wrong][0]:g})."
        )
    table = at_risk.assign(cost=costs)
    for name, source in (("expected_return", ""), ("return_low", "_low"), ("return_high", "_high")):
        table[name] = share * table[f"stake{source}"] - costs
    with np.errstate(divide="ignore"):
        table["break_even_lift"] = costs / table["stake"].to_numpy()
    table["pays"] = table["expected_return"] > 0
    return table


def _values(some: Some, money: FloatArray, horizon: float, delta: float, level: float) -> dict[str, FloatArray]:
    """Columns of some customers with these mean spends, before the margin."""
    of = some.of
    draws, spend_draws = some.pair.draws(MEAN_DRAWS)
    center, spend_center = (choose_theta(model.posterior_, None) for model in some.pair)
    is_point = len(center) == 1

    def values(theta: FloatArray, theta_spend: FloatArray) -> tuple[FloatArray, ...]:
        parts = stakes_by_draw(some, horizon, delta, theta)
        return *parts, expected_spend(some.x[of], money, np.ascontiguousarray(theta_spend))

    *_, lost, to_lose, spend = values(draws, spend_draws)
    ends = [(1 - level) / 2, (1 + level) / 2]
    lost_low, lost_high = np.quantile(lost[:, of] * spend, ends, axis=0, method="inverted_cdf")
    kept_low, kept_high = np.quantile(to_lose[:, of] * spend, ends, axis=0, method="inverted_cdf")
    point = (center, spend_center) if is_point else (draws, spend_draws)
    alive, kept, expected, lost, to_lose, spend = (part.mean(axis=0) for part in values(*point))
    # Both models are independent given the data: the mean of the product is that of the means.
    return {
        "p_alive": alive[of],
        "expected_clv": expected[of] * spend,
        "value_if_kept": kept[of] * spend,
        "value_at_risk": (lost + to_lose)[of] * spend,
        "lost_already": lost[of] * spend,
        "stake": to_lose[of] * spend,
        "lost_low": lost_low,
        "lost_high": lost_high,
        "kept_low": kept_low,
        "kept_high": kept_high,
    }


def check_offer(cost: float, lift: float) -> None:
    """Raise where one offer's cost is not above 0, or its lift no share."""
    if check_number("offer_cost", cost) <= 0:
        raise DataError(f"'offer_cost' must be above 0. Got {cost!r}.")
    check_share("offer_lift", lift)


def _check_ranking(success: float, top: int | None) -> None:
    check_share("success", success)
    if top is not None and (isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1):
        raise ValueError(f"'top' must be a whole number from 1 on. Got {top!r}.")
