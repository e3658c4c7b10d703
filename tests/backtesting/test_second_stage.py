"""Forecasts made from others: what they are called, and which cut-offs they learn from."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pytest

from predclv.backtesting import Counts, Forecast, Values
from predclv.backtesting.blocks import Outcome
from predclv.backtesting.second_stage import derive_combination, derive_recalibrated, past_vintages

N = 400
RATE = np.random.default_rng(1).gamma(0.5, 2.0, N)


def vintage(cutoff, *ends, spend=True, seed=0):
    """Customers with known rates, and what they did until each end."""
    rng = np.random.default_rng(seed)
    start = dt.date.fromisoformat(cutoff)
    outcomes = []
    for end in map(dt.date.fromisoformat, ends):
        weeks = (end - start).days / 7
        bought = rng.poisson(RATE * weeks / 10).astype(float)
        outcomes.append(Outcome(f"{weeks:g} weeks", weeks, end, bought, 20.0 * bought if spend else None, 0, 0))
    rfm = SimpleNamespace(frequency=rng.poisson(RATE))
    known = SimpleNamespace(everyone=SimpleNamespace(rfm=rfm))
    return SimpleNamespace(cutoff=start, outcomes=tuple(outcomes), known=known)


def forecast(outcome, factor, *, value=True):
    mean = factor * RATE * outcome.length / 10
    levels = np.linspace(0.05, 0.95, 10)
    money = None
    if value:
        quantiles = 20.0 * Counts.poisson(mean).at_levels(levels)
        money = Values.from_quantiles(np.exp(-mean), quantiles, levels=levels)
    return Forecast(mean, Counts.poisson(mean), None, np.full(N, 20.0), 20.0 * mean, money, {"purchases": np.ones(5)})


FACTORS = {"low": 0.5, "high": 2.0}
VINTAGES = [
    vintage("2024-01-31", "2024-02-28", "2024-04-24", seed=1),
    vintage("2024-02-28", "2024-03-27", "2024-05-22", seed=2),
    vintage("2024-04-24", "2024-05-22", "2024-07-17", seed=3),
]


def forecasts(vintages=VINTAGES, factors=FACTORS, **options):
    return {
        (i, h, name): forecast(outcome, factor, **options)
        for i, one in enumerate(vintages)
        for h, outcome in enumerate(one.outcomes)
        for name, factor in factors.items()
    }


def test_the_past_is_what_had_ended():
    # Four weeks from the first cut-off end on the day of the second: just in time. Twelve reach beyond it.
    assert [past_vintages(VINTAGES, i, 0) for i in range(3)] == [[], [0], [0, 1]]
    assert [past_vintages(VINTAGES, i, 1) for i in range(3)] == [[], [], [0]]
    late = [vintage("2024-01-31", "2024-02-29"), vintage("2024-02-28", "2024-03-27")]
    assert past_vintages(late, 1, 0) == []


def test_an_outcome_that_ends_at_an_instant_is_past_from_then_on():
    def ending(cutoff, end):
        return SimpleNamespace(cutoff=cutoff, outcomes=(SimpleNamespace(end=end),))

    noon, day = dt.datetime(2024, 3, 1, 12), dt.date(2024, 3, 1)
    later = dt.date(2024, 4, 1)
    assert past_vintages([ending(dt.date(2024, 1, 1), noon), ending(noon, later)], 1, 0) == [0]
    assert past_vintages([ending(dt.date(2024, 1, 1), noon), ending(day, later)], 1, 0) == [0]
    assert past_vintages([ending(dt.date(2024, 1, 1), day), ending(noon, later)], 1, 0) == []


@pytest.mark.parametrize("method", ["pit", "conformal"])
def test_what_is_recalibrated_and_from_how_much(method):
    derived = derive_recalibrated(VINTAGES, forecasts(), method)
    expected = {(1, 0), (2, 0), (2, 1)}
    assert set(derived.forecasts) == {(i, h, f"{name}_recalibrated") for i, h in expected for name in FACTORS}
    learnt = derived.table.groupby(["cutoff", "horizon"])["learnt_from"].agg(["min", "max"])
    assert learnt.to_dict("index") == {
        ("2024-02-28", "4 weeks"): {"min": 1, "max": 1},
        ("2024-04-24", "12 weeks"): {"min": 1, "max": 1},
        ("2024-04-24", "4 weeks"): {"min": 2, "max": 2},
    }
    assert set(derived.table["method"]) == set(FACTORS)
    assert set(derived.table["quantity"]) == {"purchases", "value"}


def test_recalibration_draws_a_bias_in():
    made = derive_recalibrated(VINTAGES, forecasts(), "pit").forecasts
    actual = VINTAGES[2].outcomes[0].purchases
    for name, factor in FACTORS.items():
        before, after = forecast(VINTAGES[2].outcomes[0], factor), made[2, 0, f"{name}_recalibrated"]
        assert abs(after.expected_purchases.sum() - actual.sum()) < abs(before.expected_purchases.sum() - actual.sum())
        assert after.purchases.crps(actual).mean() < before.purchases.crps(actual).mean()


def test_outcomes_of_the_cutoff_itself_and_later_do_not_matter():
    altered = [
        VINTAGES[0],
        vintage("2024-02-28", "2024-03-27", "2024-05-22", seed=8),
        vintage("2024-04-24", "2024-05-22", "2024-07-17", seed=9),
    ]
    # Repeat purchases until the cut-off are known at it.
    for one, other in zip(altered, VINTAGES, strict=True):
        one.known = other.known
    for derive in (
        lambda v: derive_recalibrated(v, forecasts(), "pit"),
        lambda v: derive_combination(v, forecasts(), list(FACTORS)),
    ):
        one, other = derive(VINTAGES).forecasts, derive(altered).forecasts
        for key in one:
            same = one[key].purchases.cdf.tobytes() == other[key].purchases.cdf.tobytes()
            # At the third cut-off the second's four weeks had ended; its twelve, and all else that differs, had not.
            assert same == (key[:2] != (2, 0))


def test_a_method_is_recalibrated_by_the_cutoffs_at_which_it_ran():
    found = forecasts()
    del found[0, 0, "low"]
    derived = derive_recalibrated(VINTAGES, found, "pit")
    assert (1, 0, "low_recalibrated") not in derived.forecasts
    assert (1, 0, "high_recalibrated") in derived.forecasts
    learnt = (
        derived.table.query("cutoff == '2024-04-24' and horizon == '4 weeks'").groupby("method")["learnt_from"].max()
    )
    assert learnt.to_dict() == {"high": 2, "low": 1}


def test_points_are_neither_recalibrated_nor_combined():
    found = forecasts() | {(i, 0, "point"): Forecast(RATE) for i in range(3)}
    assert not {key for key in derive_recalibrated(VINTAGES, found, "pit").forecasts if "point" in key[2]}
    weights = derive_combination(VINTAGES, found, [*FACTORS, "point"]).table
    assert set(weights["method"]) == set(FACTORS)


def test_without_amounts_purchases_alone_are_derived():
    plain = [vintage("2024-01-31", "2024-02-28", spend=False), vintage("2024-02-28", "2024-03-27", spend=False)]
    found = forecasts(plain, value=False)
    assert set(derive_recalibrated(plain, found, "pit").table["quantity"]) == {"purchases"}
    combined = derive_combination(plain, found, list(FACTORS))
    assert set(combined.table["quantity"]) == {"purchases"}
    assert combined.forecasts[1, 0, "combination"].value is None


def test_one_cutoff_gives_nothing():
    assert derive_recalibrated(VINTAGES[:1], forecasts(VINTAGES[:1]), "pit").forecasts == {}
    combined = derive_combination(VINTAGES[:1], forecasts(VINTAGES[:1]), list(FACTORS))
    assert combined.forecasts == {}
    assert list(combined.table.columns) == ["cutoff", "horizon", "quantity", "method", "weight", "learnt_from"]


def test_weights_are_those_of_methods_that_ran_at_all_the_cutoffs():
    found = forecasts(factors={**FACTORS, "true": 1.0})
    combined = derive_combination(VINTAGES, found, [*FACTORS, "true"])
    assert set(combined.forecasts) == {(i, h, "combination") for i, h in {(1, 0), (2, 0), (2, 1)}}
    table = combined.table.query("quantity == 'purchases'")
    np.testing.assert_allclose(table.groupby(["cutoff", "horizon"])["weight"].sum(), 1.0)
    assert (table.query("method == 'true'")["weight"] > 0.5).all()
    assert table.query("cutoff == '2024-04-24' and horizon == '4 weeks'")["learnt_from"].tolist() == [2, 2, 2]
    del found[0, 0, "true"]
    again = derive_combination(VINTAGES, found, [*FACTORS, "true"]).table.query("horizon == '4 weeks'")
    assert set(again["method"]) == set(FACTORS)


def test_a_single_method_is_no_combination():
    found = {key: made for key, made in forecasts().items() if key[2] == "low"}
    assert derive_combination(VINTAGES, found, ["low"]).forecasts == {}
