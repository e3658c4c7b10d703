"""Tables in and out, by the suffix of their name. A Parquet summary carries its units along."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from predclv.data.units import units_metadata
from predclv.errors import DataError
from predclv.files import replace_file

__all__ = ["check_suffix", "write_table"]


def check_suffix(path: Path) -> Path:
    """Return `path` where a table can be written under that name, or raise DataError."""
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise DataError(f"'{path}' must end in .parquet or .csv.")
    if path.is_dir():
        raise DataError(f"'{path}' is a folder. Give the name of a file.")
    return path


def write_table(frame: pd.DataFrame, path: Path, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a table, whole or not at all; `metadata` goes into a Parquet file's own."""
    with replace_file(check_suffix(path)) as temporary:
        if path.suffix.lower() == ".csv":
            frame.to_csv(temporary, index=False, lineterminator="\n")
            return
        table = pa.Table.from_pandas(frame, preserve_index=False)
        if metadata is not None:
            table = table.replace_schema_metadata({**(table.schema.metadata or {}), **units_metadata(metadata)})
        pq.write_table(table, temporary)
