"""The commands as people and batch jobs use them: what they write and show."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

import predclv as pc
from command_line import AS_OF, COLUMNS, PREDICTED, WRITTEN, shell
from predclv.cli import main
from predclv.cli.console import Session


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


def test_a_column_that_changes_is_settled_from_the_shell_too(log, tmp_path, capsys):
    """A channel belongs to a purchase as often as to a customer: the message's remedy has to be at hand."""
    rows = pd.read_csv(log)
    rows["channel"] = rows["day"].str[-1].isin(list("02468")).map({True: "shop", False: "web"})
    rows.to_csv(tmp_path / "log.csv", index=False)
    ask = ["summarize", str(tmp_path / "log.csv"), *COLUMNS, *AS_OF, "--carry", "channel", "-q"]
    assert main([*ask, "--out", str(tmp_path / "no.csv")]) == 2
    assert "carry_conflict='first' or 'last'" in capsys.readouterr().err
    first = rows.sort_values("day").drop_duplicates("customer").set_index("customer")["channel"]
    assert main([*ask, "--carry-conflict", "first", "--out", str(tmp_path / "yes.csv")]) == 0
    found = pd.read_csv(tmp_path / "yes.csv").set_index("customer_id")["channel"]
    assert (found == first.loc[found.index]).all()


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
    pd.testing.assert_frame_equal(found[PREDICTED], pd.DataFrame(expected)[PREDICTED], rtol=1e-6)
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
    first = pd.read_parquet(tmp_path / "out" / "customers.parquet")
    assert main([*arguments, "--no-report"]) == 0
    # DuckDB adds a customer's amounts in the order that its threads finish; quantiles, solved to a tolerance, show it.
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "customers.parquet"), first, rtol=1e-6)
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
    pd.testing.assert_frame_equal(in_one, in_steps, rtol=1e-6)


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


def test_methods_and_segments(log, tmp_path, capsys):
    """A column becomes segments in `fit`, and `predict` asks the table for it by itself."""
    arguments = [log, *COLUMNS, *AS_OF]
    model = str(tmp_path / "model")
    assert main(["fit", *arguments, "--method", "map", "--segment", "channel", "-q", "--out", model]) == 0
    out = tmp_path / "forecast.parquet"
    assert main(["predict", *arguments, "--model", model, "--horizon", "26", "-q", "--out", str(out)]) == 0
    rfm = pc.RFMSummary.from_transactions(
        log, customer_id="customer", date="day", amount="paid", observation_end="2024-12-31", carry=["channel"]
    )
    fitted = pc.load(model)
    assert set(fitted.transactions_.segments_) == set(rfm.carried["channel"])
    expected = fitted.predict(rfm, 26)
    pd.testing.assert_frame_equal(pd.read_parquet(out)[PREDICTED], expected[PREDICTED])
    capsys.readouterr()


@pytest.mark.slow
def test_covariates(log, tmp_path, capsys):
    """Columns that move rates are carried by themselves, in `fit`, `predict` and `run`; effects are told in words."""
    arguments, model = [log, *COLUMNS, *AS_OF], str(tmp_path / "model")
    asked = ["--purchase-covariates", "channel, kept", "--dropout-covariates", "channel", "--penalty", "cv"]
    assert main(["fit", *arguments, *asked, "--json", "--out", model]) == 0
    told = json.loads(capsys.readouterr().out)["effects"]
    fitted = pc.load(model)
    assert told == fitted.transactions_.effects["meaning"].tolist()
    assert [words.split(":")[0] for words in told] == [
        "channel = shop instead of web",
        "kept higher by 0.125, one standard deviation",
        "channel = shop instead of web",
    ]
    assert fitted.transactions_.penalty == "cv"
    rfm = pc.RFMSummary.from_transactions(
        log, customer_id="customer", date="day", amount="paid", observation_end="2024-12-31", carry=["channel", "kept"]
    )
    expected = fitted.predict(rfm, 26)[PREDICTED]
    out = tmp_path / "forecast.parquet"
    assert main(["predict", *arguments, "--model", model, "--horizon", "26", "-q", "--out", str(out)]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(out)[PREDICTED], expected)
    assert main(["fit", *arguments, *asked, "--out", model]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert told[0] in shown
    assert "dropout[channel=shop]" in shown
    folder = tmp_path / "run"
    assert main(["run", *arguments, *asked, "--horizon", "26", "--no-report", "--out", str(folder)]) == 0
    assert told[0] in " ".join(capsys.readouterr().out.split())
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "customers.parquet")[PREDICTED], expected)


