"""Why a buyer's forecast is what it is: history, path, product, weights and what would change it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.columns import margins
from predclv.data.frames import PANDAS
from predclv.data.lookup import find_rows
from predclv.data.purchase_times import read_purchases
from predclv.data.rfm import RFMSummary
from predclv.errors import see
from predclv.forecast import purchases as counts
from predclv.forecast.spend import mean_expected_spend
from predclv.models.base import require_summary
from predclv.models.customer_view import CustomerView
from predclv.models.estimates import Estimate, center_draws, choose_theta
from predclv.models.explanation import Explanation, Told
from predclv.models.gamma_gamma import GammaGamma
from predclv.models.horizons import parse_discount_rate
from predclv.models.transactions import TransactionModel

__all__ = ["explain_buyer"]

_WEEKS_OF_SILENCE = (4, 13, 26)
_MISSED = (1, 2, 3)
_LARGER = 1.1


def explain_buyer(model: TransactionModel, spend: GammaGamma | None, rfm: RFMSummary, told: Told) -> Explanation:
    """Explain one customer's forecast by a transaction model and, where there is one, a spend model."""
    require_summary(rfm)
    position = find_rows(rfm.customer_id, told.customer_id)
    one = replace(rfm.pick(position), backend=PANDAS, customer_id=np.array([str(told.customer_id)], dtype=object))
    x, t_x, T = (float(column[0]) for column in (one.frequency, one.recency, one.T))
    names, rows = _scenarios(one, spend, told.estimate)
    table = told.forecast(rows)
    part = model.parts(one)[0].model
    parsed = model.parse_horizon(told.horizon, rfm.time_unit, rfm.observation_end)
    look = CustomerView(part, one, parsed, choose_theta(part.posterior_, told.estimate))
    times = None if told.purchases is None else read_purchases(told.purchases, one)
    if times is None and x <= 1:
        times = np.array([0.0] if x == 0 else [0.0, t_x])
    value = _product(look, spend, told)
    return Explanation(
        customer_id=told.customer_id,
        model=type(model).__name__ + ("" if spend is None else f" and {type(spend).__name__}"),
        kind="purchases" if rfm.opportunities is None else "opportunities",
        time_unit=rfm.time_unit,
        horizon=parsed.label,
        level=told.level,
        currency=rfm.currency,
        observation_end=rfm.observation_end,
        forecast=table.iloc[0].drop("customer_id").rename(told.customer_id),
        history=_history(one, look),
        alive=look.alive(times),
        purchase_times=tuple((np.array([0.0, t_x, T])[: 2 if x else 1] if times is None else times).tolist()),
        distribution=look.distribution(),
        value=value,
        weights=_weights(look, spend, told.estimate),
        changes=_changes(names, table),
        notes=_notes(model, spend, one, table.iloc[0], known=times is not None),
    )


def _scenarios(one: RFMSummary, spend: GammaGamma | None, estimate: Estimate | None) -> tuple[list[str], RFMSummary]:
    """The customer as they are, and as they would be: rows of one summary, under the names of what has happened."""
    x, t_x, T = (float(column[0]) for column in (one.frequency, one.recency, one.T))
    money = 0.0 if one.monetary_value is None else float(one.monetary_value[0])
    rows = [("as it is", x, t_x, T, money)]
    basket = money
    if spend is not None and one.monetary_value is not None:
        # One more of the expected amount; where that is infinite, one like those before.
        expected = float(spend.expected_spend(one, estimate=estimate)["expected_spend"].iloc[0])
        basket = (x * money + expected) / (x + 1) if np.isfinite(expected) else money
    unit = one.time_unit
    if one.opportunities is not None:
        rows.append((f"the next {unit} used", x + 1, T + 1, T + 1, basket))
        rows += [(_missed(n, unit), x, t_x, T + n, money) for n in _MISSED]
    else:
        if t_x < T:
            rows.append(("one more purchase today", x + 1, T, T, basket))
        week = 7 / one.days_per_unit
        rows += [(f"another {n} weeks of silence", x, t_x, T + n * week, money) for n in _WEEKS_OF_SILENCE]
    if spend is not None and x > 0 and money > 0:
        rows.append(("baskets 10 % larger", x, t_x, T, _LARGER * money))
    names, *columns = zip(*rows, strict=True)
    repeated = np.zeros(len(rows), dtype=np.int64)
    who = one.customer_id[0]
    made = replace(
        one,
        customer_id=np.array([who, *(f"{who}, {name}" for name in names[1:])], dtype=object),
        frequency=np.array(columns[0], dtype=np.int64),
        recency=np.array(columns[1]),
        T=np.array(columns[2]),
        monetary_value=None if spend is None or one.monetary_value is None else np.array(columns[3]),
        first_purchase=None,
        log_itt=None,
        weight=None,
        carried={name: column[repeated] for name, column in one.carried.items()},
    )
    return list(names), made


