"""The command `doctor`: what is installed, what works, and what to do about the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from predclv.cli import doctor_checks
from predclv.cli import option_groups as g
from predclv.cli.console import session
from predclv.cli.doctor_checks import Finding
from predclv.cli.groups import spread_groups

__all__ = ["doctor_command"]

_SIGNS = {"ok": "[green]ok[/]", "absent": "[dim]absent[/]", "warn": "[yellow]warning[/]", "fail": "[red]fails[/]"}
_GROUPS = {
    "program": "Program",
    "package": "Needed packages",
    "extra": "Extras",
    "together": "Together",
    "machine": "Machine",
    "test": "Self-test",
}

Test = Annotated[bool, typer.Option("--test/--no-test", help="Compile, fit simulated customers, compare figures.")]


@spread_groups
def doctor_command(test: Test = True, *, common: g.Screen) -> int:
    """Check the installation: versions, extras, Java, what will work; exit code 1 where something needed does not."""
    with session(common.quiet, common.json) as current:
        with current.step("Looking (half a minute the first time, to compile)" if test else "Looking"):
            findings = list(doctor_checks.find_all(test=test))
        failed = [finding.name for finding in findings if finding.status == "fail"]
        current.show(*(_table(group, findings) for group in _GROUPS if any(f.group == group for f in findings)))
        verdict = f"Does not work: {', '.join(failed)}." if failed else "What is needed works."
        summary = {"command": "doctor", "ok": not failed, "findings": [asdict(finding) for finding in findings]}
        current.finish(summary, escape(verdict))
    return 1 if failed else 0


def _table(group: str, findings: Sequence[Finding]) -> RenderableType:
    table = Table(title=_GROUPS[group], title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(min_width=12)
    table.add_column(min_width=7)
    table.add_column(overflow="fold")
    for finding in findings:
        if finding.group == group:
            said = " · ".join(part for part in (finding.found, finding.note) if part)
            table.add_row(escape(finding.name), _SIGNS[finding.status], escape(said))
    return table
