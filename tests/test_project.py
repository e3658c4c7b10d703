"""What must hold of the repository itself: nothing of one machine, no code hidden in data, versions that agree."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import predclv

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def committed_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("data absent: this is not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def committed_texts() -> dict[str, str]:
    texts = {}
    for path in committed_files():
        try:
            texts[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
    return texts


def where(pattern: str, skip: str = "tests/test_project.py") -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for name, text in committed_texts().items()
        if name != skip
        for match in re.finditer(pattern, text)
    ]


def test_no_path_of_one_machine_is_committed():
    assert where(r"(?<![\w.~/-])/(?:work|farm|root|home/\w+|tmp|Users)/[\w.-]+") == []


def test_no_package_index_or_download_address_is_committed():
    assert where(r"(?i)(?:index-url|find-links|extra-index)\b.*|git\+https?://\S+") == []


def test_make_clean_removes_nothing_committed(needs):
    needs("make")
    said = subprocess.run(["make", "-n", "clean"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wiped = [word for line in said.splitlines() if line.startswith("rm -rf") for word in line.split()[2:]]
    assert "docs/_build" in wiped
    places = {place for pattern in wiped for place in ROOT.glob(pattern)}
    assert [path for path in committed_files() if places & {path, *path.parents}] == []


def test_no_pickle_is_committed_or_opened():
    assert [path.name for path in committed_files() if path.suffix in {".pkl", ".pickle", ".joblib", ".npy"}] == []
    # joblib may run processes, whose tasks it pickles itself; its files are pickles, so its reader is out of reach.
    forbidden = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    of_joblib = {"joblib.Parallel", "joblib.delayed"}
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [f"{node.module}.{a.name}" for a in node.names] if isinstance(node, ast.ImportFrom) else []
            names = [n for n in names if n not in of_joblib and not n.startswith("joblib.externals.loky.")]
            assert not forbidden & {name.split(".")[0] for name in names}, f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, f"{path.name}:{node.lineno}"


def test_nothing_large_is_committed():
    assert {p.name: p.stat().st_size for p in committed_files() if p.stat().st_size > 1_000_000} == {}


def test_version_is_said_once():
    assert predclv.__version__ == PROJECT["version"] == metadata.version("predclv")
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_constraints_are_plain_pins_of_every_direct_dependency():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r'[A-Za-z0-9._-]+==[^\s/]+( ; python_version < "3\.12")?', line), line
    pins = {Requirement(line).name.lower().replace("_", "-"): Requirement(line) for line in lines}
    asked = PROJECT["dependencies"] + [r for group in PROJECT["optional-dependencies"].values() for r in group]
    for requirement in map(Requirement, asked):
        name = requirement.name.lower().replace("_", "-")
        if name == "predclv" or not (
            requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"})
        ):
            continue
        assert name in pins, f"{name} is not pinned in constraints.txt"
        pinned = str(pins[name].specifier).removeprefix("==")
        assert requirement.specifier.contains(pinned), f"{name}: {pinned} is outside {requirement.specifier}"


def test_every_extra_is_part_of_all():
    extras = PROJECT["optional-dependencies"]
    [everything] = map(Requirement, extras["all"])
    assert everything.extras == set(extras) - {"all", "demo"}


def test_tests_mirror_the_source():
    packages = {p.name for p in (ROOT / "src" / "predclv").iterdir() if (p / "__init__.py").is_file()}
    folders = {p.name for p in (ROOT / "tests").iterdir() if p.is_dir() and any(p.glob("test_*.py"))}
    # Whether intervals hold is a question to all packages together.
    assert folders - packages <= {"calibration"}
