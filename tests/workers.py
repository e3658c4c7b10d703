"""Tests run by several processes at once: each file by one of them, the costly first, kernels compiled once."""

from __future__ import annotations

import gc
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

# Seconds, roughly: what decides is only that no file of minutes is begun when the others are at their end.
_NOTEBOOK, _SLOW, _QUICK = 30.0, 10.0, 0.2


def sort_by_cost(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; within a file the order stays."""
    cost: Counter[Path] = Counter()
    for item in items:
        if item.path.suffix == ".ipynb":
            cost[item.path] += _NOTEBOOK
        else:
            cost[item.path] += _SLOW if item.get_closest_marker("slow") else _QUICK
    items.sort(key=lambda item: -cost[item.path])


class Garbage:
    """What is there between two files is not searched for garbage again.

    A backtest collects garbage twice a fit, to measure memory, and a process that has imported all tests holds more
    than half a million objects, which take 0.3 seconds each time.
    """

    def __init__(self) -> None:
        self._path: Path | None = None

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.path != self._path:
            self._path = item.path
            gc.collect()
            gc.freeze()


class KernelCache:
    """numba's cache of one process, which takes in what the processes beside it have compiled.

    A cache that all write to would not do: two processes that compile one kernel at the same moment for different
    argument types would give both entries one name.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: dict[Path, int] = {}

    def pytest_runtest_setup(self) -> None:
        """Copy the kernels that are not here yet."""
        for package in self._changed_folders():
            own = self.folder / package.name
            own.mkdir(parents=True, exist_ok=True)
            here = {path.name for path in own.iterdir()}
            for index in sorted(package.glob("*.nbi")):
                if index.name not in here:
                    _copy_kernel(index, own)

    def _changed_folders(self) -> Iterator[Path]:
        # numba has a folder for each folder of sources.
        for package in self.folder.parent.glob("*/*"):
            changed = package.stat().st_mtime_ns
            if package.parent != self.folder and self._seen.get(package) != changed:
                self._seen[package] = changed
                yield package


def _copy_kernel(index: Path, to: Path) -> None:
    # The index last, for whoever reads it looks for its entries; one that names an entry that is not there yet is read
    # as if it did not. What is being written has a name of its own until it is whole.
    for entry in index.parent.glob(f"{index.stem}.*.nbc"):
        _copy_whole(entry, to)
    _copy_whole(index, to)


def _copy_whole(path: Path, to: Path) -> None:
    partial = to / f"{path.name}.copied"
    shutil.copyfile(path, partial)
    partial.replace(to / path.name)
