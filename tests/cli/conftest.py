"""A log file, and a summary and a model made of it by the commands themselves."""

from __future__ import annotations

import pytest

from command_line import AS_OF, COLUMNS, make_log
from predclv.cli import main


@pytest.fixture(scope="session")
def log(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    make_log().to_csv(path, index=False)
    return str(path)


@pytest.fixture(scope="session")
def steps(log, tmp_path_factory) -> dict[str, str]:
    """A summary and a model made by the commands themselves."""
    folder = tmp_path_factory.mktemp("steps")
    paths = {name: str(folder / file) for name, file in {"rfm": "rfm.parquet", "model": "model"}.items()}
    assert main(["summarize", log, *COLUMNS, *AS_OF, "--carry", "kept", "--out", paths["rfm"], "-q"]) == 0
    assert main(["fit", paths["rfm"], "--out", paths["model"], "-q"]) == 0
    return paths
