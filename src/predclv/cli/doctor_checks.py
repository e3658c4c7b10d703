"""What is installed, what works with it, and whether the package gives right numbers here."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

__all__ = ["Finding", "find_all"]

#: What an extra is for, where it is installed; `doctor` says it of those that are not, too.
EXTRAS = {
    "bayes": 'method="mcmc", to_pymc, to_arviz, loo',
    "lifetimes": "the CDNOW and donations data, and lifetimes in backtests",
    "cli": "this program",
    "report": "reports in HTML",
    "duckdb": "predclv score, --engine duckdb, and files of any size read from disk",
    "spark": "scoring on Spark, and Spark frames",
    "mlflow": "models in MLflow",
    "polars": "polars frames",
    "scoring": "the reference of our scoring rules in tests",
    "peers": "pymc-marketing and clvkit in backtests",
    "docs": "building the documentation",
    "dev": "working on predclv",
}
_COMBINED = ("all", "demo")
_JAVA = 17
# CDNOW's customer 1 and the estimates of Fader, Hardie & Lee (2005), and the 39 weeks that their spreadsheet forecasts.
_THETA = (0.243, 4.414, 0.793, 2.426)
_CUSTOMER = (2.0, 30.43, 38.86)
_PUBLISHED = 1.226


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    group : {"program", "package", "extra", "together", "machine", "test"}
    name : str
    status : {"ok", "absent", "warn", "fail"}
        "absent" is an extra that nobody needs unless they use it; "warn" works in part; "fail" does not work.
    found : str
        Version, or what was measured.
    note : str
        What works or not, and the remedy.
    """

    group: str
    name: str
    status: str
    found: str = ""
    note: str = ""


def find_all(*, test: bool = True) -> Iterator[Finding]:
    """Look at everything, quick things first."""
    yield Finding("program", "Python", "ok", platform.python_version(), f"{platform.system()} {platform.machine()}")
    try:
        requirements = [Requirement(text) for text in metadata.requires("predclv") or []]
        yield Finding("program", "predclv", "ok", metadata.version("predclv"))
    except metadata.PackageNotFoundError:
        requirements = []
        yield Finding("program", "predclv", "fail", note="It runs without being installed. pip install predclv")
    yield from _packages(requirements)
    yield from _extras(requirements)
    yield from _together()
    yield _java()
    yield _threads()
    if test:
        yield from _self_test()


