"""Opportunities counted by the calendar: from a log, from a table, and ahead."""

from __future__ import annotations

import datetime as dt
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from engines import ENGINES
from predclv import RFMSummary
from predclv.data.opportunities import OPPORTUNITIES, last_whole_day, parse_opportunities
from predclv.errors import DataError, ObservationEndWarning

FREQUENCY = {"year": "Y", "quarter": "Q", "month": "M", "week": "W", "day": "D"}
END = "2020-11-15"


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2015-12-20") + pd.to_timedelta(rng.integers(0, 365 * 6, 3_000), unit="D")
    return pd.DataFrame(
        {"customer_id": rng.integers(0, 200, 3_000), "date": day, "amount": rng.integers(1, 50, 3_000) * 1.0}
    )


def expect(log: pd.DataFrame, opportunities: str) -> pd.DataFrame:
    """The same by pandas' periods."""
    frequency = FREQUENCY[opportunities]
    last = (pd.Timestamp(END) + pd.Timedelta(days=1)).to_period(frequency) - 1
    known = log.assign(number=[period.ordinal for period in log["date"].dt.to_period(frequency)])
    known = known[known["number"] <= last.ordinal]
    used = known.groupby(["customer_id", "number"], as_index=False)["amount"].sum()
    first = used.groupby("customer_id")["number"].transform("min")
    repeat = used[used["number"] > first].groupby("customer_id")["amount"]
    numbers = used.groupby("customer_id")["number"]
    return pd.DataFrame(
        {
            "frequency": numbers.size() - 1,
            "recency": (numbers.max() - numbers.min()).astype(float),
            "T": (last.ordinal - numbers.min()).astype(float),
            "monetary_value": repeat.mean(),
        }
    ).fillna({"monetary_value": 0.0})


class TestFromTransactions:
    @pytest.mark.parametrize("opportunities", OPPORTUNITIES)
    def test_periods_of_the_calendar_are_counted(self, log: pd.DataFrame, opportunities: str) -> None:
        rfm = RFMSummary.from_transactions(log, amount="amount", opportunities=opportunities, observation_end=END)
        expected = expect(log, opportunities)
        assert rfm.customer_id.tolist() == expected.index.tolist()
        for name in expected:
            np.testing.assert_allclose(getattr(rfm, name), expected[name], rtol=1e-12)
        assert (rfm.time_unit, rfm.collapse, rfm.opportunities) == (opportunities,) * 3
        assert f"in opportunities, one a {opportunities}" in repr(rfm)
        assert rfm.first_purchase is not None

    @pytest.mark.parametrize("engine", ENGINES)
    def test_every_engine_counts_alike(self, log: pd.DataFrame, engine: str) -> None:
        for opportunities in ("year", "quarter"):
            options: dict[str, Any] = {"opportunities": opportunities, "observation_end": END}
            expected = RFMSummary.from_transactions(log, **options)
            found = RFMSummary.from_transactions(ENGINES[engine](log), **options)
            for name in ("frequency", "recency", "T"):
                np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))

    def test_a_period_that_is_cut_is_none_and_is_said_to_be(self, log: pd.DataFrame) -> None:
        rfm = RFMSummary.from_transactions(log, opportunities="year", observation_end=END)
        assert rfm.observation_end == dt.date(2019, 12, 31)
        [row] = rfm.quality[rfm.quality["what"].str.contains("cuts")].to_dict("records")
        assert row["what"] == "rows in the year that observation_end cuts, which is no opportunity"
        assert row["count"] == ((log["date"] > "2019-12-31") & (log["date"] <= END)).sum()
        assert row["note"] == "observation ends with 2019-12-31 instead of 2020-11-15"
        whole = RFMSummary.from_transactions(log, opportunities="year", observation_end="2019-12-31")
        pd.testing.assert_frame_equal(whole.to_pandas(), rfm.to_pandas())
        [row] = whole.quality[whole.quality["what"].str.contains("cuts")].to_dict("records")
        assert row["count"] == 0
        merged = whole.quality.set_index("what").loc["rows merged into a purchase"]
        assert merged["count"] == (log["date"] <= "2019-12-31").sum() - (whole.frequency + 1).sum()
        with pytest.warns(ObservationEndWarning):
            assert RFMSummary.from_transactions(log, opportunities="year").observation_end == dt.date(2020, 12, 31)

    def test_what_is_refused(self, log: pd.DataFrame) -> None:
        def summarise(**options: Any) -> RFMSummary:
            return RFMSummary.from_transactions(log, **{"observation_end": END, "opportunities": "year", **options})

        for options, message in (
            ({"opportunities": "fortnight"}, "'opportunities' must be one of 'year', 'quarter'"),
            ({"time_unit": "day"}, "Leave 'time_unit' out"),
            ({"collapse": "month"}, "Leave 'collapse' out"),
            ({"regularity": True}, "opportunities are only counted"),
            ({"observation_end": "2015-12-30"}, "No year with a purchase is over by 2015-12-30"),
            ({"after_end": "error"}, "rows lie after observation_end='2020-11-15'"),
        ):
            with pytest.raises(DataError, match=message):
                summarise(**options)
        ends = str(log["date"].max().date())
        assert summarise(observation_end=ends, after_end="error").observation_end == dt.date(2020, 12, 31)

    def test_a_split_counts_whole_opportunities(self, log: pd.DataFrame) -> None:
        split = pc.split_transactions(log, at="2019-03-01", holdout_end="2021-02-20", opportunities="quarter")
        assert split.calibration.observation_end == dt.date(2018, 12, 31)
        assert split.duration == 8.0
        later = log[(log["date"] > "2018-12-31") & (log["date"] <= "2020-12-31")]
        used = later.assign(period=later["date"].dt.to_period("Q")).groupby("customer_id")["period"].nunique()
        expected = used.reindex(split.calibration.customer_id, fill_value=0)
        np.testing.assert_array_equal(split.holdout["purchases"], expected)
        with pytest.raises(DataError, match="no holdout"):
            pc.split_transactions(log, at="2018-12-31", holdout_end="2019-02-20", opportunities="quarter")


