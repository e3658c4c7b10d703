"""Measurement: each case in a process of its own, as rows that are on disk as soon as they are known."""

from __future__ import annotations

import datetime
import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from harness.cases import Case

MEASURE, MAKE = "--measure", "--make"
ANSWER = "measured.json"


@dataclass(frozen=True)
class Row:
    """A measurement: `status` is "ok", "over" (its limit of time), "failed" or "missing" (the package)."""

    case: str
    repeat: int
    status: str
    cpu: float = 0.0
    peak: float = 0.0
    found: Mapping[str, Any] | None = None
    note: str = ""
    date: str = ""


def read_rows(path: Path) -> list[Row]:
    """Rows of a file; a last line that was not written whole is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        with suppress(json.JSONDecodeError):
            rows.append(Row(**json.loads(line)))
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a file of rows whole."""
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    os.replace(part, path)


def in_this_process(module: ModuleType, arguments: list[str]) -> None:
    """Do what `measure_case` and `make_data` ask of a script's own process."""
    warnings.simplefilter("ignore")  # known of these data, and the peers' of newer packages
    match arguments:
        case ["--make", name, folder]:
            module.DATA[name](Path(folder) / name)
        case ["--measure", key, folder]:
            case = next(case for case in module.CASES if case.key == key)
            most = int(case.memory * 2**30)
            resource.setrlimit(resource.RLIMIT_DATA, (most, most))
            seconds = max(int(case.limit), 1)
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
            (Path(folder) / ANSWER).write_text(json.dumps(asdict(case.work(Path(folder)))))


def _run(module: ModuleType, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", str(module.__file__), *arguments]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def make_data(module: ModuleType, case: Case, folder: Path) -> None:
    """Make what a case reads, where it is not there yet."""
    for name in case.data:
        if not (folder / name).exists():
            done = _run(module, MAKE, name, str(folder))
            if done.returncode:
                raise RuntimeError(f"{module.__name__}: the data {name!r} could not be made:\n{done.stderr}")


def measure_case(module: ModuleType, case: Case, repeat: int, folder: Path) -> Row:
    """Run a case in a process of its own."""
    if case.missing:
        return Row(case.key, repeat, "missing", note=f"{case.who} is not installed")
    make_data(module, case, folder)
    answer = folder / ANSWER
    answer.unlink(missing_ok=True)
    done = _run(module, MEASURE, case.key, str(folder))
    if done.returncode == -signal.SIGXCPU:
        return Row(case.key, repeat, "over", cpu=case.limit, note=f"ended after {case.limit:g} s of CPU")
    if done.returncode or not answer.is_file():
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return Row(case.key, repeat, "failed", note=last[:300])
    return Row(case.key, repeat, "ok", **json.loads(answer.read_text()))


def measure_all(module: ModuleType, cases: Iterable[Case], folder: Path, known: Iterable[Row] = ()) -> Iterator[Row]:
    """Measure the cases of a script in turn, without those known already; one that fails is not repeated."""
    done = {(row.case, row.repeat) for row in known if row.status != "failed"}
    final = {row.case for row in known if row.status in ("over", "missing")}
    for case in cases:
        for repeat in range(case.repeats):
            if (case.key, repeat) in done or case.key in final:
                continue
            row = replace(measure_case(module, case, repeat, folder), date=datetime.date.today().isoformat())
            yield row
            if row.status != "ok":
                break
