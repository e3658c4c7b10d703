"""Sections on the model: whether its cohorts are like the data's, what it believes, and its parameters."""

from __future__ import annotations

from predclv import plots
from predclv.checks import PredictiveCheck
from predclv.plots.style import percent, printable
from predclv.report.blocks import Block, Figure, Figures, Paragraph, Section, Table
from predclv.report.contracts.inputs import ContractInputs
from predclv.report.figures import draw
from predclv.report.parameters import parameters

__all__ = ["fit"]


def fit(given: ContractInputs) -> Section:
    """How well the model describes who stayed."""
    check, n = given.check, len(given.model.PARAMETERS)
    lead = Paragraph(
        f"The model has {n} numbers and describes {given.subs.n_customers:,.0f} contracts with them. {_in_words(given)}"
    )
    blocks: list[Block] = [lead]
    if isinstance(check, PredictiveCheck):
        blocks += [Figures(_figures(check)), _quantities(check)]
    else:
        blocks.append(Paragraph(f"Cohorts are not checked: {printable(check)}", "quiet"))
    return Section("fit", "How well the model fits", [*blocks, parameters(given.clv)])


def _figures(check: PredictiveCheck) -> list[Figure]:
    table = check.table
    outside = int(((table["actual"] < table["low"]) | (table["actual"] > table["high"])).sum())
    n_cohorts = table["cohort"].nunique()
    return [
        draw(
            "survivors",
            plots.plot_survivors,
            check,
            label=f"Who is left of {n_cohorts} cohorts after each renewal: {outside} of {len(table)} numbers lie "
            "outside the band of the model.",
            caption="Numbers of one cohort hang together: a bad start stays visible in all that follows."
            if n_cohorts > 1
            else "The band holds the parameters' uncertainty, which customers one happens to have, and chance.",
        )
    ]


def _quantities(check: PredictiveCheck) -> Table:
    rows = [
        [
            printable(row["quantity"][0].upper() + row["quantity"][1:]),
            _number(row["observed"]),
            _number(row["expected"]),
            f"{_number(row['low'])} to {_number(row['high'])}",
            "below 0.01" if row["p_value"] < 0.01 else f"{row['p_value']:.2f}",
        ]
        for row in check.p_values.to_dict("records")
    ]
    columns = ("Quantity", "Data", "Model expects", f"{percent(check.level)} of its replications", "p-value")
    return Table(
        "The data beside replications of them: a p-value below 0.05 is something the model does not bring about",
        columns,
        rows,
        numeric=range(1, 5),
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _in_words(given: ContractInputs) -> str:
    point = given.model.posterior_.point
    leave = percent(point["alpha"] / (point["alpha"] + point["beta"]))
    alike = point["alpha"] + point["beta"]
    words = f"On average {leave} of new customers leave at the first renewal. "
    if alike < 2:
        words += "Customers differ very much: many leave at once or hardly ever. "
    elif alike < 10:
        words += "Customers differ much in how likely they are to leave. "
    else:
        words += "Customers differ little in how likely they are to leave. "
    c = point.get("c")
    if c is not None:
        words += (
            f"With time a single customer grows {'more' if c < 1 else 'less'} loyal (c = {c:.2f})."
            if abs(c - 1) > 0.005
            else "A single customer hardly changes with time."
        )
    return words
