"""What a report is made of: sections of paragraphs, figures, tables and findings, all of them text already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from markupsafe import Markup

__all__ = [
    "Block",
    "Card",
    "Cards",
    "Cell",
    "Details",
    "Document",
    "Figure",
    "Figures",
    "Finding",
    "Findings",
    "Paragraph",
    "Section",
    "Table",
]


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; `lead` sets it larger, `quiet` smaller."""

    kind: ClassVar = "paragraph"
    text: str
    tone: Literal["", "lead", "quiet"] = ""


@dataclass(frozen=True)
class Card:
    """One number that matters, what it is, and how sure it is."""

    value: str
    name: str
    note: str = ""


@dataclass(frozen=True)
class Cards:
    """Numbers side by side."""

    kind: ClassVar = "cards"
    cards: Sequence[Card]


@dataclass(frozen=True)
class Figure:
    """A drawing, its description for those who do not see it, and a caption."""

    svg: Markup
    label: str
    caption: str


@dataclass(frozen=True)
class Figures:
    """Drawings, two in a row where there is room."""

    kind: ClassVar = "figures"
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Cell:
    """A cell of a table with a mark beside its text: a sign for the eye, and words for those who do not see it."""

    text: str
    mark: Literal["better", "worse", "within noise"]


@dataclass(frozen=True)
class Table:
    """A table of ready text.

    Attributes
    ----------
    caption : str
    columns : sequence of str
    rows : sequence of sequences of str or Cell
        The first cell of a row is its heading.
    numeric : sequence of int
        Columns set to the right.
    strong : sequence of int
        Rows set in bold: totals.
    compare : bool
        Whether rows are to be compared column by column: such a table stays one on a phone, and scrolls.
    """

    kind: ClassVar = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    numeric: Sequence[int] = ()
    strong: Sequence[int] = ()
    compare: bool = False


@dataclass(frozen=True)
class Finding:
    """One thing to know before trusting a number: `caution` changes decisions, `note` informs, `fine` was checked."""

    grade: Literal["caution", "note", "fine"]
    title: str
    text: str


@dataclass(frozen=True)
class Findings:
    """Findings, the gravest first."""

    kind: ClassVar = "findings"
    findings: Sequence[Finding]


@dataclass(frozen=True)
class Details:
    """Blocks for those who want to know more, folded away."""

    kind: ClassVar = "details"
    summary: str
    blocks: Sequence[Block]


Block = Paragraph | Cards | Figures | Table | Findings | Details


@dataclass(frozen=True)
class Section:
    """A heading, its anchor, and what stands below it; `short` names it among the contents where it is a sentence."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    short: str = ""


@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: str
    subtitle: str
    sections: Sequence[Section]
    footer: str = field(default="")
