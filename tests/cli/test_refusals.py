"""Bad input is one readable line on stderr and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

import predclv as pc
from command_line import AS_OF, COLUMNS, check_refusal, make_log
from predclv.cli import main

BAD_RUN = {
    "no such file": (["nothing.csv", *COLUMNS], ["nothing.csv"]),
    "a folder without tables": ([".", *COLUMNS], ["."]),
    "misspelt column": (["LOG", "--customer-id", "costumer", *COLUMNS[2:]], ["costumer", "'customer'"]),
    "date that is none": (["LOG", *COLUMNS, "--observation-end", "31.12.2024"], ["31.12.2024", "1997-09-30"]),
    "end before the first purchase": (["LOG", *COLUMNS, "--observation-end", "1999-01-01"], ["1999-01-01"]),
    "amount that is text": (["LOG", *COLUMNS[:4], "--amount", "channel"], ["channel"]),
    "unknown time unit": (["LOG", *COLUMNS, "--time-unit", "weeks"], ["weeks", "'week'"]),
    "month as a ruler": (["LOG", *COLUMNS, "--time-unit", "month"], ["months differ in length"]),
    "unknown collapse": (["LOG", *COLUMNS, "--collapse", "dya"], ["dya", "'day'"]),
    "unknown policy": (["LOG", *COLUMNS, "--returns", "refund"], ["refund", "'net'"]),
    "horizon that is none": (["LOG", *COLUMNS, *AS_OF, "--horizon", "soon"], ["soon", "26 weeks"]),
    "horizon in an unknown unit": (["LOG", *COLUMNS, *AS_OF, "--horizon", "2 yaers"], ["yaers", "'year'"]),
    "horizon of nothing": (["LOG", *COLUMNS, *AS_OF, "--horizon", "0 weeks"], ["longer than zero"]),
    "level in percent": (["LOG", *COLUMNS, "--level", "95"], ["did you mean 0.95?"]),
    "level that is no number": (["LOG", *COLUMNS, "--level", "high"], ["--level", "number"]),
    "negative discount": (["LOG", *COLUMNS, *AS_OF, "--discount-rate", "-0.1"], ["discount_rate", "-0.1"]),
    "forever without discount": (
        ["LOG", *COLUMNS, *AS_OF, "--discount-rate", "0", "--horizon", "inf"],
        ["infinite horizon", "discount rate"],
    ),
    "margin column that is missing": (["LOG", *COLUMNS, *AS_OF, "--margin", "keep"], ["'keep'", "'kept'"]),
    "segment column that is missing": (["LOG", *COLUMNS, *AS_OF, "--by", "chanel"], ["chanel", "'channel'"]),
    "segments that change within a customer": (["LOG", *COLUMNS, *AS_OF, "--by", "paid"], ["paid"]),
    "unknown method": (["LOG", *COLUMNS, *AS_OF, "--method", "nuts"], ["'nuts'", "'mcmc'"]),
    "unknown transaction model": (["LOG", *COLUMNS, *AS_OF, "--transactions", "bgnbd"], ["'bgnbd'", "'mbg_nbd'"]),
    "a model of contracts": (
        ["LOG", *COLUMNS, *AS_OF, "--transactions", "sbg"],
        ["renewals", "predclv contracts --help"],
    ),
    "covariates of a model without": (
        ["LOG", *COLUMNS, *AS_OF, "--transactions", "nbd", "--purchase-covariates", "channel"],
        ["nbd takes no covariates", "--purchase-covariates", "mbg_cnbd"],
    ),
    "covariate that is missing": (["LOG", *COLUMNS, *AS_OF, "--dropout-covariates", "chanel"], ["chanel", "'channel'"]),
    "covariates that are none": (["LOG", *COLUMNS, *AS_OF, "--purchase-covariates", ","], ["names no column: ','"]),
    "penalty that means nothing": (
        ["LOG", *COLUMNS, *AS_OF, "--purchase-covariates", "channel", "--penalty", "some"],
        ["'penalty'", "'some'"],
    ),
    "penalty without covariates": (["LOG", *COLUMNS, *AS_OF, "--penalty", "cv"], ["there are no covariates"]),
    "report of customers with covariates": (
        ["LOG", *COLUMNS, *AS_OF, "--purchase-covariates", "channel", "--report"],
        ["--no-report", "one population"],
    ),
    "unknown option": (["LOG", *COLUMNS, "--horizont", "1 year"], ["--horizont", "--horizon"]),
    "missing option": (["LOG", *COLUMNS[2:]], ["--customer-id"]),
    "no config": (["LOG", *COLUMNS, "--config", "absent.toml"], ["absent.toml"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_RUN.values(), ids=BAD_RUN.keys())
def test_bad_input_is_one_line_and_leaves_nothing(arguments, said, log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(["run", "--no-report", *(log if a == "LOG" else a for a in arguments), "--out", "out"])
    check_refusal(code, capsys.readouterr(), said)
    assert os.listdir(tmp_path) == []


BAD_CONFIG = {
    "misspelt option": ('horizn = "1 year"', ["'horizn'", "'horizon'"]),
    "option of another command": ('model = "m"', ["'model'"]),
    "table": ("[run]\nlevel = 0.9", ["'run'"]),
    "not TOML": ("level : 0.9", ["not valid TOML"]),
    "wrong type": ('level = "high"', ["level", "number"]),
    "itself": ('config = "b.toml"', ["'config'"]),
}


@pytest.mark.parametrize(("text", "said"), BAD_CONFIG.values(), ids=BAD_CONFIG.keys())
def test_bad_config_is_one_line(text, said, log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(text)
    code = main(["run", log, *COLUMNS, "--config", "c.toml", "--out", "out"])
    check_refusal(code, capsys.readouterr(), said)
    assert os.listdir(tmp_path) == ["c.toml"]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(log, tmp_path, capsys):
    (tmp_path / "file").touch()
    for out in ("file", "file/out"):
        code = main(["run", log, *COLUMNS, *AS_OF, "--out", str(tmp_path / out)])
        check_refusal(code, capsys.readouterr(), ["is a file"])
    assert os.listdir(tmp_path) == ["file"]


def test_the_log_is_never_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_log(50).to_csv("customers.csv", index=False)
    before = Path("customers.csv").read_bytes()
    for arguments in (["run", "--force", "--out", "."], ["summarize", "--out", "./customers.csv"]):
        code = main([arguments[0], "customers.csv", *COLUMNS, *AS_OF, *arguments[1:]])
        check_refusal(
            code, capsys.readouterr(), ["customers.csv" if arguments[0] == "summarize" else "The log lies in"]
        )
    assert Path("customers.csv").read_bytes() == before
    assert os.listdir() == ["customers.csv"]


BAD_STEPS = {
    "summary to an unknown kind of file": (["summarize", "LOG", *COLUMNS, "--out", "rfm.xlsx"], [".parquet or .csv"]),
    "table without its unit": (["fit", "CSV", "--out", "out"], ["--time-unit"]),
    "table in another unit": (["fit", "RFM", "--time-unit", "day", "--out", "out"], ["--time-unit week", "not day"]),
    "log option with a table": (["fit", "RFM", "--amount", "paid", "--out", "out"], ["--amount", "--date"]),
    "date without customer": (["fit", "LOG", "--date", "day", "--out", "out"], ["--customer-id"]),
    "log taken for a table": (["fit", "LOG", "--time-unit", "week", "--out", "out"], ["frequency"]),
    "no model": (["predict", "RFM", "--model", "nowhere", "--out", "f.csv"], ["nowhere", "no model"]),
    "model in another unit": (
        ["predict", "LOG", *COLUMNS, *AS_OF, "--time-unit", "day", "--model", "MODEL", "--out", "f.csv"],
        ["weeks", "days"],
    ),
    "level in percent": (["predict", "RFM", "--model", "MODEL", "--level", "90", "--out", "f.csv"], ["0.9?"]),
    "Parquet that is none": (["fit", "BROKEN", "--out", "out"], ["broken.parquet"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_STEPS.values(), ids=BAD_STEPS.keys())
def test_bad_steps_are_one_line(arguments, said, log, steps, tmp_path, tmp_path_factory, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    other = tmp_path_factory.mktemp("other")
    pd.read_parquet(steps["rfm"]).to_csv(other / "rfm.csv", index=False)
    (other / "broken.parquet").write_text("PAR1 and no more")
    names = {
        "LOG": log, "RFM": steps["rfm"], "MODEL": steps["model"],
        "CSV": str(other / "rfm.csv"), "BROKEN": str(other / "broken.parquet"),
    }  # fmt: skip
    code = main([names.get(argument, argument) for argument in arguments])
    check_refusal(code, capsys.readouterr(), said)
    assert os.listdir(tmp_path) == []


def test_a_defect_of_ours_is_told_apart(log, tmp_path, monkeypatch, capsys):
    def broken(*_, **__):
        raise ZeroDivisionError("a / b")

    monkeypatch.setattr(pc.CLV, "fit", broken)
    arguments = ["run", log, *COLUMNS, *AS_OF, "--no-report", "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert (
        error == "predclv: unexpected ZeroDivisionError: a / b (a defect of predclv; the option --debug shows where)\n"
    )
    assert main([*arguments, "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_stopping_by_hand_leaves_nothing(log, tmp_path, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pc.CLV, "save", stopped)
    assert main(["run", log, *COLUMNS, *AS_OF, "--no-report", "--out", str(tmp_path / "out")]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("tool", ["typer", "rich"])
def test_missing_tools_are_named_with_their_extra(tool, monkeypatch, capsys):
    monkeypatch.setattr("predclv.cli.find_spec", lambda name: None if name == tool else object())
    assert main(["--version"]) == 2
    assert "pip install 'predclv[cli]'" in capsys.readouterr().err


def test_a_report_without_jinja2_is_refused_before_the_work(log, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("predclv.cli.steps.find_spec", lambda name: None)
    code = main(["run", log, *COLUMNS, *AS_OF, "--out", str(tmp_path / "out")])
    check_refusal(code, capsys.readouterr(), ["pip install 'predclv[report]'", "--no-report"])


def test_regularity_cannot_be_chosen_without_the_times_between_purchases(steps, tmp_path, capsys):
    code = main(["fit", steps["rfm"], "--transactions", "mbg_cnbd", "--out", str(tmp_path / "model")])
    check_refusal(code, capsys.readouterr(), ["--transactions mbg_cnbd", "--regularity"])
    assert os.listdir(tmp_path) == []
