"""CSV and Parquet files, through DuckDB and, where it is absent, pyarrow."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from predclv import RFMSummary, split_transactions
from predclv.errors import DataError, DataQualityWarning

LOG = pd.DataFrame(
    {
        "customer_id": [11, 2, 2, 3, 2],
        "date": pd.to_datetime(
            ["2024-01-02", "2024-01-05", "2024-02-03 10:30", "2024-03-01", "2024-03-02"], format="ISO8601"
        ),
        "amount": [10.0, 5.0, 20.0, 7.5, 1.0],
    }
)


@pytest.fixture(params=["duckdb", "pyarrow"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "pyarrow":
        find_spec = importlib.util.find_spec
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "duckdb" else find_spec(name))
    return str(request.param)


def summarise(source: object) -> RFMSummary:
    return RFMSummary.from_transactions(source, amount="amount", observation_end="2024-03-31")


def test_files_give_what_frames_give(reader: str, tmp_path: Path) -> None:
    expected = summarise(LOG)
    LOG.to_csv(tmp_path / "log.csv", index=False)
    LOG.to_parquet(tmp_path / "log.parquet")
    folder = tmp_path / "parts"
    (folder / "2024").mkdir(parents=True)
    LOG.head(2).to_parquet(folder / "one.parquet")
    LOG.tail(3).to_parquet(folder / "2024" / "two.parquet")
    for source in (tmp_path / "log.csv", str(tmp_path / "log.parquet"), folder):
        rfm = summarise(source)
        pd.testing.assert_frame_equal(rfm.to_pandas(), expected.to_pandas())
        assert isinstance(rfm.to_native(), pd.DataFrame)


def test_split_reads_a_file(reader: str, tmp_path: Path) -> None:
    LOG.to_csv(tmp_path / "log.csv", index=False)
    split = split_transactions(tmp_path / "log.csv", at="2024-02-10", amount="amount")
    assert split.holdout["purchases"].tolist() == [1, 0]
    assert split.new_customers.tolist() == [3]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["007", "42", "42", "7", "42"], ["007", "42", "7"]),  # leading zeros tell two customers apart
        (["7", "42", "42", "10", "42"], [7, 10, 42]),
        (["a7", "42", "42", "10", "42"], ["10", "42", "a7"]),
    ],
)
def test_ids_of_a_csv_file_keep_their_zeros(
    reader: str, tmp_path: Path, ids: list[str], expected: list[object]
) -> None:
    LOG.assign(customer_id=ids).to_csv(tmp_path / "log.csv", index=False)
    assert summarise(tmp_path / "log.csv").customer_id.tolist() == expected


def test_dates_of_a_csv_file_are_not_guessed(reader: str, tmp_path: Path) -> None:
    LOG.assign(date=LOG["date"].dt.strftime("%d/%m/%Y")).to_csv(tmp_path / "log.csv", index=False)
    with pytest.raises(DataError, match=r"5 of 5 rows \(first: '02/01/2024'\).*date_format"):
        summarise(tmp_path / "log.csv")
    rfm = RFMSummary.from_transactions(
        tmp_path / "log.csv", amount="amount", observation_end="2024-03-31", date_format="%d/%m/%Y"
    )
    assert rfm.recency.tolist() == summarise(LOG).recency.tolist()


def test_a_summary_is_read_from_a_file(reader: str, tmp_path: Path) -> None:
    rfm = summarise(LOG)
    rfm.to_pandas().to_parquet(tmp_path / "rfm.parquet")
    rfm.to_pandas().to_csv(tmp_path / "rfm.csv", index=False)
    for name in ("rfm.parquet", "rfm.csv"):
        again = RFMSummary.from_frame(tmp_path / name, time_unit="week")
        pd.testing.assert_frame_equal(again.to_pandas(), rfm.to_pandas())


def test_what_cannot_be_read_is_said(reader: str, tmp_path: Path) -> None:
    (tmp_path / "log.parquet").write_bytes(b"no parquet")
    (tmp_path / "log.xlsx").write_bytes(b"")
    (tmp_path / "nothing.csv").touch()
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("log.parquet", "cannot be read"),
        ("nothing.csv", "is an empty file"),
        ("log.xlsx", r"is a .csv or .parquet file, .* See docs/howto/files.md"),
        ("empty", "holds no .parquet files"),
        ("absent.csv", "There is no file"),
    ):
        with pytest.raises(DataError, match=said):
            summarise(tmp_path / name)


def test_text_that_is_not_utf8_is_named_as_such(reader: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer_id,date,amount\nKäte,2024-01-02,1.5\n", encoding="cp1252")
    with pytest.raises(DataError, match=r"'.*log.csv' cannot be read: it is not UTF-8 .* See docs/howto/files.md"):
        summarise(tmp_path / "log.csv")


def test_damage_far_down_a_file_is_said(reader: str, tmp_path: Path) -> None:
    rows = "".join(f"{i % 50},2024-01-{1 + i % 28:02d},1.5\n" for i in range(60_000))
    (tmp_path / "log.csv").write_text(f"customer_id,date,amount\n{rows}1,2024-01-02,a lot\n")
    with pytest.raises(DataError, match=r"amount|cannot be read"):
        summarise(tmp_path / "log.csv")


def test_empty_fields_are_null_and_labels_keep_their_zeros(reader: str, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("customer_id,date,amount,store\n007,2024-01-01,1,01\n7,2024-01-02,2,02\n,2024-01-03,3,02\n7,,4,\n")
    options = {"amount": "amount", "observation_end": "2024-03-31", "carry": ["store"]}
    with pytest.raises(DataError, match=r"'customer_id' is null or blank for 1 of 4 rows \(first: 2024-01-03, 3\)"):
        RFMSummary.from_transactions(log, **options)  # type: ignore[arg-type]
    with pytest.warns(DataQualityWarning, match="bought once"):
        rfm = RFMSummary.from_transactions(log, on_null="drop", **options)  # type: ignore[arg-type]
    assert rfm.customer_id.tolist() == ["007", "7"]
    assert rfm.carried["store"].tolist() == ["01", "02"]
    assert rfm.quality.set_index("what")["count"]["rows without customer, date or finite amount, dropped"] == 2


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["1", "2", "30"], [1, 2, 30]),
        (["0.4", "1.0", "-2.25"], [0.4, 1.0, -2.25]),
        (["0.40", "0.35", "1.0"], ["0.40", "0.35", "1.0"]),
        (["1", "01", "2"], ["1", "01", "2"]),
        (["1", "1.0", "2"], ["1", "1.0", "2"]),
        (["NA", "null", "nan"], ["NA", "null", "nan"]),
        (["true", "2024-01-01", ""], ["true", "2024-01-01", None]),
        (["9007199254740993", "", "1"], [9007199254740993, None, 1]),
    ],
)
def test_carried_columns_of_a_csv_file_lose_nothing(
    reader: str, tmp_path: Path, written: list[str], expected: list[object]
) -> None:
    ids = pd.DataFrame({"customer_id": [1, 2, 3], "label": written})
    LOG.assign(customer_id=[1, 2, 2, 3, 2]).merge(ids).to_csv(tmp_path / "log.csv", index=False)
    found = RFMSummary.from_transactions(
        tmp_path / "log.csv", amount="amount", observation_end="2024-03-31", carry=["label"]
    ).carried["label"]
    assert found.tolist() == expected
    summarise(LOG).to_pandas().assign(customer_id=[1, 2, 3], label=written).to_csv(tmp_path / "rfm.csv", index=False)
    again = RFMSummary.from_frame(tmp_path / "rfm.csv", time_unit="week", carry=["label"])
    assert again.carried["label"].tolist() == expected


def test_ids_of_a_table_keep_their_zeros(reader: str, tmp_path: Path) -> None:
    table = tmp_path / "rfm.csv"
    table.write_text("customer_id,frequency,recency,T\n007,1,2.5,10\n008,0,0,4\n")
    assert RFMSummary.from_frame(table, time_unit="week").customer_id.tolist() == ["007", "008"]
    table.write_text("customer_id,frequency,recency,T\n7,1,2.5,10\n8,0,0,4\n")
    assert RFMSummary.from_frame(table, time_unit="week").customer_id.tolist() == [7, 8]


def test_a_header_alone_is_an_empty_log(reader: str, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer_id,date,amount\n")
    with pytest.raises(DataError, match="log is empty"):
        summarise(tmp_path / "log.csv")
    (tmp_path / "rfm.csv").write_text("customer_id,frequency,recency,T\n")
    with pytest.raises(DataError, match="no customers"):
        RFMSummary.from_frame(tmp_path / "rfm.csv", time_unit="week")
