"""Baselines against arithmetic by hand, and against the published rows of CDNOW and grocery."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting.methods.baselines import Formula, HistoricalAverage, Marginal, Naive, Zero
from predclv.backtesting.predictions import as_forecast
from predclv.errors import DataError, FitError

SMALL = pd.DataFrame(
    {
        "customer_id": ["a", "a", "a", "b", "c"],
        "date": pd.to_datetime(["2020-01-01", "2020-01-15", "2020-01-29", "2020-01-08", "2020-02-05"]),
        "amount": [10.0, 20.0, 40.0, 30.0, 50.0],
    }
)
END = "2020-02-05"


def summarise(log, end=END, amount="amount", **options):
    return pc.RFMSummary.from_transactions(log, amount=amount, observation_end=end, **options)


def forecast(method, log, horizon, end=END, **options):
    rfm = summarise(log, end, **options)
    return as_forecast(method.fit(rfm, log).predict(rfm, log, horizon), rfm)


def same(found, expected):
    # Sums and products of a few floats.
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_zero_forecasts_nothing_with_certainty():
    found = forecast(Zero(), SMALL, 10)
    actual = np.array([0.0, 1.0, 7.0])
    same(found.expected_purchases, [0, 0, 0])
    same(found.p_purchase, [0, 0, 0])
    same(found.expected_value, [0, 0, 0])
    same(found.purchases.crps(actual), actual)
    same(found.value.crps(actual * 9.5), actual * 9.5)
    assert found.expected_spend is None
    same(found.track[1], np.zeros(26))


def test_naive_goes_on_at_the_customers_own_rate():
    # a: two repeats in 5 weeks, of 20 and 40; b: none in 4 weeks; c: came on the last day.
    found = forecast(Naive(), SMALL, 10)
    same(found.expected_purchases, [4, 0, 0])
    same(found.expected_spend, [30, 30, 30])
    same(found.expected_value, [120, 0, 0])
    assert found.purchases is None
    assert found.notes == ("1 of 3 customers came on the cut-off itself: their rate is 0",)
    times, so_far = found.track
    same(so_far, 0.4 * times)
    assert times[-1] == 10


def test_mean_spend_of_the_base_counts_purchases_not_customers():
    more = pd.DataFrame(
        {"customer_id": "d", "date": pd.to_datetime(["2020-01-01", "2020-01-08"]), "amount": [5.0, 90.0]}
    )
    # Repeats of 20, 40 and 90: 50 a purchase, where the mean of customers' means is 60.
    found = forecast(Naive(), pd.concat([SMALL, more]), 10)
    same(found.expected_spend, [30, 50, 50, 90])


def test_historical_average_gives_everyone_the_same():
    # 2 repeats in 5 + 4 + 0 weeks.
    found = forecast(HistoricalAverage(), SMALL, 10)
    same(found.expected_purchases, np.full(3, 20 / 9))
    same(found.expected_spend, np.full(3, 30.0))
    same(found.expected_value, np.full(3, 600 / 9))
    same(found.track[1][-1], 60 / 9)


def test_historical_average_needs_time_to_have_passed():
    with (
        pytest.raises(FitError, match="All 1 customers came on the cut-off itself"),
        pytest.warns(UserWarning, match="bought once"),
    ):
        forecast(HistoricalAverage(), SMALL[SMALL["customer_id"] == "c"], 10)


def test_formula_is_average_purchase_times_frequency_times_lifespan():
    # The one repeat buyer's lifespan is 4 weeks: a 3 / 5 a week, b 1 / 4, c 1 in one week at least.
    found = forecast(Formula(), SMALL, 10)
    same(found.expected_purchases, [2.4, 1.0, 4.0])
    same(found.expected_spend, [70 / 3, 30, 50])
    same(found.expected_value, [56, 30, 200])
    times, so_far = found.track
    same(so_far, 1.85 * np.minimum(times, 4))


def test_formula_stops_at_the_horizon():
    same(forecast(Formula(), SMALL, 2).expected_value, [28, 15, 100])


@pytest.mark.parametrize(("policy", "average_of_a"), [("net", 15.0), ("ignore", 70 / 3)])
def test_formula_takes_returns_as_the_summary_does(policy, average_of_a):
    back = pd.DataFrame({"customer_id": ["a"], "date": pd.to_datetime(["2020-01-30"]), "amount": [-25.0]})
    found = forecast(Formula(), pd.concat([SMALL, back]), 10, returns=policy)
    same(found.expected_spend, [average_of_a, 30, 50])


def test_formula_counts_customers_whose_returns_exceed_their_purchases():
    back = pd.DataFrame({"customer_id": ["b"], "date": pd.to_datetime(["2020-01-30"]), "amount": [-45.0]})
    found = forecast(Formula(), pd.concat([SMALL, back]), 10)
    same(found.expected_spend, [70 / 3, 0, 50])
    assert "returns exceed purchases for 1 of 3 customers: they spend 0" in found.notes


def test_formula_needs_someone_who_came_back():
    once = SMALL.drop_duplicates("customer_id")
    with pytest.raises(DataError, match="All 3 customers bought once"), pytest.warns(UserWarning, match="bought once"):
        forecast(Formula(), once, 10)


def test_a_base_without_repeats_has_no_spend_to_forecast():
    with pytest.warns(UserWarning, match="bought once"):
        found = forecast(Naive(), SMALL.drop_duplicates("customer_id"), 10)
    assert found.expected_spend is None
    assert found.expected_value is None
    assert "no forecast of spend: nobody bought twice before the cut-off" in found.notes


@pytest.mark.parametrize("method", [Zero, Naive, HistoricalAverage])
def test_no_amounts_no_money(method):
    found = forecast(method(), SMALL.drop(columns="amount"), 10, amount=None)
    assert found.expected_spend is None
    assert found.expected_value is None
    assert found.value is None
    assert not any("spend" in note for note in found.notes)


def base(outcomes, days_before_end):
    """Customers who all came on 1 January, 70 days before the end, and then made these purchases (lists of money)."""
    end = pd.Timestamp("2020-03-11")
    rows = [(i, "2020-01-01", 1.0) for i in range(len(outcomes))]
    for i, amounts in enumerate(outcomes):
        rows += [(i, end - pd.Timedelta(days=days_before_end - k), amount) for k, amount in enumerate(amounts)]
    log = pd.DataFrame(rows, columns=["customer_id", "date", "amount"])
    log["date"] = pd.to_datetime(log["date"])
    return log


def marginal(log, learnt, asked):
    with pytest.warns(UserWarning, match="first purchase in the first week"):
        rfm = summarise(log, "2020-03-11")
    return as_forecast(Marginal().fit(rfm, log, [learnt]).predict(rfm, log, asked), rfm)


# 60 customers: 30 buy nothing, 20 once for 10, 10 twice for 20 and 30.
MIXED = [[]] * 30 + [[10.0]] * 20 + [[20.0, 30.0]] * 10


def test_marginal_is_the_share_of_customers_in_a_window_of_the_horizon():
    # Bought from the first day of the last 4 weeks on: one day earlier would lie outside the window.
    found = marginal(base(MIXED, 27), 4.0, 4.0)
    same(found.purchases.cdf, [1 / 2, 5 / 6, 1])
    same(found.expected_purchases, np.full(60, 2 / 3))
    same(found.p_purchase, np.full(60, 0.5))
    same(found.expected_value, np.full(60, 700 / 60))
    same(found.expected_spend, np.full(60, 17.5))
    same(found.value.nothing, [0.5])
    same(found.value.at_levels([0.3, 0.5, 0.51, 0.83, 0.84, 0.9])[7], [0, 0, 10, 10, 50, 50])
    assert found.notes == ()


def test_marginal_sees_nothing_outside_its_window():
    with pytest.raises(FitError, match="None of 60 customers bought"):
        marginal(base(MIXED, 30), 4.0, 4.0)


def test_marginal_stretches_a_short_window_by_a_poisson_count():
    # Ten weeks of log allow five of outcomes. The variance, 5 / 9, is below the mean, 2 / 3.
    found = marginal(base(MIXED, 34), 10.0, 10.0)
    none = np.exp(-4 / 3)
    same(found.expected_purchases, np.full(60, 4 / 3))
    same(found.p_purchase, np.full(60, 1 - none))
    same(found.expected_value, np.full(60, 1400 / 60))
    same(found.value.nothing, [none])
    # Two thirds of those who pay spent 10, the others 50, and each pays 1 / (1 - none) times as much.
    same(found.value.at_levels([0.999])[0], [50 / (1 - none)])
    same(found.value.at_levels([none + (1 - none) * 0.5])[0], [10 / (1 - none)])
    assert found.notes == ("learnt from 5 weeks of outcomes, scaled to 10 weeks",)


def test_marginal_keeps_the_share_of_buyers_who_pay_nothing():
    found = marginal(base([[]] * 30 + [[10.0]] * 20 + [[0.0, 0.0]] * 10, 34), 10.0, 10.0)
    some = 1 - np.exp(-4 / 3)
    same(found.value.nothing, [1 - some * 2 / 3])
    same(found.expected_value, np.full(60, 400 / 60))
    same(found.value.at_levels([0.999])[0], [400 / 60 / (some * 2 / 3)])


def test_marginal_keeps_the_shape_of_an_overdispersed_count():
    found = marginal(base([[]] * 50 + [[1.0, 1.0, 1.0, 1.0]] * 10, 34), 10.0, 10.0)
    mean, variance = 4 / 6, 16 / 6 - (4 / 6) ** 2
    shape = mean**2 / (variance - mean)
    same(found.expected_purchases, np.full(60, 4 / 3))
    same(found.p_purchase, np.full(60, 1 - (shape / (shape + 4 / 3)) ** shape))
    # Rows end where a probability of 1e-6 is left.
    np.testing.assert_allclose(found.purchases.mean(), 4 / 3, atol=1e-4)


def test_marginal_stretches_what_it_learnt_to_a_horizon_it_was_not_asked_for():
    found = marginal(base(MIXED, 27), 4.0, 8.0)
    same(found.expected_purchases, np.full(60, 4 / 3))
    assert found.notes == ("learnt from 4 weeks of outcomes, scaled to 8 weeks",)


# Rows of the published backtests: MAE, RMSE, MSLE, bias in percent, Pearson's r. R divides sums of CDNOW's absolute
# errors by n - 1, those of grocery by n.
ROWS = [
    ("cdnow_case", Zero, 1, (0.799, 2.206, 0.463, -100, None)),
    ("cdnow_case", Naive, 1, (1.024, 2.212, 0.401, 56, 0.584)),
    ("grocery_case", Zero, 0, (2.222, 5.839, 1.169, -100, None)),
    ("grocery_case", Naive, 0, (2.565, 4.915, 0.888, 88, 0.760)),
]


@pytest.mark.parametrize(("case", "method", "fewer", "row"), ROWS, ids=[f"{r[0]}-{r[1].name}" for r in ROWS])
def test_published_rows(case, method, fewer, row, request):
    rfm, log, horizon, actual = request.getfixturevalue(case)
    expected = method().fit(rfm, log).predict(rfm, log, horizon).expected_purchases
    error = expected - actual
    found = [
        np.abs(error).sum() / (len(actual) - fewer),
        np.sqrt((error**2).mean()),
        ((np.log1p(expected) - np.log1p(actual)) ** 2).mean(),
    ]
    assert np.round(found, 3).tolist() == list(row[:3])
    assert round(100 * (expected.sum() / actual.sum() - 1)) == row[3]
    if row[4] is not None:
        assert round(np.corrcoef(expected, actual)[0, 1], 3) == row[4]


def test_marginal_beats_zero_in_crps_on_real_customers(grocery_case):
    rfm, log, horizon, actual = grocery_case
    found = as_forecast(Marginal().fit(rfm, log, [horizon]).predict(rfm, log, horizon), rfm)
    assert found.purchases.crps(actual).mean() < actual.mean()
