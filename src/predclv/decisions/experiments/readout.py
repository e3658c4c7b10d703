"""From the customers of an experiment to its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from predclv.decisions.experiments.arm_means import ArmMeans, adjusted_means, separate_means
from predclv.decisions.experiments.forecast_means import FittedCustomers, fit_customers
from predclv.decisions.experiments.options import Models, Plan
from predclv.decisions.experiments.trial import Trial
from predclv.decisions.experiments.words import EDGE, NOT_ENOUGH, design_notes, thin_note
from predclv.errors import DataQualityWarning, warn
from predclv.models.horizons import parse_discount_rate, warn_long_horizon

__all__ = ["read_out"]

FloatArray = NDArray[np.float64]

# Below that, models of an arm's own say next to nothing.
_FEW_BUYERS = 30
# Of a test of whether this is an experiment at all: one in a thousand is alarmed for nothing.
_ALARM = 1e-3
_LISTED = 5
_DRAWS = 20_000


@dataclass(frozen=True)
class Outcome:
    """What is compared: something observed, something forecast, or their sum; by what it is adjusted."""

    name: str
    observed: str | None
    forecast: str | None
    covariate: str

    @property
    def rests_on(self) -> str:
        """What it is made of."""
        return "data" if self.forecast is None else "model" if self.observed is None else "both"


_MONEY = (
    Outcome("value", "value_so_far", "expected_clv", "expected_clv"),
    Outcome("value_so_far", "value_so_far", None, "expected_clv"),
    Outcome("expected_clv", None, "expected_clv", "expected_clv"),
)
_COUNTS = (
    Outcome("purchases", "purchases_so_far", "expected_purchases", "expected_purchases"),
    Outcome("purchases_so_far", "purchases_so_far", None, "expected_purchases"),
    Outcome("bought", "bought", None, "p_purchase"),
    Outcome("expected_purchases", None, "expected_purchases", "expected_purchases"),
    Outcome("p_purchase", None, "p_purchase", "p_purchase"),
)


def read_out(
    trial: Trial, models: Models, plan: Plan, *, horizon: Any, discount_rate: float, margin: float | str
) -> dict[str, Any]:
    """Fit, compare, and tell: the fields of `Experiment`."""
    has_money = trial.rfm.monetary_value is not None
    models = (models[0], models[1] if has_money else None)
    parsed = models[0].parse_horizon(horizon, trial.rfm.time_unit, trial.rfm.observation_end)
    if not np.isfinite(parsed.length):
        raise ValueError("An experiment is read over a finite horizon. Give '1 year', or '5 years'.")
    delta = parse_discount_rate(discount_rate, parsed, trial.rfm.time_unit)
    warn_long_horizon(parsed, float(trial.rfm.T.max()), trial.rfm.time_unit)
    told = {"margin": margin, "horizon": parsed.length, "delta": delta}
    outcomes = [*(_MONEY if has_money else ()), *_COUNTS]
    if plan.exposed is not None:
        outcomes.insert(1, Outcome("won", "won", None, ""))
    if trial.before is None:
        means, fits, alarms = _by_arm(trial, models, plan, outcomes, told)
    else:
        means, fits, alarms = _adjusted(trial, models, plan, outcomes, told)
    thin = _thin(trial)
    headline = means[outcomes[0].name]
    settings = {
        "design": "acquisition" if trial.before is None else "existing customers",
        "horizon": parsed.label,
        "time_unit": trial.rfm.time_unit,
        "length": trial.length,
        "level": plan.level,
        "power": plan.power,
        "control": plan.names[plan.control],
        "currency": trial.rfm.currency,
        "discount_rate": discount_rate,
        "model_share": _share_of_model(means, has_money),
        "thin": list(thin),
        "start": None if trial.before is None else trial.before.observation_end,
        "end": trial.rfm.observation_end,
    }
    notes = [
        *design_notes(
            settings,
            exposed=plan.exposed is not None,
            n_comparisons=len(plan.others),
        ),
        *trial.notes,
        *([thin_note(thin)] if thin else []),
        *([EDGE] if not all(fitted.is_determined for fitted in fits) else []),
    ]
    table = pd.DataFrame([row for outcome in outcomes for row in _rows(outcome, means[outcome.name], plan, thin)])
    influence = _influence(trial, plan, headline)
    if influence["decides"].any():
        first = influence[influence["decides"]].iloc[0]
        notes.append(
            f"one customer decides: without {first['customer_id']} the difference between {first['arm']} and "
            f"{first['against']} would be {first['without']:.4g} and not {first['difference']:.4g}"
        )
    for text in alarms:
        warn(f"Experiment: {text}.", DataQualityWarning)
    return {
        "table": table,
        "arms": _arms(trial, plan, headline),
        "influence": influence,
        "plan": pd.DataFrame([_plan_row(trial, plan, headline, arm) for arm in plan.others]),
        "balance": _balance(trial, plan),
        "warnings": tuple(alarms),
        "notes": tuple(notes),
        "settings": settings,
        "means": {name: found.without_customers() for name, found in means.items()},
    }


def _by_arm(
    trial: Trial, models: Models, plan: Plan, outcomes: Sequence[Outcome], told: Mapping[str, Any]
) -> tuple[dict[str, ArmMeans], list[FittedCustomers], list[str]]:
    """Arms given at acquisition: each by itself."""
    size = np.bincount(trial.code, minlength=len(plan.names)).astype(np.float64)
    fits = [
        fit_customers(models, trial.rfm.pick(np.flatnonzero(trial.code == i)), f"Arm {name!r}", **told)
        for i, name in enumerate(plan.names)
    ]
    units = size if plan.exposed is None else plan.exposed
    means = {}
    for each in outcomes:
        observed = None if each.observed is None else trial.observed[each.observed]
        found = separate_means(trial.code, fits, units, observed, each.forecast)
        # Only the headline's customers are looked at.
        means[each.name] = found if each is outcomes[0] else found.without_customers()
    alarms = _size_alarm(trial, plan)
    ages = [trial.rfm.T[trial.code == i] for i in range(len(plan.names))]
    unlike = stats.kruskal(*ages).pvalue if np.ptp(trial.rfm.T) > 0 else 1.0
    if unlike < _ALARM:
        listed = ", ".join(f"{name} {age.mean():.3g}" for name, age in zip(plan.names, ages, strict=True))
        alarms.append(
            f"customers of the arms are not equally old (mean age in {trial.rfm.time_unit}s: {listed}; p = {unlike:.2g}"
            "), so the arms did not run side by side, and a difference may be that of the times"
        )
    return means, fits, alarms


def _adjusted(
    trial: Trial, models: Models, plan: Plan, outcomes: Sequence[Outcome], told: Mapping[str, Any]
) -> tuple[dict[str, ArmMeans], list[FittedCustomers], list[str]]:
    """Existing customers: adjusted for what was forecast of each before the start."""
    assert trial.before is not None
    earlier = fit_customers(models, trial.before, "Before the start", **{**told, "horizon": trial.length})
    fitted = fit_customers(models, trial.rfm, "At the end", **told)
    means = {}
    for each in outcomes:
        observed = None if each.observed is None else trial.observed[each.observed]
        covariate = earlier.values(each.covariate)
        found = adjusted_means(trial.code, len(plan.names), covariate, observed, fitted, each.forecast)
        means[each.name] = found if each is outcomes[0] else found.without_customers()
    alarms = _size_alarm(trial, plan)
    groups = [earlier.values("expected_purchases")[trial.code == i] for i in range(len(plan.names))]
    unlike = stats.kruskal(*groups).pvalue if np.ptp(earlier.values("expected_purchases")) > 0 else 1.0
    if unlike < _ALARM:
        alarms.append(
            f"the arms differed before anything was done, in the purchases forecast at the start (p = {unlike:.2g}): "
            "they were not made by chance"
        )
    return means, [fitted], alarms


def _balance(trial: Trial, plan: Plan) -> float:
    units = np.bincount(trial.code, minlength=len(plan.names)) if plan.exposed is None else plan.exposed
    return float(stats.chisquare(units, plan.shares * units.sum()).pvalue)


def _size_alarm(trial: Trial, plan: Plan) -> list[str]:
    p_value = _balance(trial, plan)
    if p_value >= _ALARM:
        return []
    size = np.bincount(trial.code, minlength=len(plan.names)) if plan.exposed is None else plan.exposed
    listed = ", ".join(f"{n} {s:,.0f} ({p:.0%} planned)" for n, s, p in zip(plan.names, size, plan.shares, strict=True))
    whence = (
        "either customers got lost on the way, or the arm changes who becomes a customer, and then give exposed="
        if trial.before is None and plan.exposed is None
        else "some got lost on the way, and whoever is left may not be alike"
    )
    return [f"the arms' sizes are not those planned ({listed}; p = {p_value:.2g}): {whence}"]


def _thin(trial: Trial) -> dict[str, int]:
    """Arms of which nothing can be said, and how many repeat buyers they have."""
    buyers = np.bincount(trial.code, weights=trial.rfm.frequency > 0, minlength=len(trial.names)).astype(int)
    return {name: int(n) for name, n in zip(trial.names, buyers, strict=True) if n < _FEW_BUYERS}


def _rows(outcome: Outcome, means: ArmMeans, plan: Plan, thin: Mapping[str, int]) -> list[dict[str, Any]]:
    rows = []
    for arm in plan.others:
        found = means.compare(arm, plan.control)
        low, high = found.interval(plan.level)
        base = float(means.mean[plan.control])
        name, control = plan.names[arm], plan.names[plan.control]
        verdict = f"{name} higher" if low > 0 else f"{name} lower" if high < 0 else "cannot tell"
        if name in thin or control in thin:
            verdict = NOT_ENOUGH
        rows.append(
            {
                "outcome": outcome.name,
                "arm": name,
                "control": control,
                "mean": float(means.mean[arm]),
                "control_mean": base,
                "difference": found.difference,
                "low": low,
                "high": high,
                "relative": found.difference / base if base > 0 else np.nan,
                "p_beats": found.p_above,
                "rests_on": outcome.rests_on,
                "verdict": verdict,
            }
        )
    return rows


def _arms(trial: Trial, plan: Plan, headline: ArmMeans) -> pd.DataFrame:
    size = np.bincount(trial.code, minlength=len(plan.names))
    units = size if plan.exposed is None else plan.exposed
    best = headline.draws(_DRAWS, 0).argmax(axis=1)
    table = {
        "arm": list(plan.names),
        "customers": size,
        **({} if plan.exposed is None else {"exposed": plan.exposed.astype(np.int64)}),
        "share": units / units.sum(),
        "planned_share": plan.shares,
        "repeat_buyers": np.bincount(trial.code, weights=trial.rfm.frequency > 0).astype(np.int64),
        "mean_age": np.bincount(trial.code, weights=trial.rfm.T) / size,
        "p_best": np.bincount(best, minlength=len(plan.names)) / _DRAWS,
    }
    if len(plan.names) == 2:
        # Of two the probability is known without draws.
        above = headline.compare(plan.others[0], plan.control).p_above
        table["p_best"] = np.where(np.arange(2) == plan.control, 1 - above, above)
    return pd.DataFrame(table)


def _influence(trial: Trial, plan: Plan, headline: ArmMeans) -> pd.DataFrame:
    rows = []
    for arm in plan.others:
        found = headline.compare(arm, plan.control)
        reach = float(stats.t.ppf((1 + plan.level) / 2, found.df))
        move = headline.moves[arm] - headline.moves[plan.control]
        for i in np.argsort(-np.abs(move), kind="stable")[:_LISTED]:
            # To first order the mean without a customer lacks what he adds to its error, and so does its variance.
            without = found.difference - float(move[i])
            half = reach * float(np.sqrt(max(found.std_error**2 - float(move[i]) ** 2, 0.0)))
            now = _sign(found.difference, reach * found.std_error)
            rows.append(
                {
                    "customer_id": trial.rfm.customer_id[i],
                    "in_arm": plan.names[trial.code[i]],
                    "arm": plan.names[arm],
                    "against": plan.names[plan.control],
                    "difference": found.difference,
                    "without": without,
                    "decides": now != _sign(without, half) or abs(float(move[i])) > half,
                }
            )
    return pd.DataFrame(rows)


def _sign(difference: float, half: float) -> int:
    """1 or -1 where an interval leaves out 0."""
    return int(difference > half) - int(difference < -half)


def _plan_row(trial: Trial, plan: Plan, headline: ArmMeans, arm: int) -> dict[str, Any]:
    found = headline.compare(arm, plan.control)
    reach = float(stats.t.ppf((1 + plan.level) / 2, found.df) + stats.norm.ppf(plan.power))
    smallest = reach * found.std_error
    detect = np.nan if plan.detect is None else plan.detect
    # Errors fall with the root of the customers; on existing ones differences pile up with the time, errors with its
    # root.
    more = max((smallest / detect) ** 2 - 1, 0.0)
    size = np.bincount(trial.code, minlength=len(plan.names))
    now = float(size[arm] + size[plan.control])
    grows = trial.before is None
    return {
        "arm": plan.names[arm],
        "control": plan.names[plan.control],
        "smallest_detectable": smallest,
        "detect": detect,
        "customers": np.nan if np.isnan(detect) else np.ceil(now * (1 + more)) if grows else now,
        "further_time": np.nan if np.isnan(detect) else trial.length * more,
    }


def _share_of_model(means: Mapping[str, ArmMeans], has_money: bool) -> float:
    part, whole = ("expected_clv", "value") if has_money else ("expected_purchases", "purchases")
    total = float(means[whole].mean.mean())
    return float(means[part].mean.mean()) / total if total > 0 else 0.0
