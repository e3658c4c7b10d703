"""Our own models as methods of a backtest: exact distributions for each customer, joint draws for the totals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from predclv.backtesting.distributions import LEVELS, Counts, Values
from predclv.backtesting.methods.counted import as_times
from predclv.backtesting.predictions import Forecast
from predclv.data.columns import histories, mean_spend
from predclv.data.rfm import RFMSummary
from predclv.errors import DataError
from predclv.forecast import portfolio
from predclv.forecast.bindings import TransactionBindings
from predclv.forecast.customers import Customers, Thetas, runs
from predclv.forecast.lifetime_value import value_quantiles
from predclv.forecast.purchases import p_purchase, purchase_distribution
from predclv.forecast.spend import mean_expected_spend
from predclv.models import BGNBD, MODELS, GammaGamma
from predclv.models.pair import Pair
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["OurMethod", "forecast_purchases", "make_ours"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Customers times draws behind distributions of value: all 64 draws up to 25,000 customers, 16 from 100,000 on.
_VALUE_BUDGET = 1_600_000
_FEWEST_DRAWS = 16


def make_ours(key: str, inference: str, name: str) -> OurMethod:
    """Make the method of a transaction model in `MODELS` with Gamma-Gamma, by one way of inference."""
    settings: dict[str, Any] = {"method": inference, "progressbar": False}
    model = MODELS[key](**settings)
    assert isinstance(model, TransactionModel)
    return OurMethod(model, GammaGamma(**settings), name=name)


def forecast_purchases(model: TransactionModel, rfm: RFMSummary, horizon: float) -> Forecast:
    """Forecast each customer's purchases by a fitted model: expectation, distribution, chance of any."""
    parts = [
        _Part(some, rows, each.bindings, each.thetas(), None, [each.posterior_.draws_array()])
        for each, some, rows in model.parts(rfm)
    ]
    return _joined(parts, [_forecast_part(part, horizon) for part in parts], len(rfm))


class _Part(NamedTuple):
    """Customers with one set of parameters, their rows, and those parameters."""

    rfm: RFMSummary
    rows: IntArray
    bindings: TransactionBindings
    counts: Thetas
    spend: Thetas | None
    draws: Sequence[FloatArray]


