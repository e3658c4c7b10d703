"""Segments that share strength forecast better than segments alone, and better than all taken for one."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import predclv as pc
from predclv.data.columns import histories, mean_spend
from predclv.errors import ConvergenceWarning, DependenceWarning, FitError, HeavyTailWarning
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.models.pair import Pair

N_REPETITIONS = 12
# Where pooling matters: of thousands of customers a segment speaks for itself, and costs more.
SIZES = np.geomspace(20, 400, 10).round().astype(int)
#: The population: medians of the segments' parameters, above 1 for q, and the standard deviation of their logs.
COUNTS = {"r": 0.5, "alpha": 10.0, "a": 0.8, "b": 2.5}
SPEND = {"p": 6.0, "q": 4.0, "gamma": 15.0}
SPREAD = 0.3
YEAR, DELTA = 365.25 / 7, math.log(1.10) * 7 / 365.25
METHODS = ("partial", "complete", "separate")


def draw_segment(rng, size, seed):
    """Simulate the customers of one segment and give its truth, (1, n_parameters) for counts and spend."""
    factor = dict(zip((*COUNTS, *SPEND), np.exp(SPREAD * rng.standard_normal(7)), strict=True))
    counts = {name: value * factor[name] for name, value in COUNTS.items()}
    spend = {name: value * factor[name] for name, value in SPEND.items()}
    spend["q"] = 1 + (SPEND["q"] - 1) * factor["q"]
    simulated = pc.datasets.simulate_rfm(
        n_customers=int(size), parameters=counts, spend=spend, T=(13.0, 52.0), lattice=7, seed=seed
    )
    return simulated.rfm, [np.array([list(values.values())]) for values in (counts, spend)]


def together(summaries):
    """One summary of the customers of all segments, in channels "0", "1", ..."""
    table = pd.concat([rfm.to_pandas().assign(channel=str(i)) for i, rfm in enumerate(summaries)], ignore_index=True)
    return pc.RFMSummary.from_frame(
        table.assign(customer_id=np.arange(len(table))), time_unit="week", carry=["channel"]
    )


def value_a_customer(rfm, theta, theta_spend):
    """Mean over the customers of the expected discounted value of the next year, at each draw, (n_draws,)."""
    rows, inverse = histories(rfm)
    purchases = pc.BGNBD().bindings.discounted_expected_purchases(rows.x, rows.t_x, rows.T, YEAR, DELTA, theta)
    spend = expected_spend(rfm.frequency.astype(float), mean_spend(rfm), theta_spend)
    return (purchases[:, inverse] * spend).mean(axis=1)


def fit(rfm, **settings):
    with warnings.catch_warnings():
        # Small segments, and truths that are heavy-tailed or dependent by chance: meant, and no news here.
        for category in (ConvergenceWarning, DependenceWarning, HeavyTailWarning):
            warnings.simplefilter("ignore", category)
        models = [model(method="map", **settings).fit(rfm) for model in (pc.BGNBD, pc.GammaGamma)]
        for model in (*models, *models[0].segments_.values(), *models[1].segments_.values()):
            model.posterior_.draws_array()
    return Pair(*models)


def maximum_likelihood_fails(rfm):
    """Whether a separate fit by maximum likelihood ends in an error, or at an edge of a parameter's domain."""
    for model in (pc.BGNBD, pc.GammaGamma):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                if model().fit(rfm).posterior_.diagnostics["runaway"]:
                    return True
            except (FitError, pc.errors.DataError):
                return True
    return False


def repeat(repetition):
    """One table of segments: what is true, and what each of three ways says of it."""
    rng = np.random.default_rng(repetition)
    drawn = [draw_segment(rng, size, 100 * repetition + i) for i, size in enumerate(SIZES)]
    everybody = together([rfm for rfm, _ in drawn])
    pooled, alike = fit(everybody, segment="channel"), fit(everybody)
    rows = []
    for i, (rfm, truth) in enumerate(drawn):
        values = {
            "partial": value_a_customer(rfm, *pooled.of_segment(str(i)).draws(256)),
            "complete": value_a_customer(rfm, *alike.draws(64)),
            "separate": value_a_customer(rfm, *fit(rfm).draws(256)),
        }
        true = value_a_customer(rfm, *truth)[0]
        low, high = np.quantile(values["partial"], [0.05, 0.95])
        row = {method: math.log(value.mean() / true) for method, value in values.items()}
        rows.append(row | {"held": low <= true <= high, "failed": maximum_likelihood_fails(rfm), "size": len(rfm)})
    return pd.DataFrame(rows).assign(repetition=repetition)


@pytest.mark.slow
def test_partial_pooling_beats_its_rivals(monkeypatch):
    """Ten segments of 20 to 400 customers: the error of the logarithm of a segment's value, twelve times."""
    # Points enough for means and intervals; posteriors as they are by default have tests of their own.
    monkeypatch.setattr("predclv.inference.nested_importance._MOST_POINTS", 512)
    monkeypatch.setattr("predclv.inference.nested_importance._HYPER_POINTS", 4096)
    table = pd.concat([repeat(repetition) for repetition in range(N_REPETITIONS)])
    # Sizes of errors, not squares, so that no segment decides alone.
    errors = table.groupby("repetition")[list(METHODS)].agg(lambda column: np.mean(np.abs(column)))
    by_size = table.groupby("size")[list(METHODS)].agg(lambda column: np.sqrt(np.mean(column**2)))
    print(by_size.assign(held=table.groupby("size")["held"].mean(), mle_fails=table.groupby("size")["failed"].mean()))
    print("RMSE over everything:", np.sqrt((table[list(METHODS)] ** 2).mean()).round(4).to_dict())
    differences = {}
    for rival in METHODS[1:]:
        difference = errors["partial"] - errors[rival]
        interval = stats.ttest_1samp(difference, 0.0).confidence_interval(0.95)
        differences[rival] = interval
        print(f"error, partial less {rival}: {difference.mean():.4f}, 95 % {interval.low:.4f} to {interval.high:.4f}")
    held = int(table["held"].sum())
    print(f"90 % intervals of segments' means that hold the truth: {held} of {len(table)}")
    assert differences["complete"].high < 0
    assert differences["separate"].high < 0
    # Three standard errors of a share of 0.9 in 120 independent intervals are 8.2 points.
    assert 0.818 <= held / len(table) <= 0.982
