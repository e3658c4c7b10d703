"""Scoring with covariates: as `predict`, no bit of a row from those beside it, and what cannot be read set aside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from sklearn.compose import make_column_transformer
from sklearn.preprocessing import StandardScaler

import predclv as pc
from batch.histories import fit, simulated
from batch.jobs import rejected, scores
from batch.test_scorer import cut
from predclv.batch import row_forecasts
from predclv.batch.scorer import Scorer
from predclv.cli import main
from predclv.errors import DataError

HORIZON = "26 weeks"
CARRIED = ["channel", "flag", "age"]
# Of the first kind many customers share each pattern, of the second hardly any.
COVARIATES = {
    "few": {"purchase_covariates": ["channel"], "dropout_covariates": ["flag"]},
    "many": {"purchase_covariates": ["channel", "age"], "dropout_covariates": ["age"]},
}


def described(n: int, seed: int) -> pa.Table:
    """Customers with a channel, a flag and an age, which is nearly everybody's own."""
    rng = np.random.default_rng(seed)
    columns = {"channel": rng.choice(["shop", "web", "phone"], n), "flag": rng.random(n) < 0.4}
    table = simulated(n, seed)
    for name, values in {**columns, "age": rng.normal(40, 9, n)}.items():
        table = table.append_column(name, pa.array(values))
    return table


def summary(table: pa.Table) -> pc.RFMSummary:
    return pc.RFMSummary.from_frame(table, time_unit="week", carry=CARRIED)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders with a model of each kind."""
    spend, folder = fit(pc.GammaGamma(), simulated(600, seed=3)), tmp_path_factory.mktemp("models")
    for name, covariates in COVARIATES.items():
        clv = pc.CLV()
        clv.transactions_, clv.spend_ = pc.BGNBD(**covariates).fit(summary(described(600, seed=3))), spend
        clv.save(folder / name)
    return folder


ROWS = described(24, seed=7)


def score(scorer: Scorer, table: pa.Table, size: int = 1000) -> pa.Table:
    return pa.Table.from_batches(scorer.score(cut(table, size)))


@pytest.mark.parametrize("kind", COVARIATES)
def test_as_predict_and_no_bit_from_the_rows_beside(kind, models, monkeypatch):
    clv = pc.load(models / kind)
    expected = clv.predict(summary(ROWS), HORIZON).to_pandas()
    whole = score(Scorer(clv, HORIZON), ROWS)
    pd.testing.assert_frame_equal(whole.to_pandas(), expected, check_exact=True)
    order = np.random.default_rng(0).permutation(len(ROWS))
    monkeypatch.setattr(row_forecasts, "_PATTERNS", 2)
    for size in (1, 7):
        assert score(Scorer(clv, HORIZON, block_rows=size, table_bytes=1), ROWS.take(order), size).equals(
            whole.take(order)
        )


def test_purchases_alone(models):
    bg = pc.load(models / "few").transactions_
    scorer = Scorer(bg, HORIZON, columns=["p_alive", "purchases_high"])
    assert scorer.input_columns == ("customer_id", "frequency", "recency", "T", "flag", "channel")
    expected = bg.predict(summary(ROWS), HORIZON).to_pandas()[["customer_id", "p_alive", "purchases_high"]]
    pd.testing.assert_frame_equal(score(scorer, ROWS, 5).to_pandas(), expected, check_exact=True)


def test_tables_of_patterns_keep_to_their_memory(models):
    scorer = Scorer(pc.load(models / "few"), HORIZON, columns=["clv_high"], block_rows=12, table_bytes=8 << 20)
    score(scorer, ROWS)
    kept = scorer._forecasts._kept
    assert 0 < kept.n_bytes <= 8 << 20
    # Half of the room is for the others.
    assert sum(part.n_bytes for part in kept._parts.values() if part is not kept._latest) <= 4 << 20
    assert kept._total == sum(part.n_bytes for part in kept._parts.values())


FAULTS = [
    ("covariate 'flag' is null or not finite", {"flag": None}),
    ("covariate 'flag' is neither 0 nor 1", {"flag": 0.5}),
    ("covariate 'channel' is null", {"channel": None}),
    ("covariate 'channel' is unknown to the model", {"channel": "radio"}),
    ("frequency is negative", {"frequency": -1, "channel": "radio"}),
]


def with_faults() -> pa.Table:
    good = ROWS.slice(0, 1).to_pylist()[0]
    rows = [{**good, **fault, "customer_id": i} for i, (_, fault) in enumerate(FAULTS)]
    flagged = ROWS.set_column(ROWS.schema.get_field_index("flag"), "flag", ROWS["flag"].cast(pa.int8()).cast("float64"))
    return pa.concat_tables([pa.Table.from_pylist(rows, schema=flagged.schema), flagged])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_the_command_sets_aside_what_the_fit_has_not_seen(suffix, models, tmp_path, capsys):
    rows, path, out = with_faults(), tmp_path / f"rows.{suffix}", tmp_path / "out"
    ids = pa.array(range(len(rows)))
    rows = rows.set_column(0, "customer_id", ids)
    pq.write_table(rows, path) if suffix == "parquet" else pacsv.write_csv(rows, path)
    asked = ["--horizon", HORIZON, "--columns", "p_alive,expected_clv", "--engine", "pyarrow"]
    assert main(["score", str(path), "--model", str(models / "few"), "--out", str(out), *asked]) == 3
    assert "24 of 29 rows scored, 5 set aside" in " ".join(capsys.readouterr().out.split())
    assert [row["reason"] for row in rejected(out)] == [reason for reason, _ in FAULTS]
    expected = pc.load(models / "few").predict(summary(ROWS), HORIZON).to_pandas()[["p_alive", "expected_clv"]]
    found = scores(out).to_pandas()
    assert found["customer_id"].astype(int).tolist() == list(range(5, 29))
    pd.testing.assert_frame_equal(found[["p_alive", "expected_clv"]], expected, check_exact=True)


def test_flags_of_a_csv_file_may_be_true_and_false(models, tmp_path):
    path, plain = tmp_path / "rows.csv", tmp_path / "plain.csv"
    pacsv.write_csv(ROWS, path)
    assert "true" in path.read_text()
    as_numbers = ROWS["flag"].cast(pa.int8())
    pacsv.write_csv(ROWS.set_column(ROWS.schema.get_field_index("flag"), "flag", as_numbers), plain)
    for source in (path, plain):
        asked = ["--model", str(models / "few"), "--columns", "p_alive", "--engine", "pyarrow"]
        assert main(["score", str(source), *asked, "--out", str(tmp_path / source.stem)]) == 0
    assert scores(tmp_path / "rows").equals(scores(tmp_path / "plain"))


def test_what_is_no_covariate_is_refused(models):
    clv = pc.load(models / "many")
    with pytest.raises(DataError, match="has no column 'age'"):
        score(Scorer(clv, HORIZON), ROWS.drop_columns(["age"]))
    as_text = ROWS.set_column(ROWS.schema.get_field_index("age"), "age", ROWS["age"].cast(pa.string()))
    with pytest.raises(DataError, match="holds string values in 'age'"):
        score(Scorer(clv, HORIZON), as_text)


def test_a_transformer_is_refused():
    scaled = make_column_transformer((StandardScaler(), ["age"]))
    model = pc.BGNBD(purchase_covariates=scaled).fit(summary(described(400, seed=6)))
    with pytest.raises(TypeError, match="are a ColumnTransformer, which may look at many customers at once"):
        Scorer(model, HORIZON)
