"""The command `score`: a table of any size with a saved model, unattended."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape

import predclv as pc
from predclv.batch.job import Job, run_job
from predclv.batch.memory import parse_memory
from predclv.cli import steps
from predclv.cli.console import Session
from predclv.errors import DataError, ExtrapolationWarning, warn
from predclv.forecast.customers import VALUE_COLUMNS
from predclv.inference.posterior import check_level

__all__ = ["SET_ASIDE", "Work", "show"]

#: Exit code where all is done, and some rows could not be scored.
SET_ASIDE = 3


@dataclass(frozen=True)
class Work:
    """What is scored, with what, and where to; as on the command line."""

    table: str
    model: str
    out: Path
    engine: str
    memory_limit: str
    partitions: int | None
    columns: str | None
    quarantine: Path | None
    resume: bool


def show(current: Session, what: Work, options: dict[str, Any]) -> int:
    """Run the job and say what was done; return the exit code."""
    job = _job(what, options)
    with _progress(current) as report:
        manifest = run_job(job, report)
    parts = manifest.parts.values()
    outside, aside = sum(part.outside for part in parts), manifest.rejected
    if outside:
        warn(
            f"{outside:,} of {manifest.rows:,} customers lie outside twice the range of the fit. Fit again on newer "
            "data.",
            ExtrapolationWarning,
        )
    scored = sum(part.scored for part in parts)
    lines = [f"{reason}: {n:,}" for reason, n in aside.most_common()]
    last = f"{scored:,} of {manifest.rows:,} rows scored, {aside.total():,} set aside"
    last += f" in {job.rejects}" if aside else ""
    current.finish(
        {
            "command": "score",
            "rows_in": manifest.rows,
            "rows_out": scored,
            "rows_quarantined": aside.total(),
            "quarantined": dict(aside),
            "parts": manifest.n_parts,
            "files": [job.out],
        },
        f"Written: {escape(str(job.out))}",
        *map(escape, lines),
        escape(last),
    )
    return SET_ASIDE if aside else 0


def _job(what: Work, options: dict[str, Any]) -> Job:
    check_level(options["level"])
    columns = None if what.columns is None else [name.strip() for name in what.columns.split(",") if name.strip()]
    given = {**options, "horizon": steps.number_or_text(options["horizon"])}
    if given["margin"] is not None:
        given["margin"] = steps.number_or_text(given["margin"])
    asked = [name for name in ("discount_rate", "margin") if given[name] is not None]
    if asked and not isinstance(pc.load(what.model), pc.CLV):
        names = ", --".join(asked).replace("_", "-")
        raise DataError(f"The model in '{what.model}' forecasts purchases and no money: leave --{names} out.")
    if asked and columns is not None and not any(name in VALUE_COLUMNS and "clv" in name for name in columns):
        names = ", --".join(asked).replace("_", "-")
        raise DataError(f"--columns asks for no value, which --{names} would change: leave it out, or ask for some.")
    # Written out, so that a default that changes one day does not change a job that is half done.
    settled = {"discount_rate": 0.10, "margin": 1.0, **steps.given(**given)}
    return Job(
        model=Path(what.model),
        table=what.table,
        out=what.out,
        options={**settled, "columns": columns},
        engine=what.engine,
        memory=parse_memory(what.memory_limit),
        partitions=what.partitions,
        resume=what.resume,
        quarantine=what.quarantine,
    )


@contextmanager
def _progress(current: Session) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield what shows how far a job is: a bar on a terminal, elsewhere a line of JSON an event on stderr."""
    with current.progress() as bar:

        def report(event: dict[str, Any]) -> None:
            if bar is not None and "finished" in event:
                bar(event["finished"], event["parts"], f"{event['rows']:,} rows")
            elif bar is None and not current.quiet:
                line = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **event}
                print(json.dumps(line), file=sys.stderr, flush=True)

        yield report
