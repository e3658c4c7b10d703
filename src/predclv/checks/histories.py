"""How often customers came back, and when the last time was, beside replications of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks.replications import (
    DRAWS,
    check_arguments,
    check_count,
    check_summary,
    rows_to_replicate,
)
from predclv.checks.results import PredictiveCheck, judge
from predclv.data.rfm import RFMSummary
from predclv.forecast import predictive_checks as predictive
from predclv.forecast.customers import Thetas
from predclv.forecast.fit_checks import frequency_table, interval
from predclv.forecast.predictive_checks import Quantity
from predclv.models.transactions import TransactionModel

__all__ = ["check_frequencies", "check_recency"]

FloatArray = NDArray[np.float64]


def check_frequencies(
    model: TransactionModel, rfm: RFMSummary, *, n_max: int = 7, level: float = 0.9, n_draws: int = DRAWS
) -> PredictiveCheck:
    """Compare how often customers came back with what the model says.

    Parameters
    ----------
    model : fitted TransactionModel
    rfm : RFMSummary
        In the time unit of the fit; the customers of the fit, or others.
    n_max : int
        The last bin holds the customers with as many repeat purchases or more.
    level : float
        Probability of the bands.
    n_draws : int
        Replications, at most as many as the posterior has draws.

    Returns
    -------
    PredictiveCheck
        `table`: repeat_purchases ("0", ..., "7+"), actual, expected, low, high, in customers, exact for all of them.
        Quantities: the share of one-time buyers; mean, standard deviation and largest of the repeat purchases; the
        share with `n_max` or more; and Pearson's chi-squared over the bins, of data and replication under the same
        draw.

    Raises
    ------
    TypeError, NotFittedError
        `model` is no transaction model, or not fitted; `rfm` is no summary.
    UnitError
        The summary is in another time unit than the fit.
    ValueError
        `level`, `n_max` or `n_draws` mean nothing.

    Notes
    -----
    The data are used twice where `rfm` is what the model was fitted on: the fit moves the model towards them, so
    p-values are conservative. The mean and the share of one-time buyers it can hardly miss (their p-values then stay
    around one, whatever the model); the largest count, and recency in `check_recency`, it can. Customers of a
    holdout have no such bias: see `check_holdout`.

    From 16 million customers times draws on, a random sample of the customers is replicated (31,250 with 512 draws).
    """
    draws = check_arguments(model, "transactions", level, n_draws)
    check_summary(model, rfm)
    n_max, seed = check_count("n_max", n_max), int(model.random_state)
    table = frequency_table(
        model.bindings,
        Thetas(model.thetas().center, draws),
        rfm.frequency,
        rfm.T,
        n_max=n_max,
        level=level,
        seed=seed,
    )
    x, t_x, T = rows_to_replicate(rfm, len(draws), seed)

    def measure(x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
        return predictive.count_quantities(x, n_max)

    observed = measure(x, t_x, T)
    replicated = predictive.replicate_histories(model.bindings.replicate_histories, T, draws, measure, seed)
    expected = predictive.expected_counts(model.bindings, draws, T, n_max)
    names = (
        "share of one-time buyers",
        "mean repeat purchases",
        "standard deviation of repeat purchases",
        "largest number of repeat purchases",
        f"share with {n_max} or more repeat purchases",
    )
    quantities = [Quantity(name, observed[i], replicated[:, i]) for i, name in enumerate(names)]
    bins = slice(len(names), None)
    quantities.append(
        Quantity.discrepancy(
            "repeat purchases, all bins (chi-squared)",
            lambda counts: predictive.chi_squared(counts, expected),
            observed[bins],
            replicated[:, bins],
        )
    )
    return PredictiveCheck(table, *judge(quantities, level), level, len(rfm), len(x))


def check_recency(
    model: TransactionModel, rfm: RFMSummary, *, n_bins: int = 10, level: float = 0.9, n_draws: int = DRAWS
) -> PredictiveCheck:
    """Compare how long repeat buyers have been silent with what the model says: does it know when customers leave?

    Parameters
    ----------
    model, rfm, level, n_draws
        As in `check_frequencies`.
    n_bins : int
        Bins of the time since the last purchase as a share of the customer's age.

    Returns
    -------
    PredictiveCheck
        `table`: silent_from, silent_to (shares of the age), actual, expected, low, high (shares of the repeat buyers).
        Quantities, all of repeat buyers: mean time since the last purchase, in the time unit; the share silent for
        more than half of their age; the share silent for 1.5 to 4 times their own mean gap between purchases, which
        is low where customers buy at regular intervals; the rank correlation of repeat purchases and silence; and
        chi-squared over the bins, against the mean of the replications.

    Raises
    ------
    As `check_frequencies`.

    Notes
    -----
    Replications are in continuous time: they do not merge purchases of one day, which dates do. Data are used twice,
    and customers beyond 16 million times draws are sampled, as in `check_frequencies`; here the table is the sample's.
    """
    draws = check_arguments(model, "transactions", level, n_draws)
    check_summary(model, rfm)
    n_bins, seed = check_count("n_bins", n_bins), int(model.random_state)
    x, t_x, T = rows_to_replicate(rfm, len(draws), seed)

    def measure(x: FloatArray, t_x: FloatArray, T: FloatArray) -> FloatArray:
        return predictive.recency_quantities(x, t_x, T, n_bins)

    observed = measure(x, t_x, T)
    replicated = predictive.replicate_histories(model.bindings.replicate_histories, T, draws, measure, seed)
    names = (
        "repeat buyers: mean time since the last purchase",
        "repeat buyers: share silent for over half their age",
        "repeat buyers: share silent for 1.5 to 4 of their own mean gaps",
        "repeat buyers: rank correlation of frequency and silence",
    )
    quantities = [Quantity(name, observed[i], replicated[:, i]) for i, name in enumerate(names)]
    shares, simulated = observed[len(names) :], replicated[:, len(names) :]
    # Undefined where a replication has no repeat buyer.
    simulated = simulated[np.isfinite(simulated).all(axis=1)]
    expected = simulated.mean(axis=0) if len(simulated) else np.full(n_bins, np.nan)
    n_repeat = int(np.count_nonzero((x > 0) & (T > 0)))
    quantities.append(
        Quantity.discrepancy(
            "repeat buyers: silence, all bins (chi-squared)",
            lambda of: n_repeat * predictive.chi_squared(of, expected),
            shares,
            replicated[:, len(names) :],
        )
    )
    low, high = interval(simulated, level) if len(simulated) else (expected, expected)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    table = pd.DataFrame(
        {
            "silent_from": edges[:-1],
            "silent_to": edges[1:],
            "actual": shares,
            "expected": expected,
            "low": low,
            "high": high,
        }
    )
    return PredictiveCheck(table, *judge(quantities, level), level, rfm.n_repeat_buyers, n_repeat)
