"""Score a table on disk with a saved model, part by part: what is killed goes on where it stood, and nothing is lost.

A part is a run of rows, in the order of the input. It is written whole or not at all, first the rows that cannot be
scored, then the scores; then the manifest says that it is there. Whatever is not in the manifest is made again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from predclv.batch.ids import repeated_ids
from predclv.batch.job_folders import SPILL, check_apart, look_at, remove_leftovers
from predclv.batch.lock import locked_folder
from predclv.batch.manifest import Manifest, Part, model_fingerprint
from predclv.batch.memory import Memory, parse_memory
from predclv.batch.parts import QUARANTINE, RowReader, read_as, write_part
from predclv.batch.scorer import Scorer
from predclv.batch.shipping import pack
from predclv.batch.sources import Reading, Source, open_source
from predclv.batch.spark_parts import plan_tasks, score_parts
from predclv.batch.spark_parts import repeated_ids as repeated_by_spark
from predclv.batch.spark_session import session
from predclv.batch.table_units import require_time_unit, settle_as_of, table_units
from predclv.errors import DataError, ModelFileError
from predclv.files import file_sha256
from predclv.models.contracts.model import ContractModel
from predclv.models.transactions import TransactionModel
from predclv.value import CLV, load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["QUARANTINE", "Job", "run_job"]

_ROWS_PER_PART = 1_000_000
Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """What is asked for.

    Attributes
    ----------
    model : path
        Folder of a saved model.
    table : str
        A .parquet or .csv file, a folder of .parquet files, or "file.duckdb::table".
    out : path
        Folder for the scores.
    options : mapping, optional
        Keyword arguments of `Scorer`.
    engine : {"duckdb", "pyarrow", "spark"}
        Who reads; Spark scores as well, in the active session or in one made for the job.
    memory : Memory
        Of this process; with Spark, of each of its workers. 1 GB by default, as on the command line.
    partitions : int, optional
        Number of parts; by default one for each million of rows.
    resume : bool
        Go on with a job that was begun in `out`, if there is one.
    quarantine : path, optional
        Folder for rows that cannot be scored; `QUARANTINE` in `out` by default.
    """

    model: Path
    table: str
    out: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "duckdb"
    memory: Memory = field(default_factory=lambda: parse_memory("1GB"))
    partitions: int | None = None
    resume: bool = False
    quarantine: Path | None = None

    def __post_init__(self) -> None:
        for name in ("model", "out", "quarantine"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        object.__setattr__(self, "table", str(self.table))

    @property
    def rejects(self) -> Path:
        """Folder for rows that cannot be scored."""
        return self.out / QUARANTINE if self.quarantine is None else self.quarantine


def run_job(job: Job, report: Report = lambda event: None) -> Manifest:
    """Do what is left of a job; return its manifest, finished.

    Parameters
    ----------
    job : Job
    report : callable
        Told of what was done: dicts with "event", one of "begin", "part" and "end", and figures.

    Raises
    ------
    DataError, ModelFileError
        The model, the input or an option is at fault; the job was begun otherwise; another one is at work; a part
        could not be written. Finished parts stay.
    """
    if job.partitions is not None and job.partitions < 1:
        raise DataError(f"'partitions' must be at least 1. Got {job.partitions}.")
    units = table_units(job.table)
    # Of the table's own as-of date, and not the fit's, an end date and months count.
    as_of = settle_as_of(job.table, units, job.options.get("observation_end"))
    job = replace(job, options={**job.options, "observation_end": as_of})
    scorer, fingerprint = _load(job)
    source = open_source(job.table, scorer.needs, job.engine)
    require_time_unit(job.table, units, scorer.time_unit, "time-unit" if scorer.unique_ids else "period")
    check_apart((job.out, job.rejects), (source.root, job.model))
    # Before a lock is put where others have their files.
    look_at(job.out, job.rejects, job.resume)
    with locked_folder(job.out), locked_folder(job.rejects):
        begun = look_at(job.out, job.rejects, job.resume)
        remove_leftovers(job.out, job.rejects)
        with session() if job.engine == "spark" else nullcontext() as spark:
            return _do(job, scorer, source, fingerprint, begun, spark, report)


def _do(
    job: Job,
    scorer: Scorer,
    source: Source,
    fingerprint: str,
    begun: Manifest | None,
    spark: SparkSession | None,
    report: Report,
) -> Manifest:
    """Count, make the manifest or take up the one that was begun, and score the parts that are left."""
    stamp = source.stamp()
    reading = Reading(job.engine, job.memory.for_duckdb, job.out / SPILL)
    n_rows, repeated = _count(scorer, source, reading, spark)
    manifest = _manifest(job, scorer, source, fingerprint, n_rows)
    if begun is not None:
        manifest.require_same(begun, job.out)
        manifest.parts = {number: part for number, part in begun.parts.items() if _is_whole(job, part)}
    manifest.write(job.out)
    report({"event": "begin", "rows": n_rows, "parts": manifest.n_parts, "finished": len(manifest.parts)})
    left = [number for number in range(manifest.n_parts) if number not in manifest.parts]
    if spark is None:
        parts = _by_itself(job, scorer, source, reading, repeated, manifest, left)
    else:
        tasks = plan_tasks(source, repeated, manifest, left, (job.out, job.rejects))
        parts = score_parts(spark, tasks, pack(scorer.model, _options(job)))
    try:
        _enter(parts, job, source, manifest, stamp, report)
    finally:
        parts.close()
        shutil.rmtree(job.out / SPILL, ignore_errors=True)
    report({"event": "end", "rows": n_rows, "quarantined": manifest.rejected.total()})
    return manifest


def _load(job: Job) -> tuple[Scorer, str]:
    """Make the scorer; the model must not change while it is read."""
    fingerprint = model_fingerprint(job.model)
    model = load(job.model)
    if model_fingerprint(job.model) != fingerprint:
        raise ModelFileError(f"'{job.model}' changed while it was read. Begin again when it is whole.")
    if not isinstance(model, CLV | TransactionModel | ContractModel):
        raise DataError(f"The model in '{job.model}' is a {type(model).__name__}, which scores no rows by itself.")
    return Scorer(model, **_options(job)), fingerprint


def _options(job: Job) -> dict[str, Any]:
    return {**job.options, "block_rows": job.memory.block_rows, "table_bytes": job.memory.table_bytes}


def _count(scorer: Scorer, source: Source, reading: Reading, spark: SparkSession | None) -> tuple[int, pa.Array | None]:
    """Count the rows, and find the ids that come more than once."""
    n_rows = source.count(reading)
    if not scorer.unique_ids:
        return n_rows, None
    if spark is not None:
        return n_rows, repeated_by_spark(spark, source, reading)

    def ids() -> Iterator[pa.Array]:
        return (batch.column(0) for batch in source.batches(reading, ["customer_id"]))

    return n_rows, repeated_ids(ids, n_rows)


def _place(job: Job) -> str:
    """Where rejects go, as the manifest has it: two folders of one name are not one."""
    return QUARANTINE if job.quarantine is None else str(job.quarantine.expanduser().resolve())


def _manifest(job: Job, scorer: Scorer, source: Source, fingerprint: str, n_rows: int) -> Manifest:
    per_part = _ROWS_PER_PART if job.partitions is None else max(-(-n_rows // job.partitions), 1)
    schema = scorer.schema_for(read_as(scorer, source))
    options = {name: _plain(value) for name, value in job.options.items() if name != "columns"}
    return Manifest(
        model=fingerprint,
        input=source.fingerprint(),
        options={**options, "columns": list(scorer.schema.names), "quarantine": _place(job)},
        schema=[{"name": field.name, "type": str(field.type)} for field in schema],
        rows=n_rows,
        rows_per_part=per_part,
    )


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _is_whole(job: Job, part: Part) -> bool:
    """Whether a finished part's files are what was written; if not, it is made again."""
    for name, digest in part.files.items():
        folder = job.rejects if name.startswith(f"{QUARANTINE}/") else job.out
        path = folder / Path(name).name
        if not path.is_file() or path.is_symlink() or file_sha256(path) != digest:
            return False
    return True


