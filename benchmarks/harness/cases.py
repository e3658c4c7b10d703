"""Cases, what they cost, and the targets they are held to."""

from __future__ import annotations

import importlib.util
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "predclv"
#: What is imported of each package that we are compared with.
PEERS = {
    "lifetimes": "lifetimes",
    "clvkit": "clvkit",
    "pymc-marketing": "pymc_marketing",
    "query by hand": "duckdb",
}
QUICK, FULL, LARGE = "quick", "full", "large"


@dataclass(frozen=True)
class Cost:
    """What a task took.

    Attributes
    ----------
    cpu : float
        Seconds, of the process and of those it waited for.
    peak : float
        MiB that the process held at most, imports and data included.
    found : mapping
        Figures that came of it, by name: estimates, scores, distances.
    """

    cpu: float
    peak: float
    found: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A task of one package on data of one size.

    Attributes
    ----------
    key : str
        Its name in rows, on the command line and in targets; no other case has it.
    subject : str
        Heading under which it is told.
    what : str
        The task; cases of several packages with the same task and sizes are compared.
    work : callable
        From the folder of the data to a `Cost`; runs in a process of its own.
    who : str
        The package.
    customers, draws : int or None
        Sizes, for tables and plots of growth.
    data : sequence of str
        Names in the script's DATA of what must lie in the folder.
    repeats : int
        Processes.
    sets : sequence of str
        "quick", "full", "large".
    limit : float
        CPU seconds after which the process is ended, preparations in it included.
    memory : float
        GiB that the process may hold.
    """

    key: str
    subject: str
    what: str
    work: Callable[[Path], Cost]
    who: str = OURS
    customers: int | None = None
    draws: int | None = None
    data: Sequence[str] = ()
    repeats: int = 3
    sets: Sequence[str] = (FULL,)
    limit: float = 600.0
    memory: float = 8.0

    @property
    def missing(self) -> bool:
        """Whether the package is not installed here."""
        return self.who in PEERS and importlib.util.find_spec(PEERS[self.who]) is None


def growing(cases: Sequence[Case]) -> list[Case]:
    """Cases of growth with customers; the largest of a task may stand under a subject of their own."""
    tasks = {case.what for case in cases if case.subject == "Growth" and not case.draws}
    return [case for case in cases if case.what in tasks and case.customers and not case.draws]


@dataclass(frozen=True)
class Target:
    """A figure that is wanted to be at least or at most so much.

    Attributes
    ----------
    subject, figure : str
    of, per : str
        Keys of cases: the figure is the first's, over the second's where there is one.
    name : str
        "cpu", "peak", or a name in `Cost.found`.
    least, most : float or None
    unit : str
    gap : bool
        The figure is how far the quotient is from 1.
    why : str
        The reason, told where the target is missed.
    """

    subject: str
    figure: str
    of: str
    per: str = ""
    name: str = "cpu"
    least: float | None = None
    most: float | None = None
    unit: str = ""
    gap: bool = False
    why: str = ""

    @property
    def wanted(self) -> str:
        """The target in words."""
        bound = f"at least {self.least:,.4g}" if self.least is not None else f"at most {self.most:,.4g}"
        return f"{bound} {self.unit}".strip()


@dataclass(frozen=True)
class Recorded:
    """A figure that the runs here do not measure: what it was, and where it is held or how it came.

    Attributes
    ----------
    subject, figure, wanted, measured : str
    test : str
        The test that holds it, as `file::function`; empty where a command gave it.
    command, date : str
        Where no test holds it.
    case : str
        The case that measures it where it is run; the figure is then not told from memory.
    short : str
        The reason, where the figure falls short of what was wanted.
    """

    subject: str
    figure: str
    wanted: str
    measured: str
    test: str = ""
    command: str = ""
    date: str = ""
    case: str = ""
    short: str = ""


def cpu_seconds() -> float:
    """Of this process and of those it has waited for: samplers and programs are processes too."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def peak_mib() -> float:
    """Return the MiB that this program has held at most."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Unlike the figure of getrusage, it does not begin with that of the process which started this one.
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / (1024 * 1024 if sys.platform == "darwin" else 1024)


def clock(task: Callable[[Any], Any], fresh: Callable[[], Any] = lambda: None, repeats: int = 1) -> tuple[float, Any]:
    """Run a task on what `fresh` makes outside the clock: the median of CPU seconds, and what came of the last run."""
    seconds, found = [], None
    for _ in range(repeats):
        given = fresh()
        start = cpu_seconds()
        found = task(given)
        seconds.append(cpu_seconds() - start)
    return statistics.median(seconds), found


def run_program(command: Sequence[object], **settings: Any) -> Cost:
    """Run a program and wait: its CPU seconds, start included, and its peak of memory. The caller must be small."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=True, **settings)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = done.stdout.strip().splitlines()[-1:]
    found = {"elapsed": time.perf_counter() - start, **({"said": said[0]} if said else {})}
    return Cost(cpu, after.ru_maxrss / 1024, found)
