"""Result tables of a backtest that was never run: gamma-Poisson customers, and methods that forecast them more or less
well. Plots and the report need tables that hang together, not the machinery that makes them."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import stats

from predclv.backtesting.blocks import QUANTILES, Block, Cohort
from predclv.backtesting.distributions import Counts
from predclv.backtesting.scores import score_blocks
from predclv.backtesting.tables import decile_table, gains_table, pit_table, reliability_table

# How far each method's mean is off, and how much it shrinks towards the mean of all; False: a point.
METHODS = {
    "bg_nbd": (0.88, 1.0, True),
    "pareto_nbd": (0.89, 1.0, True),
    "mbg_nbd": (0.84, 1.0, True),
    "lifetimes_bg_nbd": (0.88, 1.0, False),
    "gradient_boosting": (1.05, 0.8, True),
    "random_forest": (1.1, 0.6, True),
    "historical_average": (1.5, 0.0, False),
    "marginal": (1.02, 0.0, True),
    "naive": (1.5, 1.2, False),
    "zero": (0.0, 0.0, True),
}
SPEND = 35.0
N_POOLED = 1800
LEVELS = (0.5, 0.8, 0.9, 0.95)
WEEKS = {"13 weeks": 13.0, "26 weeks": 26.0, "39 weeks": 39.0}


def stand_in(
    methods=tuple(METHODS),
    cutoffs=("1997-06-30", "1997-09-30", "1997-12-31"),
    horizons=("13 weeks", "26 weeks"),
    *,
    amounts=True,
    reference="naive",
    failed=(),
    segments=(),
    n=600,
    names=None,
    n_bootstrap=100,
):
    """A result with the attributes that plots and the report read. `names` renames methods."""
    rng = np.random.default_rng(7)
    names = names or {}
    rate = rng.gamma(0.35, 0.12, n)
    x = rng.poisson(rate * 39)
    groups = {"frequency": (["0", "1", "2", "3+"], np.minimum(x, 3))}
    groups |= {segment: (["a", "b<i>"], x % 2) for segment in segments}
    cohort = Cohort(np.arange(n), np.arange(n), groups)
    quantities = ("purchases", "value") if amounts else ("purchases",)
    found = {"totals": [], "tracks": []}
    blocks, customers = [], []
    for horizon in horizons:
        for cutoff in cutoffs:
            actual = rng.poisson(rate * WEEKS[horizon]).astype(float)
            customers.append(_count(cutoff, horizon, actual, amounts))
            for method in methods:
                if method in failed or (cutoff == cutoffs[0] and method.endswith(("_recalibrated", "combination"))):
                    continue
                forecast = _forecast(method, x, WEEKS[horizon], actual)
                for quantity in quantities:
                    key = {"horizon": horizon, "cutoff": cutoff, "method": names.get(method, method)}
                    scaled = SPEND if quantity == "value" else 1.0
                    blocks.append(_block(key, quantity, forecast, actual, scaled))
                    _describe(found, key, quantity, forecast, actual, scaled)
                if horizon == horizons[-1] and method not in ("lifetimes_bg_nbd", "zero"):
                    found["tracks"].append(_track(key, forecast, actual, WEEKS[horizon], cutoff))
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items()}
    cohorts = {dt.date.fromisoformat(cutoff): cohort for cutoff in cutoffs}
    tables["scores"] = score_blocks(blocks, cohorts, reference=names.get(reference, reference), n_bootstrap=n_bootstrap)
    tables |= {"deciles": decile_table(blocks), "pit": pit_table(blocks)}
    tables |= {"gains": gains_table(blocks), "reliability": reliability_table(blocks)}
    tables["customers"] = pd.DataFrame(customers)
    tables["runs"] = _runs(methods, cutoffs, failed, names)
    settings = {
        "methods": [names.get(method, method) for method in methods],
        "cutoffs": list(cutoffs),
        "horizons": list(horizons),
        "reference": names.get(reference, reference),
        "history": "expanding",
        "window": None,
        "refit": True,
        "recalibrate": None,
        "combine": False,
        "level": 0.9,
        "n_bootstrap": n_bootstrap,
        "random_state": 0,
        "segments": list(segments),
        "time_unit": "week",
        "collapse": "day",
        "currency": "USD" if amounts else None,
        "has_amounts": amounts,
        "log_end": "1998-06-30",
        "warnings": ["1 of 600 customers has no name."],
    }
    derived = {"recalibrations": pd.DataFrame(), "weights": pd.DataFrame()}
    return SimpleNamespace(**tables, **derived, settings=settings, blocks=blocks, cohorts=cohorts)


def _forecast(method, x, weeks, actual):
    base = method.removesuffix("_recalibrated")
    factor, own, spread = METHODS.get(base, (1.0, 1.0, True))
    if base != method:
        factor = 0.5 + 0.5 * factor
    shape = 0.35 + own * x
    # No two methods put customers into quite the same order.
    shape = shape * np.exp(0.3 * np.random.default_rng(len(method)).normal(size=len(x)) * (own > 0))
    mean = factor * shape / (8.3 + own * 39 * (own > 0)) * weeks if own else np.full(len(x), factor * x.mean() / 39)
    mean = mean * (1.0 if own else weeks)
    found = {"mean": mean, "crps": np.abs(mean - actual), "p": None, "below": None}
    if spread:
        counts = Counts.negative_binomial(np.maximum(mean, 1e-12), np.maximum(shape, 0.1))
        below, at = counts.bounds(actual)
        quantiles = counts.at_levels(QUANTILES)
        found |= {"crps": counts.crps(actual), "p": counts.p_positive() * (mean > 0), "below": below, "at": at}
        found["quantiles"] = quantiles
        found["var"] = mean + mean**2 / np.maximum(shape, 0.1)
    return SimpleNamespace(**found)


def _block(key, quantity, forecast, actual, scaled):
    where = dt.date.fromisoformat(key["cutoff"]), key["horizon"], key["method"], quantity, np.arange(len(actual))
    more = {}
    if forecast.below is not None:
        more = {"quantiles": forecast.quantiles * scaled, "below": forecast.below, "at": forecast.at}
        more |= {"p_purchase": forecast.p} if quantity == "purchases" else {}
    return Block(*where, actual * scaled, forecast.mean * scaled, forecast.crps * scaled, **more)


def _count(cutoff, horizon, actual, amounts):
    end = dt.date.fromisoformat(cutoff) + dt.timedelta(weeks=WEEKS[horizon])
    found = {"cutoff": cutoff, "horizon": horizon, "end": str(end), "customers": len(actual)}
    found |= {"buyers": int((actual > 0).sum()), "purchases": actual.sum()}
    return found | {"spend": actual.sum() * SPEND if amounts else np.nan, "new_customers": 12, "new_purchases": 19}


def _describe(found, key, quantity, forecast, actual, scaled):
    key = {**key, "quantity": quantity}
    expected, total = forecast.mean.sum() * scaled, actual.sum() * scaled
    for level in LEVELS:
        low = high = np.nan
        inside = None
        if forecast.below is not None:
            low, high = stats.norm.interval(level, expected, scaled * np.sqrt(forecast.var.sum()) + 1e-9)
            inside = bool(low <= total <= high)
        row = {"customers": len(actual), "expected": expected, "actual": total}
        row |= {"level": level, "low": low, "high": high, "inside": inside}
        found["totals"].append(pd.DataFrame([{**key, **row}]))


def _track(key, forecast, actual, weeks, cutoff):
    time = np.linspace(0, weeks, 14)[1:]
    table = pd.DataFrame({"time": time, "date": pd.Timestamp(cutoff) + pd.to_timedelta(time * 7, unit="D")})
    table["expected"] = forecast.mean.sum() * time / weeks
    table["actual"] = np.round(actual.sum() * (time / weeks) ** 1.1)
    return table.assign(cutoff=key["cutoff"], method=key["method"])


def _runs(methods, cutoffs, failed, names):
    rows = []
    for cutoff in cutoffs:
        for number, method in enumerate(methods):
            if method.endswith(("_recalibrated", "combination")):
                continue
            row = {"cutoff": cutoff, "method": names.get(method, method), "status": "ok", "error": "", "notes": ""}
            cost = {"fit_cpu_seconds": 0.02 * 3**number % 17, "predict_cpu_seconds": 0.05 + 0.1 * number}
            row |= cost | {"peak_memory_mb": 180.0 + 20 * number}
            if method in failed:
                row |= {"status": "failed", "error": f"ValueError: {method} met <NaN> & stopped."}
                row |= {"fit_cpu_seconds": np.nan, "predict_cpu_seconds": np.nan, "peak_memory_mb": np.nan}
            elif method == "gradient_boosting":
                row["notes"] = "learnt from 19.5 weeks of outcomes, scaled to 26 weeks"
            rows.append(row)
    return pd.DataFrame(rows)
