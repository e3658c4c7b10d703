"""Who simulated customers are: the models' populations by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predclv.data.checks import check_option, quote_list, suggest
from predclv.kernels.covariates import BETA_LINK

__all__ = [
    "CDNOW_SPEND",
    "MODEL_NAMES",
    "OpportunityPopulation",
    "Population",
    "draw_opportunity_population",
    "draw_population",
    "predict_effects",
    "settle_parameters",
    "settle_spend",
]

FloatArray = NDArray[np.float64]

_BG, _PARETO = ("r", "alpha", "a", "b"), ("r", "alpha", "s", "beta")

# Published estimates on CDNOW, for k = 2 on the grocery data and for opportunities on the donations, are the parameters
# that nothing else is said of.
_DEFAULTS: dict[str, dict[str, float]] = {
    "bg_nbd": dict(zip(_BG, (0.243, 4.414, 0.793, 2.426), strict=True)),
    "mbg_nbd": dict(zip(_BG, (0.525, 6.183, 0.891, 1.614), strict=True)),
    "bg_cnbd": dict(zip(_BG, (0.359, 1.129, 0.523, 2.785), strict=True)),
    "mbg_cnbd": dict(zip(_BG, (1.329, 2.813, 0.425, 0.790), strict=True)),
    "pareto_nbd": dict(zip(_PARETO, (0.553, 10.578, 0.606, 11.669), strict=True)),
    "nbd": {"r": 0.385, "alpha": 12.072},
    "bg_bb": {"alpha": 1.204, "beta": 0.750, "gamma": 0.657, "delta": 2.784},
}
MODEL_NAMES = tuple(_DEFAULTS)
CDNOW_SPEND = {"p": 6.25, "q": 3.74, "gamma": 15.44}


@dataclass(frozen=True)
class Population:
    """Customers as they truly are; arrays of (n_customers,).

    Attributes
    ----------
    rate : array
        Events of the Poisson process per time unit; a purchase is every k-th.
    dropout : array
        Probability of leaving at a purchase.
    lifetime : array
        Infinite but for Pareto/NBD.
    spend_rate : array
        Rate of the gamma of amounts; the mean amount is spend_shape / spend_rate.
    spend_shape : float
    k : int
    dropout_at_first : bool
    """

    rate: FloatArray
    dropout: FloatArray
    lifetime: FloatArray
    spend_rate: FloatArray
    spend_shape: float
    k: int
    dropout_at_first: bool


def predict_effects(
    n: int, covariates: Mapping[str, ArrayLike] | None, effects: Mapping[str, float] | None, option: str
) -> FloatArray | float:
    """Sum up effects times covariates, (n,); 0 where there are none.

    An effect is of a column, "age", or of a level of one, "channel=paid".
    """
    if effects is None:
        return 0.0
    total, columns = np.zeros(n), {name: np.asarray(column) for name, column in (covariates or {}).items()}
    for name, effect in effects.items():
        source, _, level = name.partition("=")
        if source not in columns:
            raise ValueError(
                f"{option}: {source!r} is none of the covariates, {quote_list(columns) or 'none'}."
                f"{suggest(source, columns)}"
            )
        column = columns[source]
        if len(column) != n:
            raise ValueError(f"Covariate {source!r} holds {len(column):,} values for {n:,} customers.")
        total += effect * (column.astype(str) == level if level else column.astype(np.float64))
    if not np.isfinite(total).all():
        raise ValueError(f"{option}: effects times covariates must be finite.")
    return total


@dataclass(frozen=True)
class OpportunityPopulation:
    """Customers who have opportunities to buy, as they truly are; arrays of (n_customers,).

    Attributes
    ----------
    buying, leaving : arrays
        Probabilities of using an opportunity, and of leaving before one.
    spend_rate : array
        Rate of the gamma of amounts.
    spend_shape : float
    """

    buying: FloatArray
    leaving: FloatArray
    spend_rate: FloatArray
    spend_shape: float


def settle_parameters(model: str, parameters: Mapping[str, float] | None) -> dict[str, float]:
    """Return the parameters of `model`, by default published ones, or raise ValueError."""
    check_option("model", model, MODEL_NAMES)
    return _settle(f"parameters of {model}", _DEFAULTS[model], parameters)


def settle_spend(parameters: Mapping[str, float] | None) -> dict[str, float]:
    """Return p, q and gamma of the spend, by default those of CDNOW, or raise ValueError."""
    return _settle("parameters of spend", CDNOW_SPEND, parameters)


def draw_population(
    generator: np.random.Generator,
    n: int,
    model: str,
    parameters: Mapping[str, float],
    spend: Mapping[str, float],
    k: int | None,
    predictors: tuple[FloatArray | float, FloatArray | float] = (0.0, 0.0),
) -> Population:
    """Draw n customers; `predictors` are what covariates on purchase and on dropout add up to, (n,) each, or 0."""
    is_counting = model.endswith("cnbd")
    if k is not None and (k < 1 or (k > 1 and not is_counting)):
        raise ValueError(f"k={k} must be 1, or at least 1 for 'bg_cnbd' and 'mbg_cnbd'.")
    rate = generator.gamma(parameters["r"], np.exp(predictors[0]) / parameters["alpha"], n)
    dropout, lifetime = np.zeros(n), np.full(n, np.inf)
    if "s" in parameters:
        leaving = generator.gamma(parameters["s"], np.exp(predictors[1]) / parameters["beta"], n)
        # A rate of leaving may underflow to zero: such a customer never leaves.
        np.divide(generator.standard_exponential(n), leaving, out=lifetime, where=leaving > 0)
    if "a" in parameters:
        theta = (parameters[name] for name in ("r", "alpha", "a", "b"))
        dropout = generator.beta(*BETA_LINK.shift(theta, *predictors)[2:], n)
    spend_rate = generator.gamma(spend["q"], 1.0 / spend["gamma"], n)
    stages = k if k is not None else (2 if is_counting else 1)
    return Population(rate, dropout, lifetime, spend_rate, float(spend["p"]), stages, model.startswith("mbg"))


def draw_opportunity_population(
    generator: np.random.Generator, n: int, parameters: Mapping[str, float], spend: Mapping[str, float], k: int | None
) -> OpportunityPopulation:
    """Draw n customers of BG/BB."""
    if k not in (None, 1):
        raise ValueError(f"k={k} must be 1, or at least 1 for 'bg_cnbd' and 'mbg_cnbd'.")
    return OpportunityPopulation(
        generator.beta(parameters["alpha"], parameters["beta"], n),
        generator.beta(parameters["gamma"], parameters["delta"], n),
        generator.gamma(spend["q"], 1.0 / spend["gamma"], n),
        float(spend["p"]),
    )


def _settle(what: str, defaults: Mapping[str, float], given: Mapping[str, float] | None) -> dict[str, float]:
    if given is None:
        return dict(defaults)
    for name, value in given.items():
        if name not in defaults:
            raise ValueError(f"{name!r} is none of the {what}: {quote_list(defaults)}.{suggest(name, defaults)}")
        if not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r} must be positive and finite.")
    if missing := [name for name in defaults if name not in given]:
        raise ValueError(f"The {what} lack {quote_list(missing)}.")
    return {name: float(given[name]) for name in defaults}
