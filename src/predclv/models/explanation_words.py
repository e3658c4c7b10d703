"""An explanation in plain words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from predclv.models.explanation import Explanation

__all__ = ["buyer", "contract"]


def percent(share: float, *, sign: bool = False) -> str:
    """'12 %'; between 0 and 1, or 99 and 100, not rounded to what is not meant."""
    if not math.isfinite(share):
        return "an unknown share"
    if not sign and 0 < share < 0.005:
        return "under 1 %"
    if not sign and 0.995 <= share < 1:
        return "over 99 %"
    return f"{share:{'+' if sign else ''}.0%}".replace("%", " %")


def amount(value: float, currency: str | None) -> str:
    """'1,234 USD', '12.34 USD', '12.34' where no currency is known."""
    if not math.isfinite(value):
        return "infinitely much" if value > 0 else "an unknown amount"
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"
    return f"{number} {currency}" if currency else number


def count(number: float, noun: str) -> str:
    """'1 week', '3.5 weeks'."""
    return f"{number:,.3g} {noun}{'' if number == 1 else 's'}"


def times(n: float) -> str:
    """'once', 'twice', '3 times'."""
    return {1: "once", 2: "twice"}.get(int(n), f"{n:,.0f} times")


def buyer(told: Explanation) -> list[str]:
    """Of a customer without a contract."""
    lines = [_headline(told), _alive(told), _purchases(told)]
    if "expected_clv" in told.forecast:
        lines.append(_value(told))
    return [*lines, _weights(told), *_changes(told)]


def _headline(told: Explanation) -> str:
    unit, x = told.time_unit, told.fact("history", "frequency")
    age, silence = told.fact("history", "T"), told.fact("history", "silence")
    end = "" if told.observation_end is None else f" as of {told.observation_end}"
    if told.kind == "opportunities":
        used = f"used {x:,.0f} of {count(age, f'{unit}')} after that of the first purchase"
        last = "" if x == 0 else ", the last one" if silence == 0 else f", the last {count(silence, unit)} ago"
        return f"Customer {told.customer_id} has {used}{last}{end}."
    if x == 0:
        return f"Customer {told.customer_id} has bought once, {count(age, unit)} ago{end}."
    last = "today" if silence == 0 else f"{count(silence, unit)} ago"
    return f"Customer {told.customer_id} has bought again {times(x)} in {count(age, unit)}, the last time {last}{end}."


def _alive(told: Explanation) -> str:
    p, silence = float(told.forecast["p_alive"]), told.fact("history", "silence")
    said = f"{percent(p)} likely to be a customer still"
    gap = told.fact("history", "expected_gap")
    if told.kind == "opportunities":
        return f"{said} at the next {told.time_unit}; one who stays uses {percent(1 / gap)} of them."
    if silence == 0:
        return f"{said}, after a purchase just now; one who stays buys every {count(gap, told.time_unit)}."
    return (
        f"{said}: one who stays buys every {count(gap, told.time_unit)}, and the silence is {silence / gap:.2g} times "
        "as long."
    )


def _purchases(told: Explanation) -> str:
    row = told.forecast
    if math.isnan(float(row["expected_purchases"])):
        return f"{percent(float(row['p_purchase']))} likely to buy again some day."
    return (
        f"Within {told.horizon} {float(row['expected_purchases']):.3g} purchases are expected ({percent(told.level)} "
        f"interval {row['purchases_low']:,} to {row['purchases_high']:,}), at least one with "
        f"{percent(float(row['p_purchase']))}."
    )


def _value(told: Explanation) -> str:
    row, currency = told.forecast, told.currency
    rate, years = told.fact("value", "purchases_a_year"), told.fact("value", "years")
    spend, margin = told.fact("value", "expected_spend"), told.fact("value", "margin")
    what = "renewal" if told.kind == "contract" else "purchase"
    product = f"{count(rate, what)} a year × {count(years, 'year')} × {amount(spend, currency)} a {what}"
    product += "" if margin == 1 else f" × margin {margin:.3g}"
    names = set(told.value["part"])
    product += f" × {told.fact('value', 'discount'):.3g} for discounting" if "discount" in names else " (discounted)"
    return (
        f"Worth {amount(float(row['expected_clv']), currency)} ({percent(told.level)} interval "
        f"{amount(float(row['clv_low']), currency)} to {amount(float(row['clv_high']), currency)}) = {product}."
    )


def _weights(told: Explanation) -> str:
    known = {name: weight for name, weight in told.column("weights", "weight").items() if math.isfinite(weight)}
    if not known:
        return "How much of it is the customer's own history cannot be told."
    said = " and ".join(f"{percent(weight)} of the forecast {name}" for name, weight in known.items())
    return f"Their own history makes {said}; the rest is what customers do in general."


def _changes(told: Explanation) -> list[str]:
    changes = list(told.column("changes", "change").items())[1:]
    said = [f"{name} {percent(change, sign=True)}" for name, change in changes if math.isfinite(change)]
    what = "value" if "expected_clv" in told.forecast else "expected purchases"
    return [f"What would change the {what}: {', '.join(said)}."] if said else []


def contract(told: Explanation) -> list[str]:
    """Of a contract."""
    row, period = told.forecast, told.time_unit
    tenure = told.fact("history", "tenure")
    end = "" if told.observation_end is None else f" as of {told.observation_end}"
    renewed = f"has been renewed {times(tenure)}" if tenure else "has not been renewed yet"
    renewed += f", a {period} each"
    if float(row["p_alive"]) == 0.0:
        return [f"The contract of customer {told.customer_id} {renewed}, and has ended{end}.", "Nothing is expected."]
    renews, anyone = (told.column("weights", of)["next renewal"] for of in ("forecast", "population"))
    lines = [
        f"The contract of customer {told.customer_id} {renewed}, and runs{end}.",
        f"{percent(renews)} likely to make the next renewal; a new customer, {percent(anyone)}.",
    ]
    if not math.isnan(float(row["expected_purchases"])):
        lines.append(
            f"Within {told.horizon} {float(row['expected_purchases']):.3g} renewals are expected "
            f"({percent(told.level)} interval {row['purchases_low']:,} to {row['purchases_high']:,})."
        )
    if "expected_clv" in row:
        lines.append(_value(told))
    return [*lines, _weights(told), *_changes(told)]
