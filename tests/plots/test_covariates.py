"""Plots of what covariates do: names that stand apart."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from predclv import plots


def draw(ends: list[float]) -> Any:
    penalty = np.array([1000.0, 10.0, 0.0])
    path = pd.DataFrame({"penalty": penalty, "best": [False, True, False], "chosen": [False, True, False]})
    lines = {f"purchase[channel={i}]": np.array([0.0, 0.5, 1.0]) * end for i, end in enumerate(ends)}
    model: Any = SimpleNamespace(penalty_path_=path.assign(**lines))
    ax = plots.plot_penalty_path(model)
    ax.figure.canvas.draw()
    return ax


@pytest.mark.parametrize(
    "ends", [[0.2, 0.2, 0.2, 0.21], [0.0, 0.0], [-0.3, 0.5], [0.1 + 1e-6 * i for i in range(12)]], ids=len
)
def test_names_of_a_penalty_path_do_not_overlap(ends: list[float]) -> None:
    ax = draw(ends)
    # Of the letters alone, without the line that leads to them.
    boxes = [Text.get_window_extent(text) for text in ax.texts]
    assert len(boxes) == len(ends)
    frame = ax.get_window_extent()
    assert all(frame.y0 <= box.y0 and box.y1 <= frame.y1 and frame.x0 <= box.x0 for box in boxes)
    by_line = [boxes[i] for i in np.argsort(ends, kind="stable")]
    for lower, upper in pairwise(by_line):
        # Each above the name of the line below; a box holds a little air.
        assert upper.y0 - lower.y0 > 0.85 * lower.height
    plt.close("all")
