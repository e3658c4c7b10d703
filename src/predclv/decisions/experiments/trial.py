"""Who was in which arm of an experiment, and what each has done: from a log or a summary."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import count_of
from predclv.data.columns import margins, mean_spend, segments
from predclv.data.durations import parse_moment
from predclv.data.rfm import RFMSummary
from predclv.data.spending import read_spending
from predclv.data.split import split_transactions
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError
from predclv.models.base import require_summary

__all__ = ["Trial", "read_trial"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trial:
    """Customers of an experiment, in one order throughout.

    Attributes
    ----------
    rfm : RFMSummary
        As of the end.
    names : list of str
        Arms, sorted.
    code : (n_customers,) array
        Arm of each.
    observed : dict of name to (n_customers,) array
        value_so_far (with amounts; margin times spend), purchases_so_far, bought (0 or 1): since the start, or since
        the first purchase where arms were given at acquisition, and then won, which all were.
    before : RFMSummary or None
        As of the day before the start.
    length : float
        Time since the start, or since the first customer came, in the time unit.
    notes : tuple of str
    """

    rfm: RFMSummary
    names: list[str]
    code: IntArray
    observed: dict[str, FloatArray]
    before: RFMSummary | None
    length: float
    notes: tuple[str, ...]


def read_trial(data: Any, arm: Any, start: Any, margin: float | str, options: Mapping[str, Any]) -> Trial:
    """Read an experiment; see `read_experiment` for the arguments and errors."""
    if isinstance(data, RFMSummary | Subscriptions):
        if isinstance(data, Subscriptions):
            raise TypeError(
                "An experiment is read of purchases. Of contracts, fit a model with segment= the arm, and compare the "
                "arms' renewals."
            )
        require_summary(data)
        assert isinstance(data, RFMSummary)
        if options:
            raise TypeError(f"{next(iter(options))}= is of reading a log, and a summary was given. Leave it out.")
        if start is not None:
            raise DataError(
                "What followed a start cannot be told from a summary. Give the log, with the options of "
                "RFMSummary.from_transactions."
            )
        return _at_acquisition(data, arm, margin, None)
    carried = [arm] if isinstance(arm, str) else []
    carried += [margin] if isinstance(margin, str) and margin not in carried else []
    known = dict(options)
    known["carry"] = list(dict.fromkeys([*known.get("carry", ()), *carried]))
    rfm = _summarize(data, known, arm)
    if start is not None:
        return _since_start(data, rfm, arm, start, margin, known)
    return _at_acquisition(rfm, arm, margin, _money(data, rfm, known))


def _summarize(log: Any, options: Mapping[str, Any], arm: Any) -> RFMSummary:
    try:
        return RFMSummary.from_transactions(log, **options)
    except DataError as error:
        if isinstance(arm, str) and f"{arm!r} changes" in str(error):
            raise DataError(
                f"Customers are in more than one arm: {error} Leave such customers out, or give their first arm where "
                "they were randomised to it."
            ) from None
        raise


def _money(log: Any, rfm: RFMSummary, options: Mapping[str, Any]) -> FloatArray | None:
    """All that each customer has spent, first purchase included."""
    if rfm.monetary_value is None:
        return None
    customer = options.get("customer_id", "customer_id")
    told = {name: value for name, value in options.items() if name not in ("carry", "minor_unit", "opportunities")}
    if rfm.opportunities is not None:
        told["observation_end"] = rfm.observation_end
    spent = read_spending(log, by=customer, **told).customers["amount"]
    found: FloatArray = np.maximum(spent.reindex(rfm.customer_id).to_numpy(dtype=np.float64), 0.0)
    return found


def _at_acquisition(rfm: RFMSummary, arm: Any, margin: float | str, money: FloatArray | None) -> Trial:
    rfm.require_customers("An experiment")
    names, code, inside, notes = _arms(rfm, arm)
    # Millions of customers are not copied for nothing.
    picked = rfm if len(inside) == len(rfm) else rfm.pick(inside)
    observed: dict[str, FloatArray] = {
        "purchases_so_far": picked.frequency.astype(np.float64),
        "bought": (picked.frequency > 0).astype(np.float64),
        "won": np.ones(len(picked)),
    }
    if picked.monetary_value is not None:
        spent = picked.frequency * mean_spend(picked) if money is None else money[inside]
        observed["value_so_far"] = margins(picked, margin) * spent
        if money is None:
            notes.append("a summary does not hold the money of first purchases, so it is not counted: give the log")
    return Trial(picked, names, code, observed, None, float(picked.T.max()), tuple(notes))


def _since_start(
    log: Any, rfm: RFMSummary, arm: Any, start: Any, margin: float | str, options: Mapping[str, Any]
) -> Trial:
    day = parse_moment("start", start)
    assert day is not None
    if isinstance(day, dt.datetime):
        raise DataError(f"'start' must be a day, the first on which arms differed. Got {str(start)!r}.")
    end = rfm.observation_end
    if end is not None and day.toordinal() > end.toordinal():
        raise DataError(f"The experiment starts on {day}, after the as-of date {end}: nothing can be read of it yet.")
    told = {key: value for key, value in options.items() if key not in ("observation_end", "after_end")}
    if isinstance(arm, str):
        told["carry"] = [name for name in told["carry"] if name != arm]
    try:
        split = split_transactions(log, at=day - dt.timedelta(days=1), holdout_end=end, **told)
    except DataError as error:
        if "precedes the first purchase" not in str(error):
            raise
        raise DataError(
            f"Nobody had bought before {day}, on which the experiment starts. Leave the start out where arms were "
            "given at the first purchase."
        ) from None
    place = pd.Index(rfm.customer_id).get_indexer(split.calibration.customer_id)
    if (place < 0).any():
        lost = int((place < 0).sum())
        raise DataError(
            f"{count_of(lost, len(place), 'customers')} known before {day} are not known at the end (first: customer "
            f"{split.calibration.customer_id[int(np.argmax(place < 0))]}): the log is read differently at both dates."
        )
    whole = rfm.pick(place)
    try:
        names, code, inside, notes = _arms(whole, arm)
    except DataError as error:
        if isinstance(arm, str) and "is missing for" in str(error):
            raise DataError(
                f"{error} Who was randomised and did not buy since must have an arm, too: give arm= as a Series of "
                "arms by customer id, of all who were randomised; others are then left out."
            ) from None
        raise
    new = len(rfm) - len(whole)
    if new:
        notes.append(f"{new:,} customers came only after the start and are not in the comparison")
    picked, before = whole.pick(inside), split.calibration.pick(inside)
    bought = split.holdout["purchases"].to_numpy(dtype=np.float64)[inside]
    observed = {"purchases_so_far": bought, "bought": (bought > 0) * 1.0}
    if "spend" in split.holdout:
        observed["value_so_far"] = margins(picked, margin) * split.holdout["spend"].to_numpy()[inside]
    return Trial(picked, names, code, observed, before, split.duration, tuple(notes))


def _arms(rfm: RFMSummary, arm: Any) -> tuple[list[str], IntArray, IntArray, list[str]]:
    """Names of the arms, arm of each customer who is in one, who that is, and what there is to say."""
    notes: list[str] = []
    if isinstance(arm, str):
        found, code = segments(rfm, arm, option="arm")
        inside = np.arange(len(rfm))
    else:
        assigned = _assignment(arm)
        values = assigned.reindex(rfm.customer_id)
        inside = np.flatnonzero(values.notna().to_numpy())
        if not len(inside):
            raise DataError(
                f"None of the {len(rfm):,} customers has an arm (first: customer {rfm.customer_id[0]!r}; the first "
                f"with an arm is {assigned.index[0]!r}). Are ids of the same type?"
            )
        outside, absent = len(rfm) - len(inside), len(assigned) - len(inside)
        if outside:
            notes.append(f"{outside:,} customers have no arm and are left out")
        if absent:
            notes.append(f"{absent:,} with an arm are no customers here and are not counted")
        code, index = pd.factorize(values.iloc[inside].astype(str), sort=True)
        found = list(index)
    names = [str(name) for name in found]
    if len(names) < 2:
        raise DataError(f"There is one arm, {names[0]!r}, so nothing can be compared.")
    size = np.bincount(code)
    if size.min() < 2:
        raise DataError(f"Arm {names[int(size.argmin())]!r} has 1 customer: nothing can be said of it. Leave it out.")
    return names, code.astype(np.int64), inside, notes


def _assignment(arm: Any) -> pd.Series:
    if not isinstance(arm, Mapping | pd.Series):
        raise TypeError(
            "'arm' must be a carried column, or a mapping or Series of arms by customer id: "
            f"table.set_index('customer_id')['arm']. Got {type(arm).__name__}."
        )
    given = pd.Series(arm, dtype=object) if isinstance(arm, Mapping) else arm
    if given.isna().any():
        raise DataError(
            f"'arm' is missing for {count_of(int(given.isna().sum()), len(given), 'customers')} (first: customer "
            f"{given.index[int(np.argmax(given.isna()))]}). Leave them out, or say their arm."
        )
    table = pd.DataFrame({"customer": given.index, "arm": given.to_numpy()}).drop_duplicates()
    twice = table["customer"].duplicated(keep=False)
    if twice.any():
        customer = table.loc[twice, "customer"].iloc[0]
        both = sorted(map(repr, table.loc[table["customer"] == customer, "arm"]))
        raise DataError(
            f"{count_of(table.loc[twice, 'customer'].nunique(), table['customer'].nunique(), 'customers')} are in more "
            f"than one arm (first: customer {customer}: {', '.join(both)}). Leave such customers out."
        )
    return table.set_index("customer")["arm"]
