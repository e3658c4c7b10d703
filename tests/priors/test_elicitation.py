"""What a manager says comes back out of the priors it was turned into."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from predclv.priors import LogNormal, elicit_purchases, elicit_retention, elicit_spend, predict_prior

PURCHASES = elicit_purchases(4, (1, 12))


def medians(priors):
    return {name: float(prior.quantile(0.5)) for name, prior in priors.items()}


def test_purchases_are_as_stated():
    point = medians(elicit_purchases(4, (1, 12), share=0.85, time_unit="day"))
    per_year = stats.gamma(point["r"], scale=365.25 / point["alpha"])
    assert per_year.mean() == pytest.approx(4.0, rel=1e-9)
    assert per_year.cdf(12) - per_year.cdf(1) == pytest.approx(0.85, abs=1e-9)
    weeks = medians(elicit_purchases(4, (1, 12), share=0.85))
    assert weeks["alpha"] * 7 == pytest.approx(point["alpha"], rel=1e-12)


def test_events_are_k_to_a_purchase():
    one, three = (elicit_purchases(4, (1, 12), k=k) for k in (1, 3))
    assert three["r"] == one["r"]
    assert three["alpha"].median == pytest.approx(one["alpha"].median / 3)
    for k in (0, 2.0, True):
        with pytest.raises(ValueError, match="'k' must be a whole number from 1 on"):
            elicit_purchases(4, (1, 12), k=k)


@pytest.mark.parametrize(("share", "years"), [(0.7, 1.0), (0.4, 2.0), (0.95, 0.5)])
def test_retention_is_as_stated(share, years):
    point = medians({**PURCHASES, **elicit_retention(share, after_years=years, purchases=PURCHASES, alike=2.0)})
    assert point["a"] + point["b"] == pytest.approx(2.0, rel=1e-9)
    rng = np.random.default_rng(2)
    rate = rng.gamma(point["r"], 365.25 / 7 / point["alpha"], 400_000)
    stays = np.exp(-rate * rng.beta(point["a"], point["b"], 400_000) * years)
    # Five standard errors of a mean of 400,000 shares.
    assert stays.mean() == pytest.approx(share, abs=5 * stays.std() / np.sqrt(400_000))


def test_spend_is_as_stated():
    point = medians(elicit_spend((30, 80), between_customers=0.3))
    amount = stats.betaprime(point["p"], point["q"], scale=point["gamma"])
    assert amount.cdf([30, 80]) == pytest.approx([0.1, 0.9], abs=1e-9)
    rng = np.random.default_rng(3)
    between = np.var(np.log(rng.gamma(point["q"], size=200_000)))
    within = np.var(np.log(rng.gamma(point["p"], size=200_000)))
    assert between / (between + within) == pytest.approx(0.3, abs=0.01)


def test_the_stated_figure_is_as_sure_as_said():
    priors = {**elicit_purchases(4, (1, 12), within=1.5), **elicit_spend((30, 80), within=1.5)}
    rng = np.random.default_rng(4)
    draw = {name: prior.sample(rng, 40_000) for name, prior in priors.items()}
    rate = draw["r"] / draw["alpha"] * 365.25 / 7
    assert np.quantile(rate, [0.05, 0.95]) == pytest.approx([4 / 1.5, 4 * 1.5], rel=0.02)
    # Of spend, the part of the factor that q has acts through q - 1.
    spend = draw["p"] * draw["gamma"] / (draw["q"] - 1)
    assert np.quantile(spend, 0.95) / np.quantile(spend, 0.05) == pytest.approx(1.5**2, rel=0.03)


@pytest.mark.parametrize(
    ("say", "message"),
    [
        (lambda: elicit_purchases(14, (1, 12)), "Contradiction: 14 purchases a year on average"),
        (lambda: elicit_purchases(4, (3.9999, 4.0001)), "Contradiction: no gamma over customers"),
        (lambda: elicit_purchases(4, (12, 1)), "the lower one first"),
        (lambda: elicit_purchases(4, 12), "two numbers"),
        (lambda: elicit_purchases(4, (1, 12), share=80), "'share' must lie between 0 and 1"),
        (lambda: elicit_purchases(4, (1, 12), within=0.5), "'within' is a factor above 1"),
        (lambda: elicit_purchases(4, (1, 12), time_unit="month"), "'time_unit' must be one of"),
        (lambda: elicit_retention(0.1, purchases=PURCHASES), "Contradiction: 1[0-9]% of customers make no repeat"),
        (lambda: elicit_retention(70, purchases=PURCHASES), "'still_here' must lie between 0 and 1"),
        (lambda: elicit_retention(0.7, purchases={}), "take them from elicit_purchases"),
        (
            lambda: elicit_retention(0.7, purchases={**PURCHASES, "alpha": LogNormal(5, 1)}),
            "must say its time unit",
        ),
        (lambda: elicit_retention(1 - 1e-9, purchases=PURCHASES), "Contradiction: with alike=3"),
        (lambda: elicit_spend((0.1, 1e5)), "Contradiction.*mean spend would be infinite"),
        (lambda: elicit_spend((30, 30.001)), "all but equal"),
    ],
)
def test_contradictions_are_named(say, message):
    with pytest.raises(ValueError, match=message):
        say()


def test_prior_predictive_repeats_what_was_said():
    priors = {**PURCHASES, **elicit_retention(0.7, purchases=PURCHASES), **elicit_spend((30, 80))}
    predictive = predict_prior(priors)
    table = predictive.summary.set_index("what")["median"]
    assert table["purchases a year, mean of a firm's customers"] == pytest.approx(4, rel=0.1)
    assert table["share still customers after 1 year"] == pytest.approx(0.7, abs=0.03)
    assert table["mean purchase of a firm"] == pytest.approx(52, rel=0.05)
    again = predict_prior(priors)
    np.testing.assert_array_equal(predictive.spend, again.spend)
    assert (np.diff(predictive.survival, axis=1) <= 0).all()


def test_prior_predictive_of_a_part_and_of_nothing():
    alone = predict_prior(elicit_spend((30, 80)))
    assert alone.purchases is None
    assert alone.survival is None
    with pytest.raises(ValueError, match="are needed for purchases"):
        predict_prior({})
    with pytest.raises(ValueError, match="time_unit must be one of"):
        predict_prior({"r": LogNormal(1, 1), "alpha": LogNormal(5, 1)})
    with pytest.raises(ValueError, match=r"in ages of the data.*priors_for"):
        predict_prior({"r": LogNormal(1, 1), "alpha": LogNormal(5, 1, unit="age")})
