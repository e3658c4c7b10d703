"""What a method forecasts of each customer, checked before it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import narwhals.stable.v2 as nw
import numpy as np
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
        if self.p_purchase is None and self.purchases is not None:
            object.__setattr__(self, "p_purchase", self.purchases.p_positive())
        for name in _COLUMNS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))


class Method(Protocol):
    """What a backtest asks of a method: two calls, in the manner of scikit-learn.

    A method of one's own is a small class with these two. It may also have `name` (text, how results call it),
    `needs_amounts` (True where a log without amounts is of no use), and `fit(rfm, log, horizons)` where what is learnt
    depends on how far ahead will be asked. It is copied before each fit, by pickling where several processes work.

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
            The first is needed. In the order of `rfm`; a frame may have customer_id instead and any order.
        """
        ...


def as_forecast(found: object, rfm: RFMSummary) -> Forecast:
    """Take what `predict` returned; FitError where it is no forecast of these customers."""
    forecast = found if isinstance(found, Forecast) else _from_columns(found, rfm)
    n = len(rfm)
    for name in _COLUMNS:
        column = getattr(forecast, name)
        if column is None:
            continue
        if column.shape != (n,):
            raise FitError(f"{name} has the shape {column.shape} for {n:,} customers.")
        wrong = ~(np.isfinite(column) & (column >= 0)) | ((column > 1) if name == "p_purchase" else False)
        if wrong.any():
            first = int(np.argmax(wrong))
            raise FitError(
                f"{name} is {'outside [0, 1]' if name == 'p_purchase' else 'negative or not finite'} for "
                f"{wrong.sum():,} of {n:,} customers (first: customer {rfm.customer_id[first]}, {column[first]:g})."
            )
    for name in ("purchases", "value"):
        distribution = getattr(forecast, name)
        if distribution is not None and len(distribution) != n:
            raise FitError(f"{name} is a distribution for {len(distribution):,} of {n:,} customers.")
    return forecast


def _from_columns(found: object, rfm: RFMSummary) -> Forecast:
    known = {name.name for name in fields(Forecast)}
    if isinstance(found, Mapping):
        columns = dict(found)
    else:
        try:
            frame = nw.from_native(found, eager_only=True)  # type: ignore[call-overload]
        except TypeError:
            raise FitError(f"predict returned {type(found).__name__}, neither a Forecast nor columns.") from None
        columns = {name: frame[name].to_numpy() for name in frame.columns}
    ids = columns.pop("customer_id", None)
    unknown = sorted(set(columns) - known)
    if unknown or "expected_purchases" not in columns:
        said = f"an unknown column {unknown[0]!r}" if unknown else "no expected_purchases"
        raise FitError(f"predict returned {said}; columns are {', '.join(_COLUMNS)}.")
    if ids is not None:
        columns = _in_order(np.asarray(ids), columns, rfm)
    return Forecast(**columns)


def _in_order(ids: NDArray[Any], columns: dict[str, Any], rfm: RFMSummary) -> dict[str, Any]:
    import pandas as pd

    index = pd.Index(ids)
    place = index.get_indexer(rfm.customer_id) if index.is_unique else np.array([-1])
    if (place < 0).any() or len(ids) != len(rfm):
        raise FitError(
            f"predict returned {len(ids):,} customer_ids, {index.nunique():,} of them distinct, for {len(rfm):,} "
            "customers: each must be there once."
        )
    return {name: np.asarray(column)[place] if name in _COLUMNS else column for name, column in columns.items()}
