"""Forecasts made from other forecasts: recalibrated ones, and the combination.

What is learnt at a cut-off comes from earlier cut-offs whose outcomes had ended by then; nothing later is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from predclv.backtesting.blocks import Outcome
from predclv.backtesting.combination import combine, learn_weights
from predclv.backtesting.distributions import Distribution
from predclv.backtesting.logs import first_instant_after
from predclv.backtesting.predictions import Forecast
from predclv.backtesting.recalibration import Past, Recalibration, learn_recalibration, recalibrate
from predclv.backtesting.vintages import Vintage

__all__ = [
    "COMBINATION",
    "RECALIBRATED",
    "Derived",
    "Key",
    "derive_combination",
    "derive_recalibrated",
    "past_vintages",
]

#: How the combination is called, and what is put behind the name of a method that is recalibrated.
COMBINATION, RECALIBRATED = "combination", "_recalibrated"

#: Position of the cut-off, position of the horizon, method.
Key = tuple[int, int, str]


@dataclass(frozen=True)
class Derived:
    """Forecasts made from others, and the table that says how."""

    forecasts: dict[Key, Forecast] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)


def past_vintages(vintages: Sequence[Vintage], position: int, horizon: int) -> list[int]:
    """Positions of the cut-offs whose outcomes within a horizon had ended at a later cut-off, or with it."""
    now = first_instant_after(vintages[position].cutoff)
    return [i for i in range(position) if first_instant_after(vintages[i].outcomes[horizon].end) <= now]


def derive_recalibrated(
    vintages: Sequence[Vintage], forecasts: Mapping[Key, Forecast], method: Literal["pit", "conformal"]
) -> Derived:
    """Recalibrate every forecast that has a distribution and a past to learn from.

    Returns
    -------
    Derived
        Under the method's name and "_recalibrated". Table: cutoff, horizon, method, quantity, learnt_from (how many
        cut-offs), and the columns of `Recalibration.table`.
    """
    made: dict[Key, Forecast] = {}
    tables = []
    for (position, horizon, name), forecast in forecasts.items():
        maps: dict[str, Recalibration] = {}
        past = [i for i in past_vintages(vintages, position, horizon) if (i, horizon, name) in forecasts]
        for quantity in ("purchases", "value"):
            known = [
                Past(distribution, actual, vintages[i].known.everyone.rfm.frequency)
                for i in past
                for distribution, actual in [
                    _pair(forecasts[i, horizon, name], vintages[i].outcomes[horizon], quantity)
                ]
                if distribution is not None and actual is not None
            ]
            if known and getattr(forecast, quantity) is not None:
                maps[quantity] = learn_recalibration(known, method)
                label = _label(vintages, position, horizon, name) | {"quantity": quantity, "learnt_from": len(known)}
                tables.append(maps[quantity].table.assign(**label))
        if maps:
            frequency = vintages[position].known.everyone.rfm.frequency
            key = position, horizon, name + RECALIBRATED
            made[key] = recalibrate(forecast, maps.get("purchases"), maps.get("value"), frequency)
    return Derived(made, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame())


def derive_combination(
    vintages: Sequence[Vintage], forecasts: Mapping[Key, Forecast], methods: Sequence[str]
) -> Derived:
    """Combine the methods that have distributions, by weights learnt on earlier cut-offs.

    Returns
    -------
    Derived
        Table: cutoff, horizon, quantity, method, weight, learnt_from.
    """
    made: dict[Key, Forecast] = {}
    rows = []
    for position, vintage in enumerate(vintages):
        for horizon, outcome in enumerate(vintage.outcomes):
            past = past_vintages(vintages, position, horizon)
            weights = {}
            names = _present(forecasts, methods, [*past, position], horizon)
            for quantity in ("purchases", "value"):
                known = [
                    name
                    for name in names
                    if all(getattr(forecasts[i, horizon, name], quantity) is not None for i in [*past, position])
                ]
                if not past or len(known) < 2 or (quantity == "value" and outcome.spend is None):
                    continue
                learnt = learn_weights(
                    [
                        (
                            [getattr(forecasts[i, horizon, name], quantity) for name in known],
                            _pair(forecasts[i, horizon, known[0]], vintages[i].outcomes[horizon], quantity)[1],
                        )
                        for i in past
                    ]
                )
                weights[quantity] = dict(zip(known, map(float, learnt), strict=True))
                label = _label(vintages, position, horizon) | {"quantity": quantity, "learnt_from": len(past)}
                rows += [label | {"method": name, "weight": weight} for name, weight in weights[quantity].items()]
            if "purchases" in weights:
                chosen = [forecasts[position, horizon, name] for name in names]
                made[position, horizon, COMBINATION] = combine(chosen, names, weights)
    columns = ["cutoff", "horizon", "quantity", "method", "weight", "learnt_from"]
    return Derived(made, pd.DataFrame(rows, columns=columns))


def _present(
    forecasts: Mapping[Key, Forecast], methods: Sequence[str], positions: Sequence[int], horizon: int
) -> list[str]:
    """Methods with a distribution of purchases at all of these cut-offs."""
    return [
        name
        for name in methods
        if all((i, horizon, name) in forecasts and forecasts[i, horizon, name].purchases is not None for i in positions)
    ]


def _pair(forecast: Forecast, outcome: Outcome, quantity: str) -> tuple[Distribution | None, object]:
    if quantity == "purchases":
        return forecast.purchases, outcome.purchases
    return forecast.value, outcome.spend


def _label(vintages: Sequence[Vintage], position: int, horizon: int, method: str | None = None) -> dict[str, object]:
    label: dict[str, object] = {
        "cutoff": str(vintages[position].cutoff),
        "horizon": vintages[position].outcomes[horizon].horizon,
    }
    return label if method is None else label | {"method": method}
