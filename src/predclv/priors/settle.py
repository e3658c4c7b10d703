"""From what a user gave and what a model has by default to one prior a parameter, in the data's own units."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from predclv.errors import UnitError
from predclv.parameters import Parameter
from predclv.priors.distributions import Prior

__all__ = ["DAYS", "Scales", "check_priors", "priors_table", "settle_priors", "supported"]

#: Days in a time unit.
DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "year": 365.25}
AGE, BASKET = "age", "basket"


@dataclass(frozen=True)
class Scales:
    """Units of a summary, and the sizes that relative priors are multiples of.

    Attributes
    ----------
    time_unit : str
    currency : str or None
    age : float
        Mean age of the customers, in `time_unit`. It is settled by when they came, not by what they did.
    basket : float or None
        Median of the repeat buyers' mean spend: robust against a few large ones.
    """

    time_unit: str
    currency: str | None
    age: float
    basket: float | None


def check_priors(given: object, defaults: Mapping[str, Prior], parameters: Sequence[Parameter], model: str) -> None:
    """Raise ValueError where `given` is no mapping of parameter names to proper priors with the right support."""
    if not isinstance(given, Mapping):
        raise ValueError(f"'priors' must map parameter names to priors. Got {type(given).__name__}.")
    names = [parameter.name for parameter in parameters]
    for name, prior in given.items():
        if name not in names:
            close = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.4)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{model} has no parameter {name!r} to give a prior; it has {', '.join(names)}.{hint}")
        families = ("Normal",) if parameters[names.index(name)].is_real else ("LogNormal", "Gamma")
        if not isinstance(prior, Prior) or type(prior).__name__ not in families:
            raise ValueError(
                f"The prior of {name!r} must be proper, a {' or a '.join(families)} of predclv.priors. Got {prior!r}."
            )
        lowest = defaults[name].lower_end
        if prior.lower_end < lowest:
            raise ValueError(
                f"The prior of {name!r} reaches below {lowest:g}, where {model} gives a new customer no finite mean. "
                f"Set above={lowest:g}."
            )
        unit = parameters[names.index(name)].unit
        if prior.measured_in is not None and (unit is None or (unit == "time") != (prior.measured_in in (*DAYS, AGE))):
            wanted = {None: "none", "time": f"one of {', '.join(DAYS)}, {AGE}", "money": f"a currency or {BASKET}"}
            raise ValueError(
                f"The prior of {name!r} is in {prior.measured_in!r}; the unit of this parameter is {wanted[unit]}."
            )


def settle_priors(
    given: Mapping[str, Prior] | None, defaults: Mapping[str, Prior], parameters: Sequence[Parameter], scales: Scales
) -> dict[str, Prior]:
    """One prior a parameter, in order, in the summary's own units."""
    chosen = {**defaults, **(given or {})}
    return {parameter.name: _convert(chosen[parameter.name], parameter, scales) for parameter in parameters}


def supported(parameters: Sequence[Parameter], priors: Mapping[str, Prior]) -> tuple[Parameter, ...]:
    """The parameters with the domain that their priors leave them."""
    return tuple(
        parameter if priors[parameter.name].lower_end == parameter.above else _within(parameter, priors[parameter.name])
        for parameter in parameters
    )


def _within(parameter: Parameter, prior: Prior) -> Parameter:
    """The parameter with the domain and the middle 90 % of its prior."""
    above = prior.lower_end
    low, high = (float(end) - above for end in prior.quantile([0.05, 0.95]))
    # The lower quantile of a very wide prior is the lower end to all digits.
    return replace(parameter, above=above, typical=(above + max(low, 1e-9 * high), above + high))


def priors_table(priors: Mapping[str, Prior], parameters: Sequence[Parameter] = ()) -> pd.DataFrame:
    """One row a prior: parameter, prior, low (5 %), median, high (95 %), unit and, where known, its meaning."""
    meaning = {parameter.name: parameter.meaning for parameter in parameters}
    rows: list[dict[str, Any]] = []
    for name, prior in priors.items():
        low, median, high = (float(value) for value in prior.quantile([0.05, 0.5, 0.95]))
        rows.append(
            {
                "parameter": name,
                "prior": str(prior),
                "low": low,
                "median": median,
                "high": high,
                "unit": prior.measured_in or "",
                "meaning": meaning.get(name, ""),
            }
        )
    return pd.DataFrame(rows)


def _convert(prior: Prior, parameter: Parameter, scales: Scales) -> Prior:
    unit = prior.measured_in
    if parameter.unit == "time":
        factor = 1.0 if unit is None else scales.age if unit == AGE else DAYS[unit] / DAYS[scales.time_unit]
        return prior.rescale(factor, scales.time_unit)
    if unit == AGE:
        # The number of opportunities had, which a probability of each goes by.
        return prior.rescale(scales.age, None)
    if parameter.unit != "money":
        return prior
    if unit == BASKET:
        if scales.basket is None:
            raise ValueError(f"The prior of {parameter.name!r} is in baskets, and the summary holds no spend.")
        return prior.rescale(scales.basket, scales.currency)
    if unit is not None and scales.currency is not None and unit != scales.currency:
        raise UnitError(
            f"The prior of {parameter.name!r} is in {unit!r} and the summary in {scales.currency!r}. Convert the prior "
            "with its rescale(rate, currency)."
        )
    return prior.rescale(1.0, scales.currency or unit)
