"""Why the forecast of a contract is what it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import margins
from predclv.data.durations import Horizon
from predclv.data.frames import PANDAS
from predclv.data.lookup import find_rows
from predclv.data.periods import DAYS_PER_PERIOD, parse_periods
from predclv.data.subscriptions import Subscriptions
from predclv.kernels.contracts import forecast as kernel
from predclv.models.contracts.inputs import contracts_of, horizon_rate, require_subscriptions
from predclv.models.contracts.model import ContractModel
from predclv.models.estimates import center_draws, choose_theta
from predclv.models.explanation import Explanation, Told

__all__ = ["explain_contract"]

FloatArray = NDArray[np.float64]

_LARGER = 1.1


def explain_contract(model: ContractModel, subs: Any, told: Told, *, priced: bool) -> Explanation:
    """Explain the forecast of one customer's contract; with prices (`priced`), its value too."""
    require_subscriptions(subs)
    if told.purchases is not None:
        raise ValueError("purchases= is of customers without a contract. Leave it out.")
    found = find_rows(subs.customer_id, told.customer_id)
    running = found[~subs.ended[found]]
    one = replace(subs[np.array([(running if len(running) else found)[-1]])], backend=PANDAS)
    names, rows = _scenarios(one, priced)
    table = told.forecast(rows)
    parsed = parse_periods(told.horizon, subs.period, subs.observation_end)
    part = model.contract_parts(one)[0].model
    theta = model.full_theta(choose_theta(part.posterior_, told.estimate)[: center_draws(parsed.length)])
    return Explanation(
        customer_id=told.customer_id,
        model=type(model).__name__,
        kind="contract",
        time_unit=subs.period,
        horizon=parsed.label,
        level=told.level,
        currency=subs.currency,
        observation_end=subs.observation_end,
        forecast=table.iloc[0].drop("customer_id").rename(told.customer_id),
        history=_history(one),
        alive=_alive(one, parsed.length, theta),
        purchase_times=tuple(float(k) for k in range(int(one.tenure[0]) + 1)),
        distribution=_distribution(one, parsed, theta),
        value=_product(one, theta, parsed, told, priced=priced),
        weights=_weights(one, theta),
        changes=_changes(names, table),
        notes=_notes(model, one, len(found)),
    )


def _scenarios(one: Subscriptions, priced: bool) -> tuple[list[str], Subscriptions]:
    """The contract as it is and as it would be, as rows under the names of what has happened."""
    tenure, due = int(one.tenure[0]), float(one.next_renewal[0])
    price = None if one.price is None else float(one.price[0])
    rows = [("as it is", tenure, due, 1.0)]
    if not one.ended[0]:
        rows += [("the next renewal made", tenure + 1, 1.0, 1.0), ("three renewals made", tenure + 3, 1.0, 1.0)]
        if priced and price:
            rows.append(("price 10 % up", tenure, due, _LARGER))
    names, *columns = zip(*rows, strict=True)
    repeated = np.zeros(len(rows), dtype=np.int64)
    who = str(one.customer_id[0])
    made = replace(
        one,
        customer_id=np.array([who, *(f"{who}, {name}" for name in names[1:])], dtype=object),
        tenure=np.array(columns[0], dtype=np.int64),
        ended=one.ended[repeated],
        lost=one.lost[repeated],
        weight=one.weight[repeated],
        next_renewal=np.array(columns[1]),
        price=None if price is None else price * np.array(columns[2]),
        start=None,
        carried={name: column[repeated] for name, column in one.carried.items()},
    )
    return list(names), made


def _history(one: Subscriptions) -> pd.DataFrame:
    rows: list[tuple[str, Any, str]] = [
        ("tenure", int(one.tenure[0]), "renewals"),
        ("runs", int(not one.ended[0]), "1 or 0"),
    ]
    if not one.ended[0]:
        rows.append(("next_renewal", float(one.next_renewal[0]), f"{one.period}s ahead"))
    if one.price is not None:
        rows.append(("price", float(one.price[0]), one.currency or "money"))
    if one.start is not None:
        rows.append(("start", str(one.start[0].astype("datetime64[D]")), "date"))
    if one.weight[0] != 1:
        rows.append(("customers like this", float(one.weight[0]), "customers"))
    rows += [(name, column[0], "carried") for name, column in one.carried.items()]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])


def _alive(one: Subscriptions, length: float, theta: FloatArray) -> pd.DataFrame:
    """Whether it ran after each renewal so far, and the chance that it will after those to come."""
    tenure, ended = int(one.tenure[0]), bool(one.ended[0])
    past, ran = np.arange(tenure + 1), np.ones(tenure + 1)
    if ended:
        table = pd.DataFrame({"time": np.append(past, tenure + 1), "p_alive": np.append(ran, 0.0)})
        return table.assign(when="past")
    ahead = int(min(contracts_of(one, length).n_renewals[0], 3 * DAYS_PER_PERIOD["year"] / one.days_per_period + 1))
    steps = np.arange(1, ahead + 1)
    later = kernel.mean_survival(np.full(ahead, float(tenure)), steps.astype(np.float64), theta)
    table = pd.DataFrame({"time": np.concatenate([past, tenure + steps]), "p_alive": np.concatenate([ran, later])})
    table["when"] = ["past"] * len(past) + ["ahead"] * ahead
    return table


