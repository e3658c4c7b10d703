"""From results to one HTML file."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw

from predclv.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from predclv.data.rfm import RFMSummary
    from predclv.data.split import Split
    from predclv.data.subscriptions import Subscriptions
    from predclv.report.blocks import Document
    from predclv.report.inputs import ReportInputs
    from predclv.value import CLV

__all__ = ["write_report"]


def write_report(
    path: str | os.PathLike[str],
    *,
    clv: CLV,
    rfm: RFMSummary | Subscriptions,
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
    rfm : RFMSummary, or Subscriptions where the CLV is of contracts
        The customers to report on.
    customers, portfolio : frames, optional
        Of `clv.predict` and `clv.portfolio` with the options below; worked out where left out.
    horizon, discount_rate, margin, level, by
        As in `CLV.portfolio`.
    title : str, optional
        Heading.
    timeline : pandas.DataFrame, optional, of purchases alone
        `predclv.purchase_timeline(log, by="day", ...)`, or with `opportunities="year"` for a model of these; it may go
        on after the as-of date. Without it, seasons and trends are not checked, and the report says so.
    holdout : Split, optional, of purchases alone
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
        A model has segments with parameters of their own: report on one at a time. Or `timeline` or `holdout` are given
        for contracts.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError as error:
        raise ImportError("The report needs jinja2: pip install 'predclv[report]'") from error
    from predclv.models.base import require_summary
    from predclv.report.page import render

    told: dict[str, Any] = {
        "discount_rate": discount_rate,
        "margin": margin,
        "level": level,
        "by": by,
        "messages": tuple(warnings),
        "made_on": made_on or dt.date.today(),
    }
    _refuse_populations(clv)
    if hasattr(clv, "spend_"):
        require_summary(rfm)
        summary = cast("RFMSummary", rfm)
        document = _on_purchases(clv, summary, customers, portfolio, horizon, title, timeline, holdout, told)
    else:
        for name, given in (("timeline", timeline), ("holdout", holdout)):
            if given is not None:
                raise ValueError(f"{name}= is of purchases, and this CLV of contracts. Leave it out.")
        document = _on_contracts(clv, rfm, customers, portfolio, horizon, title, told)
    write_text(path, render(document))


def _on_purchases(
    clv: CLV,
    rfm: RFMSummary,
    customers: Any,
    portfolio: pd.DataFrame | None,
    horizon: Any,
    title: str | None,
    timeline: pd.DataFrame | None,
    holdout: Split | None,
    told: dict[str, Any],
) -> Document:
    from predclv.report.inputs import ReportInputs

    rfm.require_customers("A report")
    customers, portfolio = _forecasts(clv, rfm, customers, portfolio, horizon, told)
    given = ReportInputs(
        clv=clv,
        rfm=rfm,
        customers=customers,
        portfolio=portfolio,
        horizon=clv.transactions_.parse_horizon(horizon, rfm.time_unit, rfm.observation_end),
        title=title or "What customers are worth",
        timeline=timeline,
        holdout=holdout,
        **told,
    )
    return compose(given)


def _on_contracts(
    clv: CLV,
    subs: Any,
    customers: Any,
    portfolio: pd.DataFrame | None,
    horizon: Any,
    title: str | None,
    told: dict[str, Any],
) -> Document:
    from predclv.data.periods import parse_periods
    from predclv.report.contracts import ContractInputs, compose_contracts

    customers, portfolio = _forecasts(clv, subs, customers, portfolio, horizon, told)
    given = ContractInputs(
        clv=clv,
        subs=subs,
        customers=customers,
        portfolio=portfolio,
        horizon=parse_periods(horizon, subs.period, subs.observation_end),
        title=title or "",
        **told,
    )
    return compose_contracts(given)


def _forecasts(
    clv: CLV, rfm: Any, customers: Any, portfolio: pd.DataFrame | None, horizon: Any, told: dict[str, Any]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables of the customers and the portfolio: those given, or made now."""
    options = {name: told[name] for name in ("discount_rate", "margin", "level")}
    if customers is None:
        customers = clv.predict(rfm, horizon, **options)
    if portfolio is None:
        portfolio = clv.portfolio(rfm, horizon, by=told["by"], **options)
    return nw.from_native(customers, eager_only=True).to_pandas(), portfolio


def _refuse_populations(clv: CLV) -> None:
    """Raise ValueError where customers have parameters of their own."""
    segments = clv.transactions_.segments_ or (clv.spend_.segments_ if hasattr(clv, "spend_") else None)
    if segments:
        raise ValueError(
            f"A report is on one population, and this CLV has {len(segments)} segments with parameters of their own. "
            f"Report on one at a time: clv.of_segment({next(iter(segments))!r}), with its customers."
        )
    if hasattr(clv, "spend_") and clv.transactions_.is_divided:
        raise ValueError(
            f"A report is on one population, and the customers of this {type(clv.transactions_).__name__} differ by "
            "their covariates. Report on a fit without them; `effects` and plots.plot_effects say what they do."
        )


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
