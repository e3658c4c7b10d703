"""What each option of `from_transactions` means, on logs small enough to count by hand."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engines import ENGINES
from predclv import RFMSummary
from predclv.errors import DataError, DataQualityWarning, ObservationEndWarning

LOG = pd.DataFrame(
    {
        "customer_id": ["b", "a", "a", "a", "b", "c"],
        "date": pd.to_datetime(
            [
                "2024-01-01 09:30",
                "2024-01-03 10:00",
                "2024-01-03 10:45",
                "2024-01-31 23:59",
                "2024-02-12 00:00",
                "2024-02-29 12:00",
            ]
        ),
        "amount": [5.0, 10.0, 1.0, 20.0, 7.0, 3.0],
    }
)


ONCE = "ignore:All .* customers bought once:predclv.errors.DataQualityWarning"


def summarise(log: Any = LOG, **options: Any) -> RFMSummary:
    return RFMSummary.from_transactions(log, **{"amount": "amount", "observation_end": "2024-02-29"} | options)


def quality_count(rfm: RFMSummary, start: str) -> int:
    found = rfm.quality.loc[rfm.quality["what"].str.startswith(start), "count"]
    return int(found.sum())


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return ENGINES[request.param]


def test_first_purchase_is_in_neither_frequency_nor_spend(engine: Any) -> None:
    rfm = summarise(engine(LOG), time_unit="day")
    assert rfm.customer_id.tolist() == ["a", "b", "c"]
    assert rfm.frequency.tolist() == [1, 1, 0]
    assert rfm.recency.tolist() == [28.0, 42.0, 0.0]
    assert rfm.T.tolist() == [57.0, 59.0, 0.0]
    assert rfm.monetary_value is not None
    assert rfm.monetary_value.tolist() == [20.0, 7.0, 0.0]
    assert rfm.first_purchase is not None
    assert rfm.first_purchase.astype("datetime64[D]").astype(str).tolist() == ["2024-01-03", "2024-01-01", "2024-02-29"]
    assert quality_count(rfm, "rows merged") == 1
    assert quality_count(rfm, "one-time buyers") == 1


@pytest.mark.parametrize(
    ("collapse", "time_unit", "frequency", "recency", "age"),
    [
        ("none", "hour", [2, 1, 0], [685 + 59 / 60, 998.5, 0], [1382, 1430.5, 12]),
        ("hour", "hour", [1, 1, 0], [685, 999, 0], [1381, 1430, 11]),
        ("day", "week", [1, 1, 0], [4, 6, 0], [57 / 7, 59 / 7, 0]),
        ("week", "day", [1, 1, 0], [28, 42, 0], [56, 56, 0]),
        ("month", "day", [0, 1, 0], [0, 31, 0], [31, 31, 0]),
        ("day", "year", [1, 1, 0], [28 / 365.25, 42 / 365.25, 0], [57 / 365.25, 59 / 365.25, 0]),
    ],
)
def test_collapse_and_time_unit_are_apart(
    engine: Any, collapse: str, time_unit: str, frequency: list[int], recency: list[float], age: list[float]
) -> None:
    rfm = summarise(engine(LOG), collapse=collapse, time_unit=time_unit)
    assert rfm.frequency.tolist() == frequency
    np.testing.assert_allclose(rfm.recency, recency, rtol=1e-14)
    np.testing.assert_allclose(rfm.T, age, rtol=1e-14)


@pytest.mark.parametrize("collapse", ["none", "hour", "day", "week", "month"])
def test_dates_are_read_alike_in_every_form(engine: Any, collapse: str) -> None:
    expected = summarise(collapse=collapse).to_pandas()
    forms = {
        "text": LOG["date"].dt.strftime("%Y-%m-%dT%H:%M:%S"),
        "text to the minute": LOG["date"].dt.strftime(" %Y-%m-%d %H:%M"),
        "nanoseconds": LOG["date"].astype("datetime64[ns]"),
        "seconds": LOG["date"].astype("datetime64[s]"),
    }
    for form in forms.values():
        found = summarise(engine(LOG.assign(date=form)), collapse=collapse).to_pandas()
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("collapse", ["none", "hour", "day", "week", "month"])
def test_whole_days_are_read_alike_in_every_form(engine: Any, collapse: str) -> None:
    days = LOG["date"].dt.normalize()
    expected = summarise(LOG.assign(date=days), collapse=collapse).to_pandas()
    forms = {
        "text": days.dt.strftime("%Y-%m-%d"),
        "dates": days.dt.date,
        "formatted": days.dt.strftime("%d/%m/%y"),
        "numbers": days.dt.strftime("%Y%m%d").astype(int),
    }
    for name, form in forms.items():
        date_format = {"formatted": "%d/%m/%y", "numbers": "%Y%m%d"}.get(name)
        found = summarise(engine(LOG.assign(date=form)), collapse=collapse, date_format=date_format).to_pandas()
        pd.testing.assert_frame_equal(found, expected)


def test_pandas_periods_categories_decimals_and_nullables() -> None:
    expected = summarise(LOG.assign(date=LOG["date"].dt.normalize())).to_pandas()
    odd = LOG.assign(
        date=LOG["date"].dt.to_period("D"),
        customer_id=LOG["customer_id"].astype("category"),
        amount=[decimal.Decimal(str(amount)) for amount in LOG["amount"]],
    )
    pd.testing.assert_frame_equal(summarise(odd).to_pandas(), expected)
    nullable = LOG.astype({"amount": "Float64", "customer_id": "string"})
    pd.testing.assert_frame_equal(summarise(nullable).to_pandas(), expected)
    numbered = LOG.assign(customer_id=pd.Categorical([2, 1, 1, 1, 2, 3]))
    assert summarise(numbered).customer_id.tolist() == [1, 2, 3]


@pytest.mark.filterwarnings("ignore:.* is still to come:predclv.errors.ObservationEndWarning")
def test_day_numbers_hold_over_leap_years_and_centuries(engine: Any) -> None:
    days = pd.to_datetime(["1899-12-31", "1900-02-28", "1900-03-01", "1999-12-31", "2000-02-29", "2000-12-31"])
    log = pd.DataFrame({"customer_id": range(6), "date": days})
    as_of = dt.date(2100, 3, 1)
    expected = [(as_of - day.date()).days for day in days]
    for form in (days, days.strftime("%Y-%m-%d")):
        with pytest.warns(DataQualityWarning, match="bought once"):
            rfm = summarise(engine(log.assign(date=form)), amount=None, time_unit="day", observation_end=as_of)
        assert rfm.T.tolist() == expected


class TestWindow:
    def test_later_purchases_are_set_aside_and_counted(self, engine: Any) -> None:
        rfm = summarise(engine(LOG), observation_end="2024-02-11")
        assert rfm.customer_id.tolist() == ["a", "b"]
        assert rfm.frequency.tolist() == [1, 0]
        assert quality_count(rfm, "rows after observation_end") == 2
        assert rfm.observation_end == dt.date(2024, 2, 11)

    @pytest.mark.filterwarnings(ONCE)
    def test_a_date_means_the_whole_day_and_a_time_that_instant(self, engine: Any) -> None:
        log = engine(LOG)
        for whole in ("2024-01-31", dt.date(2024, 1, 31), pd.Timestamp("2024-01-31"), np.datetime64("2024-01-31")):
            assert quality_count(summarise(log, observation_end=whole), "rows after") == 2
        assert quality_count(summarise(log, observation_end="2024-01-31 23:58"), "rows after") == 3
        rfm = summarise(log, observation_end="2024-01-31 23:59", collapse="none", time_unit="hour")
        assert rfm.T[0] == rfm.recency[0]

    def test_left_out_end_is_the_last_date_with_a_warning(self, engine: Any) -> None:
        with pytest.warns(ObservationEndWarning, match="2024-02-29"):
            rfm = summarise(engine(LOG), observation_end=None)
        assert rfm.observation_end == dt.date(2024, 2, 29)
        assert rfm.T[2] == 0
        with pytest.warns(ObservationEndWarning):
            rfm = summarise(engine(LOG), observation_end=None, collapse="hour", time_unit="hour")
        assert rfm.observation_end == dt.datetime(2024, 2, 29, 12)
        assert rfm.T[2] == 0

    def test_customers_from_before_the_start_are_left_out(self, engine: Any) -> None:
        rfm = summarise(engine(LOG), observation_start="2024-01-02")
        assert rfm.customer_id.tolist() == ["a", "c"]
        assert quality_count(rfm, "customers who bought before observation_start") == 1
        assert quality_count(rfm, "purchases of customers left out") == 2
        assert rfm.observation_start == dt.date(2024, 1, 2)

    @pytest.mark.parametrize("text", [False, True])
    def test_customers_acquired_before_the_log_are_left_out(self, engine: Any, text: bool) -> None:
        acquired = pd.to_datetime(["2023-06-01", "2024-01-03", None, None, "2023-07-01", "2024-03-05"])
        if text:
            acquired = pd.Series(acquired.strftime("%Y-%m-%d"), dtype=object)
        rfm = summarise(engine(LOG.assign(since=acquired)), acquired="since")
        assert rfm.customer_id.tolist() == ["a", "c"]
        assert quality_count(rfm, "customers acquired before the log starts") == 1
        assert quality_count(rfm, "customers acquired after their first purchase") == 1

    def test_spike_of_births_on_the_first_days_warns(self) -> None:
        rng = np.random.default_rng(3)
        steady = rng.integers(0, 200, 2_000)
        spike = np.concatenate([steady, rng.integers(0, 7, 300)])
        for offsets, warns in ((steady, False), (spike, True)):
            days = pd.Timestamp("2024-01-01") + pd.to_timedelta(offsets, unit="D")
            log = pd.DataFrame({"customer_id": np.arange(len(days)), "date": days})
            log = pd.concat([log, log.head(20).assign(date=days.max())])
            options: dict[str, Any] = {"amount": None, "observation_end": "2024-08-01"}
            if warns:
                with pytest.warns(DataQualityWarning, match="first week of the log"):
                    summarise(log, **options)
                summarise(log, **options, observation_start="2024-01-01")
            else:
                summarise(log, **options)


class TestTimeZones:
    def test_calendar_of_the_zone_counts(self) -> None:
        utc = LOG.assign(date=LOG["date"].dt.tz_localize("UTC"))
        for name in ("pandas", "polars", "polars-lazy", "pyarrow"):
            rfm = summarise(ENGINES[name](utc), time_zone="Asia/Tokyo", time_unit="day", observation_end="2024-03-01")
            # The purchase at 23:59 in Greenwich falls on 1 February in Tokyo.
            assert rfm.recency.tolist() == [29.0, 42.0, 0.0]

    @pytest.mark.parametrize("zone", ["America/New_York", "Etc/GMT+5"])
    def test_pandas_in_a_zone_of_any_name(self, zone: str) -> None:
        local = LOG.assign(date=LOG["date"].dt.tz_localize(zone))
        expected = summarise(LOG, time_unit="day", observation_end="2024-03-01").to_pandas()
        found = summarise(local, time_zone=zone, time_unit="day", observation_end="2024-03-01").to_pandas()
        pd.testing.assert_frame_equal(found, expected)
        with pytest.raises(DataError, match=re.escape(f"knows time zones ({zone})")):
            summarise(local)

    @pytest.mark.parametrize("session", ["Asia/Tokyo", "America/New_York"])
    def test_duckdb_whatever_its_session_zone(self, session: str) -> None:
        relation = ENGINES["duckdb"](LOG.assign(date=LOG["date"].dt.tz_localize("UTC")))
        assert str(relation.types[1]) == "TIMESTAMP WITH TIME ZONE"
        duckdb = pytest.importorskip("duckdb")
        connection = duckdb.connect()
        connection.execute(f"SET TimeZone='{session}'")
        connection.register("frame", relation.to_arrow_table())
        rows = connection.sql("SELECT * FROM frame")
        rfm = summarise(rows, time_zone="Asia/Tokyo", time_unit="day", observation_end="2024-03-01")
        assert rfm.recency.tolist() == [29.0, 42.0, 0.0]
        for zone in ("Asia/Tokio", "Asia/Tokyo' OR '"):
            with pytest.raises(DataError, match="is not known"):
                summarise(rows, time_zone=zone)

    @pytest.mark.filterwarnings(ONCE)
    def test_aware_end_is_converted(self) -> None:
        utc = LOG.assign(date=LOG["date"].dt.tz_localize("UTC"))
        end = pd.Timestamp("2024-01-31 23:58", tz="UTC")
        rfm = summarise(utc, time_zone="Asia/Tokyo", observation_end=end)
        assert rfm.observation_end == dt.datetime(2024, 2, 1, 8, 58)
        assert quality_count(rfm, "rows after") == 3


def returns_log(*rows: tuple[str, float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"customer_id": 1, "date": pd.to_datetime([day for day, _ in rows]), "amount": [amount for _, amount in rows]}
    )


class TestReturns:
    def spend(self, log: Any, **options: Any) -> tuple[int, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataQualityWarning)
            rfm = summarise(log, **options)
        assert rfm.monetary_value is not None
        return int(rfm.frequency[0]), float(rfm.monetary_value[0])

    BUYS = (("2024-01-01", 10.0), ("2024-01-08", 20.0), ("2024-01-15", 30.0))

    @pytest.mark.parametrize(
        ("returned", "expected"),
        [
            (("2024-01-15", -30.0), (2, 10.0)),  # on the day of a purchase
            (("2024-01-16", -30.0), (2, 10.0)),  # later: the latest earlier purchase
            (("2024-01-09", -5.0), (2, 22.5)),
            (("2024-01-02", -10.0), (2, 25.0)),  # of the first purchase: repeat spend is not touched
            (("2024-01-01", -10.0), (2, 25.0)),
            (("2023-12-31", -10.0), (2, 25.0)),  # before any purchase: set aside
            (("2024-02-01", -50.0), (2, 0.0)),
            (("2024-02-01", -90.0), (2, 0.0)),  # more than was bought
        ],
    )
    def test_netting_changes_spend_and_never_a_purchase(
        self, engine: Any, returned: tuple[str, float], expected: tuple[int, float]
    ) -> None:
        assert self.spend(engine(returns_log(*self.BUYS, returned))) == expected

    def test_every_return_is_counted(self, engine: Any) -> None:
        log = returns_log(
            *self.BUYS, ("2023-12-31", -1.0), ("2024-01-02", -2.0), ("2024-01-20", -3.0), ("2024-01-15", -4.0)
        )
        rfm = summarise(engine(log))
        assert quality_count(rfm, "rows with a negative amount, netted") == 4
        assert quality_count(rfm, "returns before any purchase") == 1
        assert quality_count(rfm, "returns set against first") == 1
        assert quality_count(rfm, "returns set against repeat") == 2

    def test_excess_is_counted_and_spend_is_zero(self) -> None:
        rfm = summarise(returns_log(*self.BUYS, ("2024-02-01", -90.0)))
        assert quality_count(rfm, "customers whose returns exceed") == 1
        assert quality_count(rfm, "repeat buyers without spend") == 1
        assert rfm.repeat_spend().n_left_out == 1

    def test_ignored(self, engine: Any) -> None:
        log = engine(returns_log(*self.BUYS, ("2024-01-15", -30.0), ("2024-01-20", -1.0)))
        assert self.spend(log, returns="ignore") == (2, 25.0)

    @pytest.mark.filterwarnings(ONCE)
    def test_rows_at_nothing_are_purchases_and_counted(self, engine: Any) -> None:
        log = returns_log(*self.BUYS, ("2024-01-22", 0.0), ("2024-01-23", -1.0), ("2024-03-05", 0.0))
        rfm = summarise(engine(log), observation_end="2024-02-01")
        assert int(rfm.frequency[0]) == 3
        [line] = rfm.quality[rfm.quality["what"].str.startswith("rows with an amount of 0")].to_dict("records")
        # Of those observed; that after the end is none of them.
        assert (line["count"], line["total"], line["step"]) == (1, 5, "check")
        assert "leave them out" in line["note"]
        none = summarise(engine(returns_log(*self.BUYS)))
        assert not none.quality["what"].str.contains("amount of 0").any()

    def test_rounding_leaves_no_ghost_of_spend(self) -> None:
        free = returns_log(("2024-01-01", 0.1), ("2024-01-01", 0.2), ("2024-01-08", 0.0))
        rfm = summarise(free)
        assert rfm.monetary_value is not None
        assert rfm.monetary_value[0] == 0.0


class TestNulls:
    def test_dropped_by_policy_and_counted(self, engine: Any) -> None:
        extra = pd.DataFrame(
            {
                "customer_id": [None, "a", "a", "a"],
                "date": pd.to_datetime(["2024-01-05", None, "2024-01-06", "2024-01-07"]),
                "amount": [1.0, 1.0, None, np.inf],
            }
        )
        rfm = summarise(engine(pd.concat([LOG, extra])), on_null="drop")
        pd.testing.assert_frame_equal(rfm.to_pandas(), summarise().to_pandas())
        assert quality_count(rfm, "rows without customer, date or finite amount") == 4


class TestCarry:
    def test_columns_follow_their_customer(self, engine: Any) -> None:
        log = LOG.assign(
            channel=["web", "shop", None, "shop", "web", None], vip=[True, False, False, False, True, True]
        )
        rfm = summarise(engine(log), carry=["channel", "vip"])
        assert pd.Series(rfm.carried["channel"]).fillna("?").tolist() == ["shop", "web", "?"]
        assert rfm.carried["vip"].tolist() == [False, True, True]
        assert rfm.to_pandas().columns[-2:].tolist() == ["channel", "vip"]
        assert rfm.shape == (3, 8)

    @pytest.mark.parametrize(("policy", "expected"), [("first", "x"), ("last", "z")])
    def test_conflicts_are_settled_by_time_and_counted(self, engine: Any, policy: str, expected: str) -> None:
        log = LOG.assign(channel=["b", "x", "x", "z", "b", "c"]).sample(frac=1, random_state=1)
        rfm = summarise(engine(log), carry=["channel"], carry_conflict=policy)
        assert rfm.carried["channel"].tolist() == [expected, "b", "c"]
        assert quality_count(rfm, "customers whose 'channel' changes") == 1

    def test_values_after_the_end_do_not_count(self, engine: Any) -> None:
        log = LOG.assign(channel=["b", "x", "x", "x", "later", "c"])
        rfm = summarise(engine(log), carry=["channel"], observation_end="2024-02-11")
        assert rfm.carried["channel"].tolist() == ["x", "b"]


class TestCurrency:
    def test_column_or_code(self, engine: Any) -> None:
        assert summarise(engine(LOG.assign(money="EUR")), currency="money").currency == "EUR"
        assert summarise(engine(LOG), currency="USD").currency == "USD"
        assert summarise(engine(LOG)).currency is None
        assert "spend in USD" in repr(summarise(LOG, currency="USD"))


def test_amount_may_be_left_out(engine: Any) -> None:
    rfm = summarise(engine(LOG), amount=None)
    assert rfm.monetary_value is None
    assert rfm.returns is None
    assert "no spend" in repr(rfm)
    assert "monetary_value" not in rfm.to_pandas()


def test_inputs_are_left_unchanged() -> None:
    log = LOG.assign(channel="web")
    before = log.copy(deep=True)
    summarise(log, carry=["channel"])
    pd.testing.assert_frame_equal(log, before)
