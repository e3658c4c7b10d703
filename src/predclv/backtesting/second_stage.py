"""Forecasts made from other forecasts: recalibrated ones, and the combination.

What is learnt at a cut-off comes from earlier cut-offs whose outcomes had ended by then; nothing later is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

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

FloatArray = NDArray[np.float64]
QUANTITIES = ("purchases", "value")
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
        cut-offs), share (how much of the shape is taken over), factor (what the total is multiplied by; NaN for
        "conformal"), and the columns of `Recalibration.table`.
    """
    made: dict[Key, Forecast] = {}
    tables = []
    for (position, horizon, name), forecast in forecasts.items():
        past = [i for i in past_vintages(vintages, position, horizon) if (i, horizon, name) in forecasts]
        maps: dict[str, Recalibration] = {}
        for quantity in QUANTITIES:
            known = [
                Past(distribution, actual, _frequency(vintages[i]))
                for i in past
                if (distribution := _distribution(forecasts[i, horizon, name], quantity)) is not None
                and (actual := _actual(vintages[i].outcomes[horizon], quantity)) is not None
            ]
            if known and _can_change(_distribution(forecast, quantity)):
                learnt = learn_recalibration(known, method)
                maps[quantity] = learnt
                label = {**_label(vintages, position, horizon), "method": name, "quantity": quantity}
                factor = float("nan") if learnt.factor is None else learnt.factor
                tables.append(learnt.table.assign(**label, learnt_from=len(known), share=learnt.share, factor=factor))
        if maps:
            frequency = _frequency(vintages[position])
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
        for horizon in range(len(vintage.outcomes)):
            past = past_vintages(vintages, position, horizon)
            weights = {
                quantity: learnt
                for quantity in QUANTITIES
                if (learnt := _learn(vintages, forecasts, methods, [*past, position], horizon, quantity))
            }
            if "purchases" not in weights:
                continue
            label = _label(vintages, position, horizon)
            for quantity, learnt in weights.items():
                part = label | {"quantity": quantity, "learnt_from": len(past)}
                rows += [part | {"method": name, "weight": weight} for name, weight in learnt.items()]
            names = [name for name in methods if (position, horizon, name) in forecasts]
            chosen = [forecasts[position, horizon, name] for name in names]
            made[position, horizon, COMBINATION] = combine(chosen, names, weights)
    columns = ["cutoff", "horizon", "quantity", "method", "weight", "learnt_from"]
    return Derived(made, pd.DataFrame(rows, columns=columns))


def _learn(
    vintages: Sequence[Vintage],
    forecasts: Mapping[Key, Forecast],
    methods: Sequence[str],
    positions: Sequence[int],
    horizon: int,
    quantity: str,
) -> dict[str, float]:
    """Weights of the methods that have distributions at all these cut-offs, learnt at all but the last of them.

    Empty where there is nothing to learn from, or nothing to choose.
    """
    by_name = {
        name: [_distribution(forecasts.get((i, horizon, name)), quantity) for i in positions] for name in methods
    }
    whole = {name: [d for d in found if d is not None] for name, found in by_name.items()}
    whole = {name: found for name, found in whole.items() if len(found) == len(positions)}
    if len(positions) < 2 or len(whole) < 2:
        return {}
    past = [
        ([found[number] for found in whole.values()], actual)
        for number, i in enumerate(positions[:-1])
        if (actual := _actual(vintages[i].outcomes[horizon], quantity)) is not None
    ]
    return dict(zip(whole, map(float, learn_weights(past)), strict=True))


def _distribution(forecast: Forecast | None, quantity: str) -> Distribution | None:
    if forecast is None:
        return None
    return forecast.purchases if quantity == "purchases" else forecast.value


def _can_change(distribution: Distribution | None) -> bool:
    """Whether a map of levels can do anything: not where all customers are certain to do nothing."""
    return distribution is not None and bool((distribution.p_positive() > 0).any())


def _actual(outcome: Outcome, quantity: str) -> FloatArray | None:
    return outcome.purchases if quantity == "purchases" else outcome.spend


def _frequency(vintage: Vintage) -> FloatArray:
    return vintage.known.everyone.rfm.frequency.astype(np.float64)


def _label(vintages: Sequence[Vintage], position: int, horizon: int) -> dict[str, str]:
    vintage = vintages[position]
    return {"cutoff": str(vintage.cutoff), "horizon": vintage.outcomes[horizon].horizon}