class OurMethod:
    """A transaction model, with Gamma-Gamma where the log has amounts, by any method of inference.

    Parameters
    ----------
    model : TransactionModel or CLV
        Not fitted. A transaction model forecasts purchases alone, unless `spend` is given too.
    spend : GammaGamma, optional
        Used where the log has amounts.
    name : str, optional
        How results call it; by default the key of the transaction model.
    """

    def __init__(
        self, model: TransactionModel | CLV, spend: GammaGamma | None = None, *, name: str | None = None
    ) -> None:
        self.model, self.spend = model, spend
        self.needs_amounts = isinstance(model, CLV)
        transactions = model.transactions if isinstance(model, CLV) else model
        self.name = name or ("clv" if transactions is None else transactions.KEY)

    @property
    def needs_log_itt(self) -> bool:
        """Whether a fit takes the times between purchases."""
        return any(isinstance(model, TransactionModel) and model.needs_log_itt for model in self._models())

    @property
    def random_state(self) -> int:
        """Seed of the models' draws."""
        return int(self._models()[0].random_state)

    @random_state.setter
    def random_state(self, seed: int) -> None:
        for model in self._models():
            model.set_params(random_state=seed)

    def _models(self) -> list[TransactionModel | GammaGamma]:
        """The unfitted models that were given."""
        if isinstance(self.model, CLV):
            return [self.model.transactions or BGNBD(), self.model.spend or GammaGamma()]
        return [self.model] if self.spend is None else [self.model, self.spend]

    def fit(self, rfm: RFMSummary, log: Any) -> Self:
        """Fit the models to the summary; a model of times reads opportunities as times (`as_times`)."""
        rfm, _ = self._seen(rfm)
        if isinstance(self.model, CLV):
            self._fitted: TransactionModel | CLV = clone(self.model).fit(rfm)
        elif self.spend is not None and rfm.monetary_value is not None:
            self._fitted = CLV(self.model, self.spend).fit(rfm)
        else:
            self._fitted = clone(self.model).fit(rfm)
        return self

    def predict(self, rfm: RFMSummary, log: Any, horizon: float) -> Forecast:
        """Forecast purchases and, with amounts, spend and value; see `Method`."""
        counted, horizon = rfm.opportunities is not None, float(horizon)
        rfm, length = self._seen(rfm)
        parts = self._parts(rfm)
        fitted = self._fitted.transactions_ if isinstance(self._fitted, CLV) else self._fitted
        # Refuses what is no whole number of opportunities, where the model counts them.
        horizon = fitted.parse_horizon(horizon * length, rfm.time_unit, None).length
        by_part = [_forecast_part(part, horizon) for part in parts]
        times = _times(horizon / length, whole=counted or fitted.bindings.counts_opportunities)
        tracks = [_track(*each, times * length) for each in zip(parts, by_part, strict=True)]
        return replace(
            _joined(parts, by_part, len(rfm)),
            totals=self._simulate(rfm, parts, horizon),
            track=(times, np.sum(tracks, axis=0)),
        )

    def _seen(self, rfm: RFMSummary) -> tuple[RFMSummary, float]:
        """The summary as the transaction model takes it, and the length of an opportunity in it."""
        bindings = getattr(self._models()[0], "BINDINGS", None)
        return (rfm, 1.0) if bindings is not None and bindings.counts_opportunities else as_times(rfm)

    def _parts(self, rfm: RFMSummary) -> list[_Part]:
        n = portfolio.number_of_draws(len(rfm))
        if isinstance(self._fitted, CLV):
            rfm.require_compatible(time_unit=self._fitted.transactions_.fingerprint_.time_unit)
            pair = Pair(self._fitted.transactions_, self._fitted.spend_)
            found = []
            for part in pair.parts(rfm):
                counts, spend = part.pair.thetas(None)
                draws = part.pair.draws(n)
                found.append(_Part(part.rfm, part.rows, part.pair.transactions.bindings, counts, spend, draws))
            return found
        rfm.require_compatible(time_unit=self._fitted.fingerprint_.time_unit)
        return [
            _Part(some, rows, model.bindings, model.thetas(), None, [model.posterior_.draws_array(n)])
            for model, some, rows in self._fitted.parts(rfm)
        ]

    def _simulate(self, rfm: RFMSummary, parts: Sequence[_Part], horizon: float) -> dict[str, FloatArray]:
        totals = []
        fitted = self._fitted.transactions_ if isinstance(self._fitted, CLV) else self._fitted
        for number, part in enumerate(parts):
            # Where there is no spend model, spend is a formality.
            spend = part.draws[1] if part.spend is not None else np.ones((len(part.draws[0]), 3)) * (1.0, 3.0, 1.0)
            totals.append(
                portfolio.simulate_totals(
                    part.bindings,
                    part.draws[0],
                    np.ascontiguousarray(spend),
                    _customers(part),
                    1,
                    horizon,
                    0.0,
                    seed=_seed_of_part(int(fitted.random_state), number),
                )
            )
        both = portfolio.add(totals)
        if parts[0].spend is None:
            return {"purchases": both.purchases[:, -1]}
        return {"purchases": both.purchases[:, -1], "value": both.value[:, -1]}


def _joined(parts: Sequence[_Part], by_part: Sequence[Forecast], n: int) -> Forecast:
    """The forecasts of parts as one of all n customers."""
    where = [part.rows for part in parts]

    def joined(name: str) -> FloatArray:
        column = np.empty(n)
        for forecast, rows in zip(by_part, where, strict=True):
            column[rows] = getattr(forecast, name)
        return column

    with_spend = parts[0].spend is not None
    values = [forecast.value for forecast in by_part if forecast.value is not None]
    return Forecast(
        joined("expected_purchases"),
        Counts.joined([forecast.purchases for forecast in by_part if forecast.purchases is not None], where),
        joined("p_purchase"),
        joined("expected_spend") if with_spend else None,
        joined("expected_value") if with_spend else None,
        Values.joined(values, where) if len(values) == len(parts) else None,
    )


