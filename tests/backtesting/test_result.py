"""The result: its tables as files, whole or not at all, and how it shows itself."""

from __future__ import annotations

import dataclasses
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

import predclv as pc
from predclv.backtesting import Backtest, Counts, Forecast, costs

SIM = pc.datasets.simulate(n_customers=120, births="26 weeks", observed="39 weeks", holdout="13 weeks", seed=6)
TABLES = [
    "customers",
    "deciles",
    "forecasts",
    "gains",
    "pit",
    "recalibrations",
    "reliability",
    "runs",
    "scores",
    "totals",
]
TABLES += ["tracks", "weights"]


class PoissonRate:
    def __init__(self, factor):
        self.factor = factor

    def fit(self, rfm, log):
        return self

    def predict(self, rfm, log, horizon):
        mean = self.factor * (rfm.frequency + 0.3) / (rfm.T + 2) * horizon
        return Forecast(mean, Counts.poisson(mean), totals={"purchases": np.full(9, mean.sum())})


class Broken(PoissonRate):
    def fit(self, rfm, log):
        raise ValueError


def run(**options):
    asked = {
        "cutoffs": ["2024-08-01", "2024-09-29"],
        "horizons": ["4 weeks", "8 weeks"],
        "reference": "<naive>",
        **options,
    }
    methods = {"<naive>": "naive", "own": PoissonRate(1.0), "more": PoissonRate(2.0), "broken": Broken(1.0)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "_give_back", lambda: None)
        return pc.backtest(
            SIM.log,
            methods=methods,
            observation_end=SIM.end,
            progressbar=False,
            n_bootstrap=20,
            amount="amount",
            **asked,
        )


@pytest.fixture(scope="module")
def result():
    return run(recalibrate="pit", combine=True)


@pytest.fixture(scope="module")
def plain():
    return run(cutoffs=["2024-09-29"])


def test_it_says_in_a_line_what_it_is(result, plain):
    assert repr(result) == (
        "<Backtest: 7 methods at 2 cut-offs (2024-08-01 to 2024-09-29), horizons 4 weeks, 8 weeks; of 8 runs 2 failed>"
    )
    assert repr(plain) == (
        "<Backtest: 4 methods at 1 cut-off (2024-09-29), horizons 4 weeks, 8 weeks; of 4 runs 1 failed>"
    )


def test_notebooks_show_a_table_and_names_are_escaped(result):
    html = result._repr_html_()
    assert "Backtest: 7 methods" in html
    assert "Lowest CRPS of purchases, 4 weeks: " in str(result)
    assert "<table" in html
    assert "&lt;naive&gt;" in html
    assert "<naive>" not in html


def test_a_table_of_one_metric_is_in_the_order_asked_for(result):
    table = result.table()
    assert list(table.columns) == ["4 weeks", "8 weeks"]
    assert list(table.index) == ["<naive>", "own", "own_recalibrated", "more", "more_recalibrated", "combination"]
    scores = result.scores.query("cutoff == 'all' and by == 'all' and metric == 'mae' and quantity == 'value'")
    mae = result.table("mae", "value")
    for row in scores.to_dict("records"):
        assert mae.loc[row["method"], row["horizon"]] == row["value"]
    assert result.table("no such metric").empty


@pytest.mark.parametrize("which", ["result", "plain"])
def test_files_read_back_equal(which, request, tmp_path):
    result = request.getfixturevalue(which)
    result.to_parquet(tmp_path / "found")
    assert sorted(path.stem for path in (tmp_path / "found").glob("*.parquet")) == sorted(TABLES)
    for name in TABLES:
        read = pd.read_parquet(tmp_path / "found" / f"{name}.parquet")
        pd.testing.assert_frame_equal(read, getattr(result, name), check_dtype=False, check_column_type=False)
    manifest = json.loads((tmp_path / "found" / "backtest.json").read_text(encoding="utf-8"))
    assert manifest["settings"] == json.loads(json.dumps(result.settings))
    assert manifest["files"] == sorted(f"{name}.parquet" for name in TABLES)
    assert [path.name for path in tmp_path.iterdir()] == ["found"]


def test_forecasts_alone_are_one_file(result, tmp_path):
    result.write_forecasts(tmp_path / "deep" / "f.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "deep" / "f.parquet"), result.forecasts)


def test_a_folder_of_its_own_is_replaced_and_another_is_not(plain, tmp_path):
    folder = tmp_path / "found"
    plain.to_parquet(folder)
    (folder / "scores.parquet").write_bytes(b"old")
    plain.to_parquet(folder)
    assert len(pd.read_parquet(folder / "scores.parquet")) == len(plain.scores)
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"holds 1 entries that predclv did not write .*thesis\.docx"):
        plain.to_parquet(folder)
    assert (folder / "thesis.docx").read_text() == "years of work"


def test_a_write_that_fails_leaves_what_was_there(plain, tmp_path, monkeypatch):
    folder, file = tmp_path / "found", tmp_path / "f.parquet"
    plain.to_parquet(folder)
    plain.write_forecasts(file)
    before = {path.name: path.read_bytes() for path in [*folder.iterdir(), file]}
    real = pd.DataFrame.to_parquet

    def fail(frame, path, **options):
        real(frame.head(3), path, **options)
        if "track" in str(path) or str(path).endswith(".tmp.parquet"):
            raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    for write in (lambda: plain.to_parquet(folder), lambda: plain.to_parquet(tmp_path / "new")):
        with pytest.raises(OSError, match="disk full"):
            write()
    with pytest.raises(OSError, match="disk full"):
        plain.write_forecasts(file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.parquet", "found"]
    assert {path.name: path.read_bytes() for path in [*folder.iterdir(), file]} == before


PLOTS = [name for name in vars(Backtest) if name.startswith("plot_")]


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_is_drawn_where_asked(name, result):
    drawn = getattr(result, name)()
    assert isinstance(drawn, Axes)
    _, ax = plt.subplots()
    assert getattr(result, name)(ax=ax) is ax
    plt.close("all")


def test_all_plots_are_there():
    expected = {"scores", "calibration", "tracking", "pit", "gains", "cost", "totals", "reliability"}
    assert set(PLOTS) == {f"plot_{name}" for name in expected}


def test_a_report_is_written(plain, tmp_path):
    pytest.importorskip("jinja2")
    plain.report(tmp_path / "r.html", title="Spring & summer")
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Spring &amp; summer" in text
    assert "<naive>" not in text


def test_intervals_of_totals_are_counted_over_cutoffs(result):
    table = result.total_coverage
    assert list(table) == ["horizon", "method", "quantity", "level", "cutoffs", "inside", "coverage"]
    # The naive method gives no interval; the others' draws are all alike, so that their interval is one number.
    assert "<naive>" not in set(table["method"])
    own = table[(table["method"] == "own") & (table["quantity"] == "purchases")]
    assert set(own["cutoffs"]) == {2}
    assert (own["inside"] == 0).all()
    assert (own["coverage"] == 0).all()
    exact = result.totals.assign(low=0.0, high=np.inf)
    everything = exact.assign(inside=pd.array([True] * len(exact), dtype="boolean"))
    assert (dataclasses.replace(result, totals=everything).total_coverage["coverage"] == 1).all()


def test_a_plot_of_odds_says_that_there_are_none():
    points = run(cutoffs=["2024-09-29"], horizons=["4 weeks"])
    some = dataclasses.replace(points, pit=points.pit.iloc[:0])
    with pytest.raises(ValueError, match="no method gives a predictive distribution"):
        some.plot_pit()
