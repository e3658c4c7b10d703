"""Jobs that are killed, or whose disk, input or model fails them: nothing lost, nothing twice, and said in words."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from batch.histories import simulated
from batch.jobs import command, contents
from batch.test_job import job
from predclv.batch import job as jobs
from predclv.batch.job import run_job
from predclv.batch.lock import locked_folder
from predclv.cli import main
from predclv.errors import DataError, ModelFileError

PARTS = 6
# A process that forks one for each job: it starts at once, takes its time over every file, and can be killed.
NURSERY = """
import os, sys, time
from pathlib import Path
from predclv.batch import job as jobs
from predclv.batch.memory import Memory

asked = {"horizon": "26 weeks", "columns": ["p_alive", "expected_purchases", "purchases_high"]}

def run(out, report):
    job = jobs.Job(Path(sys.argv[1]), sys.argv[2], Path(out), asked, "pyarrow", Memory(1 << 29), 6, resume=True)
    jobs.run_job(job, report)

def slowly(*names, replace=os.replace):
    time.sleep(0.01)
    replace(*names)
    time.sleep(0.01)

run(sys.argv[3], lambda event: None)
os.replace = slowly
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        run(line.strip(), lambda event: event["event"] == "begin" and print(os.getpid(), flush=True))
        os._exit(0)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


