"""Who is left of each cohort of contracts, beside replications of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.checks.replications import DRAWS, check_arguments
from predclv.checks.results import PredictiveCheck, judge
from predclv.data.subscription_cohorts import Cohorts, find_cohorts
from predclv.data.subscriptions import Subscriptions
from predclv.errors import UnitError
from predclv.forecast.contract_checks import (
    Groups,
    Losses,
    expected_losses,
    observed_losses,
    pool,
    replicate_losses,
)
from predclv.forecast.fit_checks import interval
from predclv.forecast.predictive_checks import Quantity, chi_squared
from predclv.models.contracts.inputs import require_subscriptions, whole_weights
from predclv.models.contracts.model import ContractModel

__all__ = ["check_survivors"]

IntArray = NDArray[np.int64]


def check_survivors(
    model: ContractModel, subs: Subscriptions, *, cohort: str | None = None, level: float = 0.9, n_draws: int = DRAWS
) -> PredictiveCheck:
    """Compare who is left of each cohort, renewal by renewal, with what the model says.

    Parameters
    ----------
    model : fitted SBG or BDW
    subs : Subscriptions
        In the period of the fit; the contracts of the fit, or others.
    cohort : str, optional
        Carried column that names each contract's cohort, oldest first in the order of its values. By default those of
        `from_cohorts`, in the order of the table, or the months, quarters or years in which contracts began: the finest
        that make no more than 12.
    level : float
        Probability of the bands.
    n_draws : int
        Replications, at most as many as the posterior has draws; fewer, 64 at least,
        where contracts are renewed so often (daily, for years) that all would take too long.

    Returns
    -------
    PredictiveCheck
        `table`: cohort, period (renewals), customers (for whom that renewal has come up, whether they lived to it or
        not), actual, expected, low, high (who is left of them), a row for each cohort and period.
        Quantities: contracts lost in all; lost at the first renewal; the mean place of the lost among cohorts, from 0,
        the oldest, to 1 (high where newer customers are less loyal); and chi-squared of the lost by renewal, by cohort
        and, where dates are known, by period of the calendar (a raised price, a competitor). Neighbouring bins are
        taken together until each is expected to hold 5.

    Raises
    ------
    TypeError, NotFittedError
        `model` is no contract model, or not fitted; `subs` are no Subscriptions.
    UnitError
        Contracts are renewed by another period than those of the fit.
    DataError
        It is not known how many renewals have come up for contracts that ended, or rows stand for parts of customers.
    ValueError
        `level` or `n_draws` mean nothing, or each segment has parameters of its own.

    Notes
    -----
    Data are used twice where `subs` are what the model was fitted on, so p-values are conservative: the number lost in
    all it can hardly miss. Differences between cohorts and times it can.
    """
    draws = model_draws(model, subs, level, n_draws)
    cohorts = find_cohorts(subs, cohort)
    groups = group(subs, cohorts)
    # Those expected are of the draws that are replicated.
    replicated = replicate_losses(groups, draws, int(model.random_state))
    expected = expected_losses(groups, draws[: len(replicated.by_cohort)])
    observed = observed_losses(groups)
    quantities = _quantities(observed, replicated, expected, dated=cohorts.start is not None)
    table = _table(cohorts.names, groups, observed, replicated, expected, level)
    n = int(groups.customers.sum())
    return PredictiveCheck(table, *judge(quantities, level), level, n, n)


def model_draws(model: Any, subs: Any, level: float, n_draws: int) -> NDArray[np.float64]:
    """Check what is asked for; return draws as the kernels take them."""
    draws = check_arguments(model, "contract", level, n_draws)
    require_subscriptions(subs)
    if subs.period != model.fingerprint_.time_unit:
        raise UnitError(
            f"The model was fitted on contracts renewed by the {model.fingerprint_.time_unit}, and these are renewed "
            f"by the {subs.period}."
        )
    full: NDArray[np.float64] = model.full_theta(draws)
    return full


def group(subs: Subscriptions, cohorts: Cohorts) -> Groups:
    """Take together the contracts that the model cannot tell apart."""
    weight = whole_weights(subs)
    start = np.zeros(len(subs), dtype=np.int64) if cohorts.start is None else cohorts.start
    keys, code = np.unique(np.column_stack((cohorts.code, cohorts.due, start)), axis=0, return_inverse=True)
    code = code.ravel()
    lost = np.zeros((len(keys), max(int(cohorts.due.max()), 1)), dtype=np.int64)
    np.add.at(lost, (code[subs.lost], subs.tenure[subs.lost]), weight[subs.lost])
    customers = np.bincount(code, weights=weight, minlength=len(keys)).astype(np.int64)
    return Groups(keys[:, 0].copy(), keys[:, 1].copy(), keys[:, 2].copy(), customers, lost)


def _quantities(observed: Losses, replicated: Losses, expected: Losses, *, dated: bool) -> list[Quantity]:
    def both(measure: Any) -> tuple[float, NDArray[np.float64]]:
        return float(measure(observed)[0]), np.asarray(measure(replicated), dtype=np.float64)

    n_cohorts = observed.by_cohort.shape[1]
    quantities = [
        Quantity("contracts lost", *both(lambda of: of.by_renewal.sum(axis=1))),
        Quantity("contracts lost at the first renewal", *both(lambda of: of.by_renewal[:, 0])),
    ]
    if n_cohorts > 1:
        place = np.arange(n_cohorts) / (n_cohorts - 1)
        name = "mean place of the lost among cohorts, 0 (oldest) to 1"
        quantities.append(Quantity(name, *both(lambda of: _mean_place(of.by_cohort, place))))
    bins = {"by_renewal": "lost by renewal", "by_cohort": "lost by cohort", "by_calendar": "lost by calendar period"}
    for field, name in bins.items():
        if (field == "by_cohort" and n_cohorts == 1) or (field == "by_calendar" and not dated):
            continue
        quantities.append(
            _chi_squared(f"{name} (chi-squared)", *(getattr(of, field) for of in (observed, replicated, expected)))
        )
    return quantities


def _chi_squared(name: str, observed: Any, replicated: Any, expected: Any) -> Quantity:
    codes = pool(expected.mean(axis=0))
    data, many, under = (_add_up(by_bin, codes) for by_bin in (observed, replicated, expected))
    return Quantity.discrepancy(name, lambda counts: chi_squared(counts, under), data[0], many)


def _add_up(by_bin: NDArray[np.float64], codes: IntArray) -> NDArray[np.float64]:
    found = np.zeros((int(codes[-1]) + 1, len(by_bin)))
    np.add.at(found, codes, by_bin.T)
    return found.T


def _mean_place(by_cohort: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    total = by_cohort.sum(axis=1)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = (by_cohort * place).sum(axis=1) / total
    return mean


def _table(
    names: list[Any], groups: Groups, observed: Losses, replicated: Losses, expected: Losses, level: float
) -> pd.DataFrame:
    eligible = groups.eligible
    cohort, renewal = np.nonzero(eligible)
    low, high = interval(replicated.survivors.reshape(len(replicated.survivors), -1), level)
    shape = eligible.shape
    return pd.DataFrame(
        {
            "cohort": [names[i] for i in cohort],
            "period": renewal + 1,
            "customers": eligible[cohort, renewal],
            "actual": observed.survivors[0, cohort, renewal].astype(np.int64),
            "expected": expected.survivors.mean(axis=0)[cohort, renewal],
            "low": low.reshape(shape)[cohort, renewal],
            "high": high.reshape(shape)[cohort, renewal],
        }
    )
