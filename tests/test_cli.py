"""The command line as people and batch jobs use it: results, exit codes, one readable line on bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.cli import main

COLUMNS = ["--customer-id", "customer", "--date", "day", "--amount", "paid"]
AS_OF = ["--observation-end", "2024-12-31"]
WRITTEN = ["customers.csv", "customers.parquet", "model", "portfolio.csv", "predclv.json", "quality.csv", "report.html"]
PREDICTED = [
    "customer_id",
    "p_alive",
    "p_purchase",
    "expected_purchases",
    "purchases_low",
    "purchases_high",
    "expected_spend",
    "expected_clv",
    "clv_low",
    "clv_high",
    "expected_clv_low",
    "expected_clv_high",
]


def make_log(n_customers: int = 400) -> pd.DataFrame:
    """A log of two years: exponential gaps, a chance to leave after each purchase, gamma spend."""
    rng = np.random.default_rng(20)
    rows = []
    for customer in range(n_customers):
        gap, leave, scale = 60 / rng.gamma(1.5), rng.beta(1.0, 4.0), 30 * rng.gamma(4.0)
        day = rng.uniform(0, 360)
        while day < 730:
            rows.append((f"C{customer:03}", day, round(rng.gamma(5.0) * scale / 5, 2)))
            day += rng.exponential(gap) if rng.uniform() > leave else np.inf
    log = pd.DataFrame(rows, columns=["customer", "day", "paid"])
    log["day"] = (pd.Timestamp("2023-01-01") + pd.to_timedelta(log["day"], unit="D")).dt.strftime("%Y-%m-%d")
    number = log["customer"].str[1:].astype(int)
    return log.assign(channel=np.where(number % 3 == 0, "shop", "web"), kept=np.where(number % 2 == 0, 0.25, 0.5))


@pytest.fixture(scope="session")
def log(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    make_log().to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session")
def steps(log, tmp_path_factory) -> dict[str, str]:
    """A summary and a model made by the commands themselves."""
    folder = tmp_path_factory.mktemp("steps")
    paths = {name: str(folder / file) for name, file in {"rfm": "rfm.parquet", "model": "model"}.items()}
    assert main(["summarize", log, *COLUMNS, *AS_OF, "--carry", "kept", "--out", paths["rfm"], "-q"]) == 0
    assert main(["fit", paths["rfm"], "--out", paths["model"], "-q"]) == 0
    return paths


def shell(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("predclv"), *arguments], capture_output=True, text=True, timeout=300, cwd=cwd
    )


def test_run_writes_everything_and_shows_it(log, tmp_path):
    done = shell("run", log, *COLUMNS, *AS_OF, "--by", "channel", "--currency", "EUR", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["out"]
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == WRITTEN
    for part in (
        "400 customers",
        "What they are worth: 1 year",
        "shop",
        "existing customers",
        "out/report.html",
        "EUR",
    ):
        assert part in done.stdout

    customers = pd.read_parquet(out / "customers.parquet")
    assert list(customers) == [*PREDICTED, "channel"]
    assert len(customers) == 400
    pd.testing.assert_frame_equal(pd.read_csv(out / "customers.csv"), customers, check_dtype=False, rtol=1e-12)
    portfolio = pd.read_csv(out / "portfolio.csv").set_index("segment")
    assert list(portfolio.index) == ["shop", "web", "existing customers"]
    total = portfolio.loc["existing customers"]
    assert total["expected_clv"] == pytest.approx(customers["expected_clv"].sum(), rel=1e-9)
    assert total["clv_low"] < total["expected_clv"] < total["clv_high"]
    assert isinstance(pc.load(out / "model"), pc.CLV)
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")[:500]
    assert json.loads((out / "predclv.json").read_text())["files"] == WRITTEN


def test_run_agrees_with_the_python_api(log, tmp_path):
    options = [
        "--horizon",
        "26 weeks",
        "--discount-rate",
        "0",
        "--margin",
        "kept",
        "--level",
        "0.8",
        "--no-report",
        "-q",
    ]
    assert main(["run", log, *COLUMNS, *AS_OF, *options, "--out", str(tmp_path / "out")]) == 0
    rfm = pc.RFMSummary.from_transactions(
        log, customer_id="customer", date="day", amount="paid", observation_end="2024-12-31", carry=["kept"]
    )
    expected = pc.CLV().fit(rfm).predict(rfm, "26 weeks", discount_rate=0.0, margin="kept", level=0.8)
    found = pd.read_parquet(tmp_path / "out" / "customers.parquet")
    pd.testing.assert_frame_equal(found[PREDICTED], pd.DataFrame(expected)[PREDICTED])
    assert "report.html" not in os.listdir(tmp_path / "out")


def test_json_is_all_of_stdout_and_warnings_are_in_it(log, tmp_path):
    done = shell("run", log, *COLUMNS, "--no-report", "--json", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["command"] == "run"
    assert summary["customers"] == 400
    assert summary["portfolio"][-1]["segment"] == "existing customers"
    assert {row["parameter"] for row in summary["parameters"]} == {"r", "alpha", "a", "b", "p", "q", "gamma"}
    messages = [warning["message"] for warning in summary["warnings"]]
    assert any("observation_end" in message for message in messages), messages
    assert len(messages) == len(set(messages))
    assert done.stderr.splitlines() == [f"warning: {message}" for message in messages]


def test_quiet_shows_nothing_where_nothing_is_wrong(log, tmp_path, capsys):
    assert main(["summarize", log, *COLUMNS, *AS_OF, "--quiet", "--out", str(tmp_path / "rfm.csv")]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_run_can_be_repeated_in_its_folder(log, tmp_path):
    arguments = ["run", log, *COLUMNS, *AS_OF, "-q", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--no-report"]) == 0
    first = (tmp_path / "out" / "customers.csv").read_bytes()
    assert main([*arguments, "--no-report"]) == 0
    assert (tmp_path / "out" / "customers.csv").read_bytes() == first
    assert os.listdir(tmp_path) == ["out"]


def test_force_keeps_what_others_put_there(log, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    arguments = ["run", log, *COLUMNS, *AS_OF, "-q", "--no-report", "--out", str(tmp_path)]
    assert main(arguments) == 2
    assert "notes.txt" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["notes.txt"]
    assert main([*arguments, "--force"]) == 0
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == sorted({*WRITTEN, "notes.txt"} - {"report.html"})


def test_steps_give_what_run_gives(log, steps, tmp_path):
    assert (
        main(["run", log, *COLUMNS, *AS_OF, "--carry", "kept", "--no-report", "-q", "--out", str(tmp_path / "a")]) == 0
    )
    assert (
        main(
            [
                "predict",
                steps["rfm"],
                "--model",
                steps["model"],
                "--carry",
                "kept",
                "-q",
                "--out",
                str(tmp_path / "b.parquet"),
            ]
        )
        == 0
    )
    in_one, in_steps = (pd.read_parquet(tmp_path / name) for name in ("a/customers.parquet", "b.parquet"))
    pd.testing.assert_frame_equal(in_one, in_steps)


def test_steps_from_a_shell_with_csv_between_them(log, tmp_path):
    for arguments in (
        ["summarize", log, *COLUMNS, *AS_OF, "--out", "rfm.csv", "--quality", "quality.csv"],
        ["fit", "rfm.csv", "--time-unit", "week", "--out", "model"],
        ["predict", "rfm.csv", "--time-unit", "week", "--model", "model", "--horizon", "26", "--out", "forecast.csv"],
    ):
        done = shell(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert list(pd.read_csv(tmp_path / "forecast.csv")) == PREDICTED
    assert list(pd.read_csv(tmp_path / "rfm.csv"))[:4] == ["customer_id", "frequency", "recency", "T"]
    assert {"step", "what", "count"} <= set(pd.read_csv(tmp_path / "quality.csv"))


def test_a_log_without_amounts_is_forecast_in_purchases(log, tmp_path, capsys):
    dated = ["--customer-id", "customer", "--date", "day", *AS_OF]
    assert main(["fit", log, *dated, "-q", "--out", str(tmp_path / "model")]) == 0
    arguments = ["predict", log, *dated, "-q", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "f.csv")]
    assert main(arguments) == 0
    assert list(pd.read_csv(tmp_path / "f.csv")) == PREDICTED[:6]
    capsys.readouterr()
    assert main([*arguments, "--margin", "0.3"]) == 2
    assert "forecasts purchases and no money: leave --margin out" in capsys.readouterr().err


def test_config_gives_options_and_flags_win(log, tmp_path):
    config = tmp_path / "job.toml"
    config.write_text(
        f'log = "{log}"\ncustomer-id = "customer"\ndate = "day"\namount = "paid"\nobservation_end = 2024-12-31\n'
        f'horizon = "26 weeks"\nlevel = 0.5\nmargin = 0.3\nreport = false\nquiet = true\ncarry = ["channel", "kept"]\n'
        f'out = "{tmp_path / "out"}"\n'
    )
    assert main(["run", "--config", str(config), "--level", "0.8"]) == 0
    made = json.loads((tmp_path / "out" / "predclv.json").read_text())["forecast"]
    assert made == {"horizon": "26 weeks", "discount_rate": 0.1, "margin": 0.3, "level": 0.8, "by": None}
    assert list(pd.read_csv(tmp_path / "out" / "customers.csv"))[-2:] == ["channel", "kept"]


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
    "unknown option": (["LOG", *COLUMNS, "--horizont", "1 year"], ["--horizont", "--horizon"]),
    "missing option": (["LOG", *COLUMNS[2:]], ["--customer-id"]),
    "no config": (["LOG", *COLUMNS, "--config", "absent.toml"], ["absent.toml"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD_RUN.values(), ids=BAD_RUN.keys())
def test_bad_input_is_one_line_and_leaves_nothing(arguments, said, log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = main(["run", *(log if a == "LOG" else a for a in arguments), "--no-report", "--out", "out"])
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


def check_refusal(code: int, streams: tuple[str, str], said: list[str]) -> None:
    out, err = streams
    assert code == 2, err
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith("predclv: ")
    for part in said:
        assert part in err


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


def test_version_and_module():
    assert shell("--version").stdout == f"predclv {pc.__version__}\n"
    as_module = subprocess.run([sys.executable, "-m", "predclv", "--version"], capture_output=True, text=True)
    assert as_module.stdout == f"predclv {pc.__version__}\n"


def test_no_command_shows_help():
    done = shell()
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("demo", "run", "summarize", "fit", "predict"))


def test_demo_in_one_screen(tmp_path):
    done = shell("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / "demo-results")) == WRITTEN
    shown = done.stdout.splitlines() + done.stderr.splitlines()
    assert len(shown) <= 45
    for part in ("2,357 customers, 946 of them", "existing customers", "39 weeks that followed", "1,882"):
        assert part in done.stdout
    assert "rank correlation 0.206" in done.stderr


def test_demo_forecasts_its_holdout(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-report", "--json"]) == 0
    check = json.loads(capsys.readouterr().out)["holdout"]
    assert check["purchases"]["actual"] == 1882
    assert check["purchases"]["expected"] == pytest.approx(1653.408, abs=0.5)
    assert check["spend"]["actual"] == pytest.approx(70976.39, abs=0.01)
    assert check["purchases"]["low"] < check["purchases"]["expected"] < check["purchases"]["high"]
    assert sum(group["customers"] for group in check["groups"]) == 2357
