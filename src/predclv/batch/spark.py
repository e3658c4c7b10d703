"""Scoring a Spark frame: the scorer of every engine, in Spark's Python workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from predclv.batch.beside import score_beside
from predclv.batch.rows import REASONS
from predclv.batch.scorer import Scorer, in_blocks
from predclv.batch.shipping import Cargo, pack, unpack
from predclv.batch.spark_session import require_spark, workers_python
from predclv.errors import DataError, ExtrapolationWarning, warn
from predclv.models.contracts.model import ContractModel
from predclv.models.estimates import Estimate
from predclv.models.transactions import TransactionModel
from predclv.value import CLV, load

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["BLOCK_ROWS", "SparkScores", "score"]

#: Rows that a worker works at a time, by default: fewer than elsewhere, for there are several workers to a machine.
BLOCK_ROWS = 65_536

_AGAIN = "again"
_NOT_UNIQUE = np.int16(REASONS.index("customer_id is not unique"))


@dataclass(frozen=True)
class SparkScores:
    """What became of the rows of a Spark frame; nothing is worked out before Spark is asked for rows.

    Attributes
    ----------
    frame : pyspark.sql.DataFrame
        A row for each row: the reason why it cannot be scored, or null; the row as it came (`r0`, `r1`, ...); its
        scores (`s0`, `s1`, ...).
    rows, columns : tuple of str
        What `r0`, ... and `s0`, ... are called.
    range_of_fit : (int, float)
        Most purchases and longest age that the model was fitted on.
    """

    frame: DataFrame
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    range_of_fit: tuple[int, float]

    @property
    def scores(self) -> DataFrame:
        """Scores of the rows that can be scored: customer_id, then the columns asked for."""
        names = ["r0", *(f"s{i}" for i in range(len(self.columns)))]
        good = self.frame.where(self.frame["reason"].isNull())
        return good.select(*names).toDF("customer_id", *self.columns)

    @property
    def quarantine(self) -> DataFrame:
        """Rows that cannot be scored: the reason, and the row as it came."""
        names = ["reason", *(f"r{i}" for i in range(len(self.rows)))]
        bad = self.frame.where(self.frame["reason"].isNotNull())
        return bad.select(*names).toDF("reason", *self.rows)

    def persist(self) -> SparkScores:
        """Let Spark keep what it works out, so that scores, quarantine and counts are worked out once."""
        return SparkScores(self.frame.persist(), self.rows, self.columns, self.range_of_fit)

    def unpersist(self) -> SparkScores:
        """Let Spark forget what it kept."""
        return SparkScores(self.frame.unpersist(), self.rows, self.columns, self.range_of_fit)

    def count(self) -> dict[str, Any]:
        """Count the rows: "rows_in", "rows_out", "rows_quarantined", and "quarantined" by reason.

        Works out every row, unless they are kept. Warns of customers who lie outside twice the range of the fit.
        """
        from pyspark.sql import functions as F  # noqa: N812, as all the world calls it

        far = F.sum(F.coalesce(self._outside(), F.lit(False)).cast("long"))
        found = self.frame.groupBy("reason").agg(F.count(F.lit(1)).alias("rows"), far.alias("outside")).collect()
        rows = {row["reason"]: row["rows"] for row in found}
        outside = sum(row["outside"] for row in found if row["reason"] is None)
        scored, total = rows.pop(None, 0), sum(row["rows"] for row in found)
        if outside:
            warn(
                f"{outside:,} of {total:,} customers lie outside twice the range of the fit. Fit again on newer data.",
                ExtrapolationWarning,
            )
        rejected = dict(sorted(rows.items(), key=lambda item: (-item[1], item[0])))
        return {
            "rows_in": total,
            "rows_out": scored,
            "rows_quarantined": total - scored,
            "quarantined": rejected,
        }

    def _outside(self) -> Column:
        if "tenure" in self.rows:
            return self.frame[f"r{self.rows.index('tenure')}"].cast("double") > 2.0 * self.range_of_fit[1]
        frequency, age = (self.frame[f"r{self.rows.index(name)}"].cast("double") for name in ("frequency", "T"))
        return (frequency > 2.0 * self.range_of_fit[0]) | (age > 2.0 * self.range_of_fit[1])


def score(
    frame: DataFrame,
    model: CLV | TransactionModel | ContractModel | str | os.PathLike[str],
    horizon: Any = "1 year",
    *,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    estimate: Estimate | None = None,
    columns: Sequence[str] | None = None,
    observation_end: Any = None,
    check_unique: bool = True,
    block_rows: int = BLOCK_ROWS,
) -> SparkScores:
    """Score a Spark frame of RFM rows.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        A row a customer: customer_id, frequency, recency, T and what else the model and the options read. Time is
        counted in the unit of the fit, which a frame cannot say.
    model : CLV, TransactionModel, ContractModel or path
        Fitted, or the folder of a saved one.
    horizon, discount_rate, margin, level, estimate, columns, observation_end
        As in `Scorer`.
    check_unique : bool
        Set aside customers who come more than once, as `predclv score` does; not asked of contracts. This gathers the
        rows by customer; where ids are known to be unique, False leaves every row in its partition.
    block_rows : int
        Rows that a worker works at a time: they bound its memory and change no result.

    Returns
    -------
    SparkScores
        `scores`, `quarantine` and `count()`.

    Raises
    ------
    TypeError
        `frame` is no Spark frame, or the model of another kind.
    ValueError, DataError
        An option means nothing; columns are missing, twice there, or hold no numbers.

    Notes
    -----
    The model goes to the workers as the bytes of its files, which each reads once; they need predclv in the driver's
    version. They run the driver's interpreter, unless PYSPARK_PYTHON or spark.pyspark.python names another.

    Each row's scores are those of `Scorer` to the last bit, on like processors.
    """
    require_spark("predclv.batch.spark")
    from pyspark.sql import DataFrame

    if not isinstance(frame, DataFrame):
        raise TypeError(
            f"'frame' must be a Spark DataFrame. Got {type(frame).__name__}. For Arrow's batches there is "
            "predclv.batch.Scorer."
        )
    if check_unique and frame.isStreaming:
        raise DataError("A stream has no end, so whether ids are unique is never known. Give check_unique=False.")
    options: dict[str, Any] = {
        "horizon": horizon,
        "discount_rate": discount_rate,
        "margin": margin,
        "level": level,
        "estimate": estimate,
        "columns": columns,
        "observation_end": observation_end,
        "block_rows": block_rows,
    }
    fitted = load(model) if isinstance(model, str | os.PathLike) else model
    scorer = Scorer(fitted, **options)
    rows = _rows(frame, scorer, check_unique and scorer.unique_ids)
    work = partial(_score, scorer.input_columns, pack(scorer.model, options))
    with workers_python(frame.sparkSession):
        found = rows.mapInArrow(work, _schema(rows, scorer))
    return SparkScores(found, scorer.input_columns, tuple(scorer.schema.names), scorer.range_of_fit)


def _rows(frame: DataFrame, scorer: Scorer, check_unique: bool) -> DataFrame:
    """The columns that are read as r0, r1, ..., whatever they are called; and whether an id comes again."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F  # noqa: N812

    scorer.needs.check(_arrow_schema(frame, scorer.input_columns), "the frame")
    places = [frame.columns.index(name) for name in scorer.input_columns]
    # By place: Spark takes T for t, and a dot in a name for a part of a value.
    plain = frame.toDF(*(f"c{i}" for i in range(len(frame.columns))))
    rows = plain.select(*(F.col(f"c{place}").alias(f"r{i}") for i, place in enumerate(places)))
    if not check_unique:
        return rows
    return rows.withColumn(_AGAIN, F.count(F.lit(1)).over(Window.partitionBy("r0")) > 1)


