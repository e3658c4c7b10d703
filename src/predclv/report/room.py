"""Room on a narrow drawing: titles, legends and tick labels that its layout lets run out of it or into each other."""

from __future__ import annotations

import textwrap
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator
from matplotlib.transforms import blended_transform_factory

__all__ = ["make_room"]

# Points between labels, and from the edge: a browser's letters may be a little wider; the fewest ticks of an axis; and
# how often what was moved makes room for what was not.
_GAP, _FEWEST, _ROUNDS = 5.0, 2, 3


def make_room(canvas: Figure) -> None:
    """Wrap titles and labels, move legends and thin ticks where they would be cut off or overlap, in place."""
    for _ in range(_ROUNDS):
        canvas.draw_without_rendering()
        # All of them: what each moves is of its own.
        if not any([step(canvas, axes) for axes in canvas.axes for step in _STEPS]):
            break
    canvas.draw_without_rendering()
    # Another layout would take other ticks, which were not looked at.
    canvas.set_layout_engine("none")
    for axes in canvas.axes:
        _thin_ticks(canvas, axes)


def _wrap_title(canvas: Figure, axes: Axes) -> bool:
    """Begin a title that is cut off on the right at the left edge, on as many lines as it takes; whether it was."""
    words = axes.get_title(loc="left")
    found = [child for child in axes.get_children() if isinstance(child, Text) and words and child.get_text() == words]
    if not found:
        return False
    title, whole = found[0], canvas.bbox
    extent = title.get_window_extent()
    if whole.x0 <= extent.x0 and extent.x1 <= whole.x1:
        return False
    # From the edge of the drawing, wherever the axes end up.
    title.set_transform(blended_transform_factory(canvas.transFigure, axes.transAxes + axes.titleOffsetTrans))  # type: ignore[attr-defined]
    title.set_x(_GAP / whole.width)
    _wrap(title, extent.width, whole.width)
    return True


def _wrap_label(canvas: Figure, axes: Axes) -> bool:
    """Put a label of the horizontal axis that is cut off on two lines or more, under the middle; whether it was."""
    label = axes.xaxis.label
    extent = label.get_window_extent()
    if not label.get_text() or (extent.x0 >= canvas.bbox.x0 and extent.x1 <= canvas.bbox.x1):
        return False
    _wrap(
        label, extent.width, min(canvas.bbox.x1 - axes.bbox.x0, axes.bbox.width + 2 * (canvas.bbox.x1 - axes.bbox.x1))
    )
    return True


def _wrap(text: Text, width: float, room: float) -> None:
    words = text.get_text()
    letters = max(map(len, words.split("\n")))
    fitting = int(letters * (room - 2 * _GAP) / width) - 1
    if letters > fitting:
        text.set_text(textwrap.fill(" ".join(words.split()), max(fitting, 12)))


def _move_legend(canvas: Figure, axes: Axes) -> bool:
    """Move a legend that is cut off on the right to the left; whether it was."""
    legend = axes.get_legend()
    if legend is None:
        return False
    beyond = legend.get_window_extent().x1 - (canvas.bbox.x1 - _GAP)
    if beyond > 0:
        place = legend.get_bbox_to_anchor().transformed(axes.transAxes.inverted())
        left = place.x0 - beyond / axes.bbox.width
        legend.set_bbox_to_anchor((left, place.y0, place.width, place.height), transform=axes.transAxes)
    return bool(beyond > 0)


def _thin_ticks(canvas: Figure, axes: Axes) -> bool:
    """Take fewer ticks of the horizontal axis until their labels stand apart; whether; names set one by one stay."""
    locator = axes.xaxis.get_major_locator()
    if isinstance(locator, FixedLocator):
        return _thin_counted(canvas, axes)
    if not isinstance(locator, MaxNLocator):
        return False
    at_first = bins = len(axes.get_xticks())
    while bins > _FEWEST and _overlap(axes):
        bins -= 1
        axes.xaxis.set_major_locator(MaxNLocator(bins))
        canvas.draw_without_rendering()
    return bins < at_first


def _thin_counted(canvas: Figure, axes: Axes) -> bool:
    """Leave out every other tick, or more, where they are whole numbers at even steps, which tell those in between."""
    at, labels = list(axes.get_xticks()), [label.get_text() for label in axes.get_xticklabels()]
    if not all(map(str.isdecimal, labels)) or len({int(b) - int(a) for a, b in pairwise(labels)}) != 1:
        return False
    every = 1
    while len(at[:: every + 1]) >= _FEWEST and _overlap(axes):
        every += 1
        axes.set_xticks(at[::every], labels[::every])
        canvas.draw_without_rendering()
    return every > 1


def _overlap(axes: Axes) -> bool:
    low, high = sorted(axes.get_xlim())
    extents = [
        label.get_window_extent()
        for label in axes.get_xticklabels()
        if label.get_text() and low <= label.get_position()[0] <= high
    ]
    extents.sort(key=lambda extent: extent.x0)
    return any(before.x1 + _GAP > after.x0 for before, after in pairwise(extents))


_STEPS = (_move_legend, _thin_ticks, _wrap_label, _wrap_title)
