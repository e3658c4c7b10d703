"""The documentation builds without warnings and offline, names all that is public, and leads nowhere in vain."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys
import typing
from functools import cache, cached_property
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


@cache
def names_of(module):
    """What annotations of a module may name: what it has, and what it imports for type checkers alone."""
    names = dict(vars(module))
    body = ast.parse(inspect.getsource(module)).body
    for node in [node for block in body if isinstance(block, ast.If) for node in block.body]:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("predclv"):
            home = importlib.import_module(node.module)
            names.update({name.asname or name.name: getattr(home, name.name) for name in node.names})
    return names


def classes_in(annotation, module):
    """Classes of ours in an annotation, however deep."""
    if isinstance(annotation, str):
        nodes = ast.walk(ast.parse(annotation, mode="eval"))
        named = [names_of(module).get(node.id) for node in nodes if isinstance(node, ast.Name)]
        return set().union(*(classes_in(value, module) for value in named))
    if inspect.isclass(annotation) and typing.get_origin(annotation) is None:
        return {annotation} if annotation.__module__.startswith("predclv") else set()
    return set().union(*(classes_in(part, module) for part in typing.get_args(annotation)))


def gives(value):
    """What a function returns; what methods, properties and fields of a class give, inherited ones included."""
    if inspect.isfunction(value):
        return classes_in(value.__annotations__.get("return"), inspect.getmodule(value))
    found = set()
    for base in [base for base in value.__mro__ if base.__module__.startswith("predclv")]:
        module = importlib.import_module(base.__module__)
        for name, annotation in vars(base).get("__annotations__", {}).items():
            found |= set() if name.startswith("_") else classes_in(annotation, module)
        for name, member in vars(base).items():
            if isinstance(member, classmethod | staticmethod):
                member = member.__func__
            elif isinstance(member, property | cached_property):
                member = member.fget if isinstance(member, property) else member.func
            if inspect.isfunction(member) and not name.startswith("_"):
                found |= gives(member)
    return found


def test_every_class_that_is_returned_has_a_page(extension):
    pages = extension("api_pages")
    entries = [*pages.list_entries().values(), *pages.list_met().values()]
    values = [getattr(importlib.import_module(entry.home), entry.name) for found in entries for entry in found]
    told = {value for value in values if inspect.isclass(value) or inspect.isfunction(value)}
    from predclv.data.frozen import CopiedFrame

    # It gives a copy of a data frame, and is never seen itself.
    missing = {value: given for value in told if (given := gives(value) - told - {CopiedFrame})}
    assert missing == {}, missing
    # The walk finds what is behind imports for type checkers, unions and properties.
    assert pc.Explanation in gives(pc.BGNBD)
    assert {"Dependence", "Fingerprint"} <= {value.__name__ for value in gives(pc.GammaGamma)}


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
    pages = extension("api_pages")
    entries = [
        entry for listed in (pages.list_entries(), pages.list_met()) for found in listed.values() for entry in found
    ]
    assert {entry.full_name for entry in entries} <= told
