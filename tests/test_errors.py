"""Warnings point at the caller's own line."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

import predclv
from predclv.errors import HorizonWarning, warn

PACKAGE = Path(predclv.__file__).parent


@pytest.mark.parametrize(
    ("folder", "is_ours"), [(PACKAGE / "forecast", True), (PACKAGE.with_name("predclv_extensions"), False)]
)
def test_points_past_the_package_and_not_past_its_neighbours(folder, is_ours):
    file = str(folder / "some.py")
    scope = {"warn": warn, "HorizonWarning": HorizonWarning}
    exec(compile("def ask():\n    warn('far', HorizonWarning)\n", file, "exec"), scope)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scope["ask"]()
    assert caught[0].filename == (__file__ if is_ours else file)


def test_points_past_a_cached_property():
    file = str(PACKAGE / "inference" / "some.py")
    source = (
        "from functools import cached_property\n"
        "class Made:\n"
        "    @cached_property\n"
        "    def draws(self):\n"
        "        warn('doubtful', HorizonWarning)\n"
        "def ask():\n"
        "    Made().draws\n"
    )
    scope = {"warn": warn, "HorizonWarning": HorizonWarning, "__name__": "predclv.inference.some"}
    exec(compile(source, file, "exec"), scope)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scope["ask"]()
    assert caught[0].filename == __file__
