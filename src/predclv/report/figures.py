"""A plot as SVG that stands in a page beside others: nothing fetched, ids of its own, the same bytes each time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from predclv.report.blocks import Figure
from predclv.report.room import make_room

__all__ = ["draw"]

# Drawn at the width of a phone's page or of half a desk's, so that text is read at about its own size.
_SIZE = (5.0, 3.4)
_REFERENCE = re.compile(r"url\(#([^)]*)\)")
_KEPT_NAMESPACE = re.compile(r"^\{[^}]*\}")


def draw(
    name: str,
    plot: Callable[..., Any],
    *arguments: Any,
    label: str,
    caption: str = "",
    size: tuple[float, float] = _SIZE,
    **options: Any,
) -> Figure:
    """Draw one plot.

    Parameters
    ----------
    name : str
        Unique in the report, a word; every id in the SVG begins with it.
    plot : callable
        Takes `*arguments`, `**options` and `ax`.
    label : str
        What is to be seen, for those who do not see it.
    caption : str
        How to read it.
    size : (float, float)
        Inches.
    """
    # What SVG is written with, so that what is measured here is what is drawn.
    canvas = Canvas(figsize=size, dpi=72, layout="constrained")
    buffer = io.BytesIO()
    # Text stays text, which a reader can select and a browser shows in scripts that matplotlib's own font lacks.
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        plot(*arguments, ax=canvas.subplots(), **options)
        make_room(canvas)
        canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return Figure(_for_page(buffer.getvalue(), name, label), label, caption)


def _for_page(svg: bytes, name: str, label: str) -> Markup:
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        for child in list(element):
            if child.tag.endswith(("}metadata", "}style")):
                element.remove(child)
        element.tag = _KEPT_NAMESPACE.sub("", element.tag)
        element.attrib = {_KEPT_NAMESPACE.sub("", key): value for key, value in element.attrib.items()}
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == "href" and value.startswith("#"):
                element.set(key, f"#{name}-{value[1:]}")
            else:
                element.set(key, _REFERENCE.sub(rf"url(#{name}-\1)", value))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": label}
    return Markup(ElementTree.tostring(root, encoding="unicode"))
