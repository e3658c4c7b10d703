"""Migration between tiers of value, from one snapshot to the next, and whether the forecast of it came true."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from predclv.data.durations import DAYS_PER_UNIT
from predclv.decisions.segments.groups import FEW
from predclv.decisions.segments.tier_cuts import tier_codes
from predclv.decisions.segments.tiers import CustomerTiers
from predclv.errors import DataError, UnitError
from predclv.kernels.discounting import continuous_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GONE", "NEW", "TierMigration", "tier_migration"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

#: Row of customers of the new snapshot alone, and column of those of the old one alone.
NEW, GONE = "new customers", "not in the new snapshot"

# How far the time between the snapshots may be from the horizon for the forecast to be judged by what came.
_CLOSE = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class TierMigration:
    """Who went from which tier to which.

    Attributes
    ----------
    counts : pandas.DataFrame
        Customers by their tier in the old snapshot (rows) and in the new one (columns), with the row "new customers"
        and the column "not in the new snapshot".
    shares : pandas.DataFrame
        Of each row's customers, where they are now; NaN where the row is empty.
    outcomes : pandas.DataFrame or None
        A row for each old tier and each tier that the value since then may lie in: tier, outcome, expected (number of
        customers, by the chances stated at the old date), low, high (interval of the number, by luck alone: the
        parameters' uncertainty is in the chances), came (how many it were). None where the snapshots do not lie the
        horizon apart, see `why_not`.
    why_not : str or None
    settings : mapping
        old, new (dates), cuts, level, and the horizon and currency of both.

    Notes
    -----
    A tier says what a customer is expected to be worth from its date on, so the new tier is not what the old chances
    were about: they told what the customer would have brought by now, and `outcomes` judges them by that.
    """

    counts: pd.DataFrame
    shares: pd.DataFrame
    outcomes: pd.DataFrame | None
    why_not: str | None
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<TierMigration: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.counts._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """How many stayed, rose and fell, in words."""
        n = len(self.settings["cuts"])
        numbers = self.counts.to_numpy()
        both = numbers[:n, :n]
        known = int(both.sum())
        stayed, rose, fell = int(np.trace(both)), int(np.tril(both, -1).sum()), int(np.triu(both, 1).sum())
        said = (
            f"of {known:,} customers in both snapshots {_share(stayed, known)} kept their tier, {_share(rose, known)} "
            f"rose and {_share(fell, known)} fell; {int(numbers[n].sum()):,} are new, {int(numbers[:, n].sum()):,} are "
            "not in the new snapshot"
        )
        if self.outcomes is not None:
            inside = self.outcomes["came"].between(self.outcomes["low"], self.outcomes["high"])
            said += (
                f"; of {len(inside)} numbers that were forecast, {int(inside.sum())} came within their "
                f"{self.settings['level']:.0%} interval"
            )
        return said if known >= FEW else f"{said}; not enough customers to say more"

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Heat map of where each tier's customers are now."""
        from predclv.plots.segments import plot_migration

        return plot_migration(self.counts, ax=ax)


def tier_migration(old: CustomerTiers, new: CustomerTiers) -> TierMigration:
    """Follow customers from their tier in one snapshot to that in a later one.

    Parameters
    ----------
    old, new : CustomerTiers
        By the same cuts: `assign_tiers(..., cuts=old.cuts)` for the new one; and by the same horizon, discount rate,
        margin, currency and kind of model, which may have been fitted anew.

    Returns
    -------
    TierMigration

    Raises
    ------
    UnitError
        The snapshots differ in currency, time unit, horizon, discount rate, margin or kind of model.
    DataError
        They have other cuts, no customer in common, or the new one is not later.
    TypeError
        One is no result of `assign_tiers`.
    """
    for name, one in (("old", old), ("new", new)):
        if not isinstance(one, CustomerTiers):
            raise TypeError(f"{name!r} must be what assign_tiers returns. Got {type(one).__name__}.")
    _require_alike(old, new)
    names = list(old.cuts)
    n = len(names)
    before, after = old.snapshot, new.snapshot
    place = _match(before.customer_id, after.customer_id)
    there = np.where(place >= 0, after.codes[place], n)
    known = np.zeros(len(after.codes), dtype=bool)
    known[place[place >= 0]] = True
    table = np.zeros((n + 1, n + 1))
    np.add.at(table, (before.codes, there), before.weight)
    np.add.at(table, (np.full(int((~known).sum()), n), after.codes[~known]), after.weight[~known])
    index, columns = pd.Index([*names, NEW], name="old"), pd.Index([*names, GONE], name="new")
    counts = pd.DataFrame(table.astype(np.int64), index=index, columns=columns)
    sizes = table.sum(axis=1, keepdims=True)
    shares = np.divide(table, sizes, out=np.full(table.shape, np.nan), where=sizes > 0)
    why_not = _why_not(old, new)
    outcomes = None if why_not else _judge(old, new, place)
    settings = {
        "old": old.settings["as_of"],
        "new": new.settings["as_of"],
        "cuts": dict(old.cuts),
        **{name: old.settings[name] for name in ("level", "horizon", "currency")},
    }
    return TierMigration(counts, pd.DataFrame(shares, index=index, columns=columns), outcomes, why_not, settings)


def _require_alike(old: CustomerTiers, new: CustomerTiers) -> None:
    if dict(old.cuts) != dict(new.cuts):
        raise DataError(
            f"The snapshots have other cuts: {_said(old.cuts)} and {_said(new.cuts)}. Assign the new tiers with "
            "cuts=old.cuts."
        )
    words = {
        "currency": "currency",
        "time_unit": "time unit",
        "discount_rate": "discount rate",
        "margin": "margin",
        "models": "models",
    }
    for name, word in words.items():
        if old.settings[name] != new.settings[name]:
            raise UnitError(
                f"The snapshots differ in {word}: {old.settings[name]!r} and {new.settings[name]!r}. Tiers of other "
                "terms are other tiers."
            )
    lengths = [one.settings["length"] for one in (old, new)]
    if lengths[0] != lengths[1] and not abs(lengths[0] / lengths[1] - 1) < _CLOSE:
        raise UnitError(
            f"The snapshots look ahead over different horizons: {old.settings['horizon']} and "
            f"{new.settings['horizon']}. Tiers of other horizons are other tiers."
        )
    dates = [one.settings["as_of"] for one in (old, new)]
    if all(date is not None for date in dates) and not _moment(dates[0]) < _moment(dates[1]):
        raise DataError(f"The new snapshot, of {dates[1]}, must be later than the old one, of {dates[0]}.")


def _match(old: NDArray[Any], new: NDArray[Any]) -> IntArray:
    """Row of the new snapshot in which each customer of the old one is, or -1."""
    place = np.asarray(pd.Index(new).get_indexer(pd.Index(old)), dtype=np.int64)
    if not (place >= 0).any():
        raise DataError(
            f"No customer of the old snapshot is in the new one (first: {old[0]!r} there, {new[0]!r} here). Are the "
            "customer ids of one kind?"
        )
    return place


def _why_not(old: CustomerTiers, new: CustomerTiers) -> str | None:
    """Why the old chances cannot be judged by what came; None where they can."""
    unit, length = old.settings["time_unit"], old.settings["length"]
    dates = [one.settings["as_of"] for one in (old, new)]
    if any(date is None for date in dates):
        return "a snapshot has no as-of date"
    if old.settings["kind"] == "contract":
        return "subscriptions hold the price of today, and not what was paid since"
    passed = (_moment(dates[1]) - _moment(dates[0])).total_seconds() / (86_400 * DAYS_PER_UNIT[unit])
    if not abs(passed - length) <= _CLOSE * length:
        return f"{passed:.4g} {unit}s have passed, and the chances are about {length:.4g}"
    return None


def _judge(old: CustomerTiers, new: CustomerTiers, place: IntArray) -> pd.DataFrame:
    """Numbers of customers by what they have brought since, forecast and come."""
    before, names, level = old.snapshot, list(old.cuts), old.settings["level"]
    # Who is not in the new snapshot may have been set aside, and nobody knows what he brought.
    some = place >= 0
    # Later returns of earlier purchases may leave less than nothing, which is of the lowest tier.
    brought = np.maximum(new.snapshot.past[place[some]] - before.past[some], 0.0)
    delta = continuous_rate(old.settings["discount_rate"], old.settings["time_unit"])
    reach = delta * old.settings["length"]
    # When he bought is not known: as if spread evenly over the time.
    worth = brought * (-np.expm1(-reach) / reach if reach > 0 else 1.0)
    came = tier_codes(worth, np.array(list(old.cuts.values())))
    codes, weight, chances = before.codes[some], before.weight[some], before.chances[some]
    reach_of_interval = norm.ppf((1 + level) / 2)
    rows = []
    for i, tier in enumerate(names):
        own = codes == i
        for j, outcome in enumerate(names):
            expected = float(weight[own] @ chances[own, j])
            spread = float(np.sqrt(weight[own] @ (chances[own, j] * (1 - chances[own, j]))))
            half = reach_of_interval * spread + 0.5
            rows.append(
                {
                    "tier": tier,
                    "outcome": outcome,
                    "expected": expected,
                    "low": max(expected - half, 0.0),
                    "high": min(expected + half, float(weight[own].sum())),
                    "came": int(weight[own & (came == j)].sum()),
                }
            )
    return pd.DataFrame(rows)


def _moment(date: dt.date) -> dt.datetime:
    moment = date if isinstance(date, dt.datetime) else dt.datetime.combine(date, dt.time())
    return moment.replace(tzinfo=None)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def _said(cuts: Mapping[str, float]) -> str:
    return ", ".join(f"{name!r} from {start:g}" for name, start in cuts.items())
