"""Scores of contracts: those of `predict`, row by row, whatever the batches; and what is set aside."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predclv as pc
from predclv.batch import Scorer
from predclv.cli import main
from predclv.errors import DataError, HorizonWarning


@pytest.fixture(scope="module")
def subs():
    log = pc.datasets.simulate_subscriptions("bdw", n_customers=1_500, seed=3).log
    log["plan"] = np.where(log["customer_id"] % 3 == 0, "plus", "basic")
    log["kept"] = np.where(log["plan"] == "plus", 0.8, 0.5)
    return pc.Subscriptions.from_log(log, price="price", observation_end="2024-12-31", carry=["plan", "kept"])


@pytest.fixture(scope="module")
def table(subs):
    return pa.Table.from_pandas(subs.to_pandas(), preserve_index=False)


@pytest.fixture(scope="module")
def clv(subs):
    return pc.CLV(pc.BDW()).fit(subs)


def scored(scorer, table, quarantine=None) -> pd.DataFrame:
    batches = list(scorer.score(table.to_batches(), quarantine))
    return pa.Table.from_batches(batches, scorer.schema_for(table.schema)).to_pandas()


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize("horizon", ["12 months", "2025-08-15", math.inf])
def test_the_scores_are_those_of_predict(clv, subs, table, horizon):
    scorer = Scorer(clv, horizon, margin="kept", observation_end=subs.observation_end)
    found = scored(scorer, table)
    pd.testing.assert_frame_equal(found, clv.predict(subs, horizon, margin="kept"), check_exact=True)
    assert (scorer.n_scored, scorer.n_outside) == (1_500, 0)
    assert scorer.input_columns == ("customer_id", "tenure", "ended", "next_renewal", "price", "kept")
    assert scorer.time_unit == "month"


@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
@pytest.mark.parametrize("horizon", [7.5, math.inf])
def test_a_row_is_scored_by_itself(clv, table, horizon):
    """Bit for bit, whatever is beside it, in whatever order, and in blocks of whatever size."""
    whole = scored(Scorer(clv, horizon), table)
    order = np.random.default_rng(1).permutation(len(whole))
    for block_rows in (1, 7, 640):
        some = order[: 60 if block_rows == 1 else None]
        found = scored(Scorer(clv, horizon, block_rows=block_rows), table.take(some))
        pd.testing.assert_frame_equal(found, whole.iloc[some].reset_index(drop=True), check_exact=True)


def test_only_what_is_asked_for(clv, subs, table):
    whole = clv.predict(subs, "6 months")
    for columns in (["p_alive"], ["purchases_high", "p_purchase"], ["expected_clv", "p_alive"]):
        found = scored(Scorer(clv, "6 months", columns=columns), table)
        assert set(found) == {"customer_id", *columns}
        pd.testing.assert_frame_equal(found, whole[list(found)], check_exact=True)
    # No price is read where no value is asked for.
    assert "price" not in Scorer(clv, columns=["p_purchase"]).input_columns


def test_a_model_alone_and_one_with_segments(clv, subs, table):
    alone = scored(Scorer(clv.transactions_, "6 months"), table)
    pd.testing.assert_frame_equal(alone, clv.transactions_.predict(subs, "6 months"), check_exact=True)
    with pytest.raises(ValueError, match="horizon must be finite"):
        Scorer(clv.transactions_, math.inf)
    parted = pc.CLV(pc.SBG(method="map", segment="plan")).fit(subs)
    scorer = Scorer(parted, "6 months")
    assert scorer.input_columns[-1] == "plan"
    found = scored(scorer, table)
    pd.testing.assert_frame_equal(found, parted.predict(subs, "6 months"), check_exact=True)
    rest = []
    plan = pa.array(["gold", None, *table["plan"].to_pylist()[2:]])
    scored(scorer, table.set_column(table.schema.get_field_index("plan"), "plan", plan), rest.append)
    assert rest[0]["reason"].to_pylist() == ["segment is unknown to the model", "segment is null"]


BAD = {
    "tenure is null or not finite": {"tenure": None},
    "tenure is negative": {"tenure": -1.0},
    "tenure is no whole number": {"tenure": 1.5},
    "tenure is above 100,000": {"tenure": 1e6},
    "ended is neither true nor false": {"ended": None},
    "next_renewal of a running contract is not above 0 and at most 1": {"next_renewal": 0.0},
    "price is null, negative or not finite": {"price": math.inf},
    "margin is not between 0 and 1": {"kept": 1.2},
    "customer_id is null": {"customer_id": None},
}


def test_what_cannot_be_scored_is_set_aside_with_the_reason(clv, table):
    good = {"customer_id": 7, "tenure": 3.0, "ended": False, "next_renewal": 0.5, "price": 9.0, "kept": 0.5}
    over = {**good, "ended": True, "next_renewal": None}
    rows = pa.Table.from_pylist([good, over, *({**good, **bad} for bad in BAD.values())])
    scorer, rest = Scorer(clv, "6 months", margin="kept"), []
    found = scored(scorer, rows, rest.append)
    assert len(found) == 2
    assert found["expected_clv"].tolist()[1] == 0
    assert rest[0]["reason"].to_pylist() == list(BAD)
    assert rest[0].drop_columns("reason").equals(rows.slice(2))
    assert scorer.rejected == dict.fromkeys(BAD, 1)
    with pytest.raises(DataError, match="9 of 11 rows cannot be scored, for 9 reasons"):
        scored(Scorer(clv, "6 months", margin="kept"), rows)
    with pytest.raises(DataError, match="has no column 'tenure'"):
        scored(scorer, rows.drop_columns("tenure"))
    far = pa.Table.from_pylist([{**good, "tenure": 80.0}])
    scored(scorer, far)
    assert scorer.n_outside == 1


@pytest.mark.parametrize("engine", ["duckdb", "pyarrow"])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_the_command_scores_a_table_of_contracts(clv, subs, engine, kind, tmp_path, capsys):
    # A customer who came back has two rows, and both are scored.
    again = replace(subs, customer_id=np.r_[subs.customer_id[:-1], subs.customer_id[0]])
    frame = again.to_pandas()
    frame.to_csv(tmp_path / "t.csv", index=False) if kind == "csv" else frame.to_parquet(tmp_path / "t.parquet")
    clv.save(tmp_path / "model")
    job = ["score", str(tmp_path / f"t.{kind}"), "--model", str(tmp_path / "model"), "--horizon", "12 months"]
    job += ["--margin", "kept", "--engine", engine, "--partitions", "3", "--out", str(tmp_path / "scores"), "-q"]
    assert main(job) == 0
    found = pd.read_parquet(tmp_path / "scores")
    expected = clv.predict(again, "12 months", margin="kept")
    if kind == "csv":
        expected["customer_id"] = expected["customer_id"].astype(str)
    pd.testing.assert_frame_equal(found, expected, check_exact=kind == "parquet", rtol=1e-12)
    # Begun with --resume, a finished job is left as it is.
    assert main([*job, "--resume"]) == 0


def test_another_period_is_refused(clv, subs, tmp_path, capsys):
    clv.save(tmp_path / "model")
    units = {b"predclv": b'{"period": "year"}'}
    table = pa.Table.from_pandas(subs.to_pandas(), preserve_index=False).replace_schema_metadata(units)
    pq.write_table(table, tmp_path / "t.parquet")
    job = ["score", str(tmp_path / "t.parquet"), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "s")]
    assert main(job) == 2
    assert "Summarise with --period month" in capsys.readouterr().err


def test_an_endless_horizon_needs_a_rate(clv):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HorizonWarning)
        with pytest.raises(ValueError, match="discount rate above 0"):
            Scorer(clv, math.inf, discount_rate=0.0)
    with pytest.raises(DataError, match="soon"):
        Scorer(clv, "soon")
