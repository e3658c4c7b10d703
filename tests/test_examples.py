"""The examples under docs/ run: a few nights of a scheduled job, by cron's script and as tasks."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import predclv as pc

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


def load_dag(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLV_HOME", str(home))
    monkeypatch.delenv("CLV_LOG", raising=False)
    spec = importlib.util.spec_from_file_location("nightly_dag", EXAMPLES / "nightly_dag.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_three_nights(tmp_path, monkeypatch, capsys):
    module = load_dag(tmp_path, monkeypatch)
    module.rehearse(["1998-03-30", "1998-03-31", "1998-04-01"])
    first, second, third = (json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{"))
    assert first["before"] is None
    assert (second["before"], second["same_model"]) == ("1998-03-30", True)
    assert (third["before"], third["same_model"]) == ("1998-03-31", False)
    assert sorted(path.name for path in (tmp_path / "models").iterdir()) == ["1998-Q1", "1998-Q2"]
    nights = [pq.read_table(tmp_path / "scores" / night).to_pandas() for night in ("1998-03-30", "1998-03-31")]
    before, now = (night.set_index("customer_id") for night in nights)
    changes = pq.read_table(tmp_path / "changes" / "1998-03-31.parquet").to_pandas().set_index("customer_id")
    assert second["stayed"] == len(changes) == len(before)
    wanted = now["expected_clv"] - before["expected_clv"]
    assert changes["clv_change"].equals(wanted.loc[changes.index].rename("clv_change"))
    assert changes["clv_change"].is_monotonic_increasing
    assert second["clv_change"] == pytest.approx(wanted.sum(), rel=1e-9)
    assert second["fell"] == int(((before["p_alive"] >= 0.5) & (now["p_alive"] < 0.5)).sum())
    # Who bought on the day between rises, nobody else does.
    log = pc.datasets.load_cdnow()
    bought = set(log.loc[log["date"] == "1998-03-31", "customer_id"])
    assert set(changes.index[changes["p_alive_change"] > 0]) <= bought
    # A customer who is new, one who is gone, and a night run again.
    table = pq.read_table(tmp_path / "scores" / "1998-03-30")
    pq.write_table(table.slice(1), tmp_path / "scores" / "1998-03-30" / "part-00000.parquet")
    pq.write_table(pq.read_table(tmp_path / "scores" / "1998-03-31").slice(0, 2000), tmp_path / "short.parquet")
    shutil.move(tmp_path / "short.parquet", tmp_path / "scores" / "1998-03-31" / "part-00000.parquet")
    again = module.compare(str(tmp_path / "scores" / "1998-03-31"), "1998-03-31")
    assert (again["stayed"], again["came"], again["went"]) == (1999, 1, 357)


def test_too_many_rows_set_aside_fail_the_task(tmp_path, monkeypatch):
    module = load_dag(tmp_path, monkeypatch)
    (tmp_path / "scores" / "2026-01-01").mkdir(parents=True)
    manifest = {"rows_quarantined": 11, "rows_in": 1000, "quarantined": {"T is negative": 11}}
    (tmp_path / "scores" / "2026-01-01" / "_manifest.json").write_text(json.dumps(manifest))
    monkeypatch.setattr(module, "main", lambda arguments: 3)
    with pytest.raises(RuntimeError, match="11 rows could not be scored"):
        module.score("table", "model", "2026-01-01")
    monkeypatch.setattr(module, "main", lambda arguments: 2)
    with pytest.raises(RuntimeError, match="predclv score failed with exit code 2"):
        module.score("table", "model", "2026-01-01")


def test_it_is_a_dag_where_there_is_airflow(tmp_path, monkeypatch):
    """With a stand-in for Airflow's decorators, which notes who waits for whom."""
    waits: dict[str, list[object]] = {}
    options: dict[str, object] = {}

    def task(function):
        def call(*inputs):
            waits[function.__name__] = list(inputs)
            return function.__name__

        return call

    def dag(**given):
        options.update(given)
        return lambda function: function

    sdk = types.ModuleType("airflow.sdk")
    sdk.dag, sdk.task = dag, task
    monkeypatch.setitem(sys.modules, "airflow", types.ModuleType("airflow"))
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    load_dag(tmp_path, monkeypatch)
    assert waits == {
        "yesterday": [],
        "summarize": ["yesterday"],
        "fit": ["summarize", "yesterday"],
        "score": ["summarize", "fit", "yesterday"],
        "compare": ["score", "yesterday"],
    }
    assert (options["schedule"], options["catchup"], options["max_active_runs"]) == ("0 2 * * *", False, 1)


@pytest.mark.slow
def test_a_night_by_cron(tmp_path, needs):
    pc.datasets.load_cdnow().to_parquet(tmp_path / "log.parquet")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = [needs("sh"), str(EXAMPLES / "nightly.sh"), "1998-03-31"]

    def night(log: str) -> subprocess.CompletedProcess[str]:
        settings = {"PATH": path, "CLV_HOME": str(tmp_path / "clv"), "CLV_LOG": str(tmp_path / log)}
        return subprocess.run(script, env={**os.environ, **settings}, capture_output=True, text=True, timeout=300)

    done = night("none.parquet")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("summarize failed for 1998-03-31; see ")
    done = night("log.parquet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert pq.read_table(tmp_path / "clv" / "scores" / "1998-03-31").num_rows == 2357
    assert (tmp_path / "clv" / "models" / "1998-Q1" / "model.json").is_file()
    log = (tmp_path / "clv" / "logs" / "1998-03-31.log").read_text()
    assert "none.parquet" in log
    assert '"event": "end", "rows": 2357' in log
