"""What is at stake with all customers together, added up draw by draw, and who stands at the top of the lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.rfm import RFMSummary
from predclv.decisions.report.inputs import DecisionInputs
from predclv.decisions.retention.lists import Some, forecast_of, stakes_by_draw, walk
from predclv.forecast.customers import times_margin
from predclv.kernels.gamma_gamma.compiled import expected_spend
from predclv.models.estimates import MEAN_DRAWS, choose_theta
from predclv.models.pair import Pair
from predclv.models.purchase_value import PurchaseValue, ValueTask

__all__ = ["GONE", "LISTED", "Survey", "list_top", "survey"]

FloatArray = NDArray[np.float64]

#: Who is there with a lower probability counts as probably gone, as in `list_to_win_back`.
GONE = 0.5
#: Customers in the tables of whom to keep and whom to win back.
LISTED = 10_000
# Customer-draws that are worth the time; never fewer draws than these.
_BUDGET, _FEWEST = 20_000_000, 64


@dataclass(frozen=True, eq=False)
class Survey:
    """Sums over all customers, and what they are made of.

    Attributes
    ----------
    expected : float
        Value within the horizon.
    stake, lost : (mean, low, high)
        Still to be lost by those who are there; and lost already with those who are probably gone.
    offer : (mean, low, high)
        What an offer to everyone for whom it pays returns, less its cost; NaN where none was asked about.
    stakes, losses, alive : (n_customers,) arrays
        Means: of the stake, of what is lost already, of the probability to be there still.
    """

    expected: float
    stake: tuple[float, float, float]
    lost: tuple[float, float, float]
    offer: tuple[float, float, float]
    stakes: FloatArray
    losses: FloatArray
    alive: FloatArray

    @property
    def gone(self) -> NDArray[np.bool_]:
        """Who is probably gone."""
        found: NDArray[np.bool_] = self.alive < GONE
        return found


def survey(given: DecisionInputs) -> Survey:
    """Add up what is at stake: in means as `list_at_risk` has them, with intervals from joint draws.

    256 draws are taken, fewer from 80,000 customers on, and never below 64.
    """
    n_draws = int(np.clip(_BUDGET // max(given.n_customers, 1), _FEWEST, MEAN_DRAWS))
    sums, means = _Sums(given), []
    for chunk in given.chunks():
        means.append(sums.add(chunk, n_draws))
    stakes, losses, alive = (np.concatenate(columns) for columns in zip(*means, strict=True))
    totals = [sums.interval(name) for name in ("stake", "lost", "offer")]
    return Survey(sums.expected, totals[0], totals[1], totals[2], stakes, losses, alive)


class _Sums:
    """Sums by draw, and at the estimate."""

    def __init__(self, given: DecisionInputs) -> None:
        self._given = given
        self._by_draw: dict[str, FloatArray] = {}
        self._means = {"stake": 0.0, "lost": 0.0, "offer": 0.0}
        self.expected = 0.0

    def interval(self, name: str) -> tuple[float, float, float]:
        """Mean and interval of a sum."""
        if name not in self._by_draw:
            return np.nan, np.nan, np.nan
        level = self._given.level
        ends = np.quantile(self._by_draw[name], [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
        return self._means[name], float(ends[0]), float(ends[1])

    def add(self, rfm: RFMSummary, n_draws: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Take the next customers; return their stakes, losses and probabilities to be there."""
        given, terms = self._given, self._given.terms
        pair = Pair(given.clv.transactions_, given.clv.spend_)
        task = PurchaseValue(pair).task(rfm, terms["horizon"], terms["discount_rate"], terms["margin"], terms["level"])
        customers = task.customers
        stakes, losses, alive = np.empty(len(rfm)), np.empty(len(rfm)), np.empty(len(rfm))
        for some in walk(pair, rfm):
            money, margin = customers.mean_spend[some.at], customers.margin[some.at]

            center = [choose_theta(model.posterior_, None) for model in some.pair]
            by_draw, spends = _values(some, task, money, margin, *some.pair.draws(n_draws))
            is_point = len(center[0]) == 1
            at, spend_at = _values(some, task, money, margin, *center) if is_point else (by_draw, spends)
            # Both models are independent given the data: the mean of the product is that of the means.
            there, expected, lost, stake = (column.mean(axis=0) for column in at)
            expected, lost, stake = (part * spend_at.mean(axis=0) for part in (expected, lost, stake))
            if n_draws == MEAN_DRAWS:
                # What the lists and the other sections say; of very many customers that takes too long.
                there, expected = forecast_of(some, money, task.horizon.length, task.delta)
                expected = times_margin(margin, expected)
            _, _, lost_by_draw, stake_by_draw = (part * spends for part in by_draw)
            self.expected += float(expected.sum())
            self._take("stake", stake_by_draw.sum(axis=1), float(stake.sum()))
            gone = there < GONE
            self._take("lost", lost_by_draw[:, gone].sum(axis=1), float(lost[gone].sum()))
            self._weigh(stake_by_draw, stake)
            stakes[some.at], losses[some.at], alive[some.at] = stake, lost, there
        return stakes, losses, alive

    def _take(self, name: str, by_draw: FloatArray, mean: float) -> None:
        self._by_draw[name] = self._by_draw.get(name, 0.0) + by_draw
        self._means[name] += mean

    def _weigh(self, by_draw: FloatArray, stake: FloatArray) -> None:
        if self._given.asked.offer is None:
            return
        cost, lift = self._given.asked.offer
        pays = lift * stake > cost
        n = int(pays.sum())
        self._take("offer", lift * by_draw[:, pays].sum(axis=1) - n * cost, lift * float(stake[pays].sum()) - n * cost)


def _values(
    some: Some, task: ValueTask, money: FloatArray, margin: FloatArray, theta: FloatArray, theta_spend: FloatArray
) -> tuple[list[FloatArray], FloatArray]:
    """Of each customer by draw: p_alive, and discounted purchases expected, lost and at stake; and what one brings."""
    there, _, *purchases = stakes_by_draw(some, task.horizon.length, task.delta, theta)
    spend = expected_spend(some.x[some.of], money, np.ascontiguousarray(theta_spend))
    return [part[:, some.of] for part in (there, *purchases)], times_margin(margin, spend)


def list_top(
    given: DecisionInputs, ranking: FloatArray, list_customers: Callable[[RFMSummary], pd.DataFrame]
) -> pd.DataFrame:
    """List the customers of the highest `ranking`, at most `LISTED`; those at -inf never.

    Parameters
    ----------
    ranking : (n_customers,) array
    list_customers : callable
        Makes the rows of some customers, with a column stake.
    """
    wanted = np.sort(np.argsort(-ranking, kind="stable")[:LISTED])
    wanted = wanted[ranking[wanted] > -np.inf]
    tables, start = [], 0
    for chunk in given.chunks():
        here = wanted[(wanted >= start) & (wanted < start + len(chunk))] - start
        start += len(chunk)
        if len(here):
            tables.append(list_customers(chunk if len(here) == len(chunk) else chunk[here]))
    if not tables:
        return pd.DataFrame()
    table = pd.concat(tables, ignore_index=True)
    return table.sort_values("stake", ascending=False, kind="stable", ignore_index=True)
