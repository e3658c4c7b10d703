"""The work of a backtest: each method fitted at each cut-off, in this process or in several."""

from __future__ import annotations

import copy
import inspect
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from predclv.backtesting.costs import measure, sparing_what_is_there
from predclv.backtesting.methods import Candidate
from predclv.backtesting.predictions import Forecast, as_forecast
from predclv.backtesting.vintages import Known

__all__ = ["Run", "run_tasks"]

_FOR_DEVELOPERS = (DeprecationWarning, FutureWarning, PendingDeprecationWarning, ImportWarning)

#: Told after each task: how many are done, of how many, and what was done.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Run:
    """One method at one cut-off.

    Attributes
    ----------
    vintage : int
        Position of the cut-off.
    method : str
    status : {"ok", "failed", "skipped"}
    error : str
        What went wrong, or what is missing; empty where nothing is.
    forecasts : tuple of Forecast
        One a horizon; empty where it did not run.
    fit_cpu_seconds, predict_cpu_seconds, peak_memory_mb : float
        NaN where not known. A fit that serves several cut-offs is counted at the first.
    notes : tuple of str
        Warnings and notes, each once.
    """

    vintage: int
    method: str
    status: Literal["ok", "failed", "skipped"]
    error: str = ""
    forecasts: tuple[Forecast, ...] = ()
    fit_cpu_seconds: float = float("nan")
    predict_cpu_seconds: float = float("nan")
    peak_memory_mb: float = float("nan")
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Task:
    """A method to fit at the first of these cut-offs and to ask at all of them."""

    candidate: Candidate
    vintages: tuple[int, ...]
    known: tuple[Known, ...]

    @property
    def label(self) -> str:
        return f"{self.candidate.name} at {self.known[0].everyone.rfm.observation_end}"


def run_tasks(
    candidates: Sequence[Candidate], known: Sequence[Known], *, refit: bool, n_jobs: int, progress: Progress | None
) -> list[Run]:
    """Fit and ask every method at every cut-off.

    Parameters
    ----------
    candidates : sequence of Candidate
    known : sequence of Known
        One a cut-off, earliest first.
    refit : bool
        Fit at every cut-off, or at the first alone.
    n_jobs : int
        Processes; the result is the same whatever their number.
    progress : callable, optional

    Returns
    -------
    list of Run
        By cut-off, then in the order of the methods.
    """
    if n_jobs != 1:
        _require_portable(candidates)
    spans = [(i,) for i in range(len(known))] if refit else [tuple(range(len(known)))]
    tasks = [
        _Task(candidate, span, tuple(known[i] for i in span))
        for span in spans
        for candidate in candidates
        if not candidate.skipped
    ]
    runs = [
        Run(i, candidate.name, "skipped", candidate.skipped)
        for i in range(len(known))
        for candidate in candidates
        if candidate.skipped
    ]
    work = _in_turn(tasks) if n_jobs == 1 else _in_parallel(tasks, n_jobs)
    with sparing_what_is_there():
        for done, (task, found) in enumerate(work, start=1):
            runs.extend(found)
            if progress is not None:
                progress(done, len(tasks), task.label)
    order = {candidate.name: position for position, candidate in enumerate(candidates)}
    return sorted(runs, key=lambda run: (run.vintage, order[run.method]))


def _require_portable(candidates: Sequence[Candidate]) -> None:
    from joblib.externals.loky.backend.reduction import dumps

    for candidate in candidates:
        try:
            dumps(candidate.method)
        except Exception as error:
            raise TypeError(
                f"The method {candidate.name!r} cannot be sent to another process ({_describe(error)}). Give n_jobs=1."
            ) from error


def _in_turn(tasks: Sequence[_Task]) -> Iterator[tuple[_Task, list[Run]]]:
    for task in tasks:
        yield task, _run(task)