class Nursery:
    """Where jobs to be killed come from; its first one, which nobody kills, is in `whole`."""

    def __init__(self, model: Path, table: Path, whole: Path) -> None:
        arguments = [sys.executable, "-c", NURSERY, str(model), str(table), str(whole)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.whole = whole

    def start(self, out: Path) -> int:
        """Start a job and wait until it has begun; its process."""
        self.process.stdin.write(f"{out}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        assert self.process.stdout.readline() == "ended\n"

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(scope="module")
def nursery(model, table, tmp_path_factory):
    nursery = Nursery(model, table, tmp_path_factory.mktemp("jobs") / "whole")
    yield nursery
    nursery.close()


def kill_and_resume(nursery: Nursery, model: Path, table: Path, folder: Path, moments: list[float]) -> None:
    finished = []
    for number, moment in enumerate(moments):
        out = folder / str(number)
        pid = nursery.start(out)
        time.sleep(moment)
        nursery.kill(pid)
        finished.append(len(jobs.Manifest.read(out).parts))
        run_job(job(model, table, out, partitions=PARTS, resume=True))
        assert contents(out) == contents(nursery.whole)
    # Kills that come when all is done would show nothing.
    assert sum(n < PARTS for n in finished) >= len(moments) / 2, finished


def test_killed_and_resumed_it_ends_the_same(nursery, model, table, tmp_path):
    kill_and_resume(nursery, model, table, tmp_path, [0.0, 0.07, 0.15, 0.25])


@pytest.mark.slow
def test_killed_at_twenty_moments(nursery, model, table, tmp_path):
    rng = random.Random(1)
    kill_and_resume(nursery, model, table, tmp_path, [rng.uniform(0.0, 0.4) for _ in range(20)])


def test_a_part_that_was_damaged_or_removed_is_made_again(model, table, tmp_path):
    out = tmp_path / "out"
    run_job(job(model, table, out, partitions=PARTS))
    before = contents(out)
    (out / "part-00001.parquet").write_bytes(b"PAR1")
    (out / "part-00003.parquet").unlink()
    (out / ".part-00002.0a1b2c3d.tmp.parquet").write_bytes(b"half")
    run_job(job(model, table, out, partitions=PARTS, resume=True))
    assert contents(out) == before


def test_two_jobs_in_one_folder(nursery, model, table, tmp_path, capsys):
    out = tmp_path / "out"
    with locked_folder(out):
        code = main(command(table, model, out)[1:])
    assert code == 2
    assert "Another job is at work in" in capsys.readouterr().err
    # The file of a lock whose holder was killed locks nothing.
    killed = tmp_path / "killed"
    pid = nursery.start(killed)
    with pytest.raises(DataError, match=f"process {pid}"):
        run_job(job(model, table, killed, partitions=PARTS, resume=True))
    nursery.kill(pid)
    assert (killed / ".lock").exists()
    run_job(job(model, table, killed, partitions=PARTS, resume=True))
    assert contents(killed) == contents(nursery.whole)


def test_a_full_disk(model, table, tmp_path):
    out = tmp_path / "out"
    run_job(job(model, table, tmp_path / "whole", partitions=2))
    largest = max(len(content) for content in contents(tmp_path / "whole").values())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Files end, as if the disk were full, in the middle of a part.
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest // 2, limits[1]))
    try:
        with pytest.raises(DataError, match=r"Part 0 could not be written: .* go on by --resume"):
            run_job(job(model, table, out, partitions=2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(out.glob("*.parquet"))
    assert not [path for path in out.rglob(".*") if ".tmp" in path.name]
    run_job(job(model, table, out, partitions=2, resume=True))
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("engine", ["pyarrow", "duckdb"])
def test_input_that_is_damaged_or_gone(engine, model, table, tmp_path):
    rows = tmp_path / "rows"
    shutil.copytree(table, rows)
    content = (rows / "b.parquet").read_bytes()
    # Cut short: the end of the file is where its columns are described.
    (rows / "b.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"b.parquet' cannot be read"):
        run_job(job(model, rows, tmp_path / "out", engine=engine))
    # Damaged in the middle, which shows when the rows are read; once the file is mended, the job goes on.
    broken = bytearray(content)
    broken[100 : len(content) // 2] = bytes(len(content) // 2 - 100)
    (rows / "b.parquet").write_bytes(broken)
    with pytest.raises(DataError, match="cannot be read"):
        run_job(job(model, rows, tmp_path / "out", engine=engine, partitions=PARTS))
    (rows / "b.parquet").write_bytes(content)
    run_job(job(model, rows, tmp_path / "out", engine=engine, partitions=PARTS, resume=True))
    run_job(job(model, rows, tmp_path / "whole", engine=engine, partitions=PARTS))
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    (rows / "b.parquet").unlink()
    with pytest.raises(DataError, match="begun otherwise: the input changed since"):
        run_job(job(model, rows, tmp_path / "out", engine=engine, partitions=PARTS, resume=True))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["T"]), "c.parquet' has no column 'T'"),
        (lambda t: t.set_column(3, "T", t["T"].cast("float32")), "c.parquet' has other columns .* T is float and not"),
    ],
)
def test_a_part_of_the_input_with_other_columns(change, said, model, table, tmp_path):
    rows = tmp_path / "rows"
    shutil.copytree(table, rows)
    pq.write_table(change(simulated(10)), rows / "c.parquet")
    with pytest.raises(DataError, match=said):
        run_job(job(model, rows, tmp_path / "out"))


def test_input_that_changes_under_the_job(model, table, tmp_path):
    rows = tmp_path / "rows"
    shutil.copytree(table, rows)
    content = (rows / "b.parquet").read_bytes()

    def report(event):
        if event["event"] == "part":
            (rows / "b.parquet").write_bytes(content)

    with pytest.raises(DataError, match="changed while it was read"):
        run_job(job(model, rows, tmp_path / "out", partitions=PARTS), report)
    assert len(jobs.Manifest.read(tmp_path / "out").parts) == 1


def test_a_model_that_changes_half_way(model, table, tmp_path, monkeypatch):
    own = tmp_path / "model"
    shutil.copytree(model, own)
    out = tmp_path / "out"

    def stop(event):
        if event["event"] == "part" and event["part"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(job(own, table, out, partitions=PARTS), stop)
    text = (own / "model.json").read_text()
    (own / "model.json").write_text(text.replace('"n_customers": 500', '"n_customers": 501'))
    with pytest.raises(DataError, match="the model changed since"):
        run_job(job(own, table, out, partitions=PARTS, resume=True))
    (own / "model.json").write_text(text)
    assert jobs.Manifest.read(out).parts.keys() == {0, 1, 2}
    # While it is read:
    load = jobs.load

    def load_slowly(folder):
        loaded = load(folder)
        (own / "model.json").write_text(text + " ")
        return loaded

    monkeypatch.setattr(jobs, "load", load_slowly)
    with pytest.raises(ModelFileError, match="changed while it was read"):
        run_job(job(own, table, out, partitions=PARTS, resume=True))


def test_a_folder_whose_manifest_is_none(model, table, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_manifest.json").write_text("{}")
    with pytest.raises(DataError, match="is no manifest of a scoring job"):
        run_job(job(model, table, tmp_path / "out", resume=True))
