"""From fitted models and customers to a page on decisions, its tables, and what programs read of it."""

from __future__ import annotations

import datetime as dt
import os
import warnings as python_warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from predclv.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from predclv.data.rfm import RFMSummary
    from predclv.decisions.report.inputs import DecisionInputs
    from predclv.decisions.report.parts import Part
    from predclv.report.blocks import Document
    from predclv.value import CLV

__all__ = ["Decisions", "compose_decisions", "write_decision_report"]


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the sections found.

    Attributes
    ----------
    document : Document
        The page.
    tables : dict of str to pandas.DataFrame
        By name of file.
    facts : dict
        By section; what a program reads.
    left_out : dict of str to str
        Sections that are not there, and why.
    """

    document: Document
    tables: dict[str, pd.DataFrame]
    facts: dict[str, Any]
    left_out: dict[str, str]


def write_decision_report(
    path: str | os.PathLike[str],
    *,
    clv: CLV,
    rfm: RFMSummary,
    log: Any = None,
    log_options: Mapping[str, Any] | None = None,
    horizon: Any = "3 years",
    discount_rate: float = 0.10,
    margin: float = 1.0,
    level: float = 0.9,
    by: str | None = None,
    title: str | None = None,
    warnings: Sequence[str] = (),
    made_on: dt.date | None = None,
    **asked: Any,
) -> Decisions:
    """Write a report on decisions, for people who make them: one self-contained HTML file.

    Parameters
    ----------
    path : path
        File to write, whole or not at all.
    clv : fitted CLV, of purchases
        Where channels are compared, fitted with `segment=` their column.
    rfm : RFMSummary
        The customers; with `by`, they carry that column.
    log, log_options : frame or path, and mapping, optional
        The purchase log behind `rfm`, and the options of `RFMSummary.from_transactions` for it. What needs purchases
        one by one is left out without.
    horizon, discount_rate, margin, level
        As in `CLV.predict`; the margin is one number.
    by : str, optional
        Column of channels or segments.
    title : str, optional
        Heading.
    warnings : sequence of str
        Messages of what went before, shown in the report.
    made_on : date, optional
        Date on the report; today by default. The same inputs and date give the same bytes.
    **asked
        What sections ask for: the fields of `predclv.decisions.report.inputs.Asked`, such as `cac=`.

    Returns
    -------
    Decisions
        The tables behind the page, and which sections were left out and why.

    Raises
    ------
    ImportError
        jinja2 is absent.
    TypeError
        The CLV is of contracts, or an option is none of `Asked`.
    DataError, ValueError
        As the functions of `predclv.decisions` that the options call for.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]'") from error
    from predclv.decisions.report.customers import MemoryBase
    from predclv.decisions.report.inputs import Asked, settle_inputs
    from predclv.report.page import render

    rfm.require_customers("A report on decisions")
    given = settle_inputs(
        clv,
        MemoryBase(rfm),
        horizon,
        observation_end=rfm.observation_end,
        log=log,
        log_options=dict(log_options or {}),
        discount_rate=discount_rate,
        margin=margin,
        level=level,
        by=by,
        title=title or "",
        messages=tuple(warnings),
        made_on=made_on or dt.date.today(),
        asked=Asked(**asked),
    )
    found = compose_decisions(given)
    write_text(path, render(found.document))
    return found


def compose_decisions(given: DecisionInputs) -> Decisions:
    """Run the sections, and put together what they found.

    Warnings are shown on the page, and issued once each when all sections are done.
    """
    from predclv.decisions.report import acquisition, trust
    from predclv.decisions.report.parts import LeftOut
    from predclv.decisions.report.sections import SECTIONS
    from predclv.models.horizons import warn_long_horizon
    from predclv.plots.style import printable
    from predclv.report.blocks import Document

    parts: dict[str, Part] = {}
    left_out: dict[str, str] = {}
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        fit = given.clv.transactions_.fingerprint_
        warn_long_horizon(given.horizon, fit.longest_age, fit.time_unit)
        try:
            for name, make in SECTIONS.items():
                found = make(given)
                if isinstance(found, LeftOut):
                    left_out[name] = found.reason
                else:
                    parts[name] = found
        finally:
            # It holds the customers.
            acquisition.assess.cache_clear()
    heard = {(one.category, str(one.message)): one for one in caught}
    told = trust.trust(given, [text for _, text in heard], left_out)
    document = Document(
        title=printable(given.title) or "What to decide",
        subtitle=_subtitle(given),
        sections=[*(part.section for part in parts.values()), told],
    )
    tables = {name: table for part in parts.values() for name, table in part.tables.items()}
    facts = {name: dict(part.facts) for name, part in parts.items()}
    for category, text in heard:
        python_warnings.warn(text, category, stacklevel=2)
    return Decisions(document, tables, facts, left_out)


def _subtitle(given: DecisionInputs) -> str:
    as_of = f"as of {given.observation_end:%Y-%m-%d}, " if given.observation_end is not None else ""
    ahead = "infinite horizon" if not given.finite else f"horizon {given.horizon.label}"
    return f"{given.n_customers:,} customers {as_of}{ahead}"
