"""Compare two snapshots of a customer base: who fell silent, what has drifted, and whether to fit again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.columns import margins
from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor import verdict
from predclv.decisions.monitor.alarms import Rules, sound_alarms
from predclv.decisions.monitor.calibration import judge_forecast
from predclv.decisions.monitor.checks import bind, check_models, warn_of_matching
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.parameters import COLUMNS, compare_parameters
from predclv.decisions.monitor.population import compare_columns, mean_repeat_spend
from predclv.decisions.monitor.result import Monitoring
from predclv.decisions.monitor.snapshots import Matched, match_snapshots
from predclv.decisions.monitor.verdict import Money
from predclv.inference.posterior import check_level
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["compare_snapshots"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def compare_snapshots(
    model: CLV | TransactionModel,
    old: RFMSummary,
    new: RFMSummary,
    new_model: CLV | TransactionModel | None = None,
    *,
    alarm_level: float = 0.05,
    top: float = 0.2,
    min_value: float | None = None,
    fall: float = 0.5,
    horizon: Any = "1 year",
    discount_rate: float = 0.10,
    margin: float | str = 1.0,
    level: float = 0.9,
    random_state: int = 0,
) -> Monitoring:
    """Compare a snapshot of the customers with an earlier one.

    Alarms ring for valuable customers. For silence: P(N <= n) of the purchases since the old snapshot, for a customer
    who is there and buys on at the rate that the old history tells, is at most `alarm_level`; randomized, so that an
    unchanged customer rings with exactly that probability, however often they buy. For the basket: likewise, of the
    money for as many purchases, given what their own cost before; of those who had bought again. For value: it fell
    short of what the old forecast expected of this date by the share `fall` or more, and in at most `alarm_level` of
    simulated windows would it fall so low for an unchanged customer.

    Parameters
    ----------
    model : CLV or TransactionModel
        The one in use, as fitted on the old snapshot. Without a spend model value is counted in purchases, and
        nothing is said of money.
    old, new : RFMSummary
        Of one base, summarised in one way, at two dates.
    new_model : CLV or TransactionModel, optional
        Of the same kind, fitted on the new snapshot: then drift of the parameters and what a refit changes are told,
        and new values are its own.
    alarm_level : float
        Chance that an alarm rings for a customer who has not changed, at this snapshot.
    top : float
        Share of the customers, by value at the old date, for whom alarms ring.
    min_value : float, optional
        Value from which on they do, instead of `top`.
    fall : float
        Share of the expected value that must be gone for an alarm of value.
    horizon, discount_rate, level
        As in `CLV.predict`; the horizon is a span, not a date.
    margin : float or str
        As in `CLV.predict`; a column is read from the new snapshot, for both dates.
    random_state : int
        Seed of the randomization and simulations, which depend on ids and dates and not on the order of rows.

    Returns
    -------
    Monitoring

    Raises
    ------
    TypeError
        A model is none of these, or is of contracts.
    UnitError
        Snapshots or models disagree in unit, currency, policy or kind.
    DataError
        Nobody can be compared; the new snapshot is not the later one.
    ValueError
        An option means nothing.

    Warns
    -----
    DataQualityWarning
        Customers had to be set aside, or are few.
    """
    rules = Rules(alarm_level, top, min_value, fall, random_state)
    check_level(level)
    first = bind("model", model, old, horizon, discount_rate)
    second = None if new_model is None else bind("new_model", new_model, new, horizon, discount_rate)
    check_models(first, second, new)
    matched = match_snapshots(old, new)
    warn_of_matching(matched)
    kept = margins(matched.new, margin)
    table = _changes(first, second, matched, kept)
    columns, counts, ringing = sound_alarms(first, matched, table, kept, rules)
    newcomers = new.pick(matched.newcomers)
    drift = _drift(first, matched, old, newcomers)
    compared = None if second is None else _parameters(first, second, old, new, level)
    forecast = judge_forecast(first, matched, level, rules.seed)
    money = _money(first, second, table, newcomers, margin)
    currency = None if first.spend is None else new.currency
    evidence = verdict.weigh(forecast, counts, drift, compared, money, _outside(first, new), currency)
    return Monitoring(
        customers=_customers(matched, table, columns),
        alarms=ringing,
        alarm_counts=counts,
        set_aside=matched.set_aside,
        population=drift,
        parameters=_joined(compared),
        parameters_note="" if compared is None else " ".join(dict.fromkeys(note for _, note in compared if note)),
        calibration=forecast,
        evidence=evidence,
        verdict=verdict.decide(evidence),
        facts={
            **_facts(first, matched, old, new, table, money),
            "alarm_level": alarm_level,
            "top": None if min_value is not None else top,
            "min_value": min_value,
            "fall": fall,
            "horizon": str(horizon),
            "discount_rate": discount_rate,
            "margin": margin,
            "level": level,
            "random_state": random_state,
        },
    )


def _changes(first: Forecaster, second: Forecaster | None, matched: Matched, margin: FloatArray) -> pd.DataFrame:
    """Chances and values at both dates; the new date's by the old model too."""
    latest = first if second is None else second
    before, after = first.chances(matched.old), latest.chances(matched.new)
    columns = {f"{name}_{date}": found[name] for name in before for date, found in (("old", before), ("new", after))}
    by_old_model = first.value(matched.new, margin)
    return pd.DataFrame(
        {
            **columns,
            "value_old": first.value(matched.old, margin),
            "value_expected": first.value(matched.old, margin, after=matched.window),
            "value_by_old_model": by_old_model,
            "value_new": by_old_model if second is None else second.value(matched.new, margin),
        }
    )


