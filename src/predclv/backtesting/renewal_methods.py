"""Methods that forecast renewals: contract models, and rates of renewal seen so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.data.checks import quote_list, suggest
from predclv.data.periods import count_renewals, renewal_date
from predclv.data.subscriptions import Subscriptions
from predclv.errors import DataError
from predclv.forecast import contracts as forecast
from predclv.forecast.contracts import Contracts
from predclv.kernels.contracts.forecast import mean_survival_table
from predclv.models.bdw import BDW
from predclv.models.contracts.model import ContractModel
from predclv.models.sbg import SBG

__all__ = ["RENEWAL_METHODS", "RenewalMethod", "Running", "Stay", "settle_methods"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Fewer than so many came to a renewal: its share is not taken for a rate.
_ENOUGH = 30
_DRAWS = 1024


@dataclass(frozen=True, eq=False)
class Running:
    """Contracts that ran at a cut-off: (n,) arrays.

    Attributes
    ----------
    customer_id : array
    tenure : int array
        Renewals made until the cut-off.
    due, made : int arrays
        Renewals that came up from then to the end of the horizon, had the contract lived to see them; and those made.
    """

    customer_id: NDArray[Any]
    tenure: IntArray
    due: IntArray
    made: IntArray

    @property
    def most_due(self) -> int:
        """Most renewals that came up for one, at least 1."""
        return max(int(self.due.max()), 1)


class Stay(Protocol):
    """A fitted method."""

    def __call__(self, running: Running) -> FloatArray:
        """Probability of at least 1, 2, ... further renewals were as many due, (n, most_due); `made` is not read."""
        ...

    def total_interval(self, running: Running, level: float) -> tuple[float, float]:
        """Interval of the renewals of all; NaN where the method has none."""
        ...


class RenewalMethod(Protocol):
    """What learns from subscriptions as they were at a cut-off."""

    def fit(self, subs: Subscriptions) -> Stay:
        """Learn."""
        ...


@dataclass(frozen=True)
class _OfModel:
    """A contract model as a method."""

    model: ContractModel

    def fit(self, subs: Subscriptions) -> Stay:
        return _FittedModel(clone(self.model).fit(subs))


@dataclass(frozen=True)
class _FittedModel:
    model: ContractModel

    def __call__(self, running: Running) -> FloatArray:
        tenure, inverse = np.unique(running.tenure.astype(np.float64), return_inverse=True)
        table: FloatArray = mean_survival_table(tenure, running.most_due, self.model.thetas("draws").center)
        return table[inverse, 1:]

    def total_interval(self, running: Running, level: float) -> tuple[float, float]:
        n, one = len(running.due), np.ones(len(running.due))
        contracts = Contracts(
            running.tenure.astype(np.float64),
            running.due.astype(np.float64),
            one,
            one,
            one,
            np.zeros(n, dtype=np.int64),
        )
        theta = self.model.full_theta(self.model.posterior_.draws_array(_DRAWS))
        totals = forecast.simulate(contracts, 0.0, 1, theta, seed=int(self.model.random_state))
        ends = [(1 - level) / 2, (1 + level) / 2]
        low, high = np.quantile(totals.purchases[:, -1], ends, method="inverted_cdf")
        return float(low), float(high)


@dataclass(frozen=True)
class _Rates:
    """Learns a rate of renewal, or one for each tenure, by a function of subscriptions."""

    learn: Callable[[Subscriptions], FloatArray]

    def fit(self, subs: Subscriptions) -> Stay:
        rates = self.learn(subs)
        return _FittedRates(rates)


@dataclass(frozen=True)
class _FittedRates:
    """Rates of the 1st, 2nd, ... renewal; the last one goes on."""

    rates: FloatArray

    def __call__(self, running: Running) -> FloatArray:
        number = running.tenure[:, np.newaxis] + np.arange(running.most_due)
        return np.cumprod(self.rates[np.minimum(number, len(self.rates) - 1)], axis=1)

    def total_interval(self, running: Running, level: float) -> tuple[float, float]:
        return float("nan"), float("nan")


def _average_rate(subs: Subscriptions) -> FloatArray:
    seen = subs.observed_retention().iloc[1:]
    if seen.empty:
        raise DataError(f"Nobody has come to a renewal by {subs.observation_end}, so there is no rate.")
    return np.array([seen["renewed"].sum() / seen["at_risk"].sum()])


def _observed_rate(subs: Subscriptions) -> FloatArray:
    seen = subs.observed_retention().iloc[1:]
    enough = seen[seen["at_risk"] >= _ENOUGH]
    return _average_rate(subs) if enough.empty else enough["retention"].to_numpy(dtype=np.float64)


def _last_rate(subs: Subscriptions) -> FloatArray:
    """Share made of the renewals that came up in the last period before the cut-off."""
    assert subs.start is not None
    assert subs.observation_end is not None
    day = np.datetime64(f"{subs.observation_end:%Y-%m-%d}", "D")
    start = subs.start.astype("datetime64[D]")
    number = count_renewals(start, np.full(len(subs), day), subs.period)
    before = renewal_date(np.array([day]), np.array([-1]), subs.period)[0]
    recent = (number >= 1) & (renewal_date(start, number, subs.period) > before) & (subs.tenure >= number - 1)
    if not recent.any():
        return _average_rate(subs)
    return np.array([float((subs.tenure[recent] >= number[recent]).mean())])


#: Methods by name.
RENEWAL_METHODS: dict[str, Callable[[int], RenewalMethod]] = {
    "sbg": lambda seed: _OfModel(SBG(random_state=seed)),
    "bdw": lambda seed: _OfModel(BDW(random_state=seed)),
    "observed_rate": lambda seed: _Rates(_observed_rate),
    "last_rate": lambda seed: _Rates(_last_rate),
    "average_rate": lambda seed: _Rates(_average_rate),
}


def settle_methods(methods: Sequence[Any] | Mapping[str, Any], seed: int) -> dict[str, RenewalMethod]:
    """Methods by name, in their order; ValueError or TypeError where one is none, or two have one name."""
    if isinstance(methods, str | ContractModel):
        methods = [methods]
    named = methods.items() if isinstance(methods, Mapping) else ((_name(one), one) for one in methods)
    found: dict[str, RenewalMethod] = {}
    for name, one in named:
        if name in found:
            raise ValueError(f"Two methods are called {name!r}. Give a mapping of names to methods.")
        if isinstance(one, str):
            if one not in RENEWAL_METHODS:
                raise ValueError(
                    f"{one!r} forecasts no renewals.{suggest(one, RENEWAL_METHODS)} There are "
                    f"{quote_list(RENEWAL_METHODS)}."
                )
            found[name] = RENEWAL_METHODS[one](seed)
        elif isinstance(one, ContractModel):
            found[name] = _OfModel(one)
        else:
            raise TypeError(f"A method is a name or an unfitted SBG or BDW. Got {one!r}.")
    if not found:
        raise ValueError("Give at least one method.")
    return found


def _name(method: Any) -> str:
    return method.KEY if isinstance(method, ContractModel) else str(method)
