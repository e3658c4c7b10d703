import copy
import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

import predclv as pc
from predclv.backtesting.distributions import Counts, Values
from predclv.backtesting.methods.forest import grow_leaves
from predclv.backtesting.methods.learning import GradientBoosting, Linear, RandomForest
from predclv.backtesting.methods.training import FEWEST, make_training_set
from predclv.backtesting.predictions import as_forecast
from predclv.errors import FitError

METHODS = {method.name: method for method in (GradientBoosting, RandomForest, Linear)}
HORIZON = 26.0


@pytest.fixture(scope="module")
def population():
    """Customers of two years, half a year to look at: log until the cut-off, and the split."""
    made = pc.datasets.simulate(
        "pareto_nbd", n_customers=5_000, births="52 weeks", observed="104 weeks", holdout="26 weeks", seed=3
    )
    split = pc.split_transactions(made.log, at=made.observation_end, amount="amount")
    assert split.duration == HORIZON
    return made.log[made.log["date"] < pd.Timestamp(made.observation_end) + pd.Timedelta(days=1)], split


@pytest.fixture(scope="module")
def forecasts(population):
    log, split = population
    rfm = split.calibration
    return {
        name: as_forecast(method().fit(rfm, log, [HORIZON]).predict(rfm, log, HORIZON), rfm)
        for name, method in METHODS.items()
    }


@pytest.fixture(params=METHODS)
def forecast(request, forecasts):
    return forecasts[request.param]


def pit_distance(distribution, actual):
    below, at = distribution.bounds(actual)
    pit = below + np.random.default_rng(5).random(len(actual)) * (at - below)
    return stats.kstest(pit, "uniform").statistic


def test_forecasts_beat_the_same_for_all(forecast, population):
    _, split = population
    purchases, spend = (split.holdout[name].to_numpy(dtype=float) for name in ("purchases", "spend"))
    bought = purchases > 0
    # The mean of what came is the best that anyone who tells no customers apart could have said. What history tells
    # here takes half of the variance of purchases (the true model's r is .73), so a quarter is far beyond noise.
    assert np.mean((forecast.expected_purchases - purchases) ** 2) < 0.75 * purchases.var()
    assert np.mean((forecast.expected_value - spend) ** 2) < 0.75 * spend.var()
    assert np.mean((forecast.p_purchase - bought) ** 2) < 0.75 * bought.var()
    # Beside the distribution of all outcomes, paired by customer: ahead by far more than chance.
    everyone = np.zeros(len(spend), dtype=np.int64)
    for distribution, marginal, actual in (
        (forecast.purchases, Counts.from_samples(purchases[:, np.newaxis]), purchases),
        (forecast.value, Values.from_samples(spend[:, np.newaxis]), spend),
    ):
        gain = marginal.take(everyone).crps(actual) - distribution.crps(actual)
        assert gain.mean() > 5 * gain.std() / np.sqrt(len(gain))


def test_distributions_hold(forecast, population):
    _, split = population
    n = len(split.holdout)
    # Chance alone keeps within 1.63 / sqrt(n) = .023 in 99 of 100 samples. Above it .02 for what is approximate: one
    # shape for all, and customers who leave, so that earlier vintages bought a little more.
    allowed = 1.63 / np.sqrt(n) + 0.02
    assert pit_distance(forecast.purchases, split.holdout["purchases"].to_numpy(dtype=float)) < allowed
    assert pit_distance(forecast.value, split.holdout["spend"].to_numpy(dtype=float)) < allowed


def test_means_agree_with_the_distributions(forecast):
    np.testing.assert_allclose(forecast.purchases.mean(), forecast.expected_purchases, rtol=1e-12)
    np.testing.assert_array_equal(forecast.purchases.p_positive(), forecast.p_purchase)
    assert forecast.value.mean().sum() == pytest.approx(forecast.expected_value.sum(), rel=0.005)
    np.testing.assert_allclose(forecast.value.mean(), forecast.expected_value, rtol=0.15)
    np.testing.assert_allclose(forecast.expected_spend * forecast.expected_purchases, forecast.expected_value)
    # Everyone who pays buys.
    assert (forecast.value.p_positive() <= forecast.p_purchase + 1e-9).all()
    assert dict(forecast.totals) == {}


def test_notes_tell_what_was_learnt_from(forecast):
    first, *rest = forecast.notes
    assert first == "learnt from what followed 2024-06-30, 2024-12-29, 2025-06-29"
    assert [note.partition(" of ")[2] for note in rest] == [
        "5,000 customers are older than any that were learnt from, and are taken to be no older"
    ]


