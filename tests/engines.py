"""The dataframe libraries that logs and tables come in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa


def _to_duckdb(frame: pd.DataFrame) -> Any:
    # A table of its own connection: relations over Python objects would be scanned through pandas.
    connection = duckdb.connect()
    arrow = pa.Table.from_pandas(frame, preserve_index=False)
    connection.register("arrow", arrow)
    connection.execute("CREATE TABLE log AS SELECT * FROM arrow")
    return connection.table("log")


ENGINES: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "duckdb": _to_duckdb,
}
