"""Backtests of logs whose opportunities are counted: cut-offs, outcomes, every method on the same count."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting import find_leaks
from predclv.backtesting.methods.features import make_features
from predclv.backtesting.methods.ours import OurMethod
from predclv.backtesting.methods.vintage_outcomes import earlier_vintages
from predclv.backtesting.plan import make_plan
from predclv.cli import main
from predclv.data.split import split_transactions
from predclv.errors import DataError

START = "2004-01-01"
CUTOFF = "2012-12-31"


@pytest.fixture(scope="module")
def made() -> Any:
    return pc.datasets.simulate(
        "bg_bb", n_customers=600, time_unit="year", births=3, observed=9, holdout=5, start=START, seed=4
    )


@pytest.fixture(scope="module")
def options(made: Any) -> dict[str, Any]:
    return {"opportunities": "year", "observation_start": START, "observation_end": made.end}


def used_years(log: pd.DataFrame, after: int, until: int) -> pd.Series[int]:
    """Years after one and until another in which each customer gave, counted without the package."""
    year = log["date"].dt.year
    return log[(year > after) & (year <= until)].groupby("customer_id")["date"].agg(lambda d: d.dt.year.nunique())


class TestCuts:
    def test_outcomes_count_an_opportunity_once(self, made: Any, options: dict[str, Any]) -> None:
        plan = make_plan(made.log, cutoffs=[CUTOFF], horizons=["2 years", 4], methods=["zero"], **options)
        (vintage,) = plan.vintages
        rfm = vintage.known.everyone.rfm
        assert (rfm.opportunities, rfm.observation_end) == ("year", dt.date(2012, 12, 31))
        assert vintage.known.lengths == (2.0, 4.0)
        assert vintage.known.everyone.log["date"].max() <= pd.Timestamp(CUTOFF)
        for outcome, last in zip(vintage.outcomes, (2014, 2016), strict=True):
            assert str(outcome.end) == f"{last}-12-31"
            actual = used_years(made.log, 2012, last).reindex(rfm.customer_id, fill_value=0)
            np.testing.assert_array_equal(outcome.purchases, actual)
            assert outcome.purchases.max() == outcome.length
        assert vintage.known.times.tolist() == [1.0, 2.0, 3.0, 4.0]
        assert vintage.dates.astype(str).tolist() == [f"{year}-12-31" for year in range(2013, 2017)]
        expected = [used_years(made.log, 2012, year).reindex(rfm.customer_id).sum() for year in range(2013, 2017)]
        assert vintage.actual_track.tolist() == expected

    def test_cutoffs_are_counted_back_by_opportunity(self, made: Any, options: dict[str, Any]) -> None:
        asked = {"methods": ["zero"], "horizons": ["1 year", "3 years"], **options, "observation_end": "2017-11-30"}
        plan = make_plan(made.log, n_cutoffs=2, **asked)
        assert [str(vintage.cutoff) for vintage in plan.vintages] == ["2010-12-31", "2013-12-31"]
        plan = make_plan(made.log, n_cutoffs=3, step="12 months", **asked)
        assert [str(vintage.cutoff) for vintage in plan.vintages] == ["2011-12-31", "2012-12-31", "2013-12-31"]

    def test_a_window_is_of_opportunities(self, made: Any, options: dict[str, Any]) -> None:
        asked = {"cutoffs": [CUTOFF], "horizons": ["1 year"], "methods": ["zero"], **options}
        (vintage,) = make_plan(made.log, history="sliding", window="7 years", **asked).vintages
        assert set(vintage.known.everyone.rfm.T) == {6.0, 7.0, 8.0}
        assert set(vintage.known.learning.rfm.T) == {6.0, 7.0}

    @pytest.mark.parametrize(
        ("asked", "message"),
        [
            ({"cutoffs": ["2012-06-30"]}, "cut-off 2012-06-30 cuts a year.*'2011-12-31'"),
            ({"cutoffs": ["2012-12-31 12:00"]}, "cuts a year"),
            ({"horizons": ["18 months"]}, "horizon='18 months' is 1.5 years, and opportunities come whole"),
            ({"horizons": ["6 years"]}, "6 years from the cut-off 2012-12-31 end on 2018-12-31"),
            ({"horizons": [float("inf")]}, "horizon=inf is infinite"),
            ({"cutoffs": None, "n_cutoffs": 2, "horizons": ["2014-12-31"]}, "is a date, from which n_cutoffs"),
            ({"cutoffs": None, "n_cutoffs": 2, "step": "9 weeks"}, r"step='9 weeks' is 0.17\d* years"),
            ({"history": "sliding", "window": "9 weeks"}, "window='9 weeks' is"),
            (
                {"methods": ["bg_cnbd"]},
                "'bg_cnbd' reads the times between purchases, and opportunities are only counted",
            ),
            ({"opportunities": "decade"}, "'opportunities' must be one of"),
            ({"time_unit": "day"}, "opportunities are their own ruler"),
        ],
    )
    def test_what_is_refused(self, made: Any, options: dict[str, Any], asked: dict[str, Any], message: str) -> None:
        usual = {"cutoffs": [CUTOFF], "horizons": ["2 years"], "methods": ["bg_bb"], **options}
        with pytest.raises(DataError, match=message):
            make_plan(made.log, **{**usual, **asked})


class TestMethods:
    def test_the_model_of_opportunities_forecasts_as_it_does_alone(self, made: Any, options: dict[str, Any]) -> None:
        split = split_transactions(
            made.log, at=CUTOFF, holdout_end=made.end, opportunities="year", observation_start=START
        )
        rfm = split.calibration
        found = OurMethod(pc.BGBB()).fit(rfm, made.log).predict(rfm, made.log, 5.0)
        expected = pc.BGBB().fit(rfm).predict(rfm, "5 years")
        np.testing.assert_allclose(found.expected_purchases, expected["expected_purchases"], rtol=1e-12)
        assert found.track is not None
        assert found.track[0].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert found.track[1][-1] == pytest.approx(found.expected_purchases.sum(), rel=1e-12)

    @pytest.mark.parametrize("opportunities", ["week", "month"])
    def test_a_model_of_times_reads_them_as_times(self, opportunities: str) -> None:
        rfm = pc.datasets.simulate_rfm(
            "bg_bb", n_customers=800, time_unit=opportunities, T=(5, 30), horizons=(6,), seed=2
        ).rfm
        log = pd.DataFrame()
        found = OurMethod(pc.ParetoNBD()).fit(rfm, log).predict(rfm, log, 6.0)
        # Whatever a period is called: the likelihood has no unit but that of its data.
        as_weeks = pc.RFMSummary.from_frame(
            pd.DataFrame({"frequency": rfm.frequency, "recency": rfm.recency, "T": rfm.T}), time_unit="week"
        )
        expected = pc.ParetoNBD().fit(as_weeks).predict(as_weeks, 6.0)
        np.testing.assert_allclose(found.expected_purchases, expected["expected_purchases"], rtol=1e-6)
        np.testing.assert_allclose(found.p_purchase, expected["p_purchase"], rtol=1e-6)
        assert found.track is not None
        np.testing.assert_allclose(found.track[0], np.arange(1.0, 7.0), rtol=1e-12)

    def test_peers_read_them_as_times(self) -> None:
        pytest.importorskip("clvkit")
        rfm = pc.datasets.simulate_rfm("bg_bb", n_customers=500, time_unit="quarter", T=(5, 20), seed=2).rfm
        log = pd.DataFrame()
        ours = OurMethod(pc.BGNBD()).fit(rfm, log).predict(rfm, log, 4.0)
        from predclv.backtesting.methods.clvkit import ClvkitMethod

        theirs = ClvkitMethod().fit(rfm, log).predict(rfm, log, 4.0)
        np.testing.assert_allclose(theirs.expected_purchases, ours.expected_purchases, rtol=1e-2)
        assert theirs.track is not None
        assert theirs.track[0][-1] == pytest.approx(4.0, rel=1e-12)

    def test_learners_look_back_by_opportunity(self, made: Any) -> None:
        counted = {"opportunities": "year", "observation_start": START}
        rfm = split_transactions(made.log, at=CUTOFF, holdout_end=made.end, **counted).calibration
        log = made.log[made.log["date"] < "2013-01-01"]
        first, second = earlier_vintages(rfm, log, 2.0, 2)
        assert [str(vintage.rfm.observation_end) for vintage in (first, second)] == ["2010-12-31", "2008-12-31"]
        assert (first.window, first.scale, first.note) == (2.0, 1.0, "")
        actual = used_years(log, 2010, 2012).reindex(first.rfm.customer_id, fill_value=0)
        np.testing.assert_array_equal(first.purchases, actual)
        assert first.log["date"].max() < pd.Timestamp("2011-01-01")
        features = make_features(rfm, log, windows=(52,))
        np.testing.assert_array_equal(features["frequency"], rfm.frequency)
        # Every use but the first leaves a gap, and gaps add up to the time of the last.
        again = rfm.frequency > 0
        np.testing.assert_allclose((features["gap_mean"] * rfm.frequency)[again], rfm.recency[again])
        this_year = made.log[made.log["date"].dt.year == 2012]["customer_id"].unique()
        np.testing.assert_array_equal(features["purchases_52w"] > 0, np.isin(rfm.customer_id, this_year))
        # Half a log is what there is, where the horizon is longer.
        (short,) = earlier_vintages(rfm, log, 7.0, 1)
        assert (short.window, str(short.rfm.observation_end)) == (4.0, "2008-12-31")
        assert "4 years of outcomes, scaled to 7 years" in short.note

    def test_nothing_leaks(self, made: Any, options: dict[str, Any]) -> None:
        methods = ["bg_bb", "bg_nbd", "naive", "marginal", "linear"]
        assert find_leaks(made.log, methods=methods, cutoffs=[CUTOFF], horizons=["3 years"], **options).empty


@pytest.mark.slow
def test_all_methods_side_by_side(made: Any, options: dict[str, Any], tmp_path: Path) -> None:
    ours = ["bg_bb", "bg_nbd", "mbg_nbd", "pareto_nbd", "nbd"]
    methods = [*ours, "zero", "naive", "historical_average", "marginal", "linear", "clvkit_bg_nbd"]
    result = pc.backtest(
        made.log, methods=methods, cutoffs=[CUTOFF], horizons=["5 years"], n_bootstrap=20, progressbar=False, **options
    )
    ran = result.runs[result.runs["status"] != "skipped"]
    assert (ran["status"] == "ok").all(), ran["error"].tolist()
    overall = result.scores.query("by == 'all' and quantity == 'purchases'")
    by_metric = overall.pivot_table(index="method", columns="metric", values="value")
    # The truth of this log is BG/BB, which no other method may beat by more than chance.
    assert by_metric["crps"].idxmin() == "bg_bb"
    assert abs(by_metric.loc["bg_bb", "pit_coverage_90"] - 0.9) < 4 * np.sqrt(0.09 / len(result.blocks[0].actual))
    assert result.totals.query("method == 'bg_bb' and level == 0.95")["inside"].all()
    result.report(tmp_path / "report.html")
    assert "counted by opportunity, one a year" in (tmp_path / "report.html").read_text()


def test_the_command_line(made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, scores = tmp_path / "log.csv", tmp_path / "scores.csv"
    made.log.to_csv(log, index=False)
    asked = ["backtest", str(log), "--customer-id", "customer_id", "--date", "date", "--observation-start", START]
    asked += ["--observation-end", str(made.end), "--opportunities", "year", "--methods", "bg_bb,bg_nbd,naive,zero"]
    asked += ["--horizon", "3 years", "--bootstrap", "20", "--scores", str(scores), "-q"]
    assert main([*asked, "--cutoff", CUTOFF]) == 0
    found = pd.read_csv(scores)
    assert set(found["method"]) == {"bg_bb", "bg_nbd", "naive", "zero"}
    assert main([*asked, "--cutoff", "2012-09-30"]) != 0
    assert "Give '2011-12-31'" in " ".join(capsys.readouterr().err.split())
