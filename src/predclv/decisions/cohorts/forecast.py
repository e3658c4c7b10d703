"""What cohorts will do: their future periods by a fitted model, with bands from joint draws."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from predclv.data.calendar import number_of_day, period_index
from predclv.data.columns import margins, mean_spend
from predclv.data.dates import instant
from predclv.data.durations import Horizon
from predclv.data.opportunities import OPPORTUNITIES, last_days, last_whole_day, number_periods
from predclv.data.periods import parse_periods
from predclv.data.rfm import RFMSummary
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CohortForecast", "continue_cohorts"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Customer-draws that are simulated, and draws: few enough for minutes, many enough for the ends of a band.
_BUDGET = 300_000_000
_FEWEST, _MOST = 100, 1024
# Totals held: 80 MB.
_TOTALS = 10_000_000


@dataclass(frozen=True, eq=False, repr=False)
class CohortForecast:
    """Predicted continuation of cohorts.

    Attributes
    ----------
    cells : pandas.DataFrame
        A row for each cohort and future period: segment (where there are several), cohort, age, period, customers, and
        of each measure (active, purchases and, with amounts, revenue and margin) its mean over the simulations,
        ..._low and ..._high: the band in which what happens will lie with probability `level`, for it holds what is
        not known of the parameters, which customers a cohort happens to have, and chance. Besides them retention (mean
        active over customers) with its band. In the period that the as-of date cuts, what was observed of it is
        counted in.
    totals : pandas.DataFrame
        The same by period for all these cohorts together, from joint draws: not the sum of the cells' ends. Nobody who
        is yet to come is in it.
    draws : (n_draws, n_cohorts, n_periods, 4) array
        Simulated active customers, purchases, revenue, margin; cohorts in the order of the table.
    settings : mapping
        period, by, level, end, horizon, currency, n_draws, shocks (`Shocks`: what the bands hold of good and bad
        times).
    """

    cells: pd.DataFrame
    totals: pd.DataFrame
    draws: FloatArray
    settings: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"<CohortForecast: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.totals.round(2)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """What the present customers will do in the last period of the horizon, in words."""
        last, level = self.totals.iloc[-1], self.settings["level"]
        text = f"of {last['customers']:,.0f} customers {last['active']:,.0f} ({last['active_low']:,.0f} to "
        text += f"{last['active_high']:,.0f}, {level:.0%} band) will buy in {last['period']}"
        if "revenue" in self.totals:
            sums = self.draws[..., MEASURES.index("revenue")].sum(axis=(1, 2))
            low, high = np.quantile(sums, _levels(level), method="inverted_cdf")
            text += f"; revenue until then {sums.mean():,.0f} ({low:,.0f} to {high:,.0f})"
        return text

    def against(self, later: CohortTable) -> pd.DataFrame:
        """Set the forecast against what a later table observed: how many cells lay in their bands.

        Parameters
        ----------
        later : CohortTable
            Of the same log with a later as-of date; its whole periods count.

        Returns
        -------
        DataFrame
            cohort (and segment), age, period, measure, predicted, low, high, observed, inside. The share of `inside` is
            to be held against `level`, knowing that cells of one cohort move together, and that counts, which are
            whole, lie in their band somewhat more often.
        """
        keys = [name for name in ("segment", "cohort", "age", "period") if name in self.cells]
        if any(name not in later.cells for name in keys) or later.settings["period"] != self.settings["period"]:
            raise DataError("The later table is by other segments or periods than the forecast.")
        seen = later.cells[later.cells["is_whole"]]
        both = self.cells.merge(seen, on=keys, suffixes=("", "_observed"))
        if both.empty:
            raise DataError(f"The later table, until {later.settings['end']}, holds no whole period of the forecast.")
        parts = []
        for name in MEASURES:
            if name not in self.cells or name not in seen:
                continue
            part = both[keys].assign(
                measure=name,
                predicted=both[name],
                low=both[f"{name}_low"],
                high=both[f"{name}_high"],
                observed=both[f"{name}_observed"].astype(np.float64),
            )
            parts.append(part.assign(inside=(part["observed"] >= part["low"]) & (part["observed"] <= part["high"])))
        return pd.concat(parts, ignore_index=True)

    def plot(self, table: CohortTable, measure: str = "active", *, ax: Axes | None = None) -> Axes:
        """What was observed by period and what is predicted, with the band; see `predclv.plots.plot_continuation`."""
        from predclv.plots.cohorts import plot_continuation

        return plot_continuation(self, table, measure, ax=ax)


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
    _add_observed(found, table, numbers, has_money, share)
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
    cells, totals = _cells(found, table, numbers, names, level), _totals(found, table, numbers, names, level)
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
    numbers, edges, label = _future(rfm, table, horizon)
    warn_long_horizon(Horizon(float(edges[-1]), label), model.fingerprint_.longest_age, rfm.time_unit)
    n_customers, shape = int(table.cohorts["customers"].sum()), (len(table.cohorts), len(numbers), len(MEASURES))
    if n_draws is None:
        n_draws = _number_of_draws(n_customers, int(np.prod(shape)))
    elif check_number("n_draws", n_draws) < 64 or n_draws != int(n_draws):
        raise ValueError(f"'n_draws' must be a whole number from 64 on. Got {n_draws!r}.")
    found = np.zeros((int(n_draws), *shape))
    return _Work(numbers, edges, label, int(n_draws), found, np.zeros(shape[0], dtype=np.int64), _past(rfm, table))


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
    counted = _counted(rfm, table, work.numbers)
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


def _future(rfm: RFMSummary, table: CohortTable, horizon: Any) -> tuple[IntArray, FloatArray, str]:
    """Numbers of the periods to come, the times of their ends from 0 on in the summary's unit, and a label."""
    period, end = table.settings["period"], rfm.observation_end
    assert end is not None
    parsed = parse_periods(horizon, period, end)
    following = number_of_day(last_whole_day(end, period), period) + 1
    if parsed.label.startswith("until") and parsed.end is not None:
        last = parsed.end
        if last_whole_day(last, period) != last:
            raise DataError(
                f"horizon={horizon!r} ends within a {period}. Give {str(last_whole_day(last, period))!r}, the last day "
                f"of one, or a number of {period}s."
            )
        n = number_of_day(last, period) - following + 1
    else:
        n = round(parsed.length) if np.isfinite(parsed.length) else 0
        if n < 1 or abs(parsed.length - n) > 0.01 * n:
            raise DataError(
                f"horizon={horizon!r} is no whole number of {period}s, which cohorts are followed by. Give "
                f"'{max(n, 1)} {period}s', for instance."
            )
    numbers = following + np.arange(n)
    days: Any = last_days(numbers, period)
    if rfm.opportunities is not None:
        return numbers, _in_opportunities(rfm, period, days), f"{n} {period}s"
    micro = np.array([instant(dt.date.fromordinal(int(day))) for day in days], dtype=np.int64) - instant(end)
    edges = np.r_[0.0, micro / 86_400_000_000 / rfm.days_per_unit]
    return numbers, edges, f"{n} {period}{'s' if n > 1 else ''}"


