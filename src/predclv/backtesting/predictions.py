"""What a method forecasts of each customer, checked before it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from predclv.backtesting.distributions import Counts, Values
from predclv.data.rfm import RFMSummary
from predclv.errors import FitError

__all__ = ["Forecast", "Method", "as_forecast"]

FloatArray = NDArray[np.float64]

_COLUMNS = ("expected_purchases", "p_purchase", "expected_spend", "expected_value")


@dataclass(frozen=True, eq=False)
class Forecast:
    """A method's forecast of one horizon: as much of it as the method has to say.

    Arrays are (n_customers,), in the order of the summary that was given to `predict`.

    Attributes
    ----------
    expected_purchases : array
        Mean number of purchases within the horizon.
    purchases : Counts, optional
        Predictive distribution of that number. Without it the forecast is a point, and its CRPS the absolute error.
    p_purchase : array, optional
        Probability of at least one purchase; by default that of `purchases`, where there is one.
    expected_spend : array, optional
        Mean spend of one purchase.
    expected_value : array, optional
        Mean of the money spent within the horizon, not discounted.
    value : Values, optional
        Predictive distribution of that money.
    totals : mapping of "purchases" and "value" to (n_draws,) arrays
        Joint draws of the sum over all customers: what the interval of the total comes from.
    track : pair of (n_times,) arrays, optional
        Times within the horizon, and the purchases of all customers expected until then.
    notes : tuple of str
        What a reader should know of how this was made.
    """

    expected_purchases: FloatArray
    purchases: Counts | None = None
    p_purchase: FloatArray | None = None
    expected_spend: FloatArray | None = None
    expected_value: FloatArray | None = None
    value: Values | None = None
    totals: Mapping[str, FloatArray] = field(default_factory=dict)
    track: tuple[FloatArray, FloatArray] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.p_purchase is None and isinstance(self.purchases, Counts):
            object.__setattr__(self, "p_purchase", self.purchases.p_positive())
        for name in _COLUMNS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _floats(name, getattr(self, name)))


class Method(Protocol):
    """What a backtest asks of a method: two calls, in the manner of scikit-learn.

    A method of one's own is a small class with these two. It may also have `name` (text, how results call it),
    `needs_amounts` (True where a log without amounts is of no use), `needs_log_itt` (True where it reads the times
    between purchases in `rfm.log_itt`), and `fit(rfm, log, horizons)` where what is learnt depends on how far ahead
    will be asked. It is copied before each fit, by pickling where several processes work.

    Where a backtest counts opportunities, `rfm.opportunities` names them: frequency, recency and T are then numbers of
    opportunities, and so is the horizon.

    Examples
    --------
    >>> class SameAsLastMonth:
    ...     def fit(self, rfm, log):
    ...         return self
    ...
    ...     def predict(self, rfm, log, horizon):
    ...         days = (log["date"].max() - log["date"]).dt.days
    ...         recent = log[days < 28].groupby("customer_id").size()
    ...         purchases = recent.reindex(rfm.customer_id, fill_value=0).to_numpy()
    ...         return {"expected_purchases": purchases * horizon / 4}  # weeks
    """

    def fit(self, rfm: RFMSummary, log: Any) -> Any:
        """Learn from customers as of the cut-off.

        Parameters
        ----------
        rfm : RFMSummary
            The customers to learn from, as of the cut-off.
        log : pandas.DataFrame
            Their rows until the cut-off: customer_id, date and, with amounts, amount; carried columns as they were
            named.
        """
        ...

    def predict(self, rfm: RFMSummary, log: Any, horizon: float) -> Forecast | Mapping[str, Any] | Any:
        """Forecast every customer.

        Parameters
        ----------
        rfm : RFMSummary
            All customers as of a cut-off, this one or, without refitting, a later one.
        log : pandas.DataFrame
            Their rows until then.
        horizon : float
            In the time unit of the summary.

        Returns
        -------
        Forecast, or a frame or mapping with the columns expected_purchases, p_purchase, expected_spend, expected_value
            The first is needed. In the order of `rfm`; with customer_id, a column or the name of a pandas index, in
            any order.
        """
        ...


def as_forecast(found: object, rfm: RFMSummary) -> Forecast:
    """Take what `predict` returned; FitError where it is no forecast of these customers."""
    forecast = found if isinstance(found, Forecast) else _from_columns(found, rfm)
    if forecast.expected_purchases is None:
        raise FitError("The forecast has no expected_purchases.")
    _check_distribution("purchases", forecast.purchases, Counts, len(rfm))
    _check_distribution("value", forecast.value, Values, len(rfm))
    for name in _COLUMNS:
        if getattr(forecast, name) is not None:
            _check_column(name, getattr(forecast, name), rfm)
    return replace(
        forecast, totals=_totals(forecast.totals), track=_track(forecast.track), notes=_notes(forecast.notes)
    )


def _floats(name: str, values: object) -> FloatArray:
    try:
        # A copy: a method may use its own arrays again.
        return np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FitError(f"{name} holds no numbers: {error}.") from None


def _check_column(name: str, column: FloatArray, rfm: RFMSummary) -> None:
    n = len(rfm)
    if column.shape != (n,):
        raise FitError(f"{name} has the shape {column.shape} for {n:,} customers.")
    wrong = ~(np.isfinite(column) & (column >= 0)) | ((column > 1) if name == "p_purchase" else False)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise FitError(
            f"{name} is {'outside [0, 1]' if name == 'p_purchase' else 'negative or not finite'} for "
            f"{wrong.sum():,} of {n:,} customers (first: customer {rfm.customer_id[first]}, {column[first]:g})."
        )


def _check_distribution(name: str, distribution: Any, kind: type[Counts | Values], n: int) -> None:
    if distribution is None:
        return
    if not isinstance(distribution, kind):
        made = f"predclv.backtesting.{kind.__name__}"
        raise FitError(f"{name} is of type {type(distribution).__name__}; a distribution is made by {made}.")
    if len(distribution) != n:
        raise FitError(f"{name} is a distribution for {len(distribution):,} of {n:,} customers.")
    mean = distribution.mean()
    wrong = ~(np.isfinite(mean) & (mean >= 0))
    if wrong.any():
        raise FitError(f"{name} has no finite mean for {wrong.sum():,} of {n:,} customers.")


def _totals(totals: Any) -> dict[str, FloatArray]:
    """Joint draws of the sums, as arrays."""
    if not isinstance(totals, Mapping) or not set(totals) <= {"purchases", "value"}:
        raise FitError("totals must be a mapping of 'purchases' and 'value' to draws.")
    found = {name: _floats(f"totals[{name!r}]", draws) for name, draws in totals.items()}
    for name, draws in found.items():
        if draws.ndim != 1 or not len(draws) or not np.isfinite(draws).all():
            raise FitError(f"totals[{name!r}] must be finite draws, (n_draws,). Its shape is {draws.shape}.")
    return found


def _track(track: Any) -> tuple[FloatArray, FloatArray] | None:
    """Times and expected purchases until then, as arrays."""
    if track is None:
        return None
    if not isinstance(track, tuple | list) or len(track) != 2:
        raise FitError("track must be a pair of arrays: times, and purchases expected until then.")
    times, expected = (_floats("track", part) for part in track)
    if times.ndim != 1 or times.shape != expected.shape or not np.isfinite([times, expected]).all():
        raise FitError(f"track must be finite, (n_times,) twice. Its shapes are {times.shape} and {expected.shape}.")
    return times, expected


def _notes(notes: Any) -> tuple[str, ...]:
    return (notes,) if isinstance(notes, str) else tuple(map(str, notes))


def _from_columns(found: object, rfm: RFMSummary) -> Forecast:
    if isinstance(found, Mapping):
        columns, known = dict(found), {name.name for name in fields(Forecast)}
    else:
        columns, known = _frame_columns(found), set(_COLUMNS)
    ids = columns.pop("customer_id", None)
    unknown = sorted(map(str, set(columns) - known))
    if unknown or "expected_purchases" not in columns:
        said = f"an unknown column {unknown[0]!r}" if unknown else "no expected_purchases"
        raise FitError(f"predict returned {said}; columns are {', '.join(_COLUMNS)}.")
    if ids is not None:
        return Forecast(**{name: _in_order(name, column, np.asarray(ids), rfm) for name, column in columns.items()})
    by_index = {
        name: _in_order(name, column, column.index, rfm)
        for name, column in columns.items()
        if isinstance(column, pd.Series) and column.index.name == "customer_id"
    }
    return Forecast(**{**columns, **by_index})


def _frame_columns(found: Any) -> dict[str, Any]:
    if isinstance(found, pd.DataFrame) and found.index.name == "customer_id" and "customer_id" not in found:
        found = found.reset_index()
    try:
        frame = nw.from_native(found, eager_only=True)
    except TypeError:
        raise FitError(f"predict returned {type(found).__name__}, neither a Forecast nor columns.") from None
    return {name: frame[name].to_numpy() for name in frame.columns}


def _in_order(name: str, column: Any, ids: Any, rfm: RFMSummary) -> Any:
    """Bring a column, or a distribution, from the order of `ids` to that of the summary."""
    index = pd.Index(ids)
    place = index.get_indexer(pd.Index(rfm.customer_id)) if index.is_unique else np.array([-1])
    if (place < 0).any() or len(index) != len(rfm):
        raise FitError(
            f"predict returned {len(index):,} customer_ids, {index.nunique():,} of them distinct, for {len(rfm):,} "
            "customers: each must be there once."
        )
    if isinstance(column, Counts | Values):
        return column.take(place.astype(np.int64)) if len(column) == len(rfm) else column
    if name not in _COLUMNS or np.shape(column) != (len(rfm),):
        return column
    return np.asarray(column)[place]
