"""Are predictive intervals right, and right for every kind of customer? Scores of simulated populations.

The randomized PIT of each customer's outcome is compared with the 90 % interval, in all and by what was known of the
customer beforehand. Beside each forecast stands one that ignores history: the distribution of the outcome over all
customers. It is calibrated in all, by construction, and for hardly any group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.datasets import SimulatedSummary, simulate_rfm
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.lifetime_value import value_quantiles
from predclv.forecast.purchases import purchase_quantiles
from predclv.kernels.scoring_rules import count_pit, crps_of_counts, crps_of_quantiles, randomized_pit

FloatArray = NDArray[np.float64]

LEVEL = 0.9
ENDS = np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
CRPS_LEVELS = (np.arange(20) + 0.5) / 20
#: Chance that any test of a table of groups fails although every forecast holds.
FAMILY = 0.01
YEAR = 365.25 / 7  # weeks
X_GROUPS = ("0", "1", "2-3", "4+")


class Outcome(NamedTuple):
    """What is forecast within a horizon: "purchases", "revenue" or "value" (discounted)."""

    what: str
    years: int

    def __str__(self) -> str:
        return f"{self.what} in {self.years} y"


#: The purchases of a horizon before its money.
OUTCOMES = tuple(Outcome(what, years) for years in (1, 3) for what in ("purchases", "revenue", "value"))


def simulate(n_customers: int, seed: int, model: str = "bg_nbd") -> SimulatedSummary:
    """Customers of CDNOW's kind, aged 10 to 52 weeks (BG/BB: 3 to 36 months), and their next one and three years."""
    if model == "bg_bb":
        # Three years of months, some of them had: long enough for all to differ.
        return simulate_rfm(
            model,
            n_customers=n_customers,
            parameters={"alpha": 0.8, "beta": 2.5, "gamma": 0.7, "delta": 12.0},
            time_unit="month",
            T=(3.0, 36.0),
            horizons=("1 year", "3 years"),
            seed=seed,
        )
    # Whole days of age let customers share work; all other times are as fine as floats.
    days = np.random.default_rng([seed, 0]).integers(70, 365, n_customers)
    return simulate_rfm(model, n_customers=n_customers, T=days / 7, horizons=("1 year", "3 years"), seed=seed)


@dataclass(frozen=True)
class Draws:
    """A transaction model's kernels with draws of its parameters, and draws of the spend model's, paired by row."""

    bindings: TransactionBindings
    theta: FloatArray
    theta_spend: FloatArray


def length_of(population: SimulatedSummary, outcome: Outcome) -> float:
    """The outcome's horizon in the population's own unit."""
    return float(population.horizons[(1, 3).index(outcome.years)])


def actual(population: SimulatedSummary, outcome: Outcome) -> FloatArray:
    """What each customer did."""
    by_horizon = {"purchases": population.purchases, "revenue": population.spend, "value": population.value}
    return by_horizon[outcome.what][(1, 3).index(outcome.years)]


def score(
    population: SimulatedSummary, draws: Draws, outcome: Outcome, everyone: FloatArray, seed: int
) -> pd.DataFrame:
    """Score one population's customers on one outcome.

    Parameters
    ----------
    everyone : array
        Sorted outcomes of all populations together: the forecast without history.

    Returns
    -------
    DataFrame
        A row a customer: covered and marginal_covered (randomized PIT within the interval), raw_covered (outcome within
        the interval), crps, marginal_crps, low and high (the interval), and the groups, -1 for none.
    """
    # Not the stream that the population itself came from.
    rng = np.random.default_rng([seed, 1 + OUTCOMES.index(outcome)])
    y = actual(population, outcome)
    columns = (_score_counts if outcome.what == "purchases" else _score_values)(
        population, draws, outcome, y, everyone, rng.random(len(y))
    )
    marginal_pit = randomized_pit(
        np.searchsorted(everyone, y, side="left") / len(everyone),
        np.searchsorted(everyone, y, side="right") / len(everyone),
        rng.random(len(y)),
    )
    return pd.DataFrame(
        {
            **columns,
            "raw_covered": (columns["low"] <= y) & (y <= columns["high"]),
            "marginal_covered": within(marginal_pit),
            **_groups(population, draws, length_of(population, outcome)),
        }
    )


def within(pit: FloatArray) -> NDArray[np.bool_]:
    """Whether the PIT lies in the central interval."""
    return (ENDS[0] <= pit) & (pit <= ENDS[1])


def _history(population: SimulatedSummary) -> tuple[FloatArray, FloatArray, FloatArray]:
    return population.rfm.frequency.astype(np.float64), population.rfm.recency, population.rfm.T


