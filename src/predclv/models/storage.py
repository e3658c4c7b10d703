"""A fitted model as a folder: `model.json` and a Parquet file of draws a posterior. Nothing in it is ever run.

The JSON holds the estimate, its covariance and the fingerprint of the data; floats are written so that they
come back bit for bit. Each Parquet file's SHA-256 stands in the JSON, so damage is noticed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from predclv.errors import ModelFileError
from predclv.files import check_replaceable, replace_folder
from predclv.inference.posterior import N_DRAWS, Draws, Posterior, to_plain
from predclv.parameters import Parameter

__all__ = ["SCHEMA_VERSION", "StoredDraws", "posterior_from_dict", "posterior_to_dict", "read_model", "write_model"]

SCHEMA_VERSION = 1
MANIFEST = "model.json"


@dataclass(frozen=True)
class StoredDraws:
    """Draws that came from a file: a callable, as `Posterior.make_draws` wants."""

    draws: NDArray[np.float64]

    def __call__(self) -> Draws:
        """Return the draws."""
        return Draws(self.draws)


def write_model(
    path: str | os.PathLike[str], description: Mapping[str, Any], posteriors: Mapping[str, Posterior]
) -> None:
    """Write `description` and each posterior's draws to the folder `path`, whole or not at all.

    A folder that is there is replaced if it is empty or holds a model and nothing else; otherwise ModelFileError.
    """
    target = Path(path)
    try:
        check_replaceable(target, MANIFEST)
    except (FileExistsError, NotADirectoryError) as error:
        raise ModelFileError(str(error)) from error
    files = {f"{name}.parquet": _parquet_bytes(posterior) for name, posterior in posteriors.items()}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "package": "predclv",
        "package_version": _package_version(),
        **description,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    text = json.dumps(manifest, indent=2, allow_nan=False) + "\n"
    with replace_folder(target, manifest=MANIFEST) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_text(text, encoding="utf-8")


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """Read a folder written by `write_model`: the manifest, and the tables of draws by name.

    Raises
    ------
    ModelFileError
        No such folder, no manifest, not JSON, a newer schema, or a file missing or altered.
    """
    folder = Path(path)
    manifest = _read_manifest(folder)
    tables = {}
    for name, digest in manifest["files"].items():
        if Path(name).name != name or not name.endswith(".parquet"):
            raise ModelFileError(f"'{folder / MANIFEST}' names a file outside its folder: {name!r}.")
        tables[name.removesuffix(".parquet")] = _read_draws(folder / name, digest)
    return manifest, tables


def posterior_to_dict(posterior: Posterior) -> dict[str, Any]:
    """Everything of a posterior but its draws, as JSON types."""
    return {
        "method": posterior.method,
        "parameters": posterior.names,
        "point": posterior.point_array.tolist(),
        "covariance_unconstrained": posterior.covariance_unconstrained.tolist(),
        "diagnostics": to_plain(posterior.diagnostics),
    }


def posterior_from_dict(stored: Mapping[str, Any], parameters: tuple[Parameter, ...], draws: pa.Table) -> Posterior:
    """Rebuild a posterior; ModelFileError where it does not fit `parameters`."""
    names = [parameter.name for parameter in parameters]
    try:
        if stored["parameters"] != names:
            raise ValueError(f"its parameters are {stored['parameters']!r}, not {names}.")
        point = _numbers(stored, "point", (len(names),))
        covariance = _numbers(stored, "covariance_unconstrained", (len(names), len(names)))
        for parameter, value in zip(parameters, point, strict=True):
            parameter.check(value)
        _check_covariance(covariance)
        if not isinstance(stored["method"], str):
            raise ValueError(f"'method' is {stored['method']!r}.")
        _check_diagnostics(stored["diagnostics"], names)
        values = _draws(draws, parameters)
    except KeyError as error:
        raise ModelFileError(f"The saved model is damaged: it lacks {error}.") from error
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"The saved model is damaged: {error}") from error
    return Posterior(parameters, stored["method"], point, covariance, StoredDraws(values), stored["diagnostics"])


def _numbers(stored: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    # Left to itself, NumPy reads text as numbers.
    array = np.array(stored[name])
    if array.dtype.kind not in "if" or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"{name!r} holds no finite numbers of shape {shape}.")
    return array.astype(np.float64)


def _check_covariance(covariance: NDArray[np.float64]) -> None:
    # Rounding leaves a covariance of flat directions a little below zero.
    slack = 1e-9 * max(float(np.abs(covariance).max()), 1e-300)
    if np.abs(covariance - covariance.T).max() > slack or np.linalg.eigvalsh(covariance).min() < -slack:
        raise ValueError("'covariance_unconstrained' is no covariance: it must be symmetric and positive semidefinite.")


def _check_diagnostics(diagnostics: object, names: list[str]) -> None:
    if not isinstance(diagnostics, dict):
        raise ValueError("'diagnostics' is no mapping.")
    runaway = diagnostics.get("runaway", {})
    if not isinstance(runaway, dict) or not all(k in names and v in ("low", "high") for k, v in runaway.items()):
        raise ValueError(f"'runaway' must give edges, 'low' or 'high', of {names}. Got {runaway!r}.")


def _draws(table: pa.Table, parameters: tuple[Parameter, ...]) -> NDArray[np.float64]:
    names = [parameter.name for parameter in parameters]
    if table.column_names != names:
        raise ValueError(f"its draws are of {table.column_names}, not of {names}.")
    if not all(pa.types.is_floating(column.type) for column in table.columns):
        raise ValueError("its draws are not all floating-point numbers.")
    if table.num_rows < N_DRAWS:
        raise ValueError(f"it holds {table.num_rows:,} draws; forecasts need {N_DRAWS:,}.")
    array = np.column_stack([table[name].to_numpy() for name in names]).astype(np.float64, copy=False)
    if not (np.isfinite(array).all() and (array > [parameter.above for parameter in parameters]).all()):
        raise ValueError("draws are outside the parameters' domain.")
    return np.ascontiguousarray(array)


def _read_manifest(folder: Path) -> dict[str, Any]:
    if (folder / MANIFEST).is_symlink():
        raise ModelFileError(f"'{folder / MANIFEST}' is a symbolic link; a saved model holds plain files only.")
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFileError(f"'{folder}' holds no model: there is no {MANIFEST} in it.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(f"'{folder / MANIFEST}' cannot be read: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("package") != "predclv":
        raise ModelFileError(f"'{folder / MANIFEST}' was not written by predclv.")
    version = manifest.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ModelFileError(f"'{folder / MANIFEST}' is damaged: schema_version is {version!r}.")
    if version > SCHEMA_VERSION:
        raise ModelFileError(
            f"'{folder}' was written by predclv {manifest.get('package_version')} in schema {version}; this version "
            f"({_package_version()}) reads up to schema {SCHEMA_VERSION}. Upgrade predclv."
        )
    if not isinstance(manifest.get("files"), dict):
        raise ModelFileError(f"'{folder / MANIFEST}' is damaged: it lists no files.")
    return manifest


def _read_draws(path: Path, digest: object) -> pa.Table:
    if path.is_symlink():
        raise ModelFileError(f"'{path}' is a symbolic link; a saved model holds plain files only.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"'{path}' is missing or cannot be read. Copy the whole model folder.") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelFileError(f"'{path}' differs from what was saved (its checksum does not match).")
    try:
        # By no threads: one that is still at work when the program ends, on bytes that are Python's, aborts it.
        return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise ModelFileError(f"'{path}' is no Parquet file: {error}.") from error


def _parquet_bytes(posterior: Posterior) -> bytes:
    sink = BytesIO()
    pq.write_table(pa.Table.from_pandas(posterior.draws, preserve_index=False), sink)
    return sink.getvalue()


def _package_version() -> str:
    from importlib.metadata import version

    return version("predclv")
