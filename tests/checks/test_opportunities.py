"""Opportunities followed one after the other: all customers together, and one customer's story."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln

import predclv as pc
from predclv import checks, plots
from predclv.cli import main
from predclv.errors import DataError
from predclv.kernels.bg_bb.forecast import p_alive

START = "2004-01-01"


@pytest.fixture(scope="module")
def donors() -> Any:
    return pc.datasets.simulate(
        "bg_bb", n_customers=2_000, time_unit="year", births=3, observed=9, holdout=5, start=START, seed=4
    )


@pytest.fixture(scope="module")
def fit(donors: Any) -> pc.BGBB:
    end = donors.observation_end
    rfm = pc.RFMSummary.from_transactions(
        donors.log, opportunities="year", observation_end=end, observation_start=START
    )
    return pc.BGBB().fit(rfm)


@pytest.fixture(scope="module")
def timeline(donors: Any) -> pd.DataFrame:
    return pc.purchase_timeline(donors.log, opportunities="year", observation_end=donors.end)


class TestTimeline:
    def test_an_opportunity_is_used_once_by_hand(self) -> None:
        dates = ["2020-02-01", "2020-03-01", "2021-05-01", "2021-05-02", "2021-07-01", "2023-01-05", "2024-01-01"]
        log = pd.DataFrame({"customer_id": list("AAAABBA"), "date": pd.to_datetime(dates), "amount": 1.0})
        table = pc.purchase_timeline(log, opportunities="year", observation_end="2024-06-30", amount="amount")
        assert table["start"].dt.strftime("%Y-%m-%d").tolist() == [f"{y}-01-01" for y in (2020, 2021, 2022, 2023)]
        assert table["days"].tolist() == [366, 365, 365, 365]
        assert table["purchases"].tolist() == [1, 2, 0, 1]
        assert table["births"].tolist() == [1, 1, 0, 0]
        assert table["repeat_purchases"].tolist() == [0, 1, 0, 1]
        assert table["spend"].tolist() == [2.0, 3.0, 0.0, 1.0]

    @pytest.mark.parametrize("opportunities", ["quarter", "month", "week"])
    def test_it_adds_up_to_the_summary(self, opportunities: str) -> None:
        options: dict[str, Any] = {"opportunities": opportunities, "observation_end": "1998-06-17"}
        log = pc.datasets.load_cdnow()
        table, rfm = pc.purchase_timeline(log, **options), pc.RFMSummary.from_transactions(log, **options)
        assert table["births"].sum() == len(rfm)
        assert table["repeat_purchases"].sum() == rfm.frequency.sum()
        last = table["start"].iloc[-1] + pd.Timedelta(days=table["days"].iloc[-1] - 1)
        assert last.date() == rfm.observation_end
        # Nobody has had more opportunities than there are behind the first.
        assert rfm.T.max() == len(table) - 1

    def test_other_periods_are_refused(self) -> None:
        with pytest.raises(DataError, match="a row is then an opportunity"):
            pc.purchase_timeline(pc.datasets.load_cdnow(), opportunities="month", by="day")


class TestTracking:
    def test_the_curve_is_that_of_the_paper(self, fit: pc.BGBB, timeline: pd.DataFrame) -> None:
        table = checks.track_purchases(fit, timeline).table
        alpha, beta, gamma, delta = fit.posterior_.point_array
        n = np.arange(len(timeline))
        # Fader, Hardie & Shang (2010): the mean number of opportunities used of n, which has a limit at gamma = 1.
        log_ratio = gammaln(gamma + delta) - gammaln(gamma + delta + n) + gammaln(1 + delta + n) - gammaln(1 + delta)
        mean = alpha / (alpha + beta) * delta / (gamma - 1) * -np.expm1(log_ratio)
        births = timeline["births"].to_numpy()
        expected = [sum(births[: i + 1] * mean[i::-1]) for i in range(len(n))]
        np.testing.assert_allclose(table["cumulative_expected"], expected, rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(table["actual"], timeline["repeat_purchases"])

    def test_the_band_holds_what_was_simulated(self, donors: Any, fit: pc.BGBB, timeline: pd.DataFrame) -> None:
        found = checks.track_purchases(fit, timeline)
        assert (found.period, found.as_of) == ("year", donors.observation_end)
        assert found.table["holdout"].sum() == 5
        assert (found.p_values["p_value"] > 0.01).all()
        # A campaign in the holdout, of half as many gifts again, is seen.
        after = timeline["start"].dt.date > donors.observation_end
        more = timeline.assign(repeat_purchases=timeline["repeat_purchases"].where(~after, lambda n: n * 3 // 2))
        p = checks.track_purchases(fit, more).p_values.set_index("quantity")["p_value"]
        assert p["repeat purchases in the holdout"] < 0.01

    def test_a_log_that_ends_early_says_that_nobody_bought(self, fit: pc.BGBB, timeline: pd.DataFrame) -> None:
        found = checks.track_purchases(fit, timeline.iloc[:7], n_draws=20).table
        assert len(found) == 9
        assert found["actual"].tolist()[-2:] == [0, 0]

    def test_what_is_refused(self, donors: Any, fit: pc.BGBB, timeline: pd.DataFrame) -> None:
        days = pc.purchase_timeline(donors.log, by="day", observation_end=donors.end)
        with pytest.raises(DataError, match=r"opportunities='year', \.\.\."):
            checks.track_purchases(fit, days)
        with pytest.raises(DataError, match="The timeline is not of opportunities"):
            checks.track_purchases(fit, timeline.drop(index=3))
        with pytest.raises(DataError, match=r"as_of='2010-06-30' cuts a year.*2009-12-31"):
            checks.track_purchases(fit, timeline, as_of="2010-06-30")
        with pytest.raises(DataError, match="period='week': BGBB is tracked by opportunity, one a year"):
            checks.track_purchases(fit, timeline, period="week")

    def test_a_model_of_times_wants_days(self, timeline: pd.DataFrame) -> None:
        made = pc.datasets.simulate_rfm(n_customers=500, T=(20.0, 60.0), lattice=7)
        with pytest.raises(DataError, match="The timeline is not of days"):
            checks.track_purchases(pc.BGNBD().fit(made.rfm), timeline, as_of="2012-12-31")


class TestOneCustomer:
    def test_each_opportunity_is_looked_back_from(self, fit: pc.BGBB) -> None:
        told = checks.follow_customer(fit, ["2004-03-01", "2004-09-01", "2006-05-01", "2007-05-01"], until="2009-08-01")
        x, t_x = np.array([0, 0, 1, 2, 2.0]), np.array([0, 0, 2, 3, 3.0])
        np.testing.assert_allclose(told.p_alive, p_alive(x, t_x, np.arange(5.0), fit.posterior_.point_array)[0])
        assert told.times.astype(str).tolist() == [f"{year}-12-31" for year in range(2004, 2009)]
        assert told.purchases.astype(str).tolist() == ["2004-12-31", "2006-12-31", "2007-12-31"]
        numbers = checks.follow_customer(fit, [2, 0, 3, 3, 9], until=4)
        np.testing.assert_array_equal(numbers.p_alive, told.p_alive)
        assert (numbers.times.tolist(), numbers.purchases.tolist()) == ([0, 1, 2, 3, 4], [0, 2, 3])

    @pytest.mark.parametrize(("opportunities", "until"), [("month", "2005-01-30"), ("quarter", "2005-03-30")])
    def test_months_and_quarters_end_by_the_calendar(self, opportunities: str, until: str) -> None:
        made = pc.datasets.simulate_rfm("bg_bb", n_customers=300, time_unit=opportunities, T=(5, 9), seed=1)
        model = pc.BGBB(method="map").fit(made.rfm)
        told = checks.follow_customer(model, ["2004-02-29", "2004-11-30"], until=until)
        assert told.times[-1] == np.datetime64("2004-12-31")
        assert told.times[0] == np.datetime64("2004-02-29" if opportunities == "month" else "2004-03-31")

    def test_what_is_refused(self, fit: pc.BGBB) -> None:
        with pytest.raises(DataError, match=r"whole numbers, counted by year. Got 1.5"):
            checks.follow_customer(fit, [0, 1.5], until=4)
        with pytest.raises(ValueError, match="No purchase lies in a year that is over by until='2009-08-01'"):
            checks.follow_customer(fit, ["2009-03-01"], until="2009-08-01")


def test_they_are_drawn(fit: pc.BGBB, timeline: pd.DataFrame) -> None:
    _, axes = plt.subplots(1, 3)
    tracking = checks.track_purchases(fit, timeline, n_draws=20)
    assert plots.plot_tracking(tracking, ax=axes[0]).get_ylabel() == "Repeat purchases since the start"
    # A leap year is an opportunity like any other.
    line = plots.plot_tracking(tracking, cumulative=False, ax=axes[1]).lines[1]
    np.testing.assert_allclose(line.get_ydata(), tracking.table["actual"])
    told = plots.plot_alive_history(checks.follow_customer(fit, [0, 2], until=4), ax=axes[2])
    assert told.get_ylabel() == "Probability of being alive at the next year"
    assert told.lines[0].get_marker() == "o"
    plt.close("all")


@pytest.mark.slow
def test_a_report_of_opportunities_shows_them_over_time(donors: Any, tmp_path: Path) -> None:
    donors.log.to_csv(tmp_path / "log.csv", index=False)
    about = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount", "--observation-start", START]
    about += ["--observation-end", str(donors.observation_end), "--opportunities", "year", "--transactions", "bg_bb"]
    assert isinstance(donors.observation_end, dt.date)
    assert (
        main(["run", str(tmp_path / "log.csv"), *about, "--horizon", "3 years", "--out", str(tmp_path / "o"), "-q"])
        == 0
    )
    page = (tmp_path / "o" / "report.html").read_text()
    assert "The years are as the model expects" in page
    assert "by year" in page
    assert "made without the log" not in page
