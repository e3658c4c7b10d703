"""Blocks to HTML: jinja2 with autoescape, so that a name from the data is never markup."""

from __future__ import annotations

from predclv.report.blocks import Document

__all__ = ["render"]


def render(document: Document) -> str:
    """Return the page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("predclv.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page = environment.get_template("report.html.j2").render(document=document)
    # What cannot be written as UTF-8 has no business on a page.
    return page.encode("utf-8", "replace").decode("utf-8")
