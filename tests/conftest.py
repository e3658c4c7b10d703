"""What every test may use: tools and data that may be absent, and compiled kernels; and which files come first."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers import Garbage, KernelCache, sort_by_cost

ROOT = Path(__file__).parents[1]
IN_CI = os.environ.get("CI") == "true"
ABSENT_DATA = "data absent: "
#: Of DuckDB, and only to be had from its own server: CI, too, may do without.
ABSENT_EXTENSION = "extension absent: "


def _give_worker_its_own_kernel_cache() -> KernelCache | None:
    # The name holds a hash of the sources, because numba does not notice a change in a kernel that another one calls,
    # and of their times, by which numba knows whether an entry is stale. Set before numba is imported; a process
    # started by a test inherits it.
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        return None
    digest = hashlib.sha256()
    for source in sorted((ROOT / "src" / "predclv").rglob("*.py")):
        if b"numba" in (text := source.read_bytes()):
            digest.update(text + str(source.stat().st_mtime_ns).encode())
    folder = ROOT / ".pytest_cache" / "numba" / digest.hexdigest()[:12] / worker
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    return KernelCache(folder)


_KERNELS = _give_worker_its_own_kernel_cache()
os.environ.setdefault("MPLBACKEND", "agg")
# XLA takes seconds to compile a model, and would for every fit of it anew.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(ROOT / ".pytest_cache" / "jax" / os.environ.get("PYTEST_XDIST_WORKER", "main"))
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def pytest_configure(config: pytest.Config) -> None:
    # As plugins, and not hooks of this file, they serve notebooks too, which stand in a folder of their own.
    config.pluginmanager.register(Garbage())
    if _KERNELS is not None:
        config.pluginmanager.register(_KERNELS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sort_by_cost(items)


@pytest.fixture(scope="session")
def needs() -> Callable[[str], str]:
    """Path of a program such as "chromium"; where it is absent the test skips, and in CI it fails."""

    def find(program: str) -> str:
        found = shutil.which(program)
        if found is None:
            pytest.skip(f"needs the program {program!r}, which is not installed here")
        return found

    return find


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a file that is handed around beside the repository; skips where it is absent, in CI too."""

    def find(name: str) -> Path:
        path = ROOT.parent / "shared" / "data" / name
        if not path.is_file():
            pytest.skip(f"{ABSENT_DATA}{name} is not in ../shared/data")
        return path

    return find


@pytest.fixture(scope="session")
def spark_sessions(needs):
    """Spark sessions, by their master; without Java the test skips, and in CI it fails."""
    needs("java")
    from spark_sessions import SparkSessions

    sessions = SparkSessions()
    yield sessions
    sessions.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    return _fail_a_skip_in_ci(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    return _fail_a_skip_in_ci(report)


def _fail_a_skip_in_ci(report):
    # CI installs everything the tests use, so there a skip hides a missing install step.
    if not (IN_CI and report.skipped) or hasattr(report, "wasxfail"):
        return report
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not reason.removeprefix("Skipped: ").startswith((ABSENT_DATA, ABSENT_EXTENSION)):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where nothing may be missing: {reason}"
    return report


@pytest.fixture(scope="session")
def cdnow_split():
    """CDNOW's sample, 39 weeks to fit on and 39 to look at."""
    import predclv as pc

    return pc.split_transactions(
        pc.datasets.load_cdnow(),
        amount="amount",
        time_unit="week",
        collapse="day",
        at="1997-09-30",
        holdout_end="1998-06-30",
    )


@pytest.fixture(scope="session")
def cdnow(cdnow_split):
    """The 2,357 customers of the published CDNOW fits."""
    return cdnow_split.calibration


@pytest.fixture(scope="session")
def bg(cdnow):
    """BG/NBD at the published optimum."""
    import predclv as pc

    return pc.BGNBD().fit(cdnow)


@pytest.fixture(scope="session")
def clv(cdnow):
    """BG/NBD and Gamma-Gamma on CDNOW; its known dependence of spend on frequency is not news here."""
    import warnings

    import predclv as pc
    from predclv.errors import DependenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DependenceWarning)
        return pc.CLV().fit(cdnow)
