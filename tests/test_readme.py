"""The Python of the README and of the tour runs as it stands, their commands exist, and their links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {page: (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/tour.md")}


def blocks(page: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    return [text for name, text in fenced if name == language]


# What the pages say of CDNOW: spend goes with frequency, and a year is longer than its log.
pytestmark = [
    pytest.mark.filterwarnings("ignore::predclv.errors.DependenceWarning"),
    pytest.mark.filterwarnings("ignore::predclv.errors.HorizonWarning"),
]


def run(page: str) -> dict:
    names: dict = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), names)
    assert len(names["customers"]) == 2357
    assert names["total"]["segment"].iloc[-1] == "existing customers"
    return names


def test_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("README.md")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.slow
def test_the_tour_runs_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("docs/tour.md")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backtest.html", "model", "subscribers.html"]


def test_the_table_of_columns_is_the_table():
    """Every column that `predict` gives is explained, and none that it does not."""
    import predclv as pc

    rfm = pc.RFMSummary.from_transactions(pc.datasets.load_cdnow(), amount="amount", observation_end="1997-09-30")
    clv = pc.CLV().fit(rfm)
    section = PAGES["docs/tour.md"].split("## The table of customers")[1].split("\n## ")[0]
    explained = [
        name
        for row in re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert explained == list(clv.predict(rfm, "1 year"))


def commands(page: str) -> list[list[str]]:
    """Words of each command that a page shows."""
    lines = "\n".join(blocks(page, "")).replace("\\\n", " ").splitlines()
    return [line.split() for line in lines if "predclv " in line]


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_shown_have_the_options_shown(page, capsys):
    from predclv.cli import main

    shown = commands(page)
    assert len(shown) >= 2
    for words in shown:
        name = words[1:3] if words[1] == "contracts" else words[1:2]
        assert main([*name, "--help"]) == 0
        known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
        assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_to_them(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGES[page]):
        folder = (ROOT / page).parent
        # Executed notebooks lie beside the documentation only while it is built.
        found = ROOT / target if target.startswith("notebooks/") else folder / target
        assert found.exists(), f"{page}: {target}"


def test_the_picture_is_drawn_anew(tmp_path):
    """By the script that the README names, of the very figures in its text."""
    script = ROOT / "docs" / "picture.py"
    names = runpy.run_path(str(script))
    names["draw"](tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
