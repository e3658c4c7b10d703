"""Compare two snapshots of a customer base: who fell silent, what has drifted, and whether to fit again."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from predclv.data.rfm import RFMSummary
from predclv.decisions.monitor import verdict
from predclv.decisions.monitor.alarms import Rules
from predclv.decisions.monitor.calibration import judge_forecast
from predclv.decisions.monitor.checks import (
    bind,
    check_models,
    one_of,
    refuse_hindsight,
    set_aside_unknown_segments,
    warn_of_matching,
)
from predclv.decisions.monitor.forecaster import Forecaster
from predclv.decisions.monitor.parameters import COLUMNS, compare_parameters
from predclv.decisions.monitor.result import Monitoring
from predclv.decisions.monitor.snapshots import Pairing, check_alike, match_snapshots
from predclv.decisions.monitor.sources import ROWS, Snapshot, open_snapshot
from predclv.decisions.monitor.walk import Walked, walk
from predclv.inference.posterior import check_level
from predclv.models.base import require_summary
from predclv.models.transactions import TransactionModel
from predclv.value import CLV

__all__ = ["compare_snapshots"]


def compare_snapshots(
    model: CLV | TransactionModel,
    old: RFMSummary | str | os.PathLike[str],
    new: RFMSummary | str | os.PathLike[str],
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
    customers_file: str | os.PathLike[str] | None = None,
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
    old, new : RFMSummary or path
        Of one base, summarised in one way, at two dates. Of a Parquet file that `predclv run` or `predclv summarize`
        wrote, ids are kept as the file has them, which takes a quarter of the memory.
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
    customers_file : path, optional
        Parquet file that the rows of `Monitoring.customers` are written to, part by part, instead of being kept: for
        millions of customers.

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
        Customers had to be set aside, those too whose segment the old model does not know; or they are few.
    """
    rules = Rules(alarm_level, top, min_value, fall, random_state)
    check_level(level)
    columns = [margin] if isinstance(margin, str) else []
    before = open_snapshot(old, [*columns, *_needed(model)])
    after = open_snapshot(new, [*columns, *_needed(model), *_needed(new_model)])
    for one in (one_of(before), one_of(after)):
        require_summary(one)
    check_alike(one_of(before), one_of(after))
    first = bind("model", model, one_of(before), horizon, discount_rate)
    refuse_hindsight(first, one_of(before))
    second = None if new_model is None else bind("new_model", new_model, one_of(after), horizon, discount_rate)
    check_models(first, second, one_of(after))
    pairing = set_aside_unknown_segments(first, match_snapshots(before, after))
    warn_of_matching(pairing)
    found = walk(first, second, pairing, margin, rules, customers_file, ROWS)
    compared = None if second is None else _parameters(first, second, pairing, level)
    forecast = judge_forecast(first, pairing, found.foreseen, level, rules.seed, ROWS)
    for one in (first, second):
        if one is not None:
            one.forget()
    counts, drift, money = found.alarms.counts(pairing.days), found.population, found.money
    currency = None if first.spend is None else after.currency
    evidence = verdict.weigh(forecast, counts, drift, compared, money, _outside(first, after), currency)
    return Monitoring(
        customers=found.customers,
        alarms=found.alarms.table,
        alarm_counts=counts,
        set_aside=pairing.set_aside,
        population=drift,
        parameters=_joined(compared),
        parameters_note=""
        if compared is None
        else " ".join(dict.fromkeys(note for _, note in compared.values() if note)),
        calibration=forecast,
        evidence=evidence,
        verdict=verdict.decide(evidence),
        facts={
            **_facts(first, pairing, found),
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


def _needed(model: Any) -> list[str]:
    """Columns about the customer that a model asks for: segments with parameters of their own, covariates."""
    models = [getattr(model, name, None) for name in ("transactions_", "spend_")] if isinstance(model, CLV) else [model]
    found = [segment for one in models if (segment := getattr(one, "segment", None)) is not None]
    covariates = getattr(models[0], "covariates_", None)
    return [*found, *([] if covariates is None else covariates.sources)]


def _parameters(
    first: Forecaster, second: Forecaster, pairing: Pairing, level: float
) -> dict[str, tuple[pd.DataFrame, str]]:
    """Table, and why there is none, by the name of the model."""
    pairs = [(first.transactions, second.transactions), (first.spend, second.spend)]
    return {
        type(one).__name__: compare_parameters(one, other, pairing.old, pairing.new, level, pairing.origin, ROWS)
        for one, other in pairs
        if one is not None and other is not None
    }


def _joined(compared: dict[str, tuple[pd.DataFrame, str]] | None) -> pd.DataFrame:
    tables = [table for table, _ in (compared or {}).values() if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))


def _outside(first: Forecaster, new: Snapshot) -> float:
    """Share of the customers outside twice the range of the fit."""
    seen = first.transactions.fingerprint_
    return float(np.mean((new.frequency > 2 * seen.most_purchases) | (2 * seen.longest_age < new.T)))


def _facts(first: Forecaster, pairing: Pairing, found: Walked) -> dict[str, Any]:
    old, new = pairing.old, pairing.new
    dates = [None if rfm.observation_end is None else rfm.observation_end.isoformat() for rfm in (old, new)]
    return {
        "model": type(first.transactions).__name__,
        "value_in": "purchases" if first.spend is None else "money",
        "currency": None if first.spend is None else new.currency,
        "time_unit": new.time_unit,
        "old_date": dates[0],
        "new_date": dates[1],
        "window": pairing.window,
        "window_days": pairing.days,
        "customers_old": len(old),
        "customers_new": len(new),
        "compared": len(pairing),
        "newcomers": len(pairing.newcomers),
        "set_aside": len(pairing.set_aside),
        **found.values,
        "base_by_old_model": found.money.old_model,
        "base_by_new_model": found.money.new_model,
    }
