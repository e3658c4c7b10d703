"""For whom an alarm rings, how sure it is, and how many ring without cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.snapshots import Matched, keyed_uniforms
from predclv.decisions.monitor.unusual import (
    chance_of_ringing,
    judge_baskets,
    judge_falls,
    judge_silence,
    value_at_point,
)
from predclv.inference.posterior import check_number
from predclv.kernels.scoring_rules import randomized_pit

__all__ = ["KINDS", "Rules", "sound_alarms"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

KINDS = ("silence", "basket", "value")
_DAYS_A_YEAR = 365.25


@dataclass(frozen=True)
class Rules:
    """When alarms ring; the options of `compare_snapshots`."""

    alarm_level: float
    top: float
    min_value: float | None
    fall: float
    seed: int

    def __post_init__(self) -> None:
        for name, ends in (("alarm_level", (0, 0.5)), ("top", (0, 1)), ("fall", (0, 1))):
            value = check_number(name, getattr(self, name))
            if not ends[0] < value <= ends[1]:
                hint = f"; did you mean {value / 100:g}?" if 1 < value <= 100 else "."
                raise ValueError(f"{name!r} must be above {ends[0]} and at most {ends[1]:g}. Got {value:g}{hint}")
        if self.min_value is not None and check_number("min_value", self.min_value) < 0:
            raise ValueError(f"'min_value' must be at least 0. Got {self.min_value:g}.")
        if isinstance(self.seed, bool) or self.seed < 0:
            raise ValueError(f"'random_state' must be a whole number from 0 on. Got {self.seed!r}.")

    def valuable(self, value: FloatArray) -> BoolArray:
        """Who is worth an alarm; of equals at the edge of the top share all."""
        if self.min_value is not None:
            return np.asarray(value >= self.min_value)
        rank = max(int(np.ceil(self.top * len(value))), 1)
        return np.asarray(value >= np.partition(value, len(value) - rank)[len(value) - rank])


def sound_alarms(
    forecaster: Forecaster, matched: Matched, table: pd.DataFrame, margin: FloatArray, rules: Rules
) -> tuple[dict[str, FloatArray], pd.DataFrame, pd.DataFrame]:
    """Judge every customer, and ring for the valuable.

    Parameters
    ----------
    table : DataFrame
        value_old, value_expected and value_by_old_model (at the new date) of each customer.

    Returns
    -------
    columns : dict
        valuable, usual_purchases, p_silence and p_basket of every customer.
    counts, alarms : DataFrame
        See `Monitoring`.
    """
    valuable = rules.valuable(table["value_old"].to_numpy())
    silence, baskets = judge_silence(forecaster, matched), judge_baskets(forecaster, matched)
    p = randomized_pit(silence.below, silence.at_most, keyed_uniforms(matched.old, rules.seed, "silence"))
    level = rules.alarm_level
    falls = _falls(forecaster, matched, table, margin, valuable, rules)
    found = {
        "silence": (np.flatnonzero(valuable & (p <= level)), p, silence.at_most),
        "basket": (np.flatnonzero(valuable & (baskets <= level)), baskets, baskets),
        "value": (np.flatnonzero(falls <= level), falls, falls),
    }
    tested = np.flatnonzero(valuable)
    chance = chance_of_ringing(forecaster, matched, level, tested)
    n_tested = {"silence": len(tested), "basket": int(np.isfinite(baskets[tested]).sum()), "value": len(tested)}
    years = matched.days / _DAYS_A_YEAR
    counts = pd.DataFrame(
        [
            {
                "kind": kind,
                "tested": n_tested[kind],
                "rang": len(found[kind][0]),
                # An alarm of value needs a fall besides: the level is a bound.
                "expected_if_unchanged": level * n_tested[kind],
                "expected_by_forecast": float(chance.sum()) if kind == "silence" else np.nan,
                "deviation_by_forecast": float(np.sqrt((chance * (1 - chance)).sum())) if kind == "silence" else np.nan,
                "certain": int((found[kind][2][found[kind][0]] <= level).sum()),
                "false_alarms_per_customer_year": level / years,
            }
            for kind in KINDS
        ]
    )
    columns: dict[str, Any] = {
        "valuable": valuable,
        "usual_purchases": silence.expected,
        "p_silence": p,
        "p_basket": baskets,
    }
    return columns, counts, _table(matched, table, found, silence.expected, level)


def _falls(
    forecaster: Forecaster, matched: Matched, table: pd.DataFrame, margin: FloatArray, valuable: BoolArray, rules: Rules
) -> FloatArray:
    """Chance of so low a value, of those whose value fell short by enough; NaN for the others."""
    expected, now = table["value_expected"].to_numpy(), table["value_by_old_model"].to_numpy()
    p = np.full(len(matched), np.nan)
    fell = np.flatnonzero(valuable & np.isfinite(expected) & (expected > 0) & (now <= (1 - rules.fall) * expected))
    if len(fell):
        at_point = value_at_point(forecaster, matched, fell, margin)
        p[fell] = judge_falls(forecaster, matched, fell, at_point, margin, rules.seed)
    return p


def _table(
    matched: Matched,
    table: pd.DataFrame,
    found: dict[str, tuple[IntArray, FloatArray, FloatArray]],
    usual: FloatArray,
    level: float,
) -> pd.DataFrame:
    expected, now = table["value_expected"].to_numpy(), table["value_by_old_model"].to_numpy()
    parts = []
    for kind, (rows, p, plain) in found.items():
        gone = expected[rows] - now[rows]
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": matched.old.customer_id[rows],
                    "kind": kind,
                    "p": p[rows],
                    "p_plain": plain[rows],
                    "certain": plain[rows] <= level,
                    "purchases": matched.purchases[rows],
                    "usual_purchases": usual[rows],
                    "value_expected": expected[rows],
                    "value_now": now[rows],
                    "value_at_stake": np.where(gone > 0, gone, expected[rows]),
                }
            )
        )
    alarms = pd.concat(parts, ignore_index=True)
    # By id last, so that equals come in one order whatever that of the rows.
    alarms["order"] = alarms["customer_id"].astype(str)
    order = ["certain", "value_at_stake", "order", "kind"]
    alarms = alarms.sort_values(order, ascending=[False, False, True, True], kind="stable", ignore_index=True)
    return alarms.drop(columns="order")
