"""Mean outcome of each arm of an experiment, with the covariance of their errors; and what follows from both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from predclv.decisions.experiments.forecast_means import FittedCustomers

__all__ = ["ArmMeans", "Comparison", "adjusted_means", "separate_means"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """A difference between two means, by Student's t."""

    difference: float
    std_error: float
    df: float

    def interval(self, level: float) -> tuple[float, float]:
        """Ends of the interval of the difference."""
        reach = float(stats.t.ppf((1 + level) / 2, self.df)) * self.std_error
        return self.difference - reach, self.difference + reach

    @property
    def p_above(self) -> float:
        """Probability that the difference is above 0, by flat priors of both means; 0.5 where nothing varies."""
        if self.std_error == 0:
            return 0.5 + 0.5 * float(np.sign(self.difference))
        return float(stats.t.cdf(self.difference / self.std_error, self.df))


@dataclass(frozen=True, eq=False)
class ArmMeans:
    """Means of one outcome.

    Attributes
    ----------
    mean : (n_arms,) array
    covariance : (n_arms, n_arms) array
        Of the errors of the means.
    df : (n_arms,) array
        Degrees of freedom of each arm's own part.
    moves : (n_arms, n_customers) array
        What each customer adds to each mean's error; rows sum to 0, or nearly so. Without columns in a result, which
        holds no customers.
    """

    mean: FloatArray
    covariance: FloatArray
    df: FloatArray
    moves: FloatArray

    def without_customers(self) -> ArmMeans:
        """The same means without what each customer adds."""
        return replace(self, moves=np.zeros((len(self.mean), 0)))

    def compare(self, arm: int, control: int) -> Comparison:
        """The mean of an arm minus that of the control; degrees of freedom by Welch (1947) and Satterthwaite (1946)."""
        own = np.array([self.covariance[arm, arm], self.covariance[control, control]])
        variance = own.sum() - 2 * self.covariance[arm, control]
        spread = float((own**2 / self.df[[arm, control]]).sum())
        df = float(own.sum() ** 2 / spread) if spread > 0 else float(self.df.min())
        return Comparison(float(self.mean[arm] - self.mean[control]), float(np.sqrt(max(variance, 0.0))), df)

    def draws(self, n: int, seed: int) -> FloatArray:
        """Draws of the arms' means, (n, n_arms): a normal, widened to Student's t by the least degrees of freedom."""
        generator = np.random.default_rng(seed)
        values, vectors = np.linalg.eigh(self.covariance)
        normal = generator.standard_normal((n, len(self.mean))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
        df = float(self.df.min())
        return np.asarray(self.mean + normal * np.sqrt(df / generator.chisquare(df, (n, 1))))


def separate_means(
    code: IntArray,
    fits: Sequence[FittedCustomers],
    units: FloatArray,
    observed: FloatArray | None,
    forecast: str | None,
) -> ArmMeans:
    """Means of arms that share nothing, each by models of its own.

    Parameters
    ----------
    code : (n_customers,) array
        Arm of each customer; the customers of `fits` are those of each arm in their order.
    fits : sequence of FittedCustomers
    units : (n_arms,) array
        Over how many the mean is: the customers, or all who were exposed, of whom those who did not become customers
        have nothing.
    observed : (n_customers,) array, optional
    forecast : str, optional
        Which forecast is added to what was observed.
    """
    k = len(fits)
    mean, variance, moves = np.zeros(k), np.zeros(k), np.zeros((k, len(code)))
    for arm, fitted in enumerate(fits):
        at, n = np.flatnonzero(code == arm), float(units[arm])
        values, through, prior = np.zeros(len(at)), np.zeros(len(at)), 0.0
        if observed is not None:
            values = values + observed[at]
        if forecast is not None:
            found = fitted.contribute(forecast, np.full(len(at), 1 / n))
            values, through, prior = values + found.values, found.through_parameters, found.prior_variance
        part = values / n + through
        mean[arm] = values.sum() / n
        variance[arm] = n / (n - 1) * max(float(part @ part) - float(part.sum()) ** 2 / n, 0.0) + prior
        moves[arm, at] = part - part.sum() / n
    return ArmMeans(mean, np.diag(variance), units - 1.0, moves)


def adjusted_means(
    code: IntArray,
    n_arms: int,
    covariate: FloatArray,
    observed: FloatArray | None,
    fitted: FittedCustomers | None,
    forecast: str | None,
) -> ArmMeans:
    """Means of arms as they would be if all had the same mean of a covariate known before: a line for each arm.

    Lin (2013), Annals of Applied Statistics 7(1): of a randomised experiment the adjustment biases nothing to first
    order and can only gain, whether or not the lines hold. With a forecast as the covariate it is known as CUPED.
    One model speaks of all arms, so that each customer moves all means through its parameters.
    """
    n = len(code)
    outcome = np.zeros(n) if observed is None else observed
    outcome = outcome + fitted.values(forecast) if fitted is not None and forecast is not None else outcome
    centre = covariate - covariate.mean()
    mean, df, moves, weights = np.zeros(n_arms), np.zeros(n_arms), np.zeros((n_arms, n)), np.zeros((n_arms, n))
    for arm in range(n_arms):
        at = np.flatnonzero(code == arm)
        z = centre[at] - centre[at].mean()
        squares = float(z @ z)
        weight = np.full(len(at), 1 / len(at))
        slope = 0.0
        if squares > 0 and len(at) > 2:
            weight -= centre[at].mean() * z / squares
            slope = float(z @ outcome[at]) / squares
        mean[arm] = weight @ outcome[at]
        residual = outcome[at] - mean[arm] - slope * centre[at]
        moves[arm, at] = weight * residual * np.sqrt(len(at) / max(len(at) - 2, 1))
        moves[arm] += slope * centre / n
        df[arm] = max(len(at) - 2, 1)
        weights[arm, at] = weight
    if fitted is None or forecast is None:
        return ArmMeans(mean, moves @ moves.T, df, moves)
    prior = np.zeros((n_arms, n_arms))
    for arm in range(n_arms):
        found = fitted.contribute(forecast, weights[arm])
        moves[arm] += found.through_parameters - found.through_parameters.mean()
        if arm == 0:
            prior += found.prior_variance
        elif prior[0, 0] > 0:
            # What the prior leaves open moves all arms alike, but for how they differ from the first.
            prior[arm, arm] += fitted.contribute(forecast, weights[arm] - weights[0]).prior_variance
    return ArmMeans(mean, moves @ moves.T + prior, df, moves)
