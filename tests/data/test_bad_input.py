"""Every kind of bad input has its own clear error: the place, how many of how many, the first case, the remedy."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

from engines import ENGINES
from predclv import RFMSummary, split_transactions
from predclv.errors import DataError, DataQualityWarning, ObservationEndWarning, PredCLVError, UnitError

GOOD = pd.DataFrame(
    {
        "customer_id": [1, 1, 2, 3],
        "date": pd.to_datetime(["2024-01-02", "2024-02-03", "2024-01-05", "2024-03-01"]),
        "amount": [10.0, 20.0, 5.0, 7.5],
        "channel": ["web", "web", "shop", "web"],
        "currency": ["EUR"] * 4,
    }
)
TABLE = pd.DataFrame(
    {
        "customer_id": [1, 2, 3],
        "frequency": [2.0, 0.0, 1.0],
        "recency": [5.0, 0.0, 1.5],
        "T": [10.0, 4.0, 2.0],
        "monetary_value": [10.0, 0.0, 7.0],
    }
)


def log_with(**columns: list[Any]) -> pd.DataFrame:
    return GOOD.assign(**columns)


def summarise(log: Any, **options: Any) -> RFMSummary:
    return RFMSummary.from_transactions(log, **{"amount": "amount", "observation_end": "2024-03-31"} | options)


# name: (log, options, what the message must hold)
BAD_LOGS: dict[str, tuple[pd.DataFrame, dict[str, Any], list[str]]] = {
    "missing customer column": (
        GOOD.rename(columns={"customer_id": "Customer ID"}),
        {},
        ["customer_id='customer_id'", "Did you mean 'Customer ID'?"],
    ),
    "missing date column": (GOOD, {"date": "dat"}, ["date='dat'", "Did you mean 'date'?", "'channel'"]),
    "missing amount column": (GOOD, {"amount": "Amount_usd"}, ["amount='Amount_usd'", "'amount'"]),
    "missing carried column": (GOOD, {"carry": ["chanel"]}, ["carry='chanel'", "Did you mean 'channel'?"]),
    "carry is text": (GOOD, {"carry": "channel"}, ["carry='channel'", "['channel']"]),
    "null id": (
        log_with(customer_id=[1, None, 2, 3]),
        {},
        ["'customer_id' is null", "1 of 4 rows", "2024-02-03", "on_null='drop'"],
    ),
    "null date": (
        log_with(date=[*GOOD["date"][:3], pd.NaT]),
        {},
        ["'date' is null", "1 of 4 rows", "customer 3", "on_null='drop'"],
    ),
    "null amount": (log_with(amount=[1.0, 2.0, None, None]), {}, ["'amount' is null", "2 of 4 rows", "customer 2"]),
    "infinite amount": (
        log_with(amount=[1.0, 2.0, np.inf, 3.0]),
        {},
        ["'amount' is not finite", "1 of 4 rows", "customer 2", "inf"],
    ),
    "amount is text": (
        log_with(amount=["1,0", "2", "3", "4"]),
        {},
        ["'amount'", "numbers", "'1,0'", "decimal commas", "files.md"],
    ),
    "date with dots": (log_with(date=["03.01.2024", "2.2.2024", "5.2.2024", "1.3.2024"]), {}, ["such as '%d.%m.%Y'."]),
    "date with slashes and a time": (
        log_with(date=["01/30/24 10:00", "2/2/24", "5/2/24", "1/3/24"]),
        {},
        ["such as '%m/%d/%y %H:%M'."],
    ),
    "unparseable date": (
        log_with(date=["2024-01-02", "03/02/2024", "2024-01-05", "soon"]),
        {},
        ["'date'", "2 of 4 rows", "'03/02/2024'", "date_format"],
    ),
    "no such day": (
        log_with(date=["2024-02-29", "2023-02-29", "2024-04-30", "2024-01-05"]),
        {},
        ["'date'", "1 of 4 rows", "'2023-02-29'"],
    ),
    "date not in the format": (
        log_with(date=["02.01.2024", "31.02.2024", "05.01.2024", "01.03.2024"]),
        {"date_format": "%d.%m.%Y"},
        ["'date'", "1 of 4 rows", "'31.02.2024'", "date_format='%d.%m.%Y'"],
    ),
    "date is a number": (
        log_with(date=[20240102, 20240203, 20240105, 20240301]),
        {},
        ["'date'", "Int64", "date_format"],
    ),
    "date is a flag": (log_with(date=[True, False, True, True]), {}, ["'date'", "Boolean", "no dates"]),
    "naive and aware text": (
        log_with(date=["2024-01-02T10:00:00Z", "2024-02-03", "2024-01-05", "2024-03-01"]),
        {},
        ["'date'", "mixes time zones", "1 of 4", "2024-01-02T10:00:00Z"],
    ),
    "aware text": (
        log_with(date=["2024-01-02T10:00:00Z", "2024-02-03T10:00:00+01:00"] * 2),
        {},
        ["'date'", "offsets", "time_zone="],
    ),
    "aware dates without a zone": (
        log_with(date=GOOD["date"].dt.tz_localize("UTC")),
        {},
        ["'date' knows time zones", "time_zone='...'"],
    ),
    "zone for naive dates": (GOOD, {"time_zone": "Europe/Berlin"}, ["time_zone='Europe/Berlin'", "does not know"]),
    "aware end, naive log": (
        GOOD,
        {"observation_end": pd.Timestamp("2024-03-31 12:00", tz="UTC")},
        ["observation_end=", "knows its time zone"],
    ),
    "end before the first purchase": (
        GOOD,
        {"observation_end": "2023-12-31"},
        ["observation_end='2023-12-31'", "precedes the first purchase", "2024-01-02", "all 4 rows"],
    ),
    "rows after the end refused": (
        GOOD,
        {"observation_end": "2024-02-28", "after_end": "error"},
        ["1 of 4 rows", "observation_end='2024-02-28'", "customer 3", "after_end='set_aside'"],
    ),
    "end is no date": (GOOD, {"observation_end": "31/03/2024"}, ["observation_end='31/03/2024'", "ISO 8601"]),
    "end is a number": (GOOD, {"observation_end": 20240331}, ["observation_end=20240331", "not a date"]),
    "start after the end": (GOOD, {"observation_start": "2025-01-01"}, ["observation_start='2025-01-01'", "later"]),
    "nobody left": (GOOD, {"observation_start": "2024-03-30"}, ["No customer is left", "all 3"]),
    "empty log": (GOOD.head(0), {}, ["log is empty"]),
    "mixed currencies": (
        log_with(currency=["EUR", "EUR", "USD", "EUR"]),
        {"currency": "currency"},
        ["'currency'", "mixes 2 currencies", "'EUR', 'USD'", "1 of 4 rows", "customer 2"],
    ),
    "null currency": (log_with(currency=["EUR", None, "EUR", "EUR"]), {"currency": "currency"}, ["null", "1 rows"]),
    "currency neither column nor code": (
        GOOD,
        {"currency": "curency"},
        ["currency='curency'", "Did you mean 'currency'?", "'USD'"],
    ),
    "returns refused": (
        log_with(amount=[1.0, -2.0, 3.0, 4.0]),
        {"returns": "error"},
        ["'amount' is negative", "1 of 4 rows", "customer 1", "returns='net'"],
    ),
    "returns only": (log_with(amount=[-1.0, -2.0, -3.0, -4.0]), {}, ["every row is a return", "sign"]),
    "carried column changes": (
        log_with(channel=["web", "shop", "shop", "web"]),
        {"carry": ["channel"]},
        ["'channel' changes", "1 of 3 customers", "customer 1", "carry_conflict='first'"],
    ),
    "unknown time unit": (GOOD, {"time_unit": "weeks"}, ["'time_unit'", "Did you mean 'week'?"]),
    "months as a ruler": (GOOD, {"time_unit": "month"}, ["time_unit='month'", "differ in length", "collapse='month'"]),
    "unknown collapse": (GOOD, {"collapse": "daily"}, ["'collapse'", "Did you mean 'day'?"]),
    "unknown returns": (GOOD, {"returns": "netted"}, ["'returns'", "Did you mean 'net'?"]),
    "unknown after_end": (GOOD, {"after_end": "drop"}, ["'after_end'", "'set_aside', 'error'"]),
    "unknown on_null": (GOOD, {"on_null": None}, ["'on_null'", "None"]),
    "unknown carry_conflict": (GOOD, {"carry_conflict": "lst"}, ["'carry_conflict'", "Did you mean 'last'?"]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", BAD_LOGS)
def test_bad_log_is_refused_with_its_reason(case: str, engine: str) -> None:
    log, options, said = BAD_LOGS[case]
    with pytest.raises(DataError) as raised:
        summarise(ENGINES[engine](log), **options)
    for part in said:
        if part == "Int64" and engine == "duckdb":
            continue
        assert part in str(raised.value)


# name: (columns changed, options, what the message must hold)
BAD_TABLES: dict[str, tuple[dict[str, Any], dict[str, Any], list[str]]] = {
    "missing column": ({}, {"frequency": "freqency"}, ["frequency='freqency'", "Did you mean 'frequency'?"]),
    "recency above T": (
        {"recency": [10.5, 0.0, 1.5]},
        {},
        ["'recency' exceeds 'T'", "1 of 3 customers", "customer 1, 10.5 > 10 weeks", "observation_end"],
    ),
    "negative frequency": ({"frequency": [2, -1, -3]}, {}, ["'frequency' is negative", "2 of 3", "customer 2, -1"]),
    "broken frequency": ({"frequency": [2, 0, 1.5]}, {}, ["'frequency' is no whole number", "customer 3, 1.5"]),
    "null frequency": ({"frequency": [2, 0, None]}, {}, ["'frequency' is null", "1 of 3", "customer 3"]),
    "negative recency": ({"recency": [-1.0, 0.0, 1.5]}, {}, ["'recency' is negative", "customer 1"]),
    "negative T": ({"T": [10.0, -4.0, 2.0]}, {}, ["'T' is negative", "customer 2", "observation_end"]),
    "infinite T": ({"T": [np.inf, 4.0, 2.0]}, {}, ["'T' is null or not finite", "customer 1"]),
    "recency without a repeat": (
        {"recency": [5.0, 3.0, 1.5]},
        {},
        ["'recency' is above 0 where 'frequency' is 0", "customer 2", "count the first purchase"],
    ),
    "negative spend": (
        {"monetary_value": [10.0, 0.0, -7.0]},
        {},
        ["mean spend 'monetary_value' is negative", "1 of 3", "customer 3, -7"],
    ),
    "null spend of a repeat buyer": (
        {"monetary_value": [None, None, 7.0]},
        {},
        ["'monetary_value' is null", "1 of 3", "customer 1"],
    ),
    "duplicate customer": ({"customer_id": [1, 2, 1]}, {}, ["1 of 3 rows repeat a customer_id", "customer 1"]),
    "null id": ({"customer_id": [1, None, 3]}, {}, ["'customer_id' is null", "1 of 3 rows", "row 1"]),
    "text where numbers belong": ({"T": ["ten", "4", "2"]}, {}, ["'T' holds", "numbers"]),
    "unknown unit": ({}, {"time_unit": "dy"}, ["'time_unit'", "Did you mean 'day'?"]),
    "carry is text": ({}, {"carry": "T"}, ["['T']"]),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_table_is_refused_with_its_reason(case: str, engine: str) -> None:
    changes, options, said = BAD_TABLES[case]
    with pytest.raises(DataError) as raised:
        RFMSummary.from_frame(ENGINES[engine](TABLE.assign(**changes)), **{"time_unit": "week"} | options)
    for part in said:
        assert part in str(raised.value)


def test_empty_table_is_refused() -> None:
    with pytest.raises(DataError, match="no customers"):
        RFMSummary.from_frame(TABLE.head(0), time_unit="week")


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="'recency' has shape"):
        RFMSummary(customer_id=np.arange(2), frequency=np.zeros(2), recency=np.zeros(3), T=np.ones(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("no_frame", "said"),
    [
        (42, "int, which is no dataframe"),
        ({"customer_id": [1]}, "dict, which is no dataframe"),
        ("no/such/log.csv", "There is no file"),
    ],
)
def test_what_is_no_frame_is_refused(no_frame: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        summarise(no_frame)
    with pytest.raises(DataError, match=said):
        RFMSummary.from_frame(no_frame, time_unit="week")


def test_pandas_objects_are_told_apart() -> None:
    aware = dt.datetime(2024, 1, 2, tzinfo=dt.UTC)
    mixed = log_with(date=pd.Series([aware, dt.datetime(2024, 2, 3), aware, aware], dtype=object))
    with pytest.raises(DataError, match=r"mixes time zones: 3 of 4 dates"):
        summarise(mixed)
    with pytest.raises(DataError, match=r"1 of 4 rows \(first: 'later'\)"):
        summarise(log_with(date=pd.Series([*GOOD["date"].dt.date[:3], "later"], dtype=object)))
    with pytest.raises(DataError, match=r"mixes types: int \(1\), str \('1'\)"):
        summarise(log_with(customer_id=pd.Series([1, "1", 2, 3], dtype=object)))
    with pytest.raises(DataError, match="two columns of one name"):
        summarise(pd.concat([GOOD, GOOD[["date"]]], axis=1))


@pytest.mark.parametrize("date", ["'infinity'::TIMESTAMP", "'0044-03-15 (BC)'::DATE", "'20000-01-01'::DATE"])
def test_dates_beyond_the_calendar_are_refused(date: str) -> None:
    rows = duckdb.sql(f"SELECT 1 AS customer_id, DATE '2024-01-01' AS date UNION ALL SELECT 2, {date}")
    with pytest.raises(DataError, match=r"outside the years 1 to 9999 for 1 of 2 rows \(first: customer 2\)"):
        summarise(rows, amount=None)


def test_lists_are_no_ids() -> None:
    with pytest.raises(DataError, match="which are no ids"):
        summarise(ENGINES["pyarrow"](log_with(customer_id=[[1], [2], [3], [4]])))


@pytest.mark.parametrize("engine", ENGINES)
def test_nan_is_null_in_every_library(engine: str) -> None:
    log = {"pandas": lambda f: f, "polars": lambda f: pl.DataFrame(f.to_dict("series"), nan_to_null=False)}
    nan_id = log_with(customer_id=[1.0, np.nan, 2.0, 3.0])
    nan_amount = log_with(amount=[1.0, np.nan, 2.0, 3.0])
    make = log.get(engine, ENGINES[engine])
    with pytest.raises(DataError, match=r"customer_id column 'customer_id' is null for 1 of 4 rows"):
        summarise(make(nan_id))
    with pytest.raises(DataError, match=r"amount column 'amount' is null for 1 of 4 rows"):
        summarise(make(nan_amount))


@pytest.mark.parametrize("engine", ["pandas", "polars", "pyarrow"])
def test_unknown_zone_is_refused(engine: str) -> None:
    log = ENGINES[engine](log_with(date=GOOD["date"].dt.tz_localize("UTC")))
    with pytest.raises(DataError, match="time_zone='Mars/Olympus'"):
        summarise(log, time_zone="Mars/Olympus")


def test_all_one_time_warns_and_models_can_refuse() -> None:
    once = GOOD.drop_duplicates("customer_id")
    with pytest.warns(DataQualityWarning, match="All 3 customers bought once"):
        rfm = summarise(once)
    with pytest.raises(DataError, match="All 3 customers bought once"):
        rfm.require_repeat_buyers()


def test_an_as_of_date_that_is_still_to_come_warns() -> None:
    """A year that was mistyped makes everyone look gone."""
    late = f"{dt.date.today().year + 4}-01-15"
    typo = GOOD.assign(date=[*GOOD["date"][:-1], pd.Timestamp(late)])
    for log, end in ((typo, None), (GOOD, late)):
        with pytest.warns(ObservationEndWarning, match=f"{late} is still to come: .* customers look gone who are not"):
            RFMSummary.from_transactions(log, observation_end=end)


@pytest.mark.filterwarnings("error")
def test_a_log_that_ends_long_before_the_as_of_date_warns() -> None:
    """Two purchases a day for 100 days, and then none: a log that was cut, unless it is shorter than a month."""
    days = pd.date_range("2024-01-01", periods=100).repeat(2)
    log = pd.DataFrame({"customer_id": np.arange(200) % 70, "date": days})
    last = days[-1].date()
    for engine in ENGINES.values():
        with pytest.warns(ObservationEndWarning, match=f"in the last 60 days .* the log ends on {last}"):
            RFMSummary.from_transactions(engine(log), observation_end=last + dt.timedelta(days=60))
    RFMSummary.from_transactions(log, observation_end=last + dt.timedelta(days=31))
    RFMSummary.from_transactions(log[::2], observation_end=last + dt.timedelta(days=60))
    by_month = log.assign(date=days.to_period("M").start_time)
    RFMSummary.from_transactions(by_month, observation_start=days[0], observation_end=last + dt.timedelta(days=60))
    RFMSummary.from_transactions(log, observation_end="2024-12-31", opportunities="quarter")


def test_warnings_point_to_the_callers_line() -> None:
    for log, options, said in (
        (GOOD, {"observation_end": None}, "observation_end was not given"),
        (GOOD.drop_duplicates("customer_id"), {}, "bought once"),
    ):
        with pytest.warns(DataQualityWarning, match=said) as caught:
            RFMSummary.from_transactions(log, **{"observation_end": "2024-03-31"} | options)
        assert {warning.filename for warning in caught} == {__file__}


def test_units_and_currencies_are_held_together() -> None:
    rfm = summarise(GOOD, currency="EUR")
    rfm.require_compatible(time_unit="week", currency="EUR")
    rfm.require_compatible()
    with pytest.raises(UnitError, match="fitted in days and this summary is in weeks"):
        rfm.require_compatible(time_unit="day")
    with pytest.raises(UnitError, match="fitted in USD and this summary is in EUR"):
        rfm.require_compatible(currency="USD")
    with pytest.raises(UnitError, match=r"currency is unknown.*currency='USD'"):
        summarise(GOOD).require_compatible(currency="USD")
    with pytest.raises(UnitError, match=r"of an unknown currency and this summary is in EUR"):
        rfm.require_compatible(currency=None)
    summarise(GOOD).require_compatible(currency=None)
    rfm.require_compatible(collapse="day")
    rfm.require_compatible(collapse=None)
    with pytest.raises(UnitError, match=r"merged by 'week' and this summary merges them by 'day'.*collapse='week'"):
        rfm.require_compatible(collapse="week")


def test_spend_is_asked_for_by_name() -> None:
    with pytest.raises(DataError, match="holds no spend"):
        summarise(GOOD, amount=None).repeat_spend()


BAD_SPLITS: dict[str, tuple[dict[str, Any], str]] = {
    "no date": ({"at": None}, "'at' must be a date"),
    "end given": ({"at": "2024-02-10", "observation_end": "2024-02-10"}, "in the place of 'observation_end'"),
    "holdout ends before": ({"at": "2024-02-10", "holdout_end": "2024-02-10"}, "is not after"),
    "nothing after": ({"at": "2024-03-10"}, "log ends before a holdout begins"),
}


@pytest.mark.parametrize("case", BAD_SPLITS)
def test_bad_split_is_refused(case: str) -> None:
    options, said = BAD_SPLITS[case]
    with pytest.raises(DataError, match=said):
        split_transactions(GOOD, amount="amount", **options)


def test_unknown_option_of_a_split_is_named() -> None:
    with pytest.raises(TypeError, match="carri"):
        split_transactions(GOOD, at="2024-02-10", carri=["channel"])


def calls() -> list[Callable[[], Any]]:
    return [lambda log=log, options=options: summarise(log, **options) for log, options, _ in BAD_LOGS.values()]  # type: ignore[misc]


def test_messages_are_sentences_without_noise() -> None:
    for call in calls():
        with warnings.catch_warnings(), pytest.raises(PredCLVError) as raised:
            warnings.simplefilter("ignore")
            call()
        message = str(raised.value)
        assert message.endswith((".", "?", "'")), message
        assert "Traceback" not in message
        assert len(message) < 400
