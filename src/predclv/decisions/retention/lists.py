"""Whom to keep: what is at risk of being lost with each customer, what may be spent on it, and whom to win back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.decisions.retention.inputs import check_share, require_purchases
from predclv.forecast.customers import times_margin
from predclv.forecast.purchases import mean_discounted_purchases
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.models.estimates import MEAN_DRAWS, center_draws, choose_theta
from predclv.models.pair import Pair
from predclv.models.purchase_value import PurchaseValue
from predclv.value import CLV

__all__ = ["Some", "forecast_of", "list_at_risk", "list_to_win_back", "stakes_by_draw", "walk"]

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
        costs more does not pay. p_alive and expected_clv are those of `CLV.predict`; the other means are at the point
        for maximum likelihood, and over 256 draws for a posterior.

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

    What was lost is the value of a customer of the same history who is still there, times the probability of being
    gone. Who is there after a long silence buys slowly: whoever is gone bought faster before, so that the figure is a
    careful one for those who would come back to their old pace.

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


def forecast_of(some: Some, money: FloatArray, horizon: float, delta: float) -> tuple[FloatArray, FloatArray]:
    """What `CLV.predict` says of some customers with these mean spends: p_alive, and expected value before the margin.

    Means are over all draws, as they are there, so that a customer is worth the same in every table.
    """
    bindings, rows = some.pair.transactions.bindings, (some.x, some.t_x, some.T)
    theta, theta_spend = (choose_theta(model.posterior_, None)[: center_draws(horizon)] for model in some.pair)
    alive = bindings.mean_p_alive(*rows, theta)
    bought = mean_discounted_purchases(bindings, *rows, horizon, delta, theta)
    return alive[some.of], bought[some.of] * mean_expected_spend(some.x[some.of], money, theta_spend)


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
    *_, lost, to_lose, spend = (part.mean(axis=0) for part in values(*point))
    # Both models are independent given the data: the mean of the product is that of the means.
    alive, expected = forecast_of(some, money, horizon, delta)
    risk = (lost + to_lose)[of] * spend
    return {
        "p_alive": alive,
        "expected_clv": expected,
        "value_if_kept": expected + risk,
        "value_at_risk": risk,
        "lost_already": lost[of] * spend,
        "stake": to_lose[of] * spend,
        "lost_low": lost_low,
        "lost_high": lost_high,
        "kept_low": kept_low,
        "kept_high": kept_high,
    }


def _check_ranking(success: float, top: int | None) -> None:
    check_share("success", success)
    if top is not None and (isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1):
        raise ValueError(f"'top' must be a whole number from 1 on. Got {top!r}.")
