"""What a change of retention is worth, through the parameters that say how customers leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from predclv.data.columns import histories
from predclv.data.rfm import RFMSummary
from predclv.decisions.retention.inputs import check_share, require_purchases
from predclv.errors import DataError
from predclv.forecast.customers import Customers, times_margin
from predclv.forecast.purchases import mean_discounted_purchases
from predclv.forecast.spend import mean_expected_spend
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.models.estimates import MEAN_DRAWS, center_draws, choose_theta
from predclv.models.pair import Pair
from predclv.models.purchase_value import PurchaseValue, ValueTask
from predclv.value import CLV

__all__ = ["RetentionEffect", "retention_effect"]

FloatArray = NDArray[np.float64]
Thetas = tuple[FloatArray, FloatArray]
Changes = float | Sequence[float] | None

_ROWS = 8_192  # customers at a time: with 256 draws 16 MiB an array
_MOST_CELLS = 2e7  # histories times draws


@dataclass(frozen=True, eq=False, repr=False)
class RetentionEffect:
    """What it is worth that fewer customers leave.

    Attributes
    ----------
    table : DataFrame
        A row for each change, of existing customers, and then of a new one where the models know one population:
        customers; points, by which retention of existing customers rises; saved, the share of departures that has to
        be prevented for it; retention with retention_low and retention_high; retention_after; value, value_after,
        gain with gain_low and gain_high, and gain_share of the value with gain_share_low and gain_share_high.
    within : str
        The time over which retention is told.
    horizon : str
        The time over which value is.
    level : float
        Probability of the intervals: parameter uncertainty alone, for what is expected.

    Notes
    -----
    Retention is the share of those who are customers at the as-of date who still are after `within`. The change begins
    at the as-of date and lasts: each departure that would come is prevented with probability `saved`, whoever the
    customer is. Nobody who has left comes back, and nobody buys or spends more than before.
    """

    table: pd.DataFrame
    within: str
    horizon: str
    level: float

    def __repr__(self) -> str:
        return f"<RetentionEffect: {self}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(str(self))}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def __str__(self) -> str:
        row = self.table.iloc[0]
        over = "an infinite horizon" if self.horizon == "infinite" else self.horizon
        return (
            f"Retention over {self.within} from {row['retention']:.1%} to {row['retention_after']:.1%}, which takes "
            f"preventing {row['saved']:.1%} of departures, is worth {row['gain']:,.0f} ({row['gain_low']:,.0f} to "
            f"{row['gain_high']:,.0f}) over {over}: {row['gain_share']:.1%} of the customers' value."
        )


def retention_effect(
    clv: CLV,
    rfm: RFMSummary,
    horizon: Any = "1 year",
    *,
    points: Changes = None,
    saved: Changes = None,
    within: Any = "1 year",
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
) -> RetentionEffect:
    """Say what it is worth to keep more customers: "five points of retention are worth ...".

    Parameters
    ----------
    clv : CLV
        Fitted, of purchases.
    rfm, horizon, discount_rate, margin
        As in `CLV.predict`; where the margin is a column, a new customer has the mean of the existing ones.
    points : float or sequence of float, optional
        By how much retention of the existing customers is to rise: 0.05, from 60 to 65 %, for example. By default 0.05.
    saved : float or sequence of float, optional
        Instead: the share of departures that is prevented.
    within : str, number or Timedelta
        The time over which retention is told.
    level : float
        Probability of the intervals of means.

    Returns
    -------
    RetentionEffect

    Raises
    ------
    UnitError, DataError, ValueError
        As `CLV.predict`; the change means nothing, or retention cannot rise by as much.
    TypeError
        The CLV is of contracts.

    Notes
    -----
    Preventing a share s of departures scales each customer's p of BG/NBD and its kin, mu of Pareto/NBD and theta of
    BG/BB by 1 - s. What the past says of a customer stays as it is; see `predclv.kernels.leaving`.

    The share is found where expectations are taken, at the point or over the draws, and is then the same in all draws.
    The value is that of `CLV.predict`. There are 256 draws, fewer from 80,000 distinct histories on, never below 32; 32
    for regular buyers.
    """
    pair = require_purchases(
        clv,
        "What retention is worth",
        ": retention_formula, with a renewal rate before and after, tells what a change is worth.",
    )
    wanted, by_points = _changes(points, saved)
    task = PurchaseValue(pair).task(rfm, horizon, discount_rate, margin, level)
    span = pair.transactions.parse_horizon(within, rfm.time_unit, rfm.observation_end)
    if not (np.isfinite(span.length) and span.length > 0):
        raise ValueError(f"'within' must be finite and above 0. Got {within!r}.")
    if not task.customers.margin.any():
        raise DataError("No customer has a margin, so no change of retention is worth anything.")
    groups = _groups(pair, rfm, task)
    base = _Base(groups, task, span.length, _number_of_draws(groups))
    center = base.center
    before = float(base.retention(center, 1.0).mean())
    if before > 1.0 - 1e-9:
        raise DataError("By this model no customer leaves, so retention cannot rise. Choose a model with dropout.")
    if by_points:
        changes = [(change, _factor_for(base, center, before, change)) for change in wanted]
    else:
        changes = [(float(base.retention(center, 1.0 - share).mean()) - before, 1.0 - share) for share in wanted]
    rows = _rows("existing customers", base, changes, level)
    if not (pair.transactions.is_divided or pair.spend.is_divided):
        new = _Base([_new_customer(pair, groups)], task, span.length, MEAN_DRAWS)
        rows += _rows("a new customer", new, changes, level)
    return RetentionEffect(pd.DataFrame(rows), span.label, task.horizon.label, level)


class _Group(NamedTuple):
    """Customers whom one pair of models speaks of, those of one history together; and how many each stands for."""

    pair: Pair
    customers: Customers
    weight: FloatArray

    def chunks(self) -> Iterator[_Group]:
        """Parts of as many customers as are worked at a time."""
        for start in range(0, len(self.weight), _ROWS):
            some = slice(start, start + _ROWS)
            yield self._replace(customers=self.customers.take(some), weight=self.weight[some])


class _Base(NamedTuple):
    """Customers of whom fewer are to leave; thetas are those of each group, for purchases and for spend."""

    groups: list[_Group]
    task: ValueTask
    within: float
    n_draws: int

    @property
    def center(self) -> list[Thetas]:
        """Where expectations are taken, joint over both models."""
        found = []
        for (pair, *_), drawn in zip(self.groups, self.draws, strict=True):
            points = [choose_theta(model.posterior_, None) for model in pair]
            found.append(drawn if max(map(len, points)) > 1 else (points[0], points[1]))
        return found

    @property
    def draws(self) -> list[Thetas]:
        """Joint draws."""
        return [(drawn[0], drawn[1]) for drawn in (group.pair.draws(self.n_draws) for group in self.groups)]

    def retention(self, thetas: list[Thetas], factor: float) -> FloatArray:
        """Share of those who are there who will be, (n_draws,), if departures are scaled by a factor."""
        there, stay = np.zeros((2, len(thetas[0][0])))
        for group, (theta, _) in zip(self.groups, thetas, strict=True):
            bindings = group.pair.transactions.bindings
            for chunk in group.chunks():
                rows, of = chunk.customers.histories()
                weight = np.bincount(of, chunk.weight, minlength=len(rows[0]))
                there += bindings.alive_if_leaving_less(*rows, theta, 0.0, 1.0) @ weight
                stay += bindings.alive_if_leaving_less(*rows, theta, self.within, factor) @ weight
        return np.asarray(stay / there)

    def value(self, thetas: list[Thetas], factors: Sequence[float]) -> FloatArray:
        """Expected value of all, (n_factors, n_draws)."""
        totals = np.zeros((len(factors), len(thetas[0][0])))
        for group, (theta, theta_spend) in zip(self.groups, thetas, strict=True):
            bindings = group.pair.transactions.bindings
            for chunk in group.chunks():
                people = chunk.customers
                rows, of = people.histories()
                spend = expected_spend(people.x, people.mean_spend, np.ascontiguousarray(theta_spend))
                worth = times_margin(people.margin * chunk.weight, spend)
                for i, factor in enumerate(factors):
                    bought = bindings.discounted_if_leaving_less(
                        *rows, self.task.horizon.length, self.task.delta, theta, factor
                    )
                    totals[i] += np.einsum("dc,dc->d", bought[:, of], worth)
        return totals

    def forecast(self) -> float:
        """Expected value of all, as `CLV.predict` says: means over all draws."""
        total, length = 0.0, self.task.horizon.length
        for group in self.groups:
            theta, theta_spend = (choose_theta(model.posterior_, None)[: center_draws(length)] for model in group.pair)
            bindings = group.pair.transactions.bindings
            for chunk in group.chunks():
                people = chunk.customers
                rows, of = people.histories()
                bought = mean_discounted_purchases(bindings, *rows, length, self.task.delta, theta)[of]
                spend = mean_expected_spend(people.x, people.mean_spend, theta_spend)
                total += float(times_margin(people.margin * chunk.weight, bought * spend).sum())
        return total


def _groups(pair: Pair, rfm: RFMSummary, task: ValueTask) -> list[_Group]:
    weight = np.ones(len(rfm)) if rfm.weight is None else rfm.weight.astype(np.float64)
    groups = []
    for part in pair.parts(rfm):
        at = part.rows[np.argsort(histories(part.rfm)[1], kind="stable")]
        groups.append(_Group(part.pair, task.customers.take(at), weight[at]))
    return groups


def _new_customer(pair: Pair, groups: list[_Group]) -> _Group:
    zero = np.zeros(1)
    margin = np.array([np.average(groups[0].customers.margin, weights=groups[0].weight)])
    return _Group(pair, Customers(zero, zero, zero, zero, margin, zero.astype(np.int64)), np.ones(1))


def _number_of_draws(groups: list[_Group]) -> int:
    n_histories = sum(len(group.customers.histories()[0][0]) for group in groups)
    regular = max(group.pair.transactions.bindings.n_stages for group in groups) > 1
    return int(np.clip(_MOST_CELLS / max(n_histories, 1), 32, 32 if regular else MEAN_DRAWS))


def _changes(points: Changes, saved: Changes) -> tuple[list[float], bool]:
    """The changes that are asked for, and whether they are points of retention."""
    if points is not None and saved is not None:
        raise ValueError("Give 'points' or 'saved', not both: one follows from the other.")
    name, given = ("saved", saved) if saved is not None else ("points", 0.05 if points is None else points)
    found = [check_share(name, change) for change in np.atleast_1d(np.asarray(given, dtype=object)).tolist()]
    if not found or min(found) <= 0 or (name == "saved" and max(found) == 1):
        below = " and below 1" if name == "saved" else ""
        raise ValueError(f"{name!r} must be above 0{below}, or a sequence of such. Got {given!r}.")
    return found, name == "points"


def _factor_for(base: _Base, center: list[Thetas], before: float, change: float) -> float:
    """The factor on departures that raises retention by a change."""
    if before + change >= 1.0 - 1e-6:
        raise ValueError(
            f"'points' of {change:g} cannot be reached: retention is {before:.1%} already, so less than "
            f"{1 - before:.3g} is left."
        )
    return float(brentq(lambda c: base.retention(center, c).mean() - before - change, 1e-9, 1.0, xtol=1e-9))


def _rows(name: str, base: _Base, changes: list[tuple[float, float]], level: float) -> list[dict[str, Any]]:
    """Rows of the table; what is expected at the center, and intervals over the draws."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    center, draws = base.center, base.draws
    factors = [1.0, *(factor for _, factor in changes)]
    at_center, by_draw = base.value(center, factors), base.value(draws, factors)
    kept = [base.retention(center, factor).mean() for factor in factors]
    low, high = np.quantile(base.retention(draws, 1.0), ends, method="inverted_cdf")
    rows, value = [], base.forecast()
    for i, (points, factor) in enumerate(changes, start=1):
        gain, gains = at_center[i] - at_center[0], by_draw[i] - by_draw[0]
        gain_low, gain_high = np.quantile(gains, ends, method="inverted_cdf")
        share_low, share_high = np.quantile(gains / by_draw[0], ends, method="inverted_cdf")
        rows.append(
            {
                "customers": name,
                "points": points,
                "saved": 1.0 - factor,
                "retention": kept[0],
                "retention_low": low,
                "retention_high": high,
                "retention_after": kept[i],
                "value": value,
                "value_after": value + gain.mean(),
                "gain": gain.mean(),
                "gain_low": gain_low,
                "gain_high": gain_high,
                "gain_share": gain.mean() / value,
                "gain_share_low": share_low,
                "gain_share_high": share_high,
            }
        )
    return rows