def _distribution(one: Subscriptions, horizon: Horizon, theta: FloatArray) -> pd.DataFrame:
    if not np.isfinite(horizon.length):
        return pd.DataFrame({"n": np.zeros(0, dtype=np.int64), "probability": np.zeros(0)})
    due = int(contracts_of(one, horizon.length).n_renewals[0])
    tenure, steps = np.full(due, float(one.tenure[0])), np.arange(1, due + 1, dtype=np.float64)
    reached = np.concatenate([[1.0], kernel.mean_survival(tenure, steps, theta), [0.0]])
    return pd.DataFrame({"n": np.arange(due + 1), "probability": reached[:-1] - reached[1:]})


def _product(one: Subscriptions, theta: FloatArray, horizon: Horizon, told: Told, *, priced: bool) -> pd.DataFrame:
    """How often × how long × how much × discount."""
    due = contracts_of(one, horizon.length)
    a_year = DAYS_PER_PERIOD["year"] / one.days_per_period
    finite = bool(np.isfinite(horizon.length))
    rows = [("purchases_a_year", a_year, "how often: renewals a year of one who stays")]
    plain = float("nan")
    if finite:
        plain = float(kernel.expected_renewals(due.tenure, due.n_renewals, 0.0, theta)[0])
        rows += [
            ("years", plain / a_year, f"how long: years of that within {horizon.label}, with the chance of leaving"),
            ("expected_purchases", plain, "how often × how long: renewals"),
        ]
    if priced and one.price is not None:
        rate = horizon_rate(told.discount_rate, horizon.length, one.period)
        soon = float(np.exp(-rate * due.next_renewal[0]))
        discounted = soon * float(kernel.expected_renewals(due.tenure, due.n_renewals, rate, theta)[0])
        price, margin = float(one.price[0]), float(margins(one, told.margin)[0])  # type: ignore[arg-type]
        if not finite:
            rows.append(("years", discounted / a_year, "how long: years of that, later ones discounted"))
        rows += [("expected_spend", price, "how much: price of a renewal"), ("margin", margin, "share that is kept")]
        if finite:
            share = discounted / plain if plain > 0 else 1.0
            rows.append(("discount", share, f"what later money is worth today, at {told.discount_rate:.3g} a year"))
        rows.append(("expected_clv", discounted * price * margin, "the product"))
    return pd.DataFrame(rows, columns=["part", "value", "meaning"])


def _weights(one: Subscriptions, theta: FloatArray) -> pd.DataFrame:
    """How much of the belief about this customer is their own history.

    After n renewals θ ~ Beta(α, β + n^c), whose mean weighs a history without a loss by n^c / (α + β + n^c).
    """
    tenure = one.tenure.astype(np.float64)
    if one.ended[0]:
        rows: list[tuple[str, float, float, float, float, str]] = []
    else:
        alpha, beta, c = theta.T
        seen = np.where(tenure[0] > 0, max(tenure[0], 1.0) ** c, 0.0)
        weight = float((seen / (alpha + beta + seen)).mean())
        step = np.ones(1)
        population = float(kernel.mean_survival(np.zeros(1), step, theta)[0])
        forecast = float(kernel.mean_survival(tenure, step, theta)[0])
        own = 1.0 if tenure[0] > 0 else float("nan")
        rows = [("next renewal", own, population, forecast, weight, "probability of making it")]
    return pd.DataFrame(rows, columns=["quantity", "own", "population", "forecast", "weight", "meaning"])


def _changes(names: list[str], table: pd.DataFrame) -> pd.DataFrame:
    wanted = ("p_purchase", "expected_purchases", "expected_clv")
    found = table[[name for name in wanted if name in table]].reset_index(drop=True)
    column = "expected_clv" if "expected_clv" in found else "expected_purchases"
    headline = found[column].to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = headline / headline[0] - 1.0
    found.insert(0, "scenario", names)
    return found.assign(change=change)


def _notes(model: ContractModel, one: Subscriptions, n_contracts: int) -> tuple[str, ...]:
    notes = []
    if n_contracts > 1:
        notes.append(f"The customer has {n_contracts} contracts; this is the last one, of those that run if any does.")
    if one.ended[0]:
        notes.append("A new contract of the customer would begin with no renewals made.")
    if model.segments_:
        notes.append(f"The population is that of segment {str(one.carried[str(model.segment)][0])!r}.")
    return tuple(notes)
