"""What a call costs: processor time and memory, told where the system tells."""

from __future__ import annotations

import gc
import math
import sys
import time

import numpy as np
import pytest

from predclv.backtesting import costs
from predclv.backtesting.costs import measure, sparing_what_is_there

linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")


def busy(seconds):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    return "done"


def test_processor_time_of_a_busy_loop():
    result, cost = measure(lambda: busy(0.2))
    assert result == "done"
    # Never less than the loop took by the same clock, and little besides.
    assert 0.2 <= cost.cpu_seconds < 0.3


def test_sleep_costs_no_processor_time():
    _, cost = measure(lambda: time.sleep(0.2))
    assert cost.cpu_seconds < 0.1


@linux
def test_peak_of_memory_that_is_freed_again():
    def allocate():
        np.ones(26_000_000)  # 208 MB, written to; the allocator may have a few at hand

    for _ in range(2):  # a peak of before does not count
        _, cost = measure(allocate)
        assert 200 <= cost.peak_memory_mb < 230
    _, cost = measure(lambda: None)
    assert cost.peak_memory_mb < 20


@linux
def test_memory_that_an_earlier_call_has_freed_counts_again():
    # Small objects stay with the allocator, which would hand them out again at no cost.
    _, first = measure(lambda: len([bytes(1000) for _ in range(50_000)]))
    _, second = measure(lambda: len([bytes(1000) for _ in range(50_000)]))
    assert min(first.peak_memory_mb, second.peak_memory_mb) > 45


@pytest.mark.parametrize("status", [None, "VmRSS:\t  1000 kB\n"], ids=["no file", "no peak"])
def test_memory_is_nan_where_the_system_does_not_tell(status, monkeypatch, tmp_path):
    path = tmp_path / "status"
    if status is not None:
        path.write_text(status)
    monkeypatch.setattr(costs, "_STATUS", path)
    result, cost = measure(lambda: 7)
    assert result == 7
    assert math.isnan(cost.peak_memory_mb)
    assert cost.cpu_seconds >= 0


def test_an_error_is_the_callers():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0)


def test_garbage_of_before_is_not_looked_for_and_that_of_calls_is():
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    try:
        gone = []

        class Knot:
            def __init__(self):
                self.itself = self

            def __del__(self):
                gone.append(self)

        with sparing_what_is_there():
            assert gc.get_freeze_count() > 100_000
            measure(Knot)
            measure(lambda: None)
            assert len(gone) == 1
            # Nested, or where a server has frozen what it shares, it stays frozen.
            with sparing_what_is_there():
                pass
            assert gc.get_freeze_count() > 100_000
        assert gc.get_freeze_count() == 0
    finally:
        if frozen:
            gc.freeze()