def _missed(n: int, unit: str) -> str:
    return f"the next {unit} missed" if n == 1 else f"the next {n} {unit}s missed"


def _history(one: RFMSummary, look: CustomerView) -> pd.DataFrame:
    """What is known of the customer."""
    _, t_x, T = (float(column[0]) for column in look.history)
    unit = one.time_unit
    rows: list[tuple[str, Any, str]] = [
        ("frequency", int(one.frequency[0]), "repeat purchases" if one.opportunities is None else f"{unit}s used"),
        ("recency", t_x, unit),
        ("T", T, unit),
        ("silence", T - t_x, unit),
        ("expected_gap", 1.0 / look.rate(*look.history), unit),
    ]
    if one.monetary_value is not None:
        rows.append(("monetary_value", float(one.monetary_value[0]), one.currency or "money"))
    if one.first_purchase is not None:
        rows.append(("first_purchase", str(one.first_purchase[0].astype("datetime64[D]")), "date"))
    if one.weight is not None:
        rows.append(("customers like this", int(one.weight[0]), "customers"))
    rows += [(name, column[0], "carried") for name, column in one.carried.items()]
    return pd.DataFrame(rows, columns=["quantity", "value", "unit"])


def _product(look: CustomerView, spend: GammaGamma | None, told: Told) -> pd.DataFrame:
    """The forecast as a product; each factor is at the same estimate as the forecast."""
    bindings, length = look.model.bindings, look.horizon.length
    finite = bool(np.isfinite(length))
    theta = look.theta[: center_draws(length)]
    if spend is not None:
        look = replace(look, theta=theta)
    rate = look.rate(*look.history) * look.units_a_year
    p_alive = float(bindings.mean_p_alive(*look.history, theta)[0])
    rows = [
        ("p_alive", p_alive, "probability that the customer is still there; it is part of the years"),
        ("purchases_a_year", rate, "how often: purchases a year of one who is there and stays"),
    ]
    plain = discounted = float("nan")
    if finite:
        plain = float(bindings.mean_expected_purchases(*look.history, length, theta)[0])
    if spend is not None:
        delta = parse_discount_rate(told.discount_rate, look.horizon, look.one.time_unit)
        discounted = float(counts.mean_discounted_purchases(bindings, *look.history, length, delta, theta)[0])
    if finite:
        meaning = f"how long: years of that within {look.horizon.label}, with the chance of having left or leaving"
        rows += [
            ("years", plain / rate, meaning),
            ("expected_purchases", plain, "how often × how long"),
        ]
    else:
        meaning = "how long: years of that, later ones discounted, with the chance of having left or leaving"
        rows.append(("years", discounted / rate, meaning))
    if spend is not None:
        rows += _money_rows(look, spend, told, plain, discounted)
    return pd.DataFrame(rows, columns=["part", "value", "meaning"])


def _money_rows(
    look: CustomerView, spend: GammaGamma, told: Told, plain: float, discounted: float
) -> list[tuple[str, float, str]]:
    own = spend.parts(look.one)[0].model
    assert look.one.monetary_value is not None
    theta = choose_theta(own.posterior_, told.estimate)[: center_draws(look.horizon.length)]
    expected = float(mean_expected_spend(look.history[0], look.one.monetary_value, theta)[0])
    margin = float(margins(look.one, told.margin)[0])
    rows = [
        ("expected_spend", expected, "how much: expected spend of a purchase"),
        ("margin", margin, "share of it that is kept"),
    ]
    if np.isfinite(plain):
        share = discounted / plain if plain > 0 else 1.0
        rows.append(("discount", share, f"what later money is worth today, at {told.discount_rate:.3g} a year"))
    rows.append(("expected_clv", discounted * expected * margin if margin > 0 else 0.0, "the product"))
    return rows


