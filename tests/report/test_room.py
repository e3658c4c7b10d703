"""On a narrow drawing nothing is cut off, and tick labels stand apart."""

from __future__ import annotations

import re
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from predclv.plots import style
from predclv.report.room import make_room


def test_a_crowded_drawing_finds_room():
    canvas = Figure(figsize=(4.0, 3.0), dpi=72, layout="constrained")
    ax = canvas.subplots()
    ax.plot([0.0, 2.7], [0, 1], label="adjusted for all of the others on the list")
    ax.plot([0.0, 2.7], [1, 0], label="not adjusted for any of the others")
    ax.set_yticks([0, 1], ["attribute: value", "another: value"])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"+{100 * value:.1f}%"))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), borderaxespad=5.5)
    title = "A title that is far too long for what the names on the left have left of the axes"
    style.dress(ax, title=title, x="What is measured, and with which interval, in many words", y="")
    make_room(canvas)
    canvas.draw_without_rendering()
    edges = canvas.bbox
    shown = [ax.get_legend(), ax.xaxis.label, *(one for one in ax.get_children() if one is not ax.patch)]
    texts = [one for one in shown if getattr(one, "get_text", lambda: "legend")()]
    for one in texts:
        extent = one.get_window_extent()
        assert extent.x0 >= edges.x0 - 1, one
        assert extent.x1 <= edges.x1 + 1, one
    assert re.sub(r"\s+", " ", ax.get_title(loc="left")) == title
    low, high = ax.get_xlim()
    labels = [text.get_window_extent() for text in ax.get_xticklabels() if low <= text.get_position()[0] <= high]
    assert len(labels) >= 2
    assert all(before.x1 < after.x0 for before, after in pairwise(labels))


def test_a_drawing_with_room_is_left_alone():
    canvas = Figure(figsize=(6.0, 4.0), dpi=72, layout="constrained")
    ax = canvas.subplots()
    ax.plot([0, 1], [0, 1])
    style.dress(ax, title="Short", x="x", y="y")
    canvas.draw_without_rendering()
    before = list(ax.get_xticks()), ax.get_title(loc="left")
    make_room(canvas)
    assert (list(ax.get_xticks()), ax.get_title(loc="left")) == before


def test_ages_in_a_row_are_thinned_evenly_and_names_stay():
    canvas = Figure(figsize=(3.4, 3.0), dpi=72, layout="constrained")
    for labels, stays in (([str(age) for age in range(24)], False), ([f"c{i}" for i in range(24)], True)):
        canvas.clear()
        ax = canvas.subplots()
        ax.imshow([range(24)], aspect="auto")
        ax.set_xticks(range(24), labels)
        make_room(canvas)
        shown = [text.get_text() for text in ax.get_xticklabels()]
        if stays:
            assert shown == labels
            continue
        assert 4 <= len(shown) < 24
        assert shown == labels[:: int(shown[1])]
        extents = [text.get_window_extent() for text in ax.get_xticklabels()]
        assert all(before.x1 < after.x0 for before, after in pairwise(extents))
