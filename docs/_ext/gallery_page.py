"""The gallery: `docs/gallery.py` is run cell by cell, and each cell's code stands beside the picture that it drew.

A cell begins with `# %% name: what the picture says`. The first cell, `# %% setup`, is shown once, above.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import SphinxError


@dataclass(frozen=True)
class Cell:
    """A piece of the source: a heading, or a picture with its code."""

    kind: str
    name: str
    about: str
    code: str


def read_cells(source: str) -> Iterator[Cell]:
    """Cells in order; "group" is a heading with a sentence, "setup" what all share, "picture" the rest."""
    for part in re.split(r"^# %% ", source, flags=re.MULTILINE)[1:]:
        head, _, code = part.partition("\n")
        name, _, about = head.partition(": ")
        if name.startswith("[group] "):
            yield Cell("group", name.removeprefix("[group] "), about, "")
        else:
            yield Cell("setup" if name == "setup" else "picture", name, about, code.strip())


def draw(cells: list[Cell], folder: Path) -> None:
    """Run all cells in one namespace and save each picture."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    names: dict[str, Any] = {}
    for cell in cells:
        if cell.kind == "group":
            continue
        plt.close("all")
        with warnings.catch_warnings():
            # The text of a page is where a warning of the data shown is spoken of.
            warnings.simplefilter("ignore")
            try:
                exec(compile(cell.code, f"gallery.py, {cell.name}", "exec"), names)
            except Exception as error:
                raise SphinxError(f"The gallery's cell {cell.name!r} fails: {error!r}") from error
        if cell.kind == "picture":
            if not plt.get_fignums():
                raise SphinxError(f"The gallery's cell {cell.name!r} draws nothing.")
            plt.gcf().savefig(folder / f"{cell.name}.png", dpi=110, bbox_inches="tight")
    plt.close("all")


def page(cells: list[Cell]) -> str:
    """The page: small pictures that lead to the large ones, then each with its code."""
    lines = [
        "Gallery\n=======\n",
        "Every plot, and the code that makes it. A result goes in and matplotlib's Axes "
        "come out; each takes ``ax=``.\n",
        ".. container:: thumbnails\n",
    ]
    lines += [_thumbnail(cell) for cell in cells if cell.kind == "picture"]
    for cell in cells:
        if cell.kind == "group":
            lines.append(f"{cell.name}\n{'-' * len(cell.name)}\n\n{cell.about}\n")
        elif cell.kind == "setup":
            lines.append(f"What they share\n---------------\n\n{cell.about}\n\n{_code(cell.code)}")
        else:
            heading = f".. _picture-{cell.name}:\n\n{cell.name}\n{'~' * len(cell.name)}\n\n{cell.about}\n\n"
            lines.append(f"{heading}{_code(cell.code)}\n.. image:: {cell.name}.png\n   :alt: {cell.about}\n")
    return "\n".join(lines)


def _thumbnail(cell: Cell) -> str:
    options = f"      :target: `picture-{cell.name}`_\n      :alt: {cell.about}\n"
    return f"   .. figure:: {cell.name}.png\n{options}\n      {cell.name}\n"


def _code(code: str) -> str:
    return ".. code-block:: python\n\n" + "".join(f"   {line}\n" if line else "\n" for line in code.splitlines())


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw before Sphinx looks for pages; what was drawn from the same code of the same package is kept."""
    docs = Path(app.srcdir)
    source = (docs / "gallery.py").read_text(encoding="utf-8")
    folder = docs / "gallery"
    folder.mkdir(exist_ok=True)
    package = sorted((docs.parent / "src").rglob("*.py"))
    digest = hashlib.sha256(b"".join([source.encode(), *(path.read_bytes() for path in package)])).hexdigest()
    stamp = folder / ".digest"
    if not stamp.is_file() or stamp.read_text() != digest:
        for path in folder.glob("*.png"):
            path.unlink()
        cells = list(read_cells(source))
        draw(cells, folder)
        (folder / "index.rst").write_text(page(cells), encoding="utf-8")
        stamp.write_text(digest)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
