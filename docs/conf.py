"""Sphinx: `make docs` builds the pages without a network, and the pages load nothing from one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src"
sys.path[:0] = [str(DOCS / "_ext"), str(SOURCE)]
# Cells of pages run in processes of their own, which shall import the same package.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"

import predclv  # noqa: E402  the path above leads to it

project = "predclv"
author = "The predclv developers"
copyright = "The predclv developers"
version = release = predclv.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "api_pages",
    "command_page",
    "gallery_page",
    "mathml",
    "notebook_pages",
    "one_kernel",
]
exclude_patterns = ["_build", "_ext", "examples", "**.ipynb_checkpoints"]
nitpicky = True
templates_path: list[str] = []

# Docstrings name types in words, as numpydoc does; in signatures they would only repeat them.
autodoc_typehints = "none"
default_role = "code"
# "--engine" is no dash and an engine.
smartquotes = False

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
# MathML instead of MathJax: see _ext/mathml.py.
myst_update_mathjax = False
nb_ipywidgets_js: dict[str, dict[str, str]] = {}
nb_execution_mode = "cache"
nb_execution_excludepatterns = ["notebooks/*"]
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
# Pages print the warnings that they are about; where a cell stands in a temporary file is of no use to anyone.
nb_output_stderr = "remove"
nb_render_markdown_format = "myst"

html_theme = "pydata_sphinx_theme"
html_title = "predclv"
html_static_path = ["_static"]
html_css_files = ["predclv.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_version_warning_banner": False,
    "secondary_sidebar_items": ["page-toc"],
}
# Pages by themselves, whose sections stand at the right.
html_sidebars: dict[str, list[str]] = {"guide": [], "gallery/index": [], "commands": []}
html_context = {"default_mode": "light"}
