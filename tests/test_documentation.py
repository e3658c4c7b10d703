"""The documentation builds without warnings and offline, names all that is public, and leads nowhere in vain."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

import predclv as pc
from predclv import plots

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def extension(request):
    """A module of `docs/_ext`."""
    sys.path.insert(0, str(DOCS / "_ext"))
    yield importlib.import_module
    sys.path.remove(str(DOCS / "_ext"))


def test_every_public_module_has_its_page(extension):
    modules = extension("api_pages").MODULES
    assert {f"predclv.{name}" for name in pc._MODULES} <= set(modules)
    toctree = (DOCS / "api" / "index.md").read_text(encoding="utf-8")
    assert re.findall(r"^predclv[\w.]*$", toctree, flags=re.MULTILINE) == list(modules)


def test_every_public_name_says_what_it_is(extension):
    pages = extension("api_pages")
    silent = {
        entry.full_name
        for entries in pages.list_entries().values()
        for entry in entries
        if not pages._first_line(entry)
    }
    assert silent == set()


def test_the_gallery_shows_every_plot(extension):
    cells = list(extension("gallery_page").read_cells((DOCS / "gallery.py").read_text(encoding="utf-8")))
    drawn = {cell.name for cell in cells if cell.kind == "picture"}
    assert drawn >= {name for name in plots.__all__ if name.startswith("plot_")}
    # The ways of a result to draw itself.
    text = "\n".join(f"{cell.about}\n{cell.code}" for cell in cells)
    for entries in extension("api_pages").list_entries().values():
        for entry in entries:
            value = getattr(importlib.import_module(entry.home), entry.name)
            for method in [name for name in dir(value) if entry.kind == "class" and name.startswith("plot")]:
                assert f"`{entry.name}.{method}`" in text, f"the gallery has no picture of {entry.name}.{method}"


STANDALONE = [DOCS / "index.md", *sorted(path for path in (DOCS / "models").glob("*.md") if path.stem != "index")]


def test_every_model_has_a_page():
    assert {path.stem for path in STANDALONE[1:]} == set(pc.MODELS)


@pytest.mark.parametrize("page", STANDALONE, ids=[path.stem for path in STANDALONE])
@pytest.mark.filterwarnings("ignore::predclv.errors.PredCLVWarning")
def test_the_code_of_a_page_runs(page):
    """Pages with results are run by the build."""
    [code] = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    exec(compile(code, page.name, "exec"), {})


class Page(HTMLParser):
    """What a page has, and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        loads = given.get("src") or (given.get("href") if tag == "link" else None)
        if loads:
            self.loaded.append(loads)


def outside(address: str) -> bool:
    return re.match(r"[a-z]+:|//", address) is not None and not address.startswith("data:")


def pages_in(folder: Path) -> list[Path]:
    # The theme keeps templates of its own under _static.
    return sorted(path for path in folder.rglob("*.html") if "_static" not in path.parts)


def dead_links(folder: Path) -> list[str]:
    pages = {path: Page(path) for path in pages_in(folder)}
    dead = []
    for path, page in pages.items():
        for address in [link for link in page.links if not outside(link)] + [a for a in page.loaded if ":" not in a]:
            target, _, anchor = unquote(address).partition("#")
            file = (path.parent / target.split("?")[0]).resolve() if target else path
            if not file.is_file() or (anchor and file in pages and anchor not in pages[file].anchors):
                dead.append(f"{path.relative_to(folder)}: {address}")
    return dead


@pytest.mark.slow
def test_the_documentation_builds_and_leads_nowhere_in_vain(tmp_path, extension):
    html = tmp_path / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", "--keep-going", "-d", str(tmp_path / "doctrees")]
    built = subprocess.run([*command, str(DOCS), str(html)], capture_output=True, text=True, env=os.environ)
    assert built.returncode == 0, built.stderr[-4000:]
    assert dead_links(html) == []
    for path in pages_in(html):
        assert [address for address in Page(path).loaded if outside(address)] == [], path.name
    for path in html.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(?:https?:)?//", path.read_text(encoding="utf-8")), path.name

    from sphinx.util.inventory import InventoryFile

    inventory = InventoryFile.loads((html / "objects.inv").read_bytes(), uri="").data
    told = {name for names in inventory.values() for name in names}
    entries = [entry for found in extension("api_pages").list_entries().values() for entry in found]
    assert {entry.full_name for entry in entries} <= told
