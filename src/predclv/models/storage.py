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
from predclv.files import replace_folder
from predclv.inference.posterior import Draws, Posterior
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

    A folder that is there is replaced if it is empty or holds a model; otherwise ModelFileError.
    """
    target = Path(path)
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise ModelFileError(f"'{target}' is a folder with other things in it. Save to a new or empty folder.")
    if target.exists() and not target.is_dir():
        raise ModelFileError(f"'{target}' is a file. Save to a folder.")
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
        "diagnostics": dict(posterior.diagnostics),
    }


def posterior_from_dict(stored: Mapping[str, Any], parameters: tuple[Parameter, ...], draws: pa.Table) -> Posterior:
    """Rebuild a posterior; ModelFileError where it does not fit `parameters`."""
    names = [parameter.name for parameter in parameters]
    try:
        point = np.array(stored["point"], dtype=np.float64)
        covariance = np.array(stored["covariance_unconstrained"], dtype=np.float64)
        fits = stored["parameters"] == names and point.shape == (len(names),)
        fits = fits and covariance.shape == (len(names), len(names)) and np.isfinite(covariance).all()
        fits = fits and draws.column_names == names and draws.num_rows > 0
        for parameter, value in zip(parameters, point, strict=True):
            parameter.check(value)
        method, diagnostics = str(stored["method"]), dict(stored["diagnostics"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"The saved model is damaged: {error}.") from error
    if not fits:
        raise ModelFileError(f"The saved model is damaged: its arrays do not fit the parameters {names}.")
    array = np.column_stack([draws[name].to_numpy() for name in names]).astype(np.float64, copy=False)
    lower_ends = np.array([parameter.above for parameter in parameters])
    if not (np.isfinite(array).all() and (array > lower_ends).all()):
        raise ModelFileError("The saved model is damaged: draws are outside the parameters' domain.")
    return Posterior(parameters, method, point, covariance, StoredDraws(np.ascontiguousarray(array)), diagnostics)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFileError(f"'{folder}' holds no model: there is no {MANIFEST} in it.") from error
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ModelFileError(f"'{folder / MANIFEST}' cannot be read: {error}.") from error
    if not isinstance(manifest, dict) or manifest.get("package") != "predclv":
        raise ModelFileError(f"'{folder / MANIFEST}' was not written by predclv.")
    version = manifest.get("schema_version")
    if not isinstance(version, int) or version < 1:
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
        return pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise ModelFileError(f"'{path}' is no Parquet file: {error}.") from error


def _parquet_bytes(posterior: Posterior) -> bytes:
    sink = BytesIO()
    pq.write_table(pa.Table.from_pandas(posterior.draws, preserve_index=False), sink)
    return sink.getvalue()


def _package_version() -> str:
    from importlib.metadata import version

    return version("predclv")
