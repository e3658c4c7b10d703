"""Customer equity: what the present customers and those who are yet to come are worth, less what winning them costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.checks import quote_list
from predclv.data.periods import DAYS_PER_PERIOD, check_period, parse_periods
from predclv.data.rfm import RFMSummary
from predclv.data.subscriptions import Subscriptions
from predclv.decisions.cohorts.arrivals import ArrivalForecast
from predclv.decisions.cohorts.arrivals_given import ALL, settle_arrivals
from predclv.decisions.cohorts.newcomers import value_newcomers
from predclv.decisions.cohorts.plan import Plan
from predclv.decisions.cohorts.table import CohortTable
from predclv.errors import DataError
from predclv.forecast.portfolio import add, expected_totals
from predclv.inference.posterior import check_level, check_number
from predclv.kernels.discounting import continuous_rate
from predclv.models.contracts.model import ContractModel
from predclv.models.valuation import portfolio_segments
from predclv.value import CLV

__all__ = ["CustomerEquity", "customer_equity"]

FloatArray = NDArray[np.float64]

PRESENT, TO_COME, COST, TOTAL = "present customers", "customers to come", "cost of winning them", "customer equity"


@dataclass(frozen=True, eq=False, repr=False)
class CustomerEquity:
    """Value of present and future customers within a horizon, discounted to the as-of date.

    Attributes
    ----------
    table : pandas.DataFrame
        part ("present customers", "customers to come", "cost of winning them", "customer equity"), segment ("all" for
        the sum; others where the models have segments), expected, low, high. The interval of the sum comes from joint
        draws: the same draw of the parameters values both, so it is not the sum of the ends.
        Where customers to come are rare or their number hardly known, the expected value, a mean, may lie above the
        interval: few of the draws then hold most of it.
    arrivals : pandas.DataFrame
        segment, period (1 is the next), expected (new customers) with low, high, value (of those who come in it, within
        the horizon, discounted to the as-of date, first purchase included as asked for) with value_low, value_high.
    draws : mapping of part to (n_draws,) array
    methods : mapping of segment to str
        How many are to come, in words.
    settings : mapping
        horizon, horizon_length (periods), period, discount_rate, margin, include_first, cac, level, currency.
    """

    table: pd.DataFrame
    arrivals: pd.DataFrame
    draws: Mapping[str, FloatArray]
    methods: Mapping[str, str]
    settings: Mapping[str, Any]

    def say(self) -> str:
        """The sum and its parts, in words."""
        rows = self.table[self.table["segment"] == ALL].set_index("part")

        def told(part: str) -> str:
            row = rows.loc[part]
            return f"{row['expected']:,.0f} ({row['low']:,.0f} to {row['high']:,.0f})"

        horizon = self.settings["horizon"]
        within = horizon if horizon.startswith("until") else f"within {horizon}"
        text = f"customer equity {within}: {told(TOTAL)}, of which present customers "
        text += f"{told(PRESENT)} and customers to come {told(TO_COME)}"
        return text + (f" less {told(COST)} for winning them" if COST in rows.index else "")

    def __repr__(self) -> str:
        return f"<CustomerEquity: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(2)._repr_html_()}"  # type: ignore[operator]


def customer_equity(
    clv: CLV,
    data: RFMSummary | Subscriptions,
    horizon: Any = "3 years",
    *,
    arrivals: float | Sequence[float] | ArrivalForecast | CohortTable | Mapping[str, Any],
    period: str = "month",
    cac: float | Mapping[str, float] | None = None,
    discount_rate: float = 0.10,
    margin: float = 1.0,
    include_first: bool = True,
    profiles: Mapping[str, Mapping[str, Any]] | None = None,
    price: float | Mapping[str, float] | None = None,
    level: float = 0.9,
    n_draws: int = 1024,
) -> CustomerEquity:
    """Value the present customers and the cohorts to come, within a horizon.

    Parameters
    ----------
    clv : CLV
        Fitted.
    data : RFMSummary or Subscriptions
        The present customers.
    horizon : str or number
        "3 years", or a number in the summary's time unit; finite. Whoever comes later than now is valued until the same
        day: a horizon that is not much longer than a customer's life understates those who are yet to come.
    arrivals : number, sequence, ArrivalForecast, CohortTable, or mapping of segment to one of the first three
        New customers a `period`, at which all agree: one number for all, or one for each period of the horizon, taken
        as certain; or a forecast with its uncertainty (`forecast_arrivals`), which of a table of cohorts is made by its
        "level" from the whole periods there are.
    period : {"week", "month", "quarter", "year"}
        Of average length, 365.25 / 12 days for a month. Customers come evenly within it.
    cac : number, or mapping by segment, optional
        Cost of winning a customer, paid when he comes.
    discount_rate, include_first
        As in `CLV.new_customer`; the present customers' past purchases are not in their value.
    margin : float
        Share of revenue that is kept.
    profiles : mapping of segment to covariates, optional
        Where the transaction model has covariates: those of new customers, as in `assess_acquisition`.
    price : number, or mapping by segment, optional
        Of contracts, a period.
    level : float
        Probability of the intervals.
    n_draws : int
        Joint draws of the parameters, each with one future of the present customers and one of those to come.

    Returns
    -------
    CustomerEquity

    Raises
    ------
    DataError
        A segment of the models has no arrivals, or a name in them is none of it.
    ValueError
        An option means nothing.

    Notes
    -----
    The intervals hold what is not known of the parameters and of the number of new customers, and chance in what single
    customers do. That new customers will be as those behind the fit were is taken for granted. Chance in those to come
    is that of some hundred, scaled to their number: of a few it is too even, and ends below zero are told as zero.
    """
    _check(clv, level, period, n_draws, margin, cac)
    unit = clv.transactions_.fingerprint_.time_unit
    days = DAYS_PER_PERIOD.get(unit, 1.0 / 24)
    length = _length(clv, data, horizon)
    if not np.isfinite(length):
        raise ValueError("Customers come for ever: equity needs a finite horizon, '5 years' for instance.")
    n_periods, width = _steps(length, DAYS_PER_PERIOD[period] / days)
    segments = _segment_names(clv, profiles)
    coming = settle_arrivals(arrivals, segments, n_periods, n_draws, period)
    for option, amounts in (("cac", cac), ("price", price)):
        _refuse_unknown(option, amounts, segments)
    by = _segment_column(clv)
    names, codes = portfolio_segments(data, by)
    outlook = clv._valuation.outlook(data, horizon, discount_rate=discount_rate, margin=margin, estimate=None)
    sums, totals = outlook.totals(codes, max(len(names), 1), n_draws)
    present = add(totals).value
    rows = [(PRESENT, str(name), present[:, i]) for i, name in enumerate(names)]
    rows.append((PRESENT, ALL, present[:, -1]))
    rate = continuous_rate(discount_rate, unit)
    plan = Plan(length, n_periods, width, rate, discount_rate, margin, include_first, level, n_draws)
    tables, worth, costs, means = [], np.zeros(n_draws), np.zeros(n_draws), []
    for number, (name, forecast) in enumerate(coming.items()):
        about = None if name == ALL else name
        found, mean, spent = value_newcomers(
            clv, plan, forecast, about, profiles, _of(price, name), _of(cac, name), number
        )
        tables.append(_arrival_table(name, forecast, found, mean, level))
        means.append(float(mean.sum()))
        worth, costs = worth + found.sum(axis=1), costs + spent
        if len(coming) > 1:
            rows.append((TO_COME, name, found.sum(axis=1)))
    rows.append((TO_COME, ALL, worth))
    if cac is not None:
        rows.append((COST, ALL, costs))
    rows.append((TOTAL, ALL, present[:, -1] + worth - costs))
    settings = {
        "horizon": _label(clv, data, horizon),
        "horizon_length": n_periods,
        "period": period,
        "discount_rate": discount_rate,
        "margin": margin,
        "include_first": include_first,
        "cac": cac,
        "level": level,
        "currency": getattr(data, "currency", None),
    }
    table = pd.DataFrame([_row(part, name, draws, level) for part, name, draws in rows])
    of_present = expected_totals(sums, level)["expected_clv"]
    _expect(table, of_present if names else of_present[-1:], means)
    of_all = {part: draws for part, name, draws in rows if name == ALL}
    methods = {name: forecast.method for name, forecast in coming.items()}
    return CustomerEquity(
        table,
        pd.concat(tables, ignore_index=True),
        MappingProxyType(of_all),
        MappingProxyType(methods),
        MappingProxyType(settings),
    )


def _arrival_table(
    name: str, forecast: ArrivalForecast, found: FloatArray, expected: FloatArray, level: float
) -> pd.DataFrame:
    table = forecast.table(level)
    table.insert(0, "segment", name)
    table["value"] = expected
    table["value_low"], table["value_high"] = _least(np.quantile(found, _levels(level), axis=0, method="inverted_cdf"))
    return table


def _expect(table: pd.DataFrame, present: FloatArray, coming: list[float]) -> None:
    """Give both parts the expectations that forecasts have, without the noise of draws, and the sum what follows."""
    of_all = table["segment"] == ALL
    table.loc[table["part"] == PRESENT, "expected"] = present
    table.loc[table["part"] == TO_COME, "expected"] = [*(coming if len(coming) > 1 else ()), sum(coming)]
    cost = float(table.loc[(table["part"] == COST) & of_all, "expected"].sum())
    table.loc[table["part"] == TOTAL, "expected"] = float(present[-1]) + sum(coming) - cost


def _row(part: str, segment: str, draws: FloatArray, level: float) -> dict[str, Any]:
    low, high = np.quantile(draws, _levels(level), method="inverted_cdf")
    if part == TO_COME:
        low, high = _least(np.array([low, high]))
    return {"part": part, "segment": segment, "expected": float(draws.mean()), "low": low, "high": high}


def _least(ends: FloatArray) -> FloatArray:
    """Ends of an interval of what cannot be negative: the part of it that can be holds the truth as often."""
    return np.maximum(ends, 0.0)


def _levels(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _check(clv: object, level: float, period: str, n_draws: int, margin: object, cac: Any) -> None:
    if not isinstance(clv, CLV):
        raise TypeError(f"'clv' must be a fitted CLV. Got {type(clv).__name__}.")
    check_is_fitted(clv)
    check_level(level)
    check_period(period)
    if check_number("n_draws", n_draws) < 64 or n_draws != int(n_draws):
        raise ValueError(f"'n_draws' must be a whole number from 64 on. Got {n_draws!r}.")
    if isinstance(margin, str):
        raise TypeError("A new customer has no margin of their own yet: 'margin' must be a number here.")
    for name, value in cac.items() if isinstance(cac, Mapping) else [("cac", cac)] if cac is not None else []:
        if not 0 <= check_number(str(name), value) < np.inf:
            raise DataError(f"CAC of {name!r} must be a finite amount of at least 0. Got {value!r}.")


def _length(clv: CLV, data: Any, horizon: Any) -> float:
    if isinstance(horizon, float) and not np.isfinite(horizon):
        return float(horizon)
    if isinstance(clv.transactions_, ContractModel):
        return float(clv.transactions_.length(data, horizon))
    return float(clv.transactions_.parse_horizon(horizon, data.time_unit, data.observation_end).length)


def _label(clv: CLV, data: Any, horizon: Any) -> str:
    model = clv.transactions_
    unit, end = model.fingerprint_.time_unit, data.observation_end
    parse = parse_periods if isinstance(model, ContractModel) else model.parse_horizon
    return str(parse(horizon, unit, end).label)


def _steps(length: float, width: float) -> tuple[int, float]:
    """How many periods a horizon holds, and how long each is; 6 months of the calendar are six, whatever their days."""
    nearest = max(round(length / width), 1)
    if abs(length / width - nearest) < 0.1:
        return nearest, length / nearest
    return int(np.ceil(length / width)), width


def _segment_column(clv: CLV) -> str | None:
    columns = {str(model.segment) for model in clv._fitted().values() if model.segments_}
    if len(columns) > 1:
        raise DataError(f"The models are divided by different columns, {sorted(columns)}. Fit both by the same.")
    return next(iter(columns), None)


def _segment_names(clv: CLV, profiles: Mapping[str, Any] | None) -> list[str]:
    names = list(dict.fromkeys(str(name) for model in clv._fitted().values() for name in model.segments_))
    return names or [str(name) for name in profiles or ()] or [ALL]


def _refuse_unknown(option: str, amounts: Any, names: list[str]) -> None:
    unknown = [name for name in amounts if name not in names] if isinstance(amounts, Mapping) else []
    if unknown:
        raise DataError(f"{option!r} names {unknown[0]!r}, which is none of {quote_list(names)}. Leave it out.")


def _of(value: Any, name: str) -> float | None:
    if not isinstance(value, Mapping):
        return None if value is None else float(value)
    if name not in value:
        raise DataError(f"{name!r} is lacking in a mapping by segment: {list(value)}.")
    return float(value[name])