def version_of(name: str) -> str | None:
    """Version of an installed package, None where it is absent or says none."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _fits(requirement: Requirement) -> bool:
    found = version_of(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _packages(requirements: list[Requirement]) -> Iterator[Finding]:
    for requirement in requirements:
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        found, wanted = version_of(requirement.name), str(requirement.specifier)
        if found is None:
            yield Finding("package", requirement.name, "fail", "", f"It is needed: pip install '{requirement}'")
        elif not _fits(requirement):
            yield Finding(
                "package", requirement.name, "fail", found, f"{wanted} is needed: pip install '{requirement}'"
            )
        else:
            yield Finding("package", requirement.name, "ok", found)


def _extras(requirements: list[Requirement]) -> Iterator[Finding]:
    named: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        marker = "" if requirement.marker is None else str(requirement.marker)
        for extra in re.findall(r"extra == ['\"]([\w-]+)['\"]", marker):
            if extra not in _COMBINED and requirement.marker.evaluate({"extra": extra}):  # type: ignore[union-attr]
                named.setdefault(extra, []).append(requirement)
    for extra in [*EXTRAS, *(name for name in named if name not in EXTRAS)]:
        if extra in named:
            yield _extra(extra, named[extra])


def _extra(extra: str, requirements: list[Requirement]) -> Finding:
    purpose, remedy = EXTRAS.get(extra, ""), f"pip install 'predclv[{extra}]'"
    versions = {requirement.name: version_of(requirement.name) for requirement in requirements}
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    absent = [name for name, version in versions.items() if version is None]
    wrong = [requirement for requirement in requirements if versions[requirement.name] and not _fits(requirement)]
    if len(absent) == len(versions):
        return Finding("extra", extra, "absent", "", f"Not to be had: {purpose}. {remedy}")
    if wrong:
        said = ", ".join(f"{one.name}{one.specifier}" for one in wrong)
        return Finding("extra", extra, "warn", found, f"Tested with {said}: {purpose} may fail. {remedy}")
    if absent:
        return Finding("extra", extra, "warn", found, f"Absent: {', '.join(absent)}. For {purpose}: {remedy}")
    return Finding("extra", extra, "ok", found, purpose)


def _together() -> Iterator[Finding]:
    """Packages that are known not to get on with each other."""
    versions = {name: version_of(name) for name in ("pandas", "lifetimes", "pymc", "arviz", "mlflow", "numpy", "numba")}
    major = {name: Version(version).major for name, version in versions.items() if version is not None}
    if "lifetimes" in major and major.get("pandas", 0) >= 3:
        yield Finding(
            "together",
            "lifetimes and pandas 3",
            "ok",
            note="Of lifetimes, calibration_and_holdout_data without money, plot_history_alive and monthly units fail; "
            "what predclv takes of it, data and fits, works.",
        )
    if "pymc" in major and "arviz" in major and (major["pymc"] >= 6) != (major["arviz"] >= 1):
        wanted = "arviz>=1.1" if major["pymc"] >= 6 else "arviz<1"
        yield Finding(
            "together",
            f"pymc {versions['pymc']} and arviz {versions['arviz']}",
            "warn",
            note=f"They do not belong together: pip install '{wanted}'",
        )
    if "mlflow" in major:
        yield Finding(
            "together",
            "mlflow and pyarrow",
            "ok",
            note="Full mlflow holds pyarrow back; mlflow-skinny, which the extra takes, does not.",
        )


def _java() -> Finding:
    """Java, for Spark alone."""
    spark = version_of("pyspark")
    if spark is None:
        return Finding("machine", "Java", "ok", "not looked for", "Spark alone needs it, and pyspark is not installed.")
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    number, said = _java_version(program)
    if number is None:
        return Finding("machine", "Java", "warn", said, f"Spark will not start without Java {_JAVA} or newer.")
    status = "ok" if number >= _JAVA else "warn"
    return Finding("machine", "Java", status, said, f"for Spark, which needs {_JAVA} or newer")


def _java_version(program: str | None) -> tuple[int | None, str]:
    if program is None:
        return None, "absent"
    try:
        told = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None, "does not run"
    version = re.search(r'version "(?:1\.)?(\d+)([^"]*)"', told.stderr + told.stdout)
    return (None, "of unknown version") if version is None else (int(version[1]), version[1] + version[2])


def _threads() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [f"{name}={os.environ[name]}" for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS") if name in os.environ]
    return Finding("machine", "Processors", "ok", str(cores), ", ".join(limits))


def _self_test() -> Iterator[Finding]:
    """Compile, compare with the literal equation and a published figure, fit simulated customers."""
    start = time.perf_counter()
    try:
        yield _published()
        yield _cache()
        yield _fit()
    except Exception as error:
        remedy = _cache_remedy() if "cache" in str(error) else "Do the versions above belong together?"
        said = f"{type(error).__name__}: {str(error).rstrip('.')}. {remedy}"
        yield Finding("test", "self-test", "fail", "", said)
        return
    yield Finding("test", "self-test", "ok", f"{time.perf_counter() - start:.1f} s", "longer where kernels compile")


def _published() -> Finding:
    import numpy as np

    from predclv.kernels import bg_family
    from predclv.kernels.bg_family import forecast as bg_family_forecast
    from predclv.kernels.bg_family import pointwise as bg_family_pointwise

    x, t_x, T = (np.array([number]) for number in _CUSTOMER)
    theta = np.array([_THETA])
    compiled = bg_family_pointwise.pointwise_log_likelihood(x, t_x, T, theta)
    literal = bg_family.log_likelihood(x, t_x, T, *_THETA)
    found = float(bg_family_forecast.expected_purchases(x, t_x, T, 39.0, theta)[0, 0])
    error = abs(float(compiled[0, 0]) / float(literal[0]) - 1.0)
    right = error < 1e-9 and abs(found - _PUBLISHED) < 2e-3
    note = "likelihood by kernel and by equation, and CDNOW's customer 1 in 39 weeks"
    return Finding("test", "numbers", "ok" if right else "fail", f"{error:.0e}, {found:.3f}", note)


def _cache() -> Finding:
    """Whether compiled kernels are kept, so that the next program need not compile them."""
    from predclv.kernels.bg_family.counts import counts_of_rows

    folder = str(counts_of_rows.stats.cache_path)
    try:
        with tempfile.TemporaryFile(dir=folder):
            return Finding("test", "compile cache", "ok", "can be written to", folder)
    except OSError as error:
        said = f"Kernels are compiled anew by each program: {error.strerror}. {_cache_remedy()}"
        return Finding("test", "compile cache", "warn", "", said)


def _cache_remedy() -> str:
    return "Where kernels cannot be kept, set NUMBA_CACHE_DIR to a folder that can be written to."


def _fit() -> Finding:
    import numpy as np

    from predclv import datasets
    from predclv.models import BGNBD

    truth = {"r": 0.8, "alpha": 5.0, "a": 0.9, "b": 2.5}
    rfm = datasets.simulate_rfm("bg_nbd", n_customers=4_000, parameters=truth, T=52.0, seed=1).rfm
    model = BGNBD().fit(rfm)
    summary = model.summary.set_index("parameter")
    off = [abs(summary["estimate"][name] - truth[name]) / summary["std_error"][name] for name in truth]
    expected = float(np.mean(model.predict(rfm, 26)["expected_purchases"]))
    right = max(off) < 4.0 and np.isfinite(expected)
    note = "estimates of 4,000 simulated customers against their truth, in standard errors"
    return Finding("test", "fit", "ok" if right else "fail", f"at most {max(off):.1f}", note)
