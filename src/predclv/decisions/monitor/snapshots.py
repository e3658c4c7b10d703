"""Two snapshots side by side: who can be compared, what they did in between, and who is set aside and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from predclv.batch.ids import hash_ids
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError, UnitError
from predclv.kernels.id_hashes import mix
from predclv.models.base import require_summary

__all__ = ["Matched", "keyed_order", "keyed_uniforms", "match_snapshots"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Ages are sums of days over a unit: they agree up to rounding, or the first purchase is another.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Matched:
    """Customers of two snapshots who can be compared, row by row, and what is known of the others.

    Attributes
    ----------
    old, new : RFMSummary
        The same customers in the same order.
    window : float
        Time between the snapshots, in their unit.
    purchases : (n_customers,) int array
        Bought in the window.
    spend : (n_customers,) float array or None
        Money of these purchases, less what was returned; None without amounts.
    newcomers : (n_newcomers,) int array
        Rows of the new snapshot whose first purchase lies in the window.
    set_aside : DataFrame
        customer_id and reason of those in either snapshot who cannot be compared.
    """

    old: RFMSummary
    new: RFMSummary
    window: float
    purchases: IntArray
    spend: FloatArray | None
    newcomers: IntArray
    set_aside: pd.DataFrame

    def __len__(self) -> int:
        return len(self.old)

    @property
    def days(self) -> float:
        """The window in days."""
        return self.window * self.old.days_per_unit


def match_snapshots(old: RFMSummary, new: RFMSummary) -> Matched:
    """Put two snapshots of one base side by side.

    Raises
    ------
    TypeError
        One is no RFMSummary.
    UnitError
        They were counted in different units, currencies or policies.
    DataError
        Rows stand for several customers; nobody is in both; the new one is not later than the old one.
    """
    for rfm in (old, new):
        require_summary(rfm)
        rfm.require_customers("Monitoring, which follows each customer,")
        rfm.require_joint_spend("Monitoring")
    _check_units(old, new)
    place = pd.Index(new.customer_id).get_indexer(pd.Index(old.customer_id))
    here = np.flatnonzero(place >= 0)
    there = place[here]
    if len(here) == 0:
        raise DataError(
            f"None of the {len(old):,} customers of the old snapshot is in the new one (first: "
            f"{old.customer_id[0]!r}, there {new.customer_id[0]!r}). Are ids of one kind, and is it one base?"
        )
    window = _window(old, new, here, there)
    reason = _contradictions(old, new, here, there, window)
    sound = reason == ""
    if not sound.any():
        raise DataError(
            f"No history goes on from the old snapshot in the new one: {pd.Series(reason).value_counts().index[0]} for "
            f"most of {len(here):,} customers. Were both summarised from one log, in one way?"
        )
    only_new = np.setdiff1d(np.arange(len(new)), there)
    late = new.T[only_new] > window * (1 + _ROUNDING) + _ROUNDING
    aside = [
        (old.customer_id[np.flatnonzero(place < 0)], "not in the new snapshot"),
        *((old.customer_id[here[reason == text]], text) for text in dict.fromkeys(reason[~sound])),
        (new.customer_id[only_new[late]], "first bought before the old date, and not in the old snapshot"),
    ]
    first, second = old.pick(here[sound]), new.pick(there[sound])
    return Matched(
        first,
        second,
        window,
        second.frequency - first.frequency,
        _spend_between(first, second),
        only_new[~late],
        pd.concat([pd.DataFrame({"customer_id": ids, "reason": text}) for ids, text in aside], ignore_index=True),
    )


def _check_units(old: RFMSummary, new: RFMSummary) -> None:
    for name in ("time_unit", "collapse", "opportunities", "currency", "returns"):
        mine, theirs = getattr(old, name), getattr(new, name)
        # A ready table need not say how purchases were merged, nor what became of returns.
        if mine != theirs and not (name in ("collapse", "returns") and None in (mine, theirs)):
            raise UnitError(
                f"The old snapshot has {name} = {mine!r}, the new one {theirs!r}. Summarise both in one way."
            )
    if (old.monetary_value is None) != (new.monetary_value is None):
        lacking = "old" if old.monetary_value is None else "new"
        raise UnitError(f"The {lacking} snapshot has no amounts, the other has. Summarise both in one way.")
    ends = old.observation_end, new.observation_end
    if ends[0] is not None and ends[1] is not None and str(ends[1]) <= str(ends[0]):
        raise DataError(f"The new snapshot, as of {ends[1]}, is not later than the old one, as of {ends[0]}.")


def _window(old: RFMSummary, new: RFMSummary, here: IntArray, there: IntArray) -> float:
    """How much older customers have become: most of them by the same, the time between the snapshots."""
    window = float(np.median(new.T[there] - old.T[here]))
    if window <= 0:
        raise DataError(
            f"Customers of the new snapshot are not older than in the old one (median change of T: {window:g} "
            f"{old.time_unit}s). Give the old snapshot first."
        )
    return window


def _contradictions(
    old: RFMSummary, new: RFMSummary, here: IntArray, there: IntArray, window: float
) -> NDArray[np.str_]:
    """Why each customer's new history does not go on from the old one; "" where it does."""
    bought = new.frequency[there] - old.frequency[here]
    before, after, age = old.recency[here], new.recency[there], old.T[here]
    slack = _ROUNDING * (1.0 + new.T[there])
    moved = np.abs(new.T[there] - age - window) > slack
    return np.select(
        [
            moved,
            bought < 0,
            (bought == 0) & (np.abs(after - before) > slack),
            (bought > 0) & (after <= age - slack),
        ],
        [
            "the first purchase has moved",
            "purchases have become fewer",
            "the last purchase has moved, and none was added",
            "purchases were added, all of them before the old date",
        ],
        default="",
    )


def _spend_between(old: RFMSummary, new: RFMSummary) -> FloatArray | None:
    if old.monetary_value is None or new.monetary_value is None:
        return None
    return new.frequency * new.monetary_value - old.frequency * old.monetary_value


def keyed_uniforms(rfm: RFMSummary, seed: int, label: str) -> FloatArray:
    """Uniforms on (0, 1), of the id, the as-of date, seed and label: the same whatever the order of rows."""
    return ((_keys(rfm, seed, label) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def keyed_order(rfm: RFMSummary, seed: int, label: str) -> IntArray:
    """A shuffle of the customers that does not depend on the order of rows."""
    return np.argsort(_keys(rfm, seed, label), kind="stable").astype(np.int64)


def _keys(rfm: RFMSummary, seed: int, label: str) -> NDArray[np.uint64]:
    ids = rfm.customer_id
    try:
        column = pa.array(ids)
    except pa.ArrowException:
        column = pa.array([str(customer) for customer in ids])
    salt = hash_ids(pa.array([f"{seed} {label} {rfm.observation_end}"]))
    keys: NDArray[np.uint64] = mix(hash_ids(column) ^ salt)
    return keys
