"""Summaries made by DuckDB on disk: the rows of `from_transactions`, whole or not at all, whatever the log holds."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from predclv import RFMSummary
from predclv.batch import parse_memory, summaries, summarize
from predclv.batch.lock import LOCK, locked_folder
from predclv.cli import main
from predclv.errors import DataError, DataQualityWarning, ObservationEndWarning, UnitError

AS_OF = {"observation_end": "2023-03-31", "observation_start": "2022-01-01"}
EVERY_POLICY: dict[str, dict[str, Any]] = {
    "days": {},
    "cents": {"minor_unit": 0.01},
    "weeks, returns ignored": {"collapse": "week", "returns": "ignore", "time_unit": "day"},
    "every row": {"collapse": "none", "time_unit": "hour", "observation_end": "2023-03-31 12:00"},
    "hours": {"collapse": "hour", "time_unit": "hour"},
    "months by name": {"collapse": "month", "customer_id": "name", "time_unit": "year"},
    "quarters as opportunities": {"opportunities": "quarter", "amount": None},
    "carried": {"carry": ["channel", "score"], "observation_start": "2022-06-01"},
    "carried, first": {"carry": ["price", "date", "gap"], "carry_conflict": "first"},
    "carried, last": {"carry": ["price", "gap"], "carry_conflict": "last", "collapse": "week"},
    "acquired": {"acquired": "joined"},
    "regular": {"regularity": True},
    "nulls dropped, one currency": {"amount": "holey", "on_null": "drop", "currency": "currency"},
    "without money": {"amount": None},
}


def make_log(n: int = 3_000) -> pd.DataFrame:
    rng = np.random.default_rng(20)
    seconds = rng.integers(0, 500 * 86_400, n)
    customer = rng.integers(0, n // 8, n)
    amount = np.round(rng.gamma(2.0, 20.0, n), 2) * np.where(rng.random(n) < 0.1, -1, 1)
    start = pd.Timestamp("2022-01-01")
    return pd.DataFrame(
        {
            "customer_id": customer,
            "name": np.char.add("c'\"", customer.astype(str)),
            "date": (start + pd.to_timedelta(seconds, unit="s")).astype("datetime64[us]"),
            "amount": amount,
            "holey": np.where(rng.random(n) < 0.05, np.nan, np.where(rng.random(n) < 0.02, np.inf, amount)),
            "channel": np.array(["web", "shop", "app"])[customer % 3],
            "score": np.where(customer % 5 == 0, np.nan, customer * 1.5),
            "price": rng.integers(0, 4, n),
            "gap": np.where(rng.random(n) < 0.7, None, np.array(["x", "y"], dtype=object)[rng.integers(0, 2, n)]),
            "joined": (start + pd.to_timedelta(customer % 400 - 100, unit="D")).where(pd.Series(customer % 7 > 0)),
            "currency": "EUR",
        }
    )


LOG = make_log()


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("logs")
    parts = folder / "parts [1] o'f *"
    parts.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(LOG)), 3)):
        LOG.iloc[rows].to_parquet(parts / f"{number}.parquet", index=False)
    LOG.to_csv(folder / "log.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")
    with duckdb.connect(str(folder / "it's.duckdb")) as connection:
        connection.register("frame", pa.Table.from_pandas(LOG, preserve_index=False))
        connection.execute('CREATE TABLE "a ""log""; DROP TABLE x" AS FROM frame')
        connection.execute("CREATE VIEW reaches AS SELECT * FROM read_csv('/etc/hostname')")
    return {
        "parquet": str(parts),
        "csv": str(folder / "log.csv"),
        "duckdb": f'{folder / "it"}\'s.duckdb::a "log"; DROP TABLE x',
    }


def rows_of(path: Path) -> pd.DataFrame:
    return pq.read_table(path).to_pandas()


def frames_of(log: str) -> Any:
    """What `from_transactions` takes: a file or folder as it is, a table of DuckDB as a relation."""
    path, mark, _ = log.partition("::")
    return duckdb.connect(path, read_only=True).sql('FROM "a ""log""; DROP TABLE x"') if mark else path


@pytest.mark.parametrize("policy", EVERY_POLICY)
def test_every_policy_gives_the_rows_of_from_transactions(
    policy: str, logs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "_BATCH", 100)
    kind = list(logs)[list(EVERY_POLICY).index(policy) % len(logs)]
    options = {"amount": "amount", **AS_OF, **EVERY_POLICY[policy]}
    rfm = RFMSummary.from_transactions(frames_of(logs[kind]), **options)
    made = summarize(logs[kind], tmp_path / "rfm.parquet", **options)
    expected, found = rfm.to_pandas(), rows_of(tmp_path / "rfm.parquet")
    assert list(found) == list(expected)
    for name in expected:
        one, other = (frame[name].astype(object).where(frame[name].notna(), None) for frame in (found, expected))
        if name in ("monetary_value", "log_itt") and "minor_unit" not in options:
            np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=1e-12, atol=1e-9)
        else:
            assert one.tolist() == other.tolist(), name
    pd.testing.assert_frame_equal(made.quality, rfm.quality)
    assert (made.n_customers, made.n_repeat_buyers) == (rfm.n_customers, rfm.n_repeat_buyers)
    again = RFMSummary.from_frame(tmp_path / "rfm.parquet", carry=list(options.get("carry", ())))
    for unit in ("time_unit", "collapse", "opportunities", "observation_end", "observation_start", "currency"):
        assert getattr(again, unit) == getattr(rfm, unit), unit


@pytest.mark.parametrize("kind", ["parquet", "csv", "duckdb"])
def test_wherever_the_log_lies(kind: str, logs: dict[str, str], tmp_path: Path) -> None:
    summarize(logs[kind], tmp_path / "rfm.parquet", amount="amount", minor_unit=0.01, **AS_OF)
    expected = RFMSummary.from_transactions(LOG, amount="amount", minor_unit=0.01, **AS_OF)
    pd.testing.assert_frame_equal(rows_of(tmp_path / "rfm.parquet"), expected.to_pandas(), check_dtype=False)
    assert not list(tmp_path.glob(".*"))


def test_a_time_zone(tmp_path: Path) -> None:
    zoned = LOG.assign(date=LOG["date"].dt.tz_localize("UTC"))
    zoned.to_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="Give time_zone="):
        summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", **AS_OF)
    found = summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", time_zone="Asia/Tokyo", **AS_OF)
    expected = RFMSummary.from_transactions(zoned, time_zone="Asia/Tokyo", **AS_OF)
    pd.testing.assert_frame_equal(rows_of(found.path), expected.to_pandas(), check_dtype=False)


def test_no_more_than_a_batch_of_customers_at_a_time(
    logs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    take = summaries.Tally.take

    def watched(self: Any, totals: Any, acquired: Any = None) -> Any:
        seen.append(len(totals.customer))
        return take(self, totals, acquired)

    monkeypatch.setattr(summaries, "_BATCH", 50)
    monkeypatch.setattr(summaries.Tally, "take", watched)
    made = summarize(logs["parquet"], tmp_path / "rfm.parquet", amount="amount", carry=["channel"], **AS_OF)
    assert max(seen) <= 50
    assert sum(seen) == made.n_customers


def test_a_folder_of_parts(logs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "_BATCH", 50)
    monkeypatch.setattr("predclv.batch.summary_writer._ROWS_PER_PART", 100)
    out = tmp_path / "rfm"
    for _ in range(2):  # its own folder is replaced
        made = summarize(logs["parquet"], out, amount="amount", **AS_OF)
    assert [path.name for path in sorted(out.iterdir())] == [
        "_summary.json",
        *(f"part-{i:05}.parquet" for i in range(4)),
    ]
    rfm = RFMSummary.from_frame(out)
    assert rfm.n_customers == made.n_customers
    assert (rfm.time_unit, str(rfm.observation_end)) == ("week", "2023-03-31")
    assert rfm.customer_id.tolist() == sorted(rfm.customer_id)
    with pytest.raises(UnitError, match=r"made with time_unit='week', not 'day'"):
        RFMSummary.from_frame(out, time_unit="day")
    (out / "mine.txt").touch()
    with pytest.raises(FileExistsError, match=r"mine\.txt"):
        summarize(logs["parquet"], out, amount="amount", **AS_OF)


def test_it_warns_as_from_transactions_does(tmp_path: Path) -> None:
    late = pd.concat([LOG, LOG.drop_duplicates("customer_id").assign(date=pd.Timestamp("2022-01-02"))])
    late.to_parquet(tmp_path / "log.parquet")
    with (
        pytest.warns(ObservationEndWarning, match="last date in the log") as warned,
        pytest.warns(DataQualityWarning, match="first purchase in the first week"),
    ):
        summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet")
    assert all(warning.filename == __file__ for warning in warned)


def test_from_a_shell(logs: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount", "--minor-unit", "0.01", "-q"]
    asked += ["--observation-end", "2023-03-31", "--observation-start", "2022-01-01", "--carry", "channel"]
    limits = ["--engine", "duckdb", "--memory-limit", "700MiB", "--spill", str(tmp_path / "spill")]
    quality = [str(tmp_path / f"{name}.csv") for name in ("own", "engine")]
    assert (
        main(["summarize", logs["csv"], *asked, "--out", str(tmp_path / "own.parquet"), "--quality", quality[0]]) == 0
    )
    out = ["--out", str(tmp_path / "engine"), "--quality", quality[1]]
    assert main(["summarize", logs["csv"], *asked, *limits, *out]) == 0
    own, engine = pq.read_table(tmp_path / "own.parquet"), pq.read_table(tmp_path / "engine")
    pd.testing.assert_frame_equal(engine.to_pandas(), own.to_pandas(), check_dtype=False)
    assert (
        own.schema.metadata[b"predclv"] == pq.read_schema(tmp_path / "engine/part-00000.parquet").metadata[b"predclv"]
    )
    assert Path(quality[0]).read_text() == Path(quality[1]).read_text()
    assert not list((tmp_path / "spill").iterdir())
    assert main(["summarize", logs["csv"], *asked, "--memory-limit", "1GB", "--out", str(tmp_path / "x.parquet")]) == 2
    assert "--memory-limit is about --engine duckdb" in capsys.readouterr().err
    assert main(["summarize", logs["csv"], *asked, "--engine", "duckdb", "--out", str(tmp_path / "x.csv")]) == 2
    assert "must be a .parquet file, or a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"date": "dat"}, r"date='dat': the log has no such column. Did you mean 'date'\? .*'currency'"),
        ({"customer_id": None}, {}, r"'customer_id' is null for 3,000 of 3,000 rows"),
        ({"amount": float("nan")}, {}, r"'amount' is null for 3,000 of 3,000 rows"),
        ({"amount": float("-inf")}, {}, r"'amount' is not finite for 3,000 of 3,000 rows"),
        ({"amount": 1e308}, {}, r"more than a number holds for \d+ of \d+ customers \(first: customer 0\)"),
        ({"amount": 0.005}, {"minor_unit": 0.01}, r"no multiple of minor_unit=0.01 for 3,000 of 3,000 rows"),
        ({"amount": "7,50"}, {}, r"holds String values where numbers belong"),
        ({"amount": -1.0}, {}, r"every row is a return"),
        ({"amount": -1.0}, {"returns": "error"}, r"negative for [\d,]+ of [\d,]+ rows \(first: customer \d+, -1\)"),
        ({"currency": ["EUR", "USD"] * 1_500}, {"currency": "currency"}, r"mixes 2 currencies"),
        ({}, {"carry": ["price"]}, r"'price' changes for \d+ of \d+ customers \(first: customer 0: 0, "),
        ({}, {"observation_start": "2024-01-01"}, r"later than the as-of date"),
        ({}, {"observation_end": "1999-01-01"}, r"precedes the first purchase"),
        ({"date": pd.Timestamp("2022-05-05 10:00")}, {"regularity": True, "collapse": "none"}, r"share an instant"),
        ({}, {"time_unit": "month"}, r"time_unit='month' is no ruler"),
    ],
)
def test_what_a_log_may_not_hold(change: dict[str, Any], options: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    LOG.assign(**change).to_parquet(path)
    out = tmp_path / "out" / "rfm.parquet"
    with pytest.raises(DataError, match=said):
        summarize(path, out, **{"amount": "amount", **AS_OF} | options)
    assert not out.exists()
    assert not list(tmp_path.rglob(".*"))


def test_what_a_csv_file_may_not_hold(logs: dict[str, str], tmp_path: Path) -> None:
    for change, options, said in (
        ({}, {"date": "dat"}, r"date='dat': the log has no such column\. Did you mean 'date'\? .*'currency'"),
        ({"amount": "7,50"}, {}, "holds String values where numbers belong"),
        ({"date": "30/09/2022"}, {}, r"cannot be read as a date for 3,000 of 3,000 rows \(first: '30/09/2022'\)"),
        ({"name": " "}, {"customer_id": "name"}, "'name' is null or blank for 3,000 of 3,000 rows"),
    ):
        LOG.assign(**change).to_csv(tmp_path / "log.csv", index=False)
        with pytest.raises(DataError, match=said):
            summarize(tmp_path / "log.csv", tmp_path / "rfm.parquet", **{"amount": "amount", **AS_OF, **options})
    assert not (tmp_path / "rfm.parquet").exists()


def test_damaged_and_missing_files(logs: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "rfm.parquet"
    content = bytearray((Path(logs["parquet"]) / "1.parquet").read_bytes())
    (tmp_path / "cut.parquet").write_bytes(content[: len(content) // 2])
    content[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    (tmp_path / "holed.parquet").write_bytes(content)
    (tmp_path / "no.duckdb").write_bytes(b"no database")
    (tmp_path / "cut.duckdb").write_bytes(Path(logs["duckdb"].partition("::")[0]).read_bytes()[:5_000])
    for name, said in (
        ("cut.parquet", "cut.parquet' cannot be read"),
        ("holed.parquet", "holed.parquet' cannot be read"),
        ("no.duckdb::log", "no.duckdb' cannot be read: it is no file of DuckDB"),
        ("cut.duckdb::log", "cut.duckdb::log' cannot be read"),
        ("none.parquet", "no file or folder"),
        ("none.duckdb::log", "no file"),
    ):
        with pytest.raises(DataError, match=said):
            summarize(tmp_path / name, out, amount="amount", **AS_OF)
    assert not out.exists()


def test_tables_that_are_not_there(logs: dict[str, str], tmp_path: Path) -> None:
    database = logs["duckdb"].partition("::")[0]
    # A view may read any file, so it is no table.
    for table in ("reaches", 'a" UNION SELECT 1 --', "main.nothing", "information_schema.tables"):
        with pytest.raises(DataError, match="no such table"):
            summarize(f"{database}::{table}", tmp_path / "rfm.parquet", **AS_OF)


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_hostile_names_of_columns(suffix: str, tmp_path: Path) -> None:
    names = {name: f"{name}\"); DROP TABLE log; --'" for name in ("customer_id", "date", "amount", "channel")}
    log = LOG.rename(columns=names)[list(names.values())]
    path = tmp_path / f"log.{suffix}"
    _ = log.to_parquet(path) if suffix == "parquet" else log.to_csv(path, index=False)
    asked = {name: names[name] for name in ("customer_id", "date", "amount")} | {"carry": [names["channel"]], **AS_OF}
    made = summarize(path, tmp_path / "rfm.parquet", **asked)
    assert list(rows_of(made.path))[-1] == names["channel"]
    assert made.n_customers == RFMSummary.from_transactions(log, **asked).n_customers


def test_a_disk_that_is_full(logs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "rfm.parquet"
    out.write_bytes(b"as it was")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(DataError, match=r"rfm.parquet' cannot be written: .*too large"):
            summarize(logs["parquet"], out, amount="amount", **AS_OF)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert out.read_bytes() == b"as it was"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_too_little_memory_and_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT hash(i // 2) AS customer_id, DATE '2022-01-01' + (i % 440)::INT AS date, "
            f"repeat('x', 500) AS kind FROM range(400_000) AS n(i)) TO '{tmp_path / 'log.parquet'}'"
        )
    memory = parse_memory("700MiB")
    monkeypatch.setattr(type(memory), "for_grouping", property(lambda self: 96 << 20))
    asked = {"customer_id": "customer_id", "carry": ["kind"], **AS_OF}
    made = summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", memory_limit="700MiB", **asked)
    assert made.n_customers == 200_000  # of which no more than a part fitted into memory
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DataError, match=r"too little room|cannot hold what does not fit into memory"):
            summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", memory_limit="700MiB", **asked)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(DataError, match="too little: Python"):
        summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", memory_limit="100MB", **asked)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot hold what does not fit into memory"):
        summarize(tmp_path / "log.parquet", tmp_path / "rfm.parquet", spill=tmp_path / "file", **asked)


def test_what_a_killed_job_spilled_goes_with_the_next(logs: dict[str, str], tmp_path: Path) -> None:
    killed, running, others = (tmp_path / f".predclv-spill-{name}" for name in ("killed", "running", "others"))
    for folder in (killed, running, others):
        folder.mkdir()
        (folder / "data").touch()
    (killed / LOCK).touch()
    with locked_folder(running):
        summarize(logs["csv"], tmp_path / "rfm.parquet", amount="amount", **AS_OF)
    assert sorted(path.name for path in tmp_path.iterdir()) == [others.name, running.name, "rfm.parquet"]
    assert sorted(path.name for path in running.iterdir()) == [LOCK, "data"]


def test_the_input_is_kept(logs: dict[str, str]) -> None:
    inside = Path(logs["parquet"]) / "rfm"
    for log, out in ((logs["csv"], logs["csv"]), (logs["parquet"], inside), (logs["csv"], Path(logs["csv"]).parent)):
        with pytest.raises(DataError, match=r"lie within one another|must be a .parquet file"):
            summarize(log, out, amount="amount", **AS_OF)


def test_options_that_there_are_not(logs: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"summarize: got an unexpected keyword argument 'ammount'"):
        summarize(logs["csv"], tmp_path / "rfm.parquet", ammount="amount")
