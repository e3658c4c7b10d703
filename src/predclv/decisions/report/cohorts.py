"""The section on cohorts: who comes back, month by month, what the present customers will do, and those to come."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.activity import Activity
from predclv.data.calendar import CALENDAR
from predclv.decisions.cohorts.active import activity
from predclv.decisions.cohorts.comparison import compare_cohorts
from predclv.decisions.cohorts.continuation import CohortForecast
from predclv.decisions.cohorts.forecast import continue_cohorts
from predclv.decisions.cohorts.metrics import RetentionMetrics, retention_metrics
from predclv.decisions.cohorts.table import NOT_ENOUGH, CohortTable, cohort_table
from predclv.decisions.report.cohorts_to_come import not_to_come, say_to_come, value_to_come
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.report.parts import LeftOut, Part
from predclv.errors import DataQualityWarning, HorizonWarning
from predclv.plots.cohorts import plot_cohorts, plot_continuation
from predclv.plots.style import percent, period_name, points, share_range, shorten
from predclv.report.blocks import Block, Details, Figures, Paragraph, Section, Table
from predclv.report.figures import draw
from predclv.report.words import NAME

__all__ = ["cohorts"]

# Days of log up to which weeks, and up to which months, make a triangle that can be read.
_WEEKS, _MONTHS = 120, 1_300
_AHEAD = {"week": 13, "month": 12, "quarter": 4, "year": 3}
_MOST_CHANNELS, _LAST = 8, 6


def cohorts(given: DecisionInputs) -> Part | LeftOut:
    """Follow customers by when they came: the section, and tables `cohorts`, `cohort_forecast`, `retention`."""
    if given.log is None:
        return LeftOut("the purchases one by one were not given, from which cohorts are counted: log=")
    with warnings.catch_warnings():
        # What is odd of the log, and how far the page looks ahead, is said once elsewhere.
        warnings.simplefilter("ignore", DataQualityWarning)
        warnings.simplefilter("ignore", HorizonWarning)
        found = _read(given)
        table = cohort_table(found.together(), period=found.period, margin=given.margin, level=given.level)
        if not (table.cells["is_whole"] & table.cells["retention"].notna() & (table.cells["age"] > 0)).any():
            return LeftOut(f"{NOT_ENOUGH}: no cohort of {table.settings['min_customers']} customers is a period old")
        future = _continue(given, table)
        metrics = retention_metrics(found.together(), period=found.period, level=given.level)
        equity = value_to_come(given)
    blocks: list[Block] = [Paragraph(_lead(given, table), "lead"), Figures(_figures(given, table, future))]
    if given.by is not None:
        blocks += _channels(given, found)
    if equity is not None:
        blocks += say_to_come(given, equity)
    elif given.asked.arrivals is not None:
        blocks.append(Paragraph(not_to_come(given), "quiet"))
    blocks += [_metrics(given, metrics), _definitions(metrics), Paragraph(_caveat(given, table, future), "quiet")]
    section = Section("cohorts", _title(table), blocks, short="Cohorts")
    kept = {"cohorts": table.cells, "cohort_forecast": future.cells, "retention": metrics.table}
    tables = {name: _plain(frame) for name, frame in kept.items()}
    if equity is not None:
        tables["customer_equity"] = equity.table
    facts = {
        "period": found.period,
        "cohorts": _plain(table.cohorts).to_dict("records"),
        "future": _plain(future.totals).to_dict("records"),
        "shocks": future.settings["shocks"].note,
        **({} if equity is None else {"customer_equity": equity.table.to_dict("records")}),
    }
    return Part(section, tables, facts)


def _read(given: DecisionInputs) -> Activity:
    options = {name: value for name, value in given.log_options.items() if name not in ("carry", "regularity")}
    return activity(given.log, by=given.by, period=_period(given), memory_limit="1GB", **options)


def _period(given: DecisionInputs) -> str:
    if given.clv.transactions_.bindings.counts_opportunities:
        return given.time_unit if given.time_unit in CALENDAR else "week"
    from predclv.data.durations import DAYS_PER_UNIT

    days = given.clv.transactions_.fingerprint_.longest_age * DAYS_PER_UNIT[given.time_unit]
    return "week" if days <= _WEEKS else "month" if days <= _MONTHS else "quarter"


def _continue(given: DecisionInputs, table: CohortTable) -> CohortForecast:
    period = table.settings["period"]
    return continue_cohorts(given.clv, given.chunks(), table, _AHEAD[period], margin=given.margin, level=given.level)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """A table whose periods are text, which every file takes."""
    return table.assign(**{name: table[name].astype(str) for name in ("cohort", "period") if name in table})


def _retained(table: CohortTable, age: int) -> tuple[float, int] | None:
    """Share of all cohorts of that age that buys at it, and of how many customers."""
    cells = table.cells[table.cells["is_whole"] & (table.cells["age"] == age)]
    if cells.empty:
        return None
    return float(cells["active"].sum() / cells["customers"].sum()), int(cells["customers"].sum())


def _title(table: CohortTable) -> str:
    period = table.settings["period"]
    first = _retained(table, 1)
    assert first is not None
    said = f"Of 100 customers won, {100 * first[0]:.0f} buy again in the {period} after the first"
    whole = table.cells[table.cells["is_whole"]]
    later = min(int(whole["age"].max()), 12 if period == "month" else 4)
    found = _retained(table, later)
    if later > 1 and found is not None and found[1] >= table.settings["min_customers"]:
        said += f", and {100 * found[0]:.0f} in {period} {later}"
    return said


def _lead(given: DecisionInputs, table: CohortTable) -> str:
    cells, period = table.cells[table.cells["is_whole"]], table.settings["period"]
    newest = cells[(cells["age"] == 1) & cells["retention"].notna()]
    if len(newest) < 2:
        return f"Each row below holds the customers who first bought in one {period}, followed from then on."
    last, earlier = newest.iloc[-1], newest.iloc[:-1]
    usual = earlier["active"].sum() / earlier["customers"].sum()
    what = "as before"
    if last["retention_low"] > usual:
        what = "more than before"
    elif last["retention_high"] < usual:
        what = "fewer than before"
    low, high = f"{last['retention_low']:.1%}", f"{last['retention_high']:.1%}"
    return (
        f"Of those who first bought in {period_name(last['cohort'])}, {last['retention']:.1%} came back in the "
        f"{period} after ({low} to {high} with {given.sure} probability); of those who came earlier, {usual:.1%}: "
        f"{what}."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _figures(given: DecisionInputs, table: CohortTable, future: CohortForecast) -> list[Any]:
    period = table.settings["period"]
    n = len(table.cohorts)
    ages = int(table.cells.loc[table.cells["is_whole"], "age"].max()) + 1
    return [
        draw(
            "cohorts",
            plot_cohorts,
            table,
            label=f"Heat map: share of each cohort that buys, by {period}s since the first purchase; the table "
            "cohorts.csv holds the numbers.",
            caption=f"A row is the customers who first bought in one {period}, with their number. What lies to the "
            "right of a row's end is yet to come. Hatched: too few customers to say.",
            size=(min(max(2.0 + 0.42 * ages, 4.5), 5.6), min(max(1.4 + 0.3 * n, 2.6), 7.0)),
        ),
        draw(
            "continuation",
            plot_continuation,
            future,
            table,
            label=f"Curve: customers who bought by {period}, and how many of those present are predicted to.",
            caption=f"The present customers alone, without those to come. What happens lies in the shade with "
            f"{given.sure} probability.",
        ),
    ]


def _channels(given: DecisionInputs, found: Activity) -> list[Block]:
    table = cohort_table(found, by=found.by, period=found.period, margin=given.margin, level=given.level)
    names = table.cohorts.groupby("segment")["customers"].sum().sort_values(ascending=False).index
    if len(names) < 2:
        return []
    compared = compare_cohorts(table, level=given.level)
    ages = [age for age in (1, 3, 6, 12) if age in set(compared["age"])]
    rows = []
    for name in names[:_MOST_CHANNELS]:
        own = compared[compared["name"] == str(name)].set_index("age")
        rows.append([shorten(name, NAME), *(_against(own, age) for age in ages)])
    columns = ("Channel", *(f"{found.period.capitalize()} {age}" for age in ages))
    words = (
        "Share of the channel's customers who buy at that age, and by how many points it is off that of all other "
        f"channels ({given.sure} range). Only cohorts that have reached the age are in it. Where the range holds zero, "
        "the data do not tell them apart; of many such comparisons some miss zero by chance."
    )
    if len(names) > _MOST_CHANNELS:
        words += f" The {_MOST_CHANNELS} largest of {len(names):,} channels are shown."
    shown = Table("Channels at the same age", columns, rows, numeric=range(1, 1 + len(ages)))
    return [shown, Paragraph(words, "quiet")]


def _against(own: pd.DataFrame, age: int) -> str:
    if age not in own.index:
        return "–"
    row = own.loc[age].to_dict()
    if row["verdict"] == NOT_ENOUGH:
        return NOT_ENOUGH
    return f"{percent(row['value'])} ({points(row['low'])} to {points(row['high'])})"


def _metrics(given: DecisionInputs, metrics: RetentionMetrics) -> Table:
    rows = metrics.table.tail(_LAST).to_dict("records")
    columns = (
        metrics.settings["period"].capitalize(),
        "Customers who bought",
        "New",
        f"Not back since the {metrics.settings['period']} before",
        "Average order",
        "Net revenue retention",
        "Gross",
    )
    body = [
        [
            period_name(row["period"]),
            f"{row['active_customers']:,}",
            f"{row['new_customers']:,}",
            _ranged(row, "churn_rate"),
            given.money(row["average_order_value"]) if np.isfinite(row["average_order_value"]) else "–",
            _ranged(row, "net_revenue_retention"),
            _ranged(row, "gross_revenue_retention"),
        ]
        for row in rows
    ]
    return Table(f"The last {len(rows)} whole {metrics.settings['period']}s", columns, body, numeric=range(1, 7))


def _ranged(row: Mapping[Any, Any], name: str) -> str:
    if not np.isfinite(row[name]):
        return NOT_ENOUGH if NOT_ENOUGH in row["note"] else "–"
    return f"{percent(row[name])} ({share_range(row[f'{name}_low'], row[f'{name}_high'])})"


def _definitions(metrics: RetentionMetrics) -> Details:
    rows = metrics.definitions.to_dict("records")
    lines = [f"{str(row['metric']).replace('_', ' ')}: {row['definition']}." for row in rows]
    gaps = metrics.gaps
    assert gaps is not None
    half = gaps[gaps["quantile"] == 0.5].iloc[0]
    if np.isfinite(half["days"]):
        lines.append(f"Half of all gaps between purchases end within {half['days']:,.0f} days, open ones counted.")
    return Details("What these figures mean", [Paragraph(line) for line in lines])


def _caveat(given: DecisionInputs, table: CohortTable, future: CohortForecast) -> str:
    period = table.settings["period"]
    said = (
        f"A cohort's {period} 0 is that of the first purchase, however late in it. "
        f"Without a contract nobody says that they leave: who did not buy in a {period} may yet come back."
    )
    shocks = future.settings["shocks"]
    if shocks.spread > 0:
        said += (
            f" Past {period}s were off what the model expects by {percent(shocks.spread)} (one standard deviation), "
            "and the shade takes future ones to be."
        )
    if not table.cells["is_whole"].all():
        cut = table.cells.loc[~table.cells["is_whole"], "period"].iloc[0]
        said += f" {_capital(period_name(cut))} is not over by {table.settings['end']} and is left out of the triangle."
    return said
