"""`predclv doctor` says what works, whatever is missing, and its exit code says whether something needed does not."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest

from predclv.cli import doctor_checks, main
from predclv.cli.doctor_checks import EXTRAS, Finding

CORE = {
    "joblib",
    "matplotlib",
    "narwhals",
    "numba",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
    "threadpoolctl",
}


@pytest.fixture
def installed(monkeypatch):
    """Pretend that packages have other versions, or are absent (None)."""

    def pretend(**versions):
        real = doctor_checks.version_of
        named = {name.replace("_", "-"): version for name, version in versions.items()}
        monkeypatch.setattr(doctor_checks, "version_of", lambda name: named.get(name, real(name)))

    real = doctor_checks.version_of

    def only_core(name):
        return real(name) if name in CORE else None

    pretend.only_core = lambda: monkeypatch.setattr(doctor_checks, "version_of", only_core)
    return pretend


def findings(capsys, *arguments) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
    code = main(["doctor", "--json", *arguments])
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] == (code == 0)
    return code, {(one["group"], one["name"]): one for one in told["findings"]}


def test_here_everything_needed_works(capsys):
    code, found = findings(capsys)
    assert code == 0
    assert {one["status"] for (group, _), one in found.items() if group in ("program", "package", "test")} == {"ok"}
    assert {name for group, name in found if group == "package"} >= CORE
    assert {name for group, name in found if group == "extra"} == set(EXTRAS)
    assert found["test", "numbers"]["found"].endswith("1.226")


def test_the_screen(capsys):
    assert main(["doctor", "--no-test"]) == 0
    out = capsys.readouterr().out
    assert "Extras" in out
    assert "Self-test" not in out
    assert out.splitlines()[-1] == "What is needed works."


def test_without_any_extra_it_says_what_there_is_not(capsys, installed):
    installed.only_core()
    code, found = findings(capsys, "--no-test")
    assert code == 0
    for extra in EXTRAS:
        assert found["extra", extra]["status"] == "absent"
        assert f"pip install 'predclv[{extra}]'" in found["extra", extra]["note"]
    assert found["machine", "Java"]["found"] == "not looked for"


def test_part_of_an_extra_is_a_warning(capsys, installed):
    installed(nutpie=None)
    code, found = findings(capsys, "--no-test")
    assert code == 0
    assert found["extra", "bayes"]["status"] == "warn"
    assert "Absent: nutpie" in found["extra", "bayes"]["note"]


def test_what_is_needed_and_too_old_fails(capsys, installed):
    installed(numpy="1.26.4", scikit_learn="1.4.0")
    code, found = findings(capsys, "--no-test")
    assert code == 1
    assert found["package", "numpy"]["status"] == "fail"
    assert ">=2.0" in found["package", "numpy"]["note"]


def test_packages_that_do_not_belong_together(capsys, installed):
    installed(pymc="6.0.1", arviz="0.23.4", lifetimes="0.11.3", pandas="3.1.1", mlflow="3.0.0")
    _, found = findings(capsys, "--no-test")
    assert "arviz>=1.1" in found["together", "pymc 6.0.1 and arviz 0.23.4"]["note"]
    assert ("together", "lifetimes and pandas 3") in found
    assert ("together", "mlflow and pyarrow") in found


@pytest.mark.parametrize(
    ("said", "status", "found"),
    [
        ('openjdk version "17.0.15" 2025-04-15', "ok", "17.0.15"),
        ('openjdk version "11.0.2" 2019-01-15', "warn", "11.0.2"),
        ('java version "1.8.0_202"', "warn", "8.0_202"),
        ("something else", "warn", "of unknown version"),
    ],
)
def test_java(monkeypatch, installed, said, status, found):
    installed(pyspark="4.3.0")
    monkeypatch.setenv("JAVA_HOME", "jdk")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stderr=said, stdout=""))
    java = doctor_checks._java()
    assert (java.status, java.found) == (status, found)


def test_java_that_is_absent_or_broken(monkeypatch, installed, tmp_path):
    installed(pyspark="4.3.0")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert doctor_checks._java().found == "does not run"
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor_checks._java() == Finding(
        "machine", "Java", "warn", "absent", "Spark will not start without Java 17 or newer."
    )


def test_wrong_numbers_and_what_cannot_be_compiled_fail(monkeypatch, capsys):
    from predclv.kernels.bg_family import pointwise as bg_family_pointwise

    right = bg_family_pointwise.pointwise_log_likelihood
    monkeypatch.setattr(bg_family_pointwise, "pointwise_log_likelihood", lambda *a: right(*a) * (1 + 1e-6))
    code, found = findings(capsys)
    assert code == 1
    assert found["test", "numbers"]["status"] == "fail"

    def refuse(*_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(bg_family_pointwise, "pointwise_log_likelihood", refuse)
    assert main(["doctor"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "NUMBA_CACHE_DIR" in out
    assert "Does not work: self-test." in out
