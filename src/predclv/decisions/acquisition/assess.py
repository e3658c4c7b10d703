"""What may be paid to win a customer: lifetime value against acquisition cost, by channel, with how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.data.checks import check_channels
from predclv.data.periods import parse_periods
from predclv.decisions.formulas.plain import ALL
from predclv.errors import DataError
from predclv.forecast.value_path import ValuePath
from predclv.inference.posterior import check_level, check_number
from predclv.models.contracts import ContractModel
from predclv.value import CLV

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BANDS", "Acquisition", "assess_acquisition", "check_terms"]

FloatArray = NDArray[np.float64]

#: Where the bands of CLV:CAC begin, and what they are called, as the field does.
BANDS: Mapping[float, str] = {0.0: "critical", 1.0: "insufficient", 3.0: "healthy", 5.0: "under-investing"}
UNCERTAIN = "uncertain"


@dataclass(frozen=True, eq=False, repr=False)
class Acquisition:
    """Lifetime value against acquisition cost.

    Intervals and probabilities are of the mean customer of a channel: what is not known of it. How much single
    customers differ is no matter where many are won.

    Attributes
    ----------
    table : pandas.DataFrame
        A row a channel: channel, cac, expected_clv with its interval clv_low, clv_high, ratio (of CLV to CAC) with
        ratio_low, ratio_high, p_above_... (probability that the ratio is above the start of each band), verdict (the
        band, or "uncertain (from … to …)" where the interval spans several), break_even_cac and target_cac (the most
        that may be paid so that the ratio is at least 1, and `target`, with probability `confidence`), and payback
        (time until the mean customer has brought its cost) with payback_low, payback_high: infinite where that is
        not within the horizon.
    payback : pandas.DataFrame
        Rows of channel, time (since the first purchase), value (expected until then), low, high.
    draws : mapping of channel to (n_draws,) array
        Lifetime value of the channel's mean customer by draw of the parameters; rows belong together.
    paths : mapping of channel to ValuePath
    settings : mapping
        horizon (in words), time_unit, level, confidence, target, bands, margin by channel, currency.
    """

    table: pd.DataFrame
    payback: pd.DataFrame
    draws: Mapping[str, FloatArray]
    paths: Mapping[str, ValuePath]
    settings: Mapping[str, Any]

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
            within the horizon: the margin over the target, whatever he spends. The first two hold with the
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
    n_draws : int
        Draws of the parameters behind intervals and probabilities.

    Returns
    -------
    Acquisition

    Raises
    ------
    DataError
        A channel has no CAC, or one that is zero, negative or not finite; or a name is none of the model's segments.
    ValueError
        An option means nothing.
    """
    settled = _settle_cac(clv, cac, profiles)
    bands = _check_bands(bands)
    check_terms(cac, confidence, target)
    check_level(level)
    margins = {name: _of(margin, name, "margin") for name in settled}
    is_divided = bool(_segments(clv))
    paths = {
        name: clv.new_customer_path(
            horizon,
            segment=name if is_divided else None,
            covariates=None if profiles is None else _of_profile(profiles, name),
            include_first=include_first,
            price=None if price is None else _of(price, name, "price"),
            discount_rate=discount_rate,
            margin=margins[name],
            n_draws=n_draws,
        )
        for name in settled
    }
    draws = {name: path.draws[:, -1] for name, path in paths.items()}
    rows = [_row(name, settled[name], path, level, confidence, float(target), bands) for name, path in paths.items()]
    unit = clv.transactions_.fingerprint_.time_unit
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
    }
    payback = pd.concat([_curve(name, path, level) for name, path in paths.items()], ignore_index=True)
    return Acquisition(pd.DataFrame(rows), payback, draws, paths, settings)


