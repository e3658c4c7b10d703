"""What a section of the report on decisions is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from predclv.report.blocks import Section

__all__ = ["LeftOut", "Part"]


@dataclass(frozen=True, eq=False)
class Part:
    """A section, and what it was made of.

    Attributes
    ----------
    section : Section
    tables : mapping of str to pandas.DataFrame
        By the name of the files they become.
    facts : mapping
        What decisions.json says of it, for programs: numbers, texts, lists and mappings of them.
    """

    section: Section
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A section that is not there.

    Attributes
    ----------
    reason : str
        What is missing, and the option that gives it: "no cost of winning a customer was given: --cac".
    """

    reason: str
