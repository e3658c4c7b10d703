"""`predclv monitor`: the folder it writes, what it prints, how it exits, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predclv as pc
from command_line import COLUMNS, check_refusal, shell
from predclv.cli import main

TERMS = ["--horizon", "26 weeks"]


@pytest.fixture(scope="module")
def snapshots(log, tmp_path_factory):
    """Folders of `run`, at two dates."""
    folder = tmp_path_factory.mktemp("snapshots")
    found = []
    for date in ("2024-09-30", "2024-12-31"):
        out = str(folder / date)
        options = [*COLUMNS, "--observation-end", date, *TERMS, "--carry", "channel", "--no-report", "-q"]
        assert main(["run", log, *options, "--out", out]) == 0
        found.append(out)
    return found


def test_the_folder_holds_alarms_json_and_page(snapshots, tmp_path):
    out = tmp_path / "out"
    ran = shell("monitor", *snapshots, *TERMS, "--title", "<b>March", "--out", str(out), "--json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert sorted(told["files"]) == sorted(entry.name for entry in out.iterdir())
    stored = json.loads((out / "monitor.json").read_text(encoding="utf-8"))
    assert stored["schema"] == told["schema"]
    assert stored["alerts"] == told["alerts"]
    assert stored["parameters"]
    alarms = pd.read_parquet(out / "alarms.parquet")
    assert alarms["customer_id"].tolist() == [alert["id"] for alert in stored["alerts"]]
    assert pd.read_csv(out / "alarms.csv").shape == alarms.shape
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;March" in page
    assert "<b>March" not in page


def test_summaries_and_models_apart_give_the_same(snapshots, tmp_path, capsys):
    old, new = (f"{folder}/summary.parquet" for folder in snapshots)
    models = ["--model", f"{snapshots[0]}/model", "--new-model", f"{snapshots[1]}/model"]
    common = [*TERMS, "--no-report", "--json", "--force", "--out", str(tmp_path / "out")]
    assert main(["monitor", *snapshots, *common]) == 0
    one = json.loads(capsys.readouterr().out)
    assert main(["monitor", old, new, *models, *common]) == 0
    other = json.loads(capsys.readouterr().out)
    assert {**one, "warnings": None} == {**other, "warnings": None}
    assert main(["monitor", *snapshots, "--no-compare-models", *common]) == 0
    assert json.loads(capsys.readouterr().out)["parameters"] == []


def test_without_money_purchases_are_at_stake(snapshots, tmp_path, capsys):
    pc.load(f"{snapshots[0]}/model").transactions_.save(tmp_path / "model")
    options = ["--model", str(tmp_path / "model"), "--no-compare-models", "--no-report", "--top", "1"]
    assert main(["monitor", *snapshots, *TERMS, *options, "--out", str(tmp_path / "out")]) == 0
    assert " purchases at stake" in " ".join(capsys.readouterr().out.split())


def test_a_batch_job_learns_what_to_do_from_the_exit_code(snapshots, tmp_path, capsys):
    table = pd.read_parquet(f"{snapshots[1]}/summary.parquet")
    old = pd.read_parquet(f"{snapshots[0]}/summary.parquet").set_index("customer_id")
    # Nobody bought since: those who are known go on as they were.
    known = table["customer_id"].isin(old.index)
    table.loc[known, ["frequency", "recency", "monetary_value"]] = old.loc[
        table.loc[known, "customer_id"], ["frequency", "recency", "monetary_value"]
    ].to_numpy()
    table["frequency"] = table["frequency"].astype(int)
    units = pq.read_schema(f"{snapshots[1]}/summary.parquet").metadata
    changed = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(units)
    pq.write_table(changed, tmp_path / "silent.parquet")
    silent = [snapshots[0], str(tmp_path / "silent.parquet"), *TERMS, "--no-report", "--force"]
    out = ["--out", str(tmp_path / "out")]
    assert main(["monitor", *silent, *out]) == 0
    assert "Fit again? yes" in capsys.readouterr().out
    assert main(["monitor", *silent, *out, "--fail-on", "refit", "-q"]) == 4
    assert main(["monitor", *silent, *out, "--fail-on", "alarms", "-q"]) == 4
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["OLD", "OLD"], ["not later"]),
        (["NEW", "OLD"], ["not later"]),
        (["OLD", "nowhere"], ["'nowhere'", "does not exist"]),
        (["OLD/summary.parquet", "NEW"], ["holds no model", "--model"]),
        (["OLD", "NEW/model"], ["no snapshot", "predclv summarize"]),
        (["OLD", "NEW", "--fail-on", "fire"], ["fail-on", "refit"]),
        (["OLD", "NEW", "--alarm-level", "5"], ["alarm_level", "did you mean 0.05?"]),
        (["OLD", "NEW", "--horizon", "2030-01-01"], ["span"]),
        (["OLD", "NEW", "--margin", "30"], ["did you mean 0.30"]),
        (["OLD", "NEW", "--margin", "kep"], ["OLD/summary.parquet': column 'kep': the table has no such column"]),
        (["OLD", "NEW", "--model", "NEW/model"], ["fitted as of 2024-12-31, after the old snapshot of 2024-09-30"]),
        (["OLD", "NEW", "--new-model", "m", "--no-compare-models"], ["--new-model"]),
    ],
)
def test_what_means_nothing_is_refused_in_a_line(snapshots, arguments, said, tmp_path, capsys):
    named = [part.replace("OLD", snapshots[0]).replace("NEW", snapshots[1]) for part in arguments]
    code = main(["monitor", *named, "--out", str(tmp_path / "out")])
    captured = capsys.readouterr()
    check_refusal(code, (captured.out, captured.err), [part.replace("OLD", snapshots[0]) for part in said])
    assert not (tmp_path / "out").exists()


def test_a_snapshot_is_not_written_over(snapshots, tmp_path, capsys):
    code = main(["monitor", *snapshots, "--force", "--out", snapshots[1]])
    captured = capsys.readouterr()
    check_refusal(code, (captured.out, captured.err), ["is a snapshot"])
