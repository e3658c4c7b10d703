"""What is asked of contracts' renewals, all of them or group by group; an `Outlook`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.subscriptions import Subscriptions
from predclv.forecast import contracts as forecast
from predclv.forecast import portfolio
from predclv.forecast.contracts import Contracts
from predclv.forecast.portfolio import Sums, Totals
from predclv.kernels.contracts import forecast as kernel
from predclv.models.contracts.inputs import whole_weights
from predclv.models.contracts.model import ContractModel
from predclv.models.estimates import CUSTOMER_DRAWS, MEAN_DRAWS, Estimate, center_draws
from predclv.models.outlook import Odds, draws_at_a_time
from predclv.models.valuation import THREE_YEARS_IN_DAYS, seed_of_part

__all__ = ["ContractOutlook", "ContractTask"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Contracts worked at a time: with 256 draws 32 MiB.
_CHUNK = 16_384


@dataclass(frozen=True)
class ContractTask:
    """A checked request: how many periods, at what continuous rate a period, and for which contracts."""

    length: float
    rate: float
    contracts: Contracts

    @property
    def is_endless(self) -> bool:
        """Whether the horizon is infinite."""
        return bool(np.isinf(self.length))


@dataclass(frozen=True)
class ContractOutlook:
    """Forecast of renewals and their value; see `Outlook`.

    Attributes
    ----------
    model : ContractModel
    subs : Subscriptions
    task : ContractTask
        Of the same contracts.
    estimate : "point", "draws" or None
    """

    model: ContractModel
    subs: Subscriptions
    task: ContractTask
    estimate: Estimate | None

    @property
    def length(self) -> float:
        """See `Outlook`."""
        return self.task.length

    @property
    def customer_id(self) -> NDArray[Any]:
        """See `Outlook`."""
        return self.subs.customer_id

    @property
    def weight(self) -> IntArray:
        """See `Outlook`."""
        return whole_weights(self.subs)

    @property
    def past(self) -> FloatArray:
        """See `Outlook`."""
        return self.task.contracts.worth * self.task.contracts.tenure

    def columns(self, names: Collection[str], level: float = 0.9) -> dict[str, NDArray[Any]]:
        """See `Outlook`; with a level, all columns of `CLV.predict`."""
        table: dict[str, NDArray[Any]] = {"p_alive": np.where(self.subs.ended, 0.0, 1.0)}
        for model, _, rows in self.model.contract_parts(self.subs):
            contracts = self.task.contracts.take(rows)
            thetas = model.thetas(self.estimate, n_center=center_draws(self.length))
            columns: dict[str, NDArray[Any]] = forecast.count_columns(
                thetas, contracts, level, endless=self.task.is_endless
            )
            columns |= forecast.value_columns(thetas, contracts, self.task.rate, level)
            for name, column in columns.items():
                table.setdefault(name, np.empty(len(self.subs), dtype=column.dtype))[rows] = column
        return {name: table[name] for name in names or table}

    def to_native(self, columns: dict[str, NDArray[Any]]) -> Any:
        """See `Outlook`."""
        return self.subs.to_native(pd.DataFrame(columns))

    def odds(self, limits: FloatArray, rows: IntArray | None = None) -> Odds:
        """See `Outlook`."""
        rows = np.arange(len(self.subs)) if rows is None else rows
        found = Odds(*np.empty((2, len(rows), len(limits))))
        place = np.full(len(self.subs), -1)
        place[rows] = np.arange(len(rows))
        for model, _, of_part in self.model.contract_parts(self.subs):
            thetas = model.thetas(self.estimate)
            draws = model.full_theta(model.posterior_.draws_array(CUSTOMER_DRAWS))
            wanted = of_part[place[of_part] >= 0]
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                contracts = self.task.contracts.take(some)
                tenure, n, inverse = contracts.distinct()
                by_draw = kernel.discounted_renewals(tenure, n, self.task.rate, thetas.for_means())[:, inverse]
                soon = contracts.worth * np.exp(-self.task.rate * contracts.next_renewal)
                for j, limit in enumerate(limits):
                    found.mean[place[some], j] = (soon * by_draw >= limit).mean(axis=0)
                    found.outcome[place[some], j] = _reaches(contracts, soon, draws, float(limit), self.task.rate)
        return found

    def outcomes(self, n_draws: int) -> Iterator[FloatArray]:
        """See `Outlook`."""
        parts, n, before = [], 0, np.r_[0, np.cumsum(self.weight)]
        for model, _, rows in self.model.contract_parts(self.subs):
            each = np.repeat(rows, self.weight[rows])
            # A row of a cohort stands for many, each with a future and a place of their own.
            place = np.concatenate([np.arange(before[row], before[row + 1]) for row in rows] or [rows])
            own = replace(self.task.contracts.take(each), segment=np.arange(len(each)))
            parts.append((place, own, model.full_theta(model.posterior_.draws_array(n_draws))))
            n += len(each)
        block = draws_at_a_time(n)
        for number, start in enumerate(range(0, n_draws, block)):
            some = slice(start, start + block)
            out = np.empty((len(range(n_draws)[some]), n))
            for i, (place, contracts, theta) in enumerate(parts):
                seed = seed_of_part(int(self.model.random_state), number * len(parts) + i)
                found = forecast.simulate(contracts, self.task.rate, len(place), theta[some], seed=seed)
                out[:, place] = found.value[:, :-1]
            yield from out

    def totals(self, codes: IntArray, n_segments: int, n_draws: int | None = None) -> tuple[list[Sums], list[Totals]]:
        """See `Outlook`."""
        customers = self.weight
        draws = portfolio.number_of_draws(int(customers.sum()), n_segments) if n_draws is None else n_draws
        mean_draws = draws if np.isfinite(self.length) else MEAN_DRAWS
        long_run = THREE_YEARS_IN_DAYS / self.subs.days_per_period
        sums, totals = [], []
        for number, (model, _, rows) in enumerate(self.model.contract_parts(self.subs)):
            # A row of a cohort stands for many, each with a future of their own.
            each = np.repeat(rows, customers[rows])
            contracts = replace(self.task.contracts.take(each), segment=codes[each])
            thetas = model.thetas(self.estimate, mean_draws, center_draws(self.length))
            early = np.minimum(contracts.n_renewals, forecast.renewals_due(contracts.next_renewal, long_run))
            rate, endless = self.task.rate, self.task.is_endless
            found = forecast.expected_sums(thetas, contracts, rate, n_segments, early, endless=endless)
            if self.length <= long_run:
                # Nothing lies beyond: there is no share to tell.
                found.columns["early_clv"] = np.full(n_segments, np.nan)
            sums.append(found)
            # Parts' draws belong together row by row, and chance in one part is not that in another.
            theta = model.full_theta(model.posterior_.draws_array(draws))
            seed = seed_of_part(int(self.model.random_state), number)
            totals.append(forecast.simulate(contracts, rate, n_segments, theta, seed=seed))
        return sums, totals


def _reaches(contracts: Contracts, soon: FloatArray, theta: FloatArray, limit: float, rate: float) -> FloatArray:
    """P(value >= limit): value rises with the number of renewals, so there is a least one that will do."""
    if limit <= 0:
        return np.ones(len(soon))
    needed = _payments_needed(soon, limit, rate)
    possible = needed <= contracts.n_renewals
    out = np.zeros(len(soon))
    pairs = np.column_stack((contracts.tenure[possible], needed[possible]))
    if len(pairs):
        distinct, back = np.unique(pairs, axis=0, return_inverse=True)
        tenure, steps = np.ascontiguousarray(distinct.T)
        out[possible] = kernel.mean_survival(tenure, steps, theta)[back.ravel()]
    return out


def _payments_needed(worth: FloatArray, limit: float, rate: float) -> FloatArray:
    """Fewest payments of `worth`, a period apart, whose value when the first is due reaches the limit; or infinity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = limit / worth
        needed = -np.log1p(ratio * np.expm1(-rate)) / rate if rate > 0 else ratio
    # Rounding must not ask for one more than enough.
    return np.where(np.isnan(needed), np.inf, np.ceil(needed - 1e-9))
