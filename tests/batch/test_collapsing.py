"""Tables of customers collapsed in their engine: fits are those on all customers, and what is wrong is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import predclv as pc
from predclv.batch import Scorer, collapse_customers, parse_memory
from predclv.errors import CoarseningWarning, DataError, PredCLVWarning

# Of these data, and of as few customers: nothing that is tested here.
pytestmark = [
    pytest.mark.filterwarnings("ignore::predclv.errors.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning"),
]
HISTORY = ["frequency", "recency", "T"]


def customers(key: str = "bg_nbd", n: int = 3_000, seed: int = 7, **settings: Any) -> pd.DataFrame:
    """A table of customers with ids, money in cents and three channels."""
    table = pc.datasets.simulate_rfm(
        key, n_customers=n, T=(0.0, 78.0), lattice=7, seed=seed, **settings
    ).rfm.to_pandas()
    table["monetary_value"] = np.where(table["frequency"] > 0, np.maximum(table["monetary_value"].round(1), 0.1), 0.0)
    table["channel"] = np.array(["shop", "web", 'o\'hare "x"'])[np.arange(n) % 3]
    return table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return customers()


@pytest.fixture(scope="module")
def places(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One table in every form that there is."""
    folder = tmp_path_factory.mktemp("tables")
    table.to_csv(folder / "all.csv", index=False)
    table.to_parquet(folder / "all.parquet", index=False)
    parts = folder / "parts"
    parts.mkdir()
    table[:1000].to_parquet(parts / "a.parquet", index=False)
    table[1000:].to_parquet(parts / "b.parquet", index=False)
    with duckdb.connect(str(folder / "all.duckdb")) as connection:
        connection.execute("CREATE TABLE customers AS SELECT * FROM read_parquet(?)", [str(folder / "all.parquet")])
    connection = duckdb.connect()
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    return {
        "parquet": folder / "all.parquet",
        "folder": str(parts),
        "csv": folder / "all.csv",
        "duckdb": f"{folder / 'all.duckdb'}::customers",
        "relation": connection.from_arrow(arrow),
        "pandas": table,
        "polars": pl.from_arrow(arrow),
        "polars, lazy": pl.from_arrow(arrow).lazy(),
        "pyarrow": arrow,
    }


FORMS = ("parquet", "folder", "csv", "duckdb", "relation", "pandas", "polars", "polars, lazy", "pyarrow")


