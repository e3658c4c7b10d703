"""The caller's dataframe: opened as one kind of lazy frame, and given back as the kind it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import quote_list
from predclv.errors import DataError, see

__all__ = [
    "PANDAS",
    "Backend",
    "collect_counts",
    "column_to_numpy",
    "count_rows",
    "nullable",
    "open_frame",
    "refuse_words",
]

_SUPPORTED = {
    nw.Implementation.PANDAS: "pandas",
    nw.Implementation.POLARS: "polars",
    nw.Implementation.PYARROW: "pyarrow",
    nw.Implementation.DUCKDB: "duckdb",
    nw.Implementation.PYSPARK: "pyspark",
}


@dataclass(frozen=True)
class Backend:
    """The dataframe library that results are given back in.

    Attributes
    ----------
    name : {"pandas", "polars", "pyarrow", "duckdb", "pyspark"}
    """

    name: str

    def from_pandas(self, frame: pd.DataFrame) -> Any:
        """Convert a pandas result.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame, pyarrow.Table or pyspark.sql.DataFrame
            A DuckDB relation lives and dies with its connection, so its results come as a pyarrow Table, which any
            connection queries by its variable's name. A frame of Spark is of the active session.

        Raises
        ------
        DataError
            The summary came from Spark, and no session is active any more.
        """
        if self.name == "pandas":
            return frame
        import pyarrow as pa

        table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        if self.name == "polars":
            import polars as pl

            return pl.from_arrow(table)
        if self.name == "pyspark":
            from pyspark.sql import SparkSession

            session = SparkSession.getActiveSession()
            if session is None:
                raise DataError("The summary came from Spark, and no Spark session is active to give a frame of.")
            return session.createDataFrame(table)
        return table


PANDAS = Backend("pandas")


def open_frame(table: Any, what: str) -> tuple[nw.LazyFrame[Any], Backend]:
    """Wrap the caller's frame, whatever its library, and remember the library.

    Parameters
    ----------
    table : pandas, polars (eager or lazy), pyarrow or DuckDB frame
    what : str
        "the log" or "the table", for messages.

    Raises
    ------
    DataError
        It is no frame, of an unsupported library, or has two columns of one name.
    """
    try:
        frame = nw.from_native(table)
    except TypeError:
        raise DataError(
            f"{what} is a {type(table).__name__}, which is no dataframe. Give a pandas, polars, pyarrow, "
            f"DuckDB or Spark frame, or the path of a CSV or Parquet file."
        ) from None
    except nw.exceptions.DuplicateError as error:
        raise DataError(f"{what} has two columns of one name. {error}") from None
    if frame.implementation not in _SUPPORTED:
        raise DataError(
            f"{what} is a {frame.implementation.name.lower()} frame. Supported are {quote_list(_SUPPORTED.values())}."
        )
    return frame.lazy(), Backend(_SUPPORTED[frame.implementation])


def column_to_numpy(column: nw.Series[Any]) -> NDArray[Any]:
    """Return a column as numpy sees it: numbers as numbers, text as Python objects, dates as datetime64.

    Whole numbers and flags with nulls among them are objects with None: as floats, large numbers would lose digits.
    """
    if column.dtype in (nw.Categorical, nw.Enum):
        column = column.cast(nw.String)
    if (column.dtype.is_integer() or column.dtype == nw.Boolean) and column.null_count():
        objects = np.empty(len(column), dtype=object)
        objects[:] = [None if pd.isna(value) else value for value in column.to_list()]
        return objects
    values = np.asarray(column.to_numpy())
    return values.astype(object) if values.dtype.kind == "U" else values


def nullable(column: NDArray[Any]) -> Any:
    """Whole numbers and flags with None among them as what pandas has for them; other columns as they are."""
    if column.dtype != object:
        return column
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "boolean":
        return pd.array(column, dtype="boolean")
    try:
        return pd.array(column, dtype="Int64") if kind == "integer" else column
    except OverflowError:
        return column  # beyond 64 bits


def count_rows(frame: nw.LazyFrame[Any]) -> int:
    """Return the number of rows."""
    return int(frame.select(nw.len()).collect().item())


def collect_counts(frame: nw.LazyFrame[Any]) -> dict[str, int]:
    """Return the only row of a frame of whole numbers; 0 where a minimum or sum of nothing gave null."""
    row = frame.collect().row(0)
    return {
        name: 0 if pd.isna(value) else int(value)
        for name, value in zip(frame.collect_schema().names(), row, strict=True)
    }


def refuse_words(frame: nw.LazyFrame[Any], column: str, label: str) -> None:
    """Raise DataError of a column of money that holds no numbers, with the first of its values."""
    found = frame.filter(~nw.col(column).is_null()).select(column).head(1).collect()
    first = f" (first: {found[column][0]!r})" if len(found) else ""
    raise DataError(
        f"{label} holds {frame.collect_schema()[column]} values where numbers belong{first}. Convert it first (mind "
        f"decimal commas and currency signs).{see('files')}"
    )
