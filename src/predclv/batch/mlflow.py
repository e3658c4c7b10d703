"""Models in MLflow: JSON and Parquet in its folder, scored by the scorer of every engine.

    import predclv.batch.mlflow

    info = predclv.batch.mlflow.log_model(clv, name="clv", options={"horizon": "26 weeks"})
    mlflow.pyfunc.load_model(info.model_uri).predict(customers, params={"horizon": "1 year"})

Nothing of it is a pickle: MLflow is told which module reads the folder, and that is this one.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from predclv.batch.beside import score_beside
from predclv.batch.scorer import Scorer
from predclv.data.checks import quote_list, suggest
from predclv.errors import DataError
from predclv.models.base import Model
from predclv.models.contracts.model import ContractModel
from predclv.models.covariates.encoding import Number
from predclv.models.transactions import TransactionModel
from predclv.value import CLV, load

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import Model as Description
    from mlflow.models.model import ModelInfo

__all__ = ["FLAVOR_NAME", "load_model", "log_model", "save_model"]

#: What our models are called in MLflow's descriptions.
FLAVOR_NAME = "predclv"
_FOLDER = "model"

# Options that a forecast may be asked with, and what they are unless told otherwise. Of MLflow's types none is both a
# number and a text, and none may be missing: a margin and a horizon are texts, and "" stands for nothing given.
_DEFAULTS: dict[str, Any] = {
    "horizon": "1 year",
    "discount_rate": 0.10,
    "margin": "1.0",
    "level": 0.9,
    "estimate": "",
    "observation_end": "",
}
_OF_VALUE = ("discount_rate", "margin")


def save_model(
    model: CLV | TransactionModel | ContractModel,
    path: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    columns: Sequence[str] | None = None,
    signature: ModelSignature | None = None,
    input_example: Any = None,
    mlflow_model: Description | None = None,
    conda_env: Any = None,
    pip_requirements: Any = None,
    extra_pip_requirements: Any = None,
    metadata: dict[str, Any] | None = None,
) -> None:
    """Save a fitted model to a folder as MLflow keeps them.

    Parameters
    ----------
    model : CLV, TransactionModel or ContractModel
        Fitted.
    path : path
        New folder.
    options : mapping, optional
        What is forecast unless `predict(params=...)` says otherwise: horizon, discount_rate, margin, level, estimate,
        observation_end, as in `Scorer`. A column as margin becomes part of the input.
    columns : sequence of str, optional
        Which columns of the per-customer table are given; all by default.
    signature, input_example, conda_env, pip_requirements, extra_pip_requirements, metadata, mlflow_model
        As in `mlflow.pyfunc.save_model`. Unless given, the signature has the columns that the scorer reads and gives,
        the example shows made-up customers, and predclv in this version is required.

    Raises
    ------
    TypeError, ValueError, DataError
        As `Scorer`.

    Notes
    -----
    `predict` gives a row for each row, in their order: the scores as floats, and "reason", which is empty but where a
    row cannot be scored; its scores are then missing. Whether an id comes twice is not seen within a batch.
    """
    _require_mlflow()
    import mlflow
    from mlflow.models import Model as Description

    given = _settle(options or {}, isinstance(model, CLV))
    scorer = Scorer(model, columns=columns, **_options(given))
    description = Description() if mlflow_model is None else mlflow_model
    description.add_flavor(
        FLAVOR_NAME, predclv_version=version("predclv"), model_class=type(model).__name__, data=f"data/{_FOLDER}"
    )
    with tempfile.TemporaryDirectory(prefix="predclv-") as folder:
        model.save(Path(folder) / _FOLDER)
        mlflow.pyfunc.save_model(
            path,
            loader_module=__name__,
            data_path=str(Path(folder) / _FOLDER),
            mlflow_model=description,
            signature=_signature(scorer, given) if signature is None else signature,
            input_example=_example(scorer) if input_example is None else input_example,
            conda_env=conda_env,
            pip_requirements=_requirements(conda_env, pip_requirements),
            extra_pip_requirements=extra_pip_requirements,
            metadata=metadata,
        )


def log_model(
    model: CLV | TransactionModel | ContractModel,
    name: str = "model",
    *,
    registered_model_name: str | None = None,
    options: Mapping[str, Any] | None = None,
    **further: Any,
) -> ModelInfo:
    """Log a fitted model to MLflow's active run, which is begun where there is none.

    Parameters
    ----------
    model : CLV, TransactionModel or ContractModel
    name : str
        Of the model in the run.
    registered_model_name : str, optional
        Register it under this name too.
    options
        As in `save_model`.
    further
        As in `save_model`, or of `mlflow.models.Model.log`, such as params, tags, run_id.
    """
    _require_mlflow()
    from mlflow.models import Model as Description

    info: ModelInfo = Description.log(
        artifact_path=None,
        name=name,
        flavor=sys.modules[__name__],
        registered_model_name=registered_model_name,
        model=model,
        options=options,
        **further,
    )
    return info


def load_model(model_uri: str, dst_path: str | None = None) -> CLV | Model:
    """Load a model from MLflow as it was before it was saved, with all that it can do.

    Parameters
    ----------
    model_uri : str
        As in `mlflow.pyfunc.load_model`.
    dst_path : str, optional
        Folder to download to.

    Raises
    ------
    DataError
        It is no model of ours.
    ModelFileError
        The folder is damaged or altered.
    """
    _require_mlflow()
    import mlflow
    from mlflow.models import Model as Description

    folder = mlflow.artifacts.download_artifacts(artifact_uri=model_uri, dst_path=dst_path)
    flavors = Description.load(folder).flavors
    if FLAVOR_NAME not in flavors:
        raise DataError(f"{model_uri!r} is no model of predclv: its flavours are {quote_list(flavors)}.")
    return load(Path(folder) / flavors[FLAVOR_NAME]["data"])


def _load_pyfunc(data_path: str) -> _Scoring:
    """What MLflow calls."""
    model = load(data_path)
    if not isinstance(model, CLV | TransactionModel | ContractModel):
        raise DataError(f"The model in '{data_path}' is a {type(model).__name__}, which scores no rows by itself.")
    return _Scoring(model)


class _Scoring:
    """A model as MLflow wants it: frames in, frames out."""

    def __init__(self, model: CLV | TransactionModel | ContractModel) -> None:
        self._model = model
        self._asked: dict[str, Any] | None = None
        self._scorer: Scorer | None = None

    def get_raw_model(self) -> CLV | TransactionModel | ContractModel:
        """The model itself."""
        return self._model

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score a frame; see `save_model`."""
        asked = dict(params or {})
        if self._scorer is None or asked != self._asked:
            columns = asked.pop("columns", None)
            given = _settle(asked, isinstance(self._model, CLV))
            columns = None if columns is None else list(columns)
            self._scorer = Scorer(self._model, columns=columns, **_options(given))
            self._asked = dict(params or {})
        table = _table(model_input, self._scorer)
        found = score_beside(self._scorer, table)
        scores = {name: found[name].to_numpy().astype(np.float64) for name in self._scorer.schema.names}
        reasons = ["" if reason is None else reason for reason in found["reason"].to_pylist()]
        return pd.DataFrame({**scores, "reason": pd.array(reasons, dtype=object)}, index=model_input.index)


