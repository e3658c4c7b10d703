"""Warnings point at the caller's own line, and messages to pages that exist."""

from __future__ import annotations

import inspect
import pickle
import re
import warnings
from pathlib import Path

import pytest

import predclv
from predclv import errors
from predclv.errors import PAGES, HorizonWarning, PredCLVError, PredCLVWarning, UnitError, see, warn

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


ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("page", sorted(set(PAGES.values())))
def test_each_page_that_messages_name_is_there(page):
    file, _, anchor = page.partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert not anchor or anchor in anchors


def test_each_topic_has_a_page_and_each_page_a_message():
    classes = [
        c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, PredCLVError | PredCLVWarning)
    ]
    by_class = {c.topic for c in classes} - {None}
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    named = set(re.findall(r"""\bsee\(["']([^"']+)["']\)""", source))
    assert by_class | named == set(PAGES)


def test_an_error_names_its_page_once():
    error = UnitError("The units differ.")
    assert str(error) == "The units differ. See docs/howto/units.md."
    assert str(UnitError(str(error))) == str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(errors.DataError("Something is wrong.")) == "Something is wrong."
    assert str(errors.ModelFileError(2, "No such file", "model")) == "[Errno 2] No such file: 'model'"


def test_a_warning_names_its_page_once():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn("Far.", HorizonWarning)
        warn("Far." + see("horizon"), HorizonWarning)
    assert [str(warning.message) for warning in caught] == ["Far. See docs/howto/horizon.md."] * 2