def _by_itself(
    job: Job,
    scorer: Scorer,
    source: Source,
    reading: Reading,
    repeated: pa.Array | None,
    manifest: Manifest,
    left: list[int],
) -> Generator[tuple[Part, float]]:
    """Score the parts that are left in one pass over the rows; yield each with the seconds that it took."""
    if not left:
        return
    skip = left[0] * manifest.rows_per_part
    rows = RowReader(source.batches(reading, skip=skip), job.table, job.memory.block_rows)
    for number in range(left[0], manifest.n_parts):
        blocks = rows.take(manifest.rows_of(number))
        if number in manifest.parts:
            for _ in blocks:
                pass
            continue
        begun = time.monotonic()
        part = write_part(job.out, job.rejects, scorer, source, blocks, repeated, number)
        yield part, round(time.monotonic() - begun, 3)


def _enter(
    parts: Iterator[tuple[Part, float]],
    job: Job,
    source: Source,
    manifest: Manifest,
    stamp: list[tuple[str, int, int, int]],
    report: Report,
) -> None:
    """Enter each part in the manifest as it is finished."""
    for part, seconds in parts:
        if source.stamp() != stamp:
            raise DataError(f"The input '{job.table}' changed while it was read. Begin again in another folder.")
        manifest.parts[part.number] = part
        manifest.write(job.out)
        report(
            {
                "event": "part",
                "part": part.number,
                "parts": manifest.n_parts,
                "finished": len(manifest.parts),
                "rows": part.rows,
                "quarantined": sum(part.rejected.values()),
                "seconds": seconds,
            }
        )
