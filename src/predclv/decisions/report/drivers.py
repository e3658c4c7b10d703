"""The section on drivers: which attributes go with what a customer is worth, and how sure that is."""

from __future__ import annotations

from typing import Any

import pandas as pd
from sklearn.base import clone

from predclv.data.checks import pick_column
from predclv.data.rfm import RFMSummary
from predclv.decisions.drivers.attributes import prepare_attributes
from predclv.decisions.drivers.find import Drivers, find_drivers
from predclv.decisions.drivers.rows import CAVEAT, MEASURES, format_value
from predclv.decisions.report.customers import FileBase
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.errors import DataError, FitError
from predclv.models.covariates.model import CovariateModel
from predclv.plots.drivers import plot_drivers
from predclv.plots.style import percent, points, printable, shorten
from predclv.report.blocks import Block, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["drivers"]

_SHARES = ("p_purchase", "retention")
_SHOWN = 20
# From so many customers on, maximum likelihood and posterior agree.
_MANY = 5_000
# Rows that customers of a file are collapsed to, at most: with some ten coefficients each takes about 1.4 KB in a fit.
_MOST_ROWS = 300_000
# Customers that a value must have to be compared.
FEWEST = 30


def drivers(given: DecisionInputs) -> Part | LeftOut:
    """Say what goes with value: the section, and the table `drivers`."""
    if not given.asked.drivers and not given.asked.unusable:
        return LeftOut("no attributes to compare customers by were given: --drivers")
    if not given.finite:
        return LeftOut("attributes are compared over a horizon that ends: --horizon '5 years'")
    model = given.clv.transactions_
    if not isinstance(model, CovariateModel):
        return LeftOut(
            f"{type(model).__name__} takes no attributes of customers: --transactions bg_nbd, or another that does"
        )
    rows = _rows(given, list(given.asked.drivers)) if given.asked.drivers else None
    for name in given.asked.drivers:
        if rows is not None and name not in rows.carried:
            pick_column("drivers", name, list(rows.carried), "the customers' table")
    try:
        found, unusable = _find(given, model, rows)
    except (DataError, FitError) as error:
        return LeftOut(f"not enough to say: {error}")
    value = found.of("clv")
    known = value.dropna(subset=["difference"])
    shown = known.head(_SHOWN)
    blocks: list[Block] = [
        Paragraph(_lead(given, known), "lead"),
        Figures([_figure(given, shown)]),
        _values(given, shown),
        _others(found, shown),
        Paragraph(_how_to_read(given, found), "quiet"),
        *[Paragraph(_sentence(_for_page(note)), "quiet") for note in found.notes],
    ]
    rare = value[value["difference"].isna()]
    blocks[4:4] = [
        *([Paragraph(_rare(rare))] if len(rare) else []),
        *_left_out(unusable, len(found.settings["attributes"])),
    ]
    if len(known) > _SHOWN:
        rest = f"The first {_SHOWN} of {len(known):,} comparisons are shown; drivers.csv has all."
        blocks.insert(3, Paragraph(rest, "quiet"))
    section = Section("drivers", _title(known), blocks, short="What goes with value")
    facts = {
        "comparisons": _plain(found.table),
        "caveat": CAVEAT,
        "settings": dict(found.settings),
        "left_out": dict(unusable),
    }
    return Part(section, {"drivers": _text(found.table)}, facts)


def _find(given: DecisionInputs, model: CovariateModel, rfm: RFMSummary | None) -> tuple[Drivers, dict[str, str]]:
    """Compare by the attributes that can be; and why others cannot."""
    names, unusable = list(given.asked.drivers), dict(given.asked.unusable)
    for name in given.asked.drivers:
        assert rfm is not None
        try:
            prepare_attributes(rfm, [name], FEWEST)
        except DataError as error:
            names.remove(name)
            unusable[name] = str(error)
    while names:
        assert rfm is not None
        try:
            return _compare(given, model, rfm, names), unusable
        except DataError as error:
            # A combination of the others: without it they can be compared.
            if error.column not in names or len(names) == 1:
                raise
            names.remove(error.column)
            unusable[error.column] = str(error)
    raise DataError("no attribute can be compared. " + " ".join(f"{name!r}: {why}" for name, why in unusable.items()))


def _rows(given: DecisionInputs, names: list[str]) -> RFMSummary:
    if not isinstance(given.base, FileBase):
        return given.summary
    from predclv.batch import collapse_customers
    from predclv.batch.memory import release_unused

    # Rows for all customers alike, so that the number of customers does not matter.
    release_unused()
    rows = collapse_customers(given.base.path, by=names, max_rows=_MOST_ROWS, memory_limit="1GB")
    release_unused()
    return rows


def _compare(given: DecisionInputs, model: CovariateModel, rfm: RFMSummary, names: list[str]) -> Drivers:
    template = clone(model).set_params(segment=None, purchase_covariates=None, dropout_covariates=None, penalty=0.0)
    template.set_params(priors=None)
    if template.method == "map" and given.n_customers >= _MANY:
        # Draws by importance sampling cost by customers, attributes and draws; of so many, priors decide nothing.
        template.set_params(method="mle")
    year = model.parse_horizon("1 year", given.time_unit, None)
    return find_drivers(
        rfm,
        names,
        transactions=template,
        horizon=given.horizon,
        retention=year if year.length < given.horizon.length else given.horizon,
        discount_rate=given.discount_rate,
        margin=given.margin,
        level=given.level,
        min_customers=FEWEST,
    )