def _in_opportunities(rfm: RFMSummary, period: str, days: Any) -> FloatArray:
    unit = str(rfm.opportunities)
    if OPPORTUNITIES.index(unit) < OPPORTUNITIES.index(period) or (unit == "week" and period != "week"):
        raise DataError(
            f"The summary counts one opportunity a {unit}, so a {period} is no whole number of them. Make the table "
            f"with period={unit!r}."
        )
    assert rfm.observation_end is not None
    now = number_of_day(rfm.observation_end, unit)
    return np.asarray(np.r_[0.0, number_periods(days, unit) - now], dtype=np.float64)


def _counted(rfm: RFMSummary, table: CohortTable, numbers: IntArray) -> NDArray[np.bool_]:
    """Who has bought in the period that the as-of date cuts, and is among its active customers already."""
    period, end = table.settings["period"], rfm.observation_end
    assert end is not None
    assert rfm.first_purchase is not None
    if rfm.opportunities is not None or number_of_day(end, period) < numbers[0]:
        return np.zeros(len(rfm), dtype=bool)
    epoch = dt.date(1970, 1, 1).toordinal()
    # Half a second, for recency in hours or weeks is rounded.
    since = np.round(rfm.recency * rfm.days_per_unit * 86_400 + 0.5) * 1_000_000
    last = rfm.first_purchase.astype("datetime64[us]") + since.astype("timedelta64[us]")
    days = last.astype("datetime64[D]").astype(np.int64) + epoch
    return np.asarray(number_periods(days, period) == numbers[0])


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