def _times(horizon: float, *, whole: bool) -> FloatArray:
    """Times within a horizon for its track; whole ones, where nothing happens between."""
    if not whole:
        return np.linspace(0.0, horizon, 27)[1:]
    return np.unique(np.linspace(0.0, round(horizon), min(round(horizon), 26) + 1).round())[1:]


def _seed_of_part(seed: int, number: int) -> int:
    # As `CLV.portfolio` has it, so that both say the same.
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def _customers(part: _Part) -> Customers:
    rfm = part.rfm
    n = len(rfm)
    spend = np.zeros(n) if part.spend is None else mean_spend(rfm)
    return Customers(
        rfm.frequency.astype(np.float64), rfm.recency, rfm.T, spend, np.ones(n), np.zeros(n, dtype=np.int64)
    )


def _forecast_part(part: _Part, horizon: float) -> Forecast:
    rows, inverse = histories(part.rfm)
    history = rows.x, rows.t_x, rows.T
    probability, length = purchase_distribution(part.bindings, *history, horizon, part.counts.draws)
    purchases = Counts.from_probabilities(probability, length, inverse)
    expected = part.bindings.mean_expected_purchases(*history, horizon, part.counts.center)[inverse]
    # At the point where the mean is, as models say it; what the distribution adds is the parameters' uncertainty.
    chance = p_purchase(part.bindings, *history, horizon, part.counts.center)[inverse]
    if part.spend is None:
        return Forecast(expected, purchases, chance)
    if part.rfm.monetary_value is None:
        raise DataError("The model has a spend model, and the summary has no amounts.")
    customers = _customers(part)
    spend = mean_expected_spend(customers.x, customers.mean_spend, part.spend.center)
    value = _value(part, customers, purchases, horizon)
    return Forecast(expected, purchases, chance, spend, expected * spend, value)


def _value(part: _Part, customers: Customers, purchases: Counts, horizon: float) -> Values:
    assert part.spend is not None
    order = np.lexsort((customers.mean_spend, customers.T, customers.t_x, customers.x))
    ordered = customers.take(order)
    distinct, back = runs(ordered.x, ordered.t_x, ordered.T, ordered.mean_spend)
    few = ordered.take(distinct)
    # The more customers, the less the parameters are in doubt, and the more every draw costs.
    n_draws = int(np.clip(_VALUE_BUDGET // max(len(order), 1), _FEWEST_DRAWS, len(part.counts.draws)))
    quantiles = value_quantiles(
        part.bindings,
        part.counts.draws[:n_draws],
        part.spend.draws[:n_draws],
        few.x,
        few.t_x,
        few.T,
        few.mean_spend,
        horizon,
        0.0,
        LEVELS,
    )
    row = np.empty(len(order), dtype=np.int64)
    row[order] = back
    # Who buys spends something: nothing is spent where nothing is bought.
    return Values.from_quantiles(1.0 - purchases.p_positive()[order[distinct]], quantiles, row)


def _track(part: _Part, forecast: Forecast, times: FloatArray) -> FloatArray:
    rows, _ = histories(part.rfm)
    # A few draws, from all over the chains, give the shape; all of them gave the end.
    center = part.counts.center[:: max(len(part.counts.center) // 64, 1)]
    means = [part.bindings.mean_expected_purchases(rows.x, rows.t_x, rows.T, float(time), center) for time in times]
    track = np.asarray([np.dot(rows.weight, mean) for mean in means])
    return np.asarray(track * (forecast.expected_purchases.sum() / track[-1]))
