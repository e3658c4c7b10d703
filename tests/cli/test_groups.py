"""Options that commands share: what typer sees of a command that takes them in groups."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from predclv.cli.groups import spread_groups


@dataclass(frozen=True, kw_only=True)
class Base:
    name: Annotated[str | None, typer.Option(help="A name.")] = None
    size: Annotated[int, typer.Option(help="A size.")] = 3


@dataclass(frozen=True, kw_only=True)
class Named(Base):
    name: Annotated[str, typer.Option(help="A name.")] = field()


@spread_groups
def command(table: str, base: Named, *, out: Annotated[str, typer.Option()], loud: bool = False) -> None:
    typer.echo(f"{table} {base} {out} {loud}")


def test_fields_of_a_group_are_options_in_its_place() -> None:
    options = inspect.signature(command).parameters
    assert list(options) == ["table", "name", "size", "out", "loud"]
    assert options["name"].default is options["out"].default is inspect.Parameter.empty
    assert options["size"].default == 3


def test_the_command_gets_its_group_filled() -> None:
    app = typer.Typer()
    app.command()(command)
    found = CliRunner().invoke(app, ["log.csv", "--name", "A", "--out", "here", "--loud"])
    assert found.exit_code == 0
    assert found.output.strip() == "log.csv Named(name='A', size=3) here True"


def test_a_field_whose_default_was_taken_away_is_required() -> None:
    app = typer.Typer()
    app.command()(command)
    found = CliRunner().invoke(app, ["log.csv", "--out", "here"])
    assert found.exit_code == 2
    assert "--name" in found.output
