"""The layers contract holds, and `import predclv` stays light."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import predclv

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
HEAVY = [
    "duckdb",
    "jinja2",
    "matplotlib",
    "numba",
    "polars",
    "pyarrow",
    "pymc",
    "pyspark",
    "rich",
    "scipy",
    "sklearn",
    "typer",
]


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_imports_go_downwards_only():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(CONTRACTS)} kept, 0 broken" in done.stdout


def test_the_contract_sees_an_import_upwards(tmp_path):
    """The contract is not vacuous: a lower file that imports a higher one, inside a function, breaks it."""
    package = tmp_path / "src" / "predclv"
    for contract in CONTRACTS:
        [container] = contract["containers"]
        for layer in contract["layers"]:
            for name in layer.split(" | "):
                module = tmp_path / "src" / Path(*container.split("."), name) / "__init__.py"
                module.parent.mkdir(parents=True, exist_ok=True)
                module.touch()
    (package / "__init__.py").touch()
    (package / "kernels" / "__init__.py").write_text("def f():\n    from predclv import models\n    return models\n")
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=tmp_path, env={"PYTHONPATH": "src"}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "predclv.kernels -> predclv.models" in done.stdout


def test_import_is_light():
    loaded = run_python(f"import predclv, sys; print(*[m for m in {HEAVY} if m in sys.modules])").split()
    assert loaded == []


def test_help_of_the_command_line_is_light():
    """`predclv --help` reads no model: only what typer itself needs."""
    code = (
        "import sys, predclv.cli as cli\n"
        "code = cli.main(['--help'])\n"
        "print(code, *[m for m in ['numba', 'scipy', 'sklearn', 'matplotlib', 'pandas'] if m in sys.modules])"
    )
    assert run_python(code).splitlines()[-1].split() == ["0"]


@pytest.mark.parametrize("name", ["RFMSummary", "BGNBD", "GammaGamma", "CLV", "load", "datasets"])
def test_public_names_are_reached_lazily_and_listed(name):
    assert run_python(f"import predclv as pc; print(pc.{name} is not None, {name!r} in dir(pc))").split() == [
        "True",
        "True",
    ]


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'BGNBB'"):
        predclv.BGNBB  # noqa: B018
