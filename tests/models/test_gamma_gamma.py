"""Gamma-Gamma: independence of spend and frequency, small samples, tails, and who is left out."""

from __future__ import annotations

import dataclasses
import time
import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.errors import ConvergenceWarning, DataError, DependenceWarning, FitError, HeavyTailWarning


def summary_of(frequency, spend) -> pc.RFMSummary:
    frequency = np.asarray(frequency)
    return pc.RFMSummary.from_frame(
        pd.DataFrame(
            {"frequency": frequency, "recency": 1.0 * frequency, "T": frequency + 5.0, "monetary_value": spend}
        ),
        time_unit="week",
    )


def spend_of(rng, frequency, p, q, gamma):
    return rng.gamma(p * frequency) / rng.gamma(q, 1 / gamma, len(frequency)) / frequency


def fit(rfm) -> pc.GammaGamma:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pc.GammaGamma().fit(rfm)


def test_cdnow_depends(cdnow):
    with pytest.warns(DependenceWarning, match=r"rank correlation 0\.206 over 946 repeat buyers, 0\.164 beyond"):
        dependence = pc.GammaGamma().fit(cdnow).dependence_
    assert dependence.is_notable
    assert dependence.rank_correlation == pytest.approx(0.206, abs=5e-4)
    assert dependence.adjusted_correlation == pytest.approx(0.1637, abs=5e-4)
    assert dependence.p_value == pytest.approx(4.1e-7, rel=0.05)


def test_data_that_satisfy_the_assumption_do_not_warn(cdnow):
    frequency = cdnow.frequency[cdnow.frequency > 0]
    rng = np.random.default_rng(3)
    found = [fit(summary_of(frequency, spend_of(rng, frequency, 1.0, 3.74, 96.0))).dependence_ for _ in range(20)]
    # Mean spend goes with frequency by more than three standard errors, 1 / sqrt(945), even so.
    assert np.mean([d.rank_correlation for d in found]) > 0.1
    assert np.mean([d.adjusted_correlation for d in found]) == pytest.approx(0.0, abs=4 / np.sqrt(945 * 20))
    assert not any(d.is_notable for d in found)


def test_three_repeat_buyers_prove_nothing():
    dependence = fit(summary_of([1, 2, 3], [10.0, 20.0, 35.0])).dependence_
    assert dependence.adjusted_correlation == pytest.approx(1.0)
    # Of the 6 orders of three customers, 2 correlate as much.
    assert dependence.p_value == pytest.approx(1 / 3, abs=0.02)
    assert not dependence.is_notable


def test_too_few_who_bought_twice_is_not_called_fixed_prices():
    n_said = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        frequency = rng.choice([1, 1, 1, 2, 2, 3, 6], 30)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pc.GammaGamma().fit(summary_of(frequency, spend_of(rng, frequency, 6.25, 3.74, 15.44)))
        for text in (str(w.message) for w in caught if "p → ∞" in str(w.message)):
            n_said += 1
            assert "same amount each time" not in text
            assert f"Only {np.sum(frequency >= 2)} customers made two or more repeat purchases" in text
    assert n_said >= 2


def test_fixed_prices_are_called_so():
    # In 4 of 5 such samples the likelihood rises towards p = ∞; in the others p is merely large.
    rng = np.random.default_rng(1)
    frequency = rng.integers(1, 8, 300)
    with pytest.warns(ConvergenceWarning, match="same amount each time") as caught:
        model = pc.GammaGamma().fit(summary_of(frequency, 100 / rng.gamma(3.74, 1, 300)))
    assert "p → ∞" in str(caught[0].message)
    summary = model.summary.set_index("parameter")
    assert np.isnan(summary.loc["p", "std_error"])
    assert summary.loc["p", ["low", "high"]].tolist() == [0.0, np.inf]
    # The shape over customers is determined all the same.
    assert summary.loc["q", "low"] < 3.74 < summary.loc["q", "high"]


def test_a_warning_raised_as_an_error_leaves_a_whole_model(tmp_path):
    rng = np.random.default_rng(1)
    frequency = rng.integers(1, 8, 500)
    rfm = summary_of(frequency, spend_of(rng, frequency, 6.25, 0.8, 15.0))
    model = pc.GammaGamma()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("error", HeavyTailWarning)
        with pytest.raises(HeavyTailWarning):
            model.fit(rfm)
    assert model.dependence_.n_customers == 500
    assert model.n_left_out_ == 0
    model.save(tmp_path / "model")
    assert pc.load(tmp_path / "model").dependence_ == model.dependence_


