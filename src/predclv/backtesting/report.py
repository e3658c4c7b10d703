"""The report of a backtest: one HTML file that says which method to trust, and how sure that is."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING

from predclv.files import write_text

if TYPE_CHECKING:
    from predclv.backtesting.report_inputs import Given
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
    from predclv.backtesting.report_inputs import Given
    from predclv.plots.style import printable
    from predclv.report.page import render

    heading = printable(title or "") or "Which forecast to trust"
    write_text(path, render(compose(Given(result, heading, made_on or dt.date.today()))))


def compose(given: Given) -> Document:
    """Put the sections in the order in which they are asked for."""
    from predclv.backtesting import report_answer, report_calibration, report_record, report_scores
    from predclv.report.blocks import Document

    sections = (
        report_answer.answer(given),
        report_answer.nothing(given),
        report_scores.scores(given),
        report_scores.totals(given),
        report_calibration.calibration(given),
        report_calibration.ranking(given),
        report_record.learning(given),
        report_record.cost(given),
        report_record.omissions(given),
        report_record.reading(given),
        report_record.settings(given),
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
