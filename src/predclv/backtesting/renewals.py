"""Renewals forecast from past dates, by contract models and plain rates, against what happened."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.renewal_methods import RENEWAL_METHODS, Running, Stay, settle_methods
from predclv.data.durations import parse_moment
from predclv.data.frames import PANDAS
from predclv.data.periods import count_renewals, parse_periods, renewal_date
from predclv.data.subscriptions import Subscriptions
from predclv.data.summary_words import lines_to_html
from predclv.errors import DataError
from predclv.inference.posterior import check_level

__all__ = ["RenewalBacktest", "backtest_renewals"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_Z_90 = 1.6448536269514722


@dataclass(frozen=True, eq=False, repr=False)
class RenewalBacktest:
    """Forecasts of renewals beside what happened.

    Attributes
    ----------
    scores : DataFrame
        One row a cut-off, horizon and method: cutoff, horizon, end, method, contracts (that ran), due (renewals that
        came up by the end, for those who lived to see them), actual, expected, low, high (of the total, where the
        method has an interval), bias (expected / actual - 1), mae, rmse, crps (of a contract's renewals), brier (of
        being there at the end), remained, expected_remained, and crps_difference from the first method, with the
        90 % interval of that mean (difference_low, difference_high): below 0 is better.
    forecasts : DataFrame
        One row a contract that ran at a cut-off, with customer_id, tenure, due, actual and a column a method.
    """

    scores: pd.DataFrame
    forecasts: pd.DataFrame

    def table(self, metric: str = "crps") -> pd.DataFrame:
        """One metric of the scores, methods by cut-offs and horizons."""
        if metric not in self.scores or metric in ("method", "cutoff", "horizon"):
            raise ValueError(f"{metric!r} is no score. There are {', '.join(self.scores.columns[4:])}.")
        parts = self.scores.groupby(["cutoff", "horizon"], sort=False)
        return pd.concat({when: part.set_index("method")[metric] for when, part in parts}, axis=1)

    def __repr__(self) -> str:
        mean = self.scores.groupby("method", sort=False)["crps"].mean()
        ranked = ", ".join(f"{name} {value:.4f}" for name, value in mean.sort_values(kind="stable").items())
        n = self.scores[["cutoff", "horizon"]].drop_duplicates()
        return f"<RenewalBacktest: {len(n)} forecasts; mean CRPS {ranked}>"

    def _repr_html_(self) -> str:
        return lines_to_html([repr(self)[1:-1]], self.table().round(4))


def backtest_renewals(
    log: Any,
    *,
    cutoffs: Sequence[Any],
    horizons: Sequence[Any] | Any = ("12 months",),
    methods: Sequence[Any] | Mapping[str, Any] = tuple(RENEWAL_METHODS),
    observation_end: Any = None,
    level: float = 0.9,
    random_state: int = 0,
    **options: Any,
) -> RenewalBacktest:
    """Forecast renewals from past dates by several methods, and score them against what the same contracts then did.

    Parameters
    ----------
    log : frame or path
        As in `Subscriptions.from_log`.
    cutoffs : sequence of dates
        As-of dates to forecast from: nothing that happened later is known to a method.
    horizons : horizon or sequence of them
        "12 months", ...; finite, in whole periods.
    methods : sequence of names and unfitted contract models, or mapping of names to them
        "sbg" and "bdw"; "observed_rate", the share who renewed at each tenure so far, beyond it that of the last one
        that 30 contracts came to; "last_rate", the share of the renewals of the last period before the cut-off that
        were made; "average_rate", that of all there ever were.
    observation_end : date
        Until when the log is complete.
    level : float
        Probability of the intervals of totals.
    random_state : int
        Seed of the models known by name.
    **options
        Further ones of `Subscriptions.from_log`: customer_id, start, end, period, returning, ...

    Returns
    -------
    RenewalBacktest

    Raises
    ------
    DataError
        A horizon ends after `observation_end`, or is no whole number of periods; nobody ran at a cut-off; the log is at
        fault.
    ValueError, TypeError
        A method or option means nothing.
    """
    check_level(level)
    if "after_end" in options:
        raise ValueError(
            "after_end= is 'cut' here: a method knows nothing of what came after the cut-off. Leave it out."
        )
    known = settle_methods(methods, random_state)
    last = parse_moment("observation_end", observation_end)
    if last is None:
        raise DataError("observation_end is missing: until when is the log complete?")
    lengths = [horizons] if isinstance(horizons, str | int | float) else list(horizons)
    dates = [cutoffs] if isinstance(cutoffs, str | dt.date) else list(cutoffs)
    if not (dates and lengths):
        raise ValueError("Give at least one cut-off and one horizon.")
    scores, forecasts = [], []
    for cutoff in dates:
        subs = _read(log, cutoff, options)
        fitted = {name: method.fit(subs) for name, method in known.items()}
        for horizon in lengths:
            end = _end(subs, horizon, last)
            running = _running(subs, _read(log, end, options), end)
            found = {name: stay(running) for name, stay in fitted.items()}
            scores.append(_score(running, fitted, found, level, cutoff=subs.observation_end, horizon=horizon, end=end))
            forecasts.append(_forecasts(running, found, subs, horizon))
    return RenewalBacktest(pd.concat(scores, ignore_index=True), pd.concat(forecasts, ignore_index=True))


def _read(log: Any, until: Any, options: Mapping[str, Any]) -> Subscriptions:
    subs = Subscriptions.from_log(log, observation_end=until, after_end="cut", **options)
    return replace(subs, backend=PANDAS)


def _end(subs: Subscriptions, horizon: Any, last: dt.date) -> dt.date:
    """Last day of a horizon by the calendar; DataError where the log does not reach it."""
    parsed = parse_periods(horizon, subs.period, subs.observation_end)
    length = parsed.length
    if not np.isfinite(length) or abs(length - round(length)) > 1e-9 or length < 1:
        raise DataError(f"horizon={horizon!r} must be a whole number of {subs.period}s, at least 1, and finite.")
    assert subs.observation_end is not None
    start = np.array([np.datetime64(f"{subs.observation_end:%Y-%m-%d}", "D")])
    day = renewal_date(start, np.array([round(length)]), subs.period)[0]
    end: dt.date = day.astype("datetime64[D]").item()
    if end > last:
        raise DataError(
            f"{parsed.label} from {subs.observation_end} end on {end}, and the log on {last}. Take an earlier cut-off "
            "or a shorter horizon."
        )
    return end


def _running(subs: Subscriptions, later: Subscriptions, end: dt.date) -> Running:
    """Contracts that ran at the cut-off, the renewals that came up for them until the end, and those made."""
    runs = np.flatnonzero(~subs.ended)
    if not len(runs):
        raise DataError(f"No contract runs at the cut-off {subs.observation_end}.")
    assert subs.start is not None
    assert later.start is not None
    key = pd.MultiIndex.from_arrays([subs.customer_id[runs], subs.start[runs]])
    place = pd.MultiIndex.from_arrays([later.customer_id, later.start]).get_indexer(key)
    if (place < 0).any():
        i = int(runs[int(np.argmax(place < 0))])
        raise DataError(
            f"{int((place < 0).sum()):,} contracts that ran at {subs.observation_end} are not found again at {end} "
            f"(first: customer {subs.customer_id[i]}); with returning='join' a contract goes on under its first start."
        )
    day = np.full(len(runs), np.datetime64(f"{end:%Y-%m-%d}", "D"))
    tenure = subs.tenure[runs]
    due = count_renewals(subs.start[runs].astype("datetime64[D]"), day, subs.period) - tenure
    made = later.tenure[place] - tenure
    return Running(subs.customer_id[runs], tenure, due, made)


def _score(
    running: Running, fitted: Mapping[str, Stay], found: Mapping[str, FloatArray], level: float, **when: Any
) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    came = np.arange(1, running.most_due + 1) <= running.due[:, np.newaxis]
    did = np.arange(1, running.most_due + 1) <= running.made[:, np.newaxis]
    stays = running.made >= running.due
    first: FloatArray | None = None
    for name, stay in found.items():
        expected = (stay * came).sum(axis=1)
        crps = (np.where(came, stay - did, 0.0) ** 2).sum(axis=1)
        there = np.where(running.due > 0, stay[np.arange(len(stay)), np.maximum(running.due, 1) - 1], 1.0)
        low, high = fitted[name].total_interval(running, level)
        first = crps if first is None else first
        gap = crps - first
        error = _Z_90 * gap.std(ddof=1) / np.sqrt(len(gap)) if len(gap) > 1 else np.nan
        total = int(running.made.sum())
        rows.append(
            {
                **when,
                "method": name,
                "contracts": len(running.due),
                "due": int(running.due.sum()),
                "actual": total,
                "expected": expected.sum(),
                "low": low,
                "high": high,
                "bias": expected.sum() / total - 1.0 if total else np.nan,
                "mae": np.abs(expected - running.made).mean(),
                "rmse": np.sqrt(((expected - running.made) ** 2).mean()),
                "crps": crps.mean(),
                "brier": ((there - stays) ** 2).mean(),
                "remained": int(stays.sum()),
                "expected_remained": there.sum(),
                "crps_difference": gap.mean(),
                "difference_low": gap.mean() - error,
                "difference_high": gap.mean() + error,
            }
        )
    return pd.DataFrame(rows)


def _forecasts(running: Running, found: Mapping[str, FloatArray], subs: Subscriptions, horizon: Any) -> pd.DataFrame:
    came = np.arange(1, running.most_due + 1) <= running.due[:, np.newaxis]
    table: dict[str, Any] = {
        "cutoff": subs.observation_end,
        "horizon": horizon,
        "customer_id": running.customer_id,
        "tenure": running.tenure,
        "due": running.due,
        "actual": running.made,
    }
    return pd.DataFrame(table | {name: (stay * came).sum(axis=1) for name, stay in found.items()})