def _table(frame: pd.DataFrame, scorer: Scorer) -> pa.Table:
    scorer.needs.check(pa.schema([(str(name), pa.float64()) for name in frame.columns]), "the input")
    columns = {}
    for name in scorer.input_columns:
        try:
            columns[name] = pa.array(frame[name], from_pandas=True)
        except (pa.ArrowException, TypeError) as error:
            raise DataError(f"the input holds values of several kinds in {name!r}: {error}") from error
    return pa.table(columns)


def _settle(options: Mapping[str, Any], with_value: bool) -> dict[str, Any]:
    """All options as MLflow holds them; DataError where one is none."""
    known = {name: value for name, value in _DEFAULTS.items() if with_value or name not in _OF_VALUE}
    for name in options:
        if name not in known:
            raise DataError(
                f"{name!r} is no option of the forecast.{suggest(name, known)} There are {quote_list(known)}."
            )
    given = {name: "" if value is None else value for name, value in options.items()}
    texts = {name: str(value) for name, value in given.items() if isinstance(known[name], str)}
    return {**known, **given, **texts}


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options as `Scorer` takes them."""
    options = {name: value for name, value in given.items() if not (isinstance(value, str) and value == "")}
    return {**options, **{name: _number_or_text(options[name]) for name in ("horizon", "margin") if name in options}}


def _number_or_text(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _signature(scorer: Scorer, given: Mapping[str, Any]) -> ModelSignature:
    """Columns in and out, and options. A count may come as whole numbers or floats, an id as anything."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
    from mlflow.types.schema import AnyType

    measured = {"recency", "T", "monetary_value"} if not _counts(scorer) else set()
    anything = AnyType()  # type: ignore[no-untyped-call]
    # Those that other columns of the table would need as well: MLflow drops what the signature does not have.
    needed = dict.fromkeys([*scorer.input_columns, *Scorer(scorer.model, **_options(given)).input_columns])
    inputs: list[ColSpec | TensorSpec] = [
        ColSpec("double" if name in measured else anything, name, required=name in scorer.input_columns)
        for name in needed
    ]
    outputs: list[ColSpec | TensorSpec] = [
        *(ColSpec("double", name, required=False) for name in scorer.schema.names),
        ColSpec("string", "reason"),
    ]
    options = [ParamSpec(name, "string" if isinstance(v, str) else "double", v) for name, v in given.items()]
    columns = ParamSpec("columns", "string", list(scorer.schema.names), shape=(-1,))
    return ModelSignature(Schema(inputs), Schema(outputs), ParamSchema([*options, columns]))


def _counts(scorer: Scorer) -> bool:
    model = scorer.model.transactions_ if isinstance(scorer.model, CLV) else scorer.model
    return isinstance(model, TransactionModel) and model.bindings.counts_opportunities


def _example(scorer: Scorer) -> pd.DataFrame:
    """Two customers of nobody's: one who bought once, and one who came back twice; or two contracts."""
    known_columns = {
        "customer_id": ["A", "B"],
        "frequency": [0, 2],
        "recency": [0.0, 5.0],
        "T": [9.0, 9.0],
        "tenure": [0, 7],
        "ended": [False, False],
        "next_renewal": [1.0, 0.5],
        "price": [10.0, 10.0],
    }
    frame = pd.DataFrame({name: column for name, column in known_columns.items() if name in scorer.input_columns})
    for name in scorer.input_columns:
        if name == "monetary_value":
            frame[name] = [0.0, 25.0]
        elif name in scorer.needs.segments:
            frame[name] = scorer.needs.segments[name][0]
        elif name in scorer.needs.covariates:
            known = scorer.needs.covariates[name]
            frame[name] = known.center if isinstance(known, Number) else known.reference
        elif name not in frame:
            frame[name] = 0.5
    return frame[list(scorer.input_columns)]


def _requirements(conda_env: Any, given: Any) -> Any:
    # Left to itself, MLflow starts a process that loads the model, to see what it imports.
    return [f"predclv=={version('predclv')}"] if conda_env is None and given is None else given


def _require_mlflow() -> None:
    if importlib.util.find_spec("mlflow") is None:
        raise ImportError("predclv.batch.mlflow needs MLflow: pip install 'predclv[mlflow]'.")
