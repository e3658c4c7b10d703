"""For whom an alarm rings, how sure it is, and how many ring without cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.snapshots import Matched, Pairing
from predclv.decisions.monitor.unusual import (
    chance_of_ringing,
    judge_baskets,
    judge_falls,
    judge_silence,
    value_at_point,
)
from predclv.inference.posterior import check_number
from predclv.kernels.scoring_rules import randomized_pit

__all__ = ["KINDS", "Alarms", "Rules"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

KINDS = ("silence", "basket", "value")
_COLUMNS = ("row", "purchases", "usual_purchases", "value_expected", "value_now")
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


class Alarms:
    """Judges customers part by part, and rings for the valuable."""

    def __init__(self, forecaster: Forecaster, rules: Rules) -> None:
        self._forecaster, self._rules = forecaster, rules
        self._rang: dict[str, list[pd.DataFrame]] = {kind: [] for kind in KINDS}
        self._fell: list[dict[str, NDArray[Any]]] = []
        self._tested = {kind: 0 for kind in KINDS}
        self._by_forecast, self._variance, self._high = 0.0, 0.0, 0

    def judge(
        self, matched: Matched, start: int, valuable: BoolArray, expected: FloatArray, now: FloatArray
    ) -> dict[str, NDArray[Any]]:
        """Take the next customers.

        Parameters
        ----------
        start : int
            Place of the first of them among all.
        valuable : (n,) bool array
        expected, now : (n,) arrays
            Value at the new date, as the old model expected it, and as it sees it now.

        Returns
        -------
        dict
            Columns usual_purchases, p_silence and p_basket.
        """
        level = self._rules.alarm_level
        silence = judge_silence(self._forecaster, matched)
        baskets = judge_baskets(self._forecaster, matched)
        p = randomized_pit(silence.below, silence.at_most, matched.uniforms(self._rules.seed, "silence"))
        told = {
            "row": np.arange(start, start + len(matched)),
            "purchases": matched.purchases,
            "usual_purchases": silence.expected,
            "value_expected": expected,
            "value_now": now,
        }
        self._ring("silence", told, np.flatnonzero(valuable & (p <= level)), p, silence.at_most, matched)
        self._ring("basket", told, np.flatnonzero(valuable & (baskets <= level)), baskets, baskets, matched)
        fell = valuable & np.isfinite(expected) & (expected > 0) & (now <= (1 - self._rules.fall) * expected)
        self._fell.append({name: told[name][fell] for name in _COLUMNS})
        tested = np.flatnonzero(valuable)
        chance = chance_of_ringing(self._forecaster, matched, level, tested)
        self._by_forecast += float(chance.sum())
        self._variance += float((chance * (1 - chance)).sum())
        self._tested["silence"] += len(tested)
        self._tested["value"] += len(tested)
        self._tested["basket"] += int(np.isfinite(baskets[tested]).sum())
        self._high += int((baskets[tested] >= 1 - level).sum())
        return {"usual_purchases": silence.expected, "p_silence": p, "p_basket": baskets}

    def judge_falls(self, pairing: Pairing, margin: FloatArray) -> None:
        """Ring for those whose value fell short by enough, once all have been taken."""
        fell = {name: np.concatenate([part[name] for part in self._fell]) for name in _COLUMNS}
        if len(fell["row"]) == 0:
            return
        matched, kept = pairing.pick(fell["row"]), margin[fell["row"]]
        at_point = value_at_point(self._forecaster, matched, kept)
        p = judge_falls(self._forecaster, matched, at_point, kept, self._rules.seed)
        self._ring("value", fell, np.flatnonzero(p <= self._rules.alarm_level), p, p, matched)

    def _ring(
        self,
        kind: str,
        told: Mapping[str, NDArray[Any]],
        rows: IntArray,
        p: FloatArray,
        plain: FloatArray,
        matched: Matched,
    ) -> None:
        expected, gone = told["value_expected"][rows], (told["value_expected"] - told["value_now"])[rows]
        self._rang[kind].append(
            pd.DataFrame(
                {
                    "customer_id": matched.old.customer_id[rows],
                    "kind": kind,
                    "p": p[rows],
                    "p_plain": plain[rows],
                    "certain": plain[rows] <= self._rules.alarm_level,
                    **{name: told[name][rows] for name in _COLUMNS[1:]},
                    "value_at_stake": np.where(gone > 0, gone, expected),
                }
            )
        )

    def counts(self, days: float) -> pd.DataFrame:
        """Rows of `Monitoring.alarm_counts`."""
        level, years = self._rules.alarm_level, days / _DAYS_A_YEAR
        return pd.DataFrame(
            [
                {
                    "kind": kind,
                    "tested": self._tested[kind],
                    "rang": sum(len(part) for part in self._rang[kind]),
                    # An alarm of value needs a fall besides: the level is a bound.
                    "expected_if_unchanged": level * self._tested[kind],
                    "expected_by_forecast": self._by_forecast if kind == "silence" else np.nan,
                    "deviation_by_forecast": float(np.sqrt(self._variance)) if kind == "silence" else np.nan,
                    "unusually_high": self._high if kind == "basket" else np.nan,
                    "certain": sum(int(part["certain"].sum()) for part in self._rang[kind]),
                    "false_alarms_per_customer_year": level / years,
                }
                for kind in KINDS
            ]
        )

    @property
    def table(self) -> pd.DataFrame:
        """Rows of `Monitoring.alarms`."""
        parts = [part for kind in KINDS for part in self._rang[kind]]
        # Without rows a part says nothing of the types of columns.
        alarms = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
        # By id last, so that equals come in one order whatever that of the rows.
        alarms["order"] = alarms["customer_id"].astype(str)
        order = ["certain", "value_at_stake", "order", "kind"]
        alarms = alarms.sort_values(order, ascending=[False, False, True, True], kind="stable", ignore_index=True)
        return alarms.drop(columns="order")
