"""A scored row is a pure function of the model, the options and that row; rows that cannot be scored are split off."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.exceptions import NotFittedError

import predclv as pc
from batch.histories import counted, extremes, fit, simulated
from predclv.batch.rows import REASONS
from predclv.batch.scorer import Scorer
from predclv.errors import DataError, HorizonWarning
from predclv.forecast import purchases, value_tables
from predclv.models import MODELS
from predclv.models.transactions import TransactionModel

KEYS = [key for key, model in MODELS.items() if issubclass(model, TransactionModel)]
ROWS = pa.concat_tables([simulated(31), extremes()])
FEW = ROWS.slice(0, 12)
HORIZON = "26 weeks"


def fitted(key: str) -> pc.CLV:
    regular = {"k": 2} if "cnbd" in key else {}
    model = MODELS[key](**regular)
    lattice = None if key == "bg_bb" else 7
    rfm = pc.datasets.simulate_rfm(key, n_customers=500, T=(0.0, 104.0), lattice=lattice, seed=3, **regular).rfm
    return fit(pc.CLV(model, pc.GammaGamma()), pa.Table.from_pandas(rfm.to_pandas().assign(kept=1.0)))


@pytest.fixture(scope="module")
def clv():
    return fitted("bg_nbd")


def cut(table: pa.Table, size: int) -> list[pa.RecordBatch]:
    """Batches of a size, each in memory of its own."""
    return [
        batch
        for start in range(0, table.num_rows, size)
        for batch in table.slice(start, size).combine_chunks().to_batches()
    ]


def score(scorer: Scorer, table: pa.Table, size: int = 1000) -> pa.Table:
    return pa.Table.from_batches(scorer.score(cut(table, size)))


@pytest.mark.parametrize("key", KEYS)
def test_no_bit_depends_on_the_rows_beside(key):
    clv, rows = fitted(key), counted(ROWS) if key == "bg_bb" else ROWS
    whole = score(Scorer(clv, HORIZON, margin="kept"), rows)
    assert whole.num_rows == rows.num_rows
    for size in (1, 7):
        assert score(Scorer(clv, HORIZON, margin="kept", block_rows=size), rows, size).equals(whole)
    # Batches of another size than what is worked at a time, and another order.
    order = np.random.default_rng(0).permutation(rows.num_rows)
    shuffled = score(Scorer(clv, HORIZON, margin="kept", block_rows=13), rows.take(order), 5)
    assert shuffled.equals(whole.take(order))


def test_opportunities_come_whole():
    clv = fitted("bg_bb")
    with pytest.raises(DataError, match="opportunities come whole"):
        Scorer(clv, "1 year")
    scorer = Scorer(clv.transactions_, HORIZON)
    scores, rest = scorer.split(ROWS)
    assert scores.num_rows + rest.num_rows == ROWS.num_rows
    assert set(rest["reason"].to_pylist()) == {"frequency, recency and T are no counts of opportunities"}
    table = ROWS.to_pandas()
    fractions = (table["T"] % 1 > 0) | (table["recency"] % 1 > 0) | (table["frequency"] > table["recency"])
    assert rest["customer_id"].to_pylist() == table.loc[fractions, "customer_id"].tolist()


def test_a_small_memory_changes_no_bit(clv, monkeypatch):
    rows = simulated(60, seed=8)
    asked = {"columns": ["clv_low", "clv_high"]}
    whole = score(Scorer(clv, HORIZON, **asked), rows)
    monkeypatch.setattr(value_tables, "_NODES", 4)
    scorer = Scorer(clv, HORIZON, **asked, table_bytes=4 << 20, block_rows=20)
    assert score(scorer, rows).equals(whole)
    assert 0 < scorer._forecasts.n_bytes <= 4 << 20


@pytest.mark.parametrize("estimate", [None, "draws"])
def test_as_predict(clv, estimate):
    rfm = pc.RFMSummary.from_frame(FEW, time_unit="week", carry=["kept"])
    expected = clv.predict(rfm, HORIZON, discount_rate=0.2, margin="kept", level=0.8, estimate=estimate)
    scorer = Scorer(clv, HORIZON, discount_rate=0.2, margin="kept", level=0.8, estimate=estimate)
    pd.testing.assert_frame_equal(score(scorer, FEW).to_pandas(), expected.to_pandas(), check_exact=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning")
def test_an_infinite_horizon(clv):
    rows = extremes().slice(0, 1)
    scored = score(Scorer(clv, math.inf), rows)
    expected = clv.predict(pc.RFMSummary.from_frame(rows, time_unit="week"), math.inf)
    pd.testing.assert_frame_equal(scored.to_pandas(), expected.to_pandas(), check_exact=True)
    assert scored.schema.field("purchases_low").type == pa.float64()


def test_transactions_alone(clv):
    bg = clv.transactions_
    scored = score(Scorer(bg, HORIZON), FEW.drop_columns(["monetary_value", "kept"]))
    expected = bg.predict(pc.RFMSummary.from_frame(FEW, time_unit="week"), HORIZON)
    pd.testing.assert_frame_equal(scored.to_pandas(), expected.to_pandas(), check_exact=True)
    with pytest.raises(ValueError, match="must be finite"):
        Scorer(bg, math.inf)


@pytest.mark.parametrize(
    "columns", [["p_alive"], ["expected_clv", "p_purchase"], ["clv_high"], ["expected_clv_low", "expected_spend"]]
)
def test_columns_are_those_asked_for_and_no_different(clv, columns):
    whole = score(Scorer(clv, HORIZON), FEW)
    scorer = Scorer(clv, HORIZON, columns=columns)
    some = score(scorer, FEW)
    assert some.column_names == ["customer_id", *(name for name in whole.column_names if name in columns)]
    assert some.equals(whole.select(some.column_names))
    assert ("monetary_value" in scorer.input_columns) == (columns != ["p_alive"])


def test_point_columns_alone_cost_no_interval(clv, monkeypatch):
    monkeypatch.setattr(value_tables.ValueTables, "quantiles", None)
    scored = score(Scorer(clv, HORIZON, columns=["expected_clv", "expected_purchases"]), ROWS)
    assert scored.num_rows == ROWS.num_rows


def test_schema(clv):
    scorer = Scorer(clv, HORIZON)
    rows = FEW.set_column(0, "customer_id", FEW["customer_id"].cast(pa.string()))
    scored = score(scorer, rows)
    assert scored.schema == scorer.schema_for(rows.schema)
    assert scored.schema.field("customer_id").type == pa.string()
    assert scored.drop_columns(["customer_id"]).schema == scorer.schema
    assert scorer.input_columns == ("customer_id", "frequency", "recency", "T", "monetary_value")


# Rows that cannot be scored

BAD = [
    ("customer_id is null", {"customer_id": None}),
    ("frequency is null or not finite", {"frequency": None}),
    ("frequency is null or not finite", {"frequency": math.inf}),
    ("frequency is negative", {"frequency": -1.0}),
    ("frequency is no whole number", {"frequency": 1.5}),
    ("frequency is above 100,000", {"frequency": 1e6}),
    ("recency is null or not finite", {"recency": math.nan}),
    ("recency is negative", {"recency": -0.1}),
    ("T is null or not finite", {"T": math.inf}),
    ("T is negative", {"T": -1.0}),
    ("T is above 10,000,000", {"T": 1e308}),
    ("recency exceeds T", {"recency": 31.0}),
    ("recency is above 0 where frequency is 0", {"frequency": 0.0}),
    ("monetary_value is null or not finite where frequency is above 0", {"monetary_value": None}),
    ("monetary_value is negative where frequency is above 0", {"monetary_value": -5.0}),
    ("margin is null or not finite", {"kept": None}),
    ("margin is not between 0 and 1", {"kept": 1.2}),
]
GOOD = {"customer_id": "a", "frequency": 2.0, "recency": 10.0, "T": 30.0, "monetary_value": 20.0, "kept": 0.5}


def with_faults() -> pa.Table:
    types = {name: pa.string() if name == "customer_id" else pa.float64() for name in GOOD}
    rows = [GOOD, *({**GOOD, "customer_id": f"b{i}", **fault} for i, (_, fault) in enumerate(BAD)), GOOD]
    return pa.Table.from_pylist(rows, schema=pa.schema(types.items()))


def test_rows_that_cannot_be_scored_are_split_off_with_a_reason(clv):
    rows, bad = with_faults(), []
    scorer = Scorer(clv, HORIZON, margin="kept", block_rows=5)
    scored = pa.Table.from_batches(scorer.score(rows.to_batches(), bad.append))
    rest = pa.concat_tables(bad)
    # Both good rows, one customer twice: a row says nothing of others.
    assert scored["customer_id"].to_pylist() == ["a", "a"]
    assert scored.slice(0, 1).equals(scored.slice(1, 1))
    assert rest["reason"].to_pylist() == [reason for reason, _ in BAD]
    pd.testing.assert_frame_equal(rest.drop_columns(["reason"]).to_pandas(), rows.slice(1, len(BAD)).to_pandas())
    assert scorer.n_scored == 2
    assert sum(scorer.rejected.values()) == len(BAD)
    assert scorer.rejected["frequency is null or not finite"] == 2
    assert {reason for reason, _ in BAD} <= set(REASONS)


def test_without_a_place_for_them_they_are_an_error(clv):
    with pytest.raises(DataError, match=r"17 of 19 rows cannot be scored, for 16 reasons in all"):
        list(Scorer(clv, HORIZON, margin="kept").score(with_faults().to_batches()))


def test_what_says_nothing_of_a_row_is_no_fault(clv):
    # One-time buyers need no spend; rounding may put recency above T; a column nobody reads may hold anything.
    rows = pa.table(
        {
            "customer_id": [1, 2],
            "frequency": [0, 3],
            "recency": [0.0, 30.0 + 1e-9],
            "T": [30.0, 30.0],
            "monetary_value": [None, 20.0],
            "other": [None, "x"],
        }
    )
    scored = score(Scorer(clv, HORIZON), rows)
    assert np.isfinite(scored["clv_high"].to_numpy()).all()


def test_a_count_beyond_bounds_is_split_off_by_itself(clv, monkeypatch):
    asked = {"columns": ["purchases_high", "p_alive"]}
    whole = score(Scorer(clv, "1 year", **asked), ROWS).to_pandas()
    monkeypatch.setattr(purchases, "_MOST_PURCHASES", 100)
    bad: list[pa.Table] = []
    scored = pa.Table.from_batches(Scorer(clv, "1 year", **asked).score(ROWS.to_batches(), bad.append))
    (rest,) = bad
    assert rest["reason"].to_pylist() == ["the forecast is not a number"] * rest.num_rows
    assert 300 in rest["frequency"].to_pylist()
    assert scored.num_rows + rest.num_rows == ROWS.num_rows
    left = whole[whole["customer_id"].isin(scored["customer_id"].to_pylist())].reset_index(drop=True)
    pd.testing.assert_frame_equal(scored.to_pandas(), left, check_exact=True)


def test_segments(tmp_path):
    table = simulated(600, seed=4)
    shop = pa.array(np.where(np.arange(600) % 3 == 0, "shop", "web"))
    rfm = pc.RFMSummary.from_frame(table.append_column("channel", shop), time_unit="week", carry=["channel"])
    model = pc.BGNBD(method="map", segment="channel").fit(rfm)
    model.save(tmp_path / "model")
    rows = table.append_column("channel", pa.array(["tv", None, *shop.to_pylist()[2:]]).dictionary_encode())
    bad: list[pa.Table] = []
    scorer = Scorer(pc.load(tmp_path / "model"), HORIZON, columns=["p_alive", "purchases_high"], block_rows=100)
    scored = pa.Table.from_batches(scorer.score(rows.to_batches(), bad.append))
    assert bad[0]["reason"].to_pylist() == ["segment is unknown to the model", "segment is null"]
    expected = model.predict(rfm, HORIZON).to_pandas().iloc[2:].reset_index(drop=True)
    columns = ["customer_id", "p_alive", "purchases_high"]
    pd.testing.assert_frame_equal(scored.to_pandas(), expected[columns], check_exact=True)
    assert scorer.input_columns[-1] == "channel"


# Refusals


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["recency"]), "the input has no column 'recency'"),
        (lambda t: t.append_column("T", t["T"]), "has 2 columns 'T'"),
        (
            lambda t: t.set_column(1, "frequency", t["frequency"].cast(pa.string())),
            "holds string values in 'frequency'",
        ),
        (lambda t: t.set_column(0, "customer_id", pa.array([[1]] * len(t))), "nested values in 'customer_id'"),
    ],
)
def test_columns_that_are_none(clv, change, said):
    with pytest.raises(DataError, match=said):
        score(Scorer(clv, HORIZON), change(ROWS))


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"columns": ["clv"]}, ValueError, "'clv' is no column of the forecast. Did you mean 'clv_low'"),
        ({"columns": "p_alive"}, ValueError, "must be a list"),
        ({"columns": ["customer_id"]}, ValueError, "names nothing"),
        ({"level": 95}, ValueError, "did you mean 0.95"),
        ({"margin": 2.0}, ValueError, "at most 1"),
        ({"estimate": "mean"}, ValueError, "'estimate' must be"),
        ({"discount_rate": -1}, ValueError, "'discount_rate' must be"),
        ({"block_rows": 0}, ValueError, "'block_rows' must be"),
        ({"table_bytes": 1e9}, ValueError, "'table_bytes' must be"),
        ({"horizon": "2 monts"}, DataError, "monts"),
    ],
)
def test_options_that_mean_nothing(clv, options, error, said):
    with pytest.raises(error, match=said):
        Scorer(clv, **{"horizon": HORIZON, **options})


def test_models_that_are_none(clv):
    with pytest.raises(TypeError, match="must be a fitted CLV, transaction or contract model"):
        Scorer(clv.spend_, HORIZON)
    with pytest.raises(NotFittedError):
        Scorer(pc.SBG(), HORIZON)


def test_a_horizon_beyond_the_data_is_said_once(clv):
    with pytest.warns(HorizonWarning) as said:
        score(Scorer(clv, "5 years", columns=["p_alive"], block_rows=10), ROWS)
    assert len(said) == 1
