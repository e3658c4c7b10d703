"""What is asked of customers' purchases, all of them or group by group; an `Outlook`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import histories
from predclv.data.durations import Horizon
from predclv.data.rfm import RFMSummary
from predclv.forecast import portfolio
from predclv.forecast.customers import Customers, Thetas, runs, value_tables
from predclv.forecast.pattern_values import row_value_exceedances
from predclv.forecast.portfolio import Sums, Totals
from predclv.forecast.value_tables import ValueTables
from predclv.kernels.mean_quantiles import expected_value_reaches
from predclv.models.covariates.use import row_thetas
from predclv.models.customer_table import Request, value_parts
from predclv.models.estimates import CUSTOMER_DRAWS, MEAN_DRAWS, Estimate, center_draws
from predclv.models.outlook import Odds, draws_at_a_time
from predclv.models.pair import Pair, PairPart
from predclv.models.valuation import THREE_YEARS_IN_DAYS, seed_of_part

__all__ = ["PurchaseOutlook", "ValueTask"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ValueTask:
    """A checked request: how far, at what continuous rate, and for whom."""

    horizon: Horizon
    delta: float
    customers: Customers


@dataclass(frozen=True)
class PurchaseOutlook:
    """Forecast of purchases and their value; see `Outlook`.

    Attributes
    ----------
    pair : Pair
    rfm : RFMSummary
        One row a customer.
    task : ValueTask
        Of the same customers.
    estimate : "point", "draws" or None
    """

    pair: Pair
    rfm: RFMSummary
    task: ValueTask
    estimate: Estimate | None

    @property
    def length(self) -> float:
        """See `Outlook`."""
        return self.task.horizon.length

    @property
    def customer_id(self) -> NDArray[Any]:
        """See `Outlook`."""
        return self.rfm.customer_id

    @property
    def weight(self) -> IntArray:
        """See `Outlook`."""
        return np.ones(len(self.rfm), dtype=np.int64)

    @property
    def past(self) -> FloatArray:
        """See `Outlook`."""
        found = self.task.customers
        return found.x * found.mean_spend * found.margin

    def columns(self, names: Collection[str]) -> dict[str, NDArray[Any]]:
        """See `Outlook`."""
        request = Request(self.length, self.task.delta, 0.9, self.estimate, names)
        table: dict[str, NDArray[Any]] = {}
        for rows, columns in value_parts(self.pair, self.rfm, self.task.customers, request):
            for name, column in columns.items():
                table.setdefault(name, np.empty(len(self.rfm), dtype=column.dtype))[rows] = column
        return {name: table[name] for name in names}

    def to_native(self, columns: dict[str, NDArray[Any]]) -> Any:
        """See `Outlook`."""
        return self.rfm.to_native(pd.DataFrame(columns))

    def odds(self, limits: FloatArray, rows: IntArray | None = None) -> Odds:
        """See `Outlook`."""
        rows = np.arange(len(self.rfm)) if rows is None else rows
        found = Odds(*np.empty((2, len(rows), len(limits))))
        place = np.full(len(self.rfm), -1)
        place[rows] = np.arange(len(rows))
        alone = self.pair.goes_one_by_one
        for part in self.pair.parts(self.rfm):
            counts, spend = part.pair.thetas(self.estimate)
            bindings = part.pair.transactions.bindings
            tables = value_tables(bindings, counts, spend, self.length, self.task.delta)
            # Customers of one history together: their histories are worked out once.
            order = part.rows[np.argsort(histories(part.rfm)[1], kind="stable")]
            order = order[place[order] >= 0]
            for start in range(0, len(order), _CHUNK):
                some = order[start : start + _CHUNK]
                few = self.task.customers.take(some)
                found.mean[place[some]] = self._mean_reaches(part, few, counts, spend, limits)
                if not alone:
                    found.outcome[place[some]] = _reaches(few, limits, tables)
        if alone:
            found.outcome[:] = self._reaches_one_by_one(limits, rows)
        return found

    def _mean_reaches(
        self, part: PairPart, customers: Customers, counts: Thetas, spend: Thetas, limits: FloatArray
    ) -> FloatArray:
        history, inverse = customers.histories()
        bindings = part.pair.transactions.bindings
        by_draw = bindings.discounted_expected_purchases(*history, self.length, self.task.delta, counts.for_means())
        distinct, back = _distinct(customers)
        few = customers.take(distinct)
        theta = np.ascontiguousarray(spend.for_means())
        needed = _before_margin(few.margin, limits)
        return np.asarray(
            expected_value_reaches(by_draw, inverse[distinct], few.x, few.mean_spend, theta, needed)[back]
        )

    def _reaches_one_by_one(self, limits: FloatArray, rows: IntArray) -> FloatArray:
        kernels, theta = row_thetas(self.pair.transactions, self.rfm.pick(rows), CUSTOMER_DRAWS)
        spend = self.pair.draws(CUSTOMER_DRAWS)[1]
        few = self.task.customers.take(rows)
        needed = _before_margin(few.margin, limits)
        money = few.x, few.t_x, few.T, few.mean_spend
        asked = self.length, self.task.delta, _readable(needed)
        return _settle(needed, row_value_exceedances(kernels, theta, spend, *money, *asked))

    def outcomes(self, n_draws: int) -> Iterator[FloatArray]:
        """See `Outlook`."""
        n = len(self.rfm)
        seed = int(self.pair.transactions.random_state)
        parts = [(part.rows, self._of(part), part.pair.draws(n_draws)) for part in self.pair.parts(self.rfm)]
        block = draws_at_a_time(n)
        for number, start in enumerate(range(0, n_draws, block)):
            some = slice(start, start + block)
            out = np.empty((len(range(n_draws)[some]), n))
            for place, (rows, customers, (theta, theta_spend)) in enumerate(parts):
                each = replace(customers, segment=np.arange(len(rows)))
                out[:, rows] = portfolio.simulate_totals(
                    self.pair.transactions.bindings,
                    theta[some],
                    theta_spend[some],
                    each,
                    len(rows),
                    self.length,
                    self.task.delta,
                    seed=seed_of_part(seed, number * len(parts) + place),
                ).value[:, :-1]
            yield from out

    def totals(self, codes: IntArray, n_segments: int, n_draws: int | None = None) -> tuple[list[Sums], list[Totals]]:
        """See `Outlook`."""
        bindings = self.pair.transactions.bindings
        parts = self.pair.parts(self.rfm)
        draws = portfolio.number_of_draws(len(self.rfm), n_segments, len(parts)) if n_draws is None else n_draws
        mean_draws = draws if np.isfinite(self.length) else MEAN_DRAWS
        arguments = n_segments, self.length, self.task.delta
        long_run = THREE_YEARS_IN_DAYS / self.rfm.days_per_unit
        seed = int(self.pair.transactions.random_state)
        sums, totals = [], []
        for number, part in enumerate(parts):
            customers = replace(self._of(part), segment=codes if len(parts) == 1 else codes[part.rows])
            counts, spend = part.pair.thetas(self.estimate, mean_draws, center_draws(self.length))
            ordered = customers.take(np.argsort(histories(part.rfm)[1], kind="stable"))
            sums.append(portfolio.expected_sums(bindings, counts, spend, ordered, *arguments, long_run=long_run))
            # Of millions it is not small, and the simulation makes its own.
            del ordered
            # Parts' draws belong together row by row, and chance in one part is not that in another.
            own = seed_of_part(seed, number)
            theta, theta_spend = part.pair.draws(draws)
            totals.append(portfolio.simulate_totals(bindings, theta, theta_spend, customers, *arguments, seed=own))
        return sums, totals

    def _of(self, part: PairPart) -> Customers:
        """Customers of a part, not copied where they are all."""
        whole = len(part.rows) == len(self.rfm)
        return self.task.customers if whole else self.task.customers.take(part.rows)


# Customers worked at a time: with 256 draws 32 MiB.
_CHUNK = 16_384


def _distinct(customers: Customers) -> tuple[IntArray, IntArray]:
    return runs(customers.x, customers.t_x, customers.T, customers.mean_spend, customers.margin)


def _reaches(customers: Customers, limits: FloatArray, tables: ValueTables) -> FloatArray:
    """P(value >= limits) of customers who share parameters, (n_customers, n_limits)."""
    distinct, back = _distinct(customers)
    few = customers.take(distinct)
    needed = _before_margin(few.margin, limits)
    found = tables.exceedances(few.x, few.t_x, few.T, few.mean_spend, _readable(needed))
    return _settle(needed, found)[back]


def _before_margin(margin: FloatArray, limits: FloatArray) -> FloatArray:
    """What a customer has to spend so that limits are reached, (n_customers, n_limits); infinite without a margin."""
    kept = margin[:, np.newaxis] > 0
    return np.where(limits <= 0, 0.0, np.where(kept, limits / np.where(kept, margin[:, np.newaxis], 1.0), np.inf))


def _readable(needed: FloatArray) -> FloatArray:
    """Values that tables can be asked for; `_settle` answers for the rest."""
    return np.where((needed > 0) & np.isfinite(needed), needed, 1.0)


def _settle(needed: FloatArray, found: FloatArray) -> FloatArray:
    return np.where(needed <= 0, 1.0, np.where(np.isfinite(needed), found, 0.0))
