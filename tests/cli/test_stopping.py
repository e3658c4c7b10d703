"""A signal to stop leaves nothing behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from predclv.batch.lock import spill_room
from predclv.cli.failures import describe
from predclv.cli.stopping import Stopped, stopping_cleanly
from predclv.files import replace_folder


@pytest.fixture
def by_default():
    """Signals as a shell gives them; under nohup a hang-up is ignored, and stays so."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("by_default")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_removes_spilled_and_half_written_files(name, tmp_path, capsys):
    number = getattr(signal, name)
    out = tmp_path / "out"
    out.mkdir()
    with (
        pytest.raises(Stopped) as stopped,
        stopping_cleanly(),
        spill_room(tmp_path) as room,
        replace_folder(out) as folder,
    ):
        (room / "rows").write_text("spilled", encoding="utf-8")
        (folder / "half").write_text("written", encoding="utf-8")
        os.kill(os.getpid(), number)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert not list(out.iterdir())
    assert signal.getsignal(number) == signal.SIG_DFL
    assert describe(stopped.value) == 128 + number
    assert capsys.readouterr().err == "predclv: stopped\n"


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_cleanly():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_swap_that_is_stopped_in_between_gives_the_old_folder_back(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    replace, calls = os.replace, []

    def stop_at_second(source, target):
        calls.append((source, target))
        if len(calls) == 2:
            raise Stopped(signal.SIGTERM)
        replace(source, target)

    monkeypatch.setattr("predclv.files.os.replace", stop_at_second)
    with pytest.raises(Stopped), replace_folder(out) as folder:
        (folder / "new").write_text("new", encoding="utf-8")
    assert [entry for entry in tmp_path.iterdir()] == [Path(out)]
    assert not list(out.iterdir())