@pytest.fixture(scope="module")
def few(population):
    """A thousand of the customers, for what needs no precision."""
    log, _ = population
    log = log[log["customer_id"].isin(np.sort(log["customer_id"].unique())[:1000])]
    return pc.RFMSummary.from_transactions(log, amount="amount", observation_end="2025-12-28"), log


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_same_seed_same_forecast_whatever_the_threads(method, few):
    rfm, log = few
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            found.append(copy.deepcopy(method(random_state=4)).fit(rfm, log, [13]).predict(rfm, log, 13))
    np.testing.assert_array_equal(found[0].purchases.cdf, found[1].purchases.cdf)
    np.testing.assert_array_equal(found[0].value.quantiles, found[1].value.quantiles)
    other = method(random_state=5).fit(rfm, log, [13]).predict(rfm, log, 13)
    assert (other.expected_purchases != found[0].expected_purchases).any()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_rows_after_the_cutoff_are_refused(method, few):
    rfm, log = few
    learnt = method(n_vintages=1).fit(rfm, log, [13])
    late = pd.concat([log, log.tail(1).assign(date=pd.Timestamp("2025-12-29"))], ignore_index=True)
    with pytest.raises(FitError, match=r"1 of .* rows lie after the cut-off 2025-12-28"):
        method().fit(rfm, late, [13])
    with pytest.raises(FitError, match=r"1 of .* rows lie after the cut-off 2025-12-28"):
        learnt.predict(rfm, late, 13)


def test_training_sees_features_before_and_outcomes_after_each_cutoff(few):
    rfm, log = few
    training = make_training_set(rfm, log, 13, 3, 0)
    cuts = [pd.Timestamp("2025-12-29") - pd.Timedelta(weeks=13 * k) for k in (1, 2, 3)]
    born = log.groupby("customer_id")["date"].min()
    assert len(training.features) == sum((born < cut).sum() for cut in cuts)
    ends = [*cuts[::-1], pd.Timestamp("2025-12-29")]
    days = log.assign(date=log["date"].dt.normalize()).drop_duplicates(["customer_id", "date"])
    outcomes = [
        days[(days["date"] >= start) & (days["date"] < end) & (days["customer_id"].map(born) < start)]
        for start, end in itertools.pairwise(ends)
    ]
    assert training.purchases.sum() == sum(map(len, outcomes))
    assert training.spend.sum() == pytest.approx(
        sum(
            log.loc[
                (log["date"] >= start) & (log["date"] < end) & (log["customer_id"].map(born) < start), "amount"
            ].sum()
            for start, end in itertools.pairwise(ends)
        )
    )
    first = training.features.iloc[: (born < cuts[0]).sum()]
    known = days[days["date"] < cuts[0]].groupby("customer_id").size()
    np.testing.assert_array_equal(first["frequency"], known.sort_index() - 1)
    # Windows are shorter than the shortest log, 65 weeks.
    assert training.terms.windows == (4, 8, 13, 26, 52)
    assert training.terms.scale == 1