def _arrow_schema(frame: DataFrame, wanted: Sequence[str]) -> pa.Schema:
    """Columns of a frame; the types of those that are not wanted may be such as Arrow has none for."""
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_type

    fields = []
    for field in frame.schema.fields:
        kind = pa.null()
        if field.name in wanted:
            try:
                kind = to_arrow_type(field.dataType, timezone="UTC")
            except PySparkException:
                raise DataError(f"the frame holds {field.dataType.simpleString()} values in {field.name!r}.") from None
        fields.append(pa.field(field.name, kind))
    return pa.schema(fields)


def _schema(rows: DataFrame, scorer: Scorer) -> Any:
    from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

    fields = [StructField("reason", StringType())]
    fields += [StructField(f.name, f.dataType) for f in rows.schema.fields if f.name != _AGAIN]
    for i, field in enumerate(scorer.schema):
        fields.append(StructField(f"s{i}", LongType() if pa.types.is_integer(field.type) else DoubleType()))
    return StructType(fields)


def _score(names: Sequence[str], cargo: Cargo, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Score one partition, in a worker: a row out for each row in, in their order."""
    scorer = unpack(cargo)
    for block in in_blocks(batches, cargo[1]["block_rows"]):
        again = None
        if _AGAIN in block.column_names:
            again = np.where(block[_AGAIN].to_numpy(), _NOT_UNIQUE, np.int16(0))
            block = block.drop_columns([_AGAIN])
        found = score_beside(scorer, block.rename_columns(list(names)), again)
        columns = [found["reason"], *block.columns, *found.columns[1:]]
        kept = ["reason", *block.column_names, *(f"s{i}" for i in range(found.num_columns - 1))]
        yield pa.RecordBatch.from_arrays([_whole(column) for column in columns], names=kept)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
