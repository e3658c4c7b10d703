"""Spark scores as every engine does: the same rows to the last bit, in its workers; and none vanishes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predclv as pc
from batch.histories import extremes, simulated
from batch.jobs import command, contents, rejected, scores
from batch.test_job import faulty, job
from predclv.batch import shipping, spark_parts, spark_session
from predclv.batch.job import run_job
from predclv.batch.lock import locked_folder
from predclv.batch.manifest import Manifest
from predclv.batch.sources import open_source
from predclv.batch.spark import SparkScores, score
from predclv.cli import main
from predclv.cli import score as score_command
from predclv.errors import DataError, ExtrapolationWarning, ModelFileError
from spark_sessions import SETTINGS


@pytest.fixture
def spark(spark_sessions):
    return spark_sessions.get()


@pytest.fixture(scope="module")
def rows():
    """Extreme rows, ordinary ones, and in the middle such as cannot be scored."""
    return faulty(pa.concat_tables([extremes(), simulated(991, seed=5)]))


def ordered(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas()
    by = [name for name in ("customer_id", "frequency", "recency", "T") if name in frame]
    return frame.sort_values(by).reset_index(drop=True)


def check_equal(found: SparkScores, out: Path) -> None:
    """Scores and quarantine are those of a job, whatever the order."""
    pd.testing.assert_frame_equal(ordered(found.scores.toArrow()), ordered(scores(out)), check_exact=True)
    bad = pa.Table.from_pylist(rejected(out))
    pd.testing.assert_frame_equal(ordered(found.quarantine.toArrow()), ordered(bad), check_exact=True)


@pytest.mark.slow
def test_rows_are_those_of_duckdb(spark, model, rows, tmp_path):
    pq.write_table(rows, tmp_path / "rows.parquet")
    asked = {"horizon": "26 weeks", "margin": "kept"}
    one = job(model, tmp_path / "rows.parquet", tmp_path / "out", engine="duckdb", options={**asked, "columns": None})
    manifest = run_job(one)
    found = score(spark.read.parquet(str(tmp_path / "rows.parquet")).repartition(3), model, **asked).persist()
    check_equal(found, tmp_path / "out")
    with pytest.warns(ExtrapolationWarning, match=r"of 1,000 customers lie outside twice the range"):
        counts = found.count()
    assert (counts["rows_in"], counts["rows_out"], counts["rows_quarantined"]) == (1000, 995, 5)
    assert counts["quarantined"] == manifest.rejected
    found.unpersist()


@pytest.mark.slow
def test_values_of_every_kind(spark, model):
    """Decimals, large text, names that Spark takes for others, and columns of no kind that Arrow knows."""
    frame = simulated(40, seed=3).to_pandas().rename(columns={"kept": "kept.a"})
    frame["customer_id"] = frame["customer_id"].map("C{}".format)
    frame["monetary_value"] = frame["monetary_value"].round(2)
    asked = {"horizon": "26 weeks", "columns": ["p_alive", "purchases_high", "expected_clv"]}
    scorer = pc.batch.Scorer(pc.load(model), **asked, margin="kept.a")
    spend = pa.array([Decimal(str(value)) for value in frame["monetary_value"]], pa.decimal128(20, 6))
    table = pa.Table.from_pandas(frame.drop(columns="monetary_value")).append_column("monetary_value", spend)
    wanted = pa.Table.from_batches(scorer.score(table.to_batches()))
    made = spark.createDataFrame(frame).selectExpr(
        "customer_id",
        "cast(frequency as int) frequency",
        "recency",
        "T",
        "'x' as t",
        "`kept.a`",
        "cast(monetary_value as decimal(20, 6)) monetary_value",
        "interval '1' month as span",
        "array(1) as list",
    )
    for large in ("true", "false"):  # ends as it was for whoever comes next in the session
        spark.conf.set("spark.sql.execution.arrow.useLargeVarTypes", large)
        found = score(made, model, **asked, margin="kept.a", check_unique=False, block_rows=7)
        pd.testing.assert_frame_equal(found.scores.toArrow().to_pandas(), wanted.to_pandas(), check_exact=True)
    assert found.quarantine.columns == [
        "reason",
        "customer_id",
        "frequency",
        "recency",
        "T",
        "monetary_value",
        "kept.a",
    ]
    nothing = made.selectExpr("* except (recency)", "null as recency")
    assert score(nothing, model, **asked).count()["quarantined"] == {"recency is null or not finite": 40}


@pytest.mark.slow
def test_frames_that_cannot_be_scored(spark, model):
    frame = spark.createDataFrame(simulated(3).to_pandas())
    refused = [
        (frame.drop("T"), "the frame has no column 'T'"),
        (frame.withColumnRenamed("T", "t"), "the frame has no column 'T'"),
        (frame.toDF(*frame.columns[:-1], "T"), "the frame has 2 columns 'T'"),
        (frame.selectExpr("* except (T)", "'x' T"), "the frame holds string values in 'T'"),
        (frame.selectExpr("* except (T)", "timestamp'2025-01-01' T"), r"the frame holds timestamp.* values in 'T'"),
        (frame.selectExpr("* except (T)", "interval '1' month T"), "the frame holds interval month values in 'T'"),
        (frame.selectExpr("* except (customer_id)", "array(1) customer_id"), "nested values in 'customer_id'"),
        (spark.readStream.format("rate").load(), "Give check_unique=False"),
    ]
    for given, said in refused:
        with pytest.raises(DataError, match=said):
            score(given, model, "26 weeks")
    with pytest.raises(TypeError, match="must be a Spark DataFrame"):
        score(simulated(3).to_pandas(), model)
    with pytest.raises(ValueError, match="no column of the forecast"):
        score(frame, model, "26 weeks", columns=["clv"])


@pytest.mark.slow
def test_workers_run_the_drivers_interpreter_or_the_users(spark, monkeypatch):
    context = spark.sparkContext
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    before = context.pythonExec
    with spark_session.workers_python(spark):
        assert context.pythonExec == sys.executable
    assert context.pythonExec == before
    monkeypatch.setenv("PYSPARK_PYTHON", "mine")
    with spark_session.workers_python(spark):
        assert context.pythonExec == before


def test_threads_do_not_take_the_interpreter_from_one_another(monkeypatch):
    """A part that is being built keeps it while another part is done building."""
    monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    context = SimpleNamespace(pythonExec="python3", getConf=dict)
    seen = []

    def build(_):
        with spark_session.workers_python(SimpleNamespace(sparkContext=context)):
            time.sleep(0.002)
            seen.append(context.pythonExec)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(20)))
    assert seen == [sys.executable] * 20
    assert context.pythonExec == "python3"


def test_what_spark_says_is_the_end_of_the_workers_traceback():
    said = "".join(
        [
            "An exception was thrown from the Python worker:\n",
            "Traceback (most recent call last):\n",
            '  File "worker.py", line 1, in main\n    run()\n',
            "ModuleNotFoundError: No module named 'predclv'\n\n",
            "\tat org.apache.spark.api.python.BasePythonRunner.handle(PythonRunner.scala:1)\n",
            "Caused by: java.lang.Exception: other\n",
        ]
    )
    assert spark_parts._last_words(said) == "ModuleNotFoundError: No module named 'predclv'"
    assert spark_parts._last_words("Job aborted:\n no space") == "Job aborted: no space"


@pytest.mark.slow
def test_a_job_that_is_begun_by_one_engine_and_ended_by_another(spark, model, table, tmp_path, monkeypatch):
    out = tmp_path / "out"
    asked = command(table, model, Path("out"), "--partitions", "5", "--resume", "--engine")[1:]
    assert main([*(str(tmp_path / "whole") if a == "out" else a for a in asked), "pyarrow"]) == 0
    monkeypatch.chdir(tmp_path)  # where workers are not

    def stop(event):
        if event["event"] == "part" and event["finished"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(score_command, "_progress", lambda session: nullcontext(stop))
        assert main([*asked, "spark"]) == 130
    assert len(Manifest.read(out).parts) == 2
    assert main([*asked, "spark"]) == 0
    assert contents(out) == contents(tmp_path / "whole")
    # What a worker cannot do comes back in words, and what is finished stays.
    broken = tmp_path / "rows"
    shutil.copytree(table, broken)
    content = bytearray((broken / "b.parquet").read_bytes())
    (broken / "b.parquet").write_bytes(
        bytes(content[:100] + bytes(len(content) // 2 - 100) + content[len(content) // 2 :])
    )
    with pytest.raises(DataError, match=r"b.parquet' cannot be read"):
        run_job(job(model, broken, tmp_path / "none", partitions=5, engine="spark"))


@pytest.mark.slow
def test_rows_are_those_of_duckdb_on_a_cluster(spark_sessions, model, rows, tmp_path):
    """Executors in processes of their own, as on other machines."""
    spark = spark_sessions.get("local-cluster[2,1,1024]")
    pq.write_table(rows, tmp_path / "rows.parquet")
    asked = {"horizon": "26 weeks", "columns": ["p_alive", "purchases_high", "expected_clv"]}
    run_job(job(model, tmp_path / "rows.parquet", tmp_path / "out", engine="duckdb", options=asked))
    found = score(spark.read.parquet(str(tmp_path / "rows.parquet")), model, **asked).persist()
    check_equal(found, tmp_path / "out")
    found.unpersist()


# Without Spark


def test_a_worker_of_another_version_is_refused(model, monkeypatch):
    files, options, packed_by = shipping.pack(pc.load(model), {"horizon": "26 weeks"})
    assert shipping.unpack((files, options, packed_by)) is shipping.unpack((dict(files), dict(options), packed_by))
    with pytest.raises(ModelFileError, match=r"The driver has predclv 0\.0\.1 and this worker"):
        shipping.unpack((files, options, "0.0.1"))
    with pytest.raises(ModelFileError, match="checksum"):
        shipping.unpack(
            ({name: content + b" " * name.endswith("parquet") for name, content in files.items()}, {}, packed_by)
        )


def test_what_a_worker_cannot_do_comes_back_in_words(model, table, tmp_path):
    scorer = pc.batch.Scorer(pc.load(model), "26 weeks", columns=["p_alive"])
    source = open_source(str(table), scorer.needs, "pyarrow")
    cargo = shipping.pack(scorer.model, {"horizon": "26 weeks", "columns": ["p_alive"], "block_rows": 100})
    sizes = tuple(file.stat().st_size for file in source.files)
    task = spark_parts.Task(3, tmp_path / "out", tmp_path / "bad", source, sizes, 600, 300, None)

    def answer(task: spark_parts.Task) -> dict[str, object]:
        (batch,) = spark_parts._write(task, cargo, [pa.record_batch({"id": [0]})])
        return json.loads(batch["answer"][0].as_py())

    assert "does not see" in answer(task)["error"]
    with locked_folder(task.out), locked_folder(task.rejects):
        part = answer(task)["part"]
        assert (part["number"], part["rows"], part["scored"]) == (3, 300, 300)
        wanted = pa.Table.from_batches(scorer.score(pq.read_table(table).slice(600, 300).to_batches()))
        assert pq.read_table(task.out / "part-00003.parquet").equals(wanted)
        assert "b.parquet' as it was when the job began" in answer(replace(task, sizes=(sizes[0], 1)))["error"]
        short = replace(source, files=source.files[:1])
        assert "fewer rows than when they were counted" in answer(replace(task, source=short, sizes=sizes[:1]))["error"]
        (task.rejects / "part-00003.parquet").mkdir()
        assert "Part 3 could not be written" in answer(task)["error"]


def test_what_spark_cannot_read_or_run_on_is_said(model, table, tmp_path, monkeypatch, capsys):
    (tmp_path / "rows.csv").write_text("customer_id\n")
    given = ["--model", str(model), "--out", str(tmp_path / "out"), "--engine", "spark"]
    refused = [
        ([str(tmp_path / "rows.csv"), *given], "--engine spark reads Parquet files"),
        (["x.duckdb::t", *given], "--engine spark reads Parquet files"),
        ([str(table), *given], "needs Java 17 or newer"),
        ([str(table), *given], "needs PySpark: pip install 'predclv[spark]'"),
    ]
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    for number, (arguments, said) in enumerate(refused):
        if number == 3:
            monkeypatch.setattr(spark_session.importlib.util, "find_spec", lambda name: None)
        assert main(["score", *arguments]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_from_a_shell_it_ends_the_same(needs, model, table, tmp_path):
    """A job with a session of its own; the JVM goes when the job is killed, and another engine ends it."""
    needs("java")
    out = tmp_path / "out"
    assert main(command(table, model, tmp_path / "whole", "--partitions", "12")[1:]) == 0
    settings = [part for name, value in SETTINGS.items() for part in ("--conf", f"{name}={value}")]
    options = shlex.join([*settings, "--master", "local[1]", "pyspark-shell"])
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": options, "SPARK_LOCAL_IP": "127.0.0.1"}
    asked = command(table, model, out, "--engine", "spark", "--partitions", "12")
    with subprocess.Popen(asked, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stderr:
            if line.startswith("{") and json.loads(line).get("finished", 0) >= 3:
                break
        (jvm,) = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while Path(f"/proc/{jvm}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert not Path(f"/proc/{jvm}").exists()
    assert 3 <= len(Manifest.read(out).parts) < 12
    assert main(command(table, model, out, "--partitions", "12", "--resume")[1:]) == 0
    assert contents(out) == contents(tmp_path / "whole")


def children(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
