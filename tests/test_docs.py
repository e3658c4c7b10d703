"""The pages under docs/ speak of what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import predclv as pc

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_every_model_has_its_equations():
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^## .*$", page, flags=re.MULTILINE))
    for key, model in pc.MODELS.items():
        assert f"`{key}`" in headings, f"docs/models.md has no section for {key}"
        assert key == "gamma_gamma" or f"`{model.__name__}`" in page
    for key in re.findall(r"`(\w+)`", headings):
        assert key in pc.MODELS, f"docs/models.md has a section for {key}, which is no model"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_links_within_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        if path.parent == DOCS / "notebooks" and path.suffix == ".ipynb":
            # Sphinx is given copies of those that lie beside the documentation.
            path = DOCS.parent / "notebooks" / path.name
        assert path.exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_mathematics_is_closed(page):
    """Each $ has its partner, so that a page does not turn into formulas half-way."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert text.count("$$") % 2 == 0
    for paragraph in re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL).split("\n\n"):
        assert paragraph.count("$") % 2 == 0, paragraph[:80]