def test_all_rows_of_a_customer_are_in_one_fold(few):
    rfm, log = few
    training = make_training_set(rfm, log, 13, 2, 0)
    n = len(training.features) // 2
    # Everyone had come by the earlier of the two cut-offs.
    assert len(training.features) == 2 * n == 2 * len(rfm)
    np.testing.assert_array_equal(training.fold[:n], training.fold[n:])
    assert set(np.bincount(training.fold[:n])) <= {len(rfm) // 3, len(rfm) // 3 + 1}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_horizons_are_learnt_apart(method, few):
    rfm, log = few
    learnt = method(n_vintages=1).fit(rfm, log, [4, 13])
    short, long = (learnt.predict(rfm, log, horizon).expected_purchases.sum() for horizon in (4.0, 13.0))
    alone = method(n_vintages=1).fit(rfm, log, [13]).predict(rfm, log, 13).expected_purchases.sum()
    assert short < long == alone
    with pytest.raises(FitError, match=f"{method.name} has learnt the horizons 4, 13, not 26"):
        learnt.predict(rfm, log, 26)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_what_was_learnt_serves_a_later_cutoff(method, few):
    rfm, log = few
    early = log[log["date"] < "2025-09-29"]
    before = pc.RFMSummary.from_transactions(early, amount="amount", observation_end="2025-09-28")
    learnt = method(n_vintages=2).fit(before, early, [13])
    forecast = as_forecast(learnt.predict(rfm, log, 13), rfm)
    assert len(forecast.expected_purchases) == len(rfm)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_short_log_is_scaled_and_says_so(method, cdnow_case):
    rfm, log, horizon, purchases = cdnow_case
    scaled = as_forecast(method().fit(rfm, log, [horizon]).predict(rfm, log, horizon), rfm)
    assert "learnt from 19.4 weeks of outcomes, scaled to 39 weeks" in scaled.notes
    window = method().fit(rfm, log, [136 / 7]).predict(rfm, log, 136 / 7)
    # Means and money are those of the window times 39 weeks / 136 days, to the cut tail of the counts.
    np.testing.assert_allclose(scaled.expected_purchases, window.expected_purchases * 273 / 136, rtol=1e-4)
    np.testing.assert_allclose(scaled.expected_value, window.expected_value * 273 / 136, rtol=1e-9)
    assert scaled.value.mean().sum() == pytest.approx(scaled.expected_value.sum(), rel=0.01)
    more = scaled.p_purchase - window.p_purchase
    assert (more > 0).all()
    assert (scaled.p_purchase < window.p_purchase * 273 / 136).all()
    # The printed RMSE of the naive rate is 2.212, of BG/NBD 1.608; who learns from so short a log comes between.
    assert np.sqrt(np.mean((scaled.expected_purchases - purchases) ** 2)) < 1.75


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_without_amounts_there_are_purchases_only(method, few):
    _, log = few
    log = log[["customer_id", "date"]]
    rfm = pc.RFMSummary.from_transactions(log, observation_end="2025-12-28")
    forecast = as_forecast(method(n_vintages=1).fit(rfm, log, [13]).predict(rfm, log, 13), rfm)
    assert forecast.purchases is not None
    assert forecast.value is forecast.expected_value is forecast.expected_spend is None


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_where_nobody_pays_value_is_left_out_with_a_note(method, few):
    _, log = few
    log = log.assign(amount=0.0)
    rfm = pc.RFMSummary.from_transactions(log, amount="amount", observation_end="2025-12-28")
    forecast = method(n_vintages=1).fit(rfm, log, [13]).predict(rfm, log, 13)
    assert forecast.value is forecast.expected_value is None
    assert "only 0 customers spent money in what could be learnt from: no forecast of value" in forecast.notes


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_customers_who_all_do_the_same(method):
    # Sixty customers, each with a purchase every week: nothing can be told apart, and all is certain.
    weeks, customers = np.meshgrid(np.arange(30), np.arange(60))
    date = pd.Timestamp("2024-01-01") + pd.to_timedelta(weeks.ravel() * 7 + customers.ravel() % 7, unit="D")
    log = pd.DataFrame({"customer_id": customers.ravel(), "date": date, "amount": 5.0})
    rfm = pc.RFMSummary.from_transactions(
        log, amount="amount", observation_end="2024-07-28", observation_start="2024-01-01"
    )
    forecast = as_forecast(method().fit(rfm, log, [4]).predict(rfm, log, 4), rfm)
    np.testing.assert_allclose(forecast.expected_purchases, 4, rtol=1e-4)
    np.testing.assert_allclose(forecast.p_purchase, 1, atol=1e-5)
    np.testing.assert_allclose(forecast.expected_value, 20, rtol=1e-3)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_too_few_buyers_are_refused(method):
    # A hundred customers of January, of whom three come back in May.
    first = pd.DataFrame({"customer_id": np.arange(100), "date": pd.Timestamp("2024-01-10")})
    again = pd.DataFrame({"customer_id": [1, 2, 3], "date": pd.Timestamp("2024-05-25")})
    log = pd.concat([first, again], ignore_index=True)
    rfm = pc.RFMSummary.from_transactions(log, observation_end="2024-05-31", observation_start="2024-01-10")
    with pytest.raises(FitError, match=f"Only 3 of 100 customers bought in the 4 weeks .* {FEWEST} are needed"):
        method(n_vintages=1).fit(rfm, log, [4])


def test_warnings_of_a_fit_become_notes(few, monkeypatch):
    def warn_and_grow(training, random_state):
        warnings.warn("slow\nand why", stacklevel=1)
        return grow_leaves(training, random_state)

    monkeypatch.setattr("predclv.backtesting.methods.learning.grow_leaves", warn_and_grow)
    rfm, log = few
    forecast = RandomForest(n_vintages=1).fit(rfm, log, [4]).predict(rfm, log, 4)
    assert "slow" in forecast.notes
