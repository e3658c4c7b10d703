"""`predclv score` and the job behind it: the same rows by either engine, nothing lost, and refusals in words."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import shutil
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import predclv as pc
from batch.histories import simulated
from batch.jobs import contents, rejected, run, scores
from predclv.batch.duckdb_reader import connect
from predclv.batch.job import Job, run_job
from predclv.batch.memory import LEAST, Memory, parse_memory
from predclv.batch.scorer import Scorer
from predclv.cli import main
from predclv.errors import DataError, ModelFileError, ObservationEndWarning, UnitError

COLUMNS = ["p_alive", "expected_purchases", "purchases_high"]
OPTIONS = {"horizon": "26 weeks", "columns": COLUMNS}
SMALL = Memory(LEAST)


def job(model: Path, table: object, out: Path, **changes: object) -> Job:
    options = {**OPTIONS, **changes.pop("options", {})}
    return Job(
        **{
            "model": model,
            "table": str(table),
            "out": out,
            "options": options,
            "engine": "pyarrow",
            "memory": SMALL,
            **changes,
        }
    )


@pytest.fixture(scope="module")
def expected(model, table):
    return pa.Table.from_batches(Scorer(pc.load(model), **OPTIONS).score(pq.read_table(table).to_batches()))


@pytest.mark.parametrize("engine", ["pyarrow", "duckdb"])
@pytest.mark.parametrize("partitions", [1, 5])
def test_every_engine_writes_the_scorers_rows(engine, partitions, model, table, expected, tmp_path):
    manifest = run_job(job(model, table, tmp_path / "out", engine=engine, partitions=partitions))
    assert scores(tmp_path / "out").equals(expected)
    assert manifest.finished
    assert [part.rows for part in manifest.parts.values()] == [1200 // partitions] * partitions
    other = "duckdb" if engine == "pyarrow" else "pyarrow"
    run_job(job(model, table, tmp_path / "other", engine=other, partitions=partitions))
    assert contents(tmp_path / "out") == contents(tmp_path / "other")


def test_a_job_takes_text_for_paths_and_knows_how_to_run(model, table, expected, tmp_path):
    manifest = run_job(Job(str(model), table, str(tmp_path / "out"), OPTIONS))
    assert manifest.finished
    assert scores(tmp_path / "out").equals(expected)


def test_sources_of_every_kind(model, table, expected, tmp_path):
    rows = pq.read_table(table)
    pacsv.write_csv(rows, tmp_path / "rows.csv")
    with duckdb.connect(tmp_path / "rows.duckdb") as connection:
        connection.sql(f'CREATE TABLE "odd "" name" AS SELECT * FROM read_parquet(\'{table}/*.parquet\')')
    as_text = expected.set_column(
        0, expected.schema.field(0).with_type(pa.string()), expected["customer_id"].cast("string")
    )
    kinds = [
        (tmp_path / "rows.csv", "pyarrow", as_text),
        (tmp_path / "rows.csv", "duckdb", as_text),
        (f'{tmp_path / "rows.duckdb"}::odd " name', "duckdb", expected),
        (table / "a.parquet", "duckdb", expected.slice(0, 700)),
    ]
    for number, (place, engine, wanted) in enumerate(kinds):
        run_job(job(model, place, tmp_path / str(number), engine=engine))
        assert scores(tmp_path / str(number)).equals(wanted)


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.large_string(), pa.int8()])
def test_ids_of_a_type_come_out_alike_by_either_engine(kind, model, tmp_path):
    rows = simulated(60)
    ids = pc_cast(rows["customer_id"], kind)
    pq.write_table(rows.set_column(0, "customer_id", ids), tmp_path / "rows.parquet")
    for engine in ("pyarrow", "duckdb"):
        run_job(job(model, tmp_path / "rows.parquet", tmp_path / engine, engine=engine))
    assert contents(tmp_path / "pyarrow") == contents(tmp_path / "duckdb")
    assert scores(tmp_path / "duckdb")["customer_id"].to_pylist() == ids.to_pylist()


def pc_cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_integer(kind):
        return column.cast(kind)
    text = column.cast(pa.string())
    return text.dictionary_encode() if pa.types.is_dictionary(kind) else text.cast(kind)


def faulty(rows: pa.Table) -> pa.Table:
    """Faults in the middle of a file: negative, null, infinite, and one customer twice, far apart."""
    frame = rows.to_pandas()
    frame["frequency"] = frame["frequency"].astype(float)
    frame.loc[300, "recency"] = -1.0
    frame.loc[301, "frequency"] = np.nan
    frame.loc[302, "T"] = np.inf
    frame.loc[900, "customer_id"] = frame.loc[10, "customer_id"]
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("engine", ["pyarrow", "duckdb"])
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_what_cannot_be_scored_goes_to_quarantine(engine, suffix, model, table, expected, tmp_path):
    rows = faulty(pq.read_table(table))
    path = tmp_path / f"rows.{suffix}"
    pq.write_table(rows, path) if suffix == "parquet" else pacsv.write_csv(rows, path)
    if suffix == "csv":
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:501], lines[501].replace(",", ",x", 1), *lines[502:]]) + "\n")
    manifest = run_job(job(model, path, tmp_path / "out", engine=engine, partitions=4))
    found = rejected(tmp_path / "out")
    bad = [10, 300, 301, 302, *([500] if suffix == "csv" else []), 900]
    assert [row["reason"] for row in found] == [
        "customer_id is not unique",
        "recency is negative",
        "frequency is null or not finite",
        "T is null or not finite",
        *(["frequency is null or not finite"] if suffix == "csv" else []),
        "customer_id is not unique",
    ]
    assert manifest.rejected.total() == len(bad)
    if suffix == "csv":
        assert found[4]["frequency"].startswith("x")
    keep = np.setdiff1d(np.arange(1200), bad)
    got, wanted = scores(tmp_path / "out").drop_columns(["customer_id"]), expected.drop_columns(["customer_id"])
    assert got.equals(wanted.take(keep))


def test_the_command_counts_what_it_set_aside(model, table, tmp_path, capsys):
    pq.write_table(faulty(pq.read_table(table)), tmp_path / "rows.parquet")
    arguments = ["score", str(tmp_path / "rows.parquet"), "--model", str(model), "--columns", "p_alive"]
    code = main(
        [*arguments, "--out", str(tmp_path / "out"), "--quarantine", str(tmp_path / "bad"), "--partitions", "2"]
    )
    out, err = capsys.readouterr()
    assert code == 3
    assert " ".join(out.split()).endswith(f"1,195 of 1,200 rows scored, 5 set aside in {tmp_path / 'bad'}")
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert [event["event"] for event in events] == ["begin", "part", "part", "end"]
    assert sum(event.get("quarantined", 0) for event in events if event["event"] == "part") == 5
    manifest = json.loads((tmp_path / "out" / "_manifest.json").read_text())
    assert (manifest["rows_in"], manifest["rows_out"], manifest["rows_quarantined"]) == (1200, 1195, 5)
    assert manifest["finished"]
    assert main([*arguments, "--out", str(tmp_path / "good"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["rows_quarantined"] == 5


def test_no_rows(model, table, tmp_path):
    pq.write_table(pq.read_table(table).slice(0, 0), tmp_path / "none.parquet")
    for engine in ("pyarrow", "duckdb"):
        manifest = run_job(job(model, tmp_path / "none.parquet", tmp_path / engine, engine=engine))
        assert manifest.finished
        assert scores(tmp_path / engine).num_rows == 0


# Refusals


def test_a_folder_with_a_job_is_gone_on_with_only_when_asked(model, table, tmp_path):
    out = tmp_path / "out"
    run_job(job(model, table, out, resume=True))
    before = contents(out)
    with pytest.raises(DataError, match=r"holds a finished job\. Go on with it by --resume"):
        run_job(job(model, table, out))
    run_job(job(model, table, out, resume=True))
    assert contents(out) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"horizon": "27 weeks"}}, r"options \(horizon: '26 weeks' before, '27 weeks' now\)"),
        ({"options": {"columns": ["p_alive"]}}, r"options \(columns: "),
        ({"partitions": 3}, "--partitions"),
        ({"table": "OTHER"}, "the input"),
        ({"model": "OTHER"}, "the model changed"),
    ],
)
def test_what_differs_from_the_manifest_is_refused(change, said, model, table, tmp_path):
    out = tmp_path / "out"
    run_job(job(model, table, out, partitions=2))
    before = contents(out)
    if change.get("table"):
        rows = pq.read_table(table)
        pq.write_table(rows.slice(1), tmp_path / "other.parquet")
        change = {"table": str(tmp_path / "other.parquet"), "partitions": 2}
    if change.get("model"):
        shutil.copytree(model, tmp_path / "other")
        text = (tmp_path / "other" / "model.json").read_text()
        (tmp_path / "other" / "model.json").write_text(text.replace('"n_customers": 500', '"n_customers": 501'))
        change = {"model": tmp_path / "other"}
    with pytest.raises(DataError, match=said):
        run_job(job(**{"model": model, "table": table, "out": out, "partitions": 2, "resume": True, **change}))
    assert contents(out) == before


def test_somebody_elses_folder_is_left_alone(model, table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part-00000.parquet").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"entries that this job did not write \(first: 'part-00000.parquet'\)"):
        run_job(job(model, table, tmp_path / "out", resume=True))
    assert (tmp_path / "out" / "part-00000.parquet").read_bytes() == b"mine"
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "notes.txt").touch()
    with pytest.raises(DataError, match=r"notes.txt"):
        run_job(job(model, table, tmp_path / "new", quarantine=tmp_path / "bad"))


def test_a_job_goes_on_with_its_own_quarantine(model, table, tmp_path):
    """Two folders of one name are not one: the rows set aside so far would be left in the other."""
    job_of = {"model": model, "table": table, "out": tmp_path / "out", "resume": True}
    run_job(job(**job_of, quarantine=tmp_path / "one" / "bad"))
    with pytest.raises(DataError, match="quarantine"):
        run_job(job(**job_of, quarantine=tmp_path / "two" / "bad"))
    assert not list((tmp_path / "two").rglob("*.parquet"))
    assert run_job(job(**job_of, quarantine=tmp_path / "one" / "bad")).finished


def test_options_of_value_are_refused_where_no_value_is_asked_for(model, table, tmp_path, capsys):
    arguments = ["score", str(table), "--model", str(model), "--out", str(tmp_path / "out"), "--columns"]
    assert main([*arguments, "p_alive,expected_spend", "--margin", "0.3"]) == 2
    assert "--columns asks for no value, which --margin would change" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
    assert main([*arguments, "p_alive,expected_clv", "--margin", "0.3", "--quiet"]) == 0


def test_what_is_read_is_not_written_to(model, table, tmp_path):
    for place in (table, table / "below", model, table.parent):
        with pytest.raises(DataError, match="lie within one another"):
            run_job(job(model, table, place))


def test_a_table_in_another_unit(model, tmp_path):
    rows = simulated(5).replace_schema_metadata({"predclv": json.dumps({"time_unit": "day"})})
    pq.write_table(rows, tmp_path / "rows.parquet")
    with pytest.raises(UnitError, match="counts time in days and the model in weeks"):
        run_job(job(model, tmp_path / "rows.parquet", tmp_path / "out"))


def made_as(path, **units):
    pq.write_table(simulated(50).replace_schema_metadata({"predclv": json.dumps(units)}), path)
    return path


def test_an_end_date_counts_from_the_tables_own_as_of_date(model, tmp_path):
    place = made_as(tmp_path / "rows.parquet", time_unit="week", observation_end="2024-03-01")
    manifest = run_job(job(model, place, tmp_path / "out", options={"horizon": "2024-05-31"}))
    plain = Scorer(pc.load(model), 13.0, columns=COLUMNS)
    assert scores(tmp_path / "out").equals(pa.Table.from_batches(plain.score(simulated(50).to_batches())))
    assert manifest.options["observation_end"] == "2024-03-01"
    run_job(job(model, place, tmp_path / "same", options={"observation_end": dt.date(2024, 3, 1)}))
    with pytest.raises(UnitError, match="is as of 2024-03-01, not 2023-01-01"):
        run_job(job(model, place, tmp_path / "other", options={"observation_end": "2023-01-01"}))
    assert not (tmp_path / "other").exists()


def test_an_as_of_date_that_nothing_tells_is_warned_of(tmp_path):
    rfm = pc.datasets.simulate_rfm(n_customers=300, T=(0.0, 104.0), seed=2).rfm
    model = pc.BGNBD().fit(replace(rfm, observation_end=dt.date(2024, 3, 1)))
    for horizon in ("2024-05-31", "3 months"):
        with pytest.warns(ObservationEndWarning, match="that of the fit, 2024-03-01. Give observation_end"):
            Scorer(model, horizon)
        Scorer(model, horizon, observation_end="2024-03-01")
    Scorer(model, "13 weeks")


def test_parts_in_different_units(model, tmp_path):
    (tmp_path / "rows").mkdir()
    for name, unit in (("a", "week"), ("b", "day")):
        made_as(tmp_path / "rows" / f"{name}.parquet", time_unit=unit)
    with pytest.raises(UnitError, match=r"b.parquet' was made with time_unit='day', and '.*a.parquet' with 'week'"):
        run_job(job(model, tmp_path / "rows", tmp_path / "out"))
    with pytest.raises(UnitError, match="must be alike"):
        pc.batch.collapse_customers(tmp_path / "rows")


@pytest.mark.parametrize("whose", ["out", "quarantine"])
def test_folders_of_others_stay_as_they_are(whose, model, table, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "notes.txt").touch()
    places = {"out": tmp_path / "new", "quarantine": tmp_path / "aside", whose: tmp_path / "theirs"}
    with pytest.raises(DataError, match=r"notes.txt"):
        run_job(job(model, table, places["out"], quarantine=places["quarantine"]))
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs", "notes.txt"]


REFUSED = {
    "a file for a folder": (["TABLE", "--out", "/dev/null"], "'/dev/null' cannot be a folder for results"),
    "no table": (["nothing.parquet"], "nothing.parquet"),
    "no model": (["TABLE", "--model", "nothing"], "nothing"),
    "unknown engine": (["TABLE", "--engine", "dask"], "'dask'"),
    "unknown column": (["TABLE", "--columns", "clv"], "'clv'"),
    "too little memory": (["TABLE", "--memory-limit", "10MB"], "too little"),
    "no memory": (["TABLE", "--memory-limit", "much"], "no amount of memory"),
    "no parts": (["TABLE", "--partitions", "0"], "'partitions' must be at least 1"),
    "level in percent": (["TABLE", "--level", "95"], "did you mean 0.95?"),
    "table without DuckDB": (["x.duckdb::t", "--engine", "pyarrow"], "x.duckdb"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_refusals_are_one_line_and_leave_nothing(arguments, said, model, table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = [str(table) if a == "TABLE" else a for a in arguments]
    with_model = given if "--model" in given else [*given, "--model", str(model)]
    with_out = with_model if "--out" in given else [*with_model, "--out", "out"]
    code = main(["score", *with_out])
    _, err = capsys.readouterr()
    assert code == 2
    assert len(err.splitlines()) == 1
    assert said in err
    assert not list(tmp_path.iterdir())


def test_hostile_names_run_nothing(model, tmp_path):
    path = tmp_path / "x'); DROP TABLE t; --.parquet"
    pq.write_table(simulated(20), path)
    run_job(job(model, path, tmp_path / "out", engine="duckdb"))
    assert scores(tmp_path / "out").num_rows == 20
    with duckdb.connect(tmp_path / "rows.duckdb") as connection:
        connection.sql("CREATE TABLE t AS SELECT 1 AS a")
        connection.sql("CREATE VIEW v AS SELECT * FROM t")
    for name in ("v", 't"; DROP TABLE t; --', "main.t"):
        with pytest.raises(DataError, match="has no table"):
            run_job(job(model, f"{tmp_path / 'rows.duckdb'}::{name}", tmp_path / "out2", engine="duckdb"))


@pytest.mark.parametrize("engine", ["pyarrow", "duckdb"])
def test_hostile_columns_are_names_and_no_more(engine, model, tmp_path):
    hostile = 'kept", (SELECT 1/0) AS "x\'; --'
    rows = simulated(20).rename_columns({"kept": hostile})
    pq.write_table(rows, tmp_path / "rows.parquet")
    options = {"columns": ["expected_clv"], "margin": hostile}
    run_job(job(model, tmp_path / "rows.parquet", tmp_path / "out", engine=engine, options=options))
    plain = Scorer(pc.load(model), "26 weeks", columns=["expected_clv"], margin="kept")
    assert scores(tmp_path / "out").equals(pa.Table.from_batches(plain.score(simulated(20).to_batches())))


class Trap:
    """Makes a file of its name when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_a_pickle_in_the_models_folder_is_never_opened(model, table, tmp_path):
    own = tmp_path / "model"
    shutil.copytree(model, own)
    trap = pickle.dumps(Trap(tmp_path / "sprung"))
    for name in ("model.pkl", "transactions.pickle", "python_model.pkl"):
        (own / name).write_bytes(trap)
    run_job(job(own, table, tmp_path / "out"))
    (own / "model.json").write_bytes(trap)
    with pytest.raises(ModelFileError, match="cannot be read"):
        run_job(job(own, table, tmp_path / "other"))
    assert not (tmp_path / "sprung").exists()
    assert pickle.loads(trap) is None
    assert (tmp_path / "sprung").exists()


def test_duckdb_keeps_to_its_memory_and_fetches_nothing(tmp_path):
    with connect(100 << 20, tmp_path / "spill") as connection:
        names = ("memory_limit", "temp_directory", "autoinstall_known_extensions", "autoload_known_extensions")
        found = [connection.sql(f"SELECT current_setting('{name}')").fetchall()[0][0] for name in names]
    assert found == ["100.0 MiB", str(tmp_path / "spill"), False, False]


def test_memory():
    assert parse_memory("1GB").total == 10**9
    assert parse_memory(" 2 gib").total == 2 << 30
    memories = [Memory(LEAST), *map(parse_memory, ("700MiB", "800MiB", "1GB", "64GB"))]
    assert all(a.block_rows <= b.block_rows and a.table_bytes <= b.table_bytes for a, b in pairwise(memories))
    assert memories[0].block_rows < memories[-1].block_rows


def test_from_a_shell(model, table, tmp_path):
    done = run(table, model, tmp_path / "out", "--partitions", "2")
    assert done.returncode == 0, done.stderr
    assert "1,200 of 1,200 rows scored, 0 set aside" in " ".join(done.stdout.split())
