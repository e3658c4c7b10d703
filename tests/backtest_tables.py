"""Result tables of a backtest that was never run: gamma-Poisson customers, and methods that forecast them more or less
well. Plots and the report need tables that hang together, not the machinery that makes them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy import stats

from predclv.backtesting.distributions import Counts

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
N_POOLED = 180
LEVELS = (0.5, 0.8, 0.9, 0.95)
WEEKS = {"13 weeks": 13.0, "26 weeks": 26.0, "39 weeks": 39.0}
_LOSS = {"pearson": -1, "spearman": -1, "gini": -1, "capture_10": -1, "capture_20": -1, "lift_10": -1}


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
):
    """A result with the attributes that plots and the report read. `names` renames methods."""
    rng = np.random.default_rng(7)
    names = names or {}
    rate = rng.gamma(0.35, 0.12, n)
    x = rng.poisson(rate * 39)
    groups = {"frequency": np.minimum(x, 3).astype(str)} | {s: np.where(x % 2, "a", "b<i>") for s in segments}
    quantities = ("purchases", "value") if amounts else ("purchases",)
    found = {name: [] for name in ("scores", "totals", "tracks", "deciles", "pit", "gains", "reliability")}
    for horizon in horizons:
        errors = {}
        for cutoff in cutoffs:
            actual = rng.poisson(rate * WEEKS[horizon]).astype(float)
            for method in methods:
                if method in failed:
                    continue
                forecast = _forecast(method, x, WEEKS[horizon], actual)
                for quantity in quantities:
                    key = {"horizon": horizon, "cutoff": cutoff, "method": names.get(method, method)}
                    scaled = SPEND if quantity == "value" else 1.0
                    errors.setdefault((method, quantity), []).append((forecast, actual, scaled))
                    _describe(found, key, quantity, forecast, actual, scaled)
                if horizon == horizons[-1] and method not in ("lifetimes_bg_nbd", "zero"):
                    found["tracks"].append(_track(key, forecast, actual, WEEKS[horizon], cutoff))
        found["scores"] += _score(errors, horizon, cutoffs, groups, reference, names)
        _pool(found, horizon)
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in found.items() if parts}
    tables["runs"] = _runs(methods, cutoffs, failed, names)
    settings = {
        "methods": [names.get(method, method) for method in methods],
        "cutoffs": list(cutoffs),
        "horizons": list(horizons),
        "reference": names.get(reference, reference),
        "history": "expanding",
        "refit": True,
        "level": 0.9,
        "n_bootstrap": 400,
        "random_state": 0,
        "customers": {cutoff: n for cutoff in cutoffs},
        "new_customers": {cutoff: {horizon: 12 for horizon in horizons} for cutoff in cutoffs},
        "new_purchases": {cutoff: {horizon: 19 for horizon in horizons} for cutoff in cutoffs},
        "time_unit": "week",
        "currency": "USD" if amounts else None,
        "has_amounts": amounts,
        "warnings": ["bg_nbd: mind the gap."],
    }
    return SimpleNamespace(**tables, settings=settings, weights=None, recalibrations=None, against_best=None)


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
        quantiles = counts.at_levels([0.05, 0.95])
        found |= {"crps": counts.crps(actual), "p": counts.p_positive(), "below": below, "at": at, "ends": quantiles}
        found["var"] = mean + mean**2 / np.maximum(shape, 0.1)
    return SimpleNamespace(**found)


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
    order = np.argsort(-forecast.mean, kind="stable")
    parts = np.array_split(order, 10)
    table = pd.DataFrame({"decile": range(1, 11), "customers": [len(part) for part in parts]})
    table["expected"] = [forecast.mean[part].mean() * scaled for part in parts]
    table["actual"] = [actual[part].mean() * scaled for part in parts]
    table["lift"] = table["actual"] / (actual.mean() * scaled)
    found["deciles"].append(table.assign(**key))
    share = np.linspace(0, 1, 101)
    gained = np.interp(
        share, np.arange(len(order) + 1) / len(order), np.append(0, actual[order].cumsum()) / actual.sum()
    )
    if np.ptp(forecast.mean) == 0:
        gained = share
    found["gains"].append(pd.DataFrame({"share_customers": share, "share_actual": gained}).assign(**key))
    if forecast.below is None:
        return
    edges = np.linspace(0, 1, 21)
    width = np.maximum(forecast.at - forecast.below, 1e-12)
    inside = np.clip((edges[:, None] - forecast.below) / width, 0, 1).mean(axis=1)
    pit = pd.DataFrame({"bin_low": edges[:-1], "bin_high": edges[1:], "share": np.diff(inside)})
    found["pit"].append(pit.assign(**key))
    if quantity == "purchases":
        parts = np.array_split(np.argsort(forecast.p, kind="stable"), 10)
        bins = pd.DataFrame({"bin": range(1, 11), "customers": [len(part) for part in parts]})
        bins["predicted"] = [forecast.p[part].mean() for part in parts]
        bins["observed"] = [(actual[part] > 0).mean() for part in parts]
        found["reliability"].append(bins.assign(**{k: v for k, v in key.items() if k != "quantity"}))


def _track(key, forecast, actual, weeks, cutoff):
    time = np.linspace(0, weeks, 14)[1:]
    table = pd.DataFrame({"time": time, "date": pd.Timestamp(cutoff) + pd.to_timedelta(time * 7, unit="D")})
    table["expected"] = forecast.mean.sum() * time / weeks
    table["actual"] = np.round(actual.sum() * (time / weeks) ** 1.1)
    return table.assign(cutoff=key["cutoff"], method=key["method"])


def _pool(found, horizon):
    columns = {
        "deciles": ["decile"],
        "pit": ["bin_low", "bin_high"],
        "gains": ["share_customers"],
        "reliability": ["bin"],
    }
    for name, own in columns.items():
        table = pd.concat(found[name])
        by = ["horizon", "method", *(["quantity"] if "quantity" in table else []), *own]
        table = table[table["horizon"] == horizon]
        pooled = table.drop(columns="cutoff").groupby(by, sort=False, as_index=False).mean()
        found[name].append(pooled.assign(cutoff="all", **({"customers": N_POOLED} if "customers" in pooled else {})))


def _metrics(forecast, actual, scaled):
    mean, error = forecast.mean, forecast.mean - actual
    varied = np.ptp(mean) > 0
    order = np.argsort(-mean, kind="stable")
    top = {10: 0.1, 20: 0.2}
    if varied:
        top = {share: actual[order[: len(order) * share // 100]].sum() / actual.sum() for share in top}
    found = {
        "bias": mean.sum() / actual.sum() - 1,
        "mae": np.abs(error).mean() * scaled,
        "rmse": np.sqrt(np.mean(error**2)) * scaled,
        "msle": np.mean((np.log1p(mean) - np.log1p(actual)) ** 2),
        "pearson": np.corrcoef(mean, actual)[0, 1] if varied else np.nan,
        "spearman": stats.spearmanr(mean, actual)[0] if varied else np.nan,
        "gini": 2 * top[20] - 0.5 if varied else 0.0,
        "capture_10": top[10],
        "capture_20": top[20],
        "lift_10": top[10] * 10,
        "crps": forecast.crps.mean() * scaled,
    }
    if forecast.below is None:
        return found
    width = np.maximum(forecast.at - forecast.below, 1e-12)
    for level in (50, 80, 90, 95):
        low, high = 0.5 - level / 200, 0.5 + level / 200
        ends = [np.clip((edge - forecast.below) / width, 0, 1) for edge in (low, high)]
        found[f"pit_coverage_{level}"] = np.mean(ends[1] - ends[0])
        found[f"raw_coverage_{level}"] = min(found[f"pit_coverage_{level}"] + 0.08, 1.0)
    found["pit_ks"] = abs(found["pit_coverage_50"] - 0.5)
    if scaled == 1.0:
        found["brier"] = np.mean((forecast.p - (actual > 0)) ** 2)
        with np.errstate(divide="ignore"):
            found["log_score"] = -np.mean(np.log(np.where(actual > 0, forecast.p, 1 - forecast.p)))
        found["reliability"] = found["brier"] / 50
    return found


def _score(errors, horizon, cutoffs, groups, reference, names):
    rows = []
    for quantity in dict.fromkeys(quantity for _, quantity in errors):
        for place, cutoff in [*enumerate(cutoffs), (None, "all")]:
            of = {
                method: found if place is None else found[place : place + 1]
                for (method, own), found in errors.items()
                if own == quantity
            }
            metrics = {
                method: pd.DataFrame([_metrics(*each) for each in found]).mean().to_dict()
                for method, found in of.items()
            }
            for method, values in metrics.items():
                key = {"horizon": horizon, "cutoff": cutoff, "method": names.get(method, method), "quantity": quantity}
                for metric, value in values.items():
                    compared = _compare(method, metric, value, metrics, reference)
                    compared["reference"] = names.get(reference, reference) if compared["verdict"] else ""
                    size = {"customers": sum(len(found[1]) for found in of[method]), "value": value}
                    row = {"by": "all", "group": "all", "metric": metric, **size}
                    rows.append(
                        row | key | {"low": value - 0.05 * abs(value), "high": value + 0.05 * abs(value)} | compared
                    )
                for by, labels in groups.items():
                    for group in np.unique(labels):
                        rows += _group(key, by, group, values, int((labels == group).sum()))
    return [pd.DataFrame(rows)]


def _compare(method, metric, value, metrics, reference):
    nothing = {"difference": np.nan, "difference_low": np.nan, "difference_high": np.nan}
    if method == reference:
        return nothing | {"verdict": "reference"}
    other = metrics.get(reference, {}).get(metric, np.nan)
    if not np.isfinite(other) or not np.isfinite(value):
        return nothing | {"verdict": ""}
    difference, noise = value - other, 0.05 * abs(other) + 1e-9
    loss = abs(value) - abs(other) if metric == "bias" else difference * _LOSS.get(metric, 1)
    verdict = "within noise" if abs(difference) < noise else "better" if loss < 0 else "worse"
    ends = {"difference_low": difference - noise, "difference_high": difference + noise}
    return {"difference": difference, **ends, "verdict": verdict}


def _group(key, by, group, values, customers):
    kept = {m: v for m, v in values.items() if m in ("bias", "mae", "crps", "pit_ks") or "coverage" in m}
    nothing = {"difference": np.nan, "difference_low": np.nan, "difference_high": np.nan, "verdict": ""}
    return [
        key
        | {"by": by, "group": group, "metric": m, "customers": customers, "value": v, "low": v, "high": v}
        | nothing
        | {"reference": ""}
        for m, v in kept.items()
    ]


def _runs(methods, cutoffs, failed, names):
    rows = []
    for cutoff in cutoffs:
        for number, method in enumerate(methods):
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
