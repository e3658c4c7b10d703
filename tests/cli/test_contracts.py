"""`predclv contracts`: what it writes and shows, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from command_line import PREDICTED, check_refusal, shell
from predclv.cli import main

COLUMNS = ["--customer-id", "who", "--start", "from", "--end", "to", "--price", "fee"]
AS_OF = ["--observation-end", "2024-12-31"]
WRITTEN = [
    "customers.csv",
    "customers.parquet",
    "model",
    "portfolio.csv",
    "predclv.json",
    "quality.csv",
    "report.html",
    "retention.csv",
    "revenue.csv",
    "tenure.csv",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("contracts")


@pytest.fixture(scope="module")
def log(folder) -> str:
    log = pc.datasets.simulate_subscriptions("sbg", n_customers=600, seed=1).log
    log = log.rename(columns={"customer_id": "who", "start": "from", "end": "to", "price": "fee"})
    path = folder / "log.csv"
    log.assign(plan=np.where(log["who"] % 3 == 0, "plus", "basic"), kept=0.5).to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="module")
def cohorts(folder) -> str:
    path = folder / "cohorts.csv"
    pc.datasets.load_retention().loc[:, :7].reset_index().to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="module")
def steps(log, folder) -> dict[str, str]:
    """A summary and models made by the commands themselves."""
    names = {name: str(folder / name) for name in ("subs.parquet", "subs.csv", "model", "plain", "segments")}
    for kind in ("parquet", "csv"):
        summarize = ["contracts", "summarize", log, *COLUMNS, *AS_OF, "--carry", "kept", "--carry", "plan", "-q"]
        assert main([*summarize, "--out", names[f"subs.{kind}"]]) == 0
    assert main(["contracts", "fit", names["subs.parquet"], "--out", names["model"], "-q"]) == 0
    without = [*COLUMNS[:-2], *AS_OF]
    assert main(["contracts", "fit", log, *without, "--renewals", "bdw", "--out", names["plain"], "-q"]) == 0
    fit = ["contracts", "fit", names["subs.parquet"], "--segment", "plan", "--method", "map", "-q"]
    assert main([*fit, "--out", names["segments"]]) == 0
    return names


def test_run_writes_everything_and_shows_it(log, tmp_path):
    options = ["--by", "plan", "--currency", "EUR", "--margin", "kept", "--horizon", "12 months", "--out", "out"]
    done = shell("contracts", "run", log, *COLUMNS, *AS_OF, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == WRITTEN
    for part in (
        "600 contracts",
        "What they are worth: 12 months",
        "plus",
        "make the first renewal",
        "now",
        "out/model",
    ):
        assert part in done.stdout, part

    subs = pc.Subscriptions.from_log(
        log, customer_id="who", start="from", end="to", price="fee", observation_end="2024-12-31", carry=["kept"]
    )
    clv = pc.CLV(pc.SBG()).fit(subs)
    customers = pd.read_parquet(out / "customers.parquet")
    assert list(customers) == [*PREDICTED, "tenure", "start", "kept", "plan"]
    expected = clv.predict(subs, "12 months", margin="kept")
    pd.testing.assert_frame_equal(customers[PREDICTED], expected, rtol=1e-9)
    pd.testing.assert_frame_equal(
        pd.read_csv(out / "tenure.csv"), clv.transactions_.by_tenure(subs), check_dtype=False, rtol=1e-9
    )
    revenue = pd.read_csv(out / "revenue.csv", parse_dates=["date"])
    expected = clv.transactions_.recurring_revenue(subs, "12 months")
    pd.testing.assert_frame_equal(revenue, expected, check_dtype=False, rtol=1e-9)
    retention = pd.read_csv(out / "retention.csv").set_index("period")
    seen = subs.observed_retention().set_index("period")
    np.testing.assert_allclose(retention["observed_survival"].dropna(), seen["survival"], rtol=1e-12)
    assert len(retention) == len(seen) + 12
    portfolio = pd.read_csv(out / "portfolio.csv")["segment"].tolist()
    assert portfolio == ["basic", "plus", "existing customers"]
    assert json.loads((out / "predclv.json").read_text())["files"] == WRITTEN
    assert "<html" in (out / "report.html").read_text(encoding="utf-8")[:500]


def test_cohorts_in_json_with_a_config(cohorts, tmp_path):
    config = tmp_path / "job.toml"
    config.write_text('values = "percent"\nsize = 1000\nrenewals = "bdw"\nhorizon = "5 years"\nlevel = 0.5\n')
    options = ["--cohorts", "--cohort", "cohort", "--price", "240", "--config", str(config), "--level", "0.8"]
    done = shell("contracts", "run", cohorts, *options, "--no-report", "--json", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["command"] == "contracts run"
    assert (found["contracts"], found["running"], found["period"], found["level"]) == (2000, 732, "year", 0.8)
    assert {row["parameter"] for row in found["parameters"]} == {"alpha", "beta", "c"}
    assert [row["period"] for row in found["revenue"]] == [0, 1, 2, 3, 4, 5]
    assert found["tenures"][0]["expected_residual_lifetime"] is None  # infinite
    assert found["retention"][-1]["period"] == 12
    customers = pd.read_csv(tmp_path / "out" / "customers.csv")
    assert customers["weight"].sum() == 2000
    assert set(customers["cohort"]) == {"Regular", "High End"}
    assert "report.html" not in os.listdir(tmp_path / "out")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_single_steps_give_what_run_gives(log, steps, kind, tmp_path):
    out = tmp_path / "out"
    options = ["--horizon", "12 months", "-q", "--carry", "plan"]
    assert main(["contracts", "run", log, *COLUMNS, *AS_OF, *options, "--no-report", "--out", str(out)]) == 0
    source = [steps[f"subs.{kind}"], *(AS_OF if kind == "csv" else [])]
    tables = {name: str(tmp_path / f"{name}.csv") for name in ("out", "retention", "tenure", "revenue")}
    files = [part for name, path in tables.items() for part in (f"--{name}", path)]
    assert main(["contracts", "predict", *source, "--model", steps["model"], *options, *files]) == 0
    for mine, name in {"out": "customers", "retention": "retention", "tenure": "tenure", "revenue": "revenue"}.items():
        found, expected = pd.read_csv(tables[mine]), pd.read_csv(out / f"{name}.csv")
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9)


def test_a_model_without_prices_and_one_with_segments(log, steps, tmp_path, capsys):
    plain = str(tmp_path / "plain.csv")
    assert main(["contracts", "predict", steps["subs.parquet"], "--model", steps["plain"], "--out", plain, "-q"]) == 0
    assert list(pd.read_csv(plain)) == [*PREDICTED[:6], "tenure", "start"]
    code = main(
        ["contracts", "predict", steps["subs.parquet"], "--model", steps["plain"], "--margin", "1", "--out", plain]
    )
    check_refusal(code, capsys.readouterr(), ["renewals and no money", "--margin"])
    out = str(tmp_path / "s.csv")
    # The segment's column is carried by itself.
    assert main(["contracts", "predict", steps["subs.parquet"], "--model", steps["segments"], "--out", out, "-q"]) == 0
    assert "plan" in pd.read_csv(out)
    assert isinstance(pc.load(steps["plain"]), pc.BDW)


BAD = {
    "neither start nor cohorts": (["LOG"], ["'tenure'", "--start", "--cohorts"]),
    "misspelt column": (["LOG", *COLUMNS[:3], "fron", *COLUMNS[4:], *AS_OF], ["'fron'", "'from'"]),
    "no as-of date": (["LOG", *COLUMNS], ["observation_end"]),
    "no price": (["LOG", *COLUMNS[:-2], *AS_OF], ["no prices", "--price"]),
    "ends before it starts": (["SWAPPED", *COLUMNS, *AS_OF], ["end before they start", "swapped"]),
    "after the as-of date": (["LOG", *COLUMNS, "--observation-end", "2023-12-31"], ["after observation_end", "cut"]),
    "unknown model": (["SUBS", "--renewals", "sgb"], ["'sgb'", "'sbg'"]),
    "unknown period": (["LOG", *COLUMNS, *AS_OF, "--period", "fortnight"], ["'fortnight'", "'month'"]),
    "another period": (["SUBS", "--period", "year"], ["--period month, not year"]),
    "cohort option of a log": (["SUBS", "--size", "10"], ["--size", "--cohorts"]),
    "log option of a table": (["SUBS", "--returning", "join"], ["--returning", "--start"]),
    "log option of cohorts": (["COHORTS", "--cohorts", "--start", "from"], ["--start", "one by one"]),
    "price of cohorts": (["COHORTS", "--cohorts", "--cohort", "cohort", "--price", "fee"], ["--price fee", "number"]),
    "cohorts without their column": (["COHORTS", "--cohorts", "--price", "3"], ["'Regular'", "cohort="]),
    "margin column of cohorts": (
        ["COHORTS", "--cohorts", "--cohort", "cohort", "--values", "percent", "--price", "3", "--margin", "kept"],
        ["'kept'", "'cohort' is the only one"],
    ),
    "misspelt segment": (["SUBS", "--by", "pln"], ["'pln'", "'plan'"]),
    "horizon": (["SUBS", "--horizon", "soon"], ["soon"]),
    "level in percent": (["SUBS", "--level", "95"], ["0.95?"]),
    "no such file": (["nothing.csv"], ["nothing.csv"]),
    "unknown option": (["SUBS", "--horizont", "1 year"], ["--horizont", "--horizon"]),
}


@pytest.mark.parametrize(("arguments", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_one_line_and_leaves_nothing(
    arguments, said, log, cohorts, steps, tmp_path, tmp_path_factory, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    swapped = tmp_path_factory.mktemp("swapped") / "log.csv"
    table = pd.read_csv(log).dropna(subset="to")
    table.rename(columns={"from": "to", "to": "from"}).to_csv(swapped, index=False)
    names = {"LOG": log, "COHORTS": cohorts, "SUBS": steps["subs.parquet"], "SWAPPED": str(swapped)}
    code = main(["contracts", "run", "--no-report", *(names.get(a, a) for a in arguments), "--out", "out"])
    check_refusal(code, capsys.readouterr(), said)
    assert os.listdir(tmp_path) == []


def test_models_of_the_other_kind_are_pointed_to_their_command(log, steps, tmp_path, capsys):
    code = main(["predict", steps["subs.parquet"], "--model", steps["model"], "--out", str(tmp_path / "x.csv")])
    check_refusal(code, capsys.readouterr(), ["predclv contracts --help"])
    code = main(["contracts", "summarize", log, *COLUMNS, *AS_OF, "--out", log])
    check_refusal(code, capsys.readouterr(), ["is the input"])
    twice = ["--out", str(tmp_path / "x.csv"), "--tenure", str(tmp_path / "x.csv")]
    code = main(["contracts", "predict", steps["subs.parquet"], "--model", steps["model"], *twice])
    check_refusal(code, capsys.readouterr(), ["go to one file"])


def test_backtest_scores_methods(log, tmp_path, capsys):
    scores, forecasts = str(tmp_path / "scores.csv"), str(tmp_path / "forecasts.parquet")
    options = ["--cutoff", "2024-03-31", "--horizon", "6 months", "--horizon", "3", "--methods", "sbg,average_rate"]
    arguments = ["contracts", "backtest", log, *COLUMNS[:-2], *AS_OF, *options]
    assert main([*arguments, "--scores", scores, "--forecasts", forecasts]) == 0
    shown = capsys.readouterr().out
    assert "From 2024-03-31, 6 months" in shown
    assert "average_rate" in shown
    found = pd.read_csv(scores)
    expected = pc.backtesting.backtest_renewals(
        log,
        customer_id="who",
        start="from",
        end="to",
        cutoffs=["2024-03-31"],
        horizons=["6 months", 3],
        methods=["sbg", "average_rate"],
        observation_end="2024-12-31",
    )
    columns = ["method", "actual", "expected", "low", "crps"]
    pd.testing.assert_frame_equal(found[columns], expected.scores[columns], check_dtype=False, rtol=1e-9)
    assert len(pd.read_parquet(forecasts)) == len(expected.forecasts)
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"][0]["method"] == "sbg"
    for bad, said in ((["--methods", "naive"], "'naive'"), (["--horizon", "2 years"], "the log on 2024-12-31")):
        code = main([*arguments, *bad])
        check_refusal(code, capsys.readouterr(), [said])
