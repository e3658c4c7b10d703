"""What may be paid to win a customer: lifetime value against acquisition cost, by channel, with how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.periods import parse_periods
from predclv.decisions.acquisition.terms import BANDS, by_channel, check_bands, check_terms, find_segments, settle_cac
from predclv.decisions.luck import Newcomers
from predclv.forecast.value_path import ValuePath
from predclv.inference.posterior import check_level, check_number
from predclv.kernels.discounting import continuous_rate
from predclv.models.contracts.model import ContractModel
from predclv.value import CLV

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["NOT_ENOUGH", "UNCERTAIN", "Acquisition", "assess_acquisition"]

FloatArray = NDArray[np.float64]

UNCERTAIN = "uncertain"
NOT_ENOUGH = "not enough to say"
# Times of a payback curve, which is straight between them: of three years, every eleven days.
_TIMES = 96


@dataclass(frozen=True, eq=False, repr=False)
class Acquisition:
    """Lifetime value against acquisition cost.

    Intervals and probabilities are of the mean customer of a channel: what is not known of it. How much single
    customers differ is no matter where many are won.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a channel: channel, customers (behind the fit; NaN of profiles), cac, expected_clv with its interval
        clv_low, clv_high, ratio (of CLV to CAC) with ratio_low, ratio_high, p_above_... (probability that the ratio is
        above the start of each band), verdict (the band, "uncertain (from … to …)" where the interval spans several,
        or "not enough to say" of fewer than `min_customers`), break_even_cac and target_cac (the most that may be paid
        so that the ratio is at least 1, and `target`, with probability `confidence`), and payback (time until the mean
        customer has brought its cost) with payback_low, payback_high: infinite where that is not within the horizon.
    payback : pandas.DataFrame
        Rows of channel, time (since the first purchase), value (expected until then), low, high.
    draws : mapping of channel to (n_draws,) array
        Lifetime value of the channel's mean customer by draw of the parameters; rows belong together.
    paths : mapping of channel to ValuePath
    settings : mapping
        horizon (in words), time_unit, level, confidence, target, bands, margin by channel, include_first,
        discount_rate, min_customers.
    newcomers : mapping of channel to Newcomers
        Who is won there: what a budget simulates single customers of.
    """

    table: pd.DataFrame
    payback: pd.DataFrame
    draws: Mapping[str, FloatArray]
    paths: Mapping[str, ValuePath]
    settings: Mapping[str, Any]
    newcomers: Mapping[str, Newcomers]

    def __repr__(self) -> str:
        return f"<Acquisition: {self.say()}>"

    def _repr_html_(self) -> str:
        # The private pandas method is what a notebook calls.
        return f"<p>{escape(self.say())}</p>{self.table.round(3)._repr_html_()}"  # type: ignore[operator]

    def say(self) -> str:
        """Verdicts in words, the best channel first."""
        rows = self.table.sort_values("ratio", ascending=False)
        return "; ".join(
            f"{row.channel} {row.ratio:.2f}:1 ({row.ratio_low:.2f} to {row.ratio_high:.2f}), {row.verdict}"
            for row in rows.itertuples()
        )

    def commission_ceiling(self) -> pd.DataFrame:
        """What an affiliate may get at most, in each of the three ways it is paid, so that the target is kept.

        Returns
        -------
        DataFrame
            channel; per_customer, money for each customer won (`target_cac`); of_first_purchase, share of the first
            purchase's amount, which may be above 1 where a customer comes back; of_revenue, share of all that he spends
            within the horizon: the margin over the target, whatever he spends. With `include_first=False`, that is of
            what he spends after the first purchase, which is then in no value. The first two hold with the
            `confidence` that was asked for, the third surely.
        """
        rows = []
        for row in self.table.itertuples():
            path = self.paths[str(row.channel)]
            per = self.draws[str(row.channel)] / path.first_spend_draws
            rows.append(
                {
                    "channel": row.channel,
                    "per_customer": row.target_cac,
                    "of_first_purchase": _safe(per, self.settings["confidence"]) / self.settings["target"],
                    "of_revenue": self.settings["margin"][row.channel] / self.settings["target"],
                }
            )
        return pd.DataFrame(rows)

    def plot_ratios(self, *, ax: Axes | None = None) -> Axes:
        """Ratio of CLV to CAC by channel with its interval, on the bands."""
        from predclv.plots.acquisition import plot_ratios

        return plot_ratios(self.table, self.settings["bands"], level=self.settings["level"], ax=ax)

    def plot_payback(self, *, ax: Axes | None = None) -> Axes:
        """Expected value as time goes by, against what the customer cost."""
        from predclv.plots.acquisition import plot_payback

        return plot_payback(self.payback, self.table, time_unit=self.settings["time_unit"], ax=ax)


def assess_acquisition(
    clv: CLV,
    cac: float | Mapping[Any, float] | pd.Series,
    *,
    horizon: Any = "3 years",
    margin: float | Mapping[Any, float] = 1.0,
    discount_rate: float = 0.10,
    include_first: bool = True,
    profiles: Mapping[Any, Mapping[str, Any]] | None = None,
    price: float | Mapping[Any, float] | None = None,
    level: float = 0.9,
    confidence: float = 0.9,
    target: float = 3.0,
    bands: Mapping[float, str] = BANDS,
    min_customers: int = 20,
    n_draws: int = 1024,
) -> Acquisition:
    """Set what a new customer of each channel is worth against what winning one costs.

    Parameters
    ----------
    clv : CLV
        Fitted; with `segment="channel"` where channels differ, so that each has parameters of its own that share
        strength, or with covariates and `profiles`.
    cac : number, or mapping or Series by channel
        Money that a customer won has cost: all spending on the channel over all customers who came by it.
    horizon, discount_rate, include_first
        As in `CLV.new_customer`.
    margin : number, or mapping by channel
        Share of spend that is kept; 1 means revenue, against which no cost should be set.
    profiles : mapping of channel to covariates, optional
        Where the transaction model has covariates: those of the channel's typical customer, `{"paid": {"source":
        "paid", "age": 30}}`.
    price : number, or mapping by channel, optional
        Of contracts, a period.
    level : float
        Probability of the intervals.
    confidence : float
        Probability with which `break_even_cac` and `target_cac` hold.
    target : float
        Ratio that is aimed at.
    bands : mapping of number to name
        Where each band of the ratio begins; the first at 0.
    min_customers : int
        A channel with fewer customers behind the fit gets no verdict: its figures are mostly those of the others.
    n_draws : int
        Draws of the parameters behind intervals and probabilities.

    Returns
    -------
    Acquisition

    Raises
    ------
    DataError
        A channel has no CAC, margin or price, or a CAC that is zero, negative or not finite; or a name is none of the
        model's segments.
    ValueError
        An option means nothing.
    """
    settled = settle_cac(clv, cac, profiles)
    names = list(settled)
    bands = check_bands(bands)
    check_terms(cac, confidence, target)
    check_level(level)
    least = _least("min_customers", min_customers)
    margins, prices = by_channel("margin", margin, names), by_channel("price", price, names)
    of_profiles = by_channel("profiles", profiles, names)
    is_divided = bool(find_segments(clv))
    unit = clv.transactions_.fingerprint_.time_unit
    newcomers = {}
    for name in names:
        segment, about = name if is_divided else None, of_profiles[name]
        path = clv.new_customer_path(
            horizon,
            segment=segment,
            covariates=about,
            include_first=include_first,
            price=prices[name],
            discount_rate=discount_rate,
            margin=margins[name],
            n_times=_TIMES,
            n_draws=n_draws,
        )
        rate = continuous_rate(discount_rate, unit)
        newcomers[name] = Newcomers(clv, segment, about, prices[name], margins[name], include_first, rate, path)
    paths = {name: each.path for name, each in newcomers.items()}
    behind = {name: None if about is not None else _customers(clv, name) for name, about in of_profiles.items()}
    rows = [
        _row(name, settled[name], path, behind[name], least, level, confidence, float(target), bands)
        for name, path in paths.items()
    ]
    settings = {
        "horizon": _label(clv, horizon),
        "time_unit": unit,
        "level": level,
        "confidence": confidence,
        "target": float(target),
        "bands": dict(bands),
        "margin": margins,
        "include_first": include_first,
        "discount_rate": discount_rate,
        "min_customers": least,
    }
    payback = pd.concat([_curve(name, path, level) for name, path in paths.items()], ignore_index=True)
    draws = {name: path.draws[:, -1] for name, path in paths.items()}
    return Acquisition(pd.DataFrame(rows), payback, draws, paths, settings, newcomers)


def _customers(clv: CLV, name: str) -> int:
    """Customers of a channel behind the fit; of models without channels, all."""
    models = clv._fitted().values()
    divided = [model for model in models if model.segments_]
    found = [model.segments_[name] for model in divided if name in model.segments_] or ([] if divided else list(models))
    return min((int(model.fingerprint_.n_customers) for model in found), default=0)


def _least(option: str, value: int) -> int:
    if check_number(option, value) < 0 or value != int(value):
        raise ValueError(f"{option!r} must be a whole number of at least 0. Got {value!r}.")
    return int(value)


def _row(
    name: str,
    cac: float,
    path: ValuePath,
    customers: int | None,
    least: int,
    level: float,
    confidence: float,
    target: float,
    bands: Mapping[float, str],
) -> dict[str, Any]:
    value = path.draws[:, -1]
    low, high = _ends(value, level)
    times = np.array(
        [_payback(path.times, row, start, cac) for row, start in zip(path.draws, path.start_draws, strict=True)]
    )
    fast, slow = _ends(times, level)
    is_known = customers is None or customers >= least
    return {
        "channel": name,
        "customers": np.nan if customers is None else customers,
        "cac": cac,
        "expected_clv": path.center[-1],
        "clv_low": low,
        "clv_high": high,
        "ratio": path.center[-1] / cac,
        "ratio_low": low / cac,
        "ratio_high": high / cac,
        **{f"p_above_{start:g}": float((value > start * cac).mean()) for start in bands if start > 0},
        "verdict": _verdict(low / cac, high / cac, bands) if is_known else NOT_ENOUGH,
        "break_even_cac": _safe(value, confidence),
        "target_cac": _safe(value, confidence) / target,
        "payback": _payback(path.times, path.center, path.start, cac),
        "payback_low": fast,
        "payback_high": slow,
    }


def _payback(times: FloatArray, value: FloatArray, start: float, cac: float) -> float:
    """First time at which the value has come to the cost, between times by a straight line; infinite where none."""
    if start >= cac:
        return 0.0
    reached = value >= cac
    if not reached.any():
        return float("inf")
    i = int(np.argmax(reached))
    before, at = (0.0, start) if i == 0 else (times[i - 1], value[i - 1])
    if not np.isfinite(times[i]):
        # Some time after the last that is followed.
        return float("inf")
    if not np.isfinite(value[i]):
        return float(before)
    return float(before + (times[i] - before) * (cac - at) / (value[i] - at))


def _curve(name: str, path: ValuePath, level: float) -> pd.DataFrame:
    low, high = np.quantile(path.draws, _levels(level), axis=0, method="inverted_cdf")
    first = np.quantile(path.start_draws, _levels(level), method="inverted_cdf")
    return pd.DataFrame(
        {
            "channel": name,
            "time": np.r_[0.0, path.times],
            "value": np.r_[path.start, path.center],
            "low": np.r_[first[0], low],
            "high": np.r_[first[1], high],
        }
    )


def _verdict(low: float, high: float, bands: Mapping[float, str]) -> str:
    starts = np.array(list(bands))
    names = list(bands.values())
    first, last = (names[int(np.searchsorted(starts, end, side="right")) - 1] for end in (low, high))
    return first if first == last else f"{UNCERTAIN} (from {first} to {last})"


def _levels(level: float) -> list[float]:
    return [(1 - level) / 2, (1 + level) / 2]


def _ends(values: FloatArray, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, _levels(level), method="inverted_cdf")
    return float(low), float(high)


def _safe(values: FloatArray, confidence: float) -> float:
    """Largest value that is reached with probability `confidence` at least."""
    # A share of 0.9 of 400 draws is 360 of them, and not 361 for the last digit of 0.9.
    n = math.ceil(len(values) * confidence - 1e-9)
    return float(np.sort(values)[len(values) - n])


def _label(clv: CLV, horizon: Any) -> str:
    model = clv.transactions_
    unit = model.fingerprint_.time_unit
    return (
        parse_periods(horizon, unit).label
        if isinstance(model, ContractModel)
        else model.parse_horizon(horizon, unit, None).label
    )