class TestRows:
    @pytest.mark.parametrize("form", FORMS)
    def test_every_engine_gives_the_same(self, form: str, table: pd.DataFrame, places: dict[str, Any]) -> None:
        rfm = collapse_customers(places[form], by=["channel"], time_unit="week")
        found = rfm.to_pandas()
        for columns in (HISTORY, ["frequency", "monetary_value"]):
            kept = ["channel", *columns]
            wanted = table.groupby(kept).size()
            pd.testing.assert_series_equal(
                found.groupby(kept)["weight"].sum(), wanted, check_names=False, check_exact=True, check_index_type=False
            )
        distinct = (
            table.groupby(["channel", *HISTORY]).ngroups
            + table.groupby(["channel", "frequency", "monetary_value"]).ngroups
        )
        assert len(rfm) <= distinct
        pd.testing.assert_frame_equal(
            found, collapse_customers(table, by=["channel"], time_unit="week").to_pandas(), check_dtype=False
        )

    def test_what_is_collapsed_can_be_collapsed_again(self, table: pd.DataFrame) -> None:
        once = collapse_customers(table, by=["channel"], time_unit="week")
        again = collapse_customers(once.to_pandas().drop(columns="customer_id"), by=["channel"], time_unit="week")
        pd.testing.assert_frame_equal(once.to_pandas(), again.to_pandas())

    def test_what_is_missing_is_apart(self, table: pd.DataFrame, tmp_path: Path) -> None:
        rows = table.assign(channel=table["channel"].where(np.arange(len(table)) % 7 > 0), n=np.arange(len(table)) % 2)
        rows.to_parquet(tmp_path / "a.parquet")
        rfm = collapse_customers(tmp_path / "a.parquet", by=["channel", "n"], time_unit="week")
        missing = pd.isna(rfm.carried["channel"])
        assert rfm.weight[missing].sum() == rows["channel"].isna().sum()
        assert rfm.weight[rfm.carried["n"] == 1].sum() == (rows["n"] == 1).sum()

    def test_one_time_buyers_need_no_spend(self, table: pd.DataFrame, tmp_path: Path) -> None:
        once = table["frequency"] == 0
        wanted = collapse_customers(table, time_unit="week").to_pandas()
        for nothing in (None, np.nan, 12.5):
            arrow = pa.Table.from_pandas(table.drop(columns="monetary_value"), preserve_index=False)
            spend = [nothing if o else m for o, m in zip(once, table["monetary_value"], strict=True)]
            pq.write_table(arrow.append_column("monetary_value", pa.array(spend, pa.float64())), tmp_path / "a.parquet")
            rfm = collapse_customers(tmp_path / "a.parquet", time_unit="week")
            pd.testing.assert_frame_equal(rfm.to_pandas(), wanted)

    def test_without_spend_rows_are_histories(self, table: pd.DataFrame) -> None:
        rfm = collapse_customers(table, time_unit="week", spend=False)
        assert rfm.monetary_value is None
        assert not rfm.spend_apart
        assert len(rfm) == table.groupby(HISTORY).ngroups
        assert rfm.quality.loc[0, ["count", "total"]].tolist() == [len(rfm), len(table)]

    def test_forecasts_of_value_are_refused_and_others_not(self, table: pd.DataFrame) -> None:
        rfm = collapse_customers(table, time_unit="week")
        clv = pc.CLV().fit(rfm)
        for refused in (lambda: clv.predict(rfm, 10.0), lambda: clv.portfolio(rfm.expand(), 10.0)):
            with pytest.raises(DataError, match="keeps them apart"):
                refused()
        assert len(clv.transactions_.predict(rfm, 10.0)) == len(rfm)


def alike(one: Any, other: Any) -> None:
    """Two fits say the same."""
    for mine, theirs in zip([one, *one.segments_.values()], [other, *other.segments_.values()], strict=True):
        a, b = mine.posterior_.diagnostics, theirs.posterior_.diagnostics
        if "log_likelihood" in a:
            assert a["log_likelihood"] == pytest.approx(b["log_likelihood"], rel=1e-9)
        np.testing.assert_allclose(mine.posterior_.point_array, theirs.posterior_.point_array, rtol=1e-8)
        if mine.method == "mle":
            errors = [one.posterior_.summary()["std_error"] for one in (mine, theirs)]
            np.testing.assert_allclose(*errors, rtol=1e-6)
        assert mine.fingerprint_ == theirs.fingerprint_


