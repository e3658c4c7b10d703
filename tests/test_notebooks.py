"""Notebooks as committed: what the .py beside them says, executed, and free of this machine's paths."""

from __future__ import annotations

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda path: path.stem)
def test_executed_notebook_follows_its_source(source):
    notebook = jupytext.read(source.with_suffix(".ipynb"))
    script = jupytext.read(source)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in script.cells]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "run `make notebooks`"
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    for place in ("/home/", "/root/", "/tmp/", "site-packages"):
        assert place not in text


def test_there_is_a_notebook_to_check():
    assert NOTEBOOKS
