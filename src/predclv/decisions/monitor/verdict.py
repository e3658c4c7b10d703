"""Refit now? What each check found, beside the threshold it was held against, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from predclv.decisions.monitor.calibration import Calibration

__all__ = ["FINE", "LOOK", "OF_FORECAST", "REFIT", "THRESHOLDS", "UNKNOWN", "Money", "decide", "say_few", "weigh"]

FINE, LOOK, REFIT, UNKNOWN = "fine", "look", "refit", "not enough to say"

#: Checks of the forecast against what came; the others are of what it rests on.
OF_FORECAST = ("total purchases", "total revenue", "customers' own forecasts", "customers fallen silent")

#: From where on a difference matters, provided that it is beyond chance too.
THRESHOLDS = {
    "chance": 0.01,  # from which on something is taken to be beyond chance: totals and parameters
    "total": 0.05,  # share by which a total was missed
    "total_too_wide": 0.25,  # half an interval over what was expected, from which on a total tells nothing
    "distance": 0.05,  # of customers' places from uniform
    "alarms": 1.25,  # times as many as the forecast expected, or its inverse
    "psi_look": 0.1,  # the usual bands of the stability index
    "psi_refit": 0.25,
    "parameter": 0.1,  # share by which one has changed
    "money": 0.05,  # share by which the refit changes the value of the base
    "outside": 0.01,  # share of customers outside twice the range of the fit
}
_FEWEST_CUSTOMERS, _FEWEST_NEWCOMERS, _FEWEST_ALARMS = 200, 100, 5.0


class Money(NamedTuple):
    """Value of all customers of the new snapshot, by the old model and by the new one (NaN where there is none)."""

    old_model: float
    new_model: float


def weigh(
    calibration: Calibration,
    counts: pd.DataFrame,
    population: pd.DataFrame,
    parameters: Mapping[str, tuple[pd.DataFrame, str]] | None,
    money: Money,
    outside: float,
    currency: str | None = None,
) -> pd.DataFrame:
    """Lay out the evidence: check, result ("fine", "look", "refit", "not enough to say"), value, threshold, finding."""
    rows = [_total(calibration, what, currency) for what in calibration.totals["what"].unique()]
    rows += [_places(calibration), _alarms(counts), _newcomers(population)]
    if parameters is not None:
        rows += [_parameters(model, table, reason) for model, (table, reason) in parameters.items()]
        n = int(calibration.totals.loc[calibration.totals["group"] == "all", "customers"].iloc[0])
        rows.append(_money(money, [row["value"] for row in rows if row["check"].startswith("parameters")], n))
    rows.append(_range(outside))
    return pd.DataFrame(rows, columns=["check", "result", "value", "threshold", "finding"])


def decide(evidence: pd.DataFrame) -> str:
    """Say "yes" where a check does, "not enough to say" where the total of purchases tells nothing, else "no"."""
    if (evidence["result"] == REFIT).any():
        return "yes"
    total = evidence.loc[evidence["check"] == "total purchases", "result"].iloc[0]
    return UNKNOWN if total == UNKNOWN else "no"


def say_few(number: float) -> str:
    """An expected count, with a decimal where it is small."""
    return f"{number:,.1f}" if number < 10 else f"{number:,.0f}"


def _row(check: str, result: str, value: float, threshold: float, finding: str) -> dict[str, Any]:
    return {"check": check, "result": result, "value": value, "threshold": threshold, "finding": finding}


def _total(calibration: Calibration, what: str, currency: str | None) -> dict[str, Any]:
    table = calibration.totals
    row = table[(table["what"] == what) & (table["group"] == "all")].iloc[0]
    check, limit = f"total {what}", THRESHOLDS["total"]
    unit = what if what == "purchases" else f"{currency} of revenue" if currency else "of revenue"
    said = (
        f"{row['actual']:,.0f} {unit} came, where {row['expected']:,.0f} were expected ({row['low']:,.0f} to "
        f"{row['high']:,.0f} with {calibration.level:.0%} probability)"
    )
    half = (row["high"] - row["low"]) / 2
    by_chance = not row["p"] < THRESHOLDS["chance"]
    # What is beyond chance is so however wide the interval; what lies within a wide one may be anything.
    if not np.isfinite(row["error"]) or (by_chance and half > THRESHOLDS["total_too_wide"] * row["expected"]):
        return _row(check, UNKNOWN, row["error"], limit, f"{said}: too wide an interval to tell")
    if by_chance:
        allowed = "as chance allows" if row["inside"] else "outside, by no more than chance now and then brings"
        return _row(check, FINE, row["error"], limit, f"{said}: {allowed}")
    if abs(row["error"]) <= limit:
        return _row(check, FINE, row["error"], limit, f"{said}: beyond chance, and off by little")
    return _row(
        check, REFIT, row["error"], limit, f"{said}: off by {_signed(row['error'])}, which chance does not explain"
    )


def _signed(share: float) -> str:
    return f"{share:+.0%}".replace("-", "−")


def _places(calibration: Calibration) -> dict[str, Any]:
    distance, limit = calibration.distance, max(THRESHOLDS["distance"], calibration.distance_by_chance)
    check = "customers' own forecasts"
    said = (
        f"{calibration.share_inside:.0%} of customers within their own {calibration.level:.0%} interval; the places of "
        f"outcomes in their distributions are off by {distance:.1%} at most"
    )
    if len(calibration.pit) < _FEWEST_CUSTOMERS:
        return _row(check, UNKNOWN, distance, limit, f"{said}: too few customers to tell")
    return _row(check, REFIT if distance > limit else FINE, distance, limit, said)


def _alarms(counts: pd.DataFrame) -> dict[str, Any]:
    row = counts[counts["kind"] == "silence"].iloc[0]
    rang, expected, deviation = row["rang"], row["expected_by_forecast"], row["deviation_by_forecast"]
    check, limit = "customers fallen silent", THRESHOLDS["alarms"]
    said = f"{rang:,.0f} valuable customers bought unusually little, where the forecast expected {say_few(expected)}"
    if not expected >= _FEWEST_ALARMS:
        return _row(check, UNKNOWN, np.nan, limit, f"{said}: too few to tell")
    ratio = rang / expected
    beyond = abs(rang - expected) > 2.58 * deviation and not 1 / limit <= ratio <= limit
    return _row(check, REFIT if beyond else FINE, ratio, limit, said)


def _newcomers(population: pd.DataFrame) -> dict[str, Any]:
    rows = population[(population["group"] == "newcomers") & ~population["variable"].isin(["age"])]
    check, limit = "newcomers", THRESHOLDS["psi_refit"]
    known = rows[(rows[["customers_old", "customers_new"]].min(axis=1) >= _FEWEST_NEWCOMERS) & np.isfinite(rows["psi"])]
    if known.empty:
        return _row(check, UNKNOWN, np.nan, limit, "too few newcomers, then or now, to compare")
    worst = known.loc[known["psi"].idxmax()]
    # The level by chance is for one variable; of so many the largest may exceed it more often.
    beyond = worst["psi"] > 1.5 * worst["psi_by_chance"]
    said = f"newcomers now and then differ most in {worst['variable']}: stability index {worst['psi']:.2f}"
    if not beyond or worst["psi"] <= THRESHOLDS["psi_look"]:
        return _row(check, FINE, worst["psi"], limit, f"{said}, which is little")
    return _row(check, REFIT if worst["psi"] > limit else LOOK, worst["psi"], limit, said)


def _parameters(model: str, table: pd.DataFrame, reason: str) -> dict[str, Any]:
    check, limit = f"parameters of {model}", THRESHOLDS["chance"]
    if reason or table.empty:
        return _row(check, UNKNOWN, np.nan, limit, reason or "No segment is in both fits.")
    # Of several segments the smallest chance counts, times how many there are.
    by_segment = table.drop_duplicates("segment")["p_all"]
    p = float(min(by_segment.min() * len(by_segment), 1.0))
    if not np.isfinite(p):
        return _row(check, UNKNOWN, p, limit, "the data do not determine the parameters well enough to compare them")
    change = np.abs(table["ratio"] - 1)
    most = table.loc[change.idxmax()]
    said = (
        f"{most['parameter']} changed most, to {most['ratio']:.0%} of what it was; chance alone makes such differences "
        f"with probability {'below 0.0001' if p < 1e-4 else f'{p:.2g}'}"
    )
    drifted = p < limit and change.max() > THRESHOLDS["parameter"]
    return _row(check, REFIT if drifted else FINE, p, limit, said)


def _money(money: Money, p: list[float], n_customers: int) -> dict[str, Any]:
    change = money.new_model / money.old_model - 1 if money.old_model > 0 else np.nan
    limit = THRESHOLDS["money"]
    if not np.isfinite(change):
        return _row("value of the base", UNKNOWN, np.nan, limit, "the value has no finite mean")
    more = "higher" if change > 0 else "lower"
    said = f"the new fit values the customers {abs(change):.1%} {more} than the old one does"
    if n_customers < _FEWEST_CUSTOMERS:
        return _row("value of the base", UNKNOWN, change, limit, f"{said}: too few customers to tell it from chance")
    # What parameters that have moved by chance alone do to the value is chance, too; without them it is not known.
    known = [one for one in p if np.isfinite(one)]
    if known and min(known) >= THRESHOLDS["chance"]:
        return _row("value of the base", FINE, change, limit, f"{said}, by parameters within what chance allows")
    return _row("value of the base", REFIT if abs(change) > limit else FINE, change, limit, said)


def _range(outside: float) -> dict[str, Any]:
    limit = THRESHOLDS["outside"]
    who = "no customer lies" if outside == 0 else f"{100 * outside:.2g}% of customers lie"
    said = f"{who} outside twice the range that the old fit has seen"
    return _row("range of the fit", REFIT if outside > limit else FINE, outside, limit, said)