def _customers(matched: Matched, table: pd.DataFrame, columns: dict[str, Any]) -> pd.DataFrame:
    found: dict[str, Any] = {
        "customer_id": matched.old.customer_id,
        "valuable": columns["valuable"],
        "purchases": matched.purchases,
        **{name: columns[name] for name in ("usual_purchases", "p_silence", "p_basket")},
    }
    for name in ("p_alive", "p_purchase", "value"):
        before, after = table[f"{name}_old"], table[f"{name}_new"]
        found |= {f"{name}_old": before, f"{name}_new": after, f"{name}_change": after - before}
    found |= {
        "change_expected": table["value_expected"] - table["value_old"],
        "change_behaviour": table["value_by_old_model"] - table["value_expected"],
        "change_refit": table["value_new"] - table["value_by_old_model"],
    }
    return pd.DataFrame(found)


def _drift(first: Forecaster, matched: Matched, old: RFMSummary, newcomers: RFMSummary) -> pd.DataFrame:
    """Stability of the base: of newcomers, at equal ages, and of everyone."""
    # Who came in the window, then in one of the same length before the old date: the same ages, other customers.
    then = old.pick(np.flatnonzero(matched.window * (1 + 1e-6) >= old.T))
    now = _described(first, newcomers)
    rows = compare_columns(
        "newcomers",
        _described(first, then),
        now,
        "first bought within the window, or before the old date in one as long",
    )
    note = "older at the new date by construction, and mostly the same customers: not judged"
    everyone = _described(first, matched.new)
    both = {name: np.concatenate([column, now[name]]) for name, column in everyone.items()}
    rows += compare_columns("everyone", _described(first, matched.old), both, note)
    return pd.DataFrame(rows)


def _described(first: Forecaster, rfm: RFMSummary) -> dict[str, FloatArray]:
    """What is known of customers, and what the old model makes of it."""
    found = {"frequency": rfm.frequency.astype(np.float64), "recency": rfm.recency, "age": rfm.T}
    spend = mean_repeat_spend(rfm)
    if spend is not None:
        found["mean_spend"] = spend
    if len(rfm) == 0:
        return {**found, "p_alive": np.empty(0), "value": np.empty(0)}
    # Before the margin, which says nothing of how customers behave.
    return {**found, "p_alive": first.chances(rfm)["p_alive"], "value": first.value(rfm, np.ones(len(rfm)))}


def _parameters(
    first: Forecaster, second: Forecaster, old: RFMSummary, new: RFMSummary, level: float
) -> list[tuple[pd.DataFrame, str]]:
    found = [compare_parameters(first.transactions, second.transactions, old, new, level)]
    if first.spend is not None and second.spend is not None:
        found.append(compare_parameters(first.spend, second.spend, old, new, level))
    return found


def _joined(compared: list[tuple[pd.DataFrame, str]] | None) -> pd.DataFrame:
    tables = [table for table, _ in compared or [] if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _money(
    first: Forecaster, second: Forecaster | None, table: pd.DataFrame, newcomers: RFMSummary, margin: float | str
) -> Money:
    """Value of everyone at the new date by both models."""
    totals = [float(table["value_by_old_model"].sum()), float(table["value_new"].sum())]
    if len(newcomers):
        kept = margins(newcomers, margin)
        totals[0] += float(first.value(newcomers, kept).sum())
        if second is not None:
            totals[1] += float(second.value(newcomers, kept).sum())
    return Money(totals[0], totals[1] if second is not None else float("nan"))


def _outside(first: Forecaster, new: RFMSummary) -> float:
    """Share of the customers outside twice the range of the fit."""
    seen = first.transactions.fingerprint_
    return float(np.mean((new.frequency > 2 * seen.most_purchases) | (2 * seen.longest_age < new.T)))


def _facts(
    first: Forecaster, matched: Matched, old: RFMSummary, new: RFMSummary, table: pd.DataFrame, money: Money
) -> dict[str, Any]:
    dates = [None if rfm.observation_end is None else rfm.observation_end.isoformat() for rfm in (old, new)]
    return {
        "model": type(first.transactions).__name__,
        "value_in": "purchases" if first.spend is None else "money",
        "currency": None if first.spend is None else new.currency,
        "time_unit": new.time_unit,
        "old_date": dates[0],
        "new_date": dates[1],
        "window": matched.window,
        "window_days": matched.days,
        "customers_old": len(old),
        "customers_new": len(new),
        "compared": len(matched),
        "newcomers": len(matched.newcomers),
        "set_aside": len(matched.set_aside),
        "value_old": float(table["value_old"].sum()),
        "value_expected": float(table["value_expected"].sum()),
        "value_now": float(table["value_by_old_model"].sum()),
        "base_by_old_model": money.old_model,
        "base_by_new_model": money.new_model,
    }
