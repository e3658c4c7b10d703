"""A log in one form: whatever engine it came from, whatever its columns were called."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

import predclv as pc
from predclv.backtesting.logs import first_instant_after, read_purchases
from predclv.backtesting.plan import make_plan
from predclv.errors import DataError

ROWS = pd.DataFrame(
    {
        "customer_id": ["a", "b", "a", "a"],
        "date": pd.to_datetime(
            ["2024-01-01 09:00:00", "2024-01-02 10:00:00", "2024-01-02 23:59:59", "2024-01-03 00:00:00"]
        ),
        "amount": [10.0, 20.0, -5.0, 7.0],
        "shop": ["x", "y", "x", "x"],
    }
)
COLUMNS = ["customer_id", "date", "amount", "shop"]


def as_text(rows):
    return rows.assign(date=rows["date"].dt.strftime("%Y-%m-%d %H:%M:%S"))


def write_csv(rows, folder):
    as_text(rows).to_csv(folder / "log.csv", index=False)
    return folder / "log.csv"


def write_parquet(rows, folder):
    rows.to_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def to_polars(rows, _):
    return pytest.importorskip("polars").from_pandas(rows)


def to_duckdb(rows, _):
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    return connection.from_df(rows)


SOURCES = {
    "pandas": lambda rows, _: rows,
    "text dates": lambda rows, _: as_text(rows),
    "categorical ids": lambda rows, _: rows.astype({"customer_id": "category"}),
    "polars": to_polars,
    "polars lazy": lambda rows, folder: to_polars(rows, folder).lazy(),
    "pyarrow": lambda rows, _: pytest.importorskip("pyarrow").Table.from_pandas(rows),
    "duckdb": to_duckdb,
    "csv": write_csv,
    "parquet": write_parquet,
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
def test_every_engine_gives_the_same_rows(source, tmp_path):
    log = read_purchases(source(ROWS, tmp_path), amount="amount", segments=["shop"])
    found = log.rows[COLUMNS].sort_values("date", ignore_index=True)
    assert found["date"].tolist() == ROWS["date"].tolist()
    for name in ("customer_id", "amount", "shop"):
        assert found[name].tolist() == ROWS[name].tolist()
    assert pd.api.types.is_datetime64_any_dtype(found["date"])
    assert log.has_amounts
    assert log.end == dt.date(2024, 1, 3)


def test_dates_without_times_are_datetimes_too():
    polars = pytest.importorskip("polars")
    rows = polars.DataFrame({"customer_id": [1], "date": [dt.date(2024, 1, 1)]})
    log = read_purchases(rows)
    assert log.rows["date"].tolist() == [pd.Timestamp("2024-01-01")]
    assert not log.has_amounts


def test_columns_are_found_by_name_and_renamed():
    renamed = ROWS.rename(columns={"customer_id": "who", "date": "when", "amount": "paid"})
    clashing = renamed.assign(customer_id=0, date=pd.Timestamp(0), amount=-1.0)
    log = read_purchases(clashing, customer_id="who", date="when", amount="paid", segments=["shop"])
    pd.testing.assert_frame_equal(log.rows[COLUMNS], ROWS[COLUMNS], check_dtype=False)
    assert sorted(log.rows.columns) == sorted(COLUMNS)


def test_a_segment_may_be_called_customer():
    log = read_purchases(ROWS.rename(columns={"shop": "customer"}), segments=["customer"])
    assert log.rows["customer"].tolist() == ["x", "y", "x", "x"]
    assert log.rows["customer_id"].tolist() == ["a", "b", "a", "a"]


def test_carried_columns_and_segments_are_kept_once():
    log = read_purchases(ROWS, carry=["shop"], segments=["shop"])
    assert log.options["carry"] == ["shop"]


@pytest.mark.parametrize("name", ["date", "amount", "acquired"])
def test_a_carried_column_may_not_hide_one_of_the_log(name):
    rows = ROWS.assign(acquired=pd.Timestamp("2024-01-01"))
    with pytest.raises(DataError, match=f"A carried column may not be called '{name}' in a backtest"):
        read_purchases(rows, amount="amount", segments=[name])


def test_until_a_day_is_the_whole_day_and_until_an_instant_includes_it():
    log = read_purchases(ROWS)
    assert len(log.until(dt.date(2024, 1, 2))) == 3
    assert len(log.until(dt.datetime(2024, 1, 2, 23, 59, 58))) == 2
    assert len(log.until(dt.datetime(2024, 1, 2, 23, 59, 59))) == 3
    assert len(log.until(dt.datetime(2024, 1, 3, 0, 0, 1))) == 4
    assert first_instant_after(dt.date(2024, 1, 2)) == pd.Timestamp("2024-01-03")


def test_rows_are_local_and_so_are_the_ends_of_observation():
    aware = ROWS.assign(date=ROWS["date"].dt.tz_localize("UTC"))
    noon = pd.Timestamp("2024-01-03 12:00", tz="UTC")
    log = read_purchases(
        aware, time_zone="Asia/Tokyo", observation_start=noon - pd.Timedelta(days=2), observation_end=noon
    )
    assert log.rows["date"].iloc[0] == pd.Timestamp("2024-01-01 18:00")
    assert log.end == dt.datetime(2024, 1, 3, 21)
    assert log.options["observation_start"] == dt.datetime(2024, 1, 1, 21)


def test_zones_that_are_not_told():
    with pytest.raises(DataError, match="knows time zones"):
        read_purchases(ROWS.assign(date=ROWS["date"].dt.tz_localize("UTC")))
    with pytest.raises(DataError, match=r"observation_end=.* knows its time zone and the log does not"):
        read_purchases(ROWS, observation_end=pd.Timestamp("2024-01-03 12:00", tz="UTC"))


def test_times_between_purchases_are_kept_where_they_are_asked_for():
    rows = pd.concat([ROWS, ROWS.assign(date=ROWS["date"] + pd.Timedelta(days=200))])
    asked = {"cutoffs": ["2024-01-03"], "horizons": ["26 weeks"]}
    for options in ({"methods": ["mbg_cnbd"]}, {"methods": ["zero"], "regularity": True}):
        assert make_plan(customers(rows), **asked, **options).vintages[0].known.everyone.rfm.log_itt is not None
    for methods in (["zero"], [pc.BGCNBD(k=2)]):
        assert make_plan(customers(rows), **asked, methods=methods).vintages[0].known.everyone.rfm.log_itt is None


def customers(rows):
    """Enough of them for a backtest."""
    return pd.concat([rows.assign(customer_id=rows["customer_id"] + str(i)) for i in range(20)])


def test_what_was_dropped_is_counted():
    holes = pd.concat([ROWS, ROWS.head(1).assign(customer_id=None)])
    log = read_purchases(holes, on_null="drop")
    dropped = log.quality[log.quality["step"] == "check"]
    assert dropped["count"].tolist() == [1]
    assert len(log.rows) == 4


def test_misread_options():
    with pytest.raises(DataError, match="Leave 'after_end' out"):
        read_purchases(ROWS, after_end="error")
    with pytest.raises(TypeError, match=r"backtest: .*unexpected keyword argument 'colapse'"):
        read_purchases(ROWS, colapse="day")
    with pytest.raises(DataError, match="returns='error' looks at amounts"):
        read_purchases(ROWS, returns="error")
    with pytest.raises(DataError, match="no such column"):
        read_purchases(ROWS, amount="price")


def test_returns_stay_refused_in_the_form_that_vintages_are_cut_from():
    assert read_purchases(ROWS, amount="amount", returns="error").options["returns"] == "error"
    assert "amount" not in read_purchases(ROWS).options
