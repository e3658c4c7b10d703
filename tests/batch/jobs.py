"""Jobs to run, kill and look at."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from predclv.batch.job import QUARANTINE

#: Purchases alone, so that a job takes what it takes to start.
ASKED = ["--horizon", "26 weeks", "--columns", "p_alive,expected_purchases,purchases_high"]


def command(table: object, model: Path, out: Path, *more: str) -> list[str]:
    program = str(Path(sys.executable).with_name("predclv"))
    return [program, "score", str(table), "--model", str(model), "--out", str(out), *ASKED, *more]


def run(table: object, model: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(table, model, out, *more), capture_output=True, text=True, timeout=300)


def scores(out: Path) -> pa.Table:
    """What a reader of the folder sees."""
    return pq.read_table(out)


def contents(out: Path) -> dict[str, bytes]:
    """Every file that a finished job leaves, but the lock."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def rejected(out: Path) -> list[dict[str, object]]:
    files = sorted((out / QUARANTINE).glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]
