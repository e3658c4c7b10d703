"""The sections of a report on contracts, in the order in which they are asked for."""

from __future__ import annotations

from importlib.metadata import version

from predclv.plots.style import printable
from predclv.report import appendix
from predclv.report.blocks import Details, Document, Section, Table
from predclv.report.contracts import findings, fit, renewals, worth
from predclv.report.contracts.inputs import ContractInputs

__all__ = ["compose_contracts"]

TITLE = "What subscribers are worth"
_COLUMNS = (
    ("customer_id", "The customer, as in the log; of a cohort table, the group."),
    ("p_alive", "1 where the contract runs, 0 where it has ended: of contracts this is seen."),
    ("p_purchase", "Probability of at least one renewal within the horizon. 1 − p_purchase is the risk of churn."),
    ("expected_purchases", "Average number of renewals within the horizon, over all ways the future may go."),
    ("purchases_low, purchases_high", "Predictive interval of that number: parameters, the customer, and chance."),
    ("expected_spend", "Price of a period."),
    ("expected_clv", "Expected value of the renewals within the horizon, discounted to the as-of date, after margin."),
    ("clv_low, clv_high", "Predictive interval of the value: what may in fact come in."),
    (
        "expected_clv_low, expected_clv_high",
        "Interval of the expected value alone: what is not known of the parameters.",
    ),
)
_WORDS = (
    ("As-of date", "Last day of the data the forecast starts from."),
    ("Renewal", "The end of a paid period, at which a contract goes on for one more, or ends for good."),
    ("Retention", "Of those who came to a renewal, the share who made it."),
    ("Interval", "Range that holds the outcome with the stated probability, if the model is right."),
    ("Recurring revenue", "What the running contracts pay in an average month, of 365.25 / 12 days."),
    ("Discounting", "Money later is worth less: at 0.10 a year, 110 in a year counts as 100 today."),
)


def compose_contracts(given: ContractInputs) -> Document:
    """Put the sections in the order in which they are asked for."""
    sections = (
        worth.headline(given),
        renewals.retention(given),
        renewals.by_tenure(given),
        worth.recurring(given),
        renewals.at_stake(given),
        renewals.top_subscribers(given),
        worth.segments(given),
        worth.new_subscriber(given),
        fit.fit(given),
        findings.distrust(given),
        appendix.data(given.subs.quality),
        _glossary(),
        _provenance(given),
    )
    end = given.subs.observation_end
    ahead = "infinite horizon" if not given.finite else f"horizon {given.horizon.label}"
    as_of = f"as of {end:%Y-%m-%d}, " if end is not None else ""
    return Document(
        title=printable(given.title) or TITLE,
        subtitle=f"{given.running:,.0f} running contracts of {given.subs.n_customers:,.0f}, renewed by the "
        f"{given.subs.period}, {as_of}{ahead}",
        sections=[section for section in sections if section is not None],
    )


def _glossary() -> Section:
    tables = [Table("Columns", ("Column", "Meaning"), _COLUMNS), Table("Words", ("Word", "Meaning"), _WORDS)]
    details = Details("Columns of customers.csv, and words of this report", tables)
    return Section("glossary", "What the words mean", [details])


def _provenance(given: ContractInputs) -> Section:
    """Versions, dates and options: enough to make the report again."""
    model, subs = given.model, given.subs
    fitted = model.fingerprint_
    facts = (
        ("Made on", f"{given.made_on.isoformat()} by predclv {version('predclv')}"),
        ("As-of date", str(subs.observation_end or "not known")),
        ("Horizon", given.horizon.label + (f", to {given.horizon.end}" if given.horizon.end else "")),
        ("Value", given.basis),
        ("Intervals", f"{given.sure}, equal-tailed"),
        ("Model", f"{type(model).__name__}, fitted by {model.posterior_.method}"),
        (
            "Fitted on",
            f"{fitted.n_customers:,} contracts, {fitted.n_repeat_buyers:,} of them renewed at least once, as of "
            f"{fitted.observation_end or 'a date not known'}; at most {given.duration(fitted.longest_age)} long",
        ),
        ("Random numbers", f"seed {model.random_state}"),
        ("Computed with", ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "matplotlib"))),
    )
    table = Table("Provenance", ("What", "Value"), [(name, printable(value)) for name, value in facts])
    return Section("provenance", "Where this comes from", [table])
