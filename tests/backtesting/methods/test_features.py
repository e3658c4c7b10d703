import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting.methods.features import WINDOWS, log_span, make_features
from predclv.errors import DataQualityWarning, FitError

# Until 30 June 2024, a Sunday.
LOG = pd.DataFrame(
    [
        ("a", "2024-01-08", 10.0),
        ("a", "2024-01-08", 5.0),
        ("a", "2024-05-06", 20.0),
        ("a", "2024-05-20", -4.0),
        ("a", "2024-06-24", 30.0),
        ("b", "2024-03-05", 7.0),
        ("c", "2024-06-30", 8.0),
    ],
    columns=["customer_id", "date", "amount"],
).astype({"date": "datetime64[us]"})


def summary(log, **options):
    return pc.RFMSummary.from_transactions(log, observation_end="2024-06-30", **options)


@pytest.fixture
def features():
    return make_features(summary(LOG, amount="amount"), LOG)


def test_a_customer_with_gaps_by_hand(features):
    # Bought 174, 55 and 6 days before the cut-off: gaps of 119 and 49 days.
    a = features.iloc[0]
    expected = {
        "frequency": 2,
        "recency": 24,
        "T": 174 / 7,
        "idle": 6 / 7,
        "rate": 2 / (174 / 7),
        "recency_share": 168 / 174,
        "gap_mean": 12,
        "gap_sd": 5,
        "last_gap_ratio": 7 / 12,
        "idle_ratio": 6 / 7 / 12,
        "purchases_4w": 1,
        "purchases_8w": 2,
        "purchases_13w": 2,
        "purchases_26w": 3,
        "purchases_52w": 3,
        "spend_4w": 30,
        "spend_8w": 46,
        "spend_13w": 46,
        "spend_26w": 61,
        "spend_52w": 61,
        "first_month": 1,
        "first_weekday": 0,
        "season_sin": np.sin(2 * np.pi * 182 / 365.25),
        "season_cos": np.cos(2 * np.pi * 182 / 365.25),
        "monetary_value": 23,
        "log_monetary_value": np.log(24),
        "first_spend": 15,
        "mean_spend": 61 / 3,
        "returns": 1,
    }
    assert set(features.columns) == set(expected)
    np.testing.assert_allclose(a[list(expected)].to_numpy(), list(expected.values()), rtol=1e-12)


def test_a_one_time_buyer_by_hand(features):
    b = features.iloc[1]
    age = 117 / 7
    assert (b["frequency"], b["gap_mean"], b["gap_sd"], b["rate"], b["recency_share"]) == (0, age, 0, 0, 0)
    assert (b["last_gap_ratio"], b["idle_ratio"], b["first_weekday"], b["first_month"]) == (1, 1, 1, 3)
    assert (b["purchases_13w"], b["purchases_26w"], b["mean_spend"], b["monetary_value"]) == (0, 1, 7, 0)


def test_who_bought_on_the_last_day_has_features(features):
    c = features.iloc[2]
    assert (c["T"], c["idle"], c["rate"], c["recency_share"], c["gap_mean"], c["idle_ratio"]) == (0, 0, 0, 0, 0, 0)
    assert (c["purchases_4w"], c["first_spend"]) == (1, 8)
    assert np.isfinite(features.to_numpy()).all()


def test_columns_follow_from_the_options_alone(features):
    short = LOG[LOG["customer_id"] == "c"]
    with pytest.warns(DataQualityWarning, match="bought once"):
        rfm = summary(short, amount="amount")
    assert list(make_features(rfm, short).columns) == list(features.columns)
    without = make_features(summary(LOG[LOG["amount"] > 0]), LOG[LOG["amount"] > 0])
    assert not [name for name in without.columns if "spend" in name or "monetary" in name or name == "returns"]
    assert [c for c in make_features(summary(LOG), LOG, windows=(4, 26)).columns if c.startswith("purchases")] == [
        "purchases_4w",
        "purchases_26w",
    ]


def test_order_of_rows_and_strangers_do_not_matter(features):
    stranger = pd.DataFrame({"customer_id": ["z"], "date": pd.to_datetime(["2024-06-01"]), "amount": [99.0]})
    mixed = pd.concat([LOG.iloc[::-1], stranger], ignore_index=True)
    pd.testing.assert_frame_equal(make_features(summary(LOG, amount="amount"), mixed), features)


@pytest.mark.parametrize(("collapse", "purchases", "gap"), [("none", 5, 17.5), ("week", 3, 35.0), ("month", 2, 31.0)])
def test_purchases_merge_as_in_the_summary(collapse, purchases, gap):
    dates = ["2024-04-22", "2024-04-22", "2024-05-01", "2024-05-03", "2024-07-01"]
    if collapse == "month":
        dates = ["2024-05-01", "2024-05-03", "2024-06-24"]
    log = pd.DataFrame({"customer_id": 1, "date": pd.to_datetime(dates).astype("datetime64[us]")})
    rfm = pc.RFMSummary.from_transactions(log, collapse=collapse, observation_end="2024-07-01", time_unit="day")
    found = make_features(rfm, log).iloc[0]
    assert found["purchases_26w"] == purchases == rfm.frequency[0] + 1
    assert found["gap_mean"] == pytest.approx(gap, rel=1e-12)
    assert found["gap_mean"] * rfm.frequency[0] == pytest.approx(rfm.recency[0], rel=1e-12)


def test_ignored_returns_do_not_lower_spend():
    found = make_features(summary(LOG, amount="amount", returns="ignore"), LOG).iloc[0]
    assert (found["spend_8w"], found["spend_52w"], found["returns"]) == (50, 65, 0)


def test_cdnow_agrees_with_its_summary(cdnow):
    log = pc.datasets.load_cdnow()
    log = log[log["date"] <= "1997-09-30"]
    found = make_features(cdnow, log)
    np.testing.assert_array_equal(found["purchases_52w"], cdnow.frequency + 1)
    np.testing.assert_allclose(found["spend_52w"].sum(), log["amount"].sum(), rtol=1e-12)
    repeat = found["spend_52w"] - found["first_spend"]
    np.testing.assert_allclose(repeat, cdnow.frequency * cdnow.monetary_value, atol=1e-9)
    np.testing.assert_allclose(found["gap_mean"] * cdnow.frequency, cdnow.recency, rtol=1e-12)
    assert log_span(cdnow, log) == 39
    assert max(WINDOWS) > 39


def test_rows_after_the_cutoff_are_refused():
    late = pd.concat([LOG, LOG.tail(1).assign(date=pd.Timestamp("2024-07-01"))], ignore_index=True)
    with pytest.raises(FitError, match=r"1 of 8 rows lie after the cut-off 2024-06-30 \(first: customer c"):
        make_features(summary(LOG, amount="amount"), late)


def test_a_log_that_lacks_a_customer_is_refused():
    with pytest.raises(FitError, match=r"no purchase of 1 of 3 customers \(first: customer b\)"):
        make_features(summary(LOG, amount="amount"), LOG[LOG["customer_id"] != "b"])


def test_a_summary_without_a_cutoff_is_refused():
    table = pd.DataFrame({"customer_id": ["a"], "frequency": [0], "recency": [0.0], "T": [1.0]})
    rfm = pc.RFMSummary.from_frame(table, customer_id="customer_id", time_unit="week")
    with pytest.raises(FitError, match="observation_end"):
        make_features(rfm, LOG)
