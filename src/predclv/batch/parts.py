"""One part of a scoring job: its rows taken from the input, scored, and written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from predclv.batch.manifest import Part
from predclv.batch.memory import release_unused
from predclv.batch.rows import REASONS
from predclv.batch.scorer import Scorer
from predclv.batch.sources import Source
from predclv.batch.text import to_numbers
from predclv.errors import DataError, ModelFileError
from predclv.files import file_sha256, replace_file

__all__ = ["QUARANTINE", "RowReader", "read_as", "write_part"]

#: Folder for rows that cannot be scored, where no other is given; readers of Parquet folders pass over it.
QUARANTINE = "_quarantine"
_NOT_UNIQUE = np.int16(REASONS.index("customer_id is not unique"))


def read_as(scorer: Scorer, source: Source) -> pa.Schema:
    """Schema of the rows as they are scored: what is text in a CSV file becomes numbers where numbers belong."""
    if source.kind != "csv":
        return source.schema
    numbers = scorer.needs.numbers
    return pa.schema([pa.field(f.name, pa.float64() if f.name in numbers else f.type) for f in source.schema])


class RowReader:
    """Batches of a source, handed on in blocks that end where a part does."""

    def __init__(self, batches: Iterable[pa.RecordBatch], table: str, block_rows: int) -> None:
        self._batches = iter(batches)
        self._table, self._block_rows = table, block_rows
        self._rest: pa.RecordBatch | None = None

    def take(self, n: int) -> Iterator[pa.Table]:
        """Yield the next n rows in blocks; DataError where there are not so many."""
        waiting: list[pa.RecordBatch] = []
        have = 0
        while n > 0:
            batch = self._rest if self._rest is not None else next(self._batches, None)
            if batch is None:
                raise DataError(f"'{self._table}' has fewer rows than when they were counted: {n:,} are missing.")
            part = batch.slice(0, min(n, self._block_rows - have))
            self._rest = batch.slice(part.num_rows) if part.num_rows < batch.num_rows else None
            waiting.append(part)
            have, n = have + part.num_rows, n - part.num_rows
            if have == self._block_rows or n == 0:
                yield pa.Table.from_batches(waiting)
                waiting, have = [], 0


def write_part(
    out: Path,
    rejects: Path,
    scorer: Scorer,
    source: Source,
    blocks: Iterator[pa.Table],
    repeated: pa.Array | None,
    number: int,
) -> Part:
    """Score and write one part; its two files appear whole or not at all.

    Parameters
    ----------
    out, rejects : paths
        Folders for scores, and for rows that cannot be scored.
    scorer : Scorer
    source : Source
    blocks : iterator of pyarrow.Table
        The part's rows.
    repeated : pyarrow.Array or None
        Ids that come more than once in the whole table.
    number : int
        Of the part, from 0.

    Raises
    ------
    DataError
        A file could not be written.
    """
    name = f"part-{number:05}.parquet"
    before = scorer.n_scored, scorer.n_outside, scorer.rejected.copy()
    target, reject_target = out / name, rejects / name
    n_rows = n_rejected = 0
    try:
        with replace_file(target) as score_file, replace_file(reject_target) as reject_file:
            with (
                pq.ParquetWriter(score_file, scorer.schema_for(read_as(scorer, source)), **_PARQUET) as score_writer,
                pq.ParquetWriter(reject_file, scorer.quarantine_schema(source.schema)) as reject_writer,
            ):
                for block in blocks:
                    found, rest = _score_block(scorer, source, block, repeated)
                    score_writer.write_table(found)
                    if rest.num_rows:
                        reject_writer.write_table(rest)
                    n_rows, n_rejected = n_rows + block.num_rows, n_rejected + rest.num_rows
                    del found, rest
                    release_unused()
            _sync(score_file)
            _sync(reject_file)
            digests = {name: file_sha256(score_file)}
            if n_rejected:
                digests[f"{QUARANTINE}/{name}"] = file_sha256(reject_file)
    except OSError as error:
        if isinstance(error, DataError | ModelFileError):
            raise
        raise DataError(
            f"Part {number} could not be written: {error}. What is finished stays; go on by --resume."
        ) from error
    if not n_rejected:
        reject_target.unlink()
    return Part(
        number,
        n_rows,
        scorer.n_scored - before[0],
        scorer.n_outside - before[1],
        dict(scorer.rejected - before[2]),
        digests,
    )


# Digits of scores hardly repeat: dictionaries and compression cost more than they save.
_PARQUET: dict[str, Any] = {"use_dictionary": ["customer_id", "purchases_low", "purchases_high"], "compression": "lz4"}


def _score_block(
    scorer: Scorer, source: Source, block: pa.Table, repeated: pa.Array | None
) -> tuple[pa.Table, pa.Table]:
    codes = None
    if repeated is not None:
        twice = pc.is_in(block["customer_id"], value_set=repeated).to_numpy()
        codes = np.where(twice, _NOT_UNIQUE, np.int16(0))
    if source.kind == "csv":
        return scorer.split(to_numbers(block, scorer.needs.numbers, scorer.needs.flags), codes, original=block)
    return scorer.split(block, codes)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
