"""Two snapshots side by side: who can be compared, what they did in between, and who is set aside and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from predclv.batch.ids import hash_ids
from predclv.batch.memory import release_unused
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor.sources import ROWS, FileSnapshot, Rows, Snapshot, find_ids, stretches
from predclv.errors import DataError, UnitError
from predclv.kernels.id_hashes import mix
from predclv.models.base import require_summary

__all__ = ["Matched", "Pairing", "check_alike", "ids_of", "match_snapshots"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Hashes = NDArray[np.uint64]

# Ages are sums of days over a unit: they agree up to rounding, or the first purchase is another.
_ROUNDING = 1e-6

#: Why a history does not go on, in the order in which a customer is asked.
_REASONS = (
    "",
    "the first purchase has moved",
    "purchases have become fewer",
    "the last purchase has moved, and none was added",
    "purchases were added, all of them before the old date",
)


@dataclass(frozen=True, eq=False)
class Matched:
    """Some customers who can be compared, row by row.

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
    """

    old: RFMSummary
    new: RFMSummary
    window: float

    def __len__(self) -> int:
        return len(self.old)

    @property
    def days(self) -> float:
        """The window in days."""
        return self.window * self.old.days_per_unit

    @cached_property
    def purchases(self) -> IntArray:
        """See the class."""
        return self.new.frequency - self.old.frequency

    @cached_property
    def spend(self) -> FloatArray | None:
        """See the class."""
        if self.old.monetary_value is None or self.new.monetary_value is None:
            return None
        return self.new.frequency * self.new.monetary_value - self.old.frequency * self.old.monetary_value

    def uniforms(self, seed: int, label: str) -> FloatArray:
        """Uniforms on (0, 1), of the id, the as-of date, seed and label: the same whatever the order of rows."""
        return ((self.keys(seed, label) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def keys(self, seed: int, label: str) -> Hashes:
        """Whole numbers likewise: sorted by them, customers are shuffled."""
        salt = hash_ids(pa.array([f"{seed} {label} {self.old.observation_end}"]))
        keys: Hashes = mix(self._hashes ^ salt)
        return keys

    @cached_property
    def _hashes(self) -> Hashes:
        ids = self.old.customer_id
        if ids.dtype != object:
            return hash_ids(pa.array(ids))
        # By the text, for of ids of several kinds a part may have one alone.
        try:
            column = pa.array(ids, type=pa.large_string())
        except pa.ArrowException:
            column = pa.array([str(customer) for customer in ids])
        return hash_ids(column)


@dataclass(frozen=True, eq=False)
class Pairing:
    """All customers of two snapshots: who can be compared, and what is known of the others.

    Attributes
    ----------
    old, new : Snapshot
    here, there : (n_compared,) int32 arrays
        Rows in the old and in the new snapshot of those who can be compared, in the order of the old one.
    window : float
        Time between the snapshots, in their unit.
    newcomers : (n_newcomers,) int array
        Rows of the new snapshot whose first purchase lies in the window.
    set_aside : DataFrame
        customer_id and reason of those in either snapshot who cannot be compared.
    origin : (n_new,) int32 array
        Row in the old snapshot of each customer of the new one, compared or not; -1 where there is none.
    """

    old: Snapshot
    new: Snapshot
    here: Rows
    there: Rows
    window: float
    newcomers: IntArray
    set_aside: pd.DataFrame
    origin: Rows

    def __len__(self) -> int:
        return len(self.here)

    @property
    def days(self) -> float:
        """The window in days."""
        return self.window * self.old.days_per_unit

    @property
    def purchases(self) -> IntArray:
        """Bought in the window, (n_compared,)."""
        return self.new.frequency[self.there] - self.old.frequency[self.here]

    @property
    def spend(self) -> FloatArray | None:
        """Money of these purchases, less what was returned; None without amounts."""
        if self.old.monetary_value is None or self.new.monetary_value is None:
            return None
        money = self.new.frequency[self.there] * self.new.monetary_value[self.there]
        money -= self.old.frequency[self.here] * self.old.monetary_value[self.here]
        return money

    def pick(self, rows: IntArray) -> Matched:
        """Some of those compared."""
        return Matched(self.old.pick(self.here[rows]), self.new.pick(self.there[rows]), self.window)

    def parts(self, rows: int = ROWS) -> Iterator[tuple[slice, Matched]]:
        """Yield those compared, at most `rows` at a time."""
        for some in stretches(len(self), rows):
            release_unused()
            yield some, self.pick(np.arange(some.start, some.stop))


def match_snapshots(old: Snapshot, new: Snapshot) -> Pairing:
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
        # A file is opened as such where its rows are single customers alone.
        if not isinstance(rfm, FileSnapshot):
            require_summary(rfm)
            assert isinstance(rfm, RFMSummary)
            rfm.require_customers("Monitoring, which follows each customer,")
            rfm.require_joint_spend("Monitoring")
    check_alike(old, new)
    place = find_ids(old.customer_id, new.customer_id)
    # Positions in 32 bits, of which there are as many as customers.
    here = np.flatnonzero(place >= 0).astype(np.int32)
    there = place[here].astype(np.int32)
    if len(here) == 0:
        raise DataError(
            f"None of the {len(old):,} customers of the old snapshot is in the new one (first: "
            f"{ids_of(old, 0)!r}, there {ids_of(new, 0)!r}). Are ids of one kind, and is it one base?"
        )
    window = _window(old, new, here, there)
    reason = np.empty(len(here), dtype=np.int8)
    for some in stretches(len(here), ROWS):
        reason[some] = _contradictions(old, new, here[some], there[some], window)
    sound = reason == 0
    if not sound.any():
        worst = _REASONS[int(np.bincount(reason).argmax())]
        raise DataError(
            f"No history goes on from the old snapshot in the new one: {worst} for most of {len(here):,} customers. "
            "Were both summarised from one log, in one way?"
        )
    origin = np.full(len(new), -1, dtype=np.int32)
    origin[there] = here
    only_new = np.flatnonzero(origin < 0)
    late = new.T[only_new] > window * (1 + _ROUNDING) + _ROUNDING
    aside = [
        (ids_of(old, np.flatnonzero(place < 0)), "not in the new snapshot"),
        *((ids_of(old, here[reason == i]), _REASONS[i]) for i in dict.fromkeys(reason[~sound].tolist())),
        (ids_of(new, only_new[late]), "first bought before the old date, and not in the old snapshot"),
    ]
    return Pairing(
        old,
        new,
        here[sound],
        there[sound],
        window,
        only_new[~late],
        pd.concat([pd.DataFrame({"customer_id": ids, "reason": text}) for ids, text in aside], ignore_index=True),
        origin,
    )


def ids_of(snapshot: Snapshot, rows: Rows | int) -> Any:
    """Ids of some rows, or the id of one, as a summary has them."""
    ids = snapshot.customer_id
    if not isinstance(ids, pa.Array):
        return ids[rows]
    if isinstance(rows, int):
        return ids[rows].as_py()
    return ids.take(pa.array(rows)).to_numpy(zero_copy_only=False)


def check_alike(old: Snapshot, new: Snapshot) -> None:
    """Raise UnitError where two snapshots were not counted in one way, DataError where the new one is not later."""
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


def _window(old: Snapshot, new: Snapshot, here: Rows, there: Rows) -> float:
    """How much older customers have become: most of them by the same, the time between the snapshots."""
    window = float(np.median(new.T[there] - old.T[here]))
    if window <= 0:
        raise DataError(
            f"Customers of the new snapshot are not older than in the old one (median change of T: {window:g} "
            f"{old.time_unit}s). Give the old snapshot first."
        )
    return window


def _contradictions(old: Snapshot, new: Snapshot, here: Rows, there: Rows, window: float) -> IntArray:
    """Why each customer's new history does not go on from the old one, as a place in `_REASONS`; 0 where it does."""
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
        [1, 2, 3, 4],
        default=0,
    )