def _weights(look: CustomerView, spend: GammaGamma | None, estimate: Estimate | None) -> pd.DataFrame:
    """How much of the rate, and of the spend, is the customer's own history and how much the population's.

    Given alive, λ ~ Gamma(r + x, α + T), whose mean weighs x / T by T / (α + T) and r / α by the rest; p of BG/BB is
    Beta(α + x, β + n − x), which weighs x / n by n / (α + β + n). Gamma-Gamma weighs the mean spend by
    p x / (p x + q − 1): Fader & Hardie (2013), eq. (5).
    """
    x, _, T = look.history
    names = [parameter.name for parameter in look.model.PARAMETERS]
    prior = look.theta[:, names.index("alpha")]
    if look.model.bindings.counts_opportunities:
        prior = prior + look.theta[:, names.index("beta")]
    zero = np.zeros(1)
    rows = [
        (
            "purchase rate",
            float(x[0] / T[0]) if T[0] > 0 else float("nan"),
            look.rate(zero, zero, zero),
            look.rate(*look.history),
            float((T[0] / (prior + T[0])).mean()),
            f"purchases a {look.one.time_unit} of one who is there and stays",
        )
    ]
    if spend is not None:
        own = spend.parts(look.one)[0].model
        assert look.one.monetary_value is not None
        theta = choose_theta(own.posterior_, estimate)
        p, q, _ = theta.T
        money = look.one.monetary_value
        # For q at most 1 the population has no mean to weigh against.
        weight = float((p * x[0] / (p * x[0] + q - 1)).mean()) if x[0] == 0 or (q > 1).all() else float("nan")
        rows.append(
            (
                "spend",
                float(money[0]) if x[0] > 0 else float("nan"),
                float(mean_expected_spend(zero, zero, theta)[0]),
                float(mean_expected_spend(x, money, theta)[0]),
                weight if x[0] > 0 else 0.0,
                "spend of a purchase",
            )
        )
    return pd.DataFrame(rows, columns=["quantity", "own", "population", "forecast", "weight", "meaning"])


def _changes(names: list[str], table: pd.DataFrame) -> pd.DataFrame:
    wanted = ("p_alive", "p_purchase", "expected_purchases", "expected_spend", "expected_clv")
    found = table[[name for name in wanted if name in table]].reset_index(drop=True)
    headline = found["expected_clv" if "expected_clv" in found else "expected_purchases"].to_numpy(dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = headline / headline[0] - 1.0
    found.insert(0, "scenario", names)
    return found.assign(change=change)


def _notes(
    model: TransactionModel, spend: GammaGamma | None, one: RFMSummary, row: pd.Series[Any], *, known: bool
) -> tuple[str, ...]:
    notes = []
    x, T, t_x = int(one.frequency[0]), float(one.T[0]), float(one.recency[0])
    name = type(model).__name__
    if model.KEY == "nbd":
        notes.append(f"p_alive is 1 by construction: in {name} nobody ever leaves. It is there to be compared with.")
    elif x == 0 and float(row["p_alive"]) == 1.0 and t_x < T:
        notes.append(
            f"p_alive is 1 by construction: in {name} nobody leaves before a repeat purchase. p_purchase is the figure "
            f"to read.{see('one-time buyers')}"
        )
    if not known:
        notes.append("The times between the first purchase and the last are not known; purchases= tells them.")
    if t_x == T and one.opportunities is None:
        notes.append("The customer bought at the as-of date itself, so one more purchase that day would not count.")
    if model.segments_:
        notes.append(f"The population is that of segment {str(one.carried[str(model.segment)][0])!r}.")
    if spend is not None and spend.segments_:
        notes.append(f"Spend is weighed against that of segment {str(one.carried[str(spend.segment)][0])!r}.")
    covariates = getattr(model, "covariates_", None)
    if covariates is not None:
        said = ", ".join(f"{name} = {one.carried[name][0]}" for name in covariates.sources)
        notes.append(f"The population is that of customers with {said}.")
    return tuple(notes)