class TestFromFrame:
    TABLE = pd.DataFrame({"frequency": [2, 0, 1], "recency": [5, 0, 1], "T": [6, 6, 2]})

    def test_a_table_says_what_it_counts(self) -> None:
        rfm = RFMSummary.from_frame(self.TABLE, opportunities="quarter")
        assert (rfm.time_unit, rfm.opportunities) == ("quarter", "quarter")
        assert rfm[:2].opportunities == pickle.loads(pickle.dumps(rfm)).opportunities == "quarter"
        assert rfm.days_per_unit == pytest.approx(365.25 / 4)
        with pytest.raises(DataError, match="Say in which unit"):
            RFMSummary.from_frame(self.TABLE)
        with pytest.raises(DataError, match="Leave 'time_unit' out"):
            RFMSummary.from_frame(self.TABLE, time_unit="week", opportunities="quarter")

    @pytest.mark.parametrize(
        ("column", "values", "message"),
        [
            (
                "T",
                [6, 6.5, 2],
                r"'T' is no whole number of opportunities: 1 of 3 .*\(first: customer 1, 6\.5\)",
            ),
            ("recency", [4.2, 0, 1], "'recency' is no whole number of opportunities: 1 of 3 customers"),
            ("frequency", [6, 0, 1], r"'frequency' exceeds 'recency'.*1 of 3 customers \(first: customer 0, 6\)"),
        ],
    )
    def test_what_are_no_opportunities(self, column: str, values: list[float], message: str) -> None:
        table = self.TABLE.assign(**{column: values})
        with pytest.raises(DataError, match=message):
            RFMSummary.from_frame(table, opportunities="year")
        # A table that does not say so is refused by the model.
        with pytest.raises(DataError, match=message):
            pc.BGBB().fit(RFMSummary.from_frame(table, time_unit="year"))


class TestHorizons:
    END = dt.date(2001, 12, 31)

    @pytest.mark.parametrize(
        ("horizon", "opportunities", "length"),
        [
            ("5 years", "year", 5),
            ("12 months", "year", 1),
            ("1 year", "month", 12),
            ("2 quarters", "month", 6),
            ("1 yr", "quarter", 4),
            ("26 weeks", "week", 26),
            ("14 days", "week", 2),
            (dt.timedelta(weeks=3), "day", 21),
            (3, "quarter", 3),
            ("2006-12-31", "year", 5),
            ("2002-03-31", "quarter", 1),
            ("2002-02-28", "month", 2),
            ("2002-01-06", "day", 6),
        ],
    )
    def test_whole_ones(self, horizon: Any, opportunities: str, length: float) -> None:
        assert parse_opportunities(horizon, opportunities, self.END).length == length
        assert parse_opportunities(float("inf"), opportunities).length == np.inf

    @pytest.mark.parametrize(
        ("horizon", "opportunities", "message"),
        [
            ("1 year", "week", r"is 52\.1786 weeks, and opportunities come whole\. Give '52 weeks'"),
            (1.5, "year", r"is 1\.5 years"),
            ("6 months", "year", r"is 0\.5 years, and opportunities come whole\. Give '1 years'"),
            ("26 weeks", "month", "is 5.97947 months"),
            ("2006-06-30", "year", r"ends within a year.*Give '2005-12-31'"),
            ("2002-01-20 12:00", "week", "ends within a week"),
        ],
    )
    def test_cut_ones(self, horizon: Any, opportunities: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            parse_opportunities(horizon, opportunities, self.END)

    def test_the_last_whole_day(self) -> None:
        for end, opportunities, last in (
            (dt.date(2001, 12, 31), "year", dt.date(2001, 12, 31)),
            (dt.date(2001, 12, 30), "year", dt.date(2000, 12, 31)),
            (dt.datetime(2001, 12, 31, 23), "month", dt.date(2001, 11, 30)),
            (dt.date(2002, 1, 5), "week", dt.date(2001, 12, 30)),
            (dt.datetime(2002, 1, 7, 1), "week", dt.date(2002, 1, 6)),
            (dt.date(2002, 1, 5), "day", dt.date(2002, 1, 5)),
        ):
            assert last_whole_day(end, opportunities) == last
