"""Cohorts or channels beside each other: the same ages compared, and none that one of the two has not reached."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from predclv.data.checks import check_option, suggest
from predclv.decisions.cohorts.shares import difference_of_means, difference_of_shares
from predclv.decisions.cohorts.table import NOT_ENOUGH, CohortTable
from predclv.errors import DataError
from predclv.inference.posterior import check_level

__all__ = ["compare_cohorts"]


def compare_cohorts(
    table: CohortTable,
    *,
    of: str | None = None,
    reference: Any = None,
    measure: str = "retention",
    level: float = 0.9,
) -> pd.DataFrame:
    """Compare cohorts, or channels, at each age that both have reached.

    Parameters
    ----------
    table : CohortTable
    of : {"segment", "cohort"}, optional
        What is compared: by default segments where the table has them, of which the cohorts that have reached the age
        count together; else cohorts, of which the segments count together.
    reference : optional
        The segment, or cohort ("1997-01"), that the others are set against; by default each is set against all others
        together.
    measure : {"retention", "revenue"}
        Share of customers with a purchase at that age, or revenue at that age per customer of the cohort.
    level : float
        Probability of the intervals of the differences: of shares by Newcombe's method, of revenue normal.

    Returns
    -------
    DataFrame
        name, age, customers, value, other_customers, other_value, difference, low, high, verdict: "higher", "lower",
        "not told apart" (the interval holds zero), or "not enough to say" (fewer than the table's `min_customers` in
        one of the two). Of many comparisons some lie off zero by chance: at 0.9, one of ten of those that are alike.

    Raises
    ------
    DataError
        The table has no segments or amounts that are asked for, or only one of what is to be compared; the reference
        is not in it.

    Notes
    -----
    Segments are compared as they are: a channel whose customers came in other months differs by these, too. Cohorts of
    one age lie in different periods of the calendar, whose good and bad times are part of the difference, and are not
    in its interval. Ages at which observation ends within the period are left out.
    """
    check_level(level)
    check_option("measure", measure, ("retention", "revenue"))
    of = check_option("of", of or ("cohort" if table.settings["by"] is None else "segment"), ("segment", "cohort"))
    sums = _sums(table, of, measure)
    names = list(dict.fromkeys(sums["name"]))
    if len(names) < 2:
        raise DataError(f"There is only one {of}, {names[0]}: nothing to compare it with.")
    if reference is not None and str(reference) not in names:
        raise DataError(f"reference={reference!r} is no {of} of the table.{suggest(reference, names)}")
    rows = []
    for name in names:
        if name == str(reference):
            continue
        own = sums[sums["name"] == name].set_index("age")
        others = sums[sums["name"] == str(reference)] if reference is not None else sums[sums["name"] != name]
        other = others.drop(columns="name").groupby("age").sum()
        # Nobody differs at age 0, where all have bought.
        ages = [age for age in own.index.intersection(other.index) if age > 0 or measure == "revenue"]
        rows.append(_compare(name, own.loc[ages], other.loc[ages], measure, level, table.settings["min_customers"]))
    return pd.concat(rows, ignore_index=True)


def _sums(table: CohortTable, of: str, measure: str) -> pd.DataFrame:
    """name, age, customers, total and squares over customers of whole cells."""
    if of == "segment" and table.settings["by"] is None:
        raise DataError("The table has no segments. Make it with by='channel', for instance.")
    cells = table.cells[table.cells["is_whole"]].copy()
    cells["name"] = cells[of].astype(str)
    cells["total"] = cells["squares"] = cells["active"].astype(np.float64)
    if measure == "revenue":
        if "revenue" not in cells:
            raise DataError("The log was read without amounts. Give amount='...'.")
        cells["total"], cells["squares"] = cells["revenue"], _squares(table)
    return cells.groupby(["name", "age"], sort=True)[["customers", "total", "squares"]].sum().reset_index()


def _squares(table: CohortTable) -> Any:
    """Sums of squared revenue over customers, in the order of the whole cells."""
    cells, found = table.cells[table.cells["is_whole"]], table.activity.cells
    # Running numbers of periods and their names have one order.
    keys = found.assign(
        cohort=found["cohort"] - table.activity.cohorts["cohort"].min(), age=found["at"] - found["cohort"]
    )
    first = cells["cohort"].min()
    own = pd.DataFrame(
        {
            "segment": cells.get("segment", "all"),
            "cohort": [(cohort - first).n for cohort in cells["cohort"]],
            "age": cells["age"],
        }
    )
    merged = own.merge(keys[["segment", "cohort", "age", "revenue_squared"]], how="left")
    return merged["revenue_squared"].fillna(0.0).to_numpy()


def _compare(name: str, own: pd.DataFrame, other: pd.DataFrame, measure: str, level: float, least: int) -> pd.DataFrame:
    n, m = own["customers"].to_numpy(dtype=np.float64), other["customers"].to_numpy(dtype=np.float64)
    if measure == "retention":
        low, high = difference_of_shares(own["total"], n, other["total"], m, level)
    else:
        first, second = ((part["total"], part["squares"], part["customers"]) for part in (own, other))
        low, high = (np.asarray(end) for end in difference_of_means(first, second, level))
    value, other_value = own["total"].to_numpy() / n, other["total"].to_numpy() / m
    verdict = np.select([low > 0, high < 0], ["higher", "lower"], "not told apart")
    small = (n < least) | (m < least)
    found = pd.DataFrame(
        {
            "name": name,
            "age": own.index,
            "customers": n.astype(np.int64),
            "value": value,
            "other_customers": m.astype(np.int64),
            "other_value": other_value,
            "difference": value - other_value,
            "low": low,
            "high": high,
            "verdict": np.where(small, NOT_ENOUGH, verdict),
        }
    )
    found.loc[small, ["difference", "low", "high"]] = np.nan
    return found
