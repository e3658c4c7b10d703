"""Contracts: published cohorts, and simulated ones with known truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_option, quote_list, suggest
from predclv.data.periods import check_period, count_renewals, renewal_date
from predclv.data.subscriptions import Subscriptions

__all__ = [
    "SimulatedContracts",
    "SimulatedSubscriptions",
    "load_retention",
    "settle_contract_parameters",
    "simulate_contracts",
    "simulate_subscriptions",
]

IntArray = NDArray[np.int64]

# The published fit of the High End cohort, and a population in which customers grow more loyal as they stay.
_DEFAULTS: dict[str, dict[str, float]] = {
    "sbg": {"alpha": 0.668, "beta": 3.806},
    "bdw": {"alpha": 1.0, "beta": 2.5, "c": 0.8},
}


@dataclass(frozen=True, eq=False)
class SimulatedContracts:
    """Subscriptions whose truth, and whose future, is known.

    Attributes
    ----------
    subs : Subscriptions
    truth : pandas.DataFrame
        A row a contract: customer_id, theta (the chance of leaving at the first renewal), renewals (made in all; the
        largest integer for those beyond counting).
    parameters : dict
    model : str
    """

    subs: Subscriptions
    truth: pd.DataFrame
    parameters: dict[str, float]
    model: str

    def renewals_within(self, n_renewals: int) -> IntArray:
        """Of the next `n_renewals` renewals, how many each contract made; 0 for those that had ended, (n,)."""
        further = self.truth["renewals"].to_numpy() - self.subs.tenure
        return np.where(self.subs.ended, 0, np.minimum(further, n_renewals))


@dataclass(frozen=True, eq=False)
class SimulatedSubscriptions:
    """A log of subscriptions whose truth is known.

    Attributes
    ----------
    log : pandas.DataFrame
        A row a subscription: customer_id, start, end (missing where it runs), price; for `Subscriptions.from_log`.
    truth : pandas.DataFrame
        As of `SimulatedContracts`.
    parameters : dict
    model : str
    """

    log: pd.DataFrame
    truth: pd.DataFrame
    parameters: dict[str, float]
    model: str


def load_retention() -> pd.DataFrame:
    """Percent of two cohorts of subscribers who are left after 0, 1, ..., 12 years.

    Returns
    -------
    DataFrame
        A row for each cohort, "Regular" and "High End"; columns 0 to 12. For `Subscriptions.from_cohorts` with
        values="percent".

    References
    ----------
    Fader & Hardie (2007), How to Project Customer Retention, Journal of Interactive Marketing 21(1), table 1.
    """
    cohorts = {
        "Regular": [100, 63.1, 46.8, 38.2, 32.6, 28.9, 26.2, 24.1, 22.3, 20.7, 19.4, 18.3, 17.3],
        "High End": [100, 86.9, 74.3, 65.3, 59.3, 55.1, 51.7, 49.1, 46.8, 44.5, 42.7, 40.9, 39.4],
    }
    return pd.DataFrame.from_dict(cohorts, orient="index").rename_axis("cohort")


def settle_contract_parameters(model: str, parameters: Mapping[str, float] | None) -> dict[str, float]:
    """Return the parameters of a contract model, by default such as have been published, or raise ValueError."""
    check_option("model", model, tuple(_DEFAULTS))
    defaults = _DEFAULTS[model]
    if parameters is None:
        return dict(defaults)
    if set(parameters) != set(defaults):
        wrong = next(iter(set(parameters) ^ set(defaults)))
        raise ValueError(f"parameters of {model} are {quote_list(defaults)}; {wrong!r}?{suggest(wrong, defaults)}")
    for name, value in parameters.items():
        if not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r} must be positive and finite.")
    return {name: float(parameters[name]) for name in defaults}


def simulate_contracts(
    model: str = "sbg",
    *,
    n_customers: int = 1_000,
    parameters: Mapping[str, float] | None = None,
    observed: tuple[int, int] = (0, 24),
    price: tuple[float, float] | float | None = (10.0, 0.5),
    period: str = "month",
    seed: int = 0,
) -> SimulatedContracts:
    """Simulate contracts up to an as-of date, and how often each will be renewed in all.

    Parameters
    ----------
    model : {"sbg", "bdw"}
    n_customers : int
    parameters : mapping, optional
        alpha, beta and, of "bdw", c.
    observed : (int, int)
        Least and most renewals that have come up for a contract; even over them.
    price : (float, float), float or None
        Median and standard deviation of the logarithm of a log-normal, the same for all, or none.
    period : {"day", "week", "month", "quarter", "year"}
    seed : int

    Returns
    -------
    SimulatedContracts
    """
    chosen = settle_contract_parameters(model, parameters)
    if n_customers < 1:
        raise ValueError(f"'n_customers' must be at least 1. Got {n_customers}.")
    least, most = observed
    if not 0 <= least <= most:
        raise ValueError(f"observed={observed!r} must be two whole numbers, the first at least 0 and no larger.")
    rng = np.random.default_rng(seed)
    theta, renewals = _simulate_renewals(rng, chosen, n_customers)
    due = rng.integers(least, most, n_customers, endpoint=True)
    ended = renewals < due
    prices = _simulate_prices(rng, price, n_customers)
    subs = Subscriptions(
        customer_id=np.arange(1, n_customers + 1),
        tenure=np.minimum(renewals, due),
        ended=ended,
        lost=ended,
        weight=np.ones(n_customers),
        next_renewal=1.0 - rng.integers(0, 30, n_customers) / 30.0,
        price=prices,
        period=period,
    )
    truth = pd.DataFrame({"customer_id": subs.customer_id, "theta": theta, "renewals": renewals})
    return SimulatedContracts(subs, truth, chosen, model)


def simulate_subscriptions(
    model: str = "sbg",
    *,
    n_customers: int = 1_000,
    parameters: Mapping[str, float] | None = None,
    starts: tuple[str, str] = ("2022-01-01", "2024-12-31"),
    until: str = "2024-12-31",
    price: tuple[float, float] | float = (10.0, 0.5),
    period: str = "month",
    seed: int = 0,
) -> SimulatedSubscriptions:
    """Simulate a log of subscriptions, one a customer, that end on the day of a renewal or still run.

    Parameters
    ----------
    model, n_customers, parameters, price, period, seed
        As in `simulate_contracts`.
    starts : (str, str)
        First and last day on which subscriptions begin; even over them.
    until : str
        Last day of the log: ends after it are not known yet. Reading it with an earlier `observation_end` and
        after_end="cut" hides what came later.

    Returns
    -------
    SimulatedSubscriptions
    """
    chosen = settle_contract_parameters(model, parameters)
    check_period(period)
    first, last, end = (np.datetime64(day, "D") for day in (*starts, until))
    if n_customers < 1 or not first <= last <= end:
        raise ValueError(
            f"There must be customers, and their starts in order and not after until={until!r}. Got "
            f"n_customers={n_customers}, starts={starts!r}."
        )
    rng = np.random.default_rng(seed)
    theta, renewals = _simulate_renewals(rng, chosen, n_customers)
    start = first + rng.integers(0, (last - first).astype(np.int64), n_customers, endpoint=True).astype(
        "timedelta64[D]"
    )
    # Beyond the last day nothing is told, so that counts need not reach farther.
    most = int(count_renewals(start, np.full(n_customers, end), period).max()) + 1
    left = renewal_date(start, np.minimum(renewals, most) + 1, period)
    log = pd.DataFrame(
        {
            "customer_id": np.arange(1, n_customers + 1),
            "start": start.astype("datetime64[s]"),
            "end": np.where(left <= end, left, np.datetime64("NaT")).astype("datetime64[s]"),
            "price": _simulate_prices(rng, price, n_customers),
        }
    )
    truth = pd.DataFrame({"customer_id": log["customer_id"], "theta": theta, "renewals": renewals})
    return SimulatedSubscriptions(log, truth, chosen, model)


def _simulate_renewals(
    rng: np.random.Generator, parameters: Mapping[str, float], n_customers: int
) -> tuple[NDArray[np.float64], IntArray]:
    """Each customer's chance of leaving at the first renewal, and renewals made in all."""
    theta = rng.beta(parameters["alpha"], parameters["beta"], n_customers)
    # Left at the first renewal t with (1 - theta)^(t^c) <= u: a chance of 0 or 1 leaves never, or at once.
    with np.errstate(divide="ignore"):
        power = rng.standard_exponential(n_customers) / -np.log1p(-theta)
    at = np.ceil(power ** (1.0 / parameters.get("c", 1.0)))
    return theta, np.where(at < 2.0**53, np.maximum(at, 1.0) - 1.0, 2.0**53).astype(np.int64)


def _simulate_prices(
    rng: np.random.Generator, price: tuple[float, float] | float | None, n_customers: int
) -> NDArray[np.float64] | None:
    if price is None:
        return None
    median, spread = price if isinstance(price, tuple) else (float(price), 0.0)
    return np.asarray(np.round(median * np.exp(spread * rng.standard_normal(n_customers)), 2))