def _past(rfm: RFMSummary, table: CohortTable) -> PastPeriods:
    """Repeat purchases of the whole periods there were, and when these ended."""
    period, found, end = table.settings["period"], table.activity, rfm.observation_end
    assert end is not None
    first, last = (number_of_day(day, period) for day in (found.first_day, last_whole_day(found.end, period)))
    numbers = np.arange(first, max(last, first - 1) + 1)
    days: Any = last_days(np.r_[first - 1, numbers], period)
    if rfm.opportunities is not None:
        now = number_of_day(end, rfm.opportunities)
        before = (now - number_periods(days, rfm.opportunities)).astype(np.float64)
    else:
        ends = np.array([instant(dt.date.fromordinal(int(day))) for day in days], dtype=np.float64)
        before = (instant(end) - ends) / 86_400_000_000 / rfm.days_per_unit
    purchases = found.cells.groupby("at")["purchases"].sum().reindex(numbers, fill_value=0)
    firsts = found.cohorts.groupby("cohort")["customers"].sum().reindex(numbers, fill_value=0)
    return PastPeriods(before, (purchases - firsts).to_numpy(dtype=np.float64))


def _add_observed(
    found: FloatArray, table: CohortTable, numbers: IntArray, has_money: bool, share: float | str
) -> None:
    """Add to the first period what has been observed of it, where the as-of date cuts it."""
    cut = table.cells[~table.cells["is_whole"]]
    if cut.empty:
        return
    first = period_index(numbers[:1], table.settings["period"])[0]
    assert (cut["period"] == first).all()
    assert len(cut) == len(table.cohorts)
    found[:, :, 0, 0] += cut["active"].to_numpy()
    found[:, :, 0, 1] += cut["purchases"].to_numpy()
    if has_money and "revenue" in cut:
        found[:, :, 0, 2] += cut["revenue"].to_numpy()
        same = isinstance(share, str) or isinstance(table.settings["margin"], str)
        found[:, :, 0, 3] += (cut["margin"] if same else float(share) * cut["revenue"]).to_numpy()


def _cells(
    found: FloatArray, table: CohortTable, numbers: IntArray, names: tuple[str, ...], level: float
) -> pd.DataFrame:
    n_cohorts, n_periods = found.shape[1:3]
    cells = table.cohorts.drop(columns="note").loc[np.repeat(np.arange(n_cohorts), n_periods)].reset_index(drop=True)
    of = np.tile(numbers, n_cohorts) - np.repeat(table.activity.cohorts["cohort"].to_numpy(), n_periods)
    cells.insert(len(table.keys), "age", of)
    cells.insert(len(table.keys) + 1, "period", period_index(np.tile(numbers, n_cohorts), table.settings["period"]))
    return _with_bands(cells, found.reshape(len(found), -1, found.shape[3]), names, level)


def _totals(
    found: FloatArray, table: CohortTable, numbers: IntArray, names: tuple[str, ...], level: float
) -> pd.DataFrame:
    totals = pd.DataFrame({"period": period_index(numbers, table.settings["period"])})
    totals["customers"] = int(table.cohorts["customers"].sum())
    return _with_bands(totals, found.sum(axis=1), names, level)


def _with_bands(rows: pd.DataFrame, draws: FloatArray, names: tuple[str, ...], level: float) -> pd.DataFrame:
    """Add mean, low and high of each measure; `draws` is (n_draws, n_rows, n_measures)."""
    for i, name in enumerate(names):
        rows[name] = draws[..., i].mean(axis=0)
        rows[f"{name}_low"], rows[f"{name}_high"] = np.quantile(
            draws[..., i], _levels(level), axis=0, method="inverted_cdf"
        )
    for end in ("", "_low", "_high"):
        rows[f"retention{end}"] = rows[f"active{end}"] / rows["customers"]
    return rows


def _levels(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _number_of_draws(n_customers: int, n_cells: int) -> int:
    return int(np.clip(min(_BUDGET // max(n_customers, 1), _TOTALS // max(n_cells, 1)), _FEWEST, _MOST))
