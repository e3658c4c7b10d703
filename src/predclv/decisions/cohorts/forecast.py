"""What cohorts will do: their future periods by a fitted model, with bands from joint draws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.calendar import period_index
from predclv.data.columns import margins, mean_spend
from predclv.data.durations import Horizon
from predclv.data.opportunities import number_periods
from predclv.data.rfm import RFMSummary
from predclv.decisions.cohorts.continuation import CohortForecast, tabulate_cells, tabulate_totals
from predclv.decisions.cohorts.future import add_observed, bought_this_period, future_periods, past_periods
from predclv.decisions.cohorts.shocks import PastPeriods, Shocks, shock
from predclv.decisions.cohorts.table import CohortTable
from predclv.errors import DataError
from predclv.inference.posterior import check_level, check_number
from predclv.kernels.period_paths import MEASURES
from predclv.models.base import require_summary
from predclv.models.horizons import warn_long_horizon
from predclv.models.pair import Pair
from predclv.models.transactions import TransactionModel
from predclv.models.valuation import seed_of_part
from predclv.value import CLV

__all__ = ["continue_cohorts"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Customer-draws that are simulated, and draws: few enough for minutes, many enough for the ends of a band.
_BUDGET = 300_000_000
_FEWEST, _MOST = 100, 1024
# Totals held: 80 MB.
_TOTALS = 10_000_000


def continue_cohorts(
    model: CLV | TransactionModel,
    rfm: RFMSummary | Iterable[RFMSummary],
    table: CohortTable,
    horizon: Any = "1 year",
    *,
    margin: float | str | None = None,
    level: float = 0.9,
    shocks: float | None = None,
    n_draws: int | None = None,
) -> CohortForecast:
    """Predict what each cohort does in the periods to come, given each customer's history.

    Parameters
    ----------
    model : CLV or TransactionModel
        Fitted; a CLV for revenue and margin, which a transaction model alone does not know.
    rfm : RFMSummary, or iterable of parts of one
        Of the same log, as of the same date, by the same rules; with `carry=[by]` where the table has segments. In
        parts, no more than one of them need be in memory.
    table : CohortTable
    horizon : str, number or date
        "12 months", a number of the table's periods, or the last day of one. Where the as-of date lies within a period,
        the rest of it is the first.
    margin : float or str, optional
        Share of spend that is kept, or the carried column that holds it; by default as in the table.
    level : float
        Probability of the bands.
    shocks : float, optional
        How far good and bad times move all customers' purchases together: the standard deviation of the logarithm,
        0.1 for a tenth. By default as estimated from how far the past periods of this log were off what the model
        expects, beyond chance; 0 believes the model. A shock is taken to last through the horizon, for nobody knows
        that it evens out.
    n_draws : int, optional
        Draws of the parameters, each with one future of every customer; by default 1,024, fewer from 300,000 customers
        on, never below 100.

    Returns
    -------
    CohortForecast

    Raises
    ------
    TypeError
        The model is of contracts, whose cohorts its own survival curve continues.
    DataError
        Summary and table are not of the same customers; or the horizon is no whole number of periods.

    Warns
    -----
    HorizonWarning
        The horizon reaches further than any customer behind the fit has been observed.

    Notes
    -----
    The chance that a customer buys in a period to come depends on two dates, so it is simulated: every customer's
    purchases one by one, given the history, once per draw of the parameters. Memory grows with customers and with draws
    times cells, not with their product.
    """
    check_level(level)
    transactions = _check_model(model)
    given = None if shocks is None else _given_shocks(shocks)
    chunks = [rfm] if isinstance(rfm, RFMSummary) else rfm
    work: _Work | None = None
    for number, chunk in enumerate(chunks):
        _check_summary(chunk, transactions, table)
        if work is None:
            work = _begin(chunk, transactions, table, horizon, n_draws)
        _add_chunk(work, model, chunk, table, margin, number, with_past=given is None)
    if work is None:
        raise DataError("There are no customers to continue.")
    _require_all(work.seen, table)
    found, numbers, draws, has_money = work.found, work.numbers, work.n_draws, isinstance(model, CLV)
    effect = given or work.past.shocks()
    factors = effect.draw(draws, int(transactions.random_state))
    shock(found, factors, table.cohorts["customers"].to_numpy(dtype=np.float64))
    share = table.settings["margin"] if margin is None else margin
    add_observed(found, table, numbers, has_money, share)
    names = MEASURES if has_money else MEASURES[:2]
    settings = {
        "period": table.settings["period"],
        "by": table.settings["by"],
        "level": level,
        "end": table.settings["end"],
        "horizon": work.label,
        "currency": table.settings["currency"],
        "n_draws": draws,
        "shocks": effect,
    }
    cells, totals = (
        tabulate_cells(found, table, numbers, names, level),
        tabulate_totals(found, table, numbers, names, level),
    )
    return CohortForecast(cells, totals, found if has_money else found[..., :2], MappingProxyType(settings))


@dataclass
class _Work:
    """What is under way: totals of the chunks so far, and who has been seen."""

    numbers: IntArray
    edges: FloatArray
    label: str
    n_draws: int
    found: FloatArray
    seen: IntArray
    past: PastPeriods


def _begin(rfm: RFMSummary, model: TransactionModel, table: CohortTable, horizon: Any, n_draws: int | None) -> _Work:
    numbers, edges, label = future_periods(rfm, table, horizon)
    warn_long_horizon(Horizon(float(edges[-1]), label), model.fingerprint_.longest_age, rfm.time_unit)
    n_customers, shape = int(table.cohorts["customers"].sum()), (len(table.cohorts), len(numbers), len(MEASURES))
    if n_draws is None:
        n_draws = _number_of_draws(n_customers, int(np.prod(shape)))
    elif check_number("n_draws", n_draws) < 64 or n_draws != int(n_draws):
        raise ValueError(f"'n_draws' must be a whole number from 64 on. Got {n_draws!r}.")
    found = np.zeros((int(n_draws), *shape))
    return _Work(
        numbers, edges, label, int(n_draws), found, np.zeros(shape[0], dtype=np.int64), past_periods(rfm, table)
    )


def _add_chunk(
    work: _Work,
    model: CLV | TransactionModel,
    rfm: RFMSummary,
    table: CohortTable,
    margin: float | str | None,
    number: int,
    *,
    with_past: bool,
) -> None:
    """Simulate the customers of one summary."""
    transactions = _check_model(model)
    transactions.warn_outside(rfm)
    codes = _codes(rfm, table)
    work.seen += np.bincount(codes, minlength=len(work.seen))
    share = table.settings["margin"] if margin is None else margin
    spent = mean_spend(rfm) if isinstance(model, CLV) else np.zeros(len(rfm))
    kept = margins(rfm, share) if isinstance(model, CLV) else np.zeros(len(rfm))
    counted = bought_this_period(rfm, table, work.numbers)
    columns = rfm.frequency.astype(np.float64), rfm.recency, rfm.T, spent, kept, codes, counted
    seed = seed_of_part(int(transactions.random_state), number)
    for part, (rows, theta, theta_spend) in enumerate(_parts(model, rfm, work.n_draws)):
        customers: Any = tuple(column[rows] for column in columns)
        work.found += transactions.bindings.simulate_periods(
            customers, len(table.cohorts), work.edges, theta, theta_spend, seed_of_part(seed, part)
        )
    if with_past:
        work.past.add(transactions, rfm, seed)


def _check_model(model: object) -> TransactionModel:
    if not isinstance(model, CLV | TransactionModel):
        raise TypeError(
            f"Cohorts are continued by a fitted CLV or transaction model. Got {type(model).__name__}; contracts follow "
            "their survival curve."
        )
    check_is_fitted(model)
    transactions = model.transactions_ if isinstance(model, CLV) else model
    if not isinstance(transactions, TransactionModel):
        raise TypeError(
            f"{type(transactions).__name__} forecasts renewals of contracts: its survival curve continues a cohort. "
            "Purchases are continued by a transaction model."
        )
    return transactions


def _check_summary(rfm: object, model: TransactionModel, table: CohortTable) -> None:
    require_summary(rfm)
    assert isinstance(rfm, RFMSummary)
    rfm.require_customers("A continuation of cohorts")
    rfm.require_joint_spend("A continuation of cohorts")
    model.check_counts(rfm)
    rfm.require_compatible(time_unit=model.fingerprint_.time_unit, collapse=model.fingerprint_.collapse)
    if rfm.first_purchase is None or rfm.observation_end is None:
        raise DataError(
            "The summary does not say when customers first bought, or as of when: make it by from_transactions, or "
            "give from_frame first_purchase and observation_end."
        )
    if rfm.observation_end != table.settings["end"]:
        raise DataError(
            f"The summary is as of {rfm.observation_end}, the table as of {table.settings['end']}. Make both with the "
            "same observation_end."
        )


def _codes(rfm: RFMSummary, table: CohortTable) -> IntArray:
    """Which cohort of the table each customer is of; DataError where the two do not agree."""
    by = table.settings["by"]
    assert rfm.first_purchase is not None
    days = rfm.first_purchase.astype("datetime64[D]").astype(np.int64) + dt.date(1970, 1, 1).toordinal()
    numbers = number_periods(days, table.settings["period"])
    if by is not None and by not in rfm.carried:
        raise DataError(f"The table is by {by!r}, which the summary does not carry. Give it carry=[{by!r}].")
    segment = np.full(len(rfm), "all") if by is None else rfm.carried[by]
    known = table.activity.cohorts
    keys = pd.MultiIndex.from_arrays([known["segment"].astype(str), known["cohort"]])
    own = pd.MultiIndex.from_arrays([pd.Series(segment).astype(str), numbers])
    codes = np.asarray(keys.get_indexer(own), dtype=np.int64)
    if (codes < 0).any():
        other = _cohort_of(own[int(np.argmin(codes))], table)
        raise DataError(
            f"The summary has customers of {other}, a cohort that the table has not: "
            "make both from the same log, with the same options."
        )
    return codes


def _cohort_of(key: Any, table: CohortTable) -> str:
    cohort = str(period_index(np.array([key[1]]), table.settings["period"])[0])
    return cohort if table.settings["by"] is None else f"{key[0]}, {cohort}"


def _require_all(seen: IntArray, table: CohortTable) -> None:
    wanted = table.cohorts["customers"].to_numpy()
    if (seen != wanted).any():
        first = table.cohorts.iloc[int(np.argmax(seen != wanted))]
        raise DataError(
            f"The summary has {seen.sum():,} customers and the table {wanted.sum():,}, with other cohorts (first: "
            f"{first['cohort']}): make both from the same log, with the same options."
        )


def _parts(
    model: CLV | TransactionModel, rfm: RFMSummary, n_draws: int
) -> Iterator[tuple[IntArray, FloatArray, FloatArray]]:
    """Rows of each part with parameters of their own, and its draws, which belong together row by row."""
    if isinstance(model, CLV):
        for part in Pair(model.transactions_, model.spend_).parts(rfm):
            theta, theta_spend = part.pair.draws(n_draws)
            yield part.rows, theta, theta_spend
        return
    for one, _, rows in model.parts(rfm):
        yield rows, one.posterior_.draws_array(n_draws), np.zeros((n_draws, 0))


def _given_shocks(given: float) -> Shocks:
    spread = check_number("shocks", given)
    if not 0 <= spread < 2:
        raise ValueError(f"'shocks' must be from 0 to 2, a standard deviation of logarithms. Got {given!r}.")
    return Shocks(float(spread), 0, f"{spread:.1%}, as given")


def _number_of_draws(n_customers: int, n_cells: int) -> int:
    return int(np.clip(min(_BUDGET // max(n_customers, 1), _TOTALS // max(n_cells, 1)), _FEWEST, _MOST))
