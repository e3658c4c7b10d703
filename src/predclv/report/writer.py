"""From results to one HTML file."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from predclv.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from predclv.data.rfm import RFMSummary
    from predclv.data.split import Split
    from predclv.report.blocks import Document
    from predclv.report.inputs import ReportInputs
    from predclv.value import CLV

__all__ = ["write_report"]


def write_report(
    path: str | os.PathLike[str],
    *,
    clv: CLV,
    rfm: RFMSummary,
    customers: Any = None,
    portfolio: pd.DataFrame | None = None,
    horizon: Any = "1 year",
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    by: str | None = None,
    title: str | None = None,
    timeline: pd.DataFrame | None = None,
    holdout: Split | None = None,
    warnings: Sequence[str] = (),
    made_on: dt.date | None = None,
) -> None:
    """Write a report on what customers are worth, for people who decide: one self-contained HTML file.

    Parameters
    ----------
    path : path
        File to write, whole or not at all.
    clv : fitted CLV
    rfm : RFMSummary
        The customers to report on.
    customers, portfolio : frames, optional
        Of `clv.predict` and `clv.portfolio` with the options below; worked out where left out.
    horizon, discount_rate, margin, level, by
        As in `CLV.portfolio`.
    title : str, optional
        Heading.
    timeline : pandas.DataFrame, optional
        `predclv.purchase_timeline(log, by="day", ...)`, or with `opportunities="year"` for a model of these; it may go
        on after the as-of date. Without it, seasons and trends are not checked, and the report says so.
    holdout : Split, optional
        `split_transactions` with `rfm` as its calibration: what customers did after the as-of date.
    warnings : sequence of str
        Messages of the run, shown in the report.
    made_on : date, optional
        Date on the report; today by default. The same inputs and date give the same bytes.

    Raises
    ------
    ImportError
        jinja2 is absent.
    DataError
        The tables are not of the same customers, or rows stand for several (`RFMSummary.expand`).
    ValueError
        A model has segments with parameters of their own: report on one at a time.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]'") from error
    from predclv.report.inputs import ReportInputs
    from predclv.report.page import render

    if not hasattr(clv, "spend_"):
        raise TypeError(
            f"A report is on purchases, and {type(clv.transactions_).__name__} forecasts renewals. See "
            "retention_curve and recurring_revenue, and their plots."
        )
    segments = clv.transactions_.segments_ or clv.spend_.segments_
    if segments:
        raise ValueError(
            f"A report is on one population, and this CLV has {len(segments)} segments with parameters of their own. "
            f"Report on one at a time: clv.of_segment({next(iter(segments))!r}), with its customers."
        )
    if clv.transactions_.is_divided:
        raise ValueError(
            f"A report is on one population, and the customers of this {type(clv.transactions_).__name__} differ by "
            "their covariates. Report on a fit without them; `effects` and plots.plot_effects say what they do."
        )
    rfm.require_customers("A report")
    options: dict[str, Any] = {"discount_rate": discount_rate, "margin": margin, "level": level}
    if customers is None:
        customers = clv.predict(rfm, horizon, **options)
    if portfolio is None:
        portfolio = clv.portfolio(rfm, horizon, by=by, **options)
    given = ReportInputs(
        clv=clv,
        rfm=rfm,
        customers=nw.from_native(customers, eager_only=True).to_pandas(),
        portfolio=portfolio,
        horizon=clv.transactions_.parse_horizon(horizon, rfm.time_unit, rfm.observation_end),
        by=by,
        title=title or "What customers are worth",
        timeline=timeline,
        holdout=holdout,
        messages=tuple(warnings),
        made_on=made_on or dt.date.today(),
        **options,
    )
    write_text(path, render(compose(given)))


def compose(given: ReportInputs) -> Document:
    """Put the sections in the order in which they are asked for."""
    from predclv.plots.style import printable
    from predclv.report import appendix, findings, fit, people, worth
    from predclv.report.blocks import Document
    from predclv.report.calendar_findings import look_at_calendar
    from predclv.report.opportunity_findings import track_opportunities

    calendar, counted = look_at_calendar(given), track_opportunities(given)
    sections = (
        worth.headline(given),
        people.top_customers(given),
        people.slipping(given),
        worth.segments(given),
        worth.spread(given),
        worth.new_customer(given),
        fit.fit(given, calendar.weeks if calendar else counted),
        fit.holdout(given),
        findings.distrust(given, calendar, counted),
        appendix.data(given.rfm.quality),
        appendix.glossary(),
        appendix.provenance(given),
    )
    end = given.rfm.observation_end
    ahead = "infinite horizon" if not given.finite else f"horizon {given.horizon.label}"
    as_of = f"as of {end:%Y-%m-%d}, " if end is not None else ""
    return Document(
        title=printable(given.title) or "What customers are worth",
        subtitle=f"{len(given.rfm):,} customers {as_of}{ahead}",
        sections=[section for section in sections if section is not None],
    )
