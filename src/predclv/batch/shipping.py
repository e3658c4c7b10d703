"""A scorer for another process: the model travels as the bytes of its JSON and Parquet files, and is read there."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from predclv.batch.scorer import Scorer
from predclv.errors import HorizonWarning, ModelFileError, ObservationEndWarning
from predclv.models.contracts.model import ContractModel
from predclv.models.transactions import TransactionModel
from predclv.value import CLV, load

__all__ = ["Cargo", "pack", "unpack"]

#: Files of a model by name, options of `Scorer`, and the version of predclv that packed them: plain values all.
Cargo = tuple[dict[str, bytes], dict[str, Any], str]

# The scorer last made in this process, by what it was made of.
_made: dict[str, Scorer] = {}


def pack(model: CLV | TransactionModel | ContractModel, options: Mapping[str, Any]) -> Cargo:
    """Pack a fitted model and the options to score with."""
    with tempfile.TemporaryDirectory(prefix="predclv-") as folder:
        model.save(Path(folder) / "model")
        files = {path.name: path.read_bytes() for path in sorted((Path(folder) / "model").iterdir())}
    return files, dict(options), version("predclv")


def unpack(cargo: Cargo) -> Scorer:
    """Make the scorer, once a process.

    Raises
    ------
    ModelFileError
        The files are damaged, or another version of predclv packed them, whose last digits might differ.
    """
    files, options, packed_by = cargo
    if packed_by != version("predclv"):
        raise ModelFileError(
            f"The driver has predclv {packed_by} and this worker {version('predclv')}. Install one version everywhere."
        )
    digest = hashlib.sha256(repr(sorted(options.items())).encode())
    for name, content in sorted(files.items()):
        digest.update(f"{name}:{hashlib.sha256(content).hexdigest()}\n".encode())
    key = digest.hexdigest()
    if key not in _made:
        with warnings.catch_warnings():
            # Who asked has been told, by the scorer that packed the options.
            warnings.simplefilter("ignore", HorizonWarning)
            warnings.simplefilter("ignore", ObservationEndWarning)
            scorer = Scorer(_read(files), **options)
        _made.clear()
        _made[key] = scorer
    return _made[key]


def _read(files: Mapping[str, bytes]) -> Any:
    with tempfile.TemporaryDirectory(prefix="predclv-") as folder:
        for name, content in files.items():
            (Path(folder) / Path(name).name).write_bytes(content)
        return load(folder)
