r"""Formulas as MathML, which browsers show by themselves: no script, no font and nothing from a network.

docutils translates TeX to MathML; numbers of equations, `\tag{6}`, stand at the right, as a paper has them.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

_TAG = re.compile(r"\\tag\{([^}]*)\}")


def translate(tex: str, *, block: bool) -> str:
    r"""HTML of a formula; a block with a `\tag` has its number beside it."""
    tags = _TAG.findall(tex)
    try:
        mathml = tex2mathml(_TAG.sub("", tex).strip(), as_block=block)
    except MathError as error:
        raise SphinxError(f"This formula cannot become MathML: {tex.strip()}\n{error}") from error
    if not block:
        return mathml
    numbers = f'<span class="equation-number">({escape(", ".join(tags))})</span>' if tags else ""
    return f'<div class="equation"><div class="equation-body">{mathml}</div>{numbers}</div>\n'


def _visit_inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(translate(node.astext(), block=False))
    raise nodes.SkipNode


def _visit_block(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(translate(node.astext(), block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer."""
    app.add_html_math_renderer("mathml", (_visit_inline, None), (_visit_block, None))
    app.config.html_math_renderer = "mathml"  # type: ignore[attr-defined]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