def _score_counts(
    population: SimulatedSummary,
    draws: Draws,
    outcome: Outcome,
    y: FloatArray,
    everyone: FloatArray,
    uniform: FloatArray,
) -> dict[str, NDArray]:
    asked = draws.bindings, *_history(population), length_of(population, outcome), draws.theta
    low, high = purchase_quantiles(*asked, ENDS).T
    n_max = max(int(everyone[-1]), high.max())
    pmf = draws.bindings.purchase_pmf(*asked[1:], n_max)
    marginal = np.bincount(everyone.astype(np.int64), minlength=n_max + 1)[np.newaxis] / len(everyone)
    return {
        "covered": within(count_pit(pmf, y, uniform)),
        "low": low,
        "high": high,
        "crps": crps_of_counts(pmf, y),
        "marginal_crps": crps_of_counts(marginal, y),
    }


def _score_values(
    population: SimulatedSummary,
    draws: Draws,
    outcome: Outcome,
    y: FloatArray,
    everyone: FloatArray,
    uniform: FloatArray,
) -> dict[str, NDArray]:
    history, horizon = _history(population), length_of(population, outcome)
    delta = population.delta if outcome.what == "value" else 0.0
    quantiles = value_quantiles(
        draws.bindings,
        draws.theta,
        draws.theta_spend,
        *history,
        population.rfm.monetary_value,
        horizon,
        delta,
        np.append(ENDS, CRPS_LEVELS),
    )
    low, high = quantiles[:, 0], quantiles[:, 1]
    none = draws.bindings.purchase_pmf(*history, horizon, draws.theta, 0)[:, 0]
    marginal = np.quantile(everyone, CRPS_LEVELS, method="inverted_cdf")[np.newaxis]
    return {
        # Value has an atom at zero, of probability `none`, and a density beyond it: there the PIT lies between the
        # levels exactly where the outcome lies between their quantiles.
        "covered": np.where(y > 0, (low <= y) & (y <= high), within(uniform * none)),
        "low": low,
        "high": high,
        "crps": crps_of_quantiles(quantiles[:, 2:], CRPS_LEVELS, y),
        "marginal_crps": crps_of_quantiles(marginal, CRPS_LEVELS, y),
    }


def _groups(population: SimulatedSummary, draws: Draws, horizon: float) -> dict[str, NDArray[np.int64]]:
    x, t_x, T = _history(population)
    center = draws.theta.mean(axis=0, keepdims=True)
    # BG/NBD gives one-time buyers p_alive 1 without exception, and they are a group by x: deciles are of the others.
    # NBD gives it to everyone: no deciles.
    repeat = x > 0
    alive = np.full(len(x), -1)
    probability = draws.bindings.p_alive(x, t_x, T, center)[0, repeat]
    if np.ptp(probability) > 0:
        alive[repeat] = deciles(probability)
    return {
        "x": np.searchsorted([1, 2, 4], x, side="right"),
        "expected_purchases": deciles(draws.bindings.expected_purchases(x, t_x, T, horizon, center)[0]),
        "p_alive": alive,
    }


def deciles(values: FloatArray) -> NDArray[np.int64]:
    """Tenth of each value, 0 to 9."""
    return np.searchsorted(np.quantile(values, np.arange(1, 10) / 10), values, side="left")


def coverage_by_group(populations: Sequence[pd.DataFrame], column: str, groups: Sequence[str]) -> pd.DataFrame:
    """Coverage in all and in each group over populations, with its standard error.

    Given the parameters, customers' PITs are independent. Fitted parameters err alike for all customers of a
    population, so customers cluster: the error is taken from how much the excess of covered customers over `LEVEL`
    differs between populations.

    Returns
    -------
    DataFrame
        Indexed by group ("all", "x 0", ...): customers, coverage, standard_error, t.
    """
    rows = []
    for number, scores in enumerate(populations):
        for by in ("all", *groups):
            codes = pd.Series(0, index=scores.index) if by == "all" else scores[by]
            for code, part in scores.groupby(codes)[column]:
                if code >= 0:
                    name = "all" if by == "all" else f"{by} {X_GROUPS[code] if by == 'x' else code}"
                    rows.append((name, number, len(part), part.sum() - LEVEL * len(part)))
    table = pd.DataFrame(rows, columns=["group", "population", "customers", "excess"])
    sums = table.groupby("group", sort=False).agg(customers=("customers", "sum"), excess=("excess", "sum"))
    # A group that a population lacks has no excess there.
    excess = table.pivot_table(index="group", columns="population", values="excess", fill_value=0.0)
    error = excess.std(axis=1, ddof=1) * np.sqrt(len(populations))
    return pd.DataFrame(
        {
            "customers": sums["customers"],
            "coverage": LEVEL + sums["excess"] / sums["customers"],
            "standard_error": error / sums["customers"],
            "t": sums["excess"] / error,
        }
    ).loc[sums.index]


def largest_t(n_populations: int, n_tests: int) -> float:
    """|t| that the largest of `n_tests` exceeds with probability `FAMILY` at most, by Bonferroni's inequality."""
    return float(stats.t.ppf(1 - FAMILY / (2 * n_tests), n_populations - 1))
