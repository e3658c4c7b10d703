"""Models in MLflow: saved without a pickle, scored as everywhere, with a row for each row."""

from __future__ import annotations

import importlib.util
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import predclv as pc
from batch.histories import simulated
from batch.test_job import faulty
from predclv.batch.scorer import Scorer
from predclv.batch.spark_session import workers_python
from predclv.errors import DataError, ModelFileError, PredCLVWarning

# Read when MLflow is imported: no figures of use leave the machine.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"
mlflow = pytest.importorskip("mlflow", reason="needs MLflow, which is not installed here")
flavor = importlib.import_module("predclv.batch.mlflow")

pytestmark = [
    # Said of MLflow's own types when it is imported.
    pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning"),
    # What MLflow does with frames on pandas 3, and with tables on SQLAlchemy 2.1.
    pytest.mark.filterwarnings("ignore:Operation with range is deprecated"),
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated"),
]


@pytest.fixture(scope="module")
def clv(model):
    return pc.load(model)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A tracking store in a file, and an experiment whose artifacts are in a folder."""
    folder = tmp_path_factory.mktemp("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("customers", artifact_location=(folder / "artifacts").as_uri())
    )
    yield folder
    mlflow.set_tracking_uri(before)


@pytest.fixture(scope="module")
def logged(store, clv):
    """A model that is logged and registered; its default horizon is half a year, its margin a column."""
    with mlflow.start_run():
        return flavor.log_model(
            clv, name="clv", registered_model_name="clv", options={"horizon": "26 weeks", "margin": "kept"}
        )


def expected(clv: pc.CLV, rows: pa.Table, **options: object) -> pd.DataFrame:
    """What the scorer says, as floats."""
    found = pa.Table.from_batches(Scorer(clv, **options).score(rows.to_batches())).to_pandas()
    return found.drop(columns="customer_id").astype(np.float64)


@pytest.mark.slow
def test_a_model_from_the_store_scores_as_the_scorer(logged, clv, store):
    rows = simulated(30, seed=4)
    loaded = mlflow.pyfunc.load_model("models:/clv/1")
    found = loaded.predict(rows.to_pandas().set_index(np.arange(100, 130)))
    assert list(found.index) == list(range(100, 130))
    assert set(found.pop("reason")) == {""}
    wanted = expected(clv, rows, horizon="26 weeks", margin="kept")
    pd.testing.assert_frame_equal(found.reset_index(drop=True), wanted, check_exact=True)
    assert loaded.metadata.get_output_schema().input_names() == [*wanted.columns, "reason"]
    # With options at the time of asking; a horizon may be a number.
    asked = {"horizon": "13", "margin": "0.25", "level": 0.5, "columns": ["clv_high", "p_alive"], "estimate": "draws"}
    found = loaded.predict(rows.to_pandas(), params=asked)
    options = {"horizon": 13, "margin": 0.25, "level": 0.5, "columns": asked["columns"], "estimate": "draws"}
    pd.testing.assert_frame_equal(found.drop(columns="reason"), expected(clv, rows, **options), check_exact=True)
    # And as what it is.
    own = flavor.load_model(logged.model_uri)
    assert own.summary.equals(clv.summary)
    files = {path.name for path in store.rglob("*") if path.is_file()}
    assert not {name for name in files if name.endswith((".pkl", ".pickle", ".joblib"))}
    assert {"MLmodel", "model.json", "requirements.txt", "input_example.json"} <= files


def test_a_row_comes_out_for_each_row(tmp_path, clv):
    flavor.save_model(clv, tmp_path / "saved", columns=["p_alive", "purchases_high"])
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "saved"))
    rows = faulty(simulated(950, seed=5)).to_pandas().drop(columns="kept")
    found = loaded.predict(rows)
    assert len(found) == len(rows)
    assert list(found) == ["p_alive", "purchases_high", "reason"]
    # A batch does not see that a customer comes twice.
    assert dict(found["reason"][found["reason"] != ""]) == {
        300: "recency is negative",
        301: "frequency is null or not finite",
        302: "T is null or not finite",
    }
    assert found.loc[[300, 301, 302], ["p_alive", "purchases_high"]].isna().all(axis=None)
    assert found.drop(index=[300, 301, 302]).notna().all(axis=None)
    mixed = rows.head(2).astype({"frequency": object})
    mixed.loc[0, "frequency"] = "x"
    with pytest.raises(DataError, match="values of several kinds in 'frequency'"):
        loaded.predict(mixed)


def test_what_a_saved_model_says_of_itself(tmp_path, clv):
    flavor.save_model(clv.transactions_, tmp_path / "bg", options={"horizon": 26, "level": 0.8})
    description = mlflow.models.Model.load(tmp_path / "bg")
    assert description.flavors["python_function"]["loader_module"] == "predclv.batch.mlflow"
    assert description.flavors["predclv"]["model_class"] == "BGNBD"
    options = {spec["name"]: spec["default"] for spec in description.signature.params.to_dict()}
    assert options.pop("columns")[0] == "p_alive"
    assert options == {"horizon": "26", "level": 0.8, "estimate": "", "observation_end": ""}
    assert f"predclv=={pc.__version__}" in (tmp_path / "bg" / "requirements.txt").read_text()
    example = description.load_input_example(str(tmp_path / "bg"))
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "bg"))
    assert loaded.predict(example)["reason"].tolist() == ["", ""]
    assert isinstance(loaded.get_raw_model(), pc.BGNBD)


def test_opportunities_come_as_whole_numbers(tmp_path):
    rfm = pc.datasets.simulate_rfm("bg_bb", n_customers=500, T=(0.0, 104.0), seed=3).rfm
    bgbb, rows = pc.BGBB().fit(rfm), rfm.to_pandas().astype({"T": "int64", "recency": "int64"})
    flavor.save_model(bgbb, tmp_path / "bgbb", options={"horizon": 5}, columns=["expected_purchases"])
    found = mlflow.pyfunc.load_model(str(tmp_path / "bgbb")).predict(rows)
    assert found["expected_purchases"].tolist() == bgbb.predict(rfm, 5)["expected_purchases"].tolist()


def test_covariates_are_part_of_the_input(tmp_path):
    rows = simulated(400, seed=9).to_pandas()
    rows["shop"] = np.where(np.arange(400) % 3 == 0, "corner", "web")
    rfm = pc.RFMSummary.from_frame(rows, time_unit="week", carry=["shop"])
    bg = fit_quietly(pc.BGNBD(purchase_covariates=["shop"]), rfm)
    flavor.save_model(bg, tmp_path / "bg", options={"horizon": "26 weeks"}, columns=["expected_purchases"])
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "bg"))
    assert loaded.metadata.get_input_schema().input_names()[-1] == "shop"
    rows.loc[[0, 1], "shop"] = ["kiosk", None]
    found = loaded.predict(rows)
    assert found["reason"].tolist()[:3] == ["covariate 'shop' is unknown to the model", "covariate 'shop' is null", ""]
    wanted = bg.predict(rfm, "26 weeks")["expected_purchases"].to_numpy()[2:]
    np.testing.assert_allclose(found["expected_purchases"].to_numpy()[2:], wanted, rtol=1e-12)


def fit_quietly(model: pc.BGNBD, rfm: pc.RFMSummary) -> pc.BGNBD:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PredCLVWarning)
        return model.fit(rfm)


def test_refusals(tmp_path, clv, monkeypatch):
    with pytest.raises(DataError, match=r"'horizons' is no option of the forecast. Did you mean 'horizon'"):
        flavor.save_model(clv, tmp_path / "a", options={"horizons": 3})
    with pytest.raises(DataError, match=r"'margin' is no option"):
        flavor.save_model(clv.transactions_, tmp_path / "a", options={"margin": 0.5})
    with pytest.raises(ValueError, match=r"did you mean 0\.95"):
        flavor.save_model(clv, tmp_path / "a", options={"level": 95})
    with pytest.raises(TypeError, match="must be a fitted CLV, transaction or contract model"):
        flavor.save_model(clv.spend_, tmp_path / "a")
    assert not (tmp_path / "a").exists()
    flavor.save_model(clv, tmp_path / "a", columns=["p_alive"])
    with pytest.raises(DataError, match="the input has no column 'kept'"):
        mlflow.pyfunc.load_model(str(tmp_path / "a")).predict(
            simulated(2).to_pandas(), params={"margin": "kept", "columns": ["expected_clv"]}
        )
    (saved,) = (tmp_path / "a").rglob("model.json")
    content = json.loads(saved.read_text())
    content["files"]["../other.parquet"] = ""
    saved.write_text(json.dumps(content))
    with pytest.raises(ModelFileError, match="names a file outside its folder"):
        mlflow.pyfunc.load_model(str(tmp_path / "a"))
    mlflow.pyfunc.save_model(tmp_path / "other", loader_module="json", data_path=str(saved), pip_requirements=["x"])
    with pytest.raises(DataError, match="is no model of predclv: its flavours are 'python_function'"):
        flavor.load_model(str(tmp_path / "other"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'predclv\[mlflow\]'"):
        flavor.load_model(str(Path("a")))


@pytest.mark.slow
def test_a_function_of_spark(store, clv, spark_sessions):
    spark = spark_sessions.get()
    rows = simulated(40, seed=4)
    asked = {"options": {"horizon": "26 weeks", "margin": "kept"}, "columns": ["p_alive", "purchases_high"]}
    with mlflow.start_run():
        uri = flavor.log_model(clv, name="few", **asked).model_uri
    frame = spark.createDataFrame(faulty_ids(rows).to_pandas())
    with workers_python(spark):
        udf = mlflow.pyfunc.spark_udf(spark, uri, env_manager="local", params={"horizon": "13 weeks"})
        names = mlflow.models.get_model_info(uri).signature.inputs.input_names()
        scored = frame.select("customer_id", udf(*names).alias("scores")).select("customer_id", "scores.*")
    found = scored.toArrow().to_pandas().sort_values("customer_id").reset_index(drop=True)
    wanted = expected(clv, rows, horizon="13 weeks", columns=["p_alive", "purchases_high"])
    assert found["reason"].tolist() == ["recency is negative", *[""] * 39]
    assert found.loc[0, ["p_alive", "purchases_high"]].isna().all()
    pd.testing.assert_frame_equal(found[["p_alive", "purchases_high"]].iloc[1:], wanted.iloc[1:], check_exact=True)


def faulty_ids(rows: pa.Table) -> pa.Table:
    """With a first row that cannot be scored."""
    frame = rows.to_pandas()
    frame.loc[0, "recency"] = -1.0
    return pa.Table.from_pandas(frame, preserve_index=False)
