"""The executed notebooks as pages: they lie beside the documentation, and Sphinx wants them within."""

from __future__ import annotations

import shutil
from pathlib import Path

from sphinx.application import Sphinx


def copy_notebooks(source: Path, target: Path) -> None:
    """Copy what has changed, and remove what is gone."""
    target.mkdir(exist_ok=True)
    notebooks = {path.name: path for path in source.glob("*.ipynb")}
    for path in target.glob("*.ipynb"):
        if path.name not in notebooks:
            path.unlink()
    for name, path in notebooks.items():
        copy = target / name
        if not copy.is_file() or copy.read_bytes() != path.read_bytes():
            shutil.copyfile(path, copy)


def setup(app: Sphinx) -> dict[str, bool]:
    """Copy them before Sphinx looks for pages."""
    docs = Path(app.srcdir)
    copy_notebooks(docs.parent / "notebooks", docs / "notebooks")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