def test_run_takes_a_method(log, tmp_path):
    out = str(tmp_path / "out")
    assert main(["run", log, *COLUMNS, *AS_OF, "--method", "auto", "--no-report", "-q", "--out", out]) == 0
    assert pc.load(tmp_path / "out" / "model").transactions_.posterior_.method in ("map", "mcmc")


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
    dependence, horizon = done.stderr.splitlines()
    assert "rank correlation 0.206" in dependence
    assert "longer than the oldest customer" in horizon


def test_demo_forecasts_its_holdout(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "demo"), "--no-report", "--json"]) == 0
    check = json.loads(capsys.readouterr().out)["holdout"]
    assert check["purchases"]["actual"] == 1882
    assert check["purchases"]["expected"] == pytest.approx(1653.408, abs=0.5)
    assert check["spend"]["actual"] == pytest.approx(70976.39, abs=0.01)
    assert check["purchases"]["low"] < check["purchases"]["expected"] < check["purchases"]["high"]
    assert sum(group["customers"] for group in check["groups"]) == 2357


def test_another_transaction_model_is_fitted_saved_and_forecast(log, steps, tmp_path):
    model, out = str(tmp_path / "model"), str(tmp_path / "customers.parquet")
    assert main(["fit", steps["rfm"], "--transactions", "mbg_nbd", "--out", model, "-q"]) == 0
    assert main(["predict", steps["rfm"], "--model", model, "--horizon", "26 weeks", "--out", out, "-q"]) == 0
    clv = pc.load(model)
    assert isinstance(clv.transactions_, pc.MBGNBD)
    # Whoever bought once may have left, which BG/NBD excludes.
    assert pd.read_parquet(out)["p_alive"].max() < 1


def test_regular_buyers_from_log_to_report(tmp_path):
    made = pc.datasets.simulate("mbg_cnbd", n_customers=400, observed="78 weeks", holdout="13 weeks", seed=3)
    log, out = str(tmp_path / "log.csv"), tmp_path / "out"
    made.log.to_csv(log, index=False)
    columns = ["--customer-id", "customer_id", "--date", "date", "--amount", "amount"]
    as_of = ["--observation-end", str(made.observation_end)]
    asked = ["--transactions", "mbg_cnbd", "--horizon", "52 weeks"]
    assert main(["run", log, *columns, *as_of, *asked, "--out", str(out), "-q"]) == 0
    clv = pc.load(out / "model")
    assert isinstance(clv.transactions_, pc.MBGCNBD)
    assert clv.transactions_.k_ == 2
    assert "more regular than at random: of shape k = 2" in (out / "report.html").read_text(encoding="utf-8")
    # Step by step it is the same, from the log or from a summary that holds the times between purchases.
    rfm, model = str(tmp_path / "rfm.parquet"), str(tmp_path / "model")
    assert main(["summarize", log, *columns, *as_of, "--regularity", "--out", rfm, "-q"]) == 0
    for number, table in enumerate([[rfm], [log, *columns, *as_of]]):
        assert main(["fit", *table, "--transactions", "mbg_cnbd", "--out", f"{model}-{number}", "-q"]) == 0
        again = pc.load(f"{model}-{number}")
        assert again.transactions_.posterior_.point == pytest.approx(clv.transactions_.posterior_.point)
    cutoff = ["--cutoff", str(made.observation_end), "--horizon", "13 weeks", "--bootstrap", "20", "--json"]
    scores = tmp_path / "scores.csv"
    compared = ["--methods", "mbg_cnbd,mbg_nbd", "--scores", str(scores)]
    assert main(["backtest", log, *columns, *cutoff, *compared]) == 0
    assert set(pd.read_csv(scores)["method"]) == {"mbg_cnbd", "mbg_nbd"}


def test_forced_colours_make_no_terminal_of_a_pipe(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Session(quiet=False, as_json=False).progress() as bar:
        assert bar is None