def _row(
    name: str,
    cac: float,
    path: ValuePath,
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
    return {
        "channel": name,
        "cac": cac,
        "expected_clv": path.center[-1],
        "clv_low": low,
        "clv_high": high,
        "ratio": path.center[-1] / cac,
        "ratio_low": low / cac,
        "ratio_high": high / cac,
        **{f"p_above_{start:g}": float((value > start * cac).mean()) for start in bands if start > 0},
        "verdict": _verdict(low / cac, high / cac, bands),
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


def _segments(clv: CLV) -> list[str]:
    """Names of the channels that the models know, in order; empty where they know none."""
    if not isinstance(clv, CLV):
        raise TypeError(f"'clv' must be a fitted CLV. Got {type(clv).__name__}.")
    models = clv._fitted().values()
    columns = sorted({str(model.segment) for model in models if model.segments_})
    if len(columns) > 1:
        raise DataError(f"The models are divided by different columns, {columns}. Fit both with the same segment=.")
    return list(dict.fromkeys(name for model in models for name in model.segments_))


def check_terms(cac: float | Mapping[Any, float] | pd.Series, confidence: float, target: float) -> None:
    """Raise DataError or ValueError for what `assess_acquisition` would refuse whatever the models."""
    given = cac if isinstance(cac, Mapping | pd.Series) else {ALL: cac}
    for name, value in given.items():
        _amount(str(name), value)
    _share("confidence", confidence)
    if check_number("target", target) <= 0:
        raise ValueError(f"'target' must be above 0, a ratio of CLV to CAC. Got {target!r}.")


def _settle_cac(
    clv: CLV, cac: float | Mapping[Any, float] | pd.Series, profiles: Mapping[Any, Any] | None
) -> dict[str, float]:
    known = _segments(clv) or [str(name) for name in profiles or ()]
    if not isinstance(cac, Mapping | pd.Series):
        given: dict[str, Any] = dict.fromkeys(known or [ALL], cac)
    else:
        given = {str(name): value for name, value in cac.items()}
        if not known:
            raise DataError(
                "The models know no channels, and CAC is given for some. Fit with CLV(BGNBD(method='map', "
                "segment='channel'), GammaGamma(method='map', segment='channel')), or give one number."
            )
        check_channels("cac", cac.keys(), known)
    return {name: _amount(name, given[name]) for name in known or [ALL]}


def _amount(name: str, value: Any) -> float:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not (is_number and 0 < float(value) < np.inf):
        whose = "" if name == ALL else f" of {name!r}"
        raise DataError(
            f"The CAC{whose} is {value!r}: it must be a number above 0. Where winning costs nothing there is no "
            "ratio; `CLV.new_customer` says what such a customer is worth."
        )
    return float(value)


def _of(values: Any, name: str, option: str) -> Any:
    if not isinstance(values, Mapping | pd.Series):
        return values
    by_name = {str(key): value for key, value in values.items()}
    if name not in by_name:
        raise DataError(f"{option!r} lacks the channel {name!r}.")
    return by_name[name]


def _of_profile(profiles: Mapping[Any, Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    found = _of(profiles, name, "profiles")
    assert isinstance(found, Mapping)
    return found


def _check_bands(bands: Mapping[float, str]) -> Mapping[float, str]:
    starts: Sequence[float] = list(bands)
    if not starts or starts[0] != 0 or any(b <= a for a, b in pairwise(starts)):
        raise ValueError(f"'bands' must begin at 0 and rise, as {dict(BANDS)}. Got {dict(bands)}.")
    return bands


def _share(option: str, value: float) -> float:
    number = check_number(option, value)
    if not 0 < number < 1:
        hint = f"; did you mean {number / 100:g}?" if 1 < number < 100 else "."
        raise ValueError(f"{option!r} must be in (0, 1), a probability. Got {value!r}{hint}")
    return number


def _label(clv: CLV, horizon: Any) -> str:
    model = clv.transactions_
    unit = model.fingerprint_.time_unit
    return (
        parse_periods(horizon, unit).label
        if isinstance(model, ContractModel)
        else model.parse_horizon(horizon, unit, None).label
    )
