"""What bash and zsh are told to complete, as text: option values that the program takes, and columns of the table."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import predclv as pc
from predclv.backtesting.methods import METHODS
from predclv.backtesting.renewal_methods import RENEWAL_METHODS
from predclv.batch.sources import ENGINES
from predclv.cli import completion
from predclv.data.durations import TIME_UNITS
from predclv.data.opportunities import OPPORTUNITIES
from predclv.data.options import COLLAPSES
from predclv.data.periods import PERIODS
from predclv.forecast.customers import COUNT_COLUMNS, VALUE_COLUMNS
from predclv.models.settings import METHODS as INFERENCES


def ask(monkeypatch, capsys, typed: str, shell: str = "bash") -> list[str]:
    """What the shell is answered when the tabulator follows `typed`."""
    from predclv.cli.app import execute

    if shell == "bash":
        words = typed.split(" ")
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    else:
        monkeypatch.delenv("COMP_WORDS", raising=False)
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
    monkeypatch.setenv("_PREDCLV_COMPLETE", f"complete_{shell}")
    with pytest.raises(SystemExit) as stopped:
        execute([])
    assert stopped.value.code == 0
    return capsys.readouterr().out.split()


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("customer,day,paid,channel\n1,2024-01-01,3.5,web\n")
    return path


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("predclv contr", ["contracts"]),
        ("predclv fit x.csv --transactions par", ["pareto_nbd"]),
        ("predclv fit x.csv --transactions ", list(completion.VALUES["transactions"])),
        ("predclv fit x.csv --engine ", ["duckdb"]),
        ("predclv score x.parquet --engine ", ["duckdb", "pyarrow", "spark"]),
        ("predclv score x.parquet --columns p_alive,p_", ["p_alive,p_purchase"]),
        ("predclv backtest x.csv --methods bg_nbd,nai", ["bg_nbd,naive"]),
        ("predclv contracts run x.csv --renewals ", ["sbg", "bdw"]),
        ("predclv contracts backtest x.csv --methods sbg,ob", ["sbg,observed_rate"]),
        ("predclv run x.csv --time-u", ["--time-unit"]),
        ("predclv run x.csv --customer-id ", []),
    ],
)
def test_bash(monkeypatch, capsys, typed, found):
    assert ask(monkeypatch, capsys, typed) == found


def test_zsh(monkeypatch, capsys):
    answered = ask(monkeypatch, capsys, "predclv fit x.csv --method m", "zsh")
    assert '"mle"' in " ".join(answered)
    assert '"map"' in " ".join(answered)
    assert "auto" not in " ".join(answered)


def test_columns_come_from_the_table(monkeypatch, capsys, table, tmp_path):
    assert ask(monkeypatch, capsys, f"predclv run {table} --customer-id ") == ["customer", "day", "paid", "channel"]
    assert ask(monkeypatch, capsys, f"predclv run {table} --purchase-covariates day,c") == [
        "day,customer",
        "day,channel",
    ]
    rfm = pc.datasets.simulate_rfm(n_customers=5).rfm.to_pandas()
    rfm.to_parquet(tmp_path / "rfm.parquet")
    told = ask(monkeypatch, capsys, f"predclv fit {tmp_path / 'rfm.parquet'} --segment ", "zsh")
    assert '"frequency"' in " ".join(told)
    (tmp_path / "broken.parquet").write_text("no parquet")
    assert ask(monkeypatch, capsys, f"predclv fit {tmp_path / 'broken.parquet'} --segment ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_for_a_shell(shell):
    told = subprocess.run(
        [Path(sys.executable).with_name("predclv")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "_PREDCLV_COMPLETE": f"source_{shell}"},
        check=True,
    ).stdout
    assert "_predclv_completion" in told
    assert f"_PREDCLV_COMPLETE=complete_{shell}" in told


def test_the_values_are_what_the_program_takes():
    kinds = {kind: tuple(k for k, m in pc.MODELS.items() if kind == m.KIND) for kind in ("transactions", "contract")}
    values, lists = completion.VALUES, completion.VALUE_LISTS
    assert values["transactions"] == kinds["transactions"]
    assert values["renewals"] == kinds["contract"]
    assert values["method"] == INFERENCES
    assert values["time_unit"] == TIME_UNITS
    assert set(values["collapse"]) == set(COLLAPSES)
    assert values["opportunities"] == OPPORTUNITIES
    assert set(values["period"]) == set(PERIODS)
    assert set(values["engine"]) == set(ENGINES)
    assert lists["methods"] == tuple(METHODS)
    assert completion._OWN["contracts backtest", "methods"] == tuple(RENEWAL_METHODS)
    assert lists["columns"] == (*COUNT_COLUMNS, *VALUE_COLUMNS)