class TestFits:
    @pytest.mark.parametrize("key", ["nbd", "bg_nbd", "mbg_nbd", "pareto_nbd", "bg_cnbd", "mbg_cnbd"])
    def test_a_fit_is_that_on_all_customers(self, key: str, tmp_path: Path) -> None:
        table = customers(key)
        table.to_parquet(tmp_path / "a.parquet")
        full = pc.RFMSummary.from_frame(table, time_unit="week")
        rfm = collapse_customers(tmp_path / "a.parquet", time_unit="week")
        assert len(rfm) < 0.9 * len(table)
        alike(pc.MODELS[key]().fit(rfm), pc.MODELS[key]().fit(full))
        alike(pc.GammaGamma().fit(rfm), pc.GammaGamma().fit(full))
        if "cnbd" in key:
            # The choice of k goes by it, and so does this.
            assert rfm.regularity().k == pytest.approx(full.regularity().k, rel=1e-9)

    def test_of_opportunities(self, tmp_path: Path) -> None:
        rfm = pc.datasets.simulate_rfm("bg_bb", n_customers=2_000, T=(0.0, 8.0), time_unit="year", seed=2).rfm
        rfm.to_pandas().to_parquet(tmp_path / "a.parquet")
        found = collapse_customers(tmp_path / "a.parquet", opportunities="year")
        assert found.opportunities == "year"
        alike(pc.BGBB().fit(found), pc.BGBB().fit(rfm))

    def test_of_segments_and_covariates(self, table: pd.DataFrame, places: dict[str, Any]) -> None:
        full = pc.RFMSummary.from_frame(table, time_unit="week", carry=["channel"])
        rfm = collapse_customers(places["duckdb"], by=["channel"], time_unit="week")
        settings: dict[str, Any] = {"purchase_covariates": ["channel"], "dropout_covariates": ["channel"]}
        alike(pc.BGNBD(**settings).fit(rfm), pc.BGNBD(**settings).fit(full))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PredCLVWarning)
            alike(*(pc.MBGNBD("map", segment="channel").fit(one) for one in (rfm, full)))

    def test_buyers_without_spend_are_counted(self, table: pd.DataFrame) -> None:
        rows = table.copy()
        rows.loc[np.flatnonzero(rows["frequency"] > 0)[:40], "monetary_value"] = 0.0
        fits = [
            pc.GammaGamma().fit(rfm)
            for rfm in (
                collapse_customers(rows, time_unit="week"),
                pc.RFMSummary.from_frame(rows, time_unit="week"),
                collapse_customers(rows, time_unit="week", spend_step=0.01),
            )
        ]
        alike(*fits[:2])
        assert [fit.n_left_out_ for fit in fits] == [40] * 3

    def test_what_was_fitted_so_scores_as_any(self, table: pd.DataFrame, tmp_path: Path) -> None:
        rows = pa.Table.from_pandas(table, preserve_index=False)
        scores = []
        for name, rfm in (
            ("few", collapse_customers(table, time_unit="week")),
            ("all", pc.RFMSummary.from_frame(table, time_unit="week")),
        ):
            pc.CLV().fit(rfm).save(tmp_path / name)
            batches = Scorer(pc.load(tmp_path / name), horizon=26.0).score(rows.to_batches())
            scores.append(pa.Table.from_batches(batches).to_pandas())
        pd.testing.assert_frame_equal(*scores, rtol=1e-6)


