"""Cohorts of contracts: who began together, and how many renewals have come up for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of, quote_list, suggest
from predclv.data.periods import count_renewals
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError

__all__ = ["Cohorts", "find_cohorts"]

IntArray = NDArray[np.int64]

_MOST_COHORTS = 12
_WIDTHS = ("month", "quarter", "year")
_NUMPY = {"day": "D", "week": "W", "month": "M", "year": "Y"}


@dataclass(frozen=True)
class Cohorts:
    """The cohort of each contract.

    Attributes
    ----------
    names : list
        Of the cohorts, the oldest first.
    code : (n_contracts,) int array
    due : (n_contracts,) int array
        Renewals that had come up by the as-of date, had the contract lived to see them.
    start : (n_contracts,) int array or None
        Number of the calendar's period in which it began, the first being 0; None where dates are not known.
    """

    names: list[Any]
    code: IntArray
    due: IntArray
    start: IntArray | None


def find_cohorts(subs: Subscriptions, cohort: str | None = None) -> Cohorts:
    """Find the cohorts of contracts; see `predclv.checks.check_survivors`."""
    start = subs.start
    if cohort is None and start is None:
        cohort = "cohort"
        if cohort not in subs.carried:
            raise DataError(
                "How many renewals have come up for contracts that ended is not known: these subscriptions have "
                "neither dates of start (from_log has them) nor cohorts (from_cohorts)."
            )
    if cohort is not None and cohort not in subs.carried:
        raise DataError(
            f"cohort={cohort!r} is no carried column.{suggest(cohort, subs.carried)} There are "
            f"{quote_list(subs.carried) or 'none'}; from_log takes carry=[...]."
        )
    names, code = _by_start(subs) if cohort is None else _by_column(subs, cohort)
    if start is None:
        return Cohorts(names, code, _due_by_cohort(subs, names, code), None)
    if subs.observation_end is None:
        raise DataError("The as-of date is not known: give observation_end=.")
    day = np.full(len(subs), np.datetime64(f"{subs.observation_end:%Y-%m-%d}", "D"))
    due = count_renewals(start.astype("datetime64[D]"), day, subs.period)
    wrong = np.where(subs.lost, subs.tenure >= due, subs.tenure != due)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DataError(
            f"Dates of start and renewals do not agree for {count_of(int(wrong.sum()), len(subs), 'contracts')} "
            f"(first: customer {subs.customer_id[i]}, {subs.tenure[i]} renewals made, {due[i]} come up by "
            f"{subs.observation_end}). Is the as-of date that of the table?"
        )
    return Cohorts(names, code, due, _period_number(start, subs.period))


def _by_start(subs: Subscriptions) -> tuple[list[Any], IntArray]:
    assert subs.start is not None
    widths = _WIDTHS[_WIDTHS.index(subs.period) if subs.period in _WIDTHS else 0 :]
    for width in widths:
        number = _period_number(subs.start, width)
        code, index = pd.factorize(number, sort=True)
        if len(index) <= _MOST_COHORTS:
            break
    first = subs.start.min()
    return [_name(first, int(n), width) for n in index], code.astype(np.int64)


def _by_column(subs: Subscriptions, cohort: str) -> tuple[list[Any], IntArray]:
    values = pd.Series(subs.carried[cohort])
    if values.isna().any():
        raise DataError(f"Column {cohort!r} is missing for {values.isna().sum():,} of {len(subs):,} contracts.")
    # Those of a table of cohorts are in its order, which need not be that of their names.
    in_order = subs.start is None and cohort == "cohort"
    try:
        code, index = pd.factorize(values, sort=not in_order)
    except TypeError as error:
        raise DataError(
            f"Column {cohort!r} holds values that cannot be sorted: {error}. Make them one type."
        ) from error
    return index.tolist(), code.astype(np.int64)


def _due_by_cohort(subs: Subscriptions, names: list[Any], code: IntArray) -> IntArray:
    """Renewals that have come up for each cohort as a whole."""
    most = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(most, code, subs.tenure + subs.lost)
    wrong = ~subs.ended & (subs.tenure < most[code])
    if wrong.any():
        i = int(np.argmax(wrong))
        raise DataError(
            f"{wrong.sum():,} running contracts have been renewed less often than others of their cohort (first: "
            f"customer {subs.customer_id[i]}, {subs.tenure[i]} of {most[code[i]]} renewals in cohort "
            f"{names[code[i]]!r}). Without dates of start, a cohort is who began together."
        )
    return most[code]


def _period_number(start: NDArray[np.datetime64], width: str) -> IntArray:
    day = start.astype("datetime64[D]")
    if width == "quarter":
        number = day.astype("datetime64[M]").astype(np.int64) // 3
    else:
        number = day.astype(f"datetime64[{_NUMPY[width]}]").astype(np.int64)
    return np.asarray(number - number.min())


def _name(first: np.datetime64, number: int, width: str) -> str:
    month = first.astype("datetime64[M]").astype(np.int64)
    if width == "month":
        return str(np.datetime64(int(month + number), "M"))
    if width == "quarter":
        quarter = int(month // 3 + number)
        return f"{1970 + quarter // 4} Q{quarter % 4 + 1}"
    return str(np.datetime64(int(month // 12 + number), "Y"))
