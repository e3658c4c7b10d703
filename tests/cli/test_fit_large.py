"""`predclv fit --engine duckdb`: tables beyond memory give the model that all customers would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest

import predclv as pc
from command_line import AS_OF, COLUMNS
from predclv.cli import main


def fitted(folder: Path) -> np.ndarray:
    clv = pc.load(folder)
    return np.concatenate([clv.transactions_.posterior_.point_array, clv.spend_.posterior_.point_array])


def test_the_model_is_that_of_all_customers(steps, tmp_path, capsys):
    parts = tmp_path / "parts"
    parts.mkdir()
    shutil.copy(steps["rfm"], parts / "part-0.parquet")
    duckdb.connect(str(tmp_path / "a.duckdb")).execute(
        "CREATE TABLE customers AS SELECT * FROM read_parquet(?)", [steps["rfm"]]
    ).close()
    units = ["--time-unit", "week", "--collapse", "day"]
    for table, own in ((steps["rfm"], []), (str(parts), []), (f"{tmp_path}/a.duckdb::customers", units)):
        out = tmp_path / "model"
        assert main(["fit", table, *own, "--engine", "duckdb", "--out", str(out), "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["rows"] < 2 * shown["customers"]
        np.testing.assert_allclose(fitted(out), fitted(Path(steps["model"])), rtol=1e-9)
        one, other = (pc.load(path).transactions_.fingerprint_ for path in (out, steps["model"]))
        assert own or one == other
        shutil.rmtree(out)


def test_a_log_may_be_as_large(log, steps, tmp_path):
    """Summarised in the engine and fitted from there: the model is that of the steps in memory."""
    table, out = str(tmp_path / "rfm.parquet"), tmp_path / "model"
    assert main(["summarize", log, *COLUMNS, *AS_OF, "--engine", "duckdb", "--out", table, "-q"]) == 0
    assert main(["fit", table, "--engine", "duckdb", "--out", str(out), "-q"]) == 0
    np.testing.assert_allclose(fitted(out), fitted(Path(steps["model"])), rtol=1e-9)
    assert pc.load(out).transactions_.fingerprint_ == pc.load(steps["model"]).transactions_.fingerprint_


def test_cells_are_told(steps, tmp_path, capsys):
    spill = tmp_path / "spill"
    asked = ["--engine", "duckdb", "--memory-limit", "800MiB", "--spill", str(spill), "--out", str(tmp_path / "model")]
    assert main(["fit", steps["rfm"], *asked, "--max-rows", "300"]) == 0
    shown = capsys.readouterr()
    assert "warning:" in shown.err
    assert "time_step=" in shown.err
    assert "distinct rows stand for them" in shown.out
    assert list(spill.iterdir()) == []
    assert main(["fit", steps["rfm"], *asked, "--time-step", "3 days"]) == 0
    assert "time_step" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{log}", "--engine", "duckdb"], "does not say in which unit its recency and T are. Give --time-unit."),
        (["{rfm}", "--max-rows", "10"], "--max-rows is about a table that --engine duckdb groups."),
        (["{rfm}", "--engine", "spark"], "'engine' must be one of 'duckdb'. Got 'spark'."),
        (["{rfm}", "--engine", "duckdb", "--returns", "net"], "--returns is about a purchase log"),
        (["{rfm}", "--engine", "duckdb", "--time-unit", "day"], "was made with time_unit 'week', not 'day'"),
        (["{rfm}", "--engine", "duckdb", "--max-rows", "2"], "are more than max_rows=2, even in cells"),
        (["{rfm}", "--engine", "duckdb", "--transactions", "mbg_cnbd"], "Summarise the log with --regularity"),
        (["{log}", "--engine", "duckdb", "--date", "day"], "Summarise the log first: predclv summarize."),
        (["nowhere.duckdb::customers"], "names a table in a DuckDB file, which takes --engine duckdb."),
        (["nowhere.duckdb::customers", "--engine", "duckdb"], "There is no file or folder 'nowhere.duckdb'."),
    ],
)
def test_refusals(arguments, said, steps, log, tmp_path, capsys):
    given = [argument.format(rfm=steps["rfm"], log=log) for argument in arguments]
    assert main(["fit", *given, "--out", str(tmp_path / "model")]) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "model").exists()
