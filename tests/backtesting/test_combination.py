"""Combination: weights recover a known mixture, hold the conditions of their optimum, and mix forecasts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import minimize

import predclv as pc
from predclv.backtesting import backtest
from predclv.backtesting.combination import combine, learn_weights, simplex_minimum
from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.predictions import Forecast
from predclv.errors import DataError, FitError


def vintage(seed, n=8_000, weights=(0.7, 0.3, 0.0), kind="counts"):
    """Three forecasts of customers, and outcomes drawn from a mixture of them."""
    generator = np.random.default_rng([11, seed])
    mean = 0.2 + generator.gamma(0.8, 2.0, n)
    means = (mean, 3 * mean, mean.mean() + 0 * mean)
    drawn = np.choose(generator.choice(3, n, p=weights), means)
    if kind == "counts":
        return [Counts.poisson(own) for own in means], generator.poisson(drawn).astype(float)
    quantiles = stats.gamma(4.0).ppf(LEVELS) / 4
    laws = [Values.from_quantiles(np.zeros(n), own[:, np.newaxis] * quantiles) for own in means]
    return laws, generator.gamma(4.0, drawn / 4)


@pytest.mark.parametrize("kind", ["counts", "values"])
def test_weights_recover_a_known_mixture(kind):
    weights = learn_weights([vintage(seed, kind=kind) for seed in range(6)])
    # The discount of a gain by differences, 4 % with six vintages, draws to the first.
    np.testing.assert_allclose(weights, [0.7, 0.3, 0.0], atol=0.05)
    assert weights.sum() == pytest.approx(1, rel=1e-14)


def test_without_a_discount_the_mixture_is_recovered_to_sampling_error(monkeypatch):
    monkeypatch.setattr("predclv.backtesting.combination._DISBELIEF", 0.0)
    monkeypatch.setattr("predclv.backtesting.combination._RIDGE", 1e-12)
    weights = learn_weights([vintage(seed, n=20_000) for seed in range(6)])
    np.testing.assert_allclose(weights, [0.7, 0.3, 0.0], atol=0.02)


@pytest.mark.parametrize("n_vintages", [1, 3])
def test_a_dominating_method_gets_all_weight(n_vintages):
    # The truth, a forecast three times as high, and one for all alike.
    weights = learn_weights([vintage(seed, weights=(1.0, 0.0, 0.0)) for seed in range(n_vintages)])
    np.testing.assert_allclose(weights, [1.0, 0.0, 0.0], atol=0.01)


def test_methods_that_are_alike_share_their_weight():
    (first, _, third), actual = vintage(0)
    weights = learn_weights([([first, third, first], actual)])
    assert weights[0] == pytest.approx(weights[2], rel=1e-6)


def test_later_vintages_count_more():
    was, now = vintage(0, weights=(1.0, 0.0, 0.0)), vintage(1, weights=(0.0, 1.0, 0.0))
    assert learn_weights([was, now])[1] > 0.5 > learn_weights([now, was])[1]


def test_a_single_method_and_perfect_forecasts():
    distributions, actual = vintage(0)
    np.testing.assert_array_equal(learn_weights([(distributions[:1], actual)]), [1.0])
    nobody = Counts.poisson(np.zeros(5))
    np.testing.assert_allclose(learn_weights([([nobody, nobody], np.zeros(5))]), [0.5, 0.5])


@pytest.mark.parametrize("n", [1, 2, 5, 12])
@pytest.mark.parametrize("seed", range(4))
def test_simplex_minimum_holds_its_conditions_and_is_that_of_slsqp(n, seed):
    generator = np.random.default_rng([n, seed])
    errors = generator.normal(size=(3 * n, n)) + 2 * generator.normal(size=(3 * n, 1))
    gram, cost = errors.T @ errors / (3 * n) + 1e-3 * np.eye(n), generator.uniform(0, 0.5, n)

    def loss(weights):
        return weights @ gram @ weights + cost @ weights

    found = simplex_minimum(gram, cost)
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1, rel=1e-14)
    # Karush, Kuhn & Tucker: one slope where there is weight, none below it elsewhere.
    slope = 2 * gram @ found + cost
    level = slope @ found
    np.testing.assert_allclose(slope[found > 0], level, rtol=1e-9)
    assert (slope > level - 1e-9).all()
    other = minimize(
        loss,
        np.full(n, 1 / n),
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert loss(found) <= other.fun + 1e-10


def test_what_weights_cannot_be_learnt_from_is_refused():
    distributions, actual = vintage(0, n=30)
    with pytest.raises(DataError, match="no earlier vintage"):
        learn_weights([])
    with pytest.raises(DataError, match="Vintages have 2 and 3 methods"):
        learn_weights([(distributions, actual), (distributions[:2], actual)])
    with pytest.raises(DataError, match=r"Vintage 2 of 2 .* of \[29, 30\] customers"):
        learn_weights([(distributions, actual), (distributions, actual[1:])])
    with pytest.raises(FitError, match="not finite"):
        simplex_minimum(np.full((2, 2), np.nan), np.zeros(2))


def forecasts():
    """Three forecasts of four customers, the last a point."""
    levels = stats.gamma(2.0).ppf(LEVELS)
    made = []
    for factor in (1.0, 2.0):
        mean = factor * np.array([0.1, 0.5, 1.0, 4.0])
        value = Values.from_quantiles(np.exp(-mean), 10 * mean[:, np.newaxis] * levels)
        made.append(
            Forecast(
                mean,
                Counts.poisson(mean),
                expected_spend=np.full(4, 20.0 * factor),
                expected_value=20 * mean,
                value=value,
                totals={"purchases": factor * np.arange(1.0, 101), "value": factor * np.arange(1.0, 51)},
                track=(np.array([1.0, 2.0]), factor * np.array([3.0, 6.0])),
            )
        )
    return [*made, Forecast(np.ones(4))]


NAMES = ["one", "two", "point"]
WEIGHTS = {"purchases": {"one": 0.75, "two": 0.25}, "value": {"one": 0.4, "two": 0.6}}


def test_combine_mixes_distributions_means_totals_and_tracks():
    one, two, point = forecasts()
    found = combine([one, two, point], NAMES, WEIGHTS)
    np.testing.assert_allclose(found.expected_purchases, 1.25 * one.expected_purchases)
    np.testing.assert_allclose(found.purchases.mean(), found.expected_purchases, atol=1e-5)
    np.testing.assert_allclose(found.p_purchase, 0.75 * one.p_purchase + 0.25 * two.p_purchase, rtol=1e-12)
    np.testing.assert_allclose(found.expected_value, 1.6 * one.expected_value)
    np.testing.assert_allclose(found.expected_spend, 1.6 * one.expected_spend)
    below, at = found.value.bounds(np.full(4, 15.0))
    mixed = 0.4 * one.value.bounds(np.full(4, 15.0))[0] + 0.6 * two.value.bounds(np.full(4, 15.0))[0]
    np.testing.assert_allclose(at, mixed, atol=2e-3)
    np.testing.assert_array_equal(below, at)
    np.testing.assert_allclose(found.track[1], [3.75, 7.5])
    # Totals: as many draws as before, each method's in its share and of its distribution.
    assert {name: len(draws) for name, draws in found.totals.items()} == {"purchases": 100, "value": 50}
    assert found.totals["purchases"].mean() == pytest.approx(1.25 * 50.5, rel=0.005)
    assert (found.totals["purchases"] > 100).mean() == pytest.approx(0.25 * 0.5, abs=0.011)
    assert found.notes == (
        "purchases combine one 75%, two 25%",
        "value combine one 40%, two 60%",
        "left out, without weights of purchases: point",
    )


def test_combine_leaves_out_what_not_all_have():
    one, two, _ = forecasts()
    bare = Forecast(two.expected_purchases, two.purchases)
    found = combine([one, bare], ["one", "two"], {"purchases": {"one": 0.5, "two": 0.5}})
    assert found.totals == {}
    assert found.track is found.value is found.expected_value is found.expected_spend is None
    # A method without weight is not asked for anything.
    alone = combine([one, bare], ["one", "two"], {"purchases": {"one": 1.0, "two": 0.0}})
    np.testing.assert_allclose(alone.purchases.crps(np.ones(4)), one.purchases.crps(np.ones(4)), rtol=1e-12)
    assert set(alone.totals) == {"purchases"}


def test_combine_takes_the_mean_of_a_value_that_is_only_a_distribution():
    one, _, _ = forecasts()
    bare = Forecast(one.expected_purchases, one.purchases, value=one.value)
    found = combine([bare, bare], ["a", "b"], {"purchases": {"a": 0.5, "b": 0.5}, "value": {"a": 0.5, "b": 0.5}})
    np.testing.assert_allclose(found.expected_value, one.value.mean())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"value": {"one": 1.0}}, "needs weights of 'purchases'"),
        ({"purchases": {"one": 0.5, "two": 0.4}}, "They sum to 0.9"),
        ({"purchases": {"one": 1.5, "two": -0.5}}, "the least is -0.5"),
        ({"purchases": {"one": 0.5, "point": 0.5}}, r"1 of 2 methods .* \(first: 'point'\)"),
        ({"purchases": {"nobody": 1.0}}, r"\(first: 'nobody'\)"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        combine(forecasts(), NAMES, weights)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
@pytest.mark.parametrize("name", ["cdnow", "grocery"])
def test_out_of_time_the_combination_is_within_one_percent_of_the_best(name, shared_data):
    if name == "grocery":
        log = pd.read_csv(shared_data("grocery_elog.csv"), parse_dates=["date"]).rename(columns={"cust": "customer_id"})
    else:
        log = pc.datasets.load_cdnow_master()
    methods = ["bg_nbd", "gradient_boosting", "marginal"]
    cutoffs = [(log["date"].min() + pd.Timedelta(days=7 * week - 1)).date() for week in (26, 39, 52, 65)]
    result = backtest(
        log,
        methods=methods,
        cutoffs=cutoffs,
        horizons=["13 weeks"],
        combine=True,
        n_bootstrap=2,
        progressbar=False,
    )
    rows = result.scores
    rows = rows[(rows["by"] == "all") & (rows["metric"] == "crps") & rows["cutoff"].isin(map(str, cutoffs[1:]))]
    crps = rows.pivot_table(index="cutoff", columns="method", values="value")
    assert len(crps) == 3
    # The best over all cut-offs, known in hindsight; which one it is at a single cut-off, nothing before tells.
    assert crps["combination"].mean() < 1.01 * crps[methods].mean().min()
