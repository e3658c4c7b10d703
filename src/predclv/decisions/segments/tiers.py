"""Tiers of value: who belongs to which, how sure that is, and what each tier holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.segments.groups import FEW, Question, group_table, require_finite
from predclv.decisions.segments.tier_cuts import (
    Method,
    check_cuts,
    check_tiers,
    cut_by_clusters,
    cut_by_shares,
    tier_codes,
)
from predclv.errors import DataQualityWarning, warn
from predclv.models.estimates import Estimate
from predclv.models.outlook import Odds, Outlook
from predclv.value import CLV

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CustomerTiers", "assign_tiers"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_ROWS = 100_000  # customers at a time


@dataclass(frozen=True, eq=False, repr=False)
class CustomerTiers:
    """Customers in tiers of value.

    A tier is a range of money, and a customer belongs to the one that holds the expected value. What the customer then
    turns out to be worth may lie in another: most who are expected to bring little bring nothing, and few bring much.

    Attributes
    ----------
    customers : frame, one row a customer, of the type the summary was made from
        customer_id, expected_clv, tier, p_right (probability that the discounted value over the horizon turns out to
        lie in the tier's range: parameter uncertainty, the customer's place in the population, and luck), p_mean_right
        (probability that the expected value lies there: parameter uncertainty alone) and, for each tier, p_in_<tier>,
        the probability that the value turns out to lie in its range.
    cuts : mapping of tier to float
        Value from which on each begins, best first; as `cuts=` it makes the same tiers of another snapshot.
    table : pandas.DataFrame
        A row a tier and one of all: tier, begins (at which value), customers, share_of_customers, aimed_at (the share
        that was asked for, of customers or value; NaN where none was), expected_clv, clv_low, clv_high (the outcome's
        interval), expected_clv_low, expected_clv_high (the mean's), mean_clv (of a customer) with mean_clv_low,
        mean_clv_high, share_of_value with share_low, share_high (the outcome's, draw by draw), p_right, p_mean_right
        (averages).
    outcomes : pandas.DataFrame
        Expected numbers of customers of each tier (rows) who turn out to be worth what is of each tier (columns).
    settings : mapping
        horizon, length, time_unit, discount_rate, margin, level, currency, as_of, models, method, and moved: the share
        of the customers whom k-means has in another cluster than that of their tier, else None.
    snapshot : Snapshot
        What `tier_migration` compares.
    """

    customers: Any
    cuts: Mapping[str, float]
    table: pd.DataFrame
    outcomes: pd.DataFrame
    settings: Mapping[str, Any]
    snapshot: Snapshot

    def __repr__(self) -> str:
        return f"<CustomerTiers: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """What the best tier holds, and how far tiers can be trusted, in words."""
        first, every = self.table.iloc[0], self.table.iloc[-1]
        if not every["expected_clv"] > 0:
            return f"none of the {every['customers']:,} customers is expected to bring anything"
        said = (
            f"the {first['customers']:,} customers ({first['share_of_customers']:.0%}) in {first['tier']!r} hold "
            f"{first['share_of_value']:.0%} of the value expected in {self.settings['horizon']} "
            f"({first['share_low']:.0%} to {first['share_high']:.0%}); {every['p_right']:.0%} of all customers will "
            "turn out to be worth what their tier says"
        )
        few = self.few
        return said if not few else f"{said}; not enough to say of {', '.join(map(repr, few))}, of fewer than {FEW}"

    @property
    def few(self) -> list[str]:
        """Tiers of too few customers to be spoken of as groups."""
        rows = self.table.iloc[:-1]
        return list(rows.loc[rows["customers"] < FEW, "tier"])

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Share of the customers and share of the value that each tier holds, with intervals."""
        from predclv.plots.segments import plot_tiers

        return plot_tiers(self.table, level=self.settings["level"], ax=ax)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Tiers at one date as arrays, rows in the order of the customers.

    Attributes
    ----------
    customer_id : (n,) array
    codes : (n,) int array
        Tier, from 0 for the best.
    chances : (n, n_tiers) array
        That the value turns out to lie in each tier's range.
    past : (n,) array
        What the customer has brought since the first purchase, undiscounted.
    weight : (n,) int array
        Customers of a row.
    """

    customer_id: NDArray[Any] = field(repr=False)
    codes: IntArray = field(repr=False)
    chances: FloatArray = field(repr=False)
    past: FloatArray = field(repr=False)
    weight: IntArray = field(repr=False)


def assign_tiers(
    clv: CLV,
    rfm: Any,
    horizon: Any = "1 year",
    *,
    tiers: int | Sequence[str] | Mapping[str, float] | None = None,
    method: Method | None = None,
    cuts: Mapping[Any, float] | pd.Series | None = None,
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    estimate: Estimate | None = None,
    n_draws: int | None = None,
    seed: int = 0,
) -> CustomerTiers:
    """Put customers into tiers by their expected value, and say how sure each one's tier is.

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases or contracts.
    rfm : RFMSummary or Subscriptions
    horizon, discount_rate, margin, level, estimate, n_draws
        As in `CLV.portfolio`.
    tiers : int, names, or mapping of name to share, optional
        How many, or what they are called, best first, or what share each is to have: `{"gold": 0.05, "silver": 0.15,
        "rest": 0.8}`. By default top, high, middle and low. Without shares they are alike.
    method : {"quantile", "value", "kmeans"}, optional
        Whether shares are of customers (the default) or of expected value, or whether k-means finds the tiers in the
        customers' predictive distributions; then there are no shares.
    cuts : mapping of name to float, optional
        Instead of both: the value from which on each tier begins, best first, the last from 0 on. Those of another
        result make the same tiers here.
    seed : int
        Of k-means.

    Returns
    -------
    CustomerTiers

    Raises
    ------
    DataError
        There are more tiers than different expectations; or as `CLV.portfolio`.
    UnitError, ValueError, TypeError
        As `CLV.portfolio`, and where tiers or cuts are none.

    Warns
    -----
    DataQualityWarning
        A tier has fewer than 30 customers.

    Notes
    -----
    Customers of one history and one basket are worth the same to a model and are never parted, so that tiers are as
    near to their shares as that allows; `table` has both.
    """
    if cuts is not None and (tiers is not None or method is not None):
        raise ValueError("'cuts' say where tiers begin, so neither 'tiers' nor 'method' may be given beside them.")
    named = check_tiers(tiers, method or "quantile") if cuts is None else None
    begins = None if cuts is None else check_cuts(cuts)
    question = Question(clv, rfm, horizon, discount_rate, margin, level, estimate)
    outlook = question.outlook()
    expected = require_finite(outlook.columns(["expected_clv"])["expected_clv"], outlook.customer_id)
    moved = None
    if begins is None:
        assert named is not None
        starts, moved = _cut(outlook, expected, named, method or "quantile", seed)
        begins = dict(zip(named, starts.tolist(), strict=True))
    starts = np.array(list(begins.values()))
    codes = tier_codes(expected, starts)
    chances, mean_right = _chances(outlook.odds(starts[:-1]), codes)
    right = np.take_along_axis(chances, codes[:, np.newaxis], axis=1)[:, 0]
    snapshot = Snapshot(outlook.customer_id, codes, chances, outlook.past, outlook.weight)
    names = list(begins)
    table = group_table(outlook, names, codes, level, n_draws).rename(columns={"segment": "tier"})
    table.insert(1, "begins", [*starts, np.nan])
    shares = [np.nan] * len(names) if named is None or method == "kmeans" else list(named.values())
    table.insert(4, "aimed_at", [*shares, np.nan])
    for name, chance in (("p_right", right), ("p_mean_right", mean_right)):
        table[name] = _averages(chance, codes, snapshot.weight, len(names))
    settings = question.settings() | {"method": "cuts" if cuts is not None else method or "quantile", "moved": moved}
    columns = {
        "customer_id": outlook.customer_id,
        "expected_clv": expected,
        "tier": np.array(names, dtype=object)[codes],
        "p_right": right,
        "p_mean_right": mean_right,
        **{f"p_in_{name}": chances[:, j] for j, name in enumerate(names)},
    }
    found = CustomerTiers(outlook.to_native(columns), begins, table, _outcomes(snapshot, names), settings, snapshot)
    _warn_few(found)
    return found


def _cut(
    outlook: Outlook, expected: FloatArray, named: Mapping[str, float], method: Method, seed: int
) -> tuple[FloatArray, float | None]:
    if method == "kmeans":
        return cut_by_clusters(outlook, expected, len(named), seed)
    customers = outlook.weight.astype(np.float64)
    size = customers if method == "quantile" else customers * expected
    return cut_by_shares(expected, size, np.array(list(named.values()))), None


def _chances(odds: Odds, codes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Chances of the outcome to lie in each tier's range, and of the mean to lie in that of the own one.

    `odds` are those to reach where each tier but the last begins.
    """
    n, k = odds.outcome.shape
    chances, own = np.empty((n, k + 1)), np.empty(n)
    for start in range(0, n, _ROWS):
        some = slice(start, start + _ROWS)
        chances[some] = _between(odds.outcome[some])
        own[some] = np.take_along_axis(_between(odds.mean[some]), codes[some, np.newaxis], axis=1)[:, 0]
    return chances, own


def _between(reach: FloatArray) -> FloatArray:
    # Interpolation of two chances that are all but equal may turn them round.
    return np.clip(np.diff(reach, axis=1, prepend=0.0, append=1.0), 0.0, 1.0)


def _averages(chance: FloatArray, codes: IntArray, weight: IntArray, n_tiers: int) -> FloatArray:
    """Average of each tier, NaN where it is empty, and of all."""
    customers = np.bincount(codes, weight, n_tiers)
    total = np.bincount(codes, weight * chance, n_tiers)
    found = np.divide(total, customers, out=np.full(n_tiers, np.nan), where=customers > 0)
    return np.append(found, total.sum() / customers.sum())


def _outcomes(snapshot: Snapshot, names: Sequence[str]) -> pd.DataFrame:
    n = len(names)
    rows = [np.bincount(snapshot.codes, snapshot.weight * snapshot.chances[:, j], n) for j in range(n)]
    return pd.DataFrame(np.array(rows).T, index=pd.Index(names, name="tier"), columns=list(names))


def _warn_few(found: CustomerTiers) -> None:
    rows = found.table.iloc[:-1]
    few = rows[(rows["customers"] < FEW) & (rows["customers"] > 0)]
    if len(few):
        first = few.iloc[0]
        warn(
            f"{len(few)} of {len(rows)} tiers have fewer than {FEW} customers (first: {first['tier']!r}, "
            f"{first['customers']}): of so few, the intervals say more than the tiers. Ask for fewer tiers.",
            DataQualityWarning,
        )
