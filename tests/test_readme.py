"""The README's Python runs as it stands, and its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


# What the README says of CDNOW: spend goes with frequency, and a year is longer than its log.
pytestmark = [
    pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning"),
    pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning"),
]


def test_the_python_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    assert len(blocks("python")) >= 2
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    assert len(names["customers"]) == 2357
    assert names["total"]["segment"].iloc[-1] == "existing customers"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backtest.html", "model", "subscribers.html"]


def test_the_table_of_columns_is_the_table():
    """Every column that `predict` gives is explained, and none that it does not."""
    import predclv as pc

    rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), amount="amount", observation_end="1997-09-30")
    clv = pc.CLV().fit(rfm)
    section = README.split("## The table of customers")[1].split("\n## ")[0]
    explained = [
        name
        for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert explained == list(clv.predict(rfm, "1 year"))


def test_the_commands_shown_have_the_options_shown(capsys):
    from predclv.cli import main

    for block in blocks(""):
        if "predclv run" in block:
            assert main(["run", "--help"]) == 0
            help_text = capsys.readouterr().out
            for option in re.findall(r"--[a-z-]+", block):
                assert option in help_text
            return
    pytest.fail("the README shows no command line")