def test_repeat_buyers_without_spend_are_left_out_of_the_fit_and_forecast_near_zero():
    rng = np.random.default_rng(2)
    frequency = rng.integers(1, 8, 300)
    spend = spend_of(rng, frequency, 6.25, 3.74, 15.44)
    with_nothing = summary_of(np.append(frequency, 9), np.append(spend, 0.0))
    model, without = fit(with_nothing), fit(summary_of(frequency, spend))
    assert model.n_left_out_ == 1
    np.testing.assert_array_equal(model.posterior_.point_array, without.posterior_.point_array)
    expected = model.expected_spend(with_nothing)["expected_spend"]
    assert expected.iloc[-1] < 3 < expected.iloc[:-1].min()


def test_too_few_to_fit_can_be_scored():
    rng = np.random.default_rng(2)
    frequency = rng.integers(1, 8, 300)
    model = fit(summary_of(frequency, spend_of(rng, frequency, 6.25, 3.74, 15.44)))
    assert np.isfinite(model.score(summary_of([2, 0], [30.0, 0.0])))
    with pytest.raises(DataError, match="at least 3 repeat buyers"):
        pc.GammaGamma().fit(summary_of([2, 0], [30.0, 0.0]))
    with pytest.raises(DataError, match="nobody to score"):
        model.score(summary_of([0, 0], [0.0, 0.0]))
    with pytest.raises(TypeError, match="Expected an RFMSummary"):
        model.expected_spend(pd.DataFrame())


def test_order_of_customers_changes_no_digit(cdnow):
    """Sums are taken over distinct histories in order, so chains, too, are the same."""
    shuffled = cdnow[np.random.default_rng(0).permutation(len(cdnow))]
    settings = {"method": "mcmc", "draws": 50, "tune": 100, "chains": 2, "progressbar": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # chains so short, and the dependence of spend on frequency
        one, other = (pc.GammaGamma(**settings).fit(rfm).posterior_.draws_array() for rfm in (cdnow, shuffled))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("method", ["map", "auto", "mcmc"])
@pytest.mark.parametrize("spread", [0.0, 3e-4])
def test_one_price_for_all_is_refused_under_priors_before_sampling(method, spread):
    rng = np.random.default_rng(2)
    frequency = rng.integers(1, 8, 120)
    rfm = summary_of(frequency, 30.0 * np.exp(spread * rng.normal(size=120)))
    start = time.process_time()
    with pytest.raises(FitError, match=r"All 120 repeat buyers spend the same amount .*prices are fixed.*method='mle'"):
        pc.GammaGamma(method=method).fit(rfm)
    # Sampling took minutes.
    assert time.process_time() - start < 20


def test_a_price_for_one_segment_is_named():
    rng = np.random.default_rng(2)
    frequency, segment = rng.integers(1, 8, 300), rng.choice(["gift", "other"], 300)
    money = np.where(segment == "gift", 30.0, 30.0 * np.exp(0.4 * rng.normal(size=300)))
    # One alone who pays another price made the search end in a singular matrix.
    for spend in (money, np.where(np.arange(300) == np.argmax(segment == "other"), 33.0, 30.0)):
        rfm = dataclasses.replace(summary_of(frequency, spend), carried={"kind": segment.astype(object)})
        with pytest.raises(FitError, match=r"All repeat buyers in 1 of 2 segments \(first: 'gift'\) spend the same"):
            pc.GammaGamma(method="map", segment="kind").fit(rfm)


def test_a_price_for_each_segment_is_refused_too():
    rng = np.random.default_rng(2)
    frequency, segment = rng.integers(1, 8, 300), rng.choice(["a", "b"], 300)
    rfm = summary_of(frequency, np.where(segment == "a", 30.0, 45.0))
    rfm = dataclasses.replace(rfm, carried={"plan": segment.astype(object)})
    with pytest.raises(FitError, match="as the others of their segment: prices are fixed"):
        pc.GammaGamma(method="map", segment="plan").fit(rfm)


def test_few_buyers_at_one_price_still_have_a_mode():
    rfm = summary_of(np.tile([1, 2, 3, 1, 2], 8), np.full(40, 30.0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = pc.GammaGamma(method="map").fit(rfm)
    assert model.expected_spend(rfm)["expected_spend"].to_numpy() == pytest.approx(30.0, rel=0.01)
