"""`predclv backtest`: files and a screen for who looks, JSON for who does not, and refusals before any work."""

from __future__ import annotations

import json
import os

import pandas as pd
import pytest

import predclv as pc
from command_line import COLUMNS, check_refusal, shell
from predclv.cli import main

DATES = ["--cutoff", "2024-03-31", "--cutoff", "2024-06-30", "--horizon", "13 weeks", "--horizon", "26 weeks"]
QUICK = ["--methods", "bg_nbd, naive,zero", "--bootstrap", "40"]


@pytest.fixture(scope="module")
def written(log, tmp_path_factory):
    """What the command writes and prints with every kind of output asked for."""
    folder = tmp_path_factory.mktemp("backtest")
    outputs = {"report": "r.html", "scores": "s.csv", "forecasts": "f.parquet", "out": "tables"}
    files = [word for name, file in outputs.items() for word in (f"--{name}", str(folder / file))]
    done = shell(
        "backtest", log, *COLUMNS, *DATES, *QUICK, "--by", "channel", *files, "--title", "Which <one>?", "--json"
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_files_are_those_of_the_result(log, written):
    folder, _ = written
    result = pc.backtest(
        log,
        customer_id="customer",
        date="day",
        amount="paid",
        methods=["bg_nbd", "naive", "zero"],
        cutoffs=["2024-03-31", "2024-06-30"],
        horizons=["13 weeks", "26 weeks"],
        segments=["channel"],
        n_bootstrap=40,
    )
    scores = pd.read_csv(folder / "s.csv", dtype={"group": str}, keep_default_na=True)
    assert scores["value"].to_numpy() == pytest.approx(result.scores["value"].to_numpy(), rel=1e-12, nan_ok=True)
    assert set(scores["by"]) == {"all", "frequency", "decile", "channel"}
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "f.parquet").astype({"cutoff": str, "horizon": str, "method": str, "quantity": str}),
        result.forecasts.astype({"cutoff": str, "horizon": str, "method": str, "quantity": str}),
    )
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "tables" / "runs.parquet")[["method"]], result.runs[["method"]]
    )
    assert "Which &lt;one&gt;?" in (folder / "r.html").read_text(encoding="utf-8")


def test_json_holds_scores_totals_and_runs(written):
    _, said = written
    assert said["command"] == "backtest"
    assert said["settings"]["methods"] == ["bg_nbd", "naive", "zero"]
    crps = {(row["method"], row["horizon"]): row for row in said["scores"] if row["metric"] == "crps"}
    assert crps["zero", "26 weeks"]["verdict"] == "worse"
    assert {row["status"] for row in said["runs"]} == {"ok"}
    assert {row["quantity"] for row in said["totals"]} == {"purchases", "value"}


def test_the_screen_shows_scores_and_what_failed(log, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    arguments = [
        "--methods",
        "naive,zero,marginal",
        "--cutoff",
        "2023-02-28",
        "--horizon",
        "4 weeks",
        "--bootstrap",
        "20",
    ]
    assert main(["backtest", log, *COLUMNS[:4], *arguments]) == 0
    out = capsys.readouterr().out
    assert "Purchases within 4 weeks (1 cut-off; CRPS, lower is better, against naive)" in out
    assert "-100.0 %" in out
    assert "Value" not in out
    assert "Did not run" in out
    assert "marginal at 2023-02-28: failed" in out


def test_processes_do_not_change_the_result(log, tmp_path, capsys):
    for jobs in ("1", "2"):
        arguments = [
            *DATES[:2],
            *DATES[4:6],
            *QUICK,
            "--jobs",
            jobs,
            "--forecasts",
            str(tmp_path / f"{jobs}.parquet"),
            "-q",
        ]
        assert main(["backtest", log, *COLUMNS, *arguments]) == 0
    one, two = (pd.read_parquet(tmp_path / f"{jobs}.parquet") for jobs in ("1", "2"))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


BAD = {
    "no dates": (["--horizon", "13 weeks"], ["cutoffs", "n_cutoffs"]),
    "cut-off before the log": (["--cutoff", "2020-01-01"], ["2020-01-01", "precedes", "2023-01-0"]),
    "cut-off after the log": (["--cutoff", "2030-01-01"], ["2030-01-01", "leaves no outcome"]),
    "horizon beyond the log": (["--cutoff", "2024-06-30", "--horizon", "2 years"], ["2 years", "2026-06-30"]),
    "unknown method": (["--cutoff", "2024-06-30", "--methods", "bg_nbd,naiv"], ["'naiv'", "'naive'"]),
    "no method": (["--cutoff", "2024-06-30", "--methods", " , "], ["names no method"]),
    "unknown reference": (["--cutoff", "2024-06-30", "--reference", "nbd"], ["'nbd'", "'bg_nbd'"]),
    "unknown recalibration": (["--cutoff", "2024-06-30", "--recalibrate", "pot"], ["'pot'", "'pit'"]),
    "sliding without a window": (["--cutoff", "2024-06-30", "--history", "sliding"], ["window"]),
    "too few customers": (["--cutoff", "2023-01-05"], ["2023-01-05", "20 customers"]),
    "report that is no page": (["--cutoff", "2024-06-30", "--report", "r.pdf"], ["r.pdf", ".html"]),
    "scores that are no table": (["--cutoff", "2024-06-30", "--scores", "s.xlsx"], ["s.xlsx", ".csv"]),
    "one file for two": (["--cutoff", "2024-06-30", "--scores", "a.csv", "--forecasts", "a.csv"], ["one file"]),
    "the log as a result": (["--cutoff", "2024-06-30", "--scores", "LOG"], ["the log itself"]),
    "too few resamples": (["--cutoff", "2024-06-30", "--bootstrap", "1"], ["n_bootstrap"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_leaves_nothing(arguments, said, log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    horizon = [] if "--horizon" in arguments else ["--horizon", "13 weeks"]
    words = [log if word == "LOG" else word for word in arguments]
    check_refusal(main(["backtest", log, *COLUMNS, *horizon, *words]), capsys.readouterr(), said)
    assert os.listdir(tmp_path) == []


def test_a_method_that_needs_amounts_is_refused_without_them(log, capsys):
    code = main(["backtest", log, *COLUMNS[:4], *DATES, "--methods", "formula,naive"])
    check_refusal(code, capsys.readouterr(), ["'formula'", "amount"])
