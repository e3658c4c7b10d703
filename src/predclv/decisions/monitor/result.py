"""What monitoring found: tables, a verdict, and JSON for a system that raises alarms."""

from __future__ import annotations

import datetime as dt
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from predclv.decisions.monitor.calibration import Calibration
from predclv.decisions.monitor.verdict import THRESHOLDS
from predclv.files import replace_file, replace_folder, write_text

__all__ = ["SCHEMA", "Monitoring"]

#: Name and version of what `to_dict` gives; the version goes up where a key changes its meaning or disappears.
SCHEMA = "predclv.monitor/1"

MANIFEST = "predclv-monitor.json"

# Alerts made into text at a time.
_ALERTS = 4_096


@dataclass(frozen=True, eq=False)
class Monitoring:
    """Two snapshots compared; made by `compare_snapshots`.

    Attributes
    ----------
    customers : DataFrame or None
        A row each customer in both snapshots: customer_id, valuable, purchases (in the window), usual_purchases
        (expected, were they there and unchanged), p_silence (randomized chance of so few or fewer), p_basket (of so
        little money for as many), p_alive_old, p_alive_new, p_alive_change, likewise p_purchase; value_old, value_new,
        value_change and the three parts it is the sum of: change_expected (what the old forecast said of the new
        date), change_behaviour (what the customer did, by the old model), change_refit (what the new model changes).
        None where they went to `customers_file`.
    alarms : DataFrame
        A row an alarm: customer_id, kind ("silence", "basket", "value"), p, p_plain (not randomized), certain (rings
        without the randomization too), purchases, usual_purchases, value_expected (what the customer was to be worth
        now), value_now, value_at_stake (what is gone of it, or of the value expected where nothing is). The surest
        come first, then those with most at stake.
    alarm_counts : DataFrame
        A row a kind: tested, rang, expected_if_unchanged (false alarms, were all unchanged), expected_by_forecast (and
        its deviation; silence alone), unusually_high (as many as chance makes as rare on the other side; basket alone),
        certain, false_alarms_per_customer_year.
    set_aside : DataFrame
        customer_id and reason of those who cannot be compared.
    population : DataFrame
        group ("newcomers", "everyone"), variable, customers_old, customers_new, mean_old, mean_new, psi, psi_by_chance
        (exceeded in 5 of 100 cases without drift), beyond_chance, note.
    parameters : DataFrame
        model, segment, parameter, old, new, ratio, ratio_low, ratio_high, moved, p_all; empty without a new model.
    parameters_note : str
        Why parameters were not compared, or "".
    calibration : Calibration
        The last forecast against what happened.
    evidence : DataFrame
        check, result, value, threshold, finding.
    verdict : {"yes", "no", "not enough to say"}
        Refit now?
    facts : mapping
        Dates, units, options and totals.
    """

    customers: pd.DataFrame | None
    alarms: pd.DataFrame
    alarm_counts: pd.DataFrame
    set_aside: pd.DataFrame
    population: pd.DataFrame
    parameters: pd.DataFrame
    parameters_note: str
    calibration: Calibration
    evidence: pd.DataFrame
    verdict: str
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Everything but the rows of customers, as JSON types: what is unknown is null, and keys are always there.

        Keys: schema, facts, verdict, thresholds, evidence, alarm_counts, alerts (id, kind, p, p_plain, certain,
        purchases, usual_purchases, value_expected, value_now, value_at_stake), set_aside (reason, customers),
        population, parameters, parameters_note, forecast (totals, distance, distance_by_chance, share_inside, level).

        facts: model, value_in ("money" or "purchases"), currency, time_unit, old_date, new_date, window (in the time
        unit), window_days, customers_old, customers_new, compared, newcomers, set_aside; value_old, value_expected and
        value_now of those compared; base_by_old_model and base_by_new_model, of them and the newcomers; and the options
        alarm_level, top, min_value, fall, horizon, discount_rate, margin, level, random_state.
        """
        plain = _plain({**self._told(), "alerts": self._alerts.to_dict("records")})
        assert isinstance(plain, dict)
        return plain

    def _told(self) -> dict[str, Any]:
        """`to_dict`, not yet plain, without the alerts, of which there may be a million."""
        reasons = self.set_aside.groupby("reason", sort=False).size()
        scores = self.calibration
        return {
            "schema": SCHEMA,
            "facts": dict(self.facts),
            "verdict": self.verdict,
            "thresholds": THRESHOLDS,
            "evidence": self.evidence.to_dict("records"),
            "alarm_counts": self.alarm_counts.to_dict("records"),
            "alerts": [],
            "set_aside": [{"reason": str(reason), "customers": int(n)} for reason, n in reasons.items()],
            "population": self.population.to_dict("records"),
            "parameters": self.parameters.to_dict("records"),
            "parameters_note": self.parameters_note,
            "forecast": {
                "totals": scores.totals.to_dict("records"),
                "distance": scores.distance,
                "distance_by_chance": scores.distance_by_chance,
                "share_inside": scores.share_inside,
                "level": scores.level,
            },
        }

    @property
    def _alerts(self) -> pd.DataFrame:
        return self.alarms.rename(columns={"customer_id": "id"})

    def to_json(self) -> str:
        """`to_dict` as text."""
        return "".join(self._json())

    def write_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_json` to a file, whole or not at all, without holding it as a whole."""
        with replace_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(self._json())

    def _json(self) -> Iterator[str]:
        told = _plain(self._told())
        assert isinstance(told, dict)
        yield "{"
        for i, (name, value) in enumerate(told.items()):
            yield f"{',' if i else ''}\n  {json.dumps(name)}: "
            if name == "alerts" and len(self.alarms):
                yield from self._json_of_alerts()
            else:
                yield _indented(value, 2)
        yield "\n}\n"

    def _json_of_alerts(self) -> Iterator[str]:
        yield "["
        alerts = self._alerts
        for start in range(0, len(alerts), _ALERTS):
            rows = _plain(alerts[start : start + _ALERTS].to_dict("records"))
            assert isinstance(rows, list)
            yield "".join(f"{',' if start + i else ''}\n    {_indented(row, 4)}" for i, row in enumerate(rows))
        yield "\n  ]"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write monitor.json, alarms.parquet, customers.parquet and set_aside.parquet to a folder, whole or not at all.

        Without customers.parquet, where `customers` is None.

        Raises
        ------
        FileExistsError
            The folder holds what is not ours.
        """
        with replace_folder(path, manifest=MANIFEST) as folder:
            self.write_json(folder / "monitor.json")
            for name in ("alarms", "customers", "set_aside"):
                if getattr(self, name) is not None:
                    getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)
            names = sorted([entry.name for entry in folder.iterdir()] + [MANIFEST])
            write_text(folder / MANIFEST, json.dumps({"files": names}, indent=2) + "\n")

    def __repr__(self) -> str:
        facts = self.facts
        rang = ", ".join(f"{row.rang:,} {row.kind}" for row in self.alarm_counts.itertuples())
        return (
            f"<Monitoring: {facts['compared']:,} customers, {facts['window']:.4g} {facts['time_unit']}s from "
            f"{facts['old_date'] or 'the old date'} to {facts['new_date'] or 'the new one'}; alarms: {rang}; refit: "
            f"{self.verdict}>"
        )


def _indented(value: Any, spaces: int) -> str:
    """JSON whose lines after the first stand that far in."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False).replace("\n", "\n" + " " * spaces)


def _plain(value: Any) -> Any:
    """Plain JSON types; what is missing or not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dt.date):
        return value.isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)
