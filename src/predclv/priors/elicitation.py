"""From what a manager knows to priors.

Each function finds the parameters at which the model says what was stated, and centres log-normal priors there.
`within` says how sure the statement is: right within that factor, with 90 % probability. The parameters' priors are
independent, so the factor is shared out among those that the stated quantity is a ratio or product of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from predclv.priors.distributions import LogNormal, Prior
from predclv.priors.settle import DAYS

__all__ = ["elicit_purchases", "elicit_retention", "elicit_spend"]

_Z90 = 1.6448536269514722
_LARGEST_SHAPE = 1e4
_NODES = 64


def elicit_purchases(
    per_year: float,
    between: tuple[float, float],
    *,
    share: float = 0.8,
    within: float = 2.0,
    time_unit: str = "week",
    k: int = 1,
) -> dict[str, Prior]:
    """Priors on r and alpha from how often customers buy: "about 4 times a year, most of them between 1 and 12".

    Parameters
    ----------
    per_year : float
        Purchases a year of a customer who has not left, on average over customers.
    between : (float, float)
        Purchases a year between which `share` of the customers lie, in the long run.
    share : float
        What "most" means.
    within : float
        `per_year` is right within this factor, with 90 % probability.
    time_unit : str
        Unit that alpha is written in; a fit converts it to the summary's.
    k : int
        Events to a purchase, for BGCNBD and MBGCNBD with that k: their alpha is of events.

    Returns
    -------
    dict of "r" and "alpha"

    Raises
    ------
    ValueError
        The statements contradict each other.
    """
    low, high = _check_range("between", between)
    _check_between("share", share, 0.0, 1.0)
    if not low < per_year < high:
        raise ValueError(
            f"Contradiction: {per_year:g} purchases a year on average do not lie between {low:g} and {high:g}."
        )
    _check_time_unit(time_unit)
    events = _check_events(k)
    from scipy.special import gammainc

    def excess(log_r: float) -> float:
        r = math.exp(log_r)
        return float(gammainc(r, r * high / per_year) - gammainc(r, r * low / per_year)) - share

    r = _solve_shape(
        excess,
        f"{per_year:g} purchases a year on average, and {share:.0%} of customers between {low:g} and {high:g}",
    )
    alpha = r / (events * per_year) * 365.25 / DAYS[time_unit]
    spread = _spread(within, 2)
    return {"r": LogNormal(r, spread), "alpha": LogNormal(alpha, spread, unit=time_unit)}


def elicit_retention(
    still_here: float,
    *,
    after_years: float = 1.0,
    purchases: Mapping[str, Prior],
    alike: float = 3.0,
    within: float = 2.0,
) -> dict[str, Prior]:
    """Priors on a and b of BG/NBD from how many customers stay: "70 % are still with us after a year".

    A customer may leave after each repeat purchase, so how many are left after a year depends on how often they buy:
    give the priors of `elicit_purchases`. Purchases are taken to come at random times; for regular buyers, BGCNBD, that
    is an approximation.

    Parameters
    ----------
    still_here : float
        Share of new customers who have not left for good `after_years` from their first purchase. Who bought once and
        never again counts as still here, because BG/NBD lets nobody leave before a first repeat purchase.
    after_years : float
    purchases : mapping
        Priors with "r" and "alpha", the latter with its time unit, and of purchases: k = 1.
    alike : float
        a + b: how alike customers are in leaving. 1 means that some leave at once and others never, 3 is what CDNOW
        shows, 10 and more that all leave alike.
    within : float
        The odds of leaving at a purchase are right within this factor, with 90 % probability.

    Returns
    -------
    dict of "a" and "b"

    Raises
    ------
    ValueError
        No dropout fits the statement: fewer customers come back at all than should have left.
    """
    _check_between("still_here", still_here, 0.0, 1.0)
    _check_between("after_years", after_years, 0.0, math.inf)
    _check_between("alike", alike, 0.0, math.inf)
    r, time_over_alpha = _rate_and_time(purchases, after_years)
    least = (1.0 + time_over_alpha) ** -r
    if still_here <= least * 1.001:
        raise ValueError(
            f"Contradiction: {least:.0%} of customers make no repeat purchase within {after_years:g} years at the "
            f"stated rates, and cannot have left before one; so no fewer are still here. Got {still_here:.0%}."
        )
    from scipy.optimize import brentq
    from scipy.special import roots_jacobi

    def excess(log_odds: float) -> float:
        mean = 1.0 / (1.0 + math.exp(-log_odds))
        node, weight = roots_jacobi(_NODES, alike * (1.0 - mean) - 1.0, alike * mean - 1.0)
        # Leaving is a thinned Poisson process of rate lambda p.
        stays = (1.0 + 0.5 * (1.0 + node) * time_over_alpha) ** -r
        return float(stays @ weight / weight.sum()) - still_here

    lowest, highest = -12.0, 12.0
    if excess(lowest) * excess(highest) > 0:
        raise ValueError(
            f"Contradiction: with alike={alike:g}, no mean probability of leaving makes {still_here:.1%} stay for "
            f"{after_years:g} years."
        )
    mean = 1.0 / (1.0 + math.exp(-brentq(excess, lowest, highest)))
    spread = _spread(within, 2)
    return {"a": LogNormal(alike * mean, spread), "b": LogNormal(alike * (1.0 - mean), spread)}


def elicit_spend(
    between: tuple[float, float],
    *,
    share: float = 0.8,
    between_customers: float = 0.5,
    within: float = 2.0,
    currency: str | None = None,
) -> dict[str, Prior]:
    """Priors on p, q and gamma from what a purchase costs: "30 to 80 euro".

    Parameters
    ----------
    between : (float, float)
        Amounts between which `share` of single purchases lie, as many below as above.
    share : float
    between_customers : float
        Part of the variance of log amounts that lies between customers: 0.1 where everyone buys the same things, 0.9
        where each customer always spends alike and customers differ.
    within : float
        The mean purchase is right within this factor, with 90 % probability.
    currency : str, optional
        Of the amounts; a fit refuses a summary in another one.

    Returns
    -------
    dict of "p", "q" and "gamma"

    Raises
    ------
    ValueError
        The range is so wide that no mean spend exists.
    """
    low, high = _check_range("between", between)
    _check_between("share", share, 0.0, 1.0)
    _check_between("between_customers", between_customers, 0.0, 1.0)
    from scipy.optimize import brentq
    from scipy.stats import betaprime

    tail = 0.5 * (1.0 - share)

    def shapes(log_variance: float) -> tuple[float, float]:
        variance = math.exp(log_variance)
        return _shape_of_variance((1.0 - between_customers) * variance), _shape_of_variance(
            between_customers * variance
        )

    # An amount is gamma times a beta prime of p and q: the ratio of two quantiles depends on the variance alone.
    def excess(log_variance: float) -> float:
        p, q = shapes(log_variance)
        return math.log(betaprime.ppf(1.0 - tail, p, q) / betaprime.ppf(tail, p, q)) - math.log(high / low)

    # At the upper end q is 1.05: hardly a mean.
    highest = math.log(min(_variance_of_shape(1.05) / between_customers, _variance_of_shape(0.05)))
    lowest = math.log(_variance_of_shape(_LARGEST_SHAPE) / min(between_customers, 1.0 - between_customers))
    if excess(highest) <= 0:
        raise ValueError(
            f"Contradiction: with {share:.0%} of purchases between {low:g} and {high:g} and {between_customers:.0%} of "
            "the variance between customers, mean spend would be infinite. Narrow the range, take customers to be more "
            "alike, or model the two kinds of customers apart."
        )
    if excess(lowest) >= 0:
        raise ValueError(f"Purchases between {low:g} and {high:g} are all but equal: no spend model is needed.")
    p, q = shapes(brentq(excess, lowest, highest))
    gamma = low / float(betaprime.ppf(tail, p, q))
    spread = _spread(within, 3)
    return {
        "p": LogNormal(p, spread),
        "q": LogNormal(q, spread, above=1.0),
        "gamma": LogNormal(gamma, spread, unit=currency),
    }


def _rate_and_time(purchases: Mapping[str, Prior], years: float) -> tuple[float, float]:
    """Median of r, and the time over the median of alpha."""
    if not isinstance(purchases, Mapping) or not {"r", "alpha"} <= set(purchases):
        raise ValueError("'purchases' must hold priors of 'r' and 'alpha': take them from elicit_purchases.")
    unit = purchases["alpha"].measured_in
    if unit not in DAYS:
        raise ValueError(f"The prior of 'alpha' must say its time unit, one of {', '.join(DAYS)}. Got {unit!r}.")
    r, alpha = (float(purchases[name].quantile(0.5)) for name in ("r", "alpha"))
    return r, years * 365.25 / DAYS[unit] / alpha


def _solve_shape(excess: Callable[[float], float], statement: str) -> float:
    """Shape at which `excess` of its logarithm crosses zero; ValueError where it does not."""
    from scipy.optimize import brentq

    lowest, highest = math.log(1e-2), math.log(_LARGEST_SHAPE)
    if excess(lowest) >= 0 or excess(highest) <= 0:
        raise ValueError(f"Contradiction: no gamma over customers gives {statement}.")
    return math.exp(brentq(excess, lowest, highest))


def _variance_of_shape(shape: float) -> float:
    """Variance of the logarithm of a gamma."""
    from scipy.special import polygamma

    return float(polygamma(1, shape))


def _shape_of_variance(variance: float) -> float:
    from scipy.optimize import brentq

    return math.exp(brentq(lambda log_shape: math.log(_variance_of_shape(math.exp(log_shape)) / variance), -12, 16))


def _spread(within: float, n_parameters: int) -> float:
    """Standard deviation of each of `n_parameters` logarithms whose sum is right within a factor."""
    if not 1 < within < math.inf:
        raise ValueError(f"'within' is a factor above 1: 2 is 'between half and double'. Got {within!r}.")
    return math.log(within) / _Z90 / math.sqrt(n_parameters)


def _check_range(name: str, given: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in given)
    except (TypeError, ValueError):
        raise ValueError(f"{name!r} must be two numbers, the lower one first. Got {given!r}.") from None
    if not (0 < low < high and np.isfinite(high)):
        raise ValueError(f"{name!r} must be two positive numbers, the lower one first. Got {given!r}.")
    return low, high


def _check_between(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        ends = f"above {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
        raise ValueError(f"{name!r} must lie {ends}. Got {value!r}.")


def _check_events(k: object) -> int:
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"'k' must be a whole number from 1 on. Got {k!r}.")
    return int(k)


def _check_time_unit(time_unit: str) -> None:
    if time_unit not in DAYS:
        raise ValueError(f"'time_unit' must be one of {', '.join(DAYS)}. Got {time_unit!r}.")