def _in_parallel(tasks: Sequence[_Task], n_jobs: int) -> Iterator[tuple[_Task, list[Run]]]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    open_tasks = dict(enumerate(tasks))
    try:
        # Large arrays would else come as maps of files that may not be written to, in several processes alone.
        parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", max_nbytes=None)
        for number, found in parallel(delayed(_run_numbered)(i, task) for i, task in enumerate(tasks)):
            yield open_tasks.pop(number), found
    except BrokenProcessPool:
        # A worker was killed, or choked on its task, and took the others with it: what is left goes on one by one.
        for task in open_tasks.values():
            try:
                # Two workers, because one means this very process.
                yield task, Parallel(n_jobs=2, max_nbytes=None)([delayed(_run)(task)])[0]
            except BrokenProcessPool as error:
                yield task, [Run(i, task.candidate.name, "failed", _say_broken(error)) for i in task.vintages]


def _say_broken(error: BaseException) -> str:
    remedy = "n_jobs=1 runs it in this one."
    if "un-serialize" not in str(error):
        return f"The process that ran it ended, perhaps for want of memory. {remedy}"
    why = str(error.__cause__ or "").strip(" \n\"'").rpartition("\n")[2]
    return f"It cannot be unpacked in another process ({why}). {remedy}"


def _run_numbered(number: int, task: _Task) -> tuple[int, list[Run]]:
    return number, _run(task)


def _run(task: _Task) -> list[Run]:
    """Fit once, then ask at each cut-off; what fails, or cannot be asked, becomes a row that says so."""
    with _seeded():
        return _fit_and_ask(task)


def _fit_and_ask(task: _Task) -> list[Run]:
    name = task.candidate.name
    fit_notes: list[str] = []
    try:
        method = copy.deepcopy(task.candidate.method)
        with _noting(fit_notes):
            _, fit_cost = measure(lambda: _fit(method, task))
    except (Exception, SystemExit) as error:
        return [Run(i, name, "failed", _describe(error), notes=tuple(fit_notes)) for i in task.vintages]
    runs = []
    for i, known in zip(task.vintages, task.known, strict=True):
        own = i == task.vintages[0]
        notes = list(fit_notes) if own else []
        fit_seconds, fit_peak = (fit_cost.cpu_seconds, fit_cost.peak_memory_mb) if own else (0.0, 0.0)
        try:
            with _noting(notes):
                forecasts, cost = measure(lambda known=known: _predict(method, known))  # type: ignore[misc]
        except (Exception, SystemExit) as error:
            runs.append(Run(i, name, "failed", _describe(error), (), fit_seconds, notes=tuple(notes)))
            continue
        said = [note for forecast in forecasts for note in forecast.notes]
        runs.append(
            Run(
                i,
                name,
                "ok",
                "",
                forecasts,
                fit_seconds,
                cost.cpu_seconds,
                max(fit_peak, cost.peak_memory_mb),
                tuple(dict.fromkeys([*notes, *said])),
            )
        )
    return runs


def _fit(method: Any, task: _Task) -> None:
    learning = task.known[0].learning
    # A copy of the log each time: what a method does to it is no other's business.
    if "horizons" in inspect.signature(method.fit).parameters:
        # All that will be asked: months, and years of whole days, differ in length from one cut-off to another.
        horizons = sorted({length for known in task.known for length in known.lengths})
        method.fit(learning.rfm, learning.log.copy(), horizons=tuple(horizons))
    else:
        method.fit(learning.rfm, learning.log.copy())


def _predict(method: Any, known: Known) -> tuple[Forecast, ...]:
    everyone = known.everyone
    return tuple(
        as_forecast(method.predict(everyone.rfm, everyone.log.copy(), length), everyone.rfm) for length in known.lengths
    )


@contextmanager
def _noting(notes: list[str]) -> Iterator[None]:
    """Keep the texts of warnings, each once; notices for developers of other packages are not for the reader."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for warning in caught:
                text = " ".join(str(warning.message).split())
                if not issubclass(warning.category, _FOR_DEVELOPERS) and text not in notes:
                    notes.append(text)


@contextmanager
def _seeded() -> Iterator[None]:
    """Seed the global generators, which a method that was given no seed may draw from; put them back after."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(python_state)


def _describe(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
