"""Parts of a scoring job on Spark: a task for each, in a worker, which reads its rows and writes its files itself.

The files are those that any engine writes, so that a job which was begun by one may be ended by another.
"""

from __future__ import annotations

import json
import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from predclv.batch.ids import MOST_REPEATED, confirm_repeated, hash_ids
from predclv.batch.lock import LOCK
from predclv.batch.manifest import Manifest, Part
from predclv.batch.parts import RowReader, write_part
from predclv.batch.shipping import Cargo, unpack
from predclv.batch.sources import Reading, Source
from predclv.batch.spark_session import workers_python
from predclv.errors import DataError, PredCLVError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Task", "plan_tasks", "repeated_ids", "score_parts"]


@dataclass(frozen=True)
class Task:
    """A part to be made.

    Attributes
    ----------
    number : int
        Of the part, from 0.
    out, rejects : path
        Folders for scores, and for rows that cannot be scored.
    source : Source
        The files that hold its rows.
    sizes : tuple of int
        Of these files, in bytes.
    skip, n_rows : int
        Rows to pass over and to take.
    repeated : pyarrow.Array or None
        Ids that come more than once in the whole table.
    """

    number: int
    out: Path
    rejects: Path
    source: Source
    sizes: tuple[int, ...]
    skip: int
    n_rows: int
    repeated: pa.Array | None


def plan_tasks(
    source: Source, repeated: pa.Array | None, manifest: Manifest, left: Sequence[int], folders: tuple[Path, Path]
) -> list[Task]:
    """The parts that are left, each with the files that hold its rows and no others.

    Parameters
    ----------
    source : Source
    repeated : pyarrow.Array or None
        Ids that come more than once.
    manifest : Manifest
    left : sequence of int
        Numbers of the parts.
    folders : (path, path)
        For scores and for quarantine; workers may have another current folder.
    """
    source = replace(source, files=tuple(file.absolute() for file in source.files))
    sizes = [file.stat().st_size for file in source.files]
    ends = list(accumulate(pq.read_metadata(file).num_rows for file in source.files))
    out, rejects = (folder.absolute() for folder in folders)
    tasks = []
    for number in left:
        start, n_rows = number * manifest.rows_per_part, manifest.rows_of(number)
        first, last = bisect_right(ends, start), bisect_left(ends, start + n_rows) + 1
        files = slice(first, last if n_rows else first)
        skip = start - (ends[first - 1] if first else 0)
        part = replace(source, files=source.files[files])
        tasks.append(Task(number, out, rejects, part, tuple(sizes[files]), skip, n_rows, repeated))
    return tasks


def repeated_ids(spark: SparkSession, source: Source, reading: Reading) -> pa.Array | None:
    """As `ids.repeated_ids`, with the hashes counted by Spark."""
    groups = [
        (str(path.absolute()), group) for path in source.files for group in range(pq.read_metadata(path).num_row_groups)
    ]
    if not groups:
        return None
    kind = source.schema.field("customer_id").type
    hashes = _map(spark, len(groups), partial(_hash_groups, groups, kind), "hash bigint")
    with _in_words("The ids could not be counted"):
        twice = hashes.groupBy("hash").count().where("count > 1").select("hash").limit(MOST_REPEATED + 1).toArrow()
    suspects = np.sort(twice["hash"].to_numpy().view(np.uint64))
    return confirm_repeated(lambda: (b.column(0) for b in source.batches(reading, ["customer_id"])), suspects)


def score_parts(
    spark: SparkSession, tasks: Sequence[Task], cargo: Cargo, threads: int | None = None
) -> Generator[tuple[Part, float]]:
    """Yield each part as it is finished, with the seconds that it took.

    Each is a job of Spark's by itself: what is finished is known at once, and stays whatever happens to the others.

    Raises
    ------
    DataError
        A part could not be written, or a worker does not see the files; or Spark gave up.
    """
    if not tasks:
        return
    tag = f"predclv-{time.monotonic_ns()}"
    n_threads = min(len(tasks), threads or spark.sparkContext.defaultParallelism)
    with ThreadPoolExecutor(n_threads, thread_name_prefix="predclv") as pool:
        try:
            for answer in as_completed([pool.submit(_run, spark, tag, task, cargo) for task in tasks]):
                yield answer.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            spark.interruptTag(tag)
            raise


def _run(spark: SparkSession, tag: str, task: Task, cargo: Cargo) -> tuple[Part, float]:
    spark.addTag(tag)
    with _in_words(f"Part {task.number} could not be made. What is finished stays; go on by --resume"):
        (row,) = _map(spark, 1, partial(_write, task, cargo), "answer string").collect()
    answer = json.loads(row["answer"])
    if "error" in answer:
        raise DataError(answer["error"])
    return Part(**answer["part"]), answer["seconds"]


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Raise DataError where Spark fails: in our own words, where a worker of ours said why."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        ours = re.search(r"^predclv\.errors\.\w+: (.*)$", str(error), re.MULTILINE)
        raise DataError(ours[1] if ours else f"{what}. Spark says: {_last_words(str(error))}") from error


def _last_words(error: str) -> str:
    """What went wrong, out of what Spark says: the last line of a worker's traceback, or else how it begins."""
    raised = re.findall(r"^ *Traceback \(most recent call last\):\n(?:[ \t].*\n)+(\S.*)", error, re.MULTILINE)
    return " ".join((raised[-1] if raised else error).split())[:400]


def _map(spark: SparkSession, n: int, work: Any, schema: str) -> DataFrame:
    """Run work over the numbers below n, a few in each task."""
    with workers_python(spark):
        return spark.range(0, n, 1, n if n < 2_000 else 2_000).mapInArrow(work, schema)


def _hash_groups(
    groups: Sequence[tuple[str, int]], kind: pa.DataType, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Hashes of the ids of some row groups, in a worker."""
    for batch in batches:
        for number in batch.column(0).to_pylist():
            name, group = groups[number]
            try:
                with pq.ParquetFile(name) as file:
                    for ids in file.iter_batches(row_groups=[group], columns=["customer_id"], use_threads=False):
                        hashes = hash_ids(ids.column(0).cast(kind)).view(np.int64)
                        yield pa.RecordBatch.from_arrays([pa.array(hashes)], names=["hash"])
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"'{name}' cannot be read: {error}") from error


def _write(task: Task, cargo: Cargo, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Write a part, in a worker; what goes wrong for a reason comes back in words."""
    for _ in batches:
        begun = time.monotonic()
        try:
            part = asdict(_part(task, cargo))
            answer = {"part": part, "seconds": round(time.monotonic() - begun, 3)}
        except PredCLVError as error:
            answer = {"error": str(error)}
        yield pa.RecordBatch.from_arrays([pa.array([json.dumps(answer)])], names=["answer"])


def _part(task: Task, cargo: Cargo) -> Part:
    for folder in (task.out, task.rejects):
        if not (folder / LOCK).is_file():
            raise DataError(f"A worker of Spark does not see '{folder}': it must be there for all of them.")
    for file, size in zip(task.source.files, task.sizes, strict=True):
        if not file.is_file() or file.stat().st_size != size:
            raise DataError(f"A worker of Spark does not see '{file}' as it was when the job began.")
    reading = Reading("pyarrow", 0, task.out)
    rows = RowReader(task.source.batches(reading, skip=task.skip), str(task.source.root), cargo[1]["block_rows"])
    blocks = rows.take(task.n_rows)
    return write_part(task.out, task.rejects, unpack(cargo), task.source, blocks, task.repeated, task.number)