def _left_out(unusable: dict[str, str], n_compared: int) -> list[Block]:
    if not unusable:
        return []
    why = " ".join(f"“{shorten(name, NAME)}”: {_end(why)}" for name, why in unusable.items())
    n, total = len(unusable), len(unusable) + n_compared
    return [Paragraph(f"{n} of {total} attributes {'is' if n == 1 else 'are'} left out. {printable(why)}")]


def _end(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def _title(rows: pd.DataFrame) -> str:
    """The finding: what surely goes with value, and how much."""
    clear = rows[rows["holds_for_all"]]
    if clear.empty:
        return "No attribute surely goes with what a customer is worth"
    row = clear.iloc[int(clear["relative"].abs().to_numpy().argmax())]
    more = "more" if row["relative"] > 0 else "less"
    return (
        f"Customers with {shorten(row['attribute'], 24)} {_value(row['value'])} are worth "
        f"{percent(abs(row['relative']))} {more} than with {_value(row['reference'])}; that is no proof of a cause"
    )


def _lead(given: DecisionInputs, rows: pd.DataFrame) -> str:
    n = int(rows["verdict"].str.startswith("goes with").sum())
    return (
        f"Of {len(rows)} comparisons, {n} {'is' if n == 1 else 'are'} clear with {given.sure} probability each. In "
        "every one the other attributes on this list are the same on both sides. It is what goes together, and not "
        "what would happen if you changed it: for that, make an experiment."
    )


def _figure(given: DecisionInputs, shown: pd.DataFrame) -> Any:
    return draw(
        "drivers",
        plot_drivers,
        shown,
        label="Points with intervals: how much more or less a new customer is worth with each value of an attribute; "
        "the table below holds the numbers.",
        caption="Blue: clear. Grey: the data do not say. Open circles: what one would think without regard to the "
        "other attributes.",
        size=(5.0, 1.8 + 0.42 * len(shown)),
        level=given.level,
    )


def _values(given: DecisionInputs, shown: pd.DataFrame) -> Table:
    columns = (
        "Attribute",
        "Customers",
        "Worth of a new one",
        "Compared with",
        "Difference",
        f"{given.sure} range",
        "Verdict",
    )
    rows = [
        [
            f"{shorten(row['attribute'], NAME)}: {_value(row['value'])}",
            f"{row['customers']:,.0f}",
            given.money(row["at_value"]),
            f"{_value(row['reference'])}: {given.money(row['at_reference'])}",
            _signed(given, row["difference"], row),
            f"{_signed(given, row['low'], row)} to {_signed(given, row['high'], row)}",
            str(row["verdict"]),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("What a new customer is worth, other attributes alike", columns, rows, numeric=(1, 2, 4, 5))


def _others(found: Drivers, shown: pd.DataFrame) -> Table:
    names = [name for name in dict.fromkeys(found.table["measure"]) if name != "clv"]
    by_measure = {name: found.of(name).set_index(["attribute", "value"]) for name in names}
    columns = ("Attribute", *(MEASURES[name].capitalize() for name in names))
    rows = [
        [
            f"{shorten(row['attribute'], NAME)}: {_value(row['value'])}, not {_value(row['reference'])}",
            *(_difference(name, by_measure[name].loc[(row["attribute"], row["value"])]) for name in names),
        ]
        for row in shown.to_dict("records")
    ]
    return Table("What else differs, with its range", columns, rows, numeric=range(1, 1 + len(names)))


def _signed(given: DecisionInputs, value: float, row: Any) -> str:
    return f"{'−' if value < 0 else '+'}{given.money(abs(value), like=row['at_value'])}"


def _difference(name: str, row: pd.Series) -> str:
    if name in _SHARES:
        numbers = [points(row[end]) for end in ("difference", "low", "high")]
        return f"{numbers[0]} points ({numbers[1]} to {numbers[2]})"
    base = row["at_reference"]
    middle, low, high = (percent(row[end] / base, sign=True) for end in ("difference", "low", "high"))
    return f"{middle} ({low} to {high})"


def _how_to_read(given: DecisionInputs, found: Drivers) -> str:
    kept = "" if given.margin != 1 else " Value is revenue here."
    return (
        f"Worth is {given.what} {given.within} from the first purchase on, that one included ({given.basis}).{kept} "
        f"Retention is after {found.settings['retention']}. Numbers compare the upper with the lower quartile. The "
        "ranges hold what the data leave open about the average customer of a kind; single customers differ much more."
    )


def _rare(rare: pd.DataFrame) -> str:
    listed = ", ".join(f"{_value(row['value'])} ({row['customers']:,.0f})" for row in rare.head(8).to_dict("records"))
    more = f", and {len(rare) - 8} more" if len(rare) > 8 else ""
    return f"Not enough to say of values that few customers have: {listed}{more}."


def _value(value: Any) -> str:
    return shorten(format_value(value), 32)


def _for_page(note: str) -> str:
    """A note without what only the table's columns are called."""
    return note.replace("holds_for_all marks what holds", "the heading names only what holds")


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:]}."


def _text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with values as text, as a file's column must be of one type."""
    text = table.copy()
    for name in ("value", "reference"):
        text[name] = [None if pd.isna(one) else format_value(one) for one in table[name]]
    return text


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = _text(table).astype(object)
    found: list[dict[str, Any]] = rows.where(rows.notna(), None).to_dict("records")  # type: ignore[assignment]
    return found
