"""Simulated logs and summaries with known truth."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from predclv.data.checks import check_option
from predclv.data.durations import DAYS_PER_UNIT, check_time_unit, parse_horizon
from predclv.data.rfm import RFMSummary
from predclv.datasets.opportunities import simulate_opportunities, simulate_opportunity_log
from predclv.datasets.populations import (
    draw_opportunity_population,
    draw_population,
    predict_effects,
    settle_parameters,
    settle_spend,
)
from predclv.datasets.truth import SimulatedLog, SimulatedSummary

__all__ = ["simulate", "simulate_rfm"]

FloatArray = NDArray[np.float64]


def simulate(
    model: str = "bg_nbd",
    *,
    n_customers: int = 1_000,
    parameters: Mapping[str, float] | None = None,
    spend: Mapping[str, float] | None = None,
    k: int | None = None,
    time_unit: str = "week",
    start: str | dt.date = "2024-01-01",
    births: Any = "12 weeks",
    observed: Any = "39 weeks",
    holdout: Any = None,
    resolution: str = "second",
    seed: int = 0,
) -> SimulatedLog:
    """Simulate a purchase log.

    Parameters
    ----------
    model : {"bg_nbd", "mbg_nbd", "bg_cnbd", "mbg_cnbd", "pareto_nbd", "nbd", "bg_bb"}
    n_customers : int
    parameters : mapping, optional
        r, alpha, a, b (Pareto/NBD: r, alpha, s, beta; NBD: r, alpha), in `time_unit`; BG/BB: alpha, beta,
        gamma, delta; by default published estimates.
    spend : mapping, optional
        p, q, gamma of the Gamma-Gamma model; by default those of CDNOW.
    k : int, optional
        Events to a purchase of the CNBD models; by default 2.
    time_unit : {"hour", "day", "week", "year"}
        For BG/BB the opportunity: "year", "quarter", "month", "week" or "day", a period of the calendar. Then the spans
        below are whole numbers of these, and a purchase is on some day of its period.
    start : date or ISO text
        First day.
    births : duration
        First purchases are spread evenly over so long from the start: "12 weeks", or a number in `time_unit`.
    observed : duration
        From the start to the end of observation.
    holdout : duration, optional
        How long the log goes on after it.
    resolution : {"second", "day"}
        Fineness of the dates. Days merge purchases once a log is collapsed; seconds keep continuous time.
    seed : int

    Returns
    -------
    SimulatedLog

    Raises
    ------
    ValueError
        An option or parameter is out of range.
    """
    from predclv.kernels.lives import simulate_log

    check_option("resolution", resolution, ("second", "day"))
    population_parameters, spend_parameters = settle_parameters(model, parameters), settle_spend(spend)
    if model == "bg_bb":
        generator = np.random.default_rng(seed)
        members = draw_opportunity_population(
            generator, _positive(n_customers), population_parameters, spend_parameters, k
        )
        found = simulate_opportunity_log(generator, members, time_unit, start, births, observed, holdout)
        return SimulatedLog(*found[:2], population_parameters, spend_parameters, model, time_unit, *found[2:])
    first_day = pd.Timestamp(start).normalize()
    spans = [0.0 if span is None else parse_horizon(span, time_unit).length for span in (births, observed, holdout)]
    if not all(map(math.isfinite, spans)):
        raise ValueError("A log cannot be simulated without end.")
    if spans[0] > spans[1]:
        raise ValueError(f"births={births!r} must not outlast observed={observed!r}.")
    seconds_per_unit = DAYS_PER_UNIT[time_unit] * 86_400
    # Observation and log end with a whole day.
    days = [math.ceil(round(span * seconds_per_unit / 86_400, 6)) for span in (spans[1], spans[1] + spans[2])]
    observed_length, whole_length = (count * 86_400 / seconds_per_unit for count in days)
    generator = np.random.default_rng(seed)
    customers = draw_population(generator, _positive(n_customers), model, population_parameters, spend_parameters, k)
    born = np.sort(generator.uniform(0.0, spans[0], n_customers))
    customer, time, amount, left = simulate_log(
        generator,
        whole_length - born,
        customers.rate,
        customers.dropout,
        customers.lifetime,
        customers.spend_rate,
        customers.spend_shape,
        customers.k,
        customers.dropout_at_first,
    )

    dates = partial(_to_dates, first_day=first_day, seconds_per_unit=seconds_per_unit, resolution=resolution)
    at = born[customer] + time
    order = np.argsort(at, kind="stable")
    log = pd.DataFrame({"customer_id": customer[order] + 1, "date": dates(at[order]), "amount": amount[order]})
    truth = _describe(customers.rate / customers.k, customers.dropout, customers.spend_shape / customers.spend_rate)
    truth.insert(1, "first_purchase", dates(born))
    truth["left"] = dates(born + left)
    truth["alive"] = born + left > observed_length
    ends = [(first_day + pd.Timedelta(days=count - 1)).date() for count in days]
    return SimulatedLog(log, truth, population_parameters, spend_parameters, model, time_unit, ends[0], ends[1])


def simulate_rfm(
    model: str = "bg_nbd",
    *,
    n_customers: int = 1_000,
    parameters: Mapping[str, float] | None = None,
    spend: Mapping[str, float] | None = None,
    k: int | None = None,
    time_unit: str = "week",
    T: float | tuple[float, float] | FloatArray = (27.0, 39.0),
    horizons: Sequence[Any] = (),
    discount_rate: float = 0.10,
    lattice: int | None = None,
    covariates: Mapping[str, ArrayLike] | None = None,
    purchase_effects: Mapping[str, float] | None = None,
    dropout_effects: Mapping[str, float] | None = None,
    seed: int = 0,
) -> SimulatedSummary:
    """Simulate a summary and its future, without the log between them.

    Parameters
    ----------
    model, n_customers, parameters, spend, k, time_unit, seed
        As in `simulate`.
    T : float, (low, high) or (n_customers,) array
        Ages, in `time_unit`: one for all, even over a range, or given.
    horizons : sequence of durations
        How far to look: "39 weeks", or numbers in `time_unit`; increasing, finite.
    discount_rate : float
        A year, effective.
    lattice : int, optional
        Steps per time unit (7 for days in weeks): T is rounded to them and recency up to them, as in a log of dates,
        where no two purchases merge. Without it, time is continuous. BG/BB counts, and rounds T, without it.
    covariates : mapping of name to (n_customers,) array, optional
        Columns that the summary carries.
    purchase_effects, dropout_effects : mapping of str to float, optional
        Coefficients of a column, "age", or of a level, "channel=paid", as the models have them: exponentials multiply
        the purchase rate, and the rate or the odds of leaving. `parameters` are those where all covariates are 0.
    seed : int

    Returns
    -------
    SimulatedSummary

    Raises
    ------
    ValueError
        An option or parameter is out of range.
    """
    from predclv.kernels.lives import simulate_histories

    population_parameters, spend_parameters = settle_parameters(model, parameters), settle_spend(spend)
    if model == "bg_bb":
        if covariates or purchase_effects or dropout_effects:
            raise ValueError("BG/BB knows no covariates. Leave covariates, purchase_effects and dropout_effects out.")
        return _simulate_opportunities(
            n_customers,
            population_parameters,
            spend_parameters,
            k,
            time_unit,
            T,
            horizons,
            discount_rate,
            lattice,
            seed,
        )
    check_time_unit(time_unit)
    lengths = np.array([parse_horizon(horizon, time_unit).length for horizon in horizons])
    if not (np.isfinite(lengths).all() and (np.diff(lengths) > 0).all()):
        raise ValueError(f"horizons={tuple(horizons)!r} must increase and be finite.")
    _check_rate(discount_rate)
    delta = math.log1p(discount_rate) * DAYS_PER_UNIT[time_unit] / 365.25
    generator = np.random.default_rng(seed)
    predictors = (
        predict_effects(_positive(n_customers), covariates, purchase_effects, "purchase_effects"),
        predict_effects(n_customers, covariates, dropout_effects, "dropout_effects"),
    )
    customers = draw_population(generator, n_customers, model, population_parameters, spend_parameters, k, predictors)
    age = _draw_ages(generator, T, n_customers, lattice)
    x, t_x, money, left, purchases, future_spend, value, log_itt = simulate_histories(
        generator,
        age,
        customers.rate,
        customers.dropout,
        customers.lifetime,
        customers.spend_rate,
        customers.spend_shape,
        customers.k,
        customers.dropout_at_first,
        lengths,
        delta,
    )
    truth = _describe(customers.rate / customers.k, customers.dropout, customers.spend_shape / customers.spend_rate)
    truth["left"] = left
    truth["alive"] = left > age
    rfm = RFMSummary(
        customer_id=truth["customer_id"].to_numpy(),
        frequency=x,
        recency=t_x if lattice is None else np.minimum(np.ceil(t_x * lattice) / lattice, age),
        T=age,
        monetary_value=np.divide(money, x, out=np.zeros(n_customers), where=x > 0),
        log_itt=log_itt if model.endswith("cnbd") else None,
        carried={name: np.asarray(column) for name, column in (covariates or {}).items()},
        time_unit=time_unit,
    )
    return SimulatedSummary(
        rfm, truth, lengths, purchases, future_spend, value, delta, population_parameters, spend_parameters, model
    )


def _simulate_opportunities(
    n_customers: int,
    parameters: dict[str, float],
    spend: dict[str, float],
    k: int | None,
    opportunities: str,
    T: float | tuple[float, float] | FloatArray,
    horizons: Sequence[Any],
    discount_rate: float,
    lattice: int | None,
    seed: int,
) -> SimulatedSummary:
    if lattice is not None:
        raise ValueError(f"lattice={lattice} is of time, and opportunities are whole. Leave it out.")
    _check_rate(discount_rate)
    generator = np.random.default_rng(seed)
    members = draw_opportunity_population(generator, _positive(n_customers), parameters, spend, k)
    age = _draw_ages(generator, T, n_customers, 1)
    rfm, truth, lengths, future, delta = simulate_opportunities(
        generator, members, age, horizons, opportunities, discount_rate
    )
    return SimulatedSummary(rfm, truth, lengths, *future, delta, parameters, spend, "bg_bb")


def _check_rate(discount_rate: float) -> None:
    if discount_rate < 0:
        raise ValueError(f"'discount_rate' must be at least 0. Got {discount_rate}.")


def _to_dates(
    time: FloatArray, *, first_day: pd.Timestamp, seconds_per_unit: float, resolution: str
) -> NDArray[np.datetime64]:
    """Round times down to dates; infinity becomes null."""
    unit, seconds = ("s", 1) if resolution == "second" else ("D", 86_400)
    known = np.isfinite(time)
    steps = np.floor(np.where(known, time, 0.0) * seconds_per_unit / seconds).astype(f"timedelta64[{unit}]")
    dates: NDArray[np.datetime64] = (first_day.to_datetime64().astype(f"datetime64[{unit}]") + steps).astype(
        "datetime64[s]"
    )
    dates[~known] = np.datetime64("NaT")
    return dates


def _draw_ages(
    generator: np.random.Generator, T: float | tuple[float, float] | ArrayLike, n: int, lattice: int | None
) -> FloatArray:
    if isinstance(T, tuple):
        ages = generator.uniform(T[0], T[1], n)
    else:
        ages = np.broadcast_to(np.asarray(T, dtype=np.float64), (n,)).copy()
    if not (np.isfinite(ages).all() and (ages >= 0).all()):
        raise ValueError("'T' must be at least 0 and finite.")
    return ages if lattice is None else np.round(ages * lattice) / lattice


def _describe(purchase_rate: FloatArray, dropout: FloatArray, mean_spend: FloatArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "customer_id": np.arange(1, len(purchase_rate) + 1),
            "purchase_rate": purchase_rate,
            "dropout_probability": dropout,
            "mean_spend": mean_spend,
        }
    )


def _positive(n_customers: int) -> int:
    if n_customers < 1:
        raise ValueError(f"'n_customers' must be at least 1. Got {n_customers}.")
    return n_customers
