"""What covariates do to customers, as a table with a sentence each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from predclv.inference.posterior import Posterior
from predclv.models.covariates.columns import Covariates
from predclv.models.covariates.encoding import Coefficient

__all__ = ["describe_effects"]


def describe_effects(
    posterior: Posterior, covariates: Covariates, dropout_effect: str, level: float = 0.9
) -> pd.DataFrame:
    """One row a coefficient: what it compares, by how much it multiplies, and in words.

    Parameters
    ----------
    posterior : Posterior
        Its parameters from the fifth on are the coefficients.
    covariates : Covariates
    dropout_effect : str
        What more or less of is said of coefficients on dropout: "odds of leaving after a purchase".
    level : float
        Probability of the intervals.

    Returns
    -------
    DataFrame
        covariate, on, contrast, coefficient, std_error, low, high, multiplier, multiplier_low, multiplier_high,
        meaning. Numbers are of the contrast, per unit of a numeric column; its sentence is of one standard deviation,
        and gives the multiplier of one unit beside.
    """
    table = posterior.summary(level).iloc[4:][["estimate", "std_error", "low", "high"]].to_numpy(dtype=np.float64)
    rows = []
    for (prefix, each), of_step in zip(covariates.coefficients, table, strict=True):
        coefficient, error, low, high = (of_step / each.scale).tolist()
        rows.append(
            {
                "covariate": each.source,
                "on": prefix,
                "contrast": _contrast(each),
                "coefficient": coefficient,
                "std_error": error,
                "low": low,
                "high": high,
                "multiplier": _exp(coefficient),
                "multiplier_low": _exp(low),
                "multiplier_high": _exp(high),
                "meaning": _sentence(prefix, each, of_step[[0, 2, 3]].tolist(), dropout_effect),
            }
        )
    return pd.DataFrame(rows)


def _sentence(prefix: str, each: Coefficient, step: Sequence[float], dropout_effect: str) -> str:
    """Put it as "channel = paid instead of organic: 12 % fewer purchases a year while a customer (3 to 20 % fewer)"."""
    estimate, low, high = step
    if prefix == "purchase":
        more, fewer, what, after = "more", "fewer", "purchases a year", " while a customer"
    else:
        more, fewer, what, after = "higher", "lower", dropout_effect, ""
    words = _share(estimate, more, fewer)
    size = (
        f"{words} {what}{after}" if words else f"as many {what}{after}" if prefix == "purchase" else f"the same {what}"
    )
    of_unit = "" if each.scale == 1.0 else f"; {each.contrast}: × {_exp(estimate / each.scale):.4g}"
    return f"{_who(each)}: {size} ({_interval(low, high, more, fewer)}){of_unit}"


def _contrast(each: Coefficient) -> str:
    """Put it as "1 more (one standard deviation is 28.75)"."""
    return each.contrast if each.scale == 1.0 else f"{each.contrast} (one standard deviation is {each.scale:.4g})"


def _who(each: Coefficient) -> str:
    if each.scale != 1.0:
        return each.step
    return f"{each.source} = {each.contrast}" if " instead of " in each.contrast else f"{each.source}, {each.contrast}"


def _share(coefficient: float, more: str, fewer: str) -> str:
    """Put it as "12 % fewer"; an empty string where it is nothing to the percent."""
    change = _exp(coefficient) - 1.0
    if change >= 1.0:
        return f"{_exp(coefficient):.3g} times as many" if more == "more" else f"{_exp(coefficient):.3g} times the"
    percent = f"{abs(change):.0%}".replace("%", " %")
    return "" if percent == "0 %" else f"{percent} {more if change > 0 else fewer}"


def _interval(low: float, high: float, more: str, fewer: str) -> str:
    """Put it as "3 to 20 % fewer", or "5 % fewer to 8 % more", the smaller change first where both point one way."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "not determined"
    changes = [_exp(low) - 1.0, _exp(high) - 1.0]
    if max(changes) >= 1.0:
        return f"{_exp(low):.3g} to {_exp(high):.3g} times"
    near, far = sorted(changes, key=abs)
    if near * far > 0:
        return f"{abs(near) * 100:.0f} to {abs(far) * 100:.0f} % {more if far > 0 else fewer}"
    return f"{abs(changes[0]) * 100:.0f} % {fewer} to {changes[1] * 100:.0f} % {more}"


def _exp(value: float) -> float:
    """Exponential that may be infinite, as of a coefficient that the data do not hold."""
    return math.exp(value) if value < 700.0 else math.inf
