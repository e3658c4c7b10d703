"""Predictive distributions given covariates, with fitted coefficients: they hold in every group of the covariates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.kernels.scoring_rules import pit_below
from predclv.models.covariate_use import row_thetas
from scoring import largest_t

N_POPULATIONS, N_CUSTOMERS, HORIZON, LEVEL, N_DRAWS = 10, 1_500, 39.0, 0.9, 16
COVARIATES = ["channel", "age"]
PURCHASE = {"channel=paid": -0.7, "age": 0.03}
DROPOUT = {"channel=paid": 0.7, "age": -0.03}


def simulate(key, seed):
    rng = np.random.default_rng([13, seed])
    # Few ages, so that customers share what they have in common, and a number all the same.
    covariates = {
        "channel": rng.choice(["paid", "organic", "tv"], N_CUSTOMERS, p=[0.3, 0.5, 0.2]),
        "age": rng.choice([-30.0, -10.0, 10.0, 30.0], N_CUSTOMERS),
    }
    return pc.datasets.simulate_rfm(
        key,
        n_customers=N_CUSTOMERS,
        covariates=covariates,
        purchase_effects=PURCHASE,
        dropout_effects=DROPOUT,
        T=(26.0, 78.0),
        horizons=[HORIZON],
        seed=seed,
    )


def score(model, rfm, actual):
    """Of each customer: the mean of the randomized PIT, and how likely it is within the interval."""
    x, counts = rfm.frequency.astype(float), actual.astype(int)
    below, until = np.zeros((2, len(x)))
    numbers, kernels = np.arange(counts.max() + 1), model.pattern_kernels
    for own in thetas(model, rfm):
        alive = kernels.p_alive(x, rfm.recency, rfm.T, own, 0)
        pmf = alive[:, np.newaxis] * kernels.alive_counts(x, rfm.T, HORIZON, own, counts.max(), 0)
        pmf[:, 0] += 1 - alive
        below += np.where(numbers < counts[:, np.newaxis], pmf, 0.0).sum(axis=1) / N_DRAWS
        until += np.where(numbers <= counts[:, np.newaxis], pmf, 0.0).sum(axis=1) / N_DRAWS
    within = pit_below(below, until, 0.5 + LEVEL / 2) - pit_below(below, until, 0.5 - LEVEL / 2)
    return pd.DataFrame({"pit": (below + until) / 2, "within": within})


def thetas(model, rfm):
    """Parameters of each customer at each draw, (n_draws, n_customers, 4)."""
    if model.covariates_ is not None:
        return row_thetas(model, rfm, N_DRAWS)[1]
    return np.repeat(model.posterior_.draws_array(N_DRAWS)[:, np.newaxis], len(rfm), axis=1)


def by_group(scores, rfm):
    """Means of all customers, and of those in each group of a covariate."""
    groups = {name: scores.groupby(rfm.carried[name]).mean() for name in COVARIATES}
    return pd.concat({**groups, "all": scores.mean().to_frame("").T})


@pytest.mark.slow
@pytest.mark.parametrize("key", ["bg_nbd", "pareto_nbd"])
def test_predictive_distributions_hold_in_every_group_of_the_covariates(key):
    with_covariates, without = [], []
    for seed in range(N_POPULATIONS):
        population = simulate(key, seed)
        rfm, actual = population.rfm, population.purchases[0]
        fitted = pc.MODELS[key](purchase_covariates=COVARIATES, dropout_covariates=COVARIATES).fit(rfm)
        with_covariates.append(by_group(score(fitted, rfm, actual), rfm))
        without.append(by_group(score(pc.MODELS[key]().fit(rfm), rfm, actual), rfm))
    found = departures(with_covariates)
    limit = largest_t(N_POPULATIONS, found.size)
    print(f"\n{found.round(2)}\nwithout covariates\n{departures(without).round(2)}\nlimit {limit:.2f}")
    assert found.shape == (8, 2)
    assert found.abs().to_numpy().max() < limit
    # Errors small enough for this to mean something: a model of all customers alike fails in the groups.
    assert (departures(without).abs() > limit).to_numpy().sum() >= 2


def departures(tables):
    """Mean departure of the PIT from 1/2 and of coverage from the level over populations, in standard errors."""
    stacked = np.array([table.to_numpy() for table in tables]) - (0.5, LEVEL)
    t = stacked.mean(axis=0) / (stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked)))
    return pd.DataFrame(t, index=tables[0].index, columns=tables[0].columns)