class TestCells:
    @pytest.mark.parametrize("form", ["parquet", "pandas", "polars, lazy"])
    def test_customers_stay_whole(self, form: str, table: pd.DataFrame, places: dict[str, Any]) -> None:
        with pytest.warns(CoarseningWarning, match=r"histories stand in .*time_step=\S+ weeks.* and .* mean spends"):
            rfm = collapse_customers(places[form], time_unit="week", max_rows=400)
        assert len(rfm) <= 400
        assert rfm.n_customers == len(table)
        assert rfm.n_repeat_buyers == (table["frequency"] > 0).sum()
        assert (rfm.recency >= 0).all()
        assert (rfm.recency <= rfm.T).all()
        assert (rfm.recency[rfm.frequency == 0] == 0).all()
        assert (rfm.recency[rfm.frequency > 0] > 0).all()
        for name in ("frequency", "recency", "T"):
            assert np.average(getattr(rfm, name), weights=rfm.weight) == pytest.approx(table[name].mean(), rel=1e-12)
        repeat = table["monetary_value"] > 0
        logs = np.log(rfm.monetary_value[rfm.frequency > 0])
        assert np.average(logs, weights=rfm.weight[rfm.frequency > 0]) == pytest.approx(
            np.log(table.loc[repeat, "monetary_value"]).mean(), rel=1e-12
        )
        assert rfm.quality["what"].tolist() == [
            "rows for customers",
            "distinct histories",
            "cells of histories",
            "distinct mean spends",
            "cells of mean spends",
        ]

    def test_rows_are_what_the_memory_holds(self, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
        assert 1_900_000 < parse_memory("1GB").collapsed_rows < 2_200_000
        monkeypatch.setattr("predclv.batch.memory._PER_COLLAPSED_ROW", 1_000_000)
        with pytest.warns(CoarseningWarning, match="Or give more memory"):
            rfm = collapse_customers(table, time_unit="week", memory_limit="1GiB")
        assert len(rfm) <= (664 << 20) // 1_000_000

    def test_steps_that_are_asked_for_say_nothing(self, table: pd.DataFrame) -> None:
        rfm = collapse_customers(table, time_unit="week", time_step="4 days", spend_step=0.02)
        assert "width: 0.5714" in rfm.quality.loc[2, "note"]
        narrow, wide = (len(collapse_customers(table, time_unit="week", time_step=step)) for step in (0.5, 2.0))
        assert wide < narrow < len(collapse_customers(table, time_unit="week"))

    def test_spend_in_cells_is_bounded(self, table: pd.DataFrame) -> None:
        """The coarse log-likelihood is the larger, by at most step^2 / 32 times the sum of p x + q."""
        full = pc.RFMSummary.from_frame(table, time_unit="week")
        bound = pc.GammaGamma()._likelihood(full)
        for step in (0.5, 0.1, 0.01):
            coarse = pc.GammaGamma()._likelihood(collapse_customers(table, time_unit="week", spend_step=step))
            assert coarse.n_observations == bound.n_observations
            for p, q, gamma in ((6.25, 3.74, 15.44), (0.2, 8.0, 300.0), (40.0, 1.2, 0.5)):
                theta = np.array([p, q, gamma])
                most = step**2 / 32.0 * float(bound.weight @ (p * bound.rows["frequency"] + q))
                excess = coarse.evaluate(theta)[0] - bound.evaluate(theta)[0]
                assert -1e-7 < excess < most
                assert step < 0.1 or excess > most / 500.0

    @pytest.mark.parametrize("key", ["bg_nbd", "pareto_nbd", "mbg_cnbd"])
    def test_the_shift_is_a_third_of_the_difference(self, key: str) -> None:
        """To second order in the step: twice the step moves an estimate four times as far."""
        settings = {"k": 2} if key == "mbg_cnbd" else {}
        table = customers(key, n=60_000)
        full, narrow, wide = (
            pc.MODELS[key](**settings).fit(collapse_customers(table, time_unit="week", spend=False, time_step=step))
            for step in (None, "10 days", "20 days")
        )
        error = full.summary["std_error"].to_numpy()
        at, near, far = (one.posterior_.point_array for one in (full, narrow, wide))
        moved = (near - at) / error
        assert np.abs(moved).max() > 0.2
        np.testing.assert_allclose((far - near) / 3.0 / error, moved, atol=0.35 * np.abs(moved).max())

    def test_cdnow_hardly_moves(self) -> None:
        rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), observation_end="1997-09-30")
        table = rfm.to_pandas()
        for model in (pc.BGNBD(), pc.ParetoNBD()):
            full = model.fit(rfm)
            at, error = full.posterior_.point_array, full.summary["std_error"].to_numpy()
            for step, most in (("1 day", 0.003), ("7 days", 0.12)):
                coarse = collapse_customers(table, time_unit="week", spend=False, time_step=step)
                moved = np.abs(model.fit(coarse).posterior_.point_array - at) / error
                assert moved.max() < most

    def test_gaps_of_cells_are_gaps(self) -> None:
        table = customers("mbg_cnbd")
        rfm = collapse_customers(table, time_unit="week", time_step="20 days", spend=False)
        assert rfm.weight @ rfm.log_itt == pytest.approx(table["log_itt"].sum(), rel=1e-12)

    def test_cells_have_their_limits(self, table: pd.DataFrame) -> None:
        with pytest.raises(DataError, match=r"more than max_rows=20, even in cells\. Keep fewer"):
            collapse_customers(table, time_unit="week", max_rows=20)
        counted = pc.datasets.simulate_rfm("bg_bb", n_customers=500, T=(0.0, 8.0), time_unit="year", seed=2).rfm
        with pytest.raises(DataError, match=r"no cells can merge(, \d+ mean spends)?, and max_rows"):
            collapse_customers(counted.to_pandas(), opportunities="year", max_rows=30)
        with pytest.raises(DataError, match="opportunities are counted"):
            collapse_customers(counted.to_pandas(), opportunities="year", time_step=2)
