"""The results that plots draw, on CDNOW, against numbers worked out another way."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from scipy.special import hyp2f1

import predclv as pc
from predclv import checks
from predclv.data.timeline import purchase_timeline


@pytest.fixture(scope="module")
def log():
    return pc.datasets.load_cdnow()


@pytest.fixture(scope="module")
def timeline(log):
    return purchase_timeline(log, by="day", amount="amount")


@pytest.fixture(scope="module")
def weeks(bg, timeline):
    return checks.track_purchases(bg, timeline)


def expected_of_a_new_customer(point, t):
    """E[X(t)], Fader, Hardie & Lee (2005), eq. (9)."""
    r, alpha, a, b = (point[name] for name in ("r", "alpha", "a", "b"))
    form = hyp2f1(r, b, a + b - 1, t / (alpha + t))
    return (a + b - 1) / (a - 1) * (1 - (alpha / (alpha + t)) ** r * form)


def test_tracking_is_the_sum_of_expectations_from_birth(bg, cdnow, weeks):
    table = weeks.table.set_index("end")
    for end, horizon in (("1997-10-01", 0.0), ("1998-07-01", 39.0)):
        expected = expected_of_a_new_customer(bg.posterior_.point, cdnow.T + horizon).sum()
        assert table.loc[end, "cumulative_expected"] == pytest.approx(expected, rel=1e-8)
    assert table["expected"].sum() == pytest.approx(table["cumulative_expected"].iloc[-1])


def test_tracking_counts_what_was_bought(cdnow_split, weeks):
    table = weeks.table
    assert table.loc[~table["holdout"], "actual"].sum() == cdnow_split.calibration.frequency.sum() == 2457
    assert table.loc[table["holdout"], "actual"].sum() == cdnow_split.holdout["purchases"].sum() == 1882
    assert table["cumulative_actual"].iloc[-1] == 4339
    assert weeks.as_of == dt.date(1997, 9, 30)


def test_weeks_are_counted_from_the_as_of_date(weeks):
    table = weeks.table
    length = (table["end"] - table["start"]).dt.days
    assert length.iloc[0] == 273 - 38 * 7
    assert set(length.iloc[1:]) == {7}
    assert table["start"].iloc[0] == pd.Timestamp("1997-01-01")
    assert table.loc[table["holdout"], "start"].iloc[0] == pd.Timestamp("1997-10-01")
    np.testing.assert_array_equal(table["start"].to_numpy()[1:], table["end"].to_numpy()[:-1])


def test_months_are_those_of_the_calendar_and_add_up_alike(bg, timeline, weeks):
    months = checks.track_purchases(bg, timeline, period="month").table
    assert months["start"].dt.day.tolist() == [1] * 18
    for name in ("actual", "expected"):
        assert months[name].sum() == pytest.approx(weeks.table[name].sum(), rel=1e-9)


def test_the_band_holds_the_expectation_and_the_same_seed_gives_the_same(bg, timeline, weeks):
    table = weeks.table.iloc[1:]
    assert np.all(table["cumulative_low"] < table["cumulative_expected"])
    assert np.all(table["cumulative_expected"] < table["cumulative_high"])
    # Wider than Poisson noise: it holds the parameters and the customers too.
    poisson = 2 * 1.645 * np.sqrt(table["cumulative_expected"].iloc[-1])
    assert table["cumulative_high"].iloc[-1] - table["cumulative_low"].iloc[-1] > 2 * poisson
    pd.testing.assert_frame_equal(checks.track_purchases(bg, timeline).table, weeks.table)


def test_a_log_that_ends_early_says_that_nobody_bought_since(bg, timeline):
    early = timeline[timeline["start"] <= "1997-09-01"]
    table = checks.track_purchases(bg, early).table
    assert table["end"].iloc[-1] == pd.Timestamp("1997-10-01")
    assert not table["holdout"].any()
    assert table["actual"].iloc[-2:].tolist() == [0, 0]


def test_new_customers_of_the_holdout_count_from_their_birth(bg):
    days = pd.DataFrame({"start": pd.date_range("1997-09-01", "1997-12-01"), "births": 0, "repeat_purchases": 0})
    days.loc[[0, 60], "births"] = [100, 50]
    table = checks.track_purchases(bg, days).table
    ages = (np.array([91, 31]) / 7.0) @ np.eye(2)
    expected = expected_of_a_new_customer(bg.posterior_.point, ages) @ [100, 50]
    assert table["cumulative_expected"].iloc[-1] == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"period": "day"}, "'period' must be"),
        ({"level": 95}, "did you mean 0.95"),
        ({"as_of": "soon"}, "as_of='soon'"),
    ],
)
def test_tracking_refuses_what_means_nothing(bg, timeline, options, message):
    with pytest.raises(ValueError, match=message):
        checks.track_purchases(bg, timeline, **options)


def test_frequencies_of_cdnow(bg, cdnow):
    table = checks.check_frequencies(bg, cdnow).table
    assert table["actual"].tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    assert table["expected"].sum() == pytest.approx(2357)
    # P(X(t) = 0) = (alpha / (alpha + t))^r
    point = bg.posterior_.point
    never = ((point["alpha"] / (point["alpha"] + cdnow.T)) ** point["r"]).sum()
    assert table["expected"][0] == pytest.approx(never, rel=1e-9)
    assert np.all((table["actual"] >= table["low"]) & (table["actual"] <= table["high"]))


def test_holdout_groups_by_frequency(bg, cdnow_split):
    table = checks.check_holdout(bg, cdnow_split).table
    actual = cdnow_split.holdout["purchases"].groupby(np.minimum(cdnow_split.calibration.frequency, 7)).mean()
    np.testing.assert_allclose(table["actual"], actual)
    assert table["group"].tolist() == ["0", "1", "2", "3", "4", "5", "6", "7+"]
    assert table["customers"] @ table["expected"] == pytest.approx(1653.408, abs=0.17)
    assert np.all((table["low"] <= table["expected"]) & (table["expected"] <= table["high"]))


def test_holdout_groups_by_forecast_are_of_about_one_size(bg, cdnow_split):
    table = checks.check_holdout(bg, cdnow_split, by="forecast").table
    assert len(table) == 10
    assert table["customers"].between(200, 270).all()
    assert table["customers"].sum() == 2357
    assert table["expected"].is_monotonic_increasing
    assert table["customers"] @ table["actual"] == pytest.approx(1882)
    with pytest.raises(ValueError, match="'by' must be"):
        checks.check_holdout(bg, cdnow_split, by="channel")


def test_customers_of_one_forecast_are_one_group(bg, cdnow_split):
    rfm = cdnow_split.calibration
    alike = np.flatnonzero((rfm.frequency == 0) & (rfm.T.max() == rfm.T))
    few = pc.Split(
        rfm[alike], cdnow_split.holdout.iloc[alike], cdnow_split.duration, cdnow_split.holdout_end, np.array([]), None
    )
    table = checks.check_holdout(bg, few, by="forecast").table
    assert table["customers"].tolist() == [len(alike)]


def test_a_customers_history(bg, log, cdnow):
    dates = log.loc[log["customer_id"] == 1516, "date"]
    history = checks.follow_customer(bg, dates, until="1997-09-30")
    table = bg.p_alive(cdnow).set_index("customer_id")
    assert history.p_alive[-1] == pytest.approx(table.loc[1516, "p_alive"], rel=1e-9)
    assert history.p_alive[0] == 1.0
    assert len(history.purchases) == cdnow.frequency[1515] + 1
    assert history.times[-1] == np.datetime64("1997-09-30")


def test_a_customers_history_in_numbers(bg):
    history = checks.follow_customer(bg, [9.0, 2.0, 5.0, 50.0], until=30)
    assert history.time_unit == "week"
    assert history.purchases.tolist() == [2.0, 5.0, 9.0]
    assert history.times[[0, -1]].tolist() == [2.0, 30.0]
    # The fall before a purchase is seen, and the rise at it.
    before, at = np.searchsorted(history.times, 9.0) - 1, np.searchsorted(history.times, 9.0)
    assert history.p_alive[before] < history.p_alive[at]
    with pytest.raises(ValueError, match="No purchase lies before until=1"):
        checks.follow_customer(bg, [2.0], until=1)
