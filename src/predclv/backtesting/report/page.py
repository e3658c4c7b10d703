"""The report of a backtest: one HTML file that says which method to trust, and how sure that is."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from predclv.files import write_text

if TYPE_CHECKING:
    from predclv.backtesting.report.inputs import Given
    from predclv.backtesting.result import Backtest
    from predclv.report.blocks import Document

__all__ = ["write_backtest_report"]


def write_backtest_report(
    path: str | os.PathLike[str], result: Backtest, *, title: str | None = None, made_on: dt.date | None = None
) -> None:
    """Write a report on a backtest, for who decides and for who checks: one self-contained HTML file.

    Parameters
    ----------
    path : path
        File to write, whole or not at all.
    result : Backtest
    title : str, optional
        Heading.
    made_on : date, optional
        Date on the report; today by default. The same result and date give the same bytes.

    Raises
    ------
    ImportError
        jinja2 is absent.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]'") from error
    from predclv.backtesting.report.inputs import Given
    from predclv.plots.style import printable
    from predclv.report.page import render

    heading = printable(title or "") or "Which forecast to trust"
    write_text(path, render(compose(Given(result, heading, made_on or dt.date.today()))))


def compose(given: Given) -> Document:
    """Put the sections in the order in which they are asked for."""
    from predclv.backtesting.report import answer, calibration, record, scores
    from predclv.report.blocks import Document

    sections = (
        answer.answer(given),
        answer.nothing(given),
        scores.scores(given),
        scores.totals(given),
        calibration.calibration(given),
        calibration.ranking(given),
        record.learning(given),
        record.cost(given),
        record.omissions(given),
        record.reading(given),
        record.settings(given),
    )
    cutoffs = given.cutoffs
    span = cutoffs[0] if len(cutoffs) == 1 else f"{len(cutoffs)} cut-offs from {cutoffs[0]} to {cutoffs[-1]}"
    horizons = ", ".join(given.horizons)
    count = len(given.methods)
    return Document(
        title=given.title,
        subtitle=f"Backtest of {count} method{'s' if count > 1 else ''}: {span}, {horizons} ahead",
        sections=[section for section in sections if section is not None],
    )
