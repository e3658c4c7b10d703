"""The limit of memory is kept to by the whole program: measured, as the system counts it."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from batch.histories import simulated
from predclv.batch.memory import LEAST, Memory

PROGRAM = """
import json, sys
from predclv.cli import main

code = main(sys.argv[1:])
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"code": code, "peak": 1024 * int(peak)}))
"""
# A whole block, and some more.
ROWS = 50_000


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
def test_all_columns_within_the_least_there_is(model, tmp_path):
    assert Memory(LEAST).block_rows < ROWS
    pq.write_table(simulated(ROWS, seed=12), tmp_path / "rows.parquet")
    arguments = ["score", str(tmp_path / "rows.parquet"), "--model", str(model), "--out", str(tmp_path / "out")]
    limited = [*arguments, "--memory-limit", str(LEAST), "--quiet"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *limited], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["code"] == 0, done.stderr
    assert found["peak"] < LEAST
    assert pq.read_table(tmp_path / "out").num_rows == ROWS
