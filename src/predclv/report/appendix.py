"""Sections to look things up in: what became of the data, what the columns mean, where the report comes from."""

from __future__ import annotations

import pandas as pd

from predclv.plots.style import percent, printable
from predclv.report.blocks import Details, Paragraph, Section, Table
from predclv.report.inputs import ReportInputs

__all__ = ["data", "glossary", "provenance"]

_COLUMNS = (
    ("customer_id", "The customer, as in the log."),
    ("p_alive", "Probability that the customer has not left for good, given the history."),
    ("p_purchase", "Probability of at least one purchase within the horizon. 1 − p_purchase is the risk of churn."),
    ("expected_purchases", "Average number of purchases within the horizon, over all ways the future may go."),
    ("purchases_low, purchases_high", "Predictive interval of that number: parameters, the customer, and chance."),
    ("expected_spend", "Expected spend on a purchase."),
    ("expected_clv", "Expected value within the horizon, discounted to the as-of date and after margin."),
    ("clv_low, clv_high", "Predictive interval of the value: what may in fact come in."),
    (
        "expected_clv_low, expected_clv_high",
        "Interval of the expected value alone: what is not known of the parameters.",
    ),
)
_WORDS = (
    ("As-of date", "Last day of the data the forecast starts from; later purchases are set aside."),
    ("Repeat purchase", "Any purchase after a customer's first. Purchases of one day (or what was chosen) are one."),
    ("Interval", "Range that holds the outcome with the stated probability, if the model is right."),
    ("Discounting", "Money later is worth less: at 0.10 a year, 110 in a year counts as 100 today."),
)
# How the quality table says that something did not stay as it was.
_CHANGES = (
    "set aside",
    "left out",
    "merged",
    "netted",
    "ignored",
    "dropped",
    "set to 0",
    "joined",
    "rounded",
    "taken as",
    "after observation_end, running",
)


def data(quality: pd.DataFrame) -> Section:
    """What was dropped, merged, netted and set aside, by the data's table of quality."""
    if not len(quality):
        text = "The report was made from a ready table of customers: what was done to the log before is not known."
        return Section("data", "What was dropped from the data", [Paragraph(text)])
    rows = [
        [
            printable(row["what"]),
            f"{row['count']:,}",
            f"{row['total']:,} {printable(row['unit'])}",
            percent(row["share"]) if row["count"] == 0 or row["share"] >= 0.005 else "below 1%",
            "; ".join(filter(None, (printable(row["note"]), _first(row["first_case"])))),
        ]
        for row in quality.to_dict("records")
    ]
    columns = ("What", "How many", "Of", "Share", "Remark")
    changed = [
        f"{row['what']}: {row['count']:,} of {row['total']:,} {row['unit']}"
        for row in quality.to_dict("records")
        if row["count"] and any(word in row["what"] for word in _CHANGES)
    ]
    said = (
        f"Changed or not used: {'; '.join(map(printable, changed))}." if changed else "Nothing was changed or dropped."
    )
    lead = Paragraph(said)
    table = Table("What became of the log", columns, rows, numeric=(1, 2, 3))
    return Section("data", "What was dropped from the data", [lead, table])


def glossary() -> Section:
    """Words and columns."""
    return Section(
        "glossary",
        "What the words mean",
        [
            Details(
                "Columns of customers.csv, and words of this report",
                [
                    Table("Columns", ("Column", "Meaning"), _COLUMNS),
                    Table("Words", ("Word", "Meaning"), _WORDS),
                ],
            )
        ],
    )


def provenance(given: ReportInputs) -> Section:
    """Versions, dates and options: enough to make the report again."""
    from importlib.metadata import version

    rfm, fit = given.rfm, given.clv.transactions_.fingerprint_
    models = " and ".join(type(model).__name__ for model in (given.clv.transactions_, given.clv.spend_))
    facts = (
        ("Made on", f"{given.made_on.isoformat()} by predclv {version('predclv')}"),
        ("As-of date", str(rfm.observation_end or "not known")),
        ("Horizon", given.horizon.label + (f", to {given.horizon.end}" if given.horizon.end else "")),
        ("Value", given.basis),
        ("Intervals", f"{given.sure}, equal-tailed"),
        ("Models", f"{models}, fitted by {given.clv.transactions_.posterior_.method}"),
        (
            "Fitted on",
            f"{fit.n_customers:,} customers, {fit.n_repeat_buyers:,} of them repeat buyers, as of "
            f"{fit.observation_end or 'a date not known'}; oldest {fit.longest_age:.4g} {fit.time_unit}s",
        ),
        ("Purchases", f"merged by {rfm.collapse or 'a rule not known'}; time in {rfm.time_unit}s"),
        ("Returns", str(rfm.returns or "not known")),
        ("Log starts", str(rfm.observation_start or "with its first purchase")),
        ("Random numbers", f"seed {given.clv.transactions_.random_state}"),
        ("Computed with", ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas", "matplotlib"))),
    )
    table = Table("Provenance", ("What", "Value"), [(name, printable(value)) for name, value in facts])
    return Section("provenance", "Where this comes from", [table])


def _first(case: object) -> str:
    return f"first: {printable(case)}" if case else ""
